//! The scenarios of the ledger, each with its numbers.

use std::sync::Arc;

use chrono::TimeDelta;
use stripe_billing_core::ledger::{
    BalanceView, Bucket, Command, EntryKind, Grant, LateCapture, LedgerKey, LedgerPolicy, LotId,
    LotKind, MoneyBackStatus, Refusal, Reply, Request, Rollover, Segment, Statement, Window,
    balance_at, drip_at, explain,
};

use super::Fixture;
use super::ledger_bench::{Bench, DAY, plan, t, terms};
use super::race::{insist, race};

fn refused(result: Result<impl std::fmt::Debug, Refusal>) -> &'static str {
    result.expect_err("is refused").code()
}

/// S1: capture returns the rest in one entry.
pub async fn ledger_s1_capture_returns_the_rest_in_one_entry(fixture: &Fixture) {
    let mut bench = Bench::new(fixture);
    bench.grant(plan("p", 1000)).await;
    bench.spend("s", 300).await.expect("is done");
    bench.reserve("r", 200, 900).await.expect("is done");
    assert_eq!((bench.av(), bench.held()), (500, 200));
    bench.capture("r", 150).await.expect("is done");
    assert_eq!((bench.av(), bench.held(), bench.entries().len()), (550, 0, 4));
}

/// S2: promotional then soonest expiry then the rest.
pub async fn ledger_s2_promotional_then_soonest_expiry_then_the_rest(fixture: &Fixture) {
    let mut bench = Bench::new(fixture);
    let a = bench.grant(plan("a", 500).until(t(30 * DAY))).await;
    let b = bench.grant(Grant::new("b", 200)).await;
    let c = bench.grant(Grant::new("c", 100).of_kind(LotKind::Promo).until(t(30 * DAY))).await;
    let reply = bench.spend("s", 650).await.expect("is done").reply;
    assert_eq!(reply, Reply::Spent { allocation: vec![(c, 100), (a, 500), (b, 50)], debt: 0 });
    assert_eq!(bench.av(), 150);
}

/// S3: one key spends once.
pub async fn ledger_s3_one_key_spends_once(fixture: &Fixture) {
    let mut bench = Bench::new(fixture);
    bench.grant(Grant::new("g", 100)).await;
    let first = bench.spend("k", 10).await.expect("is done");
    let second = bench.spend("k", 10).await.expect("is done");
    assert_eq!((first.reply, true), (second.reply, second.replayed));
    assert_eq!(bench.spend("k", 11).await, Err(Refusal::IdempotencyMismatch { first_seq: 2 }));
    assert_eq!((bench.av(), bench.entries().len()), (90, 2));
}

/// S4: a reservation ends exactly at its expiry.
pub async fn ledger_s4_a_reservation_ends_exactly_at_its_expiry(fixture: &Fixture) {
    for (at, available) in [(899, 600), (900, 1000)] {
        let policy = {
            let mut policy = LedgerPolicy::default();
            policy.late_capture = LateCapture::Reject;
            policy
        };
        let mut bench = Bench::under(fixture, policy);
        bench.grant(Grant::new("g", 1000)).await;
        bench.reserve("r", 400, 900).await.expect("is done");
        let captured = bench.at(at).capture("r", 400).await;
        match at {
            899 => assert!(captured.is_ok()),
            _ => assert_eq!(captured, Err(Refusal::ReservationExpired { at: t(900) })),
        }
        bench.sweep().await;
        assert_eq!((bench.av(), bench.held()), (available, 0));
    }
}

/// S5: the rest returns to the lots it came from.
pub async fn ledger_s5_the_rest_returns_to_the_lots_it_came_from(fixture: &Fixture) {
    let mut bench = Bench::new(fixture);
    let a = bench.grant(Grant::new("a", 30).until(t(DAY))).await;
    let b = bench.grant(Grant::new("b", 100)).await;
    bench.reserve("r", 80, 900).await.expect("is done");
    bench.capture("r", 40).await.expect("is done");
    let (a, b) = (bench.lot(a), bench.lot(b));
    assert_eq!((a.consumed, b.consumed, b.remaining, bench.av()), (30, 10, 90, 90));
}

