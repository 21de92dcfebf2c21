//! Stories told side by side on one database, each in a connected account of its own: the ids are
//! the same in all of them, and none may touch another.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use chrono::{DateTime, TimeDelta};
use serde_json::{Value, json};
use stripe_billing_core::catalog::{
    Catalog, ConnectedAccounts, Link, Pack, Plan, PlanPrice, Policy,
};
use stripe_billing_core::store::Store;
use stripe_billing_core::stripe::StripeClient;
use stripe_billing_core::webhook::{WebhookSecret, sign};
use stripe_billing_core::{
    Accepted, AccountKey, Billing, Clock, EventHandler, Fact, ManualClock, Notification, Notified,
    Notifier, NotifyError, ReceiveError, Tenant,
};
use stripe_billing_testing::event::histories::{ACCOUNT, ACCOUNT_KEY, PACK, PACK_KEY, START};
use stripe_billing_testing::fake_stripe::FakeStripe;

use crate::world::SECRET;

/// When the stories are over.
pub(crate) const LATER: i64 = START + 400 * 86_400;

/// A stream of numbers that is the same every time.
pub(crate) struct Dice(pub(crate) u64);

impl Dice {
    pub(crate) fn below(&mut self, limit: usize) -> usize {
        self.0 =
            self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        usize::try_from(self.0 >> 33).expect("31 bits") % limit.max(1)
    }

    pub(crate) fn shuffle<T>(&mut self, list: &mut [T]) {
        for end in (1..list.len()).rev() {
            let other = self.below(end + 1);
            list.swap(end, other);
        }
    }
}

/// Counts what it is told, by tenant and key.
#[derive(Debug, Default)]
pub(crate) struct Told(Mutex<BTreeMap<(Tenant, String), u32>>);

impl Told {
    fn count(&self, tenant: &Tenant, key: &str) {
        let key = (tenant.clone(), key.to_owned());
        *self.0.lock().expect("not poisoned").entry(key).or_default() += 1;
    }

    fn of(&self, tenant: &Tenant) -> BTreeMap<String, u32> {
        let told = self.0.lock().expect("not poisoned");
        let own = told.iter().filter(|((of, _), _)| of == tenant);
        own.map(|((_, key), count)| (key.clone(), *count)).collect()
    }
}

#[async_trait]
impl EventHandler for Told {
    async fn handle(&self, fact: &Fact) -> Result<(), NotifyError> {
        self.count(&fact.subject.tenant, &fact.key);
        Ok(())
    }
}

#[async_trait]
impl Notifier for Told {
    async fn notify(&self, notification: &Notification) -> Result<Notified, NotifyError> {
        self.count(&notification.subject.tenant, &notification.key);
        Ok(Notified::Told)
    }
}

/// How a stage is set up.
pub(crate) struct Setup {
    pub(crate) policy: Policy,
    /// Prices of the plan `pro`.
    pub(crate) prices: Vec<String>,
    pub(crate) livemode: Option<bool>,
    pub(crate) batch: u32,
    pub(crate) stripe: Option<StripeClient>,
    pub(crate) now: i64,
}

impl Default for Setup {
    fn default() -> Self {
        let separate = ConnectedAccounts::Separate;
        Self {
            policy: Policy { connected_accounts: separate, ..Policy::default() },
            prices: ["price_pro", "price_team"].map(str::to_owned).into(),
            livemode: None,
            batch: 16,
            stripe: None,
            now: LATER,
        }
    }
}

impl Setup {
    /// With a client of the fake's.
    pub(crate) fn with(fake: &FakeStripe) -> Self {
        let stripe = StripeClient::builder("sk_test_e2e")
            .api_base(fake.base_url())
            .max_retries(1)
            .retry_base(Duration::from_millis(1))
            .build()
            .expect("a client");
        Self { stripe: Some(stripe), ..Self::default() }
    }

    pub(crate) fn policy(policy: &Policy) -> Self {
        let connected_accounts = ConnectedAccounts::Separate;
        let policy = Policy { connected_accounts, ..policy.clone() };
        Self { policy, ..Self::default() }
    }

    fn catalog(&self) -> Catalog {
        let plan = Plan::new("pro").feature("export");
        let plan = self.prices.iter().cloned().map(PlanPrice::new).fold(plan, Plan::price);
        let link = Link { account: ACCOUNT_KEY.to_owned(), pack: PACK_KEY.to_owned() };
        Catalog::builder()
            .plan(plan)
            .pack(Pack::new(PACK, "price_pack").credits("credits", 1_000))
            .link(link)
            .policy(self.policy.clone())
            .build()
            .expect("the suite's catalog")
    }
}

/// Billing over a store.
pub(crate) struct Stage {
    pub(crate) billing: Billing,
    pub(crate) store: Arc<dyn Store>,
    pub(crate) clock: Arc<ManualClock>,
    facts: Arc<Told>,
    notices: Arc<Told>,
}

/// What is to be seen of a story in the end.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Seen {
    pub(crate) view: Value,
    pub(crate) facts: BTreeSet<String>,
}

