//! Lots: what was granted, where each credit of it went, and in which order credits burn.

use std::fmt;

use chrono::{DateTime, TimeDelta, Utc};
use serde::{Deserialize, Serialize};

/// A type of credit (`credits`, `sms`, `gpu_seconds`). One account holds one unit; what a feature
/// costs in it is worked out before the ledger is asked.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Unit(pub String);

impl From<&str> for Unit {
    fn from(name: &str) -> Self {
        Self(name.to_owned())
    }
}

/// Identifies a lot within its account: the sequence number of the entry that granted it.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize,
)]
pub struct LotId(pub i64);

impl fmt::Display for LotId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// How long before a paid lot runs out its owner is told, in days.
const ANNOUNCED: [i64; 2] = [7, 1];

/// Why a lot exists.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum LotKind {
    /// The allowance of a plan's period.
    Plan,
    /// What a renewal carried over.
    Rollover,
    /// The difference that an upgrade within a period adds.
    Upgrade,
    /// A pack that was bought.
    Pack,
    /// A trial's credits.
    Trial,
    /// A promotion.
    Promo,
    /// Granted by an operator.
    Manual,
    /// Money that had been called back came back to us.
    Restore,
}

/// Whether someone paid for a lot. Promotional credits burn before paid ones.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[allow(clippy::exhaustive_enums)]
pub enum Category {
    /// Free of charge.
    Promo,
    /// Paid for.
    Paid,
}

/// Where a lot's credits can be. Their sum is what was granted, always (I3).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[allow(clippy::exhaustive_enums)]
pub enum Bucket {
    /// To be spent.
    Remaining,
    /// Under an open reservation.
    Held,
    /// Under an open dispute.
    Frozen,
    /// Spent.
    Consumed,
    /// Ran out, or ended by a renewal.
    Expired,
    /// Taken back with the money that paid for it.
    Clawed,
    /// Used to repay debt.
    Repaid,
}

impl Bucket {
    /// All of them.
    pub const ALL: [Self; 7] = [
        Self::Remaining,
        Self::Held,
        Self::Frozen,
        Self::Consumed,
        Self::Expired,
        Self::Clawed,
        Self::Repaid,
    ];
}

/// A grant with its own remaining amount and expiry.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[allow(clippy::exhaustive_structs)] // A store's row: it writes all of it.
pub struct Lot {
    /// Its id within the account.
    pub id: LotId,
    /// Why it exists.
    pub kind: LotKind,
    /// The fact it was granted for; unique per account (I7).
    pub grant_key: String,
    /// How much was granted; never changes.
    pub granted: i64,
    /// 0 to 100; lower burns first.
    pub priority: u8,
    /// Paid or promotional.
    pub category: Category,
    /// From when it may be spent.
    pub effective_at: DateTime<Utc>,
    /// Until when, exclusively; `None` is for ever. Only moves later.
    pub expires_at: Option<DateTime<Utc>>,
    /// When a renewal or the end of a plan ended it before its expiry.
    pub ended_at: Option<DateTime<Utc>>,
    /// The charge or invoice that paid for it.
    pub source: Option<String>,
    /// The allowance period that it counts in, for the high-water rule.
    pub period: Option<String>,
    /// The row of periods that it belongs to.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub series: Option<String>,
    /// To be spent.
    pub remaining: i64,
    /// Under open reservations.
    pub held: i64,
    /// Under open disputes.
    pub frozen: i64,
    /// Spent.
    pub consumed: i64,
    /// Ran out.
    pub expired: i64,
    /// Taken back.
    pub clawed: i64,
    /// Used to repay debt.
    pub repaid: i64,
}

impl Lot {
    /// When it stops being spendable, for whichever reason comes first.
    pub fn end(&self) -> Option<DateTime<Utc>> {
        match (self.expires_at, self.ended_at) {
            (Some(a), Some(b)) => Some(a.min(b)),
            (a, b) => a.or(b),
        }
    }

    /// Whether it may be spent at a time: the interval is half-open.
    pub fn is_active(&self, at: DateTime<Utc>) -> bool {
        self.effective_at <= at && self.end().is_none_or(|end| at < end)
    }

    /// Whether it has run out by a time.
    pub fn is_over(&self, at: DateTime<Utc>) -> bool {
        self.end().is_some_and(|end| end <= at)
    }

    /// When its owner is told that it is about to run out, and how many days are left then. What a
    /// period of a plan gives is not announced: the next period follows.
    pub(super) fn announced(&self) -> impl Iterator<Item = (DateTime<Utc>, i64)> {
        let bought = self.category == Category::Paid && self.series.is_none();
        let bought = bought && matches!(self.kind, LotKind::Pack | LotKind::Restore);
        let end = self.end().filter(|_| bought && self.remaining > 0);
        end.into_iter().flat_map(|end| ANNOUNCED.map(|days| (end - TimeDelta::days(days), days)))
    }

    /// What is in a bucket.
    pub fn bucket(&self, bucket: Bucket) -> i64 {
        match bucket {
            Bucket::Remaining => self.remaining,
            Bucket::Held => self.held,
            Bucket::Frozen => self.frozen,
            Bucket::Consumed => self.consumed,
            Bucket::Expired => self.expired,
            Bucket::Clawed => self.clawed,
            Bucket::Repaid => self.repaid,
        }
    }

    pub(super) fn bucket_mut(&mut self, bucket: Bucket) -> &mut i64 {
        match bucket {
            Bucket::Remaining => &mut self.remaining,
            Bucket::Held => &mut self.held,
            Bucket::Frozen => &mut self.frozen,
            Bucket::Consumed => &mut self.consumed,
            Bucket::Expired => &mut self.expired,
            Bucket::Clawed => &mut self.clawed,
            Bucket::Repaid => &mut self.repaid,
        }
    }

    /// Gives it more time; whatever ended it moves along.
    pub(super) fn extend(&mut self, by: TimeDelta) {
        let later = |at: DateTime<Utc>| at.checked_add_signed(by).unwrap_or(at);
        self.expires_at = self.expires_at.map(later);
        self.ended_at = self.ended_at.map(later);
    }

    /// The burn order: priority, soonest expiry, promotional before paid, oldest, id.
    pub fn burn_order(&self) -> impl Ord + use<> {
        let end = self.end().unwrap_or(DateTime::<Utc>::MAX_UTC);
        (self.priority, end, self.category, self.effective_at, self.id)
    }

    /// Whether a claw-back of its source may take from it.
    pub(super) fn is_funded_by(&self, source: &str) -> bool {
        self.kind != LotKind::Restore && self.source.as_deref() == Some(source)
    }
}