/// S6: credits returned to a lot that ran out expire.
pub async fn ledger_s6_credits_returned_to_a_lot_that_ran_out_expire(fixture: &Fixture) {
    let mut bench = Bench::new(fixture);
    bench.grant(Grant::new("g", 50).until(t(100))).await;
    bench.at(90).reserve("r", 50, 900).await.expect("is done");
    bench.at(200).release("r").await.expect("is done");
    use EntryKind::{Expire, Grant as Granted, Release, Reserve};
    let expected = [(Granted, 50), (Reserve, -50), (Release, 50), (Expire, -50)];
    assert_eq!(bench.last(9), expected);
    assert_eq!(bench.av(), 0);
}

/// S7: a full refund takes an unspent pack back.
pub async fn ledger_s7_a_full_refund_takes_an_unspent_pack_back(fixture: &Fixture) {
    let mut bench = Bench::new(fixture);
    let pack = bench.grant(Grant::new("g", 1000).paid_with("ch", 1000)).await;
    assert_eq!(bench.refund("ch", "re", 1000).await, 1000);
    assert_eq!((bench.av(), bench.lot(pack).clawed), (0, 1000));
}

/// A pack of 1000, 700 spent, an allowance of 500, and the pack refunded.
async fn refunded_after_spending(fixture: &Fixture, policy: LedgerPolicy) -> Bench {
    let mut bench = Bench::under(fixture, policy);
    bench.grant(Grant::new("g", 1000).paid_with("ch", 1000)).await;
    bench.spend("s", 700).await.expect("is done");
    bench.grant(plan("p", 500)).await;
    assert_eq!(bench.av(), 800);
    bench.refund("ch", "re", 1000).await;
    bench
}

/// S8: spent credits become debt and the next grant repays it.
pub async fn ledger_s8_spent_credits_become_debt_and_the_next_grant_repays_it(fixture: &Fixture) {
    let mut bench = refunded_after_spending(fixture, LedgerPolicy::default()).await;
    assert_eq!((bench.av(), bench.debt()), (-200, 200));
    assert_eq!(bench.spend("s2", 1).await, Err(Refusal::NegativeBalance { debt: 200 }));
    bench.grant(plan("p2", 500)).await;
    assert_eq!((bench.av(), bench.debt()), (300, 0));
}

/// S9: gentle writes spent credits off.
pub async fn ledger_s9_gentle_writes_spent_credits_off(fixture: &Fixture) {
    let bench = refunded_after_spending(fixture, LedgerPolicy::gentle()).await;
    let written_off = bench.account().balance.written_off;
    assert_eq!((bench.av(), bench.debt(), written_off), (500, 0, 700));
}

/// S10: partial refunds add up exactly.
pub async fn ledger_s10_partial_refunds_add_up_exactly(fixture: &Fixture) {
    for (granted, paid, refunds, claws) in
        [(1000, 1000, [333, 333, 334], [333, 333, 334]), (100, 999, [333, 333, 333], [33, 33, 34])]
    {
        let mut bench = Bench::new(fixture);
        bench.grant(Grant::new("g", granted).paid_with("ch", paid)).await;
        let mut found = Vec::new();
        for (id, amount) in ["a", "b", "c"].into_iter().zip(refunds) {
            found.push(bench.refund("ch", id, amount).await);
        }
        assert_eq!(found, claws);
    }
}

/// A pack of 1000 for 1000, expiring at day 10, 400 spent, disputed.
async fn disputed(fixture: &Fixture, amount: i64, expires: Option<i64>) -> (Bench, LotId) {
    let mut bench = Bench::new(fixture);
    let mut grant = Grant::new("g", 1000).paid_with("ch", 1000);
    grant.expires_at = expires.map(t);
    let lot = bench.grant(grant).await;
    bench.spend("s", 400).await.expect("is done");
    bench.back("ch", "dp", amount, MoneyBackStatus::DisputeOpen).await;
    (bench, lot)
}

