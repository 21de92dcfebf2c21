//! Lists, the newest first, in pages that go by the last row's number.

use axum::extract::State;
use axum::http::Uri;
use chrono::TimeDelta;
use serde::Serialize;
use serde_json::{Value, json};
use stripe_billing_core::Billing;
use stripe_billing_core::store::{AuditQuery, EVENT_STATUSES, EventQuery, TicketQuery};
use stripe_billing_core::ticket::TicketStatus;

use super::query::Params;
use super::{Routed, answer};
use crate::problem::Problem;

pub(super) async fn events(State(billing): State<Billing>, uri: Uri) -> Routed {
    let params = Params::read(&uri, &["status", "type", "customer", "ticket", "limit", "after"])?;
    let expected = format!("one of {}", EVENT_STATUSES.join(", "));
    let query = EventQuery {
        status: params.value("status", &expected, |text| {
            EVENT_STATUSES.contains(&text).then(|| text.to_owned())
        })?,
        event_type: params.text("type"),
        subject: params.text("customer"),
        ticket: params.text("ticket"),
        after: params.after()?,
        limit: params.limit()?,
    };
    let events = billing.store().events(&query).await;
    let events = events.map_err(|error| Problem::from(&error))?;
    let next = next(&events, query.limit, |event| event.seq);
    Ok(answer(&json!({ "events": events, "next": next })))
}

pub(super) async fn tickets(State(billing): State<Billing>, uri: Uri) -> Routed {
    let params = Params::read(&uri, &["status", "customer", "limit", "after"])?;
    let expected = "one of open, investigating, resolved";
    let query = TicketQuery {
        status: params.value("status", expected, TicketStatus::from_word)?,
        subject: params.text("customer"),
        after: params.after()?,
        limit: params.limit()?,
    };
    let tickets = billing.store().tickets(&query).await;
    let tickets = tickets.map_err(|error| Problem::from(&error))?;
    let next = next(&tickets, query.limit, |ticket| ticket.number);
    let tickets: Vec<Value> = tickets.iter().map(about).collect();
    Ok(answer(&json!({ "tickets": tickets, "next": next })))
}

pub(super) async fn dunning(State(billing): State<Billing>, uri: Uri) -> Routed {
    let params = Params::read(&uri, &["limit", "after"])?;
    let page = billing.dunning(params.after()?, params.limit()?).await;
    Ok(answer(&page.map_err(|error| Problem::from(&error))?))
}

pub(super) async fn dunning_figures(State(billing): State<Billing>, uri: Uri) -> Routed {
    let params = Params::read(&uri, &["days"])?;
    let days = params.value("days", "a number from 1 to 366", |text| {
        text.parse::<i64>().ok().filter(|days| (1..=366).contains(days))
    })?;
    let since = billing.clock().now() - TimeDelta::days(days.unwrap_or(30));
    let figures = billing.dunning_figures(since).await;
    Ok(answer(&figures.map_err(|error| Problem::from(&error))?))
}

pub(super) async fn audit(State(billing): State<Billing>, uri: Uri) -> Routed {
    let params = Params::read(&uri, &["customer", "limit", "after"])?;
    let query = AuditQuery {
        subject: params.text("customer"),
        after: params.after()?,
        limit: params.limit()?,
    };
    let lines = billing.store().audit(&query).await;
    let lines = lines.map_err(|error| Problem::from(&error))?;
    let next = next(&lines, query.limit, |line| line.seq);
    let lines: Vec<Value> = lines.iter().map(about).collect();
    Ok(answer(&json!({ "audit": lines, "next": next })))
}

/// What the next page comes after; a page that is not full is the last.
fn next<T>(rows: &[T], limit: u32, number: fn(&T) -> i64) -> Option<i64> {
    let full = rows.len() >= usize::try_from(limit).unwrap_or(usize::MAX);
    rows.last().filter(|_| full).map(number)
}

/// A row with the subject it is about under the name that events have for it, in place of `id`.
fn about(row: &impl Serialize) -> Value {
    let mut row = json!(row);
    if let Some(fields) = row.as_object_mut()
        && let Some(id) = fields.remove("id")
    {
        fields.insert("subject".to_owned(), id);
    }
    row
}
