use std::collections::BTreeSet;
use std::panic::{AssertUnwindSafe, catch_unwind};

use chrono::TimeDelta;
use tracing::Instrument;

use super::batch::{Known, Work};
use super::lookup::Undecided;
use super::{Billing, observe};
use crate::changes::{Changes, Effects, Settlement};
use crate::decide::{Decision, Terms, decide, fact_differs};
use crate::error::{ErrorKind, StoreError};
use crate::keys::{AccountKey, Tenant};
use crate::queue::{ErrorClass, Failure};
use crate::state::{Family, Patch};
use crate::store::{ClaimedEvent, Commit, Settled};

/// Tries to commit on a version that keeps moving, before the event waits its turn again.
const MAX_CONFLICTS: u32 = 16;

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
    /// Events that could not be tried yet, and were put off at no cost.
    pub deferred: u64,
    /// Events that failed for good.
    pub dead: u64,
    /// Facts and notices handed over.
    pub delivered: u64,
    /// Facts and notices that were not: no longer true, put off, or failed.
    pub undelivered: u64,
    /// Ledger accounts in which something came due.
    pub swept: u64,
    /// Ledger entries that were added to the usage figures.
    pub rolled_up: u64,
    /// Tickets that were closed, with nothing left that fails like them.
    pub closed: u64,
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
        self.deferred += other.deferred;
        self.dead += other.dead;
        self.delivered += other.delivered;
        self.undelivered += other.undelivered;
        self.swept += other.swept;
        self.rolled_up += other.rolled_up;
        self.closed += other.closed;
    }

    pub(super) fn count(&mut self, outcome: &'static str) {
        match outcome {
            "processed" => self.processed += 1,
            "ignored" => self.ignored += 1,
            "parked" => self.parked += 1,
            "retry" => self.retried += 1,
            "deferred" => self.deferred += 1,
            "dead" => self.dead += 1,
            _ => {}
        }
    }
}

