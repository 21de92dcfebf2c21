//! The shell over the memory store: intake, processing, parking, retries, facts and access.

use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use bytes::Bytes;
use chrono::{DateTime, TimeDelta, Utc};
use serde_json::{Value, json};
use stripe_billing_core::catalog::{Catalog, Plan, PlanPrice};
use stripe_billing_core::state::State;
use stripe_billing_core::store::{
    AuditQuery, EventQuery, EventRange, EventSummary, Inspect, Maintain, Receipt, ReceivedEvent,
    TicketQuery, Verb,
};
use stripe_billing_core::ticket::TicketKind;
use stripe_billing_core::webhook::{WebhookSecret, sign};
use stripe_billing_core::{
    Billing, BillingBuilder, Clock, CommandError, EventHandler, Fact, ManualClock, MemoryStore,
    Notification, Notified, Notifier, NotifyError, Processing, SubjectKey, Tenant, UnhandledEvents,
};

const SECRET: &str = "whsec_test";
const START: i64 = 1_700_000_000;

fn at(seconds: i64) -> DateTime<Utc> {
    DateTime::from_timestamp(seconds, 0).expect("a time of the test")
}

/// Keeps what it is given, and fails while told to.
#[derive(Clone, Debug, Default)]
struct Recorder {
    told: Arc<Mutex<Vec<Fact>>>,
    failing: Arc<Mutex<Option<bool>>>,
}

impl Recorder {
    fn keys(&self) -> Vec<String> {
        let mut keys: Vec<_> =
            self.told.lock().expect("not poisoned").iter().map(|fact| fact.key.clone()).collect();
        keys.sort();
        keys
    }

    /// `Some(true)` fails for now, `Some(false)` for good.
    fn fail(&self, how: Option<bool>) {
        *self.failing.lock().expect("not poisoned") = how;
    }
}

#[async_trait]
impl EventHandler for Recorder {
    async fn handle(&self, fact: &Fact) -> Result<(), NotifyError> {
        match *self.failing.lock().expect("not poisoned") {
            Some(true) => return Err(NotifyError::transient("mail server away")),
            Some(false) => return Err(NotifyError::permanent("no such address")),
            None => {}
        }
        self.told.lock().expect("not poisoned").push(fact.clone());
        Ok(())
    }
}

struct Fixture {
    billing: Billing,
    store: MemoryStore,
    recorder: Recorder,
    clock: Arc<ManualClock>,
}

fn catalog(prices: &[&str]) -> Catalog {
    let mut plan = Plan::new("pro").feature("export");
    for price in prices {
        plan = plan.price(PlanPrice::new(*price));
    }
    Catalog::builder().plan(plan).build().expect("the test's catalog")
}

fn fixture(configure: impl FnOnce(BillingBuilder) -> BillingBuilder) -> Fixture {
    let (store, recorder) = (MemoryStore::new(), Recorder::default());
    let clock = Arc::new(ManualClock::new(at(START)));
    let builder = Billing::builder(store.clone())
        .catalog(catalog(&["price_pro"]))
        .webhook_secrets([SECRET])
        .on_event(recorder.clone())
        .clock(Arc::clone(&clock));
    let billing = configure(builder).build().expect("a good configuration");
    Fixture { billing, store, recorder, clock }
}

fn body(id: &str, kind: &str, created: i64, object: &Value) -> Bytes {
    json!({"id": id, "object": "event", "api_version": "2026-10-28.endive", "created": created,
        "livemode": false, "type": kind, "data": {"object": object}, "pending_webhooks": 1,
        "request": null})
    .to_string()
    .into()
}

fn subscription(status: &str, metadata: &Value) -> Value {
    json!({"id": "sub_1", "object": "subscription", "customer": "cus_1", "status": status,
        "metadata": metadata, "items": {"data": [{"id": "si_1", "price": {"id": "price_pro"},
        "current_period_start": START, "current_period_end": START + 2_592_000}]}})
}

