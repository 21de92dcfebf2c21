//! A store that fails where it is told to.

mod script;

use std::collections::BTreeMap;
use std::future::Future;

use async_trait::async_trait;
use chrono::{DateTime, Utc};
use stripe_billing_core::changes::{Changes, Effects};
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
    Outbox, Paused, Receipt, ReceivedEvent, Records, Settled, Stats, Store, StoredEvent,
    TicketNews, TicketQuery, TicketSweep, Told, Usage, UsageQuery,
};
use stripe_billing_core::ticket::Ticket;
use stripe_billing_core::{AccountKey, StoreError, SubjectKey, Tenant};

pub use script::{Faults, Moment};

/// Wraps a store and fails where its [`Faults`] say, to test what a lost connection does at every
/// point.
///
/// ```
/// # use stripe_billing_core::MemoryStore;
/// # use stripe_billing_core::store::Inspect;
/// use stripe_billing_testing::{FaultyStore, Faults, Moment};
/// # tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(async {
/// let faults = Faults::new();
/// let store = FaultyStore::new(MemoryStore::new(), &faults);
/// faults.script(2, Moment::Before);
/// assert!(store.ping().await.is_ok());
/// assert!(store.ping().await.is_err());
/// assert!(store.ping().await.is_ok());
/// assert_eq!(faults.count(), 3);
/// # });
/// ```
#[derive(Debug)]
pub struct FaultyStore<S> {
    faults: Faults,
    inner: S,
}

impl<S: Store> FaultyStore<S> {
    /// A store with faults.
    pub fn new(inner: S, faults: &Faults) -> Self {
        Self { faults: faults.clone(), inner }
    }

    async fn call<T>(
        &self,
        method: &'static str,
        call: impl Future<Output = Result<T, StoreError>> + Send,
    ) -> Result<T, StoreError> {
        match self.faults.count_call(method) {
            None => call.await,
            Some((Moment::Before, fault)) => Err(fault),
            Some((Moment::After, fault)) => {
                call.await?;
                Err(fault)
            }
        }
    }
}

#[async_trait]
impl<S: Store> EventStore for FaultyStore<S> {
    async fn receive(&self, event: ReceivedEvent) -> Result<Receipt, StoreError> {
        self.call("receive", self.inner.receive(event)).await
    }

    async fn claim(&self, request: &ClaimRequest) -> Result<Vec<ClaimedEvent>, StoreError> {
        self.call("claim", self.inner.claim(request)).await
    }

    async fn load(&self, request: &LoadRequest) -> Result<Vec<Subject>, StoreError> {
        self.call("load", self.inner.load(request)).await
    }

    async fn commit(&self, lease: &Lease, changes: &Changes) -> Result<Commit, StoreError> {
        let commit = async {
            match self.faults.is_contended() {
                true => Ok(Commit::Conflict),
                false => self.inner.commit(lease, changes).await,
            }
        };
        self.call("commit", commit).await
    }

    async fn commit_all(&self, decided: &[Decided<'_>]) -> Result<usize, StoreError> {
        let commit = async {
            match self.faults.is_contended() {
                true => Ok(0),
                false => self.inner.commit_all(decided).await,
            }
        };
        self.call("commit_all", commit).await
    }

    async fn settle(&self, lease: &Lease, settled: &Settled) -> Result<bool, StoreError> {
        self.call("settle", self.inner.settle(lease, settled)).await
    }

    async fn release_parked(&self, catalog: &str, now: DateTime<Utc>) -> Result<u64, StoreError> {
        self.call("release_parked", self.inner.release_parked(catalog, now)).await
    }
}

#[async_trait]
impl<S: Store> Outbox for FaultyStore<S> {
    async fn claim_outbox(&self, request: &ClaimRequest) -> Result<Vec<ClaimedEntry>, StoreError> {
        self.call("claim_outbox", self.inner.claim_outbox(request)).await
    }

    async fn settle_outbox(
        &self,
        leases: &[Lease],
        delivery: &Delivery,
        now: DateTime<Utc>,
    ) -> Result<u64, StoreError> {
        self.call("settle_outbox", self.inner.settle_outbox(leases, delivery, now)).await
    }

