//! Entries: the append-only history of an account.

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

use super::hold::Allocation;
use super::lot::{Bucket, LotId};
use crate::ticket::words;

words! {
    /// What an entry records.
    EntryKind {
        /// Credits came in.
        Grant = "grant",
        /// Credits carried over by a renewal.
        Rollover = "rollover",
        /// Credits given back because called-back money came back to us.
        Restore = "restore",
        /// Credits spent at once.
        Spend = "spend",
        /// Credits spent for a reservation that had run out, whatever the balance.
        ForcedSpend = "forced_spend",
        /// Credits set aside.
        Reserve = "reserve",
        /// A reservation got more time.
        Extend = "extend",
        /// A reservation was spent, in part or whole; the rest went back.
        Capture = "capture",
        /// A reservation was given back.
        Release = "release",
        /// A reservation ran out and went back.
        ReleaseTimeout = "release_timeout",
        /// Credits ran out, or were ended.
        Expire = "expire",
        /// Credits repaid debt; the balance does not change.
        Settle = "settle",
        /// Credits taken back with the money that paid for them.
        Clawback = "clawback",
        /// Credits of a disputed payment put out of reach.
        Freeze = "freeze",
        /// Frozen credits set free.
        Unfreeze = "unfreeze",
        /// Debt forgiven by an operator.
        Forgive = "forgive",
        /// Credits taken by an operator.
        Adjust = "adjust",
        /// An earlier spend undone.
        Reversal = "reversal",
        /// The overdraft limit changed.
        Overdraft = "overdraft",
        /// Balance and lots were set to what the entries make of them.
        Repair = "repair",
    }
}

impl EntryKind {
    /// Whether it ends a reservation.
    pub fn ends_reservation(self) -> bool {
        matches!(self, Self::Capture | Self::Release | Self::ReleaseTimeout)
    }
}

/// A change of one bucket of one lot.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[allow(clippy::exhaustive_structs)]
pub struct Move {
    /// The lot.
    pub lot: LotId,
    /// The bucket.
    pub bucket: Bucket,
    /// By how much; below zero is out of it.
    pub amount: i64,
}

/// One line of an account's history. Never changed or deleted (I15); a correction is another entry.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[allow(clippy::exhaustive_structs)]
pub struct Entry {
    /// 1, 2, 3, ... without gaps, per account.
    pub seq: i64,
    /// What happened.
    pub kind: EntryKind,
    /// By how much `available` changed.
    pub delta_available: i64,
    /// By how much `held` changed.
    pub delta_held: i64,
    /// By how much the debt changed.
    pub delta_debt: i64,
    /// `available` after it.
    pub available_after: i64,
    /// `held` after it.
    pub held_after: i64,
    /// The overdraft limit in force, against which `available_after` can be checked (I11).
    pub overdraft_limit: i64,
    /// What moved in which lot; their sums are the lots.
    pub moves: Vec<Move>,
    /// Credits that could not be taken back and are not owed either.
    pub written_off: i64,
    /// The operation's idempotency key, on its first own entry.
    pub key: Option<String>,
    /// The fingerprint of the operation, beside the key.
    pub request_hash: Option<String>,
    /// Who did it; `None` is the system.
    pub actor: Option<String>,
    /// For which feature.
    pub feature: Option<String>,
    /// The reservation, dispute or source it is about, or what the caller referred to.
    pub reference: Option<String>,
    /// Why, where the kind does not say.
    pub reason: Option<String>,
    /// The entry that this one undoes.
    pub reverses: Option<i64>,
    /// When it took effect: a lot expires at its own time, however late that is written.
    pub effective_at: DateTime<Utc>,
    /// When it was written; never before its predecessor.
    pub recorded_at: DateTime<Utc>,
}

impl Entry {
    /// The credits that it used, and how many uses it is: below zero where a use is undone.
    pub fn usage(&self) -> Option<(i64, i64)> {
        let consumed: i64 = self
            .moves
            .iter()
            .filter(|step| step.bucket == Bucket::Consumed)
            .map(|step| step.amount)
            .sum();
        match self.kind {
            EntryKind::Spend | EntryKind::ForcedSpend => Some((consumed + self.delta_debt, 1)),
            EntryKind::Capture if consumed > 0 => Some((consumed, 1)),
            EntryKind::Reversal => Some((consumed + self.delta_debt.min(0), -1)),
            _ => None,
        }
    }

    /// How much went into a bucket, by lot.
    pub fn allocation(&self, bucket: Bucket) -> Allocation {
        self.moves
            .iter()
            .filter(|step| step.bucket == bucket && step.amount > 0)
            .map(|step| (step.lot, step.amount))
            .collect()
    }
}
