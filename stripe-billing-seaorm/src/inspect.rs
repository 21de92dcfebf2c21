//! The read side.

use std::collections::BTreeMap;

use chrono::{DateTime, Utc};
use sea_orm::{QueryResult, Value};
use stripe_billing_core::state::{Record, Subject};
use stripe_billing_core::store::{EventQuery, EventSummary, Stats};
use stripe_billing_core::{AccountKey, EventKey, StoreError, SubjectKey, Tenant};

use crate::classify::corrupt;
use crate::db::{self, Db, column};

/// Events on one page at most.
const MAX_PAGE: u32 = 1_000;

/// One statement, so that the subjects and their records are of one instant.
pub(crate) async fn subjects_of(
    db: &Db,
    account: &AccountKey,
    livemode: Option<bool>,
) -> Result<Vec<Subject>, StoreError> {
    let values = vec![
        db::text(account.stripe_account.as_deref().unwrap_or_default()),
        db::text(&account.account),
        livemode.unwrap_or(true).into(),
        livemode.unwrap_or(false).into(),
    ];
    let sql = db.sql.subjects_of.as_str();
    let rows = db.query(db.reader(), sql, values).await?;
    let mut subjects: BTreeMap<SubjectKey, Subject> = BTreeMap::new();
    for row in &rows {
        let key = SubjectKey {
            tenant: Tenant {
                stripe_account: account.stripe_account.clone(),
                livemode: column(row, 0)?,
            },
            id: column(row, 1)?,
        };
        let subject = match subjects.entry(key) {
            std::collections::btree_map::Entry::Occupied(known) => known.into_mut(),
            std::collections::btree_map::Entry::Vacant(place) => {
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

pub(crate) async fn events(db: &Db, query: &EventQuery) -> Result<Vec<EventSummary>, StoreError> {
    let EventQuery { status, event_type, subject, after, limit } = query;
    let filters: [(&str, Option<Value>); 4] = [
        ("status = ?", status.as_deref().map(db::text)),
        ("event_type = ?", event_type.as_deref().map(db::text)),
        ("subject = ?", subject.as_deref().map(db::text)),
        ("seq < ?", after.map(Value::from)),
    ];
    let mut sql = String::from(
        "SELECT seq, stripe_account, livemode, event_id, event_type, status, reason, message, \
         subject, created, received_at, attempts, differs FROM {p}events",
    );
    let mut values = Vec::with_capacity(5);
    for (condition, value) in filters {
        if let Some(value) = value {
            sql.push_str(if values.is_empty() { " WHERE " } else { " AND " });
            sql.push_str(condition);
            values.push(value);
        }
    }
    sql.push_str(" ORDER BY seq DESC LIMIT ?");
    values.push(i64::from((*limit).min(MAX_PAGE)).into());
    let rows = db.query(db.reader(), db.render(&sql), values).await?;
    rows.iter().map(summary).collect()
}

fn summary(row: &QueryResult) -> Result<EventSummary, StoreError> {
    Ok(EventSummary {
        seq: column(row, 0)?,
        key: EventKey { tenant: db::tenant(row, 1)?, id: column(row, 3)? },
        event_type: column(row, 4)?,
        status: column(row, 5)?,
        reason: column(row, 6)?,
        message: column(row, 7)?,
        subject: column(row, 8)?,
        created: column(row, 9)?,
        received_at: db::time(row, 10)?,
        attempts: db::count(row, 11)?,
        differs: column(row, 12)?,
    })
}

/// One statement: counts by status of both queues, and the time of each that is due the longest.
pub(crate) async fn stats(db: &Db, now: DateTime<Utc>) -> Result<Stats, StoreError> {
    let micros = db::micros(now);
    let sql = db.sql.stats.as_str();
    let rows = db.query(db.reader(), sql, vec![micros.into(), micros.into()]).await?;
    let mut stats = Stats { idle: true, ..Stats::default() };
    for row in &rows {
        let queue: String = column(row, 0)?;
        let status: String = column(row, 1)?;
        let is_inbox = queue == "events";
        if status.is_empty() {
            if let Some(due) = column::<Option<i64>>(row, 3)? {
                stats.idle = false;
                if is_inbox {
                    let age = micros.saturating_sub(due);
                    stats.queue_age_seconds = age as f64 / 1_000_000.0;
                }
            }
            continue;
        }
        if matches!(status.as_str(), "processing" | "sending") {
            stats.idle = false;
        }
        let count = u64::try_from(column::<i64>(row, 2)?).map_err(corrupt)?;
        if is_inbox {
            stats.events.insert(status, count);
        } else {
            stats.outbox.insert(status, count);
        }
    }
    Ok(stats)
}
