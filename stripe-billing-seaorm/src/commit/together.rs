//! Postgres: the decisions on one event or several in one statement, and no transaction around it.

use std::collections::{BTreeMap, BTreeSet};

use sea_orm::Value;
use serde_json::{Value as Json, json};
use stripe_billing_core::StoreError;
use stripe_billing_core::changes::Settlement;
use stripe_billing_core::store::Commit;

use super::{NameRow, RecordRow, Row};
use crate::classify::{is_division_by_zero, is_null_refused};
use crate::db::{self, Db, array, column};
use crate::effects::FactRow;

/// Writes as many as fit into one statement, from the first on; how many. None where one of them is
/// refused.
pub(super) async fn commit(db: &Db, rows: &[Row<'_>]) -> Result<usize, StoreError> {
    let group = Group::of(rows);
    let Some(first) = rows.first() else { return Ok(0) };
    match db.query(db.writer(), db.sql.commit.as_str(), group.values(first)).await {
        Ok(_) => Ok(group.rows.len()),
        // A lease or a version is another one, or a message is there in other words.
        Err(error) if is_division_by_zero(&error) || is_null_refused(&error) => Ok(0),
        Err(error) => Err(error),
    }
}

/// Why one is refused, if its lease or its subject's version tells. The rest is known to the steps.
pub(super) async fn refusal(db: &Db, row: &Row<'_>) -> Result<Option<Commit>, StoreError> {
    let mut values = vec![row.lease.seq.into(), row.lease.epoch.into()];
    values.extend(row.subject.iter().cloned());
    values.push(row.changes.expected_version.into());
    let found = db.query(db.writer(), db.sql.refusal.as_str(), values).await?;
    let Some(found) = found.first() else { return Ok(None) };
    Ok(match (column(found, 0)?, column(found, 1)?) {
        (false, _) => Some(Commit::LeaseLost),
        (true, false) => Some(Commit::Conflict),
        (true, true) => None,
    })
}

/// The template that asks for lease and version.
pub(crate) const REFUSAL: &str = "SELECT \
     EXISTS (SELECT 1 FROM {p}events WHERE seq = ? AND epoch = ? AND status = 'processing'), \
     COALESCE((SELECT version FROM {p}subjects \
     WHERE stripe_account = ? AND livemode = ? AND id = ?), 0) = ?";

/// Decisions that do not depend on each other's rows, but for the versions of their subjects.
struct Group<'a> {
    rows: &'a [Row<'a>],
    /// Subjects and their other names by id, so that nodes that write the same do not wait in a
    /// circle.
    subjects: BTreeMap<&'a str, SubjectRow<'a>>,
    /// The last write of a record holds.
    records: BTreeMap<(&'a str, &'a str, &'a str), &'a RecordRow<'a>>,
    facts: BTreeMap<&'a str, (&'a Row<'a>, &'a FactRow<'a>)>,
}

/// How a row of `subjects` will be.
struct SubjectRow<'a> {
    expected: i64,
    /// By how much its version grows.
    steps: i64,
    owner: &'a str,
    account: &'a str,
    links: &'a str,
}

