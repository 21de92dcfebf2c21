use std::collections::BTreeSet;

use sea_orm::ConnectionTrait;
use stripe_billing_core::store::{EventQuery, EventStore, EventSummary, Inspect, Receipt};
use stripe_billing_core::{ErrorKind, StoreError};
use stripe_billing_seaorm::SeaOrmStore;

use crate::support::{Backend, TestDb, claim, event, event_with, on_every_backend, start};

on_every_backend!(
    one_of_fifty_simultaneous_deliveries_is_stored,
    a_batch_tells_new_from_known_events,
    keys_differ_by_tenant_case_and_spaces,
    other_content_is_flagged,
    a_poison_event_does_not_fail_its_batch,
    a_caller_who_leaves_does_not_break_the_batch,
    broken_connections_are_replaced,
    an_event_comes_back_as_it_was,
    long_events_go_in_several_batches_at_a_time,
);

async fn receive_all(
    store: &SeaOrmStore,
    events: Vec<stripe_billing_core::store::ReceivedEvent>,
) -> Vec<Result<Receipt, StoreError>> {
    let mut tasks = Vec::new();
    for event in events {
        let store = store.clone();
        tasks.push(tokio::spawn(async move { store.receive(event).await }));
    }
    let mut answers = Vec::new();
    for task in tasks {
        answers.push(task.await.unwrap());
    }
    answers
}

async fn listed(store: &SeaOrmStore) -> Vec<EventSummary> {
    let query = EventQuery { limit: 1_000, ..EventQuery::default() };
    store.events(&query).await.unwrap()
}

async fn one_of_fifty_simultaneous_deliveries_is_stored(db: &TestDb) {
    // Two nodes, so that neither the batch nor the process can tell on its own.
    let (one, two) = (db.store().await, db.store().await);
    let (first, second) = tokio::join!(
        receive_all(&one, vec![event("evt_1"); 25]),
        receive_all(&two, vec![event("evt_1"); 25]),
    );
    let answers: Vec<Receipt> = first.into_iter().chain(second).collect::<Result<_, _>>().unwrap();
    let stored = answers.iter().filter(|a| **a == Receipt::Stored).count();
    assert_eq!(stored, 1);
    let same = Receipt::Duplicate { differs: false };
    assert_eq!(answers.iter().filter(|a| **a == same).count(), 49);
    assert_eq!(listed(&one).await.len(), 1);
}

async fn a_batch_tells_new_from_known_events(db: &TestDb) {
    let store = db.store().await;
    let known = (0..150).step_by(3);
    for answer in receive_all(&store, known.map(|n| event(&format!("evt_{n}"))).collect()).await {
        assert_eq!(answer.unwrap(), Receipt::Stored);
    }
    let again = (0..150).map(|n| event(&format!("evt_{n}"))).collect();
    for (n, answer) in receive_all(&store, again).await.into_iter().enumerate() {
        let expected =
            if n % 3 == 0 { Receipt::Duplicate { differs: false } } else { Receipt::Stored };
        assert_eq!(answer.unwrap(), expected, "evt_{n}");
    }
    assert_eq!(listed(&store).await.len(), 150);
}

async fn keys_differ_by_tenant_case_and_spaces(db: &TestDb) {
    let store = db.store().await;
    let mut events = vec![event("evt_a"), event("evt_A"), event("evt_a ")];
    for (account, livemode) in [(None, false), (Some("acct_1"), true), (Some("acct_2"), true)] {
        let mut event = event("evt_a");
        event.key.tenant.stripe_account = account.map(ToOwned::to_owned);
        event.key.tenant.livemode = livemode;
        events.push(event);
    }
    let keys: BTreeSet<_> = events.iter().map(|event| event.key.clone()).collect();
    for answer in receive_all(&store, events.clone()).await {
        assert_eq!(answer.unwrap(), Receipt::Stored);
    }
    for event in events {
        let again = store.receive(event).await.unwrap();
        assert_eq!(again, Receipt::Duplicate { differs: false });
    }
    let stored: BTreeSet<_> = listed(&store).await.into_iter().map(|e| e.key).collect();
    assert_eq!(stored, keys);
}

async fn other_content_is_flagged(db: &TestDb) {
    let store = db.store().await;
    store.receive(event("evt_1")).await.unwrap();
    let differs = |id: &'static str| {
        let store = store.clone();
        async move {
            let events = listed(&store).await;
            events.iter().find(|e| e.key.id == id).unwrap().differs
        }
    };
    let mut again = event("evt_1");
    let body = String::from_utf8(again.payload.to_vec()).unwrap();
    again.payload = body.replace("\"pending_webhooks\":1", "\"pending_webhooks\":0").into();
    assert_ne!(again.payload, event("evt_1").payload);
    let receipt = store.receive(again).await.unwrap();
    assert_eq!(receipt, Receipt::Duplicate { differs: false });
    assert!(!differs("evt_1").await);

    let other = event_with("evt_1", "invoice.paid", "void");
    let receipt = store.receive(other).await.unwrap();
    assert_eq!(receipt, Receipt::Duplicate { differs: true });
    assert!(differs("evt_1").await);

    // Also where both arrive in one batch, which on this runtime they do.
    let both = vec![event("evt_2"), event_with("evt_2", "invoice.voided", "paid")];
    let answers: Vec<_> = receive_all(&store, both).await;
    assert_eq!(*answers[0].as_ref().unwrap(), Receipt::Stored);
    let expected = Receipt::Duplicate { differs: true };
    assert_eq!(*answers[1].as_ref().unwrap(), expected);
    assert!(differs("evt_2").await);
    // What is stored is what came first.
    let claimed = store.claim(&claim(10, start())).await.unwrap();
    assert_eq!(claimed[1].event, event("evt_2"));
}

