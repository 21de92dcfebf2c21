//! The hosted pages: checkout, customer portal, invoice, and the fake's own front page.

use std::{fmt::Write as _, sync::Arc};

use axum::{
    Form, Json,
    extract::{Path, State as Shared},
    http::StatusCode,
    response::{IntoResponse, Redirect, Response},
};
use serde::Deserialize;
use serde_json::json;

use super::html::{day, document, escape, href, instant, message};
use crate::fake_stripe::{
    Inner,
    model::{Card, Mode, Price, Session, Status, Subscription},
    objects::money,
    state::State,
};

type Fake = Shared<Arc<Inner>>;

const CARDS: [(Card, &str, &str); 3] = [
    (Card::Good, "4242 4242 4242 4242", "Pays now and always"),
    (Card::Declined, "4000 0000 0000 0002", "Is declined now"),
    (
        Card::FailsOnRenewal,
        "4000 0000 0000 0341",
        "Pays now, fails on renewal",
    ),
];

fn card_choice() -> String {
    let mut out = String::from("<fieldset><legend>Test card</legend>");
    for (n, (card, number, what)) in CARDS.iter().enumerate() {
        let checked = if n == 0 { " checked" } else { "" };
        let _ = write!(
            out,
            "<label class=\"pick\"><input type=\"radio\" name=\"card\" value=\"{}\"{checked}>\
             <span><b>{number}</b><i>{what}</i></span></label>",
            card.number()
        );
    }
    out + "</fieldset>"
}

fn every(price: &Price) -> String {
    match price.recurring {
        None => String::new(),
        Some((interval, 1)) => format!("per {}", interval.as_str()),
        Some((interval, count)) => format!("every {count} {}s", interval.as_str()),
    }
}

pub(super) async fn checkout(Shared(inner): Fake, Path(id): Path<String>) -> Response {
    inner.with(|state| match state.session(&id) {
        Ok(session) => checkout_page(session).into_response(),
        Err(_) => message(
            StatusCode::NOT_FOUND,
            "Not found",
            "There is no such checkout.",
        ),
    })
}

fn checkout_page(session: &Session) -> Response {
    if session.status != "open" {
        let text = format!("This checkout is {}.", session.status);
        return message(StatusCode::OK, "Nothing left to do", &text);
    }
    let currency = session.currency();
    let cycle = session
        .lines
        .first()
        .map(|(_, price, _)| every(price))
        .unwrap_or_default();
    let total = money(session.total(), currency);
    let (lead, headline, button) = match (session.mode, session.trial_days) {
        (Mode::Payment, _) => ("Pay", total.clone(), format!("Pay {total}")),
        (Mode::Subscription, None) => ("Subscribe", total.clone(), "Subscribe".to_owned()),
        (Mode::Subscription, Some(days)) => (
            "Try for free",
            format!("{days} days free"),
            "Start trial".to_owned(),
        ),
    };
    let small = match session.trial_days {
        Some(_) => format!("then {total} {cycle}"),
        None => cycle,
    };
    let mut rows = String::new();
    for (_, price, quantity) in &session.lines {
        let _ = write!(
            rows,
            "<li><div>{}<small>Qty {quantity} {}</small></div><div>{}</div></li>",
            escape(&price.product_name),
            every(price),
            money(price.amount(*quantity), currency)
        );
    }
    let email = session.email.as_ref().or(session.customer_email.as_ref());
    let email = match email {
        Some(email) => format!("value=\"{}\" readonly", escape(email)),
        None => "value=\"customer@example.com\"".to_owned(),
    };
    let decline = session.decline.as_ref().map_or_else(String::new, |text| {
        format!(
            "<p class=\"alert\" role=\"alert\">{} Try another card.</p>",
            escape(text)
        )
    });
    let back = session.cancel_url.as_ref().map_or_else(String::new, |url| {
        format!(
            "<p class=\"note\"><a href=\"{}\">← Back to the shop</a></p>",
            href(url)
        )
    });
    let cards = card_choice();
    let body = format!(
        "<div class=\"split\"><section class=\"left\"><div class=\"brand\">\
         <span class=\"mark\">F</span>Fake Stripe <span class=\"badge\">TEST MODE</span></div>\
         <p class=\"lead\">{lead}</p><p class=\"total\">{headline} <small>{small}</small></p>\
         <ul class=\"rows\">{rows}</ul>{back}</section>\
         <main class=\"right\"><h1>Pay with card</h1>{decline}<form method=\"post\">\
         <label class=\"field\">Email<input type=\"email\" name=\"email\" required {email}></label>\
         {cards}<button class=\"wide\">{button}</button></form>\
         <p class=\"note\">This page is part of a test kit. No card is charged, and no real card \
         number belongs here.</p></main></div>"
    );
    document("Checkout", &body).into_response()
}

#[derive(Debug, Deserialize)]
pub(super) struct Submitted {
    #[serde(default)]
    email: String,
    #[serde(default)]
    card: String,
}

