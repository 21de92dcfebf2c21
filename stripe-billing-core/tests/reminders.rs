//! What is told over days, hour by hour, through the real outbox: renewals that failed, and evidence
//! that is due.

use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use bytes::Bytes;
use chrono::{DateTime, TimeDelta, Utc};
use proptest::prelude::*;
use serde_json::{Value, json};
use stripe_billing_core::catalog::{Catalog, Dunning, DunningHours, Plan, PlanPrice, Policy};
use stripe_billing_core::dunning::{Case, CaseState, DeclineClass, Recovery, StopReason};
use stripe_billing_core::notice::{Decline, Money};
use stripe_billing_core::webhook::{WebhookSecret, sign};
use stripe_billing_core::{
    Billing, Clock, ManualClock, MemoryStore, Notification, Notified, Notifier, NotifyError,
};

const SECRET: &str = "whsec_test";
const START: i64 = 1_700_000_000;
const HOUR: i64 = 3_600;
const DAY: i64 = 24 * HOUR;

fn at(seconds: i64) -> DateTime<Utc> {
    DateTime::from_timestamp(seconds, 0).expect("a time of the test")
}

/// Keeps what is told, with the hours since the start.
#[derive(Clone, Debug)]
struct Mail {
    clock: Arc<ManualClock>,
    told: Arc<Mutex<Vec<(i64, Notification)>>>,
}

#[async_trait]
impl Notifier for Mail {
    async fn notify(&self, notification: &Notification) -> Result<Notified, NotifyError> {
        let hours = (self.clock.now().timestamp() - START) / HOUR;
        self.told.lock().expect("not poisoned").push((hours, notification.clone()));
        Ok(Notified::Told)
    }
}

struct World {
    billing: Billing,
    clock: Arc<ManualClock>,
    mail: Mail,
    events: u32,
}

async fn world(policy: Policy) -> World {
    let clock = Arc::new(ManualClock::new(at(START)));
    let mail = Mail { clock: Arc::clone(&clock), told: Arc::default() };
    let plan = Plan::new("pro").price(PlanPrice::new("price_pro"));
    let catalog = Catalog::builder().plan(plan).policy(policy).build().expect("a good catalog");
    let billing = Billing::builder(MemoryStore::new())
        .catalog(catalog)
        .webhook_secrets([SECRET])
        .notifier(mail.clone())
        .clock(Arc::clone(&clock))
        .build()
        .expect("a good configuration");
    let mut world = World { billing, clock, mail, events: 0 };
    world.tell("customer.subscription.updated", &subscription("past_due")).await;
    world
}

fn subscription(status: &str) -> Value {
    json!({"id": "sub_1", "object": "subscription", "customer": "cus_1", "status": status,
        "metadata": {"account": "acme"}, "items": {"data": [{"id": "si_1",
            "price": {"id": "price_pro"}, "current_period_start": START,
            "current_period_end": START + 30 * DAY}]}})
}

/// Access outlasts all reminders, so that the last word is out of the way.
fn long_grace() -> Policy {
    Policy { past_due_grace: TimeDelta::days(60), ..Policy::default() }
}

fn invoice(id: &str, status: &str, patch: &Value) -> Value {
    let mut object = json!({"id": id, "object": "invoice", "customer": "cus_1", "status": status,
        "amount_due": 1_900, "amount_remaining": 1_900, "amount_paid": 0, "currency": "usd",
        "attempt_count": 1, "billing_reason": "subscription_cycle",
        "parent": {"subscription_details": {"subscription": "sub_1",
            "metadata": {"account": "acme"}}},
        "payments": {"data": [{"payment": {"type": "payment_intent",
            "payment_intent": format!("pi_{id}")}}]}});
    for (key, value) in patch.as_object().expect("an object") {
        object[key] = value.clone();
    }
    object
}

impl World {
    async fn tell(&mut self, kind: &str, object: &Value) {
        self.events += 1;
        let created = self.clock.now().timestamp();
        let body: Bytes = json!({"id": format!("evt_{}", self.events), "object": "event",
            "api_version": "2026-10-28.endive", "created": created, "livemode": false,
            "type": kind, "data": {"object": object}})
        .to_string()
        .into();
        let secret = WebhookSecret::new(SECRET).expect("not blank");
        let header = sign(&body, &secret, self.clock.now());
        self.billing.receive(&header, body).await.expect("accepted");
        self.work().await;
    }

    async fn work(&self) {
        while !self.billing.process_due().await.expect("the store works").is_empty() {}
    }

