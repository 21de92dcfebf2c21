//! The demo's own trouble: a handler that fails at first, and an event that nobody can read.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex, PoisonError};

use async_trait::async_trait;
use axum::body::Bytes;
use serde::Deserialize;
use serde_json::json;
use stripe_billing_core::store::{ReceivedEvent, Verb};
use stripe_billing_core::webhook::{WebhookSecret, sign};
use stripe_billing_core::{
    Billing, NotifyError, OrderError, ReceiveError, Secret, UnhandledEvents,
};

/// The type of an event that billing has no rule for, and the demo's label printer has.
const LABEL: &str = "demo.label.requested";
/// The type under which the unreadable event comes.
const UNREADABLE: &str = "demo.unreadable";

/// What a visitor can have go wrong.
#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Trouble {
    /// A handler of the app's that fails once.
    Handler,
    /// An event that no rule can read.
    Unreadable,
}

/// The app's own handler of events that billing has no rule for. A real one would print; this one
/// is out of paper at every first try.
#[derive(Clone, Debug, Default)]
pub(crate) struct LabelPrinter {
    tried: Arc<Mutex<BTreeSet<String>>>,
}

#[async_trait]
impl UnhandledEvents for LabelPrinter {
    async fn handle(&self, event: &ReceivedEvent) -> Result<(), NotifyError> {
        if event.event_type != LABEL {
            return Ok(());
        }
        let mut tried = self.tried.lock().unwrap_or_else(PoisonError::into_inner);
        if tried.insert(event.key.id.clone()) {
            return Err(NotifyError::transient("the label printer is out of paper"));
        }
        tracing::info!(event = event.key.id, "a label is printed");
        Ok(())
    }
}

/// Sends an event the way Stripe does, signed, and with something wrong about it.
pub(crate) async fn send(
    billing: &Billing,
    secret: &Secret,
    trouble: Trouble,
    id: &str,
) -> Result<(), ReceiveError> {
    let now = billing.clock().now();
    let event = |kind: &str, object: serde_json::Value| {
        json!({"id": format!("evt_demo_{id}"), "object": "event", "created": now.timestamp(),
            "livemode": false, "type": kind, "data": {"object": object}})
    };
    let body = match trouble {
        Trouble::Handler => event(LABEL, json!({"object": "label"})).to_string(),
        // Cut off in the middle of its object: the envelope says what it is, and the rest nothing.
        Trouble::Unreadable => {
            event(UNREADABLE, json!("cut here")).to_string().replace("\"cut here\"", "nonsense")
        }
    };
    let body = Bytes::from(body);
    let Ok(secret) = WebhookSecret::new(secret.expose()) else { return Ok(()) };
    let header = sign(&body, &secret, now);
    billing.receive(&header, body).await?;
    Ok(())
}

/// Says that a dead event does not matter, as an operator would.
pub(crate) async fn dismiss(billing: &Billing, seq: i64) -> Result<(), OrderError> {
    let request = format!("demo dismiss {seq}");
    billing.order(Verb::Dismiss { seq }, "visitor", &request, Some("on the demo's page")).await?;
    Ok(())
}
