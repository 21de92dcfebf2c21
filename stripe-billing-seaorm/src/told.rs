//! What somebody was told lately.

use std::cmp::Reverse;

use chrono::{DateTime, Utc};
use sea_orm::Value;
use stripe_billing_core::notice::NoticeKind;
use stripe_billing_core::store::Told;
use stripe_billing_core::{StoreError, Tenant};

use crate::db::{self, Db, column};
use crate::dialect::repeated;

/// Two ranges of one index, of subjects and kinds: what is not told yet, and the end of what is.
pub(crate) async fn told_since(
    db: &Db,
    tenant: &Tenant,
    subjects: &[String],
    kinds: &[NoticeKind],
    since: DateTime<Utc>,
) -> Result<Vec<Told>, StoreError> {
    if subjects.is_empty() || kinds.is_empty() {
        return Ok(Vec::new());
    }
    let whose = format!(
        "SELECT seq, told_at FROM {{p}}outbox WHERE subject IN ({}) AND kind IN ({}) \
         AND stripe_account = ? AND livemode = ? AND is_notice = ?",
        repeated("?", ", ", subjects.len()),
        repeated("?", ", ", kinds.len())
    );
    let sql = db.render(&format!(
        "{whose} AND told_at > ? UNION ALL {whose} AND told_at IS NULL AND status = 'sending'"
    ));
    let mut asked: Vec<Value> = subjects.iter().map(|id| db::text(id)).collect();
    asked.extend(kinds.iter().map(|kind| db::text(kind.as_str())));
    asked.extend(db::tenant_values(tenant));
    asked.push(true.into());
    let mut values = asked.clone();
    values.push(db::micros(since).into());
    values.extend(asked);
    let rows = db.query(db.reader(), sql, values).await?;
    let mut told = Vec::with_capacity(rows.len());
    for row in &rows {
        let at = column::<Option<i64>>(row, 1)?.map(db::from_micros).transpose()?;
        told.push(Told { seq: column(row, 0)?, at });
    }
    told.sort_by_key(|told| (told.at.is_some(), Reverse(told.at)));
    Ok(told)
}
