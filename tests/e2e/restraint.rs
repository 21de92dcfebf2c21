//! How much of what is merely good to know a customer is told, on every backend, and that other
//! messages are not asked about it.

use std::sync::Arc;

use bytes::Bytes;
use chrono::TimeDelta;
use stripe_billing_core::store::Store;
use stripe_billing_testing::event::histories::{ACCOUNT, ACCOUNT_KEY, PACK, PACK_KEY, START};
use stripe_billing_testing::event::{
    CheckoutObject, CustomerObject, EventBuilder, InvoiceObject, Shape,
};
use stripe_billing_testing::{Faults, FaultyStore};

use crate::stage::{Setup, Stage, moved, tenant};

const NOTES: &[(&str, &str)] = &[(ACCOUNT_KEY, ACCOUNT), (PACK_KEY, PACK)];

fn event(kind: &str, number: i64, object: serde_json::Value) -> Bytes {
    let id = format!("evt_{kind}_{number}");
    let body = EventBuilder::new(kind).id(id).created(START + number).object(object).build();
    moved(&body, &tenant(1))
}

fn bought(number: i64) -> Bytes {
    let session = CheckoutObject::new(&format!("cs_{number}"), Some("cus_1")).metadata(NOTES);
    event("checkout.session.completed", number, session.render(Shape::New))
}

/// Receipts and notices of credits that were told so far.
fn told(stage: &Stage) -> [usize; 2] {
    let notices = stage.notices(&tenant(1));
    assert!(notices.values().all(|times| *times == 1), "{notices:?}");
    ["notice:receipt:", "notice:credits_granted:"]
        .map(|kind| notices.keys().filter(|key| key.starts_with(kind)).count())
}

async fn a_customer_is_told_of_credits_three_times_a_day(store: Arc<dyn Store>) {
    let faults = Faults::new();
    let store = FaultyStore::new(store, &faults);
    let stage = Stage::new(Arc::new(store), Setup { now: START + 3_600, ..Setup::default() });
    let customer = CustomerObject::new("cus_1").metadata(NOTES).render(Shape::New);
    let invoice = InvoiceObject::new("in_1", "cus_1", None).status("paid");
    let invoice = invoice.paid_at(Some(START)).render(Shape::New);
    let first = [event("customer.created", 1, customer), event("invoice.paid", 1, invoice)];
    stage.deliver(&first).await;
    stage.billing.process_due().await.expect("processed");
    assert_eq!(told(&stage), [1, 0]);
    assert!(!faults.calls().contains(&"told_since"), "a receipt is never limited");

    // Two at once, and one after the other.
    stage.deliver(&[bought(1), bought(2)]).await;
    stage.billing.process_due().await.expect("processed");
    assert!(faults.calls().contains(&"told_since"));
    for (number, expected) in [(3, [4, 3]), (4, [5, 3]), (5, [6, 3])] {
        stage.clock.advance(TimeDelta::hours(1));
        stage.deliver(&[bought(number)]).await;
        stage.billing.process_due().await.expect("processed");
        assert_eq!(told(&stage), expected);
    }
    // The first two a day ago, the third one an hour after them.
    for (hours, expected) in [(20, 3), (1, 5), (48, 5)] {
        stage.clock.advance(TimeDelta::hours(hours));
        stage.billing.process_due().await.expect("processed");
        assert_eq!(told(&stage)[1], expected, "{hours} hours later");
    }
}

mod on {
    use crate::backends::on_every_backend;

    on_every_backend!(a_customer_is_told_of_credits_three_times_a_day);
}
