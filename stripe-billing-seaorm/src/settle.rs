//! How an event ends, as columns.

use chrono::{DateTime, Utc};
use sea_orm::{ConnectionTrait, DatabaseTransaction, Value};
use stripe_billing_core::StoreError;
use stripe_billing_core::changes::Settlement;
use stripe_billing_core::queue::{ErrorClass, Failure, Lease};
use stripe_billing_core::store::{Delivery, Settled};

use crate::classify::corrupt;
use crate::db::{self, Db, column};
use crate::dialect::repeated;
use crate::effects::{EffectRows, SubjectColumns};

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
        Settlement::Deferred { due, failure } => (row("deferred", Some(*due), 0), why(failure)),
        Settlement::Dead(failure) => (row("dead", None, 1), why(failure)),
        Settlement::Released => (row("received", Some(now), 0), [none(), none(), none()]),
    };
    [status, due, cost, reason, message, class]
}

fn why(failure: &Failure) -> [Value; 3] {
    [db::text(failure.code), db::text(&failure.message), db::text(failure.class.as_str())]
}

/// Why an event failed, if it did.
fn failure_of(settlement: &Settlement) -> Option<&Failure> {
    match settlement {
        Settlement::Retry { failure, .. }
        | Settlement::Deferred { failure, .. }
        | Settlement::Dead(failure) => Some(failure),
        _ => None,
    }
}

/// Settles an event that changed nothing.
pub(crate) async fn event(db: &Db, lease: &Lease, settled: &Settled) -> Result<bool, StoreError> {
    let Settled { settlement, subject, effects, now } = settled;
    let failure = failure_of(settlement);
    let deferral = i64::from(failure.is_some_and(|it| it.class == ErrorClass::Deferred))
        * i64::from(matches!(settlement, Settlement::Deferred { .. }));
    let mut values = columns(settlement, *now).to_vec();
    values.extend([
        deferral.into(),
        db::optional(effects.failing.as_deref()),
        db::optional(subject.as_deref()),
        lease.seq.into(),
        lease.epoch.into(),
    ]);
    let sql = db.sql.settle.as_str();
    if effects.is_empty() && failure.is_none() {
        return Ok(db.execute(db.writer(), sql, values).await? == 1);
    }
    let effects = EffectRows::new(effects, *now)?;
    let tx = db.begin().await?;
    if db.execute(&tx, sql, values).await? == 0 {
        db::rollback(tx).await?;
        return Ok(false);
    }
    if let Some(Failure { class, code, message, retry_after: _ }) = failure {
        let attempt = vec![
            db::micros(*now).into(),
            db::text(class.as_str()),
            db::text(code),
            db::text(message),
            lease.seq.into(),
        ];
        db.execute(&tx, db.sql.note_attempt.as_str(), attempt).await?;
    }
    let about = subject_of(db, &tx, db.sql.event_subject.as_str(), lease).await?;
    effects.write(db, &tx, &about).await?;
    db.commit(tx).await?;
    Ok(true)
}

async fn subject_of(
    db: &Db,
    tx: &DatabaseTransaction,
    sql: &str,
    lease: &Lease,
) -> Result<SubjectColumns, StoreError> {
    let about = db.query(tx, sql, vec![lease.seq.into()]).await?;
    let Some(about) = about.first() else {
        return Err(corrupt("what was settled is not there"));
    };
    let [account, livemode] = db::tenant_values(&db::tenant(about, 0)?);
    let id: String = column(about, 2)?;
    Ok([account, livemode, db::text(&id)])
}

/// Settles facts that ended alike: in one statement where nothing follows from it.
pub(crate) async fn facts(
    db: &Db,
    leases: &[Lease],
    delivery: &Delivery,
    now: DateTime<Utc>,
) -> Result<u64, StoreError> {
    let Delivery::Dead { effects, .. } = delivery else {
        return end(db, db.writer(), leases, delivery, now).await;
    };
    let rows = EffectRows::new(effects, now)?;
    let mut settled = 0;
    for lease in leases {
        let tx = db.begin().await?;
        if end(db, &tx, std::slice::from_ref(lease), delivery, now).await? == 0 {
            db::rollback(tx).await?;
            continue;
        }
        let about = subject_of(db, &tx, db.sql.fact_subject.as_str(), lease).await?;
        rows.write(db, &tx, &about).await?;
        db.commit(tx).await?;
        settled += 1;
    }
    Ok(settled)
}

async fn end(
    db: &Db,
    on: &impl ConnectionTrait,
    leases: &[Lease],
    delivery: &Delivery,
    now: DateTime<Utc>,
) -> Result<u64, StoreError> {
    let Some(last) = leases.last() else { return Ok(0) };
    let none = || [db::optional(None), db::optional(None), db::optional(None)];
    let (status, due, cost, [reason, message, class]) = match delivery {
        Delivery::Done => ("done", None, 0_i64, none()),
        Delivery::Dropped => ("dropped", None, 0, none()),
        Delivery::Retry { due, failure } => ("pending", Some(*due), 1, why(failure)),
        Delivery::Deferred { due, failure } => ("pending", Some(*due), 0, why(failure)),
        Delivery::PutOff { due, reason } => {
            ("pending", Some(*due), 0, [db::text(reason), db::optional(None), db::optional(None)])
        }
        Delivery::Dead { failure, .. } => ("dead", None, 1, why(failure)),
    };
    let deferral = i64::from(matches!(
        delivery,
        Delivery::Deferred { failure, .. } if failure.class == ErrorClass::Deferred
    ));
    let ticket = match delivery {
        Delivery::Dead { effects, .. } => effects.failing.as_deref(),
        _ => None,
    };
    let due = due.map(db::micros).into();
    let told_at = matches!(delivery, Delivery::Done).then(|| db::micros(now)).into();
    let mut values = vec![
        db::text(status),
        due,
        cost.into(),
        deferral.into(),
        reason,
        class,
        message,
        db::optional(ticket),
        told_at,
    ];
    // Few different lengths, so that few statements are prepared: the last one is repeated.
    let places = leases.len().next_power_of_two();
    for lease in leases.iter().chain(std::iter::repeat(last)).take(places) {
        values.extend([lease.seq.into(), lease.epoch.into()]);
    }
    let sql = db.render(&format!(
        "UPDATE {{p}}outbox SET status = ?, due_at = ?, attempts = attempts + ?, \
         deferrals = deferrals + ?, reason = COALESCE(?, reason), \
         error_class = COALESCE(?, error_class), message = COALESCE(?, message), \
         ticket = COALESCE(?, ticket), told_at = ? WHERE status = 'sending' AND ({})",
        repeated("(seq = ? AND epoch = ?)", " OR ", places)
    ));
    db.execute(on, sql, values).await
}
