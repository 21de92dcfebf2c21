//! Leases, attempts and back-off: pure, and shared by inbox and outbox.

use chrono::{DateTime, TimeDelta, Utc};
use serde::{Deserialize, Serialize};

use crate::digest::seed;

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

/// Why an attempt failed, which decides what happens next.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum ErrorClass {
    /// Passes by itself: retried with back-off, costs an attempt.
    Transient,
    /// No retry can help; a human has to look.
    Permanent,
    /// The configuration has to change first.
    Config,
    /// It takes the worker down: a panic, or three lost leases.
    Poison,
}

impl ErrorClass {
    /// The class as stores and the operator JSON write it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Transient => "transient",
            Self::Permanent => "permanent",
            Self::Config => "config",
            Self::Poison => "poison",
        }
    }
}

/// A failed attempt, as kept on the row: class, stable code and a message without secrets or
/// personal data.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Failure {
    /// Decides what happens next.
    pub class: ErrorClass,
    /// Stable and short, for grouping: `store_unavailable`, `corrupt_payload`, ...
    pub code: &'static str,
    /// For humans; at most 2,000 characters are kept.
    pub message: String,
}

impl Failure {
    /// A failure; the message is cut at 2,000 characters.
    pub fn new(class: ErrorClass, code: &'static str, message: impl Into<String>) -> Self {
        let mut message: String = message.into();
        if let Some((at, _)) = message.char_indices().nth(2_000) {
            message.truncate(at);
        }
        Self { class, code, message: message.replace('\0', "\u{fffd}") }
    }
}

/// When a failed attempt is tried again.
///
/// The default covers the three days over which Stripe itself redelivers: 5 s, 30 s, 2 min, 10 min,
/// 30 min, 2 h, 6 h, 12 h, 24 h, 24 h, each with up to 20 % of jitter in either direction. The
/// jitter is derived from the item's key and the attempt, so that a replay is exact.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Backoff {
    delays: Vec<TimeDelta>,
    jitter_percent: u8,
}

impl Default for Backoff {
    fn default() -> Self {
        let seconds =
            [5, 30, 120, 600, 1_800, 7_200, 21_600, 43_200, 86_400, 86_400].map(TimeDelta::seconds);
        Self { delays: seconds.to_vec(), jitter_percent: 20 }
    }
}

impl Backoff {
    /// A schedule of its own: one delay per retry, and the jitter in percent (at most 100).
    pub fn new(delays: impl Into<Vec<TimeDelta>>, jitter_percent: u8) -> Self {
        Self { delays: delays.into(), jitter_percent: jitter_percent.min(100) }
    }

    /// How long to wait after failed attempt number `attempt` (1 is the first); `None` when the
    /// attempts are used up.
    ///
    /// ```
    /// # use stripe_billing_core::queue::Backoff;
    /// let backoff = Backoff::default();
    /// let first = backoff.delay("evt_1", 1).unwrap().num_milliseconds();
    /// assert!((4_000..=6_000).contains(&first));
    /// assert_eq!(backoff.delay("evt_1", 11), None);
    /// ```
    pub fn delay(&self, key: &str, attempt: u32) -> Option<TimeDelta> {
        let index = usize::try_from(attempt.checked_sub(1)?).ok()?;
        let step = *self.delays.get(index)?;
        let spread = step.num_milliseconds() * i64::from(self.jitter_percent) / 100;
        if spread == 0 {
            return Some(step);
        }
        let span = u64::try_from(2 * spread + 1).unwrap_or(1);
        let offset = i64::try_from(seed(key, attempt) % span).unwrap_or(0) - spread;
        Some(step + TimeDelta::milliseconds(offset))
    }

    /// Attempts in all: the first and its retries.
    pub fn attempts(&self) -> u32 {
        u32::try_from(self.delays.len()).unwrap_or(u32::MAX).saturating_add(1)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_schedule_is_exact_to_the_second_without_jitter() {
        let backoff = Backoff { jitter_percent: 0, ..Backoff::default() };
        let seconds: Vec<i64> =
            (1..=10).map(|n| backoff.delay("evt_1", n).unwrap().num_seconds()).collect();
        assert_eq!(seconds, [5, 30, 120, 600, 1_800, 7_200, 21_600, 43_200, 86_400, 86_400]);
        assert_eq!(seconds.iter().sum::<i64>(), 68 * 3_600 + 42 * 60 + 35);
        assert_eq!(backoff.delay("evt_1", 11), None);
        assert_eq!(backoff.delay("evt_1", 0), None);
        assert_eq!(backoff.attempts(), 11);
    }

    #[test]
    fn jitter_is_bounded_spread_and_the_same_every_time() {
        let backoff = Backoff::default();
        let mut seen = std::collections::BTreeSet::new();
        for n in 0..500 {
            let key = format!("evt_{n}");
            let delay = backoff.delay(&key, 3).unwrap().num_milliseconds();
            assert!((96_000..=144_000).contains(&delay), "{delay}");
            assert_eq!(Some(delay), backoff.delay(&key, 3).map(|d| d.num_milliseconds()));
            seen.insert(delay);
        }
        assert!(seen.len() > 450, "only {} different delays", seen.len());
    }

    #[test]
    fn a_failure_keeps_at_most_2000_characters_and_no_nul() {
        let failure = Failure::new(ErrorClass::Permanent, "x", "é\0".repeat(3_000));
        assert_eq!(failure.message.chars().count(), 2_000);
        assert!(!failure.message.contains('\0'));
    }
}