impl<'a> Group<'a> {
    fn of(rows: &'a [Row<'a>]) -> Self {
        let mut group = Self {
            rows,
            subjects: BTreeMap::new(),
            records: BTreeMap::new(),
            facts: BTreeMap::new(),
        };
        let mut parked = BTreeSet::new();
        let fitting = rows.iter().take_while(|row| group.add(row, &mut parked));
        group.rows = &rows[..fitting.count()];
        group
    }

    /// Whether a row fits to those before it.
    fn add(&mut self, row: &'a Row<'a>, parked: &mut BTreeSet<&'a str>) -> bool {
        let changes = row.changes;
        let id = changes.subject.id.as_str();
        // The statement is about one tenant.
        let first = self.rows.first().map(|first| &first.changes.subject.tenant);
        let is_at_home = first == Some(&changes.subject.tenant);
        let follows = self.subjects.get(id).is_none_or(|known| {
            known.owner.is_empty() && known.expected + known.steps == changes.expected_version
        });
        let named = |name: &NameRow<'_>| self.subjects.contains_key(name.name.id.as_str());
        // What was parked before it is released; in one statement it would not be seen.
        let misses_parked = changes.release_parked && parked.contains(id);
        let said = |fact: &FactRow<'_>| {
            let known = self.facts.get(fact.entry.key.as_str());
            known.is_some_and(|(_, known)| known.body != fact.body)
        };
        if !is_at_home
            || !follows
            || misses_parked
            || row.adopted.iter().any(named)
            || row.effects.facts.iter().any(said)
        {
            return false;
        }
        let subject = self.subjects.entry(id).or_insert(SubjectRow {
            expected: changes.expected_version,
            steps: 0,
            owner: "",
            account: "",
            links: "",
        });
        subject.steps += 1;
        subject.account = changes.account.as_deref().unwrap_or_default();
        subject.links = &row.links;
        for NameRow { name, links } in &row.adopted {
            let name_row = SubjectRow {
                expected: name.expected_version,
                steps: 1,
                owner: id,
                account: "",
                links,
            };
            self.subjects.insert(&name.id, name_row);
        }
        for record in &row.records {
            let object = &record.object;
            self.records.insert((id, object.kind.as_str(), &object.id), record);
        }
        for fact in &row.effects.facts {
            self.facts.entry(&fact.entry.key).or_insert((row, fact));
        }
        if matches!(changes.settlement, Settlement::Parked(_)) {
            parked.insert(id);
        }
        true
    }

    /// The values in the order of [`statement`]'s parameters. What is not there is an empty text:
    /// arrays have no empty places.
    fn values(&self, first: &Row<'_>) -> Vec<Value> {
        let [account, livemode, _] = first.subject.clone();
        let settled: Vec<[String; 2]> =
            self.rows.iter().map(|row| ending(&row.changes.settlement)).collect();
        let rows = || self.rows.iter();
        let subjects = || self.subjects.values();
        let facts = || self.facts.values();
        let released = || rows().filter(|row| row.changes.release_parked);
        let now = |row: &Row<'_>| db::micros(row.changes.now);
        vec![
            account,
            livemode,
            array::numbers(rows().map(|row| row.lease.seq)),
            array::numbers(rows().map(|row| row.lease.epoch)),
            array::texts(settled.iter().map(|[status, _]| status.as_str())),
            array::texts(settled.iter().map(|[_, reason]| reason.as_str())),
            array::texts(rows().map(|row| row.changes.subject.id.as_str())),
            array::texts(rows().map(|row| row.anomalies.as_deref().unwrap_or_default())),
            array::texts(self.subjects.keys().copied()),
            array::numbers(subjects().map(|subject| subject.expected)),
            array::numbers(subjects().map(|subject| subject.steps)),
            array::texts(subjects().map(|subject| subject.owner)),
            array::texts(subjects().map(|subject| subject.account)),
            array::texts(subjects().map(|subject| subject.links)),
            array::texts(self.records.keys().map(|(subject, _, _)| *subject)),
            array::texts(self.records.keys().map(|(_, kind, _)| *kind)),
            array::texts(self.records.keys().map(|(_, _, id)| *id)),
            array::bools(self.records.values().map(|record| record.write.current)),
            array::texts(self.records.values().map(|record| record.body.as_str())),
            db::text(first.effects.status()),
            array::texts(facts().map(|(row, _)| row.changes.subject.id.as_str())),
            array::texts(self.facts.keys().copied()),
            array::texts(facts().map(|(_, fact)| fact.entry.message.kind())),
            array::bools(facts().map(|(_, fact)| fact.entry.message.is_notice())),
            array::texts(facts().map(|(_, fact)| fact.body.as_str())),
            array::numbers(facts().map(|(row, fact)| row.effects.due_or_now(fact))),
            array::numbers(facts().map(|(row, _)| now(row))),
            array::texts(released().map(|row| row.changes.subject.id.as_str())),
            array::numbers(released().map(now)),
            db::text(&Json::from_iter(rows().flat_map(audit_lines)).to_string()),
            count(self.rows.len()),
            count(self.subjects.len()),
        ]
    }
}

/// Status and reason of an event that did not fail.
fn ending(settlement: &Settlement) -> [String; 2] {
    let (status, reason) = match settlement {
        Settlement::Ignored(reason) => ("ignored", reason.as_str().to_owned()),
        Settlement::Parked(reason) => ("parked", reason.code()),
        _ => ("processed", String::new()),
    };
    [status.to_owned(), reason]
}

/// Lines of the audit log, as JSON because an array of columns has no empty places.
fn audit_lines<'a>(row: &'a Row<'_>) -> impl Iterator<Item = Json> + 'a {
    row.effects.audit.iter().map(|entry| {
        json!({
            "at": db::micros(row.changes.now), "subject": row.changes.subject.id,
            "actor": entry.actor, "action": entry.action, "kind": entry.object.kind.as_str(),
            "id": entry.object.id, "before": entry.before, "after": entry.after,
            "reason": entry.reason,
        })
    })
}

fn count(rows: usize) -> Value {
    i64::try_from(rows).unwrap_or(i64::MAX).into()
}

