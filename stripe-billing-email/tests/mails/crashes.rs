//! A process that dies between any two steps: each mail goes out once, or again under its name.

use std::collections::BTreeMap;
use std::sync::Arc;

use bytes::Bytes;
use chrono::{DateTime, TimeDelta};
use serde_json::Value;
use stripe_billing_core::webhook::{WebhookSecret, sign};
use stripe_billing_core::{Billing, Clock, ManualClock, MemoryStore};
use stripe_billing_email::TestMode;
use stripe_billing_testing::event::histories::{START, failed_renewal};
use stripe_billing_testing::{Faults, FaultyStore, Moment};

use crate::scripted::Scripted;
use crate::smtp::{header, to};
use crate::story::{SECRET, catalog, with_customer};

/// What reached the server: how often each name, with whom it went to and what it said.
type Sent = BTreeMap<String, (usize, String, String)>;

struct World {
    store: MemoryStore,
    faults: Faults,
    clock: Arc<ManualClock>,
    server: Scripted,
    deaths: usize,
}

impl World {
    async fn new() -> Self {
        Self {
            store: MemoryStore::new(),
            faults: Faults::new(),
            clock: Arc::new(ManualClock::new(DateTime::from_timestamp(START, 0).unwrap())),
            server: Scripted::start(&[]).await,
            deaths: 0,
        }
    }

    /// A process: nothing in it outlives it.
    fn process(&self) -> Billing {
        let everybody = vec!["@example.test".into(), "@acme.test".into()];
        let mail = to(&self.server).test_mode(TestMode::AllowList(everybody)).build().unwrap();
        Billing::builder(FaultyStore::new(self.store.clone(), &self.faults))
            .catalog(catalog())
            .webhook_secrets([SECRET])
            .notifier(mail)
            .clock(Arc::clone(&self.clock))
            .build()
            .unwrap()
    }

    /// Does what is due; where the store fails, the process is gone, and the next one finds what its
    /// leases held when they have run out.
    async fn work(&mut self, mut billing: Billing) -> Billing {
        while billing.process_due().await.is_err() {
            self.deaths += 1;
            self.clock.advance(TimeDelta::seconds(121));
            billing = self.process();
        }
        billing
    }

    async fn live(&mut self, history: &[Bytes]) -> Sent {
        let secret = WebhookSecret::new(SECRET).unwrap();
        let mut billing = self.process();
        for body in history {
            let event: Value = serde_json::from_slice(body).unwrap();
            let created = DateTime::from_timestamp(event["created"].as_i64().unwrap(), 0).unwrap();
            self.clock.set(created.max(self.clock.now()));
            // As Stripe does: until it is acknowledged.
            let header = || sign(body, &secret, self.clock.now());
            while billing.receive(&header(), body.clone()).await.is_err() {}
            billing = self.work(billing).await;
        }
        for _ in 0..3 {
            self.clock.advance(TimeDelta::hours(1));
            billing = self.work(billing).await;
        }
        let mut sent = Sent::new();
        for mail in self.server.mails() {
            let field = |name| header(&mail, name).unwrap().to_owned();
            let new = || (0, field("To"), field("Subject"));
            let (times, whom, what) = sent.entry(field("Message-ID")).or_insert_with(new);
            assert_eq!((&field("To"), &field("Subject")), (&*whom, &*what), "one name, one mail");
            *times += 1;
        }
        sent
    }
}

#[tokio::test]
async fn whenever_the_process_dies_each_mail_is_sent_and_again_only_under_its_name() {
    let history = with_customer(failed_renewal);
    let mut undisturbed = World::new().await;
    let expected = undisturbed.live(&history).await;
    assert!(
        expected.len() >= 3 && expected.values().all(|(times, ..)| *times == 1),
        "{expected:?}"
    );
    let calls = undisturbed.faults.count();
    let (mut deaths, mut again) = (0, 0);
    for position in 1..=calls {
        for moment in Moment::ALL {
            let mut world = World::new().await;
            world.faults.script(position, moment);
            let sent = world.live(&history).await;
            let names = |sent: &Sent| sent.keys().cloned().collect::<Vec<_>>();
            assert_eq!(names(&sent), names(&expected), "{moment:?} {position} of {calls}");
            let repeated = sent.values().map(|(times, ..)| times - 1).sum::<usize>();
            assert!(world.deaths > 0 || repeated == 0, "{moment:?} {position}: {sent:?}");
            deaths += world.deaths;
            again += repeated;
        }
    }
    // Between hand-over and settlement is a moment in which nobody can know.
    assert!(again > 0 && again < deaths, "{again} again of {deaths} deaths");
}