impl Fixture {
    async fn deliver(&self, body: &Bytes) -> Receipt {
        let secret = WebhookSecret::new(SECRET).expect("not blank");
        let header = sign(body, &secret, self.clock.now());
        self.billing.receive(&header, body.clone()).await.expect("accepted").receipt
    }

    async fn events(&self) -> Vec<EventSummary> {
        let query = EventQuery { limit: 100, ..EventQuery::default() };
        self.store.events(&query).await.expect("memory never fails")
    }

    async fn status(&self) -> (String, Option<String>) {
        let event = self.events().await.into_iter().next().expect("an event");
        (event.status, event.reason)
    }
}

fn linked() -> Value {
    json!({"account": "acme"})
}

#[tokio::test]
async fn a_subscription_event_becomes_access_and_a_fact() {
    let f = fixture(|b| b);
    let event =
        body("evt_1", "customer.subscription.created", START, &subscription("active", &linked()));
    assert_eq!(f.deliver(&event).await, Receipt::Stored);
    assert_eq!(f.deliver(&event).await, Receipt::Duplicate { differs: false });
    let report = f.billing.process_due().await.unwrap();
    assert_eq!((report.processed, report.delivered), (1, 1));
    assert_eq!(f.status().await, ("processed".into(), None));
    let access = f.billing.access("acme").await.unwrap();
    assert_eq!(access.state, State::Active);
    assert!(access.allows("export"));
    assert_eq!(f.recorder.keys(), ["subscription_started:sub_1"]);
    assert!(f.billing.process_due().await.unwrap().is_empty());
}

#[tokio::test]
async fn two_events_of_one_fact_tell_it_once() {
    let f = fixture(|b| b);
    let invoice = json!({"id": "in_1", "object": "invoice", "customer": "cus_1", "status": "paid",
        "total": 1500, "currency": "usd", "parent": {"subscription_details":
            {"subscription": "sub_1", "metadata": linked()}}});
    for (id, kind) in [("evt_1", "invoice.paid"), ("evt_2", "invoice.payment_succeeded")] {
        f.deliver(&body(id, kind, START, &invoice)).await;
    }
    f.billing.process_due().await.unwrap();
    assert_eq!(f.recorder.keys(), ["invoice_paid:in_1"]);
}

#[tokio::test]
async fn an_unlinked_event_is_parked_and_taken_up_when_the_link_appears() {
    let f = fixture(|b| b);
    f.deliver(&body(
        "evt_1",
        "customer.subscription.created",
        START,
        &subscription("active", &json!({})),
    ))
    .await;
    assert_eq!(f.billing.process_due().await.unwrap().parked, 1);
    assert_eq!(f.status().await, ("parked".into(), Some("unlinked".into())));
    assert!(f.store.stats(at(START)).await.unwrap().idle);
    assert_eq!(f.recorder.keys(), Vec::<String>::new());

    let customer = json!({"id": "cus_1", "object": "customer", "metadata": linked()});
    f.deliver(&body("evt_2", "customer.updated", START + 10, &customer)).await;
    f.billing.process_due().await.unwrap();
    assert!(f.events().await.iter().all(|event| event.status == "processed"));
    assert_eq!(f.recorder.keys(), ["subscription_started:sub_1"]);
    assert!(f.billing.access("acme").await.unwrap().access);
}

