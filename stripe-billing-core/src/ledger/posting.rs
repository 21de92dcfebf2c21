//! The working copy of an account while one operation is decided. Every change of a bucket or of the
//! debt goes through [`Posting::post`], so that entries and rows cannot disagree.

use chrono::{DateTime, Utc};

use super::account::{Account, Level};
use super::command::Request;
use super::entry::{Entry, EntryKind, Move};
use super::hold::{Allocation, Reservation};
use super::lot::{Bucket, LotId};
use super::policy::{LedgerPolicy, RepaidBy};

/// The largest amount of one operation; what JavaScript still counts exactly.
pub(super) const MAX_AMOUNT: i64 = 1 << 53;

/// An operation in the making.
#[derive(Debug)]
pub(super) struct Posting<'a> {
    /// The account as it is so far.
    pub(super) account: Account,
    pub(super) policy: &'a LedgerPolicy,
    pub(super) request: &'a Request,
    /// When it is recorded; never before the account's last change.
    pub(super) now: DateTime<Utc>,
    /// The instant that is worked on: while sweeping, when things came due.
    pub(super) at: DateTime<Utc>,
    pub(super) entries: Vec<Entry>,
    /// Whether the sweep before the operation is over.
    pub(super) swept: bool,
    /// Paid lots that are about to run out since now, and in how many days.
    pub(super) running_out: Vec<(LotId, i64)>,
}

/// An entry in the making: what moves, and why.
#[derive(Debug)]
pub(super) struct Draft {
    kind: EntryKind,
    moves: Vec<Move>,
    pub(super) debt: i64,
    pub(super) written_off: i64,
    pub(super) about: Option<String>,
    pub(super) reason: Option<String>,
    pub(super) reverses: Option<i64>,
    /// Who reserved, and for what, where that is not who asks now.
    behalf: (Option<String>, Option<String>),
}

impl Draft {
    pub(super) fn new(kind: EntryKind) -> Self {
        let (moves, about, reason, reverses) = (Vec::new(), None, None, None);
        let behalf = (None, None);
        Self { kind, moves, debt: 0, written_off: 0, about, reason, reverses, behalf }
    }

    pub(super) fn about(mut self, what: &str) -> Self {
        self.about = Some(what.to_owned());
        self
    }

    pub(super) fn on_behalf_of(mut self, reservation: &Reservation) -> Self {
        self.behalf = (reservation.actor.clone(), reservation.feature.clone());
        self
    }

    pub(super) fn because(mut self, reason: &str) -> Self {
        self.reason = Some(reason.to_owned());
        self
    }

    /// Puts new credits into a lot.
    pub(super) fn put(&mut self, lot: LotId, amount: i64) {
        self.moves.push(Move { lot, bucket: Bucket::Remaining, amount });
    }

    /// Moves credits within a lot.
    pub(super) fn shift(&mut self, lot: LotId, from: Bucket, to: Bucket, amount: i64) {
        if amount != 0 {
            self.moves.push(Move { lot, bucket: from, amount: -amount });
            self.moves.push(Move { lot, bucket: to, amount });
        }
    }

    pub(super) fn shift_all(&mut self, allocation: &Allocation, from: Bucket, to: Bucket) {
        for (lot, amount) in allocation {
            self.shift(*lot, from, to, *amount);
        }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.moves.is_empty() && self.debt == 0
    }

    fn sum(&self, bucket: Bucket) -> i64 {
        self.moves.iter().filter(|step| step.bucket == bucket).map(|step| step.amount).sum()
    }
}

impl<'a> Posting<'a> {
    pub(super) fn new(
        account: &Account,
        request: &'a Request,
        now: DateTime<Utc>,
        policy: &'a LedgerPolicy,
    ) -> Self {
        let now = account.balance.recorded_at.map_or(now, |last| last.max(now));
        let account = account.clone();
        let (entries, running_out) = (Vec::new(), Vec::new());
        Self { account, policy, request, now, at: now, entries, swept: false, running_out }
    }

    /// The number of the next entry.
    pub(super) fn next_seq(&self) -> i64 {
        self.account.balance.seq + 1
    }