/// S11: frozen credits do not expire and get their time back.
pub async fn ledger_s11_frozen_credits_do_not_expire_and_get_their_time_back(fixture: &Fixture) {
    let (mut bench, lot) = disputed(fixture, 1000, Some(10 * DAY)).await;
    assert_eq!((bench.av(), bench.frozen()), (0, 600));
    let (mut lost, lost_lot) = disputed(fixture, 1000, Some(10 * DAY)).await;

    bench.at(20 * DAY).back("ch", "dp", 1000, MoneyBackStatus::DisputeWon).await;
    assert_eq!((bench.av(), bench.lot(lot).expires_at), (600, Some(t(30 * DAY))));

    lost.at(20 * DAY).back("ch", "dp", 1000, MoneyBackStatus::DisputeLost).await;
    assert_eq!((lost.av(), lost.debt(), lost.lot(lost_lot).expired), (-400, 400, 0));
}

/// S12: a partial dispute freezes its share.
pub async fn ledger_s12_a_partial_dispute_freezes_its_share(fixture: &Fixture) {
    for (status, available) in
        [(MoneyBackStatus::DisputeWon, 600), (MoneyBackStatus::DisputeLost, 200)]
    {
        let (mut bench, _) = disputed(fixture, 400, None).await;
        assert_eq!((bench.av(), bench.frozen()), (200, 400));
        bench.back("ch", "dp", 400, status).await;
        assert_eq!((bench.av(), bench.frozen(), bench.debt()), (available, 0, 0));
    }
}

/// S13: a refund that fails gives the credits back.
pub async fn ledger_s13_a_refund_that_fails_gives_the_credits_back(fixture: &Fixture) {
    let mut bench = refunded_after_spending(fixture, LedgerPolicy::default()).await;
    bench.back("ch", "re", 1000, MoneyBackStatus::RefundFailed).await;
    assert_eq!((bench.av(), bench.debt()), (800, 0));
    assert!(bench.account().lots.values().any(|lot| lot.kind == LotKind::Restore));
}

/// S14: a renewal carries over up to its cap.
pub async fn ledger_s14_a_renewal_carries_over_up_to_its_cap(fixture: &Fixture) {
    let mut bench = Bench::new(fixture);
    let old = bench.grant(plan("p1", 1000).until(t(33 * DAY))).await;
    bench.spend("s", 600).await.expect("is done");
    let rollover = Rollover { max: 300, total_max: None, expires_at: Some(t(60 * DAY)) };
    bench.at(30 * DAY).renew(old, plan("p2", 1000).until(t(63 * DAY)), rollover).await;
    use EntryKind::{Expire, Grant as Granted, Rollover as Rolled};
    assert_eq!(bench.last(3), [(Expire, -400), (Rolled, 300), (Granted, 1000)]);
    assert_eq!(bench.av(), 1300);
    let allocation = bench.spend("s2", 350).await.map(|answer| match answer.reply {
        Reply::Spent { allocation, .. } => allocation.into_iter().map(|(_, part)| part).collect(),
        _ => vec![],
    });
    assert_eq!(allocation, Ok(vec![300, 50]));
}

/// S15: the total carried over is trimmed at its oldest.
pub async fn ledger_s15_the_total_carried_over_is_trimmed_at_its_oldest(fixture: &Fixture) {
    let mut bench = Bench::new(fixture);
    let oldest = bench.grant(Grant::new("r1", 200).of_kind(LotKind::Rollover)).await;
    let older = bench.grant(Grant::new("r2", 250).of_kind(LotKind::Rollover)).await;
    let old = bench.grant(plan("p1", 300)).await;
    let rollover = Rollover { max: 300, total_max: Some(500), expires_at: None };
    bench.renew(old, plan("p2", 1000), rollover).await;
    assert_eq!((bench.lot(oldest).remaining, bench.lot(older).remaining), (0, 200));
    let carried = bench.account().lots.values().filter(|lot| lot.kind == LotKind::Rollover);
    assert_eq!(carried.map(|lot| lot.remaining).sum::<i64>(), 500);
}

async fn upgrade(bench: &mut Bench, key: &str, parts: &[(i64, i64)]) -> i64 {
    let segments = parts
        .iter()
        .map(|(allowance, days)| Segment { allowance: *allowance, seconds: days * DAY })
        .collect();
    let grant = Grant::new(key, 0).of_kind(LotKind::Upgrade).in_period("sub:1");
    match bench.reply(Command::Upgrade { grant, segments }).await {
        Reply::Granted { lot } => lot.map_or(0, |lot| bench.lot(lot).granted),
        other => panic!("{other:?}"),
    }
}

