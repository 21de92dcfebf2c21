//! Whose event it is, when the event does not say: every order in which names become known ends in
//! one subject, with the same records, the same account and the same facts.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use bytes::Bytes;
use chrono::DateTime;
use proptest::prelude::*;
use serde_json::{Value, json};
use stripe_billing_core::catalog::Catalog;
use stripe_billing_core::state::Record;
use stripe_billing_core::store::{EventQuery, Inspect};
use stripe_billing_core::webhook::{WebhookSecret, sign};
use stripe_billing_core::{
    Billing, EventHandler, Fact, ManualClock, MemoryStore, NotifyError, SubjectKey, Tenant,
};

const SECRET: &str = "whsec_test";
const START: i64 = 1_700_000_000;

#[derive(Clone, Debug, Default)]
struct Facts(Arc<Mutex<Vec<(String, String)>>>);

#[async_trait]
impl EventHandler for Facts {
    async fn handle(&self, fact: &Fact) -> Result<(), NotifyError> {
        self.0.lock().expect("not poisoned").push((fact.key.clone(), fact.account.clone()));
        Ok(())
    }
}

/// All that can be told apart from outside.
#[derive(Debug, PartialEq, Eq)]
struct World {
    subjects: BTreeMap<String, (Option<String>, Vec<Record>)>,
    facts: BTreeSet<(String, String)>,
    statuses: BTreeSet<(String, String)>,
    events_of: BTreeMap<String, usize>,
}

fn body(id: usize, kind: &str, created: i64, object: &Value) -> Bytes {
    let event = json!({"id": format!("evt_{id}"), "object": "event", "type": kind,
        "created": created, "livemode": true, "api_version": "2026-10-28.endive",
        "data": {"object": object}});
    event.to_string().into()
}

fn payment_intent(extra: &Value) -> (&'static str, Value) {
    let mut object = json!({"id": "pi_1", "object": "payment_intent", "status": "succeeded",
        "amount": 1000, "amount_received": 1000, "currency": "usd", "latest_charge": "ch_1"});
    merge(&mut object, extra);
    ("payment_intent.succeeded", object)
}

fn charge(extra: &Value) -> (&'static str, Value) {
    let mut object = json!({"id": "ch_1", "object": "charge", "status": "succeeded",
        "payment_intent": "pi_1", "amount": 1000, "amount_captured": 1000,
        "amount_refunded": 300, "currency": "usd"});
    merge(&mut object, extra);
    ("charge.refunded", object)
}

fn merge(object: &mut Value, extra: &Value) {
    for (key, value) in extra.as_object().cloned().unwrap_or_default() {
        object[key] = value;
    }
}

/// Money back, told by objects that name no customer.
fn money_back() -> Vec<(&'static str, Value)> {
    vec![
        (
            "refund.created",
            json!({"id": "re_1", "object": "refund", "status": "succeeded",
            "amount": 300, "charge": "ch_1", "payment_intent": "pi_1", "currency": "usd"}),
        ),
        (
            "charge.dispute.created",
            json!({"id": "dp_1", "object": "dispute", "amount": 700,
            "status": "needs_response", "charge": "ch_1", "currency": "usd"}),
        ),
        (
            "radar.early_fraud_warning.created",
            json!({"id": "issfr_1",
            "object": "radar.early_fraud_warning", "charge": "ch_1", "actionable": true}),
        ),
    ]
}

/// A subscription payment of a customer, as basil and later tell it.
fn of_a_customer() -> Vec<(&'static str, Value)> {
    let mut events = money_back();
    events.extend([
        payment_intent(&json!({"customer": "cus_1"})),
        charge(&json!({"customer": "cus_1"})),
        (
            "invoice_payment.paid",
            json!({"id": "inpay_1", "object": "invoice_payment",
            "invoice": "in_1", "status": "paid", "payment": {"type": "payment_intent",
            "payment_intent": "pi_1"}}),
        ),
        (
            "invoice.paid",
            json!({"id": "in_1", "object": "invoice", "customer": "cus_1",
            "status": "paid", "total": 1000, "amount_paid": 1000, "currency": "usd"}),
        ),
        (
            "customer.created",
            json!({"id": "cus_1", "object": "customer",
            "metadata": {"account": "acme"}}),
        ),
    ]);
    events
}

/// A guest's purchase: the payment first knows nobody.
fn of_a_guest() -> Vec<(&'static str, Value)> {
    let mut events = money_back();
    events.extend([
        payment_intent(&json!({})),
        charge(&json!({})),
        (
            "checkout.session.completed",
            json!({"id": "cs_1", "object": "checkout.session",
            "mode": "payment", "status": "complete", "payment_status": "paid",
            "client_reference_id": "acme", "payment_intent": "pi_1", "customer": null,
            "amount_total": 1000, "currency": "usd"}),
        ),
    ]);
    events
}

/// A payment that nobody knew at first and that a session gives a customer.
fn of_a_late_customer() -> Vec<(&'static str, Value)> {
    let mut events = of_a_guest();
    let session = events.last_mut().expect("the session");
    session.1["customer"] = json!("cus_1");
    events
}

