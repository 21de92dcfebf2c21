//! What happens when things fail: classes and their consequences, tickets, the pause of the queue,
//! and what operators do about it. Over the memory store, with a handler that fails as it is told.

#![allow(clippy::unwrap_used)] // In the helpers too: a test that cannot go on fails.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use bytes::Bytes;
use chrono::{DateTime, TimeDelta, Utc};
use serde_json::{Value, json};
use stripe_billing_core::catalog::{Catalog, Plan, PlanPrice};
use stripe_billing_core::state::State;
use stripe_billing_core::store::{
    AuditQuery, EventQuery, EventRange, EventStore, EventSummary, Inspect, Operate, ReceivedEvent,
    TicketQuery, Verb,
};
use stripe_billing_core::ticket::{Ticket, TicketKind, TicketPriority, TicketStatus};
use stripe_billing_core::webhook::{WebhookSecret, sign};
use stripe_billing_core::{
    Billing, BillingBuilder, Clock, EventHandler, Fact, ManualClock, MemoryStore, Notification,
    Notified, Notifier, NotifyError, OrderError, Report, TicketSink, UnhandledEvents,
};

const SECRET: &str = "whsec_test";
const START: i64 = 1_700_000_000;

fn at(seconds: i64) -> DateTime<Utc> {
    DateTime::from_timestamp(seconds, 0).expect("a time of the test")
}

/// How the handler takes an event.
#[derive(Clone, Copy, Debug, Default)]
enum Mood {
    #[default]
    Fine,
    Transient,
    RetryAfter(i64),
    NotYet,
    Configuration,
    Permanent,
    Panic,
    Hang,
}

/// The app's handlers: of events without a rule, of facts, of notices and of tickets.
#[derive(Clone, Debug, Default)]
struct App {
    /// By event id or fact key; that of `""` holds for the rest.
    moods: Arc<Mutex<BTreeMap<String, Mood>>>,
    handled: Arc<Mutex<Vec<String>>>,
    tickets: Arc<Mutex<Vec<String>>>,
}

impl App {
    fn feel(&self, about: &str, mood: Mood) {
        self.moods.lock().unwrap().insert(about.to_owned(), mood);
    }

    fn handled(&self) -> Vec<String> {
        self.handled.lock().unwrap().clone()
    }

    fn tickets(&self) -> Vec<String> {
        self.tickets.lock().unwrap().clone()
    }

    async fn take(&self, about: &str) -> Result<(), NotifyError> {
        let mood = {
            let moods = self.moods.lock().unwrap();
            moods.get(about).or(moods.get("")).copied().unwrap_or_default()
        };
        match mood {
            Mood::Fine => {}
            Mood::Transient => return Err(NotifyError::transient("away")),
            Mood::RetryAfter(seconds) => {
                let after = TimeDelta::seconds(seconds);
                return Err(NotifyError::transient("busy").with_retry_after(after));
            }
            Mood::NotYet => return Err(NotifyError::not_yet("no such order yet")),
            Mood::Configuration => return Err(NotifyError::configuration("no key")),
            Mood::Permanent => return Err(NotifyError::permanent("never")),
            Mood::Panic => panic!("the handler's own bug"),
            Mood::Hang => std::future::pending().await,
        }
        self.handled.lock().unwrap().push(about.to_owned());
        Ok(())
    }
}

#[async_trait]
impl UnhandledEvents for App {
    async fn handle(&self, event: &ReceivedEvent) -> Result<(), NotifyError> {
        self.take(&event.key.id).await
    }
}

#[async_trait]
impl EventHandler for App {
    async fn handle(&self, fact: &Fact) -> Result<(), NotifyError> {
        self.take(&fact.key).await
    }
}

#[async_trait]
impl Notifier for App {
    async fn notify(&self, notification: &Notification) -> Result<Notified, NotifyError> {
        self.handled.lock().unwrap().push(notification.key.clone());
        Ok(Notified::Told)
    }
}

#[async_trait]
impl TicketSink for App {
    async fn open(&self, ticket: &Ticket) -> Result<(), NotifyError> {
        self.take("sink").await?;
        self.tickets.lock().unwrap().push(format!("open {} {}", ticket.key, ticket.count));
        Ok(())
    }

