use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::stripe::field::{flag, id, list, text};

/// What a customer is entitled to, as Stripe counts it
/// (<https://docs.stripe.com/api/entitlements/active-entitlement>). It has no id of its own.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct EntitlementSummary {
    /// The customer.
    pub customer: String,
    /// The lookup keys of the active features; at most one page of them.
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    pub features: BTreeSet<String>,
    /// Whether there are features beyond the first page.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub has_more: bool,
}

impl EntitlementSummary {
    /// Reads a summary of active entitlements; `None` when it names no customer.
    pub fn from_json(value: &Value) -> Option<Self> {
        Some(Self {
            customer: id(value, &["customer"])?,
            features: list(value, &["entitlements"])
                .iter()
                .filter_map(|entitlement| text(entitlement, &["lookup_key"]))
                .collect(),
            has_more: flag(value, &["entitlements", "has_more"]),
        })
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn reads_the_features_plain_and_expanded() {
        let plain = json!({"object": "entitlements.active_entitlement_summary",
            "customer": "cus_1", "livemode": false, "entitlements": {"object": "list",
            "has_more": true, "url": "/v1/customer/cus_1/entitlements", "data": [
                {"id": "ent_1", "feature": "feat_1", "lookup_key": "seats"},
                {"id": "ent_2", "feature": "feat_2", "lookup_key": "api"},
                {"id": "ent_3", "feature": "feat_3", "lookup_key": null}]}});
        let mut expanded = plain.clone();
        expanded["customer"] = json!({"id": "cus_1"});
        expanded["entitlements"]["data"][0]["feature"] = json!({"id": "feat_1"});
        let view = EntitlementSummary::from_json(&plain).unwrap();
        assert_eq!(Some(&view), EntitlementSummary::from_json(&expanded).as_ref());
        assert_eq!(view.features, BTreeSet::from(["api".to_owned(), "seats".to_owned()]));
        assert!(view.has_more);
    }

    #[test]
    fn a_customer_without_entitlements_has_none() {
        for entitlements in [json!(null), json!({"data": [], "has_more": false}), json!(7)] {
            let value = json!({"customer": "cus_1", "entitlements": entitlements});
            let view = EntitlementSummary::from_json(&value).unwrap();
            let stored = serde_json::to_value(&view).unwrap();
            assert_eq!(stored, json!({"customer": "cus_1"}));
            assert_eq!(serde_json::from_value::<EntitlementSummary>(stored).unwrap(), view);
        }
        assert_eq!(EntitlementSummary::from_json(&json!({"customer": null})), None);
    }
}
