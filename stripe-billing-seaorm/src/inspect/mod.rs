//! The read side.

mod events;
mod operators;
mod subjects;

use sea_orm::Value;

pub(crate) use events::{MAX_RANGE, events, events_by_id, range, stats, stored_events};
pub(crate) use operators::{audit, notices, tickets};
pub(crate) use subjects::{subject, subjects_of};

/// Rows on one page at most.
const MAX_PAGE: u32 = 1_000;

/// Conditions that are there only with a value.
#[derive(Default)]
pub(crate) struct Filter {
    pub(crate) conditions: String,
    pub(crate) values: Vec<Value>,
}

impl Filter {
    pub(crate) fn new<const N: usize>(conditions: [(&str, Option<Value>); N]) -> Self {
        let mut filter = Self::default();
        for (condition, value) in conditions {
            if let Some(value) = value {
                filter.and(condition);
                filter.values.push(value);
            }
        }
        filter
    }

    /// A condition without a value.
    pub(crate) fn and(&mut self, condition: &str) {
        self.conditions.push_str(if self.conditions.is_empty() { " WHERE " } else { " AND " });
        self.conditions.push_str(condition);
    }

    /// The values, with a limit after them.
    fn limited(mut self, limit: u32, max: u32) -> Vec<Value> {
        self.values.push(i64::from(limit.min(max)).into());
        self.values
    }
}
