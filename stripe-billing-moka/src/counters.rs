use std::sync::atomic::{AtomicU64, Ordering};

use metrics::{Counter, counter, describe_counter};

/// A count for [`CacheStats`](stripe_billing_core::CacheStats) and the same for the recorder.
///
/// The recorder's handle is resolved once: looking it up costs more than the cache itself.
struct Tally {
    own: AtomicU64,
    recorded: Counter,
}

impl Tally {
    fn new(recorded: Counter) -> Self {
        Self { own: AtomicU64::new(0), recorded }
    }

    fn add_one(&self) {
        self.own.fetch_add(1, Ordering::Relaxed);
        self.recorded.increment(1);
    }

    fn get(&self) -> u64 {
        self.own.load(Ordering::Relaxed)
    }
}

/// What the cache counts.
pub(crate) struct Counters {
    hits: Tally,
    misses: Tally,
    invalidations: Tally,
    refused: Tally,
}

impl Counters {
    pub(crate) fn new() -> Self {
        describe_counter!(
            "stripe_billing_cache_hits_total",
            "Access look-ups that the cache answered"
        );
        describe_counter!(
            "stripe_billing_cache_misses_total",
            "Access look-ups that went to the store"
        );
        describe_counter!(
            "stripe_billing_cache_invalidations_total",
            "Accounts forgotten because their state changed"
        );
        describe_counter!(
            "stripe_billing_cache_refused_total",
            "Loaded values that were stale when they arrived"
        );
        Self {
            hits: Tally::new(counter!("stripe_billing_cache_hits_total")),
            misses: Tally::new(counter!("stripe_billing_cache_misses_total")),
            invalidations: Tally::new(counter!("stripe_billing_cache_invalidations_total")),
            refused: Tally::new(counter!("stripe_billing_cache_refused_total")),
        }
    }

    pub(crate) fn hit(&self) {
        self.hits.add_one();
    }

    pub(crate) fn miss(&self) {
        self.misses.add_one();
    }

    pub(crate) fn invalidation(&self) {
        self.invalidations.add_one();
    }

    pub(crate) fn refusal(&self) {
        self.refused.add_one();
    }

    pub(crate) fn read(&self, entries: u64) -> stripe_billing_core::CacheStats {
        stripe_billing_core::CacheStats {
            hits: self.hits.get(),
            misses: self.misses.get(),
            invalidations: self.invalidations.get(),
            refused: self.refused.get(),
            entries,
        }
    }
}
