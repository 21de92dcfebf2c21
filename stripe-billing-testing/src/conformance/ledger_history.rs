//! `CreditLedger` clauses 5 to 8: entries, what is due, notices, usage.

use std::collections::BTreeMap;
use std::sync::Arc;

use stripe_billing_core::AccountKey;
use stripe_billing_core::changes::{Message, OutboxEntry};
use stripe_billing_core::ledger::{
    Command, EntryKind, Grant, LedgerKey, LedgerPolicy, Level, Rebuild, Refusal, Request, Scope,
};
use stripe_billing_core::notice::{NoticeKind, credits_low, credits_subject};
use stripe_billing_core::store::{
    Delivery, EntryPage, EntryQuery, LedgerTerms, Store, Usage, UsageQuery, usage_of,
};

use super::Fixture;
use super::ledger_bench::{Bench, DAY, t, terms};
use super::race::{insist, race};
use super::sample::{claiming, connected, keys};

fn spend(key: &str, amount: i64) -> Request {
    Command::Spend { key: key.to_owned(), amount }.into()
}

async fn give(store: &dyn Store, key: &LedgerKey, grant: Grant) {
    let request = Command::Grant(grant).into();
    let granted = store.execute(key, &request, &terms(t(0))).await.expect("execute");
    granted.expect("is granted");
}

/// Entries are numbered from 1 and read in pages from both ends, filtered.
pub async fn credit_ledger_5_entries_are_read_in_pages_and_filtered(fixture: &Fixture) {
    let mut bench = Bench::new(fixture);
    bench.grant(Grant::new("g", 100)).await;
    for n in 0..9 {
        let request = spend(&format!("s{n}"), 1).by(format!("m{}", n % 2));
        bench.reply(request.on(if n < 3 { "chat" } else { "draw" })).await;
    }
    let seqs: Vec<i64> = bench.entries().iter().map(|entry| entry.seq).collect();
    assert_eq!(seqs, (1..=10).collect::<Vec<i64>>());
    let key = bench.key.clone();
    let all = EntryQuery::after(key.clone(), 0, 100);
    let queries = [
        (EntryQuery::after(key.clone(), 4, 3), vec![5, 6, 7]),
        (EntryQuery::before(key.clone(), i64::MAX, 2), vec![10, 9]),
        (EntryQuery::before(key.clone(), 3, 5), vec![2, 1]),
        (EntryQuery { kind: Some(EntryKind::Grant), ..all.clone() }, vec![1]),
        (EntryQuery { actor: Some("m1".to_owned()), ..all.clone() }, vec![3, 5, 7, 9]),
        (EntryQuery { feature: Some("chat".to_owned()), ..all.clone() }, vec![2, 3, 4]),
        (EntryQuery { actor: Some("M1".to_owned()), ..all.clone() }, vec![]),
        (
            EntryQuery {
                page: EntryPage::Before(8),
                kind: Some(EntryKind::Spend),
                actor: Some("m0".to_owned()),
                feature: Some("draw".to_owned()),
                ..all.clone()
            },
            vec![6],
        ),
        (EntryQuery { key: LedgerKey::new("nobody", "credits"), ..all }, vec![]),
    ];
    for (query, expected) in queries {
        let found = fixture.other().entries(&query).await.expect("entries");
        let found: Vec<i64> = found.iter().map(|entry| entry.seq).collect();
        assert_eq!(found, expected, "{query:?}");
    }
}

/// An entry comes back with all that it was written with.
pub async fn credit_ledger_5_an_entry_comes_back_exactly(fixture: &Fixture) {
    let mut bench = Bench::new(fixture);
    bench.grant(Grant::new("a", 10).until(t(DAY))).await;
    bench.reply(Command::SetOverdraft { limit: 20 }).await;
    let mut request = spend("s \"1\" \\ ß 🎉", 15).by("Müller").on("");
    request.reference = Some("{\"job\": 1}".to_owned());
    let hash = request.hash();
    bench.reply(request).await;
    let entry = bench.entries().last().expect("is there").clone();
    assert_eq!(entry.key.as_deref(), Some("spend:s \"1\" \\ ß 🎉"));
    assert_eq!(entry.request_hash, Some(hash));
    let words = (entry.actor.as_deref(), entry.feature.as_deref(), entry.reference.as_deref());
    assert_eq!(words, (Some("Müller"), Some(""), Some("{\"job\": 1}")));
    assert_eq!((entry.delta_debt, entry.delta_available, entry.overdraft_limit), (5, -15, 20));
    assert_eq!((entry.effective_at, entry.recorded_at), (t(0), t(0)));
    assert_eq!(entry.moves.len(), 2);
    let entry = Box::new(entry);
    let seq = entry.seq;
    let undo = Command::Reverse { entry, reason: "a mistake".to_owned() };
    bench.reply(undo).await;
    let undone = bench.entries().iter().find(|entry| entry.kind == EntryKind::Reversal);
    let undone = undone.expect("is there");
    assert_eq!((undone.reverses, undone.reason.as_deref()), (Some(seq), Some("a mistake")));
}

