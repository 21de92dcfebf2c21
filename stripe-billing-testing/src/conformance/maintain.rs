//! `Maintain`: what operators and retention do.

use stripe_billing_core::SubjectKey;
use stripe_billing_core::changes::{Changes, Effects, IgnoreReason, ParkReason, Settlement};
use stripe_billing_core::store::{
    Commit, EventRange, ReceivedEvent, Settled, Store, StoredEvent, Verb,
};

use super::Fixture;
use super::sample::{
    at, changes, claim, current, event, failure, ids, invoice, linking, load, opening, ordering,
    paid, past, retake, started, subject, subject_of, subscription, summary, take_of, telling,
    test_mode,
};

async fn settle(store: &dyn Store, id: &str, customer: &str, settlement: Settlement, now: i64) {
    store.receive(event(id, at(now))).await.expect("receive");
    let held = retake(store, id, at(now)).await;
    let settled = Settled {
        settlement,
        subject: Some(customer.to_owned()),
        effects: Effects::default(),
        now: at(now),
    };
    assert!(store.settle(&held.lease, &settled).await.expect("settle"));
}

async fn requeue(store: &dyn Store, range: &EventRange, now: i64) -> u64 {
    let order = ordering(Verb::Replay { range: range.clone() }, &format!("requeue {now}"), now);
    let carried = store.operate(&order).await.expect("operate");
    assert!(!carried.repeated, "each has a request id of its own");
    carried.changed
}

fn everything() -> EventRange {
    EventRange { limit: 10_000, ..EventRange::default() }
}

async fn stored(store: &dyn Store, range: &EventRange) -> Vec<StoredEvent> {
    store.stored_events(range).await.expect("stored_events")
}

/// Events in every status there is; `evt_leased` and `evt_retry` are not at rest.
async fn in_every_status(store: &dyn Store) {
    let ways = [
        ("evt_1", Settlement::Processed),
        ("evt_2", Settlement::Ignored(IgnoreReason::Superseded)),
        ("evt_3", Settlement::Parked(ParkReason::Unlinked)),
        ("evt_4", Settlement::Dead(failure())),
        ("evt_retry", Settlement::Retry { due: at(50_000), failure: failure() }),
    ];
    for (n, (id, settlement)) in (0..).zip(ways) {
        settle(store, id, if n % 2 == 0 { "cus_1" } else { "cus_2" }, settlement, n).await;
    }
    store.receive(event("evt_leased", at(10))).await.expect("receive");
    retake(store, "evt_leased", at(10)).await;
}

/// What rests is due again, as if it had just come: no attempts, no reason. What is leased or waits
/// for its retry is left.
pub async fn operate_a_replay_makes_due_what_is_at_rest(fixture: &Fixture) {
    let store = fixture.node().as_ref();
    in_every_status(store).await;
    assert_eq!(summary(store, "evt_4").await.attempts, 1);
    let requeued = requeue(store, &everything(), 20).await;
    assert_eq!(requeued, 4);
    for id in ["evt_1", "evt_2", "evt_3", "evt_4"] {
        let event = summary(fixture.other().as_ref(), id).await;
        assert_eq!((event.status.as_str(), event.attempts), ("received", 0));
        assert_eq!(event.reason, None);
    }
    assert_eq!(summary(store, "evt_retry").await.status, "retry_wait");
    assert_eq!(summary(store, "evt_leased").await.status, "processing");
    let again = requeue(store, &everything(), 21).await;
    assert_eq!(again, 0, "what is due already does not rest");
    let due = claim(store, at(21)).await;
    assert_eq!(ids(&due), ["evt_1", "evt_2", "evt_3", "evt_4"]);
    assert!(due.iter().all(|one| one.attempts == 0 && one.crashes == 0 && one.lease.epoch == 2));
}

