//! What a decision needs: a subject, its current records, and those named.

use std::collections::BTreeSet;

use sea_orm::Value;
use stripe_billing_core::state::{ObjectRef, Record, Subject};
use stripe_billing_core::store::LoadRequest;
use stripe_billing_core::{ErrorKind, StoreError};

use crate::classify::corrupt;
use crate::db::{self, Db, column};
use crate::dialect::Dialect;

/// Records that can be named at once; a decision names a handful.
const MAX_NAMED: usize = 256;

/// One statement, so that version and records are of one instant. Each part is a lookup of its own
/// in an index, so that none of it grows with the subject's history.
pub(crate) async fn load(db: &Db, request: &LoadRequest) -> Result<Subject, StoreError> {
    let (sql, values) = statement(db.dialect, request)?;
    let rows = db.query(db.reader(), db.render(&sql), values).await?;
    let mut loaded = Subject::new(request.subject.clone());
    for row in &rows {
        let version: i64 = column(row, 0)?;
        let body: String = column(row, 1)?;
        if version > 0 {
            loaded.version = version;
            loaded.links = serde_json::from_str(&body).map_err(corrupt)?;
        } else {
            let record: Record = serde_json::from_str(&body).map_err(corrupt)?;
            loaded.records.insert(record.object(), record);
        }
    }
    Ok(loaded)
}

/// The template and its values.
fn statement(dialect: Dialect, request: &LoadRequest) -> Result<(String, Vec<Value>), StoreError> {
    let named: BTreeSet<&ObjectRef> = request.objects.iter().collect();
    if named.len() > MAX_NAMED {
        return Err(StoreError::new(
            ErrorKind::Unsupported,
            format!("{} records are named at once, and {MAX_NAMED} can be", named.len()),
        ));
    }
    let [account, livemode] = db::tenant_values(&request.subject.tenant);
    let id = db::text(&request.subject.id);
    let subject = [account, livemode, id];

    let mut sql = format!(
        "SELECT version, links FROM {{p}}subjects \
         WHERE stripe_account = ? AND livemode = ? AND id = ? \
         UNION ALL SELECT 0, body FROM {{p}}records \
         WHERE stripe_account = ? AND livemode = ? AND subject = ? AND {}",
        dialect.is_current()
    );
    let mut values: Vec<Value> = Vec::with_capacity(6 + named.len() * 10);
    values.extend(subject.iter().cloned());
    values.extend(subject.iter().cloned());
    for object in padded(&named) {
        sql.push_str(
            " UNION ALL SELECT 0, body FROM {p}records WHERE stripe_account = ? \
             AND livemode = ? AND subject = ? AND kind = ? AND id = ?",
        );
        values.extend(subject.iter().cloned());
        values.extend([db::text(object.kind.as_str()), db::text(&object.id)]);
    }
    Ok((sql, values))
}

/// A power of two of them, so that few statements are prepared: the last one is repeated.
fn padded<'a>(named: &BTreeSet<&'a ObjectRef>) -> impl Iterator<Item = &'a ObjectRef> {
    let places = match named.len() {
        0 => 0,
        len => len.next_power_of_two(),
    };
    let last = named.last().copied();
    let padding = places - named.len();
    named
        .iter()
        .copied()
        .collect::<Vec<_>>()
        .into_iter()
        .chain(std::iter::repeat_n(last, padding).flatten())
}

#[cfg(all(test, feature = "sqlite"))]
mod tests {
    use stripe_billing_core::state::ObjectKind;
    use stripe_billing_core::{SubjectKey, Tenant};

    use super::*;
    use crate::SeaOrmStore;

    #[tokio::test]
    async fn no_part_reads_more_of_the_history_than_it_returns() {
        let store = SeaOrmStore::connect("sqlite::memory:").await.unwrap();
        let db = &store.db;
        let request = LoadRequest {
            subject: SubjectKey { tenant: Tenant::platform(true), id: "cus_1".to_owned() },
            objects: vec![ObjectRef { kind: ObjectKind::Invoice, id: "in_1".to_owned() }],
        };
        let (sql, values) = statement(db.dialect, &request).unwrap();
        let explain = format!("EXPLAIN QUERY PLAN {}", db.render(&sql));
        let rows = db.query(db.reader(), explain, values).await.unwrap();
        let plan: Vec<String> = rows
            .iter()
            .map(|row| column(row, 3).unwrap())
            .filter(|step: &String| step.contains("billing_"))
            .collect();
        let expected = [
            "PRIMARY KEY (stripe_account=? AND livemode=? AND id=?)",
            "billing_records_current (stripe_account=? AND livemode=? AND subject=?)",
            "(stripe_account=? AND livemode=? AND subject=? AND kind=? AND id=?)",
        ];
        assert_eq!(plan.len(), expected.len(), "{plan:?}");
        for (step, expected) in plan.iter().zip(expected) {
            assert!(step.starts_with("SEARCH"), "{plan:?}");
            assert!(step.ends_with(expected), "{plan:?}");
        }
    }
}
