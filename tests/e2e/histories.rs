//! Every history on every backend: shuffled, repeated, twinned and in batches of any size it ends
//! as in order on the reference store.

use std::collections::BTreeSet;
use std::sync::Arc;

use bytes::Bytes;
use stripe_billing_core::store::Store;
use stripe_billing_core::{Clock, MemoryStore, Tenant};
use stripe_billing_testing::event::histories::{self, ACCOUNT, ACCOUNT_KEY, ALL, START};
use stripe_billing_testing::event::{EventBuilder, Shape, SubscriptionObject};

use crate::stage::{Dice, Seen, Setup, Stage, moved, tenant, twin};

const SHAPES: [Shape; 3] = [Shape::Old, Shape::Basil, Shape::New];

/// In order, one after the other, nothing else going on.
async fn in_order(events: &[Bytes]) -> Seen {
    let stage = Stage::new(Arc::new(MemoryStore::new()), Setup::default());
    let tenant = tenant(0);
    for body in events {
        stage.deliver([&moved(body, &tenant)]).await;
        stage.billing.process_due().await.expect("memory never fails");
    }
    stage.settle().await;
    stage.seen(&tenant).await
}

async fn a_history_does_not_end_differently(store: Arc<dyn Store>) {
    let mut dice = Dice(20_261_121);
    let nodes: Vec<Stage> = [1, 3, 16]
        .map(|batch| Stage::new(Arc::clone(&store), Setup { batch, ..Setup::default() }))
        .into();
    let mut told = Vec::new();
    for (name, history) in ALL {
        for shape in SHAPES {
            told.push((name, shape, history(shape), tenant(told.len() + 1)));
        }
    }
    for (_, _, events, tenant) in &told {
        let node = &nodes[dice.below(nodes.len())];
        let own: Vec<Bytes> = events.iter().map(|body| moved(body, tenant)).collect();
        let twins: Vec<Bytes> = own.iter().map(twin).collect();
        let mut all = [own.clone(), own, twins].concat();
        dice.shuffle(&mut all);
        let step = 1 + dice.below(all.len());
        for some in all.chunks(step) {
            node.deliver(some).await;
            node.billing.process_due().await.expect("the store answers");
        }
    }
    for node in &nodes {
        node.settle().await;
    }
    let stats = nodes[0].store.stats(nodes[0].clock.now()).await.expect("read");
    let different: usize = told.iter().map(|(_, _, events, _)| 2 * events.len()).sum();
    assert_eq!(stats.events.values().sum::<u64>(), different as u64, "one row an event id");
    for (name, shape, events, tenant) in &told {
        let expected = in_order(events).await;
        let (mut facts, mut notices) = (Vec::new(), Vec::new());
        for node in &nodes {
            facts.extend(node.facts(tenant));
            notices.extend(node.notices(tenant));
        }
        let view = nodes[0].seen(tenant).await.view;
        let seen = Seen { view, facts: facts.iter().map(|(key, _)| key.clone()).collect() };
        let times: u32 = facts.iter().map(|(_, times)| times).sum();
        assert_eq!(times as usize, seen.facts.len(), "told twice: {name} in {shape:?}: {facts:?}");
        let keys: BTreeSet<&String> = notices.iter().map(|(key, _)| key).collect();
        let times: u32 = notices.iter().map(|(_, times)| times).sum();
        assert_eq!(times as usize, keys.len(), "told twice: {name} in {shape:?}: {notices:?}");
        assert_eq!(seen, expected, "{name} in {shape:?}");
    }
}

async fn an_ended_subscription_is_not_brought_back_by_a_late_snapshot(store: Arc<dyn Store>) {
    let stage = Stage::new(store, Setup::default());
    let tell = |id: &str, at: i64, kind: &str, status: &str| {
        let object = SubscriptionObject::new("sub_1", "cus_1").status(status);
        let object = object.metadata(&[(ACCOUNT_KEY, ACCOUNT)]).render(Shape::New);
        EventBuilder::new(kind).id(id).created(at).object(object).build()
    };
    let ended = tell("evt_1", START, "customer.subscription.deleted", "canceled");
    let late = tell("evt_2", START + 5, "customer.subscription.updated", "active");
    for (number, order) in [[&ended, &late], [&late, &ended]].into_iter().enumerate() {
        let tenant = tenant(number + 1);
        for body in order {
            stage.deliver([&moved(body, &tenant)]).await;
            stage.settle().await;
        }
        let view = stage.account(&tenant, ACCOUNT).await;
        assert_eq!(view["subscriptions"][0]["status"], "canceled", "order {number}");
        assert_eq!(view["access"], false, "order {number}");
    }
}

async fn a_notice_that_is_not_true_any_more_is_not_told(store: Arc<dyn Store>) {
    // All of it in one batch, so that it is paid before anybody could be told that it was not.
    let stage = Stage::new(store, Setup { batch: 64, ..Setup::default() });
    stage.deliver(&histories::renewal_recovers(Shape::New)).await;
    stage.settle().await;
    let told = stage.notices(&Tenant::platform(true));
    assert!(told.contains_key("notice:payment_recovered:in_2"), "{told:?}");
    assert!(told.keys().all(|key| !key.starts_with("notice:payment_failed")), "{told:?}");
}

mod on {
    use crate::backends::on_every_backend;

    on_every_backend!(
        a_history_does_not_end_differently
        an_ended_subscription_is_not_brought_back_by_a_late_snapshot
        a_notice_that_is_not_true_any_more_is_not_told
    );
}
