//! Hand-made Stripe events: bodies as Stripe sends them, in old and new shapes, and their
//! signatures.
//!
//! ```
//! use stripe_billing_testing::event::{EventBuilder, Shape, SubscriptionObject, sign_header};
//!
//! let incomplete = SubscriptionObject::new("sub_1", "cus_1").status("incomplete");
//! let active = incomplete.clone().status("active");
//! let body = EventBuilder::new("customer.subscription.updated")
//!     .id("evt_1")
//!     .created(1_767_225_600)
//!     .change(&incomplete.render(Shape::New), &active.render(Shape::New))
//!     .build();
//! let header = sign_header(&body, "whsec_test", 1_767_225_600);
//! assert!(header.starts_with("t=1767225600,v1="));
//! ```

pub mod histories;
mod objects;
mod shape;
mod thin;

use bytes::Bytes;
use hmac::{Hmac, KeyInit, Mac};
use serde::ser::{SerializeMap, SerializeSeq};
use serde::{Serialize, Serializer};
use serde_json::{Map, Value, json};
use sha2::Sha256;

pub use objects::{
    ChargeObject, CheckoutObject, CustomerObject, DisputeObject, EntitlementSummaryObject,
    FraudWarningObject, InvoiceObject, InvoicePaymentObject, LineObject, PaymentIntentObject,
    PaymentMethodObject, PaymentSourceObject, RefundObject, SubscriptionItemObject,
    SubscriptionObject,
};
pub use shape::Shape;
pub use thin::ThinEvent;

/// Writes the body of a snapshot event. By default `evt_1`, live, from the platform's own account,
/// at 2026-01-01 00:00 UTC.
#[derive(Clone, Debug)]
#[must_use = "a builder does nothing until `build`"]
pub struct EventBuilder {
    id: String,
    event_type: String,
    shape: Shape,
    created: i64,
    account: Option<String>,
    livemode: bool,
    object: Value,
    previous: Option<Value>,
    pending_webhooks: u32,
    request: Option<String>,
}

impl EventBuilder {
    /// An event of a type, such as `invoice.paid`.
    pub fn new(event_type: impl Into<String>) -> Self {
        Self {
            id: "evt_1".to_owned(),
            event_type: event_type.into(),
            shape: Shape::default(),
            created: histories::START,
            account: None,
            livemode: true,
            object: json!({}),
            previous: None,
            pending_webhooks: 1,
            request: None,
        }
    }

    /// Its id, `evt_...`.
    pub fn id(mut self, id: impl Into<String>) -> Self {
        self.id = id.into();
        self
    }

    /// When it happened, Unix seconds.
    pub fn created(mut self, seconds: i64) -> Self {
        self.created = seconds;
        self
    }

    /// The API version it names. The object is the caller's: render it in the same shape.
    pub fn shape(mut self, shape: Shape) -> Self {
        self.shape = shape;
        self
    }

    /// The connected account (`acct_...`) it happened in.
    pub fn account(mut self, account: impl Into<String>) -> Self {
        self.account = Some(account.into());
        self
    }

    /// Live mode or test mode.
    pub fn livemode(mut self, livemode: bool) -> Self {
        self.livemode = livemode;
        self
    }

    /// The snapshot.
    pub fn object(mut self, object: Value) -> Self {
        self.object = object;
        self
    }

    /// The values that changed, as they were before.
    pub fn previous(mut self, previous: Value) -> Self {
        self.previous = Some(previous);
        self
    }

    /// The snapshot after a change, with `previous_attributes` worked out as Stripe does: nested
    /// objects name what changed in them, arrays stand whole.
    pub fn change(self, before: &Value, after: &Value) -> Self {
        let previous = previous_attributes(before, after);
        self.object(after.clone()).previous(previous)
    }

    /// How many endpoints have not taken it yet. Differs between deliveries of one event.
    pub fn pending_webhooks(mut self, count: u32) -> Self {
        self.pending_webhooks = count;
        self
    }

    /// The API request (`req_...`) that caused it; none was made by Stripe itself.
    pub fn request(mut self, id: impl Into<String>) -> Self {
        self.request = Some(id.into());
        self
    }

    /// The body, pretty-printed with `id` and `object` first.
    pub fn build(&self) -> Bytes {
        let mut data = json!({"object": self.object});
        if let Some(previous) = &self.previous {
            data["previous_attributes"] = previous.clone();
        }
        let mut event = json!({
            "id": self.id,
            "object": "event",
            "api_version": self.shape.api_version(),
            "created": self.created,
            "data": data,
            "livemode": self.livemode,
            "pending_webhooks": self.pending_webhooks,
            "request": {"id": self.request, "idempotency_key": null},
            "type": self.event_type,
        });
        if let Some(account) = &self.account {
            event["account"] = json!(account);
        }
        body(&event)
    }
}

