//! `Inspect`: the read side.

use std::collections::{BTreeMap, BTreeSet};

use stripe_billing_core::changes::{Adoption, Changes, Effects, IgnoreReason, Settlement};
use stripe_billing_core::queue::Lease;
use stripe_billing_core::state::Subject;
use stripe_billing_core::store::{
    Commit, Delivery, EventQuery, EventSummary, ReceivedEvent, Records, Settled, Stats, Store,
};
use stripe_billing_core::{AccountKey, SubjectKey};

use super::Fixture;
use super::sample::{
    LEASE, ODD_IDS, at, changes, claim, claim_outbox, connected, current, event, failure, invoice,
    linked_at, linking, live, load, past, retake, started, subject, subject_of, subscription, take,
    take_of, telling, test_mode,
};

async fn subjects_of(
    store: &dyn Store,
    account: &AccountKey,
    livemode: Option<bool>,
) -> Vec<Subject> {
    let subjects = store.subjects_of(account, livemode, Records::Current).await;
    subjects.expect("subjects_of")
}

async fn commit_new(store: &dyn Store, key: &SubjectKey, id: &str, decision: Changes) {
    let held = take_of(store, key.tenant.clone(), id, decision.now).await;
    let done = store.commit(&held.lease, &decision).await.expect("commit");
    assert_eq!(done, Commit::Done);
}

fn keys(subjects: &[Subject]) -> Vec<SubjectKey> {
    subjects.iter().map(|subject| subject.key.clone()).collect()
}

/// An account has the subjects of its Stripe account that are linked to it, in the mode asked for
/// or in both, in the order of their keys.
pub async fn inspect_an_accounts_subjects_in_one_mode_or_both(fixture: &Fixture) {
    let store = fixture.node().as_ref();
    let linked = [
        (live(), "cus_b", "acme"),
        (live(), "cus_B", "acme"),
        (live(), "cus_a", "acme"),
        (test_mode(), "cus_z", "acme"),
        (live(), "cus_c", "ACME"),
        (live(), "cus_d", "zenith"),
        (connected("acct_1"), "cus_a", "acme"),
        (connected("acct_2"), "cus_e", "acme"),
    ];
    for (n, (tenant, customer, account)) in (0..).zip(linked) {
        let key = subject_of(tenant, customer);
        let decision = linking(&key, 0, account, at(n));
        commit_new(store, &key, &format!("evt_{n}"), decision).await;
    }
    let unlinked = subject("cus_nobody");
    commit_new(store, &unlinked, "evt_nobody", changes(&unlinked, 0, at(20))).await;

    let other = fixture.other().as_ref();
    let acme = AccountKey::from("acme");
    let live_ones = ["cus_B", "cus_a", "cus_b"].map(subject).to_vec();
    let test_ones = vec![subject_of(test_mode(), "cus_z")];
    assert_eq!(keys(&subjects_of(other, &acme, Some(true)).await), live_ones);
    assert_eq!(keys(&subjects_of(other, &acme, Some(false)).await), test_ones);
    let both: Vec<_> = test_ones.into_iter().chain(live_ones).collect();
    assert_eq!(keys(&subjects_of(other, &acme, None).await), both);

    let of_connected =
        AccountKey { stripe_account: Some("acct_1".to_owned()), account: "acme".to_owned() };
    let expected = [subject_of(connected("acct_1"), "cus_a")];
    assert_eq!(keys(&subjects_of(other, &of_connected, None).await), expected);
    let nobody = AccountKey::from("nobody");
    assert!(subjects_of(other, &nobody, None).await.is_empty());
}

/// A subject that is linked anew is the other account's from then on, and no longer the first's.
pub async fn inspect_a_subject_follows_its_link(fixture: &Fixture) {
    let store = fixture.node().as_ref();
    let key = subject("cus_1");
    let steps = [Some("acme"), Some("zenith"), None];
    for (version, account) in (0..).zip(steps) {
        let decision = Changes {
            links: linked_at(account.unwrap_or("nobody"), version),
            account: account.map(str::to_owned),
            ..changes(&key, version, at(version))
        };
        commit_new(store, &key, &format!("evt_{version}"), decision).await;
        for name in ["acme", "zenith"] {
            let found = subjects_of(store, &AccountKey::from(name), None).await;
            assert_eq!(found.len(), usize::from(account == Some(name)));
        }
    }
}

