//! Usage figures, made of entries by a cursor for each account.

use std::sync::atomic::Ordering;

use chrono::{DateTime, NaiveDate};
use sea_orm::{ConnectionTrait, DatabaseTransaction};
use stripe_billing_core::StoreError;
use stripe_billing_core::ledger::{Entry, LedgerKey};
use stripe_billing_core::store::{Usage, UsageQuery, count_entries, usage_of};

use super::read::ID;
use super::row;
use crate::classify::corrupt;
use crate::db::{self, Db, column};
use crate::dialect::Dialect;

/// Accounts that are looked at in one query, and entries that are added in one transaction.
const MAX_STEP: u32 = 1_000;

/// An account whose figures lack entries.
struct Behind {
    id: i64,
    rolled: i64,
}

/// Goes through the accounts in rounds, each call from where the last one of this process ended. A
/// call that finds too little begins a round, so that none that says 0 has passed anything over.
pub(crate) async fn roll_up(db: &Db, limit: u32) -> Result<u64, StoreError> {
    let from = db.rolled_to.load(Ordering::Relaxed);
    let mut added = round(db, from, limit).await?;
    if from > 0 && added < u64::from(limit) {
        let left = u64::from(limit) - added;
        added += round(db, 0, u32::try_from(left).unwrap_or(limit)).await?;
    }
    Ok(added)
}

async fn round(db: &Db, mut from: i64, limit: u32) -> Result<u64, StoreError> {
    let mut left = limit;
    while left > 0 {
        let behind = behind(db, from).await?;
        let Some(last) = behind.last().map(|account| account.id) else {
            db.rolled_to.store(0, Ordering::Relaxed);
            break;
        };
        for account in &behind {
            if left == 0 {
                // The next call begins with this account.
                db.rolled_to.store(account.id - 1, Ordering::Relaxed);
                return Ok(u64::from(limit));
            }
            left -= roll_account(db, account, left).await?;
            from = account.id;
        }
        from = from.max(last);
        db.rolled_to.store(from - 1, Ordering::Relaxed);
    }
    Ok(u64::from(limit - left))
}

async fn behind(db: &Db, from: i64) -> Result<Vec<Behind>, StoreError> {
    let sql = db.render(&format!(
        "SELECT id, rolled_seq FROM {{p}}credit_accounts WHERE id > ? AND rolled_seq < seq \
         ORDER BY id LIMIT {MAX_STEP}"
    ));
    let rows = db.query(db.writer(), sql, vec![from.into()]).await?;
    rows.iter().map(|row| Ok(Behind { id: column(row, 0)?, rolled: column(row, 1)? })).collect()
}

/// Adds an account's entries, as many as there are and may be; how many.
async fn roll_account(db: &Db, account: &Behind, limit: u32) -> Result<u32, StoreError> {
    let (mut rolled, mut added) = (account.rolled, 0);
    while added < limit {
        let step = (limit - added).min(MAX_STEP);
        let entries = entries(db, db.writer(), account.id, rolled, step).await?;
        let Some(last) = entries.last().map(|entry| entry.seq) else { break };
        if add(db, account.id, rolled, last, &entries).await? {
            count_entries(&entries);
            added += u32::try_from(entries.len()).unwrap_or(step);
            rolled = last;
        } else {
            // Another node was faster, with these and perhaps not with all.
            rolled = rolled_to(db, account.id).await?;
        }
    }
    Ok(added)
}

async fn rolled_to(db: &Db, account: i64) -> Result<i64, StoreError> {
    let sql = db.render("SELECT rolled_seq FROM {p}credit_accounts WHERE id = ?");
    let rows = db.query(db.writer(), sql, vec![account.into()]).await?;
    rows.first().map_or(Ok(0), |row| column(row, 0))
}

/// An account's entries after a number, oldest first.
pub(super) async fn entries(
    db: &Db,
    on: &impl ConnectionTrait,
    account: i64,
    after: i64,
    limit: u32,
) -> Result<Vec<Entry>, StoreError> {
    let sql = db.render(&format!(
        "SELECT {} FROM {{p}}credit_entries e WHERE e.account_id = ? AND e.seq > ? \
         ORDER BY e.seq LIMIT {limit}",
        row::ENTRY
    ));
    let rows = db.query(on, sql, vec![account.into(), after.into()]).await?;
    rows.iter().map(row::read_entry).collect()
}

