//! Access over time: a table of situations, each with what holds and when that changes.

use chrono::{DateTime, Utc};
use serde_json::{Value, json};
use stripe_billing_core::catalog::{Catalog, Plan, PlanPrice, Policy};
use stripe_billing_core::state::{Patch, State, Subject};
use stripe_billing_core::stripe::Event;
use stripe_billing_core::{Access, SubjectKey, Tenant};

const START: i64 = 1_700_000_000;
const DAY: i64 = 86_400;
const END: i64 = START + 30 * DAY;

fn at(seconds: i64) -> DateTime<Utc> {
    DateTime::from_timestamp(seconds, 0).expect("a time of the test")
}

fn catalog() -> Catalog {
    let monthly = PlanPrice::new("price_pro");
    let yearly = PlanPrice::new("price_pro_year").feature("priority_support");
    let pro = Plan::new("pro").feature("export").limit("projects", 20).price(monthly).price(yearly);
    let team = Plan::new("team")
        .feature("seats")
        .limit("projects", 50)
        .price(PlanPrice::new("price_team"));
    let policy = Policy { past_due_grace: chrono::TimeDelta::days(3), ..Policy::default() };
    Catalog::builder().plan(pro).plan(team).policy(policy).build().expect("the test's catalog")
}

fn apply(subject: &mut Subject, kind: &str, created: i64, object: &Value) {
    let body = json!({"id": "evt_1", "object": "event", "type": kind, "created": created,
        "livemode": false, "data": {"object": object}});
    let event = Event::parse(body.to_string().as_bytes()).expect("the test's own event");
    let patch = Patch::of(&event, catalog().link()).expect("a kind that is kept");
    patch.records.iter().for_each(|record| subject.merge(record));
}

fn subscription(id: &str, price: &str, patch: &Value) -> Value {
    let mut object = json!({"id": id, "object": "subscription", "customer": "cus_1",
        "status": "active", "items": {"data": [{"id": "si_1", "price": {"id": price,
            "recurring": {"interval": "month"}}, "quantity": 1,
            "current_period_start": START, "current_period_end": END}]}});
    for (key, value) in patch.as_object().expect("an object") {
        object[key] = value.clone();
    }
    object
}

fn with(patch: &Value) -> Subject {
    let key = SubjectKey { tenant: Tenant::platform(false), id: "cus_1".into() };
    let mut subject = Subject::new(key);
    let object = subscription("sub_1", "price_pro", patch);
    apply(&mut subject, "customer.subscription.updated", START, &object);
    subject
}

fn evaluate(subject: &Subject, now: i64) -> Access {
    Access::evaluate(std::slice::from_ref(subject), &catalog(), at(now))
}

#[test]
fn nobody_is_without_a_subscription_and_may_buy_one() {
    let access = Access::evaluate(&[], &catalog(), at(START));
    assert_eq!(access.state, State::NoSubscription);
    assert!(!access.access && access.can_purchase && access.can_use_credits);
    assert_eq!(access.valid_until, None);
}

#[test]
fn an_active_plan_gives_its_features_and_limits() {
    let access = evaluate(&with(&json!({})), START);
    assert_eq!(access.state, State::Active);
    assert!(access.access && access.allows("export") && !access.allows("seats"));
    assert_eq!(access.limit("projects"), Some(20));
    assert!(!access.can_purchase && access.can_use_credits);
}

#[test]
fn statuses_and_what_they_allow() {
    let table = [
        ("trialing", State::Trialing, true, false, true),
        ("active", State::Active, true, false, true),
        ("unpaid", State::Unpaid, false, false, false),
        ("paused", State::Paused, false, false, false),
        ("incomplete", State::Incomplete, false, true, true),
        ("incomplete_expired", State::Expired, false, true, true),
        ("canceled", State::Canceled, false, true, true),
        ("a_status_of_tomorrow", State::Unpaid, false, true, true),
    ];
    for (status, state, allowed, can_purchase, can_use_credits) in table {
        let access = evaluate(&with(&json!({"status": status})), START + DAY);
        assert_eq!(access.state, state, "{status}");
        assert_eq!(access.access, allowed, "{status}");
        assert_eq!(access.can_purchase, can_purchase, "{status}");
        assert_eq!(access.can_use_credits, can_use_credits, "{status}");
    }
}

