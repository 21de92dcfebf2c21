//! Databases of their own for each test, and what the tests put into them.

use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Mutex, PoisonError};

use chrono::{DateTime, TimeDelta, Utc};
use sea_orm::{ConnectionTrait, Database, DatabaseConnection};
use serde_json::json;
use stripe_billing_core::changes::{Changes, Effects, OutboxEntry, RecordWrite, Settlement};
use stripe_billing_core::queue::{ClaimRequest, Lease};
use stripe_billing_core::state::{Links, ObjectKind, ObjectRef, Record, Subject};
use stripe_billing_core::store::{ClaimedEvent, EventStore, LoadRequest, ReceivedEvent};
use stripe_billing_core::webhook::EventKind;
use stripe_billing_core::{DomainEvent, EventKey, StoreError, SubjectKey, Tenant};
use stripe_billing_seaorm::{SeaOrmStore, SeaOrmStoreBuilder};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Backend {
    SqliteFile,
    SqliteMemory,
    Postgres,
    MySql,
}

/// A database that is dropped at the end of the test, whatever its outcome.
pub(crate) struct TestDb {
    pub(crate) backend: Backend,
    pub(crate) url: String,
    /// On a server: the URL to administer it by, and the database's name.
    server: Option<(String, String)>,
    /// A database in memory has but one store.
    memory: Mutex<Option<SeaOrmStore>>,
    _directory: Option<tempfile::TempDir>,
}

impl TestDb {
    /// `None` where the server is not there, unless the environment says that it has to be.
    pub(crate) async fn create(backend: Backend) -> Option<Self> {
        let mut db = Self {
            backend,
            url: "sqlite::memory:".to_owned(),
            server: None,
            memory: Mutex::new(None),
            _directory: None,
        };
        let (variable, default) = match backend {
            Backend::SqliteMemory => return Some(db),
            Backend::SqliteFile => {
                let directory = tempfile::tempdir().unwrap();
                let path = directory.path().join("billing.db");
                db.url = format!("sqlite://{}?mode=rwc", path.display());
                db._directory = Some(directory);
                return Some(db);
            }
            Backend::Postgres => ("POSTGRES_URL", "postgres://postgres@127.0.0.1:5432/postgres"),
            Backend::MySql => ("MYSQL_URL", "mysql://root@127.0.0.1:3306/"),
        };
        let admin = std::env::var(variable).unwrap_or_else(|_| default.to_owned());
        let connection = match Database::connect(admin.as_str()).await {
            Ok(connection) => connection,
            Err(error) => {
                let required = std::env::var("STRIPE_BILLING_REQUIRE_SERVICES");
                assert!(
                    required.as_deref() != Ok("1"),
                    "{backend:?} is required and not there: {error}"
                );
                println!("skipped: {backend:?} is not there ({error})");
                return None;
            }
        };
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        let name = format!("sb_seaorm_{}_{number}", std::process::id());
        for sql in [format!("DROP DATABASE IF EXISTS {name}"), format!("CREATE DATABASE {name}")] {
            connection.execute_unprepared(&sql).await.unwrap();
        }
        connection.close().await.unwrap();
        let (server, _) = admin.rsplit_once('/').unwrap();
        db.url = format!("{server}/{name}");
        db.server = Some((admin, name));
        Some(db)
    }

    /// A store on this database: another node. In memory it is the same one.
    pub(crate) async fn store(&self) -> SeaOrmStore {
        if self.backend != Backend::SqliteMemory {
            return self.builder().connect().await.unwrap();
        }
        let known = self.memory().clone();
        match known {
            Some(store) => store,
            None => {
                let store = self.builder().connect().await.unwrap();
                *self.memory() = Some(store.clone());
                store
            }
        }
    }

    fn memory(&self) -> std::sync::MutexGuard<'_, Option<SeaOrmStore>> {
        self.memory.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn builder(&self) -> SeaOrmStoreBuilder {
        SeaOrmStore::builder(self.url.as_str()).max_connections(4)
    }

    /// A connection past the store; in memory there is none.
    pub(crate) async fn raw(&self) -> Option<DatabaseConnection> {
        if self.backend == Backend::SqliteMemory {
            return None;
        }
        Some(Database::connect(self.url.as_str()).await.unwrap())
    }

    /// Ends all connections to this database, as a restart of its server does.
    pub(crate) async fn disconnect_all(&self) {
        let Some((admin, name)) = &self.server else {
            return;
        };
        let admin = Database::connect(admin.as_str()).await.unwrap();
        match self.backend {
            Backend::Postgres => {
                let sql = format!(
                    "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = '{name}'"
                );
                admin.execute_unprepared(&sql).await.unwrap();
            }
            _ => {
                // MySQL's number has no sign, MariaDB's has one.
                let sql = format!(
                    "SELECT CAST(id AS SIGNED) FROM information_schema.processlist \
                     WHERE db = '{name}'"
                );
                let statement = sea_orm::Statement::from_string(admin.get_database_backend(), sql);
                for row in admin.query_all_raw(statement).await.unwrap() {
                    let id: i64 = row.try_get_by_index(0).unwrap();
                    admin.execute_unprepared(&format!("KILL {id}")).await.unwrap();
                }
            }
        }
        admin.close().await.unwrap();
    }
}

