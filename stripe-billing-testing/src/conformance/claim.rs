//! `EventStore` clause 2: `claim`.

use std::collections::BTreeSet;

use stripe_billing_core::changes::{Effects, Settlement};
use stripe_billing_core::store::Settled;

use super::Fixture;
use super::race::{insist, race};
use super::sample::{LEASE, at, claim, claiming, event, failure, ids, retake, take};

/// Two hundred due events and eight claimers on two nodes: each event goes to exactly one.
pub async fn event_store_2_each_event_goes_to_one_claimer(fixture: &Fixture) {
    let all: BTreeSet<String> = (0..200).map(|n| format!("evt_{n}")).collect();
    for id in &all {
        let receipt = fixture.node().receive(event(id, at(0))).await;
        receipt.expect("receive");
    }
    let hands = race(8, |number| {
        let node = fixture.turn(number);
        async move {
            let mut hand = Vec::new();
            loop {
                let request = claiming(7, at(1));
                let claimed = insist(|| node.claim(&request)).await;
                if claimed.is_empty() {
                    return hand;
                }
                hand.extend(claimed);
                assert!(hand.len() <= 200, "some came twice");
            }
        }
    })
    .await;
    let hands = hands.into_iter().flatten().collect::<Vec<_>>();
    let mut claimed = hands;
    // Rows that others were just taking may have been passed over by all.
    claimed.extend(claim(fixture.node().as_ref(), at(1)).await);
    assert_eq!(claimed.len(), 200, "none is claimed twice");
    assert!(claimed.iter().all(|one| one.crashes == 0 && one.attempts == 0));
    let claimed: BTreeSet<_> = ids(&claimed).into_iter().map(str::to_owned).collect();
    assert_eq!(claimed, all);
}

/// The longest due come first, whether they are new or tried again.
pub async fn event_store_2_the_longest_due_come_first(fixture: &Fixture) {
    let store = fixture.node().as_ref();
    let tried = take(store, "evt_tried", at(1)).await;
    let settled = Settled {
        settlement: Settlement::Retry { due: at(15), failure: failure() },
        subject: None,
        effects: Effects::default(),
        now: at(2),
    };
    assert!(store.settle(&tried.lease, &settled).await.expect("settle"));
    for (id, due) in [("evt_30", 30), ("evt_10", 10), ("evt_20", 20)] {
        store.receive(event(id, at(due))).await.expect("receive");
    }
    let first = store.claim(&claiming(3, at(100))).await.expect("claim");
    assert_eq!(ids(&first), ["evt_10", "evt_tried", "evt_20"]);
    let rest = store.claim(&claiming(3, at(100))).await.expect("claim");
    assert_eq!(ids(&rest), ["evt_30"]);
}

/// A claim takes at most what was asked for, and nothing when nothing is due.
pub async fn event_store_2_the_limit_holds_and_nothing_due_is_empty(fixture: &Fixture) {
    let store = fixture.node().as_ref();
    assert!(claim(store, at(0)).await.is_empty());
    for n in 0..5 {
        let event = event(&format!("evt_{n}"), at(0));
        store.receive(event).await.expect("receive");
    }
    let mut taken = Vec::new();
    for expected in [2, 2, 1, 0] {
        let claimed = store.claim(&claiming(2, at(1))).await.expect("claim");
        assert_eq!(claimed.len(), expected);
        taken.extend(claimed.into_iter().map(|one| one.event.key.id));
    }
    taken.sort();
    taken.dedup();
    assert_eq!(taken.len(), 5);
}

