use std::collections::hash_map::RandomState;
use std::fmt;
use std::hash::BuildHasher;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use moka::sync::Cache as Map;
use stripe_billing_core::{Access, AccountKey, Cache, CacheStats, Lookup, Ticket};

use crate::counters::Counters;

/// Enough that writers of different keys seldom meet, and a power of two.
const STRIPES: usize = 64;

/// An in-process cache of access decisions.
///
/// A miss leaves a slot behind, marked with the miss's ticket. A put is taken only if its slot is
/// still there: invalidation, eviction and the end of the time to live all remove it, and the next
/// miss gets another ticket. So a value that was loaded before a change can never come back after
/// it.
///
/// Reading takes no lock; what changes a key holds the lock of its stripe, which makes "look, then
/// write" one step. Cheap to read, and cheap to share behind an [`Arc`].
pub struct MokaCache {
    slots: Map<AccountKey, Slot>,
    stripes: Box<[Mutex<()>]>,
    hasher: RandomState,
    /// The next ticket.
    next: AtomicU64,
    /// The first ticket given after the last `clear`; slots with lower ones count as gone. moka
    /// tells old from new by the clock there, which cannot tell what happens at one instant.
    floor: AtomicU64,
    counters: Counters,
}

/// What is kept of a key. Cloned with every look-up, so both kinds are cheap to clone.
#[derive(Clone)]
struct Slot {
    ticket: u64,
    /// `None` while the one who missed is still loading.
    access: Option<Arc<Access>>,
}

/// Sets up a [`MokaCache`].
#[derive(Clone, Copy, Debug)]
#[must_use = "a builder does nothing until `build`"]
pub struct MokaCacheBuilder {
    max_capacity: u64,
    time_to_live: Duration,
}

impl Default for MokaCacheBuilder {
    fn default() -> Self {
        Self { max_capacity: 100_000, time_to_live: Duration::from_secs(300) }
    }
}

impl MokaCacheBuilder {
    /// At most so many accounts are held, 100,000 by default; the least useful go first.
    pub fn max_capacity(mut self, accounts: u64) -> Self {
        self.max_capacity = accounts;
        self
    }

    /// How long an entry is believed after it was put, five minutes by default. At most a year
    /// counts.
    pub fn time_to_live(mut self, time: Duration) -> Self {
        // moka panics beyond a thousand years.
        self.time_to_live = time.min(Duration::from_secs(366 * 86_400));
        self
    }

    /// The cache.
    #[must_use]
    pub fn build(self) -> MokaCache {
        MokaCache {
            slots: Map::builder()
                .name("stripe-billing access")
                .max_capacity(self.max_capacity)
                .time_to_live(self.time_to_live)
                .build(),
            stripes: (0..STRIPES).map(|_| Mutex::new(())).collect(),
            hasher: RandomState::new(),
            next: AtomicU64::new(1),
            floor: AtomicU64::new(0),
            counters: Counters::new(),
        }
    }
}

impl Default for MokaCache {
    fn default() -> Self {
        Self::builder().build()
    }
}

impl fmt::Debug for MokaCache {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("MokaCache").field("stats", &self.stats()).finish_non_exhaustive()
    }
}

impl MokaCache {
    /// A cache with other bounds than the default ones.
    pub fn builder() -> MokaCacheBuilder {
        MokaCacheBuilder::default()
    }

    /// The slot of a key, unless it was cleared.
    fn slot(&self, key: &AccountKey) -> Option<Slot> {
        // Relaxed is enough: whoever knows that a clear has returned sees its floor as well.
        self.slots.get(key).filter(|slot| slot.ticket >= self.floor.load(Ordering::Relaxed))
    }

    /// Keeps others from changing the key. Never held across an await.
    fn lock(&self, key: &AccountKey) -> MutexGuard<'_, ()> {
        let hash = self.hasher.hash_one(key);
        let stripe = usize::try_from(hash % STRIPES as u64).unwrap_or(0);
        self.stripes[stripe].lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The slow half of a look-up: leaves a slot behind, or joins the one that is there.
    fn miss(&self, key: &AccountKey) -> Lookup {
        let _guard = self.lock(key);
        let slot = self.slot(key).unwrap_or_else(|| {
            let slot = Slot { ticket: self.next.fetch_add(1, Ordering::Relaxed), access: None };
            self.slots.insert(key.clone(), slot.clone());
            slot
        });
        match slot.access {
            Some(access) => {
                self.counters.hit();
                Lookup::Hit(access)
            }
            None => {
                self.counters.miss();
                Lookup::Miss(Ticket(slot.ticket))
            }
        }
    }

    /// Puts a value into the slot it was loaded for.
    fn fill(&self, key: &AccountKey, ticket: Ticket, access: Arc<Access>) -> bool {
        let _guard = self.lock(key);
        let fits = self.slot(key).is_some_and(|slot| {
            let held = slot.access.map(|held| held.version);
            slot.ticket == ticket.0 && held.is_none_or(|held| held <= access.version)
        });
        if fits {
            let slot = Slot { ticket: ticket.0, access: Some(access) };
            self.slots.insert(key.clone(), slot);
        }
        fits
    }
}

#[async_trait]
impl Cache for MokaCache {
    async fn get(&self, key: &AccountKey) -> Lookup {
        match self.slot(key).and_then(|slot| slot.access) {
            Some(access) => {
                self.counters.hit();
                Lookup::Hit(access)
            }
            None => self.miss(key),
        }
    }

    async fn put(&self, key: &AccountKey, ticket: Ticket, access: Arc<Access>) -> bool {
        let taken = self.fill(key, ticket, access);
        if !taken {
            self.counters.refusal();
        }
        taken
    }

    async fn invalidate(&self, key: &AccountKey) {
        let _guard = self.lock(key);
        let forgotten = self.slot(key).is_some_and(|slot| slot.access.is_some());
        self.slots.invalidate(key);
        if forgotten {
            self.counters.invalidation();
        }
    }

    async fn clear(&self) {
        let first = self.next.load(Ordering::Relaxed);
        self.floor.fetch_max(first, Ordering::Relaxed);
        // Gives the memory back; the floor alone makes it right.
        self.slots.invalidate_all();
    }

    fn stats(&self) -> CacheStats {
        self.counters.read(self.slots.entry_count())
    }
}
