//! The read side.

mod events;
mod operators;
mod subjects;

use sea_orm::Value;

use crate::db;
use crate::dialect::Dialect;

pub(crate) use events::{backlog, events, events_by_id, range, stats, stored_events};
pub(crate) use operators::{AFTER_TICKET, TICKET, audit, notices, ticket, tickets};
pub(crate) use subjects::{subject, subjects_of};

/// Rows on one page at most.
const MAX_PAGE: u32 = 1_000;

/// Events by status, type and subject, and the order in which their index has them.
///
/// Postgres is told so by bounds in place of equality, with the column in the order as well: of an
/// equality it would go through all events by their number, expecting to meet some soon, which takes
/// seconds where there are few or none.
pub(crate) fn by_status_or_type(
    dialect: Dialect,
    (status, event_type, subject): (Option<&str>, Option<&str>, Option<&str>),
    direction: &str,
) -> (Filter, String) {
    let mut filter = Filter::new([("subject = ?", subject.map(db::text))]);
    // Of most events the type says more than that they are done.
    let done = matches!(status, Some("processed" | "ignored"));
    let leads = match (status, event_type) {
        _ if dialect != Dialect::Postgres || subject.is_some() => None,
        (Some(_), None) => Some("status"),
        (Some(_), Some(_)) if !done => Some("status"),
        (_, Some(_)) => Some("event_type"),
        (None, None) => None,
    };
    for (column, value) in [("status", status), ("event_type", event_type)] {
        let Some(value) = value else { continue };
        if leads == Some(column) {
            filter.and(&format!("{column} >= ? AND {column} <= ?"));
            filter.values.push(db::text(value));
        } else {
            filter.and(&format!("{column} = ?"));
        }
        filter.values.push(db::text(value));
    }
    let order = match leads {
        Some(column) => format!(" ORDER BY {column}{direction}, seq{direction}"),
        None => format!(" ORDER BY seq{direction}"),
    };
    (filter, order)
}

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

    /// A number that a column is compared with.
    pub(crate) fn bounded(mut self, condition: &str, bound: Option<i64>) -> Self {
        if let Some(bound) = bound {
            self.and(condition);
            self.values.push(bound.into());
        }
        self
    }

    /// Of one ticket. Those are few, whatever else they are.
    pub(crate) fn of_ticket(mut self, ticket: Option<&str>) -> Self {
        if let Some(ticket) = ticket {
            self.and("ticket = ?");
            self.values.push(db::text(ticket));
        }
        self
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn postgres_is_told_which_index_to_go_by() {
        let told = |dialect, status, event_type, subject| {
            let wanted = (status, event_type, subject);
            let (filter, order) = by_status_or_type(dialect, wanted, " DESC");
            let places = filter.conditions.matches('?').count();
            assert_eq!(filter.values.len(), places, "{}", filter.conditions);
            format!("{}{order}", filter.conditions)
        };
        let of_postgres =
            |status, event_type, subject| told(Dialect::Postgres, status, event_type, subject);
        let by_status = " WHERE status >= ? AND status <= ? ORDER BY status DESC, seq DESC";
        assert_eq!(of_postgres(Some("dead"), None, None), by_status);
        assert_eq!(
            of_postgres(Some("processed"), Some("invoice.paid"), None),
            " WHERE status = ? AND event_type >= ? AND event_type <= ? \
             ORDER BY event_type DESC, seq DESC"
        );
        assert_eq!(
            of_postgres(Some("dead"), Some("invoice.paid"), None),
            " WHERE status >= ? AND status <= ? AND event_type = ? \
             ORDER BY status DESC, seq DESC"
        );
        let of_subject = " WHERE subject = ? AND status = ? ORDER BY seq DESC";
        assert_eq!(of_postgres(Some("dead"), None, Some("cus_1")), of_subject);
        assert_eq!(of_postgres(None, None, None), " ORDER BY seq DESC");
        let plain = " WHERE status = ? ORDER BY seq DESC";
        assert_eq!(told(Dialect::Sqlite, Some("dead"), None, None), plain);
    }
}
