//! Where SQL would let the ledger down: each trap with the test that walks into it.

use std::sync::Arc;

use sea_orm::{ConnectionTrait, DatabaseConnection, Statement};
use stripe_billing_core::ErrorKind;
use stripe_billing_core::ledger::{
    Account, Answer, Command, Entry, EntryKind, Grant, LedgerKey, LedgerPolicy, Rebuild, Refusal,
    Request, Scope, verify,
};
use stripe_billing_core::store::{AuditQuery, CreditLedger, EntryQuery, Inspect, LedgerTerms};
use stripe_billing_seaorm::SeaOrmStore;
use tokio::task::JoinSet;

use crate::support::{Backend, TestDb, on_every_backend, start};

on_every_backend!(
    a_repetition_takes_no_credits_without_an_entry,
    few_keys_of_many_clients_are_each_used_once,
    a_hot_account_of_two_nodes_loses_no_operation,
    lots_are_never_taken_from_an_old_snapshot,
    operations_that_wait_are_written_together,
    operations_on_many_accounts_are_all_done,
    what_is_refused_of_one_does_not_harm_its_neighbours,
    entries_refuse_to_be_changed,
    rows_that_do_not_add_up_are_refused,
    an_account_is_made_anew_of_its_entries,
    of_entries_that_do_not_add_up_nothing_is_made,
    keys_and_accounts_may_be_long,
);

fn key() -> LedgerKey {
    LedgerKey::new("team-1", "credits")
}

fn terms() -> LedgerTerms {
    LedgerTerms { now: start(), policy: LedgerPolicy::default() }
}

fn spend(id: &str, amount: i64) -> Request {
    Command::Spend { key: id.to_owned(), amount }.into()
}

async fn execute(store: &SeaOrmStore, request: impl Into<Request>) -> Result<Answer, Refusal> {
    let request = request.into();
    loop {
        match store.execute(&key(), &request, &terms()).await {
            Ok(answer) => return answer,
            // Nothing happened. SQLite says so when two processes write for seconds.
            Err(error) if error.kind() == ErrorKind::Conflict => {}
            Err(error) => panic!("{error}"),
        }
    }
}

async fn grant(store: &SeaOrmStore, id: &str, amount: i64) {
    execute(store, Command::Grant(Grant::new(id, amount))).await.unwrap();
}

/// The account and its history, in which every invariant holds.
async fn verified(store: &SeaOrmStore) -> (Account, Vec<Entry>) {
    let account = store.account(&key(), Scope::All).await.unwrap().unwrap();
    let mut entries: Vec<Entry> = Vec::new();
    loop {
        let last = entries.last().map_or(0, |entry| entry.seq);
        let page = store.entries(&EntryQuery::after(key(), last, 1_000)).await.unwrap();
        if page.is_empty() {
            break;
        }
        entries.extend(page);
    }
    assert_eq!(verify(&account, &entries, &LedgerPolicy::default()), []);
    (account, entries)
}

async fn number(on: &DatabaseConnection, sql: &str) -> i64 {
    let statement = Statement::from_string(on.get_database_backend(), sql);
    on.query_one_raw(statement).await.unwrap().unwrap().try_get_by_index(0).unwrap()
}

/// An insert that passes over a known key behind an update of the balance would take the credits a
/// second time. The second node has read the account after the key was used, so that nothing but the
/// key stands in its way.
async fn a_repetition_takes_no_credits_without_an_entry(db: &TestDb) {
    let (one, two) = (db.store().await, db.store().await);
    grant(&one, "g", 100).await;
    assert!(!execute(&one, spend("k", 10)).await.unwrap().replayed);
    execute(&two, spend("other", 1)).await.unwrap();
    for _ in 0..3 {
        assert!(execute(&two, spend("k", 10)).await.unwrap().replayed);
    }
    let refused = execute(&two, spend("k", 11)).await.unwrap_err();
    assert_eq!(refused.code(), "idempotency_mismatch");
    let (account, entries) = verified(&one).await;
    assert_eq!((account.balance.available, entries.len()), (89, 3));
}

/// Sixteen clients of two nodes, each key eight times, and credits for two thirds of them.
async fn few_keys_of_many_clients_are_each_used_once(db: &TestDb) {
    let nodes = [db.store().await, db.store().await].map(Arc::new);
    grant(&nodes[0], "g", 40).await;
    let mut clients = JoinSet::new();
    for client in 0..16_usize {
        let store = Arc::clone(&nodes[client % 2]);
        clients.spawn(async move {
            let mut done = 0;
            for n in 0..30 {
                let id = format!("k{}", (client * 7 + n) % 60);
                match execute(&store, spend(&id, 1)).await {
                    Ok(answer) => done += i64::from(!answer.replayed),
                    Err(refusal) => assert_eq!(refusal.code(), "insufficient"),
                }
            }
            done
        });
    }
    let done: i64 = clients.join_all().await.into_iter().sum();
    let (account, entries) = verified(&nodes[1]).await;
    assert_eq!((done, account.balance.available, entries.len()), (40, 0, 41));
}

