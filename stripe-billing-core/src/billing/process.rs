use std::borrow::Cow;
use std::collections::BTreeSet;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::Instant;

use tracing::Instrument;

use super::batch::{Input, Known, Read, Work};
use super::command::Command;
use super::lookup::Undecided;
use super::{Billing, observe};
use crate::catalog::ConnectedAccounts;
use crate::changes::{Changes, Effects, IgnoreReason, Settlement};
use crate::decide::{Decision, Terms, dead_event, decide};
use crate::error::{ErrorKind, StoreError};
use crate::keys::{AccountKey, Tenant};
use crate::queue::{ClaimRequest, ErrorClass, Failure};
use crate::state::{Family, Patch};
use crate::store::{ClaimedEvent, Commit, ReceivedEvent, Settled};
use crate::stripe::{Event, ThinEvent};
use crate::webhook::EventKind;

/// Tries to commit on a version that keeps moving, before the event waits its turn again.
const MAX_CONFLICTS: u32 = 16;
/// Leases that may run out before an event is taken for the cause.
const MAX_CRASHES: u32 = 5;

/// What a round of work came to, in counts.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Report {
    /// Events that changed something.
    pub processed: u64,
    /// Events that had no effect.
    pub ignored: u64,
    /// Events that wait for a link or a price.
    pub parked: u64,
    /// Events that failed and will be tried again.
    pub retried: u64,
    /// Events that failed for good.
    pub dead: u64,
    /// Facts handed over.
    pub delivered: u64,
}

impl Report {
    /// Whether there was anything to do.
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }

    pub(super) fn add(&mut self, other: Self) {
        self.processed += other.processed;
        self.ignored += other.ignored;
        self.parked += other.parked;
        self.retried += other.retried;
        self.dead += other.dead;
        self.delivered += other.delivered;
    }

    fn count(&mut self, outcome: &'static str) {
        match outcome {
            "processed" => self.processed += 1,
            "ignored" => self.ignored += 1,
            "parked" => self.parked += 1,
            "retry" => self.retried += 1,
            "dead" => self.dead += 1,
            _ => {}
        }
    }
}

impl Billing {
    /// Processes everything that is due, events and then the facts that follow from them, and
    /// returns when nothing is left. For cron, serverless and tests; safe to run anywhere, at any
    /// time, beside workers.
    ///
    /// # Errors
    /// When the store cannot be reached. What was not processed is still due.
    pub async fn process_due(&self) -> Result<Report, StoreError> {
        let mut report = Report::default();
        loop {
            let mut round = self.process_batch().await?;
            round.add(self.dispatch_batch().await?);
            if round.is_empty() {
                return Ok(report);
            }
            report.add(round);
        }
    }

    /// Takes up what waited for a price that the catalog has now. Called at the start of workers.
    ///
    /// # Errors
    /// When the store cannot be reached.
    pub async fn release_parked(&self) -> Result<u64, StoreError> {
        let now = self.inner.clock.now();
        self.inner.store.release_parked(self.inner.catalog.fingerprint(), now).await
    }

    pub(super) fn claim_request(&self) -> ClaimRequest {
        ClaimRequest {
            worker: self.inner.worker.clone(),
            limit: self.inner.batch,
            lease: self.inner.lease,
            now: self.inner.clock.now(),
        }
    }

    /// Claims a batch and processes it, one event after the other.
    pub(super) async fn process_batch(&self) -> Result<Report, StoreError> {
        let mut report = Report::default();
        let claimed = self.inner.store.claim(&self.claim_request()).await?;
        let read = |claimed| Work { input: self.read(&claimed), claimed };
        let batch: Vec<Work> = claimed.into_iter().map(read).collect();
        let mut known = Known::of(&batch);
        for (index, work) in batch.iter().enumerate() {
            let waited = self.inner.clock.now() - work.claimed.event.received_at;
            observe::waited(waited.num_milliseconds().max(0) as f64 / 1_000.0);
            let started = Instant::now();
            match self.process(work, &mut known).await {
                Ok(outcome) => {
                    observe::processed(outcome, started.elapsed());
                    report.count(outcome);
                }
                Err(error) => {
                    self.give_back(&batch[index..]).await;
                    return Err(error);
                }
            }
        }
        Ok(report)
    }

    /// Hands leases back when the store fails, so that nobody has to wait for them to run out and
    /// no event is blamed. If that fails too, they do run out.
    async fn give_back(&self, batch: &[Work]) {
        let settled = Settled {
            settlement: Settlement::Released,
            subject: None,
            effects: Effects::default(),
            now: self.inner.clock.now(),
        };
        for work in batch {
            if self.inner.store.settle(&work.claimed.lease, &settled).await.is_err() {
                return;
            }
        }
    }

