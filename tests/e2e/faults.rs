//! A fault before and after every single call of the store, for all positions: the end is the
//! undisturbed one.

use std::sync::Arc;

use bytes::Bytes;
use chrono::TimeDelta;
use stripe_billing_core::store::Store;
use stripe_billing_core::stripe::StripeClient;
use stripe_billing_core::{Billing, ManualClock, Tenant};
use stripe_billing_testing::event::histories::{ACCOUNT, ACCOUNT_KEY, START};
use stripe_billing_testing::event::{
    ChargeObject, CustomerObject, EventBuilder, PaymentIntentObject, RefundObject, Shape, histories,
};
use stripe_billing_testing::fake_stripe::{Card, FakeStripe, Interval, NewPrice, NewSubscription};
use stripe_billing_testing::{Faults, FaultyStore, Moment};

use crate::stage::{Setup, Stage, moved, tenant};
use crate::world::{Story, World};

/// Brings everything to rest and forgets the faults, so that every telling makes the same calls: what
/// is looked up now and then is looked up in each.
async fn rest(billing: &Billing, clock: &ManualClock, faults: &Faults) {
    faults.reset();
    billing.process_due().await.expect("there are no faults");
    clock.advance(TimeDelta::seconds(10));
    faults.reset();
}

/// Tells a story as Stripe does, again and again until each event is acknowledged.
async fn tell(world: &World, events: &[Bytes]) {
    for body in events {
        let mut tries = 0;
        while let Err(error) = world.deliver(body).await {
            assert_eq!(error.status(), 503, "an outage is not the event's fault");
            tries += 1;
            assert!(tries < 5, "one fault, and it fails for ever");
        }
        // A failure here is taken up by the next round.
        let _ = world.billing.process_due().await;
    }
    world.settle().await;
}

async fn every_position(store: Arc<dyn Store>, history: &[Bytes]) {
    let faults = Faults::new();
    let faulty: Arc<dyn Store> = Arc::new(FaultyStore::new(Arc::clone(&store), &faults));
    let world = World::new(faulty);
    let undisturbed = Story::new(history, 0);
    rest(&world.billing, &world.clock, &faults).await;
    tell(&world, &undisturbed.events).await;
    let calls = faults.count();
    let expected = world.end_of(&undisturbed).await;
    assert!(calls > 20 && !expected.facts.is_empty());

    let mut number = 0;
    for position in 1..=calls {
        for moment in Moment::ALL {
            number += 1;
            rest(&world.billing, &world.clock, &faults).await;
            faults.script(position, moment);
            let story = Story::new(history, number);
            tell(&world, &story.events).await;
            assert!(!faults.has_pending(), "the fault at {position} did not strike");
            let end = world.end_of(&story).await;
            assert_eq!(end, expected, "{moment:?} call {position} of {calls}");
            // Handed over at least once, and again only when the answer of its settling was lost.
            assert!(world.told(&story).iter().all(|count| *count <= 2));
        }
    }
}

async fn sign_up(store: Arc<dyn Store>) {
    every_position(store, &histories::sign_up(Shape::New)).await;
}

async fn cancel(store: Arc<dyn Store>) {
    every_position(store, &histories::cancel(Shape::New)).await;
}

/// Tells a history to a tenant, every other event in a batch with the one before.
async fn tell_tenant(stage: &Stage, events: &[Bytes], tenant: &Tenant) {
    for pair in events.chunks(2) {
        for body in pair {
            let body = moved(body, tenant);
            let mut tries = 0;
            while let Err(error) = stage.try_deliver(&body).await {
                assert_eq!(error.status(), 503, "an outage is not the event's fault");
                tries += 1;
                assert!(tries < 5, "one fault, and it fails for ever");
            }
        }
        // A failure here is taken up by the next round.
        let _ = stage.billing.process_due().await;
    }
    stage.settle().await;
}

/// A fault before and after each `every`th call: the view and the facts are the undisturbed ones.
async fn positions(store: Arc<dyn Store>, events: &[Bytes], every: usize) {
    let faults = Faults::new();
    let faulty: Arc<dyn Store> = Arc::new(FaultyStore::new(store, &faults));
    let stage = Stage::new(faulty, Setup::default());
    let undisturbed = tenant(0);
    rest(&stage.billing, &stage.clock, &faults).await;
    tell_tenant(&stage, events, &undisturbed).await;
    let calls = faults.count();
    let expected = stage.seen(&undisturbed).await;
    assert!(calls > 15, "{calls}");
    let mut number = 0;
    for position in (1..=calls).step_by(every) {
        for moment in Moment::ALL {
            number += 1;
            rest(&stage.billing, &stage.clock, &faults).await;
            faults.script(position, moment);
            let tenant = tenant(number);
            tell_tenant(&stage, events, &tenant).await;
            assert!(!faults.has_pending(), "the fault at {position} did not strike");
            let seen = stage.seen(&tenant).await;
            assert_eq!(seen, expected, "{moment:?} call {position} of {calls}");
            // Handed over at least once, and again only when the answer of its settling was lost.
            let told =
                stage.facts(&tenant).into_values().chain(stage.notices(&tenant).into_values());
            assert!(told.max() <= Some(2));
        }
    }
}