/// Guessing a version and trying again would let one in eight through.
async fn a_hot_account_of_two_nodes_loses_no_operation(db: &TestDb) {
    let nodes = [db.store().await, db.store().await].map(Arc::new);
    grant(&nodes[0], "g", 1_000).await;
    let mut clients = JoinSet::new();
    for client in 0..8_usize {
        let store = Arc::clone(&nodes[client % 2]);
        clients.spawn(async move {
            for n in 0..25 {
                execute(&store, spend(&format!("{client}-{n}"), 1)).await.unwrap();
            }
        });
    }
    clients.join_all().await;
    let (account, entries) = verified(&nodes[0]).await;
    assert_eq!((account.balance.available, entries.len()), (800, 201));
}

/// A statement that waits for the account and reads the lots sees them as they were before.
async fn lots_are_never_taken_from_an_old_snapshot(db: &TestDb) {
    let nodes = [db.store().await, db.store().await].map(Arc::new);
    for n in 0..30 {
        grant(&nodes[0], &format!("g{n}"), 10).await;
    }
    let mut clients = JoinSet::new();
    for client in 0..8_usize {
        let store = Arc::clone(&nodes[client % 2]);
        clients.spawn(async move {
            for n in 0..12 {
                let id = format!("{client}-{n}");
                let ttl = chrono::TimeDelta::seconds(900);
                execute(&store, Command::Reserve { id: id.clone(), amount: 3, ttl }).await.unwrap();
                execute(&store, Command::Capture { id, amount: 3 }).await.unwrap();
            }
        });
    }
    clients.join_all().await;
    let (account, _) = verified(&nodes[0]).await;
    assert_eq!((account.balance.available, account.balance.held), (300 - 8 * 12 * 3, 0));
}

/// While one batch is written the next one gathers: two hundred operations are a few writes.
async fn operations_that_wait_are_written_together(db: &TestDb) {
    let store = Arc::new(db.store().await);
    grant(&store, "g", 1_000).await;
    let mut clients = JoinSet::new();
    for n in 0..200 {
        let store = Arc::clone(&store);
        clients.spawn(async move { execute(&store, spend(&format!("s{n}"), 1)).await.unwrap() });
    }
    clients.join_all().await;
    let (account, entries) = verified(&store).await;
    assert_eq!((account.balance.available, entries.len()), (800, 201));
    let Some(raw) = db.raw().await else { return };
    let writes = number(&raw, "SELECT version FROM billing_credit_accounts").await;
    assert!(writes < 100, "{writes} writes");
}

/// More accounts than are written in one transaction, one of which is refused.
async fn operations_on_many_accounts_are_all_done(db: &TestDb) {
    let store = Arc::new(db.store().await);
    let mut clients = JoinSet::new();
    for n in 0..150 {
        let store = Arc::clone(&store);
        clients.spawn(async move {
            let key = LedgerKey::new(format!("team-{n}").as_str(), "credits");
            let grant = Command::Grant(Grant::new("g", 5)).into();
            store.execute(&key, &grant, &terms()).await.unwrap().unwrap();
            for (id, is_done) in [("a", true), ("b", true), ("c", false), ("a", true)] {
                let done = store.execute(&key, &spend(id, 2), &terms()).await.unwrap();
                assert_eq!(done.is_ok(), is_done, "{n}: {id}");
            }
            store.account(&key, Scope::All).await.unwrap().unwrap().balance.available
        });
    }
    assert!(clients.join_all().await.into_iter().all(|available| available == 1));
}

/// A key that Postgres cannot hold, and one that is too long for MySQL. SQLite takes both.
async fn what_is_refused_of_one_does_not_harm_its_neighbours(db: &TestDb) {
    let store = Arc::new(db.store().await);
    grant(&store, "g", 1_000).await;
    execute(&store, spend("warm", 1)).await.unwrap();
    let mut clients = JoinSet::new();
    for n in 0..30 {
        let store = Arc::clone(&store);
        let id = match n {
            7 => "a\0b".to_owned(),
            8 => "k".repeat(2_000),
            _ => format!("s{n}"),
        };
        clients.spawn(async move {
            (n, store.execute(&key(), &spend(&id, 1), &terms()).await.map(Result::unwrap))
        });
    }
    for (n, answer) in clients.join_all().await {
        match (db.backend, n) {
            (Backend::Postgres, 7) | (Backend::MySql, 8) => {
                assert_eq!(answer.unwrap_err().kind(), ErrorKind::Corrupt);
            }
            _ => assert!(!answer.unwrap().replayed, "{n}"),
        }
    }
    verified(&store).await;
}

