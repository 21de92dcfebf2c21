//! The scenarios, each with its numbers.

use chrono::{DateTime, TimeDelta, Utc};
use stripe_billing_core::ledger::{
    BalanceView, Bucket, Command, EntryKind, Grant, LateCapture, Ledger, LedgerKey, LedgerPolicy,
    LotKind, MoneyBackStatus, Refusal, Reply, Request, Rollover, Segment, Statement, Window,
    balance_at, decide, drip_at, explain,
};

use crate::bench::{Bench, DAY, plan, t};

fn refused(result: Result<impl std::fmt::Debug, Refusal>) -> &'static str {
    result.expect_err("is refused").code()
}

#[test]
fn s1_capture_returns_the_rest_in_one_entry() {
    let mut bench = Bench::new();
    bench.grant(plan("p", 1000));
    bench.spend("s", 300).unwrap();
    bench.reserve("r", 200, 900).unwrap();
    assert_eq!((bench.av(), bench.held()), (500, 200));
    bench.capture("r", 150).unwrap();
    assert_eq!((bench.av(), bench.held(), bench.entries().len()), (550, 0, 4));
}

#[test]
fn s2_promotional_then_soonest_expiry_then_the_rest() {
    let mut bench = Bench::new();
    let a = bench.grant(plan("a", 500).until(t(30 * DAY)));
    let b = bench.grant(Grant::new("b", 200));
    let c = bench.grant(Grant::new("c", 100).of_kind(LotKind::Promo).until(t(30 * DAY)));
    let reply = bench.spend("s", 650).unwrap().reply;
    assert_eq!(reply, Reply::Spent { allocation: vec![(c, 100), (a, 500), (b, 50)], debt: 0 });
    assert_eq!(bench.av(), 150);
}

#[test]
fn s3_one_key_spends_once() {
    let mut bench = Bench::new();
    bench.grant(Grant::new("g", 100));
    let first = bench.spend("k", 10).unwrap();
    let second = bench.spend("k", 10).unwrap();
    assert_eq!((first.reply, true), (second.reply, second.replayed));
    assert_eq!(bench.spend("k", 11), Err(Refusal::IdempotencyMismatch { first_seq: 2 }));
    assert_eq!((bench.av(), bench.entries().len()), (90, 2));
}

#[test]
fn s4_a_reservation_ends_exactly_at_its_expiry() {
    for (at, available) in [(899, 600), (900, 1000)] {
        let policy = {
            let mut policy = LedgerPolicy::default();
            policy.late_capture = LateCapture::Reject;
            policy
        };
        let mut bench = Bench::under(policy);
        bench.grant(Grant::new("g", 1000));
        bench.reserve("r", 400, 900).unwrap();
        let captured = bench.at(at).capture("r", 400);
        match at {
            899 => assert!(captured.is_ok()),
            _ => assert_eq!(captured, Err(Refusal::ReservationExpired { at: t(900) })),
        }
        bench.sweep();
        assert_eq!((bench.av(), bench.held()), (available, 0));
    }
}

#[test]
fn s5_the_rest_returns_to_the_lots_it_came_from() {
    let mut bench = Bench::new();
    let a = bench.grant(Grant::new("a", 30).until(t(DAY)));
    let b = bench.grant(Grant::new("b", 100));
    bench.reserve("r", 80, 900).unwrap();
    bench.capture("r", 40).unwrap();
    let (a, b) = (bench.lot(a), bench.lot(b));
    assert_eq!((a.consumed, b.consumed, b.remaining, bench.av()), (30, 10, 90, 90));
}

#[test]
fn s6_credits_returned_to_a_lot_that_ran_out_expire() {
    let mut bench = Bench::new();
    bench.grant(Grant::new("g", 50).until(t(100)));
    bench.at(90).reserve("r", 50, 900).unwrap();
    bench.at(200).release("r").unwrap();
    use EntryKind::{Expire, Grant as Granted, Release, Reserve};
    let expected = [(Granted, 50), (Reserve, -50), (Release, 50), (Expire, -50)];
    assert_eq!(bench.last(9), expected);
    assert_eq!(bench.av(), 0);
}