    async fn append(&self, ticket: &Ticket) -> Result<(), NotifyError> {
        self.tickets.lock().unwrap().push(format!("append {} {}", ticket.key, ticket.count));
        Ok(())
    }

    async fn close(&self, ticket: &Ticket) -> Result<(), NotifyError> {
        self.tickets.lock().unwrap().push(format!("close {}", ticket.key));
        Ok(())
    }
}

struct Fixture {
    billing: Billing,
    store: MemoryStore,
    app: App,
    clock: Arc<ManualClock>,
}

fn builder(store: MemoryStore, app: &App, clock: &Arc<ManualClock>) -> BillingBuilder {
    let plan = Plan::new("pro").feature("export").price(PlanPrice::new("price_pro"));
    Billing::builder(store)
        .catalog(Catalog::builder().plan(plan).build().expect("the test's catalog"))
        .webhook_secrets([SECRET])
        .on_unhandled(app.clone())
        .on_event(app.clone())
        .notifier(app.clone())
        .tickets(app.clone())
        .clock(Arc::clone(clock))
}

fn fixture(configure: impl FnOnce(BillingBuilder) -> BillingBuilder) -> Fixture {
    let (store, app) = (MemoryStore::new(), App::default());
    let clock = Arc::new(ManualClock::new(at(START)));
    let billing = configure(builder(store.clone(), &app, &clock)).build().expect("good");
    Fixture { billing, store, app, clock }
}

fn body(id: &str, kind: &str, created: i64, object: &Value) -> Bytes {
    json!({"id": id, "object": "event", "api_version": "2026-10-28.endive", "created": created,
        "livemode": false, "type": kind, "data": {"object": object}, "pending_webhooks": 1,
        "request": null})
    .to_string()
    .into()
}

fn subscription(status: &str) -> Value {
    json!({"id": "sub_1", "object": "subscription", "customer": "cus_1", "status": status,
        "metadata": {"account": "acme"}, "items": {"data": [{"id": "si_1",
        "price": {"id": "price_pro"}, "current_period_start": START,
        "current_period_end": START + 2_592_000}]}})
}

impl Fixture {
    async fn deliver(&self, body: &Bytes) {
        let secret = WebhookSecret::new(SECRET).expect("not blank");
        let header = sign(body, &secret, self.clock.now());
        self.billing.receive(&header, body.clone()).await.expect("accepted");
    }

    /// An event without a rule, which goes to the app.
    async fn novelty(&self, id: &str) {
        let object = json!({"object": "novelty", "customer": "cus_1", "amount": 4_900,
            "currency": "eur", "receipt_email": "ada@example.test"});
        self.deliver(&body(id, "novelty.created", START, &object)).await;
    }

    async fn process(&self) -> Report {
        self.billing.process_due().await.expect("memory never fails")
    }

    async fn event(&self, id: &str) -> EventSummary {
        let query = EventQuery { limit: 1_000, ..EventQuery::default() };
        let events = self.store.events(&query).await.expect("memory never fails");
        events.into_iter().find(|event| event.key.id == id).expect("it was received")
    }

    async fn status(&self, id: &str) -> (String, String, u32) {
        let event = self.event(id).await;
        (event.status, event.error_class.unwrap_or_default(), event.attempts)
    }

    async fn tickets(&self) -> Vec<Ticket> {
        let query = TicketQuery { limit: 1_000, ..TicketQuery::default() };
        self.store.tickets(&query).await.expect("memory never fails")
    }

    async fn order(&self, verb: Verb, request: &str) -> u64 {
        let reason = Some("of the test");
        self.billing.order(verb, "ada", request, reason).await.expect("carried out").changed
    }
}

fn waits(status: &str, class: &str, attempts: u32) -> (String, String, u32) {
    (status.to_owned(), class.to_owned(), attempts)
}