/// S16: an upgrade adds the rest of the period.
pub async fn ledger_s16_an_upgrade_adds_the_rest_of_the_period(fixture: &Fixture) {
    let mut bench = Bench::new(fixture);
    bench.grant(plan("p", 1000).in_period("sub:1")).await;
    assert_eq!(upgrade(&mut bench, "u1", &[(1000, 10), (5000, 20)]).await, 2666);
    assert_eq!(bench.av(), 3666);
}

/// S17: going up and down never gives more than the period is worth.
pub async fn ledger_s17_going_up_and_down_never_gives_more_than_the_period_is_worth(
    fixture: &Fixture,
) {
    for (last, delta) in [(5000, 0), (10_000, 1000)] {
        let mut bench = Bench::new(fixture);
        bench.grant(plan("p", 1000).in_period("sub:1")).await;
        upgrade(&mut bench, "u1", &[(1000, 10), (5000, 20)]).await;
        let parts = [(1000, 10), (5000, 5), (1000, 5), (last, 10)];
        assert_eq!(upgrade(&mut bench, "u2", &parts).await, delta);
    }
}

/// S18: to annual closes the month and drips from the anchor.
pub async fn ledger_s18_to_annual_closes_the_month_and_drips_from_the_anchor(fixture: &Fixture) {
    let mut bench = Bench::new(fixture);
    let old = bench.grant(plan("p", 1000).until(t(30 * DAY))).await;
    bench.spend("s", 700).await.expect("is done");
    let anchor = t(10 * DAY);
    bench.at(10 * DAY).renew(old, plan("drip:0", 1000), Rollover::default()).await;
    assert_eq!(bench.last(2), [(EntryKind::Expire, -300), (EntryKind::Grant, 1000)]);
    assert_eq!(bench.av(), 1000);
    let drips: Vec<Grant> = (1..12)
        .map(|k| plan(&format!("drip:{k}"), 1000).from(drip_at(anchor, k).expect("is done")))
        .collect();
    let third = drips[2].effective_at.expect("is done");
    bench.reply(Command::Schedule(drips)).await;
    bench.now = third;
    bench.sweep().await;
    assert_eq!((bench.av(), bench.account().scheduled.len()), (4000, 8));
    assert_eq!(bench.by_key("drip:3").map(|lot| lot.effective_at), Some(third));
}

/// S19: a trial ends at its end.
pub async fn ledger_s19_a_trial_ends_at_its_end(fixture: &Fixture) {
    let mut bench = Bench::new(fixture);
    bench.grant(Grant::new("t", 100).of_kind(LotKind::Trial).until(t(14 * DAY))).await;
    bench.spend("s", 40).await.expect("is done");
    bench.at(14 * DAY).grant(plan("p", 1000)).await;
    assert_eq!(bench.last(2), [(EntryKind::Expire, -60), (EntryKind::Grant, 1000)]);
    assert_eq!(bench.av(), 1000);
}

fn by(member: &str, command: Command) -> Request {
    Request::from(command).by(member)
}

fn hold(id: &str, amount: i64) -> Command {
    Command::Reserve { id: id.to_owned(), amount, ttl: TimeDelta::seconds(900) }
}

/// S20: a member stays within its limit.
pub async fn ledger_s20_a_member_stays_within_its_limit(fixture: &Fixture) {
    let mut bench = Bench::new(fixture);
    bench.grant(Grant::new("g", 1000)).await;
    for (member, max) in [("m1", 200), ("m2", 200)] {
        let (member, window) = (member.to_owned(), Window::Month);
        bench.reply(Command::SetLimit { member, feature: None, window, max }).await;
    }
    bench.reply(by("m1", Command::Spend { key: "s".to_owned(), amount: 150 })).await;
    let resets_at = Window::Month.resets_at(bench.now);
    let refusal = Refusal::MemberLimit { limit: 200, used: 150, resets_at };
    assert_eq!(bench.run(by("m1", hold("a", 60))).await, Err(refusal));
    bench.reply(by("m2", hold("b", 60))).await;
    bench.reply(by("m1", hold("c", 50))).await;
    bench.release("c").await.expect("is done");
    let used: Vec<i64> =
        bench.account().limits.values().map(|limit| limit.used + limit.held).collect();
    assert_eq!((used, bench.av(), bench.held()), (vec![150, 60], 790, 60));
}

