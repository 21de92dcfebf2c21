use serde_json::{Value, json};

use super::*;
use crate::catalog::{Plan, PlanPrice};
use crate::keys::{SubjectKey, Tenant};
use crate::state::{LinkSource, Patch};
use crate::stripe::Event;

const START: i64 = 1_700_000_000;
const DAY: i64 = 86_400;

fn catalog() -> Catalog {
    let pro = Plan::new("pro").feature("export").price(PlanPrice::new("price_pro"));
    Catalog::builder().plan(pro).build().unwrap()
}

fn subject(id: &str, livemode: bool) -> Subject {
    Subject::new(SubjectKey { tenant: Tenant::platform(livemode), id: id.into() })
}

fn told(subject: &mut Subject, kind: &str, created: i64, object: &Value) {
    let body = json!({"id": "evt_1", "object": "event", "type": kind, "created": created,
        "livemode": false, "data": {"object": object}});
    let event = Event::parse(body.to_string().as_bytes()).unwrap();
    let patch = Patch::of(&event, catalog().link()).unwrap();
    patch.records.iter().for_each(|record| subject.merge(record));
    subject.links.merge(&patch.links);
}

fn view(subjects: &[Subject], at: i64) -> Value {
    let at = DateTime::from_timestamp(at, 0).unwrap();
    serde_json::to_value(CustomerView::of(
        subjects,
        &BTreeMap::new(),
        &BTreeMap::new(),
        &catalog(),
        at,
    ))
    .unwrap()
}

fn seen(subject: &Subject) -> Value {
    view(std::slice::from_ref(subject), START)
}

fn subscription(id: &str, created: i64, status: &str) -> Value {
    json!({"id": id, "object": "subscription", "customer": "cus_1", "status": status,
        "created": created, "items": {"data": [
            {"id": "si_1", "price": {"id": "price_pro"}, "quantity": 3,
                "current_period_start": START, "current_period_end": START + 30 * DAY},
            {"id": "si_2", "price": {"id": "price_metered"},
                "current_period_start": START, "current_period_end": START + 7 * DAY}]}})
}

fn charge(patch: &Value) -> Value {
    let mut charge = json!({"id": "ch_1", "object": "charge", "customer": "cus_1",
        "payment_intent": "pi_1", "amount": 1_000, "amount_captured": 1_000, "currency": "usd",
        "status": "succeeded", "created": START});
    for (key, value) in patch.as_object().unwrap() {
        charge[key] = value.clone();
    }
    charge
}

#[test]
fn nobody_is_an_empty_view_and_no_error() {
    let view = view(&[], START);
    assert_eq!((&view["known"], &view["account"]), (&json!(false), &Value::Null));
    assert_eq!((&view["state"], &view["access"]), (&json!("no_subscription"), &json!(false)));
    assert_eq!((&view["can_purchase"], &view["at"]), (&json!(true), &json!(START)));
    for list in [
        "subscriptions",
        "invoices",
        "payments",
        "disputes",
        "fraud_warnings",
        "checkout_sessions",
        "payment_methods",
        "entitlements",
        "features",
        "subjects",
    ] {
        assert_eq!(view[list], json!([]), "{list}");
    }
    assert_eq!((&view["credits"], &view["notifications"]), (&json!({}), &json!({})));
    assert_eq!((&view["customer"], &view["livemode"]), (&Value::Null, &Value::Null));
}

#[test]
fn a_subscription_shows_each_item_in_its_place() {
    let mut subject = subject("cus_1", false);
    let mut object = subscription("sub_1", START, "active");
    object["cancel_at"] = json!(START + 5 * DAY);
    object["pause_collection"] = json!({"behavior": "void", "resumes_at": null});
    told(&mut subject, "customer.subscription.created", START, &object);
    let view = seen(&subject);
    assert_eq!((&view["state"], &view["features"]), (&json!("canceled"), &json!(["export"])));
    let shown = &view["subscriptions"][0];
    assert_eq!(shown["status"], "active");
    assert_eq!(shown["prices"], json!(["price_pro", "price_metered"]));
    assert_eq!(shown["quantities"], json!([3, null]));
    assert_eq!(shown["period_start"], json!([START, START]));
    assert_eq!(shown["period_end"], json!([START + 30 * DAY, START + 7 * DAY]));
    assert_eq!(
        (&shown["will_cancel"], &shown["cancel_at_period_end"]),
        (&json!(true), &json!(false))
    );
    assert_eq!(
        (&shown["cancel_at"], &shown["ends_at"]),
        (&json!(START + 5 * DAY), &json!(START + 5 * DAY))
    );
    assert_eq!(shown["pause_collection"], json!({"behavior": "void", "resumes_at": null}));
    assert_eq!((&shown["plans"], &shown["access"]), (&json!(["pro"]), &json!(true)));
    for field in ["canceled_at", "ended_at", "trial_end", "latest_invoice", "paid_through"] {
        assert_eq!(shown.get(field), Some(&Value::Null), "{field} is there, and null");
    }
}