#[tokio::test]
async fn an_unknown_price_is_parked_until_another_catalog_knows_it() {
    let f = fixture(|b| b.catalog(catalog(&["price_other"])));
    f.deliver(&body(
        "evt_1",
        "customer.subscription.created",
        START,
        &subscription("active", &linked()),
    ))
    .await;
    f.billing.process_due().await.unwrap();
    let (status, reason) = f.status().await;
    assert_eq!(status, "parked");
    assert!(reason.unwrap().starts_with("catalog:"));
    assert_eq!(f.billing.release_parked().await.unwrap(), 0, "the same catalog knows no more");

    let next = Billing::builder(f.store.clone())
        .catalog(catalog(&["price_other", "price_pro"]))
        .webhook_secrets([SECRET])
        .clock(Arc::clone(&f.clock))
        .build()
        .unwrap();
    assert_eq!(next.release_parked().await.unwrap(), 1);
    next.process_due().await.unwrap();
    assert_eq!(f.status().await.0, "processed");
    assert!(next.access("acme").await.unwrap().access);
}

#[tokio::test]
async fn what_is_not_ours_is_stored_and_left_alone() {
    let f = fixture(|b| b.livemode(true));
    f.deliver(&body(
        "evt_1",
        "customer.subscription.created",
        START,
        &subscription("active", &linked()),
    ))
    .await;
    f.billing.process_due().await.unwrap();
    assert_eq!(f.status().await, ("ignored".into(), Some("other_mode".into())));

    let f = fixture(|b| b);
    let mut connected: Value = serde_json::from_slice(&body(
        "evt_2",
        "customer.subscription.created",
        START,
        &subscription("active", &linked()),
    ))
    .unwrap();
    connected["account"] = json!("acct_1");
    f.deliver(&connected.to_string().into()).await;
    let thin = json!({"id": "evt_3", "object": "v2.core.event", "livemode": false,
        "type": "v1.customer.subscription.updated", "created": "2023-11-14T22:13:20.000Z"});
    f.deliver(&thin.to_string().into()).await;
    f.deliver(&body("evt_4", "a.type.of.tomorrow", START, &json!({"object": "novelty"}))).await;
    f.billing.process_due().await.unwrap();
    let reasons: Vec<_> = f.events().await.into_iter().filter_map(|event| event.reason).collect();
    assert_eq!(reasons, ["unhandled", "thin", "connected_account"]);
    assert!(!f.billing.access("acme").await.unwrap().access);
}

#[tokio::test]
async fn a_signed_body_that_is_no_event_inside_is_stored_and_ends_dead() {
    let f = fixture(|b| b);
    let deep = format!(
        r#"{{"id":"evt_1","object":"event","created":{START},"livemode":false,"type":"invoice.paid","data":{{"object":{}1{}}}}}"#,
        "[".repeat(100_000),
        "]".repeat(100_000),
    );
    assert_eq!(f.deliver(&deep.into()).await, Receipt::Stored);
    assert_eq!(f.billing.process_due().await.unwrap().dead, 1);
    assert_eq!(f.status().await, ("dead".into(), Some("corrupt_payload".into())));
}

#[tokio::test]
async fn a_failing_notifier_is_tried_again_and_gives_up_on_what_no_retry_helps() {
    let f = fixture(|b| b);
    f.recorder.fail(Some(true));
    f.deliver(&body(
        "evt_1",
        "customer.subscription.created",
        START,
        &subscription("active", &linked()),
    ))
    .await;
    let report = f.billing.process_due().await.unwrap();
    assert_eq!((report.processed, report.delivered), (1, 0));
    f.recorder.fail(None);
    assert!(f.billing.process_due().await.unwrap().is_empty(), "not before its time");
    f.clock.advance(TimeDelta::seconds(7));
    assert_eq!(f.billing.process_due().await.unwrap().delivered, 1);
    assert_eq!(f.recorder.keys(), ["subscription_started:sub_1"]);

    f.recorder.fail(Some(false));
    f.deliver(&body(
        "evt_2",
        "customer.subscription.deleted",
        START + 9,
        &subscription("canceled", &linked()),
    ))
    .await;
    f.billing.process_due().await.unwrap();
    assert_eq!(f.store.stats(f.clock.now()).await.unwrap().outbox.get("dead"), Some(&1));
}

