use chrono::TimeDelta;

use super::failure::{ErrorClass, Failure};
use crate::digest::seed;

/// How soon deferred work is tried again: 2, 5, 15, 60, 300 and 300 s, which covers ten minutes.
const DEFERRALS: [i64; 6] = [2, 5, 15, 60, 300, 300];
/// How soon work is tried again that only failed because everything does.
const PROBE: TimeDelta = TimeDelta::seconds(30);
/// Failed attempts after which a human is told, though retries go on: about 43 minutes.
const FAILING: u32 = 5;

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

/// What an item went through before the attempt that failed now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(clippy::exhaustive_structs)]
pub struct Tried<'a> {
    /// The event's id or the message's key; jitter is derived from it.
    pub key: &'a str,
    /// Attempts that failed before.
    pub attempts: u32,
    /// How often it was deferred before.
    pub deferrals: u32,
}

/// What follows a failed attempt.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(clippy::exhaustive_enums)]
pub enum Next {
    /// Tried again after this long; costs an attempt.
    Retry(TimeDelta),
    /// Tried again after this long; costs nothing.
    Defer(TimeDelta),
    /// Set aside.
    Dead,
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

    /// What follows from a failure, by its class.
    ///
    /// ```
    /// # use chrono::TimeDelta;
    /// # use stripe_billing_core::queue::{Backoff, ErrorClass, Failure, Next, Tried};
    /// let backoff = Backoff::default();
    /// let tried = Tried { key: "evt_1", attempts: 0, deferrals: 0 };
    /// let failure = |class| Failure::new(class, "sample", "of the docs");
    /// let soon = Next::Defer(TimeDelta::seconds(2));
    /// assert_eq!(backoff.next(&failure(ErrorClass::Deferred), &tried), soon);
    /// assert_eq!(backoff.next(&failure(ErrorClass::Permanent), &tried), Next::Dead);
    /// ```
    pub fn next(&self, failure: &Failure, tried: &Tried<'_>) -> Next {
        match failure.class {
            ErrorClass::Transient => self.retry(failure, tried),
            ErrorClass::Deferred => {
                let place = usize::try_from(tried.deferrals).unwrap_or(usize::MAX);
                match DEFERRALS.get(place) {
                    Some(seconds) => Next::Defer(TimeDelta::seconds(*seconds)),
                    None => self.retry(failure, tried),
                }
            }
            ErrorClass::Systemic => Next::Defer(PROBE),
            ErrorClass::Config | ErrorClass::Permanent | ErrorClass::Poison => Next::Dead,
        }
    }

    fn retry(&self, failure: &Failure, tried: &Tried<'_>) -> Next {
        let attempt = tried.attempts.saturating_add(1);
        let Some(delay) = self.delay(tried.key, attempt) else { return Next::Dead };
        let step = self.step(attempt).unwrap_or(delay);
        // Who asks for more time gets it, up to twice the step: nobody puts us off for ever.
        Next::Retry(failure.retry_after.map_or(delay, |asked| asked.clamp(step, step * 2)))
    }

    fn step(&self, attempt: u32) -> Option<TimeDelta> {
        let index = usize::try_from(attempt.checked_sub(1)?).ok()?;
        self.delays.get(index).copied()
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
        let step = self.step(attempt)?;
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

    /// Whether so many failed attempts are a matter for a human, though retries go on.
    pub fn is_failing(&self, attempts: u32) -> bool {
        attempts >= FAILING
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const FRESH: Tried<'_> = Tried { key: "evt_1", attempts: 0, deferrals: 0 };

    fn exact() -> Backoff {
        Backoff { jitter_percent: 0, ..Backoff::default() }
    }

    fn failure(class: ErrorClass) -> Failure {
        Failure::new(class, "of_the_test", "of the test")
    }

    #[test]
    fn the_schedule_is_exact_to_the_second_without_jitter() {
        let backoff = exact();
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
    fn each_class_has_its_own_next_step() {
        let backoff = exact();
        let next = |class| backoff.next(&failure(class), &FRESH);
        assert_eq!(next(ErrorClass::Transient), Next::Retry(TimeDelta::seconds(5)));
        assert_eq!(next(ErrorClass::Deferred), Next::Defer(TimeDelta::seconds(2)));
        assert_eq!(next(ErrorClass::Systemic), Next::Defer(TimeDelta::seconds(30)));
        for class in [ErrorClass::Config, ErrorClass::Permanent, ErrorClass::Poison] {
            assert_eq!(next(class), Next::Dead, "{class:?}");
        }
    }

    #[test]
    fn deferred_work_costs_attempts_after_ten_minutes_only() {
        let backoff = exact();
        let after =
            |deferrals| backoff.next(&failure(ErrorClass::Deferred), &Tried { deferrals, ..FRESH });
        let waits: Vec<Next> = (0..6).map(after).collect();
        let seconds = [2, 5, 15, 60, 300, 300].map(|s| Next::Defer(TimeDelta::seconds(s)));
        assert_eq!(waits, seconds);
        assert_eq!(after(6), Next::Retry(TimeDelta::seconds(5)));
        assert_eq!(after(u32::MAX), Next::Retry(TimeDelta::seconds(5)));
    }

    #[test]
    fn who_asks_for_more_time_gets_up_to_twice_the_step() {
        let after = |asked: i64| {
            let failure =
                failure(ErrorClass::Transient).with_retry_after(Some(TimeDelta::seconds(asked)));
            exact().next(&failure, &Tried { attempts: 2, ..FRESH })
        };
        let seconds = |s| Next::Retry(TimeDelta::seconds(s));
        assert_eq!(after(0), seconds(120));
        assert_eq!(after(180), seconds(180));
        assert_eq!(after(86_400), seconds(240));
    }

    #[test]
    fn the_last_failure_sets_aside_and_the_fifth_is_told() {
        let transient = failure(ErrorClass::Transient);
        let backoff = exact();
        assert_eq!(backoff.next(&transient, &Tried { attempts: 10, ..FRESH }), Next::Dead);
        assert_eq!(
            backoff.next(&transient, &Tried { attempts: 9, ..FRESH }),
            Next::Retry(TimeDelta::days(1))
        );
        assert!(!backoff.is_failing(4) && backoff.is_failing(5));
    }
}
