//! Reads accounts: all of one in one statement, and so as of one instant.

use std::collections::{BTreeMap, BTreeSet};

use sea_orm::{ConnectionTrait, QueryResult};
use stripe_billing_core::ledger::{
    Account, Balance, Freeze, KeyedReply, LedgerKey, Lot, LotId, MemberLimit, Reservation,
    ScheduledLot, Scope, Source,
};
use stripe_billing_core::{AccountKey, StoreError};

use super::row;
use super::state::State;
use crate::classify::corrupt;
use crate::db::{self, Db, column};
use crate::dialect::{Dialect, repeated};

/// The account as it is, with the reservations that are named; `None` if there is no such row.
pub(crate) async fn account(
    db: &Db,
    on: &impl ConnectionTrait,
    key: &LedgerKey,
    scope: Scope,
    named: &BTreeSet<&str>,
) -> Result<Option<State>, StoreError> {
    // A power of two, so that few statements are prepared: the last one is repeated.
    let places =
        if named.is_empty() || scope == Scope::All { 0 } else { named.len().next_power_of_two() };
    let mut values = row::key_values(key).to_vec();
    values.extend(named.iter().map(|id| db::text(id)).take(places));
    if let Some(last) = values.last().cloned() {
        values.resize(4 + places, last);
    }
    let rows = match (scope, places) {
        (Scope::Open, 0) => db.query(on, db.sql.credit_open.as_str(), values).await?,
        (Scope::All, _) => db.query(on, db.sql.credit_all.as_str(), values).await?,
        (Scope::Open, _) => db.query(on, db.render(&statement(scope, places)), values).await?,
    };
    read(key, &rows)
}

fn read(key: &LedgerKey, rows: &[QueryResult]) -> Result<Option<State>, StoreError> {
    let mut account = Account::new(key.clone());
    let mut head = None;
    for row in rows {
        let part: String = column(row, 0)?;
        match part.as_str() {
            "account" => {
                head = Some((column(row, 1)?, column(row, 2)?));
                account.balance = balance(row)?;
            }
            "lot" => {
                let lot = lot(row)?;
                account.lots.insert(lot.id, lot);
            }
            "reservation" => {
                let one: Reservation = body(row)?;
                account.reservations.insert(one.id.clone(), one);
            }
            "freeze" => {
                let freeze: Freeze = body(row)?;
                account.freezes.insert(freeze.dispute.clone(), freeze);
            }
            "source" => {
                let source: Source = body(row)?;
                account.sources.insert(source.id.clone(), source);
            }
            "scheduled" => {
                let lot: ScheduledLot = body(row)?;
                account.scheduled.insert(lot.grant.key.clone(), lot);
            }
            "limit" => {
                let limit: MemberLimit = body(row)?;
                account.limits.insert(limit.key.clone(), limit);
            }
            other => return Err(corrupt(format!("{other} is no part of an account"))),
        }
    }
    Ok(head.map(|(id, version)| State { id, version, account }))
}

fn body<T: serde::de::DeserializeOwned>(row: &QueryResult) -> Result<T, StoreError> {
    serde_json::from_str(&column::<String>(row, FIRST_TEXT)?).map_err(corrupt)
}

/// Numbers come before texts.
const NUMBERS: usize = 13;
const FIRST_TEXT: usize = 1 + NUMBERS;

fn balance(row: &QueryResult) -> Result<Balance, StoreError> {
    let recorded_at: Option<i64> = column(row, 11)?;
    Ok(Balance {
        seq: column(row, 3)?,
        available: column(row, 4)?,
        held: column(row, 5)?,
        frozen: column(row, 6)?,
        debt: column(row, 7)?,
        overdraft_limit: column(row, 8)?,
        written_off: column(row, 9)?,
        level: row::of_word(column(row, FIRST_TEXT)?)?,
        epoch: column(row, 10)?,
        recorded_at: recorded_at.map(db::from_micros).transpose()?,
    })
}

fn lot(row: &QueryResult) -> Result<Lot, StoreError> {
    let time = |index| column::<Option<i64>>(row, index)?.map(db::from_micros).transpose();
    let text = |index| FIRST_TEXT + index;
    Ok(Lot {
        id: LotId(column(row, 1)?),
        kind: row::of_word(column(row, text(0))?)?,
        grant_key: column(row, text(2))?,
        granted: column(row, 2)?,
        priority: u8::try_from(column::<i64>(row, 3)?).map_err(corrupt)?,
        category: row::of_word(column(row, text(1))?)?,
        effective_at: db::time(row, 4)?,
        expires_at: time(5)?,
        ended_at: time(6)?,
        source: column(row, text(3))?,
        period: column(row, text(4))?,
        series: column(row, text(5))?,
        remaining: column(row, 7)?,
        held: column(row, 8)?,
        frozen: column(row, 9)?,
        consumed: column(row, 10)?,
        expired: column(row, 11)?,
        clawed: column(row, 12)?,
        repaid: column(row, 13)?,
    })
}

/// The account's number in a statement. Found first, and not by a join: then all that is its own goes by
/// key, whatever Postgres takes the tables for. Where it took an index for empty it read all of it.
const ID: &str = "(SELECT id FROM a)";