#[tokio::test]
async fn each_class_leads_where_it_should() {
    let f = fixture(|b| b);
    let cases = [
        ("evt_transient", Mood::Transient, waits("retry_wait", "transient", 1)),
        ("evt_not_yet", Mood::NotYet, waits("deferred", "deferred", 0)),
        ("evt_config", Mood::Configuration, waits("dead", "config", 1)),
        ("evt_permanent", Mood::Permanent, waits("dead", "permanent", 1)),
        ("evt_panic", Mood::Panic, waits("dead", "poison", 1)),
    ];
    for (id, mood, _) in &cases {
        f.app.feel(id, *mood);
        f.novelty(id).await;
    }
    f.novelty("evt_fine").await;
    let report = f.process().await;
    assert_eq!((report.retried, report.deferred, report.dead, report.ignored), (1, 1, 3, 1));
    for (id, _, expected) in cases {
        assert_eq!(f.status(id).await, expected, "{id}");
        let attempts = f.store.attempts(f.event(id).await.seq).await.unwrap();
        assert_eq!(attempts.len(), 1, "{id}");
    }
    let corrupt = json!({"id": "evt_corrupt", "object": "event", "created": START,
        "livemode": false, "type": "invoice.paid", "data": 7});
    f.deliver(&corrupt.to_string().into()).await;
    f.process().await;
    assert_eq!(f.status("evt_corrupt").await, waits("dead", "permanent", 1));
}

#[tokio::test]
async fn what_waits_for_something_costs_no_attempt_for_ten_minutes() {
    let f = fixture(|b| b);
    f.app.feel("evt_1", Mood::NotYet);
    f.novelty("evt_1").await;
    for seconds in [2, 5, 15, 60, 300, 300] {
        f.process().await;
        let due = f.event("evt_1").await.due_at;
        assert_eq!(due, Some(f.clock.now() + TimeDelta::seconds(seconds)));
        assert_eq!(f.status("evt_1").await, waits("deferred", "deferred", 0));
        f.clock.advance(TimeDelta::seconds(seconds));
    }
    f.process().await;
    assert_eq!(f.status("evt_1").await, waits("retry_wait", "deferred", 1));
    f.app.feel("evt_1", Mood::Fine);
    f.clock.advance(TimeDelta::seconds(7));
    assert_eq!(f.process().await.ignored, 1);
    assert_eq!(f.app.handled(), ["evt_1"]);
}

