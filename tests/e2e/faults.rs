//! A fault before and after every single call of the store, for all positions: the end is the
//! undisturbed one.

use std::sync::Arc;

use bytes::Bytes;
use stripe_billing_core::store::Store;
use stripe_billing_testing::event::{Shape, histories};
use stripe_billing_testing::{Faults, FaultyStore, Moment};

use crate::world::{Story, World};

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
    tell(&world, &undisturbed.events).await;
    let calls = faults.count();
    let expected = world.end_of(&undisturbed).await;
    assert!(calls > 20 && !expected.facts.is_empty());

    let mut number = 0;
    for position in 1..=calls {
        for moment in Moment::ALL {
            number += 1;
            faults.reset();
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

mod on {
    use crate::backends::on_every_backend;

    on_every_backend!(sign_up cancel);
}
