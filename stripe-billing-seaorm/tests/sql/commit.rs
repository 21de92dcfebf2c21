use sea_orm::ConnectionTrait;
use stripe_billing_core::ErrorKind;
use stripe_billing_core::changes::{Effects, ParkReason, Settlement};
use stripe_billing_core::store::{Commit, EventStore, Inspect, Outbox, Records, Settled};

use crate::support::{
    TestDb, changes, claim, claimed, event, load, object, on_every_backend, paid, record, start,
};

on_every_backend!(
    one_of_eight_concurrent_commits_wins,
    a_conflict_writes_nothing,
    a_fact_is_told_once,
    a_fact_in_other_words_is_the_same_fact,
    another_fact_under_a_used_key_undoes_the_commit,
    load_brings_current_records_and_those_named,
    a_record_can_stop_being_current,
    linking_releases_what_was_parked_on_the_subject,
    a_catalog_releases_what_another_one_parked,
);

async fn one_of_eight_concurrent_commits_wins(db: &TestDb) {
    let store = db.store().await;
    for version in 0..3 {
        let mut tasks = Vec::new();
        for n in 0..8 {
            let lease = claimed(&store, &format!("evt_{version}_{n}")).await.lease;
            let node = db.store().await;
            tasks.push(tokio::spawn(async move {
                let mut decided = changes("cus_1", version);
                decided.records = vec![record(&format!("in_{version}_{n}"), true)];
                decided.effects.outbox = vec![paid(&format!("in_{version}_{n}"), 1)];
                node.commit(&lease, &decided).await
            }));
        }
        let mut done = 0;
        for task in tasks {
            match task.await.unwrap() {
                Ok(Commit::Done) => done += 1,
                Ok(Commit::Conflict) => {}
                Ok(Commit::LeaseLost) => panic!("no lease was lost"),
                Err(error) => assert_eq!(error.kind(), ErrorKind::Conflict, "{error}"),
            }
        }
        assert_eq!(done, 1);
        let loaded = load(&store, "cus_1", Vec::new()).await.unwrap();
        assert_eq!(loaded.version, version + 1);
        assert_eq!(loaded.records.len() as i64, version + 1);
    }
    let facts = store.claim_outbox(&claim(100, start())).await.unwrap();
    assert_eq!(facts.len(), 3);
}

async fn a_conflict_writes_nothing(db: &TestDb) {
    let store = db.store().await;
    let first = claimed(&store, "evt_1").await.lease;
    assert_eq!(store.commit(&first, &changes("cus_1", 0)).await.unwrap(), Commit::Done);
    let second = claimed(&store, "evt_2").await.lease;
    for expected in [0, 2, 7] {
        let mut stale = changes("cus_1", expected);
        stale.account = Some("mallory".to_owned());
        stale.records = vec![record("in_1", true)];
        stale.effects.outbox = vec![paid("in_1", 1)];
        let outcome = store.commit(&second, &stale).await.unwrap();
        assert_eq!(outcome, Commit::Conflict, "expected {expected}");
    }
    let loaded = load(&store, "cus_1", vec![object("in_1")]).await;
    let loaded = loaded.unwrap();
    assert_eq!((loaded.version, loaded.records.len()), (1, 0));
    assert!(store.claim_outbox(&claim(9, start())).await.unwrap().is_empty());
    assert!(store.subjects_of(&"mallory".into(), None, Records::Current).await.unwrap().is_empty());
    // The lease is still held, and the decision made again goes through.
    assert_eq!(store.commit(&second, &changes("cus_1", 1)).await.unwrap(), Commit::Done);
}

async fn a_fact_is_told_once(db: &TestDb) {
    let store = db.store().await;
    for (n, facts) in [
        vec![paid("in_1", 100), paid("in_1", 100)],
        vec![paid("in_1", 100)],
        vec![paid("in_2", 200), paid("in_1", 100), paid("in_3", 300)],
    ]
    .into_iter()
    .enumerate()
    {
        let lease = claimed(&store, &format!("evt_{n}")).await.lease;
        let mut decided = changes("cus_1", n as i64);
        decided.effects.outbox = facts;
        assert_eq!(store.commit(&lease, &decided).await.unwrap(), Commit::Done);
    }
    let mut keys: Vec<String> = store
        .claim_outbox(&claim(10, start()))
        .await
        .unwrap()
        .into_iter()
        .map(|fact| fact.entry.key)
        .collect();
    keys.sort();
    assert_eq!(keys, ["invoice_paid:in_1", "invoice_paid:in_2", "invoice_paid:in_3"]);
}

