//! The tables of the ledger, described once for all databases: what is written, and what a second
//! write of a row does.

#[cfg(feature = "postgres")]
use sea_orm::Value;
#[cfg(feature = "postgres")]
use stripe_billing_core::StoreError;

#[cfg(feature = "postgres")]
use crate::classify::corrupt;
use crate::dialect::{Dialect, repeated};

/// What a column holds.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Kind {
    Number,
    Text,
    Flag,
}

/// What happens to a row whose key is there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Clash {
    /// The statement fails, and all that was written with it. Of what is written once nothing may
    /// be passed over: the balance would move without it.
    Fail,
    /// The row is replaced, but for columns that stay as they were first written: SQLite would write
    /// the indices anew in which they are. Whoever writes holds the account in the version that the
    /// row is of.
    Replace { but: &'static [&'static str] },
    /// The row stays as it is.
    Keep,
}

/// A table, as it is written.
#[derive(Debug)]
pub(crate) struct Table {
    pub(crate) name: &'static str,
    /// Without the account, which comes first where the rows are an account's.
    pub(crate) columns: &'static [(&'static str, Kind)],
    /// What the key consists of, beside the account.
    key: &'static [&'static str],
    clash: Clash,
    pub(crate) is_accounts: bool,
}

use Kind::{Flag, Number, Text};

/// The account's row, as a write sets it.
pub(super) const BALANCE: &[(&str, Kind)] = &[
    ("seq", Number),
    ("available", Number),
    ("held", Number),
    ("frozen", Number),
    ("debt", Number),
    ("overdraft_limit", Number),
    ("written_off", Number),
    ("level", Text),
    ("epoch", Number),
    ("recorded_at", Number),
    ("next_due_at", Number),
];

/// The values of an account's row: [`BALANCE`], the version in which it has to be, and its number.
pub(super) const HEAD_WIDTH: usize = BALANCE.len() + 2;

pub(crate) const LOTS: Table = Table {
    name: "credit_lots",
    columns: &[
        ("id", Number),
        ("is_open", Flag),
        ("kind", Text),
        ("category", Text),
        ("grant_key", Text),
        ("source_id", Text),
        ("in_period", Text),
        ("in_series", Text),
        ("granted", Number),
        ("priority", Number),
        ("effective_at", Number),
        ("expires_at", Number),
        ("ended_at", Number),
        ("remaining", Number),
        ("held", Number),
        ("frozen", Number),
        ("consumed", Number),
        ("expired", Number),
        ("clawed", Number),
        ("repaid", Number),
    ],
    key: &["id"],
    clash: Clash::Replace {
        but: &[
            "kind",
            "category",
            "grant_key",
            "source_id",
            "in_period",
            "in_series",
            "granted",
            "priority",
            "effective_at",
        ],
    },
    is_accounts: true,
};

pub(crate) const ENTRIES: Table = Table {
    name: "credit_entries",
    columns: &[
        ("seq", Number),
        ("kind", Text),
        ("delta_available", Number),
        ("delta_held", Number),
        ("delta_debt", Number),
        ("available_after", Number),
        ("held_after", Number),
        ("overdraft_limit", Number),
        ("moves", Text),
        ("written_off", Number),
        ("idem_key", Text),
        ("request_hash", Text),
        ("actor", Text),
        ("feature", Text),
        ("reference", Text),
        ("reason", Text),
        ("reverses", Number),
        ("effective_at", Number),
        ("recorded_at", Number),
    ],
    key: &["seq"],
    clash: Clash::Fail,
    is_accounts: true,
};

pub(crate) const KEYS: Table = Table {
    name: "credit_keys",
    columns: &[("idem_key", Text), ("request_hash", Text), ("first_seq", Number), ("reply", Text)],
    key: &["idem_key"],
    clash: Clash::Fail,
    is_accounts: true,
};