    async fn told_since(
        &self,
        tenant: &Tenant,
        subjects: &[String],
        kinds: &[NoticeKind],
        since: DateTime<Utc>,
    ) -> Result<Vec<Told>, StoreError> {
        self.call("told_since", self.inner.told_since(tenant, subjects, kinds, since)).await
    }
}

#[async_trait]
impl<S: Store> CallStore for FaultyStore<S> {
    async fn begin_call(
        &self,
        key: &str,
        fingerprint: &str,
        now: DateTime<Utc>,
    ) -> Result<Call, StoreError> {
        self.call("begin_call", self.inner.begin_call(key, fingerprint, now)).await
    }

    async fn finish_call(
        &self,
        key: &str,
        generation: i64,
        result: &str,
    ) -> Result<bool, StoreError> {
        self.call("finish_call", self.inner.finish_call(key, generation, result)).await
    }

    async fn restart_call(
        &self,
        key: &str,
        generation: i64,
        fingerprint: &str,
        now: DateTime<Utc>,
    ) -> Result<bool, StoreError> {
        let call = self.inner.restart_call(key, generation, fingerprint, now);
        self.call("restart_call", call).await
    }
}

#[async_trait]
impl<S: Store> CreditLedger for FaultyStore<S> {
    async fn execute(
        &self,
        key: &LedgerKey,
        request: &Request,
        terms: &LedgerTerms,
    ) -> Result<Result<Answer, Refusal>, StoreError> {
        self.call("execute", self.inner.execute(key, request, terms)).await
    }

    async fn account(&self, key: &LedgerKey, scope: Scope) -> Result<Option<Account>, StoreError> {
        self.call("account", self.inner.account(key, scope)).await
    }

    async fn accounts_of(
        &self,
        owner: &AccountKey,
        livemode: Option<bool>,
    ) -> Result<Vec<Account>, StoreError> {
        self.call("accounts_of", self.inner.accounts_of(owner, livemode)).await
    }

    async fn entries(&self, query: &EntryQuery) -> Result<Vec<Entry>, StoreError> {
        self.call("entries", self.inner.entries(query)).await
    }

    async fn due(&self, now: DateTime<Utc>, limit: u32) -> Result<Vec<LedgerKey>, StoreError> {
        self.call("due", self.inner.due(now, limit)).await
    }

    async fn ledger_keys(
        &self,
        after: Option<&LedgerKey>,
        limit: u32,
    ) -> Result<Vec<LedgerKey>, StoreError> {
        self.call("ledger_keys", self.inner.ledger_keys(after, limit)).await
    }

    async fn roll_up(&self, limit: u32) -> Result<u64, StoreError> {
        self.call("roll_up", self.inner.roll_up(limit)).await
    }

    async fn rebuild(
        &self,
        key: &LedgerKey,
        by: &Rebuild,
    ) -> Result<Result<Vec<Recounted>, Refusal>, StoreError> {
        self.call("rebuild", self.inner.rebuild(key, by)).await
    }

    async fn rebuild_usage(&self, key: &LedgerKey) -> Result<(), StoreError> {
        self.call("rebuild_usage", self.inner.rebuild_usage(key)).await
    }

    async fn usage(&self, query: &UsageQuery) -> Result<Vec<Usage>, StoreError> {
        self.call("usage", self.inner.usage(query)).await
    }
}

#[async_trait]
impl<S: Store> Inspect for FaultyStore<S> {
    async fn subjects_of(
        &self,
        account: &AccountKey,
        livemode: Option<bool>,
        records: Records,
    ) -> Result<Vec<Subject>, StoreError> {
        self.call("subjects_of", self.inner.subjects_of(account, livemode, records)).await
    }

    async fn subject(&self, key: &SubjectKey) -> Result<Option<Subject>, StoreError> {
        self.call("subject", self.inner.subject(key)).await
    }

    async fn notices(
        &self,
        tenant: &Tenant,
        subjects: &[String],
        now: DateTime<Utc>,
    ) -> Result<BTreeMap<String, u64>, StoreError> {
        self.call("notices", self.inner.notices(tenant, subjects, now)).await
    }

    async fn events(&self, query: &EventQuery) -> Result<Vec<EventSummary>, StoreError> {
        self.call("events", self.inner.events(query)).await
    }

    async fn events_by_id(&self, id: &str) -> Result<Vec<StoredEvent>, StoreError> {
        self.call("events_by_id", self.inner.events_by_id(id)).await
    }

    async fn stored_events(&self, range: &EventRange) -> Result<Vec<StoredEvent>, StoreError> {
        self.call("stored_events", self.inner.stored_events(range)).await
    }