#[test]
fn lists_are_in_the_order_of_creation_whatever_the_order_of_arrival() {
    let subs = [("sub_b", START), ("sub_a", START), ("sub_c", START - DAY)];
    for order in [[0, 1, 2], [2, 1, 0], [1, 2, 0]] {
        let mut subject = subject("cus_1", false);
        for at in order {
            let object = subscription(subs[at].0, subs[at].1, "active");
            told(&mut subject, "customer.subscription.created", START, &object);
        }
        let view = seen(&subject);
        let ids: Vec<_> = (0..3).map(|at| view["subscriptions"][at]["id"].clone()).collect();
        assert_eq!(ids, ["sub_c", "sub_a", "sub_b"], "{order:?}");
    }
}

#[test]
fn the_clock_moves_access_and_nothing_else() {
    let mut subject = subject("cus_1", false);
    told(
        &mut subject,
        "customer.subscription.updated",
        START,
        &subscription("sub_1", START, "past_due"),
    );
    let invoice = json!({"id": "in_1", "object": "invoice", "customer": "cus_1", "status": "open",
        "subscription": "sub_1", "attempt_count": 1, "created": START, "charge": "ch_1",
        "payment_intent": "pi_1", "billing_reason": "subscription_cycle", "amount_due": 1_000});
    told(&mut subject, "invoice.payment_failed", START, &invoice);
    let subjects = std::slice::from_ref(&subject);
    let (mut before, mut after) =
        (view(subjects, START + 3 * DAY - 1), view(subjects, START + 3 * DAY));
    assert_eq!((&before["access"], &after["access"]), (&json!(true), &json!(false)));
    assert_eq!((&before["state"], &after["state"]), (&json!("past_due"), &json!("past_due")));
    assert_eq!(before["subscriptions"][0]["grace_until"], json!(START + 3 * DAY));
    assert_eq!(before["invoices"][0]["first_failed_at"], json!(START));
    assert_eq!(before["invoices"][0]["payments"], json!(["pi_1"]), "one payment, two names");
    for view in [&mut before, &mut after] {
        for moves in ["at", "access", "features", "can_use_credits", "valid_until"] {
            view[moves] = Value::Null;
        }
        view["subscriptions"][0]["access"] = Value::Null;
    }
    assert_eq!(before, after);
}

#[test]
fn a_payment_shows_what_came_back_and_a_failed_attempt_does_not() {
    let mut subject = subject("cus_1", false);
    let failed = charge(&json!({"id": "ch_0", "payment_intent": "pi_0", "status": "failed"}));
    told(&mut subject, "charge.failed", START, &failed);
    assert_eq!(seen(&subject)["payments"], json!([]));

    told(&mut subject, "charge.succeeded", START, &charge(&json!({})));
    let refund = |id: &str, amount: i64, status: &str| {
        json!({"id": id, "object": "refund", "charge": "ch_1", "payment_intent": "pi_1",
            "amount": amount, "status": status, "created": START + amount})
    };
    told(&mut subject, "refund.created", START + 2, &refund("re_2", 300, "failed"));
    told(&mut subject, "refund.created", START + 1, &refund("re_1", 250, "succeeded"));
    let payment = &seen(&subject)["payments"][0];
    assert_eq!((&payment["charge"], &payment["payment_intent"]), (&json!("ch_1"), &json!("pi_1")));
    assert_eq!((&payment["amount"], &payment["amount_refunded"]), (&json!(1_000), &json!(250)));
    assert_eq!((&payment["returned"], &payment["disputed"]), (&json!(250), &json!(false)));
    assert_eq!(payment["refunds"][0]["id"], "re_1");
    assert_eq!(payment["refunds"][1]["status"], "failed");

    // A refund alone tells of a payment whose charge is not known yet.
    let mut early = self::subject("pi_1", false);
    told(&mut early, "refund.created", START, &refund("re_1", 250, "succeeded"));
    let payment = &seen(&early)["payments"][0];
    assert_eq!((&payment["amount"], &payment["amount_refunded"]), (&Value::Null, &json!(250)));
    assert_eq!((&payment["charge"], &payment["payment_intent"]), (&json!("ch_1"), &json!("pi_1")));
}

