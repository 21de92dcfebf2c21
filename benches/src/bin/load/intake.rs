//! Intake: signed events over HTTP until every one is stored.

use crate::args::{Args, Mode};
use crate::child::Measured;
use crate::client::{Requests, send};
use crate::database::Scratch;
use crate::report::{self, Run};
use crate::{Outcome, events};

/// Sent first and not counted: connections open, statements are prepared, pages are mapped.
const WARM_UP: usize = 1_000;

pub(crate) async fn run(args: &Args) -> Outcome {
    let (mut ours, mut bare) = (Vec::new(), Vec::new());
    for _ in 0..args.runs {
        if args.wants("ours") {
            ours.push(side(args, Mode::Serve).await?);
        }
        if args.wants("bare") {
            bare.push(side(args, Mode::ServeBare).await?);
        }
    }
    report::print(&format!("intake: {} events over {} connections", args.events, args.connections));
    report::sides("stripe-billing", &ours, "bare insert", &bare);
    Ok(())
}

async fn side(args: &Args, mode: Mode) -> Outcome<Run> {
    let warm_up = events::distinct(0, WARM_UP)?;
    let bodies = events::distinct(WARM_UP, args.events)?;
    let bytes: usize = bodies.iter().map(bytes::Bytes::len).sum();

    let database = Scratch::create(&args.database).await?;
    let mut server = Measured::spawn(mode, args, &database.url)?;
    let address = server.hear()?;
    send(&address, Requests::post(&warm_up, args.connections)?).await?;
    let requests = Requests::post(&bodies, args.connections)?;
    drop(bodies);

    let (before, cpu) = (database.read().await?, server.cpu()?);
    let sent = send(&address, requests).await?;
    let (after, cpu) = (database.read().await?, server.cpu()? - cpu);
    let milliseconds = |share| sent.percentile(share).as_secs_f64() * 1e3;
    let notes = format!(
        "p50 {:.2} ms, p99 {:.2} ms, max {:.1} ms; bodies of {} bytes, peak {:.0} MiB",
        milliseconds(0.5),
        milliseconds(0.99),
        milliseconds(1.0),
        bytes / args.events.max(1),
        server.peak_memory()?,
    );
    server.stop()?;
    let run = Run::new(&database, args.events, sent.elapsed, cpu, (before, after), notes).await?;
    database.drop_it().await?;
    Ok(run)
}