    async fn fail(&mut self, id: &str, patch: Value) {
        self.tell("invoice.payment_failed", &invoice(id, "open", &patch)).await;
    }

    async fn decline(&mut self, id: &str, code: &str) {
        let intent = json!({"id": format!("pi_{id}"), "object": "payment_intent",
            "customer": "cus_1", "status": "requires_payment_method", "amount": 1_900,
            "last_payment_error": {"code": "card_declined", "decline_code": code}});
        self.tell("payment_intent.payment_failed", &intent).await;
    }

    /// Works every hour until so many hours since the start.
    async fn until(&self, hours: i64) {
        while self.clock.now().timestamp() < START + hours * HOUR {
            self.clock.advance(TimeDelta::hours(1));
            self.work().await;
        }
    }

    /// An outage until so many hours since the start.
    fn sleep_until(&self, hours: i64) {
        self.clock.set(at(START + hours * HOUR));
    }

    fn told(&self) -> Vec<(i64, String)> {
        let told = self.mail.told.lock().expect("not poisoned");
        let line = |(hours, it): &(i64, Notification)| {
            let detail = it.notice.detail.as_str();
            let kind = it.notice.kind.as_str();
            let name = if detail.is_empty() { kind.into() } else { format!("{kind} {detail}") };
            (*hours, name)
        };
        told.iter().map(line).collect()
    }

    async fn cases(&self) -> Vec<Case> {
        let page = self.billing.dunning(None, 100).await.expect("the store works");
        page.cases.into_iter().map(|found| found.case).collect()
    }
}

fn lines(expected: &[(i64, &str)]) -> Vec<(i64, String)> {
    expected.iter().map(|(hours, name)| (*hours, (*name).to_owned())).collect()
}

#[tokio::test]
async fn an_invoice_that_stays_open_is_told_of_on_the_days_of_the_policy() {
    let mut world = world(Policy::default()).await;
    world.fail("in_1", json!({})).await;
    world.until(40 * 24).await;
    let expected = lines(&[
        (0, "payment_failed 1"),
        (24, "payment_final_notice"),
        (72, "payment_reminder 1"),
        (168, "payment_reminder 2"),
        (288, "payment_reminder 3"),
    ]);
    assert_eq!(world.told(), expected);
    let case = world.cases().await.remove(0);
    assert_eq!((case.state, case.step, case.steps.len()), (CaseState::Exhausted, 4, 4));
    let told = world.mail.told.lock().unwrap();
    let (_, last_word) = &told[1];
    assert_eq!(last_word.details.grace_end, Some(START + 3 * DAY));
    assert_eq!(told[2].1.details.grace_end, None, "access is over by then");
}

#[tokio::test]
async fn it_stops_at_once_when_there_is_nothing_to_collect() {
    let mut ended = subscription("canceled");
    ended["ended_at"] = json!(START + 4 * DAY);
    let paid = invoice(
        "in_1",
        "paid",
        &json!({"amount_paid": 1_900, "amount_remaining": 0,
        "status_transitions": {"paid_at": START + 4 * DAY}}),
    );
    let table = [
        ("invoice.paid", paid, CaseState::Recovered, None),
        (
            "invoice.voided",
            invoice("in_1", "void", &json!({})),
            CaseState::Stopped,
            Some(StopReason::Voided),
        ),
        (
            "invoice.marked_uncollectible",
            invoice("in_1", "uncollectible", &json!({})),
            CaseState::Stopped,
            Some(StopReason::Uncollectible),
        ),
        ("customer.subscription.deleted", ended, CaseState::Stopped, Some(StopReason::Canceled)),
    ];
    for (kind, object, state, reason) in table {
        let mut world = world(long_grace()).await;
        world.fail("in_1", json!({})).await;
        world.until(4 * 24).await;
        world.tell(kind, &object).await;
        world.until(30 * 24).await;
        let reminders: Vec<_> = world.told().into_iter().filter(is_dunning).collect();
        assert_eq!(reminders, lines(&[(72, "payment_reminder 1")]), "{kind}");
        let case = world.cases().await.remove(0);
        assert_eq!((case.state, case.reason, case.step), (state, reason, 1), "{kind}");
    }
}

fn is_dunning(line: &(i64, String)) -> bool {
    line.1.starts_with("payment_reminder") || line.1.starts_with("payment_final")
}