/// S21: an overdraft is a limit.
pub async fn ledger_s21_an_overdraft_is_a_limit(fixture: &Fixture) {
    let mut bench = Bench::new(fixture);
    bench.reply(Command::SetOverdraft { limit: 50 }).await;
    bench.grant(Grant::new("g", 30)).await;
    bench.spend("a", 60).await.expect("is done");
    assert_eq!(bench.av(), -30);
    assert_eq!(refused(bench.spend("b", 21).await), "insufficient");
    bench.spend("c", 20).await.expect("is done");
    assert_eq!(bench.av(), -50);
}

/// S22: sixteen tasks never spend more than there is.
pub async fn ledger_s22_sixteen_tasks_never_spend_more_than_there_is(fixture: &Fixture) {
    let mut bench = Bench::new(fixture);
    bench.grant(Grant::new("g", 1000)).await;
    let key = bench.key.clone();
    let tasks = race(16, |task| {
        let (store, key) = (fixture.turn(task), key.clone());
        async move {
            let mut won = 0;
            for n in 0..100 {
                let command = Command::Spend { key: format!("{task}-{n}"), amount: 1 };
                let spent = insist(|| {
                    let (store, key) = (Arc::clone(&store), key.clone());
                    let request = Request::from(command.clone());
                    async move { store.execute(&key, &request, &terms(t(1))).await }
                });
                match spent.await {
                    Ok(_) => won += 1,
                    Err(refusal) => assert_eq!(refusal.code(), "insufficient"),
                }
            }
            won
        }
    });
    let won: usize = tasks.await.into_iter().sum();
    bench.refresh().await;
    assert_eq!((won, bench.entries().len(), bench.av()), (1000, 1001, 0));
    bench.verify();
}

/// S23: a lot expires once.
pub async fn ledger_s23_a_lot_expires_once(fixture: &Fixture) {
    let mut bench = Bench::new(fixture);
    bench.grant(Grant::new("g", 100).until(t(10))).await;
    bench.at(10);
    for _ in 0..3 {
        bench.sweep().await;
    }
    assert_eq!((bench.entries().len(), bench.av()), (2, 0));
}

/// S24: a clock slightly ahead does not delay a grant.
pub async fn ledger_s24_a_clock_slightly_ahead_does_not_delay_a_grant(fixture: &Fixture) {
    let mut bench = Bench::new(fixture);
    bench.grant(Grant::new("near", 10).from(t(200))).await;
    bench.grant(Grant::new("far", 100).from(t(301))).await;
    assert_eq!(refused(bench.spend("s", 11).await), "insufficient");
    bench.spend("s", 10).await.expect("is done");
    assert_eq!(refused(bench.at(300).spend("s2", 1).await), "insufficient");
    bench.at(301).spend("s2", 100).await.expect("is done");
}

/// S25: one invoice line is one lot.
pub async fn ledger_s25_one_invoice_line_is_one_lot(fixture: &Fixture) {
    let mut bench = Bench::new(fixture);
    let grant = Command::Grant(Grant::new("line:il_1", 1000).paid_with("in_1", 900));
    for teller in ["invoice.paid", "invoice.payment_succeeded", "redelivery", "replay"] {
        bench.reply(Request::from(grant.clone()).by(teller)).await;
    }
    assert_eq!((bench.account().lots.len(), bench.av()), (1, 1000));
}

