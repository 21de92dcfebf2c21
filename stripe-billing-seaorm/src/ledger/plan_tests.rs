//! Postgres plans a statement for the tables as they are then, or as it takes them to be, and keeps the
//! plan. No operation of the ledger may read a table from one end to the other because of that.

#![allow(clippy::unwrap_used)] // In the helpers too: a test that cannot go on fails.

use chrono::TimeDelta;
use sea_orm::{ConnectOptions, Database};
use stripe_billing_core::ledger::{
    Command, Grant, LedgerKey, LedgerPolicy, MoneyBackStatus, Rebuild, Request, Scope, Window,
};
use stripe_billing_core::store::{CreditLedger, EntryQuery, LedgerTerms, UsageQuery};
use tokio::task::JoinSet;

use crate::SeaOrmStore;
use crate::db::column;
use crate::support::{Backend, TestDb, start};

/// So many that a scan would seem cheaper than to look for a hundred.
const COPIES: i64 = 5_000;
/// After five executions Postgres may keep a plan by itself.
const ROUNDS: u32 = 7;

/// The tables of an account, each with the column that says whose row it is.
const TABLES: [(&str, &str); 10] = [
    ("accounts", "id"),
    ("lots", "account_id"),
    ("entries", "account_id"),
    ("keys", "account_id"),
    ("reservations", "account_id"),
    ("freezes", "account_id"),
    ("sources", "account_id"),
    ("scheduled", "account_id"),
    ("limits", "account_id"),
    ("usage", "account_id"),
];

/// The store's own connection, whose statements were all planned while there was one account.
#[tokio::test]
async fn plans_made_for_one_account_are_good_for_thousands() {
    let Some(db) = TestDb::create(Backend::Postgres).await else { return };
    let store = db.builder().max_connections(1).connect().await.unwrap();
    for round in 0..2 {
        everything(&store, "first", round).await;
        run(&store, "ANALYZE").await;
    }
    copy(&store, 1..=COPIES).await;
    for round in 2..4 {
        everything(&store, "first-77", round).await;
        together(&store, round).await;
    }
    assert_eq!(scanned(&store).await, [""; 0]);
}

/// A connection of the app's own, on which Postgres plans as it does by default.
#[tokio::test]
async fn accounts_are_found_by_key_however_statements_are_planned() {
    let Some(db) = TestDb::create(Backend::Postgres).await else { return };
    for round in 0..3 {
        everything(&db.store().await, "first", round).await;
    }
    for (copies, prepare) in [(1..=COPIES, "SELECT 1"), (COPIES + 1..=COPIES + 10, "ANALYZE")] {
        let mut options = ConnectOptions::new(db.url.as_str());
        options.max_connections(1).sqlx_logging(false);
        let own = Database::connect(options).await.unwrap();
        let store = SeaOrmStore::builder(own).connect().await.unwrap();
        copy(&store, copies.clone()).await;
        run(&store, prepare).await;
        for round in 0..ROUNDS {
            everything(&store, &format!("first-{}", copies.end()), 10 + round).await;
            together(&store, 10 * u32::try_from(*copies.end()).unwrap() + round).await;
        }
        assert_eq!(scanned(&store).await, [""; 0], "{prepare}");
    }
}

/// Of a join Postgres does not know that it is one account's entries, which are in order already.
#[tokio::test]
async fn a_page_of_a_long_history_reads_no_more_than_the_page() {
    let Some(db) = TestDb::create(Backend::Postgres).await else { return };
    let store = db.builder().max_connections(1).connect().await.unwrap();
    spend(&store, "first", "only", 1).await;
    run(
        &store,
        "INSERT INTO billing_credit_entries SELECT e.* FROM billing_credit_entries t, \
         generate_series(100, 5000) n, LATERAL jsonb_populate_record(t, \
         jsonb_build_object('seq', n, 'idem_key', n::text)) e WHERE t.seq = 1",
    )
    .await;
    run(&store, "ANALYZE").await;
    forget(&store).await;
    let key = key("first");
    for query in [EntryQuery::after(key.clone(), 0, 50), EntryQuery::before(key, i64::MAX, 50)] {
        assert_eq!(store.entries(&query).await.unwrap().len(), 50);
    }
    let read = "SELECT (seq_tup_read + idx_tup_fetch)::text FROM pg_stat_user_tables \
                WHERE relname = 'billing_credit_entries'";
    let read: i64 = ask(&store, read).await[0].parse().unwrap();
    assert!((100..200).contains(&read), "{read} rows");
}

fn key(account: &str) -> LedgerKey {
    LedgerKey::new(account, "credits")
}

async fn execute(store: &SeaOrmStore, account: &str, request: impl Into<Request>) {
    let terms = LedgerTerms { now: start(), policy: LedgerPolicy::default() };
    store.execute(&key(account), &request.into(), &terms).await.unwrap().unwrap();
}

async fn spend(store: &SeaOrmStore, account: &str, id: &str, amount: i64) {
    let limit = Command::SetOverdraft { limit: 1_000 };
    execute(store, account, limit).await;
    execute(store, account, Command::Spend { key: id.to_owned(), amount }).await;
}

