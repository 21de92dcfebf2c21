//! The memory store keeps the whole contract.

use std::sync::Arc;

use stripe_billing_core::MemoryStore;
use stripe_billing_core::store::Store;
use stripe_billing_testing::conformance::Fixture;

async fn fixture() -> Option<Fixture> {
    let store = MemoryStore::new();
    let other: Arc<dyn Store> = Arc::new(store.clone());
    let store: Arc<dyn Store> = Arc::new(store);
    Some(Fixture::new(store).with_other(other))
}

stripe_billing_testing::store_conformance!(fixture);
