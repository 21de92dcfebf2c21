use serde::Deserialize;
use serde_json::Value;

use super::field;

/// A snapshot event, read whole: what happened, and the object as it was then.
///
/// Unknown types and fields are fine; only JSON that is no event at all is an error.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct Event {
    /// Stripe's event id.
    pub id: String,
    /// The event type, for example `invoice.paid`.
    pub event_type: String,
    /// When it happened, in whole Unix seconds. Several events may share a second.
    pub created: i64,
    /// The snapshot, in the shape of the event's API version.
    pub object: Value,
    /// The same object before the event, where Stripe says what changed (`previous_attributes`).
    pub before: Option<Value>,
    /// Set when the object was fetched on account of the event and is not the event's own: the
    /// subject's version at the time.
    pub(crate) live: Option<i64>,
}

/// The body was signed by Stripe but cannot be read as an event.
#[derive(Debug, thiserror::Error)]
#[error("the stored payload is not an event: {0}")]
pub struct CorruptEvent(#[from] serde_json::Error);

#[derive(Deserialize)]
struct Raw {
    id: String,
    #[serde(rename = "type")]
    event_type: String,
    created: i64,
    data: Data,
}

#[derive(Deserialize)]
struct Data {
    object: Value,
    #[serde(default)]
    previous_attributes: Option<Value>,
}

impl Event {
    /// Reads the body of a snapshot event.
    ///
    /// # Errors
    /// When the JSON is not an event with an object, or nested deeper than 128 levels.
    pub fn parse(payload: &[u8]) -> Result<Self, CorruptEvent> {
        let raw: Raw = serde_json::from_slice(payload)?;
        let before = raw.data.previous_attributes.filter(Value::is_object).map(|previous| {
            let mut before = raw.data.object.clone();
            field::overlay(&mut before, &previous);
            before
        });
        Ok(Self {
            id: raw.id,
            event_type: raw.event_type,
            created: raw.created,
            object: raw.data.object,
            before,
            live: None,
        })
    }

    /// The same occasion with the object as it is at Stripe now, read when the subject had this
    /// version.
    pub(crate) fn with_live(&self, object: Value, version: i64) -> Self {
        Self { object, before: None, live: Some(version), ..self.clone() }
    }

    /// When it happened, Unix seconds; 0 when its own stamp is not believed, so that it gives way
    /// to any other.
    pub fn stamp(&self) -> i64 {
        if field::is_plausible(self.created) { self.created } else { 0 }
    }

    /// The kind of object it carries, as Stripe names it (`subscription`, `invoice`, ...).
    pub fn object_kind(&self) -> &str {
        self.object.get("object").and_then(Value::as_str).unwrap_or_default()
    }
}
