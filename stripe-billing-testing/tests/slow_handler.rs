//! A handler that takes its time, beside a second node: leases do not run out over it.

use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use async_trait::async_trait;
use chrono::{DateTime, TimeDelta};
use stripe_billing_core::catalog::{Catalog, Plan, PlanPrice};
use stripe_billing_core::webhook::{WebhookSecret, sign};
use stripe_billing_core::{
    Billing, Clock, EventHandler, Fact, ManualClock, MemoryStore, NotifyError,
};
use stripe_billing_testing::event::{EventBuilder, Shape, SubscriptionObject};

const SECRET: &str = "whsec_test";
const START: i64 = 1_700_000_000;

/// Keeps the keys it is handed. Each takes it just over half of a lease, and meanwhile another node
/// works, where there is one.
#[derive(Clone, Debug)]
struct Slow {
    clock: Arc<ManualClock>,
    told: Arc<Mutex<Vec<String>>>,
    meanwhile: Arc<OnceLock<Billing>>,
}

#[async_trait]
impl EventHandler for Slow {
    async fn handle(&self, fact: &Fact) -> Result<(), NotifyError> {
        self.told.lock().unwrap_or_else(PoisonError::into_inner).push(fact.key.clone());
        if let Some(other) = self.meanwhile.get() {
            self.clock.advance(TimeDelta::seconds(61));
            other.process_due().await.expect("memory never fails");
        }
        Ok(())
    }
}

#[tokio::test]
async fn what_a_slow_handler_does_not_come_to_is_told_once() {
    let start = DateTime::from_timestamp(START, 0).expect("a time of the test");
    let clock = Arc::new(ManualClock::new(start));
    let store = MemoryStore::new();
    let told = Arc::<Mutex<Vec<String>>>::default();
    let node = |meanwhile: &Arc<OnceLock<Billing>>| {
        let plan = Plan::new("pro").price(PlanPrice::new("price_pro"));
        let handler = Slow {
            clock: Arc::clone(&clock),
            told: Arc::clone(&told),
            meanwhile: Arc::clone(meanwhile),
        };
        Billing::builder(store.clone())
            .catalog(Catalog::builder().plan(plan).build().expect("the test's catalog"))
            .webhook_secrets([SECRET])
            .clock(Arc::clone(&clock))
            .on_event(handler)
            .build()
            .expect("a good configuration")
    };
    let meanwhile = Arc::default();
    let slow = node(&meanwhile);
    meanwhile.set(node(&Arc::default())).expect("the first");

    let secret = WebhookSecret::new(SECRET).expect("not blank");
    for n in 0..5 {
        let object = SubscriptionObject::new(&format!("sub_{n}"), &format!("cus_{n}"))
            .metadata(&[("account", &format!("account_{n}"))])
            .render(Shape::New);
        let body = EventBuilder::new("customer.subscription.created")
            .id(format!("evt_{n}"))
            .created(START)
            .object(object)
            .build();
        let header = sign(&body, &secret, clock.now());
        slow.receive(&header, body).await.expect("it is stored");
    }
    slow.process_due().await.expect("memory never fails");

    let mut told = told.lock().unwrap_or_else(PoisonError::into_inner).clone();
    told.sort();
    let expected: Vec<String> = (0..5).map(|n| format!("subscription_started:sub_{n}")).collect();
    told.retain(|key| key.starts_with("subscription_started:"));
    assert_eq!(told, expected);
}
