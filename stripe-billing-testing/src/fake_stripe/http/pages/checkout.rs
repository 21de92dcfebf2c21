//! The checkout page.

use std::{fmt::Write as _, time::Duration};

use axum::{
    Form,
    extract::{Path, State as Shared},
    http::StatusCode,
    response::{IntoResponse, Redirect, Response},
};
use serde::Deserialize;

use super::{
    Fake, card_choice, every,
    html::{document, escape, href, message},
};
use crate::fake_stripe::{
    card::Card,
    engine::Debit,
    model::{Mode, Session},
    objects::money,
    state::State,
};

pub(in crate::fake_stripe::http) async fn checkout(
    Shared(inner): Fake,
    Path(id): Path<String>,
) -> Response {
    inner.with(|state| match state.session(&id) {
        Ok(session) => checkout_page(session).into_response(),
        Err(_) => message(StatusCode::NOT_FOUND, "Not found", "There is no such checkout."),
    })
}

fn checkout_page(session: &Session) -> Response {
    if session.status != "open" {
        let text = format!("This checkout is {}.", session.status);
        return message(StatusCode::OK, "Nothing left to do", &text);
    }
    let currency = session.currency();
    let cycle = session.lines.first().map(|(_, price, _)| every(price)).unwrap_or_default();
    let total = money(session.total(), currency);
    let (lead, headline, button) = match (session.mode, session.trial_days) {
        (Mode::Payment, _) => ("Pay", total.clone(), format!("Pay {total}")),
        (Mode::Subscription, None) => ("Subscribe", total.clone(), "Subscribe".to_owned()),
        (Mode::Subscription, Some(days)) => {
            ("Try for free", format!("{days} days free"), "Start trial".to_owned())
        }
    };
    let small = match session.trial_days {
        Some(_) => format!("then {total} {cycle}"),
        None => cycle,
    };
    let mut rows = String::new();
    for (_, price, quantity) in &session.lines {
        let _ = write!(
            rows,
            "<li><div>{}<small>{quantity} × {}{}</small></div><div>{}</div></li>",
            escape(&price.product_name),
            money(price.unit_amount, currency),
            match every(price) {
                cycle if cycle.is_empty() => cycle,
                cycle => format!(" {cycle}"),
            },
            money(price.amount(*quantity), currency)
        );
    }
    let email = session.email.as_ref().or(session.customer_email.as_ref());
    let email = match email {
        Some(email) => format!("value=\"{}\" readonly", escape(email)),
        None => "value=\"customer@example.com\"".to_owned(),
    };
    let decline = session.decline.as_ref().map_or_else(String::new, |text| {
        format!("<p class=\"alert\" role=\"alert\">{} Try another card.</p>", escape(text))
    });
    let back = session.cancel_url.as_ref().map_or_else(String::new, |url| {
        format!("<p class=\"note\"><a href=\"{}\">← Back to the shop</a></p>", href(url))
    });
    let mut cards = card_choice();
    if session.mode == Mode::Payment && session.total() > 0 {
        cards.push_str(DEBITS);
    }
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

const DEBITS: &str = "<fieldset><legend>Or a bank account</legend>\
    <label class=\"pick\"><input type=\"radio\" name=\"card\" value=\"debit_arrives\">\
    <span><b>Bank debit</b><i>Arrives after three days</i></span></label>\
    <label class=\"pick\"><input type=\"radio\" name=\"card\" value=\"debit_bounces\">\
    <span><b>Bank debit</b><i>Bounces after three days</i></span></label></fieldset>";

const DEBIT_TAKES: Duration = Duration::from_secs(3 * 86_400);

fn debit_of(choice: &str) -> Option<Debit> {
    match choice {
        "debit_arrives" => Some(Debit::Arrives(DEBIT_TAKES)),
        "debit_bounces" => Some(Debit::Bounces(DEBIT_TAKES)),
        _ => None,
    }
}

#[derive(Debug, Deserialize)]
pub(in crate::fake_stripe::http) struct Submitted {
    #[serde(default)]
    email: String,
    #[serde(default)]
    card: String,
}

pub(in crate::fake_stripe::http) async fn submit_checkout(
    Shared(inner): Fake,
    Path(id): Path<String>,
    Form(form): Form<Submitted>,
) -> Response {
    let card = Card::from_number(&form.card).unwrap_or_default();
    let submit = |state: &mut State| match debit_of(&form.card) {
        Some(debit) => state.submit_debit(&id, debit, Some(&form.email)),
        None => state.submit_checkout(&id, card, Some(&form.email)),
    };
    inner.with(|state| match submit(state) {
        Ok(done) => Redirect::to(&done.redirect).into_response(),
        Err(error) if error.status() == 402 => match state.session(&id) {
            Ok(session) => (StatusCode::PAYMENT_REQUIRED, checkout_page(session)).into_response(),
            Err(_) => message(StatusCode::NOT_FOUND, "Not found", "There is no such checkout."),
        },
        Err(error) => {
            let status = StatusCode::from_u16(error.status()).unwrap_or(StatusCode::BAD_REQUEST);
            message(status, "This did not work", error.message())
        }
    })
}
