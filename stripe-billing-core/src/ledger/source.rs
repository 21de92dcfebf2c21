//! Where credits came from, and the money that went back there.

use std::collections::BTreeMap;

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

use super::command::Grant;
use super::lot::LotId;

/// A payment that funded lots: a charge or an invoice.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[allow(clippy::exhaustive_structs)]
pub struct Source {
    /// Its id.
    pub id: String,
    /// What was paid, minor units; `None` while only its refunds are known.
    pub paid: Option<i64>,
    /// Credits it entitles to, those not granted yet included.
    pub entitled: i64,
    /// Refunds and disputes by their ids.
    pub rows: BTreeMap<String, MoneyBack>,
    /// Credits taken back from what was granted, whether from lots, as debt or written off. Below
    /// zero where scheduled credits were cancelled for money that then came back to us.
    pub clawed: i64,
    /// Scheduled credits that were cancelled for returned money and have come due since.
    pub cancelled: i64,
    /// Scheduled credits withdrawn for another reason: the subscription ended.
    pub withdrawn: i64,
    /// Which lots `clawed` is counted on.
    pub shares: BTreeMap<LotId, i64>,
}

impl Source {
    /// The money that went back, at most what was paid.
    pub fn returned(&self) -> i64 {
        let sum: i128 = self
            .rows
            .values()
            .filter(|row| row.status.counts())
            .map(|row| i128::from(row.amount))
            .sum();
        let paid = i128::from(self.paid.unwrap_or(0));
        i64::try_from(sum.min(paid)).unwrap_or(0)
    }

    /// The credits that went back with it: `floor(entitled * returned / paid)`.
    pub fn target(&self) -> i64 {
        self.share(self.returned())
    }

    /// The credits that an amount of its money stands for.
    pub(super) fn share(&self, amount: i64) -> i64 {
        match self.paid {
            Some(paid) if paid > 0 => mul_div(self.entitled, amount.min(paid), paid),
            _ => 0,
        }
    }
}

/// `a * b / c`, floored, without overflow in between. All are zero or more, `c` above.
pub(super) fn mul_div(a: i64, b: i64, c: i64) -> i64 {
    let exact = i128::from(a) * i128::from(b) / i128::from(c.max(1));
    i64::try_from(exact).unwrap_or(i64::MAX)
}

/// One refund or dispute of a source.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[allow(clippy::exhaustive_structs)]
pub struct MoneyBack {
    /// Minor units.
    pub amount: i64,
    /// Where it stands.
    pub status: MoneyBackStatus,
    /// When it was made, where that is known: credits that ran out since were there then.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub made_at: Option<DateTime<Utc>>,
}

/// Where a refund or dispute stands. A status only ever gives way to a later one of its kind,
/// whatever order the news arrives in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[allow(clippy::exhaustive_enums)]
pub enum MoneyBackStatus {
    /// A refund on its way; counts as returned.
    RefundPending,
    /// A refund that arrived.
    RefundSucceeded,
    /// A refund that failed or was cancelled: the money is ours again.
    RefundFailed,
    /// An inquiry: noted, nothing more.
    DisputeInquiry,
    /// A dispute that is undecided: credits are frozen.
    DisputeOpen,
    /// A dispute that was lost; counts as returned.
    DisputeLost,
    /// A dispute that was won, also after it had been lost.
    DisputeWon,
}

impl MoneyBackStatus {
    /// Whether its amount counts as returned.
    pub fn counts(self) -> bool {
        matches!(self, Self::RefundPending | Self::RefundSucceeded | Self::DisputeLost)
    }
}

/// A lot that is granted by itself when its time comes: a month of a yearly plan.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[allow(clippy::exhaustive_structs)]
pub struct ScheduledLot {
    /// What will be granted.
    pub grant: Grant,
    /// When; the key of the schedule is the grant's key.
    pub due_at: DateTime<Utc>,
    /// How much of it is cancelled because its money went back.
    pub cut: i64,
}