impl Billing {
    /// Processes everything that is due, events and then the facts that follow from them, sweeps the
    /// ledger accounts in which something came due, and returns when nothing is left. For cron, serverless and tests; safe to run anywhere, at any
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
                // What that makes of balances may be told.
                round = self.keep_ledger().await?;
            }
            if round.is_empty() {
                report.closed += self.keep_tickets(false).await?;
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

    /// Processes one event, and says how it ended. An error is the store's and leaves the event
    /// leased.
    pub(super) async fn process(
        &self,
        work: &Work,
        known: &mut Known,
    ) -> Result<&'static str, StoreError> {
        let claimed = &work.claimed;
        async {
            let ended = self.decide_and_commit(work, known).await;
            let outcome = match ended {
                Ok(outcome) => outcome,
                Err(Undecided::Settled(settlement)) => {
                    self.settle(claimed, settlement, None).await?
                }
                Err(Undecided::Failed(failure)) => return self.fail(claimed, failure).await,
                Err(Undecided::Store(error)) if error.class() == ErrorClass::Systemic => {
                    return Err(error);
                }
                Err(Undecided::Store(error)) => {
                    return self.fail(claimed, failure_of(&error)).await;
                }
            };
            self.succeeded(outcome).await?;
            Ok(outcome)
        }
        .instrument(work.span())
        .await
    }

    async fn decide_and_commit(
        &self,
        Work { claimed, input }: &Work,
        known: &mut Known,
    ) -> Result<&'static str, Undecided> {
        let read = self.prepare(claimed, input).await?;
        let tenant = &claimed.event.key.tenant;
        for _ in 0..MAX_CONFLICTS {
            let mut family = known.family(&self.inner.store, tenant, &read.patch).await?;
            let found = self.look_up(tenant, &read, &family).await?;
            if let Some(patch) = &found {
                // More names, perhaps; the subject's version stays the one read before Stripe.
                let version = (family.subject.key.clone(), family.subject.version);
                family = known.family(&self.inner.store, tenant, patch).await?;
                let same = version == (family.subject.key.clone(), family.subject.version);
                if !same && read.live.is_some() {
                    continue;
                }
            }
            let patch = found.as_ref().unwrap_or(&read.patch);
            let mut changes = match self.decide(&claimed.event.key.id, &family, patch)? {
                Decision::Commit(changes) => changes,
                Decision::Settle(settlement) => {
                    let about = Some(family.subject.key.id);
                    return Ok(self.settle(claimed, settlement, about).await?);
                }
            };
            self.judge_event(&read.event.event_type, &claimed.event.key.id, &family, &mut changes)
                .await?;
            match self.commit(claimed, &mut changes).await? {
                Commit::Done => {
                    self.forget_accounts(tenant, &touched(&family, &changes)).await;
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
        // At once again might be for ever, if what it names can never be had.
        Err(Undecided::Failed(Failure::new(
            ErrorClass::Deferred,
            "contended",
            "others were faster each time",
        )))
    }

    /// Commits. A fact that was told in other words before stays as it was told, with a ticket: the
    /// state must not be lost over it.
    async fn commit(
        &self,
        claimed: &ClaimedEvent,
        changes: &mut Changes,
    ) -> Result<Commit, StoreError> {
        loop {
            let committed = self.inner.store.commit(&claimed.lease, changes).await;
            let reused = committed.as_ref().err().and_then(StoreError::reused_key);
            let Some(key) = reused.map(str::to_owned) else { return committed };
            if !changes.effects.outbox.iter().any(|entry| entry.key == key) {
                return committed;
            }
            tracing::error!(key, "a fact was told with other content before");
            fact_differs(&mut changes.effects, &key, &claimed.event.key.id);
        }
    }

    /// What an event comes to by what is known of its family.
    pub(super) fn decide(
        &self,
        event: &str,
        family: &Family,
        patch: &Patch,
    ) -> Result<Decision, Undecided> {
        let terms = Terms {
            catalog: &self.inner.catalog,
            now: self.inner.clock.now(),
            event,
            shadow: self.inner.shadow,
        };
        let decided = catch_unwind(AssertUnwindSafe(|| decide(family, patch, &terms)));
        decided.map_err(|_| Undecided::Failed(panicked()))
    }

    pub(super) async fn forget_accounts(&self, tenant: &Tenant, accounts: &BTreeSet<String>) {
        for account in accounts {
            self.forget_account(tenant, account).await;
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

    pub(super) async fn settle(
        &self,
        claimed: &ClaimedEvent,
        settlement: Settlement,
        subject: Option<String>,
    ) -> Result<&'static str, StoreError> {
        self.settle_with(claimed, settlement, subject, Effects::default()).await
    }

    pub(super) async fn settle_with(
        &self,
        claimed: &ClaimedEvent,
        settlement: Settlement,
        subject: Option<String>,
        effects: Effects,
    ) -> Result<&'static str, StoreError> {
        let outcome = outcome(&settlement);
        let settled = Settled { settlement, subject, effects, now: self.inner.clock.now() };
        let held = self.inner.store.settle(&claimed.lease, &settled).await?;
        Ok(if held { outcome } else { "lost" })
    }
}

/// The accounts whose state a commit changes: the one it belongs to, and the one it belonged to before.
pub(super) fn touched(family: &Family, changes: &Changes) -> BTreeSet<String> {
    let before = family.orphans.iter().chain([&family.subject]);
    let accounts = before.filter_map(|subject| subject.links.account());
    accounts.chain(changes.account.as_deref()).map(str::to_owned).collect()
}

pub(super) fn outcome(settlement: &Settlement) -> &'static str {
    match settlement {
        Settlement::Processed => "processed",
        Settlement::Ignored(_) => "ignored",
        Settlement::Parked(_) => "parked",
        Settlement::Retry { .. } => "retry",
        Settlement::Deferred { .. } => "deferred",
        Settlement::Dead(_) => "dead",
        Settlement::Released => "released",
    }
}

pub(super) fn panicked() -> Failure {
    Failure::new(ErrorClass::Poison, "panic", "a rule panicked on this event")
}

fn failure_of(error: &StoreError) -> Failure {
    let code = match error.kind() {
        ErrorKind::Unavailable | ErrorKind::Timeout => "store_unavailable",
        ErrorKind::Conflict => "store_conflict",
        ErrorKind::KeyReused => "key_reused",
        ErrorKind::Corrupt => "store_corrupt",
        ErrorKind::Unsupported => "store_unsupported",
        ErrorKind::Other => "store_failed",
    };
    let after = error.retry_after().and_then(|after| TimeDelta::from_std(after).ok());
    Failure::new(error.class(), code, error.to_string()).with_retry_after(after)
}
