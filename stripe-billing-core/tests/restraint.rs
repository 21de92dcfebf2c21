//! How much of what is merely good to know a customer is told within a day, through the real outbox.

#![allow(clippy::unwrap_used)] // In the helpers too: a test that cannot go on fails.

use std::sync::{Arc, Mutex, OnceLock};

use async_trait::async_trait;
use bytes::Bytes;
use chrono::{DateTime, TimeDelta, Utc};
use serde_json::{Value, json};
use stripe_billing_core::catalog::{Catalog, Pack, Policy};
use stripe_billing_core::ledger::{Command, Grant, LedgerKey};
use stripe_billing_core::store::Inspect;
use stripe_billing_core::webhook::{WebhookSecret, sign};
use stripe_billing_core::{
    Billing, Clock, ManualClock, MemoryStore, Notification, Notified, Notifier, NotifyError,
};

const SECRET: &str = "whsec_test";
const START: i64 = 1_700_000_000;

fn at(hours: i64) -> DateTime<Utc> {
    DateTime::from_timestamp(START + hours * 3_600, 0).unwrap()
}

/// Keeps what is told, with the hours since the start. While it is told for the third time another
/// node may work.
#[derive(Clone, Debug)]
struct Mail {
    clock: Arc<ManualClock>,
    told: Arc<Mutex<Vec<(i64, String)>>>,
    meanwhile: Arc<OnceLock<Billing>>,
    /// Of what nobody is told.
    without: Arc<OnceLock<&'static str>>,
}

#[async_trait]
impl Notifier for Mail {
    async fn notify(&self, notification: &Notification) -> Result<Notified, NotifyError> {
        let hours = (self.clock.now() - at(0)).num_hours();
        let kind = notification.notice.kind.as_str();
        if self.without.get() == Some(&kind) {
            return Ok(Notified::LeftOut);
        }
        let third = {
            let mut told = self.told.lock().unwrap();
            told.push((hours, kind.to_owned()));
            told.len() == 3
        };
        if let Some(other) = self.meanwhile.get().filter(|_| third) {
            other.process_due().await.unwrap();
        }
        Ok(Notified::Told)
    }
}

struct World {
    store: MemoryStore,
    catalog: Catalog,
    billing: Billing,
    clock: Arc<ManualClock>,
    mail: Mail,
    events: u32,
}

/// Two customers of one account, of which the first has an address; a pack is 100 credits.
async fn world(policy: Policy) -> World {
    let clock = Arc::new(ManualClock::new(at(0)));
    let mail = Mail {
        clock: Arc::clone(&clock),
        told: Arc::default(),
        meanwhile: Arc::default(),
        without: Arc::default(),
    };
    let pack = Pack::new("pack", "price_pack").credits("credits", 100);
    let catalog = Catalog::builder().pack(pack).policy(policy).build().unwrap();
    let store = MemoryStore::new();
    let billing = node(&store, &catalog, &mail, 16);
    let mut world = World { store, catalog, billing, clock, mail, events: 0 };
    for (id, email) in [("cus_1", Some("ada@acme.test")), ("cus_2", None)] {
        let customer = json!({"id": id, "object": "customer", "email": email,
            "metadata": {"account": "acme"}});
        world.hear("customer.created", &customer).await;
    }
    world.work().await;
    world
}

fn node(store: &MemoryStore, catalog: &Catalog, mail: &Mail, batch: u32) -> Billing {
    let builder = Billing::builder(store.clone()).catalog(catalog.clone()).batch(batch);
    let builder = builder.webhook_secrets([SECRET]).livemode(true).notifier(mail.clone());
    builder.clock(Arc::clone(&mail.clock)).build().unwrap()
}

impl World {
    async fn hear(&mut self, kind: &str, object: &Value) {
        self.events += 1;
        let body: Bytes = json!({"id": format!("evt_{}", self.events), "object": "event",
            "api_version": "2026-10-28.endive", "created": self.clock.now().timestamp(),
            "livemode": true, "type": kind, "data": {"object": object}})
        .to_string()
        .into();
        let header = sign(&body, &WebhookSecret::new(SECRET).unwrap(), self.clock.now());
        self.billing.receive(&header, body).await.unwrap();
    }

    /// A customer buys a pack, which makes a receipt and a notice of the credits.
    async fn buy(&mut self, customer: &str) {
        let session = json!({"id": format!("cs_{}", self.events), "object": "checkout.session",
            "customer": customer, "mode": "payment", "status": "complete",
            "payment_status": "paid", "amount_total": 500, "currency": "usd",
            "metadata": {"account": "acme", "pack": "pack"}});
        self.hear("checkout.session.completed", &session).await;
    }

    /// Gives or takes credits, which tells of nothing but a balance that is low.
    async fn change(&mut self, amount: i64) {
        self.events += 1;
        let key = format!("change {}", self.events);
        let command = match amount {
            1.. => Command::Grant(Grant::new(key, amount)),
            _ => Command::Spend { key, amount: -amount },
        };
        let account = LedgerKey::new("acme", "credits").in_mode(true);
        self.billing.ledger_execute(&account, command).await.unwrap();
    }