async fn a_fact_in_other_words_is_the_same_fact(db: &TestDb) {
    let Some(raw) = db.raw().await else { return };
    let store = db.store().await;
    let lease = claimed(&store, "evt_1").await.lease;
    let mut decided = changes("cus_1", 0);
    decided.effects.outbox = vec![paid("in_1", 100)];
    assert_eq!(store.commit(&lease, &decided).await.unwrap(), Commit::Done);
    // As another version of the library may have written it.
    raw.execute_unprepared("UPDATE billing_outbox SET body = CONCAT(' ', body)").await.unwrap();

    let lease = claimed(&store, "evt_2").await.lease;
    let mut decided = changes("cus_1", 1);
    decided.effects.outbox = vec![paid("in_0", 1), paid("in_1", 100)];
    assert_eq!(store.commit(&lease, &decided).await.unwrap(), Commit::Done);
    let facts = store.claim_outbox(&claim(10, start())).await.unwrap();
    let told: Vec<_> = facts.into_iter().map(|fact| fact.entry).collect();
    assert_eq!(told, [paid("in_1", 100), paid("in_0", 1)]);
}

async fn another_fact_under_a_used_key_undoes_the_commit(db: &TestDb) {
    let store = db.store().await;
    let lease = claimed(&store, "evt_1").await.lease;
    let mut decided = changes("cus_1", 0);
    decided.effects.outbox = vec![paid("in_1", 100)];
    assert_eq!(store.commit(&lease, &decided).await.unwrap(), Commit::Done);

    let lease = claimed(&store, "evt_2").await.lease;
    for outbox in [vec![paid("in_0", 1), paid("in_1", 999)], vec![paid("in_7", 1), paid("in_7", 2)]]
    {
        let mut decided = changes("cus_1", 1);
        decided.records = vec![record("in_1", true)];
        decided.effects.outbox = outbox;
        let error = store.commit(&lease, &decided).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::KeyReused);
        assert!(!error.is_retryable());
        let loaded = load(&store, "cus_1", Vec::new()).await.unwrap();
        assert_eq!((loaded.version, loaded.records.len()), (1, 0));
    }
    // Only the first fact is there, and the lease is still held.
    let facts = store.claim_outbox(&claim(10, start())).await.unwrap();
    assert_eq!(facts.len(), 1);
    assert_eq!(facts[0].entry, paid("in_1", 100));
    assert_eq!(store.commit(&lease, &changes("cus_1", 1)).await.unwrap(), Commit::Done);
}

async fn load_brings_current_records_and_those_named(db: &TestDb) {
    let store = db.store().await;
    let lease = claimed(&store, "evt_1").await.lease;
    let mut decided = changes("cus_1", 0);
    decided.records = (0..10).map(|n| record(&format!("in_{n}"), n == 0)).collect();
    assert_eq!(store.commit(&lease, &decided).await.unwrap(), Commit::Done);
    let lease = claimed(&store, "evt_2").await.lease;
    let mut other = changes("cus_2", 0);
    other.records = vec![record("in_x", true), record("in_9", true)];
    assert_eq!(store.commit(&lease, &other).await.unwrap(), Commit::Done);

    for (named, expected) in [
        (vec![], vec!["in_0"]),
        (vec!["in_3"], vec!["in_0", "in_3"]),
        (vec!["in_0", "in_3", "in_3"], vec!["in_0", "in_3"]),
        (vec!["in_5", "in_4", "in_3", "in_x", "in_none"], vec!["in_0", "in_3", "in_4", "in_5"]),
    ] {
        let objects = named.iter().map(|id| object(id)).collect();
        let loaded = load(&store, "cus_1", objects).await.unwrap();
        let ids: Vec<&str> = loaded.records.keys().map(|key| key.id.as_str()).collect();
        assert_eq!(ids, expected, "{named:?}");
        assert_eq!(loaded.version, 1);
    }
    let unknown = load(&store, "cus_3", vec![object("in_1")]).await;
    assert_eq!(unknown.unwrap().version, 0);
    let many = (0..5_000).map(|n| object(&format!("in_{n}"))).collect();
    let error = load(&store, "cus_1", many).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unsupported);
    let many = (0..4_096).map(|n| object(&format!("in_{n}"))).collect();
    let loaded = load(&store, "cus_1", many).await.unwrap();
    assert_eq!(loaded.records.len(), 10);
}