/// A subject comes whole, as a load gives it: version, links and current records.
pub async fn inspect_subjects_carry_current_records_only(fixture: &Fixture) {
    let store = fixture.node().as_ref();
    let mut expected = Vec::new();
    for (n, customer) in (0..).zip(["cus_1", "cus_2"]) {
        let key = subject(customer);
        let decision = Changes {
            records: vec![
                current(&subscription("sub_1", n)),
                past(&invoice("in_1", "paid")),
                current(&invoice("in_2", "open")),
            ],
            ..linking(&key, 0, "acme", at(n))
        };
        commit_new(store, &key, &format!("evt_{n}"), decision).await;
        let subject = load(store, &key).await;
        assert_eq!(subject.records.len(), 2);
        expected.push(subject);
    }
    let account = AccountKey::from("acme");
    assert_eq!(subjects_of(store, &account, None).await, expected);
}

async fn list(store: &dyn Store, query: &EventQuery) -> Vec<EventSummary> {
    store.events(query).await.expect("events")
}

fn ids(events: &[EventSummary]) -> Vec<&str> {
    events.iter().map(|event| event.key.id.as_str()).collect()
}

/// Events are listed the newest first, by status, type and subject, alone and together.
pub async fn inspect_events_are_filtered(fixture: &Fixture) {
    let store = fixture.node().as_ref();
    let all = EventQuery { limit: 100, ..EventQuery::default() };
    assert!(list(store, &all).await.is_empty());
    let events = [
        ("evt_1", "invoice.paid", "cus_1", true),
        ("evt_2", "customer.created", "cus_1", false),
        ("evt_3", "invoice.paid", "cus_2", true),
        ("evt_4", "invoice.paid", "cus_1", false),
    ];
    for (n, (id, event_type, subject, settles)) in (0..).zip(events) {
        let event = ReceivedEvent { event_type: event_type.to_owned(), ..event(id, at(n)) };
        store.receive(event).await.expect("receive");
        let held = retake(store, id, at(n)).await;
        let settlement = if settles {
            Settlement::Processed
        } else {
            Settlement::Ignored(IgnoreReason::Superseded)
        };
        let settled = Settled {
            settlement,
            subject: Some(subject.to_owned()),
            effects: Effects::default(),
            now: at(n),
        };
        assert!(store.settle(&held.lease, &settled).await.expect("settle"));
    }
    store.receive(event("evt_5", at(9))).await.expect("receive");

    let listed = list(store, &all).await;
    assert_eq!(ids(&listed), ["evt_5", "evt_4", "evt_3", "evt_2", "evt_1"]);
    let second = &listed[3];
    assert_eq!(second.key, event("evt_2", at(1)).key);
    assert_eq!(second.event_type, "customer.created");
    assert_eq!((second.created, second.received_at), (at(1).timestamp() - 2, at(1)));
    assert_eq!(second.status, "ignored");
    assert_eq!(second.reason.as_deref(), Some("superseded"));
    assert_eq!((listed[0].status.as_str(), &listed[0].subject), ("received", &None));

    let with = |status: Option<&str>, event_type: Option<&str>, subject: Option<&str>| EventQuery {
        status: status.map(str::to_owned),
        event_type: event_type.map(str::to_owned),
        subject: subject.map(str::to_owned),
        ..all.clone()
    };
    let paid = Some("invoice.paid");
    let queries: [(EventQuery, &[&str]); 8] = [
        (with(Some("processed"), None, None), &["evt_3", "evt_1"]),
        (with(None, paid, None), &["evt_5", "evt_4", "evt_3", "evt_1"]),
        (with(None, None, Some("cus_1")), &["evt_4", "evt_2", "evt_1"]),
        (with(Some("ignored"), paid, Some("cus_1")), &["evt_4"]),
        (with(Some("received"), None, None), &["evt_5"]),
        (with(Some("dead"), None, None), &[]),
        (with(None, Some("invoice"), None), &[]),
        (with(None, None, Some("cus_%")), &[]),
    ];
    for (query, expected) in queries {
        assert_eq!(ids(&list(fixture.other().as_ref(), &query).await), expected);
    }
}

