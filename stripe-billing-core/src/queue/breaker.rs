use chrono::{DateTime, TimeDelta, Utc};

/// The seconds that are looked back on.
const WINDOW: i64 = 60;
/// Events in the window below which their failures say nothing.
const ENOUGH: u32 = 20;
/// How long the queue pauses before one event is tried.
const PAUSE: TimeDelta = TimeDelta::seconds(30);

/// Pauses the queue when most work fails: at least half of at least 20 events within 60 s. Then one
/// event is tried every 30 s; the first that succeeds opens the queue again.
///
/// It counts failures that pass by themselves. Events that no retry helps are the events' own
/// trouble, and setting them aside does not get better by waiting.
///
/// ```
/// # use chrono::{DateTime, TimeDelta, Utc};
/// # use stripe_billing_core::queue::{Admission, Breaker, Turn};
/// # let now = DateTime::UNIX_EPOCH;
/// let mut breaker = Breaker::default();
/// for _ in 0..19 {
///     assert_eq!(breaker.record(true, now), None);
/// }
/// assert_eq!(breaker.record(true, now), Some(Turn::Paused));
/// assert_eq!(breaker.admit(now), Admission::Nothing);
/// let later = now + TimeDelta::seconds(30);
/// assert_eq!(breaker.admit(later), Admission::One);
/// assert_eq!(breaker.record(false, later), Some(Turn::Resumed));
/// ```
#[derive(Clone, Debug, Default)]
pub struct Breaker {
    /// Per second of the window, by its number modulo the window: which second, and what was seen.
    seconds: Vec<Second>,
    paused: Option<Paused>,
}

#[derive(Clone, Copy, Debug, Default)]
struct Second {
    at: i64,
    done: u32,
    failed: u32,
}

#[derive(Clone, Copy, Debug)]
struct Paused {
    since: DateTime<Utc>,
    probe_at: DateTime<Utc>,
}

/// How much a worker may take.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(clippy::exhaustive_enums)]
pub enum Admission {
    /// As usual.
    All,
    /// One event, to see whether it succeeds.
    One,
    /// Nothing for now.
    Nothing,
}

/// What an outcome changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(clippy::exhaustive_enums)]
pub enum Turn {
    /// The queue pauses from now on.
    Paused,
    /// The queue runs again.
    Resumed,
}

impl Breaker {
    /// How much may be taken now. A probe is given out once per pause.
    pub fn admit(&mut self, now: DateTime<Utc>) -> Admission {
        match &mut self.paused {
            None => Admission::All,
            Some(paused) if now >= paused.probe_at => {
                paused.probe_at = now + PAUSE;
                Admission::One
            }
            Some(_) => Admission::Nothing,
        }
    }

    /// Notes how an event ended.
    pub fn record(&mut self, failed: bool, now: DateTime<Utc>) -> Option<Turn> {
        if let Some(paused) = &mut self.paused {
            if failed {
                paused.probe_at = paused.probe_at.max(now + PAUSE);
                return None;
            }
            *self = Self::default();
            return Some(Turn::Resumed);
        }
        self.count(failed, now.timestamp());
        // Only a failure can tip it.
        if !failed || !self.mostly_fails(now.timestamp()) {
            return None;
        }
        self.paused = Some(Paused { since: now, probe_at: now + PAUSE });
        Some(Turn::Paused)
    }

    /// Since when the queue pauses, if it does.
    pub fn paused_since(&self) -> Option<DateTime<Utc>> {
        self.paused.map(|paused| paused.since)
    }

    fn count(&mut self, failed: bool, at: i64) {
        if self.seconds.is_empty() {
            self.seconds = vec![Second::default(); WINDOW as usize];
        }
        let place = usize::try_from(at.rem_euclid(WINDOW)).unwrap_or(0);
        let second = &mut self.seconds[place];
        if second.at != at {
            *second = Second { at, ..Second::default() };
        }
        if failed {
            second.failed = second.failed.saturating_add(1);
        } else {
            second.done = second.done.saturating_add(1);
        }
    }

    fn mostly_fails(&self, now: i64) -> bool {
        let recent = self.seconds.iter().filter(|second| now - second.at < WINDOW);
        let (done, failed) = recent.fold((0_u32, 0_u32), |(done, failed), second| {
            (done.saturating_add(second.done), failed.saturating_add(second.failed))
        });
        done.saturating_add(failed) >= ENOUGH && failed >= done
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(seconds: i64) -> DateTime<Utc> {
        DateTime::from_timestamp(1_700_000_000 + seconds, 0).unwrap()
    }

    /// Records outcomes in one second; the turns.
    fn feed(breaker: &mut Breaker, failed: &[bool], second: i64) -> Vec<Turn> {
        failed.iter().filter_map(|failed| breaker.record(*failed, at(second))).collect()
    }

    #[test]
    fn half_of_twenty_pauses_and_nineteen_or_fewer_do_not() {
        let mut breaker = Breaker::default();
        assert!(feed(&mut breaker, &[true; 19], 0).is_empty());
        let mut mixed = [false; 19];
        mixed[..9].fill(true);
        let mut breaker = Breaker::default();
        assert!(feed(&mut breaker, &mixed, 0).is_empty());
        assert_eq!(feed(&mut breaker, &[true], 1), [Turn::Paused]);
        assert_eq!(breaker.paused_since(), Some(at(1)));
        let mut breaker = Breaker::default();
        let mut mostly_done = [false; 100];
        mostly_done[60..].fill(true);
        assert!(feed(&mut breaker, &mostly_done, 0).is_empty(), "40 of 100 are not most");
    }

    #[test]
    fn what_is_older_than_a_minute_does_not_count() {
        let mut breaker = Breaker::default();
        assert!(feed(&mut breaker, &[true; 19], 0).is_empty());
        assert!(feed(&mut breaker, &[true; 19], 60).is_empty());
        assert_eq!(feed(&mut breaker, &[true], 119), [Turn::Paused]);
    }

    #[test]
    fn a_probe_is_tried_every_thirty_seconds_until_one_succeeds() {
        let mut breaker = Breaker::default();
        feed(&mut breaker, &[true; 20], 0);
        assert_eq!(breaker.admit(at(29)), Admission::Nothing);
        assert_eq!(breaker.admit(at(30)), Admission::One);
        assert_eq!(breaker.admit(at(30)), Admission::Nothing, "one probe, not one a worker");
        assert_eq!(breaker.record(true, at(31)), None);
        assert_eq!(breaker.admit(at(60)), Admission::Nothing);
        assert_eq!(breaker.admit(at(61)), Admission::One);
        assert_eq!(breaker.record(false, at(61)), Some(Turn::Resumed));
        assert_eq!(breaker.admit(at(61)), Admission::All);
        assert_eq!(breaker.paused_since(), None);
        assert!(feed(&mut breaker, &[true; 19], 61).is_empty(), "it begins afresh");
    }

    #[test]
    fn a_clock_that_goes_back_does_not_break_it() {
        let mut breaker = Breaker::default();
        feed(&mut breaker, &[true; 10], 100);
        assert!(feed(&mut breaker, &[true; 9], -100_000).is_empty());
        assert_eq!(feed(&mut breaker, &[true; 10], 100), [Turn::Paused]);
    }
}
