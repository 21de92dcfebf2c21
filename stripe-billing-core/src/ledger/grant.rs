//! Credits that come in: grants, upgrades, schedules, renewals.

use chrono::{DateTime, Months, Utc};

use super::command::{Grant, Rollover, Segment};
use super::entry::EntryKind;
use super::lot::{Bucket, Lot, LotId, LotKind};
use super::outcome::Reply;
use super::posting::{Draft, Posting};
use super::refusal::Refusal;
use super::source::ScheduledLot;
use super::spend::positive;

/// What all lots of an account may amount to: no sum of them overflows.
const MAX_GRANTED: i128 = 1 << 61;

/// The allowance that a period's segments entitle to: `floor(sum(allowance * seconds) / period)`.
pub fn prorated(segments: &[Segment]) -> i64 {
    let period: i128 = segments.iter().map(|part| i128::from(part.seconds)).sum();
    let earned: i128 =
        segments.iter().map(|part| i128::from(part.allowance) * i128::from(part.seconds)).sum();
    i64::try_from(earned / period.max(1)).unwrap_or(i64::MAX)
}

/// The instant `months` after an anchor, on the anchor's day or the month's last: 31 January, 28
/// February, 31 March.
pub fn drip_at(anchor: DateTime<Utc>, months: u32) -> Option<DateTime<Utc>> {
    anchor.checked_add_months(Months::new(months))
}