async fn told(history: &[(&'static str, Value)], order: &[usize], batch: u32) -> World {
    let (store, facts) = (MemoryStore::new(), Facts::default());
    let now = DateTime::from_timestamp(START, 0).expect("a time");
    let billing = Billing::builder(store.clone())
        .catalog(Catalog::default())
        .webhook_secrets([SECRET])
        .on_event(facts.clone())
        .clock(Arc::new(ManualClock::new(now)))
        .batch(batch)
        .build()
        .expect("a good configuration");
    for (step, index) in order.iter().enumerate() {
        let (kind, object) = &history[*index];
        let body = body(*index, kind, START + *index as i64 / 2, object);
        let secret = WebhookSecret::new(SECRET).expect("a secret");
        let header = sign(&body, &secret, now);
        billing.receive(&header, body).await.expect("stored");
        if step % 2 == 0 {
            billing.process_due().await.expect("processed");
        }
    }
    billing.process_due().await.expect("processed");
    world(&store, &facts).await
}

async fn world(store: &MemoryStore, facts: &Facts) -> World {
    let mut subjects = BTreeMap::new();
    for id in ["cus_1", "pi_1", "ch_1", "in_1", "cs_1"] {
        let key = SubjectKey { tenant: Tenant::platform(true), id: id.to_owned() };
        if let Some(subject) = store.subject(&key).await.expect("the store answers") {
            let account = subject.links.account().map(str::to_owned);
            let records = subject.records.into_values().collect();
            subjects.insert(subject.key.id, (account, records));
        }
    }
    let query = EventQuery { limit: 100, ..EventQuery::default() };
    let events = store.events(&query).await.expect("the store answers");
    let mut events_of = BTreeMap::new();
    for event in &events {
        *events_of.entry(event.subject.clone().unwrap_or_default()).or_default() += 1;
    }
    let statuses = events
        .into_iter()
        .map(|event| {
            // What a later event said as well is known already: no less done.
            let status = if event.status == "ignored" { "processed" } else { &event.status };
            (event.key.id, status.to_owned())
        })
        .collect();
    let facts = facts.0.lock().expect("not poisoned").iter().cloned().collect();
    World { subjects, facts, statuses, events_of }
}

fn one_end(history: &[(&'static str, Value)], order: &[usize], batch: u32, root: &str) {
    let runtime = tokio::runtime::Builder::new_current_thread().build().expect("a runtime");
    runtime.block_on(async {
        let in_order: Vec<usize> = (0..history.len()).collect();
        let expected = told(history, &in_order, 1).await;
        assert_eq!(expected.subjects.keys().collect::<Vec<_>>(), [root], "one subject");
        assert_eq!(expected.subjects[root].0.as_deref(), Some("acme"));
        assert!(expected.facts.contains(&("refund_succeeded:re_1".into(), "acme".into())));
        assert_eq!(expected.events_of.keys().collect::<Vec<_>>(), [root]);
        assert_eq!(told(history, order, batch).await, expected, "in the order {order:?}");
    });
}

fn shuffled(length: usize) -> impl Strategy<Value = Vec<usize>> {
    let twice: Vec<usize> = (0..length).chain(0..length).collect();
    Just(twice).prop_shuffle()
}

#[tokio::test]
async fn no_subject_stands_for_itself_whatever_an_object_is_called() {
    // A payment under its customer's id, of which others know the charge.
    let dispute = |status: &str| {
        let object = json!({"id": "dp_1", "object": "dispute", "status": status, "amount": 1000,
            "charge": "ch_1", "payment_intent": "pi_1", "currency": "usd", "created": START});
        ("charge.dispute.updated", object)
    };
    let history = [
        dispute("warning_needs_response"),
        payment_intent(&json!({"id": "cus_1", "customer": "cus_1"})),
        dispute("warning_closed"),
        ("customer.updated", json!({"id": "cus_1", "metadata": {"account": "acme"}})),
        ("customer.created", json!({"id": "cus_1", "object": "payment_method"})),
        payment_intent(&json!({"customer": "cus_1"})),
    ];
    // A warning about a charge under the customer's id, before anybody knows the customer.
    let owned = [
        (
            "radar.early_fraud_warning.created",
            json!({"id": "issfr_1", "object": "radar.early_fraud_warning", "actionable": true,
                "charge": "cus_1", "payment_intent": "pi_2"}),
        ),
        payment_intent(&json!({"customer": "cus_1"})),
        charge(&json!({"customer": "cus_1"})),
        (
            "customer.updated",
            json!({"id": "cus_1", "object": "customer", "metadata": {"account": "acme"}}),
        ),
        dispute("needs_response"),
        payment_intent(&json!({"id": "pi_2", "customer": "cus_1"})),
    ];
    for history in [history, owned] {
        for order in [[0, 1, 2, 3, 4, 5], [5, 4, 3, 2, 1, 0], [3, 1, 4, 0, 5, 2]] {
            for batch in [1, 3, 6] {
                let world = told(&history, &order, batch).await;
                let settled = |status: &str| ["processed", "ignored", "parked"].contains(&status);
                assert!(world.statuses.iter().all(|(_, it)| settled(it)), "{:?}", world.statuses);
                assert!(!world.subjects.contains_key(""), "{:?}", world.subjects.keys());
            }
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(256))]

    #[test]
    fn a_customers_payment_is_found_in_any_order(order in shuffled(8), batch in 1u32..6) {
        one_end(&of_a_customer(), &order, batch, "cus_1");
    }

    #[test]
    fn a_guests_payment_stays_one_in_any_order(order in shuffled(6), batch in 1u32..6) {
        one_end(&of_a_guest(), &order, batch, "pi_1");
    }

    #[test]
    fn a_payment_moves_to_its_customer_in_any_order(order in shuffled(6), batch in 1u32..6) {
        one_end(&of_a_late_customer(), &order, batch, "cus_1");
    }
}
