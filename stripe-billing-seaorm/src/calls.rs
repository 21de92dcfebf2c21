//! Rows for calls that must happen once.

use chrono::{DateTime, Utc};
use stripe_billing_core::StoreError;
use stripe_billing_core::store::Call;

use crate::classify::{corrupt, is_duplicate};
use crate::db::{self, Db, column};

pub(crate) async fn begin(
    db: &Db,
    key: &str,
    fingerprint: &str,
    now: DateTime<Utc>,
) -> Result<Call, StoreError> {
    let started_at = db::micros(now);
    let values = vec![db::text(key), db::text(fingerprint), started_at.into()];
    let inserted = match db.execute(db.writer(), db.sql.insert_call.as_str(), values).await {
        Ok(inserted) => inserted == 1,
        Err(error) if is_duplicate(&error) => false,
        Err(error) => return Err(error),
    };
    if inserted {
        return Ok(Call {
            key: key.to_owned(),
            generation: 1,
            fingerprint: fingerprint.to_owned(),
            // To the microsecond, as whoever reads the row will see it.
            started_at: db::from_micros(started_at)?,
            result: None,
        });
    }
    let sql = db.sql.select_call.as_str();
    let rows = db.query(db.writer(), sql, vec![db::text(key)]).await?;
    // Rows of calls are never deleted.
    let row = rows
        .first()
        .ok_or_else(|| corrupt(format!("the call `{key}` exists and cannot be found")))?;
    Ok(Call {
        key: key.to_owned(),
        generation: column(row, 0)?,
        fingerprint: column(row, 1)?,
        started_at: db::time(row, 2)?,
        result: column(row, 3)?,
    })
}

/// The first result holds; whether this was it.
pub(crate) async fn finish(
    db: &Db,
    key: &str,
    generation: i64,
    result: &str,
) -> Result<bool, StoreError> {
    let values = vec![db::text(result), db::text(key), generation.into()];
    let sql = db.sql.finish_call.as_str();
    Ok(db.execute(db.writer(), sql, values).await? == 1)
}

pub(crate) async fn restart(
    db: &Db,
    key: &str,
    generation: i64,
    fingerprint: &str,
    now: DateTime<Utc>,
) -> Result<bool, StoreError> {
    let values =
        vec![db::text(fingerprint), db::micros(now).into(), db::text(key), generation.into()];
    let sql = db.sql.restart_call.as_str();
    Ok(db.execute(db.writer(), sql, values).await? == 1)
}
