//! Every backend, each test on an empty database of its own.

use std::any::Any;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use sea_orm::{ConnectOptions, ConnectionTrait, Database, DbErr};
use stripe_billing_core::MemoryStore;
use stripe_billing_core::store::Store;
use stripe_billing_seaorm::SeaOrmStore;

/// Where a test keeps its data.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Backend {
    Memory,
    Sqlite,
    Postgres,
    Mysql,
}

/// An empty database, gone when this is dropped.
pub(crate) struct TestDatabase {
    pub(crate) url: String,
    _guard: Box<dyn Any + Send + Sync>,
}

/// A store with nothing in it, and what keeps it alive.
pub(crate) struct TestStore {
    pub(crate) store: Arc<dyn Store>,
    _database: Option<TestDatabase>,
}

impl Backend {
    /// An empty store, or `None` where the server is absent and may be.
    pub(crate) async fn store(self) -> Option<TestStore> {
        if self == Self::Memory {
            return Some(TestStore { store: Arc::new(MemoryStore::new()), _database: None });
        }
        let database = self.database().await?;
        let store = SeaOrmStore::connect(database.url.as_str()).await.expect("a new database");
        Some(TestStore { store: Arc::new(store), _database: Some(database) })
    }

    /// An empty database, or `None` where the server is absent and may be.
    pub(crate) async fn database(self) -> Option<TestDatabase> {
        let (variable, default) = match self {
            Self::Memory => panic!("memory has no database"),
            Self::Sqlite => {
                let directory = tempfile::tempdir().expect("a temporary directory");
                let file = directory.path().join("billing.db");
                let url = format!("sqlite://{}?mode=rwc", file.display());
                return Some(TestDatabase { url, _guard: Box::new(directory) });
            }
            Self::Postgres => ("POSTGRES_URL", "postgres://postgres@127.0.0.1:5432/postgres"),
            Self::Mysql => ("MYSQL_URL", "mysql://root@127.0.0.1:3306/mysql"),
        };
        let admin = std::env::var(variable).unwrap_or_else(|_| default.to_owned());
        match Server::create(&admin).await {
            Ok(server) => {
                let (base, _) = admin.rsplit_once('/').expect("a URL with a database");
                let url = format!("{base}/{}", server.name);
                Some(TestDatabase { url, _guard: Box::new(server) })
            }
            Err(error) => {
                let required = std::env::var_os("STRIPE_BILLING_REQUIRE_SERVICES").is_some();
                assert!(!required, "{self:?} is required and not there: {error}");
                eprintln!("skipped: {self:?} is not reachable ({error})");
                None
            }
        }
    }
}

/// A database on a server, dropped with this.
struct Server {
    admin: String,
    name: String,
}

impl Server {
    async fn create(admin: &str) -> Result<Self, DbErr> {
        static NUMBER: AtomicU32 = AtomicU32::new(0);
        let number = NUMBER.fetch_add(1, Ordering::Relaxed);
        let name = format!("stripe_billing_e2e_{}_{number}", std::process::id());
        run(admin, &format!("DROP DATABASE IF EXISTS {name}")).await?;
        run(admin, &format!("CREATE DATABASE {name}")).await?;
        Ok(Self { admin: admin.to_owned(), name })
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let force = if self.admin.starts_with("postgres") { " WITH (FORCE)" } else { "" };
        let statement = format!("DROP DATABASE IF EXISTS {}{force}", self.name);
        let admin = self.admin.clone();
        // A thread of its own, since dropping may happen on a runtime's thread.
        let dropped = std::thread::spawn(move || {
            tokio::runtime::Builder::new_current_thread()
                .enable_all()
                .build()
                .map(|runtime| runtime.block_on(run(&admin, &statement)))
        })
        .join();
        if !matches!(dropped, Ok(Ok(Ok(())))) {
            eprintln!("the database {} could not be dropped: {dropped:?}", self.name);
        }
    }
}

async fn run(url: &str, statement: &str) -> Result<(), DbErr> {
    let mut options = ConnectOptions::new(url.to_owned());
    options.max_connections(1).sqlx_logging(false);
    let connection = Database::connect(options).await?;
    connection.execute_unprepared(statement).await?;
    connection.close().await
}

/// Runs an async function of a store on every backend, as one test each.
macro_rules! on_every_backend {
    ($($name:ident)+) => {$(
        mod $name {
            use crate::backends::Backend;

            async fn run(backend: Backend) {
                if let Some(fixture) = backend.store().await {
                    super::super::$name(fixture.store.clone()).await;
                }
            }

            #[tokio::test(flavor = "multi_thread", worker_threads = 4)]
            async fn memory() {
                run(Backend::Memory).await;
            }

            #[tokio::test(flavor = "multi_thread", worker_threads = 4)]
            async fn sqlite() {
                run(Backend::Sqlite).await;
            }

            #[tokio::test(flavor = "multi_thread", worker_threads = 4)]
            async fn postgres() {
                run(Backend::Postgres).await;
            }

            #[tokio::test(flavor = "multi_thread", worker_threads = 4)]
            async fn mysql() {
                run(Backend::Mysql).await;
            }
        }
    )+};
}
pub(crate) use on_every_backend;