    /// Books an entry: moves the credits, and appends it.
    pub(super) fn post(&mut self, draft: Draft) -> i64 {
        for step in &draft.moves {
            if let Some(lot) = self.account.lots.get_mut(&step.lot) {
                *lot.bucket_mut(step.bucket) += step.amount;
            }
        }
        let available = draft.sum(Bucket::Remaining) - draft.debt;
        let held = draft.sum(Bucket::Held);
        let balance = &mut self.account.balance;
        balance.seq += 1;
        balance.available += available;
        balance.held += held;
        balance.frozen += draft.sum(Bucket::Frozen);
        balance.debt += draft.debt;
        balance.written_off += draft.written_off;
        balance.recorded_at = Some(self.now);
        // What the sweep books is nobody's doing and has no key.
        let own = self.swept.then_some(self.request);
        let signed = self.entries.iter().any(|entry| entry.key.is_some());
        let key = own.filter(|_| !signed).and_then(|request| request.command.key());
        self.entries.push(Entry {
            seq: balance.seq,
            kind: draft.kind,
            delta_available: available,
            delta_held: held,
            delta_debt: draft.debt,
            available_after: balance.available,
            held_after: balance.held,
            overdraft_limit: balance.overdraft_limit,
            moves: draft.moves,
            written_off: draft.written_off,
            request_hash: key.as_ref().map(|_| self.request.hash()),
            key,
            actor: own.and_then(|request| request.actor.clone()).or(draft.behalf.0),
            feature: own.and_then(|request| request.feature.clone()).or(draft.behalf.1),
            reference: draft.about.or_else(|| own.and_then(|one| one.reference.clone())),
            reason: draft.reason,
            reverses: draft.reverses,
            effective_at: self.at,
            recorded_at: self.now,
        });
        balance.seq
    }

    /// How low the balance is now.
    pub(super) fn level(&self) -> Level {
        let Some(low_at) = self.policy.low_at else { return self.account.balance.level };
        let spendable = self.account.spendable(self.at);
        let fine_above = low_at.saturating_add(low_at / 20);
        match self.account.balance.level {
            _ if spendable <= 0 => Level::Depleted,
            Level::Fine if spendable > low_at => Level::Fine,
            _ if spendable > fine_above => Level::Fine,
            _ => Level::Low,
        }
    }

    /// Notes how low the balance is, and says what the operation itself made of it.
    pub(super) fn cross(&mut self, before: Level) -> Option<Level> {
        let after = self.level();
        let known = &mut self.account.balance;
        if before == Level::Fine && after > Level::Fine {
            known.epoch += 1;
        }
        known.level = after;
        (after != before).then_some(after)
    }

    /// What may be taken from which lots for an amount, in burn order, and what is missing.
    pub(super) fn allocate(&self, mut amount: i64) -> (Allocation, i64) {
        let mut allocation = Allocation::new();
        for lot in self.account.spendable_lots(self.at) {
            if amount == 0 {
                break;
            }
            let part = amount.min(lot.remaining);
            allocation.push((lot.id, part));
            amount -= part;
        }
        (allocation, amount)
    }

    /// Repays debt after credits came in: from all lots, or from those that came in, by policy.
    pub(super) fn settle(&mut self, inflow: &[LotId]) {
        let mut owed = self.account.balance.debt;
        let all = self.policy.settles_from_all();
        let paid_only = self.policy.debt_repaid_by == RepaidBy::Paid;
        let mut draft = Draft::new(EntryKind::Settle);
        for lot in self.account.spendable_lots(self.at) {
            let promo = lot.category == super::lot::Category::Promo;
            if owed <= 0 || (paid_only && promo) || !(all || inflow.contains(&lot.id)) {
                continue;
            }
            let part = owed.min(lot.remaining);
            draft.shift(lot.id, Bucket::Remaining, Bucket::Repaid, part);
            draft.debt -= part;
            owed -= part;
        }
        if !draft.is_empty() {
            self.post(draft);
        }
    }

    /// Expires what remains of lots that are over.
    pub(super) fn expire(&mut self, lots: &[LotId]) {
        for id in lots {
            let due = self.account.lots.get(id).filter(|lot| lot.is_over(self.at));
            if let Some(remaining) = due.map(|lot| lot.remaining).filter(|left| *left > 0) {
                let mut draft = Draft::new(EntryKind::Expire);
                draft.shift(*id, Bucket::Remaining, Bucket::Expired, remaining);
                self.post(draft);
            }
        }
    }
}