/// A guest's pack, refunded in two steps.
fn guest_refunded() -> Vec<Bytes> {
    let mut events = histories::pack_by_guest(Shape::New);
    let at = START + 86_400;
    let tell = |id: &str, kind: &str, object| {
        EventBuilder::new(kind).id(id).created(at).object(object).build()
    };
    for (id, amount) in [("re_1", 500), ("re_2", 1_000)] {
        let refund = RefundObject::new(id, "ch_1", amount).payment_intent(Some("pi_1")).created(at);
        events.push(tell(&format!("evt_{id}"), "refund.created", refund.render(Shape::New)));
    }
    let charge = ChargeObject::new("ch_1", Some("pi_1"), 1_500).amount_refunded(1_500);
    events.push(tell("evt_refunded", "charge.refunded", charge.render(Shape::New)));
    events
}

/// A lost dispute whose payment is known before its customer: the last word comes first.
fn dispute_first() -> Vec<Bytes> {
    histories::dispute_lost(Shape::New).into_iter().rev().collect()
}

/// A payment that stood alone, and a customer who turns out to have made it.
fn adopted_late() -> Vec<Bytes> {
    let tell = |number: i64, kind: &str, object| {
        let id = format!("evt_{number}");
        EventBuilder::new(kind).id(id).created(START + number).object(object).build()
    };
    let notes: &[(&str, &str)] = &[(ACCOUNT_KEY, ACCOUNT)];
    let shape = Shape::New;
    let refund = RefundObject::new("re_1", "ch_1", 400).render(shape);
    let charge = ChargeObject::new("ch_1", Some("pi_1"), 1_500);
    let intent = PaymentIntentObject::new("pi_1", 1_500).latest_charge(Some("ch_1"));
    vec![
        tell(3, "refund.created", refund),
        tell(1, "charge.succeeded", charge.clone().render(shape)),
        tell(2, "payment_intent.succeeded", intent.clone().render(shape)),
        tell(4, "charge.updated", charge.customer(Some("cus_1")).render(shape)),
        tell(5, "payment_intent.succeeded", intent.customer(Some("cus_1")).render(shape)),
        tell(6, "customer.created", CustomerObject::new("cus_1").metadata(notes).render(shape)),
    ]
}

/// One history of each family, at every position or a sample of them.
macro_rules! families {
    ($($name:ident: $events:expr;)+) => {$(
        mod $name {
            use super::*;

            async fn run(backend: crate::backends::Backend, every: usize) {
                if let Some(fixture) = backend.store().await {
                    positions(fixture.store.clone(), &$events, every).await;
                }
            }

            #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn memory() {
                run(crate::backends::Backend::Memory, 1).await;
            }

            #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn sqlite() {
                run(crate::backends::Backend::Sqlite, 1).await;
            }

            #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn postgres() {
                run(crate::backends::Backend::Postgres, 5).await;
            }

            #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn mysql() {
                run(crate::backends::Backend::Mysql, 5).await;
            }
        }
    )+};
}

families! {
    a_fault_does_not_lose_a_guests_refund: guest_refunded();
    a_fault_does_not_lose_a_dispute: dispute_first();
    a_fault_does_not_split_an_adopted_payment: adopted_late();
    a_fault_does_not_lose_entitlements: histories::entitlements(Shape::New);
    a_fault_does_not_lose_an_upgrade: histories::upgrade(Shape::New);
}

/// Thin events, whose objects are fetched between the calls of the store.
async fn a_fault_does_not_lose_a_thin_event(store: Arc<dyn Store>) {
    let fake = FakeStripe::builder()
        .start_time(START)
        .price(NewPrice::recurring("price_pro", 1_500, "usd", Interval::Month))
        .start()
        .await
        .expect("the fake starts");
    let client = || {
        let client = StripeClient::builder("sk_test_e2e").api_base(fake.base_url()).build();
        Setup { stripe: Some(client.expect("a client")), ..Setup::default() }
    };
    let faults = Faults::new();
    let faulty: Arc<dyn Store> = Arc::new(FaultyStore::new(store, &faults));
    let stage = Stage::new(faulty, client());
    let platform = Tenant::platform(false);
    let mut position = 0;
    let mut expected = None;
    loop {
        let account = format!("acme-{position}");
        let customer = fake.create_customer("ada@example.test", &[(ACCOUNT_KEY, &account)]);
        fake.set_card(&customer, Card::Good).expect("a card");
        let new = NewSubscription::new(&customer, "price_pro");
        let subscription = fake.create_subscription(new).expect("a subscription");
        fake.cancel_at_period_end(&subscription).expect("changed");
        let wanted = ["customer.created", "customer.subscription.updated", "invoice.paid"];
        let thins: Vec<Bytes> = fake
            .take_events()
            .iter()
            .filter(|event| wanted.contains(&event.event_type()))
            .map(|event| event.to_thin_json().to_string().into())
            .collect();
        faults.reset();
        let moment = Moment::ALL[position % 2];
        if position > 0 {
            faults.script(position.div_ceil(2) as u64, moment);
        }
        tell_tenant(&stage, &thins, &platform).await;
        let (calls, pending) = (faults.count(), faults.has_pending());
        faults.reset();
        let view = stage.account(&platform, &account).await;
        let row = &view["subscriptions"][0];
        let seen = (row["status"].clone(), row["will_cancel"].clone(), view["access"].clone());
        assert_eq!(&seen, expected.get_or_insert_with(|| seen.clone()), "{moment:?} {position}");
        assert_eq!(seen.1, true);
        if pending || position > 2 * calls as usize {
            break;
        }
        position += 1;
    }
    assert!(position > 20, "{position}");
}

mod on {
    use crate::backends::on_every_backend;

    on_every_backend!(sign_up cancel a_fault_does_not_lose_a_thin_event);
}
