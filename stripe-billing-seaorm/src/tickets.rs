//! Tickets of what fails, and the attempts that failed.

use chrono::{DateTime, Utc};
use stripe_billing_core::changes::Effects;
use stripe_billing_core::store::{Attempt, KnownFailure, OPEN_STATUSES, TicketNews, TicketSweep};
use stripe_billing_core::ticket::{Ticket, TicketKind, TicketStatus};
use stripe_billing_core::{StoreError, SubjectKey, Tenant};

use crate::classify::corrupt;
use crate::db::{self, Db, column};
use crate::effects::EffectRows;
use crate::inspect::{self, AFTER_TICKET, TICKET};
use crate::sql::quoted;

/// Attempts that are read of an event: the latest.
const MAX_ATTEMPTS: u32 = 100;

/// Tickets about work that failed.
fn failures() -> String {
    format!("type IN ({})", quoted(TicketKind::FAILURES.map(TicketKind::as_str)))
}

pub(crate) async fn known_failure(
    db: &Db,
    tenant: &Tenant,
    key: &str,
    since: DateTime<Utc>,
) -> Result<KnownFailure, StoreError> {
    // `A` comes after `@`, and so ends the keys that begin with `key@`.
    let newest = db.render(&format!(
        "SELECT {TICKET} FROM {{p}}tickets WHERE stripe_account = ? AND livemode = ? \
         AND (ticket_key = ? OR ticket_key >= ? AND ticket_key < ?) ORDER BY number DESC LIMIT 1"
    ));
    let mut values = db::tenant_values(tenant).to_vec();
    let (from, until) = (format!("{key}@"), format!("{key}A"));
    values.extend([db::text(key), db::text(&from), db::text(&until)]);
    let rows = db.query(db.writer(), newest, values).await?;
    let ticket = rows.first().map(inspect::ticket).transpose()?;
    let lately = db.render(&format!(
        "SELECT COUNT(*) FROM {{p}}tickets WHERE opened_at >= ? AND {}",
        failures()
    ));
    let rows = db.query(db.writer(), lately, vec![db::micros(since).into()]).await?;
    let opened = rows.first().map_or(Ok(0), |row| column::<i64>(row, 0))?;
    Ok(KnownFailure { ticket, opened: u64::try_from(opened).map_err(corrupt)? })
}

pub(crate) async fn of_key(
    db: &Db,
    tenant: &Tenant,
    key: &str,
) -> Result<Option<Ticket>, StoreError> {
    let sql = db.render(&format!(
        "SELECT {TICKET} FROM {{p}}tickets WHERE stripe_account = ? AND livemode = ? \
         AND ticket_key = ?"
    ));
    let mut values = db::tenant_values(tenant).to_vec();
    values.push(db::text(key));
    let rows = db.query(db.writer(), sql, values).await?;
    rows.first().map(inspect::ticket).transpose()
}

pub(crate) async fn record(
    db: &Db,
    subject: &SubjectKey,
    effects: &Effects,
    now: DateTime<Utc>,
) -> Result<(), StoreError> {
    let rows = EffectRows::new(effects, now)?;
    let [account, livemode] = db::tenant_values(&subject.tenant);
    let tx = db.begin().await?;
    rows.write(db, &tx, &[account, livemode, db::text(&subject.id)]).await?;
    db.commit(tx).await
}

pub(crate) async fn close(db: &Db, now: DateTime<Utc>) -> Result<TicketSweep, StoreError> {
    let open = format!("status <> 'resolved' AND {}", failures());
    let count = db.render(&format!("SELECT COUNT(*) FROM {{p}}tickets WHERE {open}"));
    let rows = db.query(db.writer(), count, Vec::new()).await?;
    let before = rows.first().map_or(Ok(0), |row| column::<i64>(row, 0))?;
    if before == 0 {
        return Ok(TicketSweep::default());
    }
    let fails = |table: &str, statuses: &str| {
        format!(
            "NOT EXISTS (SELECT 1 FROM {{p}}{table} q WHERE q.ticket = {{p}}tickets.ticket_key \
             AND q.stripe_account = {{p}}tickets.stripe_account \
             AND q.livemode = {{p}}tickets.livemode AND q.status IN ({statuses}))"
        )
    };
    let sql = db.render(&format!(
        "UPDATE {{p}}tickets SET status = 'resolved', updated_at = ?, revision = revision + 1 \
         WHERE {open} AND {} AND {}",
        fails("events", &quoted(OPEN_STATUSES)),
        fails("outbox", "'pending', 'sending', 'dead'")
    ));
    let closed = db.execute(db.writer(), sql, vec![db::micros(now).into()]).await?;
    let before = u64::try_from(before).map_err(corrupt)?;
    Ok(TicketSweep { closed, open: before.saturating_sub(closed) })
}

pub(crate) async fn news(db: &Db, limit: u32) -> Result<Vec<TicketNews>, StoreError> {
    let sql = db.render(&format!(
        "SELECT {TICKET}, revision, told_open FROM {{p}}tickets WHERE revision <> told \
         ORDER BY updated_at, number LIMIT ?"
    ));
    let rows = db.query(db.writer(), sql, vec![i64::from(limit).into()]).await?;
    let news = rows.iter().map(|row| {
        Ok(TicketNews {
            ticket: inspect::ticket(row)?,
            revision: column(row, AFTER_TICKET)?,
            told_open: column(row, AFTER_TICKET + 1)?,
        })
    });
    news.collect()
}

pub(crate) async fn told(db: &Db, news: &TicketNews) -> Result<(), StoreError> {
    let is_open = news.ticket.status != TicketStatus::Resolved;
    let sql =
        db.render("UPDATE {p}tickets SET told = ?, told_open = ? WHERE number = ? AND told < ?");
    let values =
        vec![news.revision.into(), is_open.into(), news.ticket.number.into(), news.revision.into()];
    db.execute(db.writer(), sql, values).await?;
    Ok(())
}

pub(crate) async fn attempts(db: &Db, seq: i64) -> Result<Vec<Attempt>, StoreError> {
    let sql = db.render(&format!(
        "SELECT at, class, code, message, worker FROM {{p}}attempts WHERE event_seq = ? \
         ORDER BY seq DESC LIMIT {MAX_ATTEMPTS}"
    ));
    let rows = db.query(db.reader(), sql, vec![seq.into()]).await?;
    let attempts = rows.iter().rev().map(|row| {
        Ok(Attempt {
            at: db::time(row, 0)?,
            class: column(row, 1)?,
            code: column(row, 2)?,
            message: column(row, 3)?,
            worker: column(row, 4)?,
        })
    });
    attempts.collect()
}
