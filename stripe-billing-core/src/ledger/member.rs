//! What a member of a team may spend of its account.

use chrono::{DateTime, Datelike, Months, NaiveTime, TimeDelta, Utc};
use serde::{Deserialize, Serialize};

/// The time over which a member's spending is counted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[allow(clippy::exhaustive_enums)]
pub enum Window {
    /// A day, UTC.
    Day,
    /// A calendar month, UTC.
    Month,
    /// A billing period, from its start until a limit for the next one is set.
    Period {
        /// When it started.
        starts_at: DateTime<Utc>,
    },
}

impl Window {
    /// When the window that a time falls in began.
    pub fn start(self, at: DateTime<Utc>) -> DateTime<Utc> {
        let day = at.date_naive();
        match self {
            Self::Day => day.and_time(NaiveTime::MIN).and_utc(),
            Self::Month => day.with_day(1).unwrap_or(day).and_time(NaiveTime::MIN).and_utc(),
            Self::Period { starts_at } => starts_at,
        }
    }

    /// When the next one begins, where it does by itself.
    pub fn resets_at(self, at: DateTime<Utc>) -> Option<DateTime<Utc>> {
        let start = self.start(at);
        match self {
            Self::Day => start.checked_add_signed(TimeDelta::days(1)),
            Self::Month => start.checked_add_months(Months::new(1)),
            Self::Period { .. } => None,
        }
    }
}

/// Identifies a limit within its account.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[allow(clippy::exhaustive_structs)]
pub struct LimitKey {
    /// Whom it limits.
    pub member: String,
    /// The feature it is about; `None` is all of them together.
    pub feature: Option<String>,
    /// `day`, `month` or `period`: one limit of each.
    pub window: String,
}

/// A member's limit and what counts against it in the current window.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[allow(clippy::exhaustive_structs)]
pub struct MemberLimit {
    /// Which limit.
    pub key: LimitKey,
    /// What it counts over.
    pub window: Window,
    /// The limit.
    pub max: i64,
    /// The highest it was in this window: lowering a limit blocks, and takes nothing back.
    pub ceiling: i64,
    /// The window that the counts are of.
    pub starts_at: DateTime<Utc>,
    /// Spent in it.
    pub used: i64,
    /// Reserved in it.
    pub held: i64,
}

impl MemberLimit {
    /// Starts counting anew if the window it counts has passed.
    pub(super) fn roll(&mut self, at: DateTime<Utc>) {
        let start = self.window.start(at);
        if start > self.starts_at {
            (self.starts_at, self.used, self.held, self.ceiling) = (start, 0, 0, self.max);
        }
    }
}

impl LimitKey {
    pub(super) fn new(member: &str, feature: Option<&str>, window: Window) -> Self {
        let window = match window {
            Window::Day => "day",
            Window::Month => "month",
            Window::Period { .. } => "period",
        };
        Self {
            member: member.to_owned(),
            feature: feature.map(str::to_owned),
            window: window.to_owned(),
        }
    }
}