/// Accounts in which something has come due, the longest due first, until they are swept.
pub async fn credit_ledger_6_due_accounts_come_the_longest_due_first(fixture: &Fixture) {
    let store = fixture.node().as_ref();
    let account = |name: &str| LedgerKey::new(name, "credits");
    give(store, &account("late"), Grant::new("g", 5).until(t(300))).await;
    give(store, &account("first"), Grant::new("g", 5).until(t(100))).await;
    give(store, &account("never"), Grant::new("g", 5)).await;
    give(store, &account("held"), Grant::new("g", 5)).await;
    let ttl = chrono::TimeDelta::seconds(200);
    let hold = Command::Reserve { id: "r".to_owned(), amount: 2, ttl }.into();
    store.execute(&account("held"), &hold, &terms(t(0))).await.expect("execute").expect("held");
    let month = Command::Schedule(vec![Grant::new("m", 3).from(t(400))]).into();
    let planned = store.execute(&account("planned"), &month, &terms(t(0))).await;
    planned.expect("execute").expect("scheduled");

    let other = fixture.other().as_ref();
    let due = async |now, limit| {
        let due = other.due(t(now), limit).await.expect("due");
        due.into_iter().map(|key| key.owner.account).collect::<Vec<_>>()
    };
    assert_eq!(due(99, 9).await, Vec::<String>::new());
    assert_eq!(due(100, 9).await, ["first"]);
    assert_eq!(due(400, 9).await, ["first", "held", "late", "planned"]);
    assert_eq!(due(400, 2).await, ["first", "held"]);
    for name in ["first", "held", "planned"] {
        let swept = other.execute(&account(name), &Command::Sweep.into(), &terms(t(400))).await;
        swept.expect("execute").expect("swept");
    }
    assert_eq!(due(400, 9).await, ["late"]);
}

/// Pages of all accounts have no gaps and no repeats, in the order of the keys.
pub async fn credit_ledger_6_all_accounts_are_read_in_pages(fixture: &Fixture) {
    let store = fixture.node().as_ref();
    let mut all = Vec::new();
    for name in ["a", "B", "a ", "ä", "z"] {
        for unit in ["sms", "credits"] {
            all.push(LedgerKey::new(name, unit));
            all.push(LedgerKey::new(name, unit).in_mode(false));
        }
    }
    let mut key = LedgerKey::new("a", "credits");
    key.owner.stripe_account = connected("acct_1").stripe_account;
    all.push(key);
    for key in &all {
        give(store, key, Grant::new("g", 1)).await;
    }
    all.sort();
    for size in [1, 4, 100] {
        let mut found: Vec<LedgerKey> = Vec::new();
        loop {
            let page = store.ledger_keys(found.last(), size).await.expect("ledger_keys");
            if page.is_empty() {
                break;
            }
            assert!(page.len() <= size as usize);
            found.extend(page);
        }
        assert_eq!(found, all, "in pages of {size}");
    }
    let of = async |livemode| {
        let owner = AccountKey::from("a");
        let accounts = store.accounts_of(&owner, livemode).await.expect("accounts_of");
        accounts.into_iter().map(|one| (one.key.livemode, one.key.unit.0)).collect::<Vec<_>>()
    };
    let mode = |mode: bool| [(mode, "credits".to_owned()), (mode, "sms".to_owned())];
    assert_eq!(of(Some(true)).await, mode(true));
    assert_eq!(of(None).await, [mode(false), mode(true)].concat());
}

