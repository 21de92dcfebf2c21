//! Events as Stripe sends them, under ids of their own.

use bytes::Bytes;
use stripe_billing_core::webhook::{WebhookSecret, sign};
use stripe_billing_core::{Clock, SystemClock};
use stripe_billing_testing::event::histories::{ACCOUNT, ACCOUNT_KEY, START, sign_up};
use stripe_billing_testing::event::{EventBuilder, InvoiceObject, Shape, SubscriptionObject};

use crate::Outcome;

pub(crate) const SECRET: &str = "whsec_3f0c1e6f5f0d4d0f9b0a5c1d7e8f9a0b";

/// Events of one sign-up.
pub(crate) const SIGN_UP: usize = 6;

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
