//! What operators order, each in one transaction that its request id opens once.

use chrono::{DateTime, Utc};
use sea_orm::DatabaseTransaction;
use stripe_billing_core::changes::Effects;
use stripe_billing_core::queue::ErrorClass;
use stripe_billing_core::state::{ObjectKind, ObjectRef};
use stripe_billing_core::store::{Carried, Order, Paused, Verb};
use stripe_billing_core::ticket::TicketStatus;
use stripe_billing_core::{StoreError, Tenant};

use crate::classify::{corrupt, is_duplicate};
use crate::db::{self, Db, column};
use crate::dialect::Dialect;
use crate::effects::{EffectRows, SubjectColumns};
use crate::maintain;

pub(crate) async fn operate(db: &Db, order: &Order) -> Result<Carried, StoreError> {
    let tx = db.begin().await?;
    if !begin(db, &tx, order).await? {
        db::rollback(tx).await?;
        return known(db, order).await;
    }
    let carried = match &order.verb {
        Verb::Resolve { seq } | Verb::Dismiss { seq } | Verb::Release { seq } => {
            change_event(db, &tx, *seq, order).await?
        }
        Verb::Replay { range } => {
            let changed = maintain::requeue(db, &tx, range, order.now).await?;
            on_queue(db, &tx, order, changed, [None, Some(format!("{changed} due again"))]).await?
        }
        Verb::Redeliver { key } => {
            let changed = redeliver(db, &tx, key.as_deref(), order.now).await?;
            on_queue(db, &tx, order, changed, [None, Some(format!("{changed} due again"))]).await?
        }
        Verb::Ticket { number, status } => change_ticket(db, &tx, *number, *status, order).await?,
        Verb::Pause | Verb::Resume => switch(db, &tx, order).await?,
    };
    let body = serde_json::to_string(&carried).map_err(corrupt)?;
    let done = db.render("UPDATE {p}orders SET carried = ? WHERE request = ?");
    db.execute(&tx, done, vec![db::text(&body), db::text(&order.request)]).await?;
    db.commit(tx).await?;
    Ok(carried)
}

/// Whether the request is new. One that is under way elsewhere is waited for.
async fn begin(db: &Db, tx: &DatabaseTransaction, order: &Order) -> Result<bool, StoreError> {
    let ignore = match db.dialect {
        Dialect::Mysql => "",
        Dialect::Sqlite | Dialect::Postgres => " ON CONFLICT DO NOTHING",
    };
    let sql = db.render(&format!(
        "INSERT INTO {{p}}orders (request, verb, carried, at) VALUES (?, ?, '', ?){ignore}"
    ));
    let verb = serde_json::to_string(&order.verb).map_err(corrupt)?;
    let values = vec![db::text(&order.request), db::text(&verb), db::micros(order.now).into()];
    match db.execute(tx, sql, values).await {
        Ok(inserted) => Ok(inserted == 1),
        Err(error) if is_duplicate(&error) => Ok(false),
        Err(error) => Err(error),
    }
}

/// What a request came to that was carried out before.
async fn known(db: &Db, order: &Order) -> Result<Carried, StoreError> {
    let sql = db.render("SELECT verb, carried FROM {p}orders WHERE request = ?");
    let rows = db.query(db.writer(), sql, vec![db::text(&order.request)]).await?;
    let row = rows.first().ok_or_else(|| corrupt("an order that was there is gone"))?;
    let (verb, carried): (String, String) = (column(row, 0)?, column(row, 1)?);
    if serde_json::from_str::<Verb>(&verb).map_err(corrupt)? != order.verb {
        return Err(StoreError::key_reused(&order.request));
    }
    let carried: Carried = serde_json::from_str(&carried).map_err(corrupt)?;
    Ok(Carried { repeated: true, ..carried })
}

fn for_update(dialect: Dialect) -> &'static str {
    match dialect {
        Dialect::Sqlite => "",
        Dialect::Postgres | Dialect::Mysql => " FOR UPDATE",
    }
}

