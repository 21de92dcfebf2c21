//! SQLite: all that was decided on some accounts in one call of the driver. Each call is a way to the
//! thread of the connection and back, and so is each row that a statement returns.

use std::collections::BTreeSet;

use sea_orm::{ConnectionTrait, Value};
use stripe_billing_core::StoreError;

use super::super::rows::{ALL, Rows, TABLES};
use super::super::state::Work;
use super::super::table::{BALANCE, HEAD_WIDTH};
use crate::db::{Db, column};
use crate::dialect::{Dialect, repeated};

/// Rows written by one statement at most, and so accounts by one call.
pub(crate) const MAX_ROWS: usize = 64;

/// Whether all of it was written. If not, an account is not in its version any more, and the transaction
/// is to be rolled back, as it is after an error. Of an account there is one piece.
pub(crate) async fn write(
    db: &Db,
    on: &impl ConnectionTrait,
    all: Vec<Rows>,
) -> Result<bool, StoreError> {
    let mut heads = Vec::with_capacity(all.len() * HEAD_WIDTH);
    let mut parts: [Vec<Value>; TABLES] = std::array::from_fn(|_| Vec::new());
    let mut gone = Vec::new();
    for mut rows in all {
        heads.append(&mut rows.head);
        for (part, values) in parts.iter_mut().zip(&mut rows.parts) {
            part.append(values);
        }
        gone.extend(rows.unscheduled.into_iter().map(|key| [rows.account.into(), key]));
    }
    let (mut counted, mut others) = (Calls::default(), Calls::default());
    counted.add(db, HEAD_WIDTH, heads, heads_statement);
    for (table, values) in ALL.into_iter().zip(parts) {
        let calls = if table.counts() { &mut counted } else { &mut others };
        calls.add(db, table.width(), values, |places| table.insert(Dialect::Sqlite, places, false));
    }
    for key in gone {
        others.add(db, key.len(), key.into(), |_| super::UNSCHEDULE.to_owned());
    }
    let expected = counted.rows;
    if counted.run(db, on).await? != expected {
        return Ok(false);
    }
    others.run(db, on).await?;
    Ok(true)
}

/// Which accounts are still in the version that the work on them was decided on.
pub(crate) async fn current(
    db: &Db,
    on: &impl ConnectionTrait,
    works: impl Iterator<Item = &Work>,
) -> Result<BTreeSet<i64>, StoreError> {
    let mut values = Vec::new();
    for work in works {
        values.extend([Value::from(work.state.id), work.state.version.into()]);
    }
    let sql = db.render(&format!(
        "SELECT a.id FROM {{p}}credit_accounts a JOIN (VALUES {}) n \
         ON a.id = n.column1 AND a.version = n.column2",
        repeated("(?, ?)", ", ", values.len() / 2)
    ));
    let rows = db.query(on, sql, values).await?;
    rows.iter().map(|row| column(row, 0)).collect()
}

/// Statements that go to the driver together, and their parameters.
#[derive(Default)]
struct Calls {
    calls: Vec<(String, Vec<Value>)>,
    /// How many rows they write.
    rows: u64,
}

impl Calls {
    /// Adds rows of so many values. What is too much for one call is left to the next ones.
    fn add(
        &mut self,
        db: &Db,
        width: usize,
        mut values: Vec<Value>,
        statement: impl Fn(usize) -> String,
    ) {
        self.rows += (values.len() / width) as u64;
        let mut call = 0;
        while !values.is_empty() {
            let rest = values.split_off(values.len().min(MAX_ROWS * width));
            let places = places(values.len() / width);
            if call == self.calls.len() {
                self.calls.push(Default::default());
            }
            let (sql, all) = &mut self.calls[call];
            call += 1;
            if !sql.is_empty() {
                sql.push_str("; ");
            }
            sql.push_str(&db.render(&statement(places)));
            let end = all.len() + places * width;
            all.append(&mut values);
            // A place without a row has neither an account nor a key.
            all.resize(end, Value::BigInt(None));
            values = rest;
        }
    }

    /// How many rows were written.
    async fn run(self, db: &Db, on: &impl ConnectionTrait) -> Result<u64, StoreError> {
        let mut written = 0;
        for (sql, values) in self.calls {
            written += db.execute(on, sql, values).await?;
        }
        Ok(written)
    }
}

/// For how many rows a statement has places, so that few are prepared.
fn places(rows: usize) -> usize {
    if rows < 5 { rows.next_power_of_two() } else { rows.next_multiple_of(8) }
}

/// [`super::HEAD`] for so many accounts.
fn heads_statement(accounts: usize) -> String {
    let set: Vec<String> =
        (1..).zip(BALANCE).map(|(place, (name, _))| format!("{name} = n.column{place}")).collect();
    let row = format!("({})", repeated("?", ", ", HEAD_WIDTH));
    format!(
        "UPDATE {{p}}credit_accounts AS a SET version = a.version + 1, {} FROM (VALUES {}) AS n \
         WHERE a.id = n.column{HEAD_WIDTH} AND a.version = n.column{}",
        set.join(", "),
        repeated(&row, ", ", accounts),
        HEAD_WIDTH - 1,
    )
}

