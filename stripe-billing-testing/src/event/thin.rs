use bytes::Bytes;
use chrono::{DateTime, SecondsFormat};
use serde_json::{Value, json};

use super::{body, histories};

/// Writes a thin event (`v2.core.event`): it names what changed and carries no snapshot of it
/// (<https://docs.stripe.com/event-destinations#thin-events>). By default `evt_test_1`, live, made
/// by Stripe itself at 2026-01-01 00:00 UTC.
#[derive(Clone, Debug)]
#[must_use = "a builder does nothing until `build`"]
pub struct ThinEvent {
    id: String,
    event_type: String,
    created: i64,
    millis: u32,
    livemode: bool,
    context: Option<String>,
    related: Option<(String, String, String)>,
    request: Option<String>,
    snapshot: Option<String>,
    data: Option<Value>,
}

impl ThinEvent {
    /// An event of a type, such as `v1.customer.subscription.updated`.
    pub fn new(event_type: impl Into<String>) -> Self {
        Self {
            id: "evt_test_1".to_owned(),
            event_type: event_type.into(),
            created: histories::START,
            millis: 0,
            livemode: true,
            context: None,
            related: None,
            request: None,
            snapshot: None,
            data: None,
        }
    }

    /// Its id, `evt_...`; another one than its snapshot event's.
    pub fn id(mut self, id: impl Into<String>) -> Self {
        self.id = id.into();
        self
    }

    /// When it happened, Unix seconds and the milliseconds after them.
    pub fn created(mut self, seconds: i64, millis: u32) -> Self {
        (self.created, self.millis) = (seconds, millis);
        self
    }

    /// Live mode or test mode.
    pub fn livemode(mut self, livemode: bool) -> Self {
        self.livemode = livemode;
        self
    }

    /// The account or organisation it happened in.
    pub fn context(mut self, context: impl Into<String>) -> Self {
        self.context = Some(context.into());
        self
    }

    /// The object it is about: its id, its type and the path it is fetched from.
    pub fn related(mut self, id: &str, object: &str, url: &str) -> Self {
        self.related = Some((id.to_owned(), object.to_owned(), url.to_owned()));
        self
    }

    /// The object it is about, as a snapshot shows it; its path follows from its type.
    pub fn about(self, object: &Value) -> Self {
        let (id, kind) = (&object["id"], &object["object"]);
        match (id.as_str(), kind.as_str()) {
            (Some(id), Some(kind)) => {
                let url = format!("/v1/{}/{id}", collection(kind));
                self.related(id, kind, &url)
            }
            _ => self,
        }
    }

    /// The API request (`req_...`) that caused it.
    pub fn request(mut self, id: impl Into<String>) -> Self {
        self.request = Some(id.into());
        self
    }

    /// The id of the snapshot event for the same change: only the fetched event names it.
    pub fn snapshot_event(mut self, id: impl Into<String>) -> Self {
        self.snapshot = Some(id.into());
        self
    }

    /// What the fetched event says beyond the notification.
    pub fn data(mut self, data: Value) -> Self {
        self.data = Some(data);
        self
    }

    /// The notification, as it is delivered.
    pub fn build(&self) -> Bytes {
        body(&self.notification())
    }

    /// The event as `GET /v2/core/events/{id}` answers: with `data`, `changes` and the snapshot
    /// event's id.
    pub fn build_fetched(&self) -> Bytes {
        let mut event = self.notification();
        event["changes"] = Value::Null;
        event["data"] = self.data.clone().unwrap_or_else(|| json!({}));
        if let Some(snapshot) = &self.snapshot {
            event["snapshot_event"] = json!(snapshot);
        }
        body(&event)
    }

    fn notification(&self) -> Value {
        let created = DateTime::from_timestamp(self.created, self.millis * 1_000_000)
            .map(|at| at.to_rfc3339_opts(SecondsFormat::Millis, true));
        let reason = self
            .request
            .as_ref()
            .map(|id| json!({"type": "request", "request": {"id": id, "idempotency_key": null}}));
        let related = self
            .related
            .as_ref()
            .map(|(id, kind, url)| json!({"id": id, "type": kind, "url": url}));
        json!({
            "id": self.id, "object": "v2.core.event", "context": self.context,
            "created": created, "livemode": self.livemode, "reason": reason,
            "related_object": related, "type": self.event_type,
        })
    }
}

/// Where objects of a type are fetched from, below `/v1/`.
fn collection(object: &str) -> String {
    match object {
        "checkout.session" => "checkout/sessions".to_owned(),
        "radar.early_fraud_warning" => "radar/early_fraud_warnings".to_owned(),
        plain => format!("{plain}s"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::event::{Shape, SubscriptionObject};

    #[test]
    fn a_notification_has_a_date_as_text_and_no_snapshot() {
        let subscription = SubscriptionObject::new("sub_1", "cus_1").render(Shape::New);
        let event = ThinEvent::new("v1.customer.subscription.updated")
            .created(1_767_225_600, 435)
            .about(&subscription)
            .request("req_1")
            .snapshot_event("evt_1");
        let sent: Value = serde_json::from_slice(&event.build()).unwrap();
        assert_eq!(sent["object"], "v2.core.event");
        assert_eq!(sent["created"], "2026-01-01T00:00:00.435Z");
        assert_eq!(sent["related_object"]["url"], "/v1/subscriptions/sub_1");
        assert_eq!(sent["reason"]["request"]["id"], "req_1");
        for absent in ["api_version", "data", "pending_webhooks", "snapshot_event"] {
            assert!(sent.get(absent).is_none(), "{absent}");
        }
        let fetched: Value = serde_json::from_slice(&event.build_fetched()).unwrap();
        assert_eq!(fetched["snapshot_event"], "evt_1");
    }
}