#[tokio::test]
async fn what_an_outage_missed_collapses_into_the_latest() {
    let mut world = world(long_grace()).await;
    world.fail("in_1", json!({})).await;
    world.sleep_until(8 * 24);
    world.work().await;
    world.until(9 * 24).await;
    let expected = lines(&[(0, "payment_failed 1"), (192, "payment_reminder 2")]);
    assert_eq!(world.told(), expected);
}

#[tokio::test]
async fn a_case_that_becomes_known_late_begins_with_the_first_word() {
    let mut world = world(long_grace()).await;
    let object = invoice("in_1", "open", &json!({}));
    world.sleep_until(8 * 24);
    let body: Bytes = json!({"id": "evt_late", "object": "event", "created": START,
        "livemode": false, "type": "invoice.payment_failed", "data": {"object": object}})
    .to_string()
    .into();
    let secret = WebhookSecret::new(SECRET).unwrap();
    let header = sign(&body, &secret, world.clock.now());
    world.billing.receive(&header, body).await.unwrap();
    world.until(40 * 24).await;
    let expected = lines(&[(193, "payment_failed 1"), (288, "payment_reminder 3")]);
    assert_eq!(world.told(), expected);
    world.events += 1;
}

#[tokio::test]
async fn nobody_is_reminded_right_after_or_before_an_attempt_of_stripes() {
    // A soft decline may pass: the attempt that follows is waited for.
    let soon = json!({"next_payment_attempt": START + 3 * DAY + 10 * HOUR});
    for (code, expected) in [("insufficient_funds", 0), ("expired_card", 1), ("generic_decline", 0)]
    {
        let mut world = world(long_grace()).await;
        world.decline("in_1", code).await;
        world.fail("in_1", soon.clone()).await;
        world.until(4 * 24).await;
        let reminders = world.told().iter().filter(|line| is_dunning(line)).count();
        assert_eq!(reminders, expected, "{code}");
    }
    let mut world = world(long_grace()).await;
    world.fail("in_1", json!({})).await;
    world.until(3 * 24 - 19).await;
    world.fail("in_1", json!({"attempt_count": 2})).await;
    world.until(8 * 24).await;
    let expected =
        lines(&[(0, "payment_failed 1"), (53, "payment_failed 2"), (168, "payment_reminder 2")]);
    assert_eq!(world.told(), expected);
}

#[tokio::test]
async fn a_new_card_waits_for_the_attempt_that_will_use_it() {
    let mut world = world(long_grace()).await;
    world.decline("in_1", "expired_card").await;
    world.fail("in_1", json!({"next_payment_attempt": START + 5 * DAY})).await;
    world.until(24).await;
    let card = json!({"id": "pm_new", "object": "payment_method", "type": "card",
        "customer": "cus_1", "created": START + DAY, "card": {"brand": "visa", "last4": "4242",
        "exp_month": 1, "exp_year": 2035}});
    world.tell("payment_method.attached", &card).await;
    world.until(8 * 24).await;
    let expected = lines(&[(0, "payment_failed 1"), (168, "payment_reminder 2")]);
    assert_eq!(world.told(), expected, "the attempt of day 5 did not come");
}

#[tokio::test]
async fn a_card_that_may_be_stolen_is_not_pressed_for() {
    let mut world = world(Policy::default()).await;
    world.decline("in_1", "stolen_card").await;
    world.fail("in_1", json!({})).await;
    world.until(30 * 24).await;
    assert_eq!(world.told(), lines(&[(0, "payment_failed 1"), (24, "payment_final_notice")]));
}

#[tokio::test]
async fn several_open_invoices_are_one_mail_that_names_the_sum() {
    let mut world = world(long_grace()).await;
    world.fail("in_1", json!({})).await;
    world.until(5).await;
    world.fail("in_2", json!({"amount_remaining": 500})).await;
    world.until(8 * 24).await;
    let dunning = |world: &World| -> Vec<_> {
        let told = world.mail.told.lock().unwrap();
        let line = |(hours, it): &(i64, Notification)| {
            (*hours, it.notice.object.as_ref().unwrap().id.clone(), it.details.total.clone())
        };
        let all = told.iter().filter(|(_, it)| it.notice.kind.as_str() == "payment_reminder");
        all.map(line).collect()
    };
    let sum = Some(Money { amount: 2_400, currency: "usd".to_owned() });
    let expected = [(72, "in_1".to_owned(), sum.clone()), (168, "in_1".to_owned(), sum)];
    assert_eq!(dunning(&world), expected);
    // The oldest is paid, and the other speaks for itself.
    let paid = json!({"amount_paid": 1_900, "amount_remaining": 0, "status_transitions":
        {"paid_at": world.clock.now().timestamp()}});
    world.tell("invoice.paid", &invoice("in_1", "paid", &paid)).await;
    world.until(20 * 24).await;
    assert_eq!(dunning(&world)[2..], [(293, "in_2".to_owned(), None)]);
}

