//! The suite that certifies a store, on every backend and between two nodes.

use std::sync::Arc;

use stripe_billing_core::store::Store;
use stripe_billing_testing::conformance::Fixture;

use crate::support::{Backend, TestDb};

async fn fixture(backend: Backend) -> Option<Fixture> {
    let db = TestDb::create(backend).await?;
    let node: Arc<dyn Store> = Arc::new(db.store().await);
    let other: Arc<dyn Store> = Arc::new(db.store().await);
    Some(Fixture::new(node).with_other(other).with_guard(db))
}

mod sqlite_file {
    stripe_billing_testing::store_conformance!(async || {
        super::fixture(crate::support::Backend::SqliteFile).await
    });
}

mod sqlite_memory {
    stripe_billing_testing::store_conformance!(async || {
        super::fixture(crate::support::Backend::SqliteMemory).await
    });
}

mod postgres {
    stripe_billing_testing::store_conformance!(async || {
        super::fixture(crate::support::Backend::Postgres).await
    });
}

mod mysql {
    stripe_billing_testing::store_conformance!(async || {
        super::fixture(crate::support::Backend::MySql).await
    });
}
