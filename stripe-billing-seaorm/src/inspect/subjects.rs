//! Subjects with their records.

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;

use sea_orm::QueryResult;
use stripe_billing_core::state::{Record, Subject};
use stripe_billing_core::store::Records;
use stripe_billing_core::{AccountKey, StoreError, SubjectKey, Tenant};

use crate::classify::corrupt;
use crate::db::{self, Db, column};

/// One statement, so that the subjects and their records are of one instant.
pub(crate) async fn subjects_of(
    db: &Db,
    account: &AccountKey,
    livemode: Option<bool>,
    records: Records,
) -> Result<Vec<Subject>, StoreError> {
    let values = vec![
        db::text(account.stripe_account.as_deref().unwrap_or_default()),
        db::text(&account.account),
        livemode.unwrap_or(true).into(),
        livemode.unwrap_or(false).into(),
    ];
    let sql = match records {
        Records::Current => db.sql.subjects_of.as_str(),
        Records::All => db.sql.subjects_whole.as_str(),
    };
    let rows = db.query(db.reader(), sql, values).await?;
    collect(account.stripe_account.as_deref(), &rows)
}

/// The subject with this name, whole.
pub(crate) async fn subject(db: &Db, key: &SubjectKey) -> Result<Option<Subject>, StoreError> {
    let mut values = db::tenant_values(&key.tenant).to_vec();
    values.push(db::text(&key.id));
    let rows = db.query(db.reader(), db.sql.subject.as_str(), values).await?;
    Ok(collect(key.tenant.stripe_account.as_deref(), &rows)?.pop())
}

/// Rows of mode, id, version, links and one record, if there are any.
fn collect(stripe_account: Option<&str>, rows: &[QueryResult]) -> Result<Vec<Subject>, StoreError> {
    let mut subjects: BTreeMap<SubjectKey, Subject> = BTreeMap::new();
    for row in rows {
        let tenant = Tenant {
            stripe_account: stripe_account.map(ToOwned::to_owned),
            livemode: column(row, 0)?,
        };
        let subject = match subjects.entry(SubjectKey { tenant, id: column(row, 1)? }) {
            Entry::Occupied(known) => known.into_mut(),
            Entry::Vacant(place) => {
                let mut subject = Subject::new(place.key().clone());
                subject.version = column(row, 2)?;
                let links: String = column(row, 3)?;
                subject.links = serde_json::from_str(&links).map_err(corrupt)?;
                place.insert(subject)
            }
        };
        if let Some(body) = column::<Option<String>>(row, 4)? {
            let record: Record = serde_json::from_str(&body).map_err(corrupt)?;
            subject.records.insert(record.object(), record);
        }
    }
    Ok(subjects.into_values().collect())
}
