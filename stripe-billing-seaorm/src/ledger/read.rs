//! What is read of the ledger beside single accounts.

use std::collections::BTreeSet;

use chrono::{DateTime, Utc};
use sea_orm::Value;
use stripe_billing_core::ledger::{Account, Entry, LedgerKey, Scope};
use stripe_billing_core::store::{EntryPage, EntryQuery};
use stripe_billing_core::{AccountKey, StoreError};

use super::{load, row};
use crate::db::{self, Db};
use crate::dialect::Dialect;

/// Entries and accounts that are read at once at most.
const MAX_PAGE: u32 = 10_000;

pub(crate) async fn account(
    db: &Db,
    key: &LedgerKey,
    scope: Scope,
) -> Result<Option<Account>, StoreError> {
    let state = load::account(db, db.reader(), key, scope, &BTreeSet::new()).await?;
    Ok(state.filter(|state| state.version > 0).map(|state| state.account))
}

pub(crate) async fn accounts_of(
    db: &Db,
    owner: &AccountKey,
    livemode: Option<bool>,
) -> Result<Vec<Account>, StoreError> {
    let sql = db.render(&format!(
        "SELECT {KEY} FROM {{p}}credit_accounts WHERE stripe_account = ? AND account = ? \
         AND livemode IN (?, ?) ORDER BY livemode, unit"
    ));
    let values = vec![
        db::text(owner.stripe_account.as_deref().unwrap_or_default()),
        db::text(&owner.account),
        livemode.unwrap_or(false).into(),
        livemode.unwrap_or(true).into(),
    ];
    let rows = db.query(db.reader(), sql, values).await?;
    let mut accounts = Vec::with_capacity(rows.len());
    for key in rows.iter().map(row::key) {
        accounts.extend(account(db, &key?, Scope::All).await?);
    }
    Ok(accounts)
}

/// An account's number.
pub(super) const ID: &str = "(SELECT id FROM {p}credit_accounts WHERE stripe_account = ? \
     AND account = ? AND livemode = ? AND unit = ?)";

/// The columns that [`row::key`] reads.
const KEY: &str = "stripe_account, account, livemode, unit";

pub(crate) async fn entries(db: &Db, query: &EntryQuery) -> Result<Vec<Entry>, StoreError> {
    let EntryQuery { key, page, kind, actor, feature, limit } = query;
    let mut values = row::key_values(key).to_vec();
    // Of one account, as Postgres has to know to stop at the limit: of a join it reads all entries.
    let mut sql =
        format!("SELECT {} FROM {{p}}credit_entries e WHERE e.account_id = {ID}", row::ENTRY);
    let mut and = |condition: &str, value: Value| {
        sql.push_str(" AND ");
        sql.push_str(condition);
        values.push(value);
    };
    let order = match page {
        EntryPage::After(seq) => {
            and("e.seq > ?", (*seq).into());
            "e.seq"
        }
        EntryPage::Before(seq) => {
            and("e.seq < ?", (*seq).into());
            "e.seq DESC"
        }
    };
    if let Some(kind) = kind {
        and("e.kind = ?", Value::String(Some(row::word(kind)?)));
    }
    if let Some(actor) = actor {
        and("e.actor = ?", db::text(actor));
    }
    if let Some(feature) = feature {
        and("e.feature = ?", db::text(feature));
    }
    sql.push_str(&format!(" ORDER BY {order} LIMIT {}", (*limit).min(MAX_PAGE)));
    let rows = db.query(db.reader(), db.render(&sql), values).await?;
    rows.iter().map(row::read_entry).collect()
}

pub(crate) async fn due(
    db: &Db,
    now: DateTime<Utc>,
    limit: u32,
) -> Result<Vec<LedgerKey>, StoreError> {
    let sql = db.render(&format!(
        "SELECT {KEY} FROM {{p}}credit_accounts WHERE next_due_at <= ? \
         ORDER BY next_due_at, {KEY} LIMIT {}",
        limit.min(MAX_PAGE)
    ));
    let rows = db.query(db.reader(), sql, vec![db::micros(now).into()]).await?;
    rows.iter().map(row::key).collect()
}

pub(crate) async fn keys(
    db: &Db,
    after: Option<&LedgerKey>,
    limit: u32,
) -> Result<Vec<LedgerKey>, StoreError> {
    let mut values = Vec::new();
    let after = match (after.map(row::key_values), db.dialect) {
        (None, _) => "",
        (Some(key), Dialect::Sqlite | Dialect::Postgres) => {
            values.extend(key);
            " AND (stripe_account, account, livemode, unit) > (?, ?, ?, ?)"
        }
        // Its optimiser knows no range of several columns.
        (Some([tenant, account, livemode, unit]), Dialect::Mysql) => {
            values.extend([tenant.clone(), tenant, account.clone(), account]);
            values.extend([livemode.clone(), livemode, unit]);
            " AND stripe_account >= ? AND (stripe_account > ? OR account > ? \
             OR (account = ? AND (livemode > ? OR (livemode = ? AND unit > ?))))"
        }
    };
    let sql = db.render(&format!(
        "SELECT {KEY} FROM {{p}}credit_accounts WHERE version > 0{after} ORDER BY {KEY} LIMIT {}",
        limit.min(MAX_PAGE)
    ));
    let rows = db.query(db.reader(), sql, values).await?;
    rows.iter().map(row::key).collect()
}