/// A balance that becomes low, or runs out, by an operation is told once in the outbox.
pub async fn credit_ledger_7_a_low_balance_is_told(fixture: &Fixture) {
    let store = fixture.node().as_ref();
    let mut policy = LedgerPolicy::default();
    policy.low_at = Some(20);
    let mut bench = Bench::under(fixture, policy);
    let mut claimed = Vec::new();
    let mut notice = |level, epoch| {
        let notice = credits_low(&bench.key, level, epoch).expect("is one");
        claimed.push(OutboxEntry::from(notice).key);
    };
    notice(Level::Low, 1);
    notice(Level::Depleted, 1);
    notice(Level::Low, 2);
    bench.grant(Grant::new("g", 100)).await;
    bench.spend("a", 79).await.expect("spent");
    let refused = bench.spend("none", 500).await;
    assert_eq!(refused, Err(Refusal::Insufficient { available: 21, requested: 500 }));
    assert!(store.claim_outbox(&claiming(9, t(0))).await.expect("claim").is_empty());
    bench.spend("b", 1).await.expect("spent");
    bench.spend("b", 1).await.expect("replayed");
    bench.spend("c", 20).await.expect("spent");
    bench.grant(Grant::new("h", 100)).await;
    bench.spend("d", 90).await.expect("spent");

    let mut told = store.claim_outbox(&claiming(9, t(0))).await.expect("claim");
    told.sort_by_key(|entry| entry.lease.seq);
    assert_eq!(keys(&told), claimed);
    for entry in told {
        let subject = format!("account:{}", bench.key.owner.account);
        assert_eq!((entry.subject.id, entry.subject.tenant.livemode), (subject, true));
        let Message::Notice(notice) = entry.entry.message else { panic!("a notice") };
        assert_eq!(notice.kind, NoticeKind::CreditsLow);
    }
}

/// Paid credits that are about to expire are told in the outbox when the account is swept, and make it
/// due for that.
pub async fn credit_ledger_7_what_is_about_to_expire_is_told(fixture: &Fixture) {
    let store = fixture.node().as_ref();
    let mut bench = Bench::new(fixture);
    bench.grant(Grant::new("g", 100).until(t(10 * DAY))).await;
    let due = async |now| store.due(t(now), 9).await.expect("due").len();
    for (days, word) in [(3, 7), (9, 1)] {
        assert_eq!((due(days * DAY - 1).await, due(days * DAY).await), (0, 1));
        for _ in 0..2 {
            bench.at(days * DAY).sweep().await;
        }
        assert_eq!(due(days * DAY).await, 0);
        let told = store.claim_outbox(&claiming(9, t(days * DAY))).await.expect("claim");
        let key = &bench.key;
        let expected =
            format!("notice:credits_expiring:{}:{}:1:{word}", key.owner.account, key.unit.0);
        assert_eq!(keys(&told), [expected]);
        assert_eq!(told[0].subject, credits_subject(key));
        let leases: Vec<_> = told.into_iter().map(|entry| entry.lease).collect();
        let settled = store.settle_outbox(&leases, &Delivery::Done, t(days * DAY)).await;
        assert_eq!(settled.expect("settle_outbox"), 1);
    }
}

/// Simultaneous spends that make a balance low tell it once.
pub async fn credit_ledger_7_a_low_balance_that_races_is_told_once(fixture: &Fixture) {
    let mut policy = LedgerPolicy::default();
    policy.low_at = Some(50);
    let mut bench = Bench::under(fixture, policy);
    bench.grant(Grant::new("g", 60)).await;
    let key = bench.key.clone();
    race(20, |n| {
        let (store, key) = (fixture.turn(n), key.clone());
        async move {
            insist(|| {
                let (store, key) = (Arc::clone(&store), key.clone());
                let terms = LedgerTerms { now: t(1), policy };
                async move { store.execute(&key, &spend(&format!("s{n}"), 1), &terms).await }
            })
            .await
            .expect("spent")
        }
    })
    .await;
    let told = fixture.node().claim_outbox(&claiming(9, t(1))).await.expect("claim");
    assert_eq!(told.len(), 1);
}

async fn usage(store: &dyn Store, query: &UsageQuery) -> Vec<Usage> {
    store.usage(query).await.expect("usage")
}

