//! What a crash leaves behind, after every statement and every commit of every operation.

#![allow(clippy::unwrap_used)] // In the helpers too: a test that cannot go on fails.

use chrono::TimeDelta;
use stripe_billing_core::ledger::{
    Command, Entry, Grant, Ledger, LedgerKey, LedgerPolicy, LotId, LotKind, MoneyBackStatus,
    Request, Rollover, Scope, verify,
};
use stripe_billing_core::store::{
    Commit, CreditLedger, EntryQuery, EventStore, LedgerPosting, LedgerTerms,
};
use stripe_billing_core::ticket::{TicketKind, TicketPriority, TicketWrite};

use crate::SeaOrmStore;
use crate::support::{Backend, TestDb, changes, claimed, on_every_backend, paid, start};

on_every_backend!(
    a_crash_leaves_an_operation_done_or_undone,
    a_crash_leaves_a_commit_done_with_its_postings_or_undone,
);

fn opened_ticket(key: &str) -> TicketWrite {
    TicketWrite {
        key: key.to_owned(),
        kind: TicketKind::Dispute,
        priority: TicketPriority::Normal,
        open: true,
        object: None,
        event: None,
        title: "A payment is disputed".to_owned(),
        due_by: None,
        context: None,
    }
}

fn policy() -> LedgerPolicy {
    let mut policy = LedgerPolicy::default();
    policy.low_at = Some(95);
    policy
}

fn terms() -> LedgerTerms {
    LedgerTerms { now: start(), policy: policy() }
}

fn reserve(id: &str) -> Command {
    Command::Reserve { id: id.to_owned(), amount: 3, ttl: TimeDelta::seconds(900) }
}

/// Operations, the last of which is the one that is interrupted.
fn operations() -> Vec<(&'static str, Vec<Command>)> {
    let grant = || Command::Grant(Grant::new("g", 100).paid_with("in_1", 100));
    let renewal = Grant::new("n", 50).of_kind(LotKind::Plan);
    let rollover = Rollover { max: 20, total_max: None, expires_at: None };
    let later = Grant::new("later", 5).paid_with("in_2", 5).from(start() + TimeDelta::days(1));
    let reason = "test".to_owned();
    vec![
        ("first", vec![grant()]),
        ("grant", vec![grant(), Command::Grant(Grant::new("h", 7))]),
        ("spend", vec![grant(), Command::Spend { key: "s".to_owned(), amount: 3 }]),
        ("low", vec![grant(), Command::Spend { key: "s".to_owned(), amount: 30 }]),
        ("reserve", vec![grant(), reserve("r")]),
        (
            "capture",
            vec![grant(), reserve("r"), Command::Capture { id: "r".to_owned(), amount: 2 }],
        ),
        ("release", vec![grant(), reserve("r"), Command::Release { id: "r".to_owned() }]),
        (
            "renew",
            vec![
                grant(),
                Command::Renew { previous: Some(LotId(1)), grant: renewal, rollover, reason },
            ],
        ),
        ("schedule", vec![grant(), Command::Schedule(vec![later.clone()])]),
        (
            "withdraw",
            vec![grant(), Command::Schedule(vec![later]), Command::Withdraw(vec!["later".into()])],
        ),
        (
            "dispute",
            vec![
                grant(),
                Command::MoneyBack {
                    source: "in_1".to_owned(),
                    id: "dp_1".to_owned(),
                    amount: 40,
                    status: MoneyBackStatus::DisputeOpen,
                },
            ],
        ),
    ]
}

async fn entries(store: &SeaOrmStore, key: &LedgerKey) -> Vec<Entry> {
    store.entries(&EntryQuery::after(key.clone(), 0, 100)).await.unwrap()
}

async fn a_crash_leaves_an_operation_done_or_undone(db: &TestDb) {
    if db.backend == Backend::SqliteMemory {
        return; // It goes with its process.
    }
    let after = db.store().await;
    for (name, commands) in operations() {
        for is_warm in [false, true] {
            let mut crashes = 0;
            while crash(db, &after, (name, &commands), is_warm, crashes + 1).await {
                crashes += 1;
            }
            assert!(crashes > 0, "{name} was never interrupted");
        }
    }
}

