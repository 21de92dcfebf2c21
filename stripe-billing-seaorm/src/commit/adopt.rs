//! Ids that become other names of a subject.

use sea_orm::{DatabaseTransaction, Value};
use stripe_billing_core::StoreError;

use super::{NameRow, Row};
use crate::classify::is_duplicate;
use crate::db::{self, Db};
use crate::dialect::{Dialect, repeated};

/// Whether the versions of all of them were the expected ones.
pub(super) async fn names(
    db: &Db,
    tx: &DatabaseTransaction,
    row: &Row<'_>,
) -> Result<bool, StoreError> {
    let (new, known): (Vec<_>, Vec<_>) =
        row.adopted.iter().partition(|name| name.name.expected_version == 0);
    if !new.is_empty() && !insert(db, tx, row, &new).await? {
        return Ok(false);
    }
    for name in known {
        let [account, livemode, subject] = &row.subject;
        let values = vec![
            subject.clone(),
            db::text(&name.links),
            account.clone(),
            livemode.clone(),
            db::text(&name.name.id),
            name.name.expected_version.into(),
        ];
        if db.execute(tx, db.sql.point_name.as_str(), values).await? == 0 {
            return Ok(false);
        }
    }
    for name in row.adopted.iter().filter(|name| name.name.had_state) {
        move_state(db, tx, row, name).await?;
    }
    Ok(true)
}

/// Whether all of them were new.
async fn insert(
    db: &Db,
    tx: &DatabaseTransaction,
    row: &Row<'_>,
    names: &[&NameRow<'_>],
) -> Result<bool, StoreError> {
    let ignore = match db.dialect {
        Dialect::Mysql => "",
        Dialect::Sqlite | Dialect::Postgres => " ON CONFLICT DO NOTHING",
    };
    let sql = db.render(&format!(
        "INSERT INTO {{p}}subjects (stripe_account, livemode, id, version, owner, links) \
         VALUES {}{ignore}",
        repeated("(?, ?, ?, 1, ?, ?)", ", ", names.len())
    ));
    let [account, livemode, subject] = &row.subject;
    let values = names
        .iter()
        .flat_map(|name| {
            let own = [db::text(&name.name.id), subject.clone(), db::text(&name.links)];
            [account.clone(), livemode.clone()].into_iter().chain(own)
        })
        .collect();
    match db.execute(tx, sql, values).await {
        Ok(inserted) => Ok(inserted == names.len() as u64),
        Err(error) if is_duplicate(&error) => Ok(false),
        Err(error) => Err(error),
    }
}

/// Events, messages and tickets move to the subject. The records are gone: what they held is among
/// the records of the decision. The audit log stays as it was written.
async fn move_state(
    db: &Db,
    tx: &DatabaseTransaction,
    row: &Row<'_>,
    name: &NameRow<'_>,
) -> Result<(), StoreError> {
    let [account, livemode, subject] = &row.subject;
    let own: [Value; 3] = [account.clone(), livemode.clone(), db::text(&name.name.id)];
    for table in &db.sql.move_subject {
        let mut values = vec![subject.clone()];
        values.extend(own.iter().cloned());
        db.execute(tx, table.as_str(), values).await?;
    }
    db.execute(tx, db.sql.delete_records.as_str(), own.to_vec()).await?;
    Ok(())
}