impl Drop for TestDb {
    fn drop(&mut self) {
        let Some((admin, name)) = self.server.take() else {
            return;
        };
        let force = if self.backend == Backend::Postgres { " WITH (FORCE)" } else { "" };
        // In a runtime of its own: this one cannot be waited on here.
        let dropped = std::thread::spawn(move || {
            tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(
                async {
                    let admin = Database::connect(admin.as_str()).await.unwrap();
                    let sql = format!("DROP DATABASE IF EXISTS {name}{force}");
                    admin.execute_unprepared(&sql).await.unwrap();
                    admin.close().await.unwrap();
                },
            );
        });
        if dropped.join().is_err() {
            println!("the database of a test was left behind");
        }
    }
}

/// Runs each body against each backend.
macro_rules! on_every_backend {
    ($($name:ident),+ $(,)?) => {
        on_every_backend!(@ sqlite_file SqliteFile $($name)+);
        on_every_backend!(@ sqlite_memory SqliteMemory $($name)+);
        on_every_backend!(@ postgres Postgres $($name)+);
        on_every_backend!(@ mysql MySql $($name)+);
    };
    (@ $module:ident $backend:ident $($name:ident)+) => {
        mod $module {
            $(
                #[tokio::test]
                async fn $name() {
                    let backend = crate::support::Backend::$backend;
                    if let Some(db) = crate::support::TestDb::create(backend).await {
                        super::$name(&db).await;
                    }
                }
            )+
        }
    };
}
pub(crate) use on_every_backend;

/// The time at which the tests begin.
pub(crate) fn start() -> DateTime<Utc> {
    DateTime::from_timestamp(1_800_000_000, 123_456_000).unwrap()
}

pub(crate) fn seconds(seconds: i64) -> TimeDelta {
    TimeDelta::seconds(seconds)
}

pub(crate) fn event(id: &str) -> ReceivedEvent {
    event_with(id, "invoice.paid", "paid")
}

pub(crate) fn event_with(id: &str, event_type: &str, status: &str) -> ReceivedEvent {
    let payload = json!({
        "id": id, "type": event_type, "pending_webhooks": 1,
        "data": {"object": {"id": "in_1", "status": status}},
    });
    ReceivedEvent {
        key: EventKey { tenant: Tenant::platform(true), id: id.to_owned() },
        kind: EventKind::Snapshot,
        event_type: event_type.to_owned(),
        api_version: Some("2026-01-01".to_owned()),
        created: 1_799_999_999,
        received_at: start(),
        payload: payload.to_string().into(),
    }
}

pub(crate) fn claim(limit: u32, now: DateTime<Utc>) -> ClaimRequest {
    ClaimRequest { worker: "worker-1".to_owned(), limit, lease: seconds(60), now }
}

/// Stores an event and claims it.
pub(crate) async fn claimed(store: &SeaOrmStore, id: &str) -> ClaimedEvent {
    store.receive(event(id)).await.unwrap();
    let mut claimed = store.claim(&claim(1, start())).await.unwrap();
    assert_eq!(claimed.len(), 1);
    claimed.remove(0)
}

pub(crate) fn subject(id: &str) -> SubjectKey {
    SubjectKey { tenant: Tenant::platform(true), id: id.to_owned() }
}

/// Loads a subject, as it is or as one of which nothing is known.
pub(crate) async fn load(
    store: &SeaOrmStore,
    id: &str,
    objects: Vec<ObjectRef>,
) -> Result<Subject, StoreError> {
    let SubjectKey { tenant, id } = subject(id);
    let request = LoadRequest { tenant, ids: vec![id.clone()], objects };
    let loaded = store.load(&request).await?.pop();
    Ok(loaded.unwrap_or_else(|| Subject::new(subject(&id))))
}

pub(crate) fn object(id: &str) -> ObjectRef {
    ObjectRef { kind: ObjectKind::Invoice, id: id.to_owned() }
}

pub(crate) fn record(id: &str, current: bool) -> RecordWrite {
    let record: Record =
        serde_json::from_value(json!({"kind": "invoice", "id": id, "versions": []})).unwrap();
    RecordWrite { record, current }
}

pub(crate) fn paid(invoice: &str, total: i64) -> OutboxEntry {
    let event = DomainEvent::InvoicePaid {
        invoice: invoice.to_owned(),
        subscription: None,
        total: Some(total),
        currency: Some("eur".to_owned()),
    };
    OutboxEntry::from(event)
}

pub(crate) fn changes(id: &str, expected_version: i64) -> Changes {
    Changes {
        subject: subject(id),
        expected_version,
        links: Links::default(),
        account: Some("acme".to_owned()),
        records: Vec::new(),
        adopted: Vec::new(),
        effects: Effects::default(),
        settlement: Settlement::Processed,
        anomalies: Vec::new(),
        release_parked: false,
        now: start(),
    }
}

pub(crate) fn stale(lease: &Lease) -> Lease {
    Lease { seq: lease.seq, epoch: lease.epoch - 1 }
}
