//! Events that nobody can read among ten thousand: they are set aside, and the rest goes on unharmed.

use std::collections::BTreeMap;
use std::sync::Arc;

use chrono::DateTime;
use stripe_billing_core::catalog::{Catalog, Plan, PlanPrice};
use stripe_billing_core::store::{ReceivedEvent, Store, TicketQuery};
use stripe_billing_core::webhook::EventKind;
use stripe_billing_core::{Billing, Clock, EventKey, ManualClock, MemoryStore, Tenant};
use stripe_billing_testing::event::{EventBuilder, Shape, SubscriptionObject};

const START: i64 = 1_700_000_000;
const EVENTS: usize = 10_000;
/// Which of them are poison.
const POISON: [usize; 4] = [0, 4_999, 5_000, EVENTS - 1];

/// A customer's subscription; poison ends in the middle.
fn event(n: usize, now: DateTime<chrono::Utc>) -> ReceivedEvent {
    let id = format!("evt_{n}");
    let object = SubscriptionObject::new(&format!("sub_{n}"), &format!("cus_{n}"));
    let object = object.metadata(&[("account", &format!("account_{n}"))]).render(Shape::New);
    let event = EventBuilder::new("customer.subscription.created").id(&id).created(START);
    let mut body = event.object(object).build();
    if POISON.contains(&n) {
        body.truncate(body.len() / 2);
    }
    ReceivedEvent {
        key: EventKey { tenant: Tenant::platform(true), id },
        kind: EventKind::Snapshot,
        event_type: "customer.subscription.created".to_owned(),
        api_version: None,
        created: START,
        received_at: now,
        payload: body,
    }
}

async fn the_rest_is_unharmed(store: impl Store + Clone) {
    let clock = Arc::new(ManualClock::new(DateTime::from_timestamp(START, 0).expect("a time")));
    for n in 0..EVENTS {
        store.receive(event(n, clock.now())).await.expect("it is stored");
    }
    let plan = Plan::new("pro").price(PlanPrice::new("price_pro"));
    let billing = Billing::builder(store.clone())
        .catalog(Catalog::builder().plan(plan).build().expect("the test's catalog"))
        .webhook_secrets(["whsec_test"])
        .clock(Arc::clone(&clock))
        .build()
        .expect("a good configuration");
    let report = billing.process_due().await.expect("the store is there");
    let (dead, done) = (POISON.len() as u64, (EVENTS - POISON.len()) as u64);
    assert_eq!((report.dead, report.processed, report.retried), (dead, done, 0));

    let stats = store.stats(clock.now()).await.expect("stats");
    let expected = BTreeMap::from([("dead".to_owned(), dead), ("processed".to_owned(), done)]);
    assert_eq!(stats.events, expected, "none is put off, none waits for another");
    assert!(stats.idle);
    for n in POISON {
        for (n, has) in [(n, false), ((n + 1) % EVENTS, true), (n.saturating_sub(1), true)] {
            if has && POISON.contains(&n) {
                continue;
            }
            let account = format!("account_{n}");
            let access = billing.access(account.as_str()).await.expect("access").access;
            assert_eq!(access, has, "{account}");
        }
    }
    let query = TicketQuery { limit: 9, ..TicketQuery::default() };
    let tickets = store.tickets(&query).await.expect("tickets");
    let counts: Vec<u32> = tickets.iter().map(|ticket| ticket.count).collect();
    assert_eq!(counts, [POISON.len() as u32], "one ticket for all that fails alike");
    assert!(billing.readiness().await.ready, "the queue does not pause for them");
}

#[tokio::test]
async fn four_poison_events_among_ten_thousand_harm_no_other() {
    the_rest_is_unharmed(MemoryStore::new()).await;
}
