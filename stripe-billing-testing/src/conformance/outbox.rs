//! `Outbox`: facts on their way out.

use std::collections::BTreeSet;

use stripe_billing_core::SubjectKey;
use stripe_billing_core::changes::{Changes, Effects, OutboxEntry, Settlement};
use stripe_billing_core::queue::Lease;
use stripe_billing_core::store::{ClaimedEntry, Commit, Delivery, Settled, Store};

use super::Fixture;
use super::race::{insist, race};
use super::sample::{
    LEASE, at, changes, claim_outbox, claiming, connected, failure, keys, linked_at, linking, load,
    paid, started, subject, subject_of, take_of, telling,
};

/// Commits facts about a subject; no event may be due.
async fn tell(store: &dyn Store, key: &SubjectKey, id: &str, outbox: Vec<OutboxEntry>, now: i64) {
    let held = take_of(store, key.tenant.clone(), id, at(now)).await;
    let version = load(store, key).await.version;
    let decision = Changes { effects: telling(outbox), ..changes(key, version, at(now)) };
    let done = store.commit(&held.lease, &decision).await.expect("commit");
    assert_eq!(done, Commit::Done);
}

async fn settle(store: &dyn Store, lease: &Lease, delivery: &Delivery, now: i64) -> bool {
    let settled = store.settle_outbox(std::slice::from_ref(lease), delivery, at(now)).await;
    settled.expect("settle_outbox") == 1
}

/// Takes the only fact that is due.
async fn take_fact(store: &dyn Store, now: i64) -> ClaimedEntry {
    let mut claimed = claim_outbox(store, at(now)).await;
    assert_eq!(claimed.len(), 1, "exactly one fact is due");
    claimed.remove(0)
}

/// A fact comes with its key, its subject and the account that the subject belongs to, if any.
pub async fn outbox_a_fact_is_claimed_with_its_subject_and_account(fixture: &Fixture) {
    let store = fixture.node().as_ref();
    assert!(claim_outbox(store, at(0)).await.is_empty());
    let linked = subject_of(connected("acct_1"), "cus_1");
    let held = take_of(store, linked.tenant.clone(), "evt_1", at(0)).await;
    let decision = Changes {
        effects: telling(vec![paid("in_🎉", 1_500)]),
        ..linking(&linked, 0, "acme é", at(0))
    };
    let done = store.commit(&held.lease, &decision).await.expect("commit");
    assert_eq!(done, Commit::Done);
    let fact = take_fact(fixture.other().as_ref(), 1).await;
    assert_eq!(fact.entry, paid("in_🎉", 1_500));
    assert_eq!(fact.subject, linked);
    assert_eq!(fact.account.as_deref(), Some("acme é"));
    assert_eq!(fact.attempts, 0);

    // Same customer id, same account's name, another tenant: nobody's.
    let unlinked = subject("cus_1");
    tell(store, &unlinked, "evt_2", vec![started("sub_2")], 2).await;
    let fact = take_fact(store, 2).await;
    assert_eq!((fact.subject, fact.account), (unlinked, None));
}

/// A hundred facts and eight claimers on two nodes: each fact goes to exactly one.
pub async fn outbox_each_fact_goes_to_one_claimer(fixture: &Fixture) {
    let facts: Vec<_> = (0..100).map(|n| started(&format!("sub_{n}"))).collect();
    let all: BTreeSet<_> = facts.iter().map(|fact| fact.key.clone()).collect();
    let store = fixture.node().as_ref();
    tell(store, &subject("cus_1"), "evt_1", facts, 0).await;
    let hands = race(8, |number| {
        let node = fixture.turn(number);
        async move {
            let mut hand = Vec::new();
            loop {
                let request = claiming(7, at(1));
                let claimed = insist(|| node.claim_outbox(&request)).await;
                assert!(claimed.len() <= 7);
                if claimed.is_empty() {
                    return hand;
                }
                hand.extend(claimed);
                assert!(hand.len() <= 100, "some came twice");
            }
        }
    })
    .await;
    let mut claimed: Vec<_> = hands.into_iter().flatten().collect();
    claimed.extend(claim_outbox(store, at(1)).await);
    assert_eq!(claimed.len(), 100, "none is claimed twice");
    let claimed: BTreeSet<_> = keys(&claimed).into_iter().map(str::to_owned).collect();
    assert_eq!(claimed, all);
}

