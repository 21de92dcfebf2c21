use std::fmt;

use serde::{Deserialize, Serialize};

/// Whose Stripe account an object lives in, and in which mode. Part of every key: equal ids of two
/// tenants have nothing to do with each other.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Tenant {
    /// The connected account (`acct_...`) that Stripe Connect names on an event; `None` is the
    /// platform's own account.
    pub stripe_account: Option<String>,
    /// Live mode, or test mode.
    pub livemode: bool,
}

impl Tenant {
    /// The platform's own account in live or test mode.
    pub fn platform(livemode: bool) -> Self {
        Self { stripe_account: None, livemode }
    }
}

impl fmt::Display for Tenant {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let account = self.stripe_account.as_deref().unwrap_or("platform");
        write!(f, "{account}/{}", if self.livemode { "live" } else { "test" })
    }
}

/// Identifies an event for ever: one inbox row each.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct EventKey {
    /// The tenant it happened in.
    pub tenant: Tenant,
    /// Stripe's event id.
    pub id: String,
}

/// Identifies a subject, the unit of consistency: a Stripe customer, or what stands in for one
/// where there is none (a guest's checkout session).
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct SubjectKey {
    /// The tenant it lives in.
    pub tenant: Tenant,
    /// Customer id, or the id of the object that has no customer.
    pub id: String,
}

/// Identifies an account of the app: a user or a team, under the id the app knows it by.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct AccountKey {
    /// The Stripe account whose customers it may own; `None` is the platform's own.
    pub stripe_account: Option<String>,
    /// The app's own id for it.
    pub account: String,
}

impl AccountKey {
    /// An account of the platform itself.
    pub fn platform(account: impl Into<String>) -> Self {
        Self { stripe_account: None, account: account.into() }
    }
}

impl From<&str> for AccountKey {
    fn from(account: &str) -> Self {
        Self::platform(account)
    }
}

impl fmt::Display for AccountKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.account)
    }
}
