//! The traits through smart pointers, so that a shared or boxed plugin fits wherever one is asked
//! for. No method has a default, so none can be forgotten here.

use std::collections::BTreeMap;
use std::sync::Arc;

use async_trait::async_trait;
use chrono::{DateTime, Utc};

use crate::access::Access;
use crate::cache::{self, Cache, CacheStats, Lookup};
use crate::changes::{Changes, Effects};
use crate::clock::Clock;
use crate::error::StoreError;
use crate::keys::{AccountKey, SubjectKey, Tenant};
use crate::ledger::{
    Account, Answer, Entry, LedgerKey, Rebuild, Recounted, Refusal, Request, Scope,
};
use crate::notice::NoticeKind;
use crate::notify::{
    EventHandler, Fact, Notification, Notified, Notifier, NotifyError, TicketSink, UnhandledEvents,
};
use crate::queue::{ClaimRequest, Lease};
use crate::state::Subject;
use crate::store::{
    Attempt, AuditLine, AuditQuery, Backlog, Call, CallStore, Carried, ClaimedEntry, ClaimedEvent,
    Commit, CreditLedger, Decided, Delivery, EntryQuery, EventQuery, EventRange, EventStore,
    EventSummary, Inspect, KnownFailure, LedgerTerms, LoadRequest, Maintain, Operate, Order,
    Outbox, Paused, Receipt, ReceivedEvent, Records, Settled, Stats, StoredEvent, TicketNews,
    TicketQuery, TicketSweep, Told, Usage, UsageQuery,
};
use crate::ticket::Ticket;

/// Forwards an async trait's methods through `Arc` and `Box`.
macro_rules! forward {
    ($trait:ident { $(fn $name:ident($($arg:ident: $ty:ty),*) -> $out:ty;)+ } $(sync { $(fn $sync:ident() -> $sync_out:ty;)+ })?) => {
        forward!(@ Arc, $trait, [$($name [$($arg: $ty),*] $out)+], [$($($sync $sync_out)+)?]);
        forward!(@ Box, $trait, [$($name [$($arg: $ty),*] $out)+], [$($($sync $sync_out)+)?]);
    };
    (@ $pointer:ident, $trait:ident, [$($name:ident [$($arg:ident: $ty:ty),*] $out:ty)+], [$($sync:ident $sync_out:ty)*]) => {
        #[async_trait]
        impl<T: $trait + ?Sized> $trait for $pointer<T> {
            $(async fn $name(&self, $($arg: $ty),*) -> $out {
                (**self).$name($($arg),*).await
            })+
            $(fn $sync(&self) -> $sync_out {
                (**self).$sync()
            })*
        }
    };
}

