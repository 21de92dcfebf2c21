//! A faulty store without faults is the store that it wraps.

use std::sync::Arc;

use stripe_billing_core::MemoryStore;
use stripe_billing_core::store::Store;
use stripe_billing_testing::conformance::Fixture;
use stripe_billing_testing::{Faults, FaultyStore};

async fn fixture() -> Option<Fixture> {
    let inner: Arc<dyn Store> = Arc::new(MemoryStore::new());
    let store: Arc<dyn Store> = Arc::new(FaultyStore::new(inner, &Faults::new()));
    Some(Fixture::new(store))
}

stripe_billing_testing::store_conformance!(fixture);