    async fn work(&self) {
        while !self.billing.process_due().await.unwrap().is_empty() {}
    }

    /// Works every hour until so many hours since the start.
    async fn until(&self, hours: i64) {
        while self.clock.now() < at(hours) {
            self.clock.advance(TimeDelta::hours(1));
            self.work().await;
        }
    }

    /// The hours at which a kind was told.
    fn told(&self, kind: &str) -> Vec<i64> {
        let told = self.mail.told.lock().unwrap();
        told.iter().filter(|(_, told)| told == kind).map(|(hours, _)| *hours).collect()
    }

    async fn messages(&self, status: &str) -> u64 {
        let stats = self.store.stats(self.clock.now()).await.unwrap();
        stats.outbox.get(status).copied().unwrap_or(0)
    }
}

/// Credits are low at 50.
fn low_at_50() -> Policy {
    Policy { credits_low: [("credits".to_owned(), 50)].into(), ..Policy::default() }
}

#[tokio::test]
async fn the_fourth_within_a_day_waits_and_receipts_pass() {
    let mut world = world(Policy::default()).await;
    for hours in [0, 1, 2, 3, 5] {
        world.until(hours).await;
        world.buy("cus_1").await;
        world.work().await;
    }
    world.until(100).await;
    assert_eq!(world.told("credits_granted"), [0, 1, 2, 24, 25]);
    assert_eq!(world.told("receipt"), [0, 1, 2, 3, 5]);
}

#[tokio::test]
async fn what_one_batch_tells_counts_within_it() {
    let mut world = world(Policy::default()).await;
    for _ in 0..7 {
        world.buy("cus_1").await;
    }
    world.work().await;
    assert_eq!(world.told("credits_granted"), [0, 0, 0]);
    assert_eq!(world.told("receipt").len(), 7);
    world.until(100).await;
    assert_eq!(world.told("credits_granted"), [0, 0, 0, 24, 24, 24, 48]);
}

#[tokio::test]
async fn the_policy_says_how_many() {
    let mut world = world(Policy { notifications_per_day: 1, ..Policy::default() }).await;
    for _ in 0..3 {
        world.buy("cus_1").await;
    }
    world.work().await;
    world.until(100).await;
    assert_eq!(world.told("credits_granted"), [0, 24, 48]);
}

#[tokio::test]
async fn what_the_notifier_leaves_out_does_not_count() {
    let mut world = world(low_at_50()).await;
    world.mail.without.set("credits_granted").unwrap();
    for _ in 0..4 {
        world.buy("cus_1").await;
    }
    world.work().await;
    assert_eq!((world.messages("dropped").await, world.messages("pending").await), (4, 0));
    world.change(-370).await;
    world.work().await;
    assert_eq!((world.told("credits_granted"), world.told("credits_low")), (vec![], vec![0]));
}

#[tokio::test]
async fn what_concerns_the_account_counts_for_its_customer_and_is_dropped_once_untrue() {
    let mut world = world(low_at_50()).await;
    // Two of the first customer and one that is written to it on behalf of the second: three.
    for customer in ["cus_1", "cus_1", "cus_2"] {
        world.buy(customer).await;
    }
    world.work().await;
    assert_eq!(world.told("credits_granted"), [0, 0, 0]);
    world.until(1).await;
    world.change(-270).await;
    world.work().await;
    assert_eq!(world.messages("pending").await, 1, "that they are low waits");
    world.until(2).await;
    world.change(500).await;
    world.until(100).await;
    assert_eq!((world.told("credits_low"), world.messages("dropped").await), (vec![], 1));
    // The other way round: what was told of the account counts for the customer.
    for hours in [101, 102, 103] {
        world.until(hours).await;
        world.change(-510).await;
        world.work().await;
        world.change(510).await;
    }
    world.buy("cus_1").await;
    world.until(200).await;
    assert_eq!(world.told("credits_low"), [101, 102, 103]);
    assert_eq!(world.told("credits_granted"), [0, 0, 0, 125]);
}

#[tokio::test]
async fn two_workers_at_once_tell_no_more() {
    let mut world = world(low_at_50()).await;
    world.change(500).await;
    for _ in 0..3 {
        world.change(-480).await;
        world.change(480).await;
    }
    world.change(-480).await;
    // While one tells the last of three, which is on no record yet, the other claims the fourth.
    let other = node(&world.store, &world.catalog, &world.mail, 16);
    assert!(world.mail.meanwhile.set(other).is_ok());
    world.billing = node(&world.store, &world.catalog, &world.mail, 3);
    world.work().await;
    assert_eq!(world.told("credits_low"), [0, 0, 0]);
    assert_eq!(world.messages("pending").await, 1);
    world.until(100).await;
    assert_eq!(world.told("credits_low"), [0, 0, 0, 24]);
}
