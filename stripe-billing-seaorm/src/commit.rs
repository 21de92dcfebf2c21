//! Writes a decision: all of it or nothing.

use std::collections::BTreeMap;

use sea_orm::{ConnectionTrait, DatabaseTransaction, Value};
use serde_json::Value as Json;
use stripe_billing_core::changes::{Changes, OutboxEntry, RecordWrite};
use stripe_billing_core::queue::Lease;
use stripe_billing_core::state::ObjectRef;
use stripe_billing_core::store::Commit;
use stripe_billing_core::{DomainEvent, ErrorKind, StoreError};

#[cfg(feature = "postgres")]
use crate::classify::is_null_refused;
use crate::classify::{corrupt, is_duplicate};
use crate::db::{self, Db, column};
use crate::dialect::{Dialect, repeated};
use crate::settle;

/// A decision as columns.
struct Row<'a> {
    lease: &'a Lease,
    changes: &'a Changes,
    /// Stripe account, livemode and id of the subject.
    subject: [Value; 3],
    links: String,
    records: Vec<RecordRow<'a>>,
    facts: Vec<FactRow<'a>>,
}

struct RecordRow<'a> {
    object: ObjectRef,
    write: &'a RecordWrite,
    body: String,
}

struct FactRow<'a> {
    entry: &'a OutboxEntry,
    body: String,
}

#[derive(Debug, thiserror::Error)]
#[error("the fact `{key}` is in the outbox with other content")]
struct KeyReused {
    key: String,
}

fn key_reused(key: &str) -> StoreError {
    let key = key.to_owned();
    StoreError::new(ErrorKind::KeyReused, KeyReused { key })
}

pub(crate) async fn commit(
    db: &Db,
    lease: &Lease,
    changes: &Changes,
) -> Result<Commit, StoreError> {
    let row = Row::new(lease, changes)?;
    match db.dialect {
        #[cfg(feature = "postgres")]
        Dialect::Postgres => commit_at_once(db, row).await,
        #[cfg(not(feature = "postgres"))]
        Dialect::Postgres => Err(crate::classify::not_compiled_in()),
        Dialect::Sqlite | Dialect::Mysql => {
            let tx = db.begin().await?;
            let outcome = step_by_step(db, &tx, &row).await?;
            match outcome {
                Commit::Done => db::commit(tx).await?,
                Commit::Conflict | Commit::LeaseLost => db::rollback(tx).await?,
            }
            Ok(outcome)
        }
    }
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
            outbox,
            settlement: _,
            release_parked: _,
            now: _,
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
        let mut facts = BTreeMap::new();
        for entry in outbox {
            let told = facts.insert(entry.key.as_str(), entry);
            if told.is_some_and(|told| told.event != entry.event) {
                return Err(key_reused(&entry.key));
            }
        }
        let facts = facts
            .into_values()
            .map(|entry| {
                let body = serde_json::to_string(&entry.event).map_err(corrupt)?;
                Ok(FactRow { entry, body })
            })
            .collect::<Result<_, StoreError>>()?;
        let [account, livemode] = db::tenant_values(&subject.tenant);
        Ok(Self {
            lease,
            changes,
            subject: [account, livemode, db::text(&subject.id)],
            links: serde_json::to_string(links).map_err(corrupt)?,
            records,
            facts,
        })
    }

    fn account(&self) -> Value {
        db::optional(self.changes.account.as_deref())
    }

    fn now(&self) -> Value {
        db::micros(self.changes.now).into()
    }
}

/// Postgres: one statement, and no transaction around it.
#[cfg(feature = "postgres")]
async fn commit_at_once(db: &Db, mut row: Row<'_>) -> Result<Commit, StoreError> {
    use crate::sql::CommitShape;

    let shape = CommitShape {
        create: row.changes.expected_version == 0,
        facts: !row.facts.is_empty(),
        release: row.changes.release_parked,
    };
    let sql = db.sql.commit[shape.index()].as_str();
    let counts = match db.query(db.writer(), sql, at_once_values(&row, shape)).await {
        Err(error) if is_null_refused(&error) => {
            // Other words need not be another fact: then it is told in the words that are there.
            let told = compare_facts(db, db.writer(), &row).await?;
            for fact in &mut row.facts {
                if let Some(body) = told.get(&fact.entry.key) {
                    fact.body.clone_from(body);
                }
            }
            db.query(db.writer(), sql, at_once_values(&row, shape)).await?
        }
        counts => counts?,
    };
    at_once_outcome(&counts)
}

