use serde_json::{Value, json};

use super::{embedded_list, plan_json};
use crate::fake_stripe::{
    model::{Invoice, InvoicePayment, Line},
    table::Resource,
};

impl Resource for Invoice {
    fn id(&self) -> &str {
        &self.id
    }

    fn json(&self) -> Value {
        let mut value = self.amounts_json();
        let Value::Object(map) = &mut value else {
            return value;
        };
        for part in [self.customer_json(), self.circumstances_json()] {
            if let Value::Object(part) = part {
                map.extend(part);
            }
        }
        let lines = self.lines.iter().map(|line| line.json(&self.id)).collect();
        map.insert(
            "lines".to_owned(),
            embedded_list(&format!("/v1/invoices/{}/lines", self.id), lines),
        );
        value
    }
}

impl Invoice {
    fn amounts_json(&self) -> Value {
        json!({
            "id": self.id,
            "object": "invoice",
            "account_country": "US",
            "account_name": "Fake Stripe",
            "account_tax_ids": null,
            "amount_due": self.due(),
            "amount_overpaid": 0,
            "amount_paid": self.amount_paid,
            "amount_paid_off_stripe": if self.out_of_band { self.amount_paid } else { 0 },
            "amount_remaining": self.due() - self.amount_paid,
            "amount_shipping": 0,
            "application": null,
            "attempt_count": self.attempt_count,
            "attempted": self.attempted,
            "auto_advance": self.auto_advance,
            "automatic_tax": {
                "disabled_reason": null, "enabled": false, "liability": null, "provider": null,
                "status": null,
            },
            "automatically_finalizes_at": self.finalizes_at,
            "billing_reason": self.billing_reason,
            "collection_method": "charge_automatically",
            "created": self.created,
            "currency": self.currency,
            "post_payment_credit_notes_amount": 0,
            "pre_payment_credit_notes_amount": 0,
            "ending_balance": if self.finalized_at.is_some() { json!(0) } else { Value::Null },
            "starting_balance": 0,
            "subtotal": self.total(),
            "subtotal_excluding_tax": self.total(),
            "total": self.total(),
            "total_discount_amounts": [],
            "total_excluding_tax": self.total(),
            "total_pretax_credit_amounts": [],
            "total_taxes": [],
        })
    }

    fn customer_json(&self) -> Value {
        json!({
            "customer": self.customer,
            "customer_account": null,
            "customer_address": null,
            "customer_email": self.customer_email,
            "customer_name": self.customer_name,
            "customer_phone": null,
            "customer_shipping": null,
            "customer_tax_exempt": "none",
            "customer_tax_ids": [],
        })
    }

    fn circumstances_json(&self) -> Value {
        let finalized = self.finalized_at.is_some();
        let parent = self.subscription.as_ref().map(|subscription| {
            json!({
                "quote_details": null,
                "subscription_details": {
                    "metadata": self.subscription_metadata,
                    "subscription": subscription,
                },
                "type": "subscription_details",
            })
        });
        json!({
            "custom_fields": null,
            "default_payment_method": null,
            "default_source": null,
            "default_tax_rates": [],
            "description": null,
            "discounts": [],
            "due_date": null,
            "effective_at": self.finalized_at,
            "footer": null,
            "from_invoice": null,
            "hosted_invoice_url": finalized.then_some(&self.hosted_url),
            "invoice_pdf": finalized.then(|| format!("{}/pdf", self.hosted_url)),
            "issuer": { "type": "self" },
            "last_finalization_error": null,
            "latest_revision": null,
            "livemode": false,
            "metadata": self.metadata,
            "next_payment_attempt": self.next_payment_attempt.or(self.finalizes_at),
            "number": self.number,
            "on_behalf_of": null,
            "parent": parent,
            "payment_settings": {
                "default_mandate": null, "payment_method_options": null,
                "payment_method_types": null,
            },
            "period_end": self.period.1,
            "period_start": self.period.0,
            "receipt_number": null,
            "rendering": null,
            "shipping_cost": null,
            "shipping_details": null,
            "statement_descriptor": null,
            "status": self.status,
            "status_transitions": {
                "finalized_at": self.finalized_at,
                "marked_uncollectible_at": self.uncollectible.map(|(_, at)| at),
                "paid_at": self.paid_at,
                "voided_at": self.voided_at,
            },
            "test_clock": null,
            "webhooks_delivered_at": self.created,
            "_status_details": self.uncollectible
                .map(|(reason, _)| json!({ "uncollectible": { "reason": reason } })),
            "_paid_out_of_band": self.out_of_band,
            "_payment_intent": self.payment_intent,
            "_charge": self.charge,
        })
    }
}

impl Line {
    pub(in crate::fake_stripe) fn json(&self, invoice: &str) -> Value {
        let proration_details = json!({ "credited_items": null });
        let from_subscription = json!({
            "invoice_item": self.invoice_item,
            "proration": self.proration,
            "proration_details": proration_details,
            "subscription": self.subscription,
            "subscription_item": self.subscription_item,
        });
        json!({
            "id": self.id,
            "object": "line_item",
            "amount": self.amount,
            "currency": self.price.currency,
            "description": self.description,
            "discount_amounts": [],
            "discountable": !self.proration,
            "discounts": [],
            "invoice": invoice,
            "livemode": false,
            "metadata": self.metadata,
            "parent": {
                "invoice_item_details": null,
                "subscription_item_details": from_subscription,
                "type": "subscription_item_details",
            },
            "period": { "end": self.period.1, "start": self.period.0 },
            "pretax_credit_amounts": [],
            "pricing": {
                "price_details": { "price": self.price.id, "product": self.price.product },
                "type": "price_details",
                "unit_amount_decimal": self.price.unit_amount.to_string(),
            },
            "quantity": self.quantity,
            "quantity_decimal": self.quantity.to_string(),
            "subtotal": self.amount,
            "taxes": [],
            "_price": self.price.json(),
            "_plan": plan_json(&self.price),
        })
    }
}

impl Resource for InvoicePayment {
    fn id(&self) -> &str {
        &self.id
    }

    fn json(&self) -> Value {
        json!({
            "id": self.id,
            "object": "invoice_payment",
            "amount_paid": self.paid_at.map(|_| self.amount),
            "amount_requested": self.amount,
            "created": self.created,
            "currency": self.currency,
            "invoice": self.invoice,
            "is_default": true,
            "livemode": false,
            "payment": { "payment_intent": self.payment_intent, "type": "payment_intent" },
            "status": if self.paid_at.is_some() { "paid" } else { "open" },
            "status_transitions": { "canceled_at": null, "paid_at": self.paid_at },
        })
    }
}
