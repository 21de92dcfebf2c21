//! All invariants after every step of random streams; `Bench::run` checks them.

use proptest::prelude::*;
use stripe_billing_core::ledger::{
    Account, Command, Invariant, LedgerPolicy, MoneyBackStatus, RepaidBy, verify,
};

use crate::bench::{Bench, DAY, t};
use crate::streams::{Op, Step, Stream, steps};

fn policies() -> impl Strategy<Value = LedgerPolicy> {
    (0_u8..5).prop_map(|which| {
        let mut policy = LedgerPolicy::default();
        match which {
            1 => policy = LedgerPolicy::gentle(),
            2 => policy = LedgerPolicy::refund_gentle_dispute_strict(),
            3 => policy.debt_repaid_by = RepaidBy::Paid,
            4 => {
                policy.freeze_inquiries = true;
                policy.no_holds_while_disputed = true;
                policy.return_grace = chrono::TimeDelta::hours(2);
                policy.refund.reach = stripe_billing_core::ledger::Reach::OriginOnly;
            }
            _ => {}
        }
        policy
    })
}

fn cases() -> ProptestConfig {
    ProptestConfig { cases: 96, failure_persistence: None, ..ProptestConfig::default() }
}

/// The account without the times at which things were recorded.
fn state(account: &Account) -> Account {
    let mut account = account.clone();
    account.balance.recorded_at = None;
    account
}

proptest! {
    #![proptest_config(cases())]

    /// I1 to I13 and I15, under every policy; I14: a request that is repeated at once writes nothing.
    #[test]
    fn every_step_keeps_every_invariant(policy in policies(), steps in steps(60)) {
        let mut stream = Stream::new(policy);
        for step in steps {
            let Some((request, answer)) = stream.step(step) else { continue };
            if answer.is_ok() {
                let before = stream.bench.account().clone();
                let repeated = stream.bench.run(request);
                // A reversal or an end may be refused the second time; neither may write.
                prop_assert!(repeated.is_ok());
                prop_assert_eq!(&before, stream.bench.account());
            }
        }
        stream.bench.at(stream.seconds + 400 * DAY).sweep();
    }

    /// Sweeping once at the end is the same as sweeping at every instant in between.
    #[test]
    fn a_late_sweep_is_never_visible(steps in steps(40), slices in prop::collection::vec(1_i64..2 * DAY, 1..20)) {
        let mut stream = Stream::new(LedgerPolicy::default());
        for step in steps {
            stream.step(step);
        }
        let (key, mut now) = (stream.bench.key.clone(), stream.seconds);
        let mut late = Bench { ledger: stream.bench.ledger.clone(), key, now: t(now) };
        for slice in slices {
            now += slice;
            stream.bench.at(now).sweep();
        }
        late.at(now).sweep();
        prop_assert_eq!(state(late.account()), state(stream.bench.account()));
    }

    /// I9 whatever the order: the same refunds and disputes, the same credits taken back.
    #[test]
    fn news_of_money_arrives_in_any_order(
        rows in prop::collection::vec((0_u8..4, 0_usize..7), 1..12),
        rotate in 0_usize..12,
        spent in 0_i64..1000,
    ) {
        use MoneyBackStatus as Status;
        let all = [
            Status::RefundPending, Status::RefundSucceeded, Status::RefundFailed,
            Status::DisputeInquiry, Status::DisputeOpen, Status::DisputeLost, Status::DisputeWon,
        ];
        let mut shuffled = rows.clone();
        shuffled.rotate_left(rotate % rows.len());
        let ends: Vec<(i64, i64)> = [rows, shuffled].into_iter().map(|rows| {
            let mut bench = Bench::new();
            bench.grant(stripe_billing_core::ledger::Grant::new("g", 1000).paid_with("ch", 777));
            if spent > 0 {
                bench.spend("s", spent).unwrap();
            }
            for (id, status) in rows {
                let dispute = status > 2;
                let name = format!("{}{id}", if dispute { "dp" } else { "re" });
                bench.back("ch", &name, 100 * (i64::from(id) + 1), all[status]);
            }
            let balance = &bench.account().balance;
            let source = &bench.account().sources["ch"];
            (source.clawed, balance.available + balance.frozen)
        }).collect();
        prop_assert_eq!(ends[0], ends[1]);
    }
}

