//! What a decision needs: subjects by all of their names, their current records, and those named.

use std::collections::{BTreeMap, BTreeSet};

use sea_orm::Value;
use stripe_billing_core::state::{ObjectRef, Record, Subject};
use stripe_billing_core::store::LoadRequest;
use stripe_billing_core::{ErrorKind, StoreError, SubjectKey};

use crate::classify::corrupt;
use crate::db::{self, Db, column};
use crate::dialect::{Dialect, repeated};

/// Ids and records that can be named at once, which is bounded by SQLite's 32,766 parameters; a
/// batch of events names a few hundred at most.
const MAX_NAMED: usize = 4_096;

/// One statement, so that versions and records are of one instant. Each part is a lookup of its own
/// in an index, so that none of it grows with a subject's history; no record is read twice.
pub(crate) async fn load(db: &Db, request: &LoadRequest) -> Result<Vec<Subject>, StoreError> {
    let ids: BTreeSet<&str> = request.ids.iter().map(String::as_str).collect();
    let named: BTreeSet<&ObjectRef> = request.objects.iter().collect();
    if ids.is_empty() {
        return Ok(Vec::new());
    }
    if ids.len().max(named.len()) > MAX_NAMED {
        return Err(StoreError::new(
            ErrorKind::Unsupported,
            format!(
                "{} ids and {} records are named at once, and {MAX_NAMED} can be",
                ids.len(),
                named.len()
            ),
        ));
    }
    let (sql, values) = statement(db.dialect, request, &ids, &named);
    let rows = db.query(db.reader(), db.render(&sql), values).await?;
    let mut loaded: BTreeMap<String, Subject> = BTreeMap::new();
    let mut records = Vec::with_capacity(rows.len());
    for row in &rows {
        let (id, version): (String, i64) = (column(row, 0)?, column(row, 1)?);
        let body: String = column(row, 3)?;
        if version == 0 {
            let record: Record = serde_json::from_str(&body).map_err(corrupt)?;
            records.push((id, record));
            continue;
        }
        let mut subject =
            Subject::new(SubjectKey { tenant: request.tenant.clone(), id: id.clone() });
        subject.version = version;
        subject.owner = column(row, 2)?;
        subject.links = serde_json::from_str(&body).map_err(corrupt)?;
        loaded.insert(id, subject);
    }
    for (id, record) in records {
        if let Some(subject) = loaded.get_mut(&id) {
            subject.records.insert(record.object(), record);
        }
    }
    Ok(loaded.into_values().collect())
}

/// The template and its values.
fn statement(
    dialect: Dialect,
    request: &LoadRequest,
    ids: &BTreeSet<&str>,
    named: &BTreeSet<&ObjectRef>,
) -> (String, Vec<Value>) {
    #[cfg(feature = "postgres")]
    if dialect == Dialect::Postgres {
        return with_arrays(request, ids, named);
    }
    with_lists(dialect, request, ids, named)
}

/// Postgres: one text for every number of ids and records.
#[cfg(feature = "postgres")]
fn with_arrays(
    request: &LoadRequest,
    ids: &BTreeSet<&str>,
    named: &BTreeSet<&ObjectRef>,
) -> (String, Vec<Value>) {
    use crate::db::array;

    let mut sql = String::from(
        "SELECT id, version, owner, links FROM {p}subjects \
         WHERE stripe_account = $1 AND livemode = $2 AND id = ANY($3) \
         UNION ALL SELECT subject, 0, NULL, body FROM {p}records \
         WHERE stripe_account = $1 AND livemode = $2 AND subject = ANY($3) AND is_current",
    );
    let mut values = db::tenant_values(&request.tenant).to_vec();
    values.push(array::texts(ids.iter().copied()));
    if !named.is_empty() {
        // `OFFSET 0` makes it a lookup for each: a join may read all records of the subjects, which
        // is the cheaper only as long as no customer has a long past.
        sql.push_str(
            " UNION ALL SELECT n.subject, 0, NULL, n.body \
             FROM unnest($4::text[], $5::text[]) AS o(kind, id) CROSS JOIN LATERAL \
             (SELECT r.subject, r.body FROM {p}records r \
             WHERE r.stripe_account = $1 AND r.livemode = $2 AND r.subject = ANY($3) \
             AND r.kind = o.kind AND r.id = o.id AND NOT r.is_current OFFSET 0) AS n",
        );
        values.push(array::texts(named.iter().map(|object| object.kind.as_str())));
        values.push(array::texts(named.iter().map(|object| object.id.as_str())));
    }
    (sql, values)
}

