//! A deep inbox: what claims cost, and what operators wait for, beside millions of settled events.

use std::fmt::Write as _;
use std::time::{Duration, Instant};

use chrono::{DateTime, TimeDelta, Utc};
use sea_orm::{ConnectionTrait, DatabaseConnection, DbBackend, Statement};
use stripe_billing_core::queue::ClaimRequest;
use stripe_billing_core::store::{
    EventQuery, EventRange, EventStore, Inspect, Maintain, Operate, Order, Verb,
};
use stripe_billing_core::{Clock, SystemClock};
use stripe_billing_seaorm::SeaOrmStore;

use crate::args::Args;
use crate::database::{Scratch, connect};
use crate::{Outcome, report};

/// Rows that one statement inserts.
const CHUNK: usize = 500_000;

/// Times in milliseconds by what was measured, in order.
type Figures = Vec<(&'static str, f64)>;

pub(crate) async fn run(args: &Args) -> Outcome {
    if !args.database.starts_with("postgres") {
        return Err("depth is measured on Postgres".into());
    }
    let mut sizes: Vec<(usize, Figures)> = Vec::new();
    for _ in 0..args.runs {
        for size in &args.sizes {
            sizes.push((*size, side(args, *size).await?));
        }
    }
    report::print(&format!(
        "depth: {} due events, claimed {} at a time, beside settled ones",
        args.events, args.batch
    ));
    let mut table = String::from("| |");
    for (size, _) in &sizes {
        write!(table, " {size} |")?;
    }
    let names = sizes.first().map(|(_, figures)| figures.iter().map(|(name, _)| *name));
    for (row, name) in names.into_iter().flatten().enumerate() {
        write!(table, "\n| {name} |")?;
        for (_, figures) in &sizes {
            write!(table, " {:.3} |", figures[row].1)?;
        }
    }
    println!("{table}");
    Ok(())
}

async fn side(args: &Args, size: usize) -> Outcome<Figures> {
    let database = Scratch::create(&args.database).await?;
    let store = SeaOrmStore::connect(database.url.as_str()).await?;
    let connection = connect(&database.url, 1).await?;
    let started = Instant::now();
    fill(&connection, size, args.events).await?;
    // What autovacuum does of itself after so many inserts.
    connection.execute_unprepared("VACUUM (ANALYZE) billing_events").await?;
    connection.execute_unprepared("CHECKPOINT").await?;
    eprintln!("{size} rows in {:.0} s", started.elapsed().as_secs_f64());

    let mut figures = Figures::new();
    let now = SystemClock.now();
    claims(args, &store, &database, now, &mut figures).await?;
    for (name, query) in queries() {
        let mut found = 0;
        let best = least(5, async || {
            found = store.events(&query).await?.len();
            Ok(())
        });
        figures.push((name, best.await?));
        eprintln!("{name}: {found} events");
    }
    figures.push(("stats", least(5, async || Ok(store.stats(now).await.map(|_| ())?)).await?));
    figures.push(("prune 1,000, none old enough", {
        let before = now - TimeDelta::days(10_000);
        least(3, async || Ok(store.prune(before, 1_000).await.map(|_| ())?)).await?
    }));
    let release = async || Ok(store.release_parked("another", now).await.map(|_| ())?);
    figures.push(("release_parked, first (20 events)", least(1, release).await?));
    figures.push(("release_parked, nothing parked", least(3, release).await?));
    for (name, range) in ranges(size) {
        let started = Instant::now();
        let order = Order {
            request: name.to_string(),
            actor: "load".to_owned(),
            reason: None,
            verb: Verb::Replay { range },
            now,
        };
        let count = store.operate(&order).await?.changed;
        figures.push((name, millis(started.elapsed())));
        eprintln!("{name}: {count} events");
    }
    connection.close().await?;
    drop(store);
    database.drop_it().await?;
    Ok(figures)
}

/// Claims everything that is due.
async fn claims(
    args: &Args,
    store: &SeaOrmStore,
    database: &Scratch,
    now: DateTime<Utc>,
    figures: &mut Figures,
) -> Outcome {
    let lease = TimeDelta::seconds(120);
    let request = ClaimRequest { worker: "load".to_owned(), limit: args.batch, lease, now };
    // Connections open and statements are prepared.
    store.claim(&ClaimRequest { now: now - TimeDelta::days(10_000), ..request.clone() }).await?;
    let before = database.read().await?;
    let (mut claimed, mut times) = (0, Vec::new());
    loop {
        let started = Instant::now();
        let batch = store.claim(&request).await?.len();
        times.push(millis(started.elapsed()));
        claimed += batch;
        if batch == 0 {
            break;
        }
    }
    let after = database.read().await?;
    if claimed != args.events {
        return Err(format!("{claimed} events were claimed of {}", args.events).into());
    }
    let cpu = before.cpu.zip(after.cpu).map(|(before, after)| after.saturating_sub(before));
    let calls = times.len() as f64;
    times.sort_by(f64::total_cmp);
    figures.push(("claim, database CPU", cpu.map_or(f64::NAN, millis) / calls));
    figures.push(("claim, median", times[times.len() / 2]));
    let nothing = async || Ok(store.claim(&request).await.map(|_| ())?);
    figures.push(("claim, nothing due", least(20, nothing).await?));
    Ok(())
}

fn queries() -> Vec<(&'static str, EventQuery)> {
    let query =
        |status: Option<&str>, event_type: Option<&str>, subject: Option<&str>| EventQuery {
            status: status.map(str::to_owned),
            event_type: event_type.map(str::to_owned),
            subject: subject.map(str::to_owned),
            ticket: None,
            after: None,
            limit: 100,
        };
    vec![
        ("events", query(None, None, None)),
        ("events?status=processed", query(Some("processed"), None, None)),
        ("events?status=dead (10)", query(Some("dead"), None, None)),
        ("events?status=parked (20)", query(Some("parked"), None, None)),
        ("events?type=invoice.paid", query(None, Some("invoice.paid"), None)),
        ("events?type=radar… (5)", query(None, Some("radar.early_fraud_warning.created"), None)),
        ("events?type=none of it", query(None, Some("customer.tax_id.created"), None)),
        ("events?status=dead&type=invoice.paid", query(Some("dead"), Some("invoice.paid"), None)),
        (
            "events?status=parked&type=none of it",
            query(Some("parked"), Some("customer.tax_id.created"), None),
        ),
        (
            "events?status=ignored&type=invoice.paid (none)",
            query(Some("ignored"), Some("invoice.paid"), None),
        ),
        ("events?subject=", query(None, None, Some("cus_7"))),
        ("events?subject=&status=dead", query(Some("dead"), None, Some("cus_7"))),
    ]
}

fn ranges(size: usize) -> Vec<(&'static str, EventRange)> {
    let middle = i64::try_from(size / 2).unwrap_or(i64::MAX);
    let range = EventRange { limit: 1_000, ..EventRange::default() };
    let status = |status: &str| Some(status.to_owned());
    vec![
        (
            "requeue 1,000 by sequence",
            EventRange { from: Some(middle), until: Some(middle + 999), ..range.clone() },
        ),
        ("requeue status=dead (10)", EventRange { status: status("dead"), ..range.clone() }),
        (
            "requeue type=radar… (5)",
            EventRange {
                event_type: Some("radar.early_fraud_warning.created".to_owned()),
                ..range.clone()
            },
        ),
        (
            "requeue status=ignored&type=invoice.paid (none)",
            EventRange {
                status: status("ignored"),
                event_type: Some("invoice.paid".to_owned()),
                ..range.clone()
            },
        ),
        ("requeue of a subject", EventRange { subject: Some("cus_7".to_owned()), ..range }),
    ]
}

/// Settled events as they are after processing, with a payload that was not pruned; among them some
/// that are dead or parked. Then events that are due, the newest.
async fn fill(connection: &DatabaseConnection, size: usize, due: usize) -> Outcome {
    connection.execute_unprepared("SET synchronous_commit = off").await?;
    for first in (0..size).step_by(CHUNK) {
        let end = size.min(first + CHUNK);
        insert(connection, first, end, size, true).await?;
    }
    insert(connection, size, size + due, size, false).await
}

async fn insert(
    connection: &DatabaseConnection,
    first: usize,
    end: usize,
    size: usize,
    settled: bool,
) -> Outcome {
    let tenth = (size / 10).max(1);
    let (twentieth, fifth) = ((size / 20).max(1), (size / 5).max(1));
    let (status, due, subject) = if settled {
        (
            format!(
                "CASE WHEN n % {tenth} = 7 THEN 'dead' WHEN n % {twentieth} = 3 THEN 'parked' \
                 WHEN n % 9 = 2 THEN 'ignored' ELSE 'processed' END"
            ),
            "NULL::bigint",
            "'cus_' || (n * 7919::bigint % 1000003)",
        )
    } else {
        ("'received'".to_owned(), "1767225600000000 + n", "NULL")
    };
    let sql = format!(
        "INSERT INTO billing_events (stripe_account, livemode, event_id, kind, event_type, \
         api_version, created, received_at, status, due_at, attempts, epoch, worker, subject, \
         reason, payload) \
         SELECT '', TRUE, 'evt_1S' || lpad(n::text, 12, '0') || 'KqLx', 'snapshot', \
         CASE WHEN n % {fifth} = 4 THEN 'radar.early_fraud_warning.created' \
         WHEN n % {tenth} = 7 THEN 'invoice.paid' WHEN n % 9 = 2 THEN 'charge.updated' ELSE \
         (ARRAY['customer.subscription.updated', 'invoice.paid', 'invoice.payment_succeeded', \
         'invoice.created', 'invoice.finalized', 'payment_intent.succeeded', 'charge.succeeded', \
         'customer.updated', 'checkout.session.completed'])[1 + n % 9] END, \
         '2026-10-28.endive', 1767225600 + n / 10, (1767225600 + n / 10) * 1000000, {status}, {due}, \
         0, 1, 'worker-1', {subject}, \
         CASE WHEN n % {tenth} = 7 THEN 'corrupt_payload' WHEN n % {twentieth} = 3 \
         THEN 'catalog:0123456789abcdef' WHEN n % 9 = 2 THEN 'superseded' END, \
         convert_to('{{\"id\":\"evt_' || n || '\",\"object\":\"event\",\"type\":\"short\"}}', 'UTF8') \
         FROM generate_series({first}::bigint, {}::bigint) AS g(n)",
        end - 1
    );
    let statement = Statement::from_string(DbBackend::Postgres, sql);
    connection.execute_raw(statement).await?;
    Ok(())
}

/// The least time of some tries, in milliseconds.
async fn least(tries: usize, mut attempt: impl AsyncFnMut() -> Outcome) -> Outcome<f64> {
    let mut best = f64::INFINITY;
    for _ in 0..tries {
        let started = Instant::now();
        attempt().await?;
        best = best.min(millis(started.elapsed()));
    }
    Ok(best)
}

fn millis(time: Duration) -> f64 {
    time.as_secs_f64() * 1e3
}