/// Each entry once: the cursor moves in the same transaction, and only from where it was.
async fn add(
    db: &Db,
    account: i64,
    from: i64,
    to: i64,
    entries: &[Entry],
) -> Result<bool, StoreError> {
    let tx = db.begin().await?;
    let sql =
        db.render("UPDATE {p}credit_accounts SET rolled_seq = ? WHERE id = ? AND rolled_seq = ?");
    if db.execute(&tx, sql, vec![to.into(), account.into(), from.into()]).await? == 0 {
        db::rollback(tx).await?;
        return Ok(false);
    }
    for usage in usage_of(entries) {
        add_usage(db, &tx, account, &usage).await?;
    }
    db.commit(tx).await?;
    Ok(true)
}

async fn add_usage(
    db: &Db,
    tx: &DatabaseTransaction,
    account: i64,
    usage: &Usage,
) -> Result<(), StoreError> {
    let add = match db.dialect {
        Dialect::Mysql => {
            "ON DUPLICATE KEY UPDATE credits = credits + VALUES(credits), \
             uses = uses + VALUES(uses)"
        }
        Dialect::Sqlite | Dialect::Postgres => {
            "ON CONFLICT (account_id, day, place) DO UPDATE SET \
             credits = u.credits + excluded.credits, uses = u.uses + excluded.uses"
        }
    };
    let alias = if db.dialect == Dialect::Mysql { "" } else { " AS u" };
    let sql = db.render(&format!(
        "INSERT INTO {{p}}credit_usage{alias} (account_id, day, place, credits, uses) \
         VALUES (?, ?, ?, ?, ?) {add}"
    ));
    let place = serde_json::to_string(&(&usage.feature, &usage.actor)).map_err(corrupt)?;
    let values = vec![
        account.into(),
        day(usage.day).into(),
        db::text(&place),
        usage.credits.into(),
        usage.count.into(),
    ];
    db.execute(tx, sql, values).await?;
    Ok(())
}

/// Days since 1970.
fn day(day: NaiveDate) -> i64 {
    day.signed_duration_since(NaiveDate::default()).num_days()
}

fn of_day(days: i64) -> Result<NaiveDate, StoreError> {
    days.checked_mul(86_400)
        .and_then(|seconds| DateTime::from_timestamp(seconds, 0))
        .map(|time| time.date_naive())
        .ok_or_else(|| corrupt(format!("{days} is no day")))
}

/// The account's row first, which is the order that [`add`] locks in.
pub(crate) async fn rebuild(db: &Db, key: &LedgerKey) -> Result<(), StoreError> {
    let tx = db.begin().await?;
    let sql = db.render(
        "UPDATE {p}credit_accounts SET rolled_seq = 0 WHERE stripe_account = ? AND account = ? \
         AND livemode = ? AND unit = ?",
    );
    db.execute(&tx, sql, row::key_values(key).to_vec()).await?;
    let sql = db.render(&format!("DELETE FROM {{p}}credit_usage WHERE account_id = {ID}"));
    db.execute(&tx, sql, row::key_values(key).to_vec()).await?;
    db.commit(tx).await?;
    db.rolled_to.store(0, Ordering::Relaxed);
    Ok(())
}

pub(crate) async fn usage(db: &Db, query: &UsageQuery) -> Result<Vec<Usage>, StoreError> {
    let UsageQuery { key, from, to, actor } = query;
    let sql = db.render(&format!(
        "SELECT day, place, credits, uses FROM {{p}}credit_usage \
         WHERE account_id = {ID} AND day BETWEEN ? AND ?"
    ));
    let mut values = row::key_values(key).to_vec();
    values.extend([day(*from).into(), day(*to).into()]);
    let mut usage = Vec::new();
    for row in &db.query(db.reader(), sql, values).await? {
        let place: String = column(row, 1)?;
        let (feature, by): (Option<String>, Option<String>) =
            serde_json::from_str(&place).map_err(corrupt)?;
        if actor.is_none() || *actor == by {
            let (credits, count) = (column(row, 2)?, column(row, 3)?);
            usage.push(Usage { day: of_day(column(row, 0)?)?, feature, actor: by, credits, count });
        }
    }
    usage.sort();
    Ok(usage)
}
