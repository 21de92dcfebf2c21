//! Rules against fraud judge what happens to an account, whatever comes first.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use bytes::Bytes;
use serde_json::Value;
use stripe_billing_core::Tenant;
use stripe_billing_core::catalog::{Fraud, Policy};
use stripe_billing_core::store::{AuditQuery, Store, TicketQuery};
use stripe_billing_core::ticket::{TicketKind, TicketPriority, TicketStatus};
use stripe_billing_testing::event::histories::{ACCOUNT, ACCOUNT_KEY, START};
use stripe_billing_testing::event::{
    CheckoutObject, CustomerObject, DisputeObject, EventBuilder, FraudWarningObject, InvoiceObject,
    PaymentIntentObject, Shape,
};
use stripe_billing_testing::{Faults, FaultyStore, Moment};

use crate::stage::{Dice, Setup, Stage, moved, tenant};

const NOTES: &[(&str, &str)] = &[(ACCOUNT_KEY, ACCOUNT)];

fn event(id: &str, kind: &str, object: Value) -> Bytes {
    EventBuilder::new(kind).id(id).created(START).object(object).build()
}

fn declined(number: usize, customer: Option<&str>) -> Bytes {
    let intent = PaymentIntentObject::new(&format!("pi_{number}"), 1_900);
    let intent = intent.customer(customer).status("requires_payment_method");
    let intent = intent.decline_code(Some("generic_decline")).metadata(NOTES);
    let kind = "payment_intent.payment_failed";
    event(&format!("evt_declined_{number}"), kind, intent.render(Shape::New))
}

fn linked() -> Bytes {
    let customer = CustomerObject::new("cus_1").metadata(NOTES).render(Shape::New);
    event("evt_customer", "customer.created", customer)
}

/// Ten cards that were declined, a dispute and a warning, of one customer.
fn attack() -> Vec<Bytes> {
    let mut all: Vec<Bytes> = (0..10).map(|number| declined(number, Some("cus_1"))).collect();
    let paid = PaymentIntentObject::new("pi_paid", 1_900).customer(Some("cus_1"));
    let dispute = DisputeObject::new("dp_1", "ch_1", 1_900).payment_intent(Some("pi_paid"));
    let warning = FraudWarningObject::new("issfr_1", "ch_1").payment_intent(Some("pi_paid"));
    let session = CheckoutObject::new("cs_1", Some("cus_1")).status("expired").render(Shape::New);
    all.extend([
        event("evt_paid", "payment_intent.succeeded", paid.render(Shape::New)),
        event("evt_dispute", "charge.dispute.created", dispute.render(Shape::New)),
        event("evt_warning", "radar.early_fraud_warning.created", warning.render(Shape::New)),
        event("evt_expired", "checkout.session.expired", session),
        linked(),
    ]);
    all
}

fn setup(fraud: Fraud) -> Setup {
    Setup { now: START + 60, ..Setup::policy(&Policy { fraud, ..Policy::default() }) }
}

/// The open tickets of the rules, with their priorities.
async fn suspected(stage: &Stage, tenant: &Tenant) -> BTreeMap<String, TicketPriority> {
    let query = TicketQuery { limit: 1_000, ..TicketQuery::default() };
    let tickets = stage.store.tickets(&query).await.expect("read").into_iter();
    let own = tickets.filter(|ticket| {
        ticket.kind == TicketKind::FraudReview
            && ticket.subject.tenant == *tenant
            && ticket.status == TicketStatus::Open
    });
    own.map(|ticket| (ticket.key, ticket.priority)).collect()
}

fn facts(stage: &Stage, tenant: &Tenant) -> BTreeMap<String, u32> {
    let mut facts = stage.facts(tenant);
    facts.retain(|key, _| key.starts_with("fraud_suspected:"));
    facts
}

async fn rules_judge_events_in_whatever_order_they_come(store: Arc<dyn Store>) {
    let stage = Stage::new(store, setup(Fraud::Standard));
    let key = |rule: &str| format!("fraud_review:{rule}:{ACCOUNT}");
    let expected = BTreeMap::from([
        (key("declines"), TicketPriority::High),
        (key("disputes"), TicketPriority::Normal),
        (key("fraud_warnings"), TicketPriority::Normal),
    ]);
    let mut dice = Dice(7);
    for number in 1..9 {
        let tenant = tenant(number);
        let mut story = attack();
        match number {
            1 => {}
            2 => story.reverse(),
            _ => dice.shuffle(&mut story),
        }
        for body in &story {
            stage.deliver([&moved(body, &tenant)]).await;
            stage.billing.process_due().await.expect("processed");
        }
        assert_eq!(suspected(&stage, &tenant).await, expected, "order {number}");
        let told = facts(&stage, &tenant);
        assert!(told.values().all(|times| *times == 1), "{told:?}");
        let denied = "fraud_suspected:declines:deny:";
        assert_eq!(told.keys().filter(|key| key.starts_with(denied)).count(), 1, "{told:?}");
        let rules: BTreeSet<_> = told.keys().filter_map(|key| key.split(':').nth(1)).collect();
        assert_eq!(rules, BTreeSet::from(["declines", "disputes", "fraud_warnings"]));
        // Each rule once, and the declines once more when they became a denial.
        assert!(told.len() <= 4, "{told:?}");
    }
    let query = AuditQuery { limit: 1_000, ..AuditQuery::default() };
    let audit = stage.store.audit(&query).await.expect("read");
    let lines = audit.iter().filter(|line| line.entry.action == "account.denied");
    assert_eq!(lines.count(), 8, "one for each of the accounts");
}

