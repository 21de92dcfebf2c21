//! `CreditLedger` clauses 1 to 4: operations, whoever races, and whatever is lost.

use std::sync::Arc;

use chrono::TimeDelta;
use stripe_billing_core::ledger::{
    Answer, Command, Grant, LedgerKey, LotId, Refusal, Reply, Request, Scope, Window,
};
use stripe_billing_core::store::Store;

use super::Fixture;
use super::ledger_bench::{Bench, DAY, t, terms};
use super::race::{insist, race};
use super::sample::ODD_IDS;

fn spend(key: &str, amount: i64) -> Request {
    Command::Spend { key: key.to_owned(), amount }.into()
}

fn grant(key: &str, amount: i64) -> Request {
    Command::Grant(Grant::new(key, amount)).into()
}

fn reserve(id: &str, amount: i64) -> Request {
    Command::Reserve { id: id.to_owned(), amount, ttl: TimeDelta::seconds(900) }.into()
}

/// Does it, however often another transaction is in the way.
async fn execute(
    store: &Arc<dyn Store>,
    key: &LedgerKey,
    request: &Request,
) -> Result<Answer, Refusal> {
    insist(|| {
        let (store, key, request) = (Arc::clone(store), key.clone(), request.clone());
        async move { store.execute(&key, &request, &terms(t(1))).await }
    })
    .await
}

/// A hundred reservations of one credit at once on a balance of ten: exactly ten are there.
pub async fn credit_ledger_1_simultaneous_reservations_never_hold_more_than_there_is(
    fixture: &Fixture,
) {
    let mut bench = Bench::new(fixture);
    bench.grant(Grant::new("g", 10)).await;
    let key = bench.key.clone();
    let won = race(100, |n| {
        let (store, key) = (fixture.turn(n), key.clone());
        async move { execute(&store, &key, &reserve(&format!("r{n}"), 1)).await.is_ok() }
    });
    let won = won.await.into_iter().filter(|won| *won).count();
    bench.refresh().await;
    bench.verify();
    assert_eq!((won, bench.av(), bench.held()), (10, 0, 10));
}

/// First operations of an account that race make one account.
pub async fn credit_ledger_1_an_account_begins_once(fixture: &Fixture) {
    let mut bench = Bench::new(fixture);
    let key = bench.key.clone();
    race(12, |n| {
        let (store, key) = (fixture.turn(n), key.clone());
        async move { execute(&store, &key, &grant(&format!("g{n}"), 5)).await.expect("granted") }
    })
    .await;
    bench.refresh().await;
    bench.verify();
    assert_eq!((bench.av(), bench.entries().len()), (60, 12));
    let keys = fixture.node().ledger_keys(None, 100).await.expect("ledger_keys");
    assert_eq!(keys, [key]);
}

/// Two nodes spend, reserve and capture on one account in turns and at once: what one of them keeps
/// in memory is never more than a guess.
pub async fn credit_ledger_1_nodes_interleave_on_one_account(fixture: &Fixture) {
    let mut bench = Bench::new(fixture);
    bench.grant(Grant::new("g", 100_000).until(t(DAY))).await;
    for n in 0..20 {
        bench.spend(&format!("turn-{n}"), 10).await.expect("spent");
    }
    let key = bench.key.clone();
    race(8, |task| {
        let (store, key) = (fixture.turn(task), key.clone());
        async move {
            for n in 0..15 {
                let id = format!("{task}-{n}");
                execute(&store, &key, &spend(&id, 3)).await.expect("spent");
                execute(&store, &key, &reserve(&id, 5)).await.expect("reserved");
                let capture = Command::Capture { id, amount: 2 }.into();
                execute(&store, &key, &capture).await.expect("captured");
            }
        }
    })
    .await;
    bench.refresh().await;
    bench.verify();
    assert_eq!((bench.av(), bench.held()), (100_000 - 200 - 8 * 15 * 5, 0));
    assert_eq!(bench.entries().len(), 1 + 20 + 8 * 15 * 3);
}

/// What one node decided is known to the other at once, also where nothing has to be written.
pub async fn credit_ledger_1_a_node_never_answers_from_the_past(fixture: &Fixture) {
    let (node, other) = (fixture.node(), fixture.other());
    let key = Bench::new(fixture).key;
    let limit = |limit| Request::from(Command::SetOverdraft { limit });
    let sweep = Request::from(Command::Sweep);
    execute(node, &key, &grant("g", 10)).await.expect("granted");
    execute(node, &key, &limit(5)).await.expect("set");
    execute(other, &key, &limit(0)).await.expect("set");
    execute(node, &key, &sweep).await.expect("swept");
    execute(node, &key, &limit(5)).await.expect("set");
    execute(other, &key, &spend("a", 15)).await.expect("the overdraft is there");
    let refused = execute(node, &key, &spend("b", 1)).await.expect_err("nothing is left");
    assert_eq!(refused.code(), "insufficient");
    execute(other, &key, &grant("h", 6)).await.expect("granted");
    execute(node, &key, &spend("b", 1)).await.expect("there is one again");
    execute(other, &key, &reserve("r", 0)).await.expect_err("nothing to reserve");
    let none = Command::Release { id: "r".to_owned() }.into();
    assert_eq!(execute(node, &key, &none).await, Err(Refusal::UnknownReservation));
}

