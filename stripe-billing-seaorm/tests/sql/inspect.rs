use stripe_billing_core::store::{CallStore, Commit, EventQuery, EventStore, Inspect, Records};
use stripe_billing_core::{AccountKey, EventKey};

use crate::support::{
    TestDb, changes, claim, claimed, event, on_every_backend, record, seconds, start,
};

on_every_backend!(
    subjects_of_an_account_with_their_current_records,
    events_are_listed_page_by_page,
    stats_say_what_is_due,
    one_of_many_begins_a_call,
    a_store_answers_a_ping_and_hides_its_url,
);

async fn subjects_of_an_account_with_their_current_records(db: &TestDb) {
    let store = db.store().await;
    for (n, (id, livemode, stripe_account, account)) in [
        ("cus_b", true, None, Some("acme")),
        ("cus_a", true, None, Some("acme")),
        ("cus_t", false, None, Some("acme")),
        ("cus_c", true, None, Some("Acme")),
        ("cus_d", true, None, Some("acme ")),
        ("cus_e", true, None, None),
        ("cus_f", true, Some("acct_1"), Some("acme")),
    ]
    .into_iter()
    .enumerate()
    {
        let lease = claimed(&store, &format!("evt_{n}")).await.lease;
        let mut decided = changes(id, 0);
        decided.subject.tenant.livemode = livemode;
        decided.subject.tenant.stripe_account = stripe_account.map(ToOwned::to_owned);
        decided.account = account.map(ToOwned::to_owned);
        decided.records =
            vec![record("in_1", true), record("in_2", id == "cus_a"), record("in_3", false)];
        if id == "cus_b" {
            decided.records.clear();
        }
        assert_eq!(store.commit(&lease, &decided).await.unwrap(), Commit::Done);
    }
    let of = async |account: AccountKey, livemode| -> Vec<(String, usize)> {
        let subjects = store.subjects_of(&account, livemode, Records::Current).await.unwrap();
        subjects.into_iter().map(|subject| (subject.key.id, subject.records.len())).collect()
    };
    let expected = |pairs: &[(&str, usize)]| -> Vec<(String, usize)> {
        pairs.iter().map(|(id, n)| ((*id).to_owned(), *n)).collect()
    };
    let live = expected(&[("cus_a", 2), ("cus_b", 0)]);
    let test = expected(&[("cus_t", 1)]);
    assert_eq!(of("acme".into(), Some(true)).await, live);
    assert_eq!(of("acme".into(), Some(false)).await, test);
    let both: Vec<_> = test.into_iter().chain(live).collect();
    assert_eq!(of("acme".into(), None).await, both);
    let connected =
        AccountKey { stripe_account: Some("acct_1".to_owned()), account: "acme".to_owned() };
    assert_eq!(of(connected, None).await, expected(&[("cus_f", 1)]));
    assert_eq!(of("nobody".into(), None).await, []);
}

async fn events_are_listed_page_by_page(db: &TestDb) {
    let store = db.store().await;
    for n in 0..25 {
        let mut event = event(&format!("evt_{n:02}"));
        if n % 5 == 0 {
            event.event_type = "customer.created".to_owned();
        }
        store.receive(event).await.unwrap();
    }
    let mut query = EventQuery { limit: 10, ..EventQuery::default() };
    let mut ids = Vec::new();
    loop {
        let page = store.events(&query).await.unwrap();
        let Some(last) = page.last() else { break };
        assert!(page.len() <= 10);
        query.after = Some(last.seq);
        ids.extend(page.into_iter().map(|event| event.key.id));
    }
    let expected: Vec<String> = (0..25).rev().map(|n| format!("evt_{n:02}")).collect();
    assert_eq!(ids, expected);

    let claimed = store.claim(&claim(3, start())).await.unwrap();
    let key: &EventKey = &claimed[0].event.key;
    assert_eq!(key.id, "evt_00");
    for (status, event_type, count) in [
        (Some("processing"), None, 3),
        (Some("processing"), Some("customer.created"), 1),
        (None, Some("customer.created"), 5),
        (Some("dead"), None, 0),
    ] {
        let query = EventQuery {
            status: status.map(ToOwned::to_owned),
            event_type: event_type.map(ToOwned::to_owned),
            limit: 100,
            ..EventQuery::default()
        };
        let found = store.events(&query).await.unwrap();
        assert_eq!(found.len(), count, "{status:?} {event_type:?}");
        assert!(found.iter().all(|event| event.received_at == start()));
    }
}

