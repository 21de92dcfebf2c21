//! Lifetimes of subscriptions as FakeStripe lives them: after every step, in whatever order its
//! events arrive, our state is Stripe's.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use stripe_billing_core::MemoryStore;
use stripe_billing_core::state::{Record, Subject};
use stripe_billing_core::store::{Inspect, Records};
use stripe_billing_testing::event::histories::{ACCOUNT, ACCOUNT_KEY, START};
use stripe_billing_testing::fake_stripe::{
    ApiVersion, Card, FakeStripe, Interval, NewPrice, NewSubscription,
};

use crate::world::World;

/// A small generator of numbers, so that a failing seed can be told again.
struct Dice(u64);

impl Dice {
    fn roll(&mut self, sides: u64) -> u64 {
        self.0 =
            self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % sides
    }

    fn shuffle<T>(&mut self, items: &mut [T]) {
        for at in (1..items.len()).rev() {
            let other = usize::try_from(self.roll(at as u64 + 1)).expect("small");
            items.swap(at, other);
        }
    }
}

/// One step in a subscription's life, whatever is possible just then.
async fn step(
    fake: &FakeStripe,
    customer: &str,
    subscription: &str,
    number: u64,
    dice: &mut Dice,
) -> String {
    // Stripe stamps whole seconds; every other step falls into the second of the one before.
    fake.advance(Duration::from_secs(2 * (number % 2))).await;
    let roll = dice.roll(8);
    let done = match roll {
        0 => fake.set_card(customer, Card::Good).is_ok(),
        1 => fake.set_card(customer, Card::FailsOnRenewal).is_ok(),
        2 => fake.cancel_at_period_end(subscription).is_ok(),
        3 => fake.resume(subscription).is_ok(),
        4 if dice.roll(8) == 0 => fake.cancel_now(subscription).is_ok(),
        roll => {
            let days = [1, 3, 10, 31][usize::try_from(roll % 4).expect("small")];
            fake.advance(Duration::from_secs(days * 86_400)).await;
            return format!("{days} days");
        }
    };
    // What is not possible just then is refused, as by Stripe.
    format!("{roll}: {done}")
}

async fn live(seed: u64, version: &str) {
    let mut dice = Dice(seed);
    let version = ApiVersion::new(version).expect("a version");
    let fake = FakeStripe::builder()
        .start_time(START)
        .price(NewPrice::recurring("price_pro", 1_500, "usd", Interval::Month))
        .start()
        .await
        .expect("the fake starts");
    let customer = fake.create_customer("ada@example.test", &[(ACCOUNT_KEY, ACCOUNT)]);
    fake.set_card(&customer, Card::Good).expect("a card");
    let new = NewSubscription::new(&customer, "price_pro");
    let subscription = fake.create_subscription(new).expect("a subscription");
    let store = MemoryStore::new();
    let world = World::new(Arc::new(store.clone()));
    let mut steps = vec!["created".to_owned()];
    for number in 0..12 {
        let mut events: Vec<Bytes> =
            fake.take_events().iter().map(|event| event.body(&version)).collect();
        dice.shuffle(&mut events);
        let again = events.clone();
        for body in events.iter().chain(&again) {
            world.deliver(body).await.expect("stored");
            if dice.roll(2) == 0 {
                world.billing.process_due().await.expect("memory never fails");
            }
        }
        world.settle().await;
        let subjects =
            store.subjects_of(&ACCOUNT.into(), None, Records::Current).await.expect("memory");
        let truth = fake.object(&subscription).expect("the subscription");
        assert_eq!(
            seen(&subjects, &subscription),
            (
                truth["status"].as_str().map(str::to_owned),
                truth["cancel_at_period_end"].as_bool(),
                truth["items"]["data"][0]["current_period_end"].as_i64(),
            ),
            "seed {seed}, after {steps:?}"
        );
        steps.push(step(&fake, &customer, &subscription, number, &mut dice).await);
    }
}

fn seen(subjects: &[Subject], id: &str) -> (Option<String>, Option<bool>, Option<i64>) {
    let found =
        subjects.iter().flat_map(|subject| subject.records.values()).find_map(
            |record| match record {
                Record::Subscription(record) => record.latest().filter(|view| view.id == id),
                _ => None,
            },
        );
    let status = found.map(|view| view.status.as_str().to_owned());
    (status, found.map(|view| view.cancel_at_period_end), found.and_then(|view| view.period_end()))
}

#[tokio::test]
async fn every_step_ends_as_stripe_has_it() {
    for seed in 0..120 {
        let version = ["2026-10-28.endive", "2024-06-20", "2022-11-15"][seed as usize % 3];
        live(seed, version).await;
    }
}
