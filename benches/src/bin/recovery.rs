//! What the recovery machinery adds to a run in which nothing fails: the CPU time of its parts, as
//! often as an event meets them, beside that of an event; and the calls of the store.

use std::collections::BTreeMap;
use std::error::Error;
use std::hint::black_box;
use std::sync::Arc;
use std::time::Duration;

use chrono::{DateTime, TimeDelta};
use stripe_billing_core::catalog::{Catalog, Plan, PlanPrice};
use stripe_billing_core::queue::Breaker;
use stripe_billing_core::store::{ReceivedEvent, Store};
use stripe_billing_core::webhook::EventKind;
use stripe_billing_core::{
    Billing, Clock, EventKey, ManualClock, MemoryStore, SystemClock, Tenant,
};
use stripe_billing_seaorm::SeaOrmStore;
use stripe_billing_testing::event::{EventBuilder, Shape, SubscriptionObject};
use stripe_billing_testing::{Faults, FaultyStore};

type Outcome<T = ()> = Result<T, Box<dyn Error + Send + Sync>>;

const EVENTS: u32 = 5_000;

/// This thread's CPU time, from `/proc` (Linux).
fn cpu() -> Outcome<Duration> {
    let text = std::fs::read_to_string("/proc/thread-self/schedstat")?;
    let nanoseconds = text.split_ascii_whitespace().next().ok_or("no figure in /proc")?;
    Ok(Duration::from_nanos(nanoseconds.parse()?))
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> Outcome {
    let parts = parts().await?;
    let added: f64 = parts.iter().map(|(_, nanoseconds)| nanoseconds).sum();
    for (part, nanoseconds) in &parts {
        println!("{part}: {nanoseconds:.0} ns");
    }
    println!("together {added:.0} ns");
    let mut calls = BTreeMap::new();
    let memory = event(MemoryStore::new(), &mut calls).await?;
    println!("an event on memory: {memory:.0} ns of CPU; {:.2} % of it", 100.0 * added / memory);
    println!("calls of the store for an event: {calls:?}");
    if let Some(url) = std::env::args().nth(1) {
        let store = SeaOrmStore::connect(url).await?;
        let own = event(store, &mut BTreeMap::new()).await?;
        println!(
            "an event on this database: {own:.0} ns of this thread's CPU, without the \
                  database's; {:.2} % of it",
            100.0 * added / own
        );
    }
    Ok(())
}

/// Nanoseconds of one turn (the kernel counts in steps of some milliseconds): the least of five rounds.
fn least(turns: u32, mut turn: impl FnMut()) -> Outcome<f64> {
    let mut least = Duration::MAX;
    for _ in 0..5 {
        let before = cpu()?;
        for _ in 0..turns {
            turn();
        }
        least = least.min(cpu()? - before);
    }
    Ok(least.as_nanos() as f64 / f64::from(turns))
}

/// What an event that succeeds meets, once each.
async fn parts() -> Outcome<Vec<(&'static str, f64)>> {
    let start = DateTime::from_timestamp(1_700_000_000, 0).ok_or("a time")?;
    let mut breaker = Breaker::default();
    let mut turn = 0_i64;
    let record = least(1_000_000, || {
        turn += 1;
        let now = start + TimeDelta::milliseconds(turn);
        black_box(breaker.admit(black_box(now)));
        black_box(breaker.record(black_box(false), now));
    })?;
    // What guards a handler: a future that is polled under a catch of panics, with a time-out.
    let unguarded = handled(false).await?;
    let guarded = handled(true).await?;
    let caught = least(1_000_000, || {
        let done = std::panic::catch_unwind(|| black_box(black_box(1) + 1));
        black_box(done.is_ok());
    })?;
    Ok(vec![
        ("the breaker, asked and told", record),
        ("a decision under a catch of panics", caught),
        ("a handler under a catch and a time-out", (guarded - unguarded).max(0.0)),
    ])
}

/// Nanoseconds of a handler that does nothing, boxed as trait objects are.
async fn handled(is_guarded: bool) -> Outcome<f64> {
    use std::panic::AssertUnwindSafe;

    use futures_util::FutureExt as _;

    const TURNS: u32 = 200_000;
    let mut least = Duration::MAX;
    for _ in 0..5 {
        let before = cpu()?;
        for _ in 0..TURNS {
            let work = async { black_box(()) }.boxed();
            if is_guarded {
                let guarded = AssertUnwindSafe(work).catch_unwind();
                let done = tokio::time::timeout(Duration::from_secs(30), guarded).await;
                black_box(done.is_ok());
            } else {
                work.await;
            }
        }
        least = least.min(cpu()? - before);
    }
    Ok(least.as_nanos() as f64 / f64::from(TURNS))
}

/// CPU nanoseconds of this thread for an event, its fact included, and the calls of the store for
/// each.
async fn event(store: impl Store, calls: &mut BTreeMap<String, f64>) -> Outcome<f64> {
    let now = SystemClock.now();
    let clock = Arc::new(ManualClock::new(now));
    for n in 0..EVENTS {
        let object = SubscriptionObject::new(&format!("sub_{n}"), &format!("cus_{n}"));
        let object = object.metadata(&[("account", &format!("acc_{n}"))]).render(Shape::New);
        let id = format!("evt_{n}");
        let kind = "customer.subscription.created";
        let body = EventBuilder::new(kind).id(&id).created(now.timestamp()).object(object);
        let event = ReceivedEvent {
            key: EventKey { tenant: Tenant::platform(true), id },
            kind: EventKind::Snapshot,
            event_type: kind.to_owned(),
            api_version: None,
            created: now.timestamp(),
            received_at: now,
            payload: body.build(),
        };
        store.receive(event).await?;
    }
    let faults = Faults::new();
    let plan = Plan::new("pro").price(PlanPrice::new("price_pro"));
    let billing = Billing::builder(FaultyStore::new(store, &faults))
        .catalog(Catalog::builder().plan(plan).build()?)
        .webhook_secrets(["whsec_bench"])
        .clock(clock)
        .build()?;
    let before = cpu()?;
    let report = billing.process_due().await?;
    let spent = cpu()? - before;
    if report.processed != u64::from(EVENTS) {
        return Err(format!("{report:?}").into());
    }
    for call in faults.calls() {
        *calls.entry(call.to_string()).or_insert(0.0) += 1.0 / f64::from(EVENTS);
    }
    Ok(spent.as_nanos() as f64 / f64::from(EVENTS))
}