#[tokio::test]
async fn who_asks_for_more_time_gets_it_up_to_twice_the_step() {
    let f = fixture(|b| b);
    for (id, asked, waited) in [("evt_1", 7, 7), ("evt_2", 3_600, 10), ("evt_3", 1, 5)] {
        f.app.feel(id, Mood::RetryAfter(asked));
        f.novelty(id).await;
        f.process().await;
        let due = f.event(id).await.due_at;
        assert_eq!(due, Some(f.clock.now() + TimeDelta::seconds(waited)), "{id}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_handler_that_hangs_is_given_up_after_thirty_seconds() {
    let f = fixture(|b| b);
    f.app.feel("evt_1", Mood::Hang);
    f.novelty("evt_1").await;
    let workers = f.billing.spawn_worker_count(1);
    let started = tokio::time::Instant::now();
    while f.event("evt_1").await.reason.is_none() {
        tokio::time::sleep(std::time::Duration::from_millis(100)).await;
    }
    assert_eq!(started.elapsed().as_secs(), 30);
    assert_eq!(f.event("evt_1").await.reason.as_deref(), Some("handler_timeout"));
    workers.shutdown().await;
}

#[tokio::test]
async fn another_configuration_takes_up_what_failed_for_the_old_one() {
    let f = fixture(|b| b.configuration("key 1"));
    f.billing.release_config().await.unwrap();
    f.app.feel("", Mood::Configuration);
    f.novelty("evt_1").await;
    f.deliver(&body("evt_2", "customer.subscription.created", START, &subscription("active")))
        .await;
    f.process().await;
    assert_eq!(f.status("evt_1").await, waits("dead", "config", 1));
    let stats = f.store.stats(f.clock.now()).await.unwrap();
    assert_eq!(stats.outbox.get("dead"), Some(&1), "the fact waits for it as well");
    assert_eq!(f.tickets().await.len(), 2);

    f.app.feel("", Mood::Fine);
    assert_eq!(f.billing.release_config().await.unwrap(), 0, "it is the same");
    let next = builder(f.store.clone(), &f.app, &f.clock).configuration("key 2").build().unwrap();
    assert_eq!(next.release_config().await.unwrap(), 2);
    next.process_due().await.unwrap();
    assert_eq!(f.event("evt_1").await.status, "ignored", "the app has taken it");
    assert!(f.app.handled().contains(&"subscription_started:sub_1".to_owned()));
    assert!(f.tickets().await.iter().all(|ticket| ticket.status == TicketStatus::Resolved));
}

#[tokio::test]
async fn one_poison_event_among_thousands_harms_no_other() {
    let f = fixture(|b| b);
    f.app.feel("evt_500", Mood::Panic);
    for n in 0..1_000 {
        f.novelty(&format!("evt_{n}")).await;
    }
    let report = f.process().await;
    assert_eq!((report.ignored, report.dead), (999, 1));
    assert_eq!(f.app.handled().iter().filter(|key| key.starts_with("evt_")).count(), 999);
    f.clock.advance(TimeDelta::days(30));
    assert!(f.process().await.is_empty(), "nobody takes it up but an operator");
}

#[tokio::test]
async fn an_event_that_kills_its_workers_takes_no_other_with_it() {
    use stripe_billing_core::queue::ClaimRequest;
    let f = fixture(|b| b);
    for n in 0..5 {
        f.novelty(&format!("evt_{n}")).await;
    }
    let lease = TimeDelta::seconds(60);
    // Whoever holds evt_3 dies; the others are done when they are claimed without it.
    let mut deaths = 0;
    for _ in 0..20 {
        let request = ClaimRequest { worker: "w".into(), limit: 16, lease, now: f.clock.now() };
        let claimed = f.store.claim(&request).await.unwrap();
        if claimed.iter().any(|one| one.event.key.id == "evt_3") {
            deaths += 1;
            f.clock.advance(TimeDelta::seconds(61));
        } else {
            for one in claimed {
                let settled = stripe_billing_core::store::Settled {
                    settlement: stripe_billing_core::changes::Settlement::Processed,
                    subject: None,
                    effects: stripe_billing_core::changes::Effects::default(),
                    now: f.clock.now(),
                };
                assert!(one.crashes <= 1, "{} crashed {}", one.event.key.id, one.crashes);
                assert!(f.store.settle(&one.lease, &settled).await.unwrap());
            }
        }
        if deaths == 3 {
            break;
        }
    }
    f.process().await;
    assert_eq!(f.status("evt_3").await, waits("dead", "poison", 1));
    assert_eq!(f.event("evt_3").await.reason.as_deref(), Some("lease_lost"));
    for n in [0, 1, 2, 4] {
        let id = format!("evt_{n}");
        assert!(["processed", "ignored"].contains(&&*f.event(&id).await.status), "{id}");
    }
}

/// A process that is killed over and over dies over whatever it holds: within a minute of its arrival
/// no event is blamed for that.
#[tokio::test]
async fn an_event_is_not_blamed_for_a_process_that_keeps_dying() {
    use stripe_billing_core::queue::ClaimRequest;
    let f = fixture(|b| b);
    f.novelty("evt_1").await;
    for _ in 0..8 {
        let lease = TimeDelta::seconds(1);
        let request = ClaimRequest { worker: "w".into(), limit: 16, lease, now: f.clock.now() };
        assert_eq!(f.store.claim(&request).await.unwrap().len(), 1);
        f.clock.advance(TimeDelta::seconds(2));
    }
    assert_eq!(f.process().await.ignored, 1);
    assert_eq!(f.app.handled(), ["evt_1"]);
    assert_eq!(f.event("evt_1").await.crashes, 8);
}

#[tokio::test]
async fn when_most_work_fails_the_queue_pauses_and_nothing_is_spent() {
    let f = fixture(|b| b);
    f.app.feel("", Mood::Transient);
    for n in 0..200 {
        f.novelty(&format!("evt_{n}")).await;
    }
    let report = f.process().await;
    assert!(report.retried < 40, "{report:?}: what was claimed with the twentieth at most");
    assert!(!f.billing.readiness().await.checks.iter().all(|check| check.ok));
    assert!(f.billing.readiness().await.ready, "deliveries are taken all the same");
    let attempts = async || {
        let query = EventQuery { limit: 1_000, ..EventQuery::default() };
        let events = f.store.events(&query).await.unwrap();
        events.iter().map(|event| event.attempts).sum::<u32>()
    };
    let spent = attempts().await;
    assert_eq!(u64::from(spent), report.retried);
    for _ in 0..10 {
        f.clock.advance(TimeDelta::seconds(30));
        let probe = f.process().await;
        assert_eq!((probe.deferred, probe.retried, probe.ignored), (1, 0, 0), "one is tried");
    }
    assert_eq!(attempts().await, spent, "five minutes cost nothing");
    let paused = |ticket: &&Ticket| ticket.kind == TicketKind::QueuePaused;
    let tickets = f.tickets().await;
    let alerts: Vec<_> = tickets.iter().filter(paused).collect();
    assert_eq!((alerts.len(), alerts[0].count, alerts[0].status), (1, 1, TicketStatus::Open));

    f.app.feel("", Mood::Fine);
    f.clock.advance(TimeDelta::seconds(60));
    f.process().await;
    f.clock.advance(TimeDelta::seconds(60));
    f.process().await;
    let stats = f.store.stats(f.clock.now()).await.unwrap();
    assert_eq!(stats.events.get("ignored"), Some(&200), "{stats:?}");
    assert_eq!(f.app.handled().iter().filter(|key| key.starts_with("evt_")).count(), 200);
    let tickets = f.tickets().await;
    assert!(tickets.iter().filter(paused).all(|it| it.status == TicketStatus::Resolved));
    let told = f.app.handled();
    let alerts = told.iter().filter(|key| key.contains("queue_paused")).count();
    assert_eq!(alerts, 1, "one alert");
}

#[tokio::test]
async fn a_thousand_identical_failures_are_one_ticket() {
    let f = fixture(|b| b);
    f.app.feel("", Mood::Permanent);
    f.app.feel("sink", Mood::Fine);
    for n in 0..1_000 {
        f.novelty(&format!("evt_{n}")).await;
    }
    assert_eq!(f.process().await.dead, 1_000);
    let tickets = f.tickets().await;
    assert_eq!(tickets.len(), 1);
    let ticket = &tickets[0];
    assert_eq!(ticket.key, "dead_event:permanent:handler_failed:novelty.created");
    assert_eq!((ticket.count, ticket.priority), (1_000, TicketPriority::High));
    let context = ticket.context.as_ref().unwrap();
    assert_eq!((context.amount, context.currency.as_deref()), (Some(4_900), Some("eur")));
    assert_eq!(context.customer.as_deref(), Some("cus_1"));
    assert!(context.action.as_deref().is_some_and(|action| action.contains("replay")));
    assert!(!format!("{ticket:?}").contains("ada@example.test"), "nothing personal");
    let told = f.app.handled();
    let told: Vec<_> = told.iter().filter(|key| *key != "sink").collect();
    assert_eq!(told.len(), 2, "one ticket_opened and one event_dead: {told:?}");
    assert_eq!(f.app.tickets(), [format!("open {} 1000", ticket.key)]);

    // Mended and replayed, the ticket closes itself.
    f.app.feel("", Mood::Fine);
    let range =
        EventRange { ticket: Some(ticket.key.clone()), limit: 10_000, ..EventRange::default() };
    assert_eq!(f.order(Verb::Replay { range }, "req_1").await, 1_000);
    assert_eq!(f.process().await.ignored, 1_000);
    assert_eq!(f.tickets().await[0].status, TicketStatus::Resolved);
    assert_eq!(f.app.tickets().last(), Some(&format!("close {}", ticket.key)));

    // Within the week it opens again, and says so.
    f.app.feel("", Mood::Permanent);
    f.clock.advance(TimeDelta::days(6));
    f.novelty("evt_later").await;
    f.process().await;
    let tickets = f.tickets().await;
    assert_eq!((tickets.len(), tickets[0].status), (1, TicketStatus::Open));
    assert_eq!(f.app.tickets().last(), Some(&format!("open {} 1001", ticket.key)));
    assert_eq!(f.app.handled().iter().filter(|key| key.contains("ticket_opened")).count(), 2);
}

#[tokio::test]
async fn at_most_twenty_tickets_an_hour_and_then_one_for_the_rest() {
    let f = fixture(|b| b);
    f.app.feel("", Mood::Permanent);
    for n in 0..30 {
        let kind = format!("novelty_{n}.created");
        let event = body(&format!("evt_{n}"), &kind, START, &json!({"object": "novelty"}));
        f.deliver(&event).await;
    }
    f.process().await;
    let tickets = f.tickets().await;
    assert_eq!(tickets.len(), 21);
    assert_eq!((tickets[0].kind, tickets[0].count), (TicketKind::ManyFailures, 10));
    f.clock.advance(TimeDelta::seconds(3_601));
    f.deliver(&body("evt_next", "novelty_next.created", START, &json!({"object": "novelty"})))
        .await;
    f.process().await;
    assert_eq!(f.tickets().await.len(), 22);
}

#[tokio::test]
async fn what_keeps_failing_is_told_after_the_fifth_attempt_and_again_when_it_is_given_up() {
    let f = fixture(|b| b);
    f.app.feel("evt_1", Mood::Transient);
    f.novelty("evt_1").await;
    for attempt in 1..=11 {
        f.process().await;
        let tickets = f.tickets().await;
        let priority = tickets.first().map(|ticket| ticket.priority);
        let expected = match attempt {
            1..=4 => None,
            5..=10 => Some(TicketPriority::Normal),
            _ => Some(TicketPriority::High),
        };
        assert_eq!(priority, expected, "attempt {attempt}");
        if let Some(due) = f.event("evt_1").await.due_at {
            f.clock.set(due);
        }
    }
    assert_eq!(f.status("evt_1").await, waits("dead", "transient", 11));
    let told = f.app.handled();
    assert!(told.contains(&"notice:event_dead:evt_1".to_owned()), "{told:?}");
    assert_eq!(f.store.attempts(f.event("evt_1").await.seq).await.unwrap().len(), 11);
}

#[tokio::test]
async fn a_failing_event_does_not_block_the_customers_later_ones_and_takes_nothing_back() {
    let f = fixture(|b| b);
    // The first waits for its retry while the second, newer one is applied.
    let early = body("evt_1", "customer.subscription.updated", START, &subscription("active"));
    f.deliver(&early).await;
    let held = {
        use stripe_billing_core::queue::{ClaimRequest, ErrorClass, Failure};
        let lease = TimeDelta::seconds(60);
        let request = ClaimRequest { worker: "w".into(), limit: 1, lease, now: f.clock.now() };
        let held = f.store.claim(&request).await.unwrap().remove(0);
        let failure = Failure::new(ErrorClass::Transient, "store_conflict", "of the test");
        let due = f.clock.now() + TimeDelta::seconds(5);
        let settled = stripe_billing_core::store::Settled {
            settlement: stripe_billing_core::changes::Settlement::Retry { due, failure },
            subject: None,
            effects: stripe_billing_core::changes::Effects::default(),
            now: f.clock.now(),
        };
        assert!(f.store.settle(&held.lease, &settled).await.unwrap());
        held.event.key.id
    };
    let late = body("evt_2", "customer.subscription.updated", START + 5, &subscription("past_due"));
    f.deliver(&late).await;
    assert_eq!(f.process().await.processed, 1);
    assert!(f.billing.access("acme").await.unwrap().access, "nothing waits for the first");
    f.clock.advance(TimeDelta::seconds(5));
    f.process().await;
    let event = f.event(&held).await;
    assert_eq!((event.due_at, event.attempts), (None, 1), "it is closed: {event:?}");
    let state = f.billing.access("acme").await.unwrap().state;
    assert_eq!(state, State::PastDue, "what is newer holds");
}

#[tokio::test]
async fn operators_resolve_dismiss_pause_and_resume_once_and_on_record() {
    let f = fixture(|b| b);
    f.app.feel("", Mood::Permanent);
    for id in ["evt_1", "evt_2"] {
        f.novelty(id).await;
    }
    f.process().await;
    let seq = |id: &'static str| async { f.event(id).await.seq };
    let dismiss = Verb::Dismiss { seq: seq("evt_1").await };
    let order = |reason| f.billing.order(dismiss.clone(), "ada", "req_1", reason);
    assert!(matches!(order(None).await, Err(OrderError::NoReason)));
    assert!(matches!(order(Some("  ")).await, Err(OrderError::NoReason)));
    let long = "x".repeat(1_001);
    assert!(matches!(order(Some(&long)).await, Err(OrderError::LongReason)));
    assert_eq!(order(Some("a test event")).await.unwrap().changed, 1);
    assert!(order(Some("a test event")).await.unwrap().repeated);
    let blank = f.billing.order(Verb::Pause, " ", "req_9", None).await;
    assert!(matches!(blank, Err(OrderError::Invalid("the actor"))));
    let reused = f.billing.order(Verb::Pause, "ada", "req_1", None).await;
    assert!(matches!(reused, Err(OrderError::RequestReused)));
    let unknown = f.billing.order(Verb::Resolve { seq: 99 }, "ada", "req_8", None).await;
    assert!(matches!(unknown, Err(OrderError::Unknown)));
    let again = Verb::Resolve { seq: seq("evt_1").await };
    let again = f.billing.order(again, "ada", "req_7", None).await;
    assert!(matches!(again, Err(OrderError::NotNow(status)) if status == "dismissed"));

    assert_eq!(f.tickets().await[0].status, TicketStatus::Open, "evt_2 is dead still");
    assert_eq!(f.order(Verb::Resolve { seq: seq("evt_2").await }, "req_2").await, 1);
    assert_eq!(f.tickets().await[0].status, TicketStatus::Resolved, "at once");

    assert_eq!(f.order(Verb::Pause, "req_3").await, 1);
    f.app.feel("", Mood::Fine);
    f.novelty("evt_3").await;
    assert!(f.process().await.is_empty(), "nothing is processed");
    assert_eq!(f.event("evt_3").await.status, "received");
    let readiness = f.billing.readiness().await;
    let queue = readiness.checks.iter().find(|check| check.name == "queue").unwrap();
    assert!(readiness.ready && !queue.ok, "{readiness:?}");
    assert_eq!(f.order(Verb::Resume, "req_4").await, 1);
    assert_eq!(f.process().await.ignored, 1);

    let query = AuditQuery { limit: 9, ..AuditQuery::default() };
    let audit = f.store.audit(&query).await.unwrap();
    let actions: Vec<_> = audit.iter().rev().map(|line| line.entry.action.as_str()).collect();
    assert_eq!(actions, ["event.dismissed", "event.resolved", "queue.paused", "queue.resumed"]);
}

#[tokio::test]
async fn a_message_that_cannot_be_handed_over_has_a_ticket_until_it_is() {
    let f = fixture(|b| b);
    let key = "subscription_started:sub_1";
    f.app.feel(key, Mood::Panic);
    f.deliver(&body("evt_1", "customer.subscription.created", START, &subscription("active")))
        .await;
    f.process().await;
    let tickets = f.tickets().await;
    assert_eq!(tickets[0].kind, TicketKind::DeadMessage);
    assert_eq!(tickets[0].key, "dead_message:poison:handler_panic:subscription_started");
    assert_eq!(tickets[0].subject.id, "cus_1");
    let context = tickets[0].context.as_ref().unwrap();
    assert_eq!((context.account.as_deref(), context.access), (Some("acme"), Some(true)));

    f.app.feel(key, Mood::Fine);
    assert_eq!(f.order(Verb::Redeliver { key: Some(key.to_owned()) }, "req_1").await, 1);
    f.process().await;
    assert!(f.app.handled().contains(&key.to_owned()));
    assert_eq!(f.tickets().await[0].status, TicketStatus::Resolved);
}

#[tokio::test]
async fn a_sink_that_refuses_is_told_again() {
    let f = fixture(|b| b);
    f.app.feel("sink", Mood::Transient);
    f.app.feel("evt_1", Mood::Permanent);
    f.novelty("evt_1").await;
    f.process().await;
    assert!(f.app.tickets().is_empty());
    f.app.feel("sink", Mood::Fine);
    f.process().await;
    f.process().await;
    assert_eq!(f.app.tickets().len(), 1, "once");
}