async fn a_poison_event_does_not_fail_its_batch(db: &TestDb) {
    let store = db.store().await;
    let mut poison = event("evt_poison");
    poison.event_type = match db.backend {
        // Longer than the column.
        Backend::MySql => "x".repeat(300),
        // Text without a place in the encoding.
        Backend::Postgres => "a\0b".to_owned(),
        // SQLite stores anything, so it is made to refuse.
        Backend::SqliteFile | Backend::SqliteMemory => "poison".to_owned(),
    };
    if db.backend == Backend::SqliteFile {
        let raw = db.raw().await.unwrap();
        raw.execute_unprepared(
            "CREATE TRIGGER refuse BEFORE INSERT ON billing_events \
             WHEN NEW.event_type = 'poison' BEGIN SELECT RAISE(ABORT, 'refused'); END",
        )
        .await
        .unwrap();
        raw.close().await.unwrap();
    }
    let mut events: Vec<_> = (0..20).map(|n| event(&format!("evt_{n}"))).collect();
    events.insert(7, poison.clone());
    events.push(poison);
    let answers = receive_all(&store, events).await;
    for (n, answer) in answers.into_iter().enumerate() {
        let is_poison = n == 7 || n == 21;
        if is_poison && db.backend != Backend::SqliteMemory {
            let kind = answer.unwrap_err().kind();
            let expected = match db.backend {
                Backend::MySql | Backend::Postgres => ErrorKind::Corrupt,
                _ => ErrorKind::Other,
            };
            assert_eq!(kind, expected);
        } else if n != 21 {
            assert_eq!(answer.unwrap(), Receipt::Stored, "event {n}");
        }
    }
    let stored = listed(&store).await;
    let expected = if db.backend == Backend::SqliteMemory { 21 } else { 20 };
    assert_eq!(stored.len(), expected);
}

async fn a_caller_who_leaves_does_not_break_the_batch(db: &TestDb) {
    let store = db.store().await;
    let mut leaving = Vec::new();
    for n in 0..10 {
        let mut receive = Box::pin(store.receive(event(&format!("evt_{n}"))));
        // Polled once, so that the event is on its way, and then dropped.
        assert!(futures_poll(&mut receive).is_none());
        leaving.push(receive);
    }
    drop(leaving);
    assert_eq!(store.receive(event("evt_stays")).await.unwrap(), Receipt::Stored);
    assert_eq!(listed(&store).await.len(), 11);
}

/// Polls a future once.
fn futures_poll<F: Future + Unpin>(future: &mut F) -> Option<F::Output> {
    let mut context = std::task::Context::from_waker(std::task::Waker::noop());
    match std::pin::Pin::new(future).poll(&mut context) {
        std::task::Poll::Ready(output) => Some(output),
        std::task::Poll::Pending => None,
    }
}

async fn broken_connections_are_replaced(db: &TestDb) {
    let store = db.store().await;
    store.receive(event("evt_1")).await.unwrap();
    db.disconnect_all().await;
    // The pool's connection is dead and nobody has noticed.
    assert_eq!(store.receive(event("evt_2")).await.unwrap(), Receipt::Stored);
    assert_eq!(store.claim(&claim(10, start())).await.unwrap().len(), 2);
}

async fn an_event_comes_back_as_it_was(db: &TestDb) {
    let store = db.store().await;
    let mut whole = event("evt_\u{fc}\u{1f600}");
    whole.key.tenant.stripe_account = Some("acct_1".to_owned());
    whole.kind = stripe_billing_core::webhook::EventKind::Thin;
    whole.payload = vec![0, 255, 1, 128].into();
    let mut sparse = event("evt_2");
    sparse.api_version = None;
    sparse.payload = bytes::Bytes::new();
    for event in [&whole, &sparse] {
        store.receive(event.clone()).await.unwrap();
    }
    let claimed = store.claim(&claim(10, start())).await.unwrap();
    let events: Vec<_> = claimed.into_iter().map(|claimed| claimed.event).collect();
    assert_eq!(events, [whole, sparse]);
}

async fn long_events_go_in_several_batches_at_a_time(db: &TestDb) {
    // Encrypted where the server can: there batches are bounded by their length as well.
    let store = match db.backend {
        Backend::Postgres => {
            let url = format!("{}?sslmode=prefer", db.url);
            SeaOrmStore::connect(url).await.unwrap()
        }
        _ => db.store().await,
    };
    let mut events = Vec::new();
    for n in 0..200 {
        let mut event = event(&format!("evt_{}", n / 2));
        let length = if n / 2 == 7 { 1_500_000 } else { 5_000 };
        event.payload = "x".repeat(length).into();
        events.push(event);
    }
    let mut stored = 0;
    for answer in receive_all(&store, events).await {
        match answer.unwrap() {
            Receipt::Stored => stored += 1,
            Receipt::Duplicate { differs } => assert!(!differs),
        }
    }
    assert_eq!(stored, 100);
    let claimed = store.claim(&claim(200, start())).await.unwrap();
    assert_eq!(claimed.len(), 100);
    let longest = claimed.iter().map(|c| c.event.payload.len()).max();
    assert_eq!(longest, Some(1_500_000));
}
