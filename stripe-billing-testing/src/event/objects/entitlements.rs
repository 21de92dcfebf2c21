use serde_json::{Value, json};

use super::setters;
use crate::event::Shape;

/// How many entitlements a summary shows; the others have to be fetched.
const PAGE: usize = 10;

/// A summary of what a customer may use, as in
/// <https://docs.stripe.com/api/entitlements/active-entitlement-summary>. It has no id, and shows
/// the first ten.
#[derive(Clone, Debug)]
pub struct EntitlementSummaryObject {
    customer: String,
    features: Vec<String>,
    livemode: bool,
}

impl EntitlementSummaryObject {
    /// A live customer who may use nothing.
    pub fn new(customer: &str) -> Self {
        Self { customer: customer.to_owned(), features: Vec::new(), livemode: true }
    }

    setters! {
        /// The lookup keys of the features, of which a summary shows ten.
        features: &[&str] => |keys| keys.iter().map(ToString::to_string).collect();
        /// Live mode or test mode.
        livemode: bool => |live| live;
    }

    /// The object: all shapes have the same.
    pub fn render(&self, _: Shape) -> Value {
        let all = self.entitlements();
        json!({
            "object": "entitlements.active_entitlement_summary", "customer": self.customer,
            "entitlements": {"object": "list", "data": all.get(..PAGE).unwrap_or(&all),
                "has_more": all.len() > PAGE,
                "url": format!("/v1/customer/{}/entitlements", self.customer)},
            "livemode": self.livemode,
        })
    }

    /// Every entitlement, as `GET /v1/entitlements/active_entitlements?customer=` lists them.
    pub fn entitlements(&self) -> Vec<Value> {
        let entitlement = |key: &String| {
            json!({"id": format!("ent_{key}"), "object": "entitlements.active_entitlement",
                "feature": format!("feat_{key}"), "livemode": self.livemode, "lookup_key": key})
        };
        self.features.iter().map(entitlement).collect()
    }
}
