//! `Outbox::told_since`: how much somebody was told lately.

use chrono::DateTime;
use stripe_billing_core::changes::{Adoption, Changes, Effects, OutboxEntry};
use stripe_billing_core::notice::NoticeKind;
use stripe_billing_core::queue::{ErrorClass, Failure, Lease};
use stripe_billing_core::state::Links;
use stripe_billing_core::store::{Commit, Delivery, Store, Told};
use stripe_billing_core::{DomainEvent, SubjectKey};

use super::Fixture;
use super::sample::{
    LEASE, at, changes, claim_outbox, connected, failure, live, load, notice, subject, subject_of,
    take_of, telling, test_mode,
};

/// What the cases ask for.
const KINDS: [NoticeKind; 2] = [NoticeKind::CreditsLow, NoticeKind::CreditsGranted];

fn granted(detail: &str) -> OutboxEntry {
    notice(NoticeKind::CreditsGranted, "in_1", detail)
}

/// Commits messages about a subject and takes them.
async fn take(store: &dyn Store, subject: &SubjectKey, effects: Effects, now: i64) -> Vec<Lease> {
    let held = take_of(store, subject.tenant.clone(), &format!("evt_{now}"), at(now)).await;
    let version = load(store, subject).await.version;
    let decision = Changes { effects, ..changes(subject, version, at(now)) };
    let done = store.commit(&held.lease, &decision).await.expect("commit");
    assert_eq!(done, Commit::Done);
    claim_outbox(store, at(now)).await.into_iter().map(|claimed| claimed.lease).collect()
}

/// The same, and ends them.
async fn end(
    store: &dyn Store,
    subject: &SubjectKey,
    entry: OutboxEntry,
    delivery: &Delivery,
    now: i64,
) -> i64 {
    let leases = take(store, subject, telling(vec![entry]), now).await;
    let settled = store.settle_outbox(&leases, delivery, at(now + 1)).await;
    assert_eq!(settled.expect("settle_outbox"), 1);
    leases[0].seq
}

async fn told(store: &dyn Store, subjects: &[&str], since: i64) -> Vec<Told> {
    let subjects: Vec<String> = subjects.iter().map(|id| (*id).to_owned()).collect();
    let told = store.told_since(&live(), &subjects, &KINDS, at(since)).await;
    told.expect("told_since")
}

/// Notices of the kinds about any of the subjects, by the time at which they were settled as handed
/// over, the latest first; and nothing else that looks like them.
pub async fn outbox_what_was_told_since_a_time(fixture: &Fixture) {
    let store = fixture.node().as_ref();
    let (one, two) = (subject("cus_1"), subject("cus_2"));
    let done = Delivery::Done;
    let low = notice(NoticeKind::CreditsLow, "in_1", "");
    let first = end(store, &one, granted("1"), &done, 10).await;
    let second = end(store, &two, low, &done, 20).await;
    let third = end(store, &one, granted("3"), &done, 30).await;
    // Another kind, a fact of the same name, other tenants, and other ends.
    end(store, &one, notice(NoticeKind::Receipt, "in_1", ""), &done, 40).await;
    let (grant, unit) = ("cs:1".to_owned(), "credits".to_owned());
    let fact = OutboxEntry::from(DomainEvent::CreditsGranted { grant, unit });
    end(store, &one, fact, &done, 50).await;
    end(store, &subject_of(test_mode(), "cus_1"), granted("1"), &done, 60).await;
    end(store, &subject_of(connected("acct_1"), "cus_1"), granted("1"), &done, 65).await;
    let due = DateTime::from_timestamp(4_000_000_000, 0).unwrap_or_default();
    let ends = [
        Delivery::Dropped,
        Delivery::Dead { failure: failure(), effects: Box::default() },
        Delivery::Retry { due, failure: failure() },
        Delivery::PutOff { due, reason: "told_enough" },
    ];
    for (now, delivery) in (70..).step_by(10).zip(&ends) {
        end(store, &one, granted(&now.to_string()), delivery, now).await;
    }
    let shadow = Effects { shadow: true, ..telling(vec![granted("shadow")]) };
    assert!(take(store, &one, shadow, 200).await.is_empty());

    let other = fixture.other().as_ref();
    let entry = |seq: i64, now: i64| Told { seq, at: Some(at(now)) };
    let all = [entry(third, 31), entry(second, 21), entry(first, 11)];
    assert_eq!(told(other, &["cus_1", "cus_2"], 0).await, all);
    assert_eq!(told(other, &["cus_1"], 0).await, [all[0], all[2]]);
    assert_eq!(told(other, &["cus_1"], 11).await, [all[0]], "after that time");
    assert_eq!(told(other, &["cus_1"], 10).await.len(), 2);
    assert!(told(other, &["CUS_1", "cus_3"], 0).await.is_empty());
    assert!(told(other, &[], 0).await.is_empty());
    let none = other.told_since(&live(), &["cus_1".to_owned()], &[], at(0)).await;
    assert!(none.expect("told_since").is_empty());

    // Of an id that turns out to be another's name, it was the other who was told.
    let held = take_of(store, live(), "evt_adopts", at(300)).await;
    let version = load(store, &two).await.version;
    let adopted = Adoption {
        id: "cus_1".to_owned(),
        expected_version: load(store, &one).await.version,
        had_state: true,
        links: Links::default(),
    };
    let decision = Changes { adopted: vec![adopted], ..changes(&two, version, at(300)) };
    assert_eq!(store.commit(&held.lease, &decision).await.expect("commit"), Commit::Done);
    assert_eq!(told(other, &["cus_2"], 0).await, all);
}

