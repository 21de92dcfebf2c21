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
use super::table::{BALANCE, LOTS, Table};
use crate::db::{Db, column};
use crate::dialect::{Dialect, repeated};

/// Rows written by one statement at most; a power of two, and a multiple of eight.
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
    let written = match db.dialect {
        Dialect::Sqlite => heads_at_once(db, on, works).await?,
        Dialect::Postgres | Dialect::Mysql => heads(db, on, works).await?,
    };
    let mut parts: [Vec<Owned>; TABLES] = std::array::from_fn(|_| Vec::new());
    let (mut new, mut gone) = (Vec::new(), Vec::new());
    for work in works.iter().filter(|work| written.contains(&work.state.id)) {
        let id = work.state.id;
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
    let mut steps = Vec::new();
    insert(db, &LOTS, new, true, &mut steps);
    for (table, rows) in row::ALL.into_iter().zip(parts) {
        insert(db, table, rows, false, &mut steps);
    }
    steps.extend(gone.into_iter().map(|values| (db.sql.credit_unschedule.clone(), values)));
    run(db, on, steps).await?;
    Ok(written)
}

/// A statement and its parameters.
type Step = (String, Vec<Value>);

/// SQLite's driver takes them all at once: each by itself would be a way to another thread and back.
async fn run(db: &Db, on: &impl ConnectionTrait, mut steps: Vec<Step>) -> Result<(), StoreError> {
    if db.dialect == Dialect::Sqlite && steps.len() > 1 {
        let (statements, values): (Vec<String>, Vec<Vec<Value>>) = steps.into_iter().unzip();
        steps = vec![(statements.join("; "), values.concat())];
    }
    for (sql, values) in steps {
        db.execute(on, sql, values).await?;
    }
    Ok(())
}

async fn heads(
    db: &Db,
    on: &impl ConnectionTrait,
    works: &[&Work],
) -> Result<Vec<i64>, StoreError> {
    let mut written = Vec::with_capacity(works.len());
    for work in works {
        if db.execute(on, db.sql.credit_head.as_str(), head(work)?).await? > 0 {
            written.push(work.state.id);
        }
    }
    Ok(written)
}

/// The same in one statement for 64 accounts.
async fn heads_at_once(
    db: &Db,
    on: &impl ConnectionTrait,
    works: &[&Work],
) -> Result<Vec<i64>, StoreError> {
    let mut written = Vec::with_capacity(works.len());
    for works in works.chunks(MAX_ROWS) {
        let places = places(db.dialect, works.len());
        let mut values = Vec::with_capacity(places * HEAD_WIDTH);
        for work in works {
            values.extend(head(work)?);
        }
        // A place without an account has no number.
        values.resize(places * HEAD_WIDTH, Value::BigInt(None));
        let rows = db.query(on, db.render(&heads_statement(places)), values).await?;
        for row in &rows {
            written.push(column(row, 0)?);
        }
    }
    Ok(written)
}

/// How many parameters [`HEAD`] has.
pub(super) const HEAD_WIDTH: usize = BALANCE.len() + 2;

/// [`HEAD`] for so many accounts; says which of them are in their version.
fn heads_statement(accounts: usize) -> String {
    let set: Vec<String> =
        (1..).zip(BALANCE).map(|(place, (name, _))| format!("{name} = n.column{place}")).collect();
    let row = format!("({})", repeated("?", ", ", HEAD_WIDTH));
    format!(
        "UPDATE {{p}}credit_accounts AS a SET version = a.version + 1, {} FROM (VALUES {}) AS n \
         WHERE a.id = n.column{} AND a.version = n.column{HEAD_WIDTH} RETURNING id",
        set.join(", "),
        repeated(&row, ", ", accounts),
        HEAD_WIDTH - 1,
    )
}

