//! Processing: an inbox full of sign-ups, drained by workers until every event rests and every fact
//! is handed over.

use std::sync::Arc;
use std::time::Instant;

use bytes::Bytes;
use sea_orm::ConnectionTrait;
use stripe_billing_core::store::Receipt;
use stripe_billing_seaorm::SeaOrmStore;
use tokio::sync::Semaphore;
use tokio::task::JoinSet;

use crate::args::{Args, Mode};
use crate::child::Measured;
use crate::counted::Counts;
use crate::database::{Scratch, connect};
use crate::report::{self, Run};
use crate::{Outcome, events, serve, work};

pub(crate) async fn run(args: &Args) -> Outcome {
    let (mut ours, mut bare) = (Vec::new(), Vec::new());
    for _ in 0..args.runs {
        if args.wants("ours") {
            ours.push(side(args, Mode::Work).await?);
        }
        if args.wants("bare") {
            bare.push(side(args, Mode::WorkBare).await?);
        }
    }
    report::print(&format!(
        "process: {} events, {} workers, batches of {}",
        args.events, args.workers, args.batch
    ));
    report::sides("stripe-billing", &ours, "bare transaction", &bare);
    Ok(())
}

/// A database that has been in use: some events are processed before, and the planner has seen what
/// they left. So connections are open, statements are prepared, and no table is empty.
async fn side(args: &Args, mode: Mode) -> Outcome<Run> {
    let database = Scratch::create(&args.database).await?;
    let earlier = args.events / 2 / events::SIGN_UP * events::SIGN_UP;
    let all = earlier + args.events;
    fill(args, 0, earlier, &database.url).await?;
    if mode == Mode::WorkBare {
        let connection = connect(&database.url, 1).await?;
        for statement in work::bare_subjects(all.div_ceil(events::SIGN_UP)) {
            connection.execute_unprepared(&statement).await?;
        }
        connection.close().await?;
    }
    let mut worker = Measured::spawn(mode, args, &database.url)?;
    worker.hear()?;
    worker.tell(&format!("0 {earlier}"))?;
    worker.hear()?;
    fill(args, earlier, args.events, &database.url).await?;
    database.analyze().await?;

    let (before, cpu) = (database.read().await?, worker.cpu()?);
    let started = Instant::now();
    worker.tell(&format!("{earlier} {all}"))?;
    let done = worker.hear()?;
    let elapsed = started.elapsed();
    let (after, cpu) = (database.read().await?, worker.cpu()? - cpu);
    let notes = match mode {
        Mode::Work => in_words(&serde_json::from_str(&done)?, args.events),
        _ => done,
    };
    worker.stop()?;
    let run = Run::new(&database, args.events, elapsed, cpu, (before, after), notes).await?;
    database.drop_it().await?;
    Ok(run)
}

async fn fill(args: &Args, first: usize, count: usize, url: &str) -> Outcome {
    receive(args, events::sign_ups(first, count)?, url).await
}

/// Receives events as deliveries, in order, without anybody who processes them.
pub(crate) async fn receive(args: &Args, bodies: Vec<Bytes>, url: &str) -> Outcome {
    let store = SeaOrmStore::connect(url).await?;
    let billing = serve::billing(store, args)?;
    let secret = Arc::new(events::secret()?);
    let places = Arc::new(Semaphore::new(256));
    let mut tasks = JoinSet::new();
    for body in bodies {
        let place = Arc::clone(&places).acquire_owned().await?;
        let (billing, secret) = (billing.clone(), Arc::clone(&secret));
        tasks.spawn(async move {
            let header = events::signature(&body, &secret);
            let accepted = billing.receive(&header, body).await;
            drop(place);
            accepted
        });
    }
    while let Some(accepted) = tasks.join_next().await {
        if accepted??.receipt != Receipt::Stored {
            return Err("two events of one id".into());
        }
    }
    Ok(())
}

pub(crate) fn in_words(counts: &Counts, events: usize) -> String {
    let each = |count: u64| count as f64 / events as f64;
    format!(
        "{} conflicts, {} in trouble; per event {:.2} claims, {:.2} loads, {:.2} commits ({:.2} of several), {:.2} \
         settled alone, {:.2} facts, {:.2} claims of facts",
        counts.conflicts,
        counts.troubled,
        each(counts.claims),
        each(counts.loads),
        each(counts.commits),
        each(counts.together),
        each(counts.settled),
        each(counts.facts),
        each(counts.outbox_claims),
    )
}
