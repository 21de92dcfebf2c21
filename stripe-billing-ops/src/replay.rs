//! Events once more: dry, or in batches, with how far it is.

use std::io::{IsTerminal, Write as _};

use stripe_billing_core::store::EventRange;
use stripe_billing_core::{Billing, ReplayProgress};

use crate::args::{By, Replay};
use crate::orders;
use crate::run::Failure;

/// Events of one command, unless it is said.
const LIMIT: u32 = 1_000;

/// Shows or does a replay; false where more match than it took, or it was interrupted.
pub(crate) async fn run(
    billing: &Billing,
    wanted: &Replay,
    by: &By,
    json: bool,
) -> Result<bool, Failure> {
    let mut range = EventRange {
        from: wanted.from,
        until: wanted.until,
        status: wanted.status.clone(),
        event_type: wanted.event_type.clone(),
        subject: wanted.customer.clone(),
        ticket: wanted.ticket.clone(),
        limit: wanted.limit.unwrap_or(LIMIT),
    };
    if let Some(id) = &wanted.event {
        let seq = orders::find(billing, id).await?.summary.seq;
        (range.from, range.until) = (Some(seq), Some(seq));
    }
    if wanted.apply {
        return apply(billing, range, wanted.pace, by, json).await;
    }
    let replayed = billing.try_replay(&range).await?;
    if json {
        println!("{}", serde_json::to_string(&replayed)?);
        return Ok(true);
    }
    let (matching, shown) = (replayed.matching, replayed.events.len());
    println!("{matching} events would be replayed; {shown} decided on again:");
    for event in &replayed.events {
        let changes = event.changes.len();
        println!("{} {}: {}, {changes} records", event.id, event.event_type, event.outcome);
    }
    println!("{shown} events, nothing written; --apply makes them due");
    Ok(true)
}

async fn apply(
    billing: &Billing,
    range: EventRange,
    pace: Option<u32>,
    by: &By,
    json: bool,
) -> Result<bool, Failure> {
    let (actor, request) = (orders::actor(by), orders::request(billing, by));
    let limit = u64::from(range.limit);
    let mut replay = stripe_billing_core::Replay::new(range);
    if let Some(pace) = pace {
        replay = replay.per_second(pace);
    }
    let mut run = billing.replay(replay, &actor, &request, by.reason.as_deref()).await?;
    eprintln!("request {request}");
    let interrupt = tokio::signal::ctrl_c();
    tokio::pin!(interrupt);
    let mut is_interrupted = false;
    loop {
        tokio::select! {
            // A batch that is being written meanwhile is written or not: the same request finds out.
            _ = &mut interrupt => {
                is_interrupted = true;
                break;
            }
            progress = run.next() => match progress? {
                Some(progress) => show(&progress, limit),
                None => break,
            },
        }
    }
    let ReplayProgress { done, repeated, matching, next, .. } = run.progress().clone();
    let is_whole = !is_interrupted && (next.is_none() || done >= matching);
    if json {
        let told = serde_json::json!({
            "done": done, "repeated": repeated, "matching": matching, "next": next,
            "interrupted": is_interrupted, "request": request,
        });
        println!("{told}");
        return Ok(is_whole);
    }
    let again = if repeated > 0 { format!(", {repeated} before this") } else { String::new() };
    println!("{done} due again{again}");
    match next {
        Some(_) if is_interrupted => {
            println!("interrupted; the same command goes on with --request {request}");
        }
        Some(next) if !is_whole => {
            println!("{matching} matched; the rest begins at --from {next}");
        }
        _ => {}
    }
    Ok(is_whole)
}

/// How far it is: a line that is written over where somebody looks, or one for each batch.
fn show(progress: &ReplayProgress, limit: u64) {
    let ReplayProgress { done, repeated, matching, elapsed, .. } = progress;
    let of = *matching.min(&limit.saturating_sub(*repeated));
    if of <= 100 {
        return;
    }
    let end = if std::io::stderr().is_terminal() && *done < of { "\r" } else { "\n" };
    let mut err = std::io::stderr().lock();
    // Nobody looking any more is fine.
    let _ = write!(err, "{done} of {of} events, {} s{end}", elapsed.as_secs());
}