    async fn count_replayable(&self, range: &EventRange) -> Result<u64, StoreError> {
        self.call("count_replayable", self.inner.count_replayable(range)).await
    }

    async fn tickets(&self, query: &TicketQuery) -> Result<Vec<Ticket>, StoreError> {
        self.call("tickets", self.inner.tickets(query)).await
    }

    async fn audit(&self, query: &AuditQuery) -> Result<Vec<AuditLine>, StoreError> {
        self.call("audit", self.inner.audit(query)).await
    }

    async fn stats(&self, now: DateTime<Utc>) -> Result<Stats, StoreError> {
        self.call("stats", self.inner.stats(now)).await
    }

    async fn backlog(&self) -> Result<Backlog, StoreError> {
        self.call("backlog", self.inner.backlog()).await
    }

    async fn ping(&self) -> Result<(), StoreError> {
        self.call("ping", self.inner.ping()).await
    }
}

#[async_trait]
impl<S: Store> Maintain for FaultyStore<S> {
    async fn prune(&self, before: DateTime<Utc>, limit: u32) -> Result<u64, StoreError> {
        self.call("prune", self.inner.prune(before, limit)).await
    }

    async fn prune_attempts(&self, before: DateTime<Utc>, limit: u32) -> Result<u64, StoreError> {
        self.call("prune_attempts", self.inner.prune_attempts(before, limit)).await
    }

    async fn erase(&self, subject: &SubjectKey) -> Result<u64, StoreError> {
        self.call("erase", self.inner.erase(subject)).await
    }
}

#[async_trait]
impl<S: Store> Operate for FaultyStore<S> {
    async fn operate(&self, order: &Order) -> Result<Carried, StoreError> {
        self.call("operate", self.inner.operate(order)).await
    }

    async fn paused(&self) -> Result<Option<Paused>, StoreError> {
        self.call("paused", self.inner.paused()).await
    }

    async fn known_failure(
        &self,
        tenant: &Tenant,
        key: &str,
        since: DateTime<Utc>,
    ) -> Result<KnownFailure, StoreError> {
        self.call("known_failure", self.inner.known_failure(tenant, key, since)).await
    }

    async fn ticket(&self, tenant: &Tenant, key: &str) -> Result<Option<Ticket>, StoreError> {
        self.call("ticket", self.inner.ticket(tenant, key)).await
    }

    async fn record_effects(
        &self,
        subject: &SubjectKey,
        effects: &Effects,
        now: DateTime<Utc>,
    ) -> Result<(), StoreError> {
        self.call("record_effects", self.inner.record_effects(subject, effects, now)).await
    }

    async fn close_tickets(&self, now: DateTime<Utc>) -> Result<TicketSweep, StoreError> {
        self.call("close_tickets", self.inner.close_tickets(now)).await
    }

    async fn ticket_news(&self, limit: u32) -> Result<Vec<TicketNews>, StoreError> {
        self.call("ticket_news", self.inner.ticket_news(limit)).await
    }

    async fn ticket_told(&self, news: &TicketNews) -> Result<(), StoreError> {
        self.call("ticket_told", self.inner.ticket_told(news)).await
    }

    async fn release_config(
        &self,
        configuration: &str,
        now: DateTime<Utc>,
    ) -> Result<u64, StoreError> {
        self.call("release_config", self.inner.release_config(configuration, now)).await
    }

    async fn attempts(&self, seq: i64) -> Result<Vec<Attempt>, StoreError> {
        self.call("attempts", self.inner.attempts(seq)).await
    }
}

#[cfg(test)]
mod tests {
    use stripe_billing_core::{ErrorKind, MemoryStore};

    use super::*;
    use stripe_billing_core::store::Verb;

    use crate::conformance::sample::{at, claiming, event, ordering};

    fn faulty() -> (FaultyStore<MemoryStore>, Faults) {
        let faults = Faults::new();
        let store = FaultyStore::new(MemoryStore::new(), &faults);
        (store, faults)
    }

    #[tokio::test]
    async fn before_nothing_happens() {
        let (store, faults) = faulty();
        faults.script(1, Moment::Before);
        let error = store.receive(event("evt_1", at(0))).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Unavailable);
        assert!(error.is_retryable());
        let receipt = store.receive(event("evt_1", at(0))).await.unwrap();
        assert_eq!(receipt, Receipt::Stored);
        assert!(!faults.has_pending());
    }

