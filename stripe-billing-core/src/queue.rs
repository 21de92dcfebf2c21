//! Leases, failures and what follows from them: pure, and shared by inbox and outbox.

mod backoff;
mod breaker;
mod failure;

use chrono::{DateTime, TimeDelta, Utc};

pub use backoff::{Backoff, Next, Tried};
pub use breaker::{Admission, Breaker, Turn};
pub use failure::{ErrorClass, Failure};

/// Leases that may run out before an event is taken for the cause: it takes the worker down.
pub const MAX_CRASHES: u32 = 3;
/// How old an event is at least when it is blamed. A process that is killed again and again dies over
/// whatever it happens to hold, and that is over sooner.
pub(crate) const BLAMED_AFTER: TimeDelta = TimeDelta::minutes(1);
/// The same as [`MAX_CRASHES`] for messages. Nobody knows how old they are, so they get more.
pub(crate) const MAX_MESSAGE_CRASHES: u32 = 10;

/// What a worker asks for when it claims due work.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ClaimRequest {
    /// Who claims; shown to operators.
    pub worker: String,
    /// At most so many items.
    pub limit: u32,
    /// How long the lease holds. Work that is not settled by then is taken over.
    pub lease: TimeDelta,
    /// The time of the claim.
    pub now: DateTime<Utc>,
}

/// The right to settle one item of work. The epoch fences: whoever lost the lease to another worker
/// cannot write any more.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Lease {
    /// The item's sequence number in its queue.
    pub seq: i64,
    /// Grows by one with every claim of the item.
    pub epoch: i64,
}
