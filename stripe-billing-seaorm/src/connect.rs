//! Opens pools, each as its database needs it.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use sea_orm::{ConnectOptions, DatabaseConnection, DbErr};

use crate::classify::classify;
use crate::dialect::Dialect;
use crate::error::ConnectError;
use crate::url::DatabaseUrl;

/// How long to wait for a connection, so that intake answers soon when the database is away.
const ACQUIRE_TIMEOUT: Duration = Duration::from_secs(3);
/// A connection that was idle for so long is tried before it is used.
const PING_AFTER: Duration = Duration::from_secs(10);
/// How long SQLite waits for another process that writes.
const BUSY_TIMEOUT: &str = "5000";

/// When a connection last broke. Its neighbours in the pool have broken too, most likely, so for a
/// while each is tried before it is used; afterwards those still untouched have been idle for so
/// long that they are tried anyway.
#[derive(Clone, Debug, Default)]
pub(crate) struct Suspicion(Arc<Mutex<Option<Instant>>>);

impl Suspicion {
    pub(crate) fn raise(&self) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Some(Instant::now());
    }

    fn is_raised(&self) -> bool {
        let mut raised = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        *raised = raised.filter(|since| since.elapsed() < PING_AFTER);
        raised.is_some()
    }
}

/// Open pools.
pub(crate) struct Pools {
    pub(crate) write: DatabaseConnection,
    pub(crate) read: DatabaseConnection,
    pub(crate) suspicion: Suspicion,
}

pub(crate) async fn open(
    url: &DatabaseUrl,
    max_connections: Option<u32>,
) -> Result<Pools, ConnectError> {
    match url.dialect {
        Dialect::Sqlite => open_sqlite(url, max_connections.unwrap_or(4)).await,
        Dialect::Postgres => open_postgres(url, max_connections.unwrap_or(10)).await,
        Dialect::Mysql => open_mysql(url, max_connections.unwrap_or(10)).await,
    }
}

fn options(url: &DatabaseUrl, max_connections: u32) -> ConnectOptions {
    let mut options = ConnectOptions::new(url.url.as_str());
    options
        .max_connections(max_connections)
        .acquire_timeout(ACQUIRE_TIMEOUT)
        .test_before_acquire_if_idle_for(PING_AFTER)
        .record_stmt_in_spans(false)
        .sqlx_logging(false);
    options
}

fn unreachable(hint: &'static str) -> impl Fn(DbErr) -> ConnectError {
    move |error| ConnectError::Unreachable {
        hint,
        source: classify(error),
    }
}

#[cfg(feature = "sqlite")]
async fn open_sqlite(url: &DatabaseUrl, readers: u32) -> Result<Pools, ConnectError> {
    use sea_orm::SqlxSqliteConnector;

    let pool = |connections: u32, reads_only: bool| {
        let mut options = options(url, connections);
        options
            .min_connections(1)
            // A database in memory would go with its connection, and a file needs no new ones.
            .idle_timeout(None::<Duration>)
            .max_lifetime(None::<Duration>)
            .map_sqlx_sqlite_opts(move |options| {
                let options = options
                    .pragma("busy_timeout", BUSY_TIMEOUT)
                    .pragma("journal_mode", "WAL")
                    // Acknowledged means stored, also when the power goes.
                    .pragma("synchronous", "FULL");
                if reads_only {
                    options.pragma("query_only", "ON")
                } else {
                    options
                }
            });
        SqlxSqliteConnector::connect(options)
    };
    let failed = unreachable("does the directory exist? with `?mode=rwc` a missing file is made");
    let write = pool(1, false).await.map_err(&failed)?;
    if url.is_in_memory() {
        return Ok(Pools {
            read: write.clone(),
            write,
            suspicion: Suspicion::default(),
        });
    }
    let read = pool(readers, true).await.map_err(&failed)?;
    Ok(Pools {
        write,
        read,
        suspicion: Suspicion::default(),
    })
}

#[cfg(not(feature = "sqlite"))]
async fn open_sqlite(_: &DatabaseUrl, _: u32) -> Result<Pools, ConnectError> {
    Err(ConnectError::FeatureDisabled { feature: "sqlite" })
}

#[cfg(feature = "postgres")]
async fn open_postgres(url: &DatabaseUrl, connections: u32) -> Result<Pools, ConnectError> {
    use sea_orm::SqlxPostgresConnector;
    use sea_orm::sqlx::Connection;

    let mut options = options(url, connections);
    let password = url.password.clone();
    let suspicion = Suspicion::default();
    let suspected = suspicion.clone();
    options.map_sqlx_postgres_before_acquire(move |connection, _| {
        let suspected = suspected.is_raised();
        Box::pin(async move {
            if suspected {
                connection.ping().await?;
            }
            Ok(true)
        })
    });
    options.map_sqlx_postgres_opts(move |options| match &password {
        Some(password) => options.password(password.expose()),
        None => options,
    });
    let pool = SqlxPostgresConnector::connect(options)
        .await
        .map_err(unreachable(SERVER_HINT))?;
    Ok(Pools {
        read: pool.clone(),
        write: pool,
        suspicion,
    })
}

#[cfg(any(feature = "postgres", feature = "mysql"))]
const SERVER_HINT: &str =
    "is it up, is it this host and port, does the database exist, may this user open it?";

#[cfg(not(feature = "postgres"))]
async fn open_postgres(_: &DatabaseUrl, _: u32) -> Result<Pools, ConnectError> {
    Err(ConnectError::FeatureDisabled {
        feature: "postgres",
    })
}

#[cfg(feature = "mysql")]
async fn open_mysql(url: &DatabaseUrl, connections: u32) -> Result<Pools, ConnectError> {
    use sea_orm::SqlxMySqlConnector;
    use sea_orm::sqlx::{Connection, Executor};

    let mut options = options(url, connections);
    let password = url.password.clone();
    let suspicion = Suspicion::default();
    let suspected = suspicion.clone();
    options.map_sqlx_mysql_before_acquire(move |connection, _| {
        let suspected = suspected.is_raised();
        Box::pin(async move {
            if suspected {
                connection.ping().await?;
            }
            Ok(true)
        })
    });
    options.map_sqlx_mysql_opts(move |options| {
        // Batches have up to 64 lengths, and each is a statement of its own.
        let options = options.statement_cache_capacity(256);
        match &password {
            Some(password) => options.password(password.expose()),
            None => options,
        }
    });
    // Without gap locks, which let unrelated inserts wait for each other; and never with values cut
    // to fit, whatever the server's default is.
    options.map_sqlx_mysql_pool_opts(|options| {
        options.after_connect(|connection, _| {
            Box::pin(async move {
                connection
                    .execute(
                        "SET SESSION TRANSACTION ISOLATION LEVEL READ COMMITTED; SET SESSION \
                         sql_mode = CONCAT(@@sql_mode, ',STRICT_ALL_TABLES')",
                    )
                    .await
                    .map(|_| ())
            })
        })
    });
    let pool = SqlxMySqlConnector::connect(options)
        .await
        .map_err(unreachable(SERVER_HINT))?;
    Ok(Pools {
        read: pool.clone(),
        write: pool,
        suspicion,
    })
}

#[cfg(not(feature = "mysql"))]
async fn open_mysql(_: &DatabaseUrl, _: u32) -> Result<Pools, ConnectError> {
    Err(ConnectError::FeatureDisabled { feature: "mysql" })
}
