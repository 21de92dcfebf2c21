//! Spending from the ledger, beside the least that a spend could be. On Postgres that is one statement
//! that takes from a row and writes an entry, without lots, keys, limits or an answer that can be
//! repeated. On SQLite it is a transaction for each spend, of the rows that a spend of the ledger has:
//! what is measured there is what it brings to write several together.

use std::future::Future;
use std::io::Write as _;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use chrono::DateTime;
use sea_orm::{
    ConnectionTrait, DatabaseConnection, DbBackend, SqliteTransactionMode, Statement,
    TransactionOptions, TransactionTrait, Value,
};
use stripe_billing_core::ledger::{Command, Grant, LedgerKey, LedgerPolicy, Request};
use stripe_billing_core::store::{CreditLedger, LedgerTerms};
use stripe_billing_seaorm::SeaOrmStore;
use tokio::task::JoinSet;

use crate::Outcome;
use crate::args::Args;
use crate::database::{Scratch, connect};
use crate::report;

/// Accounts that spends are spread over.
const ACCOUNTS: usize = 10_000;
/// The same on SQLite, where all of them share one writer anyway.
const SQLITE_ACCOUNTS: usize = 1_000;
/// How often the disk is asked how long it takes.
const FLUSHES: usize = 501;

pub(crate) async fn run(args: &Args) -> Outcome {
    let is_sqlite = args.database == "sqlite";
    let clients = if is_sqlite { args.connections.max(32) } else { args.connections };
    let mut rates: Vec<[f64; 4]> = Vec::new();
    for round in 0..args.runs {
        let database = Scratch::create(&args.database).await?;
        let found = match is_sqlite {
            true => on_sqlite(args, &database.url, clients).await?,
            false => on_postgres(args, &database.url, clients).await?,
        };
        println!("run {}: {found:.0?}", round + 1);
        rates.push(found);
        database.drop_it().await?;
    }
    report::print(&format!(
        "ledger: {} spends by {clients} clients, median of {} runs, spends/s",
        args.events, args.runs
    ));
    let median = |of: usize| {
        let mut all: Vec<f64> = rates.iter().filter_map(|rates| rates.get(of).copied()).collect();
        all.sort_by(f64::total_cmp);
        all.get(all.len() / 2).copied().unwrap_or(f64::NAN)
    };
    println!("| | ours | bare | ratio |\n|---|---:|---:|---:|");
    let accounts = if is_sqlite { SQLITE_ACCOUNTS } else { ACCOUNTS };
    for (name, ours, bare) in
        [(format!("{accounts} accounts"), 0, 1), ("one account".to_owned(), 2, 3)]
    {
        let (ours, bare) = (median(ours), median(bare));
        println!("| {name} | {ours:.0} | {bare:.0} | {:.2} |", ours / bare);
    }
    Ok(())
}

/// Ours and bare on many accounts, ours and bare on one.
async fn on_postgres(args: &Args, url: &str, clients: usize) -> Outcome<[f64; 4]> {
    let pool = u32::try_from(clients)?;
    let store = SeaOrmStore::builder(url).max_connections(pool).connect().await?;
    fill(&store, ACCOUNTS, clients).await?;
    let bare = connect(url, pool).await?;
    for sql in [
        "CREATE TABLE bare_accounts (id BIGINT PRIMARY KEY, seq BIGINT NOT NULL, \
         available BIGINT NOT NULL CHECK (available >= 0)) WITH (fillfactor = 50)",
        "CREATE TABLE bare_entries (account BIGINT NOT NULL, seq BIGINT NOT NULL, \
         idem_key TEXT NOT NULL, amount BIGINT NOT NULL, after BIGINT NOT NULL, \
         at BIGINT NOT NULL, PRIMARY KEY (account, seq), UNIQUE (account, idem_key))",
        "INSERT INTO bare_accounts SELECT n, 0, 1000000000 FROM generate_series(0, 10000) n",
        "VACUUM ANALYZE",
        "CHECKPOINT",
    ] {
        bare.execute_unprepared(sql).await?;
    }
    // So that each side finds its statements prepared and its accounts known.
    ours(&store, "warm", ACCOUNTS, ACCOUNTS, clients).await?;
    bare_spends(&bare, "warm", ACCOUNTS, ACCOUNTS, clients).await?;
    let many = ours(&store, "many", args.events, ACCOUNTS, clients).await?;
    let bare_many = bare_spends(&bare, "many", args.events, ACCOUNTS, clients).await?;
    let hot = ours(&store, "hot", args.events, 1, clients).await?;
    let bare_hot = bare_spends(&bare, "hot", args.events / 4, 1, clients).await?;
    bare.close().await?;
    Ok([many, bare_many, hot, bare_hot])
}

