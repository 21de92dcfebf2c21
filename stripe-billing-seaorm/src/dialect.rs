//! What the three databases write differently.

use sea_orm::DbBackend;

/// The database behind a store.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Dialect {
    Sqlite,
    Postgres,
    /// MySQL 8.0.17 and later, MariaDB 10.6 and later.
    Mysql,
}

impl Dialect {
    pub(crate) fn of(backend: DbBackend) -> Option<Self> {
        match backend {
            DbBackend::Sqlite => Some(Self::Sqlite),
            DbBackend::Postgres => Some(Self::Postgres),
            DbBackend::MySql => Some(Self::Mysql),
            _ => None,
        }
    }

    pub(crate) fn backend(self) -> DbBackend {
        match self {
            Self::Sqlite => DbBackend::Sqlite,
            Self::Postgres => DbBackend::Postgres,
            Self::Mysql => DbBackend::MySql,
        }
    }

    /// The condition on current records, in the words that make each planner use its index.
    pub(crate) fn is_current(self) -> &'static str {
        match self {
            // As the partial index states it.
            Self::Sqlite | Self::Postgres => "is_current",
            // A bare column is no range condition for MySQL's optimiser.
            Self::Mysql => "is_current = 1",
        }
    }

    /// Renders a template: `{p}` is the table prefix, and `?` the next parameter.
    pub(crate) fn render(self, prefix: &str, template: &str) -> String {
        let mut sql = String::with_capacity(template.len() + 64);
        let mut parameter = 0_usize;
        let mut rest = template;
        while let Some(at) = rest.find(['{', '?']) {
            sql.push_str(&rest[..at]);
            if let Some(after) = rest[at..].strip_prefix("{p}") {
                sql.push_str(prefix);
                rest = after;
                continue;
            }
            if rest.as_bytes()[at] == b'?' && self == Self::Postgres {
                parameter += 1;
                sql.push('$');
                sql.push_str(&parameter.to_string());
            } else {
                sql.push_str(&rest[at..=at]);
            }
            rest = &rest[at + 1..];
        }
        sql.push_str(rest);
        sql
    }
}

/// `item` so many times, separated by `between`.
pub(crate) fn repeated(item: &str, between: &str, times: usize) -> String {
    let mut list = String::with_capacity((item.len() + between.len()) * times);
    for n in 0..times {
        if n > 0 {
            list.push_str(between);
        }
        list.push_str(item);
    }
    list
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn templates_are_rendered_in_each_dialect() {
        let template = "SELECT ? FROM {p}events WHERE a = ? AND b = '{}'";
        assert_eq!(
            Dialect::Postgres.render("x_", template),
            "SELECT $1 FROM x_events WHERE a = $2 AND b = '{}'"
        );
        assert_eq!(
            Dialect::Mysql.render("x_", template),
            "SELECT ? FROM x_events WHERE a = ? AND b = '{}'"
        );
        assert_eq!(repeated("(?)", ", ", 3), "(?), (?), (?)");
        assert_eq!(repeated("(?)", ", ", 0), "");
    }
}