pub(super) async fn submit_checkout(
    Shared(inner): Fake,
    Path(id): Path<String>,
    Form(form): Form<Submitted>,
) -> Response {
    let card = Card::from_number(&form.card).unwrap_or_default();
    inner.with(
        |state| match state.submit_checkout(&id, card, Some(&form.email)) {
            Ok(done) => Redirect::to(&done.redirect).into_response(),
            Err(error) if error.status() == 402 => match state.session(&id) {
                Ok(session) => {
                    (StatusCode::PAYMENT_REQUIRED, checkout_page(session)).into_response()
                }
                Err(_) => message(
                    StatusCode::NOT_FOUND,
                    "Not found",
                    "There is no such checkout.",
                ),
            },
            Err(error) => {
                let status =
                    StatusCode::from_u16(error.status()).unwrap_or(StatusCode::BAD_REQUEST);
                message(status, "This did not work", error.message())
            }
        },
    )
}

pub(super) async fn portal(Shared(inner): Fake, Path(id): Path<String>) -> Response {
    inner.with(|state| portal_page(state, &id, None))
}

fn portal_page(state: &State, id: &str, alert: Option<&str>) -> Response {
    let Some(portal) = state.portals.get(id) else {
        return message(
            StatusCode::NOT_FOUND,
            "Not found",
            "There is no such portal session.",
        );
    };
    let customer = state.customers.get(&portal.customer);
    let email = customer
        .and_then(|customer| customer.email.clone())
        .unwrap_or_default();
    let mut body = String::from("<main class=\"page\">");
    if let Some(url) = &portal.return_url {
        let _ = write!(body, "<p><a href=\"{}\">← Back</a></p>", href(url));
    }
    let _ = write!(
        body,
        "<h1>Your billing <span class=\"badge\">TEST MODE</span></h1><p>{}</p>",
        escape(&email)
    );
    if let Some(text) = alert {
        let _ = write!(
            body,
            "<p class=\"alert\" role=\"alert\">{}</p>",
            escape(text)
        );
    }
    let theirs: Vec<_> = state
        .subscriptions
        .newest_first()
        .filter(|sub| sub.customer == portal.customer)
        .collect();
    body.push_str("<h2>Subscriptions</h2>");
    if theirs.is_empty() {
        body.push_str("<div class=\"card\"><p>No subscription yet.</p></div>");
    }
    for sub in theirs {
        body.push_str(&subscription_card(sub));
    }
    let last4 = customer
        .and_then(|customer| customer.default_payment_method.as_deref())
        .or_else(|| default_of_subscription(state, &portal.customer))
        .and_then(|method| state.methods.get(method))
        .map_or_else(
            || "No card on file".to_owned(),
            |m| format!("Visa •••• {}", m.card.last4()),
        );
    let _ = write!(
        body,
        "<h2>Card</h2><div class=\"card\"><h3>{last4}</h3><form method=\"post\">\
         <input type=\"hidden\" name=\"action\" value=\"card\"><br>{}\
         <button>Use this card</button></form></div>",
        card_choice()
    );
    body.push_str(&invoice_table(state, &portal.customer));
    document("Your billing", &(body + "</main>")).into_response()
}

fn default_of_subscription<'a>(state: &'a State, customer: &str) -> Option<&'a str> {
    let mut theirs = state
        .subscriptions
        .newest_first()
        .filter(|sub| sub.customer == customer);
    theirs.find_map(|sub| sub.default_payment_method.as_deref())
}

fn subscription_card(sub: &Subscription) -> String {
    let names: Vec<String> = sub
        .items
        .iter()
        .map(|item| escape(&item.price.product_name))
        .collect();
    let total: i64 = sub
        .items
        .iter()
        .map(|item| item.price.amount(item.quantity))
        .sum();
    let cycle = sub
        .items
        .first()
        .map(|item| every(&item.price))
        .unwrap_or_default();
    let leaving = sub.cancel_at;
    let (tone, word, when) = match (sub.status, leaving) {
        (Status::Canceled | Status::IncompleteExpired, _) => (
            "plain",
            "Ended",
            sub.ended_at.map(|at| format!("since {}", day(at))),
        ),
        (_, Some(at)) => ("plain", "Ends soon", Some(format!("on {}", day(at)))),
        (Status::PastDue | Status::Unpaid | Status::Incomplete, _) => (
            "bad",
            "Payment failed",
            Some("Change the card and pay the open invoice".to_owned()),
        ),
        (Status::Trialing, _) => (
            "good",
            "Trial",
            Some(format!("until {}", day(sub.period.1))),
        ),
        (Status::Active, _) => (
            "good",
            "Active",
            Some(format!("renews on {}", day(sub.period.1))),
        ),
    };
    let mut actions = String::new();
    if !sub.status.is_ended() {
        let mut add = |action: &str, label: &str, class: &str| {
            let _ = write!(
                actions,
                "<form method=\"post\"><input type=\"hidden\" name=\"action\" value=\"{action}\">\
                 <input type=\"hidden\" name=\"target\" value=\"{}\">\
                 <button class=\"quiet {class}\">{label}</button></form>",
                escape(&sub.id)
            );
        };
        if leaving.is_some() {
            add("resume", "Keep the subscription", "");
        } else {
            add(
                "cancel_at_period_end",
                "Cancel at the end of the period",
                "",
            );
        }
        add("cancel_now", "Cancel now", "danger");
    }
    format!(
        "<div class=\"card\"><div class=\"top\"><div><h3>{}</h3><p>{} {cycle}</p><p>{}</p></div>\
         <span class=\"badge {tone}\">{word}</span></div><div class=\"actions\">{actions}</div></div>",
        names.join(", "),
        money(total, sub.currency()),
        when.unwrap_or_default()
    )
}