#[test]
fn s7_a_full_refund_takes_an_unspent_pack_back() {
    let mut bench = Bench::new();
    let pack = bench.grant(Grant::new("g", 1000).paid_with("ch", 1000));
    assert_eq!(bench.refund("ch", "re", 1000), 1000);
    assert_eq!((bench.av(), bench.lot(pack).clawed), (0, 1000));
}

/// A pack of 1000, 700 spent, an allowance of 500, and the pack refunded.
fn refunded_after_spending(policy: LedgerPolicy) -> Bench {
    let mut bench = Bench::under(policy);
    bench.grant(Grant::new("g", 1000).paid_with("ch", 1000));
    bench.spend("s", 700).unwrap();
    bench.grant(plan("p", 500));
    assert_eq!(bench.av(), 800);
    bench.refund("ch", "re", 1000);
    bench
}

#[test]
fn s8_spent_credits_become_debt_and_the_next_grant_repays_it() {
    let mut bench = refunded_after_spending(LedgerPolicy::default());
    assert_eq!((bench.av(), bench.debt()), (-200, 200));
    assert_eq!(bench.spend("s2", 1), Err(Refusal::NegativeBalance { debt: 200 }));
    bench.grant(plan("p2", 500));
    assert_eq!((bench.av(), bench.debt()), (300, 0));
}

#[test]
fn s9_gentle_writes_spent_credits_off() {
    let bench = refunded_after_spending(LedgerPolicy::gentle());
    let written_off = bench.account().balance.written_off;
    assert_eq!((bench.av(), bench.debt(), written_off), (500, 0, 700));
}

#[test]
fn s10_partial_refunds_add_up_exactly() {
    for (granted, paid, refunds, claws) in
        [(1000, 1000, [333, 333, 334], [333, 333, 334]), (100, 999, [333, 333, 333], [33, 33, 34])]
    {
        let mut bench = Bench::new();
        bench.grant(Grant::new("g", granted).paid_with("ch", paid));
        let found: Vec<i64> = ["a", "b", "c"]
            .into_iter()
            .zip(refunds)
            .map(|(id, amount)| bench.refund("ch", id, amount))
            .collect();
        assert_eq!(found, claws);
    }
}

/// A pack of 1000 for 1000, expiring at day 10, 400 spent, disputed.
fn disputed(amount: i64, expires: Option<i64>) -> (Bench, stripe_billing_core::ledger::LotId) {
    let mut bench = Bench::new();
    let mut grant = Grant::new("g", 1000).paid_with("ch", 1000);
    grant.expires_at = expires.map(t);
    let lot = bench.grant(grant);
    bench.spend("s", 400).unwrap();
    bench.back("ch", "dp", amount, MoneyBackStatus::DisputeOpen);
    (bench, lot)
}

#[test]
fn s11_frozen_credits_do_not_expire_and_get_their_time_back() {
    let (mut bench, lot) = disputed(1000, Some(10 * DAY));
    assert_eq!((bench.av(), bench.frozen()), (0, 600));
    let mut lost = Bench { ledger: bench.ledger.clone(), key: bench.key.clone(), now: bench.now };

    bench.at(20 * DAY).back("ch", "dp", 1000, MoneyBackStatus::DisputeWon);
    assert_eq!((bench.av(), bench.lot(lot).expires_at), (600, Some(t(30 * DAY))));

    lost.at(20 * DAY).back("ch", "dp", 1000, MoneyBackStatus::DisputeLost);
    assert_eq!((lost.av(), lost.debt(), lost.lot(lot).expired), (-400, 400, 0));
}

#[test]
fn s12_a_partial_dispute_freezes_its_share() {
    for (status, available) in
        [(MoneyBackStatus::DisputeWon, 600), (MoneyBackStatus::DisputeLost, 200)]
    {
        let (mut bench, _) = disputed(400, None);
        assert_eq!((bench.av(), bench.frozen()), (200, 400));
        bench.back("ch", "dp", 400, status);
        assert_eq!((bench.av(), bench.frozen(), bench.debt()), (available, 0, 0));
    }
}

