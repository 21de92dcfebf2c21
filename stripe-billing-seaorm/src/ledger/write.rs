//! Writes a piece of work, if the account is still in the version that it was decided on.
//!
//! All values are absolute, and every write of an account raises its version. So it does not matter
//! which snapshot a statement sees of the lots: if the version is the expected one, nobody has
//! written since they were read.

use sea_orm::{ConnectionTrait, Value};
use stripe_billing_core::StoreError;

#[cfg(feature = "postgres")]
use super::at_once;
use super::row::{self, TABLES};
use super::state::Work;
use super::table::{LOTS, Table};
use crate::db::Db;
#[cfg(feature = "postgres")]
use crate::dialect::Dialect;

/// Rows written by one statement at most; a power of two.
const MAX_ROWS: usize = 64;

/// Sets the account's row.
pub(crate) const HEAD: &str = "UPDATE {p}credit_accounts SET version = version + 1, seq = ?, available = ?, \
     held = ?, frozen = ?, debt = ?, overdraft_limit = ?, written_off = ?, level = ?, epoch = ?, \
     recorded_at = ?, next_due_at = ? WHERE id = ? AND version = ?";

/// The parameters of [`HEAD`].
pub(super) fn head(work: &Work) -> Result<Vec<Value>, StoreError> {
    let mut values = row::balance(work)?;
    values.extend([work.state.id.into(), work.state.version.into()]);
    Ok(values)
}

/// Whether it was written: not so if somebody else has written the account since it was read. An
/// error that [`crate::classify::is_duplicate`] is a key that was used before; then the transaction
/// is to be rolled back.
pub(crate) async fn write(
    db: &Db,
    on: &impl ConnectionTrait,
    work: &Work,
) -> Result<bool, StoreError> {
    #[cfg(feature = "postgres")]
    if db.dialect == Dialect::Postgres {
        return Ok(!at_once::write(db, on, &[work]).await?.is_empty());
    }
    Ok(!in_steps(db, on, &[work]).await?.is_empty())
}

/// Writes each piece of work whose account is still in its version, and says which accounts are. Of
/// an account there is one piece.
pub(crate) async fn in_steps(
    db: &Db,
    on: &impl ConnectionTrait,
    works: &[&Work],
) -> Result<Vec<i64>, StoreError> {
    let mut written = Vec::with_capacity(works.len());
    let mut parts: [Vec<Owned>; TABLES] = std::array::from_fn(|_| Vec::new());
    let (mut new, mut gone) = (Vec::new(), Vec::new());
    for work in works {
        let id = work.state.id;
        if db.execute(on, db.sql.credit_head.as_str(), head(work)?).await? == 0 {
            continue;
        }
        written.push(id);
        let (rows, unscheduled) = row::rows(work)?;
        gone.extend(unscheduled.into_iter().map(|key| vec![id.into(), key]));
        for (part, rows) in parts.iter_mut().zip(rows) {
            part.extend(rows.rows.into_iter().map(|row| (id, row)));
        }
        // Lots come first, in the order of their numbers.
        let known = work.lots.iter().take_while(|lot| lot.0 <= work.from_seq).count();
        let first = parts[0].len() - (work.lots.len() - known);
        new.extend(parts[0].drain(first..));
    }
    insert(db, on, &LOTS, new, true).await?;
    for (table, rows) in row::ALL.into_iter().zip(parts) {
        insert(db, on, table, rows, false).await?;
    }
    for values in gone {
        db.execute(on, db.sql.credit_unschedule.as_str(), values).await?;
    }
    Ok(written)
}

/// A row, and its account.
type Owned = (i64, Vec<Value>);

/// In statements of 64, 32, 16, ... rows, so that few are prepared.
async fn insert(
    db: &Db,
    on: &impl ConnectionTrait,
    table: &Table,
    rows: Vec<Owned>,
    is_new: bool,
) -> Result<(), StoreError> {
    let mut rows = rows.into_iter();
    while rows.len() > 0 {
        let size = match rows.len() {
            many if many >= MAX_ROWS => MAX_ROWS,
            few => 1 << few.ilog2(),
        };
        let mut values = Vec::with_capacity(size * (table.columns.len() + 1));
        for (account, row) in rows.by_ref().take(size) {
            if table.is_accounts {
                values.push(account.into());
            }
            values.extend(row);
        }
        let sql = db.render(&table.insert(db.dialect, size, is_new));
        db.execute(on, sql, values).await?;
    }
    Ok(())
}

/// Forgets a scheduled lot.
pub(crate) const UNSCHEDULE: &str =
    "DELETE FROM {p}credit_scheduled WHERE account_id = ? AND grant_key = ?";