/// S26: a refund reaches only what it paid for.
pub async fn ledger_s26_a_refund_reaches_only_what_it_paid_for(fixture: &Fixture) {
    let mut bench = Bench::new(fixture);
    let first =
        bench.grant(Grant::new("u1", 500).of_kind(LotKind::Upgrade).paid_with("in_1", 50)).await;
    let second =
        bench.grant(Grant::new("u2", 700).of_kind(LotKind::Upgrade).paid_with("in_2", 70)).await;
    bench.refund("in_2", "re", 70).await;
    assert_eq!((bench.lot(first).clawed, bench.lot(second).clawed), (0, 700));
}

/// S27: a late capture follows the policy.
pub async fn ledger_s27_a_late_capture_follows_the_policy(fixture: &Fixture) {
    for (late, granted, available, debt) in [
        (LateCapture::Reject, 100, 100, 0),
        (LateCapture::SpendIfAvailable, 100, 0, 0),
        (LateCapture::ForceDebt, 100, -100, 100),
    ] {
        let mut policy = LedgerPolicy::default();
        policy.late_capture = late;
        let mut bench = Bench::under(fixture, policy);
        bench.grant(Grant::new("g", granted)).await;
        bench.reserve("r", 100, 10).await.expect("is done");
        bench.at(11);
        if late == LateCapture::ForceDebt {
            bench.spend("elsewhere", 100).await.expect("is done");
        }
        let first = bench.capture("r", 100).await;
        assert_eq!(first.is_err(), late == LateCapture::Reject);
        assert_eq!(bench.capture("r", 100).await.is_err(), first.is_err());
        bench.sweep().await;
        assert_eq!((bench.av(), bench.debt()), (available, debt), "{late:?}");
    }
}

/// S28: refunds in any order and number take the same.
pub async fn ledger_s28_refunds_in_any_order_and_number_take_the_same(fixture: &Fixture) {
    for order in [vec!["r2", "r1", "r2"], vec!["r1", "r2"], vec!["r1", "r1", "r2", "r1"]] {
        let mut bench = Bench::new(fixture);
        let lot = bench.grant(Grant::new("g", 1000).paid_with("ch", 1000)).await;
        for id in order {
            bench.refund("ch", id, if id == "r1" { 300 } else { 400 }).await;
        }
        assert_eq!(bench.lot(lot).clawed, 700);
    }
}

/// S28: a refund before its grant ends the same.
pub async fn ledger_s28_a_refund_before_its_grant_ends_the_same(fixture: &Fixture) {
    let mut bench = Bench::new(fixture);
    bench.refund("ch", "r1", 300).await;
    bench.back("ch", "dp", 200, MoneyBackStatus::DisputeOpen).await;
    let lot = bench.grant(Grant::new("g", 1000).paid_with("ch", 1000)).await;
    assert_eq!((bench.lot(lot).clawed, bench.frozen(), bench.av()), (300, 200, 500));
}

/// S29: a refund while disputed takes frozen credits.
pub async fn ledger_s29_a_refund_while_disputed_takes_frozen_credits(fixture: &Fixture) {
    let mut bench = Bench::new(fixture);
    let lot = bench.grant(Grant::new("g", 1000).paid_with("ch", 1000)).await;
    bench.back("ch", "dp", 1000, MoneyBackStatus::DisputeOpen).await;
    bench.refund("ch", "re", 300).await;
    assert_eq!((bench.frozen(), bench.debt()), (700, 0));
    bench.back("ch", "dp", 1000, MoneyBackStatus::DisputeLost).await;
    assert_eq!((bench.av(), bench.lot(lot).clawed), (0, 1000));
}

/// S30: a refund cancels the months to come first.
pub async fn ledger_s30_a_refund_cancels_the_months_to_come_first(fixture: &Fixture) {
    let mut bench = Bench::new(fixture);
    let month =
        |k: i64| plan(&format!("drip:{k}"), 1000).paid_with("in", 12_000).from(t(k * 30 * DAY));
    bench.reply(Command::Schedule((0..12).map(month).collect())).await;
    bench.at(60 * DAY).sweep().await;
    assert_eq!(bench.av(), 3000);
    assert_eq!(bench.refund("in", "r1", 9000).await, 0);
    assert!(bench.account().scheduled.values().all(|lot| lot.cut == 1000));
    assert_eq!(bench.refund("in", "r2", 3000).await, 3000);
    bench.at(400 * DAY).sweep().await;
    assert_eq!((bench.av(), bench.account().lots.len()), (0, 3));
}