/// A stream with something of everything in it.
fn sample() -> Stream {
    let mut stream = Stream::new(LedgerPolicy::default());
    let steps: [Step; 6] = [
        (0, Op::Grant { key: 1, amount: 600, priority: 50, paid: true, life: None, price: 100 }),
        (1, Op::Limit { max: 400 }),
        (1, Op::Spend { key: 1, amount: 100, member: true }),
        (1, Op::Reserve { key: 1, amount: 50, ttl: 3600, member: true }),
        (1, Op::Refund { pick: 0, id: 0, status: MoneyBackStatus::RefundSucceeded }),
        (1, Op::Dispute { pick: 0, id: 0, status: MoneyBackStatus::DisputeOpen }),
    ];
    for step in steps {
        stream.step(step);
    }
    stream
}

/// Every invariant that rows and entries can break is named when they do.
#[test]
fn verify_names_what_is_broken() {
    type Break = fn(&mut Account, &mut Vec<stripe_billing_core::ledger::Entry>);
    let breaks: [(Invariant, Break); 14] = [
        (Invariant::Available, |account, _| account.balance.available += 1),
        (Invariant::Holds, |account, _| account.balance.frozen += 1),
        (Invariant::Lots, |account, _| first(account).granted += 1),
        (Invariant::Debt, |account, _| account.balance.debt = 1),
        (Invariant::Entries, |_, entries| drop(entries.remove(1))),
        (Invariant::Keys, |_, entries| entries[1].key = entries[0].key.clone()),
        (Invariant::GrantKeys, |account, _| {
            let mut twin = first(account).clone();
            twin.id.0 = 99;
            account.lots.insert(twin.id, twin);
        }),
        (Invariant::Reservations, |account, _| {
            account.reservations.get_mut("r1").unwrap().captured = Some(51);
        }),
        (Invariant::Clawbacks, |account, _| {
            account.sources.get_mut("ch0").unwrap().clawed -= 1;
        }),
        (Invariant::Active, |account, _| first(account).expires_at = Some(t(1))),
        (Invariant::Floor, |_, entries| entries[1].available_after = -1),
        (Invariant::Limits, |account, _| {
            account.limits.values_mut().for_each(|limit| limit.used = 401);
        }),
        (Invariant::TrialBalance, |_, entries| entries[0].moves[0].amount += 1),
        (Invariant::History, |_, entries| entries[2].recorded_at = t(-1)),
    ];
    let stream = sample();
    for (invariant, break_it) in breaks {
        let mut account = stream.bench.account().clone();
        let mut entries = stream.bench.entries().to_vec();
        break_it(&mut account, &mut entries);
        let found = verify(&account, &entries, &LedgerPolicy::default());
        assert!(found.iter().any(|one| one.invariant == invariant), "{invariant:?}: {found:?}");
    }
}

#[test]
fn verify_names_a_second_reversal() {
    let stream = sample();
    let mut entries = stream.bench.entries().to_vec();
    (entries[2].reverses, entries[3].reverses) = (Some(2), Some(2));
    let found = verify(stream.bench.account(), &entries, &LedgerPolicy::default());
    assert_eq!(found.iter().map(|one| one.invariant).collect::<Vec<_>>(), [Invariant::Replays]);
}

#[test]
fn a_sweep_of_an_untouched_account_writes_nothing() {
    let mut stream = sample();
    let before = stream.bench.entries().len();
    stream.bench.reply(Command::Sweep);
    assert_eq!(stream.bench.entries().len(), before);
}

fn first(account: &mut Account) -> &mut stripe_billing_core::ledger::Lot {
    account.lots.values_mut().next().expect("has a lot")
}