#[tokio::test]
async fn the_first_invoice_of_a_subscription_and_a_policy_without_dunning_have_none() {
    let mut first = world(long_grace()).await;
    first.fail("in_1", json!({"billing_reason": "subscription_create"})).await;
    first.until(30 * 24).await;
    assert_eq!((first.told(), first.cases().await), (vec![], vec![]));
    let mut off = world(Policy { dunning: Dunning::Off, ..Policy::default() }).await;
    off.fail("in_1", json!({})).await;
    off.until(30 * 24).await;
    assert_eq!(off.told(), lines(&[(0, "payment_failed 1")]));
    assert_eq!(off.cases().await[0].steps, []);
}

#[tokio::test]
async fn a_short_grace_leaves_the_last_word_to_the_first() {
    for (hours, word) in [(0, None), (24, None), (31, None), (32, Some(20)), (72, Some(24))] {
        let grace = TimeDelta::hours(hours);
        let mut world = world(Policy { past_due_grace: grace, ..Policy::default() }).await;
        world.fail("in_1", json!({})).await;
        world.until(71).await;
        let words = world.told();
        let told = words.iter().find(|(_, name)| name == "payment_final_notice");
        assert_eq!(told.map(|(at, _)| *at), word, "{hours}");
    }
}

#[tokio::test]
async fn operators_see_each_case_once_and_what_they_come_to() {
    let mut world = world(long_grace()).await;
    for (id, code) in
        [("in_1", "insufficient_funds"), ("in_2", "lost_card"), ("in_3", "expired_card")]
    {
        world.decline(id, code).await;
        world.fail(id, json!({})).await;
        world.until((world.clock.now().timestamp() - START) / HOUR + 1).await;
    }
    world.fail("in_1", json!({"attempt_count": 2})).await;
    let paid = json!({"amount_paid": 1_900, "amount_remaining": 0,
        "status_transitions": {"paid_at": START + 100 * HOUR}});
    world.until(100).await;
    world.tell("invoice.paid", &invoice("in_1", "paid", &paid)).await;
    world.tell("invoice.voided", &invoice("in_3", "void", &json!({}))).await;

    // One event a page: every case exactly once, whatever page it falls on.
    let (mut after, mut seen) = (None, Vec::new());
    loop {
        let page = world.billing.dunning(after, 1).await.unwrap();
        seen.extend(page.cases.into_iter().map(|it| (it.case.invoice, it.account)));
        after = page.next;
        if after.is_none() {
            break;
        }
    }
    let acme = || Some("acme".to_owned());
    let expected = [("in_1", acme()), ("in_3", acme()), ("in_2", acme())];
    assert_eq!(seen, expected.map(|(id, account)| (id.to_owned(), account)));

    let figures = world.billing.dunning_figures(at(START)).await.unwrap();
    assert!(figures.complete);
    let rows: Vec<_> = figures
        .figures
        .iter()
        .map(|it| (it.class, it.step, it.at_risk, it.recovered, it.lost))
        .collect();
    let expected = [
        (DeclineClass::Soft, 1, 0, 1_900, 0),
        (DeclineClass::Hard, 1, 0, 0, 1_900),
        (DeclineClass::Fraud, 0, 1_900, 0, 0),
    ];
    assert_eq!(rows, expected);
    assert_eq!(figures.figures[0].recovery_seconds, 100 * HOUR);
    let none = world.billing.dunning_figures(at(START + DAY * 30)).await.unwrap();
    assert_eq!(none.figures, []);
}

fn dispute(status: &str, evidence: bool) -> Value {
    json!({"id": "dp_1", "object": "dispute", "charge": "ch_1", "payment_intent": "pi_1",
        "amount": 1_900, "currency": "usd", "status": status, "reason": "fraudulent",
        "evidence_details": {"due_by": START + 10 * DAY, "has_evidence": evidence,
            "past_due": false, "submission_count": i64::from(evidence)}})
}

