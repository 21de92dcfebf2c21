//! The one table that says what a driver's error means.

use sea_orm::sqlx;
use sea_orm::{DbErr, RuntimeErr, SqlErr, TryGetError};
use stripe_billing_core::{ErrorKind, StoreError};

/// Wraps a driver's error under its kind.
pub(crate) fn classify(error: DbErr) -> StoreError {
    StoreError::new(kind_of(&error), error)
}

/// A column that cannot be read.
pub(crate) fn unreadable(error: TryGetError) -> StoreError {
    classify(error.into())
}

/// Stored content that cannot be read.
pub(crate) fn corrupt(source: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> StoreError {
    StoreError::new(ErrorKind::Corrupt, source)
}

/// Unreachable in practice: such a store cannot be opened.
#[cfg(not(feature = "postgres"))]
pub(crate) fn not_compiled_in() -> StoreError {
    StoreError::new(ErrorKind::Unsupported, "Postgres is not compiled in")
}

/// Whether the statement ran into a unique key.
pub(crate) fn is_duplicate(error: &StoreError) -> bool {
    std::error::Error::source(error)
        .and_then(|source| source.downcast_ref::<DbErr>())
        .is_some_and(|error| matches!(error.sql_err(), Some(SqlErr::UniqueConstraintViolation(_))))
}

/// Whether the statement set a column to `NULL` that has to have a value.
#[cfg(feature = "postgres")]
pub(crate) fn is_null_refused(error: &StoreError) -> bool {
    of_server(error)
        .is_some_and(|error| matches!(error.kind(), sqlx::error::ErrorKind::NotNullViolation))
}

/// Whether the statement divided by zero.
#[cfg(feature = "postgres")]
pub(crate) fn is_division_by_zero(error: &StoreError) -> bool {
    of_server(error).is_some_and(|error| error.code().as_deref() == Some("22012"))
}

/// Whether the server lets this user make no triggers: MySQL without the right to, or with binary
/// logging and without `log_bin_trust_function_creators`.
#[cfg(feature = "mysql")]
pub(crate) fn is_trigger_refused(error: &StoreError) -> bool {
    of_server(error)
        .and_then(|error| error.try_downcast_ref::<sea_orm::SqlxMySqlError>())
        .is_some_and(|error| matches!(error.number(), 1142 | 1227 | 1419))
}

#[cfg(any(feature = "postgres", feature = "mysql"))]
fn of_server(error: &StoreError) -> Option<&dyn sqlx::error::DatabaseError> {
    let error = std::error::Error::source(error)?.downcast_ref::<DbErr>()?;
    match error {
        DbErr::Exec(RuntimeErr::SqlxError(error)) | DbErr::Query(RuntimeErr::SqlxError(error)) => {
            error.as_database_error()
        }
        _ => None,
    }
}

fn kind_of(error: &DbErr) -> ErrorKind {
    match error {
        // The pool is exhausted or closed, or no connection could be made in time.
        DbErr::ConnectionAcquire(_) => ErrorKind::Unavailable,
        DbErr::Conn(error) | DbErr::Exec(error) | DbErr::Query(error) => match error {
            RuntimeErr::SqlxError(error) => of_driver(error),
            RuntimeErr::Internal(_) => ErrorKind::Unavailable,
        },
        DbErr::TryIntoErr { .. } | DbErr::Type(_) | DbErr::Json(_) => ErrorKind::Corrupt,
        _ => ErrorKind::Other,
    }
}

fn of_driver(error: &sqlx::Error) -> ErrorKind {
    match error {
        sqlx::Error::Io(_)
        | sqlx::Error::Tls(_)
        | sqlx::Error::Protocol(_)
        | sqlx::Error::PoolTimedOut
        | sqlx::Error::PoolClosed
        | sqlx::Error::WorkerCrashed => ErrorKind::Unavailable,
        sqlx::Error::Database(error) => of_database(error.as_ref()),
        sqlx::Error::Decode(_)
        | sqlx::Error::ColumnDecode { .. }
        | sqlx::Error::TypeNotFound { .. } => ErrorKind::Corrupt,
        _ => ErrorKind::Other,
    }
}

fn of_database(error: &dyn sqlx::error::DatabaseError) -> ErrorKind {
    #[cfg(feature = "mysql")]
    if let Some(error) = error.try_downcast_ref::<sea_orm::SqlxMySqlError>() {
        return of_mysql(error.number());
    }
    let code = error.code().unwrap_or_default();
    #[cfg(feature = "postgres")]
    if error.try_downcast_ref::<sea_orm::SqlxPostgresError>().is_some() {
        return of_postgres(&code);
    }
    of_sqlite(code.parse().unwrap_or_default())
}

/// By SQLSTATE: <https://www.postgresql.org/docs/current/errcodes-appendix.html>.
#[cfg(any(feature = "postgres", test))]
fn of_postgres(code: &str) -> ErrorKind {
    match code {
        // serialization_failure, deadlock_detected, lock_not_available
        "40001" | "40P01" | "55P03" => ErrorKind::Conflict,
        // query_canceled: statement_timeout
        "57014" => ErrorKind::Timeout,
        // admin_shutdown, crash_shutdown, cannot_connect_now; a standby after a failover; I/O
        "57P01" | "57P02" | "57P03" | "25006" | "58030" => ErrorKind::Unavailable,
        // Connection exceptions; out of disk, memory or connections
        _ if code.starts_with("08") || code.starts_with("53") => ErrorKind::Unavailable,
        // Data exceptions: a value that the column cannot hold
        _ if code.starts_with("22") => ErrorKind::Corrupt,
        _ => ErrorKind::Other,
    }
}

/// By error number: <https://mariadb.com/kb/en/mariadb-error-codes/>.
#[cfg(any(feature = "mysql", test))]
fn of_mysql(number: u16) -> ErrorKind {
    match number {
        // Lock wait timeout, deadlock, NOWAIT
        1205 | 1213 | 3572 => ErrorKind::Conflict,
        // Interrupted, and the two statement time limits
        1317 | 1969 | 3024 => ErrorKind::Timeout,
        // Too many connections, shutting down, connection killed or lost, disk full, read-only
        1021 | 1040 | 1053 | 1114 | 1203 | 1290 | 1792 | 1836 | 1927 | 2006 | 2013 => {
            ErrorKind::Unavailable
        }
        // Out of range, wrong value, too long
        1264 | 1366 | 1406 => ErrorKind::Corrupt,
        _ => ErrorKind::Other,
    }
}

/// By result code, extended or not: <https://www.sqlite.org/rescode.html>.
fn of_sqlite(code: i32) -> ErrorKind {
    match code & 0xff {
        // BUSY, LOCKED, SCHEMA
        5 | 6 | 17 => ErrorKind::Conflict,
        // INTERRUPT
        9 => ErrorKind::Timeout,
        // NOMEM, READONLY, IOERR, FULL, CANTOPEN
        7 | 8 | 10 | 13 | 14 => ErrorKind::Unavailable,
        // CORRUPT, TOOBIG, NOTADB
        11 | 18 | 26 => ErrorKind::Corrupt,
        _ => ErrorKind::Other,
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use sea_orm::ConnAcquireErr;

    use super::*;

    #[test]
    fn postgres_states() {
        for (code, kind) in [
            ("40001", ErrorKind::Conflict),
            ("40P01", ErrorKind::Conflict),
            ("55P03", ErrorKind::Conflict),
            ("57014", ErrorKind::Timeout),
            ("57P01", ErrorKind::Unavailable),
            ("57P02", ErrorKind::Unavailable),
            ("57P03", ErrorKind::Unavailable),
            ("25006", ErrorKind::Unavailable),
            ("58030", ErrorKind::Unavailable),
            ("08006", ErrorKind::Unavailable),
            ("08P01", ErrorKind::Unavailable),
            ("53100", ErrorKind::Unavailable),
            ("53300", ErrorKind::Unavailable),
            ("22021", ErrorKind::Corrupt),
            ("23505", ErrorKind::Other),
            ("42P01", ErrorKind::Other),
            ("", ErrorKind::Other),
        ] {
            assert_eq!(of_postgres(code), kind, "{code}");
        }
    }

    #[test]
    fn mysql_numbers() {
        for (number, kind) in [
            (1205, ErrorKind::Conflict),
            (1213, ErrorKind::Conflict),
            (3572, ErrorKind::Conflict),
            (1317, ErrorKind::Timeout),
            (1969, ErrorKind::Timeout),
            (3024, ErrorKind::Timeout),
            (1021, ErrorKind::Unavailable),
            (1040, ErrorKind::Unavailable),
            (1053, ErrorKind::Unavailable),
            (1114, ErrorKind::Unavailable),
            (1203, ErrorKind::Unavailable),
            (1290, ErrorKind::Unavailable),
            (1792, ErrorKind::Unavailable),
            (1836, ErrorKind::Unavailable),
            (1927, ErrorKind::Unavailable),
            (2006, ErrorKind::Unavailable),
            (2013, ErrorKind::Unavailable),
            (1264, ErrorKind::Corrupt),
            (1366, ErrorKind::Corrupt),
            (1406, ErrorKind::Corrupt),
            (1062, ErrorKind::Other),
            (1146, ErrorKind::Other),
        ] {
            assert_eq!(of_mysql(number), kind, "{number}");
        }
    }

    #[test]
    fn sqlite_codes_plain_and_extended() {
        for (code, kind) in [
            (5, ErrorKind::Conflict),
            (261, ErrorKind::Conflict),
            (517, ErrorKind::Conflict),
            (6, ErrorKind::Conflict),
            (262, ErrorKind::Conflict),
            (17, ErrorKind::Conflict),
            (9, ErrorKind::Timeout),
            (7, ErrorKind::Unavailable),
            (8, ErrorKind::Unavailable),
            (10, ErrorKind::Unavailable),
            (778, ErrorKind::Unavailable),
            (13, ErrorKind::Unavailable),
            (14, ErrorKind::Unavailable),
            (11, ErrorKind::Corrupt),
            (18, ErrorKind::Corrupt),
            (26, ErrorKind::Corrupt),
            (1, ErrorKind::Other),
            (2067, ErrorKind::Other),
        ] {
            assert_eq!(of_sqlite(code), kind, "{code}");
        }
    }

    #[test]
    fn errors_of_the_driver_and_the_pool() {
        let driver = |error| DbErr::Query(RuntimeErr::SqlxError(Arc::new(error)));
        let io = || std::io::Error::from(std::io::ErrorKind::ConnectionReset);
        for (error, kind) in [
            (DbErr::ConnectionAcquire(ConnAcquireErr::Timeout), ErrorKind::Unavailable),
            (DbErr::ConnectionAcquire(ConnAcquireErr::ConnectionClosed), ErrorKind::Unavailable),
            (driver(sqlx::Error::Io(io())), ErrorKind::Unavailable),
            (driver(sqlx::Error::Tls("handshake".into())), ErrorKind::Unavailable),
            (driver(sqlx::Error::Protocol("cut off".into())), ErrorKind::Unavailable),
            (driver(sqlx::Error::PoolTimedOut), ErrorKind::Unavailable),
            (driver(sqlx::Error::PoolClosed), ErrorKind::Unavailable),
            (driver(sqlx::Error::WorkerCrashed), ErrorKind::Unavailable),
            (DbErr::Conn(RuntimeErr::Internal("Disconnected".into())), ErrorKind::Unavailable),
            (driver(sqlx::Error::Decode("no".into())), ErrorKind::Corrupt),
            (DbErr::Type("null".into()), ErrorKind::Corrupt),
            (DbErr::Json("no".into()), ErrorKind::Corrupt),
            (driver(sqlx::Error::RowNotFound), ErrorKind::Other),
            (DbErr::Custom("x".into()), ErrorKind::Other),
        ] {
            let text = error.to_string();
            assert_eq!(classify(error).kind(), kind, "{text}");
        }
    }
}
