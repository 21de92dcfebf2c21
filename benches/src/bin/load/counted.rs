//! A store that counts what it is asked, so that a run can say what it did and when it is done.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};

use async_trait::async_trait;
use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use stripe_billing_core::changes::{Changes, Effects, Settlement};
use stripe_billing_core::ledger::{
    Account, Answer, Entry, LedgerKey, Rebuild, Recounted, Refusal, Request, Scope,
};
use stripe_billing_core::notice::NoticeKind;
use stripe_billing_core::queue::{ClaimRequest, Lease};
use stripe_billing_core::state::Subject;
use stripe_billing_core::store::{
    Attempt, AuditLine, AuditQuery, Backlog, Call, CallStore, Carried, ClaimedEntry, ClaimedEvent,
    Commit, CreditLedger, Decided, Delivery, EntryQuery, EventQuery, EventRange, EventStore,
    EventSummary, Inspect, KnownFailure, LedgerTerms, LoadRequest, Maintain, Operate, Order,
    Outbox, Paused, Receipt, ReceivedEvent, Records, Settled, Stats, StoredEvent, TicketNews,
    TicketQuery, TicketSweep, Told, Usage, UsageQuery,
};
use stripe_billing_core::ticket::Ticket;
use stripe_billing_core::{AccountKey, StoreError, SubjectKey, Tenant};
use stripe_billing_seaorm::SeaOrmStore;
use tokio::sync::Notify;

#[derive(Debug)]
pub(crate) struct Counted {
    store: SeaOrmStore,
    counts: Counts<AtomicU64>,
    /// Events that are to come to rest in all.
    events: AtomicU64,
    pub(crate) idle: Notify,
}

/// Calls by what they came to.
#[derive(Clone, Copy, Debug, Default, Serialize, Deserialize)]
pub(crate) struct Counts<N = u64> {
    pub(crate) claims: N,
    pub(crate) loads: N,
    pub(crate) commits: N,
    /// Commits of several events.
    pub(crate) together: N,
    pub(crate) conflicts: N,
    /// Events that came to rest without a commit.
    pub(crate) settled: N,
    /// Events that did not come to rest: failed, released, taken over.
    pub(crate) troubled: N,
    pub(crate) outbox_claims: N,
    pub(crate) facts: N,
}

impl Counts {
    /// Events that have come to rest.
    pub(crate) fn rested(&self) -> u64 {
        self.commits + self.settled
    }
}

impl std::ops::Sub for Counts {
    type Output = Self;

    fn sub(self, earlier: Self) -> Self {
        Self {
            claims: self.claims - earlier.claims,
            loads: self.loads - earlier.loads,
            commits: self.commits - earlier.commits,
            together: self.together - earlier.together,
            conflicts: self.conflicts - earlier.conflicts,
            settled: self.settled - earlier.settled,
            troubled: self.troubled - earlier.troubled,
            outbox_claims: self.outbox_claims - earlier.outbox_claims,
            facts: self.facts - earlier.facts,
        }
    }
}

fn one(count: &AtomicU64) {
    count.fetch_add(1, Ordering::Relaxed);
}

impl Counted {
    pub(crate) fn new(store: SeaOrmStore) -> Self {
        let (counts, events) = (Counts::default(), AtomicU64::new(u64::MAX));
        Self { store, counts, events, idle: Notify::new() }
    }

    /// Tells `idle` when so many events have come to rest and no fact is left.
    pub(crate) fn until(&self, events: u64) {
        self.events.store(events, Ordering::Relaxed);
    }

    pub(crate) fn counts(&self) -> Counts {
        let read = |count: &AtomicU64| count.load(Ordering::Relaxed);
        let counts = &self.counts;
        Counts {
            claims: read(&counts.claims),
            loads: read(&counts.loads),
            commits: read(&counts.commits),
            together: read(&counts.together),
            conflicts: read(&counts.conflicts),
            settled: read(&counts.settled),
            troubled: read(&counts.troubled),
            outbox_claims: read(&counts.outbox_claims),
            facts: read(&counts.facts),
        }
    }
}

#[async_trait]
impl EventStore for Counted {
    async fn receive(&self, event: ReceivedEvent) -> Result<Receipt, StoreError> {
        self.store.receive(event).await
    }

    async fn claim(&self, request: &ClaimRequest) -> Result<Vec<ClaimedEvent>, StoreError> {
        one(&self.counts.claims);
        self.store.claim(request).await
    }

    async fn load(&self, request: &LoadRequest) -> Result<Vec<Subject>, StoreError> {
        one(&self.counts.loads);
        self.store.load(request).await
    }

