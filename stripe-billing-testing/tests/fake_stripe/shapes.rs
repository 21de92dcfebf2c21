//! FakeStripe and the event builders were written apart: they agree on what every version moved.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;
use stripe_billing_testing::event::histories;
use stripe_billing_testing::event::{PaymentMethodObject, Shape};
use stripe_billing_testing::fake_stripe::{ApiVersion, Card, FakeStripe};

use crate::support::{Api, HOUR, bought_pack, builder, days, subscriber};

/// The keys of every kind of object, however deep it stands.
type Keys = BTreeMap<String, BTreeSet<String>>;

/// Lists, and what one side shows where the other does not say anything.
const NOT_OBJECTS: [&str; 2] = ["list", "balance_transaction"];

fn collect(value: &Value, keys: &mut Keys) {
    match value {
        Value::Array(items) => items.iter().for_each(|item| collect(item, keys)),
        Value::Object(map) => {
            if let Some(kind) = map.get("object").and_then(Value::as_str)
                && !NOT_OBJECTS.contains(&kind)
            {
                keys.entry(kind.to_owned()).or_default().extend(map.keys().cloned());
            }
            map.values().for_each(|inner| collect(inner, keys));
        }
        _ => {}
    }
}

/// A fake that has seen most of what there is.
async fn busy() -> FakeStripe {
    let fake = builder().feature("prod_pro", "exports").start().await.unwrap();
    let (customer, sub) = subscriber(&fake, Card::FailsOnRenewal);
    Api::new(&fake).subscribe_session(&[("customer", &customer)]).await;
    fake.advance(days(31) + HOUR).await;
    fake.mark_uncollectible(&fake.latest_invoice(&sub).unwrap()).unwrap();
    let (intent, _) = bought_pack(&fake).await;
    fake.warn_of_fraud(&intent).unwrap();
    let refund = fake.refund(&intent, Some(100)).unwrap();
    fake.fail_refund(&refund).unwrap();
    let dispute = fake.open_dispute(&intent, None).unwrap();
    fake.close_dispute(&dispute, true).unwrap();
    let (_, paused) = subscriber(&fake, Card::Good);
    fake.pause_subscription(&paused).unwrap();
    fake
}

fn of_fake(fake: &FakeStripe, shape: Shape) -> Keys {
    let version = ApiVersion::new(shape.api_version()).unwrap();
    let mut keys = Keys::new();
    for event in fake.events() {
        collect(&event.to_json(&version, 0)["data"]["object"], &mut keys);
    }
    keys
}

fn of_builders(shape: Shape) -> Keys {
    let mut keys = Keys::new();
    for (_, history) in histories::ALL {
        for body in history(shape) {
            let event: Value = serde_json::from_slice(&body).unwrap();
            collect(&event["data"]["object"], &mut keys);
        }
    }
    collect(&PaymentMethodObject::new("pm_1", None).render(shape), &mut keys);
    keys
}

#[tokio::test]
async fn the_fake_and_the_builders_move_the_same_keys() {
    let fake = busy().await;
    let newest = (of_fake(&fake, Shape::New), of_builders(Shape::New));
    let none = BTreeSet::new();
    let mut compared = 0;
    for shape in Shape::ALL {
        let (faked, built) = (of_fake(&fake, shape), of_builders(shape));
        for (kind, theirs) in &built {
            let Some(ours) = faked.get(kind) else { continue };
            let (ours_new, theirs_new) =
                (newest.0.get(kind).unwrap_or(&none), newest.1.get(kind).unwrap_or(&none));
            // Of what both know in some version, the same is there in this one.
            let known = |old: &BTreeSet<String>, new: &BTreeSet<String>| -> BTreeSet<String> {
                old.union(new).cloned().collect()
            };
            for key in known(ours, ours_new).intersection(&known(theirs, theirs_new)) {
                compared += 1;
                assert_eq!(
                    ours.contains(key),
                    theirs.contains(key),
                    "{kind}.{key} at {shape:?}: fake, builders"
                );
            }
        }
    }
    assert!(compared > 1_000, "{compared} keys");
}
