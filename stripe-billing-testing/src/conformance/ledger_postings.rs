//! `CreditLedger` clause 9: operations that follow from an event.

use stripe_billing_core::changes::{Changes, Effects, Settlement};
use stripe_billing_core::ledger::{Account, Command, Grant, LedgerKey, Request, Scope, Standing};
use stripe_billing_core::store::{Commit, EntryQuery, LedgerPosting, Settled, Store};

use super::Fixture;
use super::ledger_bench::terms;
use super::race::race;
use super::sample::{at, changes, load, opening, paid, subject, take};

fn account(name: &str) -> LedgerKey {
    LedgerKey::new(name, "credits")
}

fn posting(name: &str, command: Command) -> LedgerPosting {
    LedgerPosting { key: account(name), request: Request::from(command).by("stripe:evt_1") }
}

fn granting(name: &str, key: &str, amount: i64) -> LedgerPosting {
    posting(name, Command::Grant(Grant::new(key, amount)))
}

fn spending(name: &str, key: &str, amount: i64) -> LedgerPosting {
    posting(name, Command::Spend { key: key.to_owned(), amount })
}

fn with(changes: Changes, postings: Vec<LedgerPosting>) -> Changes {
    let outbox = vec![paid("in_1", 1_500)];
    Changes { effects: Effects { outbox, postings, ..Effects::default() }, ..changes }
}

async fn read(store: &dyn Store, name: &str) -> Option<Account> {
    store.account(&account(name), Scope::All).await.expect("account")
}

async fn available(store: &dyn Store, name: &str) -> Option<i64> {
    read(store, name).await.map(|account| account.balance.available)
}

/// They are executed with the commit, in their order, also several of one account.
pub async fn credit_ledger_9_postings_are_executed_with_the_commit(fixture: &Fixture) {
    let store = fixture.node().as_ref();
    let held = take(store, "evt_1", at(0)).await;
    let postings = vec![
        granting("z", "line:1", 100),
        granting("a", "line:2", 7),
        spending("z", "s", 30),
        granting("z", "line:3", 1),
    ];
    let decision = with(changes(&subject("cus_1"), 0, at(1)), postings);
    assert_eq!(store.commit(&held.lease, &decision).await.expect("commit"), Commit::Done);
    let other = fixture.other().as_ref();
    assert_eq!((available(other, "z").await, available(other, "a").await), (Some(71), Some(7)));
    let entries = other.entries(&EntryQuery::after(account("z"), 0, 9)).await.expect("entries");
    let amounts: Vec<i64> = entries.iter().map(|entry| entry.delta_available).collect();
    assert_eq!(amounts, [100, -30, 1]);
    assert!(entries.iter().all(|entry| entry.recorded_at == at(1)));
    assert!(entries.iter().all(|entry| entry.actor.as_deref() == Some("stripe:evt_1")));
    assert_eq!(load(other, &subject("cus_1")).await.version, 1);
}

/// What asks for a state of the owner is done in that state only, as it is committed, whichever node
/// changed it; a repetition is answered in any.
pub async fn credit_ledger_12_a_standing_that_changed_refuses(fixture: &Fixture) {
    let (store, other) = (fixture.node().as_ref(), fixture.other().as_ref());
    let standing = |version, livemode| Some(Standing { version, livemode });
    let spend = async |id: &str, standing| {
        let mut request = Request::from(Command::Spend { key: id.to_owned(), amount: 1 });
        request.standing = standing;
        let done = store.execute(&account("acme"), &request, &terms(at(1))).await.expect("execute");
        done.map(|answer| answer.replayed).map_err(|refusal| refusal.code())
    };
    let refused = Err("standing_changed");
    let grant = Command::Grant(Grant::new("g", 100)).into();
    let granted = store.execute(&account("acme"), &grant, &terms(at(1))).await.expect("execute");
    granted.expect("granted");
    assert_eq!(spend("early", standing(1, None)).await, refused);
    assert_eq!(spend("none", standing(0, None)).await, Ok(false), "nothing is known of it yet");

    for (n, subject) in [(1, subject("cus_1")), (2, subject("cus_2"))] {
        let held = take(other, &format!("evt_{n}"), at(0)).await;
        let mut linked = changes(&subject, 0, at(1));
        linked.account = Some("acme".to_owned());
        assert_eq!(other.commit(&held.lease, &linked).await.expect("commit"), Commit::Done);
        let version = i64::from(n);
        assert_eq!(spend(&format!("old-{n}"), standing(version - 1, None)).await, refused);
        assert_eq!(spend(&format!("new-{n}"), standing(version, None)).await, Ok(false));
    }
    let mode = Some(subject("cus_1").tenant.livemode);
    assert_eq!(spend("mode", standing(2, mode)).await, Ok(false));
    assert_eq!(spend("elsewhere", standing(2, mode.map(|mode| !mode))).await, refused);
    assert_eq!(spend("new-1", standing(1, None)).await, Ok(true), "it was answered before");
    assert_eq!(spend("plain", None).await, Ok(false));
    assert_eq!(available(other, "acme").await, Some(95));
}

