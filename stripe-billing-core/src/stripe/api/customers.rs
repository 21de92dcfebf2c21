use std::collections::BTreeMap;

use serde_json::Value;

use super::{StripeError, json};

/// Creates a customer.
///
/// ```
/// use stripe_billing_core::stripe::CreateCustomer;
///
/// let request = CreateCustomer::new()
///     .with_email("ada@example.test")
///     .with_metadata("app_user", "user_42");
/// assert_eq!(request.metadata["app_user"], "user_42");
/// ```
#[derive(Debug, Clone, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct CreateCustomer {
    /// Where Stripe sends receipts. Stripe does not keep it unique.
    pub email: Option<String>,
    /// The name shown on invoices.
    pub name: Option<String>,
    /// The app's own marks; put the account here so that a lost customer can be found again.
    pub metadata: BTreeMap<String, String>,
    /// Further parameters, under their names on the wire.
    pub params: Vec<(String, String)>,
}

impl CreateCustomer {
    /// A customer of whom nothing is known yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// Sets the email address.
    #[must_use]
    pub fn with_email(mut self, email: impl Into<String>) -> Self {
        self.email = Some(email.into());
        self
    }

    /// Sets the name.
    #[must_use]
    pub fn with_name(mut self, name: impl Into<String>) -> Self {
        self.name = Some(name.into());
        self
    }

    /// Adds one metadata pair.
    #[must_use]
    pub fn with_metadata(mut self, key: impl Into<String>, value: impl Into<String>) -> Self {
        self.metadata.insert(key.into(), value.into());
        self
    }

    /// Adds a parameter that has no setter here, such as `("address[country]", "DE")`.
    #[must_use]
    pub fn with_param(mut self, name: impl Into<String>, value: impl Into<String>) -> Self {
        self.params.push((name.into(), value.into()));
        self
    }
}

/// Lists customers, newest first.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct ListCustomers {
    /// Only those with exactly this address; upper and lower case differ.
    pub email: Option<String>,
    /// Page size, 1 to 100 (Stripe's default is 10).
    pub limit: Option<u8>,
    /// Continue after this customer.
    pub starting_after: Option<String>,
}

impl ListCustomers {
    /// All customers.
    pub fn new() -> Self {
        Self::default()
    }

    /// Only those with exactly this email address.
    #[must_use]
    pub fn with_email(mut self, email: impl Into<String>) -> Self {
        self.email = Some(email.into());
        self
    }

    /// Sets the page size, 1 to 100.
    #[must_use]
    pub fn with_limit(mut self, limit: u8) -> Self {
        self.limit = Some(limit);
        self
    }

    /// Continues after the last customer of the page before.
    #[must_use]
    pub fn with_starting_after(mut self, id: impl Into<String>) -> Self {
        self.starting_after = Some(id.into());
        self
    }
}

/// A customer, as Stripe answers it.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct Customer {
    /// `cus_…`
    pub id: String,
    /// Whether it was deleted; Stripe then keeps nothing but the id.
    pub deleted: bool,
    /// The email address.
    pub email: Option<String>,
    /// Whether it lives in live mode.
    pub livemode: bool,
    /// The app's own marks.
    pub metadata: BTreeMap<String, String>,
    /// The answer as it came.
    pub raw: Value,
}

impl TryFrom<Value> for Customer {
    type Error = StripeError;

    /// Reads a customer; only the id is required.
    fn try_from(raw: Value) -> Result<Self, StripeError> {
        Ok(Self {
            id: json::required(&raw, "customer", "id")?,
            deleted: json::flag(&raw, "deleted"),
            email: json::text(&raw, "email"),
            livemode: json::flag(&raw, "livemode"),
            metadata: json::metadata(&raw),
            raw,
        })
    }
}
