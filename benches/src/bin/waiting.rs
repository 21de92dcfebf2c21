//! Claims beside many rows whose time has not come: events that wait for their retry, and messages
//! that are due later. A database with few of them and one with many, asked in turns.
//!
//! `waiting URL [FEW MANY]`, where the URL is `sqlite`, or one of Postgres or MySQL/MariaDB without
//! a database's name.

use std::error::Error;
use std::time::{Duration, Instant};

use chrono::{DateTime, TimeDelta, Utc};
use sea_orm::{ConnectionTrait, Database, DatabaseConnection, DbBackend};
use stripe_billing_core::changes::{Effects, OutboxEntry};
use stripe_billing_core::queue::ClaimRequest;
use stripe_billing_core::store::{EventStore, Operate, Outbox, ReceivedEvent};
use stripe_billing_core::webhook::EventKind;
use stripe_billing_core::{Clock, DomainEvent, EventKey, SubjectKey, SystemClock, Tenant};
use stripe_billing_seaorm::SeaOrmStore;
use tempfile::TempDir;

type Outcome<T = ()> = Result<T, Box<dyn Error + Send + Sync>>;

/// Rows of each queue that are due, and how many a claim takes.
const DUE: usize = 960;
const BATCH: u32 = 16;
/// Rows that one statement inserts.
const CHUNK: usize = 100_000;