#[tokio::test]
async fn evidence_is_asked_for_three_days_and_one_day_before_it_is_due() {
    let deadlines = |world: &World| -> Vec<_> {
        let told = world.told();
        told.into_iter().filter(|line| line.1.starts_with("dispute_deadline")).collect()
    };
    let first = (7 * 24, "dispute_deadline dp_1");
    let last = (9 * 24, "dispute_deadline dp_1:last");
    let mut patient = world(Policy::default()).await;
    patient.tell("charge.dispute.created", &dispute("needs_response", false)).await;
    patient.until(12 * 24).await;
    assert_eq!(deadlines(&patient), lines(&[first, last]));
    let told = patient.mail.told.lock().unwrap().clone();
    let (_, reminder) = told.iter().rfind(|(_, it)| it.notice.detail.ends_with("last")).unwrap();
    assert_eq!(reminder.notice.dispute(), Some("dp_1"));
    assert_eq!(reminder.details.deadline, Some(START + 10 * DAY));

    // Handed in after the first word.
    let mut quick = world(Policy::default()).await;
    quick.tell("charge.dispute.created", &dispute("needs_response", false)).await;
    quick.until(8 * 24).await;
    quick.tell("charge.dispute.updated", &dispute("under_review", true)).await;
    quick.until(12 * 24).await;
    assert_eq!(deadlines(&quick), lines(&[first]));

    // Known, or awake, too late for the first word.
    let mut late = world(Policy::default()).await;
    late.sleep_until(9 * 24 + 5);
    late.tell("charge.dispute.created", &dispute("needs_response", false)).await;
    let mut asleep = world(Policy::default()).await;
    asleep.tell("charge.dispute.created", &dispute("needs_response", false)).await;
    asleep.sleep_until(9 * 24 + 5);
    asleep.work().await;
    for world in [late, asleep] {
        world.until(12 * 24).await;
        assert_eq!(deadlines(&world), lines(&[(9 * 24 + 5, "dispute_deadline dp_1:last")]));
    }
}