async fn what_an_account_bought_as_a_guest_counts_together(store: Arc<dyn Store>) {
    let stage = Stage::new(store, setup(Fraud::Standard));
    let tenant = tenant(1);
    for number in 0..5 {
        assert!(suspected(&stage, &tenant).await.is_empty(), "{number}");
        stage.deliver([&moved(&declined(number, None), &tenant)]).await;
        stage.billing.process_due().await.expect("processed");
    }
    let key = format!("fraud_review:declines:{ACCOUNT}");
    let expected = BTreeMap::from([(key, TicketPriority::Normal)]);
    assert_eq!(suspected(&stage, &tenant).await, expected);
}

async fn a_verdict_is_written_with_its_event_or_not_at_all(store: Arc<dyn Store>) {
    let faults = Faults::new();
    let store: Arc<dyn Store> = Arc::new(FaultyStore::new(store, &faults));
    let stage = Stage::new(store, setup(Fraud::Standard));
    let (tenant, warning) = (tenant(1), FraudWarningObject::new("issfr_1", "ch_1"));
    let paid = PaymentIntentObject::new("pi_1", 1_900).metadata(NOTES).render(Shape::New);
    let warning = warning.payment_intent(Some("pi_1")).render(Shape::New);
    let warning = event("evt_warning", "radar.early_fraud_warning.created", warning);
    stage.deliver([&moved(&event("evt_1", "payment_intent.succeeded", paid), &tenant)]).await;
    stage.settle().await;
    faults.reset();
    stage.deliver([&moved(&warning, &tenant)]).await;
    faults.script_method("commit", 1, Moment::Before);
    assert!(stage.billing.process_due().await.is_err());
    assert!(suspected(&stage, &tenant).await.is_empty());
    assert!(!faults.calls().contains(&"record_effects"), "{:?}", faults.calls());
    stage.settle().await;
    assert_eq!(suspected(&stage, &tenant).await.len(), 1);
    assert_eq!(facts(&stage, &tenant).into_values().collect::<Vec<_>>(), [1]);
    // The same once more changes nothing.
    stage.deliver([&moved(&crate::stage::twin(&warning), &tenant)]).await;
    stage.settle().await;
    assert_eq!(facts(&stage, &tenant).into_values().collect::<Vec<_>>(), [1]);
}

/// How often the store was asked for what only rules want to know.
async fn asked(store: Arc<dyn Store>, fraud: Fraud, story: &[Bytes]) -> usize {
    let faults = Faults::new();
    let stage = Stage::new(Arc::new(FaultyStore::new(store, &faults)), setup(fraud));
    stage.deliver(story).await;
    stage.billing.process_due().await.expect("processed");
    let asked = faults.calls().into_iter();
    asked.filter(|call| ["subjects_of", "subject", "ticket"].contains(call)).count()
}

async fn nothing_is_read_for_rules_that_do_not_ask(store: Arc<dyn Store>) {
    let of = |number: usize, story: Vec<Bytes>| -> Vec<Bytes> {
        story.iter().map(|body| moved(body, &tenant(number))).collect()
    };
    let story = of(1, attack());
    assert_eq!(asked(Arc::clone(&store), Fraud::Off, &story).await, 0);
    let invoice = InvoiceObject::new("in_1", "cus_1", None).status("paid").render(Shape::New);
    let quiet = of(2, vec![linked(), event("evt_invoice", "invoice.paid", invoice)]);
    assert_eq!(asked(Arc::clone(&store), Fraud::Standard, &quiet).await, 0);
    assert!(asked(store, Fraud::Standard, &of(3, attack())).await > 0);
}

mod on {
    use crate::backends::on_every_backend;

    on_every_backend!(
        rules_judge_events_in_whatever_order_they_come
        what_an_account_bought_as_a_guest_counts_together
        a_verdict_is_written_with_its_event_or_not_at_all
        nothing_is_read_for_rules_that_do_not_ask
    );
}
