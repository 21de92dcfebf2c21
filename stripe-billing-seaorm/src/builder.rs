use std::fmt;
use std::sync::Arc;
use std::sync::atomic::AtomicI64;

use sea_orm::DatabaseConnection;
use stripe_billing_core::Secret;

use crate::connect::{self, Pools, Suspicion};
use crate::db::Db;
use crate::dialect::Dialect;
use crate::error::ConnectError;
use crate::intake::Intake;
use crate::ledger::Desks;
use crate::sql::Sql;
use crate::store::SeaOrmStore;
use crate::url::DatabaseUrl;

/// Where a store's database is: a URL, or a connection that the app has open already.
#[non_exhaustive]
pub enum Source {
    /// `sqlite:`, `postgres:` or `mysql:` (also for MariaDB).
    Url(Secret),
    /// An open connection. The tables live beside the app's own, under their prefix.
    ///
    /// Prefer a URL, even of the same database: it gives the store connections with the settings
    /// that it needs. On SQLite that is a writer of its own which flushes what it acknowledges; on
    /// Postgres `plan_cache_mode = force_generic_plan`, `enable_seqscan = off` and `jit = off`,
    /// without which its statements are planned again and again; on MySQL `READ COMMITTED` and
    /// `STRICT_ALL_TABLES`, without which inserts wait for each other, and values too long are cut.
    Connection(DatabaseConnection),
}

impl fmt::Debug for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Url(_) => "Url(..)",
            Self::Connection(_) => "Connection(..)",
        })
    }
}

impl From<&str> for Source {
    fn from(url: &str) -> Self {
        Self::Url(Secret::new(url))
    }
}

impl From<String> for Source {
    fn from(url: String) -> Self {
        Self::Url(Secret::new(url))
    }
}

impl From<Secret> for Source {
    fn from(url: Secret) -> Self {
        Self::Url(url)
    }
}

impl From<DatabaseConnection> for Source {
    fn from(connection: DatabaseConnection) -> Self {
        Self::Connection(connection)
    }
}

/// Opens a [`SeaOrmStore`] that is not as by default. Made by [`SeaOrmStore::builder`].
#[derive(Debug)]
#[must_use = "a builder does nothing until `connect`"]
pub struct SeaOrmStoreBuilder {
    source: Source,
    table_prefix: String,
    max_connections: Option<u32>,
}

impl SeaOrmStoreBuilder {
    pub(crate) fn new(source: Source) -> Self {
        Self { source, table_prefix: "billing_".to_owned(), max_connections: None }
    }

    /// What the names of all tables begin with (default `billing_`): 1 to 24 characters of a-z, 0-9
    /// and `_`, the first a letter. Stores of different prefixes share nothing.
    pub fn table_prefix(mut self, prefix: impl Into<String>) -> Self {
        self.table_prefix = prefix.into();
        self
    }

    /// How many connections to open at most (default 10). On SQLite those for reading (default 4);
    /// writing has one of its own. Of no effect on a connection that is open already.
    pub fn max_connections(mut self, connections: u32) -> Self {
        self.max_connections = Some(connections.max(1));
        self
    }

    /// Connects, and brings the tables up to date.
    ///
    /// # Errors
    /// See [`ConnectError`].
    pub async fn connect(self) -> Result<SeaOrmStore, ConnectError> {
        let prefix = valid_prefix(self.table_prefix)?;
        let (dialect, pools) = match self.source {
            Source::Url(url) => {
                let url = DatabaseUrl::parse(url.expose())?;
                let pools = connect::open(&url, self.max_connections).await?;
                (url.dialect, pools)
            }
            Source::Connection(connection) => {
                let dialect = of_connection(&connection)?;
                let pools = Pools {
                    batch_bytes: connect::batch_bytes(dialect, &connection).await,
                    write: connection.clone(),
                    read: connection,
                    suspicion: Suspicion::default(),
                };
                (dialect, pools)
            }
        };
        let db = Arc::new(Db {
            dialect,
            sql: Sql::new(dialect, &prefix),
            prefix,
            pools,
            pruned_to: AtomicI64::new(0),
            rolled_to: AtomicI64::new(0),
            #[cfg(test)]
            crash: crate::crash::Crash::default(),
        });
        let store = SeaOrmStore {
            intake: Intake::new(Arc::clone(&db)),
            desks: Desks::new(Arc::clone(&db)),
            db,
        };
        store.migrate().await?;
        Ok(store)
    }
}

fn of_connection(connection: &DatabaseConnection) -> Result<Dialect, ConnectError> {
    let backend = connection.get_database_backend();
    let dialect = Dialect::of(backend).ok_or_else(|| ConnectError::UnsupportedScheme {
        scheme: format!("{backend:?}").to_ascii_lowercase(),
    })?;
    // The app may have compiled in what this crate's own features left out.
    let (enabled, feature) = match dialect {
        Dialect::Sqlite => (cfg!(feature = "sqlite"), "sqlite"),
        Dialect::Postgres => (cfg!(feature = "postgres"), "postgres"),
        Dialect::Mysql => (cfg!(feature = "mysql"), "mysql"),
    };
    if enabled { Ok(dialect) } else { Err(ConnectError::FeatureDisabled { feature }) }
}

fn valid_prefix(prefix: String) -> Result<String, ConnectError> {
    let is_valid = prefix.len() <= 24
        && prefix.starts_with(|c: char| c.is_ascii_lowercase())
        && prefix.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_');
    if is_valid { Ok(prefix) } else { Err(ConnectError::InvalidPrefix { prefix }) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn prefixes_are_plain_identifiers() {
        for prefix in ["billing_", "b", "b2_", "abcdefghijklmnopqrstuvwx"] {
            assert_eq!(valid_prefix(prefix.to_owned()).unwrap(), prefix);
        }
        for prefix in [
            "",
            "_b",
            "2b",
            "Billing_",
            "a-b",
            "a b",
            "a;drop table x",
            "\u{e9}",
            "abcdefghijklmnopqrstuvwxy",
        ] {
            assert!(valid_prefix(prefix.to_owned()).is_err(), "{prefix}");
        }
    }

    #[test]
    fn nothing_shows_the_url() {
        let builder = SeaOrmStoreBuilder::new("postgres://app:tiger@db/x".into());
        assert!(!format!("{builder:?}").contains("tiger"));
    }
}