    async fn commit(&self, lease: &Lease, changes: &Changes) -> Result<Commit, StoreError> {
        let commit = self.store.commit(lease, changes).await?;
        one(match commit {
            Commit::Done => &self.counts.commits,
            Commit::Conflict => &self.counts.conflicts,
            Commit::LeaseLost => &self.counts.troubled,
        });
        Ok(commit)
    }

    async fn commit_all(&self, decided: &[Decided<'_>]) -> Result<usize, StoreError> {
        let written = self.store.commit_all(decided).await?;
        one(&self.counts.together);
        self.counts.commits.fetch_add(written as u64, Ordering::Relaxed);
        if written == 0 {
            one(&self.counts.conflicts);
        }
        Ok(written)
    }

    async fn settle(&self, lease: &Lease, settled: &Settled) -> Result<bool, StoreError> {
        let rests = !matches!(
            settled.settlement,
            Settlement::Released
                | Settlement::Retry { .. }
                | Settlement::Deferred { .. }
                | Settlement::Dead(_)
        );
        one(if rests { &self.counts.settled } else { &self.counts.troubled });
        self.store.settle(lease, settled).await
    }

    async fn release_parked(&self, catalog: &str, now: DateTime<Utc>) -> Result<u64, StoreError> {
        self.store.release_parked(catalog, now).await
    }
}

#[async_trait]
impl Outbox for Counted {
    async fn claim_outbox(&self, request: &ClaimRequest) -> Result<Vec<ClaimedEntry>, StoreError> {
        let entries = self.store.claim_outbox(request).await?;
        one(&self.counts.outbox_claims);
        let counts = self.counts();
        if entries.is_empty()
            && counts.commits + counts.settled >= self.events.load(Ordering::Relaxed)
        {
            self.idle.notify_one();
        }
        Ok(entries)
    }

    async fn settle_outbox(
        &self,
        leases: &[Lease],
        delivery: &Delivery,
        now: DateTime<Utc>,
    ) -> Result<u64, StoreError> {
        one(&self.counts.facts);
        self.store.settle_outbox(leases, delivery, now).await
    }

    async fn told_since(
        &self,
        tenant: &Tenant,
        subjects: &[String],
        kinds: &[NoticeKind],
        since: DateTime<Utc>,
    ) -> Result<Vec<Told>, StoreError> {
        self.store.told_since(tenant, subjects, kinds, since).await
    }
}

#[async_trait]
impl CallStore for Counted {
    async fn begin_call(
        &self,
        key: &str,
        fingerprint: &str,
        now: DateTime<Utc>,
    ) -> Result<Call, StoreError> {
        self.store.begin_call(key, fingerprint, now).await
    }

    async fn finish_call(
        &self,
        key: &str,
        generation: i64,
        result: &str,
    ) -> Result<bool, StoreError> {
        self.store.finish_call(key, generation, result).await
    }

    async fn restart_call(
        &self,
        key: &str,
        generation: i64,
        fingerprint: &str,
        now: DateTime<Utc>,
    ) -> Result<bool, StoreError> {
        self.store.restart_call(key, generation, fingerprint, now).await
    }
}

#[async_trait]
impl CreditLedger for Counted {
    async fn execute(
        &self,
        key: &LedgerKey,
        request: &Request,
        terms: &LedgerTerms,
    ) -> Result<Result<Answer, Refusal>, StoreError> {
        self.store.execute(key, request, terms).await
    }

    async fn account(&self, key: &LedgerKey, scope: Scope) -> Result<Option<Account>, StoreError> {
        self.store.account(key, scope).await
    }

    async fn accounts_of(
        &self,
        owner: &AccountKey,
        livemode: Option<bool>,
    ) -> Result<Vec<Account>, StoreError> {
        self.store.accounts_of(owner, livemode).await
    }

    async fn entries(&self, query: &EntryQuery) -> Result<Vec<Entry>, StoreError> {
        self.store.entries(query).await
    }

    async fn due(&self, now: DateTime<Utc>, limit: u32) -> Result<Vec<LedgerKey>, StoreError> {
        self.store.due(now, limit).await
    }

    async fn ledger_keys(
        &self,
        after: Option<&LedgerKey>,
        limit: u32,
    ) -> Result<Vec<LedgerKey>, StoreError> {
        self.store.ledger_keys(after, limit).await
    }

    async fn roll_up(&self, limit: u32) -> Result<u64, StoreError> {
        self.store.roll_up(limit).await
    }

