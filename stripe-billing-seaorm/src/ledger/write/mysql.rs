//! MySQL: statement after statement, in a transaction.

use sea_orm::{ConnectionTrait, Value};
use stripe_billing_core::StoreError;

use super::super::rows::{ALL, Rows};
use super::super::table::{LOTS, Table};
use crate::db::Db;
use crate::dialect::Dialect;

/// Rows written by one statement at most.
const MAX_ROWS: usize = 64;

/// Whether the account was still in its version; if not, nothing is written.
pub(super) async fn write(
    db: &Db,
    on: &impl ConnectionTrait,
    rows: Rows,
) -> Result<bool, StoreError> {
    if db.execute(on, db.sql.credit_head.as_str(), rows.head).await? == 0 {
        return Ok(false);
    }
    let mut parts = rows.parts;
    let new = parts[0].split_off(rows.known_lots * LOTS.width());
    insert(db, on, &LOTS, new, true).await?;
    for (table, values) in ALL.into_iter().zip(parts) {
        insert(db, on, table, values, false).await?;
    }
    for key in rows.unscheduled {
        db.execute(on, db.sql.credit_unschedule.as_str(), vec![rows.account.into(), key]).await?;
    }
    Ok(true)
}

async fn insert(
    db: &Db,
    on: &impl ConnectionTrait,
    table: &Table,
    mut values: Vec<Value>,
    is_new: bool,
) -> Result<(), StoreError> {
    while !values.is_empty() {
        // A power of two, so that few statements are prepared.
        let rows = 1 << (values.len() / table.width()).min(MAX_ROWS).ilog2();
        let rest = values.split_off(rows * table.width());
        db.execute(on, db.render(&table.insert(Dialect::Mysql, rows, is_new)), values).await?;
        values = rest;
    }
    Ok(())
}
