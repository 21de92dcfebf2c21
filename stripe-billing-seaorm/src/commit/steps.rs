//! One statement for each kind of change, in a transaction.

use sea_orm::DatabaseTransaction;
use stripe_billing_core::StoreError;
use stripe_billing_core::store::Commit;

use super::{Row, adopt};
use crate::classify::is_duplicate;
use crate::db::{self, Db};
use crate::dialect::{Dialect, repeated};
use crate::settle;

pub(super) async fn commit(
    db: &Db,
    tx: &DatabaseTransaction,
    row: &Row<'_>,
) -> Result<Commit, StoreError> {
    let changes = row.changes;
    let mut values = settle::columns(&changes.settlement, changes.now).to_vec();
    values.extend([
        db::text(&changes.subject.id),
        row.anomalies(),
        row.lease.seq.into(),
        row.lease.epoch.into(),
    ]);
    if db.execute(tx, db.sql.settle_committed.as_str(), values).await? == 0 {
        return Ok(Commit::LeaseLost);
    }
    if !write_subject(db, tx, row).await? || !adopt::names(db, tx, row).await? {
        return Ok(Commit::Conflict);
    }
    if !row.records.is_empty() {
        write_records(db, tx, row).await?;
    }
    row.effects.write(db, tx, &row.subject).await?;
    if changes.release_parked {
        let mut values = vec![row.now()];
        values.extend(row.subject.iter().cloned());
        values.push(row.lease.seq.into());
        let sql = db.sql.release_subject.as_str();
        db.execute(tx, sql, values).await?;
    }
    Ok(Commit::Done)
}

/// Whether the subject's version was the expected one.
async fn write_subject(
    db: &Db,
    tx: &DatabaseTransaction,
    row: &Row<'_>,
) -> Result<bool, StoreError> {
    let expected = row.changes.expected_version;
    let (account, links) = (row.account(), db::text(&row.links));
    if expected == 0 {
        let mut values = row.subject.to_vec();
        values.extend([account, links]);
        let sql = db.sql.insert_subject.as_str();
        return match db.execute(tx, sql, values).await {
            Ok(inserted) => Ok(inserted == 1),
            Err(error) if is_duplicate(&error) => Ok(false),
            Err(error) => Err(error),
        };
    }
    let mut values = vec![account, links];
    values.extend(row.subject.iter().cloned());
    values.push(expected.into());
    let sql = db.sql.update_subject.as_str();
    Ok(db.execute(tx, sql, values).await? == 1)
}

async fn write_records(db: &Db, tx: &DatabaseTransaction, row: &Row<'_>) -> Result<(), StoreError> {
    let upsert = match db.dialect {
        Dialect::Mysql => {
            "ON DUPLICATE KEY UPDATE is_current = VALUES(is_current), body = VALUES(body)"
        }
        Dialect::Sqlite | Dialect::Postgres => {
            "ON CONFLICT (stripe_account, livemode, subject, kind, id) \
             DO UPDATE SET is_current = excluded.is_current, body = excluded.body"
        }
    };
    let sql = db.render(&format!(
        "INSERT INTO {{p}}records \
         (stripe_account, livemode, subject, kind, id, is_current, body) VALUES {} {upsert}",
        repeated("(?, ?, ?, ?, ?, ?, ?)", ", ", row.records.len())
    ));
    let mut values = Vec::with_capacity(row.records.len() * 7);
    for record in &row.records {
        values.extend(row.subject.iter().cloned());
        values.extend([
            db::text(record.object.kind.as_str()),
            db::text(&record.object.id),
            record.write.current.into(),
            db::text(&record.body),
        ]);
    }
    db.execute(tx, sql, values).await?;
    Ok(())
}