/// The longest due come first.
pub async fn outbox_the_longest_due_come_first(fixture: &Fixture) {
    let store = fixture.node().as_ref();
    let key = subject("cus_1");
    tell(store, &key, "evt_0", vec![started("sub_retry")], 0).await;
    let fact = take_fact(store, 1).await;
    let retry = Delivery::Retry { due: at(15), failure: failure() };
    assert!(settle(store, &fact.lease, &retry, 2).await);
    for (n, due) in [(1, 30), (2, 10), (3, 20)] {
        let fact = started(&format!("sub_{due}"));
        tell(store, &key, &format!("evt_{n}"), vec![fact], due).await;
    }
    let mut order = Vec::new();
    for _ in 0..2 {
        let request = claiming(2, at(100));
        let claimed = store.claim_outbox(&request).await.expect("claim_outbox");
        order.extend(claimed.into_iter().map(|one| one.entry));
    }
    let expected = ["sub_10", "sub_retry", "sub_20", "sub_30"].map(started);
    assert_eq!(order, expected);
}

/// A lease that runs out makes the fact due again, with the next epoch.
pub async fn outbox_a_lease_that_runs_out_is_due_again(fixture: &Fixture) {
    let store = fixture.node().as_ref();
    tell(store, &subject("cus_1"), "evt_1", vec![started("sub_1")], 0).await;
    let first = take_fact(store, 1).await;
    assert!(claim_outbox(fixture.other().as_ref(), at(LEASE)).await.is_empty());
    let second = take_fact(fixture.other().as_ref(), LEASE + 2).await;
    assert_eq!(second.lease.seq, first.lease.seq);
    assert_eq!(second.lease.epoch, first.lease.epoch + 1);
    assert_eq!(second.entry, first.entry);
}

/// A fact that is done or dead rests for ever; one that is retried is due at its time, with one
/// attempt more.
pub async fn outbox_every_delivery_does_what_it_says(fixture: &Fixture) {
    const LATER: i64 = 86_400 * 30;
    let store = fixture.node().as_ref();
    let key = subject("cus_1");
    let resting = [
        ("evt_1", "sub_1", Delivery::Done, "done"),
        ("evt_2", "sub_2", Delivery::Dead { failure: failure(), effects: Box::default() }, "dead"),
        ("evt_d", "sub_d", Delivery::Dropped, "dropped"),
    ];
    for (id, subscription, delivery, status) in resting {
        tell(store, &key, id, vec![started(subscription)], 0).await;
        let fact = take_fact(store, 1).await;
        assert!(settle(store, &fact.lease, &delivery, 2).await);
        assert!(!settle(store, &fact.lease, &Delivery::Done, 3).await, "once");
        assert!(claim_outbox(store, at(LATER)).await.is_empty());
        let stats = store.stats(at(LATER)).await.expect("stats");
        assert_eq!(stats.outbox.get(status), Some(&1));
    }

    tell(store, &key, "evt_3", vec![started("sub_3")], 0).await;
    for attempt in 0..3 {
        let due = i64::from(attempt) * 1_000 + 10;
        let fact = take_fact(store, due).await;
        assert_eq!(fact.attempts, attempt);
        let retry = Delivery::Retry { due: at(due + 1_000), failure: failure() };
        assert!(settle(store, &fact.lease, &retry, due + 1).await);
        assert!(claim_outbox(store, at(due + 999)).await.is_empty());
    }
    let fact = take_fact(store, 4_000).await;
    assert_eq!((fact.attempts, fact.entry), (3, started("sub_3")));
}

/// Whoever lost the lease of a fact settles nothing.
pub async fn outbox_an_old_epoch_settles_nothing(fixture: &Fixture) {
    let store = fixture.node().as_ref();
    tell(store, &subject("cus_1"), "evt_1", vec![started("sub_1")], 0).await;
    let lost = take_fact(store, 1).await;
    let holder = take_fact(fixture.other().as_ref(), LEASE + 2).await;
    let nobodys = Lease { seq: holder.lease.seq + 1_000, ..holder.lease };
    for lease in [&lost.lease, &nobodys] {
        for delivery in
            [Delivery::Done, Delivery::Dead { failure: failure(), effects: Box::default() }]
        {
            assert!(!settle(store, lease, &delivery, LEASE + 3).await);
        }
    }
    let stats = store.stats(at(LEASE + 3)).await.expect("stats");
    assert_eq!(stats.outbox.get("sending"), Some(&1));
    let again = take_fact(store, 3 * LEASE).await;
    assert!(!settle(store, &holder.lease, &Delivery::Done, 3 * LEASE).await);
    assert!(settle(store, &again.lease, &Delivery::Done, 3 * LEASE).await);
}

