//! What follows from failures, beside the state: retries, tickets, and the pause of the queue.

use std::sync::atomic::Ordering;
use std::sync::{MutexGuard, PoisonError};

use super::{Billing, observe};
use crate::changes::{Effects, Settlement};
use crate::decide::{Failed, LATELY, queue_paused};
use crate::error::StoreError;
use crate::keys::{AccountKey, SubjectKey, Tenant};
use crate::queue::{Breaker, ErrorClass, Failure, Next, Tried, Turn};
use crate::store::{ClaimedEntry, ClaimedEvent, Delivery};
use crate::ticket::{TicketContext, TicketKind, TicketStatus};

/// A turn of the breaker.
#[derive(Clone, Debug)]
pub(super) struct Turned {
    paused: bool,
    /// What failed last.
    last: Option<Failure>,
}

/// Tickets that the sink is told of in one go.
const TOLD_AT_ONCE: u32 = 100;

impl Billing {
    pub(super) fn breaker(&self) -> MutexGuard<'_, Breaker> {
        self.inner.breaker.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Settles an event that failed: again later, or never.
    pub(super) async fn fail(
        &self,
        claimed: &ClaimedEvent,
        failure: Failure,
    ) -> Result<&'static str, StoreError> {
        let failure = self.weigh(failure).await?;
        let key = &claimed.event.key;
        let tried =
            Tried { key: &key.id, attempts: claimed.attempts, deferrals: claimed.deferrals };
        let next = self.inner.backoff.next(&failure, &tried);
        observe::failed(failure.class);
        tracing::warn!(
            code = failure.code,
            class = failure.class.as_str(),
            again = next != Next::Dead,
            "an event failed: {}",
            failure.message
        );
        let failing = match next {
            Next::Defer(_) => false,
            Next::Retry(_) => self.inner.backoff.is_failing(claimed.attempts + 1),
            Next::Dead => true,
        };
        let effects = if failing {
            let failed = Failed {
                kind: TicketKind::DeadEvent,
                what: &claimed.event.event_type,
                id: &key.id,
                failure: &failure,
                dead: next == Next::Dead,
            };
            let context = TicketContext::of_event(&claimed.event.payload);
            self.ticket_of(&key.tenant, &failed, context).await?
        } else {
            Effects::default()
        };
        let now = self.inner.clock.now();
        let settlement = match next {
            Next::Retry(delay) => Settlement::Retry { due: now + delay, failure },
            Next::Defer(delay) => Settlement::Deferred { due: now + delay, failure },
            Next::Dead => Settlement::Dead(failure),
        };
        self.settle_with(claimed, settlement, None, effects).await
    }

    /// An event did not fail. The first one after a pause opens the queue.
    pub(super) async fn succeeded(&self, outcome: &'static str) -> Result<(), StoreError> {
        if matches!(outcome, "lost" | "released") {
            return Ok(());
        }
        let turn = self.breaker().record(false, self.inner.clock.now());
        if turn == Some(Turn::Resumed) {
            tracing::info!("an event went through; the queue runs again");
            self.turned(Turned { paused: false, last: None }).await;
        }
        Ok(())
    }

    /// While most work fails no single event is blamed.
    async fn weigh(&self, failure: Failure) -> Result<Failure, StoreError> {
        if failure.class != ErrorClass::Transient {
            return Ok(failure);
        }
        let (turn, paused) = {
            let mut breaker = self.breaker();
            let turn = breaker.record(true, self.inner.clock.now());
            (turn, breaker.paused_since().is_some())
        };
        if turn == Some(Turn::Paused) {
            tracing::error!(code = failure.code, "most events fail; the queue pauses");
            self.turned(Turned { paused: true, last: Some(failure.clone()) }).await;
        }
        Ok(if paused { Failure { class: ErrorClass::Systemic, ..failure } } else { failure })
    }

    async fn turned(&self, turned: Turned) {
        observe::queue_paused(turned.paused);
        *self.untold() = Some(turned);
        self.tell_turn().await;
    }

    fn untold(&self) -> MutexGuard<'_, Option<Turned>> {
        self.inner.untold.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Tells of the breaker's last turn if nobody was told. The turn holds all the same: where its
    /// ticket cannot be written, the next round tries again.
    pub(super) async fn tell_turn(&self) {
        let Some(turned) = self.untold().take() else { return };
        if let Err(error) = self.tell_pause(turned.paused, turned.last.as_ref()).await {
            tracing::warn!(%error, "the queue's turn was not told; the next round does it");
            // Unless it has turned again meanwhile.
            self.untold().get_or_insert(turned);
        }
    }

    async fn tell_pause(&self, paused: bool, last: Option<&Failure>) -> Result<(), StoreError> {
        let tenant = Tenant { stripe_account: None, livemode: self.inner.livemode == Some(true) };
        let key = TicketKind::QueuePaused.as_str();
        let known = self.inner.store.ticket(&tenant, key).await?;
        let effects = queue_paused(known.as_ref(), paused, last);
        self.record(SubjectKey { tenant, id: key.to_owned() }, effects).await
    }

    async fn record(&self, subject: SubjectKey, effects: Effects) -> Result<(), StoreError> {
        let effects = Effects { shadow: self.inner.shadow, ..effects };
        self.inner.store.record_effects(&subject, &effects, self.inner.clock.now()).await
    }

    /// The ticket of what fails like this, with what whoever takes it up has to know.
    async fn ticket_of(
        &self,
        tenant: &Tenant,
        failed: &Failed<'_>,
        mut context: TicketContext,
    ) -> Result<Effects, StoreError> {
        self.inner.has_tickets.store(true, Ordering::Relaxed);
        let now = self.inner.clock.now();
        let store = &self.inner.store;
        let known = store.known_failure(tenant, &failed.key(), now - LATELY).await?;
        if let Some(customer) = &context.customer {
            let key = SubjectKey { tenant: tenant.clone(), id: customer.clone() };
            let subject = store.subject(&key).await?;
            context.account = subject.and_then(|it| it.links.account().map(str::to_owned));
        }
        if let Some(account) = &context.account {
            let stripe_account = tenant.stripe_account.clone();
            let key = AccountKey { stripe_account, account: account.clone() };
            context.access = self.access(key).await.ok().map(|access| access.access);
        }
        Ok(Effects { shadow: self.inner.shadow, ..failed.effects(&known, context, now) })
    }

    /// How a message ends that was not taken. One that is given up has a ticket.
    pub(super) async fn fail_message(
        &self,
        claimed: &ClaimedEntry,
        failure: Failure,
    ) -> Result<Delivery, StoreError> {
        let key = &claimed.entry.key;
        let tried = Tried { key, attempts: claimed.attempts, deferrals: claimed.deferrals };
        let next = self.inner.backoff.next(&failure, &tried);
        observe::failed(failure.class);
        tracing::warn!(
            key,
            code = failure.code,
            again = next != Next::Dead,
            "a message was not taken: {}",
            failure.message
        );
        let now = self.inner.clock.now();
        Ok(match next {
            Next::Retry(delay) => Delivery::Retry { due: now + delay, failure },
            Next::Defer(delay) => Delivery::Deferred { due: now + delay, failure },
            Next::Dead => {
                let failed = Failed {
                    kind: TicketKind::DeadMessage,
                    what: claimed.entry.message.kind(),
                    id: key,
                    failure: &failure,
                    dead: true,
                };
                let context =
                    TicketContext { account: claimed.account.clone(), ..TicketContext::default() };
                let tenant = &claimed.subject.tenant;
                let effects = self.ticket_of(tenant, &failed, context).await?;
                Delivery::Dead { failure, effects: Box::new(effects) }
            }
        })
    }

    /// Closes tickets of which nothing fails any more, and tells the sink what changed. Workers do
    /// it now and then; [`Billing::process_due`] when this process knows of any.
    pub(super) async fn keep_tickets(&self, always: bool) -> Result<u64, StoreError> {
        if !always && !self.inner.has_tickets.load(Ordering::Relaxed) {
            return Ok(0);
        }
        // Before the sweep: what is opened meanwhile is swept again.
        self.inner.has_tickets.store(false, Ordering::Relaxed);
        let swept = self.inner.store.close_tickets(self.inner.clock.now()).await;
        if swept.as_ref().map_or(true, |swept| swept.open > 0) {
            self.inner.has_tickets.store(true, Ordering::Relaxed);
        }
        let swept = swept?;
        self.tell_tickets().await?;
        Ok(swept.closed)
    }

    /// Tells the sink of tickets that changed. What it refuses is told again.
    async fn tell_tickets(&self) -> Result<(), StoreError> {
        let Some(sink) = self.inner.tickets.as_ref().filter(|_| !self.inner.shadow) else {
            return Ok(());
        };
        for news in self.inner.store.ticket_news(TOLD_AT_ONCE).await? {
            let is_open = news.ticket.status != TicketStatus::Resolved;
            let told = match (news.told_open, is_open) {
                (None | Some(false), true) => sink.open(&news.ticket),
                (Some(true), true) => sink.append(&news.ticket),
                (_, false) => sink.close(&news.ticket),
            };
            if let Err(failure) = self.guarded(told, "ticket_sink_failed").await {
                tracing::warn!(ticket = news.ticket.key, "not told: {}", failure.message);
                self.inner.has_tickets.store(true, Ordering::Relaxed);
                return Ok(());
            }
            self.inner.store.ticket_told(&news).await?;
        }
        Ok(())
    }

    /// Takes up what failed for a configuration that has changed since. Called at the start of
    /// workers.
    ///
    /// # Errors
    /// When the store cannot be reached.
    pub async fn release_config(&self) -> Result<u64, StoreError> {
        let now = self.inner.clock.now();
        self.inner.store.release_config(&self.inner.configuration, now).await
    }
}
