//! `EventStore` clause 4: `commit`.

use stripe_billing_core::changes::{Changes, IgnoreReason, ParkReason, Settlement};
use stripe_billing_core::queue::Lease;
use stripe_billing_core::store::{Commit, Records, Store};
use stripe_billing_core::{AccountKey, SubjectKey};

use super::Fixture;
use super::race::{insist, race};
use super::sample::{
    LEASE, at, changes, claim, claim_outbox, current, event, failure, invoice, linked, linking,
    load, load_with, past, retake, seats, started, subject, subscription, summary, take, telling,
};

/// A decision that touches everything.
fn everything(key: &SubjectKey, expected: i64, seats: i64) -> Changes {
    Changes {
        records: vec![current(&subscription("sub_1", seats))],
        effects: telling(vec![started("sub_1")]),
        ..linking(key, expected, "acme", at(5))
    }
}

async fn commit(store: &dyn Store, lease: &Lease, changes: &Changes) -> Commit {
    store.commit(lease, changes).await.expect("commit")
}

/// Nothing of [`everything`] is there, and the subject stands at a version.
async fn assert_unwritten(store: &dyn Store, key: &SubjectKey, version: i64) {
    let subject = load_with(store, key, &[subscription("sub_1", 1).object()]).await;
    assert_eq!(subject.version, version);
    assert!(subject.records.is_empty(), "no record is written");
    assert_eq!(subject.links.account(), None, "no link is written");
    let stats = store.stats(at(5)).await.expect("stats");
    assert!(stats.outbox.values().all(|count| *count == 0), "no fact");
    let account = AccountKey::from("acme");
    let subjects = store.subjects_of(&account, None, Records::Current).await.expect("subjects_of");
    assert!(subjects.is_empty(), "no account is written");
}

/// Records, links, account, facts and the event's end are written together.
pub async fn event_store_4_everything_is_written_together(fixture: &Fixture) {
    let (store, other) = (fixture.node().as_ref(), fixture.other().as_ref());
    let key = subject("cus_1");
    let held = take(store, "evt_1", at(0)).await;
    let decision = everything(&key, 0, 3);
    assert_eq!(commit(store, &held.lease, &decision).await, Commit::Done);

    let written = load(other, &key).await;
    assert_eq!((written.version, seats(&written)), (1, Some(3)));
    assert_eq!(written.links, linked("acme"));
    let account = AccountKey::from("acme");
    let subjects = other.subjects_of(&account, None, Records::Current).await.expect("subjects_of");
    assert_eq!(subjects, [written]);
    let facts = claim_outbox(other, at(6)).await;
    assert_eq!(facts.len(), 1);
    assert_eq!(facts[0].entry, started("sub_1"));
    let event = summary(other, "evt_1").await;
    assert_eq!((event.status.as_str(), event.reason), ("processed", None));
    assert_eq!(event.subject.as_deref(), Some("cus_1"));
    assert!(claim(other, at(86_400)).await.is_empty());
}

/// A commit is a conflict if the version is another than expected, in either direction, and then
/// writes nothing and leaves the event with its worker.
pub async fn event_store_4_conflict_if_and_only_if_the_version_moved(fixture: &Fixture) {
    let store = fixture.node().as_ref();
    let key = subject("cus_1");
    let held = take(store, "evt_1", at(0)).await;
    for wrong in [1, 7] {
        let decision = everything(&key, wrong, 1);
        assert_eq!(commit(store, &held.lease, &decision).await, Commit::Conflict);
        assert_unwritten(store, &key, 0).await;
        assert_eq!(summary(store, "evt_1").await.status, "processing");
    }
    let decision = changes(&key, 0, at(1));
    assert_eq!(commit(store, &held.lease, &decision).await, Commit::Done);

    for (n, expected) in (2..).zip([1, 2]) {
        let held = take(store, &format!("evt_{n}"), at(n)).await;
        for wrong in [0, expected - 1, expected + 1] {
            let decision = everything(&key, wrong, 1);
            assert_eq!(commit(store, &held.lease, &decision).await, Commit::Conflict);
            assert_unwritten(store, &key, expected).await;
        }
        assert!(claim(store, at(n + 1)).await.is_empty(), "it is still leased");
        let decision = changes(&key, expected, at(n));
        assert_eq!(commit(store, &held.lease, &decision).await, Commit::Done);
        assert_eq!(load(store, &key).await.version, expected + 1);
    }
}