async fn stats_say_what_is_due(db: &TestDb) {
    let store = db.store().await;
    let empty = store.stats(start()).await.unwrap();
    assert!(empty.idle && empty.events.is_empty() && empty.outbox.is_empty());
    store.receive(event("evt_1")).await.unwrap();
    store.receive(event("evt_2")).await.unwrap();
    let now = start() + seconds(30);
    let stats = store.stats(now).await.unwrap();
    assert_eq!(stats.events["received"], 2);
    assert!(!stats.idle);
    assert!((stats.queue_age_seconds - 30.0).abs() < 1e-6);

    let leased = store.claim(&claim(2, now)).await.unwrap();
    let stats = store.stats(now).await.unwrap();
    assert_eq!(stats.events["processing"], 2);
    assert!(!stats.idle && stats.queue_age_seconds == 0.0);
    for (n, claimed) in leased.iter().enumerate() {
        let decided = changes("cus_1", n as i64);
        let outcome = store.commit(&claimed.lease, &decided).await.unwrap();
        assert_eq!(outcome, Commit::Done);
    }
    let stats = store.stats(now).await.unwrap();
    assert_eq!(stats.events["processed"], 2);
    assert!(stats.idle);
}

async fn one_of_many_begins_a_call(db: &TestDb) {
    let store = db.store().await;
    let mut tasks = Vec::new();
    for n in 0..20 {
        let store = store.clone();
        tasks.push(tokio::spawn(async move {
            let now = start() + seconds(n);
            store.begin_call("customer:acme", &format!("print-{n}"), now).await.unwrap()
        }));
    }
    let mut calls = Vec::new();
    for task in tasks {
        calls.push(task.await.unwrap());
    }
    calls.dedup();
    assert_eq!(calls.len(), 1, "all see the same row");
    let call = calls.remove(0);
    assert_eq!((call.generation, &call.result), (1, &None));
    // Another key, whatever a database thinks of case and trailing spaces.
    let other = store.begin_call("customer:acme ", "x", start()).await;
    assert_eq!(other.unwrap().fingerprint, "x");

    assert!(!store.finish_call(&call.key, 2, "no").await.unwrap());
    assert!(store.finish_call(&call.key, 1, "cus_1").await.unwrap());
    assert!(!store.finish_call(&call.key, 1, "cus_2").await.unwrap());
    let read = store.begin_call(&call.key, "y", start()).await.unwrap();
    assert_eq!(read.result.as_deref(), Some("cus_1"), "the first result holds");

    let later = start() + seconds(99);
    assert!(store.restart_call(&call.key, 1, "z", later).await.unwrap());
    assert!(!store.restart_call(&call.key, 1, "z", later).await.unwrap());
    assert!(!store.finish_call(&call.key, 1, "late").await.unwrap());
    let read = store.begin_call(&call.key, "y", start()).await.unwrap();
    assert_eq!((read.generation, read.started_at), (2, later));
    assert_eq!((read.fingerprint.as_str(), read.result), ("z", None));
}

async fn a_store_answers_a_ping_and_hides_its_url(db: &TestDb) {
    let store = db.store().await;
    store.ping().await.unwrap();
    let shown = format!("{store:?}");
    assert!(shown.contains("billing_"), "{shown}");
    assert!(!shown.contains("127.0.0.1"), "{shown}");
}