/// The account is the one that the subject belongs to when the fact is claimed, not when it was
/// written.
pub async fn outbox_the_account_is_that_of_the_claim(fixture: &Fixture) {
    let store = fixture.node().as_ref();
    let key = subject("cus_1");
    tell(store, &key, "evt_1", vec![started("sub_1")], 0).await;
    let accounts = [(None, 1), (Some("acme"), 2), (Some("zenith"), 3)];
    for (account, stamp) in accounts {
        let now = stamp * 1_000;
        if let Some(account) = account {
            let id = format!("evt_{account}");
            let held = take_of(store, key.tenant.clone(), &id, at(now)).await;
            let version = load(store, &key).await.version;
            let decision = Changes {
                links: linked_at(account, stamp),
                account: Some(account.to_owned()),
                ..changes(&key, version, at(now))
            };
            let done = store.commit(&held.lease, &decision).await.expect("commit");
            assert_eq!(done, Commit::Done);
        }
        // Every lease has run out by the next turn.
        let fact = take_fact(store, now + 1).await;
        assert_eq!(fact.account.as_deref(), account);
    }
}

/// An entry with a time of its own is not claimed before it, and one without is due at once.
pub async fn outbox_an_entry_is_due_at_its_own_time(fixture: &Fixture) {
    let store = fixture.node().as_ref();
    let key = subject("cus_1");
    let later = OutboxEntry { due: Some(at(500)), ..started("sub_later") };
    let past = OutboxEntry { due: Some(at(-500)), ..started("sub_past") };
    tell(store, &key, "evt_1", vec![later, started("sub_now"), past], 0).await;
    let other = fixture.other().as_ref();
    assert_eq!(keys(&claim_outbox(other, at(0)).await).len(), 2);
    let stats = store.stats(at(499)).await.expect("stats");
    assert_eq!(stats.outbox.get("pending"), Some(&1));
    for _ in 0..2 {
        // The leases of the two ran out, and so each comes alone.
        let fact = take_fact(other, 499).await;
        assert_ne!(fact.entry.key, started("sub_later").key);
        assert!(settle(store, &fact.lease, &Delivery::Done, 499).await);
    }
    // Told again without a time it stays as it is.
    tell(store, &key, "evt_2", vec![started("sub_later")], 499).await;
    assert!(claim_outbox(other, at(499)).await.is_empty());
    let fact = take_fact(other, 500).await;
    assert_eq!((fact.entry.key, fact.entry.message), {
        let entry = started("sub_later");
        (entry.key, entry.message)
    });
}

/// What is told in shadow is kept and never claimed, whether it has a time or not.
pub async fn outbox_shadow_entries_are_never_claimed(fixture: &Fixture) {
    let store = fixture.node().as_ref();
    let key = subject("cus_1");
    let shadow = || Effects {
        shadow: true,
        ..telling(vec![started("sub_1"), OutboxEntry { due: Some(at(500)), ..started("sub_2") }])
    };
    let held = take_of(store, key.tenant.clone(), "evt_1", at(0)).await;
    let decision = Changes { effects: shadow(), ..changes(&key, 0, at(0)) };
    let done = store.commit(&held.lease, &decision).await.expect("commit");
    assert_eq!(done, Commit::Done);
    let held = take_of(store, key.tenant.clone(), "evt_2", at(1)).await;
    let effects = Effects { shadow: true, ..telling(vec![started("sub_3")]) };
    let settled = Settled { settlement: Settlement::Processed, subject: None, effects, now: at(1) };
    assert!(store.settle(&held.lease, &settled).await.expect("settle"));
    let other = fixture.other().as_ref();
    assert!(claim_outbox(other, at(86_400 * 365)).await.is_empty());
    let stats = other.stats(at(86_400)).await.expect("stats");
    assert_eq!(stats.outbox, [("shadow".to_owned(), 3)].into());
    assert!(stats.idle, "what is in shadow is at rest");
    // Told for real later on, it is there already.
    tell(store, &key, "evt_3", vec![started("sub_1")], 2).await;
    assert!(claim_outbox(other, at(10)).await.is_empty());
}

/// A message whose lease ever ran out is claimed alone, and says how often it did.
pub async fn outbox_a_suspect_is_claimed_alone(fixture: &Fixture) {
    let store = fixture.node().as_ref();
    let key = subject("cus_1");
    tell(store, &key, "evt_1", vec![started("sub_1"), started("sub_2")], 0).await;
    assert_eq!(claim_outbox(store, at(0)).await.len(), 2, "their worker dies");
    tell(store, &key, "evt_2", vec![started("sub_3"), started("sub_4")], LEASE + 9).await;
    let mut crashes = Vec::new();
    for expected in [1, 1, 2, 0] {
        let claimed = claim_outbox(fixture.other().as_ref(), at(LEASE + 9)).await;
        assert_eq!(claimed.len(), expected);
        crashes.extend(claimed.iter().map(|fact| fact.crashes));
    }
    assert_eq!(crashes, [1, 1, 0, 0]);
}