    #[tokio::test]
    async fn after_it_happened_and_the_answer_is_lost() {
        let (store, faults) = faulty();
        faults.script(1, Moment::After);
        let error = store.receive(event("evt_1", at(0))).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Timeout);
        let receipt = store.receive(event("evt_1", at(0))).await.unwrap();
        assert_eq!(receipt, Receipt::Duplicate { differs: false });
    }

    #[tokio::test]
    async fn positions_count_over_all_methods_or_over_one() {
        let (store, faults) = faulty();
        faults.script_as(2, Moment::Before, ErrorKind::Conflict);
        faults.script_method("ping", 2, Moment::Before);
        assert!(store.ping().await.is_ok());
        let error = store.claim(&claiming(1, at(0))).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Conflict);
        assert!(faults.has_pending());
        assert!(store.ping().await.is_err());
        assert!(store.ping().await.is_ok());
        assert_eq!(faults.calls(), ["ping", "claim", "ping", "ping"]);
        assert_eq!(faults.count(), 4);
    }

    #[tokio::test]
    async fn faults_reach_what_operators_do() {
        let (store, faults) = faulty();
        faults.go_down();
        let tenant = Tenant::platform(true);
        let key = SubjectKey { tenant: tenant.clone(), id: "cus_1".to_owned() };
        let range = EventRange::default();
        let failed = [
            store.subject(&key).await.is_err(),
            store.notices(&tenant, &[], at(0)).await.is_err(),
            store.events_by_id("evt_1").await.is_err(),
            store.stored_events(&range).await.is_err(),
            store.count_replayable(&range).await.is_err(),
            store.backlog().await.is_err(),
            store.tickets(&TicketQuery::default()).await.is_err(),
            store.audit(&AuditQuery::default()).await.is_err(),
            store.operate(&ordering(Verb::Pause, "req_1", 0)).await.is_err(),
            store.paused().await.is_err(),
            store.close_tickets(at(0)).await.is_err(),
            store.prune(at(0), 1).await.is_err(),
            store.erase(&key).await.is_err(),
        ];
        assert_eq!(failed, [true; 13]);
        let methods = [
            "subject",
            "notices",
            "events_by_id",
            "stored_events",
            "count_replayable",
            "backlog",
            "tickets",
            "audit",
            "operate",
            "paused",
            "close_tickets",
            "prune",
            "erase",
        ];
        assert_eq!(faults.calls(), methods);
    }

    #[tokio::test]
    async fn faults_reach_the_ledger() {
        use stripe_billing_core::ledger::{Command, Grant, LedgerPolicy};

        let (store, faults) = faulty();
        let key = LedgerKey::new("team-1", "credits");
        let request = Request::from(Command::Grant(Grant::new("g", 10)));
        let terms = LedgerTerms { now: at(0), policy: LedgerPolicy::default() };
        faults.script_method("execute", 1, Moment::After);
        store.execute(&key, &request, &terms).await.unwrap_err();
        let again = store.execute(&key, &request, &terms).await.unwrap().unwrap();
        assert!(again.replayed, "it had happened");
        faults.reset();
        faults.go_down();
        let day = at(0).date_naive();
        let usage = UsageQuery { key: key.clone(), from: day, to: day, actor: None };
        let by = Rebuild { actor: "ann".to_owned(), reason: "test".to_owned(), now: at(0) };
        let failed = [
            store.account(&key, Scope::All).await.is_err(),
            store.accounts_of(&key.owner, None).await.is_err(),
            store.entries(&EntryQuery::after(key.clone(), 0, 1)).await.is_err(),
            store.due(at(0), 1).await.is_err(),
            store.ledger_keys(None, 1).await.is_err(),
            store.roll_up(1).await.is_err(),
            store.rebuild(&key, &by).await.is_err(),
            store.rebuild_usage(&key).await.is_err(),
            store.usage(&usage).await.is_err(),
        ];
        assert_eq!(failed, [true; 9]);
        let methods = [
            "account",
            "accounts_of",
            "entries",
            "due",
            "ledger_keys",
            "roll_up",
            "rebuild",
            "rebuild_usage",
            "usage",
        ];
        assert_eq!(faults.calls(), methods);
    }

    #[tokio::test]
    async fn an_outage_lasts_until_it_is_over() {
        let (store, faults) = faulty();
        faults.go_down();
        for _ in 0..3 {
            assert!(store.ping().await.is_err());
        }
        faults.recover();
        assert!(store.ping().await.is_ok());
        faults.reset();
        assert_eq!(faults.count(), 0);
    }
}