#[test]
fn s13_a_refund_that_fails_gives_the_credits_back() {
    let mut bench = refunded_after_spending(LedgerPolicy::default());
    bench.back("ch", "re", 1000, MoneyBackStatus::RefundFailed);
    assert_eq!((bench.av(), bench.debt()), (800, 0));
    assert!(bench.account().lots.values().any(|lot| lot.kind == LotKind::Restore));
}

#[test]
fn s14_a_renewal_carries_over_up_to_its_cap() {
    let mut bench = Bench::new();
    let old = bench.grant(plan("p1", 1000).until(t(33 * DAY)));
    bench.spend("s", 600).unwrap();
    let rollover = Rollover { max: 300, total_max: None, expires_at: Some(t(60 * DAY)) };
    bench.at(30 * DAY).renew(old, plan("p2", 1000).until(t(63 * DAY)), rollover);
    use EntryKind::{Expire, Grant as Granted, Rollover as Rolled};
    assert_eq!(bench.last(3), [(Expire, -400), (Rolled, 300), (Granted, 1000)]);
    assert_eq!(bench.av(), 1300);
    let allocation = bench.spend("s2", 350).map(|answer| match answer.reply {
        Reply::Spent { allocation, .. } => allocation.into_iter().map(|(_, part)| part).collect(),
        _ => vec![],
    });
    assert_eq!(allocation, Ok(vec![300, 50]));
}

#[test]
fn s15_the_total_carried_over_is_trimmed_at_its_oldest() {
    let mut bench = Bench::new();
    let oldest = bench.grant(Grant::new("r1", 200).of_kind(LotKind::Rollover));
    let older = bench.grant(Grant::new("r2", 250).of_kind(LotKind::Rollover));
    let old = bench.grant(plan("p1", 300));
    let rollover = Rollover { max: 300, total_max: Some(500), expires_at: None };
    bench.renew(old, plan("p2", 1000), rollover);
    assert_eq!((bench.lot(oldest).remaining, bench.lot(older).remaining), (0, 200));
    let carried = bench.account().lots.values().filter(|lot| lot.kind == LotKind::Rollover);
    assert_eq!(carried.map(|lot| lot.remaining).sum::<i64>(), 500);
}

fn upgrade(bench: &mut Bench, key: &str, parts: &[(i64, i64)]) -> i64 {
    let segments = parts
        .iter()
        .map(|(allowance, days)| Segment { allowance: *allowance, seconds: days * DAY })
        .collect();
    let grant = Grant::new(key, 0).of_kind(LotKind::Upgrade).in_period("sub:1");
    match bench.reply(Command::Upgrade { grant, segments }) {
        Reply::Granted { lot } => lot.map_or(0, |lot| bench.lot(lot).granted),
        other => panic!("{other:?}"),
    }
}