#[tokio::test]
async fn inline_processing_is_done_when_the_webhook_answers() {
    let f = fixture(|b| b.processing(Processing::Inline));
    f.deliver(&body(
        "evt_1",
        "customer.subscription.created",
        START,
        &subscription("active", &linked()),
    ))
    .await;
    assert_eq!(f.status().await.0, "processed");
    assert_eq!(f.recorder.keys(), ["subscription_started:sub_1"]);
}

#[tokio::test]
async fn refused_deliveries_leave_nothing_behind() {
    let f = fixture(|b| b.max_body(1_000));
    let good = body("evt_1", "invoice.paid", START, &json!({"object": "invoice"}));
    let secret = WebhookSecret::new("whsec_other").unwrap();
    let forged = f.billing.receive(&sign(&good, &secret, at(START)), good.clone()).await;
    let missing = f.billing.receive("", good.clone()).await;
    let secret = WebhookSecret::new(SECRET).unwrap();
    let cut = good.slice(..good.len() - 5);
    let truncated = f.billing.receive(&sign(&cut, &secret, at(START)), cut.clone()).await;
    let big: Bytes = vec![b' '; 1_001].into();
    let large = f.billing.receive(&sign(&big, &secret, at(START)), big.clone()).await;
    let statuses = [forged, missing, truncated, large].map(|result| result.unwrap_err().status());
    assert_eq!(statuses, [400, 400, 400, 413]);
    assert!(f.events().await.is_empty());
}

#[tokio::test]
async fn an_event_that_takes_workers_down_is_set_aside() {
    use stripe_billing_core::queue::ClaimRequest;
    use stripe_billing_core::store::EventStore;
    let f = fixture(|b| b);
    f.deliver(&body(
        "evt_1",
        "customer.subscription.created",
        START,
        &subscription("active", &linked()),
    ))
    .await;
    for _ in 0..3 {
        let request = ClaimRequest {
            worker: "dies".into(),
            limit: 1,
            lease: TimeDelta::seconds(1),
            now: f.clock.now(),
        };
        assert_eq!(f.store.claim(&request).await.unwrap().len(), 1);
        f.clock.advance(TimeDelta::seconds(20));
    }
    assert_eq!(f.billing.process_due().await.unwrap().dead, 1);
    assert_eq!(f.status().await, ("dead".into(), Some("lease_lost".into())));
}

#[tokio::test]
async fn workers_take_up_what_arrives_and_drain() {
    let f = fixture(|b| b);
    let mut changes = f.billing.changes();
    let workers = f.billing.spawn_workers();
    f.deliver(&body(
        "evt_1",
        "customer.subscription.created",
        START,
        &subscription("active", &linked()),
    ))
    .await;
    assert_eq!(changes.recv().await.unwrap(), "acme".into());
    assert!(f.billing.access("acme").await.unwrap().access);
    workers.shutdown().await;
    let stats = f.store.stats(f.clock.now()).await.unwrap();
    assert_eq!(stats.events.get("processing"), None);
}

#[test]
fn every_mistake_of_a_configuration_is_named_at_once() {
    let error = Billing::builder(MemoryStore::new())
        .webhook_secrets(["  "])
        .lease(TimeDelta::zero())
        .batch(0)
        .max_body(0)
        .build()
        .unwrap_err();
    assert_eq!(error.mistakes().len(), 5, "{error}");
    let error = Billing::builder(MemoryStore::new()).catalog(catalog(&["p"])).build().unwrap_err();
    assert!(error.to_string().contains("webhook secret"), "{error}");
}

