use serde_json::{Value, json};

use super::{Notes, RefundObject, notes_of, owned, setters};
use crate::event::Shape;
use crate::event::histories::START;

/// A charge, as in <https://docs.stripe.com/api/charges/object>.
#[derive(Clone, Debug)]
pub struct ChargeObject {
    id: String,
    amount: i64,
    amount_refunded: i64,
    currency: String,
    customer: Option<String>,
    payment_intent: Option<String>,
    payment_method: String,
    payment_method_type: String,
    invoice: Option<String>,
    status: String,
    failure_code: Option<String>,
    dispute: Option<String>,
    disputed: bool,
    settled: Option<bool>,
    refunds: Option<Vec<RefundObject>>,
    created: i64,
    livemode: bool,
    metadata: Notes,
}

impl ChargeObject {
    /// A live charge of minor units in USD that succeeded; older integrations have no payment
    /// intent.
    pub fn new(id: &str, payment_intent: Option<&str>, amount: i64) -> Self {
        Self {
            id: id.to_owned(),
            amount,
            amount_refunded: 0,
            currency: "usd".to_owned(),
            customer: None,
            payment_intent: owned(payment_intent),
            payment_method: "pm_1".to_owned(),
            payment_method_type: "card".to_owned(),
            invoice: None,
            status: "succeeded".to_owned(),
            failure_code: None,
            dispute: None,
            disputed: false,
            settled: None,
            refunds: None,
            created: START,
            livemode: true,
            metadata: Notes::new(),
        }
    }

    setters! {
        /// What went back so far, minor units: all refunds together. `refunded` is true only when
        /// it is everything.
        amount_refunded: i64 => |amount| amount;
        /// Three letters in lower case.
        currency: &str => |currency| currency.to_owned();
        /// Who paid; a guest's has none.
        customer: Option<&str> => |id| owned(id);
        /// What was charged.
        payment_method: &str => |id| id.to_owned();
        /// `card`, `sepa_debit`, ...
        payment_method_type: &str => |kind| kind.to_owned();
        /// The invoice it pays. Only shapes before basil say so.
        invoice: Option<&str> => |id| owned(id);
        /// `succeeded`, `pending` or `failed`.
        status: &str => |status| status.to_owned();
        /// Why it failed, such as `card_declined`.
        failure_code: Option<&str> => |code| owned(code);
        /// Whether it was ever disputed.
        disputed: bool => |disputed| disputed;
        /// Whether its balance transaction is there; by default only before 2024-04-10, when
        /// captures became asynchronous.
        settled: bool => |settled| Some(settled);
        /// When it was created, Unix seconds.
        created: i64 => |seconds| seconds;
        /// Live mode or test mode.
        livemode: bool => |live| live;
        /// The app's own notes.
        metadata: &[(&str, &str)] => |notes| notes_of(notes);
    }

    /// The dispute about it. Only the oldest shape names it; all say `disputed`.
    #[must_use]
    pub fn dispute(mut self, id: &str) -> Self {
        (self.dispute, self.disputed) = (Some(id.to_owned()), true);
        self
    }

    /// Embeds its refunds in the oldest shape, as an account pinned to it asks for. Webhooks of
    /// every listed version come without them.
    #[must_use]
    pub fn refunds(mut self, refunds: &[RefundObject]) -> Self {
        self.refunds = Some(refunds.to_vec());
        self
    }

    /// The object in a shape.
    pub fn render(&self, shape: Shape) -> Value {
        let succeeded = self.status == "succeeded";
        let captured = if succeeded { self.amount } else { 0 };
        let settled = self.settled.unwrap_or(shape < Shape::OldExtended) && succeeded;
        let failure = self.failure_code.as_ref().map(|_| "Your card was declined.");
        let url = succeeded.then(|| format!("https://pay.stripe.test/receipts/{}", self.id));
        let mut charge = json!({
            "id": self.id, "object": "charge", "amount": self.amount,
            "amount_captured": captured, "amount_refunded": self.amount_refunded,
            "application": null, "application_fee": null,
            "balance_transaction": settled.then(|| format!("txn_{}", self.id)),
            "billing_details": {"address": null, "email": "jane@example.test",
                "name": "Jane Doe", "phone": null},
            "captured": succeeded, "created": self.created, "currency": self.currency,
            "customer": self.customer, "description": null, "dispute": null,
            "disputed": self.disputed, "failure_balance_transaction": null,
            "failure_code": self.failure_code, "failure_message": failure,
            "fraud_details": {}, "livemode": self.livemode, "metadata": self.metadata,
            "outcome": self.outcome(), "paid": succeeded || self.status == "pending",
            "payment_intent": self.payment_intent, "payment_method": self.payment_method,
            "payment_method_details": self.method_details(), "receipt_email": null,
            "receipt_url": url,
            "refunded": succeeded && self.amount_refunded == self.amount && self.amount > 0,
            "review": null, "source": null, "status": self.status,
        });
        if shape.is_old() {
            charge["invoice"] = json!(self.invoice);
        }
        if shape == Shape::Old {
            charge["dispute"] = json!(self.dispute);
            if let Some(refunds) = &self.refunds {
                let data: Vec<Value> = refunds.iter().map(|refund| refund.render(shape)).collect();
                charge["refunds"] = json!({"object": "list", "data": data, "has_more": false,
                    "url": format!("/v1/charges/{}/refunds", self.id)});
            }
        }
        charge
    }

    fn outcome(&self) -> Value {
        match self.status.as_str() {
            "failed" => json!({"network_status": "declined_by_network",
                "reason": self.failure_code, "risk_level": "normal", "type": "issuer_declined",
                "seller_message": "The bank did not return any further details."}),
            _ => json!({"network_status": "approved_by_network", "reason": null,
                "risk_level": "normal", "seller_message": "Payment complete.",
                "type": "authorized"}),
        }
    }

    fn method_details(&self) -> Value {
        let kind = self.payment_method_type.as_str();
        let details = match kind {
            "card" => json!({"brand": "visa", "country": "US", "exp_month": 12,
                "exp_year": 2034, "funding": "credit", "last4": "4242"}),
            _ => json!({"last4": "3000"}),
        };
        json!({"type": kind, kind: details})
    }
}
