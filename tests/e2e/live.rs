//! What only Stripe can tell: asked of a Stripe that answers, changes meanwhile, breaks and goes
//! away.

use std::sync::Arc;

use bytes::Bytes;
use futures_util::future::join_all;
use serde_json::{Value, json};
use stripe_billing_core::store::Store;
use stripe_billing_core::{MemoryStore, Tenant};
use stripe_billing_testing::event::histories::{ACCOUNT, ACCOUNT_KEY, START};
use stripe_billing_testing::fake_stripe::{
    ApiVersion, Card, FakeEvent, FakeStripe, Fault, Interval, NewPrice, NewSubscription,
};

use crate::quickstart::client;
use crate::stage::{Dice, Setup, Stage};

/// The fake's events are all of test mode.
pub(crate) fn test_mode() -> Tenant {
    Tenant::platform(false)
}

pub(crate) fn version(text: &str) -> ApiVersion {
    ApiVersion::new(text).expect("a version")
}

fn newest() -> ApiVersion {
    ApiVersion::default()
}

async fn fake() -> FakeStripe {
    let builder = (1..=12).fold(FakeStripe::builder(), |builder, number| {
        builder.feature("prod_team", &format!("feature_{number:02}"))
    });
    builder
        .start_time(START)
        .price(NewPrice::recurring("price_pro", 1_500, "usd", Interval::Month).product_id("prod_1"))
        .price(
            NewPrice::recurring("price_team", 4_500, "usd", Interval::Month)
                .product_id("prod_team"),
        )
        .price(NewPrice::one_time("price_pack", 1_500, "usd"))
        .start()
        .await
        .expect("the fake starts")
}

/// A customer of the account with a subscription.
fn subscribed(fake: &FakeStripe, price: &str) -> (String, String) {
    let customer = fake.create_customer("ada@example.test", &[(ACCOUNT_KEY, ACCOUNT)]);
    fake.set_card(&customer, Card::Good).expect("a card");
    let new = NewSubscription::new(&customer, price);
    let subscription = fake.create_subscription(new).expect("a subscription");
    (customer, subscription)
}

/// Asks the fake for something, as an app does.
pub(crate) async fn ask(fake: &FakeStripe, path: &str, form: &str) -> Value {
    let request = client()
        .post(format!("{}{path}", fake.base_url()))
        .bearer_auth("sk_test_e2e")
        .header("content-type", "application/x-www-form-urlencoded")
        .body(form.to_owned());
    request.send().await.expect("the fake answers").json().await.expect("JSON")
}

fn bodies(events: &[FakeEvent]) -> Vec<Bytes> {
    events.iter().map(|event| event.body(&newest())).collect()
}

fn thin(event: &FakeEvent) -> Bytes {
    event.to_thin_json().to_string().into()
}

fn id_of(events: &[FakeEvent], kind: &str) -> String {
    let mut found = events.iter().filter(|event| event.event_type() == kind);
    found.next_back().unwrap_or_else(|| panic!("no {kind}")).object_id().to_owned()
}

/// What both we and Stripe say of a subscription.
fn row(subscription: &Value) -> Value {
    let names = ["status", "cancel_at_period_end", "cancel_at", "canceled_at", "pause_collection"];
    names.iter().map(|name| subscription[*name].clone()).collect()
}

async fn the_row_does_not_stop_short_of_stripes_last_state(store: Arc<dyn Store>) {
    let fake = fake().await;
    let (_, subscription) = subscribed(&fake, "price_pro");
    let stage = Stage::new(store, Setup { batch: 2, ..Setup::with(&fake) });
    let mut dice = Dice(5);
    let mut held: Vec<Bytes> = Vec::new();
    for _ in 0..20 {
        held.extend(bodies(&fake.take_events()));
        dice.shuffle(&mut held);
        // Some come late, and everything is of one second.
        let now = held.split_off(held.len() / 3);
        stage.deliver(&now).await;
        let verbs: Vec<usize> = (0..3).map(|_| dice.below(5)).collect();
        let change = async {
            for verb in verbs {
                // What is so already is refused or changes nothing.
                let _ = match verb {
                    0 => fake.cancel_at_period_end(&subscription),
                    1 => fake.resume(&subscription),
                    2 => fake.pause_collection(&subscription, "void", None),
                    3 => fake.pause_collection(&subscription, "keep_as_draft", None),
                    _ => fake.resume_collection(&subscription),
                };
                tokio::task::yield_now().await;
            }
        };
        let workers = join_all((0..8).map(|_| stage.billing.process_due()));
        let (reports, ()) = tokio::join!(workers, change);
        for report in reports {
            report.expect("the store answers");
        }
    }
    held.extend(bodies(&fake.take_events()));
    stage.deliver(&held).await;
    stage.settle().await;
    let view = stage.account(&test_mode(), ACCOUNT).await;
    let truth = fake.object(&subscription).expect("the subscription");
    assert_eq!(row(&view["subscriptions"][0]), row(&truth));
}