/// A range restricts by place, status, type and subject, and its limit takes the oldest first.
pub async fn operate_a_replay_takes_a_range(fixture: &Fixture) {
    let store = fixture.node().as_ref();
    in_every_status(store).await;
    let seqs: Vec<i64> =
        stored(store, &everything()).await.iter().map(|event| event.summary.seq).collect();
    let text = |text: &str| Some(text.to_owned());
    let ranges: [(EventRange, &[&str]); 7] = [
        (EventRange { status: text("dead"), ..everything() }, &["evt_4"]),
        (EventRange { status: text("processing"), ..everything() }, &[]),
        (
            EventRange { from: Some(seqs[1]), until: Some(seqs[2]), ..everything() },
            &["evt_2", "evt_3"],
        ),
        (EventRange { subject: text("cus_2"), ..everything() }, &["evt_2", "evt_4"]),
        (EventRange { event_type: text("invoice.voided"), ..everything() }, &[]),
        (EventRange { limit: 2, ..everything() }, &["evt_1", "evt_2"]),
        (EventRange { limit: 0, ..everything() }, &[]),
    ];
    for (n, (range, expected)) in (0..).zip(ranges) {
        let now = 100 + n * 100;
        let requeued = requeue(store, &range, now).await;
        assert_eq!(requeued, expected.len() as u64, "{range:?}");
        // `evt_leased` is due again when its lease has run out, and comes alone then.
        let mut due = claim(store, at(now)).await;
        due.extend(claim(store, at(now)).await);
        due.retain(|one| one.event.key.id != "evt_leased");
        assert_eq!(ids(&due), expected, "{range:?}");
        for one in due {
            // Back to where it was.
            let settlement = match one.event.key.id.as_str() {
                "evt_1" => Settlement::Processed,
                "evt_2" => Settlement::Ignored(IgnoreReason::Superseded),
                "evt_3" => Settlement::Parked(ParkReason::Unlinked),
                _ => Settlement::Dead(failure()),
            };
            let settled =
                Settled { settlement, subject: None, effects: Effects::default(), now: at(now) };
            assert!(store.settle(&one.lease, &settled).await.expect("settle"));
        }
    }
}

/// A replay that its limit ends says where the next goes on, and is answered alike once more; what
/// it takes is what was counted.
pub async fn operate_a_replay_goes_on_where_its_limit_ended_it(fixture: &Fixture) {
    let (store, other) = (fixture.node().as_ref(), fixture.other().as_ref());
    in_every_status(store).await;
    let of_all = stored(store, &everything()).await;
    let seqs: Vec<i64> = of_all.iter().map(|event| event.summary.seq).collect();
    let count = async |range: EventRange| other.count_replayable(&range).await.expect("count");
    assert_eq!(count(everything()).await, 4, "evt_leased and evt_retry are not at rest");
    assert_eq!(count(EventRange { limit: 3, ..everything() }).await, 3);
    assert_eq!(count(EventRange { subject: Some("cus_2".to_owned()), ..everything() }).await, 2);
    assert_eq!(count(EventRange { from: Some(seqs[3]), ..everything() }).await, 1);

    let batch = async |store: &dyn Store, from: Option<i64>| {
        let range = EventRange { from, limit: 3, ..everything() };
        let order = ordering(Verb::Replay { range }, &format!("r@{from:?}"), 20);
        let carried = store.operate(&order).await.expect("operate");
        (carried.changed, carried.next, carried.repeated)
    };
    let goes_on = Some(seqs[2] + 1);
    assert_eq!(batch(store, None).await, (3, goes_on, false));
    assert_eq!(batch(other, None).await, (3, goes_on, true));
    assert_eq!(batch(other, goes_on).await, (1, None, false));
    assert_eq!(batch(store, goes_on).await, (1, None, true));
    assert_eq!(count(everything()).await, 0, "what is due already does not rest");
}

/// Payloads of processed and ignored events that are older are emptied, the oldest first and no more
/// than asked for; ids, statuses and all else stay, and nothing without a payload is processed again.
pub async fn maintain_prune_empties_old_payloads(fixture: &Fixture) {
    let store = fixture.node().as_ref();
    in_every_status(store).await;
    settle(store, "evt_new", "cus_1", Settlement::Processed, 30).await;
    settle(store, "evt_5", "cus_1", Settlement::Processed, 20).await;
    let before = stored(store, &everything()).await;
    for (limit, expected) in [(0, 0), (2, 2), (2, 1), (2, 0)] {
        let pruned = fixture.other().prune(at(30), limit).await.expect("prune");
        assert_eq!(pruned, expected);
    }
    let after = stored(store, &everything()).await;
    for (was, is) in before.iter().zip(&after) {
        let pruned = ["evt_1", "evt_2", "evt_5"].contains(&was.summary.key.id.as_str());
        assert_eq!(is.payload.is_empty(), pruned, "{:?}", is.summary);
        assert_eq!(is.summary, was.summary);
    }
    let requeued = requeue(store, &everything(), 40).await;
    assert_eq!(requeued, 3, "evt_3, evt_4 and evt_new");
    let receipt = store.receive(event("evt_1", at(50))).await.expect("receive");
    assert!(matches!(receipt, stripe_billing_core::store::Receipt::Duplicate { .. }));
}