#[cfg(feature = "postgres")]
fn at_once_values(row: &Row<'_>, shape: crate::sql::CommitShape) -> Vec<Value> {
    use crate::db::array;

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
    ]);
    if shape.facts || shape.release {
        values.push(row.now());
    }
    if shape.facts {
        values.extend([
            array::texts(row.facts.iter().map(|fact| fact.entry.key.as_str())),
            array::texts(row.facts.iter().map(|fact| fact.entry.event.kind())),
            array::texts(row.facts.iter().map(|fact| fact.body.as_str())),
        ]);
    }
    values
}

#[cfg(feature = "postgres")]
fn at_once_outcome(counts: &[sea_orm::QueryResult]) -> Result<Commit, StoreError> {
    let Some(counts) = counts.first() else {
        return Err(corrupt("the commit statement returned no row"));
    };
    Ok(match (column::<i64>(counts, 0)?, column::<i64>(counts, 1)?) {
        (0, _) => Commit::LeaseLost,
        (_, 0) => Commit::Conflict,
        _ => Commit::Done,
    })
}

/// MySQL and SQLite: one statement for each kind of effect.
async fn step_by_step(
    db: &Db,
    tx: &DatabaseTransaction,
    row: &Row<'_>,
) -> Result<Commit, StoreError> {
    let changes = row.changes;
    let mut values = settle::columns(&changes.settlement, changes.now).to_vec();
    values.extend([db::text(&changes.subject.id), row.lease.seq.into(), row.lease.epoch.into()]);
    if db.execute(tx, db.sql.settle.as_str(), values).await? == 0 {
        return Ok(Commit::LeaseLost);
    }
    if !write_subject(db, tx, row).await? {
        return Ok(Commit::Conflict);
    }
    if !row.records.is_empty() {
        write_records(db, tx, row).await?;
    }
    if !row.facts.is_empty() {
        write_facts(db, tx, row).await?;
    }
    if changes.release_parked {
        let mut values = vec![row.now()];
        values.extend(row.subject.iter().cloned());
        values.push(row.lease.seq.into());
        let sql = db.sql.release_subject.as_str();
        db.execute(tx, sql, values).await?;
    }
    Ok(Commit::Done)
}

/// Whether the subject's version was the expected one.
async fn write_subject(
    db: &Db,
    tx: &DatabaseTransaction,
    row: &Row<'_>,
) -> Result<bool, StoreError> {
    let expected = row.changes.expected_version;
    let (account, links) = (row.account(), db::text(&row.links));
    if expected == 0 {
        let mut values = row.subject.to_vec();
        values.extend([account, links]);
        let sql = db.sql.insert_subject.as_str();
        return match db.execute(tx, sql, values).await {
            Ok(inserted) => Ok(inserted == 1),
            Err(error) if is_duplicate(&error) => Ok(false),
            Err(error) => Err(error),
        };
    }
    let mut values = vec![account, links];
    values.extend(row.subject.iter().cloned());
    values.push(expected.into());
    let sql = db.sql.update_subject.as_str();
    Ok(db.execute(tx, sql, values).await? == 1)
}

async fn write_records(db: &Db, tx: &DatabaseTransaction, row: &Row<'_>) -> Result<(), StoreError> {
    let upsert = match db.dialect {
        Dialect::Mysql => {
            "ON DUPLICATE KEY UPDATE is_current = VALUES(is_current), body = VALUES(body)"
        }
        Dialect::Sqlite | Dialect::Postgres => {
            "ON CONFLICT (stripe_account, livemode, subject, kind, id) \
             DO UPDATE SET is_current = excluded.is_current, body = excluded.body"
        }
    };
    let sql = db.render(&format!(
        "INSERT INTO {{p}}records \
         (stripe_account, livemode, subject, kind, id, is_current, body) VALUES {} {upsert}",
        repeated("(?, ?, ?, ?, ?, ?, ?)", ", ", row.records.len())
    ));
    let mut values = Vec::with_capacity(row.records.len() * 7);
    for record in &row.records {
        values.extend(row.subject.iter().cloned());
        values.extend([
            db::text(record.object.kind.as_str()),
            db::text(&record.object.id),
            record.write.current.into(),
            db::text(&record.body),
        ]);
    }
    db.execute(tx, sql, values).await?;
    Ok(())
}

