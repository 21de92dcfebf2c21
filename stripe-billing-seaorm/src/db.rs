//! Connections, statements and rows.

use std::fmt;
use std::sync::atomic::AtomicI64;

use chrono::{DateTime, TimeDelta, Utc};
use sea_orm::{
    ConnectionTrait, DatabaseConnection, DatabaseTransaction, DbErr, QueryResult,
    SqliteTransactionMode, Statement, TransactionOptions, TransactionTrait, TryGetable, Value,
    Values,
};
use stripe_billing_core::{ErrorKind, StoreError, Tenant};

use crate::classify::{classify, corrupt, unreadable};
use crate::connect::Pools;
use crate::dialect::Dialect;
use crate::sql::Sql;

/// A database with the tables of one prefix.
pub(crate) struct Db {
    pub(crate) dialect: Dialect,
    pub(crate) prefix: String,
    pub(crate) sql: Sql,
    pub(crate) pools: Pools,
    /// Up to which event [`prune`](crate::maintain::prune) has come in its round.
    pub(crate) pruned_to: AtomicI64,
    /// Up to which account the usage figures have come in their round.
    pub(crate) rolled_to: AtomicI64,
    #[cfg(test)]
    pub(crate) crash: crate::crash::Crash,
}

impl fmt::Debug for Db {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Db")
            .field("dialect", &self.dialect)
            .field("prefix", &self.prefix)
            .finish_non_exhaustive()
    }
}

impl Db {
    pub(crate) fn render(&self, template: &str) -> String {
        self.dialect.render(&self.prefix, template)
    }

    fn statement(&self, sql: impl Into<String>, values: Vec<Value>) -> Statement {
        Statement {
            sql: sql.into(),
            values: Some(Values(values)),
            db_backend: self.dialect.backend(),
        }
    }

    /// Runs a statement; the number of rows it found (also on MySQL, where the driver asks for
    /// found rows instead of changed ones).
    pub(crate) async fn execute(
        &self,
        on: &impl ConnectionTrait,
        sql: impl Into<String>,
        values: Vec<Value>,
    ) -> Result<u64, StoreError> {
        #[cfg(test)]
        self.crash.before()?;
        let done = on.execute_raw(self.statement(sql, values)).await;
        #[cfg(test)]
        self.crash.after()?;
        match done {
            Ok(result) => Ok(result.rows_affected()),
            Err(error) => Err(self.failed(error)),
        }
    }

    pub(crate) async fn query(
        &self,
        on: &impl ConnectionTrait,
        sql: impl Into<String>,
        values: Vec<Value>,
    ) -> Result<Vec<QueryResult>, StoreError> {
        #[cfg(test)]
        self.crash.before()?;
        let found = on.query_all_raw(self.statement(sql, values)).await;
        #[cfg(test)]
        self.crash.after()?;
        found.map_err(|error| self.failed(error))
    }

    fn failed(&self, error: DbErr) -> StoreError {
        let error = classify(error);
        if error.kind() == ErrorKind::Unavailable {
            self.pools.suspicion.raise();
        }
        error
    }

    /// Writes go here. SQLite has one writer, so there it is one connection.
    pub(crate) fn writer(&self) -> &DatabaseConnection {
        &self.pools.write
    }

    /// Reads go here, past whoever writes.
    pub(crate) fn reader(&self) -> &DatabaseConnection {
        &self.pools.read
    }

    /// Opens a transaction for writing. SQLite takes the lock at once: a transaction that reads
    /// first cannot be upgraded under contention.
    pub(crate) async fn begin(&self) -> Result<DatabaseTransaction, StoreError> {
        match self.dialect {
            Dialect::Sqlite => {
                self.writer()
                    .begin_with_options(TransactionOptions {
                        sqlite_transaction_mode: Some(SqliteTransactionMode::Immediate),
                        ..TransactionOptions::default()
                    })
                    .await
            }
            Dialect::Postgres | Dialect::Mysql => self.writer().begin().await,
        }
        .map_err(|error| self.failed(error))
    }

    pub(crate) async fn commit(&self, tx: DatabaseTransaction) -> Result<(), StoreError> {
        #[cfg(test)]
        self.crash.before()?;
        let done = tx.commit().await;
        #[cfg(test)]
        self.crash.after()?;
        done.map_err(|error| self.failed(error))
    }
}

pub(crate) async fn rollback(tx: DatabaseTransaction) -> Result<(), StoreError> {
    tx.rollback().await.map_err(classify)
}

/// A column by its place in the select list.
pub(crate) fn column<T: TryGetable>(row: &QueryResult, index: usize) -> Result<T, StoreError> {
    T::try_get_by_index(row, index).map_err(unreadable)
}

/// A counter that is not negative.
pub(crate) fn count(row: &QueryResult, index: usize) -> Result<u32, StoreError> {
    u32::try_from(column::<i64>(row, index)?).map_err(corrupt)
}

/// A tenant from two columns; the platform's own account is stored as an empty string, because
/// `NULL` is not equal to itself in a unique key.
pub(crate) fn tenant(row: &QueryResult, index: usize) -> Result<Tenant, StoreError> {
    let account: String = column(row, index)?;
    Ok(Tenant {
        stripe_account: Some(account).filter(|account| !account.is_empty()),
        livemode: column(row, index + 1)?,
    })
}

/// A tenant's two columns.
pub(crate) fn tenant_values(tenant: &Tenant) -> [Value; 2] {
    [text(tenant.stripe_account.as_deref().unwrap_or_default()), tenant.livemode.into()]
}

pub(crate) fn text(text: &str) -> Value {
    Value::String(Some(text.to_owned()))
}

pub(crate) fn optional(text: Option<&str>) -> Value {
    Value::String(text.map(ToOwned::to_owned))
}

/// A time as the tables keep it: Unix microseconds, the same number on every database.
pub(crate) fn micros(time: DateTime<Utc>) -> i64 {
    time.timestamp_micros()
}

/// When a lease ends that begins now.
pub(crate) fn lease_end(now: DateTime<Utc>, lease: TimeDelta) -> i64 {
    micros(now).saturating_add(lease.num_microseconds().unwrap_or(i64::MAX))
}

pub(crate) fn time(row: &QueryResult, index: usize) -> Result<DateTime<Utc>, StoreError> {
    from_micros(column(row, index)?)
}

pub(crate) fn from_micros(micros: i64) -> Result<DateTime<Utc>, StoreError> {
    DateTime::from_timestamp_micros(micros)
        .ok_or_else(|| corrupt(format!("{micros} is not a time in Unix microseconds")))
}

#[cfg(feature = "postgres")]
pub(crate) mod array {
    //! Postgres takes a batch as one array per column, so that one prepared statement serves every
    //! size.

    use sea_orm::Value;
    use sea_orm::sea_query::ArrayType;

    fn array(kind: ArrayType, items: Vec<Value>) -> Value {
        Value::Array(kind, Some(Box::new(items)))
    }

    pub(crate) fn texts<'a>(items: impl Iterator<Item = &'a str>) -> Value {
        array(ArrayType::String, items.map(super::text).collect())
    }

    pub(crate) fn bools(items: impl Iterator<Item = bool>) -> Value {
        array(ArrayType::Bool, items.map(Value::from).collect())
    }

    pub(crate) fn numbers(items: impl Iterator<Item = i64>) -> Value {
        array(ArrayType::BigInt, items.map(Value::from).collect())
    }

    pub(crate) fn bytes<'a>(items: impl Iterator<Item = &'a [u8]>) -> Value {
        array(ArrayType::Bytes, items.map(|item| Value::Bytes(Some(item.to_vec()))).collect())
    }
}
