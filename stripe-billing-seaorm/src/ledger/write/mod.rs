//! Writes a piece of work, if the account is still in the version that it was decided on.
//!
//! All values are absolute, and every write of an account raises its version. So it does not matter
//! which snapshot a statement sees of the lots: if the version is the expected one, nobody has
//! written since they were read.

mod mysql;
#[cfg(feature = "postgres")]
pub(super) mod postgres;
pub(super) mod sqlite;

use sea_orm::ConnectionTrait;
use stripe_billing_core::StoreError;

use super::rows::Rows;
use crate::db::Db;
use crate::dialect::Dialect;

/// Sets the account's row.
pub(crate) const HEAD: &str = "UPDATE {p}credit_accounts SET version = version + 1, seq = ?, available = ?, \
     held = ?, frozen = ?, debt = ?, overdraft_limit = ?, written_off = ?, level = ?, epoch = ?, \
     recorded_at = ?, next_due_at = ? WHERE version = ? AND id = ?";

/// Forgets a scheduled lot.
pub(crate) const UNSCHEDULE: &str =
    "DELETE FROM {p}credit_scheduled WHERE account_id = ? AND grant_key = ?";

/// Whether it was written: not so if somebody else has written the account since it was read. Then, and
/// after an error, the transaction is to be rolled back. An error that
/// [`crate::classify::is_duplicate`] is a key that was used before.
pub(super) async fn write(
    db: &Db,
    on: &impl ConnectionTrait,
    rows: Rows,
) -> Result<bool, StoreError> {
    match db.dialect {
        Dialect::Sqlite => sqlite::write(db, on, vec![rows]).await,
        #[cfg(feature = "postgres")]
        Dialect::Postgres => Ok(!postgres::write(db, on, &[rows]).await?.is_empty()),
        #[cfg(not(feature = "postgres"))]
        Dialect::Postgres => mysql::write(db, on, rows).await,
        Dialect::Mysql => mysql::write(db, on, rows).await,
    }
}
