//! What operators order about events, messages and the queue: once by request id, and on record.

use std::sync::atomic::{AtomicU64, Ordering};

use axum::Extension;
use axum::extract::{Request, State};
use axum::http::Uri;
use serde::Deserialize;
use serde_json::json;
use stripe_billing_core::operator::redacted;
use stripe_billing_core::store::{Carried, EventRange, StoredEvent, Verb};
use stripe_billing_core::ticket::TicketStatus;
use stripe_billing_core::{Billing, OrderError};

use super::query::Params;
use super::verbs::json;
use super::{Named, Operator, Routed, answer, query};
use crate::problem::Problem;

/// Events of one replay, unless it is said.
const DEFAULT_REPLAY: u32 = 100;

/// An order about one event. Where several tenants have its id, which of them is meant.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct About {
    request_id: String,
    reason: Option<String>,
    livemode: Option<bool>,
    stripe_account: Option<String>,
}

/// An order about a queue; `key` names one message.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Switch {
    request_id: String,
    reason: Option<String>,
    key: Option<String>,
}

/// The fields of [`EventRange`], and whether to write.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Replay {
    #[serde(default = "yes")]
    dry_run: bool,
    from: Option<i64>,
    until: Option<i64>,
    status: Option<String>,
    r#type: Option<String>,
    customer: Option<String>,
    ticket: Option<String>,
    limit: Option<u32>,
    request_id: Option<String>,
    reason: Option<String>,
}

fn yes() -> bool {
    true
}

impl From<OrderError> for Problem {
    fn from(error: OrderError) -> Self {
        match error {
            OrderError::Store(error) => Self::from(&error),
            OrderError::Unknown => Self::unknown_event(),
            OrderError::UnknownTicket => Self::unknown_ticket(),
            OrderError::LongReason => Self::reason_too_long(),
            OrderError::NotNow(_) => Self::not_now(error.to_string()),
            OrderError::RequestReused => Self::request_reused(),
            other => Self::invalid_body(other.to_string()),
        }
    }
}

async fn order(
    billing: &Billing,
    operator: &Operator,
    verb: Verb,
    request: &str,
    reason: Option<&str>,
) -> Result<Carried, Problem> {
    Ok(billing.order(verb, &operator.name, request, reason).await?)
}

/// The event with an id; of several tenants' the one that is said.
async fn find(billing: &Billing, id: &str, about: &About) -> Result<StoredEvent, Problem> {
    let events = billing.store().events_by_id(id).await;
    let mut events = events.map_err(|error| Problem::from(&error))?;
    events.retain(|event| {
        let tenant = &event.summary.key.tenant;
        about.livemode.is_none_or(|mode| mode == tenant.livemode) && about.stripe_account.is_none()
            || about.stripe_account == tenant.stripe_account
    });
    if events.len() > 1 {
        let detail = "several tenants have this event id: say `livemode` and `stripe_account`";
        return Err(Problem::invalid_body(detail));
    }
    events.pop().ok_or_else(Problem::unknown_event)
}

async fn about_event(
    billing: Billing,
    operator: Operator,
    id: Named,
    request: Request,
    verb: fn(i64) -> Verb,
) -> Routed {
    let id = query::id("id", id)?;
    let about: About = json(request).await?;
    let event = find(&billing, &id, &about).await?;
    let (seq, reason) = (event.summary.seq, about.reason.as_deref());
    let carried = order(&billing, &operator, verb(seq), &about.request_id, reason).await?;
    Ok(answer(&carried))
}

pub(super) async fn resolve(
    State(billing): State<Billing>,
    Extension(operator): Extension<Operator>,
    id: Named,
    request: Request,
) -> Routed {
    about_event(billing, operator, id, request, |seq| Verb::Resolve { seq }).await
}

pub(super) async fn dismiss(
    State(billing): State<Billing>,
    Extension(operator): Extension<Operator>,
    id: Named,
    request: Request,
) -> Routed {
    about_event(billing, operator, id, request, |seq| Verb::Dismiss { seq }).await
}

pub(super) async fn release(
    State(billing): State<Billing>,
    Extension(operator): Extension<Operator>,
    id: Named,
    request: Request,
) -> Routed {
    about_event(billing, operator, id, request, |seq| Verb::Release { seq }).await
}

