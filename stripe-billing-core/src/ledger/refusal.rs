//! Why an operation was refused. A refusal writes nothing.

use chrono::{DateTime, Utc};

use super::hold::ReservationState;

/// An operation that was not done. Nothing is stored under its key, so that the same key may succeed
/// later.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Refusal {
    /// There are not enough credits.
    #[error("{requested} credits asked for, {available} available")]
    Insufficient {
        /// What may be spent now, the overdraft not included.
        available: i64,
        /// What was asked for.
        requested: i64,
    },
    /// The account owes credits beyond its overdraft.
    #[error("the account owes {debt} credits")]
    NegativeBalance {
        /// How many.
        debt: i64,
    },
    /// A member's limit is reached.
    #[error("the member's limit of {limit} is reached ({used} used)")]
    MemberLimit {
        /// The limit.
        limit: i64,
        /// What is spent and reserved of it.
        used: i64,
        /// When it starts anew, where that is known.
        resets_at: Option<DateTime<Utc>>,
    },
    /// The key was used for something else.
    #[error("the key was used for another request (entry {first_seq})")]
    IdempotencyMismatch {
        /// The entry of the first use.
        first_seq: i64,
    },
    /// The reservation ran out before it was captured.
    #[error("the reservation ran out at {at}")]
    ReservationExpired {
        /// When.
        at: DateTime<Utc>,
    },
    /// The reservation has ended otherwise.
    #[error("the reservation has ended ({state:?})")]
    ReservationResolved {
        /// How.
        state: ReservationState,
    },
    /// More was captured than reserved.
    #[error("only {reserved} credits are reserved")]
    ExceedsReservation {
        /// How many are.
        reserved: i64,
    },
    /// There is no such reservation.
    #[error("there is no such reservation")]
    UnknownReservation,
    /// There is no such account.
    #[error("there is no such account")]
    UnknownAccount,
    /// The account counts in another unit.
    #[error("the account counts in another unit")]
    UnitMismatch,
    /// A dispute is open, and the policy allows no reservations meanwhile.
    #[error("dispute {dispute} is open")]
    Frozen {
        /// Which.
        dispute: String,
    },
    /// The owner's state is not the one that was asked for: look at it again.
    #[error("the account's state has changed")]
    StandingChanged,
    /// The request makes no sense: an amount of zero, a lifetime out of range.
    #[error("{0}")]
    Invalid(&'static str),
}

impl Refusal {
    /// Whether another account, or more credits, would have helped.
    pub fn is_about_funds(&self) -> bool {
        self.http_status() == 402
    }

    /// A stable code for programs.
    pub fn code(&self) -> &'static str {
        match self {
            Self::Insufficient { .. } => "insufficient",
            Self::NegativeBalance { .. } => "negative_balance",
            Self::MemberLimit { .. } => "member_limit",
            Self::IdempotencyMismatch { .. } => "idempotency_mismatch",
            Self::ReservationExpired { .. } => "reservation_expired",
            Self::ReservationResolved { .. } => "reservation_resolved",
            Self::ExceedsReservation { .. } => "exceeds_reservation",
            Self::UnknownReservation => "unknown_reservation",
            Self::UnknownAccount => "unknown_account",
            Self::UnitMismatch => "unit_mismatch",
            Self::Frozen { .. } => "frozen",
            Self::StandingChanged => "standing_changed",
            Self::Invalid(_) => "invalid",
        }
    }

    /// The HTTP status to answer with; 402 where more credits would have helped.
    pub fn http_status(&self) -> u16 {
        match self {
            Self::Insufficient { .. } | Self::NegativeBalance { .. } | Self::MemberLimit { .. } => {
                402
            }
            Self::Frozen { .. } => 403,
            Self::UnknownReservation | Self::UnknownAccount => 404,
            Self::IdempotencyMismatch { .. }
            | Self::StandingChanged
            | Self::ReservationExpired { .. }
            | Self::ReservationResolved { .. } => 409,
            Self::ExceedsReservation { .. } | Self::UnitMismatch | Self::Invalid(_) => 422,
        }
    }
}