/// Every kind of write and of read, with keys of its own in each round.
async fn everything(store: &SeaOrmStore, account: &str, round: u32) {
    let name = |name: &str| format!("{name}-{round}");
    let ttl = TimeDelta::seconds(900);
    let later = start() + TimeDelta::days(30);
    let reserve = |id: &str| Command::Reserve { id: name(id), amount: 3, ttl };
    let member = "ann".to_owned();
    let scheduled = |id: &str| Grant::new(name(id), 5).paid_with(name("in_2"), 5).from(later);
    for command in [
        Command::Grant(Grant::new(name("g"), 1_000).paid_with(name("in_1"), 1_000)),
        Command::Spend { key: name("s"), amount: 3 },
        reserve("open"),
        reserve("captured"),
        Command::Capture { id: name("captured"), amount: 2 },
        reserve("released"),
        Command::Release { id: name("released") },
        Command::Schedule(vec![scheduled("stays"), scheduled("goes")]),
        Command::Withdraw(vec![name("goes")]),
        Command::SetLimit {
            member,
            feature: None,
            window: Window::Month,
            max: 500 + i64::from(round),
        },
        Command::MoneyBack {
            source: name("in_1"),
            id: name("dp"),
            amount: 40,
            status: MoneyBackStatus::DisputeOpen,
        },
    ] {
        execute(store, account, command).await;
    }
    execute(store, account, Request::from(Command::Spend { key: name("m"), amount: 1 }).by("ann"))
        .await;
    // Again: its first answer is looked up.
    execute(store, account, Command::Spend { key: name("s"), amount: 3 }).await;

    let key = key(account);
    assert!(store.account(&key, Scope::All).await.unwrap().is_some());
    assert!(store.account(&key, Scope::Open).await.unwrap().is_some());
    assert_eq!(store.accounts_of(&key.owner, None).await.unwrap().len(), 1);
    assert_eq!(store.entries(&EntryQuery::after(key.clone(), 0, 3)).await.unwrap().len(), 3);
    assert!(!store.due(start() + TimeDelta::days(1), 10).await.unwrap().is_empty());
    assert!(!store.ledger_keys(None, 10).await.unwrap().is_empty());
    store.roll_up(100).await.unwrap();
    let day = start().date_naive();
    let query = UsageQuery { key: key.clone(), from: day, to: day, actor: None };
    store.usage(&query).await.unwrap();
    store.rebuild_usage(&key).await.unwrap();
    store.roll_up(100).await.unwrap();
    let by = Rebuild { actor: "ann".to_owned(), reason: "to be sure".to_owned(), now: start() };
    assert_eq!(store.rebuild(&key, &by).await.unwrap(), Ok(vec![]));
}

/// Spends on many accounts, most of which are written by one statement.
async fn together(store: &SeaOrmStore, round: u32) {
    let mut clients = JoinSet::new();
    for n in 1..=40 {
        let store = store.clone();
        clients.spawn(async move {
            let spend = Command::Spend { key: format!("t-{round}"), amount: 1 };
            execute(&store, &format!("first-{n}"), spend).await;
        });
    }
    clients.join_all().await;
}

/// Makes other accounts like the first one.
async fn copy(store: &SeaOrmStore, numbers: std::ops::RangeInclusive<i64>) {
    for (table, owner) in TABLES {
        let (more, overriding) = match table {
            "accounts" => (
                ", 'account', t.account || '-' || n, 'next_due_at', t.next_due_at + n",
                "OVERRIDING SYSTEM VALUE",
            ),
            _ => ("", ""),
        };
        run(
            store,
            &format!(
                "INSERT INTO billing_credit_{table} {overriding} \
                 SELECT r.* FROM billing_credit_{table} t, generate_series({}, {}) n, \
                 LATERAL jsonb_populate_record(t, jsonb_build_object('{owner}', 1000 + n{more})) r \
                 WHERE t.{owner} = 1",
                numbers.start(),
                numbers.end()
            ),
        )
        .await;
    }
    forget(store).await;
}

async fn run(store: &SeaOrmStore, sql: &str) {
    let db = &store.db;
    db.execute(db.writer(), sql, Vec::new()).await.unwrap();
}

/// The first column, of the connection that has done all the work.
async fn ask(store: &SeaOrmStore, sql: &str) -> Vec<String> {
    let db = &store.db;
    // What it has counted becomes visible when it is idle next.
    db.query(db.writer(), "SELECT pg_stat_force_next_flush()", Vec::new()).await.unwrap();
    let rows = db.query(db.writer(), sql, Vec::new()).await.unwrap();
    rows.iter().map(|row| column(row, 0).unwrap()).collect()
}

/// Begins to count what is read.
async fn forget(store: &SeaOrmStore) {
    ask(store, "SELECT pg_stat_reset()::text").await;
}

/// The tables of the ledger that were read from one end to the other.
async fn scanned(store: &SeaOrmStore) -> Vec<String> {
    let sql = "SELECT relname::text FROM pg_stat_user_tables \
               WHERE relname LIKE 'billing\\_credit\\_%' AND seq_scan > 0 ORDER BY relname";
    ask(store, sql).await
}
