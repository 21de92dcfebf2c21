//! Postgres: a decision in one statement, and no transaction around it.

use sea_orm::{QueryResult, Value};
use serde_json::json;
use stripe_billing_core::StoreError;
use stripe_billing_core::changes::AuditEntry;
use stripe_billing_core::store::Commit;

use super::Row;
use crate::classify::{corrupt, is_division_by_zero, is_null_refused};
use crate::db::{self, Db, array, column};
use crate::settle;

/// Which parts the statement has.
#[derive(Clone, Copy, Debug)]
struct Shape {
    /// The subject is new.
    create: bool,
    /// There are messages to tell.
    facts: bool,
    /// Parked events are released.
    release: bool,
    /// Ids become names of the subject.
    names: bool,
    /// There are lines for the audit log.
    audit: bool,
}

/// How many shapes there are.
pub(crate) const SHAPES: usize = 32;

impl Shape {
    fn new(row: &Row<'_>) -> Self {
        Self {
            create: row.changes.expected_version == 0,
            facts: !row.effects.facts.is_empty(),
            release: row.changes.release_parked,
            names: !row.adopted.is_empty(),
            audit: !row.effects.audit.is_empty(),
        }
    }

    fn index(self) -> usize {
        let flags = [self.create, self.facts, self.release, self.names, self.audit];
        flags.iter().rev().fold(0, |index, flag| index << 1 | usize::from(*flag))
    }

    fn of(index: usize) -> Self {
        let flag = |bit: usize| index >> bit & 1 == 1;
        Self { create: flag(0), facts: flag(1), release: flag(2), names: flag(3), audit: flag(4) }
    }
}

pub(super) async fn commit(db: &Db, mut row: Row<'_>) -> Result<Commit, StoreError> {
    let shape = Shape::new(&row);
    let sql = db.sql.commit[shape.index()].as_str();
    let answer = match db.query(db.writer(), sql, values(&row, shape)).await {
        Err(error) if is_null_refused(&error) => {
            // Other words need not be another message: then it is told in the words that are there.
            let told = row.effects.told(db, db.writer(), &row.subject, "").await?;
            for fact in &mut row.effects.facts {
                if let Some(body) = told.get(&fact.entry.key) {
                    fact.body.clone_from(body);
                }
            }
            db.query(db.writer(), sql, values(&row, shape)).await
        }
        answer => answer,
    };
    match answer {
        Err(error) if shape.names && is_division_by_zero(&error) => Ok(Commit::Conflict),
        answer => outcome(&answer?),
    }
}

fn outcome(counts: &[QueryResult]) -> Result<Commit, StoreError> {
    let Some(counts) = counts.first() else {
        return Err(corrupt("the commit statement returned no row"));
    };
    Ok(match (column::<i64>(counts, 0)?, column::<i64>(counts, 1)?) {
        (0, _) => Commit::LeaseLost,
        (_, 0) => Commit::Conflict,
        _ => Commit::Done,
    })
}

/// The values in the order of [`statement`]'s parameters.
fn values(row: &Row<'_>, shape: Shape) -> Vec<Value> {
    let mut values = vec![row.lease.seq.into(), row.lease.epoch.into()];
    values.extend(settle::columns(&row.changes.settlement, row.changes.now));
    values.extend(row.subject.iter().cloned());
    values.extend([
        row.changes.expected_version.into(),
        row.account(),
        db::text(&row.links),
        array::texts(row.records.iter().map(|record| record.object.kind.as_str())),
        array::texts(row.records.iter().map(|record| record.object.id.as_str())),
        array::bools(row.records.iter().map(|record| record.write.current)),
        array::texts(row.records.iter().map(|record| record.body.as_str())),
        row.anomalies(),
    ]);
    let facts = || row.effects.facts.iter();
    if shape.facts {
        values.extend([
            row.now(),
            db::text(row.effects.status()),
            array::texts(facts().map(|fact| fact.entry.key.as_str())),
            array::texts(facts().map(|fact| fact.entry.message.kind())),
            array::bools(facts().map(|fact| fact.entry.message.is_notice())),
            array::texts(facts().map(|fact| fact.body.as_str())),
            array::numbers(facts().map(|fact| row.effects.due_or_now(fact))),
        ]);
    }
    if shape.release {
        values.push(row.now());
    }
    if shape.names {
        let names = || row.adopted.iter();
        values.extend([
            array::texts(names().map(|name| name.name.id.as_str())),
            array::numbers(names().map(|name| name.name.expected_version)),
            array::texts(names().map(|name| name.links.as_str())),
            i64::try_from(row.adopted.len()).unwrap_or(i64::MAX).into(),
        ]);
    }
    if shape.audit {
        let lines = row.effects.audit.iter().map(line);
        values.extend([row.now(), db::text(&serde_json::Value::from_iter(lines).to_string())]);
    }
    values
}

