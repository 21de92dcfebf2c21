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
    /// When it expires unless it is finished.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expires_at: Option<i64>,
    /// The payment link that it was opened by.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub payment_link: Option<String>,
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
            expires_at: time(value, &["expires_at"]),
            payment_link: id(value, &["payment_link"]),
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

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn reads_a_session_plain_and_expanded() {
        let plain = json!({"id": "cs_1", "customer": "cus_1", "status": "open",
            "expires_at": 1_700_086_400, "payment_link": "plink_1", "created": 1_700_000_000,
            "customer_email": "ada@example.test", "metadata": {}});
        let mut expanded = plain.clone();
        expanded["payment_link"] = json!({"id": "plink_1", "active": true});
        let view = CheckoutSession::from_json(&plain).unwrap();
        assert_eq!(Some(&view), CheckoutSession::from_json(&expanded).as_ref());
        assert_eq!(view.expires_at, Some(1_700_086_400));
        assert_eq!(view.payment_link.as_deref(), Some("plink_1"));
        let stored = serde_json::to_string(&view).unwrap();
        assert!(!stored.contains("ada@example.test"), "an address is not kept: {stored}");
        assert_eq!(serde_json::from_str::<CheckoutSession>(&stored).unwrap(), view);
    }

    #[test]
    fn a_session_without_a_link_costs_no_more() {
        let view =
            CheckoutSession::from_json(&json!({"id": "cs_1", "payment_link": null})).unwrap();
        let stored = serde_json::to_value(&view).unwrap();
        assert!(stored.get("payment_link").is_none() && stored.get("expires_at").is_none());
        assert_eq!(serde_json::from_value::<CheckoutSession>(stored).unwrap(), view);
    }
}
