//! The inbox table: inserting, and finding out about what was there.

use std::collections::{HashMap, HashSet};

use sea_orm::Value;
use serde_json::Value as Json;
use stripe_billing_core::store::ReceivedEvent;
use stripe_billing_core::webhook::EventKind;
use stripe_billing_core::{EventKey, StoreError};

use crate::classify::{corrupt, is_duplicate};
use crate::db::{self, Db};
use crate::dialect::{Dialect, repeated};
use crate::sql::{EVENT_COLUMNS, EVENT_ROW};

pub(crate) fn kind_name(kind: EventKind) -> &'static str {
    match kind {
        EventKind::Snapshot => "snapshot",
        EventKind::Thin => "thin",
        EventKind::Command => "command",
    }
}

pub(crate) fn kind_of(name: &str) -> Result<EventKind, StoreError> {
    match name {
        "snapshot" => Ok(EventKind::Snapshot),
        "thin" => Ok(EventKind::Thin),
        "command" => Ok(EventKind::Command),
        _ => Err(corrupt(format!("{name:?} is no kind of event"))),
    }
}

/// Inserts events of different keys in one commit; for each, whether it is new.
pub(crate) async fn insert(db: &Db, batch: &[&ReceivedEvent]) -> Result<Vec<bool>, StoreError> {
    let inserted = match db.dialect {
        #[cfg(feature = "postgres")]
        Dialect::Postgres => {
            let sql = db.sql.insert_events.as_str();
            db.query(db.writer(), sql, arrays(batch)).await?
        }
        #[cfg(not(feature = "postgres"))]
        Dialect::Postgres => return Err(crate::classify::not_compiled_in()),
        Dialect::Sqlite => {
            let sql = format!(
                "{} ON CONFLICT DO NOTHING RETURNING stripe_account, livemode, event_id",
                insert_sql(db, batch.len())
            );
            db.query(db.writer(), sql, values(batch)).await?
        }
        Dialect::Mysql => return insert_mysql(db, batch).await,
    };
    if inserted.len() == batch.len() {
        return Ok(vec![true; batch.len()]);
    }
    let mut new = HashSet::with_capacity(inserted.len());
    for row in &inserted {
        new.insert(key(row)?);
    }
    Ok(batch.iter().map(|event| new.contains(&event.key)).collect())
}

/// MySQL cannot say which rows it skipped. So all are inserted, and only where that fails on a
/// duplicate the table is asked which are missing.
async fn insert_mysql(db: &Db, batch: &[&ReceivedEvent]) -> Result<Vec<bool>, StoreError> {
    let mut missing = batch.to_vec();
    loop {
        match db.execute(db.writer(), insert_sql(db, missing.len()), values(&missing)).await {
            Ok(_) => break,
            Err(error) if is_duplicate(&error) => {}
            Err(error) => return Err(error),
        }
        // Another node may add one in between, which only makes fewer of them missing.
        let keys: Vec<&EventKey> = missing.iter().map(|event| &event.key).collect();
        let sql = format!(
            "SELECT stripe_account, livemode, event_id FROM {{p}}events WHERE {}",
            any_key(keys.len())
        );
        let rows = db.query(db.writer(), db.render(&sql), key_values(&keys)).await?;
        let mut known = HashSet::with_capacity(rows.len());
        for row in &rows {
            known.insert(key(row)?);
        }
        missing.retain(|event| !known.contains(&event.key));
        if missing.is_empty() {
            break;
        }
    }
    let new: HashSet<&EventKey> = missing.iter().map(|event| &event.key).collect();
    Ok(batch.iter().map(|event| new.contains(&event.key)).collect())
}

/// The stored bodies of events.
pub(crate) async fn payloads(
    db: &Db,
    keys: &[&EventKey],
) -> Result<HashMap<EventKey, Vec<u8>>, StoreError> {
    if keys.is_empty() {
        return Ok(HashMap::new());
    }
    let sql = format!(
        "SELECT stripe_account, livemode, event_id, payload FROM {{p}}events WHERE {}",
        any_key(keys.len())
    );
    let rows = db.query(db.reader(), db.render(&sql), key_values(keys)).await?;
    rows.iter().map(|row| Ok((key(row)?, db::column(row, 3)?))).collect()
}

