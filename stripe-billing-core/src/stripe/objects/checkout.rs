use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::open_enum;
use crate::stripe::field::{id, int, metadata, text, time};

open_enum! {
    /// What a checkout session sells.
    CheckoutMode {
        /// A one-time payment.
        Payment = "payment",
        /// A subscription.
        Subscription = "subscription",
        /// Nothing; a payment method is stored.
        Setup = "setup",
    }
}

open_enum! {
    /// How far a checkout session is. `Complete` and `Expired` are final.
    CheckoutStatus {
        /// The customer has not finished.
        Open = "open",
        /// The customer has finished; the money may still be on its way.
        Complete = "complete",
        /// It was not finished in time.
        Expired = "expired",
    }
}

open_enum! {
    /// Whether a checkout session's money is there.
    CheckoutPayment {
        /// It is.
        Paid = "paid",
        /// Not yet: a delayed payment method, or an open session.
        Unpaid = "unpaid",
        /// There is nothing to pay.
        NotRequired = "no_payment_required",
    }
}

/// A checkout session as billing sees it
/// (<https://docs.stripe.com/api/checkout/sessions/object>).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct CheckoutSession {
    /// `cs_...`
    pub id: String,
    /// The customer; a guest has none.
    pub customer: Option<String>,
    /// What it sells.
    pub mode: Option<CheckoutMode>,
    /// How far it is.
    pub status: Option<CheckoutStatus>,
    /// Whether the money is there.
    pub payment_status: Option<CheckoutPayment>,
    /// The subscription it made.
    pub subscription: Option<String>,
    /// The invoice it made.
    pub invoice: Option<String>,
    /// The payment it made.
    pub payment_intent: Option<String>,
    /// What the link or the app says of who buys. A claim, not a proof.
    pub client_reference_id: Option<String>,
    /// Minor units of `currency`.
    pub amount_total: Option<i64>,
    /// Three-letter code, lower case.
    pub currency: Option<String>,
    /// When it was created.
    pub created: Option<i64>,
    /// The app's own notes on it.
    pub metadata: BTreeMap<String, String>,
}

impl CheckoutSession {
    /// Reads a checkout session of any API version; `None` when it has no id.
    pub fn from_json(value: &Value) -> Option<Self> {
        Some(Self {
            id: id(value, &["id"])?,
            customer: id(value, &["customer"]),
            mode: text(value, &["mode"]).map(CheckoutMode::from),
            status: text(value, &["status"]).map(CheckoutStatus::from),
            payment_status: text(value, &["payment_status"]).map(CheckoutPayment::from),
            subscription: id(value, &["subscription"]),
            invoice: id(value, &["invoice"]),
            payment_intent: id(value, &["payment_intent"]),
            client_reference_id: text(value, &["client_reference_id"]),
            amount_total: int(value, &["amount_total"]),
            currency: text(value, &["currency"]),
            created: time(value, &["created"]),
            metadata: metadata(value, &["metadata"]),
        })
    }

    /// Whether what it sells may be handed over: complete, and nothing left to pay.
    pub fn is_fulfilled(&self) -> bool {
        self.status == Some(CheckoutStatus::Complete)
            && matches!(
                self.payment_status,
                Some(CheckoutPayment::Paid | CheckoutPayment::NotRequired)
            )
    }
}