pub(crate) const RESERVATIONS: Table = Table {
    name: "credit_reservations",
    columns: &[("id", Text), ("is_open", Flag), ("body", Text)],
    key: &["id"],
    clash: Clash::Replace { but: &[] },
    is_accounts: true,
};

pub(crate) const LIMITS: Table = Table {
    name: "credit_limits",
    columns: &[("id", Text), ("body", Text)],
    key: &["id"],
    clash: Clash::Replace { but: &[] },
    is_accounts: true,
};

pub(crate) const FREEZES: Table = Table {
    name: "credit_freezes",
    columns: &[("id", Text), ("is_open", Flag), ("body", Text)],
    key: &["id"],
    clash: Clash::Replace { but: &[] },
    is_accounts: true,
};

pub(crate) const SOURCES: Table = Table {
    name: "credit_sources",
    columns: &[("id", Text), ("body", Text)],
    key: &["id"],
    clash: Clash::Replace { but: &[] },
    is_accounts: true,
};

pub(crate) const SCHEDULED: Table = Table {
    name: "credit_scheduled",
    columns: &[("grant_key", Text), ("source_id", Text), ("body", Text)],
    key: &["grant_key"],
    clash: Clash::Replace { but: &[] },
    is_accounts: true,
};

/// The outbox, for notices of low balances.
pub(crate) const NOTICES: Table = Table {
    name: "outbox",
    columns: &[
        ("stripe_account", Text),
        ("livemode", Flag),
        ("subject", Text),
        ("fact_key", Text),
        ("kind", Text),
        ("is_notice", Flag),
        ("body", Text),
        ("created_at", Number),
        ("status", Text),
        ("due_at", Number),
    ],
    key: &["stripe_account", "livemode", "fact_key"],
    clash: Clash::Keep,
    is_accounts: false,
};

/// The audit log, for what operators did.
pub(crate) const AUDIT: Table = Table {
    name: "audit",
    columns: &[
        ("at", Number),
        ("stripe_account", Text),
        ("livemode", Flag),
        ("subject", Text),
        ("actor", Text),
        ("action", Text),
        ("object_kind", Text),
        ("object_id", Text),
        ("state_before", Text),
        ("state_after", Text),
        ("reason", Text),
    ],
    key: &["seq"],
    clash: Clash::Fail,
    is_accounts: false,
};

impl Table {
    /// How many values a row has: where it is an account's, the account comes first.
    pub(super) fn width(&self) -> usize {
        self.columns.len() + usize::from(self.is_accounts)
    }

    /// Whether every row that is given is written or replaced, and so counted.
    pub(super) fn counts(&self) -> bool {
        self.clash != Clash::Keep
    }

    fn names(&self) -> String {
        let account = self.is_accounts.then_some("account_id");
        let names: Vec<&str> =
            account.into_iter().chain(self.columns.iter().map(|(name, _)| *name)).collect();
        names.join(", ")
    }

    fn on_clash(&self, dialect: Dialect) -> String {
        let account = self.is_accounts.then_some("account_id");
        let key: Vec<&str> = account.into_iter().chain(self.key.iter().copied()).collect();
        let set = |but: &[&str], value: fn(&str) -> String| -> String {
            let names = self.columns.iter().map(|(name, _)| *name);
            let changed = names.filter(|name| !key.contains(name) && !but.contains(name));
            let set: Vec<String> =
                changed.map(|name| format!("{name} = {}", value(name))).collect();
            set.join(", ")
        };
        match (self.clash, dialect) {
            (Clash::Fail, _) => String::new(),
            // MySQL's IGNORE would hide other errors as well.
            (Clash::Keep, Dialect::Mysql) => " ON DUPLICATE KEY UPDATE seq = seq".to_owned(),
            (Clash::Keep, Dialect::Sqlite | Dialect::Postgres) => {
                format!(" ON CONFLICT ({}) DO NOTHING", key.join(", "))
            }
            (Clash::Replace { but }, Dialect::Mysql) => {
                let set = set(but, |name| format!("VALUES({name})"));
                format!(" ON DUPLICATE KEY UPDATE {set}")
            }
            (Clash::Replace { but }, Dialect::Sqlite | Dialect::Postgres) => {
                let set = set(but, |name| format!("excluded.{name}"));
                format!(" ON CONFLICT ({}) DO UPDATE SET {set}", key.join(", "))
            }
        }
    }

