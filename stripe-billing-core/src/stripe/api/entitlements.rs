use serde_json::Value;

use super::{StripeError, json};

/// Lists what a customer is entitled to right now.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct ListActiveEntitlements {
    /// The customer.
    pub customer: String,
    /// Page size, 1 to 100 (Stripe's default is 10).
    pub limit: Option<u8>,
    /// Continue after this entitlement.
    pub starting_after: Option<String>,
}

impl ListActiveEntitlements {
    /// All active entitlements of a customer.
    pub fn new(customer: impl Into<String>) -> Self {
        Self { customer: customer.into(), limit: None, starting_after: None }
    }

    /// Sets the page size, 1 to 100.
    #[must_use]
    pub fn with_limit(mut self, limit: u8) -> Self {
        self.limit = Some(limit);
        self
    }

    /// Continues after the last entitlement of the page before.
    #[must_use]
    pub fn with_starting_after(mut self, id: impl Into<String>) -> Self {
        self.starting_after = Some(id.into());
        self
    }
}

/// A feature that a customer is entitled to
/// (<https://docs.stripe.com/api/entitlements/active-entitlement>).
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct ActiveEntitlement {
    /// `ent_…`
    pub id: String,
    /// The app's name for the feature, at most 80 characters.
    pub lookup_key: String,
    /// The feature's id.
    pub feature: Option<String>,
    /// Whether it belongs to live mode.
    pub livemode: bool,
    /// The answer as it came.
    pub raw: Value,
}

impl TryFrom<Value> for ActiveEntitlement {
    type Error = StripeError;

    /// Reads an entitlement; its id and its lookup key are required.
    fn try_from(raw: Value) -> Result<Self, StripeError> {
        Ok(Self {
            id: json::required(&raw, "active entitlement", "id")?,
            lookup_key: json::required(&raw, "active entitlement", "lookup_key")?,
            feature: json::id(&raw, "feature"),
            livemode: json::flag(&raw, "livemode"),
            raw,
        })
    }
}
