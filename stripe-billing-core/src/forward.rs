//! The traits through smart pointers, so that a shared or boxed plugin fits wherever one is asked
//! for. No method has a default, so none can be forgotten here.

use std::sync::Arc;

use async_trait::async_trait;
use chrono::{DateTime, Utc};

use crate::access::Access;
use crate::cache::{Cache, CacheStats, Lookup, Ticket};
use crate::changes::Changes;
use crate::clock::Clock;
use crate::error::StoreError;
use crate::keys::AccountKey;
use crate::notify::{Notification, Notifier, NotifyError};
use crate::queue::{ClaimRequest, Lease};
use crate::state::Subject;
use crate::store::{
    Call, CallStore, ClaimedEntry, ClaimedEvent, Commit, Delivery, EventQuery, EventStore,
    EventSummary, Inspect, LoadRequest, Outbox, Receipt, ReceivedEvent, Settled, Stats,
};

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
    fn load(request: &LoadRequest) -> Result<Subject, StoreError>;
    fn commit(lease: &Lease, changes: &Changes) -> Result<Commit, StoreError>;
    fn settle(lease: &Lease, settled: &Settled) -> Result<bool, StoreError>;
    fn release_parked(catalog: &str, now: DateTime<Utc>) -> Result<u64, StoreError>;
});

forward!(Outbox {
    fn claim_outbox(request: &ClaimRequest) -> Result<Vec<ClaimedEntry>, StoreError>;
    fn settle_outbox(leases: &[Lease], delivery: &Delivery, now: DateTime<Utc>) -> Result<u64, StoreError>;
});

forward!(CallStore {
    fn begin_call(key: &str, fingerprint: &str, now: DateTime<Utc>) -> Result<Call, StoreError>;
    fn finish_call(key: &str, generation: i64, result: &str) -> Result<bool, StoreError>;
    fn restart_call(key: &str, generation: i64, fingerprint: &str, now: DateTime<Utc>) -> Result<bool, StoreError>;
});

forward!(Inspect {
    fn subjects_of(account: &AccountKey, livemode: Option<bool>) -> Result<Vec<Subject>, StoreError>;
    fn events(query: &EventQuery) -> Result<Vec<EventSummary>, StoreError>;
    fn stats(now: DateTime<Utc>) -> Result<Stats, StoreError>;
    fn ping() -> Result<(), StoreError>;
});

forward!(Notifier {
    fn notify(notification: &Notification) -> Result<(), NotifyError>;
});

forward!(Cache {
    fn get(key: &AccountKey) -> Lookup;
    fn put(key: &AccountKey, ticket: Ticket, access: Arc<Access>) -> bool;
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
