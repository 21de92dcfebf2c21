//! The merge's laws: whatever the order and however often events come, one state.

use proptest::prelude::*;
use serde_json::{Value, json};
use stripe_billing_core::catalog::Link;
use stripe_billing_core::state::{Links, Patch, Record, Subject};
use stripe_billing_core::stripe::Event;
use stripe_billing_core::{SubjectKey, Tenant};

fn event(kind: &str, created: i64, object: &Value, previous: Option<&Value>) -> Event {
    let mut data = json!({"object": object});
    if let Some(previous) = previous {
        data["previous_attributes"] = previous.clone();
    }
    let body = json!({"id": "evt_1", "object": "event", "type": kind, "created": created,
        "livemode": false, "data": data});
    Event::parse(body.to_string().as_bytes()).expect("the test's own event")
}

fn patch(event: &Event) -> Patch {
    Patch::of(event, &Link::default()).expect("a kind that is kept")
}

fn subject(patches: &[Patch]) -> (Vec<Record>, Links) {
    let key = SubjectKey { tenant: Tenant::platform(false), id: "cus_1".into() };
    let mut subject = Subject::new(key);
    for patch in patches {
        for record in &patch.records {
            subject.merge(record);
        }
        subject.links.merge(&patch.links);
    }
    (subject.records.into_values().collect(), subject.links)
}

const STATUSES: [&str; 9] = [
    "incomplete",
    "trialing",
    "active",
    "past_due",
    "unpaid",
    "paused",
    "canceled",
    "incomplete_expired",
    "brand_new_status",
];

prop_compose! {
    /// Few seconds and few values, so that ties and equal snapshots are common.
    fn subscription_event()(
        second in 100i64..104, status in 0usize..9, was in prop::option::of(0usize..9),
        cancel in any::<bool>(), period in 0i64..3, kind in 0usize..4, account in 0usize..3,
    ) -> Event {
        let kinds = ["created", "updated", "deleted", "trial_will_end"];
        let object = json!({"id": "sub_1", "object": "subscription", "customer": "cus_1",
            "status": STATUSES[status], "cancel_at_period_end": cancel,
            "metadata": if account == 0 { json!({}) } else { json!({"account": format!("a{account}")}) },
            "items": {"data": [{"id": "si_1", "price": {"id": "price_1"}, "quantity": 1,
                "current_period_start": 1_000 + period, "current_period_end": 2_000 + period}]}});
        let previous = was.map(|was| json!({"status": STATUSES[was]}));
        let name = format!("customer.subscription.{}", kinds[kind]);
        event(&name, second, &object, previous.as_ref())
    }
}

prop_compose! {
    fn invoice_event()(
        second in 100i64..104, status in 0usize..5, attempts in 0i64..4, failed in any::<bool>(),
        number in 0usize..2, end in 2_000i64..2_003,
    ) -> Event {
        let statuses = ["draft", "open", "paid", "uncollectible", "void"];
        let object = json!({"id": format!("in_{number}"), "object": "invoice", "customer": "cus_1",
            "status": statuses[status], "attempt_count": attempts, "created": 50 + second % 2,
            "parent": {"subscription_details": {"subscription": "sub_1"}},
            "lines": {"data": [{"id": "il_1", "period": {"start": 1_000, "end": end}}]}});
        let name = if failed { "invoice.payment_failed" } else { "invoice.updated" };
        event(name, second, &object, None)
    }
}

prop_compose! {
    fn other_event()(
        second in 100i64..104, status in 0usize..3, paid in any::<bool>(), session in any::<bool>(),
        account in 0usize..3, deleted in any::<bool>(),
    ) -> Event {
        if session {
            let statuses = ["open", "complete", "expired"];
            let object = json!({"id": "cs_1", "object": "checkout.session", "customer": "cus_1",
                "status": statuses[status], "payment_status": if paid { "paid" } else { "unpaid" },
                "client_reference_id": format!("a{account}")});
            event("checkout.session.completed", second, &object, None)
        } else {
            let object = json!({"id": "cus_1", "object": "customer", "deleted": deleted,
                "metadata": {"account": format!("a{account}")}});
            event(if deleted { "customer.deleted" } else { "customer.updated" }, second, &object, None)
        }
    }
}