/// A notice that is claimed may be told just now, whoever has it and for how long; it comes first,
/// until it is settled.
pub async fn outbox_what_is_under_way_comes_first(fixture: &Fixture) {
    let store = fixture.node().as_ref();
    let key = subject("cus_1");
    let before = end(store, &key, granted("1"), &Delivery::Done, 10).await;
    let held = take(store, &key, telling(vec![granted("2")]), 20).await;
    let waiting = OutboxEntry { due: Some(at(5_000)), ..granted("3") };
    assert!(take(store, &key, telling(vec![waiting]), 21).await.is_empty());
    let before = Told { seq: before, at: Some(at(11)) };
    let under_way = Told { seq: held[0].seq, at: None };
    let other = fixture.other().as_ref();
    assert_eq!(told(other, &["cus_1"], 0).await, [under_way, before]);
    let again = claim_outbox(store, at(20 + 2 * LEASE)).await;
    assert_eq!(again.len(), 1, "its lease ran out");
    assert_eq!(told(other, &["cus_1"], 1_000).await, [under_way]);
    let lost = store.settle_outbox(&held, &Delivery::Done, at(200)).await;
    assert_eq!(lost.expect("settle_outbox"), 0);
    assert_eq!(told(other, &["cus_1"], 1_000).await, [under_way]);
    let lease = again[0].lease.clone();
    let settled = store.settle_outbox(&[lease], &Delivery::Done, at(300)).await;
    assert_eq!(settled.expect("settle_outbox"), 1);
    let now = Told { at: Some(at(300)), ..under_way };
    assert_eq!(told(other, &["cus_1"], 0).await, [now, before]);
}

/// What is put off is due at its time, as often as that happens, and counts neither attempts nor
/// deferrals; what is deferred counts one of these.
pub async fn outbox_what_is_put_off_costs_nothing(fixture: &Fixture) {
    let store = fixture.node().as_ref();
    let key = subject("cus_1");
    let mut leases = take(store, &key, telling(vec![granted("1")]), 0).await;
    let not_yet = Failure::new(ErrorClass::Deferred, "not_yet", "its order is not there");
    for (turn, deferrals) in (1..=4).zip([0, 0, 1, 1]) {
        let due = at(turn * 100);
        let delivery = match turn {
            3 => Delivery::Deferred { due, failure: not_yet.clone() },
            _ => Delivery::PutOff { due, reason: "told_enough" },
        };
        let settled = store.settle_outbox(&leases, &delivery, at(turn * 100 - 99)).await;
        assert_eq!(settled.expect("settle_outbox"), 1);
        assert!(claim_outbox(store, at(turn * 100 - 1)).await.is_empty());
        let claimed = claim_outbox(fixture.other().as_ref(), due).await;
        let counts: Vec<_> =
            claimed.iter().map(|it| (it.attempts, it.deferrals, it.crashes)).collect();
        assert_eq!(counts, [(0, deferrals, 0)], "turn {turn}");
        leases = claimed.into_iter().map(|claimed| claimed.lease).collect();
    }
}