/// The news that a period was upgraded may come before the news that it was paid, and the second
/// upgrade's before the first's: in the end there is as much, and nothing of it has ended.
#[test]
fn an_upgrade_adds_the_same_in_whichever_order_it_is_heard_of() {
    let allow = |bench: &mut Bench, number: i64, amount: i64| {
        let (begins, period) = (number * 30 * DAY, format!("sub:{number}"));
        let grant = plan(&format!("p{number}"), amount).in_series("s").in_period(period);
        let grant = grant.from(t(begins)).until(t(begins + 33 * DAY));
        bench.reply(Command::Allow { grant, rollover: Rollover { max: 50, ..Rollover::default() } })
    };
    let up = |bench: &mut Bench, key: &str, parts: &[(i64, i64)]| {
        let part =
            |(allowance, days): &(i64, i64)| Segment { allowance: *allowance, seconds: days * DAY };
        let segments = parts.iter().map(part).collect();
        let grant = Grant::new(key, 0).of_kind(LotKind::Upgrade).in_period("sub:0").in_series("s");
        bench.reply(Command::Upgrade { grant: grant.until(t(33 * DAY)), segments })
    };
    let first = [(1000, 10), (5000, 20)];
    let second = [(1000, 10), (5000, 10), (10_000, 10)];
    let orders = [[0, 1, 2], [0, 2, 1], [1, 0, 2], [1, 2, 0], [2, 0, 1], [2, 1, 0]];
    for order in orders {
        let mut bench = Bench::new();
        bench.at(21 * DAY);
        for step in order {
            match step {
                0 => drop(allow(&mut bench, 0, 1000)),
                1 => drop(up(&mut bench, "u1", &first)),
                _ => drop(up(&mut bench, "u2", &second)),
            }
        }
        assert_eq!(bench.av(), 5333, "{order:?}");
        // The next period ends all of it, and carries over at most so much in all.
        bench.at(30 * DAY);
        allow(&mut bench, 1, 1000);
        assert_eq!(bench.av(), 1050, "{order:?}");
    }
}

#[test]
fn s16_an_upgrade_adds_the_rest_of_the_period() {
    let mut bench = Bench::new();
    bench.grant(plan("p", 1000).in_period("sub:1"));
    assert_eq!(upgrade(&mut bench, "u1", &[(1000, 10), (5000, 20)]), 2666);
    assert_eq!(bench.av(), 3666);
}

#[test]
fn s17_going_up_and_down_never_gives_more_than_the_period_is_worth() {
    for (last, delta) in [(5000, 0), (10_000, 1000)] {
        let mut bench = Bench::new();
        bench.grant(plan("p", 1000).in_period("sub:1"));
        upgrade(&mut bench, "u1", &[(1000, 10), (5000, 20)]);
        let parts = [(1000, 10), (5000, 5), (1000, 5), (last, 10)];
        assert_eq!(upgrade(&mut bench, "u2", &parts), delta);
    }
}

#[test]
fn s18_to_annual_closes_the_month_and_drips_from_the_anchor() {
    let mut bench = Bench::new();
    let old = bench.grant(plan("p", 1000).until(t(30 * DAY)));
    bench.spend("s", 700).unwrap();
    let anchor = t(10 * DAY);
    bench.at(10 * DAY).renew(old, plan("drip:0", 1000), Rollover::default());
    assert_eq!(bench.last(2), [(EntryKind::Expire, -300), (EntryKind::Grant, 1000)]);
    assert_eq!(bench.av(), 1000);
    let drips: Vec<Grant> = (1..12)
        .map(|k| plan(&format!("drip:{k}"), 1000).from(drip_at(anchor, k).unwrap()))
        .collect();
    let third = drips[2].effective_at.unwrap();
    bench.reply(Command::Schedule(drips));
    bench.now = third;
    bench.sweep();
    assert_eq!((bench.av(), bench.account().scheduled.len()), (4000, 8));
    assert_eq!(bench.by_key("drip:3").map(|lot| lot.effective_at), Some(third));
}

#[test]
fn s18_a_drip_keeps_to_the_day_of_its_anchor() {
    let at = |text: &str| text.parse::<DateTime<Utc>>().unwrap();
    let anchor = at("2026-01-31T12:00:00Z");
    assert_eq!(drip_at(anchor, 1), Some(at("2026-02-28T12:00:00Z")));
    assert_eq!(drip_at(anchor, 2), Some(at("2026-03-31T12:00:00Z")));
}

#[test]
fn s19_a_trial_ends_at_its_end() {
    let mut bench = Bench::new();
    bench.grant(Grant::new("t", 100).of_kind(LotKind::Trial).until(t(14 * DAY)));
    bench.spend("s", 40).unwrap();
    bench.at(14 * DAY).grant(plan("p", 1000));
    assert_eq!(bench.last(2), [(EntryKind::Expire, -60), (EntryKind::Grant, 1000)]);
    assert_eq!(bench.av(), 1000);
}

fn by(member: &str, command: Command) -> Request {
    Request::from(command).by(member)
}

