//! What the suites share: billing over a store, histories told under ids of their own, and end
//! states that can be compared.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use bytes::Bytes;
use chrono::{DateTime, TimeDelta};
use stripe_billing_core::catalog::{Catalog, Dunning, Link, Plan, PlanPrice, Policy};
use stripe_billing_core::state::{ObjectRef, Record, Subject};
use stripe_billing_core::store::{LoadRequest, Store};
use stripe_billing_core::stripe::Event;
use stripe_billing_core::webhook::{WebhookSecret, sign};
use stripe_billing_core::{
    Accepted, Access, Billing, Clock, EventHandler, Fact, ManualClock, NotifyError, ReceiveError,
    SubjectKey, Tenant,
};
use stripe_billing_testing::event::histories::{ACCOUNT, ACCOUNT_KEY, START};

pub(crate) const SECRET: &str = "whsec_e2e";

/// Counts what it is told, by key and account.
#[derive(Debug, Default)]
pub(crate) struct Recorder(Mutex<BTreeMap<(String, String), u32>>);

#[async_trait]
impl EventHandler for Recorder {
    async fn handle(&self, fact: &Fact) -> Result<(), NotifyError> {
        let key = (fact.account.clone(), fact.key.clone());
        *self.0.lock().expect("not poisoned").entry(key).or_default() += 1;
        Ok(())
    }
}

/// Billing over a store, with a clock that is moved by hand.
pub(crate) struct World {
    pub(crate) billing: Billing,
    pub(crate) store: Arc<dyn Store>,
    pub(crate) recorder: Arc<Recorder>,
    pub(crate) clock: Arc<ManualClock>,
    pub(crate) catalog: Catalog,
}

impl World {
    pub(crate) fn new(store: Arc<dyn Store>) -> Self {
        let pro = Plan::new("pro").feature("export").price(PlanPrice::new("price_pro"));
        let link = Link { account: ACCOUNT_KEY.to_owned(), ..Link::default() };
        // A reminder that is due in days would never let it come to rest.
        let policy = Policy { dunning: Dunning::Off, ..Policy::default() };
        let catalog = Catalog::builder().plan(pro).link(link).policy(policy);
        let catalog = catalog.build().expect("the suite's catalog");
        let recorder = Arc::new(Recorder::default());
        let start = DateTime::from_timestamp(START, 0).expect("a time");
        let clock = Arc::new(ManualClock::new(start));
        let billing = Billing::builder(Arc::clone(&store))
            .catalog(catalog.clone())
            .webhook_secrets([SECRET])
            .on_event(Arc::clone(&recorder))
            .clock(Arc::clone(&clock))
            .build()
            .expect("a good configuration");
        Self { billing, store, recorder, clock, catalog }
    }

    /// Delivers a body as Stripe does.
    pub(crate) async fn deliver(&self, body: &Bytes) -> Result<Accepted, ReceiveError> {
        let secret = WebhookSecret::new(SECRET).expect("not blank");
        let header = sign(body, &secret, self.clock.now());
        self.billing.receive(&header, body.clone()).await
    }

    /// Processes until nothing is left, waiting out leases and back-off by the clock.
    pub(crate) async fn settle(&self) {
        for _ in 0..40 {
            let done = self.billing.process_due().await.is_ok();
            let now = self.clock.now();
            if done && self.store.stats(now).await.is_ok_and(|stats| is_at_rest(&stats)) {
                return;
            }
            self.clock.advance(TimeDelta::seconds(150));
        }
        panic!("it does not come to rest: {:?}", self.store.stats(self.clock.now()).await);
    }

