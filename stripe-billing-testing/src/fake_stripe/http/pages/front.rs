//! Invoices, and the front page with the clock and the latest events.

use std::fmt::Write as _;

use axum::{
    Form, Json,
    extract::{Path, State as Shared},
    http::StatusCode,
    response::{IntoResponse, Redirect, Response},
};
use serde::Deserialize;
use serde_json::json;

use super::{
    Fake,
    html::{day, document, escape, instant, message},
};
use crate::fake_stripe::objects::money;

pub(in crate::fake_stripe::http) async fn invoice(
    Shared(inner): Fake,
    Path(id): Path<String>,
) -> Response {
    inner.with(|state| {
        let Ok(invoice) = state.invoice(&id) else {
            return message(StatusCode::NOT_FOUND, "Not found", "There is no such invoice.");
        };
        let mut rows = String::new();
        for line in &invoice.lines {
            let _ = write!(
                rows,
                "<tr><td>{}<br><small>{} – {}</small></td><td class=\"num\">{}</td></tr>",
                escape(&line.description),
                day(line.period.0),
                day(line.period.1),
                money(line.amount, &invoice.currency)
            );
        }
        let body = format!(
            "<main class=\"page\"><h1>Invoice {} <span class=\"badge plain\">{}</span></h1>\
             <div class=\"card\"><p>{}</p><p>{}</p><br><table>{rows}<tr><td><b>Total</b></td>\
             <td class=\"num\"><b>{}</b></td></tr></table></div></main>",
            escape(invoice.number.as_deref().unwrap_or("draft")),
            invoice.status,
            escape(invoice.customer_email.as_deref().unwrap_or_default()),
            day(invoice.created),
            money(invoice.total(), &invoice.currency)
        );
        document("Invoice", &body).into_response()
    })
}

pub(in crate::fake_stripe::http) async fn home(Shared(inner): Fake) -> Response {
    inner.with(|state| {
        let mut rows = String::new();
        for event in state.events.iter().rev().take(40) {
            let _ = write!(
                rows,
                "<tr><td class=\"time\">{}</td><td><b>{}</b><br><code>{}</code></td><td><code>{}</code></td></tr>",
                instant(event.created()),
                event.event_type(),
                event.id(),
                escape(event.object_id())
            );
        }
        let mut steps = String::new();
        for (label, seconds) in [
            ("1 hour", 3_600),
            ("1 day", 86_400),
            ("1 week", 604_800),
            ("31 days", 2_678_400),
        ] {
            let _ = write!(
                steps,
                "<form method=\"post\" action=\"/_fake/advance\">\
                 <input type=\"hidden\" name=\"seconds\" value=\"{seconds}\">\
                 <input type=\"hidden\" name=\"back\" value=\"/\">\
                 <button class=\"quiet\">+ {label}</button></form>"
            );
        }
        let body = format!(
            "<main class=\"page\"><h1>Fake Stripe <span class=\"badge\">TEST MODE</span></h1>\
             <div class=\"card\"><h3>{}</h3><p>Move the clock: renewals, retries and trial ends \
             happen on the way.</p><div class=\"actions\">{steps}</div></div>\
             <h2>Latest events</h2><div class=\"card\"><table>{rows}</table></div></main>",
            instant(state.now())
        );
        document("Fake Stripe", &body).into_response()
    })
}

#[derive(Debug, Deserialize)]
pub(in crate::fake_stripe::http) struct Advance {
    seconds: u32,
    back: Option<String>,
}

/// `POST /_fake/advance` with `seconds`: moves the clock from outside the process.
pub(in crate::fake_stripe::http) async fn advance(
    Shared(inner): Fake,
    Form(form): Form<Advance>,
) -> Response {
    let target = inner.now() + i64::from(form.seconds);
    inner.advance_to(target).await;
    match form.back {
        // Local paths only.
        Some(path) if path.starts_with('/') && !path.starts_with("//") => {
            Redirect::to(&path).into_response()
        }
        _ => Json(json!({ "now": inner.now() })).into_response(),
    }
}