/// Pages by sequence number have no gaps and no repeats, while events arrive and move on.
pub async fn inspect_pages_have_no_gaps_and_no_repeats(fixture: &Fixture) {
    let store = fixture.node().as_ref();
    for n in 0..25 {
        let event = event(&format!("evt_{n}"), at(n % 5));
        store.receive(event).await.expect("receive");
    }
    let mut query = EventQuery { limit: 4, ..EventQuery::default() };
    let mut seen: Vec<EventSummary> = Vec::new();
    let mut sizes = Vec::new();
    for turn in 0.. {
        assert!(turn < 25, "pages come to an end: {sizes:?}");
        let page = list(fixture.other().as_ref(), &query).await;
        if page.is_empty() {
            break;
        }
        sizes.push(page.len());
        query.after = page.last().map(|event| event.seq);
        seen.extend(page);
        // Meanwhile one comes, and some are taken.
        let event = event(&format!("evt_new_{turn}"), at(6));
        store.receive(event).await.expect("receive");
        let request = super::sample::claiming(2, at(7));
        store.claim(&request).await.expect("claim");
    }
    assert_eq!(sizes, [4, 4, 4, 4, 4, 4, 1]);
    assert!(seen.is_sorted_by(|a, b| a.seq > b.seq), "the newest first");
    let expected: Vec<_> = (0..25).rev().map(|n| format!("evt_{n}")).collect();
    assert_eq!(ids(&seen), expected);
}

async fn stats(store: &dyn Store, now: i64) -> Stats {
    store.stats(at(now)).await.expect("stats")
}

fn counts(counts: &BTreeMap<String, u64>) -> Vec<(&str, u64)> {
    counts
        .iter()
        .filter(|(_, count)| **count > 0)
        .map(|(status, count)| (status.as_str(), *count))
        .collect()
}

async fn settle(store: &dyn Store, lease: &Lease, settlement: Settlement, now: i64) {
    let settled = Settled { settlement, subject: None, effects: Effects::default(), now: at(now) };
    assert!(store.settle(lease, &settled).await.expect("settle"));
}

/// Stats count both queues by status. All is at rest when nothing is due and nothing leased: an
/// attempt that waits for a later time is at rest. The age is that of the longest due event.
pub async fn inspect_stats_count_and_know_when_all_is_at_rest(fixture: &Fixture) {
    let store = fixture.node().as_ref();
    let age = |stats: &Stats, expected: f64| {
        assert!((stats.queue_age_seconds - expected).abs() < 0.01, "{stats:?}");
    };
    let empty = stats(store, 0).await;
    assert!(empty.idle);
    age(&empty, 0.0);

    store.receive(event("evt_1", at(10))).await.expect("receive");
    store.receive(event("evt_2", at(40))).await.expect("receive");
    let due = stats(fixture.other().as_ref(), 100).await;
    assert_eq!(counts(&due.events), [("received", 2)]);
    assert!(!due.idle, "two are due");
    age(&due, 90.0);

    let held = claim(store, at(100)).await;
    let leased = stats(store, 101).await;
    assert_eq!(counts(&leased.events), [("processing", 2)]);
    assert!(!leased.idle, "two are leased");
    age(&leased, 0.0);
    assert!(!stats(store, 100 + LEASE + 5).await.idle, "their leases ran out");

    let retry = Settlement::Retry { due: at(1_000), failure: failure() };
    settle(store, &held[0].lease, retry, 102).await;
    settle(store, &held[1].lease, Settlement::Processed, 102).await;
    let waiting = stats(store, 103).await;
    assert_eq!(counts(&waiting.events), [("processed", 1), ("retry_wait", 1)]);
    assert!(waiting.idle, "nothing is due before its time");
    age(&waiting, 0.0);
    let over = stats(store, 1_030).await;
    assert!(!over.idle, "its time has come");
    age(&over, 30.0);
    let held = retake(store, "evt_1", at(1_030)).await;
    settle(store, &held.lease, Settlement::Dead(failure()), 1_031).await;
    assert!(stats(store, 1_032).await.idle, "the dead rest");

    let key = subject("cus_1");
    let decision = Changes {
        effects: telling(vec![started("sub_1"), started("sub_2")]),
        ..changes(&key, 0, at(2_000))
    };
    commit_new(store, &key, "evt_3", decision).await;
    let pending = stats(store, 2_001).await;
    assert_eq!(counts(&pending.events), [("dead", 1), ("processed", 2)]);
    assert_eq!(counts(&pending.outbox), [("pending", 2)]);
    assert!(!pending.idle, "facts are due");
    let facts = claim_outbox(store, at(2_001)).await;
    assert_eq!(facts.len(), 2);
    let later = Delivery::Retry { due: at(9_000), failure: failure() };
    for (fact, delivery, idle) in [(0, Delivery::Done, false), (1, later, true)] {
        let lease = facts[fact].lease.clone();
        let settled = store.settle_outbox(&[lease], &delivery, at(2_002)).await;
        assert_eq!(settled.expect("settle_outbox"), 1);
        assert_eq!(stats(store, 2_003).await.idle, idle);
    }
    let rest = stats(store, 2_003).await;
    assert_eq!(counts(&rest.outbox), [("done", 1), ("pending", 1)]);
    assert!(!stats(store, 9_001).await.idle, "the fact's time has come");
}

