//! Events that came before anybody could know whose they are, or what they sell.

use std::sync::Arc;

use bytes::Bytes;
use chrono::TimeDelta;
use serde_json::Value;
use stripe_billing_core::store::Store;
use stripe_billing_core::{SubjectKey, Tenant};
use stripe_billing_testing::event::histories::{ACCOUNT, ACCOUNT_KEY, START};
use stripe_billing_testing::event::{
    CheckoutObject, CustomerObject, EventBuilder, InvoiceObject, PaymentIntentObject, Shape,
    SubscriptionObject,
};

use crate::stage::{Setup, Stage, moved, tenant};

const NOTES: &[(&str, &str)] = &[(ACCOUNT_KEY, ACCOUNT)];

fn event(id: &str, created: i64, kind: &str, object: Value) -> Bytes {
    EventBuilder::new(kind).id(id).created(created).object(object).build()
}

fn subscription() -> SubscriptionObject {
    SubscriptionObject::new("sub_1", "cus_1")
}

/// A paid subscription that names no account.
fn nobodys() -> Vec<Bytes> {
    let invoice = InvoiceObject::new("in_1", "cus_1", Some("sub_1"));
    let invoice = invoice.status("paid").paid_at(Some(START)).render(Shape::New);
    vec![
        event("evt_sub", START, "customer.subscription.created", subscription().render(Shape::New)),
        event("evt_paid", START, "invoice.paid", invoice),
    ]
}

/// What names the account ten seconds later; `None` is an operator.
fn sources() -> Vec<(&'static str, Option<Bytes>)> {
    let at = START + 10;
    let session = || CheckoutObject::new("cs_1", Some("cus_1")).subscription("sub_1");
    let customer = CustomerObject::new("cus_1").metadata(NOTES).render(Shape::New);
    let noted = subscription().metadata(NOTES).render(Shape::New);
    let by_metadata = session().metadata(NOTES).render(Shape::New);
    let by_reference = session().client_reference_id(Some(ACCOUNT)).render(Shape::New);
    let intent = PaymentIntentObject::new("pi_1", 1_500).customer(Some("cus_1")).metadata(NOTES);
    let completed = "checkout.session.completed";
    vec![
        ("customer", Some(event("evt_link", at, "customer.created", customer))),
        ("subscription", Some(event("evt_link", at, "customer.subscription.updated", noted))),
        ("session metadata", Some(event("evt_link", at, completed, by_metadata))),
        ("client reference", Some(event("evt_link", at, completed, by_reference))),
        (
            "payment",
            Some(event("evt_link", at, "payment_intent.succeeded", intent.render(Shape::New))),
        ),
        ("operator", None),
    ]
}

async fn link(stage: &Stage, tenant: &Tenant, source: Option<&Bytes>) {
    match source {
        Some(body) => stage.deliver([&moved(body, tenant)]).await,
        None => {
            let subject = SubjectKey { tenant: tenant.clone(), id: "cus_1".to_owned() };
            stage.billing.link(&subject, ACCOUNT, "operator:ada", "r1").await.expect("taken");
        }
    }
}

async fn a_customer_linked_late_does_not_lose_what_came_before(store: Arc<dyn Store>) {
    let stage = Stage::new(store, Setup { now: START, ..Setup::default() });
    let mut expected = None;
    for (number, (name, source)) in sources().into_iter().enumerate() {
        let tenant = tenant(number + 1);
        for body in nobodys() {
            stage.deliver([&moved(&body, &tenant)]).await;
        }
        stage.settle().await;
        let before = stage.customer(&tenant, "cus_1").await;
        assert_eq!(before["account"], Value::Null, "{name}");
        assert_eq!(before["subscriptions"][0]["status"], "active", "{name}: its state is kept");
        assert!(stage.facts(&tenant).is_empty(), "{name}: nobody to tell");

        stage.clock.advance(TimeDelta::seconds(10));
        link(&stage, &tenant, source.as_ref()).await;
        stage.settle().await;
        let view = stage.account(&tenant, ACCOUNT).await;
        assert_eq!((&view["state"], &view["access"]), (&"active".into(), &true.into()), "{name}");
        let facts = stage.facts(&tenant);
        assert!(facts.values().all(|times| *times == 1), "{name}: {facts:?}");
        for fact in ["subscription_started:sub_1", "invoice_paid:in_1"] {
            assert!(facts.contains_key(fact), "{name}: {facts:?}");
        }
        let told = (view["subscriptions"].clone(), view["invoices"].clone());
        let first = expected.get_or_insert_with(|| told.clone());
        assert_eq!(told.1, first.1, "{name}");
    }
    let parked = stage.events().await.into_values().filter(|end| end.starts_with("parked")).count();
    assert_eq!(parked, 0);
}

