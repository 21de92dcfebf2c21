//! What operators do: forgive, adjust, undo, set limits.

use super::command::Grant;
use super::entry::{Entry, EntryKind};
use super::lot::{Bucket, LotId, LotKind};
use super::member::{LimitKey, MemberLimit, Window};
use super::outcome::Reply;
use super::posting::{Draft, MAX_AMOUNT, Posting};
use super::refusal::Refusal;
use super::spend::positive;

impl Posting<'_> {
    pub(super) fn forgive(&mut self, amount: i64, reason: &str) -> Result<Reply, Refusal> {
        positive(amount)?;
        let amount = amount.min(self.account.balance.debt);
        if amount > 0 {
            let mut draft = Draft::new(EntryKind::Forgive).because(reason);
            draft.debt = -amount;
            self.post(draft);
        }
        Ok(Reply::Amount { amount })
    }

    pub(super) fn adjust(
        &mut self,
        key: &str,
        amount: i64,
        reason: &str,
    ) -> Result<Reply, Refusal> {
        if amount > 0 {
            let grant = Grant::new(format!("adjust:{key}"), amount).of_kind(LotKind::Manual);
            let lot = self.grant(&grant.because(reason))?;
            return Ok(Reply::Granted { lot: Some(lot) });
        }
        let amount = amount.checked_neg().unwrap_or(0);
        positive(amount)?;
        let available = self.account.spendable(self.at);
        if available < amount {
            return Err(Refusal::Insufficient { available, requested: amount });
        }
        let (allocation, _) = self.allocate(amount);
        let mut draft = Draft::new(EntryKind::Adjust).because(reason);
        draft.shift_all(&allocation, Bucket::Remaining, Bucket::Consumed);
        self.post(draft);
        Ok(Reply::Amount { amount: -amount })
    }

    /// Unwinds the allocation that was recorded, never a recomputed one.
    pub(super) fn reverse(&mut self, entry: &Entry, reason: &str) -> Result<Reply, Refusal> {
        let spend = matches!(entry.kind, EntryKind::Spend | EntryKind::ForcedSpend);
        if !spend || entry.seq > self.account.balance.seq {
            return Err(Refusal::Invalid("only a spend of this account can be undone"));
        }
        let allocation = entry.allocation(Bucket::Consumed);
        let present = |(id, amount): &(LotId, i64)| {
            self.account.lots.get(id).is_some_and(|lot| lot.consumed >= *amount)
        };
        if !allocation.iter().all(present) {
            return Err(Refusal::Invalid("the entry does not fit its lots"));
        }
        let mut draft = Draft::new(EntryKind::Reversal).because(reason);
        draft.reverses = Some(entry.seq);
        draft.shift_all(&allocation, Bucket::Consumed, Bucket::Remaining);
        // Debt that was repaid since comes back as credits.
        let owed = entry.delta_debt.min(self.account.balance.debt).max(0);
        draft.debt = -owed;
        self.post(draft);
        let lots: Vec<LotId> = allocation.iter().map(|(lot, _)| *lot).collect();
        self.settle(&lots);
        self.expire(&lots);
        let repaid = entry.delta_debt - owed;
        if repaid > 0 {
            let grant = Grant::new(format!("reversal:{}", entry.seq), repaid);
            let lot = self.put_lot(&grant.of_kind(LotKind::Restore), repaid);
            self.settle(&[lot]);
        }
        let amount = allocation.iter().map(|(_, amount)| amount).sum::<i64>() + entry.delta_debt;
        Ok(Reply::Amount { amount })
    }

    pub(super) fn set_overdraft(&mut self, limit: i64) -> Result<Reply, Refusal> {
        if !(0..=MAX_AMOUNT).contains(&limit) {
            return Err(Refusal::Invalid("the limit is not between 0 and 2^53"));
        }
        if limit != self.account.balance.overdraft_limit {
            self.account.balance.overdraft_limit = limit;
            self.post(Draft::new(EntryKind::Overdraft));
        }
        Ok(Reply::Done)
    }

    pub(super) fn set_limit(
        &mut self,
        member: &str,
        feature: Option<&str>,
        window: Window,
        max: i64,
    ) -> Result<Reply, Refusal> {
        if !(0..=MAX_AMOUNT).contains(&max) {
            return Err(Refusal::Invalid("the limit is not between 0 and 2^53"));
        }
        let key = LimitKey::new(member, feature, window);
        let starts_at = window.start(self.at);
        let limit = self.account.limits.entry(key.clone()).or_insert_with(|| MemberLimit {
            key,
            window,
            max,
            ceiling: max,
            starts_at,
            used: 0,
            held: 0,
        });
        limit.window = window;
        limit.max = max;
        limit.roll(self.at);
        limit.ceiling = limit.ceiling.max(max);
        Ok(Reply::Done)
    }
}