    async fn rebuild(
        &self,
        key: &LedgerKey,
        by: &Rebuild,
    ) -> Result<Result<Vec<Recounted>, Refusal>, StoreError> {
        self.store.rebuild(key, by).await
    }

    async fn rebuild_usage(&self, key: &LedgerKey) -> Result<(), StoreError> {
        self.store.rebuild_usage(key).await
    }

    async fn usage(&self, query: &UsageQuery) -> Result<Vec<Usage>, StoreError> {
        self.store.usage(query).await
    }
}

#[async_trait]
impl Inspect for Counted {
    async fn subjects_of(
        &self,
        account: &AccountKey,
        livemode: Option<bool>,
        records: Records,
    ) -> Result<Vec<Subject>, StoreError> {
        self.store.subjects_of(account, livemode, records).await
    }

    async fn subject(&self, key: &SubjectKey) -> Result<Option<Subject>, StoreError> {
        self.store.subject(key).await
    }

    async fn notices(
        &self,
        tenant: &Tenant,
        subjects: &[String],
        now: DateTime<Utc>,
    ) -> Result<BTreeMap<String, u64>, StoreError> {
        self.store.notices(tenant, subjects, now).await
    }

    async fn events(&self, query: &EventQuery) -> Result<Vec<EventSummary>, StoreError> {
        self.store.events(query).await
    }

    async fn events_by_id(&self, id: &str) -> Result<Vec<StoredEvent>, StoreError> {
        self.store.events_by_id(id).await
    }

    async fn stored_events(&self, range: &EventRange) -> Result<Vec<StoredEvent>, StoreError> {
        self.store.stored_events(range).await
    }

    async fn count_replayable(&self, range: &EventRange) -> Result<u64, StoreError> {
        self.store.count_replayable(range).await
    }

    async fn tickets(&self, query: &TicketQuery) -> Result<Vec<Ticket>, StoreError> {
        self.store.tickets(query).await
    }

    async fn audit(&self, query: &AuditQuery) -> Result<Vec<AuditLine>, StoreError> {
        self.store.audit(query).await
    }

    async fn stats(&self, now: DateTime<Utc>) -> Result<Stats, StoreError> {
        self.store.stats(now).await
    }

    async fn backlog(&self) -> Result<Backlog, StoreError> {
        self.store.backlog().await
    }

    async fn ping(&self) -> Result<(), StoreError> {
        self.store.ping().await
    }
}

#[async_trait]
impl Maintain for Counted {
    async fn prune(&self, before: DateTime<Utc>, limit: u32) -> Result<u64, StoreError> {
        self.store.prune(before, limit).await
    }

    async fn prune_attempts(&self, before: DateTime<Utc>, limit: u32) -> Result<u64, StoreError> {
        self.store.prune_attempts(before, limit).await
    }

    async fn erase(&self, subject: &SubjectKey) -> Result<u64, StoreError> {
        self.store.erase(subject).await
    }
}

#[async_trait]
impl Operate for Counted {
    async fn operate(&self, order: &Order) -> Result<Carried, StoreError> {
        self.store.operate(order).await
    }

    async fn paused(&self) -> Result<Option<Paused>, StoreError> {
        self.store.paused().await
    }

    async fn known_failure(
        &self,
        tenant: &Tenant,
        key: &str,
        since: DateTime<Utc>,
    ) -> Result<KnownFailure, StoreError> {
        self.store.known_failure(tenant, key, since).await
    }

    async fn ticket(&self, tenant: &Tenant, key: &str) -> Result<Option<Ticket>, StoreError> {
        self.store.ticket(tenant, key).await
    }

    async fn record_effects(
        &self,
        subject: &SubjectKey,
        effects: &Effects,
        now: DateTime<Utc>,
    ) -> Result<(), StoreError> {
        self.store.record_effects(subject, effects, now).await
    }

    async fn close_tickets(&self, now: DateTime<Utc>) -> Result<TicketSweep, StoreError> {
        self.store.close_tickets(now).await
    }

    async fn ticket_news(&self, limit: u32) -> Result<Vec<TicketNews>, StoreError> {
        self.store.ticket_news(limit).await
    }

    async fn ticket_told(&self, news: &TicketNews) -> Result<(), StoreError> {
        self.store.ticket_told(news).await
    }

    async fn release_config(
        &self,
        configuration: &str,
        now: DateTime<Utc>,
    ) -> Result<u64, StoreError> {
        self.store.release_config(configuration, now).await
    }

    async fn attempts(&self, seq: i64) -> Result<Vec<Attempt>, StoreError> {
        self.store.attempts(seq).await
    }
}