#[cfg(all(test, feature = "sqlite"))]
#[allow(clippy::unwrap_used)] // In the helpers too: a test that cannot go on fails.
mod tests {
    use chrono::DateTime;
    use stripe_billing_core::ledger::{Command, Grant, LedgerKey, LedgerPolicy, Scope};
    use stripe_billing_core::store::{CreditLedger, EntryQuery, LedgerTerms};

    use super::super::super::load;
    use super::*;
    use crate::{SeaOrmStore, db};

    fn terms() -> LedgerTerms {
        let now = DateTime::from_timestamp(1_800_000_000, 0).unwrap();
        let mut policy = LedgerPolicy::default();
        policy.low_at = Some(5);
        LedgerTerms { now, policy }
    }

    /// Spends that are decided on an account of its own.
    async fn spends(store: &SeaOrmStore, account: usize, spends: usize) -> Work {
        let key = LedgerKey::new(format!("team-{account}").as_str(), "credits");
        let grant = Command::Grant(Grant::new("g", 1_000)).into();
        store.execute(&key, &grant, &terms()).await.unwrap().unwrap();
        let (db, named) = (&store.db, BTreeSet::new());
        let state = load::account(db, db.reader(), &key, Scope::Open, &named).await.unwrap();
        let mut work = Work::on(state.unwrap());
        for spend in 0..spends {
            let spend = Command::Spend { key: format!("s-{spend}"), amount: 1 };
            work.decide(&spend.into(), &terms());
        }
        work
    }

    async fn many(store: &SeaOrmStore, accounts: usize) -> Vec<Work> {
        let mut works = Vec::new();
        for account in 0..accounts {
            works.push(spends(store, account, 1).await);
        }
        works
    }

    /// Whether it was written, and how many calls that took.
    async fn write_all(store: &SeaOrmStore, works: &[Work]) -> (bool, u32) {
        let rows = works.iter().map(|work| Rows::of(work).unwrap()).collect();
        store.db.crash.plan(1_000);
        let tx = store.db.begin().await.unwrap();
        let is_written = write(&store.db, &tx, rows).await.unwrap();
        let calls = 1_000 - store.db.crash.left();
        match is_written {
            true => store.db.commit(tx).await.unwrap(),
            false => db::rollback(tx).await.unwrap(),
        }
        (is_written, calls)
    }

    async fn assert_stored(store: &SeaOrmStore, work: &Work) {
        let account = store.account(work.key(), Scope::All).await.unwrap().unwrap();
        assert_eq!(account, work.state.account);
        let entries = EntryQuery::after(work.key().clone(), 1, 1_000);
        assert_eq!(store.entries(&entries).await.unwrap(), work.entries);
    }

    #[tokio::test]
    async fn many_accounts_are_one_call() {
        let store = SeaOrmStore::connect("sqlite::memory:").await.unwrap();
        let works = many(&store, 37).await;
        assert_eq!(write_all(&store, &works).await, (true, 1));
        for work in &works {
            assert_stored(&store, work).await;
        }
    }

    #[tokio::test]
    async fn an_account_in_another_version_is_told() {
        let store = SeaOrmStore::connect("sqlite::memory:").await.unwrap();
        let mut works = many(&store, 5).await;
        works[3].state.version += 1;
        let stale = works[3].state.id;
        let (is_written, _) = write_all(&store, &works).await;
        assert!(!is_written);
        let mut current = current(&store.db, store.db.reader(), works.iter()).await.unwrap();
        assert_eq!(current.len(), 4);
        assert!(current.insert(stale), "it is not current");
    }

    #[tokio::test]
    async fn what_is_too_much_for_a_statement_takes_more_calls() {
        let store = SeaOrmStore::connect("sqlite::memory:").await.unwrap();
        let works = [spends(&store, 0, 2 * MAX_ROWS + 1).await, spends(&store, 1, 1).await];
        assert_eq!(write_all(&store, &works).await, (true, 3));
        for work in &works {
            assert_stored(&store, work).await;
        }
    }

    #[tokio::test]
    async fn a_notice_that_is_there_already_is_no_other_version() {
        let store = SeaOrmStore::connect("sqlite::memory:").await.unwrap();
        let mut work = spends(&store, 0, 996).await;
        assert_eq!(work.notices.len(), 1, "the balance is low");
        work.notices.push(work.notices[0].clone());
        let (is_written, _) = write_all(&store, std::slice::from_ref(&work)).await;
        assert!(is_written);
        assert_stored(&store, &work).await;
    }
}
