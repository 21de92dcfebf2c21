use std::collections::HashMap;
use std::hash::Hash;
use std::sync::{Mutex, MutexGuard, PoisonError};

use futures_util::FutureExt;
use futures_util::future::{BoxFuture, Shared, WeakShared};

/// Lets concurrent callers with one key share one run of a future.
#[derive(Debug)]
pub(super) struct Flights<K, V: Clone>(Mutex<HashMap<K, WeakShared<BoxFuture<'static, V>>>>);

impl<K, V: Clone> Default for Flights<K, V> {
    fn default() -> Self {
        Self(Mutex::new(HashMap::new()))
    }
}

impl<K, V> Flights<K, V>
where
    K: Clone + Eq + Hash + Send + Sync,
    V: Clone + Send + Sync,
{
    /// Joins the run under way for the key, or starts one.
    pub(super) async fn run(
        &self,
        key: &K,
        start: impl FnOnce() -> BoxFuture<'static, V> + Send,
    ) -> V {
        let flight = self.join(key, start);
        let value = flight.await;
        self.land(key);
        value
    }

    fn join(
        &self,
        key: &K,
        start: impl FnOnce() -> BoxFuture<'static, V> + Send,
    ) -> Shared<BoxFuture<'static, V>> {
        let mut flights = self.lock();
        // A weak handle: a run that every caller gave up on is gone and does not block the key.
        let under_way = flights.get(key).and_then(WeakShared::upgrade);
        under_way.filter(|flight| flight.peek().is_none()).unwrap_or_else(|| {
            let flight = start().shared();
            if let Some(weak) = flight.downgrade() {
                flights.insert(key.clone(), weak);
            }
            flight
        })
    }

    /// Forgets a finished run, unless another one has started since.
    fn land(&self, key: &K) {
        let mut flights = self.lock();
        let finished = |flight: &WeakShared<_>| {
            flight.upgrade().is_none_or(|flight: Shared<_>| flight.peek().is_some())
        };
        if flights.get(key).is_some_and(finished) {
            flights.remove(key);
        }
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<K, WeakShared<BoxFuture<'static, V>>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