/// The template that reads a scope, with so many named reservations.
pub(crate) fn statement(scope: Scope, named: usize) -> String {
    let is_open = |table: &str| match scope {
        Scope::Open => format!(" AND {table}.is_open"),
        Scope::All => String::new(),
    };
    // The first rows give the columns their types.
    let mut sql = format!(
        "WITH a AS (SELECT * FROM {{p}}credit_accounts WHERE stripe_account = ? AND account = ? \
         AND livemode = ? AND unit = ?) \
         SELECT 'account', id, version, seq, available, held, frozen, debt, overdraft_limit, \
         written_off, epoch, recorded_at, NULL, NULL, level, NULL, NULL, NULL, NULL, NULL FROM a \
         UNION ALL SELECT 'lot', l.id, l.granted, l.priority, l.effective_at, l.expires_at, \
         l.ended_at, l.remaining, l.held, l.frozen, l.consumed, l.expired, l.clawed, l.repaid, \
         l.kind, l.category, l.grant_key, l.source_id, l.in_period, l.in_series \
         FROM {{p}}credit_lots l WHERE l.account_id = {ID}{}",
        is_open("l")
    );
    let body = |part: &str, table: &str, and: &str| {
        format!(
            " UNION ALL SELECT '{part}', {}, t.body, {} \
             FROM {{p}}{table} t WHERE t.account_id = {ID}{and}",
            repeated("NULL", ", ", NUMBERS),
            repeated("NULL", ", ", 5)
        )
    };
    sql.push_str(&body("reservation", "credit_reservations", &is_open("t")));
    if named > 0 {
        let list = format!(" AND t.id IN ({})", repeated("?", ", ", named));
        sql.push_str(&body("reservation", "credit_reservations", &list));
    }
    sql.push_str(&body("freeze", "credit_freezes", &is_open("t")));
    let funding = match scope {
        Scope::Open => {
            " AND t.id IN (SELECT s.source_id FROM {p}credit_scheduled s \
             WHERE s.account_id = t.account_id)"
        }
        Scope::All => "",
    };
    sql.push_str(&body("source", "credit_sources", funding));
    sql.push_str(&body("scheduled", "credit_scheduled", ""));
    sql.push_str(&body("limit", "credit_limits", ""));
    sql
}

/// The replies that are kept under some keys.
pub(crate) async fn replies(
    db: &Db,
    on: &impl ConnectionTrait,
    account: i64,
    keys: &BTreeSet<String>,
) -> Result<BTreeMap<String, KeyedReply>, StoreError> {
    if keys.is_empty() {
        return Ok(BTreeMap::new());
    }
    let places = keys.len().next_power_of_two();
    let sql = db.render(&format!(
        "SELECT idem_key, request_hash, first_seq, reply FROM {{p}}credit_keys \
         WHERE account_id = ? AND idem_key IN ({})",
        repeated("?", ", ", places)
    ));
    let mut values = vec![account.into()];
    values.extend(keys.iter().map(|key| db::text(key)));
    if let Some(last) = values.last().cloned() {
        values.resize(1 + places, last);
    }
    let rows = db.query(on, sql, values).await?;
    let replies = rows.iter().map(row::read_keyed);
    replies.map(|reply| reply.map(|reply| (reply.key.clone(), reply))).collect()
}

/// The sum of the versions of an owner's subjects.
pub(crate) async fn version_of(
    db: &Db,
    on: &impl ConnectionTrait,
    owner: &AccountKey,
    livemode: Option<bool>,
) -> Result<i64, StoreError> {
    let sql = db.render(
        "SELECT version FROM {p}subjects WHERE stripe_account = ? AND account = ? \
         AND livemode IN (?, ?)",
    );
    let values = vec![
        db::text(owner.stripe_account.as_deref().unwrap_or_default()),
        db::text(&owner.account),
        livemode.unwrap_or(true).into(),
        livemode.unwrap_or(false).into(),
    ];
    let rows = db.query(on, sql, values).await?;
    rows.iter().map(|row| column::<i64>(row, 0)).sum()
}

/// Locks an account's row until the end of the transaction, a new one if need be; its number. What
/// is read afterwards, in another statement, is what there is now.
pub(crate) async fn lock(
    db: &Db,
    tx: &impl ConnectionTrait,
    key: &LedgerKey,
) -> Result<i64, StoreError> {
    let find = async || {
        let sql = db.sql.credit_lock.as_str();
        let rows = db.query(tx, sql, row::key_values(key).to_vec()).await?;
        rows.first().map(|row| column::<i64>(row, 0)).transpose()
    };
    if let Some(id) = find().await? {
        return Ok(id);
    }
    let sql = db.sql.credit_create.as_str();
    db.execute(tx, sql, row::key_values(key).to_vec()).await?;
    find().await?.ok_or_else(|| corrupt("the account that was made is not there"))
}

/// The template of the lock. `BEGIN IMMEDIATE` has locked all of SQLite.
pub(crate) fn lock_statement(dialect: Dialect) -> String {
    let lock = match dialect {
        Dialect::Sqlite => "",
        Dialect::Postgres | Dialect::Mysql => " FOR UPDATE",
    };
    format!(
        "SELECT id FROM {{p}}credit_accounts WHERE stripe_account = ? AND account = ? \
         AND livemode = ? AND unit = ?{lock}"
    )
}

/// The template that makes an account of which nothing is known.
pub(crate) fn create_statement(dialect: Dialect) -> String {
    let keep = match dialect {
        Dialect::Sqlite | Dialect::Postgres => " ON CONFLICT DO NOTHING",
        // It locks the row that is there, where a duplicate would share it with others.
        Dialect::Mysql => " ON DUPLICATE KEY UPDATE unit = VALUES(unit)",
    };
    format!(
        "INSERT INTO {{p}}credit_accounts (stripe_account, account, livemode, unit) \
         VALUES (?, ?, ?, ?){keep}"
    )
}
