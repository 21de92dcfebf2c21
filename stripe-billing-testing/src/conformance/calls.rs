//! `CallStore`: calls to Stripe that must happen once.

use chrono::TimeDelta;
use stripe_billing_core::store::{Call, Store};

use super::Fixture;
use super::race::{insist, race};
use super::sample::{ODD_IDS, at};

async fn begin(store: &dyn Store, key: &str, fingerprint: &str, now: i64) -> Call {
    let call = store.begin_call(key, fingerprint, at(now)).await;
    call.expect("begin_call")
}

async fn finish(store: &dyn Store, key: &str, generation: i64, result: &str) -> bool {
    let finished = store.finish_call(key, generation, result).await;
    finished.expect("finish_call")
}

async fn restart(store: &dyn Store, call: &Call, fingerprint: &str, now: i64) -> bool {
    let restarted = store.restart_call(&call.key, call.generation, fingerprint, at(now));
    restarted.await.expect("restart_call")
}

/// Of fifty simultaneous beginners on two nodes one inserts the row, and all read the same.
pub async fn call_store_begin_inserts_one_row_whoever_races(fixture: &Fixture) {
    let calls = race(50, |number| {
        let node = fixture.turn(number);
        async move {
            let fingerprint = format!("print-{number}");
            let now = at(i64::try_from(number).unwrap_or(0));
            insist(|| node.begin_call("customer:acme", &fingerprint, now)).await
        }
    })
    .await;
    let first = &calls[0];
    assert!(calls.iter().all(|call| call == first), "all read one row");
    let winner = (0..50).find(|n| first.fingerprint == format!("print-{n}"));
    let winner = winner.expect("one of them inserted it");
    assert_eq!(first.started_at, at(winner));
    assert_eq!((first.key.as_str(), first.result.as_deref()), ("customer:acme", None));
}

/// Whoever begins later reads the row as it is, whatever was asked for; times come back exactly
/// to the millisecond, since keys are made from them.
pub async fn call_store_begin_returns_the_row_as_it_is(fixture: &Fixture) {
    let store = fixture.node().as_ref();
    let now = at(0) + TimeDelta::milliseconds(987);
    let first = store.begin_call("customer:acme", "print-1", now).await;
    let first = first.expect("begin_call");
    assert_eq!(first.started_at, now);
    assert_eq!(first.fingerprint, "print-1");
    let other = fixture.other().as_ref();
    assert_eq!(begin(other, "customer:acme", "print-2", 50).await, first);
    let result = r#"{"id": "cus_1", "name": "Zoë 🎉 \"quoted\""}"#;
    assert!(finish(store, "customer:acme", first.generation, result).await);
    let finished = Call { result: Some(result.to_owned()), ..first };
    assert_eq!(begin(other, "customer:acme", "print-3", 60).await, finished);
    assert_ne!(begin(store, "checkout:acme", "print-1", 70).await.key, finished.key);
}

/// A generation gets its result once; another generation's result is refused, as is one for a key
/// that nobody claimed.
pub async fn call_store_finish_counts_once_and_for_its_generation(fixture: &Fixture) {
    let store = fixture.node().as_ref();
    assert!(!finish(store, "customer:acme", 1, "{}").await, "nobody began");
    let call = begin(store, "customer:acme", "print-1", 0).await;
    for wrong in [call.generation - 1, call.generation + 1] {
        assert!(!finish(store, &call.key, wrong, "{}").await);
    }
    assert_eq!(begin(store, &call.key, "print-1", 1).await, call);
    assert!(finish(store, &call.key, call.generation, "{\"n\":1}").await);
    assert!(!finish(store, &call.key, call.generation, "{\"n\":2}").await);
    let row = begin(store, &call.key, "print-1", 2).await;
    assert_eq!(row.result.as_deref(), Some("{\"n\":1}"));
}

/// A restart opens the next generation, without a result, if the generation is still the row's;
/// the old generation then has nothing to say any more.
pub async fn call_store_restart_opens_the_next_generation(fixture: &Fixture) {
    let store = fixture.node().as_ref();
    let first = begin(store, "checkout:acme", "print-1", 0).await;
    assert!(finish(store, &first.key, first.generation, "{}").await);
    assert!(restart(store, &first, "print-2", 100).await);
    let second = begin(fixture.other().as_ref(), &first.key, "print-9", 101).await;
    let expected = Call {
        key: first.key.clone(),
        generation: first.generation + 1,
        fingerprint: "print-2".to_owned(),
        started_at: at(100),
        result: None,
    };
    assert_eq!(second, expected);

    assert!(!restart(store, &first, "print-3", 102).await, "that is over");
    assert!(!finish(store, &first.key, first.generation, "{}").await);
    assert_eq!(begin(store, &first.key, "print-9", 103).await, second);
    let unknown = Call { key: "checkout:nobody".to_owned(), ..first };
    assert!(!restart(store, &unknown, "print-1", 104).await);
    assert!(restart(store, &second, "print-1", 105).await, "unfinished as well");
}

/// Of eight simultaneous restarts of one generation one counts.
pub async fn call_store_one_of_simultaneous_restarts_counts(fixture: &Fixture) {
    let first = begin(fixture.node().as_ref(), "checkout:acme", "print-0", 0).await;
    let answers = race(8, |number| {
        let (node, call) = (fixture.turn(number), first.clone());
        async move {
            let print = format!("print-{number}");
            insist(|| node.restart_call(&call.key, call.generation, &print, at(9))).await
        }
    })
    .await;
    let winners: Vec<_> = (0..8).filter(|number| answers[*number]).collect();
    assert_eq!(winners.len(), 1);
    let second = begin(fixture.other().as_ref(), &first.key, "print-x", 10).await;
    assert_eq!(second.generation, first.generation + 1);
    assert_eq!(second.fingerprint, format!("print-{}", winners[0]));
}

/// Keys that differ in case, accents, spaces or emoji are different.
pub async fn call_store_keys_are_compared_exactly(fixture: &Fixture) {
    let store = fixture.node().as_ref();
    for (n, key) in (0..).zip(ODD_IDS) {
        let call = begin(store, key, &format!("print-{n}"), n).await;
        assert_eq!((call.key.as_str(), call.started_at), (key, at(n)));
        assert!(finish(store, key, call.generation, &format!("\"{n}\"")).await);
    }
    for (n, key) in (0..).zip(ODD_IDS) {
        let call = begin(store, key, "another", 1_000).await;
        assert_eq!(call.fingerprint, format!("print-{n}"), "{key:?}");
        assert_eq!(call.result, Some(format!("\"{n}\"")));
    }
}
