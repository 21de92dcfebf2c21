//! The events of a batch are written together, and nothing is lost or done twice when they cannot be.

use std::sync::Arc;

use bytes::Bytes;
use chrono::{DateTime, Utc};
use stripe_billing_core::catalog::{Catalog, Plan, PlanPrice};
use stripe_billing_core::state::Subject;
use stripe_billing_core::store::{EventQuery, Inspect, Records};
use stripe_billing_core::webhook::{WebhookSecret, sign};
use stripe_billing_core::{
    AccountKey, Billing, Clock, ErrorKind, ManualClock, MemoryStore, StoreError,
};
use stripe_billing_testing::event::{EventBuilder, Shape, SubscriptionObject};
use stripe_billing_testing::{Faults, FaultyStore, Moment};

const SECRET: &str = "whsec_test";
const START: i64 = 1_700_000_000;
const CUSTOMERS: usize = 4;
/// Of each customer.
const EVENTS: usize = 4;

fn at(seconds: i64) -> DateTime<Utc> {
    DateTime::from_timestamp(seconds, 0).expect("a time of the test")
}

struct Run {
    store: MemoryStore,
    faults: Faults,
    billing: Billing,
}

impl Run {
    /// Sixteen events are due, of four customers in turns: one batch.
    async fn new() -> Self {
        Self::of((0..CUSTOMERS * EVENTS).map(event)).await
    }

    async fn of(events: impl Iterator<Item = Bytes>) -> Self {
        let (store, faults) = (MemoryStore::new(), Faults::new());
        let clock = Arc::new(ManualClock::new(at(START)));
        let plan = Plan::new("pro").price(PlanPrice::new("price_pro"));
        let billing = Billing::builder(FaultyStore::new(store.clone(), &faults))
            .catalog(Catalog::builder().plan(plan).build().expect("the test's catalog"))
            .webhook_secrets([SECRET])
            .clock(Arc::clone(&clock))
            .build()
            .expect("a good configuration");
        let secret = WebhookSecret::new(SECRET).expect("not blank");
        for body in events {
            let header = sign(&body, &secret, clock.now());
            billing.receive(&header, body).await.expect("it is stored");
        }
        faults.reset();
        Self { store, faults, billing }
    }

    fn calls(&self, method: &str) -> usize {
        self.faults.calls().iter().filter(|called| **called == method).count()
    }

    async fn process(&self) -> Result<u64, StoreError> {
        Ok(self.billing.process_due().await?.processed)
    }

    /// The state of all accounts, once every event has been processed without an attempt.
    async fn ends(&self) -> Vec<Subject> {
        let query = EventQuery { limit: 100, ..EventQuery::default() };
        let events = self.store.events(&query).await.expect("memory never fails");
        assert_eq!(events.len(), CUSTOMERS * EVENTS);
        for event in events {
            assert_eq!((event.status.as_str(), event.attempts), ("processed", 0), "{event:?}");
        }
        let mut subjects = Vec::new();
        for n in 0..CUSTOMERS {
            let account = AccountKey::from(format!("account_{n}").as_str());
            let found = self.store.subjects_of(&account, None, Records::All).await;
            subjects.extend(found.expect("memory never fails"));
        }
        assert_eq!(subjects.len(), CUSTOMERS);
        subjects
    }
}

fn event(n: usize) -> Bytes {
    let (customer, round) = (n % CUSTOMERS, n / CUSTOMERS);
    let kind = if round == 0 { "created" } else { "updated" };
    let seats = i64::try_from(round).expect("few") + 1;
    let object = SubscriptionObject::new(&format!("sub_{customer}"), &format!("cus_{customer}"))
        .metadata(&[("account", &format!("account_{customer}"))])
        .quantity(Some(seats))
        .render(Shape::New);
    EventBuilder::new(format!("customer.subscription.{kind}"))
        .id(format!("evt_{n:02}"))
        .created(START + seats)
        .object(object)
        .build()
}

/// What an undisturbed run comes to.
async fn undisturbed() -> Vec<Subject> {
    let run = Run::new().await;
    assert_eq!(run.process().await.expect("memory never fails"), 16);
    assert_eq!((run.calls("commit_all"), run.calls("commit")), (1, 0));
    assert_eq!(run.calls("load"), CUSTOMERS);
    let subjects = run.ends().await;
    assert!(subjects.iter().all(|subject| subject.version == 4));
    subjects
}

#[tokio::test]
async fn a_batch_is_written_in_one_call() {
    undisturbed().await;
}

#[tokio::test]
async fn where_somebody_was_faster_the_batch_is_decided_again() {
    let run = Run::new().await;
    run.faults.script_method_as("commit_all", 1, Moment::Before, ErrorKind::Conflict);
    assert_eq!(run.process().await.expect("it is tried again"), 16);
    assert_eq!((run.calls("commit_all"), run.calls("commit")), (2, 0));
    assert_eq!(run.ends().await, undisturbed().await);
}

#[tokio::test]
async fn what_cannot_be_written_together_is_processed_each_by_itself() {
    let run = Run::new().await;
    for position in 1..=3 {
        run.faults.script_method_as("commit_all", position, Moment::Before, ErrorKind::Other);
    }
    assert_eq!(run.process().await.expect("each by itself"), 16);
    assert_eq!((run.calls("commit_all"), run.calls("commit")), (3, 16));
    assert_eq!(run.ends().await, undisturbed().await);
}

#[tokio::test]
async fn an_answer_that_is_lost_is_not_written_twice() {
    for kind in [ErrorKind::Conflict, ErrorKind::Unavailable] {
        let run = Run::new().await;
        run.faults.script_method_as("commit_all", 1, Moment::After, kind);
        let counted = run.process().await;
        match kind {
            // Nobody knows that they were processed, and nobody counts them.
            ErrorKind::Conflict => assert_eq!(counted.expect("they are settled"), 0),
            _ => assert_eq!(counted.expect_err("the store is away").kind(), kind),
        }
        assert_eq!(run.process().await.expect("nothing is due"), 0);
        assert_eq!(run.ends().await, undisturbed().await);
    }
}

#[tokio::test]
async fn while_the_store_is_away_nothing_is_tried_by_itself() {
    let run = Run::new().await;
    run.faults.script_method("commit_all", 1, Moment::Before);
    run.process().await.expect_err("the store is away");
    assert_eq!((run.calls("commit_all"), run.calls("commit")), (1, 0));
    assert_eq!(run.calls("settle"), 16, "all of it is given back");
    assert_eq!(run.process().await.expect("it is back"), 16);
    assert_eq!(run.ends().await, undisturbed().await);
}

#[tokio::test]
async fn what_was_decided_is_written_before_an_event_that_goes_by_itself() {
    let odd = || {
        let id = serde_json::json!({"id": 7, "object": "subscription"});
        EventBuilder::new("customer.subscription.updated").id("evt_odd").object(id).build()
    };
    let events = (0..8).map(event).chain([odd()]).chain((8..16).map(event));
    let run = Run::of(events).await;
    assert_eq!(run.process().await.expect("memory never fails"), 16);
    let mut calls = run.faults.calls();
    calls.retain(|call| ["commit_all", "commit", "settle"].contains(call));
    assert_eq!(calls, ["commit_all", "settle", "commit_all"]);
    let query = EventQuery { limit: 100, ..EventQuery::default() };
    let mut events = run.store.events(&query).await.expect("memory never fails");
    events.retain(|event| event.status != "processed");
    let left: Vec<_> = events.iter().map(|event| (event.key.id.as_str(), &*event.status)).collect();
    assert_eq!(left, [("evt_odd", "ignored")]);
}