/// Two changes of one second of which the events do not say which was the last, and whether the
/// cancellation is what holds.
async fn tie(cancels: bool) -> (FakeStripe, Vec<Bytes>) {
    let fake = fake().await;
    let (_, subscription) = subscribed(&fake, "price_pro");
    fake.advance(std::time::Duration::from_secs(60)).await;
    let mut told = bodies(&fake.take_events());
    let change = |will: bool| match will {
        true => fake.cancel_at_period_end(&subscription).expect("changed"),
        false => fake.resume(&subscription).expect("changed"),
    };
    change(true);
    change(false);
    if cancels {
        change(true);
    }
    for body in bodies(&fake.take_events()).into_iter().take(2) {
        let mut event: Value = serde_json::from_slice(&body).expect("an event");
        event["data"].as_object_mut().expect("data").remove("previous_attributes");
        told.push(event.to_string().into());
    }
    (fake, told)
}

async fn told_of_a_tie(store: Arc<dyn Store>, setup: Setup, told: &[Bytes], turned: bool) -> Value {
    let stage = Stage::new(store, setup);
    let (first, last) = told.split_at(told.len() - 2);
    stage.deliver(first).await;
    stage.billing.process_due().await.expect("the store answers");
    let mut last = last.to_vec();
    if turned {
        last.reverse();
    }
    for body in &last {
        stage.deliver([body]).await;
        stage.billing.process_due().await.expect("the store answers");
    }
    let events = stage.events().await;
    assert!(events.values().all(|end| !end.starts_with("retry")), "{events:?}");
    stage.account(&test_mode(), ACCOUNT).await["subscriptions"][0]["will_cancel"].clone()
}

async fn a_tie_is_not_left_to_the_order_of_arrival(store: Arc<dyn Store>) {
    // One story a store: each has the same ids.
    let stores: Vec<Arc<dyn Store>> = vec![store, memory(), memory(), memory()];
    let cases = [(true, false), (true, true), (false, false), (false, true)];
    for (store, (cancels, turned)) in stores.into_iter().zip(cases) {
        let (fake, told) = tie(cancels).await;
        let seen = told_of_a_tie(store, Setup::with(&fake), &told, turned).await;
        assert_eq!(seen, cancels, "Stripe was there to ask");
    }
}

fn memory() -> Arc<dyn Store> {
    Arc::new(MemoryStore::new())
}

#[tokio::test]
async fn a_tie_does_not_wait_for_a_stripe_that_is_down() {
    for cancels in [true, false] {
        let (fake, told) = tie(cancels).await;
        let designed = told_of_a_tie(memory(), Setup::default(), &told, false).await;
        for turned in [true, false] {
            for _ in 0..20 {
                fake.fail_next("*", Fault::DropConnection);
            }
            let setup = Setup::with(&fake);
            assert_eq!(told_of_a_tie(memory(), setup, &told, turned).await, designed);
        }
    }
}

