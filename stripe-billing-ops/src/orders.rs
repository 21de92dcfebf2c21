//! Orders about events, messages and the queue, under a request id that makes each happen once.

use stripe_billing_core::Billing;
use stripe_billing_core::operator::redacted;
use stripe_billing_core::store::{StoredEvent, Verb};

use crate::args::{By, Change};
use crate::run::Failure;

/// Who orders, for the audit log.
pub(crate) fn actor(by: &By) -> String {
    let login = || std::env::var("USER").ok().filter(|name| !name.is_empty());
    by.actor.clone().or_else(login).unwrap_or_else(|| "billing-ops".to_owned())
}

/// The request id that is given, or one that nobody else has.
pub(crate) fn request(billing: &Billing, by: &By) -> String {
    let own = || {
        let now = billing.clock().now().timestamp_micros();
        format!("billing-ops-{}-{now}", std::process::id())
    };
    by.request.clone().unwrap_or_else(own)
}

/// Gives an order, and says what it came to.
pub(crate) async fn give(
    billing: &Billing,
    verb: Verb,
    by: &By,
    json: bool,
) -> Result<bool, Failure> {
    let (actor, request) = (actor(by), request(billing, by));
    let carried = billing.order(verb, &actor, &request, by.reason.as_deref()).await?;
    if json {
        println!("{}", serde_json::to_string(&carried)?);
        return Ok(true);
    }
    let again = if carried.repeated { ", before this" } else { "" };
    match (&carried.before, &carried.after) {
        (Some(before), Some(after)) => println!("{before} -> {after}{again}"),
        (_, Some(after)) => println!("{after}{again}"),
        _ => println!("{} changed{again}", carried.changed),
    }
    eprintln!("request {request}");
    Ok(true)
}

pub(crate) async fn about_event(
    billing: &Billing,
    change: Change,
    id: &str,
    by: &By,
    json: bool,
) -> Result<bool, Failure> {
    let seq = find(billing, id).await?.summary.seq;
    let verb = match change {
        Change::Resolve => Verb::Resolve { seq },
        Change::Dismiss => Verb::Dismiss { seq },
        Change::Release => Verb::Release { seq },
    };
    give(billing, verb, by, json).await
}

pub(crate) async fn payload(billing: &Billing, id: &str) -> Result<bool, Failure> {
    let event = find(billing, id).await?;
    println!("{}", serde_json::to_string_pretty(&redacted(&event.payload))?);
    Ok(true)
}

/// Whether all is well with the queue, and what is not.
pub(crate) async fn queue(billing: &Billing, json: bool) -> Result<bool, Failure> {
    let paused = billing.paused().await?;
    if json {
        println!("{}", serde_json::json!({ "paused": paused }));
    } else {
        match &paused {
            None => println!("running"),
            Some(paused) => {
                let why = paused.reason.as_deref().unwrap_or("no reason given");
                println!("paused since {} by {}: {why}", paused.since, paused.actor);
            }
        }
    }
    Ok(paused.is_none())
}

pub(crate) async fn find(billing: &Billing, id: &str) -> Result<StoredEvent, Failure> {
    let mut found = billing.store().events_by_id(id).await?;
    match found.len() {
        0 => Err(format!("there is no event {id}").into()),
        1 => Ok(found.remove(0)),
        _ => Err(format!("several tenants have an event {id}: use the operator's JSON").into()),
    }
}
