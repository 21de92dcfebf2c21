//! Events as values: rendered per API version, signed, or made by hand.

use std::sync::Arc;

use bytes::Bytes;
use chrono::{DateTime, SecondsFormat};
use hmac::{Hmac, KeyInit, Mac};
use serde_json::{Value, json};
use sha2::Sha256;

use super::{
    render::{previous_attributes, render, to_pretty},
    version::ApiVersion,
};

/// One event of the fake's log. Cheap to clone.
#[derive(Clone, Debug)]
pub struct FakeEvent(Arc<Recorded>);

#[derive(Debug)]
struct Recorded {
    id: String,
    kind: &'static str,
    created: i64,
    object: Value,
    before: Option<Value>,
    request: Value,
}

impl FakeEvent {
    pub(super) fn new(
        id: String,
        kind: &'static str,
        created: i64,
        change: (Value, Option<Value>),
        request: Value,
    ) -> Self {
        let (object, before) = change;
        Self(Arc::new(Recorded { id, kind, created, object, before, request }))
    }

    /// `evt_...`.
    #[must_use]
    pub fn id(&self) -> &str {
        &self.0.id
    }

    /// `type`, for example `invoice.paid`.
    #[must_use]
    pub fn event_type(&self) -> &'static str {
        self.0.kind
    }

    /// Unix seconds on the fake's clock.
    #[must_use]
    pub fn created(&self) -> i64 {
        self.0.created
    }

    /// Id of `data.object`.
    #[must_use]
    pub fn object_id(&self) -> &str {
        self.0.object["id"].as_str().unwrap_or_default()
    }

    /// The whole event in the shape of `version`, with the given count in `pending_webhooks`.
    #[must_use]
    pub fn to_json(&self, version: &ApiVersion, pending_webhooks: usize) -> Value {
        let object = render(&self.0.object, version);
        let mut data = json!({});
        if let Some(before) = &self.0.before {
            data["previous_attributes"] = previous_attributes(&render(before, version), &object);
        }
        data["object"] = object;
        json!({
            "id": self.0.id,
            "object": "event",
            "api_version": version.as_str(),
            "created": self.0.created,
            "data": data,
            "livemode": false,
            "pending_webhooks": pending_webhooks,
            "request": self.0.request,
            "type": self.0.kind,
        })
    }

    /// Id of the thin event about the same change.
    #[must_use]
    pub fn thin_id(&self) -> String {
        self.0.id.replacen("evt_1", "evt_test_65", 1)
    }

    /// The thin event about the same change, as it is delivered: no snapshot, no version.
    #[must_use]
    pub fn to_thin_json(&self) -> Value {
        let object = &self.0.object;
        let related = match (object["id"].as_str(), object["object"].as_str()) {
            (Some(id), Some(kind)) => {
                json!({ "id": id, "type": kind, "url": format!("/v1/{}/{id}", collection(kind)) })
            }
            // A summary of entitlements and an upcoming invoice have no id.
            _ => Value::Null,
        };
        let reason = match self.0.request["id"].as_str() {
            Some(_) => json!({ "type": "request", "request": self.0.request }),
            None => Value::Null,
        };
        let created = DateTime::from_timestamp(self.0.created, 0)
            .map(|at| at.to_rfc3339_opts(SecondsFormat::Millis, true));
        json!({
            "id": self.thin_id(),
            "object": "v2.core.event",
            "context": null,
            "created": created,
            "livemode": false,
            "reason": reason,
            "related_object": related,
            "type": format!("v1.{}", self.0.kind),
        })
    }

    /// The thin event as `GET /v2/core/events/{id}` gives it: with the snapshot event's id.
    #[must_use]
    pub fn to_fetched_thin_json(&self) -> Value {
        let mut event = self.to_thin_json();
        event["changes"] = Value::Null;
        event["data"] = json!({});
        event["snapshot_event"] = json!(self.0.id);
        event
    }

    /// The body of a webhook for an endpoint of that version.
    #[must_use]
    pub fn body(&self, version: &ApiVersion) -> Bytes {
        Bytes::from(to_pretty(&self.to_json(version, 1)))
    }

    /// The webhook as an endpoint of that version and secret would get it at `t` (unix seconds).
    #[must_use]
    pub fn signed(&self, version: &ApiVersion, secret: &str, t: i64) -> SignedEvent {
        signed(self.body(version), secret, t)
    }
}

/// Where objects of a type are fetched from, below `/v1/`.
fn collection(object: &str) -> String {
    match object {
        "checkout.session" => "checkout/sessions".to_owned(),
        "billing_portal.session" => "billing_portal/sessions".to_owned(),
        "radar.early_fraud_warning" => "radar/early_fraud_warnings".to_owned(),
        plain => format!("{plain}s"),
    }
}

