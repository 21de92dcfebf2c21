//! The clock of the fake: set by hand, or real time plus what it was moved by.

use std::{fmt, sync::Arc};

/// A source of wall time in unix seconds, injected so that a test can hold it still.
pub type WallClock = Arc<dyn Fn() -> i64 + Send + Sync>;

/// The machine's clock in unix seconds.
#[must_use]
pub(super) fn system_wall_clock() -> WallClock {
    #[allow(
        clippy::disallowed_methods,
        reason = "the one place where the fake reads real time: \
        webhook signatures must be fresh for a receiver that uses its own clock"
    )]
    Arc::new(|| {
        std::time::SystemTime::now()
            .duration_since(std::time::UNIX_EPOCH)
            .map_or(0, |age| i64::try_from(age.as_secs()).unwrap_or(i64::MAX))
    })
}

/// Where the time comes from between two steps of work.
#[derive(Clone)]
pub(super) enum TimeSource {
    /// Stands still until it is moved.
    Manual,
    /// Follows a wall clock.
    Wall(WallClock),
}

pub(super) struct Clock {
    source: TimeSource,
    /// Manual: the time itself. Wall: what to add to the wall clock.
    base: i64,
    /// Work that was due at an instant sees that instant.
    held: Option<i64>,
}

impl Clock {
    pub(super) const fn new(source: TimeSource, base: i64) -> Self {
        Self { source, base, held: None }
    }

    pub(super) fn now(&self) -> i64 {
        if let Some(at) = self.held {
            return at;
        }
        match &self.source {
            TimeSource::Manual => self.base,
            TimeSource::Wall(wall) => wall().saturating_add(self.base),
        }
    }

    pub(super) const fn hold(&mut self, at: i64) {
        self.held = Some(at);
    }

    pub(super) const fn release(&mut self) {
        self.held = None;
    }

    /// Moves forward to `at`; an instant in the past changes nothing.
    pub(super) fn move_to(&mut self, at: i64) {
        let ahead = at - self.now();
        if ahead > 0 {
            self.base += ahead;
        }
    }

    pub(super) const fn follows_wall(&self) -> bool {
        matches!(self.source, TimeSource::Wall(_))
    }
}

impl fmt::Debug for Clock {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Clock").field("now", &self.now()).finish_non_exhaustive()
    }
}