forward!(EventStore {
    fn receive(event: ReceivedEvent) -> Result<Receipt, StoreError>;
    fn claim(request: &ClaimRequest) -> Result<Vec<ClaimedEvent>, StoreError>;
    fn load(request: &LoadRequest) -> Result<Vec<Subject>, StoreError>;
    fn commit(lease: &Lease, changes: &Changes) -> Result<Commit, StoreError>;
    fn commit_all(decided: &[Decided<'_>]) -> Result<usize, StoreError>;
    fn settle(lease: &Lease, settled: &Settled) -> Result<bool, StoreError>;
    fn release_parked(catalog: &str, now: DateTime<Utc>) -> Result<u64, StoreError>;
});

forward!(Outbox {
    fn claim_outbox(request: &ClaimRequest) -> Result<Vec<ClaimedEntry>, StoreError>;
    fn settle_outbox(leases: &[Lease], delivery: &Delivery, now: DateTime<Utc>) -> Result<u64, StoreError>;
    fn told_since(tenant: &Tenant, subjects: &[String], kinds: &[NoticeKind], since: DateTime<Utc>) -> Result<Vec<Told>, StoreError>;
});

forward!(CallStore {
    fn begin_call(key: &str, fingerprint: &str, now: DateTime<Utc>) -> Result<Call, StoreError>;
    fn finish_call(key: &str, generation: i64, result: &str) -> Result<bool, StoreError>;
    fn restart_call(key: &str, generation: i64, fingerprint: &str, now: DateTime<Utc>) -> Result<bool, StoreError>;
});

forward!(CreditLedger {
    fn execute(key: &LedgerKey, request: &Request, terms: &LedgerTerms) -> Result<Result<Answer, Refusal>, StoreError>;
    fn account(key: &LedgerKey, scope: Scope) -> Result<Option<Account>, StoreError>;
    fn accounts_of(owner: &AccountKey, livemode: Option<bool>) -> Result<Vec<Account>, StoreError>;
    fn entries(query: &EntryQuery) -> Result<Vec<Entry>, StoreError>;
    fn due(now: DateTime<Utc>, limit: u32) -> Result<Vec<LedgerKey>, StoreError>;
    fn ledger_keys(after: Option<&LedgerKey>, limit: u32) -> Result<Vec<LedgerKey>, StoreError>;
    fn roll_up(limit: u32) -> Result<u64, StoreError>;
    fn rebuild(key: &LedgerKey, by: &Rebuild) -> Result<Result<Vec<Recounted>, Refusal>, StoreError>;
    fn rebuild_usage(key: &LedgerKey) -> Result<(), StoreError>;
    fn usage(query: &UsageQuery) -> Result<Vec<Usage>, StoreError>;
});

forward!(Inspect {
    fn subjects_of(account: &AccountKey, livemode: Option<bool>, records: Records) -> Result<Vec<Subject>, StoreError>;
    fn subject(key: &SubjectKey) -> Result<Option<Subject>, StoreError>;
    fn notices(tenant: &Tenant, subjects: &[String], now: DateTime<Utc>) -> Result<BTreeMap<String, u64>, StoreError>;
    fn events(query: &EventQuery) -> Result<Vec<EventSummary>, StoreError>;
    fn events_by_id(id: &str) -> Result<Vec<StoredEvent>, StoreError>;
    fn stored_events(range: &EventRange) -> Result<Vec<StoredEvent>, StoreError>;
    fn count_replayable(range: &EventRange) -> Result<u64, StoreError>;
    fn tickets(query: &TicketQuery) -> Result<Vec<Ticket>, StoreError>;
    fn audit(query: &AuditQuery) -> Result<Vec<AuditLine>, StoreError>;
    fn stats(now: DateTime<Utc>) -> Result<Stats, StoreError>;
    fn backlog() -> Result<Backlog, StoreError>;
    fn ping() -> Result<(), StoreError>;
});

forward!(Operate {
    fn operate(order: &Order) -> Result<Carried, StoreError>;
    fn paused() -> Result<Option<Paused>, StoreError>;
    fn known_failure(tenant: &Tenant, key: &str, since: DateTime<Utc>) -> Result<KnownFailure, StoreError>;
    fn ticket(tenant: &Tenant, key: &str) -> Result<Option<Ticket>, StoreError>;
    fn record_effects(subject: &SubjectKey, effects: &Effects, now: DateTime<Utc>) -> Result<(), StoreError>;
    fn close_tickets(now: DateTime<Utc>) -> Result<TicketSweep, StoreError>;
    fn ticket_news(limit: u32) -> Result<Vec<TicketNews>, StoreError>;
    fn ticket_told(news: &TicketNews) -> Result<(), StoreError>;
    fn release_config(configuration: &str, now: DateTime<Utc>) -> Result<u64, StoreError>;
    fn attempts(seq: i64) -> Result<Vec<Attempt>, StoreError>;
});

forward!(TicketSink {
    fn open(ticket: &Ticket) -> Result<(), NotifyError>;
    fn append(ticket: &Ticket) -> Result<(), NotifyError>;
    fn close(ticket: &Ticket) -> Result<(), NotifyError>;
});

forward!(Maintain {
    fn prune(before: DateTime<Utc>, limit: u32) -> Result<u64, StoreError>;
    fn prune_attempts(before: DateTime<Utc>, limit: u32) -> Result<u64, StoreError>;
    fn erase(subject: &SubjectKey) -> Result<u64, StoreError>;
});

forward!(Notifier {
    fn notify(notification: &Notification) -> Result<Notified, NotifyError>;
});

forward!(EventHandler {
    fn handle(fact: &Fact) -> Result<(), NotifyError>;
});

forward!(UnhandledEvents {
    fn handle(event: &ReceivedEvent) -> Result<(), NotifyError>;
});

forward!(Cache {
    fn get(key: &AccountKey) -> Lookup;
    fn put(key: &AccountKey, ticket: cache::Ticket, access: Arc<Access>) -> bool;
    fn invalidate(key: &AccountKey) -> ();
    fn clear() -> ();
} sync {
    fn stats() -> CacheStats;
});

impl<T: Clock + ?Sized> Clock for Arc<T> {
    fn now(&self) -> DateTime<Utc> {
        (**self).now()
    }
}
