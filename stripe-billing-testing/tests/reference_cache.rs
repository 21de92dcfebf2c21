//! The smallest cache that keeps the contract, as a measure of the suite.

use std::collections::HashMap;
use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use stripe_billing_core::{Access, AccountKey, Cache, CacheStats, Lookup, Ticket};
use stripe_billing_testing::conformance::Fixture;

/// A map under one lock. Every change of a key, and every clear, starts a new generation; a ticket
/// is the generation it was given in.
#[derive(Debug, Default)]
struct Reference(Mutex<Inner>);

#[derive(Debug, Default)]
struct Inner {
    generation: u64,
    cleared: u64,
    invalidated: HashMap<AccountKey, u64>,
    held: HashMap<AccountKey, Arc<Access>>,
    stats: CacheStats,
}

#[async_trait]
impl Cache for Reference {
    async fn get(&self, key: &AccountKey) -> Lookup {
        let inner = &mut *self.0.lock().expect("no holder panics");
        match inner.held.get(key) {
            Some(access) => {
                inner.stats.hits += 1;
                Lookup::Hit(Arc::clone(access))
            }
            None => {
                inner.stats.misses += 1;
                Lookup::Miss(Ticket(inner.generation))
            }
        }
    }

    async fn put(&self, key: &AccountKey, ticket: Ticket, access: Arc<Access>) -> bool {
        let inner = &mut *self.0.lock().expect("no holder panics");
        let changed = inner.invalidated.get(key).copied().unwrap_or_default();
        let fresh = ticket.0 >= changed.max(inner.cleared);
        let newest = inner.held.get(key).is_none_or(|held| held.version <= access.version);
        if fresh && newest {
            inner.held.insert(key.clone(), access);
        } else {
            inner.stats.refused += 1;
        }
        fresh && newest
    }

    async fn invalidate(&self, key: &AccountKey) {
        let inner = &mut *self.0.lock().expect("no holder panics");
        inner.generation += 1;
        inner.invalidated.insert(key.clone(), inner.generation);
        inner.held.remove(key);
        inner.stats.invalidations += 1;
    }

    async fn clear(&self) {
        let inner = &mut *self.0.lock().expect("no holder panics");
        inner.generation += 1;
        inner.cleared = inner.generation;
        inner.held.clear();
    }

    fn stats(&self) -> CacheStats {
        self.0.lock().expect("no holder panics").stats
    }
}

async fn fixture() -> Option<Fixture<dyn Cache>> {
    let cache: Arc<dyn Cache> = Arc::new(Reference::default());
    Some(Fixture::new(cache))
}

stripe_billing_testing::cache_conformance!(fixture);