#[test]
fn grace_runs_from_the_first_failed_attempt_of_the_oldest_unpaid_invoice() {
    let mut subject = with(&json!({"status": "past_due"}));
    let failed = START + 3_600;
    let invoice = |id: &str, created: i64, attempts: i64| {
        json!({"id": id, "object": "invoice", "customer": "cus_1", "status": "open",
            "created": created, "attempt_count": attempts, "billing_reason": "subscription_cycle",
            "parent": {"subscription_details": {"subscription": "sub_1"}}})
    };
    apply(&mut subject, "invoice.payment_failed", failed + 3 * DAY, &invoice("in_1", START, 2));
    apply(&mut subject, "invoice.payment_failed", failed, &invoice("in_1", START, 1));
    apply(&mut subject, "invoice.payment_failed", failed + 9 * DAY, &invoice("in_2", START + 9, 1));
    let end = failed + 3 * DAY;

    let before = evaluate(&subject, end - 1);
    assert!(before.access && before.can_use_credits && !before.can_purchase);
    assert_eq!(before.subscriptions[0].grace_until, Some(end));
    assert_eq!(before.valid_until, Some(end));
    assert!(before.is_valid_at(at(end - 1)) && !before.is_valid_at(at(end)));

    let after = evaluate(&subject, end);
    assert_eq!(after.state, State::PastDue);
    assert!(!after.access && !after.can_use_credits && !after.can_purchase);
    assert_eq!(after.valid_until, None);
}

#[test]
fn grace_without_a_seen_failure_runs_from_the_unpaid_period() {
    let access = evaluate(&with(&json!({"status": "past_due"})), START + 2 * DAY);
    assert_eq!(access.subscriptions[0].grace_until, Some(START + 3 * DAY));
    assert!(access.access);
}

#[test]
fn a_paid_invoice_no_longer_counts_for_grace() {
    let mut subject = with(&json!({"status": "past_due"}));
    let invoice = |status: &str| {
        json!({"id": "in_1", "object": "invoice", "customer": "cus_1", "status": status,
            "created": START, "attempt_count": 1,
            "parent": {"subscription_details": {"subscription": "sub_1"}}})
    };
    apply(&mut subject, "invoice.payment_failed", START + 60, &invoice("open"));
    apply(&mut subject, "invoice.paid", START + 120, &invoice("paid"));
    assert_eq!(evaluate(&subject, START).subscriptions[0].grace_until, Some(START + 3 * DAY));
}

#[test]
fn a_cancellation_in_either_spelling_keeps_what_was_paid_for() {
    let middle = START + 10 * DAY;
    for (patch, end) in [
        (json!({"cancel_at_period_end": true}), END),
        (json!({"cancel_at": middle}), middle),
        (json!({"cancel_at_period_end": true, "cancel_at": END, "canceled_at": START}), END),
    ] {
        let before = evaluate(&with(&patch), end - 1);
        assert_eq!(before.state, State::Canceled, "{patch}");
        assert!(before.access && before.allows("export") && !before.can_purchase, "{patch}");
        assert_eq!(before.valid_until, Some(end), "{patch}");
        assert!(before.subscriptions[0].will_cancel);
        let after = evaluate(&with(&patch), end);
        assert!(!after.access && after.can_purchase, "{patch}");
    }
}

#[test]
fn a_collection_pause_keeps_access_and_a_pause_does_not() {
    let collection = json!({"pause_collection": {"behavior": "void", "resumes_at": null}});
    assert!(evaluate(&with(&collection), START).access);
    assert!(!evaluate(&with(&json!({"status": "paused"})), START).access);
}

#[test]
fn a_renewal_is_active_before_the_money_moved() {
    let access = evaluate(&with(&json!({})), END + 1);
    assert!(access.access, "Stripe says active; the invoice decides later");
}

#[test]
fn several_subscriptions_add_up_and_the_best_names_the_state() {
    let mut subject = with(&json!({"status": "unpaid"}));
    let team = subscription("sub_2", "price_team", &json!({}));
    apply(&mut subject, "customer.subscription.created", START, &team);
    let yearly = subscription("sub_3", "price_pro_year", &json!({}));
    apply(&mut subject, "customer.subscription.created", START, &yearly);
    let access = evaluate(&subject, START);
    assert_eq!(access.state, State::Active);
    assert_eq!(access.limit("projects"), Some(50));
    let features: Vec<&str> = access.features.iter().map(String::as_str).collect();
    assert_eq!(features, ["export", "priority_support", "seats"]);
    assert_eq!(access.subscriptions.len(), 3);
    assert_eq!(access.subscriptions[2].state, State::Unpaid);
}

#[test]
fn a_subscription_to_something_else_gives_nothing_and_blocks_nothing() {
    let key = SubjectKey { tenant: Tenant::platform(false), id: "cus_1".into() };
    let mut subject = Subject::new(key);
    let newsletter = subscription("sub_9", "price_newsletter", &json!({}));
    apply(&mut subject, "customer.subscription.created", START, &newsletter);
    let access = evaluate(&subject, START);
    assert!(!access.access && access.can_purchase && access.features.is_empty());
    assert_eq!(access.subscriptions.len(), 1);
}