/// Whether the operation has so many statements, or it was done.
async fn crash(
    db: &TestDb,
    after: &SeaOrmStore,
    (name, commands): (&str, &[Command]),
    is_warm: bool,
    statements: u32,
) -> bool {
    let key = LedgerKey::new(format!("{name}-{is_warm}-{statements}").as_str(), "credits");
    let place = format!("{name}, warm: {is_warm}, after statement {statements}");
    let mut reference = Ledger::new(policy());
    let (last, earlier) = commands.split_last().unwrap();
    let request = Request::from(last.clone());
    let mut store = db.store().await;
    for command in earlier {
        let request = Request::from(command.clone());
        reference.execute(&key, request.clone(), start()).unwrap();
        store.execute(&key, &request, &terms()).await.unwrap().unwrap();
    }
    if !is_warm {
        store = db.store().await;
    }
    let undone = reference.account(&key).cloned();
    let expected = reference.execute(&key, request.clone(), start()).unwrap();
    store.db.crash.plan(statements);
    let answer = store.execute(&key, &request, &terms()).await;
    if let Ok(answer) = answer {
        assert_eq!(answer.unwrap(), expected, "{place}");
        return false;
    }
    drop(store);

    let left = after.account(&key, Scope::All).await.unwrap();
    let is_done = left.as_ref() == reference.account(&key);
    assert!(is_done || left == undone, "{place}: {left:?}");
    let again = after.execute(&key, &request, &terms()).await.unwrap().unwrap();
    let has_key = request.command.key().is_some();
    if has_key || !is_done {
        assert_eq!(again.reply, expected.reply, "{place}");
    }
    assert_eq!(again.replayed, is_done && has_key, "{place}");
    let account = after.account(&key, Scope::All).await.unwrap().unwrap();
    assert_eq!(Some(&account), reference.account(&key), "{place}");
    let entries = entries(after, &key).await;
    assert_eq!(entries, reference.entries(&key), "{place}");
    assert_eq!(verify(&account, &entries, &policy()), [], "{place}");
    true
}

async fn a_crash_leaves_a_commit_done_with_its_postings_or_undone(db: &TestDb) {
    if db.backend == Backend::SqliteMemory {
        return;
    }
    let after = db.store().await;
    for statements in 1.. {
        let store = db.store().await;
        let name = format!("cus_{statements}");
        let key = |part: &str| LedgerKey::new(format!("{part}-{statements}").as_str(), "credits");
        let posting = |part: &str, amount| LedgerPosting {
            key: key(part),
            request: Command::Grant(Grant::new("l", amount)).into(),
        };
        let lease = claimed(&store, &format!("evt_{statements}")).await.lease;
        let mut decided = changes(&name, 0);
        decided.effects.postings = vec![posting("b", 5), posting("a", 7)];
        decided.effects.outbox = vec![paid(&format!("in_{statements}"), 5)];
        decided.effects.tickets = vec![opened_ticket(&name)];
        store.db.crash.plan(statements);
        let committed = store.commit(&lease, &decided).await;
        let is_interrupted = committed.is_err();
        assert!(is_interrupted || matches!(committed, Ok(Commit::Done)));
        drop(store);
        let available = async |part: &str| {
            let account = after.account(&key(part), Scope::All).await.unwrap();
            account.map(|account| account.balance.available)
        };
        let left = (available("a").await, available("b").await);
        if is_interrupted {
            let again = after.commit(&lease, &decided).await.unwrap();
            match left {
                (None, None) => assert_eq!(again, Commit::Done, "statement {statements}"),
                _ => assert_eq!(again, Commit::LeaseLost, "statement {statements}"),
            }
        }
        assert!(left == (None, None) || left == (Some(7), Some(5)), "{left:?}");
        assert_eq!((available("a").await, available("b").await), (Some(7), Some(5)));
        if !is_interrupted {
            assert!(statements > 4, "it was never interrupted");
            return;
        }
    }
}
