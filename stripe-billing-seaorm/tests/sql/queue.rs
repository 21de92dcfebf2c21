use std::collections::BTreeMap;

use sea_orm::{ConnectionTrait, TransactionTrait};
use stripe_billing_core::changes::{Effects, IgnoreReason, Settlement};
use stripe_billing_core::queue::{ErrorClass, Failure};
use stripe_billing_core::store::{
    Commit, Delivery, EventQuery, EventStore, Inspect, Outbox, Settled,
};

use crate::support::{
    Backend, TestDb, changes, claim, claimed, event, on_every_backend, paid, seconds, stale, start,
    subject,
};

on_every_backend!(
    eight_workers_claim_each_event_once,
    the_longest_due_comes_first,
    a_lease_that_ran_out_is_taken_over_and_fenced,
    a_settlement_sets_what_operators_see,
    facts_are_claimed_and_settled,
    a_locked_subject_does_not_hide_the_account_of_its_facts,
);

async fn eight_workers_claim_each_event_once(db: &TestDb) {
    let store = db.store().await;
    for n in 0..200 {
        store.receive(event(&format!("evt_{n}"))).await.unwrap();
    }
    let mut workers = Vec::new();
    for n in 0..8 {
        let store = if n % 2 == 0 { store.clone() } else { db.store().await };
        workers.push(tokio::spawn(async move {
            let mut mine = Vec::new();
            loop {
                let batch = store.claim(&claim(7, start())).await;
                match batch {
                    Ok(batch) if batch.is_empty() => return mine,
                    Ok(batch) => mine.extend(batch.into_iter().map(|c| (c.lease, c.event.key))),
                    // A deadlock or a busy database; the next attempt goes through.
                    Err(error) => assert!(error.is_retryable(), "{error}"),
                }
            }
        }));
    }
    let mut seen = BTreeMap::new();
    for worker in workers {
        for (lease, key) in worker.await.unwrap() {
            assert_eq!(lease.epoch, 1);
            assert_eq!(seen.insert(lease.seq, key), None, "claimed twice");
        }
    }
    assert_eq!(seen.len(), 200);
}

async fn the_longest_due_comes_first(db: &TestDb) {
    let store = db.store().await;
    for (id, late) in [("evt_b", 5), ("evt_c", 9), ("evt_a", 1), ("evt_d", 30)] {
        let mut event = event(id);
        event.received_at = start() + seconds(late);
        store.receive(event).await.unwrap();
    }
    let ids = |claimed: Vec<stripe_billing_core::store::ClaimedEvent>| -> Vec<String> {
        claimed.into_iter().map(|c| c.event.key.id).collect()
    };
    assert!(store.claim(&claim(9, start())).await.unwrap().is_empty());
    let now = start() + seconds(10);
    assert!(store.claim(&claim(0, now)).await.unwrap().is_empty());
    assert_eq!(ids(store.claim(&claim(2, now)).await.unwrap()), ["evt_a", "evt_b"]);
    assert_eq!(ids(store.claim(&claim(9, now)).await.unwrap()), ["evt_c"]);
}

async fn a_lease_that_ran_out_is_taken_over_and_fenced(db: &TestDb) {
    let store = db.store().await;
    let first = claimed(&store, "evt_1").await;
    assert_eq!((first.lease.epoch, first.attempts, first.crashes), (1, 0, 0));
    let almost = start() + seconds(60) - chrono::TimeDelta::microseconds(1);
    assert!(store.claim(&claim(1, almost)).await.unwrap().is_empty());

    let later = start() + seconds(60);
    let second = store.claim(&claim(1, later)).await.unwrap().remove(0);
    assert_eq!(second.lease.seq, first.lease.seq);
    assert_eq!((second.lease.epoch, second.attempts, second.crashes), (2, 0, 1));

    let settled =
        |settlement| Settled { settlement, subject: None, effects: Effects::default(), now: later };
    let fenced = store.commit(&first.lease, &changes("cus_1", 0)).await;
    assert_eq!(fenced.unwrap(), Commit::LeaseLost);
    let done = settled(Settlement::Processed);
    assert!(!store.settle(&first.lease, &done).await.unwrap());
    assert_eq!(crate::support::load(&store, "cus_1", Vec::new()).await.unwrap().version, 0);

    // Both counts are on the row, not only in the answer.
    let later = later + seconds(60);
    let third = store.claim(&claim(1, later)).await.unwrap().remove(0);
    assert_eq!((third.lease.epoch, third.crashes), (3, 2));
    let fenced = store.commit(&second.lease, &changes("cus_1", 0)).await;
    assert_eq!(fenced.unwrap(), Commit::LeaseLost);

    let commit = store.commit(&third.lease, &changes("cus_1", 0)).await;
    assert_eq!(commit.unwrap(), Commit::Done);
    // Settled is settled, also for the one who did it.
    assert!(!store.settle(&third.lease, &done).await.unwrap());
    let again = store.commit(&third.lease, &changes("cus_1", 1)).await;
    assert_eq!(again.unwrap(), Commit::LeaseLost);
    let much_later = start() + seconds(100_000);
    assert!(store.claim(&claim(9, much_later)).await.unwrap().is_empty());
}