async fn money_that_comes_back_does_not_stay_nobodys(store: Arc<dyn Store>) {
    let fake = fake().await;
    let (customer, _) = subscribed(&fake, "price_pro");
    let before = fake.take_events();
    let (intent, invoice) =
        (id_of(&before, "payment_intent.succeeded"), id_of(&before, "invoice.paid"));
    fake.refund(&intent, Some(500)).expect("refunded");
    fake.open_dispute(&intent, Some(700)).expect("disputed");
    // Nothing but refund and dispute, in a version in which neither names its customer.
    let basil = version("2025-03-31.basil");
    let alone: Vec<Bytes> = fake
        .take_events()
        .iter()
        .filter(|event| {
            event.event_type().starts_with("refund.") || event.event_type().contains("dispute")
        })
        .map(|event| event.body(&basil))
        .collect();
    assert!(alone.len() >= 3);
    let stage = Stage::new(store, Setup::with(&fake));
    stage.deliver(&alone).await;
    stage.settle().await;
    let view = stage.customer(&test_mode(), &customer).await;
    let payment = &view["payments"][0];
    assert_eq!(payment["id"], json!(intent), "{view}");
    assert_eq!(payment["amount_refunded"], 500);
    assert_eq!(payment["disputed"], true);
    assert_eq!(payment["invoices"], json!([invoice]), "tied to its invoice by Stripe");
    assert_eq!(view["account"], Value::Null);

    stage.deliver(&bodies(&before)).await;
    stage.settle().await;
    let view = stage.account(&test_mode(), ACCOUNT).await;
    assert_eq!(view["payments"].as_array().map(Vec::len), Some(1), "{view}");
    assert_eq!(view["payments"][0]["amount_refunded"], 500);
    let events = stage.events().await;
    assert!(events.values().all(|end| !end.starts_with("parked")), "{events:?}");
    let facts = stage.facts(&test_mode());
    assert!(facts.values().all(|times| *times == 1), "{facts:?}");
    assert!(facts.keys().any(|key| key.contains("refund")), "{facts:?}");
}

async fn entitlements_do_not_end_with_the_first_page(store: Arc<dyn Store>) {
    let fake = fake().await;
    subscribed(&fake, "price_team");
    let stage = Stage::new(store, Setup::with(&fake));
    stage.deliver(&bodies(&fake.take_events())).await;
    stage.settle().await;
    let view = stage.account(&test_mode(), ACCOUNT).await;
    assert_eq!(view["entitlements"].as_array().map(Vec::len), Some(12), "{view}");
    assert_eq!(view["features"].as_array().map(Vec::len), Some(13), "and the plan's own");
}

/// What thin events can tell as well as snapshots.
fn fetched(view: &Value) -> Value {
    let mut view = view.clone();
    for invoice in view["invoices"].as_array_mut().into_iter().flatten() {
        // Only an object that cannot be fetched by a thin event ties them.
        invoice["payments"] = Value::Null;
    }
    ["account", "state", "access", "subscriptions", "invoices"]
        .iter()
        .map(|name| view[*name].clone())
        .collect()
}

async fn thin_events_do_not_end_elsewhere_than_snapshots(store: Arc<dyn Store>) {
    let fake = fake().await;
    subscribed(&fake, "price_pro");
    let events = fake.take_events();
    let snapshots = Stage::new(memory(), Setup::with(&fake));
    snapshots.deliver(&bodies(&events)).await;
    snapshots.settle().await;
    let expected = snapshots.account(&test_mode(), ACCOUNT).await;
    assert_eq!(expected["state"], "active");

    let stage = Stage::new(store, Setup::with(&fake));
    let mut thins: Vec<Bytes> = events.iter().map(thin).collect();
    Dice(3).shuffle(&mut thins);
    stage.deliver(&thins).await;
    stage.settle().await;
    let seen = stage.account(&test_mode(), ACCOUNT).await;
    assert_eq!(fetched(&seen), fetched(&expected));
    // The snapshots after their thin twins tell nothing twice.
    stage.deliver(&bodies(&events)).await;
    stage.settle().await;
    assert_eq!(fetched(&stage.account(&test_mode(), ACCOUNT).await), fetched(&expected));
    let facts = stage.facts(&test_mode());
    assert!(facts.values().all(|times| *times == 1), "{facts:?}");
    assert_eq!(facts, snapshots.facts(&test_mode()));
}

