//! What operators and retention do to the tables.

use std::sync::atomic::Ordering;

use chrono::{DateTime, Utc};
use sea_orm::{ConnectionTrait, DatabaseTransaction, Value};
use stripe_billing_core::store::EventRange;
use stripe_billing_core::{StoreError, SubjectKey};

use crate::classify::corrupt;
use crate::db::{self, Db, column};
use crate::dialect::{Dialect, repeated};
use crate::inspect;

/// Events that are emptied at once at most; bounded by SQLite's 32,766 parameters.
const MAX_PRUNED: u32 = 10_000;
/// To which a count goes at most.
const MAX_COUNTED: u32 = 100_000;

/// A payload is kept. Compared with the empty one, which no database reads a long one for.
fn has_payload(dialect: Dialect) -> &'static str {
    match dialect {
        Dialect::Sqlite => "payload <> x''",
        Dialect::Postgres => "payload <> ''::bytea",
        Dialect::Mysql => "payload <> ''",
    }
}

fn empty(dialect: Dialect) -> &'static str {
    match dialect {
        Dialect::Sqlite => "x''",
        Dialect::Postgres => "''::bytea",
        Dialect::Mysql => "''",
    }
}

const AT_REST: &str =
    "status IN ('processed', 'ignored', 'parked', 'dead', 'resolved', 'dismissed')";

/// Which events of a range a replay takes, and in which order.
fn replayable(db: &Db, range: &EventRange) -> (inspect::Filter, String) {
    let (mut filter, order) = inspect::range(db.dialect, range);
    filter.and(AT_REST);
    filter.and(has_payload(db.dialect));
    (filter, order)
}

pub(crate) async fn count_replayable(db: &Db, range: &EventRange) -> Result<u64, StoreError> {
    let (_, count) = page(db, db.reader(), range, range.limit.min(MAX_COUNTED)).await?;
    Ok(count)
}

/// The last place of the first so many events that a replay would take, and how many they are.
async fn page<C: ConnectionTrait>(
    db: &Db,
    connection: &C,
    range: &EventRange,
    limit: u32,
) -> Result<(Option<i64>, u64), StoreError> {
    let (filter, order) = replayable(db, range);
    let sql = db.render(&format!(
        "SELECT MAX(seq), COUNT(*) FROM \
         (SELECT seq FROM {{p}}events{}{order} LIMIT {limit}) AS page",
        filter.conditions
    ));
    let rows = db.query(connection, sql, filter.values).await?;
    let row = rows.first().ok_or_else(|| corrupt("a count without a row"))?;
    let count = u64::try_from(column::<i64>(row, 1)?).map_err(corrupt)?;
    Ok((column(row, 0)?, count))
}

/// How many events are due again, and where the next replay goes on if the limit ended this one.
pub(crate) async fn requeue(
    db: &Db,
    tx: &DatabaseTransaction,
    range: &EventRange,
    now: DateTime<Utc>,
) -> Result<(u64, Option<i64>), StoreError> {
    let limit = range.limit.min(EventRange::MAX);
    let (Some(last), count) = page(db, tx, range, limit).await? else { return Ok((0, None)) };
    let window = EventRange { until: Some(last), ..range.clone() };
    let changed = make_due(db, tx, &window, now).await?;
    Ok((changed, (count >= u64::from(limit)).then(|| last.saturating_add(1))))
}

/// One statement. The condition is repeated outside, for rows that were claimed while it waited.
async fn make_due(
    db: &Db,
    tx: &DatabaseTransaction,
    range: &EventRange,
    now: DateTime<Utc>,
) -> Result<u64, StoreError> {
    let limit = range.limit.min(EventRange::MAX);
    let (filter, order) = replayable(db, range);
    let set = "SET status = 'received', due_at = ?, attempts = 0, deferrals = 0, \
               crashes = 0, reason = NULL";
    let conditions = &filter.conditions;
    let sql = match db.dialect {
        Dialect::Mysql => {
            format!("UPDATE {{p}}events {set}{conditions}{order} LIMIT {limit}")
        }
        Dialect::Sqlite | Dialect::Postgres => format!(
            "UPDATE {{p}}events {set} WHERE {AT_REST} AND seq IN \
             (SELECT seq FROM {{p}}events{conditions}{order} LIMIT {limit})"
        ),
    };
    let mut values = vec![db::micros(now).into()];
    values.extend(filter.values);
    db.execute(tx, db.render(&sql), values).await
}

