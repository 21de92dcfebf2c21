//! `Inspect::notices`: what operators see of the outbox.

use stripe_billing_core::changes::{Changes, Effects, Message, OutboxEntry};
use stripe_billing_core::notice::NoticeKind;
use stripe_billing_core::store::{Commit, Delivery};

use super::Fixture;
use super::sample::{
    at, changes, claim_outbox, live, load, notice, started, subject, take, telling, test_mode,
};

/// Notices are counted by kind for the subjects asked for: handed over, due, or in shadow; not those
/// that were dropped, nor those whose time has not come, nor facts.
pub async fn inspect_notices_are_counted_by_kind(fixture: &Fixture) {
    let store = fixture.node().as_ref();
    let later = OutboxEntry { due: Some(at(5_000)), ..notice(NoticeKind::Refund, "in_1", "later") };
    let told = [
        ("cus_1", vec![notice(NoticeKind::Receipt, "in_1", ""), started("sub_1")], false),
        ("cus_2", vec![notice(NoticeKind::Receipt, "in_2", ""), later], false),
        ("cus_3", vec![notice(NoticeKind::Receipt, "in_3", "")], false),
        ("cus_2", vec![notice(NoticeKind::DisputeOpened, "in_2", "")], true),
        ("cus_1", vec![notice(NoticeKind::TrialEnding, "in_1", "dropped")], false),
    ];
    for (n, (customer, outbox, shadow)) in (0..).zip(told) {
        let key = subject(customer);
        let effects = Effects { shadow, ..telling(outbox) };
        let version = load(store, &key).await.version;
        let decision = Changes { effects, ..changes(&key, version, at(n)) };
        let held = take(store, &format!("evt_{n}"), at(n)).await;
        let done = store.commit(&held.lease, &decision).await.expect("commit");
        assert_eq!(done, Commit::Done);
    }
    for entry in claim_outbox(store, at(10)).await {
        let delivery = match &entry.entry.message {
            Message::Notice(notice) if notice.detail == "dropped" => Delivery::Dropped,
            _ => Delivery::Done,
        };
        let settled = store.settle_outbox(&[entry.lease], &delivery, at(10)).await;
        assert_eq!(settled.expect("settle_outbox"), 1);
    }
    let other = fixture.other().as_ref();
    let count = async |subjects: &[&str], now: i64| -> Vec<(String, u64)> {
        let subjects: Vec<String> = subjects.iter().map(|id| (*id).to_owned()).collect();
        let counts = other.notices(&live(), &subjects, at(now)).await.expect("notices");
        counts.into_iter().collect()
    };
    let expected = |counts: &[(&str, u64)]| -> Vec<(String, u64)> {
        counts.iter().map(|(kind, count)| ((*kind).to_owned(), *count)).collect()
    };
    assert_eq!(count(&["cus_1"], 10).await, expected(&[("receipt", 1)]));
    let both = expected(&[("dispute_opened", 1), ("receipt", 2)]);
    assert_eq!(count(&["cus_1", "cus_2", "cus_1"], 4_999).await, both);
    let over = expected(&[("dispute_opened", 1), ("receipt", 3), ("refund", 1)]);
    assert_eq!(count(&["cus_1", "cus_2", "cus_3"], 5_000).await, over);
    assert!(count(&[], 10).await.is_empty());
    assert!(count(&["CUS_1"], 10).await.is_empty());
    let subjects = ["cus_1".to_owned()];
    let elsewhere = other.notices(&test_mode(), &subjects, at(10)).await.expect("notices");
    assert!(elsewhere.is_empty());
}
