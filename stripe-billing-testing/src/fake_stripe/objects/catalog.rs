use serde_json::{Value, json};

use crate::fake_stripe::{
    card::Card,
    model::{Customer, PaymentMethod, PortalSession, Price, Product, SetupIntent},
    table::Resource,
};

impl Resource for Customer {
    fn id(&self) -> &str {
        &self.id
    }

    fn json(&self) -> Value {
        if self.deleted {
            return json!({ "id": self.id, "object": "customer", "deleted": true });
        }
        self.full_json()
    }
}

impl Customer {
    /// Everything, also after deletion: what `customer.deleted` carries.
    pub(in crate::fake_stripe) fn full_json(&self) -> Value {
        json!({
            "id": self.id,
            "object": "customer",
            "address": null,
            "balance": 0,
            "created": self.created,
            "currency": self.currency,
            "customer_account": null,
            "default_source": null,
            "delinquent": false,
            "description": self.description,
            "email": self.email,
            "invoice_prefix": invoice_prefix(&self.id),
            "invoice_settings": {
                "custom_fields": null,
                "default_payment_method": self.default_payment_method,
                "footer": null,
                "rendering_options": null,
            },
            "livemode": false,
            "metadata": self.metadata,
            "name": self.name,
            "next_invoice_sequence": self.next_invoice,
            "phone": null,
            "preferred_locales": [],
            "shipping": null,
            "tax_exempt": "none",
            "test_clock": null,
        })
    }
}

/// The customer's part of an invoice number: its last eight letters and digits.
pub(in crate::fake_stripe) fn invoice_prefix(customer: &str) -> String {
    customer.get(customer.len().saturating_sub(8)..).unwrap_or(customer).to_uppercase()
}

impl Resource for Product {
    fn id(&self) -> &str {
        &self.id
    }

    fn json(&self) -> Value {
        json!({
            "id": self.id,
            "object": "product",
            "active": self.active,
            "created": self.created,
            "default_price": null,
            "description": self.description,
            "images": [],
            "livemode": false,
            "marketing_features": [],
            "metadata": self.metadata,
            "name": self.name,
            "package_dimensions": null,
            "shippable": null,
            "statement_descriptor": null,
            "tax_code": null,
            "type": "service",
            "unit_label": null,
            "updated": self.created,
            "url": null,
        })
    }
}

impl Resource for Price {
    fn id(&self) -> &str {
        &self.id
    }

    fn json(&self) -> Value {
        let recurring = self.recurring.map(|(interval, count)| {
            json!({
                "interval": interval.as_str(),
                "interval_count": count,
                "meter": null,
                "trial_period_days": null,
                "usage_type": "licensed",
            })
        });
        json!({
            "id": self.id,
            "object": "price",
            "active": self.active,
            "billing_scheme": "per_unit",
            "created": self.created,
            "currency": self.currency,
            "custom_unit_amount": null,
            "livemode": false,
            "lookup_key": self.lookup_key,
            "metadata": self.metadata,
            "nickname": self.nickname,
            "product": self.product,
            "recurring": recurring,
            "tax_behavior": "unspecified",
            "tiers_mode": null,
            "transform_quantity": null,
            "type": if self.recurring.is_some() { "recurring" } else { "one_time" },
            "unit_amount": self.unit_amount,
            "unit_amount_decimal": self.unit_amount.to_string(),
        })
    }
}

/// The deprecated mirror of a recurring price; null for a one-time price.
pub(in crate::fake_stripe) fn plan_json(price: &Price) -> Value {
    let Some((interval, count)) = price.recurring else {
        return Value::Null;
    };
    json!({
        "id": price.id,
        "object": "plan",
        "active": price.active,
        "amount": price.unit_amount,
        "amount_decimal": price.unit_amount.to_string(),
        "billing_scheme": "per_unit",
        "created": price.created,
        "currency": price.currency,
        "interval": interval.as_str(),
        "interval_count": count,
        "livemode": false,
        "metadata": price.metadata,
        "meter": null,
        "nickname": price.nickname,
        "product": price.product,
        "tiers_mode": null,
        "transform_usage": null,
        "trial_period_days": null,
        "usage_type": "licensed",
    })
}

impl Card {
    pub(in crate::fake_stripe) fn json(self, (month, year): (u32, u32)) -> Value {
        json!({
            "brand": "visa",
            "checks": {
                "address_line1_check": null,
                "address_postal_code_check": null,
                "cvc_check": "pass",
            },
            "country": "US",
            "display_brand": "visa",
            "exp_month": month,
            "exp_year": year,
            "fingerprint": format!("FakeFingerprint{}", self.last4()),
            "funding": "credit",
            "generated_from": null,
            "last4": self.last4(),
            "networks": { "available": ["visa"], "preferred": null },
            "regulated_status": "unregulated",
            "three_d_secure_usage": { "supported": true },
            "wallet": null,
        })
    }
}

impl Resource for PaymentMethod {
    fn id(&self) -> &str {
        &self.id
    }

    fn json(&self) -> Value {
        let mut method = json!({
            "id": self.id,
            "object": "payment_method",
            "allow_redisplay": "limited",
            "billing_details": {
                "address": {
                    "city": null, "country": null, "line1": null, "line2": null,
                    "postal_code": null, "state": null,
                },
                "email": self.email,
                "name": null,
                "phone": null,
                "tax_id": null,
            },
            "created": self.created,
            "customer": self.customer,
            "customer_account": null,
            "livemode": false,
            "metadata": self.metadata,
            "type": self.kind(),
        });
        method[self.kind()] = if self.debit { debit_json() } else { self.card.json(self.expires) };
        method
    }
}

/// The bank account that debits are drawn from.
pub(in crate::fake_stripe) fn debit_json() -> Value {
    json!({
        "bank_code": "37040044", "branch_code": "", "country": "DE",
        "fingerprint": "FakeFingerprintSepa", "generated_from": null, "last4": "3000",
    })
}

impl Resource for SetupIntent {
    fn id(&self) -> &str {
        &self.id
    }

    fn json(&self) -> Value {
        json!({
            "id": self.id,
            "object": "setup_intent",
            "application": null,
            "automatic_payment_methods": null,
            "cancellation_reason": null,
            "client_secret": format!("{}_secret_Fake", self.id),
            "created": self.created,
            "customer": self.customer,
            "customer_account": null,
            "description": null,
            "last_setup_error": null,
            "latest_attempt": null,
            "livemode": false,
            "mandate": null,
            "metadata": {},
            "next_action": null,
            "on_behalf_of": null,
            "payment_method": self.payment_method,
            "payment_method_options": { "card": { "request_three_d_secure": "automatic" } },
            "payment_method_types": ["card"],
            "single_use_mandate": null,
            "status": "succeeded",
            "usage": "off_session",
        })
    }
}

impl Resource for PortalSession {
    fn id(&self) -> &str {
        &self.id
    }

    fn json(&self) -> Value {
        json!({
            "id": self.id,
            "object": "billing_portal.session",
            "configuration": "bpc_1FakeDefault",
            "created": self.created,
            "customer": self.customer,
            "customer_account": null,
            "flow": null,
            "livemode": false,
            "locale": null,
            "on_behalf_of": null,
            "return_url": self.return_url,
            "url": self.url,
        })
    }
}