/// What came to rest only later is pruned as well, whatever was pruned before it.
pub async fn maintain_prune_finds_what_came_to_rest_late(fixture: &Fixture) {
    let store = fixture.node().as_ref();
    settle(store, "evt_1", "cus_1", Settlement::Dead(failure()), 1).await;
    for n in 2..6 {
        settle(store, &format!("evt_{n}"), "cus_1", Settlement::Processed, n).await;
    }
    assert_eq!(store.prune(at(90), 2).await.expect("prune"), 2);
    let range = EventRange { status: Some("dead".to_owned()), ..everything() };
    assert_eq!(requeue(store, &range, 50).await, 1);
    let held = retake(store, "evt_1", at(50)).await;
    let settled = Settled {
        settlement: Settlement::Processed,
        subject: None,
        effects: Effects::default(),
        now: at(50),
    };
    assert!(store.settle(&held.lease, &settled).await.expect("settle"));
    let mut pruned = 0;
    for _ in 0..2 {
        pruned += store.prune(at(90), 2).await.expect("prune");
    }
    assert_eq!(pruned, 3);
    assert!(stored(store, &everything()).await.iter().all(|event| event.payload.is_empty()));
}

/// Failed attempts that are older are removed, the oldest first and no more than asked for, whatever
/// became of their events and payloads; how many there were stays on the event.
pub async fn maintain_prune_removes_old_attempts(fixture: &Fixture) {
    let (store, other) = (fixture.node().as_ref(), fixture.other().as_ref());
    for n in 0..5 {
        let retry = Settlement::Retry { due: at(1_000 + n), failure: failure() };
        let way = if n % 2 == 0 { retry } else { Settlement::Dead(failure()) };
        settle(store, &format!("evt_{n}"), "cus_1", way, n).await;
    }
    let again = retake(store, "evt_0", at(1_000)).await;
    let settled = Settled {
        settlement: Settlement::Dead(failure()),
        subject: None,
        effects: Effects::default(),
        now: at(1_000),
    };
    assert!(store.settle(&again.lease, &settled).await.expect("settle"));
    let kept = async || {
        let mut kept = Vec::new();
        for n in 0..5 {
            let seq = summary(store, &format!("evt_{n}")).await.seq;
            let attempts = store.attempts(seq).await.expect("attempts");
            kept.push(attempts.into_iter().map(|attempt| attempt.at).collect::<Vec<_>>());
        }
        kept
    };
    let before = stored(store, &everything()).await;
    assert_eq!(other.prune_attempts(at(0), 10).await.expect("prune"), 0, "that at the time stays");
    for (limit, expected) in [(0, 0), (2, 2), (2, 1), (2, 0)] {
        let pruned = other.prune_attempts(at(3), limit).await.expect("prune");
        assert_eq!(pruned, expected);
        if pruned == 2 {
            assert_eq!(kept().await[..3], [vec![at(1_000)], vec![], vec![at(2)]], "the oldest two");
        }
    }
    assert_eq!(kept().await, [vec![at(1_000)], vec![], vec![], vec![at(3)], vec![at(4)]]);
    assert_eq!(stored(store, &everything()).await, before, "nothing else is touched");
    assert_eq!(other.prune_attempts(at(2_000), 10).await.expect("prune"), 3);
    assert!(kept().await.iter().all(Vec::is_empty));
}

async fn commit(store: &dyn Store, key: &SubjectKey, id: &str, decision: &Changes) {
    let held = take_of(store, key.tenant.clone(), id, decision.now).await;
    let done = store.commit(&held.lease, decision).await.expect("commit");
    assert_eq!(done, Commit::Done);
}