#[tokio::test]
async fn an_operator_links_a_customer_once_and_against_what_metadata_says() {
    let f = fixture(|b| b);
    let parked = subscription("active", &json!({}));
    f.deliver(&body("evt_1", "customer.subscription.created", START, &parked)).await;
    f.billing.process_due().await.unwrap();
    assert_eq!(f.status().await.0, "parked");

    let subject = SubjectKey { tenant: Tenant::platform(false), id: "cus_1".into() };
    let nobody = SubjectKey { id: "cus_2".into(), ..subject.clone() };
    assert!(matches!(
        f.billing.link(&nobody, "acme", "ada", "1").await,
        Err(CommandError::Unknown(id)) if id == "cus_2"
    ));
    assert!(matches!(
        f.billing.link(&subject, " ", "ada", "1").await,
        Err(CommandError::Invalid("the account"))
    ));
    assert_eq!(f.billing.link(&subject, "acme", "ada", "1").await.unwrap(), Receipt::Stored);
    let again = f.billing.link(&subject, "acme", "ada", "1").await.unwrap();
    assert_eq!(again, Receipt::Duplicate { differs: false });
    f.billing.process_due().await.unwrap();
    assert!(f.events().await.iter().all(|event| event.status == "processed"));
    assert_eq!(f.recorder.keys(), ["subscription_started:sub_1"]);

    let known = f.store.subject(&subject).await.unwrap().unwrap();
    assert_eq!((known.owner.as_deref(), known.records.len()), (None, 1), "it stays what it is");
    assert!(known.links.names().is_empty());

    let claims = json!({"id": "cus_1", "object": "customer", "metadata": {"account": "zenith"}});
    f.deliver(&body("evt_2", "customer.updated", START + 10, &claims)).await;
    f.billing.process_due().await.unwrap();
    assert!(f.billing.access("acme").await.unwrap().access);
    assert!(!f.billing.access("zenith").await.unwrap().access);
    let tickets = f.store.tickets(&TicketQuery { limit: 9, ..TicketQuery::default() }).await;
    let tickets = tickets.unwrap();
    assert_eq!(tickets.iter().map(|t| t.kind).collect::<Vec<_>>(), [TicketKind::ContestedLink]);
    let audit = f.store.audit(&AuditQuery { limit: 9, ..AuditQuery::default() }).await.unwrap();
    let linked = audit.iter().find(|line| line.entry.action == "subject.account").unwrap();
    assert_eq!(linked.entry.actor, "stripe:op_1");
    assert_eq!(linked.entry.after.as_deref(), Some("acme"));
}

#[tokio::test]
async fn a_replay_shows_the_difference_dry_and_changes_nothing_twice_for_real() {
    let f = fixture(|b| b.catalog(catalog(&["price_other"])));
    let active = subscription("active", &linked());
    f.deliver(&body("evt_1", "customer.subscription.created", START, &active)).await;
    let late = subscription("past_due", &linked());
    f.deliver(&body("evt_2", "customer.subscription.updated", START + 5, &late)).await;
    f.billing.process_due().await.unwrap();
    let told = f.recorder.keys();
    let range = EventRange { limit: 10, ..EventRange::default() };
    let dry = f.billing.try_replay(&range).await.unwrap();
    let outcomes: Vec<_> = dry.events.iter().map(|event| event.outcome.as_str()).collect();
    assert_eq!(outcomes, ["parked", "parked"]);
    assert!(dry.events.iter().all(|event| event.changes.is_empty()), "{dry:?}");

    // Another catalog, and today's rules on yesterday's events.
    let next = Billing::builder(f.store.clone())
        .catalog(catalog(&["price_pro"]))
        .webhook_secrets([SECRET])
        .on_event(f.recorder.clone())
        .clock(Arc::clone(&f.clock))
        .build()
        .unwrap();
    let dry = next.try_replay(&range).await.unwrap();
    assert_eq!(dry.events[0].messages, ["subscription_started:sub_1"]);
    let replay = Verb::Replay { range };
    assert_eq!(next.order(replay, "ada", "req_1", None).await.unwrap().changed, 2);
    next.process_due().await.unwrap();
    assert!(f.events().await.iter().all(|event| event.status != "parked"));
    assert_eq!(f.recorder.keys(), told, "nothing is told twice");
    let state = next.access("acme").await.unwrap().state;
    assert_eq!(state, State::PastDue, "a replay of the first event takes nothing back");
}