/// Goes through the table in rounds, each call from where the last one of this process ended, so
/// that what is empty already is not read again and again. What came to rest behind that place is
/// found in the next round, and a call that finds too few begins it.
pub(crate) async fn prune(db: &Db, before: DateTime<Utc>, limit: u32) -> Result<u64, StoreError> {
    let limit = limit.min(MAX_PRUNED);
    let from = db.pruned_to.load(Ordering::Relaxed);
    let mut found = settled_before(db, before, from, limit).await?;
    if from > 0 && (found.len() as u64) < u64::from(limit) {
        found = settled_before(db, before, 0, limit).await?;
    }
    let full = found.len() as u64 == u64::from(limit);
    let reached = found.last().copied().filter(|_| full).unwrap_or(0);
    let Some(last) = found.last().copied() else {
        db.pruned_to.store(0, Ordering::Relaxed);
        return Ok(0);
    };
    // Few different lengths, so that few statements are prepared: the last one is repeated.
    let places = found.len().next_power_of_two();
    let sql = db.render(&format!(
        "UPDATE {{p}}events SET payload = {} \
         WHERE status IN ('processed', 'ignored') AND {} AND seq IN ({})",
        empty(db.dialect),
        has_payload(db.dialect),
        repeated("?", ", ", places)
    ));
    let padded = found.into_iter().chain(std::iter::repeat(last)).take(places);
    let values = padded.map(Value::from).collect();
    let pruned = db.execute(db.writer(), sql, values).await?;
    db.pruned_to.store(reached, Ordering::Relaxed);
    Ok(pruned)
}

/// The oldest first, by an index.
pub(crate) async fn prune_attempts(
    db: &Db,
    before: DateTime<Utc>,
    limit: u32,
) -> Result<u64, StoreError> {
    let oldest = "WHERE at < ? ORDER BY at, seq LIMIT ?";
    let sql = match db.dialect {
        Dialect::Mysql => format!("DELETE FROM {{p}}attempts {oldest}"),
        Dialect::Sqlite | Dialect::Postgres => format!(
            "DELETE FROM {{p}}attempts WHERE seq IN (SELECT seq FROM {{p}}attempts {oldest})"
        ),
    };
    let values = vec![db::micros(before).into(), i64::from(limit).into()];
    db.execute(db.writer(), db.render(&sql), values).await
}

async fn settled_before(
    db: &Db,
    before: DateTime<Utc>,
    from: i64,
    limit: u32,
) -> Result<Vec<i64>, StoreError> {
    let sql = db.render(&format!(
        "SELECT seq FROM {{p}}events WHERE seq > ? AND status IN ('processed', 'ignored') \
         AND received_at < ? AND {} ORDER BY seq LIMIT ?",
        has_payload(db.dialect)
    ));
    let values = vec![from.into(), db::micros(before).into(), i64::from(limit).into()];
    let rows = db.query(db.reader(), sql, values).await?;
    rows.iter().map(|row| column(row, 0)).collect()
}

/// All or nothing. Events before subjects, in which order commits lock them, too.
pub(crate) async fn erase(db: &Db, subject: &SubjectKey) -> Result<u64, StoreError> {
    let mut key = db::tenant_values(&subject.tenant).to_vec();
    key.push(db::text(&subject.id));
    let tx = db.begin().await?;
    let events = db.render(&format!(
        "UPDATE {{p}}events SET payload = {} \
         WHERE stripe_account = ? AND livemode = ? AND subject = ? AND {}",
        empty(db.dialect),
        has_payload(db.dialect)
    ));
    let erased = db.execute(&tx, events, key.clone()).await?;
    let version = db.render(
        "UPDATE {p}subjects SET version = version + 1 \
         WHERE stripe_account = ? AND livemode = ? AND id = ?",
    );
    db.execute(&tx, version, key.clone()).await?;
    db.execute(&tx, db.sql.delete_records.as_str(), key).await?;
    db.commit(tx).await?;
    Ok(erased)
}
