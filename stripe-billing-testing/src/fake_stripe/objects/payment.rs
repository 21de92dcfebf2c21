use serde_json::{Value, json};

use super::{absent, catalog::debit_json};
use crate::fake_stripe::{
    card::Card,
    model::{Charge, PaymentIntent, Refund},
    table::Resource,
};

impl Resource for PaymentIntent {
    fn id(&self) -> &str {
        &self.id
    }

    fn json(&self) -> Value {
        let last_error = self.decline.map(|decline| {
            json!({
                "charge": self.latest_charge,
                "code": decline.error_code(),
                "decline_code": decline.code(),
                "message": decline.message(),
                "type": "card_error",
            })
        });
        json!({
            "id": self.id,
            "object": "payment_intent",
            "amount": self.amount,
            "amount_capturable": 0,
            "amount_details": { "tip": {} },
            "amount_received": self.received,
            "application": null,
            "application_fee_amount": null,
            "automatic_payment_methods": null,
            "canceled_at": null,
            "cancellation_reason": null,
            "capture_method": "automatic",
            "client_secret": format!("{}_secret_Fake", self.id),
            "confirmation_method": "automatic",
            "created": self.created,
            "currency": self.currency,
            "customer": self.customer,
            "customer_account": null,
            "description": self.description,
            "excluded_payment_method_types": null,
            "last_payment_error": last_error,
            "latest_charge": self.latest_charge,
            "livemode": false,
            "metadata": self.metadata,
            "next_action": (self.status == "requires_action").then(next_action),
            "on_behalf_of": null,
            "payment_method":
                if self.decline.is_some() { None } else { self.payment_method.as_deref() },
            "payment_method_options": { "card": { "request_three_d_secure": "automatic" } },
            "payment_method_types": [self.kind],
            "processing": null,
            "receipt_email": null,
            "review": null,
            "setup_future_usage": self.invoice.as_ref().map(|_| "off_session"),
            "shipping": null,
            "source": null,
            "statement_descriptor": null,
            "statement_descriptor_suffix": null,
            "status": self.status,
            "transfer_data": null,
            "transfer_group": null,
            "_invoice": self.invoice,
        })
    }
}

fn next_action() -> Value {
    json!({
        "type": "use_stripe_sdk",
        "use_stripe_sdk": { "type": "three_d_secure_redirect" },
    })
}

impl Resource for Charge {
    fn id(&self) -> &str {
        &self.id
    }

    fn json(&self) -> Value {
        let paid = self.decline.is_none() && !self.pending;
        let kind = if self.debit { "sepa_debit" } else { "card" };
        let details = if self.debit { debit_json() } else { self.card.json(Card::DEFAULT_EXPIRY) };
        let mut value = json!({
            "id": self.id,
            "object": "charge",
            "amount": self.amount,
            "amount_captured": if paid { self.amount } else { 0 },
            "amount_refunded": self.amount_refunded,
            "balance_transaction": paid.then(|| self.id.replacen("ch_", "txn_", 1)),
            "calculated_statement_descriptor": "FAKE STRIPE",
            "captured": paid,
            "created": self.created,
            "currency": self.currency,
            "customer": self.customer,
            "description": self.description,
            "disputed": self.disputed,
            "failure_code": self.decline.map(|decline| decline.error_code()),
            "failure_message": self.decline.map(|decline| decline.message()),
            "fraud_details": {},
            "livemode": false,
            "metadata": self.metadata,
            "outcome": self.outcome_json(),
            "paid": self.decline.is_none(),
            "payment_intent": self.payment_intent,
            "payment_method": self.payment_method,
            "payment_method_details": { kind: details, "type": kind },
            "radar_options": {},
            "receipt_url":
                paid.then(|| format!("https://pay.stripe.invalid/{}/{}", self.id, self.receipt)),
            "refunded": paid && self.amount > 0 && self.amount_refunded == self.amount,
            "status": self.status(),
            "_invoice": self.invoice,
        });
        absent(
            &mut value,
            &[
                "application",
                "application_fee",
                "application_fee_amount",
                "destination",
                "failure_balance_transaction",
                "on_behalf_of",
                "presentment_details",
                "receipt_email",
                "receipt_number",
                "review",
                "shipping",
                "source",
                "source_transfer",
                "statement_descriptor",
                "statement_descriptor_suffix",
                "transfer_data",
                "transfer_group",
            ],
        );
        value["billing_details"] = json!({
            "address": {
                "city": null, "country": null, "line1": null, "line2": null,
                "postal_code": null, "state": null,
            },
            "email": self.email,
            "name": null,
            "phone": null,
            "tax_id": null,
        });
        value
    }
}

impl Charge {
    pub(in crate::fake_stripe) const fn status(&self) -> &'static str {
        match (self.pending, self.decline.is_some()) {
            (true, _) => "pending",
            (_, true) => "failed",
            _ => "succeeded",
        }
    }

    fn outcome_json(&self) -> Value {
        match self.decline {
            None => json!({
                "advice_code": null, "network_advice_code": null, "network_decline_code": null,
                "network_status": "approved_by_network", "reason": null, "risk_level": "normal",
                "risk_score": 7, "seller_message": "Payment complete.", "type": "authorized",
            }),
            Some(decline) => json!({
                "advice_code": "try_again_later", "network_advice_code": null,
                "network_decline_code": null, "network_status": "declined_by_network",
                "reason": decline.code(), "risk_level": "normal", "risk_score": 7,
                "seller_message": decline.message(), "type": "issuer_declined",
            }),
        }
    }
}

impl Resource for Refund {
    fn id(&self) -> &str {
        &self.id
    }

    fn json(&self) -> Value {
        let mut refund = json!({
            "id": self.id,
            "object": "refund",
            "amount": self.amount,
            "balance_transaction": self.id.replacen("re_", "txn_", 1),
            "charge": self.charge,
            "created": self.created,
            "currency": self.currency,
            "customer": self.customer,
            "customer_account": null,
            "destination_details": {
                "card": {
                    "reference": self.reference.then_some("7914520139087001"),
                    "reference_status": if self.reference { "available" } else { "pending" },
                    "reference_type": "acquirer_reference_number",
                    "type": "refund",
                },
                "type": "card",
            },
            "metadata": self.metadata,
            "payment_intent": self.payment_intent,
            "payment_method": self.payment_method,
            "reason": self.reason,
            "receipt_number": null,
            "source_transfer_reversal": null,
            "status": self.status,
            "transfer_reversal": null,
        });
        match self.status {
            "failed" => {
                refund["failure_balance_transaction"] = json!(self.id.replacen("re_", "txn_f", 1));
                refund["failure_reason"] = json!("lost_or_stolen_card");
            }
            "pending" => refund["pending_reason"] = json!("processing"),
            _ => {}
        }
        refund
    }
}