async fn entries_refuse_to_be_changed(db: &TestDb) {
    let Some(raw) = db.raw().await else { return };
    let store = db.store().await;
    grant(&store, "g", 100).await;
    for sql in [
        "UPDATE billing_credit_entries SET delta_available = 1",
        "DELETE FROM billing_credit_entries",
    ] {
        let refused = raw.execute_unprepared(sql).await.unwrap_err().to_string();
        assert!(refused.contains("append-only"), "{refused}");
    }
    if db.backend == Backend::Postgres {
        raw.execute_unprepared("TRUNCATE billing_credit_entries").await.unwrap_err();
    }
    assert_eq!(verified(&store).await.1.len(), 1);
}

async fn rows_that_do_not_add_up_are_refused(db: &TestDb) {
    let Some(raw) = db.raw().await else { return };
    let store = db.store().await;
    grant(&store, "g", 100).await;
    for sql in [
        "UPDATE billing_credit_lots SET remaining = 99",
        "UPDATE billing_credit_lots SET remaining = 101, held = -1",
        "UPDATE billing_credit_lots SET remaining = 0, consumed = 100",
        "UPDATE billing_credit_accounts SET debt = -1",
        "UPDATE billing_credit_accounts SET held = -1",
    ] {
        raw.execute_unprepared(sql).await.expect_err(sql);
    }
    verified(&store).await;
}

fn by_ann() -> Rebuild {
    let reason = "the balance was changed by hand".to_owned();
    Rebuild { actor: "ann".to_owned(), reason, now: start() }
}

/// Balance and lots that somebody changed are set right, with an entry and a line of the audit log,
/// and whoever kept the account in memory finds out.
async fn an_account_is_made_anew_of_its_entries(db: &TestDb) {
    let Some(raw) = db.raw().await else { return };
    let store = db.store().await;
    grant(&store, "g", 100).await;
    grant(&store, "h", 10).await;
    execute(&store, spend("s", 30)).await.unwrap();
    let (right, _) = verified(&store).await;
    for sql in [
        "UPDATE billing_credit_accounts SET available = available + 5, seq = 1, written_off = 2",
        "UPDATE billing_credit_lots SET remaining = remaining - 7, consumed = consumed + 7 \
         WHERE grant_key = 'g'",
    ] {
        raw.execute_unprepared(sql).await.unwrap();
    }
    let differences = store.rebuild(&key(), &by_ann()).await.unwrap().unwrap();
    let told: Vec<_> =
        differences.iter().map(|one| (one.place.as_str(), one.recounted, one.stored)).collect();
    assert_eq!(
        told,
        [
            ("seq", 3, 1),
            ("available", 80, 85),
            ("written off", 0, 2),
            ("lot 1 remaining", 70, 63),
            ("lot 1 consumed", 30, 37),
        ]
    );
    let (account, entries) = verified(&store).await;
    assert_eq!(account.lots, right.lots);
    assert_eq!((account.balance.available, account.balance.written_off), (80, 0));
    let last = entries.last().unwrap();
    assert_eq!((last.seq, last.kind, last.actor.as_deref()), (4, EntryKind::Repair, Some("ann")));
    let query = AuditQuery { limit: 1, ..AuditQuery::default() };
    let line = store.audit(&query).await.unwrap().remove(0).entry;
    assert_eq!((line.action.as_str(), line.actor.as_str()), ("credits.rebuilt", "ann"));
    assert_eq!(line.before.as_deref(), Some("85 available, 0 owed"));
    assert_eq!(store.rebuild(&key(), &by_ann()).await.unwrap(), Ok(vec![]));
    execute(&store, spend("all", 80)).await.unwrap();
    verified(&store).await;
}

async fn of_entries_that_do_not_add_up_nothing_is_made(db: &TestDb) {
    let Some(raw) = db.raw().await else { return };
    let store = db.store().await;
    grant(&store, "g", 100).await;
    raw.execute_unprepared("UPDATE billing_credit_accounts SET available = 5").await.unwrap();
    raw.execute_unprepared("DELETE FROM billing_credit_lots").await.unwrap();
    let refused = store.rebuild(&key(), &by_ann()).await.unwrap().unwrap_err();
    assert!(refused.to_string().contains("a lot that is not there"), "{refused}");
    let account = store.account(&key(), Scope::All).await.unwrap().unwrap();
    assert_eq!((account.balance.available, account.balance.seq), (5, 1));
}

async fn keys_and_accounts_may_be_long(db: &TestDb) {
    let store = db.store().await;
    let mut key = LedgerKey::new("a".repeat(255).as_str(), "u".repeat(128).as_str());
    key.owner.stripe_account = Some("s".repeat(128));
    let grant = Command::Grant(Grant::new("g".repeat(500), 100)).into();
    store.execute(&key, &grant, &terms()).await.unwrap().unwrap();
    let request = spend(&"k".repeat(500), 1).by("m".repeat(255)).on("f".repeat(255));
    assert!(!store.execute(&key, &request, &terms()).await.unwrap().unwrap().replayed);
    assert!(store.execute(&key, &request, &terms()).await.unwrap().unwrap().replayed);
    while store.roll_up(100).await.unwrap() > 0 {}
    assert_eq!(store.ledger_keys(None, 9).await.unwrap(), [key]);
}