/// For how many rows the next statement has places, so that few are prepared. On SQLite some of them
/// may stay empty, on MySQL there may be rows left.
fn places(dialect: Dialect, rows: usize) -> usize {
    match (dialect, rows) {
        (_, MAX_ROWS..) => MAX_ROWS,
        (Dialect::Sqlite, 5..) => rows.next_multiple_of(8),
        (Dialect::Sqlite, _) => rows.next_power_of_two(),
        (Dialect::Postgres | Dialect::Mysql, _) => 1 << rows.ilog2(),
    }
}

/// A row, and its account.
type Owned = (i64, Vec<Value>);

fn insert(db: &Db, table: &Table, rows: Vec<Owned>, is_new: bool, steps: &mut Vec<Step>) {
    let mut rows = rows.into_iter();
    let width = table.columns.len() + usize::from(table.is_accounts);
    while rows.len() > 0 {
        let places = places(db.dialect, rows.len());
        let mut values = Vec::with_capacity(places * width);
        for (account, row) in rows.by_ref().take(places) {
            if table.is_accounts {
                values.push(account.into());
            }
            values.extend(row);
        }
        values.resize(places * width, Value::BigInt(None));
        steps.push((db.render(&table.insert(db.dialect, places, is_new)), values));
    }
}

/// Forgets a scheduled lot.
pub(crate) const UNSCHEDULE: &str =
    "DELETE FROM {p}credit_scheduled WHERE account_id = ? AND grant_key = ?";

#[cfg(all(test, feature = "sqlite"))]
#[allow(clippy::unwrap_used)] // In the helpers too: a test that cannot go on fails.
mod tests {
    use std::collections::BTreeSet;

    use chrono::DateTime;
    use stripe_billing_core::ledger::{Command, Grant, LedgerKey, LedgerPolicy, Scope};
    use stripe_billing_core::store::{CreditLedger, LedgerTerms};

    use super::super::load;
    use super::*;
    use crate::SeaOrmStore;

    fn terms() -> LedgerTerms {
        let now = DateTime::from_timestamp(1_800_000_000, 0).unwrap();
        LedgerTerms { now, policy: LedgerPolicy::default() }
    }

    /// Of each account a spend that is decided.
    async fn spends(store: &SeaOrmStore, accounts: usize) -> Vec<Work> {
        let mut works = Vec::new();
        for n in 0..accounts {
            let key = LedgerKey::new(format!("team-{n}").as_str(), "credits");
            let grant = Command::Grant(Grant::new("g", 5)).into();
            store.execute(&key, &grant, &terms()).await.unwrap().unwrap();
            let (db, named) = (&store.db, BTreeSet::new());
            let state = load::account(db, db.reader(), &key, Scope::Open, &named).await.unwrap();
            let mut work = Work::on(state.unwrap());
            work.decide(&Command::Spend { key: "s".to_owned(), amount: 1 }.into(), &terms());
            works.push(work);
        }
        works
    }

    #[tokio::test]
    async fn sqlite_writes_many_accounts_with_two_calls() {
        let store = SeaOrmStore::connect("sqlite::memory:").await.unwrap();
        let mut works = spends(&store, 37).await;
        works[11].state.version += 1;
        let stale = works[11].state.id;
        store.db.crash.plan(1_000);
        let tx = store.db.begin().await.unwrap();
        let written = in_steps(&store.db, &tx, &works.iter().collect::<Vec<_>>()).await.unwrap();
        // The accounts, and then all that is theirs.
        assert_eq!(store.db.crash.left(), 1_000 - 2);
        store.db.commit(tx).await.unwrap();
        assert_eq!(written.len(), 36);
        for work in works {
            let account = store.account(work.key(), Scope::All).await.unwrap().unwrap();
            let is_written = work.state.id != stale;
            assert_eq!(written.contains(&work.state.id), is_written);
            assert_eq!(
                (account == work.state.account, account.balance.seq == 2),
                (is_written, is_written)
            );
        }
    }
}
