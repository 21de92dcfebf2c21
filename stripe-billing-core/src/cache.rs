use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use async_trait::async_trait;

use crate::access::Access;
use crate::keys::AccountKey;

/// A cache of access decisions, in front of the store and never part of the truth.
///
/// Clauses, certified by `stripe_billing_testing`:
/// 1. It never answers older than it answered before: [`Cache::put`] is refused once the key was
///    invalidated after the ticket was given, and when a newer version is held.
/// 2. An error of the backend is a miss; no method fails a request.
/// 3. An entry lives for a bounded time, five minutes by default.
#[async_trait]
pub trait Cache: fmt::Debug + Send + Sync + 'static {
    /// Looks a key up. A miss carries the ticket that a later put has to show.
    async fn get(&self, key: &AccountKey) -> Lookup;

    /// Offers a value loaded after the ticket was given; returns whether it was taken.
    async fn put(&self, key: &AccountKey, ticket: Ticket, access: Arc<Access>) -> bool;

    /// Forgets a key, and refuses what was loaded before.
    async fn invalidate(&self, key: &AccountKey);

    /// Forgets everything, and refuses what was loaded before.
    async fn clear(&self);

    /// Figures since it was made.
    fn stats(&self) -> CacheStats;
}

/// What a cache says of a key.
#[derive(Clone, Debug)]
#[allow(clippy::exhaustive_enums)]
pub enum Lookup {
    /// It is there.
    Hit(Arc<Access>),
    /// It is not; show the ticket when putting what was loaded since.
    Miss(Ticket),
}

/// Proof of when a miss happened. Opaque to all but the cache that gave it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[allow(clippy::exhaustive_structs)]
pub struct Ticket(pub u64);

/// How a cache is doing, in counts since it was made.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Serialize)]
#[allow(clippy::exhaustive_structs)]
pub struct CacheStats {
    /// Look-ups answered.
    pub hits: u64,
    /// Look-ups not answered.
    pub misses: u64,
    /// Keys forgotten because their state changed.
    pub invalidations: u64,
    /// Puts refused because they were stale.
    pub refused: u64,
    /// Entries held, about.
    pub entries: u64,
}

/// No cache: every look-up is a miss, with a ticket of its own.
#[derive(Debug, Default)]
pub struct NoCache {
    tickets: AtomicU64,
}

#[async_trait]
impl Cache for NoCache {
    async fn get(&self, _key: &AccountKey) -> Lookup {
        Lookup::Miss(Ticket(self.tickets.fetch_add(1, Ordering::Relaxed)))
    }

    async fn put(&self, _key: &AccountKey, _ticket: Ticket, _access: Arc<Access>) -> bool {
        false
    }

    async fn invalidate(&self, _key: &AccountKey) {}

    async fn clear(&self) {}

    fn stats(&self) -> CacheStats {
        CacheStats { misses: self.tickets.load(Ordering::Relaxed), ..CacheStats::default() }
    }
}
