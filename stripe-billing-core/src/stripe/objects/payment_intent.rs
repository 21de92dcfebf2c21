use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::open_enum;
use crate::stripe::field::{id, int, list, metadata, text, time};

open_enum! {
    /// How far a payment is. `Canceled` and `Succeeded` are final.
    PaymentIntentStatus {
        /// It has no payment method yet, or the last one failed.
        RequiresPaymentMethod = "requires_payment_method",
        /// It waits to be confirmed.
        RequiresConfirmation = "requires_confirmation",
        /// The customer has to do something, 3D Secure for instance.
        RequiresAction = "requires_action",
        /// The money is on its way; delayed methods take days.
        Processing = "processing",
        /// Authorised, and waiting to be captured.
        RequiresCapture = "requires_capture",
        /// Given up. Final.
        Canceled = "canceled",
        /// The money is there. Final.
        Succeeded = "succeeded",
    }
}

impl PaymentIntentStatus {
    /// Whether Stripe never leaves this status again.
    pub fn is_terminal(&self) -> bool {
        matches!(self, Self::Canceled | Self::Succeeded)
    }
}

/// A payment as billing sees it (<https://docs.stripe.com/api/payment_intents/object>). Amounts are
/// minor units of `currency`, times Unix seconds, UTC.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct PaymentIntent {
    /// `pi_...`
    pub id: String,
    /// The customer who pays; a guest has none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub customer: Option<String>,
    /// The invoice it pays; since basil only an invoice payment says so.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub invoice: Option<String>,
    /// The newest attempt.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub latest_charge: Option<String>,
    /// How far it is.
    pub status: PaymentIntentStatus,
    /// What is to be paid.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub amount: Option<i64>,
    /// What was paid.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub amount_received: Option<i64>,
    /// Three-letter code, lower case.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub currency: Option<String>,
    /// When it was created.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub created: Option<i64>,
    /// What it is paid with.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub payment_method: Option<String>,
    /// The bank's reason against the last attempt (`insufficient_funds`).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub decline_code: Option<String>,
    /// Stripe's word for what went wrong in the last attempt (`card_declined`).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub failure_code: Option<String>,
    /// The app's own notes on it.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub metadata: BTreeMap<String, String>,
}

impl PaymentIntent {
    /// Reads a payment of any API version; `None` when it has no id.
    pub fn from_json(value: &Value) -> Option<Self> {
        Some(Self {
            id: id(value, &["id"])?,
            customer: id(value, &["customer"]),
            invoice: id(value, &["invoice"]),
            // Before 2022-11-15 the charges came with it, newest first.
            latest_charge: id(value, &["latest_charge"])
                .or_else(|| id(list(value, &["charges"]).first()?, &["id"])),
            status: text(value, &["status"]).unwrap_or_default().into(),
            amount: int(value, &["amount"]),
            amount_received: int(value, &["amount_received"]),
            currency: text(value, &["currency"]),
            created: time(value, &["created"]),
            payment_method: id(value, &["payment_method"]),
            decline_code: text(value, &["last_payment_error", "decline_code"]),
            failure_code: text(value, &["last_payment_error", "code"]),
            metadata: metadata(value, &["metadata"]),
        })
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn payment() -> Value {
        json!({"id": "pi_1", "object": "payment_intent", "customer": "cus_1", "amount": 1500,
            "amount_received": 0, "currency": "usd", "created": 1_700_000_000,
            "status": "requires_payment_method", "payment_method": "pm_1",
            "last_payment_error": {"code": "card_declined", "decline_code": "insufficient_funds"},
            "metadata": {"pack": "boost"}})
    }

    #[test]
    fn both_shapes_give_one_view() {
        let (mut old, mut new) = (payment(), payment());
        old["charges"] = json!({"object": "list", "has_more": true,
            "data": [{"id": "ch_2", "status": "failed"}, {"id": "ch_1", "status": "failed"}]});
        old["invoice"] = json!(null);
        new["latest_charge"] = json!({"id": "ch_2"});
        new["customer"] = json!({"id": "cus_1"});
        new["payment_method"] = json!({"id": "pm_1", "type": "card"});
        let view = PaymentIntent::from_json(&old).unwrap();
        assert_eq!(Some(&view), PaymentIntent::from_json(&new).as_ref());
        assert_eq!(view.latest_charge.as_deref(), Some("ch_2"));
        assert_eq!(view.status, PaymentIntentStatus::RequiresPaymentMethod);
        assert_eq!(view.decline_code.as_deref(), Some("insufficient_funds"));
        assert_eq!(view.failure_code.as_deref(), Some("card_declined"));
        assert_eq!(view.metadata["pack"], "boost");
        assert_eq!(view.amount, Some(1500));
    }

    #[test]
    fn an_old_payment_names_its_invoice() {
        let mut old = payment();
        old["invoice"] = json!({"id": "in_1"});
        assert_eq!(PaymentIntent::from_json(&old).unwrap().invoice.as_deref(), Some("in_1"));
    }

    #[test]
    fn what_is_missing_or_unknown_does_not_fail() {
        let view = PaymentIntent::from_json(&json!({"id": "pi_1", "status": "dreaming",
            "amount": 1.5, "last_payment_error": null, "charges": {"data": []}}))
        .unwrap();
        assert_eq!(view.status, PaymentIntentStatus::Other("dreaming".into()));
        assert_eq!((view.amount, view.latest_charge.as_deref()), (None, None));
        assert!(!view.status.is_terminal());
        assert_eq!(PaymentIntent::from_json(&json!({"object": "payment_intent"})), None);
        let stored = serde_json::to_value(&view).unwrap();
        assert_eq!(
            stored,
            json!({"id": "pi_1", "status": "dreaming"}),
            "absent fields cost nothing"
        );
        assert_eq!(serde_json::from_value::<PaymentIntent>(stored).unwrap(), view);
    }
}