/// Of eight simultaneous commits on one version one is done and seven are conflicts, for a new
/// subject as for a known one.
pub async fn event_store_4_one_of_simultaneous_commits_is_done(fixture: &Fixture) {
    let key = subject("cus_1");
    for version in 0..2 {
        for n in 0..8 {
            let event = event(&format!("evt_{version}_{n}"), at(version * 10));
            fixture.node().receive(event).await.expect("receive");
        }
        let held = claim(fixture.node().as_ref(), at(version * 10 + 1)).await;
        let new: Vec<_> = held.into_iter().filter(|one| one.crashes == 0).collect();
        assert_eq!(new.len(), 8);
        let leases: Vec<_> = new.iter().map(|one| one.lease.clone()).collect();
        let outcomes = race(8, |number| {
            let (node, lease) = (fixture.turn(number), leases[number].clone());
            let seats = i64::try_from(number).unwrap_or(0) + 1;
            let decision = Changes {
                records: vec![current(&subscription("sub_1", seats))],
                ..changes(&key, version, at(version * 10 + 2))
            };
            async move { insist(|| node.commit(&lease, &decision)).await }
        })
        .await;
        let done: Vec<_> = (0..8).filter(|n| outcomes[*n] == Commit::Done).collect();
        let conflicts = outcomes.iter().filter(|it| **it == Commit::Conflict);
        assert_eq!((done.len(), conflicts.count()), (1, 7));
        let subject = load(fixture.other().as_ref(), &key).await;
        assert_eq!(subject.version, version + 1);
        assert_eq!(seats(&subject), i64::try_from(done[0] + 1).ok());
    }
}

/// Whoever lost the lease writes nothing, whatever version is expected, and takes nothing from the
/// one who has it.
pub async fn event_store_4_a_lost_lease_writes_nothing(fixture: &Fixture) {
    let (store, other) = (fixture.node().as_ref(), fixture.other().as_ref());
    let key = subject("cus_1");
    let lost = take(store, "evt_1", at(0)).await;
    let holder = retake(other, "evt_1", at(LEASE + 1)).await;
    // The lease is looked at first: a wrong version makes no difference.
    for expected in [0, 3] {
        let decision = everything(&key, expected, 1);
        let outcome = commit(store, &lost.lease, &decision).await;
        assert_eq!(outcome, Commit::LeaseLost);
        assert_unwritten(store, &key, 0).await;
    }
    assert_eq!(summary(store, "evt_1").await.status, "processing");
    let nobodys = Lease { seq: lost.lease.seq + 1_000, epoch: 1 };
    let outcome = commit(store, &nobodys, &everything(&key, 0, 1)).await;
    assert_eq!(outcome, Commit::LeaseLost);
    assert_unwritten(store, &key, 0).await;

    let decision = everything(&key, 0, 2);
    assert_eq!(commit(other, &holder.lease, &decision).await, Commit::Done);
    assert_eq!(load(store, &key).await.version, 1);
}

/// A commit that is repeated, because its answer was lost, finds the event settled and writes
/// nothing: not even on the version that it made.
pub async fn event_store_4_an_event_is_committed_once(fixture: &Fixture) {
    let store = fixture.node().as_ref();
    let key = subject("cus_1");
    let held = take(store, "evt_1", at(0)).await;
    let decision = everything(&key, 0, 1);
    assert_eq!(commit(store, &held.lease, &decision).await, Commit::Done);
    for expected in [0, 1] {
        let again = everything(&key, expected, 9);
        let outcome = commit(fixture.other().as_ref(), &held.lease, &again).await;
        assert_eq!(outcome, Commit::LeaseLost);
    }
    let subject = load(store, &key).await;
    assert_eq!((subject.version, seats(&subject)), (1, Some(1)));
    assert_eq!(claim_outbox(store, at(6)).await.len(), 1);
}