/// A webhook body and its `Stripe-Signature` header.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SignedEvent {
    /// The exact bytes that were signed.
    pub body: Bytes,
    /// Value of the `Stripe-Signature` header.
    pub header: String,
}

/// Signs any body as Stripe does at `t` (unix seconds).
///
/// ```
/// use stripe_billing_testing::fake_stripe::signed;
///
/// let event = signed(r#"{"id":"evt_1"}"#, "whsec_test_secret", 1_700_000_000);
/// assert!(event.header.starts_with("t=1700000000,v1="));
/// ```
#[must_use]
pub fn signed(body: impl Into<Bytes>, secret: &str, t: i64) -> SignedEvent {
    let body = body.into();
    let header = signature_header(&body, &[secret], t);
    SignedEvent { body, header }
}

/// The `Stripe-Signature` header at `t`: one `v1` for each secret, as while a secret is rolled
/// (<https://docs.stripe.com/webhooks#verify-manually>).
#[must_use]
pub fn signature_header(body: &[u8], secrets: &[&str], t: i64) -> String {
    let mut header = format!("t={t}");
    for secret in secrets {
        let mut mac = Hmac::<Sha256>::new_from_slice(secret.as_bytes())
            .unwrap_or_else(|_| unreachable!("HMAC takes a key of any length"));
        mac.update(t.to_string().as_bytes());
        mac.update(b".");
        mac.update(body);
        header.push_str(",v1=");
        for byte in mac.finalize().into_bytes() {
            header.push_str(&format!("{byte:02x}"));
        }
    }
    header
}

/// An event written by hand, for what the fake itself would never send.
///
/// ```
/// use stripe_billing_testing::fake_stripe::EventBuilder;
/// use serde_json::json;
///
/// let event = EventBuilder::new("customer.updated", json!({ "id": "cus_1", "object": "customer" }))
///     .id("evt_1")
///     .created(1_700_000_000)
///     .signed("whsec_test", 1_700_000_000);
/// assert!(event.body.starts_with(b"{\n  \"id\": \"evt_1\""));
/// ```
#[derive(Clone, Debug)]
pub struct EventBuilder(Value);

impl EventBuilder {
    /// An event of this type about this object. Id `evt_1FakeByHand`, `created` 0, newest version.
    #[must_use]
    pub fn new(event_type: &str, object: Value) -> Self {
        let mut event = json!({
            "id": "evt_1FakeByHand",
            "object": "event",
            "api_version": ApiVersion::NEWEST,
            "created": 0,
            "data": {},
            "livemode": false,
            "pending_webhooks": 1,
            "request": { "id": null, "idempotency_key": null },
            "type": event_type,
        });
        event["data"]["object"] = object;
        Self(event)
    }

    /// Sets the event's id.
    #[must_use]
    pub fn id(self, id: &str) -> Self {
        self.field("id", json!(id))
    }

    /// Sets `created`, unix seconds.
    #[must_use]
    pub fn created(self, unix: i64) -> Self {
        self.field("created", json!(unix))
    }

    /// Sets `api_version`; the object is taken as it is.
    #[must_use]
    pub fn api_version(self, version: &str) -> Self {
        self.field("api_version", json!(version))
    }

    /// Sets `account`, the connected account.
    #[must_use]
    pub fn account(self, account: &str) -> Self {
        self.field("account", json!(account))
    }

    /// Sets `livemode`.
    #[must_use]
    pub fn livemode(self, livemode: bool) -> Self {
        self.field("livemode", json!(livemode))
    }

    /// Sets `data.previous_attributes`.
    #[must_use]
    pub fn previous_attributes(mut self, previous: Value) -> Self {
        self.0["data"]["previous_attributes"] = previous;
        self
    }

    /// Sets any top-level field, for instance to null.
    #[must_use]
    pub fn field(mut self, name: &str, value: Value) -> Self {
        self.0[name] = value;
        self
    }

    /// The event as JSON.
    #[must_use]
    pub fn build(self) -> Value {
        self.0
    }

    /// The event's bytes as Stripe would send them.
    #[must_use]
    pub fn body(&self) -> Bytes {
        Bytes::from(to_pretty(&self.0))
    }

    /// The event's bytes signed at `t` (unix seconds).
    #[must_use]
    pub fn signed(&self, secret: &str, t: i64) -> SignedEvent {
        signed(self.body(), secret, t)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn signatures_match_a_vector_computed_elsewhere() {
        let body = r#"{"id":"evt_ü","object":"event","note":"naïve ☃ 😀"}"#;
        assert_eq!(
            signature_header(body.as_bytes(), &["whsec_test_secret"], 1_700_000_000),
            "t=1700000000,v1=68ddb8fba53659443c99abb57402fa9cbbe88634af659f6313823425bea92817"
        );
        let rolled = signature_header(b"{}", &["whsec_a", "whsec_b"], 5);
        assert_eq!(rolled.matches(",v1=").count(), 2);
    }
}