async fn a_settlement_sets_what_operators_see(db: &TestDb) {
    let store = db.store().await;
    let lease = claimed(&store, "evt_1").await.lease;
    let failure = Failure::new(ErrorClass::Transient, "store_unavailable", "gone");
    let settle = |settlement: Settlement| Settled {
        settlement,
        subject: Some("cus_1".to_owned()),
        effects: Effects::default(),
        now: start(),
    };
    let due = start() + seconds(5);
    let retry = settle(Settlement::Retry { due, failure });
    assert!(!store.settle(&stale(&lease), &retry).await.unwrap());
    assert!(store.settle(&lease, &retry).await.unwrap());
    let query = EventQuery { limit: 10, ..EventQuery::default() };
    let row = store.events(&query).await.unwrap().remove(0);
    assert_eq!(row.status, "retry_wait");
    assert_eq!(row.reason.as_deref(), Some("store_unavailable"));
    assert_eq!(row.message.as_deref(), Some("gone"));
    assert_eq!(row.subject.as_deref(), Some("cus_1"));
    assert_eq!(row.attempts, 1);

    assert!(store.claim(&claim(1, start())).await.unwrap().is_empty());
    let claimed = store.claim(&claim(1, due)).await.unwrap().remove(0);
    assert_eq!((claimed.attempts, claimed.crashes), (1, 0));
    let released = settle(Settlement::Released);
    assert!(store.settle(&claimed.lease, &released).await.unwrap());
    let claimed = store.claim(&claim(1, start())).await.unwrap().remove(0);
    assert_eq!((claimed.attempts, claimed.lease.epoch), (1, 3));
    let ignored = settle(Settlement::Ignored(IgnoreReason::Unhandled));
    assert!(store.settle(&claimed.lease, &ignored).await.unwrap());
    let row = store.events(&query).await.unwrap().remove(0);
    assert_eq!((row.status.as_str(), row.attempts), ("ignored", 1));
    assert_eq!(row.reason.as_deref(), Some("unhandled"));
}

async fn facts_are_claimed_and_settled(db: &TestDb) {
    let store = db.store().await;
    let lease = claimed(&store, "evt_1").await.lease;
    let mut told = changes("cus_1", 0);
    told.effects.outbox = vec![paid("in_1", 100), paid("in_2", 200)];
    assert_eq!(store.commit(&lease, &told).await.unwrap(), Commit::Done);

    let facts = store.claim_outbox(&claim(10, start())).await.unwrap();
    let keys: Vec<_> = facts.iter().map(|fact| fact.entry.clone()).collect();
    assert_eq!(keys, told.effects.outbox);
    assert_eq!(facts[0].subject, subject("cus_1"));
    assert_eq!(facts[0].account.as_deref(), Some("acme"));
    assert!(store.claim_outbox(&claim(10, start())).await.unwrap().is_empty());

    let now = start();
    let lost = stale(&facts[0].lease);
    let both = [lost, facts[0].lease.clone()];
    let done = store.settle_outbox(&both, &Delivery::Done, now).await;
    assert_eq!(done.unwrap(), 1, "one of them was lost");
    let due = start() + seconds(5);
    let failure = Failure::new(ErrorClass::Transient, "smtp", "later");
    let retry = Delivery::Retry { due, failure };
    let retried = store.settle_outbox(&[facts[1].lease.clone()], &retry, now).await;
    assert_eq!(retried.unwrap(), 1);

    let again = store.claim_outbox(&claim(10, due)).await.unwrap();
    assert_eq!(again.len(), 1);
    assert_eq!((again[0].attempts, again[0].lease.epoch), (1, 2));
    // A lease that ran out makes it due again here as well.
    let taken = store.claim_outbox(&claim(10, due + seconds(60))).await.unwrap();
    assert_eq!((taken.len(), taken[0].lease.epoch), (1, 3));
    let failure = Failure::new(ErrorClass::Permanent, "refused", "no");
    let dead = Delivery::Dead { failure, effects: Box::default() };
    let leases = [again[0].lease.clone(), taken[0].lease.clone()];
    assert_eq!(store.settle_outbox(&leases[..1], &dead, due).await.unwrap(), 0);
    assert_eq!(store.settle_outbox(&leases[1..], &dead, due).await.unwrap(), 1);
    let stats = store.stats(due).await.unwrap();
    assert_eq!((stats.outbox["done"], stats.outbox["dead"]), (1, 1));
    assert!(stats.idle);
}

/// MySQL's locking reads skip locked rows in subqueries too.
async fn a_locked_subject_does_not_hide_the_account_of_its_facts(db: &TestDb) {
    if !matches!(db.backend, Backend::Postgres | Backend::MySql) {
        return; // SQLite has one writer, and readers see what was committed.
    }
    let store = db.store().await;
    let event = claimed(&store, "evt_1").await;
    let mut changes = changes("cus_1", 0);
    changes.effects.outbox = vec![paid("in_1", 500)];
    assert_eq!(store.commit(&event.lease, &changes).await.unwrap(), Commit::Done);

    let raw = db.raw().await.unwrap();
    let other = raw.begin().await.unwrap();
    other.execute_unprepared("UPDATE billing_subjects SET version = version + 1").await.unwrap();
    let facts = store.claim_outbox(&claim(8, start())).await.unwrap();
    other.rollback().await.unwrap();
    let accounts: Vec<_> = facts.iter().map(|fact| fact.account.as_deref()).collect();
    assert_eq!(accounts, [Some("acme")]);
}