#[test]
fn codes_have_one_class_and_the_copy_follows_it() {
    for (code, class, hard) in [
        ("insufficient_funds", DeclineClass::Soft, false),
        ("a_code_of_tomorrow", DeclineClass::Soft, false),
        ("expired_card", DeclineClass::Hard, true),
        ("authentication_required", DeclineClass::Authentication, false),
        ("stolen_card", DeclineClass::Fraud, true),
    ] {
        let decline = Decline::of(code);
        assert_eq!((decline.class, decline.hard), (class, hard), "{code}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    /// Whatever fails and is paid when, with whatever outages: no two reminders, and no reminder after
    /// the word of a failed attempt, within 20 hours; none twice; none after the payment.
    #[test]
    fn a_customer_is_never_crowded(
        failures in prop::collection::vec((0_i64..400, 0_usize..3, any::<bool>()), 1..8),
        outages in prop::collection::vec((0_i64..500, 1_i64..120), 0..3),
        grace in 0_i64..20,
    ) {
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        runtime.block_on(async {
            let mut world =
                world(Policy { past_due_grace: TimeDelta::days(grace), ..Policy::default() }).await;
            let mut failures = failures;
            failures.sort_unstable();
            let (mut attempts, mut paid) = ([0; 3], [None; 3]);
            let mut hour = 0;
            while hour < 700 {
                let down = outages.iter().find(|(from, length)| (*from..from + length).contains(&hour));
                if let Some((from, length)) = down {
                    hour = from + length;
                }
                world.sleep_until(hour);
                world.work().await;
                for (at, which, pays) in failures.clone() {
                    if at > hour || paid[which].is_some() {
                        continue;
                    }
                    let id = format!("in_{which}");
                    if pays && attempts[which] > 0 {
                        let patch = json!({"amount_paid": 1_900, "amount_remaining": 0,
                            "status_transitions": {"paid_at": START + hour * HOUR}});
                        world.tell("invoice.paid", &invoice(&id, "paid", &patch)).await;
                        paid[which] = Some(hour);
                    } else {
                        attempts[which] += 1;
                        world.fail(&id, json!({"attempt_count": attempts[which]})).await;
                    }
                }
                failures.retain(|(at, ..)| *at > hour);
                hour += 1;
            }
            let told = world.mail.told.lock().unwrap().clone();
            let mut keys = std::collections::BTreeSet::new();
            let mut last = None;
            for (hours, it) in &told {
                let kind = it.notice.kind.as_str();
                if !matches!(kind, "payment_failed" | "payment_reminder" | "payment_final_notice") {
                    continue;
                }
                assert!(keys.insert(it.key.clone()), "{} twice", it.key);
                if kind != "payment_failed" {
                    assert!(last.is_none_or(|last| hours - last >= 20), "{told:#?}");
                    let id = &it.notice.object.as_ref().unwrap().id;
                    let which: usize = id.trim_start_matches("in_").parse().unwrap();
                    assert!(paid[which].is_none_or(|paid| *hours <= paid), "{id} was paid");
                }
                last = Some(*hours);
            }
        });
    }
}

fn customer(zone: &str) -> Value {
    json!({"id": "cus_1", "object": "customer", "metadata": {"account": "acme", "time_zone": zone}})
}

#[tokio::test]
async fn reminders_wait_for_the_day_where_the_customer_is() {
    // The first attempt fails at 22:13 UTC.
    let table = [
        ("Europe/Berlin", DunningHours::Daytime, 81),
        ("America/New_York", DunningHours::Daytime, 72),
        ("Mars/Olympus", DunningHours::Daytime, 72),
        ("", DunningHours::Daytime, 72),
        ("Europe/Berlin", DunningHours::Any, 72),
    ];
    for (zone, dunning_hours, hour) in table {
        let mut world = world(Policy { dunning_hours, ..Policy::default() }).await;
        world.tell("customer.updated", &customer(zone)).await;
        world.fail("in_1", json!({})).await;
        world.until(4 * 24).await;
        // What failed, and that access ends, is told by night as well.
        let expected = lines(&[
            (0, "payment_failed 1"),
            (24, "payment_final_notice"),
            (hour, "payment_reminder 1"),
        ]);
        assert_eq!(world.told(), expected, "{zone} {dunning_hours}");
    }
}

#[tokio::test]
async fn what_comes_late_by_night_waits_for_the_morning() {
    let mut world = world(long_grace()).await;
    world.tell("customer.updated", &customer("America/New_York")).await;
    world.fail("in_1", json!({})).await;
    // 22:13 in New York.
    world.sleep_until(3 * 24 + 5);
    world.work().await;
    assert_eq!(world.told().len(), 1);
    world.until(4 * 24).await;
    assert_eq!(world.told(), lines(&[(0, "payment_failed 1"), (87, "payment_reminder 1")]));
}

#[tokio::test]
async fn no_reminder_waits_past_what_follows_it() {
    let policy = Policy {
        dunning_days: vec![1],
        past_due_grace: TimeDelta::hours(46 + 48),
        ..Policy::default()
    };
    let mut world = world(policy).await;
    world.tell("customer.updated", &customer("Europe/Berlin")).await;
    world.fail("in_1", json!({})).await;
    world.until(4 * 24).await;
    let expected =
        lines(&[(0, "payment_failed 1"), (24, "payment_reminder 1"), (46, "payment_final_notice")]);
    assert_eq!(world.told(), expected);
}

#[tokio::test]
async fn a_payment_is_put_down_to_a_mail_only_with_a_new_payment_method() {
    let hours = |hours: i64| START + hours * HOUR;
    let table = [
        (None, Recovery::Retry),
        (Some(hours(-1)), Recovery::Retry),
        (Some(hours(0)), Recovery::Retry),
        (Some(hours(5)), Recovery::Email),
        (Some(hours(49)), Recovery::Retry),
    ];
    for (created, expected) in table {
        let mut world = world(long_grace()).await;
        world.fail("in_1", json!({})).await;
        world.until(50).await;
        if let Some(created) = created {
            let card = json!({"id": "pm_new", "object": "payment_method", "type": "card",
                "customer": "cus_1", "created": created, "card": {"last4": "4242"}});
            world.tell("payment_method.attached", &card).await;
        }
        assert_eq!(world.cases().await[0].recovered_by, None, "it is not paid");
        let paid = json!({"amount_paid": 1_900, "amount_remaining": 0,
            "status_transitions": {"paid_at": hours(48)}});
        world.tell("invoice.paid", &invoice("in_1", "paid", &paid)).await;
        let case = world.cases().await.remove(0);
        assert_eq!(case.recovered_by, Some(expected), "{created:?}");
        let figures = world.billing.dunning_figures(at(START)).await.unwrap().figures;
        let by_email = u64::from(expected == Recovery::Email);
        let figure = &figures[0];
        assert_eq!((figure.recovered_cases, figure.recovered_by_email_cases), (1, by_email));
        let amount = if by_email == 1 { 1_900 } else { 0 };
        assert_eq!((figure.recovered, figure.recovered_by_email), (1_900, amount));
    }
}