prop_compose! {
    /// All that is told of one payment: its intent, charge, refunds, disputes and warnings.
    fn payment_event()(
        second in 100i64..103, what in 0usize..6, status in 0usize..5, refunded in 0i64..3,
        number in 0usize..2, was in prop::option::of(0usize..5),
    ) -> Event {
        let refunds = ["pending", "succeeded", "failed", "canceled", "requires_action"];
        let disputes = ["warning_needs_response", "needs_response", "lost", "won",
            "appeal_under_review"];
        let intents = ["requires_action", "processing", "succeeded", "canceled",
            "requires_payment_method"];
        let previous = |words: [&str; 5]| was.map(|was| json!({"status": words[was]}));
        let ids = json!({"charge": "ch_1", "payment_intent": "pi_1", "amount": 500});
        let with = |mut object: Value| {
            for (key, value) in ids.as_object().into_iter().flatten() {
                object[key] = value.clone();
            }
            object
        };
        match what {
            0 => event("charge.refunded", second, &json!({"id": "ch_1", "object": "charge",
                "payment_intent": "pi_1", "customer": "cus_1", "status": "succeeded",
                "amount": 1_000, "amount_refunded": refunded * 500}), None),
            1 => event("payment_intent.succeeded", second, &json!({"id": "pi_1",
                "object": "payment_intent", "customer": "cus_1", "status": intents[status]}),
                previous(intents).as_ref()),
            2 => event("charge.dispute.updated", second, &with(json!({"id": format!("dp_{number}"),
                "object": "dispute", "status": disputes[status]})), previous(disputes).as_ref()),
            3 => event("radar.early_fraud_warning.updated", second, &with(json!({"id": "issfr_1",
                "object": "radar.early_fraud_warning", "actionable": number == 0})), None),
            4 => event("invoice_payment.paid", second, &json!({"object": "invoice_payment",
                "id": "inpay_1", "invoice": format!("in_{number}"), "status": "paid",
                "payment": {"type": "payment_intent", "payment_intent": "pi_1"}}), None),
            _ => event("refund.updated", second, &with(json!({"id": format!("re_{number}"),
                "object": "refund", "status": refunds[status]})), previous(refunds).as_ref()),
        }
    }
}

prop_compose! {
    fn method_event()(
        second in 100i64..103, month in 1i64..4, kind in 0usize..4, features in 0usize..4,
    ) -> Event {
        let kinds = ["attached", "updated", "automatically_updated", "detached"];
        if features == 0 {
            let previous = json!({"customer": "cus_1"});
            let customer = if kind == 3 { Value::Null } else { json!("cus_1") };
            let object = json!({"id": "pm_1", "object": "payment_method", "type": "card",
                "customer": customer, "card": {"exp_month": month, "exp_year": 2030}});
            return event(&format!("payment_method.{}", kinds[kind]), second, &object,
                (kind == 3).then_some(&previous));
        }
        let data: Vec<Value> = (0..features)
            .map(|n| json!({"id": format!("ent_{n}"), "lookup_key": format!("feature_{}", n + kind)}))
            .collect();
        event("entitlements.active_entitlement_summary.updated", second, &json!({"customer": "cus_1",
            "object": "entitlements.active_entitlement_summary",
            "entitlements": {"object": "list", "data": data, "has_more": false}}), None)
    }
}

fn any_event() -> impl Strategy<Value = Event> {
    prop_oneof![4 => subscription_event(), 3 => invoice_event(), 2 => other_event(),
        3 => payment_event(), 1 => method_event()]
}

/// A record of one kind and id out of a few events.
fn record(events: impl Strategy<Value = Event>) -> impl Strategy<Value = Record> {
    prop::collection::vec(events, 1..5).prop_map(|events| {
        let mut records = events.iter().map(|event| patch(event).records[0].clone());
        let mut record = records.next().expect("at least one");
        for other in records.filter(|other| other.object() == record.object()).collect::<Vec<_>>() {
            record.merge(&other);
        }
        record
    })
}

fn merged(a: &Record, b: &Record) -> Record {
    let mut a = a.clone();
    a.merge(b);
    a
}

fn laws(a: &Record, b: &Record, c: &Record) -> Result<(), TestCaseError> {
    prop_assert_eq!(merged(a, a), a.clone(), "idempotent");
    if a.object() == b.object() {
        prop_assert_eq!(merged(a, b), merged(b, a), "commutative");
        if b.object() == c.object() {
            prop_assert_eq!(merged(&merged(a, b), c), merged(a, &merged(b, c)), "associative");
        }
    }
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(512))]

    #[test]
    fn subscriptions_merge_as_a_join(
        a in record(subscription_event()), b in record(subscription_event()),
        c in record(subscription_event()),
    ) {
        laws(&a, &b, &c)?;
    }

    #[test]
    fn invoices_merge_as_a_join(
        a in record(invoice_event()), b in record(invoice_event()), c in record(invoice_event()),
    ) {
        laws(&a, &b, &c)?;
    }

    #[test]
    fn customers_and_sessions_merge_as_a_join(
        a in record(other_event()), b in record(other_event()), c in record(other_event()),
    ) {
        laws(&a, &b, &c)?;
    }

    #[test]
    fn payments_merge_as_a_join(
        a in record(payment_event()), b in record(payment_event()), c in record(payment_event()),
    ) {
        laws(&a, &b, &c)?;
    }

    #[test]
    fn payment_methods_and_entitlements_merge_as_a_join(
        a in record(method_event()), b in record(method_event()), c in record(method_event()),
    ) {
        laws(&a, &b, &c)?;
    }

    #[test]
    fn any_order_and_any_repetition_end_in_one_state(
        (history, shuffled) in prop::collection::vec(any_event(), 1..12).prop_flat_map(|history| {
            let twice: Vec<Event> = history.iter().chain(&history).cloned().collect();
            (Just(history), Just(twice).prop_shuffle())
        }),
    ) {
        let in_order: Vec<Patch> = history.iter().map(patch).collect();
        let shuffled: Vec<Patch> = shuffled.iter().map(patch).collect();
        prop_assert_eq!(subject(&in_order), subject(&shuffled));
    }

    #[test]
    fn a_record_survives_its_json(record in record(any_event())) {
        let json = serde_json::to_string(&record).expect("records serialise");
        prop_assert_eq!(serde_json::from_str::<Record>(&json).expect("and back"), record);
    }
}

