use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::stripe::field::{flag, id, text, time};

/// An early fraud warning: the card's issuer thinks that a charge is fraud, and a dispute is likely
/// (<https://docs.stripe.com/api/radar/early_fraud_warnings/object>).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct FraudWarning {
    /// `issfr_...`
    pub id: String,
    /// The charge it is about.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub charge: Option<String>,
    /// The payment it is about.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub payment_intent: Option<String>,
    /// Whether a refund can still prevent a dispute: it is neither refunded nor disputed yet.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub actionable: bool,
    /// What the issuer says (`unauthorized_use_of_card`, ...).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub fraud_type: Option<String>,
    /// When it was created, Unix seconds, UTC.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub created: Option<i64>,
}

impl FraudWarning {
    /// Reads an early fraud warning of any API version; `None` when it has no id.
    pub fn from_json(value: &Value) -> Option<Self> {
        Some(Self {
            id: id(value, &["id"])?,
            charge: id(value, &["charge"]),
            payment_intent: id(value, &["payment_intent"]),
            actionable: flag(value, &["actionable"]),
            fraud_type: text(value, &["fraud_type"]),
            created: time(value, &["created"]),
        })
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn reads_a_warning_plain_and_expanded() {
        let plain = json!({"id": "issfr_1", "object": "radar.early_fraud_warning",
            "charge": "ch_1", "payment_intent": "pi_1", "actionable": true,
            "fraud_type": "unauthorized_use_of_card", "created": 1_700_000_000});
        let mut expanded = plain.clone();
        expanded["charge"] = json!({"id": "ch_1"});
        expanded["payment_intent"] = json!({"id": "pi_1"});
        let view = FraudWarning::from_json(&plain).unwrap();
        assert_eq!(Some(&view), FraudWarning::from_json(&expanded).as_ref());
        assert!(view.actionable);
        assert_eq!(view.fraud_type.as_deref(), Some("unauthorized_use_of_card"));
    }

    #[test]
    fn what_is_missing_does_not_fail() {
        let view =
            FraudWarning::from_json(&json!({"id": "issfr_1", "payment_intent": null})).unwrap();
        let stored = serde_json::to_value(&view).unwrap();
        assert_eq!(stored, json!({"id": "issfr_1"}));
        assert_eq!(serde_json::from_value::<FraudWarning>(stored).unwrap(), view);
        assert_eq!(FraudWarning::from_json(&json!({"charge": "ch_1"})), None);
    }
}
