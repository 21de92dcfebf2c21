//! Credits set aside: reservations for work in progress, freezes for open disputes.

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

use super::lot::LotId;
use super::member::LimitKey;

/// How much of which lot, in burn order.
pub type Allocation = Vec<(LotId, i64)>;

/// Where a reservation stands. All but `Open` are final.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[allow(clippy::exhaustive_enums)]
pub enum ReservationState {
    /// Its credits are held.
    Open,
    /// Some or all of it was spent, the rest went back.
    Captured,
    /// It was given back.
    Released,
    /// It ran out and went back by itself.
    Expired,
}

/// The first half of a two-phase spend.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[allow(clippy::exhaustive_structs)]
pub struct Reservation {
    /// The caller's id for it, unique per account.
    pub id: String,
    /// How much is held.
    pub amount: i64,
    /// The lots it is held of.
    pub allocation: Allocation,
    /// When it was opened.
    pub opened_at: DateTime<Utc>,
    /// When it runs out, exclusively: at this instant it cannot be captured any more.
    pub expires_at: DateTime<Utc>,
    /// Where it stands.
    pub state: ReservationState,
    /// What was captured of it, once it is.
    pub captured: Option<i64>,
    /// What was spent for it after it had run out, by policy.
    pub late: Option<i64>,
    /// Who reserved.
    pub actor: Option<String>,
    /// For which feature.
    pub feature: Option<String>,
    /// The member limits it counts against, each with the window it was opened in.
    pub limits: Vec<(LimitKey, DateTime<Utc>)>,
    /// The entry that opened it.
    pub open_seq: i64,
    /// The entry that ended it (I8: one at most).
    pub close_seq: Option<i64>,
}

/// Credits of a disputed payment, out of reach until the dispute is closed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[allow(clippy::exhaustive_structs)]
pub struct Freeze {
    /// The dispute.
    pub dispute: String,
    /// The payment that is disputed.
    pub source: String,
    /// Since when; a dispute that is won gives this time back.
    pub frozen_at: DateTime<Utc>,
    /// What is still frozen for it; empty once it is closed.
    pub allocation: Allocation,
    /// Whether the dispute is undecided.
    pub open: bool,
}

impl Freeze {
    /// How much is frozen for it.
    pub fn amount(&self) -> i64 {
        self.allocation.iter().map(|(_, amount)| amount).sum()
    }
}