/// A line of the audit log.
pub(super) fn line(entry: &AuditEntry) -> serde_json::Value {
    json!({
        "actor": entry.actor, "action": entry.action, "kind": entry.object.kind.as_str(),
        "id": entry.object.id, "before": entry.before, "after": entry.after,
        "reason": entry.reason,
    })
}

/// The template of a shape. Each part happens only if the lease is held (`fence`) and the subject's
/// version was the expected one (`subject`). Both lock their row, so that a concurrent writer is
/// waited for and its outcome seen. A message that is there with other content is set to `NULL`,
/// which its column refuses, and with it the whole statement; a name whose version is not the
/// expected one is a division by zero.
pub(crate) fn statement(index: usize) -> String {
    let shape = Shape::of(index);
    let mut sql = String::from(
        "WITH fence AS MATERIALIZED (SELECT seq FROM {p}events \
         WHERE seq = $1 AND epoch = $2 AND status = 'processing' FOR UPDATE), subject AS (",
    );
    sql.push_str(if shape.create {
        "INSERT INTO {p}subjects (stripe_account, livemode, id, version, account, links) \
         SELECT $9::text, $10::bool, $11::text, 1, $13::text, $14::text FROM fence \
         WHERE $12::bigint = 0 ON CONFLICT DO NOTHING RETURNING 1"
    } else {
        "UPDATE {p}subjects SET version = version + 1, account = $13, links = $14 \
         WHERE stripe_account = $9 AND livemode = $10 AND id = $11 AND version = $12 \
         AND EXISTS (SELECT 1 FROM fence) RETURNING 1"
    });
    sql.push_str(
        "), settled AS (UPDATE {p}events SET status = $3, due_at = $4, \
         attempts = attempts + $5, reason = $6, message = COALESCE($7, message), \
         error_class = COALESCE($8, error_class), subject = $11, anomalies = $19 \
         WHERE seq = $1 AND EXISTS (SELECT 1 FROM subject)), \
         written AS (INSERT INTO {p}records \
         (stripe_account, livemode, subject, kind, id, is_current, body) \
         SELECT $9, $10, $11, r.kind, r.id, r.is_current, r.body \
         FROM unnest($15::text[], $16::text[], $17::bool[], $18::text[]) \
         AS r(kind, id, is_current, body) WHERE EXISTS (SELECT 1 FROM subject) \
         ON CONFLICT (stripe_account, livemode, subject, kind, id) \
         DO UPDATE SET is_current = excluded.is_current, body = excluded.body)",
    );
    let mut last = 19;
    let mut take = || {
        last += 1;
        format!("${last}")
    };
    if shape.facts {
        sql.push_str(&told(std::array::from_fn(|_| take())));
    }
    if shape.release {
        sql.push_str(&released(&take()));
    }
    let names = shape.names.then(|| named(std::array::from_fn(|_| take())));
    if let Some((names, _)) = &names {
        sql.push_str(names);
    }
    if shape.audit {
        sql.push_str(&logged(std::array::from_fn(|_| take())));
    }
    match names {
        None => {
            sql.push_str(" SELECT (SELECT COUNT(*) FROM fence), (SELECT COUNT(*) FROM subject)");
        }
        Some((_, outcome)) => sql.push_str(&outcome),
    }
    sql
}

