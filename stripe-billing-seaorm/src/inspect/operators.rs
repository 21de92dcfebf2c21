//! Notices, tickets and the audit log.

use std::collections::{BTreeMap, BTreeSet};

use chrono::{DateTime, Utc};
use sea_orm::{QueryResult, Value};
use stripe_billing_core::changes::AuditEntry;
use stripe_billing_core::state::{ObjectKind, ObjectRef};
use stripe_billing_core::store::{AuditLine, AuditQuery, TicketQuery};
use stripe_billing_core::ticket::{Ticket, TicketKind, TicketPriority, TicketStatus};
use stripe_billing_core::{StoreError, SubjectKey, Tenant};

use super::{Filter, MAX_PAGE};
use crate::classify::corrupt;
use crate::db::{self, Db, column};
use crate::dialect::repeated;

pub(crate) async fn notices(
    db: &Db,
    tenant: &Tenant,
    subjects: &[String],
    now: DateTime<Utc>,
) -> Result<BTreeMap<String, u64>, StoreError> {
    let subjects: BTreeSet<&str> = subjects.iter().map(String::as_str).collect();
    let Some(last) = subjects.last() else { return Ok(BTreeMap::new()) };
    // Few different lengths, so that few statements are prepared: the last one is repeated.
    let places = subjects.len().next_power_of_two();
    let sql = db.render(&format!(
        "SELECT kind, COUNT(*) FROM {{p}}outbox WHERE subject IN ({}) \
         AND stripe_account = ? AND livemode = ? AND is_notice = ? AND status <> 'dropped' \
         AND (status <> 'pending' OR due_at <= ?) GROUP BY kind",
        repeated("?", ", ", places)
    ));
    let padded = subjects.iter().chain(std::iter::repeat(last)).take(places);
    let mut values: Vec<Value> = padded.map(|id| db::text(id)).collect();
    values.extend(db::tenant_values(tenant));
    values.extend([true.into(), db::micros(now).into()]);
    let rows = db.query(db.reader(), sql, values).await?;
    rows.iter()
        .map(|row| Ok((column(row, 0)?, u64::try_from(column::<i64>(row, 1)?).map_err(corrupt)?)))
        .collect()
}

pub(crate) async fn tickets(db: &Db, query: &TicketQuery) -> Result<Vec<Ticket>, StoreError> {
    let TicketQuery { status, subject, after, limit } = query;
    let filter = Filter::new([
        ("status = ?", status.map(|status| db::text(status.as_str()))),
        ("subject = ?", subject.as_deref().map(db::text)),
        ("number < ?", after.map(Value::from)),
    ]);
    let sql = db.render(&format!(
        "SELECT {TICKET} FROM {{p}}tickets{} ORDER BY number DESC LIMIT ?",
        filter.conditions
    ));
    let rows = db.query(db.reader(), sql, filter.limited(*limit, MAX_PAGE)).await?;
    rows.iter().map(ticket).collect()
}

/// The columns of a ticket.
pub(crate) const TICKET: &str = "number, stripe_account, livemode, subject, ticket_key, type, \
     priority, status, object_kind, object_id, event, title, due_by, count, opened_at, updated_at, \
     context";
/// Where the columns after [`TICKET`] begin.
pub(crate) const AFTER_TICKET: usize = 17;

pub(crate) fn ticket(row: &QueryResult) -> Result<Ticket, StoreError> {
    let named: (Option<String>, Option<String>) = (column(row, 8)?, column(row, 9)?);
    let object = match named {
        (Some(kind), Some(id)) => Some(object(kind, id)?),
        _ => None,
    };
    let context: Option<String> = column(row, 16)?;
    Ok(Ticket {
        number: column(row, 0)?,
        subject: SubjectKey { tenant: db::tenant(row, 1)?, id: column(row, 3)? },
        key: column(row, 4)?,
        kind: word(row, 5, TicketKind::from_word)?,
        priority: word(row, 6, TicketPriority::from_word)?,
        status: word(row, 7, TicketStatus::from_word)?,
        object,
        event: column(row, 10)?,
        title: column(row, 11)?,
        due_by: column(row, 12)?,
        count: db::count(row, 13)?,
        opened_at: db::time(row, 14)?,
        updated_at: db::time(row, 15)?,
        context: context.as_deref().map(serde_json::from_str).transpose().map_err(corrupt)?,
    })
}

pub(crate) async fn audit(db: &Db, query: &AuditQuery) -> Result<Vec<AuditLine>, StoreError> {
    let AuditQuery { subject, after, limit } = query;
    let filter = Filter::new([
        ("subject = ?", subject.as_deref().map(db::text)),
        ("seq < ?", after.map(Value::from)),
    ]);
    let sql = db.render(&format!(
        "SELECT seq, at, stripe_account, livemode, subject, actor, action, object_kind, \
         object_id, state_before, state_after, reason FROM {{p}}audit{} \
         ORDER BY seq DESC LIMIT ?",
        filter.conditions
    ));
    let rows = db.query(db.reader(), sql, filter.limited(*limit, MAX_PAGE)).await?;
    rows.iter().map(line).collect()
}

fn line(row: &QueryResult) -> Result<AuditLine, StoreError> {
    let kind: String = column(row, 7)?;
    Ok(AuditLine {
        seq: column(row, 0)?,
        at: db::time(row, 1)?,
        subject: SubjectKey { tenant: db::tenant(row, 2)?, id: column(row, 4)? },
        entry: AuditEntry {
            actor: column(row, 5)?,
            action: column(row, 6)?,
            object: object(kind, column(row, 8)?)?,
            before: column(row, 9)?,
            after: column(row, 10)?,
            reason: column(row, 11)?,
        },
    })
}

/// The words for kinds are those of their JSON.
fn object(kind: String, id: String) -> Result<ObjectRef, StoreError> {
    let kind: ObjectKind = serde_json::from_value(kind.into()).map_err(corrupt)?;
    Ok(ObjectRef { kind, id })
}

fn word<T>(
    row: &QueryResult,
    index: usize,
    of: impl Fn(&str) -> Option<T>,
) -> Result<T, StoreError> {
    let word: String = column(row, index)?;
    of(&word).ok_or_else(|| corrupt(format!("{word:?} is not known here")))
}
