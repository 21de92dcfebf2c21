use std::fmt;
use std::sync::Arc;

use async_trait::async_trait;
use chrono::{DateTime, Utc};
use stripe_billing_core::changes::Changes;
use stripe_billing_core::queue::{ClaimRequest, Lease};
use stripe_billing_core::state::Subject;
use stripe_billing_core::store::{
    Call, CallStore, ClaimedEntry, ClaimedEvent, Commit, Delivery, EventQuery, EventStore,
    EventSummary, Inspect, LoadRequest, Outbox, Receipt, ReceivedEvent, Settled, Stats,
};
use stripe_billing_core::{AccountKey, ErrorKind, StoreError};

use crate::builder::{SeaOrmStoreBuilder, Source};
use crate::classify::classify;
use crate::db::{self, Db};
use crate::error::ConnectError;
use crate::intake::Intake;
use crate::{calls, claim, commit, inspect, load, migrate, settle};

/// Storage on SQLite, Postgres or MySQL/MariaDB. Clones share their connections.
///
/// ```
/// # tokio::runtime::Runtime::new().unwrap().block_on(async {
/// use stripe_billing_core::store::Inspect;
/// use stripe_billing_seaorm::SeaOrmStore;
///
/// let store = SeaOrmStore::connect("sqlite::memory:").await?;
/// store.ping().await?;
/// # Ok::<_, Box<dyn std::error::Error>>(())
/// # }).unwrap();
/// ```
#[derive(Clone)]
pub struct SeaOrmStore {
    pub(crate) db: Arc<Db>,
    pub(crate) intake: Intake,
}

impl fmt::Debug for SeaOrmStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SeaOrmStore").field("db", &self.db).finish_non_exhaustive()
    }
}

impl SeaOrmStore {
    /// Connects to the database at a URL (or takes over an open [`sea_orm::DatabaseConnection`])
    /// and brings its tables up to date.
    ///
    /// - `sqlite://billing.db?mode=rwc`: an embedded file, made if missing; `sqlite::memory:`
    /// - `postgres://user:password@host/database`
    /// - `mysql://user:password@host/database`: MySQL from 8.0.17, MariaDB from 10.6
    ///
    /// # Errors
    /// See [`ConnectError`].
    pub async fn connect(source: impl Into<Source>) -> Result<Self, ConnectError> {
        Self::builder(source).connect().await
    }

    /// Connects in another way than by default.
    pub fn builder(source: impl Into<Source>) -> SeaOrmStoreBuilder {
        SeaOrmStoreBuilder::new(source.into())
    }

    /// Brings the tables up to date, as connecting does. Safe to run again, and from several nodes
    /// at once.
    ///
    /// # Errors
    /// When the tables are newer than this library, or the database fails.
    pub async fn migrate(&self) -> Result<(), ConnectError> {
        let db = Arc::clone(&self.db);
        // A task of its own: dropped half-way, it would leave MySQL's lock to its connection.
        tokio::spawn(async move { migrate::run(&db).await }).await.unwrap_or_else(|error| {
            Err(ConnectError::Migration(StoreError::new(ErrorKind::Unavailable, error)))
        })
    }
}

#[async_trait]
impl EventStore for SeaOrmStore {
    async fn receive(&self, event: ReceivedEvent) -> Result<Receipt, StoreError> {
        self.intake.receive(event).await
    }

    async fn claim(&self, request: &ClaimRequest) -> Result<Vec<ClaimedEvent>, StoreError> {
        claim::events(&self.db, request).await
    }

    async fn load(&self, request: &LoadRequest) -> Result<Subject, StoreError> {
        load::load(&self.db, request).await
    }

    async fn commit(&self, lease: &Lease, changes: &Changes) -> Result<Commit, StoreError> {
        commit::commit(&self.db, lease, changes).await
    }

    async fn settle(&self, lease: &Lease, settled: &Settled) -> Result<bool, StoreError> {
        settle::event(&self.db, lease, settled).await
    }

    async fn release_parked(&self, catalog: &str, now: DateTime<Utc>) -> Result<u64, StoreError> {
        let values = vec![db::micros(now).into(), db::text(&format!("catalog:{catalog}"))];
        let sql = self.db.sql.release_catalog.as_str();
        self.db.execute(self.db.writer(), sql, values).await
    }
}

#[async_trait]
impl Outbox for SeaOrmStore {
    async fn claim_outbox(&self, request: &ClaimRequest) -> Result<Vec<ClaimedEntry>, StoreError> {
        claim::facts(&self.db, request).await
    }

    async fn settle_outbox(
        &self,
        leases: &[Lease],
        delivery: &Delivery,
        _now: DateTime<Utc>,
    ) -> Result<u64, StoreError> {
        settle::facts(&self.db, leases, delivery).await
    }
}

#[async_trait]
impl CallStore for SeaOrmStore {
    async fn begin_call(
        &self,
        key: &str,
        fingerprint: &str,
        now: DateTime<Utc>,
    ) -> Result<Call, StoreError> {
        calls::begin(&self.db, key, fingerprint, now).await
    }

    async fn finish_call(
        &self,
        key: &str,
        generation: i64,
        result: &str,
    ) -> Result<bool, StoreError> {
        calls::finish(&self.db, key, generation, result).await
    }

    async fn restart_call(
        &self,
        key: &str,
        generation: i64,
        fingerprint: &str,
        now: DateTime<Utc>,
    ) -> Result<bool, StoreError> {
        calls::restart(&self.db, key, generation, fingerprint, now).await
    }
}

#[async_trait]
impl Inspect for SeaOrmStore {
    async fn subjects_of(
        &self,
        account: &AccountKey,
        livemode: Option<bool>,
    ) -> Result<Vec<Subject>, StoreError> {
        inspect::subjects_of(&self.db, account, livemode).await
    }

    async fn events(&self, query: &EventQuery) -> Result<Vec<EventSummary>, StoreError> {
        inspect::events(&self.db, query).await
    }

    async fn stats(&self, now: DateTime<Utc>) -> Result<Stats, StoreError> {
        inspect::stats(&self.db, now).await
    }

    async fn ping(&self) -> Result<(), StoreError> {
        self.db.writer().ping().await.map_err(classify)
    }
}
