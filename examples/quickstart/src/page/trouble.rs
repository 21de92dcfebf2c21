use maud::{Markup, html};
use stripe_billing_core::StoreError;
use stripe_billing_core::store::{EventQuery, EventSummary, TicketQuery};
use stripe_billing_core::ticket::{Ticket, TicketStatus};

use crate::state::App;

/// How many of each the page lists.
const LISTED: u32 = 4;

/// What fails now, and the tickets of it.
pub(super) struct Troubles {
    events: Vec<EventSummary>,
    tickets: Vec<Ticket>,
}

pub(super) async fn read(app: &App) -> Result<Troubles, StoreError> {
    let store = app.billing.store();
    let mut events = Vec::new();
    for status in ["retry_wait", "dead"] {
        let status = Some(status.to_owned());
        let query = EventQuery { status, limit: LISTED, ..EventQuery::default() };
        events.extend(store.events(&query).await?);
    }
    events.retain(|event| event.seq > app.events_before);
    let query = TicketQuery { limit: LISTED, ..TicketQuery::default() };
    let mut tickets = store.tickets(&query).await?;
    tickets.retain(|ticket| ticket.kind.is_failure());
    Ok(Troubles { events, tickets })
}

pub(super) fn render(troubles: &Troubles, now: i64) -> Markup {
    html! {
        h2 { "When things fail" }
        p.hint { "Let something go wrong. What passes by itself is tried again; what does not waits for an operator, with one ticket for all that fails alike." }
        form.pair method="post" action="/demo/trouble" {
            button #flaky name="trouble" value="handler" { "Failing handler" }
            button #unreadable name="trouble" value="unreadable" { "Unreadable event" }
        }
        ol.feed {
            @for event in &troubles.events {
                li.trouble data-status=(event.status) {
                    span { (reason(event)) }
                    @if event.status == "dead" {
                        form method="post" action="/demo/dismiss" {
                            button.small name="seq" value=(event.seq) { "Dismiss" }
                        }
                    } @else {
                        span.badge.small.warn { (again(event, now)) }
                    }
                }
            }
            @for ticket in &troubles.tickets {
                li.ticket data-status=(ticket.status.as_str()) title=(ticket.key) {
                    span { "Ticket: " (ticket.title) @if ticket.count > 1 { " ×" (ticket.count) } }
                    @if ticket.status == TicketStatus::Resolved { span.badge.small.good { "closed" } }
                    @else { span.badge.small.bad { "open" } }
                }
            }
        }
    }
}

fn reason(event: &EventSummary) -> String {
    let code = event.reason.as_deref().unwrap_or("failed").replace('_', " ");
    match event.status.as_str() {
        "dead" => format!("{}: set aside, {code}", event.event_type),
        _ => format!("{}: {code}, {} tried", event.event_type, event.attempts),
    }
}

fn again(event: &EventSummary, now: i64) -> String {
    let left = event.due_at.map_or(0, |due| due.timestamp() - now);
    if left > 0 { format!("again in {left} s") } else { "again now".to_owned() }
}