/// A subject's events lose their payloads and it loses its records; what was told, the events' ids
/// and other subjects stay. A decision that was made before is a conflict.
pub async fn maintain_erase_forgets_a_subject(fixture: &Fixture) {
    let store = fixture.node().as_ref();
    let (key, other, twin) = (subject("cus_1"), subject("cus_2"), subject_of(test_mode(), "cus_1"));
    for (n, key) in (0..).zip([&key, &other, &twin]) {
        let decision = Changes {
            records: vec![current(&subscription("sub_1", 1)), past(&invoice("in_1", "paid"))],
            effects: Effects {
                tickets: vec![opening("dispute:dp_1")],
                ..telling(vec![paid(&format!("in_{n}"), 1_500)])
            },
            ..linking(key, 0, "acme", at(n))
        };
        commit(store, key, &format!("evt_{n}"), &decision).await;
    }
    settle(store, "evt_parked", "cus_1", Settlement::Parked(ParkReason::Unlinked), 5).await;
    let held = take_of(store, key.tenant.clone(), "evt_late", at(6)).await;

    assert_eq!(fixture.other().erase(&key).await.expect("erase"), 2);
    let erased = store.subject(&key).await.expect("subject").expect("it is known still");
    assert_eq!((erased.version, erased.records.len()), (2, 0));
    assert_eq!(erased.links.account(), Some("acme"));
    for kept in [&other, &twin] {
        let kept = store.subject(kept).await.expect("subject").expect("it is known");
        assert_eq!((kept.version, kept.records.len()), (1, 2));
    }
    for event in stored(store, &everything()).await {
        let gone = ["evt_0", "evt_parked"].contains(&event.summary.key.id.as_str());
        assert_eq!(event.payload.is_empty(), gone, "{:?}", event.summary);
    }
    let stats = store.stats(at(7)).await.expect("stats");
    assert_eq!(stats.outbox.get("pending"), Some(&3), "what is told stays");
    let decision = Changes {
        records: vec![current(&subscription("sub_1", 1))],
        effects: telling(vec![started("sub_1")]),
        ..changes(&key, 1, at(7))
    };
    let outcome = store.commit(&held.lease, &decision).await.expect("commit");
    assert_eq!(outcome, Commit::Conflict);
    assert_eq!(store.erase(&key).await.expect("erase"), 0, "there is nothing left");
    assert_eq!(store.erase(&subject("cus_nobody")).await.expect("erase"), 0);
    assert_eq!(load(store, &subject("cus_nobody")).await.version, 0);
}

/// Events come with all that was received, the oldest first, by place, status, type and subject.
pub async fn inspect_stored_events_are_a_range(fixture: &Fixture) {
    let store = fixture.node().as_ref();
    in_every_status(store).await;
    let voided =
        ReceivedEvent { event_type: "invoice.voided".to_owned(), ..event("evt_void", at(60)) };
    store.receive(voided.clone()).await.expect("receive");
    let other = fixture.other().as_ref();
    let all = stored(other, &everything()).await;
    let names = |events: &[StoredEvent]| -> Vec<String> {
        events.iter().map(|event| event.summary.key.id.clone()).collect()
    };
    let expected = ["evt_1", "evt_2", "evt_3", "evt_4", "evt_retry", "evt_leased", "evt_void"];
    assert_eq!(names(&all), expected);
    let last = &all[6];
    assert_eq!((last.kind, &last.api_version), (voided.kind, &voided.api_version));
    assert_eq!(last.payload, voided.payload);
    assert_eq!(last.summary, summary(store, "evt_void").await);

    let seq = |n: usize| Some(all[n].summary.seq);
    let text = |text: &str| Some(text.to_owned());
    let ranges: [(EventRange, &[&str]); 6] = [
        (EventRange { from: seq(1), until: seq(3), ..everything() }, &["evt_2", "evt_3", "evt_4"]),
        (EventRange { from: seq(6), ..everything() }, &["evt_void"]),
        (EventRange { status: text("dead"), ..everything() }, &["evt_4"]),
        (EventRange { event_type: text("invoice.voided"), ..everything() }, &["evt_void"]),
        (EventRange { subject: text("cus_2"), ..everything() }, &["evt_2", "evt_4"]),
        (EventRange { from: seq(2), limit: 2, ..EventRange::default() }, &["evt_3", "evt_4"]),
    ];
    for (range, expected) in ranges {
        assert_eq!(names(&stored(other, &range).await), expected, "{range:?}");
    }
    let paged = EventRange { limit: 0, ..EventRange::default() };
    assert!(stored(other, &paged).await.is_empty());
}

/// One event id is found in every tenant that has it, with what was received.
pub async fn inspect_events_are_found_by_their_id(fixture: &Fixture) {
    let store = fixture.node().as_ref();
    assert!(store.events_by_id("evt_1").await.expect("events_by_id").is_empty());
    let tenants = [super::sample::live(), test_mode(), super::sample::connected("acct_1")];
    for (n, tenant) in (0..).zip(&tenants) {
        for id in ["evt_1", "EVT_1"] {
            let event = super::sample::event_of(tenant.clone(), id, at(n));
            store.receive(event).await.expect("receive");
        }
    }
    let found = fixture.other().events_by_id("evt_1").await.expect("events_by_id");
    let keys: Vec<_> = found.iter().map(|event| event.summary.key.clone()).collect();
    let expected: Vec<_> = (0..)
        .zip(tenants)
        .map(|(n, tenant)| super::sample::event_of(tenant, "evt_1", at(n)))
        .collect();
    assert_eq!(keys, expected.iter().map(|event| event.key.clone()).collect::<Vec<_>>());
    let payloads: Vec<_> = found.into_iter().map(|event| event.payload).collect();
    assert_eq!(payloads, expected.into_iter().map(|event| event.payload).collect::<Vec<_>>());
}
