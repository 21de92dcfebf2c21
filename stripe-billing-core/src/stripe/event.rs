use chrono::DateTime;
use serde::Deserialize;
use serde::de::Error;
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

    /// An object that Stripe was asked for, as of an event about it.
    pub(crate) fn of_object(id: &str, event_type: &str, created: i64, object: Value) -> Self {
        Self {
            id: id.to_owned(),
            event_type: event_type.to_owned(),
            created,
            object,
            before: None,
            live: None,
        }
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

/// The object that a thin event is about. The event does not hold it: it has to be fetched.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct RelatedObject {
    /// Its id, for example `sub_...`.
    pub id: String,
    /// Its kind as Stripe names it (`subscription`, `invoice`, ...).
    pub object_type: String,
    /// Where the API has it.
    pub url: Option<String>,
}

impl RelatedObject {
    /// Reads what an event names in `related_object`; `None` without an id and a type.
    pub(crate) fn read(related: &Value) -> Option<Self> {
        Some(Self {
            id: field::text(related, &["id"])?,
            object_type: field::text(related, &["type"])?,
            url: field::text(related, &["url"]),
        })
    }
}

/// A thin event (`v2.core.event`), as a webhook brings it: what happened and to which object, but
/// not the object (<https://docs.stripe.com/event-destinations>).
///
/// ```
/// use stripe_billing_core::stripe::ThinEvent;
///
/// let body = br#"{"id":"evt_1","object":"v2.core.event","type":"v1.invoice.paid",
///     "created":"2026-03-09T13:00:28.435Z","livemode":false,
///     "related_object":{"id":"in_1","type":"invoice","url":"/v1/invoices/in_1"}}"#;
/// let event = ThinEvent::parse(body)?;
/// assert_eq!(event.snapshot_type(), Some("invoice.paid"));
/// # Ok::<(), stripe_billing_core::stripe::CorruptEvent>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct ThinEvent {
    /// Stripe's event id. A snapshot event of the same fact has another one.
    pub id: String,
    /// The event type, for example `v1.invoice.paid`.
    pub event_type: String,
    /// When it happened, in whole Unix seconds, UTC; the fraction is dropped.
    pub created: i64,
    /// What it is about; some events are about nothing that can be fetched.
    pub related_object: Option<RelatedObject>,
    /// Whether it is about real money.
    pub livemode: bool,
}

#[derive(Deserialize)]
struct RawThin {
    id: String,
    #[serde(default)]
    object: Option<String>,
    #[serde(rename = "type")]
    event_type: String,
    created: String,
    livemode: bool,
    #[serde(default)]
    related_object: Value,
}

impl ThinEvent {
    /// Reads the body of a thin event.
    ///
    /// # Errors
    /// When the JSON is not a thin event, or its time cannot be read.
    pub fn parse(payload: &[u8]) -> Result<Self, CorruptEvent> {
        let raw: RawThin = serde_json::from_slice(payload)?;
        let corrupt = |reason: &str| CorruptEvent(Error::custom(reason));
        if raw.object.is_some_and(|object| object != "v2.core.event") {
            return Err(corrupt("`object` is not `v2.core.event`"));
        }
        Ok(Self {
            id: raw.id,
            event_type: raw.event_type,
            created: unix_seconds(&raw.created)
                .ok_or_else(|| corrupt("`created` is no RFC 3339 time"))?,
            related_object: RelatedObject::read(&raw.related_object),
            livemode: raw.livemode,
        })
    }

    /// The type without the `v1.` before it, which is that of the snapshot event where there is
    /// one; `None` for the events of the v2 API, which have none.
    pub fn snapshot_type(&self) -> Option<&str> {
        self.event_type.strip_prefix("v1.")
    }
}

/// Whole Unix seconds of an RFC 3339 time.
pub(crate) fn unix_seconds(time: &str) -> Option<i64> {
    DateTime::parse_from_rfc3339(time).ok().map(|time| time.timestamp())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn thin() -> Value {
        json!({"id": "evt_test_65", "object": "v2.core.event",
            "type": "v1.customer.subscription.updated", "livemode": true,
            "created": "2026-03-09T13:00:28.935Z", "context": null,
            "reason": {"type": "request", "request": {"id": "req_1", "idempotency_key": "k"}},
            "related_object": {"id": "sub_1", "type": "subscription",
                "url": "/v1/subscriptions/sub_1"}})
    }

    fn parse(value: &Value) -> Result<ThinEvent, CorruptEvent> {
        ThinEvent::parse(value.to_string().as_bytes())
    }

    #[test]
    fn a_thin_event_names_its_object() {
        let event = parse(&thin()).unwrap();
        assert_eq!(event.id, "evt_test_65");
        assert_eq!(event.created, 1_773_061_228);
        assert!(event.livemode);
        let related = event.related_object.as_ref().unwrap();
        assert_eq!((related.id.as_str(), related.object_type.as_str()), ("sub_1", "subscription"));
        assert_eq!(related.url.as_deref(), Some("/v1/subscriptions/sub_1"));
        assert_eq!(event.snapshot_type(), Some("customer.subscription.updated"));
    }

    #[test]
    fn a_thin_event_about_nothing_is_read() {
        let mut event = thin();
        event["type"] = json!("v2.core.event_destination.ping");
        for related in [json!(null), json!({}), json!({"id": "sub_1"}), json!("sub_1")] {
            event["related_object"] = related;
            let read = parse(&event).unwrap();
            assert_eq!((read.related_object.as_ref(), read.snapshot_type()), (None, None));
        }
        event.as_object_mut().unwrap().remove("related_object");
        assert_eq!(parse(&event).unwrap().related_object, None);
    }

    #[test]
    fn a_time_with_an_offset_is_the_same_instant() {
        let mut event = thin();
        event["created"] = json!("2026-03-09T15:00:28+02:00");
        assert_eq!(parse(&event).unwrap().created, 1_773_061_228);
    }

    #[test]
    fn what_is_no_thin_event_is_refused() {
        let refused = |key: &str, value: Value| {
            let mut event = thin();
            event[key] = value;
            assert!(parse(&event).is_err(), "{key}");
        };
        refused("object", json!("event"));
        refused("created", json!(1_700_000_000));
        refused("created", json!("yesterday"));
        refused("livemode", json!(null));
        refused("type", json!(7));
        assert!(ThinEvent::parse(b"{}").is_err());
        assert!(ThinEvent::parse(b"").is_err());
        assert!(Event::parse(thin().to_string().as_bytes()).is_err());
    }
}
