//! The hosted pages: checkout, customer portal, invoice, and the fake's own front page.

mod checkout;
mod front;
mod html;
mod portal;

pub(super) use checkout::{checkout, submit_checkout};
pub(super) use front::{advance, home, invoice};
pub(super) use portal::{portal, submit_portal};

use std::{fmt::Write as _, sync::Arc};

use axum::extract::State as Shared;

use crate::fake_stripe::{Inner, card::Card, model::Price};

type Fake = Shared<Arc<Inner>>;

const CARDS: [(Card, &str, &str); 4] = [
    (Card::Good, "4242 4242 4242 4242", "Pays now and always"),
    (Card::Declined, "4000 0000 0000 0002", "Is declined now"),
    (Card::FailsOnRenewal, "4000 0000 0000 0341", "Pays now, fails on renewal"),
    (Card::ConfirmsOnRenewal, "4000 0027 6000 3184", "Pays now, has to be confirmed on renewal"),
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