async fn write_facts(db: &Db, tx: &DatabaseTransaction, row: &Row<'_>) -> Result<(), StoreError> {
    let all: Vec<&FactRow<'_>> = row.facts.iter().collect();
    match insert_facts(db, tx, row, &all).await {
        Ok(inserted) if inserted == row.facts.len() as u64 => Ok(()),
        Ok(_) => compare_facts(db, tx, row).await.map(|_| ()),
        // MySQL undoes the statement and goes on with the transaction.
        Err(error) if is_duplicate(&error) => {
            let told = compare_facts(db, tx, row).await?;
            let mut missing = all;
            missing.retain(|fact| !told.contains_key(&fact.entry.key));
            if !missing.is_empty() {
                insert_facts(db, tx, row, &missing).await?;
            }
            Ok(())
        }
        Err(error) => Err(error),
    }
}

async fn insert_facts(
    db: &Db,
    tx: &DatabaseTransaction,
    row: &Row<'_>,
    facts: &[&FactRow<'_>],
) -> Result<u64, StoreError> {
    let ignore = match db.dialect {
        Dialect::Mysql => "",
        Dialect::Sqlite | Dialect::Postgres => " ON CONFLICT DO NOTHING",
    };
    let sql = db.render(&format!(
        "INSERT INTO {{p}}outbox \
         (stripe_account, livemode, subject, fact_key, kind, body, created_at, status, due_at) \
         VALUES {}{ignore}",
        repeated("(?, ?, ?, ?, ?, ?, ?, 'pending', ?)", ", ", facts.len())
    ));
    let mut values = Vec::with_capacity(facts.len() * 8);
    for fact in facts {
        values.extend(row.subject.iter().cloned());
        values.extend([
            db::text(&fact.entry.key),
            db::text(fact.entry.event.kind()),
            db::text(&fact.body),
            row.now(),
            row.now(),
        ]);
    }
    db.execute(tx, sql, values).await
}

/// What is in the outbox already, by key; an error if one of them tells another fact.
async fn compare_facts(
    db: &Db,
    on: &impl ConnectionTrait,
    row: &Row<'_>,
) -> Result<BTreeMap<String, String>, StoreError> {
    let sql = db.render(&format!(
        "SELECT fact_key, body FROM {{p}}outbox \
         WHERE stripe_account = ? AND livemode = ? AND fact_key IN ({})",
        repeated("?", ", ", row.facts.len())
    ));
    let mut values = row.subject[..2].to_vec();
    values.extend(row.facts.iter().map(|fact| db::text(&fact.entry.key)));
    let rows = db.query(on, sql, values).await?;
    let mut told = BTreeMap::new();
    for stored in &rows {
        let (key, body): (String, String) = (column(stored, 0)?, column(stored, 1)?);
        let same = row
            .facts
            .iter()
            .find(|fact| fact.entry.key == key)
            .is_some_and(|fact| is_same_fact(&body, fact));
        if !same {
            return Err(key_reused(&key));
        }
        told.insert(key, body);
    }
    Ok(told)
}

fn is_same_fact(stored: &str, fact: &FactRow<'_>) -> bool {
    if stored == fact.body {
        return true;
    }
    match serde_json::from_str::<DomainEvent>(stored) {
        Ok(stored) => stored == fact.entry.event,
        // Told by a newer version of the library, which may know more kinds.
        Err(_) => {
            let parse = |body| serde_json::from_str::<Json>(body).ok();
            parse(stored).is_some() && parse(stored) == parse(&fact.body)
        }
    }
}