/// A store in a database of its own.
struct Side {
    rows: usize,
    store: SeaOrmStore,
    raw: DatabaseConnection,
    name: String,
    _folder: Option<TempDir>,
    events: Vec<Duration>,
    messages: Vec<Duration>,
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> Outcome {
    let mut args = std::env::args().skip(1);
    let server = args.next().unwrap_or_else(|| "sqlite".to_owned());
    let few = args.next().map_or(Ok(1_000), |size| size.parse())?;
    let many = args.next().map_or(Ok(1_000_000), |size| size.parse())?;
    let mut sides = [side(&server, few).await?, side(&server, many).await?];
    let request = ClaimRequest {
        worker: "bench".to_owned(),
        limit: BATCH,
        lease: TimeDelta::seconds(120),
        now: SystemClock.now(),
    };
    for round in 0..DUE / BATCH as usize {
        let order = if round % 2 == 0 { [0, 1] } else { [1, 0] };
        for side in order {
            sides[side].claim(&request).await?;
        }
    }
    println!(
        "| claim of {BATCH}, median and 90th of a hundred | {few} waiting | {many} waiting | ratio |"
    );
    println!("|---|---:|---:|---:|");
    for (what, times) in [
        ("events", sides.each_mut().map(|side| quantiles(&mut side.events))),
        ("messages", sides.each_mut().map(|side| quantiles(&mut side.messages))),
    ] {
        let [few, many] = times;
        println!(
            "| {what} | {:.0} / {:.0} µs | {:.0} / {:.0} µs | {:.2} |",
            few.0,
            few.1,
            many.0,
            many.1,
            many.0 / few.0
        );
    }
    for side in sides {
        side.drop_it(&server).await?;
    }
    Ok(())
}

/// Median and 90th of a hundred in microseconds, without the first, which prepares statements.
fn quantiles(times: &mut Vec<Duration>) -> (f64, f64) {
    let mut times: Vec<f64> = times.drain(1..).map(|time| time.as_secs_f64() * 1e6).collect();
    times.sort_by(f64::total_cmp);
    (times[times.len() / 2], times[times.len() * 9 / 10])
}

async fn side(server: &str, rows: usize) -> Outcome<Side> {
    let name = format!("stripe_billing_waiting_{}_{rows}", std::process::id());
    let mut folder = None;
    let url = if server == "sqlite" {
        let made = tempfile::tempdir()?;
        let url = format!("sqlite://{}?mode=rwc", made.path().join("waiting.db").display());
        folder = Some(made);
        url
    } else {
        let (base, _) = server.rsplit_once('/').ok_or("a URL with a database")?;
        let admin = Database::connect(server).await?;
        admin.execute_unprepared(&format!("CREATE DATABASE {name}")).await?;
        format!("{base}/{name}")
    };
    let store = SeaOrmStore::connect(url.as_str()).await?;
    let raw = Database::connect(url.as_str()).await?;
    let now = SystemClock.now();
    fill(&raw, rows, now).await?;
    for n in 0..DUE {
        store.receive(due_event(n, now)).await?;
    }
    for n in 0..DUE {
        let event = DomainEvent::SubscriptionStarted { subscription: format!("sub_{n}") };
        let effects = Effects { outbox: vec![OutboxEntry::from(event)], ..Effects::default() };
        let subject = SubjectKey { tenant: Tenant::platform(true), id: format!("cus_{n}") };
        store.record_effects(&subject, &effects, now).await?;
    }
    let analyze = match raw.get_database_backend() {
        DbBackend::Postgres => "VACUUM ANALYZE",
        DbBackend::Sqlite => "ANALYZE",
        _ => "ANALYZE TABLE billing_events, billing_outbox",
    };
    raw.execute_unprepared(analyze).await?;
    eprintln!("{name}: filled");
    let (events, messages) = (Vec::new(), Vec::new());
    Ok(Side { rows, store, raw, name, _folder: folder, events, messages })
}

fn due_event(n: usize, now: DateTime<Utc>) -> ReceivedEvent {
    ReceivedEvent {
        key: EventKey { tenant: Tenant::platform(true), id: format!("evt_due_{n}") },
        kind: EventKind::Snapshot,
        event_type: "invoice.paid".to_owned(),
        api_version: None,
        created: now.timestamp(),
        received_at: now,
        payload: "{}".into(),
    }
}

/// Rows that are due tomorrow.
async fn fill(raw: &DatabaseConnection, rows: usize, now: DateTime<Utc>) -> Outcome {
    let (now, later) = (now.timestamp_micros(), (now + TimeDelta::days(1)).timestamp_micros());
    let backend = raw.get_database_backend();
    for from in (0..rows).step_by(CHUNK) {
        let until = rows.min(from + CHUNK) - 1;
        let (with, numbers, empty) = match backend {
            DbBackend::Postgres => {
                let numbers = format!("generate_series({from}, {until}) AS t(n)");
                (String::new(), numbers, "'x'::bytea")
            }
            DbBackend::Sqlite => {
                let with = format!(
                    "WITH RECURSIVE t(n) AS (SELECT {from} UNION ALL SELECT n + 1 FROM t \
                     WHERE n < {until}) "
                );
                (with, "t".to_owned(), "x'78'")
            }
            _ => (String::new(), format!("(SELECT seq AS n FROM seq_{from}_to_{until}) t"), "'x'"),
        };
        let text = |word: &str| match backend {
            DbBackend::MySql => format!("CONCAT('{word}_', n)"),
            _ => format!("'{word}_' || n"),
        };
        let events = format!(
            "INSERT INTO billing_events (stripe_account, livemode, event_id, kind, event_type, \
             created, received_at, status, due_at, attempts, payload) {with}SELECT '', TRUE, {}, \
             'snapshot', 'invoice.paid', 1, {now}, 'retry_wait', {later} + n, 1, {empty} \
             FROM {numbers}",
            text("evt")
        );
        let messages = format!(
            "INSERT INTO billing_outbox (stripe_account, livemode, fact_key, kind, is_notice, body, \
             subject, created_at, status, due_at) {with}SELECT '', TRUE, {}, 'receipt', TRUE, \
             '{{}}', {}, {now}, 'pending', {later} + n FROM {numbers}",
            text("key"),
            text("cus")
        );
        for sql in [events, messages] {
            raw.execute_unprepared(&sql).await?;
        }
    }
    Ok(())
}

impl Side {
    async fn claim(&mut self, request: &ClaimRequest) -> Outcome {
        let started = Instant::now();
        let events = self.store.claim(request).await?.len();
        self.events.push(started.elapsed());
        let started = Instant::now();
        let messages = self.store.claim_outbox(request).await?.len();
        self.messages.push(started.elapsed());
        if (events, messages) != (BATCH as usize, BATCH as usize) {
            let rows = self.rows;
            return Err(format!("{rows}: claimed {events} events and {messages} messages").into());
        }
        Ok(())
    }

    async fn drop_it(self, server: &str) -> Outcome {
        self.raw.close().await?;
        drop(self.store);
        if server == "sqlite" {
            return Ok(());
        }
        let admin = Database::connect(server).await?;
        let force = match admin.get_database_backend() {
            DbBackend::Postgres => " WITH (FORCE)",
            _ => "",
        };
        admin.execute_unprepared(&format!("DROP DATABASE {}{force}", self.name)).await?;
        Ok(())
    }
}