/// A commit that is a conflict, or whose lease is lost, executes none.
pub async fn credit_ledger_9_without_the_commit_nothing_is_posted(fixture: &Fixture) {
    let store = fixture.node().as_ref();
    let held = take(store, "evt_1", at(0)).await;
    let conflict = with(changes(&subject("cus_1"), 3, at(1)), vec![granting("a", "l", 5)]);
    assert_eq!(store.commit(&held.lease, &conflict).await.expect("commit"), Commit::Conflict);
    let mut lost = held.lease.clone();
    lost.epoch += 1;
    let fine = with(changes(&subject("cus_1"), 0, at(1)), vec![granting("a", "l", 5)]);
    assert_eq!(store.commit(&lost, &fine).await.expect("commit"), Commit::LeaseLost);
    assert_eq!(available(store, "a").await, None);
    assert_eq!(store.commit(&held.lease, &fine).await.expect("commit"), Commit::Done);
    assert_eq!(available(store, "a").await, Some(5));

    // Another fact under a known key fails the commit for good, and takes the postings along.
    let held = take(store, "evt_2", at(2)).await;
    let mut failing = with(changes(&subject("cus_1"), 1, at(2)), vec![granting("a", "m", 5)]);
    failing.effects.outbox = vec![paid("in_1", 99)];
    store.commit(&held.lease, &failing).await.expect_err("the key stands for something else");
    assert_eq!(available(store, "a").await, Some(5));
}

/// One that is refused is passed over; the others and the commit are not its concern.
pub async fn credit_ledger_9_a_refused_posting_is_skipped(fixture: &Fixture) {
    let store = fixture.node().as_ref();
    let held = take(store, "evt_1", at(0)).await;
    let postings = vec![
        granting("a", "l", 10),
        spending("a", "s", 11),
        spending("nobody", "s", 1),
        granting("a", "l", 11),
        spending("a", "t", 4),
    ];
    let decision = with(changes(&subject("cus_1"), 0, at(1)), postings);
    assert_eq!(store.commit(&held.lease, &decision).await.expect("commit"), Commit::Done);
    assert_eq!(available(store, "a").await, Some(6));
    assert_eq!(available(store, "nobody").await, None);
    let keys = store.ledger_keys(None, 9).await.expect("ledger_keys");
    assert_eq!(keys, [account("a")]);
}

/// What was posted once is not posted again by another event, and what a node keeps in memory is not
/// what was before the commit.
pub async fn credit_ledger_9_a_posting_happens_once(fixture: &Fixture) {
    let (store, other) = (fixture.node().as_ref(), fixture.other().as_ref());
    for n in 0..3_i64 {
        let held = take(store, &format!("evt_{n}"), at(n)).await;
        let postings = vec![granting("a", "line:1", 10), granting("a", &format!("own:{n}"), 1)];
        let decision = with(changes(&subject("cus_1"), n, at(n)), postings);
        assert_eq!(store.commit(&held.lease, &decision).await.expect("commit"), Commit::Done);
        for (node, name) in [(store, "node"), (other, "other")] {
            let request = Command::Spend { key: format!("{name}{n}"), amount: 2 }.into();
            let spent = node.execute(&account("a"), &request, &terms(at(n))).await;
            spent.expect("execute").expect("spent");
        }
    }
    assert_eq!(available(store, "a").await, Some(10 + 3 - 12));
}

/// An event that ends without a commit executes them as well.
pub async fn credit_ledger_9_a_settlement_posts_too(fixture: &Fixture) {
    let store = fixture.node().as_ref();
    let held = take(store, "evt_1", at(0)).await;
    let effects = Effects {
        postings: vec![granting("a", "l", 5)],
        tickets: vec![opening("t")],
        ..Effects::default()
    };
    let settled = Settled { settlement: Settlement::Processed, subject: None, effects, now: at(1) };
    assert!(store.settle(&held.lease, &settled).await.expect("settle"));
    assert!(!store.settle(&held.lease, &settled).await.expect("settle"));
    assert_eq!(available(store, "a").await, Some(5));
}

/// Commits that touch the same accounts in other orders, and operations between them, do not wait in
/// a circle.
pub async fn credit_ledger_9_commits_on_the_same_accounts_do_not_lock_up(fixture: &Fixture) {
    let store = fixture.node();
    let mut leases = Vec::new();
    for n in 0..8 {
        leases.push(take(store.as_ref(), &format!("evt_{n}"), at(0)).await.lease);
    }
    race(12, |n| {
        let (store, lease) = (fixture.turn(n), leases.get(n).cloned());
        async move {
            let names = if n % 2 == 0 { ["a", "b"] } else { ["b", "a"] };
            let Some(lease) = lease else {
                for name in names {
                    let request = Command::Grant(Grant::new(format!("own:{n}"), 1)).into();
                    let granted = store.execute(&account(name), &request, &terms(at(1))).await;
                    granted.expect("execute").expect("granted");
                }
                return;
            };
            let postings = names.map(|name| granting(name, &format!("l:{n}"), 1)).to_vec();
            let mut decision = with(changes(&subject(&format!("cus_{n}")), 0, at(1)), postings);
            decision.effects.outbox.clear();
            let done = super::race::insist(|| store.commit(&lease, &decision)).await;
            assert_eq!(done, Commit::Done);
        }
    })
    .await;
    assert_eq!((available(store.as_ref(), "a").await), Some(12));
    assert_eq!((available(store.as_ref(), "b").await), Some(12));
}
