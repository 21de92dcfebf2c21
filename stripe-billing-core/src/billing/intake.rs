use std::time::Instant;

use bytes::Bytes;

use super::{Billing, Processing, observe};
use crate::error::StoreError;
use crate::keys::{EventKey, Tenant};
use crate::store::{Receipt, ReceivedEvent};
use crate::webhook::{Envelope, WebhookError};

/// A delivery that is stored, and may be acknowledged.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Accepted {
    /// Tenant and event id.
    pub key: EventKey,
    /// For example `invoice.paid`.
    pub event_type: String,
    /// New, or known.
    pub receipt: Receipt,
}

/// Why a delivery is not acknowledged.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ReceiveError {
    /// It is not from Stripe, or not an event.
    #[error(transparent)]
    Webhook(#[from] WebhookError),
    /// It could not be stored; Stripe delivers it again.
    #[error("the event could not be stored")]
    Store(#[from] StoreError),
}

impl ReceiveError {
    /// The HTTP status to answer with: 400 or 413 for the delivery's own fault, 503 when it cannot
    /// be stored.
    pub fn status(&self) -> u16 {
        match self {
            Self::Webhook(error) => error.status(),
            Self::Store(_) => 503,
        }
    }

    /// A stable word for it, for problem bodies and metrics.
    pub fn code(&self) -> &'static str {
        match self {
            Self::Webhook(error) => error.code(),
            Self::Store(_) => "store_unavailable",
        }
    }
}

impl Billing {
    /// Takes a delivery of Stripe's: verifies it, and stores it. When this returns, the event
    /// survives a crash and may be acknowledged with a 2xx, be it new or a duplicate.
    ///
    /// `header` is the value of `Stripe-Signature`, empty when there is none; `body` are the bytes
    /// exactly as they came.
    ///
    /// # Errors
    /// [`ReceiveError`], whose [`status`](ReceiveError::status) is the answer to give.
    #[tracing::instrument(name = "webhook", skip_all, fields(event, kind))]
    pub async fn receive(&self, header: &str, body: Bytes) -> Result<Accepted, ReceiveError> {
        let started = Instant::now();
        let received = self.store_delivery(header, body).await;
        let result = match &received {
            Ok(Accepted { receipt: Receipt::Stored, .. }) => "stored",
            Ok(_) => "duplicate",
            Err(ReceiveError::Store(error)) => {
                tracing::error!(error = %error, "an event could not be stored");
                "unavailable"
            }
            Err(error) => {
                observe::rejected(error.code());
                tracing::warn!(code = error.code(), "a delivery was refused: {error}");
                "rejected"
            }
        };
        observe::received(result, started.elapsed());
        if matches!(received, Ok(Accepted { receipt: Receipt::Stored, .. })) {
            self.after_receipt().await;
        }
        received
    }

    async fn store_delivery(&self, header: &str, body: Bytes) -> Result<Accepted, ReceiveError> {
        let limit = self.inner.max_body;
        if body.len() > limit {
            return Err(WebhookError::TooLarge { limit }.into());
        }
        let now = self.inner.clock.now();
        let (_, envelope) = self.inner.verifier.open(&body, header, now)?;
        let Envelope { id, kind, event_type, account, api_version, created, livemode, .. } =
            envelope;
        let tenant = Tenant { stripe_account: account.map(Into::into), livemode };
        let key = EventKey { tenant, id: id.into() };
        let event_type = String::from(event_type);
        let span = tracing::Span::current();
        span.record("event", key.id.as_str()).record("kind", event_type.as_str());
        let event = ReceivedEvent {
            key: key.clone(),
            kind,
            event_type: event_type.clone(),
            api_version: api_version.map(Into::into),
            created,
            received_at: now,
            payload: body.clone(),
        };
        let receipt = self.inner.store.receive(event).await?;
        if receipt == (Receipt::Duplicate { differs: true }) {
            tracing::warn!("an event id came again with other content");
        }
        Ok(Accepted { key, event_type, receipt })
    }

    /// Wakes the workers, or does their work when there are none.
    pub(super) async fn after_receipt(&self) {
        #[cfg(feature = "tokio")]
        self.inner.signals.wake();
        if self.inner.processing == Processing::Inline
            && let Err(error) = self.process_due().await
        {
            // It is stored: the next call, here or from cron, takes it up again.
            tracing::error!(error = %error, "processing after receipt failed");
        }
    }
}