/// Where a ticket stands from now on.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Stands {
    status: TicketStatus,
    request_id: String,
    reason: Option<String>,
}

pub(super) async fn ticket(
    State(billing): State<Billing>,
    Extension(operator): Extension<Operator>,
    number: Named,
    request: Request,
) -> Routed {
    let number = query::id("number", number)?;
    let number = number.parse().map_err(|_| Problem::unknown_ticket())?;
    let Stands { status, request_id, reason } = json(request).await?;
    let verb = Verb::Ticket { number, status };
    Ok(answer(&order(&billing, &operator, verb, &request_id, reason.as_deref()).await?))
}

async fn switch(
    billing: &Billing,
    operator: &Operator,
    request: Request,
    verb: impl FnOnce(Option<String>) -> Verb,
) -> Routed {
    let Switch { request_id, reason, key } = json(request).await?;
    let carried = order(billing, operator, verb(key), &request_id, reason.as_deref()).await?;
    Ok(answer(&carried))
}

pub(super) async fn pause(
    State(billing): State<Billing>,
    Extension(operator): Extension<Operator>,
    request: Request,
) -> Routed {
    switch(&billing, &operator, request, |_| Verb::Pause).await
}

pub(super) async fn resume(
    State(billing): State<Billing>,
    Extension(operator): Extension<Operator>,
    request: Request,
) -> Routed {
    switch(&billing, &operator, request, |_| Verb::Resume).await
}

pub(super) async fn redeliver(
    State(billing): State<Billing>,
    Extension(operator): Extension<Operator>,
    request: Request,
) -> Routed {
    switch(&billing, &operator, request, |key| Verb::Redeliver { key }).await
}

/// Who paused the queue, and what else is wrong.
pub(super) async fn queue(State(billing): State<Billing>, uri: Uri) -> Routed {
    Params::read(&uri, &[])?;
    let paused = billing.paused().await.map_err(|error| Problem::from(&error))?;
    Ok(answer(&json!({ "paused": paused, "readiness": billing.readiness().await })))
}

/// An event's payload without what is nobody's business.
pub(super) async fn payload(State(billing): State<Billing>, id: Named, uri: Uri) -> Routed {
    let id = query::id("id", id)?;
    Params::read(&uri, &[])?;
    let events = billing.store().events_by_id(&id).await;
    let events = events.map_err(|error| Problem::from(&error))?;
    let event = events.first().ok_or_else(Problem::unknown_event)?;
    Ok(answer(&redacted(&event.payload)))
}

/// A request id that nobody else has.
fn own_request(billing: &Billing) -> String {
    static GIVEN: AtomicU64 = AtomicU64::new(0);
    let (now, number) = (billing.clock().now(), GIVEN.fetch_add(1, Ordering::Relaxed));
    format!("replay {} {} {number}", std::process::id(), now.timestamp_micros())
}

/// A dry run unless it is said. A real one without a request id is a request of its own; where its
/// limit ended it, `next` is what another is `from`.
pub(super) async fn replay(
    State(billing): State<Billing>,
    Extension(operator): Extension<Operator>,
    request: Request,
) -> Routed {
    let wanted: Replay = json(request).await?;
    let range = EventRange {
        from: wanted.from,
        until: wanted.until,
        status: wanted.status,
        event_type: wanted.r#type,
        subject: wanted.customer,
        ticket: wanted.ticket,
        limit: wanted.limit.unwrap_or(DEFAULT_REPLAY),
    };
    if wanted.dry_run {
        let replayed = billing.try_replay(&range).await;
        let replayed = replayed.map_err(|error| Problem::from(&error))?;
        return Ok(answer(&json!({
            "requeued": 0, "matching": replayed.matching, "next": null, "events": replayed.events,
        })));
    }
    let request = wanted.request_id.unwrap_or_else(|| own_request(&billing));
    let verb = Verb::Replay { range };
    let carried = order(&billing, &operator, verb, &request, wanted.reason.as_deref()).await?;
    Ok(answer(&json!({
        "requeued": carried.changed, "repeated": carried.repeated, "next": carried.next,
        "events": [],
    })))
}