#[tokio::test]
async fn shadow_mode_decides_and_tells_nobody() {
    let f = fixture(|b| b.shadow(true));
    let active = subscription("active", &linked());
    f.deliver(&body("evt_1", "customer.subscription.created", START, &active)).await;
    f.billing.process_due().await.unwrap();
    assert!(f.billing.access("acme").await.unwrap().access);
    assert_eq!(f.recorder.keys(), Vec::<String>::new());
    let stats = f.store.stats(f.clock.now()).await.unwrap();
    assert_eq!(stats.outbox.into_iter().collect::<Vec<_>>(), [("shadow".to_owned(), 1)]);
}

#[tokio::test]
async fn pruned_and_erased_payloads_are_gone_and_everything_else_stays() {
    let f = fixture(|b| b);
    let active = subscription("active", &linked());
    f.deliver(&body("evt_1", "customer.subscription.created", START, &active)).await;
    f.billing.process_due().await.unwrap();
    assert_eq!(f.store.prune(at(START), 10).await.unwrap(), 0, "not older");
    assert_eq!(f.store.prune(at(START + 1), 10).await.unwrap(), 1);
    assert!(f.store.events_by_id("evt_1").await.unwrap()[0].payload.is_empty());
    assert!(f.billing.access("acme").await.unwrap().access);
    let again = body("evt_1", "customer.subscription.created", START, &active);
    assert!(matches!(f.deliver(&again).await, Receipt::Duplicate { .. }), "the id stays known");

    let updated = body("evt_2", "customer.subscription.updated", START + 2, &active);
    f.deliver(&updated).await;
    f.billing.process_due().await.unwrap();
    let subject = SubjectKey { tenant: Tenant::platform(false), id: "cus_1".into() };
    assert_eq!(f.store.erase(&subject).await.unwrap(), 1);
    assert!(f.store.subject(&subject).await.unwrap().unwrap().records.is_empty());
    let range = EventRange { limit: 10, ..EventRange::default() };
    let replay = Verb::Replay { range };
    let replayed = f.billing.order(replay, "ada", "req_1", None).await.unwrap();
    assert_eq!(replayed.changed, 0, "nothing to replay");

    // What waited for a link when it was erased has nothing to say any more.
    let stray = json!({"id": "sub_9", "object": "subscription", "customer": "cus_9",
        "status": "active"});
    f.deliver(&body("evt_3", "customer.subscription.created", START + 3, &stray)).await;
    f.billing.process_due().await.unwrap();
    let subject = SubjectKey { id: "cus_9".into(), ..subject };
    assert_eq!(f.billing.erase(&subject).await.unwrap(), 1);
    f.billing.link(&subject, "acme", "ada", "1").await.unwrap();
    f.billing.process_due().await.unwrap();
    let erased = f.events().await.into_iter().find(|event| event.key.id == "evt_3").unwrap();
    assert_eq!((erased.status.as_str(), erased.reason.as_deref()), ("ignored", Some("erased")));
}

#[tokio::test]
async fn absurd_values_are_flagged_and_never_become_a_high_water_mark() {
    let f = fixture(|b| b);
    let mut absurd = subscription("past_due", &linked());
    absurd["items"]["data"][0]["current_period_end"] = json!(4_102_444_800_i64 + 5);
    f.deliver(&body("evt_1", "customer.subscription.updated", 4_102_444_800 + 9, &absurd)).await;
    let active = subscription("active", &linked());
    f.deliver(&body("evt_2", "customer.subscription.updated", START, &active)).await;
    f.billing.process_due().await.unwrap();
    assert_eq!(f.billing.access("acme").await.unwrap().state, State::Active);
    let events = f.events().await;
    let flagged = events.iter().find(|event| event.key.id == "evt_1").unwrap();
    let anomalies = flagged.anomalies.as_deref().unwrap();
    assert!(anomalies.contains("event.created"), "{anomalies}");
    assert!(anomalies.contains("current_period_end"), "{anomalies}");
    assert_eq!(events.iter().find(|event| event.key.id == "evt_2").unwrap().anomalies, None);
}