async fn change_event(
    db: &Db,
    tx: &DatabaseTransaction,
    seq: i64,
    order: &Order,
) -> Result<Carried, StoreError> {
    let nothing = Carried { changed: 0, before: None, after: None, repeated: false };
    let select = db.render(&format!(
        "SELECT stripe_account, livemode, COALESCE(subject, event_id), event_id, status \
         FROM {{p}}events WHERE seq = ?{}",
        for_update(db.dialect)
    ));
    let rows = db.query(tx, select, vec![seq.into()]).await?;
    let Some(row) = rows.first() else { return Ok(nothing) };
    let before: String = column(row, 4)?;
    let Some(after) = order.verb.leads_to(&before) else {
        return Ok(Carried { before: Some(before), ..nothing });
    };
    let due = (after == "received").then(|| db::micros(order.now));
    // Whoever holds the lease has lost it.
    let update =
        db.render("UPDATE {p}events SET status = ?, due_at = ?, epoch = epoch + 1 WHERE seq = ?");
    db.execute(tx, update, vec![db::text(after), due.into(), seq.into()]).await?;
    let [account, livemode] = db::tenant_values(&db::tenant(row, 0)?);
    let subject = [account, livemode, db::text(&column::<String>(row, 2)?)];
    let object = ObjectRef { kind: ObjectKind::Event, id: column(row, 3)? };
    let carried = Carried {
        changed: 1,
        before: Some(before),
        after: Some(after.to_owned()),
        repeated: false,
    };
    audit(db, tx, order, &subject, object, &carried).await?;
    Ok(carried)
}

async fn change_ticket(
    db: &Db,
    tx: &DatabaseTransaction,
    number: i64,
    status: TicketStatus,
    order: &Order,
) -> Result<Carried, StoreError> {
    let select = db.render(&format!(
        "SELECT stripe_account, livemode, subject, ticket_key, status FROM {{p}}tickets \
         WHERE number = ?{}",
        for_update(db.dialect)
    ));
    let rows = db.query(tx, select, vec![number.into()]).await?;
    let Some(row) = rows.first() else {
        return Ok(Carried { changed: 0, before: None, after: None, repeated: false });
    };
    let update = db.render(
        "UPDATE {p}tickets SET status = ?, updated_at = ?, revision = revision + 1 \
         WHERE number = ?",
    );
    let values = vec![db::text(status.as_str()), db::micros(order.now).into(), number.into()];
    db.execute(tx, update, values).await?;
    let [account, livemode] = db::tenant_values(&db::tenant(row, 0)?);
    let subject = [account, livemode, db::text(&column::<String>(row, 2)?)];
    let object = ObjectRef { kind: ObjectKind::Ticket, id: column(row, 3)? };
    let carried = Carried {
        changed: 1,
        before: Some(column(row, 4)?),
        after: Some(status.as_str().to_owned()),
        repeated: false,
    };
    audit(db, tx, order, &subject, object, &carried).await?;
    Ok(carried)
}

async fn redeliver(
    db: &Db,
    tx: &DatabaseTransaction,
    key: Option<&str>,
    now: DateTime<Utc>,
) -> Result<u64, StoreError> {
    let mut values = vec![db::micros(now).into()];
    values.extend(key.map(db::text));
    let which = if key.is_some() { " AND fact_key = ?" } else { "" };
    let sql = db.render(&format!(
        "UPDATE {{p}}outbox SET status = 'pending', due_at = ?, attempts = 0, deferrals = 0, \
         crashes = 0 WHERE status = 'dead'{which}"
    ));
    db.execute(tx, sql, values).await
}

async fn on_queue(
    db: &Db,
    tx: &DatabaseTransaction,
    order: &Order,
    changed: u64,
    [before, after]: [Option<String>; 2],
) -> Result<Carried, StoreError> {
    let carried = Carried { changed, before, after, repeated: false };
    let [account, livemode] = db::tenant_values(&Tenant::default());
    let subject = [account, livemode, db::text("queue")];
    audit(db, tx, order, &subject, order.queue(), &carried).await?;
    Ok(carried)
}