/// S31: credits under a reservation are owed until it ends.
pub async fn ledger_s31_credits_under_a_reservation_are_owed_until_it_ends(fixture: &Fixture) {
    for is_released in [true, false] {
        let mut bench = Bench::new(fixture);
        bench.grant(Grant::new("g", 1000).paid_with("ch", 1000)).await;
        bench.reserve("r", 600, 900).await.expect("is done");
        bench.refund("ch", "re", 1000).await;
        assert_eq!((bench.av(), bench.held()), (-600, 600));
        match is_released {
            true => bench.release("r").await.expect("is done"),
            false => bench.capture("r", 600).await.expect("is done"),
        };
        let (available, debt) = if is_released { (0, 0) } else { (-600, 600) };
        assert_eq!((bench.av(), bench.debt(), bench.held()), (available, debt, 0));
    }
}

/// S33: moving between two accounts in both directions keeps the sum, and nobody waits in a circle.
pub async fn ledger_s33_moving_between_two_accounts_keeps_the_sum(fixture: &Fixture) {
    let mut benches = [Bench::new(fixture), Bench::new(fixture)];
    for bench in &mut benches {
        bench.grant(Grant::new("g", 1000)).await;
    }
    let keys = [benches[0].key.clone(), benches[1].key.clone()];
    race(8, |task| {
        let (store, keys) = (fixture.turn(task), keys.clone());
        async move {
            for n in 0..25 {
                let (from, to) = (&keys[task % 2], &keys[1 - task % 2]);
                let spend = Command::Spend { key: format!("{task}-{n}"), amount: 7 };
                let grant = Command::Grant(Grant::new(format!("m:{task}-{n}"), 7));
                let execute = |key: &LedgerKey, command: Command| {
                    let (store, key) = (Arc::clone(&store), key.clone());
                    async move { store.execute(&key, &command.into(), &terms(t(1))).await }
                };
                if insist(|| execute(from, spend.clone())).await.is_ok() {
                    insist(|| execute(to, grant.clone())).await.expect("is done");
                }
            }
        }
    })
    .await;
    let mut sum = 0;
    for bench in &mut benches {
        bench.refresh().await;
        bench.verify();
        sum += bench.av();
    }
    assert_eq!(sum, 2000);
}

/// S34: a clock that goes back changes nothing twice.
pub async fn ledger_s34_a_clock_that_goes_back_changes_nothing_twice(fixture: &Fixture) {
    let mut bench = Bench::new(fixture);
    bench.at(7200).grant(Grant::new("g", 100).until(t(7300))).await;
    bench.grant(Grant::new("h", 5)).await;
    bench.at(7300).sweep().await;
    bench.at(3600).sweep().await;
    bench.spend("s", 5).await.expect("is done");
    bench.at(7300).sweep().await;
    assert_eq!(bench.last(2), [(EntryKind::Expire, -100), (EntryKind::Spend, -5)]);
    assert_eq!(bench.entries().last().expect("is done").recorded_at, t(7300));
}

/// A spend is undone in the lots it took from.
pub async fn ledger_a_spend_is_undone_in_the_lots_it_took_from(fixture: &Fixture) {
    let mut bench = Bench::new(fixture);
    bench.reply(Command::SetOverdraft { limit: 50 }).await;
    let a = bench.grant(Grant::new("a", 30).until(t(DAY))).await;
    let b = bench.grant(Grant::new("b", 20)).await;
    bench.spend("s", 70).await.expect("is done");
    assert_eq!((bench.av(), bench.debt()), (-20, 20));
    let seq = bench.entries().last().expect("is done").seq;
    let entry = Box::new(bench.entries()[usize::try_from(seq).expect("is done") - 1].clone());
    let undo = Command::Reverse { entry, reason: "mistake".to_owned() };
    bench.at(1).run(undo.clone()).await.expect("is done");
    assert!(bench.at(2).run(undo).await.expect("is done").replayed);
    assert_eq!((bench.lot(a).remaining, bench.lot(b).remaining, bench.debt()), (30, 20, 0));
}

