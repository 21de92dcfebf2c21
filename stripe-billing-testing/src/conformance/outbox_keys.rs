//! `EventStore` clause 5: the keys of facts.

use stripe_billing_core::ErrorKind;
use stripe_billing_core::changes::{Changes, OutboxEntry};
use stripe_billing_core::notice::NoticeKind;
use stripe_billing_core::store::Commit;

use super::Fixture;
use super::race::{insist, race};
use super::sample::{
    at, changes, claim, claim_outbox, connected, current, event, keys, live, load, notice, paid,
    started, subject, subject_of, subscription, summary, take, take_of, telling, test_mode,
};

/// The same fact again, in one commit or in another one, from any subject of the tenant, is no
/// error and is not told twice, not even after it was told.
pub async fn event_store_5_the_same_fact_is_kept_once(fixture: &Fixture) {
    let store = fixture.node().as_ref();
    let decisions = [
        ("cus_1", vec![paid("in_1", 1_500), paid("in_1", 1_500)]),
        ("cus_1", vec![paid("in_1", 1_500), started("sub_1")]),
        ("cus_2", vec![paid("in_1", 1_500)]),
    ];
    let mut told = Vec::new();
    for (n, (customer, outbox)) in (0..).zip(decisions) {
        let held = take(store, &format!("evt_{n}"), at(n)).await;
        let key = subject(customer);
        let version = load(store, &key).await.version;
        let decision = Changes { effects: telling(outbox), ..changes(&key, version, at(n)) };
        let done = store.commit(&held.lease, &decision).await.expect("commit");
        assert_eq!(done, Commit::Done);
        for claimed in claim_outbox(store, at(n)).await {
            let delivery = stripe_billing_core::store::Delivery::Done;
            let settled = store.settle_outbox(&[claimed.lease], &delivery, at(n)).await;
            assert_eq!(settled.expect("settle_outbox"), 1);
            assert_eq!(claimed.subject, subject("cus_1"));
            told.push(claimed.entry);
        }
    }
    assert_eq!(told, [paid("in_1", 1_500), started("sub_1")]);
    assert_eq!(load(store, &subject("cus_2")).await.version, 1);
}

/// Another fact under a known key fails the commit for good: nothing is written, and the event
/// stays with its worker.
pub async fn event_store_5_another_fact_under_the_key_fails_and_writes_nothing(fixture: &Fixture) {
    let store = fixture.node().as_ref();
    let key = subject("cus_1");
    let held = take(store, "evt_1", at(0)).await;
    let decision =
        Changes { effects: telling(vec![paid("in_1", 1_500)]), ..changes(&key, 0, at(0)) };
    let done = store.commit(&held.lease, &decision).await.expect("commit");
    assert_eq!(done, Commit::Done);

    let held = take(store, "evt_2", at(1)).await;
    let stored = Changes {
        effects: telling(vec![started("sub_9"), paid("in_1", 99)]),
        records: vec![current(&subscription("sub_1", 1))],
        ..changes(&key, 1, at(1))
    };
    let twice =
        Changes { effects: telling(vec![paid("in_2", 1), paid("in_2", 2)]), ..stored.clone() };
    for decision in [stored, twice] {
        let error = store.commit(&held.lease, &decision).await;
        let error = error.expect_err("the key stands for another fact");
        assert_eq!(error.kind(), ErrorKind::KeyReused, "{error}");
        assert!(!error.is_retryable());
        let subject = load(store, &key).await;
        assert_eq!((subject.version, subject.records.len()), (1, 0));
        assert_eq!(summary(store, "evt_2").await.status, "processing");
    }
    let facts = claim_outbox(store, at(2)).await;
    assert_eq!(keys(&facts), [paid("in_1", 1_500).key]);
    assert_eq!(facts[0].entry, paid("in_1", 1_500), "the first fact stays");
    let decision = changes(&key, 1, at(2));
    let done = store.commit(&held.lease, &decision).await.expect("commit");
    assert_eq!(done, Commit::Done, "the lease still holds");
}

/// The same key in another mode or another Stripe account is another fact.
pub async fn event_store_5_keys_are_unique_per_tenant(fixture: &Fixture) {
    let store = fixture.node().as_ref();
    let tenants = [live(), test_mode(), connected("acct_1"), connected("acct_A")];
    for (n, tenant) in (0..).zip(tenants) {
        let id = format!("evt_{n}");
        let held = take_of(store, tenant.clone(), &id, at(n)).await;
        let decision = Changes {
            effects: telling(vec![paid("in_1", n)]),
            ..changes(&subject_of(tenant.clone(), "cus_1"), 0, at(n))
        };
        let done = store.commit(&held.lease, &decision).await.expect("commit");
        assert_eq!(done, Commit::Done);
        let facts = claim_outbox(store, at(n)).await;
        assert_eq!(facts.len(), 1);
        assert_eq!(facts[0].subject.tenant, tenant);
        assert_eq!(facts[0].entry, paid("in_1", n));
    }
}

/// Eight subjects of one tenant that commit one fact at one moment are all done, and the fact is
/// there once.
pub async fn event_store_5_simultaneous_commits_keep_one_fact(fixture: &Fixture) {
    for n in 0..8 {
        let event = event(&format!("evt_{n}"), at(0));
        fixture.node().receive(event).await.expect("receive");
    }
    let held = claim(fixture.node().as_ref(), at(1)).await;
    let leases: Vec<_> = held.into_iter().map(|one| one.lease).collect();
    assert_eq!(leases.len(), 8);
    let outcomes = race(8, |number| {
        let (node, lease) = (fixture.turn(number), leases[number].clone());
        let decision = Changes {
            effects: telling(vec![paid("in_1", 1_500)]),
            ..changes(&subject(&format!("cus_{number}")), 0, at(2))
        };
        async move { insist(|| node.commit(&lease, &decision)).await }
    })
    .await;
    assert_eq!(outcomes, [Commit::Done; 8]);
    let facts = claim_outbox(fixture.node().as_ref(), at(3)).await;
    assert_eq!(facts.len(), 1);
    assert_eq!(facts[0].entry, paid("in_1", 1_500));
}

/// Notices have keys as facts do: the same again, at another time, is no error; another under the
/// key fails, and so does a fact.
pub async fn event_store_5_notices_are_kept_once(fixture: &Fixture) {
    let store = fixture.node().as_ref();
    let key = subject("cus_1");
    let first = notice(NoticeKind::Receipt, "in_1", "");
    let again = OutboxEntry { due: Some(at(900)), ..first.clone() };
    for (version, outbox) in (0..).zip([vec![first.clone()], vec![again.clone(), again]]) {
        let held = take(store, &format!("evt_{version}"), at(version)).await;
        let decision = Changes { effects: telling(outbox), ..changes(&key, version, at(version)) };
        let done = store.commit(&held.lease, &decision).await.expect("commit");
        assert_eq!(done, Commit::Done);
    }
    let held = take(store, "evt_9", at(9)).await;
    let another = OutboxEntry { key: first.key.clone(), ..notice(NoticeKind::Refund, "in_1", "") };
    let fact = OutboxEntry { key: first.key.clone(), ..started("sub_1") };
    for wrong in [another, fact] {
        let decision = Changes { effects: telling(vec![wrong]), ..changes(&key, 2, at(9)) };
        let error = store.commit(&held.lease, &decision).await.expect_err("another message");
        assert_eq!(error.kind(), ErrorKind::KeyReused, "{error}");
    }
    let told = claim_outbox(fixture.other().as_ref(), at(9)).await;
    assert_eq!(told.len(), 1);
    assert_eq!(told[0].entry, first);
}