async fn on_sqlite(args: &Args, url: &str, clients: usize) -> Outcome<[f64; 4]> {
    let store = SeaOrmStore::connect(url).await?;
    fill(&store, SQLITE_ACCOUNTS, clients).await?;
    let many = ours(&store, "many", args.events, SQLITE_ACCOUNTS, clients).await?;
    let hot = ours(&store, "hot", args.events, 1, clients).await?;
    drop(store);
    let bare = connect(url, 1).await?;
    for sql in BARE_SQLITE {
        bare.execute_unprepared(sql).await?;
    }
    let spends = args.events / 4;
    let bare_many = bare_transactions(&bare, "many", spends, SQLITE_ACCOUNTS, 1).await?;
    let bare_hot = bare_transactions(&bare, "hot", spends, 1, 1).await?;
    let grouped =
        bare_transactions(&bare, "grouped", args.events, SQLITE_ACCOUNTS, clients).await?;
    println!(
        "{clients} bare spends in a transaction: {grouped:.0} a second; a flush of the disk: {} \u{b5}s",
        flush(url)?.as_micros()
    );
    bare.close().await?;
    Ok([many, bare_many, hot, bare_hot])
}

/// How long the disk takes to keep a page, the median of many.
fn flush(url: &str) -> Outcome<Duration> {
    let path = url.trim_start_matches("sqlite://").split('?').next().unwrap_or_default();
    let mut file = std::fs::File::create(format!("{path}.flush"))?;
    let mut times = Vec::new();
    for _ in 0..FLUSHES {
        file.write_all(&[1; 4_096])?;
        let started = Instant::now();
        file.sync_data()?;
        times.push(started.elapsed());
    }
    std::fs::remove_file(format!("{path}.flush"))?;
    times.sort();
    Ok(times.get(FLUSHES / 2).copied().unwrap_or_default())
}

fn key(account: usize) -> LedgerKey {
    LedgerKey::new(format!("account-{account}").as_str(), "credits")
}

/// An account for each number; the multiplier is prime to their count.
fn account(number: usize, accounts: usize) -> usize {
    number.wrapping_mul(7_919) % accounts
}

fn terms() -> LedgerTerms {
    let now = DateTime::from_timestamp(1_800_000_000, 0).unwrap_or_default();
    LedgerTerms { now, policy: LedgerPolicy::default() }
}

async fn fill(store: &SeaOrmStore, accounts: usize, clients: usize) -> Outcome {
    let store = Arc::new(store.clone());
    together(clients, accounts, move |number| {
        let store = Arc::clone(&store);
        async move {
            let grant = Command::Grant(Grant::new("g", 1_000_000_000)).into();
            store.execute(&key(number), &grant, &terms()).await??;
            Ok(())
        }
    })
    .await?;
    Ok(())
}

async fn ours(
    store: &SeaOrmStore,
    name: &'static str,
    spends: usize,
    accounts: usize,
    clients: usize,
) -> Outcome<f64> {
    let store = Arc::new(store.clone());
    together(clients, spends, move |number| {
        let store = Arc::clone(&store);
        async move {
            let spend = Command::Spend { key: format!("{name}-{number:032}"), amount: 1 };
            let request = Request::from(spend);
            store.execute(&key(account(number, accounts)), &request, &terms()).await??;
            Ok(())
        }
    })
    .await
}

const TAKE: &str = "WITH head AS (UPDATE bare_accounts SET seq = seq + 1, \
     available = available - $2 WHERE id = $1 AND available >= $2 RETURNING id, seq, available) \
     INSERT INTO bare_entries (account, seq, idem_key, amount, after, at) \
     SELECT id, seq, $3, $2, available, $4 FROM head";

async fn bare_spends(
    connection: &DatabaseConnection,
    name: &'static str,
    spends: usize,
    accounts: usize,
    clients: usize,
) -> Outcome<f64> {
    let connection = connection.clone();
    together(clients, spends, move |number| {
        let connection = connection.clone();
        async move {
            let place = i64::try_from(account(number, accounts))?;
            let values = [
                place.into(),
                1_i64.into(),
                format!("{name}-{number:032}").into(),
                1_800_000_000_000_000_i64.into(),
            ];
            let statement = Statement::from_sql_and_values(DbBackend::Postgres, TAKE, values);
            let done = connection.execute_raw(statement).await?.rows_affected();
            if done == 1 { Ok(()) } else { Err("nothing was taken".into()) }
        }
    })
    .await
}