fn hold(id: &str, amount: i64) -> Command {
    Command::Reserve { id: id.to_owned(), amount, ttl: TimeDelta::seconds(900) }
}

#[test]
fn s20_a_member_stays_within_its_limit() {
    let mut bench = Bench::new();
    bench.grant(Grant::new("g", 1000));
    for (member, max) in [("m1", 200), ("m2", 200)] {
        let (member, window) = (member.to_owned(), Window::Month);
        bench.reply(Command::SetLimit { member, feature: None, window, max });
    }
    bench.reply(by("m1", Command::Spend { key: "s".to_owned(), amount: 150 }));
    let resets_at = Window::Month.resets_at(bench.now);
    let refusal = Refusal::MemberLimit { limit: 200, used: 150, resets_at };
    assert_eq!(bench.run(by("m1", hold("a", 60))), Err(refusal));
    bench.reply(by("m2", hold("b", 60)));
    bench.reply(by("m1", hold("c", 50)));
    bench.release("c").unwrap();
    let used: Vec<i64> =
        bench.account().limits.values().map(|limit| limit.used + limit.held).collect();
    assert_eq!((used, bench.av(), bench.held()), (vec![150, 60], 790, 60));
}

#[test]
fn s21_an_overdraft_is_a_limit() {
    let mut bench = Bench::new();
    bench.reply(Command::SetOverdraft { limit: 50 });
    bench.grant(Grant::new("g", 30));
    bench.spend("a", 60).unwrap();
    assert_eq!(bench.av(), -30);
    assert_eq!(refused(bench.spend("b", 21)), "insufficient");
    bench.spend("c", 20).unwrap();
    assert_eq!(bench.av(), -50);
}

#[test]
fn s22_sixteen_threads_never_spend_more_than_there_is() {
    let key = LedgerKey::new("app-1", "credits");
    let ledger = std::sync::Mutex::new(Ledger::default());
    let grant = Command::Grant(Grant::new("g", 1000));
    ledger.lock().unwrap().execute(&key, grant, t(0)).unwrap();
    let won: usize = std::thread::scope(|scope| {
        let threads: Vec<_> = (0..16)
            .map(|thread| {
                let (ledger, key) = (&ledger, &key);
                scope.spawn(move || {
                    let spend = |n: i32| Command::Spend { key: format!("{thread}-{n}"), amount: 1 };
                    (0..100)
                        .filter(|n| {
                            let done = ledger.lock().unwrap().execute(key, spend(*n), t(1));
                            done.map_err(|refusal| assert_eq!(refusal.code(), "insufficient"))
                                .is_ok()
                        })
                        .count()
                })
            })
            .collect();
        threads.into_iter().map(|thread| thread.join().unwrap()).sum()
    });
    let ledger = ledger.into_inner().unwrap();
    assert_eq!((won, ledger.entries(&key).len(), ledger.verify()), (1000, 1001, vec![]));
}

#[test]
fn s23_a_lot_expires_once() {
    let mut bench = Bench::new();
    bench.grant(Grant::new("g", 100).until(t(10)));
    bench.at(10);
    (0..3).for_each(|_| bench.sweep());
    assert_eq!((bench.entries().len(), bench.av()), (2, 0));
}

#[test]
fn s24_a_clock_slightly_ahead_does_not_delay_a_grant() {
    let mut bench = Bench::new();
    bench.grant(Grant::new("near", 10).from(t(200)));
    bench.grant(Grant::new("far", 100).from(t(301)));
    assert_eq!(refused(bench.spend("s", 11)), "insufficient");
    bench.spend("s", 10).unwrap();
    assert_eq!(refused(bench.at(300).spend("s2", 1)), "insufficient");
    bench.at(301).spend("s2", 100).unwrap();
}

