use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::stripe::field::{flag, id, list, metadata, text};

/// A customer as billing sees it (<https://docs.stripe.com/api/customers/object>).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Customer {
    /// `cus_...`
    pub id: String,
    /// Where mail goes.
    pub email: Option<String>,
    /// What the app or the customer calls them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// Languages the customer prefers, best first.
    pub locales: Vec<String>,
    /// Whether Stripe says it is deleted.
    pub deleted: bool,
    /// The app's own notes on it.
    pub metadata: BTreeMap<String, String>,
}

impl Customer {
    /// Reads a customer of any API version; `None` when it has no id.
    pub fn from_json(value: &Value) -> Option<Self> {
        Some(Self {
            id: id(value, &["id"])?,
            email: text(value, &["email"]),
            name: text(value, &["name"]),
            locales: list(value, &["preferred_locales"])
                .iter()
                .filter_map(|locale| text(locale, &[]))
                .collect(),
            deleted: flag(value, &["deleted"]),
            metadata: metadata(value, &["metadata"]),
        })
    }
}
