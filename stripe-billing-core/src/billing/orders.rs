//! What operators order: it happens once by its request id, and is on record.

use std::sync::PoisonError;
use std::sync::atomic::Ordering;

use chrono::TimeDelta;

use super::Billing;
use crate::error::{ErrorKind, StoreError};
use crate::store::{Carried, EventRange, Order, Paused, Verb};

/// How long a pause may go unnoticed by another process.
const PAUSE_SEEN: TimeDelta = TimeDelta::seconds(1);

/// Why an order was not carried out.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum OrderError {
    /// A part of it is blank or too long.
    #[error("{0} must have between 1 and 200 bytes")]
    Invalid(&'static str),
    /// It says that something does not matter, and not why.
    #[error("say why")]
    NoReason,
    /// The reason is longer than 1,000 bytes.
    #[error("the reason must have at most 1,000 bytes")]
    LongReason,
    /// A replay of more events than one command takes.
    #[error("a replay takes up to 10,000 events; what is left is another command's")]
    TooMany,
    /// There is no such event.
    #[error("there is no such event")]
    Unknown,
    /// There is no such ticket.
    #[error("there is no such ticket")]
    UnknownTicket,
    /// The event is in a status in which this cannot be done: under way, or done.
    #[error("this cannot be done to an event that is {0}")]
    NotNow(String),
    /// The request id was used for another order.
    #[error("the request id was used for another order")]
    RequestReused,
    /// The store failed; trying again with the same request id is safe.
    #[error("the order could not be carried out")]
    Store(#[from] StoreError),
}

impl Billing {
    /// Carries out what an operator orders, once by `request`: a repetition is answered like the
    /// first time and does nothing. It goes into the audit log with `actor` and `reason`, with what
    /// was before and after.
    ///
    /// ```
    /// # use stripe_billing_core::{Billing, MemoryStore, catalog::Catalog};
    /// # tokio::runtime::Runtime::new()?.block_on(async {
    /// use stripe_billing_core::store::Verb;
    /// # let billing = Billing::builder(MemoryStore::new())
    /// #     .catalog(Catalog::default()).webhook_secrets(["whsec_1"]).build()?;
    ///
    /// let carried = billing.order(Verb::Pause, "ada", "req_1", Some("moving the database")).await?;
    /// assert_eq!(carried.after.as_deref(), Some("paused"));
    /// assert!(billing.order(Verb::Pause, "ada", "req_1", None).await?.repeated);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// # })?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// [`OrderError`]: nothing has happened then, or, where the store failed, it is safe to ask again.
    pub async fn order(
        &self,
        verb: Verb,
        actor: &str,
        request: &str,
        reason: Option<&str>,
    ) -> Result<Carried, OrderError> {
        for (name, part) in [("the actor", actor), ("the request id", request)] {
            if part.trim().is_empty() || part.len() > 200 {
                return Err(OrderError::Invalid(name));
            }
        }
        let reason = reason.map(str::trim).filter(|reason| !reason.is_empty());
        if matches!(verb, Verb::Dismiss { .. }) && reason.is_none() {
            return Err(OrderError::NoReason);
        }
        if reason.is_some_and(|reason| reason.len() > 1_000) {
            return Err(OrderError::LongReason);
        }
        if matches!(&verb, Verb::Replay { range } if range.limit > EventRange::MAX) {
            return Err(OrderError::TooMany);
        }
        let order = Order {
            request: request.to_owned(),
            actor: actor.to_owned(),
            reason: reason.map(str::to_owned),
            verb,
            now: self.inner.clock.now(),
        };
        let carried =
            self.inner.store.operate(&order).await.map_err(|error| match error.kind() {
                ErrorKind::KeyReused => OrderError::RequestReused,
                _ => OrderError::Store(error),
            })?;
        let is_about_ticket = matches!(order.verb, Verb::Ticket { .. });
        if is_about_ticket && carried.after.is_none() {
            return Err(OrderError::UnknownTicket);
        }
        if order.verb.event().is_some() && carried.after.is_none() {
            let status = carried.before.ok_or(OrderError::Unknown)?;
            return Err(OrderError::NotNow(status));
        }
        tracing::info!(actor, action = order.verb.action(), changed = carried.changed, "ordered");
        self.after_order(&order.verb).await;
        Ok(carried)
    }

    async fn after_order(&self, verb: &Verb) {
        self.inner.has_tickets.store(true, Ordering::Relaxed);
        match verb {
            Verb::Resolve { .. } | Verb::Dismiss { .. } | Verb::Ticket { .. } => {
                if let Err(error) = self.keep_tickets(true).await {
                    tracing::warn!(%error, "tickets were not closed; the next sweep does it");
                }
            }
            Verb::Pause => self.note_pause(true),
            Verb::Resume => {
                self.note_pause(false);
                self.after_receipt().await;
            }
            Verb::Release { .. } | Verb::Replay { .. } | Verb::Redeliver { .. } => {
                self.after_receipt().await;
            }
        }
    }

    /// Who paused the queue, if it is paused.
    ///
    /// # Errors
    /// When the store cannot be reached.
    pub async fn paused(&self) -> Result<Option<Paused>, StoreError> {
        self.inner.store.paused().await
    }

    /// Whether operators pause the queue, as of a second ago.
    pub(super) async fn is_paused(&self) -> Result<bool, StoreError> {
        let known = *self.inner.paused.lock().unwrap_or_else(PoisonError::into_inner);
        let now = self.inner.clock.now();
        if let Some((read, paused)) = known
            && read <= now
            && now - read < PAUSE_SEEN
        {
            return Ok(paused);
        }
        let paused = self.inner.store.paused().await?.is_some();
        self.note_pause(paused);
        Ok(paused)
    }

    fn note_pause(&self, paused: bool) {
        let seen = Some((self.inner.clock.now(), paused));
        *self.inner.paused.lock().unwrap_or_else(PoisonError::into_inner) = seen;
    }
}
