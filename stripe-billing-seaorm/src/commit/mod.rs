//! Writes a decision: all of it or nothing.

mod adopt;
mod steps;
#[cfg(feature = "postgres")]
mod together;

use std::collections::BTreeMap;

use sea_orm::Value;
use stripe_billing_core::StoreError;
use stripe_billing_core::changes::{Adoption, Changes, RecordWrite};
use stripe_billing_core::queue::Lease;
use stripe_billing_core::state::ObjectRef;
use stripe_billing_core::store::{Commit, Decided};

#[cfg(feature = "postgres")]
pub(crate) use together::{REFUSAL, statement};

use crate::classify::corrupt;
use crate::db::{self, Db};
use crate::dialect::Dialect;
use crate::effects::{EffectRows, SubjectColumns};

/// A decision as columns.
struct Row<'a> {
    lease: &'a Lease,
    changes: &'a Changes,
    subject: SubjectColumns,
    links: String,
    records: Vec<RecordRow<'a>>,
    /// In the order of their ids, so that nodes that adopt the same do not wait in a circle.
    adopted: Vec<NameRow<'a>>,
    effects: EffectRows<'a>,
    anomalies: Option<String>,
}

struct RecordRow<'a> {
    object: ObjectRef,
    write: &'a RecordWrite,
    body: String,
}

struct NameRow<'a> {
    name: &'a Adoption,
    links: String,
}

pub(crate) async fn commit(
    db: &Db,
    lease: &Lease,
    changes: &Changes,
) -> Result<Commit, StoreError> {
    let row = Row::new(lease, changes)?;
    #[cfg(feature = "postgres")]
    if db.dialect == Dialect::Postgres && changes.is_plain() {
        if together::commit(db, std::slice::from_ref(&row)).await? == 1 {
            return Ok(Commit::Done);
        }
        if let Some(refused) = together::refusal(db, &row).await? {
            return Ok(refused);
        }
    }
    let tx = db.begin().await?;
    let outcome = steps::commit(db, &tx, &row).await?;
    match outcome {
        Commit::Done => db.commit(tx).await?,
        Commit::Conflict | Commit::LeaseLost => db::rollback(tx).await?,
    }
    Ok(outcome)
}

/// Postgres writes as many from the first on as fit into one statement, SQLite all in one transaction:
/// all of these, or none. Which of them is refused is seen when each is written by itself. On MySQL
/// each has a transaction of its own: many statements later its locks would still be in the way.
pub(crate) async fn commit_all(db: &Db, decided: &[Decided<'_>]) -> Result<usize, StoreError> {
    match db.dialect {
        #[cfg(feature = "postgres")]
        Dialect::Postgres => together::commit(db, &rows(decided)?).await,
        Dialect::Sqlite => in_one_transaction(db, &rows(decided)?).await,
        _ => one_by_one(db, decided).await,
    }
}

fn rows<'a>(decided: &[Decided<'a>]) -> Result<Vec<Row<'a>>, StoreError> {
    decided.iter().map(|Decided { lease, changes }| Row::new(lease, changes)).collect()
}

async fn in_one_transaction(db: &Db, rows: &[Row<'_>]) -> Result<usize, StoreError> {
    let tx = db.begin().await?;
    for row in rows {
        if steps::commit(db, &tx, row).await? != Commit::Done {
            db::rollback(tx).await?;
            return Ok(0);
        }
    }
    db.commit(tx).await?;
    Ok(rows.len())
}

async fn one_by_one(db: &Db, decided: &[Decided<'_>]) -> Result<usize, StoreError> {
    for (written, Decided { lease, changes }) in decided.iter().enumerate() {
        match commit(db, lease, changes).await {
            Ok(Commit::Done) => {}
            Err(error) if written == 0 => return Err(error),
            _ => return Ok(written),
        }
    }
    Ok(decided.len())
}

impl<'a> Row<'a> {
    fn new(lease: &'a Lease, changes: &'a Changes) -> Result<Self, StoreError> {
        // Whole, so that a new kind of effect does not compile until it is written here.
        let Changes {
            subject,
            expected_version: _,
            links,
            account: _,
            records,
            adopted,
            effects,
            settlement: _,
            anomalies,
            release_parked: _,
            now,
        } = changes;
        // One statement cannot write one row twice; the last write of an object holds.
        let mut writes = BTreeMap::new();
        for write in records {
            writes.insert(write.record.object(), write);
        }
        let records = writes
            .into_iter()
            .map(|(object, write)| {
                let body = serde_json::to_string(&write.record).map_err(corrupt)?;
                Ok(RecordRow { object, write, body })
            })
            .collect::<Result<_, StoreError>>()?;
        let names: BTreeMap<&str, &Adoption> =
            adopted.iter().map(|name| (name.id.as_str(), name)).collect();
        let adopted = names
            .into_values()
            .map(|name| {
                let links = serde_json::to_string(&name.links).map_err(corrupt)?;
                Ok(NameRow { name, links })
            })
            .collect::<Result<_, StoreError>>()?;
        let [account, livemode] = db::tenant_values(&subject.tenant);
        Ok(Self {
            lease,
            changes,
            subject: [account, livemode, db::text(&subject.id)],
            links: serde_json::to_string(links).map_err(corrupt)?,
            records,
            adopted,
            effects: EffectRows::new(effects, *now)?,
            anomalies: (!anomalies.is_empty()).then(|| anomalies.join(" ")),
        })
    }

    fn account(&self) -> Value {
        db::optional(self.changes.account.as_deref())
    }

    fn anomalies(&self) -> Value {
        db::optional(self.anomalies.as_deref())
    }

    fn now(&self) -> Value {
        db::micros(self.changes.now).into()
    }
}
