use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::{Refund, open_enum};
use crate::stripe::field::{at, flag, id, int, list, metadata, text, time};

open_enum! {
    /// How an attempt to take money went.
    ChargeStatus {
        /// The money is there, or authorised.
        Succeeded = "succeeded",
        /// Not known yet; delayed methods take days.
        Pending = "pending",
        /// There is none.
        Failed = "failed",
    }
}

/// A charge, one attempt to take money, as billing sees it
/// (<https://docs.stripe.com/api/charges/object>). Amounts are minor units of `currency`, times Unix
/// seconds, UTC.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Charge {
    /// `ch_...` or `py_...`
    pub id: String,
    /// The customer charged; a guest has none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub customer: Option<String>,
    /// The payment it is an attempt of.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub payment_intent: Option<String>,
    /// The invoice it pays; since basil only an invoice payment says so.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub invoice: Option<String>,
    /// How it went.
    pub status: ChargeStatus,
    /// What was asked for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub amount: Option<i64>,
    /// What was taken.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub amount_captured: Option<i64>,
    /// What was given back so far, by all refunds together.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub amount_refunded: Option<i64>,
    /// Whether all of it was given back.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub refunded: bool,
    /// Whether the customer's bank has taken it up; it stays set when the dispute is won.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub disputed: bool,
    /// Three-letter code, lower case.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub currency: Option<String>,
    /// When it was created.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub created: Option<i64>,
    /// Why it failed (`card_declined`).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub failure_code: Option<String>,
    /// The app's own notes on it.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub metadata: BTreeMap<String, String>,
    /// Its refunds, newest first, at most one page; since 2022-11-15 they come on their own.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub refunds: Vec<Refund>,
    /// Whether there are refunds beyond the first page.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub more_refunds: bool,
}

impl Charge {
    /// Reads a charge of any API version; `None` when it has no id.
    pub fn from_json(value: &Value) -> Option<Self> {
        Some(Self {
            id: id(value, &["id"])?,
            customer: id(value, &["customer"]),
            payment_intent: id(value, &["payment_intent"]),
            invoice: id(value, &["invoice"]),
            status: text(value, &["status"]).unwrap_or_default().into(),
            amount: int(value, &["amount"]),
            amount_captured: int(value, &["amount_captured"]),
            amount_refunded: int(value, &["amount_refunded"]),
            refunded: flag(value, &["refunded"]),
            // Up to 2023 a charge named its dispute.
            disputed: flag(value, &["disputed"]) || at(value, &["dispute"]).is_some(),
            currency: text(value, &["currency"]),
            created: time(value, &["created"]),
            failure_code: text(value, &["failure_code"]),
            metadata: metadata(value, &["metadata"]),
            refunds: list(value, &["refunds"]).iter().filter_map(Refund::from_json).collect(),
            more_refunds: flag(value, &["refunds", "has_more"]),
        })
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn charge() -> Value {
        json!({"id": "ch_1", "object": "charge", "customer": "cus_1", "payment_intent": "pi_1",
            "status": "succeeded", "amount": 1500, "amount_captured": 1500, "amount_refunded": 500,
            "refunded": false, "currency": "usd", "created": 1_700_000_000, "failure_code": null,
            "metadata": {}})
    }

    #[test]
    fn both_shapes_give_one_view() {
        let (mut old, mut new) = (charge(), charge());
        old["dispute"] = json!("dp_1");
        old["refunds"] = json!({"object": "list", "data": [], "has_more": false});
        new["disputed"] = json!(true);
        new["customer"] = json!({"id": "cus_1"});
        new["payment_intent"] = json!({"id": "pi_1"});
        let view = Charge::from_json(&old).unwrap();
        assert_eq!(Some(&view), Charge::from_json(&new).as_ref());
        assert_eq!(view.status, ChargeStatus::Succeeded);
        assert_eq!((view.amount_refunded, view.refunded), (Some(500), false));
        assert!(view.disputed);
    }

    #[test]
    fn an_old_charge_brings_its_refunds_and_invoice() {
        let mut old = charge();
        old["invoice"] = json!("in_1");
        old["refunds"] = json!({"has_more": true, "data": [
            {"id": "re_2", "amount": 300, "status": "failed"}, {"amount": 1},
            {"id": "re_1", "amount": 500, "status": "succeeded", "charge": "ch_1"}]});
        let view = Charge::from_json(&old).unwrap();
        let refunds: Vec<_> =
            view.refunds.iter().map(|it| (it.id.as_str(), it.amount, it.returns_money())).collect();
        assert_eq!(refunds, [("re_2", Some(300), false), ("re_1", Some(500), true)]);
        assert!(view.more_refunds);
        assert_eq!(view.invoice.as_deref(), Some("in_1"));
    }

    #[test]
    fn what_is_missing_or_unknown_does_not_fail() {
        let view =
            Charge::from_json(&json!({"id": "ch_1", "status": "evaporated", "disputed": null,
            "refunds": null, "amount": "12"}))
            .unwrap();
        assert_eq!(view.status, ChargeStatus::Other("evaporated".into()));
        assert_eq!((view.amount, view.disputed, view.refunds.len()), (None, false, 0));
        assert_eq!(Charge::from_json(&json!({"object": "charge", "id": ""})), None);
        let stored = serde_json::to_value(&view).unwrap();
        assert_eq!(stored, json!({"id": "ch_1", "status": "evaporated"}));
        assert_eq!(serde_json::from_value::<Charge>(stored).unwrap(), view);
    }
}