/// A record is replaced by a later one of the same object, and is loaded as current only while the
/// last commit said so. Records that a commit does not name stay.
pub async fn event_store_4_records_are_replaced_and_may_stop_being_current(fixture: &Fixture) {
    let store = fixture.node().as_ref();
    let key = subject("cus_1");
    let steps = [
        vec![current(&subscription("sub_1", 1)), current(&invoice("in_1", "open"))],
        vec![past(&invoice("in_1", "paid"))],
        vec![current(&subscription("sub_1", 2))],
    ];
    for (version, records) in (0..).zip(steps) {
        let held = take(store, &format!("evt_{version}"), at(version)).await;
        let decision = Changes { records, ..changes(&key, version, at(version)) };
        assert_eq!(commit(store, &held.lease, &decision).await, Commit::Done);
    }
    let plain = load(store, &key).await;
    let subscription = subscription("sub_1", 2);
    let expected = [(subscription.object(), subscription.clone())];
    assert_eq!(plain.records, expected.into());
    let invoice = invoice("in_1", "paid");
    let named = load_with(store, &key, &[invoice.object()]).await;
    let expected = [(subscription.object(), subscription), (invoice.object(), invoice)];
    assert_eq!(named.records, expected.into());
}

/// A commit ends its event in any way that there is, and writes its changes all the same.
pub async fn event_store_4_a_commit_settles_in_every_way(fixture: &Fixture) {
    let store = fixture.node().as_ref();
    let key = subject("cus_1");
    let ways = [
        (Settlement::Processed, "processed", false),
        (Settlement::Ignored(IgnoreReason::Superseded), "ignored", false),
        (Settlement::Parked(ParkReason::Unlinked), "parked", false),
        (Settlement::Dead(failure()), "dead", false),
        (Settlement::Retry { due: at(500), failure: failure() }, "retry_wait", true),
        (Settlement::Released, "received", true),
    ];
    for (version, (settlement, status, comes_back)) in (0..).zip(ways) {
        let id = format!("evt_{status}");
        let held = take(store, &id, at(version)).await;
        let decision = Changes { settlement, ..changes(&key, version, at(version)) };
        assert_eq!(commit(store, &held.lease, &decision).await, Commit::Done);
        assert_eq!(load(store, &key).await.version, version + 1);
        assert_eq!(summary(store, &id).await.status, status);
        if comes_back {
            // Taken out of the way of what follows.
            let due = retake(store, &id, at(500)).await;
            assert_eq!(due.lease.epoch, held.lease.epoch + 1);
        }
    }
}

/// What was not believed of an event is kept with it, and gone when a later commit believes it all.
pub async fn event_store_4_anomalies_are_kept_with_the_event(fixture: &Fixture) {
    let store = fixture.node().as_ref();
    let key = subject("cus_1");
    let held = take(store, "evt_1", at(0)).await;
    let decision = Changes {
        anomalies: vec!["data.object.total".to_owned(), "data.object.lines[0]".to_owned()],
        settlement: Settlement::Retry { due: at(5), failure: failure() },
        ..changes(&key, 0, at(0))
    };
    assert_eq!(commit(store, &held.lease, &decision).await, Commit::Done);
    let event = summary(fixture.other().as_ref(), "evt_1").await;
    assert_eq!(event.anomalies.as_deref(), Some("data.object.total data.object.lines[0]"));
    let held = retake(store, "evt_1", at(5)).await;
    assert_eq!(commit(store, &held.lease, &changes(&key, 1, at(5))).await, Commit::Done);
    assert_eq!(summary(store, "evt_1").await.anomalies, None);
}
