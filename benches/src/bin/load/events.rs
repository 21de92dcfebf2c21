//! Events as Stripe sends them, under ids of their own.

use std::ops::Range;

use bytes::Bytes;
use serde_json::Value;
use stripe_billing_core::webhook::{WebhookSecret, sign};
use stripe_billing_core::{Clock, SystemClock};
use stripe_billing_testing::event::histories::{
    ACCOUNT, ACCOUNT_KEY, MONTH, START, pack_by_card, renewal_confirmed, renewal_recovers, sign_up,
};
use stripe_billing_testing::event::{EventBuilder, InvoiceObject, Shape, SubscriptionObject};

use crate::Outcome;

pub(crate) const SECRET: &str = "whsec_3f0c1e6f5f0d4d0f9b0a5c1d7e8f9a0b";

/// Events of one sign-up.
pub(crate) const SIGN_UP: usize = 6;

const DAY: i64 = 86_400;
/// No history goes further back.
const YEAR: i64 = 365 * DAY;

const PREFIXES: [&str; 8] = ["cus_", "sub_", "in_", "cs_", "si_", "il_", "evt_", ACCOUNT];

fn rename(body: &Bytes, number: usize) -> Outcome<Bytes> {
    let mut text = std::str::from_utf8(body)?.to_owned();
    for prefix in PREFIXES {
        text = text.replace(prefix, &format!("{prefix}{number:08}x"));
    }
    Ok(text.into())
}

/// So many events, six to a customer: each signs up, one after the other. Numbered from `first` on.
pub(crate) fn sign_ups(first: usize, events: usize) -> Outcome<Vec<Bytes>> {
    let history = sign_up(Shape::New);
    (first..first + events)
        .map(|event| rename(&history[event % SIGN_UP], event / SIGN_UP))
        .collect()
}

/// What happens to a customer who has been there for long, again and again, under ids of its own:
/// a renewal that fails and is paid, and something bought once.
pub(crate) fn rounds(customers: usize, rounds: Range<usize>) -> Outcome<Vec<Bytes>> {
    let shape = Shape::New;
    let one: Vec<Bytes> =
        [renewal_recovers(shape), pack_by_card(shape)].into_iter().flatten().collect();
    let mut bodies = Vec::new();
    for round in rounds {
        // Customer after customer, as events come: neighbours are about the same one.
        for customer in 0..customers {
            for body in &one {
                let mut text = std::str::from_utf8(body)?.to_owned();
                for prefix in ["in_", "pi_", "ch_", "cs_live_", "evt_", "inpay_"] {
                    let own = format!("\"{prefix}{customer:03}r{round:04}x");
                    text = text.replace(&format!("\"{prefix}"), &own);
                }
                bodies.push(of_customer(&text, customer).into());
            }
        }
    }
    Ok(bodies)
}

/// Events of one round of [`rounds`] for one customer.
pub(crate) fn round_size() -> usize {
    renewal_recovers(Shape::New).len() + pack_by_card(Shape::New).len()
}

/// Stripe's text about `cus_1` and `sub_1`, about another customer.
pub(crate) fn of_customer(text: &str, customer: usize) -> String {
    ["cus_", "sub_", "si_"].iter().fold(text.to_owned(), |text, prefix| {
        text.replace(&format!("\"{prefix}1\""), &format!("\"{prefix}{customer:03}\""))
    })
}

/// Events of one account in its first month: its subscription, and the invoice that was paid.
pub(crate) const MONTH_ONE: [&str; 2] = ["customer.subscription.updated", "invoice.paid"];

/// How many seconds later the first month and the renewals have to take place for the renewed period
/// to be four days old.
pub(crate) fn until_now() -> i64 {
    SystemClock.now().timestamp() - (START + MONTH + 4 * DAY)
}

/// The first month of each account of the range, so many seconds later.
pub(crate) fn first_month(accounts: Range<usize>, later: i64) -> Outcome<Vec<Bytes>> {
    let history = sign_up(Shape::New);
    let of_type = |kind: &str| put_off(&last_of(&history, kind)?, later);
    let month = MONTH_ONE.into_iter().map(of_type).collect::<Outcome<Vec<_>>>()?;
    accounts.flat_map(|account| month.iter().map(move |body| rename(body, account))).collect()
}

/// The renewal of each account of the range: the next invoice, paid; so many seconds later.
pub(crate) fn renewals(accounts: Range<usize>, later: i64) -> Outcome<Vec<Bytes>> {
    let paid = put_off(&last_of(&renewal_confirmed(Shape::New), "invoice.paid")?, later)?;
    accounts.map(|account| rename(&paid, account)).collect()
}

/// An event, so many seconds later with all that it says.
fn put_off(body: &Bytes, later: i64) -> Outcome<Bytes> {
    fn stamps(value: &mut Value, later: i64) {
        match value {
            Value::Object(fields) => fields.values_mut().for_each(|field| stamps(field, later)),
            Value::Array(items) => items.iter_mut().for_each(|item| stamps(item, later)),
            // No amount is that high.
            _ => {
                let stamp = value.as_i64().filter(|number| *number >= START - YEAR);
                if let Some(stamp) = stamp {
                    *value = (stamp + later).into();
                }
            }
        }
    }
    let mut event = serde_json::from_slice(body)?;
    stamps(&mut event, later);
    Ok(serde_json::to_vec(&event)?.into())
}

fn last_of(history: &[Bytes], kind: &str) -> Outcome<Bytes> {
    let kind = format!("\"type\":\"{kind}\"");
    let is_one = |body: &&Bytes| {
        let text = String::from_utf8_lossy(body).replace(": ", ":");
        text.contains(&kind)
    };
    Ok(history.iter().rfind(is_one).ok_or("no such event")?.clone())
}

/// So many events of different ids, about 3 KB each: half subscriptions that were updated, half
/// invoices that were paid. Numbered from `first` on.
pub(crate) fn distinct(first: usize, events: usize) -> Outcome<Vec<Bytes>> {
    let notes: Vec<(String, String)> =
        (0..8).map(|n| (format!("order_{n}"), format!("1SjAcme92qQEUxc7vav{n}"))).collect();
    let mut metadata = vec![(ACCOUNT_KEY, ACCOUNT)];
    metadata.extend(notes.iter().map(|(key, value)| (key.as_str(), value.as_str())));
    let before = SubscriptionObject::new("sub_1", "cus_1").metadata(&metadata).status("incomplete");
    let after = before.clone().status("active");
    let updated = EventBuilder::new("customer.subscription.updated")
        .created(START)
        .change(&before.render(Shape::New), &after.render(Shape::New))
        .build();
    let invoice = InvoiceObject::new("in_1", "cus_1", Some("sub_1"))
        .metadata(&metadata)
        .status("paid")
        .paid_at(Some(START));
    let paid =
        EventBuilder::new("invoice.paid").created(START).object(invoice.render(Shape::New)).build();
    (first..first + events).map(|number| rename([&updated, &paid][number % 2], number)).collect()
}

pub(crate) fn secret() -> Outcome<WebhookSecret> {
    Ok(WebhookSecret::new(SECRET)?)
}

/// The signature header for a body, as of now.
pub(crate) fn signature(body: &[u8], secret: &WebhookSecret) -> String {
    sign(body, secret, SystemClock.now())
}