fn invoice_table(state: &State, customer: &str) -> String {
    let mut rows = String::new();
    for invoice in state
        .invoices
        .newest_first()
        .filter(|i| i.customer == customer)
        .take(12)
    {
        let pay = if invoice.status == "open" {
            format!(
                "<form method=\"post\"><input type=\"hidden\" name=\"action\" value=\"pay\">\
                 <input type=\"hidden\" name=\"target\" value=\"{}\">\
                 <button class=\"quiet\">Pay now</button></form>",
                escape(&invoice.id)
            )
        } else {
            String::new()
        };
        let tone = if invoice.status == "paid" {
            "good"
        } else {
            "plain"
        };
        let _ = write!(
            rows,
            "<tr><td>{}</td><td><a href=\"/invoice/{}\">{}</a></td>\
             <td><span class=\"badge {tone}\">{}</span></td><td class=\"num\">{}</td><td>{pay}</td></tr>",
            day(invoice.created),
            escape(&invoice.id),
            escape(invoice.number.as_deref().unwrap_or("draft")),
            invoice.status,
            money(invoice.total(), &invoice.currency)
        );
    }
    if rows.is_empty() {
        return String::new();
    }
    format!("<h2>Invoices</h2><div class=\"card\"><table>{rows}</table></div>")
}

#[derive(Debug, Deserialize)]
pub(super) struct Action {
    action: String,
    #[serde(default)]
    target: String,
    #[serde(default)]
    card: String,
}

pub(super) async fn submit_portal(
    Shared(inner): Fake,
    Path(id): Path<String>,
    Form(form): Form<Action>,
) -> Response {
    inner.with(|state| {
        let Some(customer) = state.portals.get(&id).map(|portal| portal.customer.clone()) else {
            return message(
                StatusCode::NOT_FOUND,
                "Not found",
                "There is no such portal session.",
            );
        };
        let target = form.target.as_str();
        // A portal session opens its own customer's things and nobody else's.
        let owner = state
            .subscriptions
            .get(target)
            .map(|sub| sub.customer.clone())
            .or_else(|| {
                state
                    .invoices
                    .get(target)
                    .map(|invoice| invoice.customer.clone())
            });
        if form.action != "card" && owner.as_ref() != Some(&customer) {
            return message(StatusCode::NOT_FOUND, "Not found", "This is not yours.");
        }
        let done = match form.action.as_str() {
            "cancel_at_period_end" => state.cancel_in_portal(target),
            "resume" => state.resume(target).map(drop),
            "cancel_now" => state
                .end_subscription(target, Some("cancellation_requested"))
                .map(drop),
            "pay" => state.pay_invoice(target),
            "card" => {
                let card = Card::from_number(&form.card).unwrap_or_default();
                state.set_card(&customer, card).map(drop)
            }
            _ => Ok(()),
        };
        match done {
            Ok(()) => Redirect::to(&format!("/portal/{id}")).into_response(),
            Err(error) => {
                let status =
                    StatusCode::from_u16(error.status()).unwrap_or(StatusCode::BAD_REQUEST);
                (status, portal_page(state, &id, Some(error.message()))).into_response()
            }
        }
    })
}

impl State {
    /// The portal's way to cancel: with flexible billing it sets `cancel_at` alone.
    fn cancel_in_portal(&mut self, id: &str) -> Result<(), crate::fake_stripe::ApiError> {
        if self.rules.portal_sets_cancel_at_only && !self.rules.api_version.before("2025-09-30") {
            let end = self.subscription(id)?.period.1;
            self.cancel_at(id, end).map(drop)
        } else {
            self.cancel_at_period_end(id).map(drop)
        }
    }
}

pub(super) async fn invoice(Shared(inner): Fake, Path(id): Path<String>) -> Response {
    inner.with(|state| {
        let Ok(invoice) = state.invoice(&id) else {
            return message(
                StatusCode::NOT_FOUND,
                "Not found",
                "There is no such invoice.",
            );
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

pub(super) async fn home(Shared(inner): Fake) -> Response {
    inner.with(|state| {
        let mut rows = String::new();
        for event in state.events.iter().rev().take(40) {
            let _ = write!(
                rows,
                "<tr><td>{}</td><td><b>{}</b><br><code>{}</code></td><td><code>{}</code></td></tr>",
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
pub(super) struct Advance {
    seconds: u32,
    back: Option<String>,
}

/// `POST /_fake/advance` with `seconds`: moves the clock from outside the process.
pub(super) async fn advance(Shared(inner): Fake, Form(form): Form<Advance>) -> Response {
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