    /// Processes one event, and says how it ended. An error is the store's and leaves the event
    /// leased.
    async fn process(&self, work: &Work, known: &mut Known) -> Result<&'static str, StoreError> {
        let claimed = &work.claimed;
        let event = &claimed.event;
        let span = tracing::info_span!(
            "process", event = %event.key.id, kind = %event.event_type, attempt = claimed.attempts + 1,
        );
        async {
            let ended = self.decide_and_commit(work, known).await;
            let failure = match ended {
                Ok(outcome) => return Ok(outcome),
                Err(error)
                    if matches!(error.kind(), ErrorKind::Unavailable | ErrorKind::Timeout) =>
                {
                    return Err(error);
                }
                Err(error) => failure_of(&error),
            };
            let settlement = self.after_failure(claimed, failure);
            self.settle(claimed, settlement, None).await
        }
        .instrument(span)
        .await
    }

    async fn decide_and_commit(
        &self,
        Work { claimed, input }: &Work,
        known: &mut Known,
    ) -> Result<&'static str, StoreError> {
        let read = match self.prepare(claimed, input).await {
            Ok(read) => read,
            Err(undecided) => return self.leave(claimed, undecided).await,
        };
        let tenant = &claimed.event.key.tenant;
        for _ in 0..MAX_CONFLICTS {
            let mut family = known.family(&self.inner.store, tenant, &read.patch).await?;
            let found = match self.look_up(tenant, &read, &family).await {
                Ok(found) => found,
                Err(undecided) => return self.leave(claimed, undecided).await,
            };
            if let Some(patch) = &found {
                // More names, perhaps; the subject's version stays the one read before Stripe.
                let version = (family.subject.key.clone(), family.subject.version);
                family = known.family(&self.inner.store, tenant, patch).await?;
                let same = version == (family.subject.key.clone(), family.subject.version);
                if !same && read.live.is_some() {
                    continue;
                }
            }
            let terms = Terms {
                catalog: &self.inner.catalog,
                now: self.inner.clock.now(),
                event: &claimed.event.key.id,
                shadow: self.inner.shadow,
            };
            let patch = found.as_ref().unwrap_or(&read.patch);
            let decision = catch_unwind(AssertUnwindSafe(|| decide(&family, patch, &terms)));
            let changes = match decision {
                Ok(Decision::Commit(changes)) => changes,
                Ok(Decision::Settle(settlement)) => {
                    let about = Some(family.subject.key.id);
                    return self.settle(claimed, settlement, about).await;
                }
                Err(_) => return self.settle(claimed, Settlement::Dead(panicked()), None).await,
            };
            match self.inner.store.commit(&claimed.lease, &changes).await? {
                Commit::Done => {
                    self.after_commit(&family, &changes).await;
                    known.committed(family, &changes);
                    return Ok(outcome(&changes.settlement));
                }
                Commit::Conflict => {
                    observe::conflict();
                    known.forget(tenant);
                }
                Commit::LeaseLost => return Ok("lost"),
            }
        }
        self.settle(claimed, Settlement::Released, None).await
    }

    /// What the event adds, with what only Stripe can say of it.
    async fn prepare<'a>(
        &self,
        claimed: &ClaimedEvent,
        input: &'a Input,
    ) -> Result<Cow<'a, Read>, Undecided> {
        let tenant = &claimed.event.key.tenant;
        let read = match input {
            Input::Settled(settlement) => {
                if *settlement == Settlement::Ignored(IgnoreReason::Unhandled) {
                    self.offer(&claimed.event).await?;
                }
                return Err(Undecided::Settled(settlement.clone()));
            }
            Input::Thin(thin) => return self.read_thin(tenant, thin).await.map(Cow::Owned),
            Input::Read(read) => read,
        };
        Ok(match self.complete(tenant, &read.event).await? {
            None => Cow::Borrowed(read.as_ref()),
            Some(event) => match Patch::of(&event, self.inner.catalog.link()) {
                Some(patch) => Cow::Owned(Read { event, patch, live: None }),
                None => Cow::Borrowed(read.as_ref()),
            },
        })
    }

    /// Ends or puts off an event that cannot be decided on.
    async fn leave(
        &self,
        claimed: &ClaimedEvent,
        undecided: Undecided,
    ) -> Result<&'static str, StoreError> {
        let settlement = match undecided {
            Undecided::Settled(settlement) => settlement,
            Undecided::Failed(failure) => self.after_failure(claimed, failure),
        };
        self.settle(claimed, settlement, None).await
    }

    /// Reads the event and what it adds, or says at once how it ends.
    pub(super) fn read(&self, claimed: &ClaimedEvent) -> Input {
        self.try_read(claimed).unwrap_or_else(Input::Settled)
    }

    fn try_read(&self, claimed: &ClaimedEvent) -> Result<Input, Settlement> {
        let received = &claimed.event;
        if claimed.crashes >= MAX_CRASHES {
            let message = format!("the lease ran out {} times without a result", claimed.crashes);
            let failure = Failure::new(ErrorClass::Poison, "lease_lost", message);
            return Err(Settlement::Dead(failure));
        }
        if let Some(reason) = self.foreign(received) {
            return Err(Settlement::Ignored(reason));
        }
        let corrupt = |error: &dyn std::error::Error| {
            let failure = Failure::new(ErrorClass::Permanent, "corrupt_payload", error.to_string());
            Settlement::Dead(failure)
        };
        let panicked = |_| Settlement::Dead(panicked());
        let link = self.inner.catalog.link();
        Ok(match received.kind {
            EventKind::Thin => {
                let thin = ThinEvent::parse(&received.payload).map_err(|e| corrupt(&e))?;
                Input::Thin(thin)
            }
            EventKind::Command => {
                let command = Command::parse(&received.payload).map_err(|e| corrupt(&e))?;
                Input::Read(Box::new(command.read(received)))
            }
            EventKind::Snapshot => {
                let event = Event::parse(&received.payload).map_err(|error| corrupt(&error))?;
                let patch = catch_unwind(AssertUnwindSafe(|| Patch::of(&event, link)))
                    .map_err(panicked)?
                    .ok_or(Settlement::Ignored(IgnoreReason::Unhandled))?;
                Input::Read(Box::new(Read { event, patch, live: None }))
            }
        })
    }

    /// Why an event is not for us, if it is not.
    fn foreign(&self, event: &ReceivedEvent) -> Option<IgnoreReason> {
        let tenant = &event.key.tenant;
        let ignored = self.inner.catalog.policy().connected_accounts == ConnectedAccounts::Ignore;
        if self.inner.livemode.is_some_and(|mode| mode != tenant.livemode) {
            Some(IgnoreReason::OtherMode)
        } else if tenant.stripe_account.is_some() && ignored {
            Some(IgnoreReason::ConnectedAccount)
        } else {
            None
        }
    }

    /// The cache forgets whoever the commit touched: the account it belongs to, and the one it
    /// belonged to before.
    async fn after_commit(&self, family: &Family, changes: &Changes) {
        let before = family.orphans.iter().chain([&family.subject]);
        let accounts: BTreeSet<&str> = before
            .filter_map(|subject| subject.links.account())
            .chain(changes.account.as_deref())
            .collect();
        for account in accounts {
            self.forget_account(&changes.subject.tenant, account).await;
        }
    }

    /// The cache forgets an account, and who listens is told.
    pub(super) async fn forget_account(&self, tenant: &Tenant, account: &str) {
        let key = AccountKey {
            stripe_account: tenant.stripe_account.clone(),
            account: account.to_owned(),
        };
        self.inner.cache.invalidate(&key).await;
        #[cfg(feature = "tokio")]
        self.inner.signals.changed(&key);
    }

    /// Offers an event without a rule to the app.
    async fn offer(&self, event: &ReceivedEvent) -> Result<(), Undecided> {
        let Some(handler) = self.inner.unhandled.as_ref().filter(|_| !self.inner.shadow) else {
            return Ok(());
        };
        let Err(error) = handler.handle(event).await else { return Ok(()) };
        let class =
            if error.is_retryable() { ErrorClass::Transient } else { ErrorClass::Permanent };
        Err(Undecided::Failed(Failure::new(class, "handler_failed", error.to_string())))
    }

    fn after_failure(&self, claimed: &ClaimedEvent, failure: Failure) -> Settlement {
        let delay = match failure.class {
            ErrorClass::Transient => {
                self.inner.backoff.delay(&claimed.event.key.id, claimed.attempts + 1)
            }
            _ => None,
        };
        tracing::warn!(
            code = failure.code,
            retry = delay.is_some(),
            "an event failed: {}",
            failure.message
        );
        match delay {
            Some(delay) => Settlement::Retry { due: self.inner.clock.now() + delay, failure },
            None => Settlement::Dead(failure),
        }
    }

    async fn settle(
        &self,
        claimed: &ClaimedEvent,
        settlement: Settlement,
        subject: Option<String>,
    ) -> Result<&'static str, StoreError> {
        let outcome = outcome(&settlement);
        let effects = match &settlement {
            Settlement::Dead(failure) => Effects {
                shadow: self.inner.shadow,
                ..dead_event(&claimed.event.key.id, &claimed.event.event_type, failure)
            },
            _ => Effects::default(),
        };
        let settled = Settled { settlement, subject, effects, now: self.inner.clock.now() };
        let held = self.inner.store.settle(&claimed.lease, &settled).await?;
        Ok(if held { outcome } else { "lost" })
    }
}

pub(super) fn outcome(settlement: &Settlement) -> &'static str {
    match settlement {
        Settlement::Processed => "processed",
        Settlement::Ignored(_) => "ignored",
        Settlement::Parked(_) => "parked",
        Settlement::Retry { .. } => "retry",
        Settlement::Dead(_) => "dead",
        Settlement::Released => "released",
    }
}

fn panicked() -> Failure {
    Failure::new(ErrorClass::Poison, "panic", "a rule panicked on this event")
}

fn failure_of(error: &StoreError) -> Failure {
    let class = if error.is_retryable() { ErrorClass::Transient } else { ErrorClass::Permanent };
    let code = match error.kind() {
        ErrorKind::Conflict => "store_conflict",
        ErrorKind::KeyReused => "key_reused",
        ErrorKind::Corrupt => "store_corrupt",
        ErrorKind::Unsupported => "store_unsupported",
        _ => "store_failed",
    };
    Failure::new(class, code, error.to_string())
}