/// Pretty-printed as Stripe does, with `id` and `object` first.
fn body(event: &Value) -> Bytes {
    // Writing a value into memory cannot fail.
    serde_json::to_vec_pretty(&AsStripe(event)).unwrap_or_default().into()
}

/// What `previous_attributes` say of a change; an empty object where nothing changed.
pub fn previous_attributes(before: &Value, after: &Value) -> Value {
    let empty = Map::new();
    let (was, is) = (before.as_object().unwrap_or(&empty), after.as_object().unwrap_or(&empty));
    let mut previous = Map::new();
    for key in was.keys().chain(is.keys()) {
        let (was, is) = (&before[key.as_str()], &after[key.as_str()]);
        if was == is || previous.contains_key(key) {
            continue;
        }
        let value = match (was, is) {
            (Value::Object(_), Value::Object(_)) => previous_attributes(was, is),
            _ => was.clone(),
        };
        previous.insert(key.clone(), value);
    }
    Value::Object(previous)
}

/// The `Stripe-Signature` header for a body: `t=<seconds>,v1=<hex>` with the HMAC-SHA256 of
/// `<seconds>.<body>` under the whole secret (<https://docs.stripe.com/webhooks#verify-manually>).
/// Written apart from the core, so that each checks the other.
pub fn sign_header(body: &[u8], secret: &str, seconds: i64) -> String {
    // HMAC takes keys of any length; only an impossible error would leave the header unsigned.
    let Ok(mut mac) = Hmac::<Sha256>::new_from_slice(secret.as_bytes()) else {
        return format!("t={seconds}");
    };
    mac.update(format!("{seconds}.").as_bytes());
    mac.update(body);
    let digest = mac.finalize().into_bytes();
    let hex: String = digest.iter().map(|byte| format!("{byte:02x}")).collect();
    format!("t={seconds},v1={hex}")
}

/// A value with keys in Stripe's order: `id`, `object`, then by name.
struct AsStripe<'a>(&'a Value);

impl Serialize for AsStripe<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self.0 {
            Value::Object(map) => {
                let first = ["id", "object"];
                let mut out = serializer.serialize_map(Some(map.len()))?;
                for key in first {
                    if let Some(value) = map.get(key) {
                        out.serialize_entry(key, &AsStripe(value))?;
                    }
                }
                for (key, value) in map.iter().filter(|(key, _)| !first.contains(&key.as_str())) {
                    out.serialize_entry(key, &AsStripe(value))?;
                }
                out.end()
            }
            Value::Array(list) => {
                let mut out = serializer.serialize_seq(Some(list.len()))?;
                for value in list {
                    out.serialize_element(&AsStripe(value))?;
                }
                out.end()
            }
            plain => plain.serialize(serializer),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_signature_is_stripes() {
        // Computed with Python's hmac, and accepted by Stripe's own libraries.
        let body = br#"{"id":"evt_test_1","object":"event","api_version":"2026-10-28.endive","created":1700000000,"data":{"object":{"id":"sub_1","object":"subscription"}},"livemode":false,"pending_webhooks":1,"request":{"id":null,"idempotency_key":null},"type":"customer.subscription.updated"}"#;
        assert_eq!(
            sign_header(body, "whsec_test_secret", 1_700_000_000),
            "t=1700000000,v1=1eade6b3192987dc263e5a635221dcf40c3b5e9a2324db99664a0faddd742d2f"
        );
    }

    #[test]
    fn a_body_looks_like_stripes() {
        let body = EventBuilder::new("customer.updated")
            .account("acct_1")
            .object(json!({"id": "cus_1", "email": "a@b.test", "object": "customer"}))
            .previous(json!({"email": null}))
            .build();
        let text = String::from_utf8(body.to_vec()).unwrap();
        assert!(
            text.starts_with("{\n  \"id\": \"evt_1\",\n  \"object\": \"event\",\n  \"account\": \"acct_1\",\n  \"api_version\""),
            "{text}"
        );
        assert!(
            text.contains("\"object\": {\n      \"id\": \"cus_1\",\n      \"object\": \"customer\",\n      \"email\""),
            "{text}"
        );
        let event = stripe_billing_core::stripe::Event::parse(&body).unwrap();
        assert_eq!(event.before.unwrap()["email"], Value::Null);
    }

    #[test]
    fn previous_attributes_name_what_changed_and_no_more() {
        let before = json!({"status": "incomplete", "same": 1, "gone": 2,
            "items": {"data": [{"id": "si_1", "end": 1}], "has_more": false}});
        let after = json!({"status": "active", "same": 1, "new": {"a": 1},
            "items": {"data": [{"id": "si_1", "end": 2}], "has_more": false}});
        let expected = json!({"status": "incomplete", "gone": 2, "new": null,
            "items": {"data": [{"id": "si_1", "end": 1}]}});
        assert_eq!(previous_attributes(&before, &after), expected);
    }
}