impl Posting<'_> {
    pub(super) fn grant(&mut self, grant: &Grant) -> Result<LotId, Refusal> {
        self.check_grant(grant)?;
        let existing = self.account.lots.values().find(|lot| lot.grant_key == grant.key);
        if let Some(lot) = existing {
            // Another operation granted for the same fact; once is enough.
            return match is_same(lot, grant) {
                true => Ok(lot.id),
                false => Err(Refusal::IdempotencyMismatch { first_seq: lot.id.0 }),
            };
        }
        if self.account.scheduled.contains_key(&grant.key) {
            return Err(Refusal::Invalid("the grant is scheduled"));
        }
        self.fund(grant);
        let lot = self.put_lot(grant, grant.amount);
        self.settle(&[lot]);
        self.expire(&[lot]);
        if let Some(funding) = &grant.funding {
            // Its money may have gone back, or be disputed, before we heard of it.
            self.reconcile(&funding.source, None);
            self.freeze_again(&funding.source);
        }
        Ok(lot)
    }

    fn check_grant(&self, grant: &Grant) -> Result<(), Refusal> {
        positive(grant.amount)?;
        if grant.priority > 100 {
            return Err(Refusal::Invalid("the priority is not between 0 and 100"));
        }
        if grant.funding.as_ref().is_some_and(|funding| funding.paid < 0) {
            return Err(Refusal::Invalid("what was paid is below zero"));
        }
        let granted: i128 = self.account.lots.values().map(|lot| i128::from(lot.granted)).sum();
        if granted + i128::from(grant.amount) > MAX_GRANTED {
            return Err(Refusal::Invalid("the account cannot hold so much"));
        }
        Ok(())
    }

    /// Notes what a payment entitles to.
    fn fund(&mut self, grant: &Grant) {
        if let Some(funding) = &grant.funding {
            let source = self.account.sources.entry(funding.source.clone()).or_default();
            source.id.clone_from(&funding.source);
            source.paid.get_or_insert(funding.paid);
            source.entitled = source.entitled.saturating_add(grant.amount);
        }
    }

    /// Makes a lot and books its grant.
    pub(super) fn put_lot(&mut self, grant: &Grant, amount: i64) -> LotId {
        let id = LotId(self.next_seq());
        let effective_at = match grant.effective_at {
            Some(at) if at - self.at <= self.policy.clock_skew => at.min(self.at),
            Some(at) => at,
            None => self.at,
        };
        let lot = Lot {
            id,
            kind: grant.kind,
            grant_key: grant.key.clone(),
            granted: amount,
            priority: grant.priority,
            category: grant.category,
            effective_at,
            expires_at: grant.expires_at,
            ended_at: None,
            source: grant.funding.as_ref().map(|funding| funding.source.clone()),
            period: grant.period.clone(),
            series: grant.series.clone(),
            remaining: 0,
            held: 0,
            frozen: 0,
            consumed: 0,
            expired: 0,
            clawed: 0,
            repaid: 0,
        };
        self.account.lots.insert(id, lot);
        let kind = match grant.kind {
            LotKind::Rollover => EntryKind::Rollover,
            LotKind::Restore => EntryKind::Restore,
            _ => EntryKind::Grant,
        };
        let mut draft = Draft::new(kind).about(&grant.key);
        draft.reason.clone_from(&grant.reason);
        draft.put(id, amount);
        self.post(draft);
        id
    }

    /// The high-water rule: a period never gives more than its segments entitle to, however often
    /// the plan went up and down. What the period began with is its own grant, also where that is
    /// not heard of yet.
    pub(super) fn upgrade(
        &mut self,
        grant: &Grant,
        segments: &[Segment],
    ) -> Result<Reply, Refusal> {
        let Some(period) = &grant.period else {
            return Err(Refusal::Invalid("an upgrade names its period"));
        };
        if segments.iter().any(|part| part.allowance < 0 || part.seconds < 0) {
            return Err(Refusal::Invalid("a segment is below zero"));
        }
        let own = self.account.lots.values().filter(|lot| lot.period.as_ref() == Some(period));
        let (mut begun, mut added) = (0, 0);
        for lot in own {
            *(if lot.kind == LotKind::Upgrade { &mut added } else { &mut begun }) += lot.granted;
        }
        let begins_with = segments.first().map_or(0, |part| part.allowance);
        let granted = added + begun.max(begins_with);
        let amount = prorated(segments).saturating_sub(granted);
        if amount <= 0 {
            return Ok(Reply::Granted { lot: None });
        }
        let lot = self.grant(&Grant { amount, ..grant.clone() })?;
        Ok(Reply::Granted { lot: Some(lot) })
    }

    pub(super) fn schedule(&mut self, grants: &[Grant]) -> Result<Reply, Refusal> {
        for grant in grants {
            self.check_grant(grant)?;
            let Some(due_at) = grant.effective_at else {
                return Err(Refusal::Invalid("a scheduled lot says when"));
            };
            if let Some(scheduled) = self.account.scheduled.get(&grant.key) {
                if !is_planned(&scheduled.grant, grant) {
                    let first_seq = self.account.balance.seq;
                    return Err(Refusal::IdempotencyMismatch { first_seq });
                }
                continue;
            }
            if self.is_superseded(grant, due_at)
                || self.account.lots.values().any(|lot| lot.grant_key == grant.key)
            {
                continue;
            }
            self.fund(grant);
            let lot = ScheduledLot { grant: grant.clone(), due_at, cut: 0 };
            self.account.scheduled.insert(grant.key.clone(), lot);
        }
        for funding in grants.iter().filter_map(|grant| grant.funding.as_ref()) {
            self.reconcile(&funding.source, None);
        }
        // What is due already is granted with it.
        self.sweep();
        Ok(Reply::Done)
    }

    pub(super) fn withdraw(&mut self, keys: &[String]) -> Reply {
        let mut amount = 0;
        for key in keys {
            let Some(lot) = self.account.scheduled.remove(key) else { continue };
            amount += lot.grant.amount;
            if let Some(funding) = &lot.grant.funding {
                if let Some(source) = self.account.sources.get_mut(&funding.source) {
                    source.withdrawn = source.withdrawn.saturating_add(lot.grant.amount);
                }
                self.reconcile(&funding.source, None);
            }
        }
        Reply::Amount { amount }
    }

    pub(super) fn renew(
        &mut self,
        previous: Option<LotId>,
        grant: &Grant,
        rollover: Rollover,
        reason: &str,
    ) -> Result<Reply, Refusal> {
        self.check_grant(grant)?;
        check_rollover(rollover)?;
        if let Some(lot) = self.account.lots.values().find(|lot| lot.grant_key == grant.key) {
            return match is_same(lot, grant) {
                true => Ok(Reply::Renewed { lot: lot.id, rolled: 0 }),
                false => Err(Refusal::IdempotencyMismatch { first_seq: lot.id.0 }),
            };
        }
        let rolled = previous.map_or(0, |previous| {
            let unused = self.end_lot(previous, reason);
            self.carry_over(previous, unused, grant, rollover)
        });
        let lot = self.grant(grant)?;
        Ok(Reply::Renewed { lot, rolled })
    }

    /// Makes a lot of what a lot that ended leaves to the next one; how much it is.
    fn carry_over(
        &mut self,
        previous: LotId,
        unused: i64,
        next: &Grant,
        rollover: Rollover,
    ) -> i64 {
        let key = format!("rollover:{previous}");
        if self.account.lots.values().any(|lot| lot.grant_key == key) {
            return 0;
        }
        let rolled = self.trim_rollovers(unused.min(rollover.max), rollover.total_max);
        if rolled > 0 {
            let category = self.account.lots.get(&previous).map(|lot| lot.category);
            let carried = Grant {
                priority: next.priority.saturating_sub(10),
                category: category.unwrap_or(next.category),
                expires_at: rollover.expires_at,
                ..Grant::new(key, rolled).of_kind(LotKind::Rollover)
            };
            let lot = self.put_lot(&carried, rolled);
            self.settle(&[lot]);
        }
        rolled
    }

    /// A period's lot, which ends the one before it, and is ended by one that came after it.
    pub(super) fn allow(&mut self, grant: &Grant, rollover: Rollover) -> Result<Reply, Refusal> {
        let Some(series) = &grant.series else {
            return Err(Refusal::Invalid("an allowance names its series"));
        };
        check_rollover(rollover)?;
        let lot = self.grant(grant)?;
        self.withdraw_others(series, grant.period.as_deref(), self.begins(lot));
        let mut rolled = 0;
        for (earlier, begins) in self.succeeded(series) {
            let unused = self.end_lot_at(earlier, begins, "renewal");
            let rest = Rollover { max: rollover.max - rolled, ..rollover };
            rolled += self.carry_over(earlier, unused, grant, rest);
        }
        Ok(match rolled {
            0 => Reply::Granted { lot: Some(lot) },
            _ => Reply::Renewed { lot, rolled },
        })
    }

    /// The lots of a series that another period follows, and when that begins. An upgrade, or a later
    /// month, belongs to the period that it is of.
    fn succeeded(&self, series: &str) -> Vec<(LotId, DateTime<Utc>)> {
        let lots = self.account.lots.values();
        let mut row: Vec<&Lot> = lots.filter(|lot| lot.series.as_deref() == Some(series)).collect();
        row.sort_by_key(|lot| (lot.effective_at, lot.id));
        let follows = |lot: &Lot, later: &Lot| lot.period.is_none() || lot.period != later.period;
        let ended = row.iter().enumerate().filter_map(|(place, lot)| {
            let next = row.iter().skip(place + 1).find(|later| follows(lot, later))?;
            Some((lot.id, next.effective_at))
        });
        ended.collect()
    }

    fn begins(&self, lot: LotId) -> DateTime<Utc> {
        self.account.lots.get(&lot).map_or(self.at, |lot| lot.effective_at)
    }

    /// Takes back what was scheduled for another period of a series and has not come due by the time
    /// at which this one begins.
    fn withdraw_others(&mut self, series: &str, period: Option<&str>, from: DateTime<Utc>) {
        let others = self.account.scheduled.values().filter(|lot| {
            lot.grant.series.as_deref() == Some(series)
                && lot.due_at >= from
                && (period.is_none() || lot.grant.period.as_deref() != period)
        });
        let others: Vec<String> = others.map(|lot| lot.grant.key.clone()).collect();
        self.withdraw(&others);
    }

    /// Whether a lot of a series would come due when another period of it has begun already.
    fn is_superseded(&self, grant: &Grant, due_at: DateTime<Utc>) -> bool {
        let Some(series) = &grant.series else { return false };
        let own = self.account.lots.values().filter(|lot| lot.series.as_ref() == Some(series));
        let (same, others): (Vec<_>, Vec<_>) = own.partition(|lot| lot.period == grant.period);
        let began = same.iter().map(|lot| lot.effective_at).min();
        others.iter().any(|lot| {
            lot.effective_at <= due_at && began.is_none_or(|began| began < lot.effective_at)
        })
    }

    /// Ends all lots of a series at a time, unless they end before.
    pub(super) fn end_series(&mut self, series: &str, at: DateTime<Utc>) -> Reply {
        self.withdraw_others(series, None, at);
        for lot in self.account.scheduled.values_mut() {
            if lot.grant.series.as_deref() == Some(series) {
                lot.grant.expires_at = Some(lot.grant.expires_at.map_or(at, |end| end.min(at)));
            }
        }
        let lots = self.account.lots.values();
        let lots = lots.filter(|lot| lot.series.as_deref() == Some(series));
        let lots: Vec<LotId> = lots.map(|lot| lot.id).collect();
        let amount = lots.into_iter().map(|lot| self.end_lot_at(lot, at, "ended")).sum();
        Reply::Amount { amount }
    }

    /// Has a lot end at a time, at the latest; what remains expires if that time has come.
    fn end_lot_at(&mut self, id: LotId, at: DateTime<Utc>, reason: &str) -> i64 {
        let Some(lot) = self.account.lots.get_mut(&id) else { return 0 };
        if lot.end().is_none_or(|end| at < end) {
            lot.ended_at = Some(at);
        }
        if !lot.is_over(self.at) {
            return 0;
        }
        let unused = lot.remaining;
        if unused > 0 {
            let mut draft = Draft::new(EntryKind::Expire).because(reason);
            draft.shift(id, Bucket::Remaining, Bucket::Expired, unused);
            self.post(draft);
        }
        unused
    }

    /// Ends a lot now and expires what remains of it; what is held or frozen stays so.
    pub(super) fn end_lot(&mut self, id: LotId, reason: &str) -> i64 {
        let now = self.at;
        let Some(lot) = self.account.lots.get_mut(&id) else { return 0 };
        let unused = lot.remaining;
        lot.ended_at = Some(lot.end().map_or(now, |end| end.min(now)));
        if unused > 0 {
            let mut draft = Draft::new(EntryKind::Expire).because(reason);
            draft.shift(id, Bucket::Remaining, Bucket::Expired, unused);
            self.post(draft);
        }
        unused
    }

    /// Makes room under the cap of what may be carried over in all: the oldest goes first. Answers
    /// how much of what is wanted fits.
    fn trim_rollovers(&mut self, wanted: i64, total_max: Option<i64>) -> i64 {
        let Some(total_max) = total_max.filter(|_| wanted > 0) else { return wanted };
        let carried: Vec<(LotId, i64)> = self
            .account
            .lots
            .values()
            .filter(|lot| lot.kind == LotKind::Rollover && lot.remaining > 0)
            .map(|lot| (lot.id, lot.remaining))
            .collect();
        let total: i64 = carried.iter().map(|(_, remaining)| remaining).sum();
        let mut excess = (total + wanted - total_max).max(0);
        for (id, remaining) in carried {
            let cut = excess.min(remaining);
            if cut > 0 {
                let mut draft = Draft::new(EntryKind::Expire).because("rollover_cap");
                draft.shift(id, Bucket::Remaining, Bucket::Expired, cut);
                self.post(draft);
                excess -= cut;
            }
        }
        wanted - excess
    }
}

fn check_rollover(rollover: Rollover) -> Result<(), Refusal> {
    if rollover.max < 0 || rollover.total_max.is_some_and(|max| max < 0) {
        return Err(Refusal::Invalid("the rollover is below zero"));
    }
    Ok(())
}

/// Whether a scheduled grant is what is asked for; the end of its series may have shortened it since.
fn is_planned(scheduled: &Grant, grant: &Grant) -> bool {
    let end = |grant: &Grant| grant.expires_at.unwrap_or(DateTime::<Utc>::MAX_UTC);
    end(scheduled) <= end(grant)
        && *scheduled == Grant { expires_at: scheduled.expires_at, ..grant.clone() }
}

/// Whether a lot is what a grant asks for.
fn is_same(lot: &Lot, grant: &Grant) -> bool {
    lot.granted == grant.amount
        && lot.kind == grant.kind
        && lot.source == grant.funding.as_ref().map(|funding| funding.source.clone())
}