#[test]
fn s25_one_invoice_line_is_one_lot() {
    let mut bench = Bench::new();
    let grant = Command::Grant(Grant::new("line:il_1", 1000).paid_with("in_1", 900));
    for teller in ["invoice.paid", "invoice.payment_succeeded", "redelivery", "replay"] {
        bench.reply(Request::from(grant.clone()).by(teller));
    }
    assert_eq!((bench.account().lots.len(), bench.av()), (1, 1000));
}

#[test]
fn s26_a_refund_reaches_only_what_it_paid_for() {
    let mut bench = Bench::new();
    let first = bench.grant(Grant::new("u1", 500).of_kind(LotKind::Upgrade).paid_with("in_1", 50));
    let second = bench.grant(Grant::new("u2", 700).of_kind(LotKind::Upgrade).paid_with("in_2", 70));
    bench.refund("in_2", "re", 70);
    assert_eq!((bench.lot(first).clawed, bench.lot(second).clawed), (0, 700));
}

#[test]
fn s27_a_late_capture_follows_the_policy() {
    for (late, granted, available, debt) in [
        (LateCapture::Reject, 100, 100, 0),
        (LateCapture::SpendIfAvailable, 100, 0, 0),
        (LateCapture::ForceDebt, 100, -100, 100),
    ] {
        let mut policy = LedgerPolicy::default();
        policy.late_capture = late;
        let mut bench = Bench::under(policy);
        bench.grant(Grant::new("g", granted));
        bench.reserve("r", 100, 10).unwrap();
        bench.at(11);
        if late == LateCapture::ForceDebt {
            bench.spend("elsewhere", 100).unwrap();
        }
        let first = bench.capture("r", 100);
        assert_eq!(first.is_err(), late == LateCapture::Reject);
        assert_eq!(bench.capture("r", 100).is_err(), first.is_err());
        bench.sweep();
        assert_eq!((bench.av(), bench.debt()), (available, debt), "{late:?}");
    }
}

#[test]
fn s28_refunds_in_any_order_and_number_take_the_same() {
    for order in [vec!["r2", "r1", "r2"], vec!["r1", "r2"], vec!["r1", "r1", "r2", "r1"]] {
        let mut bench = Bench::new();
        let lot = bench.grant(Grant::new("g", 1000).paid_with("ch", 1000));
        for id in order {
            bench.refund("ch", id, if id == "r1" { 300 } else { 400 });
        }
        assert_eq!(bench.lot(lot).clawed, 700);
    }
}

#[test]
fn s28_a_refund_before_its_grant_ends_the_same() {
    let mut bench = Bench::new();
    bench.refund("ch", "r1", 300);
    bench.back("ch", "dp", 200, MoneyBackStatus::DisputeOpen);
    let lot = bench.grant(Grant::new("g", 1000).paid_with("ch", 1000));
    assert_eq!((bench.lot(lot).clawed, bench.frozen(), bench.av()), (300, 200, 500));
}

#[test]
fn s29_a_refund_while_disputed_takes_frozen_credits() {
    let mut bench = Bench::new();
    let lot = bench.grant(Grant::new("g", 1000).paid_with("ch", 1000));
    bench.back("ch", "dp", 1000, MoneyBackStatus::DisputeOpen);
    bench.refund("ch", "re", 300);
    assert_eq!((bench.frozen(), bench.debt()), (700, 0));
    bench.back("ch", "dp", 1000, MoneyBackStatus::DisputeLost);
    assert_eq!((bench.av(), bench.lot(lot).clawed), (0, 1000));
}

#[test]
fn s30_a_refund_cancels_the_months_to_come_first() {
    let mut bench = Bench::new();
    let month =
        |k: i64| plan(&format!("drip:{k}"), 1000).paid_with("in", 12_000).from(t(k * 30 * DAY));
    bench.reply(Command::Schedule((0..12).map(month).collect()));
    bench.at(60 * DAY).sweep();
    assert_eq!(bench.av(), 3000);
    assert_eq!(bench.refund("in", "r1", 9000), 0);
    assert!(bench.account().scheduled.values().all(|lot| lot.cut == 1000));
    assert_eq!(bench.refund("in", "r2", 3000), 3000);
    bench.at(400 * DAY).sweep();
    assert_eq!((bench.av(), bench.account().lots.len()), (0, 3));
}