async fn audit(
    db: &Db,
    tx: &DatabaseTransaction,
    order: &Order,
    subject: &SubjectColumns,
    object: ObjectRef,
    carried: &Carried,
) -> Result<(), StoreError> {
    let line = order.audit(object, carried.before.clone(), carried.after.clone());
    let effects = Effects { audit: vec![line], ..Effects::default() };
    EffectRows::new(&effects, order.now)?.write(db, tx, subject).await
}

/// The rows of the table `switches`.
const PAUSED: &str = "paused";
const CONFIGURATION: &str = "configuration";

async fn read_switch(
    db: &Db,
    tx: &DatabaseTransaction,
    name: &str,
) -> Result<Option<String>, StoreError> {
    let sql = db.render(&format!(
        "SELECT value FROM {{p}}switches WHERE name = ?{}",
        for_update(db.dialect)
    ));
    let rows = db.query(tx, sql, vec![db::text(name)]).await?;
    rows.first().map(|row| column(row, 0)).transpose()
}

async fn write_switch(
    db: &Db,
    tx: &DatabaseTransaction,
    name: &str,
    value: &str,
) -> Result<(), StoreError> {
    let upsert = match db.dialect {
        Dialect::Mysql => "ON DUPLICATE KEY UPDATE value = VALUES(value)",
        Dialect::Sqlite | Dialect::Postgres => {
            "ON CONFLICT (name) DO UPDATE SET value = excluded.value"
        }
    };
    let sql = db.render(&format!("INSERT INTO {{p}}switches (name, value) VALUES (?, ?) {upsert}"));
    db.execute(tx, sql, vec![db::text(name), db::text(value)]).await?;
    Ok(())
}

async fn switch(db: &Db, tx: &DatabaseTransaction, order: &Order) -> Result<Carried, StoreError> {
    let pauses = order.verb == Verb::Pause;
    let was = read_switch(db, tx, PAUSED).await?.is_some();
    if pauses && !was {
        let (actor, reason) = (order.actor.clone(), order.reason.clone());
        let paused = Paused { actor, reason, since: order.now };
        let value = serde_json::to_string(&paused).map_err(corrupt)?;
        write_switch(db, tx, PAUSED, &value).await?;
    } else if !pauses && was {
        let sql = db.render("DELETE FROM {p}switches WHERE name = ?");
        db.execute(tx, sql, vec![db::text(PAUSED)]).await?;
    }
    let word = |paused: bool| Some(if paused { "paused" } else { "running" }.to_owned());
    on_queue(db, tx, order, u64::from(was != pauses), [word(was), word(pauses)]).await
}

pub(crate) async fn paused(db: &Db) -> Result<Option<Paused>, StoreError> {
    let rows = db.query(db.reader(), db.sql.paused.as_str(), Vec::new()).await?;
    let Some(row) = rows.first() else { return Ok(None) };
    let value: String = column(row, 0)?;
    Ok(Some(serde_json::from_str(&value).map_err(corrupt)?))
}

pub(crate) async fn release_config(
    db: &Db,
    configuration: &str,
    now: DateTime<Utc>,
) -> Result<u64, StoreError> {
    let tx = db.begin().await?;
    if read_switch(db, &tx, CONFIGURATION).await?.as_deref() == Some(configuration) {
        db::rollback(tx).await?;
        return Ok(0);
    }
    write_switch(db, &tx, CONFIGURATION, configuration).await?;
    let mut released = 0;
    for (table, status) in [("events", "received"), ("outbox", "pending")] {
        let sql = db.render(&format!(
            "UPDATE {{p}}{table} SET status = '{status}', due_at = ?, attempts = 0, \
             deferrals = 0, crashes = 0 WHERE status = 'dead' AND error_class = ?"
        ));
        let values = vec![db::micros(now).into(), db::text(ErrorClass::Config.as_str())];
        released += db.execute(&tx, sql, values).await?;
    }
    db.commit(tx).await?;
    Ok(released)
}