/// The template. One lease or version that is not the expected one is a division by zero, and a
/// message that is there with other content a `NULL` where none may be: then nothing is written.
/// Versions come first, since they are what mostly differs: what the last line does not ask for is
/// written after it.
pub(crate) fn statement() -> String {
    String::from(
        "WITH settled AS (UPDATE {p}events v SET status = e.status, due_at = NULL, \
         reason = NULLIF(e.reason, ''), subject = e.subject, anomalies = NULLIF(e.anomalies, '') \
         FROM unnest($3::bigint[], $4::bigint[], $5::text[], $6::text[], $7::text[], $8::text[]) \
         AS e(seq, epoch, status, reason, subject, anomalies) \
         WHERE v.seq = e.seq AND v.epoch = e.epoch AND v.status = 'processing' RETURNING 1), \
         s AS MATERIALIZED (SELECT * FROM unnest($9::text[], $10::bigint[], $11::bigint[], \
         $12::text[], $13::text[], $14::text[]) AS s(id, expected, steps, owner, account, links)), \
         created AS (INSERT INTO {p}subjects \
         (stripe_account, livemode, id, version, owner, account, links) \
         SELECT $1, $2, s.id, s.steps, NULLIF(s.owner, ''), NULLIF(s.account, ''), s.links \
         FROM s WHERE s.expected = 0 ON CONFLICT DO NOTHING RETURNING 1), \
         moved AS (UPDATE {p}subjects t SET version = t.version + s.steps, \
         owner = NULLIF(s.owner, ''), account = NULLIF(s.account, ''), links = s.links FROM s \
         WHERE t.stripe_account = $1 AND t.livemode = $2 AND t.id = s.id \
         AND s.expected > 0 AND t.version = s.expected RETURNING 1), \
         written AS (INSERT INTO {p}records \
         (stripe_account, livemode, subject, kind, id, is_current, body) \
         SELECT $1, $2, r.* FROM unnest($15::text[], $16::text[], $17::text[], $18::bool[], \
         $19::text[]) AS r ON CONFLICT (stripe_account, livemode, subject, kind, id) \
         DO UPDATE SET is_current = excluded.is_current, body = excluded.body), \
         told AS (INSERT INTO {p}outbox AS o (stripe_account, livemode, fact_key, kind, \
         is_notice, body, subject, created_at, status, due_at) \
         SELECT $1, $2, f.key, f.kind, f.is_notice, f.body, f.subject, f.at, $20, \
         CASE WHEN $20 = 'shadow' THEN NULL ELSE f.due END \
         FROM unnest($21::text[], $22::text[], $23::text[], $24::bool[], $25::text[], \
         $26::bigint[], $27::bigint[]) AS f(subject, key, kind, is_notice, body, due, at) \
         WHERE (SELECT k.body FROM {p}outbox k WHERE k.stripe_account = $1 AND k.livemode = $2 \
         AND k.fact_key = f.key) IS DISTINCT FROM f.body \
         ON CONFLICT (stripe_account, livemode, fact_key) \
         DO UPDATE SET body = NULL WHERE o.body <> excluded.body), \
         released AS (UPDATE {p}events v SET status = 'received', due_at = x.now, reason = NULL \
         FROM unnest($28::text[], $29::bigint[]) AS x(subject, now) \
         WHERE v.stripe_account = $1 AND v.livemode = $2 AND v.subject = x.subject \
         AND v.status = 'parked' AND v.reason = 'unlinked'), \
         logged AS (INSERT INTO {p}audit (at, stripe_account, livemode, subject, actor, \
         action, object_kind, object_id, state_before, state_after, reason) \
         SELECT (l.line->>'at')::bigint, $1, $2, l.line->>'subject', l.line->>'actor', \
         l.line->>'action', l.line->>'kind', l.line->>'id', l.line->>'before', \
         l.line->>'after', l.line->>'reason' \
         FROM json_array_elements($30::json) WITH ORDINALITY AS l(line, place) ORDER BY l.place) \
         SELECT 1 / (CASE WHEN \
         (SELECT COUNT(*) FROM created) + (SELECT COUNT(*) FROM moved) <> $32::bigint THEN 0 \
         WHEN (SELECT COUNT(*) FROM settled) <> $31::bigint THEN 0 ELSE 1 END)",
    )
}

#[cfg(all(test, feature = "sqlite", feature = "postgres", feature = "mysql"))]
#[allow(clippy::unwrap_used)] // A test that cannot go on fails.
mod tests {
    use super::*;
    use stripe_billing_core::store::{Decided, EventStore};

    use crate::support::{Backend, TestDb, changes, claimed, paid};

    #[tokio::test]
    async fn one_decision_and_several_are_one_statement_each() {
        let Some(db) = TestDb::create(Backend::Postgres).await else { return };
        let store = db.store().await;
        let mut leases = Vec::new();
        for id in ["evt_1", "evt_2", "evt_3"] {
            leases.push(claimed(&store, id).await.lease);
        }
        let mut first = changes("cus_1", 0);
        first.effects.outbox.push(paid("in_1", 100));
        store.db.crash.plan(100);
        assert_eq!(store.commit(&leases[0], &first).await.unwrap(), Commit::Done);
        assert_eq!(store.db.crash.left(), 99);

        let (again, other) = (changes("cus_1", 1), changes("cus_2", 0));
        let decided = [(&leases[1], &again), (&leases[2], &other)];
        let decided = decided.map(|(lease, changes)| Decided { lease, changes });
        assert_eq!(store.commit_all(&decided).await.unwrap(), 2);
        assert_eq!(store.db.crash.left(), 98);

        // And one more statement says why not.
        assert_eq!(store.commit(&leases[0], &first).await.unwrap(), Commit::LeaseLost);
        assert_eq!(store.db.crash.left(), 96);
        let lease = claimed(&store, "evt_4").await.lease;
        assert_eq!(store.commit(&lease, &first).await.unwrap(), Commit::Conflict);
        assert_eq!(store.db.crash.left(), 92);
    }
}