/// Statements add up and balances can be read in the past.
pub async fn ledger_statements_add_up_and_balances_can_be_read_in_the_past(fixture: &Fixture) {
    let mut bench = Bench::new(fixture);
    bench.grant(Grant::new("g", 100).until(t(50))).await;
    bench.at(10).spend("s", 30).await.expect("is done");
    bench.at(60).grant(Grant::new("h", 5)).await;
    assert_eq!(balance_at(bench.entries(), t(20)), (70, 0));
    let statement = Statement::of(bench.entries(), t(10), t(61));
    let totals: i64 = statement.totals.values().sum();
    assert_eq!((statement.opening, totals, statement.closing), (100, -95, 5));
    let text = explain(bench.account(), bench.entries());
    assert_eq!(text.lines().count(), 1 + bench.entries().len());
}

/// A balance is right before the sweep is written.
pub async fn ledger_a_balance_is_right_before_the_sweep_is_written(fixture: &Fixture) {
    let mut bench = Bench::new(fixture);
    bench.grant(Grant::new("g", 100).until(t(50))).await;
    bench.grant(Grant::new("h", 5).until(t(90))).await;
    let view = BalanceView::read(bench.account(), t(50), &LedgerPolicy::default());
    assert_eq!((view.available, view.expiring, view.expires_at), (5, 5, Some(t(90))));
}

/// Debt is forgiven up to what is owed and adjusted by entries.
pub async fn ledger_debt_is_forgiven_up_to_what_is_owed_and_adjusted_by_entries(fixture: &Fixture) {
    let mut bench = refunded_after_spending(fixture, LedgerPolicy::default()).await;
    let (key, reason) = ("op".to_owned(), "goodwill".to_owned());
    let forgive = Command::Forgive { key: key.clone(), amount: 500, reason: reason.clone() };
    assert_eq!(bench.reply(forgive).await, Reply::Amount { amount: 200 });
    bench.reply(Command::Adjust { key, amount: 40, reason: reason.clone() }).await;
    bench.reply(Command::Adjust { key: "op2".to_owned(), amount: -15, reason }).await;
    assert_eq!((bench.av(), bench.debt()), (25, 0));
    assert_eq!(bench.entries().last().expect("is done").allocation(Bucket::Consumed).len(), 1);
}

/// An extension never outlives a day.
pub async fn ledger_an_extension_never_outlives_a_day(fixture: &Fixture) {
    let mut bench = Bench::new(fixture);
    bench.grant(Grant::new("g", 100)).await;
    bench.reserve("r", 10, 900).await.expect("is done");
    let ttl = TimeDelta::hours(24);
    let extend = |ttl| Command::Extend { id: "r".to_owned(), ttl };
    let reply = bench.at(600).reply(extend(ttl)).await;
    assert_eq!(reply, Reply::Extended { expires_at: t(DAY) });
    let shorter = bench.reply(extend(TimeDelta::seconds(1))).await;
    assert_eq!(shorter, Reply::Extended { expires_at: t(DAY) });
}

/// Withdrawn months are not clawed again.
pub async fn ledger_withdrawn_months_are_not_clawed_again(fixture: &Fixture) {
    let mut bench = Bench::new(fixture);
    let month =
        |k: i64| plan(&format!("drip:{k}"), 1000).paid_with("in", 12_000).from(t(k * 30 * DAY));
    bench.reply(Command::Schedule((0..12).map(month).collect())).await;
    let rest = (3..12).map(|k| format!("drip:{k}")).collect();
    bench.at(60 * DAY).reply(Command::Withdraw(rest)).await;
    assert_eq!(bench.refund("in", "re", 9000).await, 0);
    assert_eq!(bench.refund("in", "re2", 1000).await, 1000);
    assert_eq!(bench.av(), 2000);
}

/// A lot is usable up to its end and not at it.
pub async fn ledger_a_lot_is_usable_up_to_its_end_and_not_at_it(fixture: &Fixture) {
    let mut bench = Bench::new(fixture);
    bench.grant(Grant::new("g", 100).until(t(50))).await;
    assert_eq!(bench.account().spendable(t(49)), 100);
    assert_eq!(bench.account().spendable(t(50)), 0);
}