async fn a_record_can_stop_being_current(db: &TestDb) {
    let store = db.store().await;
    let lease = claimed(&store, "evt_1").await.lease;
    let mut decided = changes("cus_1", 0);
    decided.records = vec![record("in_1", true)];
    assert_eq!(store.commit(&lease, &decided).await.unwrap(), Commit::Done);
    let lease = claimed(&store, "evt_2").await.lease;
    let mut decided = changes("cus_1", 1);
    // Of two writes of one object the last holds.
    decided.records = vec![record("in_1", true), record("in_1", false)];
    assert_eq!(store.commit(&lease, &decided).await.unwrap(), Commit::Done);
    let loaded = load(&store, "cus_1", Vec::new()).await.unwrap();
    assert_eq!((loaded.version, loaded.records.len()), (2, 0));
    let loaded = load(&store, "cus_1", vec![object("in_1")]).await;
    assert_eq!(loaded.unwrap().records.len(), 1);
}

async fn linking_releases_what_was_parked_on_the_subject(db: &TestDb) {
    let store = db.store().await;
    let mut version = std::collections::BTreeMap::new();
    for (id, customer, reason) in [
        ("evt_1", "cus_1", ParkReason::Unlinked),
        ("evt_2", "cus_1", ParkReason::Unlinked),
        ("evt_other", "cus_2", ParkReason::Unlinked),
        ("evt_price", "cus_1", ParkReason::UnknownPrice { catalog: "c1".to_owned() }),
    ] {
        let lease = claimed(&store, id).await.lease;
        let expected = version.entry(customer).or_insert(0);
        let mut parked = changes(customer, *expected);
        *expected += 1;
        parked.settlement = Settlement::Parked(reason);
        assert_eq!(store.commit(&lease, &parked).await.unwrap(), Commit::Done);
    }
    let far = start() + crate::support::seconds(1_000_000);
    assert!(store.claim(&claim(10, far)).await.unwrap().is_empty());

    let lease = claimed(&store, "evt_link").await.lease;
    let mut linked = changes("cus_1", 3);
    linked.release_parked = true;
    linked.effects.outbox = vec![paid("in_1", 1)];
    assert_eq!(store.commit(&lease, &linked).await.unwrap(), Commit::Done);
    let released = store.claim(&claim(10, start())).await.unwrap();
    let ids: Vec<_> = released.iter().map(|c| c.event.key.id.as_str()).collect();
    assert_eq!(ids, ["evt_1", "evt_2"]);

    // One that is itself parked by the commit that releases the others stays.
    let mut again = changes("cus_1", 4);
    again.settlement = Settlement::Parked(ParkReason::Unlinked);
    again.release_parked = true;
    let outcome = store.commit(&released[0].lease, &again).await.unwrap();
    assert_eq!(outcome, Commit::Done);
    assert!(store.claim(&claim(10, start())).await.unwrap().is_empty());
}

async fn a_catalog_releases_what_another_one_parked(db: &TestDb) {
    let store = db.store().await;
    for (id, reason) in [("evt_1", "c1"), ("evt_2", "c2"), ("evt_3", "c1"), ("evt_4", "")] {
        let lease = claimed(&store, id).await.lease;
        let parked = Settled {
            settlement: Settlement::Parked(if reason.is_empty() {
                ParkReason::Unlinked
            } else {
                ParkReason::UnknownPrice { catalog: reason.to_owned() }
            }),
            subject: Some("cus_1".to_owned()),
            effects: Effects::default(),
            now: start(),
        };
        assert!(store.settle(&lease, &parked).await.unwrap());
    }
    assert_eq!(store.release_parked("c2", start()).await.unwrap(), 2);
    assert_eq!(store.release_parked("c2", start()).await.unwrap(), 0);
    let released = store.claim(&claim(10, start())).await.unwrap();
    let ids: Vec<_> = released.iter().map(|c| c.event.key.id.as_str()).collect();
    assert_eq!(ids, ["evt_1", "evt_3"]);
    // A new event is not in the way of any of this.
    store.receive(event("evt_5")).await.unwrap();
    assert_eq!(store.release_parked("c3", start()).await.unwrap(), 1);
}
