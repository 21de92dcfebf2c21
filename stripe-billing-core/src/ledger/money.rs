//! Money that goes back and comes back: refunds and disputes, by one rule. What has been returned
//! of a payment is the sum of its rows; the target is recomputed from it and the difference posted,
//! so that order, repetition and batching of the news do not matter (I9).

use std::collections::BTreeMap;

use super::command::Grant;
use super::entry::EntryKind;
use super::hold::{Allocation, Freeze};
use super::lot::{Bucket, Lot, LotId, LotKind};
use super::outcome::Reply;
use super::policy::{Clawback, Reach, Residual};
use super::posting::{Draft, MAX_AMOUNT, Posting};
use super::refusal::Refusal;
use super::source::{MoneyBack, MoneyBackStatus};

impl Posting<'_> {
    pub(super) fn money_back(
        &mut self,
        source: &str,
        id: &str,
        amount: i64,
        status: MoneyBackStatus,
    ) -> Result<Reply, Refusal> {
        if !(0..=MAX_AMOUNT).contains(&amount) {
            return Err(Refusal::Invalid("the amount is not between 0 and 2^53"));
        }
        let row = self.account.sources.entry(source.to_owned()).or_default();
        source.clone_into(&mut row.id);
        let stored = row.rows.get(id).copied();
        let newer = stored.is_none_or(|old| (status, amount) > (old.status, old.amount));
        let before = row.clawed;
        if newer {
            self.stand(source, id, MoneyBack { amount, status, made_at: None });
        }
        let clawed = self.account.sources.get(source).map_or(0, |row| row.clawed - before);
        Ok(Reply::MoneyBack { clawed, from_future: self.cut_of(source) })
    }

    /// Takes over where refunds and disputes stand. Whoever says so knows all that is known, so that
    /// there is nothing to compare.
    pub(super) fn returns(
        &mut self,
        source: &str,
        rows: &BTreeMap<String, MoneyBack>,
    ) -> Result<Reply, Refusal> {
        if !rows.values().all(|row| (0..=MAX_AMOUNT).contains(&row.amount)) {
            return Err(Refusal::Invalid("the amount is not between 0 and 2^53"));
        }
        let known = self.account.sources.entry(source.to_owned()).or_default();
        source.clone_into(&mut known.id);
        let before = known.clawed;
        for (id, row) in rows {
            let stored = self.account.sources.get(source).and_then(|known| known.rows.get(id));
            if stored != Some(row) {
                self.stand(source, id, *row);
            }
        }
        let clawed = self.account.sources.get(source).map_or(0, |row| row.clawed - before);
        Ok(Reply::MoneyBack { clawed, from_future: self.cut_of(source) })
    }

    /// Notes where a refund or dispute stands, and does what follows.
    fn stand(&mut self, source: &str, id: &str, row: MoneyBack) {
        use MoneyBackStatus as Status;
        if let Some(known) = self.account.sources.get_mut(source) {
            known.rows.insert(id.to_owned(), row);
        }
        match row.status {
            Status::RefundPending | Status::RefundSucceeded | Status::RefundFailed => {
                self.reconcile(source, None);
            }
            Status::DisputeInquiry => {
                // It may have counted as returned before.
                self.reconcile(source, None);
                if self.policy.freeze_inquiries {
                    self.freeze(source, id, row);
                }
            }
            Status::DisputeOpen => {
                self.reconcile(source, None);
                self.freeze(source, id, row);
            }
            Status::DisputeLost => {
                // Frozen credits are taken first-hand; they never get the time to expire.
                self.reconcile(source, Some(id));
                self.unfreeze(id, false);
            }
            Status::DisputeWon => {
                self.unfreeze(id, true);
                self.reconcile(source, None);
            }
        }
    }

    fn cut_of(&self, source: &str) -> i64 {
        let scheduled = self.account.scheduled.values();
        scheduled.filter(|lot| is_funded(&lot.grant, source)).map(|lot| lot.cut).sum()
    }

    fn own_lots(&self, source: &str) -> Vec<&Lot> {
        self.account.lots.values().filter(|lot| lot.is_funded_by(source)).collect()
    }

    /// Posts the difference between what should have been taken back of a source and what was.
    /// Scheduled lots are cancelled first. `dispute` is the one whose loss it is about.
    pub(super) fn reconcile(&mut self, source: &str, dispute: Option<&str>) {
        let Some(row) = self.account.sources.get(source) else { return };
        let pending: i64 = self
            .account
            .scheduled
            .values()
            .filter(|lot| is_funded(&lot.grant, source))
            .map(|lot| lot.grant.amount)
            .sum();
        let rest = row.target() - row.cancelled;
        let from_future = rest.clamp(0, pending.saturating_add(row.withdrawn));
        let cut = (from_future - row.withdrawn).max(0);
        let claw = rest - from_future - row.clawed;
        self.cut_scheduled(source, cut);
        if let Some(row) = self.account.sources.get_mut(source) {
            row.clawed += claw;
        }
        if claw > 0 {
            self.claw(source, claw, dispute);
        } else if claw < 0 {
            self.restore(source, -claw);
        }
    }

    /// Cancels so much of a source's scheduled lots, the last ones first.
    fn cut_scheduled(&mut self, source: &str, mut cut: i64) {
        let mut lots: Vec<_> = self
            .account
            .scheduled
            .values_mut()
            .filter(|lot| is_funded(&lot.grant, source))
            .collect();
        lots.sort_by(|a, b| (b.due_at, &b.grant.key).cmp(&(a.due_at, &a.grant.key)));
        for lot in lots {
            lot.cut = cut.min(lot.grant.amount);
            cut -= lot.cut;
        }
    }

    fn claw(&mut self, source: &str, amount: i64, dispute: Option<&str>) {
        let Clawback { residual, reach } =
            if dispute.is_some() { self.policy.dispute } else { self.policy.refund };
        let mut left = amount;
        let mut draft = Draft::new(EntryKind::Clawback).about(source);
        let mut shares = Allocation::new();
        let mut thawed = Allocation::new();
        let expired = self.policy.claw_expired.then_some(Bucket::Expired);
        for bucket in [Bucket::Remaining, Bucket::Frozen].into_iter().chain(expired) {
            for lot in self.own_lots(source) {
                let part = left.min(lot.bucket(bucket));
                if part > 0 {
                    draft.shift(lot.id, bucket, Bucket::Clawed, part);
                    shares.push((lot.id, part));
                    left -= part;
                    if bucket == Bucket::Frozen {
                        thawed.push((lot.id, part));
                    }
                }
            }
        }
        match residual {
            Residual::Debt => draft.debt = left,
            Residual::WriteOff => draft.written_off = left,
        }
        self.thaw(&thawed, dispute);
        self.share(source, &shares, left);
        self.post(draft);
        if reach == Reach::All {
            self.settle(&[]);
        }
    }

    /// Notes on which lots a claw-back counts; what was spent of them, in their order.
    fn share(&mut self, source: &str, taken: &Allocation, mut residual: i64) {
        let lots: Allocation =
            self.own_lots(source).iter().map(|lot| (lot.id, lot.granted)).collect();
        let Some(row) = self.account.sources.get_mut(source) else { return };
        for (lot, part) in taken {
            *row.shares.entry(*lot).or_default() += part;
        }
        for (lot, granted) in lots {
            let share = row.shares.entry(lot).or_default();
            let part = residual.min(granted - *share).max(0);
            *share += part;
            residual -= part;
        }
    }

    /// Takes clawed credits off the freezes that hold them: the lost dispute's own first.
    fn thaw(&mut self, thawed: &Allocation, dispute: Option<&str>) {
        let mut order: Vec<&mut Freeze> = self.account.freezes.values_mut().collect();
        order.sort_by_key(|freeze| (Some(freeze.dispute.as_str()) != dispute, freeze.frozen_at));
        for (lot, amount) in thawed {
            let mut left = *amount;
            for (_, held) in order
                .iter_mut()
                .flat_map(|freeze| freeze.allocation.iter_mut())
                .filter(|(id, _)| id == lot)
            {
                let part = left.min(*held);
                *held -= part;
                left -= part;
            }
        }
    }

    /// Gives credits back because money came back to us: debt first, the rest as new lots. What
    /// was taken is history and stays as it is.
    fn restore(&mut self, source: &str, mut amount: i64) {
        let lots: Vec<Lot> = self.own_lots(source).into_iter().rev().cloned().collect();
        for lot in &lots {
            let Some(row) = self.account.sources.get_mut(source) else { return };
            let share = row.shares.entry(lot.id).or_default();
            let part = amount.min(*share);
            *share -= part;
            amount -= part;
            self.restore_lot(lot, part);
        }
        // Cancelled scheduled credits that have come due since.
        if let Some(lot) = lots.first().filter(|_| amount > 0) {
            self.restore_lot(lot, amount);
        } else if amount > 0 {
            let grant = Grant::new(format!("restore:{source}:{}", self.next_seq()), amount);
            let lot = self.put_lot(&grant.of_kind(LotKind::Restore), amount);
            self.settle(&[lot]);
        }
    }

    fn restore_lot(&mut self, lot: &Lot, amount: i64) {
        if amount <= 0 {
            return;
        }
        let least = self.at.checked_add_signed(self.policy.restored_life).unwrap_or(self.at);
        let grant = Grant {
            priority: lot.priority,
            category: lot.category,
            expires_at: lot.end().map(|end| end.max(least)),
            ..Grant::new(format!("restore:{}:{}", lot.id, self.next_seq()), amount)
                .of_kind(LotKind::Restore)
        };
        let restored = self.put_lot(&grant, amount);
        if let Some(stored) = self.account.lots.get_mut(&restored) {
            stored.source.clone_from(&lot.source);
        }
        self.settle(&[restored]);
    }

    /// Freezes what a disputed amount stands for, as far as it is there.
    fn freeze(&mut self, source: &str, dispute: &str, row: MoneyBack) {
        let made_at = row.made_at;
        let Some(known) = self.account.sources.get(source) else { return };
        let at = self.at;
        let frozen = self.account.freezes.get(dispute).map_or(0, Freeze::amount);
        let mut left = (known.share(row.amount) - frozen).max(0);
        let mut draft = Draft::new(EntryKind::Freeze).about(dispute);
        let mut allocation = Allocation::new();
        for lot in self.own_lots(source) {
            // What ran out since the dispute was made was there when it was made.
            let since = made_at.is_some_and(|made| lot.end().is_some_and(|end| made < end));
            let late = since.then_some((Bucket::Expired, lot.expired));
            for (bucket, there) in [(Bucket::Remaining, lot.remaining)].into_iter().chain(late) {
                let part = left.min(there);
                if part > 0 {
                    draft.shift(lot.id, bucket, Bucket::Frozen, part);
                    allocation.push((lot.id, part));
                    left -= part;
                }
            }
        }
        if !draft.is_empty() {
            self.post(draft);
        }
        let freeze = self.account.freezes.entry(dispute.to_owned()).or_insert_with(|| Freeze {
            dispute: dispute.to_owned(),
            source: source.to_owned(),
            frozen_at: at,
            allocation: Allocation::new(),
            open: true,
        });
        for (lot, part) in allocation {
            match freeze.allocation.iter_mut().find(|(id, _)| *id == lot) {
                Some((_, held)) => *held += part,
                None => freeze.allocation.push((lot, part)),
            }
        }
    }

    /// Freezes for disputes that were known before the credits were.
    pub(super) fn freeze_again(&mut self, source: &str) {
        let Some(row) = self.account.sources.get(source) else { return };
        let inquiries = self.policy.freeze_inquiries;
        let open: Vec<(String, MoneyBack)> = row
            .rows
            .iter()
            .filter(|(_, row)| {
                row.status == MoneyBackStatus::DisputeOpen
                    || (inquiries && row.status == MoneyBackStatus::DisputeInquiry)
            })
            .map(|(id, row)| (id.clone(), *row))
            .collect();
        for (dispute, row) in open {
            self.freeze(source, &dispute, row);
        }
    }

    /// Sets free what is still frozen for a dispute. One that was won gives the time back, too.
    fn unfreeze(&mut self, dispute: &str, won: bool) {
        let at = self.at;
        let Some(freeze) = self.account.freezes.get_mut(dispute).filter(|freeze| freeze.open)
        else {
            return;
        };
        freeze.open = false;
        let allocation = std::mem::take(&mut freeze.allocation);
        let lasted = at - freeze.frozen_at;
        let mut draft = Draft::new(EntryKind::Unfreeze).about(dispute);
        draft.shift_all(&allocation, Bucket::Frozen, Bucket::Remaining);
        for (id, _) in allocation.iter().filter(|_| won) {
            if let Some(lot) = self.account.lots.get_mut(id) {
                lot.extend(lasted);
            }
        }
        if draft.is_empty() {
            return;
        }
        self.post(draft);
        let lots: Vec<LotId> = allocation.iter().map(|(lot, _)| *lot).collect();
        self.expire(&lots);
        self.settle(&lots);
    }
}

fn is_funded(grant: &Grant, source: &str) -> bool {
    grant.funding.as_ref().is_some_and(|funding| funding.source == source)
}