/// A power of two of each, so that few statements are prepared: the last one is repeated.
fn with_lists(
    dialect: Dialect,
    request: &LoadRequest,
    ids: &BTreeSet<&str>,
    named: &BTreeSet<&ObjectRef>,
) -> (String, Vec<Value>) {
    let list = repeated("?", ", ", ids.len().next_power_of_two());
    let mut scope = db::tenant_values(&request.tenant).to_vec();
    scope.extend(padded(ids).map(db::text));
    let mut sql = format!(
        "SELECT id, version, owner, links FROM {{p}}subjects \
         WHERE stripe_account = ? AND livemode = ? AND id IN ({list}) \
         UNION ALL SELECT subject, 0, NULL, body FROM {{p}}records \
         WHERE stripe_account = ? AND livemode = ? AND subject IN ({list}) AND {}",
        dialect.is_current()
    );
    let mut values = scope.clone();
    values.extend(scope.iter().cloned());
    if named.is_empty() {
        return (sql, values);
    }
    let places = named.len().next_power_of_two();
    let objects = padded(named)
        .flat_map(|object| [db::text(object.kind.as_str()), db::text(&object.id)])
        .collect::<Vec<_>>();
    if dialect == Dialect::Mysql {
        sql.push_str(&format!(
            " UNION ALL SELECT subject, 0, NULL, body FROM {{p}}records FORCE INDEX (PRIMARY) \
             WHERE stripe_account = ? AND livemode = ? AND subject IN ({list}) AND ({}) \
             AND is_current = 0",
            repeated("(kind = ? AND id = ?)", " OR ", places)
        ));
        values.extend(scope);
        values.extend(objects);
    } else {
        // `CROSS JOIN` keeps the order of the tables.
        sql.push_str(&format!(
            " UNION ALL SELECT r.subject, 0, NULL, r.body \
             FROM (VALUES {}) AS o CROSS JOIN {{p}}records AS r \
             WHERE r.stripe_account = ? AND r.livemode = ? AND r.subject IN ({list}) \
             AND r.kind = o.column1 AND r.id = o.column2 AND NOT r.is_current",
            repeated("(?, ?)", ", ", places)
        ));
        values.extend(objects);
        values.extend(scope);
    }
    (sql, values)
}

fn padded<T: Copy + Ord>(items: &BTreeSet<T>) -> impl Iterator<Item = T> {
    let padding = items.len().next_power_of_two() - items.len();
    let last = items.last().copied();
    items.iter().copied().chain(std::iter::repeat_n(last, padding).flatten())
}

#[cfg(all(test, feature = "sqlite"))]
mod tests {
    use stripe_billing_core::Tenant;
    use stripe_billing_core::state::ObjectKind;

    use super::*;
    use crate::SeaOrmStore;

    #[tokio::test]
    async fn no_part_reads_more_of_the_history_than_it_returns() {
        let store = SeaOrmStore::connect("sqlite::memory:").await.unwrap();
        let db = &store.db;
        let object = ObjectRef::new(ObjectKind::Invoice, "in_1");
        for ids in [vec!["cus_1"], vec!["ch_1", "cus_1", "pi_1"]] {
            let request = LoadRequest {
                tenant: Tenant::platform(true),
                ids: ids.iter().map(|id| (*id).to_owned()).collect(),
                objects: vec![object.clone()],
            };
            let (sql, values) = statement(
                db.dialect,
                &request,
                &ids.into_iter().collect(),
                &[&object].into_iter().collect(),
            );
            let explain = format!("EXPLAIN QUERY PLAN {}", db.render(&sql));
            let rows = db.query(db.reader(), explain, values).await.unwrap();
            let plan: Vec<String> = rows
                .iter()
                .map(|row| column(row, 3).unwrap())
                .filter(|step: &String| step.starts_with("S"))
                .collect();
            let expected = [
                "PRIMARY KEY (stripe_account=? AND livemode=? AND id=?)",
                "billing_records_current (stripe_account=? AND livemode=? AND subject=?)",
                "(stripe_account=? AND livemode=? AND subject=? AND kind=? AND id=?)",
            ];
            let searches: Vec<&String> =
                plan.iter().filter(|step| step.starts_with("SEARCH")).collect();
            assert_eq!(searches.len(), expected.len(), "{plan:?}");
            for (step, expected) in searches.iter().zip(expected) {
                assert!(step.ends_with(expected), "{plan:?}");
            }
            // The list of named records is all that is read from one end to the other.
            let scans: Vec<&String> = plan.iter().filter(|step| step.starts_with("SCAN")).collect();
            assert!(scans.iter().all(|step| !step.contains("billing_") && *step != "SCAN r"));
        }
    }
}