fn subscription(status: &str) -> Value {
    json!({"id": "sub_1", "object": "subscription", "customer": "cus_1", "status": status})
}

fn status_after(events: &[Event]) -> String {
    let patches: Vec<Patch> = events.iter().map(patch).collect();
    let (records, _) = subject(&patches);
    let [Record::Subscription(record)] = records.as_slice() else { panic!("one subscription") };
    record.latest().expect("a snapshot").status.as_str().to_owned()
}

fn both_orders(first: &Event, second: &Event, expected: &str) {
    assert_eq!(status_after(&[first.clone(), second.clone()]), expected);
    assert_eq!(status_after(&[second.clone(), first.clone()]), expected);
}

#[test]
fn created_incomplete_does_not_overwrite_updated_active_of_the_same_second() {
    let created = event("customer.subscription.created", 100, &subscription("incomplete"), None);
    let previous = json!({"status": "incomplete"});
    let updated =
        event("customer.subscription.updated", 100, &subscription("active"), Some(&previous));
    both_orders(&created, &updated, "active");
}

#[test]
fn previous_attributes_order_updates_of_one_second_against_progress() {
    // By progress alone past_due would win; the second update says that it came after.
    let previous = json!({"status": "trialing"});
    let failed =
        event("customer.subscription.updated", 100, &subscription("past_due"), Some(&previous));
    let recovered = event(
        "customer.subscription.updated",
        100,
        &subscription("active"),
        Some(&json!({"status": "past_due"})),
    );
    both_orders(&failed, &recovered, "active");
}

/// Tells events in every order and expects one status.
fn every_order(events: &[Event], expected: &str) {
    fn tell(told: &mut Vec<Event>, left: &[Event], expected: &str) {
        if left.is_empty() {
            assert_eq!(status_after(told), expected);
        }
        for (index, event) in left.iter().enumerate() {
            told.push(event.clone());
            let rest: Vec<Event> = [&left[..index], &left[index + 1..]].concat();
            tell(told, &rest, expected);
            told.pop();
        }
    }
    tell(&mut Vec::new(), events, expected);
}

fn step(second: i64, from: &str, to: &str) -> Event {
    let previous = json!({"status": from});
    event("customer.subscription.updated", second, &subscription(to), Some(&previous))
}

#[test]
fn a_circle_inside_one_second_ends_where_the_second_before_ended() {
    let (there, back) = (step(101, "active", "paused"), step(101, "paused", "active"));
    every_order(&[step(100, "trialing", "active"), there.clone(), back.clone()], "active");
    every_order(&[step(100, "trialing", "paused"), there, back], "paused");
}

#[test]
fn a_circle_inside_one_second_ends_where_the_object_was_created() {
    let created = event("customer.subscription.created", 100, &subscription("active"), None);
    let (there, back) = (step(100, "active", "past_due"), step(100, "past_due", "active"));
    every_order(&[created, there, back], "active");
}

#[test]
fn a_walk_inside_one_second_ends_in_the_state_entered_once_more_than_left() {
    let unchanged = event("customer.subscription.updated", 100, &subscription("past_due"), None);
    let mended = step(100, "past_due", "active");
    let (paused, resumed) = (step(100, "active", "paused"), step(100, "paused", "active"));
    every_order(&[unchanged, mended, paused, resumed], "active");
}

#[test]
fn a_circle_that_began_nobody_knows_where_ends_the_same_in_either_order() {
    both_orders(&step(100, "active", "past_due"), &step(100, "past_due", "active"), "past_due");
}

#[test]
fn a_late_update_does_not_resurrect_what_was_deleted() {
    let deleted = event("customer.subscription.deleted", 100, &subscription("canceled"), None);
    let updated = event("customer.subscription.updated", 101, &subscription("active"), None);
    both_orders(&deleted, &updated, "canceled");
}

#[test]
fn the_newer_second_wins() {
    let old = event("customer.subscription.updated", 100, &subscription("past_due"), None);
    let new = event("customer.subscription.updated", 101, &subscription("active"), None);
    both_orders(&old, &new, "active");
}
