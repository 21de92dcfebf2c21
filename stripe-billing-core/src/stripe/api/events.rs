use chrono::{DateTime, Utc};
use serde_json::Value;

use super::{StripeError, json};

/// Lists the events of the last 30 days, newest first.
///
/// To catch up, ask from a little before the newest event known and let the inbox drop what it
/// has: `created` has whole seconds and no order inside one.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct ListEvents {
    /// Only those created then or later; whole seconds, the rest is dropped.
    pub created_from: Option<DateTime<Utc>>,
    /// Only those created then or earlier; whole seconds, the rest is dropped.
    pub created_until: Option<DateTime<Utc>>,
    /// Only those of one of these types, at most 20.
    pub types: Vec<String>,
    /// `false`: only those that have not reached every webhook endpoint, whether Stripe still
    /// tries or has given up. `true`: only those that have.
    pub delivery_success: Option<bool>,
    /// Page size, 1 to 100 (Stripe's default is 10).
    pub limit: Option<u8>,
    /// The page of events older than this one.
    pub starting_after: Option<String>,
    /// The page of events newer than this one; it too is newest first.
    pub ending_before: Option<String>,
}

impl ListEvents {
    /// All events.
    pub fn new() -> Self {
        Self::default()
    }

    /// Only events created then or later (`created[gte]`).
    #[must_use]
    pub fn with_created_from(mut self, time: DateTime<Utc>) -> Self {
        self.created_from = Some(time);
        self
    }

    /// Only events created then or earlier (`created[lte]`).
    #[must_use]
    pub fn with_created_until(mut self, time: DateTime<Utc>) -> Self {
        self.created_until = Some(time);
        self
    }

    /// Only events of this type, or of another one added before; at most 20.
    #[must_use]
    pub fn with_type(mut self, event_type: impl Into<String>) -> Self {
        self.types.push(event_type.into());
        self
    }

    /// Only events that have, or have not, reached every webhook endpoint.
    #[must_use]
    pub fn with_delivery_success(mut self, delivered: bool) -> Self {
        self.delivery_success = Some(delivered);
        self
    }

    /// Sets the page size, 1 to 100.
    #[must_use]
    pub fn with_limit(mut self, limit: u8) -> Self {
        self.limit = Some(limit);
        self
    }

    /// The page of events older than this one.
    #[must_use]
    pub fn with_starting_after(mut self, id: impl Into<String>) -> Self {
        self.starting_after = Some(id.into());
        self
    }

    /// The page of events newer than this one.
    #[must_use]
    pub fn with_ending_before(mut self, id: impl Into<String>) -> Self {
        self.ending_before = Some(id.into());
        self
    }
}

/// An event, as the list of events answers it.
///
/// `raw` is what the webhook would have posted, rendered in the version that the event was
/// created with; only the count of pending webhooks may differ.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct ListedEvent {
    /// `evt_…`
    pub id: String,
    /// Its type; new ones appear without notice.
    pub event_type: String,
    /// When it happened, in whole seconds.
    pub created: Option<DateTime<Utc>>,
    /// The API version that its object is rendered in.
    pub api_version: Option<String>,
    /// The connected account that it belongs to.
    pub account: Option<String>,
    /// Whether it belongs to live mode.
    pub livemode: bool,
    /// The answer as it came.
    pub raw: Value,
}

impl TryFrom<Value> for ListedEvent {
    type Error = StripeError;

    /// Reads an event; its id and its type are required.
    fn try_from(raw: Value) -> Result<Self, StripeError> {
        Ok(Self {
            id: json::required(&raw, "event", "id")?,
            event_type: json::required(&raw, "event", "type")?,
            created: json::time(&raw, "created"),
            api_version: json::text(&raw, "api_version"),
            account: json::text(&raw, "account"),
            livemode: json::flag(&raw, "livemode"),
            raw,
        })
    }
}