#[tokio::test]
async fn a_notice_is_told_once_and_only_while_it_is_true() {
    #[derive(Clone, Debug, Default)]
    struct Mail(Arc<Mutex<Vec<String>>>);
    #[async_trait]
    impl Notifier for Mail {
        async fn notify(&self, notification: &Notification) -> Result<Notified, NotifyError> {
            let told = notification.notice.kind.as_str().to_owned();
            self.0.lock().expect("not poisoned").push(told);
            Ok(Notified::Told)
        }
    }
    let mail = Mail::default();
    let f = fixture(|b| b.notifier(mail.clone()));
    let invoice = |id: &str, status: &str, paid: i64| {
        json!({"id": id, "object": "invoice", "customer": "cus_1", "status": status,
            "amount_paid": paid, "attempt_count": 1, "billing_reason": "subscription_cycle",
            "parent": {"subscription_details": {"subscription": "sub_1", "metadata": linked()}}})
    };
    let failed = invoice("in_1", "open", 0);
    f.deliver(&body("evt_1", "invoice.payment_failed", START, &failed)).await;
    f.billing.process_due().await.unwrap();
    let again = body("evt_2", "invoice.payment_failed", START, &failed);
    f.deliver(&again).await;
    f.deliver(&body("evt_3", "invoice.paid", START + 5, &invoice("in_1", "paid", 1500))).await;
    f.deliver(&body("evt_4", "invoice.paid", START + 5, &invoice("in_2", "paid", 1500))).await;
    f.deliver(&body("evt_5", "invoice.payment_failed", START, &invoice("in_2", "open", 0))).await;
    f.billing.process_due().await.unwrap();
    let mut told = mail.0.lock().unwrap().clone();
    told.sort();
    // The second invoice's receipt was written first, and was not the truth when its turn came.
    assert_eq!(told, ["payment_failed", "payment_recovered", "payment_recovered"]);
    // What stopped being true between the decision and the hand-over is dropped.
    f.deliver(&body("evt_6", "invoice.payment_failed", START, &invoice("in_3", "open", 0))).await;
    f.deliver(&body("evt_7", "invoice.voided", START + 1, &invoice("in_3", "void", 0))).await;
    f.billing.process_due().await.unwrap();
    assert_eq!(mail.0.lock().unwrap().len(), 3);
    let stats = f.store.stats(f.clock.now()).await.unwrap();
    assert_eq!(stats.outbox.get("dropped"), Some(&2));
}

#[tokio::test]
async fn what_billing_has_no_rule_for_is_offered_to_the_app_until_it_takes_it() {
    #[derive(Clone, Debug, Default)]
    struct Rest(Arc<Mutex<Vec<String>>>, Arc<Mutex<bool>>);
    #[async_trait]
    impl UnhandledEvents for Rest {
        async fn handle(&self, event: &ReceivedEvent) -> Result<(), NotifyError> {
            if std::mem::take(&mut *self.1.lock().expect("not poisoned")) {
                return Err(NotifyError::transient("not now"));
            }
            self.0.lock().expect("not poisoned").push(event.event_type.clone());
            Ok(())
        }
    }
    let rest = Rest::default();
    *rest.1.lock().unwrap() = true;
    let f = fixture(|b| b.on_unhandled(rest.clone()));
    f.deliver(&body("evt_1", "a.type.of.tomorrow", START, &json!({"object": "novelty"}))).await;
    let known = subscription("active", &linked());
    f.deliver(&body("evt_2", "customer.subscription.created", START, &known)).await;
    assert_eq!(f.billing.process_due().await.unwrap().retried, 1);
    f.clock.advance(TimeDelta::seconds(7));
    f.billing.process_due().await.unwrap();
    assert_eq!(*rest.0.lock().unwrap(), ["a.type.of.tomorrow"]);
    let unhandled = f.events().await.into_iter().find(|event| event.key.id == "evt_1").unwrap();
    assert_eq!(
        (unhandled.status.as_str(), unhandled.reason.as_deref()),
        ("ignored", Some("unhandled"))
    );
}

