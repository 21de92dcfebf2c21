use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::open_enum;
use crate::stripe::field::{id, int, text, time};

open_enum! {
    /// How far a refund is. A succeeded one may still fail, weeks later.
    RefundStatus {
        /// On its way.
        Pending = "pending",
        /// The customer has to do something to get it.
        RequiresAction = "requires_action",
        /// Handed to the customer's bank.
        Succeeded = "succeeded",
        /// The money came back to the account.
        Failed = "failed",
        /// Stopped before it left.
        Canceled = "canceled",
    }
}

/// A refund as billing sees it (<https://docs.stripe.com/api/refunds/object>). The amount is in
/// minor units of `currency`, times are Unix seconds, UTC.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Refund {
    /// `re_...` or `pyr_...`
    pub id: String,
    /// The charge given back.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub charge: Option<String>,
    /// The payment given back.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub payment_intent: Option<String>,
    /// The customer; said since July 2026 only.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub customer: Option<String>,
    /// How far it is; no word where Stripe says none.
    pub status: RefundStatus,
    /// What this refund gives back.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub amount: Option<i64>,
    /// Three-letter code, lower case.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub currency: Option<String>,
    /// Why it was made (`duplicate`, `fraudulent`, `requested_by_customer`, ...).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// Why it failed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub failure_reason: Option<String>,
    /// When it was created.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub created: Option<i64>,
}

impl Refund {
    /// Reads a refund of any API version; `None` when it has no id.
    pub fn from_json(value: &Value) -> Option<Self> {
        Some(Self {
            id: id(value, &["id"])?,
            charge: id(value, &["charge"]),
            payment_intent: id(value, &["payment_intent"]),
            customer: id(value, &["customer"]),
            status: text(value, &["status"]).unwrap_or_default().into(),
            amount: int(value, &["amount"]),
            currency: text(value, &["currency"]),
            reason: text(value, &["reason"]),
            failure_reason: text(value, &["failure_reason"]),
            created: time(value, &["created"]),
        })
    }

    /// Whether the money goes, or has gone, back to the customer, as far as is known: it has
    /// neither failed nor been canceled.
    pub fn returns_money(&self) -> bool {
        !matches!(self.status, RefundStatus::Failed | RefundStatus::Canceled)
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn both_shapes_give_one_view_but_for_the_customer() {
        let old = json!({"id": "re_1", "object": "refund", "amount": 500, "charge": "ch_1",
            "payment_intent": "pi_1", "currency": "usd", "status": "succeeded",
            "reason": "requested_by_customer", "created": 1_700_000_000});
        let new = json!({"id": "re_1", "object": "refund", "amount": 500, "charge": {"id": "ch_1"},
            "payment_intent": {"id": "pi_1"}, "currency": "usd", "status": "succeeded",
            "reason": "requested_by_customer", "created": 1_700_000_000, "customer": "cus_1",
            "customer_account": null, "payment_method": "pm_1", "failure_reason": null});
        let (view, mut newer) =
            (Refund::from_json(&old).unwrap(), Refund::from_json(&new).unwrap());
        assert_eq!(newer.customer.take().as_deref(), Some("cus_1"));
        assert_eq!(view, newer);
        assert_eq!((view.amount, view.charge.as_deref()), (Some(500), Some("ch_1")));
    }

    #[test]
    fn a_refund_that_failed_or_was_canceled_returns_nothing() {
        let returns = |status: Value| {
            Refund::from_json(&json!({"id": "re_1", "status": status})).unwrap().returns_money()
        };
        for status in ["pending", "requires_action", "succeeded", "a_word_of_2031"] {
            assert!(returns(json!(status)), "{status}");
        }
        assert!(returns(Value::Null));
        for status in ["failed", "canceled"] {
            assert!(!returns(json!(status)), "{status}");
        }
    }

    #[test]
    fn what_is_missing_does_not_fail() {
        let view = Refund::from_json(&json!({"id": "re_1", "charge": null})).unwrap();
        assert_eq!(view.status, RefundStatus::Other(String::new()));
        assert_eq!(Refund::from_json(&json!({"object": "refund"})), None);
        let stored = serde_json::to_value(&view).unwrap();
        assert_eq!(stored, json!({"id": "re_1", "status": ""}));
        assert_eq!(serde_json::from_value::<Refund>(stored).unwrap(), view);
    }
}
