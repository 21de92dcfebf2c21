use serde_json::Value;

use super::{StripeError, StripeErrorKind, json};
use crate::stripe::RelatedObject;
use crate::stripe::event::unix_seconds;

/// A thin event, fetched whole (<https://docs.stripe.com/api/v2/core/events/object>).
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct EventNotification {
    /// `evt_…`
    pub id: String,
    /// Its type, such as `v1.invoice.paid`; new ones appear without notice.
    pub event_type: String,
    /// When it happened, in whole Unix seconds, UTC.
    pub created: i64,
    /// Whether it belongs to live mode.
    pub livemode: bool,
    /// The id of the snapshot event about the same fact, where there is one; said since endive.
    pub snapshot_event: Option<String>,
    /// What it is about.
    pub related_object: Option<RelatedObject>,
    /// The answer as it came.
    pub raw: Value,
}

impl TryFrom<Value> for EventNotification {
    type Error = StripeError;

    /// Reads an event; its id, its type and its time are required.
    fn try_from(raw: Value) -> Result<Self, StripeError> {
        let created = json::required(&raw, "event", "created")?;
        let created = unix_seconds(&created).ok_or_else(|| {
            let message = "expected an event with an RFC 3339 time in `created`";
            StripeError::new(StripeErrorKind::Decode, message)
        })?;
        Ok(Self {
            id: json::required(&raw, "event", "id")?,
            event_type: json::required(&raw, "event", "type")?,
            created,
            livemode: json::flag(&raw, "livemode"),
            snapshot_event: json::id(&raw, "snapshot_event"),
            related_object: raw.get("related_object").and_then(RelatedObject::read),
            raw,
        })
    }
}