/// Tables for the rows of a spend, as wide as those of the ledger.
const BARE_SQLITE: [&str; 9] = [
    "PRAGMA journal_mode = WAL",
    "PRAGMA synchronous = FULL",
    "PRAGMA wal_autocheckpoint = 4000",
    "CREATE TABLE bare_accounts (id INTEGER PRIMARY KEY, seq BIGINT NOT NULL, \
     available BIGINT NOT NULL CHECK (available >= 0))",
    "CREATE TABLE bare_lots (account BIGINT NOT NULL, id BIGINT NOT NULL, \
     remaining BIGINT NOT NULL CHECK (remaining >= 0), consumed BIGINT NOT NULL, \
     PRIMARY KEY (account, id)) WITHOUT ROWID",
    "CREATE TABLE bare_entries (account BIGINT NOT NULL, seq BIGINT NOT NULL, \
     idem_key TEXT NOT NULL, request_hash TEXT NOT NULL, moves TEXT NOT NULL, \
     amount BIGINT NOT NULL, after BIGINT NOT NULL, at BIGINT NOT NULL, \
     PRIMARY KEY (account, seq)) WITHOUT ROWID",
    "CREATE TABLE bare_keys (account BIGINT NOT NULL, idem_key TEXT NOT NULL, \
     request_hash TEXT NOT NULL, reply TEXT NOT NULL, PRIMARY KEY (account, idem_key)) \
     WITHOUT ROWID",
    "INSERT INTO bare_accounts WITH RECURSIVE s(n) AS \
     (SELECT 0 UNION ALL SELECT n + 1 FROM s WHERE n < 10000) SELECT n, 0, 1000000000 FROM s",
    "INSERT INTO bare_lots SELECT id, 1, 1000000000, 0 FROM bare_accounts",
];

/// So many spends in each transaction, on one connection.
async fn bare_transactions(
    connection: &DatabaseConnection,
    name: &str,
    spends: usize,
    accounts: usize,
    in_each: usize,
) -> Outcome<f64> {
    const HASH: &str = "0123456789abcdef0123456789abcdef";
    const MOVES: &str = r#"[{"lot":1,"from":"remaining","to":"consumed","amount":1}]"#;
    const REPLY: &str = r#"{"spent":{"amount":1,"available":1000000000,"debt":0,"seq":1}}"#;

    let started = Instant::now();
    for first in (0..spends).step_by(in_each) {
        let options = TransactionOptions {
            sqlite_transaction_mode: Some(SqliteTransactionMode::Immediate),
            ..TransactionOptions::default()
        };
        let tx = connection.begin_with_options(options).await?;
        for number in first..(first + in_each).min(spends) {
            let place = i64::try_from(account(number, accounts))?;
            let key = format!("{name}-{number:032}");
            let steps: [(&str, Vec<Value>); 4] = [
                (
                    "UPDATE bare_accounts SET seq = seq + 1, available = available - 1 \
                     WHERE id = ? AND available >= 1",
                    vec![place.into()],
                ),
                (
                    "UPDATE bare_lots SET remaining = remaining - 1, consumed = consumed + 1 \
                     WHERE account = ? AND id = 1",
                    vec![place.into()],
                ),
                (
                    "INSERT INTO bare_entries SELECT id, seq, ?, ?, ?, 1, available, 1 \
                     FROM bare_accounts WHERE id = ?",
                    vec![key.as_str().into(), HASH.into(), MOVES.into(), place.into()],
                ),
                (
                    "INSERT INTO bare_keys VALUES (?, ?, ?, ?)",
                    vec![place.into(), key.as_str().into(), HASH.into(), REPLY.into()],
                ),
            ];
            for (sql, values) in steps {
                let step = Statement::from_sql_and_values(DbBackend::Sqlite, sql, values);
                tx.execute_raw(step).await?;
            }
        }
        tx.commit().await?;
    }
    Ok(spends as f64 / started.elapsed().as_secs_f64())
}

/// So many tasks share so many steps; steps per second.
async fn together<F>(
    tasks: usize,
    steps: usize,
    step: impl Fn(usize) -> F + Clone + Send + Sync + 'static,
) -> Outcome<f64>
where
    F: Future<Output = Outcome> + Send + 'static,
{
    let next = Arc::new(AtomicUsize::new(0));
    let mut running = JoinSet::new();
    let started = Instant::now();
    for _ in 0..tasks {
        let (next, step) = (Arc::clone(&next), step.clone());
        running.spawn(async move {
            loop {
                let number = next.fetch_add(1, Ordering::Relaxed);
                if number >= steps {
                    return Ok(());
                }
                step(number).await?;
            }
        });
    }
    while let Some(done) = running.join_next().await {
        let done: Outcome = done?;
        done?;
    }
    Ok(steps as f64 / started.elapsed().as_secs_f64())
}