/// Flags an event that came again with other content.
pub(crate) async fn flag(db: &Db, key: &EventKey) -> Result<(), StoreError> {
    let sql = db.sql.flag_event.as_str();
    db.execute(db.writer(), sql, key_values(&[key])).await?;
    Ok(())
}

/// Whether two bodies of one event say different things: another type, or other data. The rest may
/// change between deliveries (`pending_webhooks` does).
pub(crate) fn differs(before: &[u8], after: &[u8]) -> bool {
    if before == after {
        return false;
    }
    let parse = |body| serde_json::from_slice::<Json>(body).ok();
    match (parse(before), parse(after)) {
        (Some(before), Some(after)) => {
            ["type", "data"].iter().any(|field| before.get(field) != after.get(field))
        }
        _ => true,
    }
}

fn key(row: &sea_orm::QueryResult) -> Result<EventKey, StoreError> {
    Ok(EventKey { tenant: db::tenant(row, 0)?, id: db::column(row, 2)? })
}

fn any_key(keys: usize) -> String {
    repeated("(stripe_account = ? AND livemode = ? AND event_id = ?)", " OR ", keys)
}

fn key_values(keys: &[&EventKey]) -> Vec<Value> {
    let mut values = Vec::with_capacity(keys.len() * 3);
    for key in keys {
        values.extend(db::tenant_values(&key.tenant));
        values.push(db::text(&key.id));
    }
    values
}

fn insert_sql(db: &Db, rows: usize) -> String {
    let rows = repeated(EVENT_ROW, ", ", rows);
    db.render(&format!("INSERT INTO {{p}}events ({EVENT_COLUMNS}) VALUES {rows}"))
}

fn values(batch: &[&ReceivedEvent]) -> Vec<Value> {
    let mut values = Vec::with_capacity(batch.len() * 10);
    for event in batch {
        let received = db::micros(event.received_at);
        values.extend(db::tenant_values(&event.key.tenant));
        values.extend([
            db::text(&event.key.id),
            db::text(kind_name(event.kind)),
            db::text(&event.event_type),
            db::optional(event.api_version.as_deref()),
            event.created.into(),
            received.into(),
            received.into(),
            Value::Bytes(Some(event.payload.to_vec())),
        ]);
    }
    values
}

#[cfg(feature = "postgres")]
fn arrays(batch: &[&ReceivedEvent]) -> Vec<Value> {
    use crate::db::array;

    let rows = || batch.iter().copied();
    let tenants = || rows().map(|event| &event.key.tenant);
    vec![
        array::texts(tenants().map(|tenant| tenant.stripe_account.as_deref().unwrap_or_default())),
        array::bools(tenants().map(|tenant| tenant.livemode)),
        array::texts(rows().map(|event| event.key.id.as_str())),
        array::texts(rows().map(|event| kind_name(event.kind))),
        array::texts(rows().map(|event| event.event_type.as_str())),
        array::texts(rows().map(|event| event.api_version.as_deref().unwrap_or_default())),
        array::numbers(rows().map(|event| event.created)),
        array::numbers(rows().map(|event| db::micros(event.received_at))),
        array::bytes(rows().map(|event| event.payload.as_ref())),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_type_and_data_make_another_content() {
        let body = |pending: u32, kind: &str, status: &str| {
            format!(
                r#"{{"id":"evt_1","pending_webhooks":{pending},"type":"{kind}","data":{{"object":{{"status":"{status}"}}}}}}"#
            )
        };
        let stored = body(1, "invoice.paid", "paid");
        for (again, expected) in [
            (body(1, "invoice.paid", "paid"), false),
            (body(0, "invoice.paid", "paid"), false),
            (format!(" {}", body(1, "invoice.paid", "paid")), false),
            (body(1, "invoice.voided", "paid"), true),
            (body(1, "invoice.paid", "void"), true),
            ("not JSON".to_owned(), true),
        ] {
            assert_eq!(differs(stored.as_bytes(), again.as_bytes()), expected, "{again}");
        }
    }
}