/// Accounts, and subjects in queries, are compared exactly.
pub async fn inspect_ids_are_compared_exactly(fixture: &Fixture) {
    let store = fixture.node().as_ref();
    for (n, id) in (0..).zip(ODD_IDS) {
        let key = subject(id);
        let decision = linking(&key, 0, id, at(n));
        commit_new(store, &key, &format!("evt_{n}"), decision).await;
    }
    for (n, id) in (0..).zip(ODD_IDS) {
        let found = subjects_of(store, &AccountKey::from(id), Some(true)).await;
        assert_eq!(keys(&found), [subject(id)], "{id:?}");
        let query =
            EventQuery { subject: Some(id.to_owned()), limit: 100, ..EventQuery::default() };
        let found = list(store, &query).await;
        let found: BTreeSet<_> = ids(&found).into_iter().collect();
        assert_eq!(found, [format!("evt_{n}").as_str()].into(), "{id:?}");
    }
    let held = take(store, "evt_end", at(100)).await;
    settle(store, &held.lease, Settlement::Processed, 101).await;
}

/// A store that works says so.
pub async fn inspect_ping_answers(fixture: &Fixture) {
    for node in [fixture.node(), fixture.other()] {
        node.ping().await.expect("ping");
    }
}

/// A subject is found by its id and by its other names, with all of its records and in its own
/// version; who is unknown is none.
pub async fn inspect_a_subject_is_found_by_all_of_its_names(fixture: &Fixture) {
    let store = fixture.node().as_ref();
    let key = subject("cus_1");
    let decision = Changes {
        records: vec![current(&subscription("sub_1", 1)), past(&invoice("in_1", "paid"))],
        adopted: vec![Adoption {
            id: "pi_1".to_owned(),
            expected_version: 0,
            had_state: false,
            links: linked_at("nobody", 1),
        }],
        ..linking(&key, 0, "acme", at(0))
    };
    commit_new(store, &key, "evt_1", decision).await;
    let other = fixture.other().as_ref();
    let whole = other.subject(&key).await.expect("subject").expect("it is known");
    assert_eq!((&whole.key, whole.version, whole.records.len()), (&key, 1, 2));
    assert_eq!((whole.owner.as_ref(), whole.links.account()), (None, Some("acme")));
    let by_name = other.subject(&subject("pi_1")).await.expect("subject");
    assert_eq!(by_name.as_ref(), Some(&whole));
    let unknown = [subject("PI_1"), subject("cus_2"), subject_of(test_mode(), "pi_1")];
    for key in unknown {
        assert_eq!(other.subject(&key).await.expect("subject"), None);
    }
    let account = AccountKey::from("acme");
    let all = other.subjects_of(&account, None, Records::All).await.expect("subjects_of");
    assert_eq!(all, [whole]);
    let nobody = AccountKey::from("nobody");
    let none = other.subjects_of(&nobody, None, Records::All).await.expect("subjects_of");
    assert!(none.is_empty(), "a name is no subject");
}
