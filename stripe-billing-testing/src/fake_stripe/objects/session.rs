use serde_json::{Value, json};

use super::absent;
use crate::fake_stripe::{
    model::{Mode, Session},
    table::Resource,
};

impl Resource for Session {
    fn id(&self) -> &str {
        &self.id
    }

    fn json(&self) -> Value {
        let mut value = self.terms_json();
        let Value::Object(map) = &mut value else {
            return value;
        };
        let Value::Object(rest) = self.progress_json() else {
            return value;
        };
        map.extend(rest);
        value
    }
}

impl Session {
    fn terms_json(&self) -> Value {
        let subscribes = self.mode == Mode::Subscription;
        let mut value = json!({
            "id": self.id,
            "object": "checkout.session",
            "adaptive_pricing": { "enabled": false },
            "amount_subtotal": self.subtotal(),
            "amount_total": if self.trial_days.is_some() { 0 } else { self.total() },
            "automatic_tax": {
                "enabled": false, "liability": null, "provider": null, "status": null,
            },
            "cancel_url": self.cancel_url,
            "client_reference_id": self.client_reference_id,
            "collected_information": {
                "business_name": null, "individual_name": null, "shipping_details": null,
            },
            "created": self.created,
            "currency": self.currency(),
            "custom_fields": [],
            "custom_text": {
                "after_submit": null, "shipping_address": null, "submit": null,
                "terms_of_service_acceptance": null,
            },
            "customer_creation": self.creation(),
            "customer_email": self.customer_email,
            "discounts": self.coupon.iter()
                .map(|coupon| json!({ "coupon": coupon.id, "promotion_code": null }))
                .collect::<Vec<_>>(),
            "expires_at": self.expires_at,
            "invoice_creation": self.invoice_creation(),
            "livemode": false,
            "metadata": self.metadata,
            "mode": if subscribes { "subscription" } else { "payment" },
            "payment_method_collection": if subscribes { "always" } else { "if_required" },
            "payment_method_options": { "card": { "request_three_d_secure": "automatic" } },
            "payment_method_types": if self.mode == Mode::Payment {
                json!(["card", "sepa_debit"])
            } else {
                json!(["card"])
            },
            "phone_number_collection": { "enabled": false },
            "saved_payment_method_options": self.saved_methods(),
            "shipping_options": [],
            "success_url": self.success_url,
            "total_details": {
                "amount_discount": self.discount(), "amount_shipping": 0, "amount_tax": 0,
            },
            "ui_mode": "hosted_page",
        });
        absent(
            &mut value,
            &[
                "after_expiration",
                "allow_promotion_codes",
                "billing_address_collection",
                "client_secret",
                "consent",
                "consent_collection",
                "currency_conversion",
                "locale",
                "origin_context",
                "payment_link",
                "payment_method_configuration_details",
                "permissions",
                "recovered_from",
                "shipping_address_collection",
                "shipping_cost",
                "submit_type",
                "wallet_options",
            ],
        );
        value
    }

    fn invoice_creation(&self) -> Value {
        match self.mode {
            Mode::Subscription => Value::Null,
            Mode::Payment => json!({
                "enabled": false,
                "invoice_data": {
                    "account_tax_ids": null, "custom_fields": null, "description": null,
                    "footer": null, "issuer": null, "metadata": {}, "rendering_options": null,
                },
            }),
        }
    }

    fn saved_methods(&self) -> Value {
        match self.mode {
            Mode::Payment => Value::Null,
            Mode::Subscription => json!({
                "allow_redisplay_filters": ["always"], "payment_method_remove": "disabled",
                "payment_method_save": null,
            }),
        }
    }

    fn creation(&self) -> Option<&'static str> {
        match self.mode {
            Mode::Subscription => None,
            Mode::Payment if self.create_customer => Some("always"),
            Mode::Payment => Some("if_required"),
        }
    }

    fn progress_json(&self) -> Value {
        let details = self.email.as_ref().or(self.customer_email.as_ref()).map(|email| {
            json!({
                "address": null, "business_name": null, "email": email, "individual_name": null,
                "name": null, "phone": null,
                "tax_exempt": "none",
                "tax_ids": if self.status == "complete" { json!([]) } else { Value::Null },
            })
        });
        json!({
            "customer": self.customer,
            "customer_account": null,
            "customer_details": details,
            "invoice": self.invoice,
            "payment_intent": self.payment_intent,
            "payment_status": self.payment_status,
            "setup_intent": null,
            "status": self.status,
            "subscription": self.subscription,
            "url": (self.status == "open").then_some(&self.page),
        })
    }

    /// The lines, as `GET .../line_items` and `expand[]=line_items` give them.
    pub(in crate::fake_stripe) fn line_items_json(&self) -> Vec<Value> {
        self.lines
            .iter()
            .map(|(id, price, quantity)| {
                let amount = price.amount(*quantity);
                json!({
                    "id": id,
                    "object": "item",
                    "adjustable_quantity": null,
                    "amount_discount": 0,
                    "amount_subtotal": if self.trial_days.is_some() { 0 } else { amount },
                    "amount_tax": 0,
                    "amount_total": if self.trial_days.is_some() { 0 } else { amount },
                    "currency": price.currency,
                    "description": price.product_name,
                    "metadata": {},
                    "price": price.json(),
                    "quantity": quantity,
                })
            })
            .collect()
    }
}
