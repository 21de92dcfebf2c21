//! Billing intervals: plain UTC calendar arithmetic from an anchor.

use chrono::{DateTime, Months, Utc};

/// How often a recurring price bills.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Interval {
    /// Every `interval_count` days.
    Day,
    /// Every `interval_count` weeks.
    Week,
    /// Every `interval_count` months.
    Month,
    /// Every `interval_count` years.
    Year,
}

impl Interval {
    /// Stripe's word for the interval.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Day => "day",
            Self::Week => "week",
            Self::Month => "month",
            Self::Year => "year",
        }
    }

    /// Reads Stripe's word, `None` for anything else.
    #[must_use]
    pub fn parse(word: &str) -> Option<Self> {
        match word {
            "day" => Some(Self::Day),
            "week" => Some(Self::Week),
            "month" => Some(Self::Month),
            "year" => Some(Self::Year),
            _ => None,
        }
    }
}

const DAY: i64 = 86_400;

/// The `n`-th boundary after `anchor`. Months and years clamp to the end of a short month and are
/// always counted from the anchor, so that 31 January renews on 28 February and then on 31 March.
fn boundary(anchor: i64, interval: Interval, count: u32, n: u32) -> i64 {
    let steps = count.saturating_mul(n);
    let months = match interval {
        Interval::Day => return anchor + DAY * i64::from(steps),
        Interval::Week => return anchor + 7 * DAY * i64::from(steps),
        Interval::Month => steps,
        Interval::Year => steps.saturating_mul(12),
    };
    DateTime::<Utc>::from_timestamp(anchor, 0)
        .and_then(|at| at.checked_add_months(Months::new(months)))
        .map_or(i64::MAX / 4, |at| at.timestamp())
}

/// The first boundary of the cycle `anchor + n * interval` that lies strictly after `after`.
pub(super) fn next_boundary(anchor: i64, interval: Interval, count: u32, after: i64) -> i64 {
    let count = count.max(1);
    let shortest = i64::from(count)
        * DAY
        * match interval {
            Interval::Day => 1,
            Interval::Week => 7,
            Interval::Month => 28,
            Interval::Year => 365,
        };
    // A lower estimate, so the loop runs a handful of times even for an anchor years ago.
    let longest = shortest + shortest / 9;
    let mut n = u32::try_from(((after - anchor) / longest).max(0)).unwrap_or(u32::MAX).max(1);
    while n > 1 && boundary(anchor, interval, count, n - 1) > after {
        n -= 1;
    }
    loop {
        let at = boundary(anchor, interval, count, n);
        if at > after || n == u32::MAX {
            return at;
        }
        n += 1;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn unix(date: &str) -> i64 {
        DateTime::parse_from_rfc3339(&format!("{date}T12:00:00Z")).unwrap().timestamp()
    }

    #[test]
    fn month_ends_clamp_from_the_anchor_and_come_back() {
        let anchor = unix("2027-01-31");
        let mut at = anchor;
        for expected in ["2027-02-28", "2027-03-31", "2027-04-30", "2027-05-31", "2027-06-30"] {
            at = next_boundary(anchor, Interval::Month, 1, at);
            assert_eq!(at, unix(expected), "{expected}");
        }
        assert_eq!(
            next_boundary(anchor, Interval::Month, 1, unix("2028-02-01")),
            unix("2028-02-29")
        );
    }

    #[test]
    fn leap_day_renews_on_the_28th_until_the_next_leap_year() {
        let anchor = unix("2028-02-29");
        let mut at = anchor;
        for expected in ["2029-02-28", "2030-02-28", "2031-02-28", "2032-02-29"] {
            at = next_boundary(anchor, Interval::Year, 1, at);
            assert_eq!(at, unix(expected), "{expected}");
        }
    }

    #[test]
    fn weeks_days_and_counts() {
        let anchor = unix("2027-01-01");
        assert_eq!(next_boundary(anchor, Interval::Week, 2, anchor), unix("2027-01-15"));
        assert_eq!(next_boundary(anchor, Interval::Day, 1, unix("2030-06-01")), unix("2030-06-02"));
        assert_eq!(
            next_boundary(anchor, Interval::Month, 3, unix("2027-04-01")),
            unix("2027-07-01")
        );
    }
}