/// Figures are made of all entries, each once, in bounded steps, whoever makes them.
pub async fn credit_ledger_8_usage_is_rolled_up_once(fixture: &Fixture) {
    let mut bench = Bench::new(fixture);
    bench.grant(Grant::new("g", 1000)).await;
    for n in 0..12_i64 {
        let mut request = spend(&format!("s{n}"), n + 1);
        if n % 3 > 0 {
            request = request.by(format!("m{}", n % 3));
        }
        if n % 2 > 0 {
            request = request.on("chat");
        }
        bench.at(n / 4 * DAY).reply(request).await;
    }
    let spent = bench.entries()[3].clone();
    let reason = "mistake".to_owned();
    bench.reply(Command::Reverse { entry: Box::new(spent), reason }).await;
    let store = fixture.node().as_ref();
    give(store, &LedgerKey::new("other", "credits"), Grant::new("g", 5)).await;

    let day = |days: i64| t(days * DAY).date_naive();
    let all = UsageQuery { key: bench.key.clone(), from: day(0), to: day(9), actor: None };
    assert!(usage(store, &all).await.is_empty());
    assert_eq!(store.roll_up(5).await.expect("roll_up"), 5);
    let mut added = 5;
    for n in 0.. {
        let step = fixture.turn(n).roll_up(4).await.expect("roll_up");
        assert!(step <= 4);
        if step == 0 {
            break;
        }
        added += step;
    }
    let expected = usage_of(bench.entries());
    assert_eq!(added, bench.entries().len() as u64 + 1);
    assert_eq!(usage(store, &all).await, expected);
    assert_eq!(expected.iter().map(|row| row.credits).sum::<i64>(), (1..=12).sum::<i64>() - 3);

    let query =
        UsageQuery { from: day(1), to: day(1), actor: Some("m2".to_owned()), ..all.clone() };
    let mut part = expected.clone();
    part.retain(|row| row.day == day(1) && row.actor.as_deref() == Some("m2"));
    assert!(!part.is_empty());
    assert_eq!(usage(store, &query).await, part);

    store.rebuild_usage(&bench.key).await.expect("rebuild_usage");
    assert!(usage(store, &all).await.is_empty());
    while store.roll_up(100).await.expect("roll_up") > 0 {}
    assert_eq!(usage(store, &all).await, expected);
}

/// Of an account that is right nothing is rebuilt, and of one that is not there nothing is made.
pub async fn credit_ledger_11_a_sound_account_stays_as_it_is(fixture: &Fixture) {
    let mut bench = Bench::new(fixture);
    bench.grant(Grant::new("g", 50).until(t(DAY))).await;
    bench.reply(spend("s", 7)).await;
    let by = Rebuild { actor: "ann".to_owned(), reason: "to see".to_owned(), now: t(1) };
    let before = bench.account().clone();
    let found = fixture.other().rebuild(&bench.key, &by).await.expect("rebuild");
    assert_eq!(found, Ok(vec![]));
    bench.refresh().await;
    assert_eq!((bench.account(), bench.entries().len()), (&before, 2));
    let nobody = LedgerKey::new("nobody", "credits");
    let found = fixture.node().rebuild(&nobody, &by).await.expect("rebuild");
    assert_eq!(found, Err(Refusal::UnknownAccount));
    assert_eq!(fixture.node().account(&nobody, Scope::All).await.expect("account"), None);
    assert_eq!(fixture.node().ledger_keys(None, 9).await.expect("ledger_keys").len(), 1);
}

/// Nodes that roll up at once count no entry twice, while others spend.
pub async fn credit_ledger_8_usage_that_races_is_rolled_up_once(fixture: &Fixture) {
    let mut bench = Bench::new(fixture);
    bench.grant(Grant::new("g", 1000)).await;
    let key = bench.key.clone();
    race(6, |task| {
        let (store, key) = (fixture.turn(task), key.clone());
        async move {
            for n in 0..30 {
                if task < 3 {
                    insist(|| {
                        let (store, key) = (Arc::clone(&store), key.clone());
                        let request = spend(&format!("{task}-{n}"), 2).by("m");
                        async move { store.execute(&key, &request, &terms(t(0))).await }
                    })
                    .await
                    .expect("spent");
                } else {
                    insist(|| store.roll_up(7)).await;
                }
            }
        }
    })
    .await;
    while insist(|| fixture.node().roll_up(1_000)).await > 0 {}
    bench.refresh().await;
    let day = t(0).date_naive();
    let query = UsageQuery { key, from: day, to: day, actor: None };
    let found = usage(fixture.other().as_ref(), &query).await;
    assert_eq!(found, usage_of(bench.entries()));
    let sums: BTreeMap<Option<String>, i64> =
        found.into_iter().map(|row| (row.actor, row.credits)).collect();
    assert_eq!(sums, BTreeMap::from([(Some("m".to_owned()), 180)]));
}