/// A lease that runs out makes the event due again, with the next epoch and one crash more.
pub async fn event_store_2_a_lease_that_runs_out_is_due_again(fixture: &Fixture) {
    let store = fixture.node().as_ref();
    let first = take(store, "evt_1", at(0)).await;
    assert_eq!((first.crashes, first.attempts), (0, 0));
    assert!(claim(fixture.other().as_ref(), at(LEASE - 1)).await.is_empty());

    let second = retake(fixture.other().as_ref(), "evt_1", at(LEASE + 1)).await;
    assert_eq!(second.lease.seq, first.lease.seq);
    assert_eq!(second.lease.epoch, first.lease.epoch + 1);
    assert_eq!((second.crashes, second.attempts), (1, 0));
    assert!(claim(store, at(2 * LEASE)).await.is_empty());

    let third = retake(store, "evt_1", at(2 * LEASE + 2)).await;
    assert_eq!(third.lease.epoch, first.lease.epoch + 2);
    assert_eq!((third.crashes, third.attempts), (2, 0));
}

/// Every claim raises the epoch by one; work that was given back is no crash.
pub async fn event_store_2_each_claim_raises_the_epoch_by_one(fixture: &Fixture) {
    let store = fixture.node().as_ref();
    let first = take(store, "evt_1", at(0)).await;
    let mut lease = first.lease;
    let ways = [
        Settlement::Released,
        Settlement::Retry { due: at(20), failure: failure() },
        Settlement::Released,
    ];
    for (n, settlement) in (1..).zip(ways) {
        let settled =
            Settled { settlement, subject: None, effects: Effects::default(), now: at(10 * n) };
        assert!(store.settle(&lease, &settled).await.expect("settle"));
        let next = retake(store, "evt_1", at(10 * n + 1)).await;
        assert_eq!(next.lease.epoch, lease.epoch + 1);
        assert_eq!(next.crashes, 0);
        lease = next.lease;
    }
}

/// Of eight simultaneous claimers one takes over a lease that ran out.
pub async fn event_store_2_one_claimer_takes_over(fixture: &Fixture) {
    let first = take(fixture.node().as_ref(), "evt_1", at(0)).await;
    let hands = race(8, |number| {
        let node = fixture.turn(number);
        async move {
            let request = claiming(10, at(LEASE + 1));
            insist(|| node.claim(&request)).await
        }
    })
    .await;
    let taken: Vec<_> = hands.into_iter().flatten().collect();
    assert_eq!(ids(&taken), ["evt_1"]);
    assert_eq!(taken[0].lease.epoch, first.lease.epoch + 1);
    assert_eq!(taken[0].crashes, 1);
}

/// An event whose lease ever ran out is claimed alone, so that it takes no other down with it; the
/// others go on, and it does when it is the longest due.
pub async fn event_store_2_a_suspect_is_claimed_alone(fixture: &Fixture) {
    let store = fixture.node().as_ref();
    for id in ["evt_1", "evt_2"] {
        store.receive(event(id, at(0))).await.expect("receive");
    }
    assert_eq!(claim(store, at(1)).await.len(), 2, "their worker dies");
    for (id, due) in [("evt_old", 2), ("evt_new", 2 * LEASE)] {
        store.receive(event(id, at(due))).await.expect("receive");
    }
    let now = at(2 * LEASE + 1);
    let mut first = claim(store, now).await;
    assert_eq!(ids(&first), ["evt_old", "evt_new"], "those that never crashed, past the suspects");
    let mut alone = claim(fixture.other().as_ref(), now).await;
    assert_eq!((ids(&alone), alone[0].crashes), (vec!["evt_1"], 1));
    first.append(&mut alone);

    // Given back, it is a suspect still.
    let released = Settled {
        settlement: Settlement::Released,
        subject: None,
        effects: Effects::default(),
        now: at(0),
    };
    for held in &first {
        assert!(store.settle(&held.lease, &released).await.expect("settle"));
    }
    let mut order = Vec::new();
    for _ in 0..3 {
        order.push(ids(&claim(store, now).await).join(" "));
    }
    order.sort();
    assert_eq!(order, ["evt_1", "evt_2", "evt_old evt_new"]);
    assert!(claim(store, now).await.is_empty());
}