    /// Where a story that was told under a number has ended.
    pub(crate) async fn end_of(&self, story: &Story) -> End {
        let key = SubjectKey { tenant: Tenant::platform(true), id: story.rename("cus_1") };
        let objects = story.objects();
        let request =
            LoadRequest { tenant: key.tenant.clone(), ids: vec![key.id.clone()], objects };
        let loaded = self.store.load(&request).await.expect("the store answers").pop();
        let subject = loaded.unwrap_or_else(|| Subject::new(key));
        let records = subject
            .records
            .values()
            .map(|record| story.restore(&without_fingerprints(record)))
            .collect();
        let account = story.rename(ACCOUNT);
        let told = self.recorder.0.lock().expect("not poisoned");
        let facts = told.keys().filter(|(to, _)| *to == account).map(|(_, key)| story.restore(key));
        let access =
            Access::evaluate(std::slice::from_ref(&subject), &self.catalog, self.clock.now());
        End {
            records,
            account: subject.links.account().map(|account| story.restore(account)),
            facts: facts.collect(),
            state: format!("{:?} access={}", access.state, access.access),
        }
    }

    /// How often a fact of a story was handed over.
    pub(crate) fn told(&self, story: &Story) -> Vec<u32> {
        let account = story.rename(ACCOUNT);
        let told = self.recorder.0.lock().expect("not poisoned");
        told.iter().filter(|((to, _), _)| *to == account).map(|(_, count)| *count).collect()
    }
}

/// A record as JSON. Fingerprints of snapshots depend on the ids in them, so only their being there
/// counts.
fn without_fingerprints(record: &Record) -> String {
    let mut json = serde_json::to_value(record).expect("records serialise");
    for head in json["versions"].as_array_mut().into_iter().flatten() {
        let known = !head["before"].is_null();
        head["before"] = known.into();
        head["print"] = "masked".into();
    }
    json.to_string()
}

/// Nothing is due now or later, and nothing is leased.
fn is_at_rest(stats: &stripe_billing_core::store::Stats) -> bool {
    let none = |counts: &BTreeMap<String, u64>, status: &str| {
        counts.get(status).is_none_or(|count| *count == 0)
    };
    ["received", "processing", "retry_wait"].iter().all(|status| none(&stats.events, status))
        && ["pending", "sending"].iter().all(|status| none(&stats.outbox, status))
}

/// What a history comes to, in ids that do not depend on the number it was told under.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct End {
    pub(crate) records: Vec<String>,
    pub(crate) account: Option<String>,
    pub(crate) facts: Vec<String>,
    pub(crate) state: String,
}

/// A history under ids of its own.
#[derive(Clone, Debug)]
pub(crate) struct Story {
    number: usize,
    pub(crate) events: Vec<Bytes>,
}

const PREFIXES: [&str; 8] = ["cus_", "sub_", "in_", "cs_", "si_", "il_", "evt_", "acme"];

impl Story {
    /// The history told under a number.
    pub(crate) fn new(history: &[Bytes], number: usize) -> Self {
        let mut story = Self { number, events: Vec::new() };
        story.events = history
            .iter()
            .map(|body| story.rename(std::str::from_utf8(body).expect("JSON")).into())
            .collect();
        story
    }

    /// The same events in another order.
    pub(crate) fn in_order(&self, order: &[usize]) -> Vec<Bytes> {
        order.iter().map(|index| self.events[*index].clone()).collect()
    }

    /// A copy of an event under another event id, as Stripe makes at times.
    pub(crate) fn twin(body: &Bytes) -> Bytes {
        let text = std::str::from_utf8(body).expect("JSON");
        text.replacen("evt_", "evt_twin_", 1).into()
    }

    /// Puts the number into every id.
    pub(crate) fn rename(&self, text: &str) -> String {
        PREFIXES.iter().fold(text.to_owned(), |text, prefix| {
            text.replace(prefix, &format!("{prefix}{}x", self.number))
        })
    }

    fn restore(&self, text: &str) -> String {
        PREFIXES.iter().fold(text.to_owned(), |text, prefix| {
            text.replace(&format!("{prefix}{}x", self.number), prefix)
        })
    }

    /// Every object that the history is about.
    fn objects(&self) -> Vec<ObjectRef> {
        let link = Link { account: ACCOUNT_KEY.to_owned(), ..Link::default() };
        let patches = self.events.iter().filter_map(|body| {
            let event = Event::parse(body).expect("an event");
            stripe_billing_core::state::Patch::of(&event, &link)
        });
        patches.flat_map(|patch| patch.objects()).collect()
    }
}