/// Messages. Those that are there already, which is most of them, are found by their key and cost
/// neither a lock nor a row version.
fn told([now, status, keys, kinds, notices, bodies, dues]: [String; 7]) -> String {
    format!(
        ", told AS (INSERT INTO {{p}}outbox AS o (stripe_account, livemode, fact_key, kind, \
         is_notice, body, subject, created_at, status, due_at) \
         SELECT $9, $10, f.key, f.kind, f.is_notice, f.body, $11, {now}, {status}, \
         CASE WHEN {status} = 'shadow' THEN NULL ELSE f.due END \
         FROM unnest({keys}::text[], {kinds}::text[], {notices}::bool[], {bodies}::text[], \
         {dues}::bigint[]) AS f(key, kind, is_notice, body, due) \
         WHERE EXISTS (SELECT 1 FROM subject) \
         AND (SELECT k.body FROM {{p}}outbox k WHERE k.stripe_account = $9 AND k.livemode = $10 \
         AND k.fact_key = f.key) IS DISTINCT FROM f.body \
         ON CONFLICT (stripe_account, livemode, fact_key) \
         DO UPDATE SET body = NULL WHERE o.body <> excluded.body)"
    )
}

/// Parked events of the subject.
fn released(now: &str) -> String {
    format!(
        ", released AS (UPDATE {{p}}events SET status = 'received', due_at = {now}, \
         reason = NULL WHERE stripe_account = $9 AND livemode = $10 AND subject = $11 \
         AND seq <> $1 AND status = 'parked' AND reason = 'unlinked' \
         AND EXISTS (SELECT 1 FROM subject))"
    )
}

/// Names, and the end of the statement that counts them.
fn named([ids, versions, links, count]: [String; 4]) -> (String, String) {
    let names = format!(
        "unnest({ids}::text[], {versions}::bigint[], {links}::text[]) AS n(id, version, links)"
    );
    let parts = format!(
        ", named AS (INSERT INTO {{p}}subjects \
         (stripe_account, livemode, id, version, owner, links) \
         SELECT $9, $10, n.id, 1, $11, n.links FROM {names} \
         WHERE n.version = 0 AND EXISTS (SELECT 1 FROM subject) \
         ON CONFLICT DO NOTHING RETURNING 1), \
         pointed AS (UPDATE {{p}}subjects s SET version = s.version + 1, owner = $11, \
         account = NULL, links = n.links FROM {names} \
         WHERE s.stripe_account = $9 AND s.livemode = $10 AND s.id = n.id \
         AND n.version > 0 AND s.version = n.version \
         AND EXISTS (SELECT 1 FROM subject) RETURNING 1)"
    );
    let outcome = format!(
        " SELECT (SELECT COUNT(*) FROM fence), CASE (SELECT COUNT(*) FROM subject) \
         WHEN 0 THEN 0 ELSE 1 / (CASE (SELECT COUNT(*) FROM named) \
         + (SELECT COUNT(*) FROM pointed) WHEN {count}::bigint THEN 1 ELSE 0 END)::bigint END"
    );
    (parts, outcome)
}

/// Lines of the audit log, as JSON because an array of columns has no empty places.
fn logged([now, lines]: [String; 2]) -> String {
    format!(
        ", logged AS (INSERT INTO {{p}}audit (at, stripe_account, livemode, subject, actor, \
         action, object_kind, object_id, state_before, state_after, reason) \
         SELECT {now}, $9, $10, $11, l.line->>'actor', l.line->>'action', l.line->>'kind', \
         l.line->>'id', l.line->>'before', l.line->>'after', l.line->>'reason' \
         FROM json_array_elements({lines}::json) WITH ORDINALITY AS l(line, place) \
         WHERE EXISTS (SELECT 1 FROM subject) ORDER BY l.place)"
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_shape_has_a_statement_of_its_own() {
        for index in 0..SHAPES {
            assert_eq!(Shape::of(index).index(), index);
        }
    }
}