    /// The template that writes so many rows. New rows clash with nothing: MySQL would take another
    /// unique key than the primary one for a clash, too. On SQLite a row may be left empty: then the
    /// first column is `NULL`, as it never is.
    pub(crate) fn insert(&self, dialect: Dialect, rows: usize, is_new: bool) -> String {
        let row = format!("({})", repeated("?", ", ", self.width()));
        let mut values = format!("VALUES {}", repeated(&row, ", ", rows));
        if dialect == Dialect::Sqlite && rows > 1 {
            values = format!("SELECT * FROM ({values}) WHERE column1 IS NOT NULL");
        }
        let clash = if is_new { String::new() } else { self.on_clash(dialect) };
        format!("INSERT INTO {{p}}{} ({}) {values}{clash}", self.name, self.names())
    }

    /// A part of a statement of Postgres: writes the rows of a JSON array, those of the accounts that
    /// are in `head`.
    #[cfg(feature = "postgres")]
    pub(crate) fn part(&self, parameter: usize) -> String {
        let read: Vec<String> = self.columns.iter().map(|(name, _)| format!("r.{name}")).collect();
        let account = if self.is_accounts { "head.id, " } else { "" };
        format!(
            ", {name} AS (INSERT INTO {{p}}{name} ({}) SELECT {account}{} FROM head \
             JOIN json_to_recordset(${parameter}::json) AS r(acc bigint, {}) ON r.acc = head.id{})",
            self.names(),
            read.join(", "),
            typed(self.columns),
            self.on_clash(Dialect::Postgres),
            name = self.name,
        )
    }

    /// Adds an account's rows to the JSON array that [`Table::part`] reads.
    #[cfg(feature = "postgres")]
    pub(crate) fn add_json(
        &self,
        text: &mut String,
        account: i64,
        values: &[Value],
    ) -> Result<(), StoreError> {
        let own = usize::from(self.is_accounts);
        let mut rows = values.chunks_exact(self.width());
        rows.try_for_each(|row| add_json(text, account, self.columns, &row[own..]))
    }
}

/// Columns with their types, as Postgres reads them from JSON.
#[cfg(feature = "postgres")]
pub(crate) fn typed(columns: &[(&str, Kind)]) -> String {
    let typed: Vec<String> = columns
        .iter()
        .map(|(name, kind)| match kind {
            Number => format!("{name} bigint"),
            Text => format!("{name} text"),
            Flag => format!("{name} bool"),
        })
        .collect();
    typed.join(", ")
}

/// Adds a row to a JSON array that is still open. Unlike an array for each column it may have empty
/// places.
#[cfg(feature = "postgres")]
pub(crate) fn add_json(
    text: &mut String,
    account: i64,
    columns: &[(&str, Kind)],
    row: &[Value],
) -> Result<(), StoreError> {
    use std::fmt::Write as _;

    text.push(if text.is_empty() { '[' } else { ',' });
    // Writing to a string cannot fail.
    let _ = write!(text, "{{\"acc\":{account}");
    for ((name, _), value) in columns.iter().zip(row) {
        let _ = match value {
            Value::BigInt(Some(number)) => write!(text, ",\"{name}\":{number}"),
            Value::Bool(Some(flag)) => write!(text, ",\"{name}\":{flag}"),
            Value::String(Some(words)) => {
                let words = serde_json::to_string(words).map_err(corrupt)?;
                write!(text, ",\"{name}\":{words}")
            }
            Value::BigInt(None) | Value::String(None) => Ok(()),
            other => return Err(corrupt(format!("{other:?} is in no column"))),
        };
    }
    text.push('}');
    Ok(())
}