impl Stage {
    pub(crate) fn new(store: Arc<dyn Store>, setup: Setup) -> Self {
        let (facts, notices) = (Arc::new(Told::default()), Arc::new(Told::default()));
        let now = DateTime::from_timestamp(setup.now, 0).expect("a time");
        let clock = Arc::new(ManualClock::new(now));
        let mut builder = Billing::builder(Arc::clone(&store))
            .catalog(setup.catalog())
            .webhook_secrets([SECRET])
            .on_event(Arc::clone(&facts))
            .notifier(Arc::clone(&notices))
            .clock(Arc::clone(&clock))
            .batch(setup.batch);
        if let Some(stripe) = setup.stripe {
            builder = builder.stripe(stripe);
        }
        if let Some(livemode) = setup.livemode {
            builder = builder.livemode(livemode);
        }
        let billing = builder.build().expect("a good configuration");
        Self { billing, store, clock, facts, notices }
    }

    /// Delivers a body as Stripe does.
    pub(crate) async fn try_deliver(&self, body: &Bytes) -> Result<Accepted, ReceiveError> {
        let secret = WebhookSecret::new(SECRET).expect("not blank");
        let header = sign(body, &secret, self.clock.now());
        self.billing.receive(&header, body.clone()).await
    }

    pub(crate) async fn deliver<'a>(&self, bodies: impl IntoIterator<Item = &'a Bytes>) {
        for body in bodies {
            self.try_deliver(body).await.expect("stored");
        }
    }

    /// Processes until nothing is left, waiting out leases and back-off by the clock.
    pub(crate) async fn settle(&self) {
        let mut last = String::new();
        for _ in 0..60 {
            let done = self.billing.process_due().await;
            last = format!("{done:?}");
            let done = done.is_ok();
            let stats = self.store.stats(self.clock.now()).await;
            let waits = |stats: &stripe_billing_core::store::Stats| {
                let some = |(status, count): (&str, Option<&u64>)| {
                    count.is_some_and(|count| *count > 0).then_some(status.to_owned())
                };
                let events = ["received", "processing", "retry_wait"];
                let events = events.map(|status| some((status, stats.events.get(status))));
                let facts = ["pending", "sending"];
                let facts = facts.map(|status| some((status, stats.outbox.get(status))));
                events.into_iter().chain(facts).flatten().next().is_some()
            };
            if done && stats.is_ok_and(|stats| stats.idle && !waits(&stats)) {
                return;
            }
            self.clock.advance(TimeDelta::seconds(150));
        }
        let stats = self.store.stats(self.clock.now()).await;
        panic!("it does not come to rest: {last}, {stats:?}");
    }

    /// How often each event ended how: `processed`, `parked/unlinked`, ...
    pub(crate) async fn events(&self) -> BTreeMap<String, String> {
        let query = stripe_billing_core::store::EventQuery { limit: 1_000, ..Default::default() };
        let events = self.store.events(&query).await.expect("read");
        let end = |event: &stripe_billing_core::store::EventSummary| match &event.reason {
            Some(reason) => format!("{}/{reason}", event.status),
            None => event.status.clone(),
        };
        events.iter().map(|event| (event.key.id.clone(), end(event))).collect()
    }

    /// The view of an account, without what differs from order to order.
    pub(crate) async fn account(&self, tenant: &Tenant, account: &str) -> Value {
        let key = AccountKey {
            stripe_account: tenant.stripe_account.clone(),
            account: account.to_owned(),
        };
        let at = DateTime::from_timestamp(LATER, 0);
        let view = self.billing.account_view(&key, Some(tenant.livemode), at).await.expect("read");
        stable(serde_json::to_value(view).expect("views serialise"))
    }

    /// The view of a customer, without what differs from order to order.
    pub(crate) async fn customer(&self, tenant: &Tenant, id: &str) -> Value {
        let account = tenant.stripe_account.as_deref();
        let at = DateTime::from_timestamp(LATER, 0);
        let view =
            self.billing.customer_view(account, Some(tenant.livemode), id, at).await.expect("read");
        stable(serde_json::to_value(view).expect("views serialise"))
    }

    /// What is to be seen of the histories' account.
    pub(crate) async fn seen(&self, tenant: &Tenant) -> Seen {
        let view = self.account(tenant, ACCOUNT).await;
        Seen { view, facts: self.facts(tenant).into_keys().collect() }
    }

    /// The facts that were handed over, and how often.
    pub(crate) fn facts(&self, tenant: &Tenant) -> BTreeMap<String, u32> {
        self.facts.of(tenant)
    }

    /// The notices that were handed over, and how often.
    pub(crate) fn notices(&self, tenant: &Tenant) -> BTreeMap<String, u32> {
        self.notices.of(tenant)
    }
}

fn stable(mut view: Value) -> Value {
    for volatile in ["version", "notifications", "subjects", "stripe_account"] {
        view.as_object_mut().expect("an object").remove(volatile);
    }
    view
}

/// Live mode of the connected account with a number.
pub(crate) fn tenant(number: usize) -> Tenant {
    Tenant { stripe_account: Some(format!("acct_{number}")), livemode: true }
}

/// The event as it happens to a tenant.
pub(crate) fn moved(body: &Bytes, tenant: &Tenant) -> Bytes {
    let mut event: Value = serde_json::from_slice(body).expect("an event");
    event["livemode"] = json!(tenant.livemode);
    if let Some(account) = &tenant.stripe_account {
        event["account"] = json!(account);
    }
    event.to_string().into()
}

/// The event under another id, as Stripe makes it at times.
pub(crate) fn twin(body: &Bytes) -> Bytes {
    let mut event: Value = serde_json::from_slice(body).expect("an event");
    event["id"] = json!(format!("{}_twin", event["id"].as_str().expect("an id")));
    event.to_string().into()
}