#[test]
fn s31_credits_under_a_reservation_are_owed_until_it_ends() {
    let mut bench = Bench::new();
    bench.grant(Grant::new("g", 1000).paid_with("ch", 1000));
    bench.reserve("r", 600, 900).unwrap();
    bench.refund("ch", "re", 1000);
    assert_eq!((bench.av(), bench.held()), (-600, 600));
    let mut other = Bench { ledger: bench.ledger.clone(), key: bench.key.clone(), now: bench.now };
    bench.release("r").unwrap();
    assert_eq!((bench.av(), bench.debt()), (0, 0));
    other.capture("r", 600).unwrap();
    assert_eq!((other.av(), other.held()), (-600, 0));
}

/// Without I/O there is nothing to be killed between: an outcome that is not applied leaves the
/// account as it was, and the same request decides the same again.
#[test]
fn s32_an_outcome_that_was_not_written_is_decided_again() {
    let mut bench = Bench::new();
    bench.grant(Grant::new("g", 1000));
    let request = Request::from(Command::Spend { key: "s".to_owned(), amount: 10 });
    let policy = LedgerPolicy::default();
    let lost = decide(bench.account(), &request, t(5), &policy).unwrap();
    let mut crashed = bench.account().clone();
    let again = decide(&crashed, &request, t(5), &policy).unwrap();
    assert_eq!(lost, again);
    again.apply(&mut crashed);
    bench.at(5).run(request).unwrap();
    assert_eq!(&crashed, bench.account());
}

#[test]
fn s33_moving_between_two_accounts_keeps_the_sum() {
    let keys = [LedgerKey::new("a", "credits"), LedgerKey::new("b", "credits")];
    let ledger = std::sync::Mutex::new(Ledger::default());
    for key in &keys {
        let grant = Command::Grant(Grant::new("g", 1000));
        ledger.lock().unwrap().execute(key, grant, t(0)).unwrap();
    }
    std::thread::scope(|scope| {
        for thread in 0..8_usize {
            let (ledger, keys) = (&ledger, &keys);
            scope.spawn(move || {
                for n in 0..50 {
                    let (from, to) = (&keys[thread % 2], &keys[1 - thread % 2]);
                    let (key, id) = (format!("{thread}-{n}"), format!("m:{thread}-{n}"));
                    let mut ledger = ledger.lock().unwrap();
                    let spend = Command::Spend { key, amount: 7 };
                    if ledger.execute(from, spend, t(1)).is_ok() {
                        ledger.execute(to, Command::Grant(Grant::new(id, 7)), t(1)).unwrap();
                    }
                }
            });
        }
    });
    let ledger = ledger.into_inner().unwrap();
    let sum: i64 = keys.iter().map(|key| ledger.account(key).unwrap().balance.available).sum();
    assert_eq!((sum, ledger.verify()), (2000, vec![]));
}

#[test]
fn s34_a_clock_that_goes_back_changes_nothing_twice() {
    let mut bench = Bench::new();
    bench.at(7200).grant(Grant::new("g", 100).until(t(7300)));
    bench.grant(Grant::new("h", 5));
    bench.at(7300).sweep();
    bench.at(3600).sweep();
    bench.spend("s", 5).unwrap();
    bench.at(7300).sweep();
    assert_eq!(bench.last(2), [(EntryKind::Expire, -100), (EntryKind::Spend, -5)]);
    assert_eq!(bench.entries().last().unwrap().recorded_at, t(7300));
}

#[test]
fn a_spend_is_undone_in_the_lots_it_took_from() {
    let mut bench = Bench::new();
    bench.reply(Command::SetOverdraft { limit: 50 });
    let a = bench.grant(Grant::new("a", 30).until(t(DAY)));
    let b = bench.grant(Grant::new("b", 20));
    bench.spend("s", 70).unwrap();
    assert_eq!((bench.av(), bench.debt()), (-20, 20));
    let seq = bench.entries().last().unwrap().seq;
    bench.ledger.reverse(&bench.key, seq, "mistake", t(1)).unwrap();
    assert!(bench.ledger.reverse(&bench.key, seq, "mistake", t(2)).unwrap().replayed);
    assert_eq!((bench.lot(a).remaining, bench.lot(b).remaining, bench.debt()), (30, 20, 0));
    assert_eq!(bench.ledger.verify(), []);
}