#[tokio::test]
async fn two_refunds_are_two_notices_whoever_tells_of_them_first() {
    let refund = |id: &str, amount: i64| {
        json!({"id": id, "object": "refund", "status": "succeeded", "amount": amount,
            "charge": "ch_1", "payment_intent": "pi_1"})
    };
    let charge = |refunded: i64| {
        json!({"id": "ch_1", "object": "charge", "status": "succeeded", "customer": "cus_1",
            "payment_intent": "pi_1", "amount": 1_000, "amount_refunded": refunded,
            "metadata": linked()})
    };
    let told = [
        ("refund.created", START + 1, refund("re_1", 300)),
        ("charge.refunded", START + 1, charge(300)),
        ("refund.created", START + 9, refund("re_2", 700)),
        ("charge.refunded", START + 9, charge(1_000)),
    ];
    for order in 0..24 {
        let (mut left, mut order) = (vec![0, 1, 2, 3], order);
        let f = fixture(|b| b);
        for choices in (1..=4).rev() {
            let index = left.remove(order % choices);
            order /= choices;
            let (kind, created, object) = &told[index];
            f.deliver(&body(&format!("evt_{index}"), kind, *created, object)).await;
            f.billing.process_due().await.unwrap();
        }
        let view = f.billing.account_view(&"acme".into(), None, None).await.unwrap();
        assert_eq!(view.notifications.get("refund"), Some(&2), "{:?}", f.events().await);
        assert_eq!(view.payments[0].amount_refunded, 1_000);
    }
}

#[tokio::test]
async fn a_fact_in_other_words_loses_no_state() {
    let f = fixture(|b| b);
    let invoice = |total: Value, extra: i64| {
        json!({"id": "in_1", "object": "invoice", "customer": "cus_1", "status": "paid",
            "total": total, "amount_paid": 1_500, "currency": "usd", "attempt_count": extra,
            "parent": {"subscription_details": {"subscription": "sub_1", "metadata": linked()}}})
    };
    let absurd = invoice(json!(1e30), 0);
    f.deliver(&body("evt_1", "invoice.paid", START, &absurd)).await;
    f.billing.process_due().await.unwrap();
    f.deliver(&body("evt_2", "invoice.payment_succeeded", START + 1, &invoice(json!(1_500), 1)))
        .await;
    f.billing.process_due().await.unwrap();
    assert!(f.events().await.iter().all(|event| event.status == "processed"));
    let view = f.billing.account_view(&"acme".into(), None, None).await.unwrap();
    assert_eq!(view.invoices[0].total, Some(1_500));
    assert_eq!(f.recorder.keys(), ["invoice_paid:in_1"], "told once, as it was then");
    let tickets = f.store.tickets(&TicketQuery { limit: 9, ..TicketQuery::default() }).await;
    let kinds: Vec<_> = tickets.unwrap().iter().map(|ticket| ticket.kind).collect();
    assert_eq!(kinds, [TicketKind::FactDiffers]);
}

#[tokio::test]
async fn processing_can_be_spawned() {
    let f = fixture(|b| b);
    let active = subscription("active", &linked());
    f.deliver(&body("evt_1", "customer.subscription.created", START, &active)).await;
    let billing = f.billing.clone();
    let report = tokio::spawn(async move { billing.process_due().await }).await.unwrap().unwrap();
    assert_eq!(report.processed, 1);
}