#[test]
fn a_dispute_is_open_and_then_decided() {
    for (status, open, outcome) in [
        ("needs_response", true, Value::Null),
        ("warning_needs_response", true, Value::Null),
        ("warning_closed", false, Value::Null),
        ("won", false, json!("won")),
        ("lost", false, json!("lost")),
    ] {
        let mut subject = subject("cus_1", false);
        told(&mut subject, "charge.succeeded", START, &charge(&json!({})));
        let dispute = json!({"id": "dp_1", "object": "dispute", "charge": "ch_1",
            "payment_intent": "pi_1", "amount": 1_000, "currency": "usd", "reason": "fraudulent",
            "status": status, "created": START, "evidence_details": {"due_by": START + DAY}});
        told(&mut subject, "charge.dispute.created", START, &dispute);
        let warning = json!({"id": "issfr_1", "object": "radar.early_fraud_warning",
            "charge": "ch_1", "payment_intent": "pi_1", "actionable": true});
        told(&mut subject, "radar.early_fraud_warning.created", START, &warning);
        let view = seen(&subject);
        let shown = &view["disputes"][0];
        assert_eq!((&shown["open"], &shown["outcome"]), (&json!(open), &outcome), "{status}");
        assert_eq!((&shown["status"], &shown["due_by"]), (&json!(status), &json!(START + DAY)));
        assert_eq!((&shown["charge"], &shown["payment_intent"]), (&json!("ch_1"), &json!("pi_1")));
        assert_eq!(view["payments"][0]["disputed"], true);
        assert_eq!(view["fraud_warnings"][0]["actionable"], true);
        assert_eq!(view["payments"].as_array().unwrap().len(), 1, "one payment, told of thrice");
    }
}

#[test]
fn an_account_is_all_of_its_subjects() {
    let mut customer = subject("cus_1", true);
    told(
        &mut customer,
        "customer.subscription.created",
        START,
        &subscription("sub_1", START, "active"),
    );
    customer.links.claim(LinkSource::CustomerMetadata, "ada", START);
    customer.version = 2;
    let mut guest = subject("pi_9", false);
    let session = json!({"id": "cs_1", "object": "checkout.session", "mode": "payment",
        "status": "complete", "payment_status": "paid", "payment_intent": "pi_9",
        "client_reference_id": "ada", "amount_total": 999, "currency": "usd", "created": START,
        "metadata": {"pack": "pack_100"}});
    told(&mut guest, "checkout.session.completed", START, &session);
    guest.version = 1;
    let subjects = [customer, guest];
    let view = view(&subjects, START);
    assert_eq!((&view["account"], &view["known"]), (&json!("ada"), &json!(true)));
    assert_eq!((&view["version"], &view["livemode"]), (&json!(3), &Value::Null));
    assert_eq!(view["subscriptions"][0]["id"], "sub_1");
    let shown = &view["checkout_sessions"][0];
    assert_eq!((&shown["fulfilled"], &shown["mode"]), (&json!(true), &json!("payment")));
    assert_eq!(shown["metadata"], json!({"pack": "pack_100"}));
    assert_eq!(view["subjects"][1]["id"], "pi_9");
    assert_eq!(view["links"]["contested"], false);
}

#[test]
fn equal_ids_of_two_modes_keep_apart() {
    let (mut live, mut test) = (subject("cus_1", true), subject("cus_1", false));
    told(
        &mut live,
        "customer.subscription.created",
        START,
        &subscription("sub_1", START, "active"),
    );
    told(
        &mut test,
        "customer.subscription.created",
        START,
        &subscription("sub_1", START, "unpaid"),
    );
    let view = view(&[test, live], START);
    let states: Vec<_> = (0..2).map(|at| view["subscriptions"][at]["state"].clone()).collect();
    assert_eq!(states, ["unpaid", "active"]);
}

#[test]
fn cards_customers_and_stripes_own_entitlements_are_shown() {
    let mut subject = subject("cus_1", false);
    let customer = json!({"id": "cus_1", "object": "customer", "email": "ada@example.test",
        "name": "Ada", "metadata": {"account": "ada"}});
    told(&mut subject, "customer.created", START, &customer);
    let card = json!({"id": "pm_1", "object": "payment_method", "type": "card",
        "customer": "cus_1", "card": {"brand": "visa", "last4": "4242", "exp_month": 4,
        "exp_year": 2030, "fingerprint": "f1"}});
    told(&mut subject, "payment_method.attached", START, &card);
    let summary = json!({"object": "entitlements.active_entitlement_summary", "customer": "cus_1",
        "entitlements": {"data": [{"id": "ent_1", "lookup_key": "api"}]}});
    told(&mut subject, "entitlements.active_entitlement_summary.updated", START, &summary);
    let view = seen(&subject);
    assert_eq!(view["customer"]["email"], "ada@example.test");
    assert_eq!((&view["customer"]["deleted"], &view["account"]), (&json!(false), &json!("ada")));
    assert!(view["customer"].get("name").is_none());
    let shown = &view["payment_methods"][0];
    assert_eq!((&shown["type"], &shown["last4"]), (&json!("card"), &json!("4242")));
    assert_eq!((&shown["exp_year"], &shown["detached"]), (&json!(2030), &json!(false)));
    assert_eq!((&view["entitlements"], &view["features"]), (&json!(["api"]), &json!(["api"])));
}
