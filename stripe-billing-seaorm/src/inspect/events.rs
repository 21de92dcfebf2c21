//! Events, and the figures of both queues.

use chrono::{DateTime, Utc};
use sea_orm::QueryResult;
use stripe_billing_core::store::{
    Backlog, EventQuery, EventRange, EventSummary, Stats, StoredEvent,
};
use stripe_billing_core::{EventKey, StoreError};

use super::{Filter, MAX_PAGE, by_status_or_type};
use crate::classify::corrupt;
use crate::db::{self, Db, column};
use crate::dialect::Dialect;
use crate::inbox;
use crate::sql::{EVENT_BODY, EVENT_SUMMARY};

/// Where [`EVENT_BODY`] begins.
const BODY: usize = 18;

pub(crate) async fn events(db: &Db, query: &EventQuery) -> Result<Vec<EventSummary>, StoreError> {
    let EventQuery { status, event_type, subject, ticket, after, limit } = query;
    let wanted = (status.as_deref(), event_type.as_deref(), subject.as_deref());
    let (filter, order) = by_status_or_type(db.dialect, wanted, " DESC");
    let filter = filter.bounded("seq < ?", *after).of_ticket(ticket.as_deref());
    let sql = db.render(&format!(
        "SELECT {EVENT_SUMMARY} FROM {{p}}events{}{order} LIMIT ?",
        filter.conditions
    ));
    let rows = db.query(db.reader(), sql, filter.limited(*limit, MAX_PAGE)).await?;
    rows.iter().map(summary).collect()
}

pub(crate) async fn events_by_id(db: &Db, id: &str) -> Result<Vec<StoredEvent>, StoreError> {
    let sql = db.sql.events_by_id.as_str();
    let rows = db.query(db.reader(), sql, vec![db::text(id)]).await?;
    rows.iter().map(stored).collect()
}

/// The conditions of a range, and its order.
pub(crate) fn range(dialect: Dialect, range: &EventRange) -> (Filter, String) {
    let EventRange { from, until, status, event_type, subject, ticket, limit: _ } = range;
    let wanted = (status.as_deref(), event_type.as_deref(), subject.as_deref());
    let (filter, order) = by_status_or_type(dialect, wanted, "");
    let filter = filter.bounded("seq >= ?", *from).bounded("seq <= ?", *until);
    (filter.of_ticket(ticket.as_deref()), order)
}

pub(crate) async fn stored_events(
    db: &Db,
    asked: &EventRange,
) -> Result<Vec<StoredEvent>, StoreError> {
    let (filter, order) = range(db.dialect, asked);
    let sql = db.render(&format!(
        "SELECT {EVENT_SUMMARY}, {EVENT_BODY} FROM {{p}}events{}{order} LIMIT ?",
        filter.conditions
    ));
    let rows = db.query(db.reader(), sql, filter.limited(asked.limit, EventRange::MAX)).await?;
    rows.iter().map(stored).collect()
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
        anomalies: column(row, 13)?,
        error_class: column(row, 14)?,
        ticket: column(row, 15)?,
        due_at: column::<Option<i64>>(row, 16)?.map(db::from_micros).transpose()?,
        crashes: db::count(row, 17)?,
    })
}

fn stored(row: &QueryResult) -> Result<StoredEvent, StoreError> {
    let kind: String = column(row, BODY)?;
    Ok(StoredEvent {
        summary: summary(row)?,
        kind: inbox::kind_of(&kind)?,
        api_version: column(row, BODY + 1)?,
        payload: column::<Vec<u8>>(row, BODY + 2)?.into(),
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
        let count = u64::try_from(column::<i64>(row, 2)?).map_err(corrupt)?;
        if count == 0 {
            continue;
        }
        if matches!(status.as_str(), "processing" | "sending") {
            stats.idle = false;
        }
        if is_inbox {
            stats.events.insert(status, count);
        } else {
            stats.outbox.insert(status, count);
        }
    }
    Ok(stats)
}

/// One statement.
pub(crate) async fn backlog(db: &Db) -> Result<Backlog, StoreError> {
    let mut backlog = Backlog::default();
    for row in &db.query(db.reader(), db.sql.backlog.as_str(), Vec::new()).await? {
        let (what, status): (String, String) = (column(row, 0)?, column(row, 1)?);
        let kind: String = column(row, 2)?;
        let count = u64::try_from(column::<i64>(row, 3)?).map_err(corrupt)?;
        match what.as_str() {
            "events" => {
                backlog.events.entry(status).or_default().insert(kind, count);
            }
            "tickets" => {
                backlog.tickets.insert(kind, count);
            }
            "reservations" => backlog.reservations = count,
            _ => backlog.debtors = count,
        }
    }
    Ok(backlog)
}
