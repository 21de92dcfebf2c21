//! Postgres: all that was decided on some accounts in one statement, and no transaction around it.

use sea_orm::{ConnectionTrait, Value};
use stripe_billing_core::StoreError;

use super::super::rows::{ALL, Rows, TABLES};
use super::super::table::{BALANCE, HEAD_WIDTH, Kind, add_json, typed};
use super::HEAD;
use crate::db::{Db, column};

/// Writes each piece of work whose account is still in its version, and says which accounts are. Of
/// an account there is one piece.
pub(crate) async fn write(
    db: &Db,
    on: &impl ConnectionTrait,
    all: &[Rows],
) -> Result<Vec<i64>, StoreError> {
    let mut shape = Shape { many: all.len() > 1, ..Shape::default() };
    let mut parts: [String; TABLES] = std::array::from_fn(|_| String::new());
    let mut unscheduled = String::new();
    for rows in all {
        shape.add(rows);
        for ((part, table), values) in parts.iter_mut().zip(ALL).zip(&rows.parts) {
            table.add_json(part, rows.account, values)?;
        }
        for key in &rows.unscheduled {
            add_json(&mut unscheduled, rows.account, GONE, std::slice::from_ref(key))?;
        }
    }
    let mut values = heads(all)?;
    let there = parts.into_iter().zip(shape.parts()).filter(|(_, is_there)| *is_there);
    values.extend(there.map(|(part, _)| close(part)));
    if shape.rare {
        values.push(close(unscheduled));
    }
    let sql = db.sql.credit_write[shape.index()].as_str();
    let rows = db.query(on, sql, values).await?;
    rows.iter().map(|row| column(row, 0)).collect()
}

/// An account as parameters of its own; several as JSON.
fn heads(all: &[Rows]) -> Result<Vec<Value>, StoreError> {
    if let [rows] = all {
        return Ok(rows.head.clone());
    }
    let mut json = String::new();
    for rows in all {
        add_json(&mut json, rows.account, &columns(), &rows.head)?;
    }
    Ok(vec![close(json)])
}

fn close(mut json: String) -> Value {
    json.push_str(if json.is_empty() { "[]" } else { "]" });
    Value::String(Some(json))
}

/// Scheduled lots that are no more.
const GONE: &[(&str, Kind)] = &[("grant_key", Kind::Text)];

/// What is said of an account: how its row will be, and the version in which it has to be.
fn columns() -> Vec<(&'static str, Kind)> {
    let version = ("version", Kind::Number);
    BALANCE.iter().copied().chain([version]).collect()
}

/// Which parts the statement has beside lots, entries and keys.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Shape {
    /// There are several accounts.
    many: bool,
    reservations: bool,
    limits: bool,
    /// Freezes, sources, scheduled lots and the audit log.
    rare: bool,
    notices: bool,
}

/// How many shapes there are.
pub(crate) const SHAPES: usize = 32;

impl Shape {
    fn add(&mut self, rows: &Rows) {
        let [_, _, _, reservations, limits, freezes, sources, scheduled, notices, audit] =
            &rows.parts;
        let any = |values: &Vec<Value>| !values.is_empty();
        self.reservations |= any(reservations);
        self.limits |= any(limits);
        let rare = [freezes, sources, scheduled, audit];
        self.rare |= rare.into_iter().any(any) || !rows.unscheduled.is_empty();
        self.notices |= any(notices);
    }

    fn index(self) -> usize {
        let flags = [self.many, self.reservations, self.limits, self.rare, self.notices];
        flags.iter().rev().fold(0, |index, flag| index << 1 | usize::from(*flag))
    }

    fn at(index: usize) -> Self {
        let flag = |bit: usize| index >> bit & 1 == 1;
        Self {
            many: flag(0),
            reservations: flag(1),
            limits: flag(2),
            rare: flag(3),
            notices: flag(4),
        }
    }

    /// Whether each of [`ALL`] is there.
    fn parts(self) -> [bool; TABLES] {
        let Self { many: _, reservations, limits, rare, notices } = self;
        [true, true, true, reservations, limits, rare, rare, rare, notices, rare]
    }
}

/// The template of a shape. Each part takes its accounts from `head`, which waits for their rows and
/// has none in another version. Several are locked first, in the order of their numbers, so that
/// nodes do not wait for each other in a circle.
///
/// Accounts are found by their key however many there are, and whatever is known of the table when
/// the plan is made. Postgres takes any JSON for a hundred rows, and would scan some thousand accounts
/// rather than look for a hundred. Of what `acc + 0 = acc` lets pass, which is all, it expects no more
/// than one.
pub(crate) fn statement(index: usize) -> String {
    let shape = Shape::at(index);
    let (mut sql, mut parameter) = match shape.many {
        false => (format!("WITH head AS ({} RETURNING id)", HEAD), HEAD_WIDTH),
        true => (many_heads(), 1),
    };
    for (table, is_there) in ALL.into_iter().zip(shape.parts()) {
        if is_there {
            parameter += 1;
            sql.push_str(&table.part(parameter));
        }
    }
    if shape.rare {
        parameter += 1;
        sql.push_str(&format!(
            ", unscheduled AS (DELETE FROM {{p}}credit_scheduled s USING head \
             JOIN json_to_recordset(${parameter}::json) AS r(acc bigint, {}) ON r.acc = head.id \
             WHERE s.account_id = r.acc AND s.grant_key = r.grant_key)",
            typed(GONE)
        ));
    }
    sql.push_str(" SELECT id FROM head");
    sql
}

fn many_heads() -> String {
    let set: Vec<String> = BALANCE.iter().map(|(name, _)| format!("{name} = n.{name}")).collect();
    format!(
        "WITH n AS MATERIALIZED (SELECT n.* FROM json_to_recordset($1::json) AS n(acc bigint, {}) \
         JOIN {{p}}credit_accounts a ON a.id = n.acc WHERE n.acc + 0 = n.acc \
         ORDER BY n.acc FOR UPDATE OF a), \
         head AS (UPDATE {{p}}credit_accounts a SET version = a.version + 1, {} \
         FROM n WHERE a.id = n.acc AND a.version = n.version RETURNING a.id)",
        typed(&columns()),
        set.join(", ")
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_shape_has_a_statement_of_its_own() {
        for index in 0..SHAPES {
            assert_eq!(Shape::at(index).index(), index);
        }
    }
}
