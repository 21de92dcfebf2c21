//! Rules against fraud: what is counted, and from which number on they review and deny.

use chrono::{DateTime, TimeDelta};
use serde_json::{Value, json};
use stripe_billing_core::catalog::Catalog;
use stripe_billing_core::fraud::{FraudRule, History, StandardRules, Verdict};
use stripe_billing_core::state::{Patch, Subject};
use stripe_billing_core::stripe::Event;
use stripe_billing_core::{SubjectKey, Tenant};

const NOW: i64 = 1_700_000_000;
const HOUR: i64 = 3_600;

fn with(objects: &[(&str, Value)]) -> Vec<Subject> {
    let key = SubjectKey { tenant: Tenant::platform(false), id: "cus_1".into() };
    let mut subject = Subject::new(key);
    for (kind, object) in objects {
        let body = json!({"id": "evt_1", "object": "event", "type": kind,
            "created": object["failed_at"].as_i64().unwrap_or(NOW),
            "livemode": false, "data": {"object": object}});
        let event = Event::parse(body.to_string().as_bytes()).expect("the test's own event");
        let patch = Patch::of(&event, Catalog::default().link()).expect("a kind that is kept");
        patch.records.iter().for_each(|record| subject.merge(record));
    }
    vec![subject]
}

fn verdict(objects: &[(&str, Value)]) -> Verdict {
    let now = DateTime::from_timestamp(NOW, 0).expect("a time");
    let (now, subjects) = (now, with(objects));
    StandardRules::default().judge(&History::new(&subjects, now))
}

fn declined(number: usize, created: i64) -> (&'static str, Value) {
    let object = json!({"id": format!("pi_{number}"), "object": "payment_intent",
        "customer": "cus_1", "amount": 1_900, "status": "requires_payment_method",
        "last_payment_error": {"code": "card_declined", "decline_code": "generic_decline"},
        "failed_at": created});
    ("payment_intent.payment_failed", object)
}

fn dispute(number: usize, status: &str, created: i64) -> (&'static str, Value) {
    let object = json!({"id": format!("dp_{number}"), "object": "dispute",
        "charge": format!("ch_{number}"), "payment_intent": format!("pi_{number}"),
        "amount": 1_900, "currency": "usd", "status": status, "created": created});
    ("charge.dispute.created", object)
}

fn warning(number: usize, actionable: bool) -> (&'static str, Value) {
    let object = json!({"id": format!("issfr_{number}"), "object": "radar.early_fraud_warning",
        "charge": format!("ch_{number}"), "payment_intent": format!("pi_{number}"),
        "actionable": actionable, "fraud_type": "misc", "created": NOW});
    ("radar.early_fraud_warning.created", object)
}

fn session(number: usize) -> (&'static str, Value) {
    let object = json!({"id": format!("cs_{number}"), "object": "checkout.session",
        "mode": "payment", "status": "expired", "customer": "cus_1", "created": NOW - 60});
    ("checkout.session.expired", object)
}

#[test]
fn declines_within_the_hour_are_reviewed_and_then_denied() {
    let lately = |count| (0..count).map(|n| declined(n, NOW - 60)).collect::<Vec<_>>();
    assert_eq!(verdict(&lately(4)), Verdict::Allow);
    assert_eq!(verdict(&lately(5)), Verdict::Review("declines"));
    assert_eq!(verdict(&lately(10)), Verdict::Deny("declines"));
    let long_ago: Vec<_> = (0..20).map(|n| declined(n, NOW - HOUR)).collect();
    assert_eq!(verdict(&long_ago), Verdict::Allow);
    let paid = |n| {
        let (_, mut object) = declined(n, NOW - 60);
        object["status"] = json!("succeeded");
        ("payment_intent.succeeded", object)
    };
    assert_eq!(verdict(&(0..20).map(paid).collect::<Vec<_>>()), Verdict::Allow);
}

#[test]
fn checkouts_warnings_and_disputes_count_by_what_they_are() {
    let sessions: Vec<_> = (0..20).map(session).collect();
    assert_eq!(verdict(&sessions[..9]), Verdict::Allow);
    assert_eq!(verdict(&sessions[..10]), Verdict::Review("checkouts"));
    assert_eq!(verdict(&sessions), Verdict::Deny("checkouts"));

    assert_eq!(verdict(&[warning(1, false), warning(2, false)]), Verdict::Allow);
    assert_eq!(verdict(&[warning(1, true)]), Verdict::Review("fraud_warnings"));
    assert_eq!(verdict(&[warning(1, true), warning(2, true)]), Verdict::Deny("fraud_warnings"));

    let year = 366 * 24 * HOUR;
    for harmless in ["won", "warning_needs_response", "prevented"] {
        let two = [dispute(1, harmless, NOW), dispute(2, harmless, NOW)];
        assert_eq!(verdict(&two), Verdict::Allow, "{harmless}");
    }
    let (open, lost) = (dispute(1, "needs_response", NOW), dispute(2, "lost", NOW));
    assert_eq!(verdict(std::slice::from_ref(&open)), Verdict::Review("disputes"));
    assert_eq!(verdict(&[open.clone(), lost]), Verdict::Deny("disputes"));
    assert_eq!(verdict(&[open, dispute(2, "lost", NOW - year)]), Verdict::Review("disputes"));
}

#[test]
fn the_strictest_of_all_holds_and_nothing_speaks_against_a_stranger() {
    let mut all: Vec<_> = (0..10).map(|n| declined(n, NOW - 60)).collect();
    all.push(warning(1, true));
    assert_eq!(verdict(&all), Verdict::Deny("declines"));
    assert_eq!(verdict(&[]), Verdict::Allow);
    let history = with(&[declined(1, NOW - 60)]);
    let now = DateTime::from_timestamp(NOW, 0).expect("a time");
    assert_eq!(History::new(&history, now).declines(TimeDelta::seconds(30)), 0);
}