/// What changes an account without an entry is known to the other node, too.
pub async fn credit_ledger_1_a_limit_that_another_node_set_is_kept(fixture: &Fixture) {
    let (node, other) = (fixture.node(), fixture.other());
    let key = Bench::new(fixture).key;
    execute(node, &key, &grant("g", 100)).await.expect("granted");
    let limit = |max| {
        let (member, window) = ("m".to_owned(), Window::Month);
        Request::from(Command::SetLimit { member, feature: None, window, max })
    };
    execute(node, &key, &limit(50)).await.expect("set");
    // It spends often enough to keep the account.
    for n in 0..3 {
        execute(node, &key, &spend(&format!("warm-{n}"), 1).by("m")).await.expect("spent");
    }
    execute(other, &key, &limit(5)).await.expect("set");
    execute(node, &key, &spend("a", 2).by("m")).await.expect("within it");
    let refused = execute(node, &key, &spend("b", 1).by("m")).await.expect_err("beyond it");
    assert_eq!(refused.code(), "member_limit");
    execute(other, &key, &limit(7)).await.expect("set");
    execute(node, &key, &spend("b", 2).by("m")).await.expect("within the new one");
}

/// Simultaneous uses of one key are one operation, whoever asks.
pub async fn credit_ledger_2_a_key_that_races_is_used_once(fixture: &Fixture) {
    let mut bench = Bench::new(fixture);
    bench.grant(Grant::new("g", 100)).await;
    let key = bench.key.clone();
    let answers = race(16, |n| {
        let (store, key) = (fixture.turn(n), key.clone());
        async move { execute(&store, &key, &spend("once", 10)).await.expect("spent") }
    })
    .await;
    let first = answers.iter().filter(|answer| !answer.replayed).count();
    assert_eq!(first, 1, "one of them was the first");
    let spent = Reply::Spent { allocation: vec![(LotId(1), 10)], debt: 0 };
    assert!(answers.iter().all(|answer| answer.reply == spent), "all get its answer");
    bench.refresh().await;
    bench.verify();
    assert_eq!((bench.av(), bench.entries().len()), (90, 2));
}

/// A repetition is answered as the first time, also when the balance would not allow it any more;
/// another request under the key is a mismatch. Neither writes anything.
pub async fn credit_ledger_2_a_repetition_is_answered_and_writes_nothing(fixture: &Fixture) {
    let mut bench = Bench::new(fixture);
    let granted = bench.run(grant("g", 10)).await.expect("granted");
    let spent = bench.spend("s", 10).await.expect("spent");
    let reserved = bench.run(reserve("r", 1)).await;
    assert_eq!(reserved, Err(Refusal::Insufficient { available: 0, requested: 1 }));
    bench.grant(Grant::new("h", 1)).await;
    let reserved = bench.run(reserve("r", 1)).await.expect("a refusal leaves nothing behind");
    let before = bench.account().clone();
    for (request, first) in
        [(grant("g", 10), granted), (spend("s", 10), spent), (reserve("r", 1), reserved)]
    {
        for _ in 0..2 {
            let again = bench.run(request.clone()).await.expect("replayed");
            assert_eq!((again.replayed, &again.reply), (true, &first.reply));
        }
    }
    for request in [grant("g", 11), spend("s", 9), spend("s", 10).by("m"), reserve("r", 2)] {
        let refused = bench.run(request).await.expect_err("another request");
        assert_eq!(refused.code(), "idempotency_mismatch");
    }
    assert_eq!(*bench.account(), before);
}

/// One key in a batch of others: every operation that arrives with it is done all the same.
pub async fn credit_ledger_2_a_repetition_does_not_harm_its_neighbours(fixture: &Fixture) {
    let mut bench = Bench::new(fixture);
    bench.grant(Grant::new("g", 1000)).await;
    bench.spend("known", 1).await.expect("spent");
    let key = bench.key.clone();
    let answers = race(24, |n| {
        let (store, key) = (Arc::clone(fixture.node()), key.clone());
        let id = if n % 3 == 0 { "known".to_owned() } else { format!("new-{n}") };
        async move { execute(&store, &key, &spend(&id, 1)).await.expect("spent").replayed }
    })
    .await;
    assert_eq!(answers.iter().filter(|replayed| **replayed).count(), 8);
    bench.refresh().await;
    bench.verify();
    assert_eq!(bench.av(), 1000 - 1 - 16);
}

