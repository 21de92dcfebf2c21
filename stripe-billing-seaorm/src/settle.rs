//! How an event ends, as columns.

use chrono::{DateTime, Utc};
use sea_orm::Value;
use stripe_billing_core::StoreError;
use stripe_billing_core::changes::Settlement;
use stripe_billing_core::queue::{Failure, Lease};
use stripe_billing_core::store::{Delivery, Settled};

use crate::classify::corrupt;
use crate::db::{self, Db, column};
use crate::dialect::repeated;
use crate::effects::EffectRows;

/// Status, due time, attempts spent, reason, message and class: the columns that a settlement sets,
/// in the order of the statements.
pub(crate) fn columns(settlement: &Settlement, now: DateTime<Utc>) -> [Value; 6] {
    let none = || db::optional(None);
    let row = |status: &str, due: Option<DateTime<Utc>>, cost: i64| {
        (db::text(status), due.map(db::micros).into(), cost.into())
    };
    let ((status, due, cost), [reason, message, class]) = match settlement {
        Settlement::Processed => (row("processed", None, 0), [none(), none(), none()]),
        Settlement::Ignored(reason) => {
            (row("ignored", None, 0), [db::text(reason.as_str()), none(), none()])
        }
        Settlement::Parked(reason) => {
            (row("parked", None, 0), [db::text(&reason.code()), none(), none()])
        }
        Settlement::Retry { due, failure } => (row("retry_wait", Some(*due), 1), why(failure)),
        Settlement::Dead(failure) => (row("dead", None, 1), why(failure)),
        Settlement::Released => (row("received", Some(now), 0), [none(), none(), none()]),
    };
    [status, due, cost, reason, message, class]
}

fn why(failure: &Failure) -> [Value; 3] {
    [db::text(failure.code), db::text(&failure.message), db::text(failure.class.as_str())]
}

/// Settles an event that changed nothing.
pub(crate) async fn event(db: &Db, lease: &Lease, settled: &Settled) -> Result<bool, StoreError> {
    let Settled { settlement, subject, effects, now } = settled;
    let mut values = columns(settlement, *now).to_vec();
    values.extend([db::optional(subject.as_deref()), lease.seq.into(), lease.epoch.into()]);
    let sql = db.sql.settle.as_str();
    if effects.is_empty() {
        return Ok(db.execute(db.writer(), sql, values).await? == 1);
    }
    let effects = EffectRows::new(effects, *now)?;
    let tx = db.begin().await?;
    if db.execute(&tx, sql, values).await? == 0 {
        db::rollback(tx).await?;
        return Ok(false);
    }
    let about = db.query(&tx, db.sql.event_subject.as_str(), vec![lease.seq.into()]).await?;
    let Some(about) = about.first() else {
        return Err(corrupt("the event that was settled is not there"));
    };
    let [account, livemode] = db::tenant_values(&db::tenant(about, 0)?);
    let id: String = column(about, 2)?;
    effects.write(db, &tx, &[account, livemode, db::text(&id)]).await?;
    db.commit(tx).await?;
    Ok(true)
}

/// Settles facts that ended alike, in one statement.
pub(crate) async fn facts(
    db: &Db,
    leases: &[Lease],
    delivery: &Delivery,
) -> Result<u64, StoreError> {
    let Some(last) = leases.last() else { return Ok(0) };
    let none = || [db::optional(None), db::optional(None), db::optional(None)];
    let (status, due, cost, [reason, message, class]) = match delivery {
        Delivery::Done => ("done", None, 0_i64, none()),
        Delivery::Dropped => ("dropped", None, 0, none()),
        Delivery::Retry { due, failure } => ("pending", Some(*due), 1, why(failure)),
        Delivery::Dead(failure) => ("dead", None, 1, why(failure)),
    };
    let due = due.map(db::micros).into();
    let mut values = vec![db::text(status), due, cost.into(), reason, class, message];
    // Few different lengths, so that few statements are prepared: the last one is repeated.
    let places = leases.len().next_power_of_two();
    for lease in leases.iter().chain(std::iter::repeat(last)).take(places) {
        values.extend([lease.seq.into(), lease.epoch.into()]);
    }
    let sql = db.render(&format!(
        "UPDATE {{p}}outbox SET status = ?, due_at = ?, attempts = attempts + ?, \
         reason = COALESCE(?, reason), error_class = COALESCE(?, error_class), \
         message = COALESCE(?, message) WHERE status = 'sending' AND ({})",
        repeated("(seq = ? AND epoch = ?)", " OR ", places)
    ));
    db.execute(db.writer(), sql, values).await
}
