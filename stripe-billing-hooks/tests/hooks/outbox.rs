//! From a signed event of Stripe's to the receiver, through the outbox.

use std::sync::Arc;

use chrono::TimeDelta;
use serde_json::{Value, json};
use stripe_billing_core::catalog::Catalog;
use stripe_billing_core::store::Inspect;
use stripe_billing_core::{Billing, Clock, ManualClock, MemoryStore};
use stripe_billing_testing::event::{EventBuilder, sign_header};

use crate::receiver::{Got, Receiver, START, builder, clock};

struct Fixture {
    billing: Billing,
    store: MemoryStore,
    receiver: Receiver,
    clock: Arc<ManualClock>,
}

async fn fixture() -> Fixture {
    let (store, receiver, clock) = (MemoryStore::new(), Receiver::start().await, clock());
    let hooks = builder(&clock).endpoint(receiver.endpoint()).build().expect("good");
    let billing = Billing::builder(store.clone())
        .catalog(Catalog::default())
        .webhook_secrets(["whsec_stripe"])
        .on_event(hooks)
        .clock(Arc::clone(&clock))
        .build()
        .expect("a good configuration");
    Fixture { billing, store, receiver, clock }
}

impl Fixture {
    /// A customer of the account `acme` is deleted at Stripe.
    async fn delete_customer(&self) {
        let customer = json!({"id": "cus_1", "object": "customer", "deleted": true,
            "metadata": {"account": "acme"}});
        let event = EventBuilder::new("customer.deleted").id("evt_1").created(START);
        let body = event.object(customer).build();
        let header = sign_header(&body, "whsec_stripe", START);
        self.billing.receive(&header, body).await.expect("accepted");
    }

    async fn work(&self) {
        while !self.billing.process_due().await.expect("the store works").is_empty() {}
    }

    fn ids(&self) -> Vec<String> {
        self.receiver.got().iter().map(|got: &Got| got.id().to_owned()).collect()
    }
}

#[tokio::test]
async fn it_is_posted_until_it_is_taken_under_one_id() {
    let fixture = fixture().await;
    fixture.receiver.answers(503, &[("retry-after", "8")]);
    fixture.delete_customer().await;
    fixture.work().await;
    assert_eq!(fixture.ids().len(), 1);

    // The back-off alone would be 6 s at most.
    fixture.clock.advance(TimeDelta::seconds(7));
    fixture.work().await;
    assert_eq!(fixture.ids().len(), 1);
    fixture.clock.advance(TimeDelta::seconds(2));
    fixture.work().await;
    let ids = fixture.ids();
    assert_eq!((ids.len(), &ids[0]), (2, &ids[1]));
    let stats = fixture.store.stats(fixture.clock.now()).await.expect("the store works");
    assert!(stats.idle, "{stats:?}");

    let body: Value = serde_json::from_str(&fixture.receiver.got()[1].body).expect("JSON");
    assert_eq!(body["type"], "customer_deleted");
    assert_eq!((&body["account"], &body["subject"]), (&json!("acme"), &json!("cus_1")));
    fixture.clock.advance(TimeDelta::days(1));
    fixture.work().await;
    assert_eq!(fixture.ids().len(), 2);
}

#[tokio::test]
async fn what_is_refused_is_set_aside_and_blocks_nothing() {
    let fixture = fixture().await;
    fixture.receiver.answers(400, &[]);
    fixture.delete_customer().await;
    fixture.work().await;
    fixture.clock.advance(TimeDelta::days(3));
    fixture.work().await;
    assert_eq!(fixture.ids().len(), 1);
    let stats = fixture.store.stats(fixture.clock.now()).await.expect("the store works");
    assert_eq!(stats.outbox.get("dead"), Some(&1), "{stats:?}");
}