#[test]
fn statements_add_up_and_balances_can_be_read_in_the_past() {
    let mut bench = Bench::new();
    bench.grant(Grant::new("g", 100).until(t(50)));
    bench.at(10).spend("s", 30).unwrap();
    bench.at(60).grant(Grant::new("h", 5));
    assert_eq!(balance_at(bench.entries(), t(20)), (70, 0));
    let statement = Statement::of(bench.entries(), t(10), t(61));
    let totals: i64 = statement.totals.values().sum();
    assert_eq!((statement.opening, totals, statement.closing), (100, -95, 5));
    let text = explain(bench.account(), bench.entries());
    assert_eq!(text.lines().count(), 1 + bench.entries().len());
}

#[test]
fn a_balance_is_right_before_the_sweep_is_written() {
    let mut bench = Bench::new();
    bench.grant(Grant::new("g", 100).until(t(50)));
    bench.grant(Grant::new("h", 5).until(t(90)));
    let view = BalanceView::read(bench.account(), t(50), &LedgerPolicy::default());
    assert_eq!((view.available, view.expiring, view.expires_at), (5, 5, Some(t(90))));
}

#[test]
fn debt_is_forgiven_up_to_what_is_owed_and_adjusted_by_entries() {
    let mut bench = refunded_after_spending(LedgerPolicy::default());
    let (key, reason) = ("op".to_owned(), "goodwill".to_owned());
    let forgive = Command::Forgive { key: key.clone(), amount: 500, reason: reason.clone() };
    assert_eq!(bench.reply(forgive), Reply::Amount { amount: 200 });
    bench.reply(Command::Adjust { key, amount: 40, reason: reason.clone() });
    bench.reply(Command::Adjust { key: "op2".to_owned(), amount: -15, reason });
    assert_eq!((bench.av(), bench.debt()), (25, 0));
    assert_eq!(bench.entries().last().unwrap().allocation(Bucket::Consumed).len(), 1);
}

#[test]
fn an_extension_never_outlives_a_day() {
    let mut bench = Bench::new();
    bench.grant(Grant::new("g", 100));
    bench.reserve("r", 10, 900).unwrap();
    let ttl = TimeDelta::hours(24);
    let extend = |ttl| Command::Extend { id: "r".to_owned(), ttl };
    let reply = bench.at(600).reply(extend(ttl));
    assert_eq!(reply, Reply::Extended { expires_at: t(DAY) });
    let shorter = bench.reply(extend(TimeDelta::seconds(1)));
    assert_eq!(shorter, Reply::Extended { expires_at: t(DAY) });
}

#[test]
fn withdrawn_months_are_not_clawed_again() {
    let mut bench = Bench::new();
    let month =
        |k: i64| plan(&format!("drip:{k}"), 1000).paid_with("in", 12_000).from(t(k * 30 * DAY));
    bench.reply(Command::Schedule((0..12).map(month).collect()));
    let rest = (3..12).map(|k| format!("drip:{k}")).collect();
    bench.at(60 * DAY).reply(Command::Withdraw(rest));
    assert_eq!(bench.refund("in", "re", 9000), 0);
    assert_eq!(bench.refund("in", "re2", 1000), 1000);
    assert_eq!(bench.av(), 2000);
}

#[test]
fn a_lot_is_usable_up_to_its_end_and_not_at_it() {
    let mut bench = Bench::new();
    bench.grant(Grant::new("g", 100).until(t(50)));
    assert_eq!(bench.account().spendable(t(49)), 100);
    assert_eq!(bench.account().spendable(t(50)), 0);
}
