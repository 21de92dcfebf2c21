use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use async_trait::async_trait;
use chrono::{DateTime, Utc};
use stripe_billing_core::changes::{Changes, Effects};
use stripe_billing_core::notice::NoticeKind;
use stripe_billing_core::queue::{ClaimRequest, Lease};
use stripe_billing_core::state::Subject;
use stripe_billing_core::store::{
    Attempt, AuditLine, AuditQuery, Backlog, Call, CallStore, Carried, ClaimedEntry, ClaimedEvent,
    Commit, Decided, Delivery, EventQuery, EventRange, EventStore, EventSummary, Inspect,
    KnownFailure, LoadRequest, Maintain, Operate, Order, Outbox, Paused, Receipt, ReceivedEvent,
    Records, Settled, Stats, StoredEvent, TicketNews, TicketQuery, TicketSweep, Told,
};
use stripe_billing_core::ticket::Ticket;
use stripe_billing_core::{AccountKey, ErrorKind, StoreError, SubjectKey, Tenant};

use crate::builder::{SeaOrmStoreBuilder, Source};
use crate::classify::classify;
use crate::db::{self, Db};
use crate::error::ConnectError;
use crate::intake::Intake;
use crate::ledger::Desks;
use crate::{
    calls, claim, commit, inspect, load, maintain, migrate, orders, settle, tickets, told,
};

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
    pub(crate) desks: Desks,
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

    async fn load(&self, request: &LoadRequest) -> Result<Vec<Subject>, StoreError> {
        load::load(&self.db, request).await
    }

    async fn commit(&self, lease: &Lease, changes: &Changes) -> Result<Commit, StoreError> {
        let committed = commit::commit(&self.db, lease, changes).await;
        self.desks.forget(changes.effects.postings.iter().map(|posting| &posting.key));
        committed
    }

    async fn commit_all(&self, decided: &[Decided<'_>]) -> Result<usize, StoreError> {
        commit::commit_all(&self.db, decided).await
    }

    async fn settle(&self, lease: &Lease, settled: &Settled) -> Result<bool, StoreError> {
        let done = settle::event(&self.db, lease, settled).await;
        self.desks.forget(settled.effects.postings.iter().map(|posting| &posting.key));
        done
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
        now: DateTime<Utc>,
    ) -> Result<u64, StoreError> {
        settle::facts(&self.db, leases, delivery, now).await
    }

    async fn told_since(
        &self,
        tenant: &Tenant,
        subjects: &[String],
        kinds: &[NoticeKind],
        since: DateTime<Utc>,
    ) -> Result<Vec<Told>, StoreError> {
        told::told_since(&self.db, tenant, subjects, kinds, since).await
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
        records: Records,
    ) -> Result<Vec<Subject>, StoreError> {
        inspect::subjects_of(&self.db, account, livemode, records).await
    }

    async fn subject(&self, key: &SubjectKey) -> Result<Option<Subject>, StoreError> {
        inspect::subject(&self.db, key).await
    }

    async fn notices(
        &self,
        tenant: &Tenant,
        subjects: &[String],
        now: DateTime<Utc>,
    ) -> Result<BTreeMap<String, u64>, StoreError> {
        inspect::notices(&self.db, tenant, subjects, now).await
    }

    async fn events(&self, query: &EventQuery) -> Result<Vec<EventSummary>, StoreError> {
        inspect::events(&self.db, query).await
    }

    async fn events_by_id(&self, id: &str) -> Result<Vec<StoredEvent>, StoreError> {
        inspect::events_by_id(&self.db, id).await
    }

    async fn stored_events(&self, range: &EventRange) -> Result<Vec<StoredEvent>, StoreError> {
        inspect::stored_events(&self.db, range).await
    }

    async fn count_replayable(&self, range: &EventRange) -> Result<u64, StoreError> {
        maintain::count_replayable(&self.db, range).await
    }

    async fn tickets(&self, query: &TicketQuery) -> Result<Vec<Ticket>, StoreError> {
        inspect::tickets(&self.db, query).await
    }

    async fn audit(&self, query: &AuditQuery) -> Result<Vec<AuditLine>, StoreError> {
        inspect::audit(&self.db, query).await
    }

    async fn stats(&self, now: DateTime<Utc>) -> Result<Stats, StoreError> {
        inspect::stats(&self.db, now).await
    }

    async fn backlog(&self) -> Result<Backlog, StoreError> {
        inspect::backlog(&self.db).await
    }

    async fn ping(&self) -> Result<(), StoreError> {
        self.db.writer().ping().await.map_err(classify)
    }
}

#[async_trait]
impl Maintain for SeaOrmStore {
    async fn prune(&self, before: DateTime<Utc>, limit: u32) -> Result<u64, StoreError> {
        maintain::prune(&self.db, before, limit).await
    }

    async fn prune_attempts(&self, before: DateTime<Utc>, limit: u32) -> Result<u64, StoreError> {
        maintain::prune_attempts(&self.db, before, limit).await
    }

    async fn erase(&self, subject: &SubjectKey) -> Result<u64, StoreError> {
        maintain::erase(&self.db, subject).await
    }
}

#[async_trait]
impl Operate for SeaOrmStore {
    async fn operate(&self, order: &Order) -> Result<Carried, StoreError> {
        orders::operate(&self.db, order).await
    }

    async fn paused(&self) -> Result<Option<Paused>, StoreError> {
        orders::paused(&self.db).await
    }

    async fn known_failure(
        &self,
        tenant: &Tenant,
        key: &str,
        since: DateTime<Utc>,
    ) -> Result<KnownFailure, StoreError> {
        tickets::known_failure(&self.db, tenant, key, since).await
    }

    async fn ticket(&self, tenant: &Tenant, key: &str) -> Result<Option<Ticket>, StoreError> {
        tickets::of_key(&self.db, tenant, key).await
    }

    async fn record_effects(
        &self,
        subject: &SubjectKey,
        effects: &Effects,
        now: DateTime<Utc>,
    ) -> Result<(), StoreError> {
        let recorded = tickets::record(&self.db, subject, effects, now).await;
        self.desks.forget(effects.postings.iter().map(|posting| &posting.key));
        recorded
    }

    async fn close_tickets(&self, now: DateTime<Utc>) -> Result<TicketSweep, StoreError> {
        tickets::close(&self.db, now).await
    }

    async fn ticket_news(&self, limit: u32) -> Result<Vec<TicketNews>, StoreError> {
        tickets::news(&self.db, limit).await
    }

    async fn ticket_told(&self, news: &TicketNews) -> Result<(), StoreError> {
        tickets::told(&self.db, news).await
    }

    async fn release_config(
        &self,
        configuration: &str,
        now: DateTime<Utc>,
    ) -> Result<u64, StoreError> {
        orders::release_config(&self.db, configuration, now).await
    }

    async fn attempts(&self, seq: i64) -> Result<Vec<Attempt>, StoreError> {
        tickets::attempts(&self.db, seq).await
    }
}
