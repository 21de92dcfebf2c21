//! The database away for minutes, with work due: nothing is spent, nothing is lost.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use async_trait::async_trait;
use chrono::{DateTime, TimeDelta, Utc};
use stripe_billing_core::catalog::{Catalog, Plan, PlanPrice};
use stripe_billing_core::store::{EventQuery, Inspect, ReceivedEvent, TicketQuery};
use stripe_billing_core::ticket::{Ticket, TicketKind, TicketStatus};
use stripe_billing_core::webhook::{WebhookSecret, sign};
use stripe_billing_core::{Billing, Clock, ManualClock, MemoryStore, NotifyError, UnhandledEvents};
use stripe_billing_testing::event::{EventBuilder, Shape, SubscriptionObject};
use stripe_billing_testing::{Faults, FaultyStore, Moment};

const SECRET: &str = "whsec_test";
const START: i64 = 1_700_000_000;
const EVENTS: usize = 1_000;

fn at(seconds: i64) -> DateTime<Utc> {
    DateTime::from_timestamp(seconds, 0).expect("a time of the test")
}

/// Billing over a store that fails as it is told.
fn billing(store: &MemoryStore, faults: &Faults, clock: &Arc<ManualClock>) -> Billing {
    let plan = Plan::new("pro").price(PlanPrice::new("price_pro"));
    Billing::builder(FaultyStore::new(store.clone(), faults))
        .catalog(Catalog::builder().plan(plan).build().expect("the test's catalog"))
        .webhook_secrets([SECRET])
        .clock(Arc::clone(clock))
        .build()
        .expect("a good configuration")
}

#[tokio::test]
async fn five_minutes_without_a_database_cost_no_attempt_and_no_event() {
    let faults = Faults::new();
    let store = MemoryStore::new();
    let clock = Arc::new(ManualClock::new(at(START)));
    let billing = billing(&store, &faults, &clock);
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
    faults.script_method("commit_all", 5, Moment::Before);
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
    let billing = billing(&store, &faults, &clock);
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

#[derive(Debug, Default)]
struct Away(AtomicBool);

#[async_trait]
impl UnhandledEvents for Away {
    async fn handle(&self, _: &ReceivedEvent) -> Result<(), NotifyError> {
        if self.0.load(Ordering::Relaxed) { Ok(()) } else { Err(NotifyError::transient("away")) }
    }
}

async fn pauses(store: &MemoryStore) -> Vec<Ticket> {
    let query = TicketQuery { limit: 9, ..TicketQuery::default() };
    let tickets = store.tickets(&query).await.expect("memory never fails").into_iter();
    tickets.filter(|ticket| ticket.kind == TicketKind::QueuePaused).collect()
}

#[tokio::test]
async fn a_pause_whose_ticket_was_not_written_is_told_by_the_next_round() {
    for moment in Moment::ALL {
        let (faults, store, away) = (Faults::new(), MemoryStore::new(), Arc::new(Away::default()));
        let clock = Arc::new(ManualClock::new(at(START)));
        let billing = Billing::builder(FaultyStore::new(store.clone(), &faults))
            .catalog(Catalog::default())
            .webhook_secrets([SECRET])
            .on_unhandled(Arc::clone(&away))
            .clock(Arc::clone(&clock))
            .build()
            .expect("a good configuration");
        let secret = WebhookSecret::new(SECRET).expect("not blank");
        for n in 0..40 {
            let object = serde_json::json!({"object": "novelty"});
            let event = EventBuilder::new("novelty.created").id(format!("evt_{n}"));
            let body = event.created(START).object(object).build();
            let header = sign(&body, &secret, clock.now());
            billing.receive(&header, body).await.expect("it is stored");
        }
        for position in 1..=3 {
            faults.script_method("record_effects", position, moment);
        }
        // The pause holds whatever becomes of its ticket: nothing else is tried.
        let report = billing.process_due().await.expect("the round goes on");
        assert!(report.retried >= 10 && report.retried + report.deferred <= 40, "{report:?}");
        for _ in 0..3 {
            billing.process_due().await.expect("the round goes on");
        }
        assert!(!faults.has_pending(), "{moment:?}");
        let told = pauses(&store).await;
        assert_eq!((told.len(), told[0].status), (1, TicketStatus::Open), "{moment:?}");
        let times = told[0].count;
        billing.process_due().await.expect("the round goes on");
        assert_eq!(pauses(&store).await[0].count, times, "{moment:?}: it is told once");

        // The same for its end.
        away.0.store(true, Ordering::Relaxed);
        faults.reset();
        faults.script_method("record_effects", 1, Moment::Before);
        clock.advance(TimeDelta::seconds(60));
        while !billing.process_due().await.expect("the round goes on").is_empty() {}
        assert!(!faults.has_pending(), "{moment:?}");
        assert_eq!(pauses(&store).await[0].status, TicketStatus::Resolved, "{moment:?}");
    }
}
