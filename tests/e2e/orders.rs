//! Every permutation of a history, with repetitions and twins under other event ids, ends in the
//! one state in which it ends in order.

use std::sync::Arc;

use bytes::Bytes;
use futures_util::future::join_all;
use futures_util::{StreamExt, stream};
use stripe_billing_core::store::Store;
use stripe_billing_testing::event::{Shape, histories};

use crate::world::{Story, World};

/// All orders of `length` things, or as many of them as asked for, picked by a fixed rule.
fn orders(length: usize, most: usize) -> Vec<Vec<usize>> {
    let count: usize = (1..=length).product();
    let pick = |nth: usize| {
        let mut left: Vec<usize> = (0..length).collect();
        let mut code = nth;
        (1..=length)
            .rev()
            .map(|n| {
                let index = code % n;
                code /= n;
                left.remove(index)
            })
            .collect()
    };
    // A step without a factor in common with the count walks through all of it.
    let step = if count > most { 7_919 } else { 1 };
    (0..count.min(most)).map(|n| pick(n * step % count)).collect()
}

async fn every_order_ends_alike(store: Arc<dyn Store>, history: &[Bytes]) {
    let world = World::new(store);
    let orders = orders(history.len(), 720);
    let stories: Vec<Story> = (0..=orders.len()).map(|n| Story::new(history, n)).collect();
    // The last story is told in order, once.
    let in_order = (0..history.len()).collect::<Vec<_>>();
    let told: Vec<Vec<Bytes>> = stories
        .iter()
        .zip(orders.iter().chain([&in_order]))
        .map(|(story, order)| story.in_order(order))
        .collect();
    for round in 0..history.len() {
        let deliveries = told.iter().enumerate().flat_map(|(number, events)| {
            let event = &events[round];
            let plain = number == orders.len();
            // One in three again under its id, one in three as a twin under another id.
            let again = (!plain && number % 3 == 0).then(|| event.clone());
            let twin = (!plain && number % 3 == 1).then(|| Story::twin(event));
            [Some(event.clone()), again, twin].into_iter().flatten()
        });
        stream::iter(deliveries)
            .for_each_concurrent(64, |body| {
                let world = &world;
                async move {
                    world.deliver(&body).await.expect("stored");
                }
            })
            .await;
        let workers = (0..4).map(|_| world.billing.process_due());
        for report in join_all(workers).await {
            report.expect("the store answers");
        }
    }
    world.settle().await;
    let expected = world.end_of(&stories[orders.len()]).await;
    assert_eq!(expected.account.as_deref(), Some("acme"));
    assert!(!expected.facts.is_empty());
    for (story, order) in stories.iter().zip(&orders) {
        assert_eq!(world.end_of(story).await, expected, "told in the order {order:?}");
        assert!(world.told(story).iter().all(|count| *count == 1), "{order:?} told a fact twice");
    }
}

async fn sign_up(store: Arc<dyn Store>) {
    every_order_ends_alike(store, &histories::sign_up(Shape::New)).await;
}

async fn sign_up_in_the_old_shape(store: Arc<dyn Store>) {
    every_order_ends_alike(store, &histories::sign_up(Shape::Old)).await;
}

async fn cancel(store: Arc<dyn Store>) {
    every_order_ends_alike(store, &histories::cancel(Shape::New)).await;
}

async fn failed_renewal(store: Arc<dyn Store>) {
    every_order_ends_alike(store, &histories::failed_renewal(Shape::New)).await;
}

mod on {
    use crate::backends::on_every_backend;

    on_every_backend!(sign_up sign_up_in_the_old_shape cancel failed_renewal);
}

#[test]
fn orders_are_all_different() {
    let all = orders(6, 720);
    let different: std::collections::BTreeSet<_> = all.iter().collect();
    assert_eq!(different.len(), 720);
    let some = orders(9, 720);
    let different: std::collections::BTreeSet<_> = some.iter().collect();
    assert_eq!(different.len(), 720);
}