async fn a_thin_event_does_not_repeat_its_snapshot(store: Arc<dyn Store>) {
    let fake = fake().await;
    subscribed(&fake, "price_pro");
    let events = fake.take_events();
    let stage = Stage::new(store, Setup::with(&fake));
    stage.deliver(&bodies(&events)).await;
    stage.deliver(&events.iter().map(thin).collect::<Vec<_>>()).await;
    stage.settle().await;
    let ends = stage.events().await;
    for event in &events {
        assert_eq!(ends[&event.thin_id()], "ignored/twin", "{}", event.event_type());
    }
}

#[tokio::test]
async fn a_thin_event_does_not_fail_for_want_of_a_client() {
    let fake = fake().await;
    subscribed(&fake, "price_pro");
    let events = fake.take_events();
    let stage = Stage::new(memory(), Setup::default());
    stage.deliver(&events.iter().map(thin).collect::<Vec<_>>()).await;
    stage.settle().await;
    let ends = stage.events().await;
    assert!(ends.values().all(|end| end == "ignored/thin"), "{ends:?}");
}

async fn a_thin_event_is_not_lost_while_stripe_is_away(store: Arc<dyn Store>) {
    let fake = fake().await;
    let (_, subscription) = subscribed(&fake, "price_pro");
    let events = fake.take_events();
    let updated = events.iter().find(|event| event.object_id() == subscription).expect("one");
    let stage = Stage::new(store, Setup::with(&fake));
    // Each question is asked twice.
    for fault in [Fault::Status(500), Fault::DropConnection] {
        for route in ["GET /v2/core/events/*", "GET /v1/subscriptions/*"] {
            fake.fail_next(route, fault);
            fake.fail_next(route, fault);
        }
    }
    stage.deliver([&thin(updated)]).await;
    stage.billing.process_due().await.expect("the store answers");
    let end = stage.events().await.remove(&updated.thin_id());
    assert_eq!(end.as_deref(), Some("retry_wait/stripe_failed"));
    stage.settle().await;
    let end = stage.events().await.remove(&updated.thin_id());
    // Whose it is was asked for as well.
    assert_eq!(end.as_deref(), Some("processed"));
    let customer = fake.object(&subscription).expect("one")["customer"].clone();
    let view = stage.customer(&test_mode(), customer.as_str().expect("an id")).await;
    assert_eq!(view["subscriptions"][0]["status"], "active");
}

/// No event names the account: the customer does, and it is asked for. While Stripe does not answer
/// the event waits for the link as it does without a client, and is not lost.
async fn a_link_that_no_event_names_is_asked_for(store: Arc<dyn Store>) {
    let fake = fake().await;
    let (customer, subscription) = subscribed(&fake, "price_pro");
    let events = fake.take_events();
    let mut told = events.iter().filter(|event| event.object_id() == subscription);
    let told = told.next_back().expect("it is active in the end");
    let stage = Stage::new(store, Setup::with(&fake));
    // The question is asked twice.
    for _ in 0..2 {
        fake.fail_next("GET /v1/customers/*", Fault::Status(500));
    }
    stage.deliver(&bodies(std::slice::from_ref(told))).await;
    stage.settle().await;
    let ends = stage.events().await;
    assert!(ends.values().all(|end| end == "parked/unlinked"), "{ends:?}");
    fake.cancel_at_period_end(&subscription).expect("it runs");
    stage.deliver(&bodies(&fake.take_events())).await;
    stage.settle().await;
    let ends = stage.events().await;
    assert!(ends.values().all(|end| !end.starts_with("parked")), "{ends:?}");
    let started = format!("subscription_started:{subscription}");
    assert_eq!(stage.facts(&test_mode()).get(&started), Some(&1), "told once it is somebody's");
    let view = stage.customer(&test_mode(), &customer).await;
    assert_eq!(view["account"], ACCOUNT);
}

mod on {
    use crate::backends::on_every_backend;

    on_every_backend!(
        the_row_does_not_stop_short_of_stripes_last_state
        a_tie_is_not_left_to_the_order_of_arrival
        money_that_comes_back_does_not_stay_nobodys
        entitlements_do_not_end_with_the_first_page
        thin_events_do_not_end_elsewhere_than_snapshots
        a_thin_event_does_not_repeat_its_snapshot
        a_thin_event_is_not_lost_while_stripe_is_away
        a_link_that_no_event_names_is_asked_for
    );
}
