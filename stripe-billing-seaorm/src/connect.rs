//! Opens pools, each as its database needs it.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use sea_orm::{ConnectOptions, ConnectionTrait, DatabaseConnection, DbErr, Statement};

use crate::classify::classify;
use crate::dialect::Dialect;
use crate::error::ConnectError;
use crate::url::DatabaseUrl;

/// How long to wait for a connection, so that intake answers soon when the database is away.
const ACQUIRE_TIMEOUT: Duration = Duration::from_secs(3);
/// A connection that was idle for so long is tried before it is used.
const PING_AFTER: Duration = Duration::from_secs(10);
/// How long SQLite waits for another process that writes.
#[cfg(feature = "sqlite")]
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

    #[cfg(any(feature = "postgres", feature = "mysql"))]
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
    /// How much of event bodies is sent at once, see [`ENCRYPTED_BATCH`].
    pub(crate) batch_bytes: usize,
}

/// Without encryption a batch is bounded only so that it does not grow out of hand.
const PLAIN_BATCH: usize = 1 << 20;
/// The driver writes each TLS record (16 KiB) by itself and leaves Nagle's algorithm on, so that a
/// longer message waits for the peer's delayed acknowledgement: 40 ms instead of one. Batches stay
/// below that, and several are written at a time.
const ENCRYPTED_BATCH: usize = 12 << 10;

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

/// How long a batch may be on this connection: the server knows whether it is encrypted.
pub(crate) async fn batch_bytes(dialect: Dialect, connection: &DatabaseConnection) -> usize {
    let (sql, column) = match dialect {
        Dialect::Sqlite => return PLAIN_BATCH,
        Dialect::Postgres => (
            "SELECT CASE WHEN ssl THEN 'yes' ELSE '' END FROM pg_stat_ssl \
             WHERE pid = pg_backend_pid()",
            0,
        ),
        Dialect::Mysql => ("SHOW SESSION STATUS LIKE 'Ssl_cipher'", 1),
    };
    let statement = Statement::from_string(dialect.backend(), sql);
    let row = connection.query_one_raw(statement).await.ok().flatten();
    match row.and_then(|row| row.try_get_by_index::<String>(column).ok()) {
        Some(encrypted) if encrypted.is_empty() => PLAIN_BATCH,
        // What is not known may be encrypted.
        _ => ENCRYPTED_BATCH,
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
    move |error| ConnectError::Unreachable { hint, source: classify(error) }
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
                    .pragma("synchronous", "FULL")
                    // A commit of many accounts writes a hundred pages, and they are moved to the
                    // file when so many are logged: 16 MB.
                    .pragma("wal_autocheckpoint", "4000");
                match reads_only {
                    true => options.pragma("query_only", "ON"),
                    // What undoes a statement of many rows is soon more than SQLite keeps in memory
                    // by itself.
                    false => options.pragma("temp_store", "MEMORY"),
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
            batch_bytes: PLAIN_BATCH,
        });
    }
    let read = pool(readers, true).await.map_err(&failed)?;
    Ok(Pools { write, read, suspicion: Suspicion::default(), batch_bytes: PLAIN_BATCH })
}

#[cfg(not(feature = "sqlite"))]
async fn open_sqlite(_: &DatabaseUrl, _: u32) -> Result<Pools, ConnectError> {
    Err(ConnectError::FeatureDisabled { feature: "sqlite" })
}

/// On the same machine encryption protects nothing and costs both sides; it is left out unless the
/// URL asks for it or the server insists.
#[cfg(feature = "postgres")]
async fn open_postgres(url: &DatabaseUrl, connections: u32) -> Result<Pools, ConnectError> {
    if url.is_local() && !url.url.contains("sslmode") && !url.url.contains("ssl-mode") {
        let plain = open_postgres_as(url, connections, true).await;
        if plain.is_ok() {
            return plain;
        }
    }
    open_postgres_as(url, connections, false).await
}

#[cfg(feature = "postgres")]
async fn open_postgres_as(
    url: &DatabaseUrl,
    connections: u32,
    is_plain: bool,
) -> Result<Pools, ConnectError> {
    use sea_orm::SqlxPostgresConnector;
    use sea_orm::sqlx::postgres::PgSslMode;
    use sea_orm::sqlx::{Connection, Executor};

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
    options.map_sqlx_postgres_opts(move |options| {
        let options = if is_plain { options.ssl_mode(PgSslMode::Disable) } else { options };
        match &password {
            Some(password) => options.password(password.expose()),
            None => options,
        }
    });
    // Planning a decision's statement costs more than running it, and its lists make the server think
    // that a plan for each execution is worth it. All goes by index, whatever the values are, and has
    // to: a plan that scans a table while it is small is kept when it grows, until it is analyzed.
    // What cannot go by index would seem dear enough to be compiled. Servers before version 12, and
    // some poolers, do not know the settings: they plan more.
    options.map_sqlx_postgres_pool_opts(|options| {
        options.after_connect(|connection, _| {
            Box::pin(async move {
                let once = connection
                    .execute(
                        "SET plan_cache_mode = force_generic_plan; SET enable_seqscan = off; \
                         SET jit = off",
                    )
                    .await;
                once.map(|_| ()).or_else(|error| error.as_database_error().map(|_| ()).ok_or(error))
            })
        })
    });
    let pool = SqlxPostgresConnector::connect(options).await.map_err(unreachable(SERVER_HINT))?;
    Ok(Pools {
        batch_bytes: batch_bytes(Dialect::Postgres, &pool).await,
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
    Err(ConnectError::FeatureDisabled { feature: "postgres" })
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
    let pool = SqlxMySqlConnector::connect(options).await.map_err(unreachable(SERVER_HINT))?;
    Ok(Pools {
        batch_bytes: batch_bytes(Dialect::Mysql, &pool).await,
        read: pool.clone(),
        write: pool,
        suspicion,
    })
}

#[cfg(not(feature = "mysql"))]
async fn open_mysql(_: &DatabaseUrl, _: u32) -> Result<Pools, ConnectError> {
    Err(ConnectError::FeatureDisabled { feature: "mysql" })
}
