//! The database away for minutes, with work due: nothing is spent, nothing is lost.

use std::sync::Arc;

use chrono::{DateTime, TimeDelta, Utc};
use stripe_billing_core::catalog::{Catalog, Plan, PlanPrice};
use stripe_billing_core::store::{EventQuery, Inspect, TicketQuery};
use stripe_billing_core::webhook::{WebhookSecret, sign};
use stripe_billing_core::{Billing, Clock, ManualClock, MemoryStore};
use stripe_billing_testing::event::{EventBuilder, Shape, SubscriptionObject};
use stripe_billing_testing::{Faults, FaultyStore};

const SECRET: &str = "whsec_test";
const START: i64 = 1_700_000_000;
const EVENTS: usize = 1_000;

fn at(seconds: i64) -> DateTime<Utc> {
    DateTime::from_timestamp(seconds, 0).expect("a time of the test")
}

#[tokio::test]
async fn five_minutes_without_a_database_cost_no_attempt_and_no_event() {
    let faults = Faults::new();
    let store = MemoryStore::new();
    let clock = Arc::new(ManualClock::new(at(START)));
    let plan = Plan::new("pro").price(PlanPrice::new("price_pro"));
    let billing = Billing::builder(FaultyStore::new(store.clone(), &faults))
        .catalog(Catalog::builder().plan(plan).build().expect("the test's catalog"))
        .webhook_secrets([SECRET])
        .clock(Arc::clone(&clock))
        .build()
        .expect("a good configuration");
    let secret = WebhookSecret::new(SECRET).expect("not blank");
    for n in 0..EVENTS {
        let (customer, subscription) = (format!("cus_{n}"), format!("sub_{n}"));
        let object = SubscriptionObject::new(&subscription, &customer);
        let object = object.metadata(&[("account", &format!("account_{n}"))]).render(Shape::New);
        let body = EventBuilder::new("customer.subscription.created")
            .id(format!("evt_{n}"))
            .created(START)
            .object(object)
            .build();
        let header = sign(&body, &secret, clock.now());
        billing.receive(&header, body).await.expect("it is stored");
    }
    // In the middle of the work the database goes away.
    faults.script_method("commit", 100, stripe_billing_testing::Moment::Before);
    assert!(billing.process_due().await.is_err());
    faults.go_down();
    for _ in 0..30 {
        assert!(billing.process_due().await.is_err(), "whoever asks is told");
        clock.advance(TimeDelta::seconds(10));
    }
    let readiness = billing.readiness().await;
    assert!(!readiness.ready, "{readiness:?}");

    faults.recover();
    billing.process_due().await.expect("it is back");
    // What was claimed when it went away is due when its leases have run out.
    clock.advance(TimeDelta::seconds(121));
    while !billing.process_due().await.expect("it is back").is_empty() {}
    let query = EventQuery { limit: 1_000, ..EventQuery::default() };
    let events = store.events(&query).await.expect("memory never fails");
    assert_eq!(events.len(), EVENTS);
    for event in &events {
        assert_eq!((event.status.as_str(), event.attempts), ("processed", 0), "{event:?}");
    }
    for n in [0, EVENTS / 2, EVENTS - 1] {
        let account = format!("account_{n}");
        assert!(billing.access(account.as_str()).await.expect("it is back").access, "{account}");
    }
    let query = TicketQuery { limit: 9, ..TicketQuery::default() };
    assert!(
        store.tickets(&query).await.expect("memory never fails").is_empty(),
        "no one is blamed"
    );
    assert!(billing.readiness().await.ready);
}

#[tokio::test]
async fn an_event_that_is_contended_for_ever_waits_longer_each_time_and_is_told() {
    let faults = Faults::new();
    let store = MemoryStore::new();
    let clock = Arc::new(ManualClock::new(at(START)));
    let plan = Plan::new("pro").price(PlanPrice::new("price_pro"));
    let billing = Billing::builder(FaultyStore::new(store.clone(), &faults))
        .catalog(Catalog::builder().plan(plan).build().expect("the test's catalog"))
        .webhook_secrets([SECRET])
        .clock(Arc::clone(&clock))
        .build()
        .expect("a good configuration");
    let secret = WebhookSecret::new(SECRET).expect("not blank");
    let object = SubscriptionObject::new("sub_1", "cus_1").metadata(&[("account", "acme")]);
    let body = EventBuilder::new("customer.subscription.created")
        .id("evt_1")
        .created(START)
        .object(object.render(Shape::New))
        .build();
    billing.receive(&sign(&body, &secret, clock.now()), body).await.expect("it is stored");
    let event = || async {
        let events = store.events(&EventQuery { limit: 1, ..EventQuery::default() }).await;
        events.expect("events").remove(0)
    };

    faults.contend();
    assert_eq!(billing.process_due().await.expect("a store").deferred, 1);
    assert_eq!(billing.process_due().await.expect("a store").deferred, 0, "not at once again");
    let waits = event().await;
    assert_eq!((waits.status.as_str(), waits.reason.as_deref()), ("deferred", Some("contended")));
    for _ in 0..40 {
        clock.advance(TimeDelta::days(1));
        billing.process_due().await.expect("a store");
    }
    assert_eq!(event().await.status, "dead");
    let tickets = store.tickets(&TicketQuery { limit: 10, ..TicketQuery::default() }).await;
    let tickets = tickets.expect("tickets");
    assert!(tickets.iter().any(|ticket| ticket.key.contains("contended")), "{tickets:?}");
}