/// Keys of one account are nothing to another, and neither are case, spaces and signs.
pub async fn credit_ledger_2_keys_are_compared_exactly(fixture: &Fixture) {
    let mut bench = Bench::new(fixture);
    bench.grant(Grant::new("g", 1000)).await;
    for id in ODD_IDS {
        assert!(!bench.spend(id, 1).await.expect("spent").replayed, "{id:?}");
        assert!(!bench.run(reserve(id, 1)).await.expect("reserved").replayed, "{id:?}");
        let limit = Command::SetLimit {
            member: id.to_owned(),
            feature: Some(id.to_owned()),
            window: Window::Day,
            max: 10,
        };
        bench.reply(limit).await;
    }
    for id in ODD_IDS {
        assert!(bench.spend(id, 1).await.expect("spent").replayed, "{id:?}");
    }
    let odd = i64::try_from(ODD_IDS.len()).expect("few");
    assert_eq!((bench.av(), bench.held()), (1000 - 2 * odd, odd));
    assert_eq!(bench.account().limits.len(), ODD_IDS.len());
    for id in ODD_IDS {
        let key = LedgerKey::new(id, id);
        let store = fixture.node();
        assert!(!execute(store, &key, &grant("g", 1)).await.expect("granted").replayed, "{id:?}");
    }
}

/// Whoever calls again after an answer was lost gets it, from any node.
pub async fn credit_ledger_3_a_lost_answer_is_given_again(fixture: &Fixture) {
    let mut bench = Bench::new(fixture);
    bench.grant(Grant::new("g", 100)).await;
    let key = bench.key.clone();
    // The caller goes away as soon as it has asked.
    for n in 0..10 {
        let request = spend(&format!("s{n}"), 1);
        let lost = execute(fixture.node(), &key, &request);
        let _nobody = tokio::time::timeout(std::time::Duration::ZERO, lost).await;
    }
    for n in 0..10 {
        execute(fixture.other(), &key, &spend(&format!("s{n}"), 1)).await.expect("spent");
    }
    bench.refresh().await;
    bench.verify();
    assert_eq!((bench.av(), bench.entries().len()), (90, 11));
}

/// An account is there from its first operation on, and not before; refusals are none.
pub async fn credit_ledger_4_an_account_is_there_once_something_was_done(fixture: &Fixture) {
    let store = fixture.node();
    let key = Bench::new(fixture).key;
    execute(store, &key, &spend("s", 1)).await.expect_err("there is nothing");
    execute(store, &key, &Command::Sweep.into()).await.expect("swept");
    for scope in [Scope::Open, Scope::All] {
        let account = fixture.other().account(&key, scope).await.expect("account");
        assert!(account.is_none_or(|account| account.balance.seq == 0));
    }
    execute(store, &key, &grant("g", 1)).await.expect("granted");
    let account = fixture.other().account(&key, Scope::Open).await.expect("account");
    assert_eq!(account.expect("is there").balance.available, 1);
}

/// What is read is of one instant: the sums are right while others write.
pub async fn credit_ledger_4_an_account_is_of_one_instant(fixture: &Fixture) {
    let mut bench = Bench::new(fixture);
    for n in 0..5 {
        bench.grant(Grant::new(format!("g{n}"), 100)).await;
    }
    let key = bench.key.clone();
    race(4, |task| {
        let (store, key) = (fixture.turn(task), key.clone());
        async move {
            for n in 0..40 {
                if task < 2 {
                    let id = format!("{task}-{n}");
                    execute(&store, &key, &reserve(&id, 6)).await.expect("reserved");
                    continue;
                }
                let scope = if n % 2 == 0 { Scope::Open } else { Scope::All };
                let account = store.account(&key, scope).await.expect("account");
                let account = account.expect("is there");
                let remaining: i64 = account.lots.values().map(|lot| lot.remaining).sum();
                let held: i64 = account.open_reservations().map(|one| one.amount).sum();
                assert_eq!(account.balance.available, remaining);
                assert_eq!(account.balance.held, held);
            }
        }
    })
    .await;
}

/// Everything of an account comes back as it was.
pub async fn credit_ledger_4_in_scope_open_only_what_is_over_is_missing(fixture: &Fixture) {
    let mut bench = Bench::new(fixture);
    bench.grant(Grant::new("over", 5).paid_with("in_1", 5)).await;
    bench.spend("s", 5).await.expect("spent");
    bench.grant(Grant::new("open", 50).paid_with("in_2", 50)).await;
    bench.run(reserve("done", 5)).await.expect("reserved");
    bench.capture("done", 5).await.expect("captured");
    bench.run(reserve("held", 7)).await.expect("reserved");
    let later = Grant::new("later", 9).paid_with("in_3", 9).from(t(DAY));
    bench.reply(Command::Schedule(vec![later])).await;
    let whole = bench.account().clone();
    let open = fixture.node().account(&bench.key, Scope::Open).await.expect("account");
    let open = open.expect("is there");
    assert_eq!(open.balance, whole.balance);
    assert_eq!((&open.scheduled, &open.limits), (&whole.scheduled, &whole.limits));
    assert_eq!(open.next_due(), whole.next_due());
    let held = &whole.reservations["held"];
    assert_eq!(open.reservations.get("held"), Some(held));
    assert_eq!(open.sources.get("in_3"), whole.sources.get("in_3"));
    for (id, lot) in &whole.lots {
        let known = open.lots.get(id);
        assert!(known == Some(lot) || (known.is_none() && lot.remaining + lot.held == 0));
    }
}
