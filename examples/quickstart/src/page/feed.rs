use maud::{Markup, html};
use stripe_billing_core::StoreError;
use stripe_billing_core::store::{EventQuery, EventSummary};

use crate::state::App;
use crate::told::Line;
use crate::words::minute;

/// How many events the page lists.
const LISTED: u32 = 10;

/// The latest events since this start.
pub(super) async fn latest(app: &App) -> Result<Vec<EventSummary>, StoreError> {
    let query = EventQuery { limit: LISTED, ..EventQuery::default() };
    let mut events = app.billing.store().events(&query).await?;
    events.retain(|event| event.seq > app.events_before);
    Ok(events)
}

pub(super) fn events(events: &[EventSummary]) -> Markup {
    html! {
        @if events.is_empty() { p.empty { "None yet." } }
        ol.feed {
            @for event in events {
                li title=(event.key.id) {
                    code { (breakable(&event.event_type)) }
                    span.badge.small.(tone(&event.status)) { (event.status.replace('_', " ")) }
                    time { (minute(event.created)) }
                }
            }
        }
    }
}

pub(super) fn told(lines: &[Line]) -> Markup {
    html! {
        @if lines.is_empty() { p.empty { "None yet." } }
        ol.feed.columns {
            @for line in lines {
                li {
                    span { (line.words) }
                    @if line.is_notice { span.badge.small.calm { "mail" } }
                }
            }
        }
    }
}

/// A type that may break after its dots.
fn breakable(name: &str) -> Markup {
    html! {
        @for (at, part) in name.split('.').enumerate() {
            @if at > 0 { "." wbr; }
            (part)
        }
    }
}

fn tone(status: &str) -> &'static str {
    match status {
        "processed" => "good",
        "dead" => "bad",
        "retry_wait" | "deferred" | "parked" => "warn",
        _ => "calm",
    }
}
