use std::fmt;

use serde::{Serialize, Serializer};

/// A billing period to show beside a price, such as a month or three months.
///
/// Informational: access and credits follow the period of the subscription's own price.
/// Displayed and serialised as the catalog file writes it: `month`, `3 months`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Period {
    /// How many units, at least one (Stripe's `interval_count`).
    pub count: u32,
    /// Stripe's `interval`.
    pub unit: PeriodUnit,
}

/// The unit of a [`Period`]: Stripe's four billing intervals.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PeriodUnit {
    /// A day.
    Day,
    /// Seven days.
    Week,
    /// A calendar month.
    Month,
    /// A calendar year.
    Year,
}

impl PeriodUnit {
    const ALL: [Self; 4] = [Self::Day, Self::Week, Self::Month, Self::Year];

    /// Stripe's word for the unit.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Day => "day",
            Self::Week => "week",
            Self::Month => "month",
            Self::Year => "year",
        }
    }

    /// The longest period Stripe bills: three years.
    fn most(self) -> u32 {
        match self {
            Self::Day => 1095,
            Self::Week => 156,
            Self::Month => 36,
            Self::Year => 3,
        }
    }
}

impl Period {
    /// Every day.
    pub const DAY: Self = Self::new(1, PeriodUnit::Day);
    /// Every week.
    pub const WEEK: Self = Self::new(1, PeriodUnit::Week);
    /// Every month.
    pub const MONTH: Self = Self::new(1, PeriodUnit::Month);
    /// Every year.
    pub const YEAR: Self = Self::new(1, PeriodUnit::Year);

    /// A period of several units, such as three months.
    pub const fn new(count: u32, unit: PeriodUnit) -> Self {
        Self { count, unit }
    }

    /// Reads `month`, `3 months` and the like.
    pub(super) fn parse(text: &str) -> Option<Self> {
        let (count, word) = match text.trim().split_once(char::is_whitespace) {
            Some((count, word)) => (count.parse().ok()?, word.trim()),
            None => (1, text.trim()),
        };
        let singular = word.strip_suffix('s').unwrap_or(word);
        let mut units = PeriodUnit::ALL.into_iter();
        let unit = units.find(|unit| unit.as_str() == singular)?;
        Some(Self { count, unit })
    }

    /// Whether Stripe can bill such a period.
    pub(super) fn is_billable(self) -> bool {
        (1..=self.unit.most()).contains(&self.count)
    }
}

impl fmt::Display for Period {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.count {
            1 => f.write_str(self.unit.as_str()),
            count => write!(f, "{count} {}s", self.unit.as_str()),
        }
    }
}

impl Serialize for Period {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}