async fn a_customer_linked_first_parks_nothing(store: Arc<dyn Store>) {
    let stage = Stage::new(store, Setup::default());
    for (number, (name, source)) in sources().into_iter().enumerate() {
        let Some(source) = source else { continue };
        let tenant = tenant(number + 1);
        link(&stage, &tenant, Some(&source)).await;
        stage.settle().await;
        for body in nobodys() {
            stage.deliver([&moved(&body, &tenant)]).await;
        }
        stage.settle().await;
        let facts = stage.facts(&tenant);
        assert!(facts.contains_key("invoice_paid:in_1"), "{name}: {facts:?}");
        assert!(facts.values().all(|times| *times == 1), "{name}: {facts:?}");
    }
    let ends = stage.events().await;
    assert!(ends.values().all(|end| !end.starts_with("parked")), "{ends:?}");
}

async fn a_subscription_made_by_hand_is_not_lost_or_retried_for_ever(store: Arc<dyn Store>) {
    let stage = Stage::new(Arc::clone(&store), Setup::default());
    let platform = Tenant::platform(true);
    let by_hand = subscription().price("price_by_hand").render(Shape::New);
    stage.deliver([&event("evt_1", START, "customer.subscription.created", by_hand)]).await;
    stage.settle().await;
    let ends = stage.events().await;
    assert!(ends["evt_1"].starts_with("parked/"), "{ends:?}");
    assert_eq!(stage.customer(&platform, "cus_1").await["subscriptions"][0]["status"], "active");

    let subject = SubjectKey { tenant: platform.clone(), id: "cus_1".to_owned() };
    stage.billing.link(&subject, ACCOUNT, "operator:ada", "r1").await.expect("taken");
    stage.settle().await;
    let ends = stage.events().await;
    assert!(ends["evt_1"].starts_with("parked/catalog:"), "{ends:?}");
    let view = stage.account(&platform, ACCOUNT).await;
    assert_eq!((&view["access"], &view["can_purchase"]), (&false.into(), &true.into()));
    assert_eq!(stage.billing.release_parked().await.expect("the store answers"), 0);

    let prices = ["price_pro", "price_by_hand"].map(str::to_owned).into();
    let wiser = Stage::new(store, Setup { prices, ..Setup::default() });
    assert_eq!(wiser.billing.release_parked().await.expect("the store answers"), 1);
    wiser.settle().await;
    let ends = wiser.events().await;
    assert!(!ends["evt_1"].starts_with("parked"), "{ends:?}");
    assert_eq!(wiser.account(&platform, ACCOUNT).await["access"], true);
}

async fn a_client_reference_never_links_anew(store: Arc<dyn Store>) {
    let stage = Stage::new(store, Setup::default());
    let session = |id: &str, at: i64, account: &str| {
        let session = CheckoutObject::new(id, Some("cus_1")).client_reference_id(Some(account));
        event(&format!("evt_{id}"), at, "checkout.session.completed", session.render(Shape::New))
    };
    let first = session("cs_1", START, ACCOUNT);
    let forged = session("cs_2", START + 60, "mallory");
    let customer = CustomerObject::new("cus_1").metadata(NOTES).render(Shape::New);
    let named = event("evt_customer", START + 30, "customer.created", customer);
    let orders = [
        vec![&first, &forged],
        vec![&forged, &first],
        vec![&named, &forged],
        vec![&forged, &named],
    ];
    for (number, order) in orders.into_iter().enumerate() {
        let tenant = tenant(number + 1);
        for body in order {
            stage.deliver([&moved(body, &tenant)]).await;
            stage.settle().await;
        }
        assert_eq!(stage.customer(&tenant, "cus_1").await["account"], ACCOUNT, "order {number}");
    }
}

mod on {
    use crate::backends::on_every_backend;

    on_every_backend!(
        a_customer_linked_late_does_not_lose_what_came_before
        a_customer_linked_first_parks_nothing
        a_subscription_made_by_hand_is_not_lost_or_retried_for_ever
        a_client_reference_never_links_anew
    );
}
