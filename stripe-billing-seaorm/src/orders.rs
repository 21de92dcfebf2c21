//! What operators order, each in one transaction that its request id opens once.

use chrono::{DateTime, Utc};
use sea_orm::DatabaseTransaction;
use stripe_billing_core::changes::Effects;
use stripe_billing_core::queue::ErrorClass;
use stripe_billing_core::state::{ObjectKind, ObjectRef};
use stripe_billing_core::store::{Carried, Order, Paused, Verb};
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
            // A released event is due at once; what is settled by hand never.
            let due = matches!(order.verb, Verb::Release { .. }).then(|| db::micros(order.now));
            let leads_to = |status: &str| order.verb.leads_to(status);
            change(db, &tx, order, Change::event(*seq, due), leads_to).await?
        }
        Verb::Replay { range } => {
            let (changed, next) = maintain::requeue(db, &tx, range, order.now).await?;
            let words = [None, Some(format!("{changed} due again"))];
            Carried { next, ..on_queue(db, &tx, order, changed, words).await? }
        }
        Verb::Redeliver { key } => {
            let changed = redeliver(db, &tx, key.as_deref(), order.now).await?;
            on_queue(db, &tx, order, changed, [None, Some(format!("{changed} due again"))]).await?
        }
        Verb::Ticket { number, status } => {
            let row = Change::ticket(*number, db::micros(order.now));
            change(db, &tx, order, row, |_| Some(status.as_str())).await?
        }
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

/// A row that an order is about: where it is, which columns say whom it is about and what it is
/// called, what the order makes of its status, and what is written with it.
struct Change<'a> {
    table: &'a str,
    place: (&'a str, i64),
    about: &'a str,
    object: ObjectKind,
    set: (&'a str, Option<i64>),
}

impl Change<'_> {
    fn event(seq: i64, due: Option<i64>) -> Self {
        Self {
            table: "events",
            place: ("seq", seq),
            about: "COALESCE(subject, event_id), event_id",
            object: ObjectKind::Event,
            set: ("due_at = ?", due),
        }
    }

    fn ticket(number: i64, now: i64) -> Self {
        Self {
            table: "tickets",
            place: ("number", number),
            about: "subject, ticket_key",
            object: ObjectKind::Ticket,
            set: ("updated_at = ?, revision = revision + 1", Some(now)),
        }
    }
}

/// Brings a row to the status that follows from the one it has, if any does, and on record.
async fn change(
    db: &Db,
    tx: &DatabaseTransaction,
    order: &Order,
    row: Change<'_>,
    leads_to: impl Fn(&str) -> Option<&'static str>,
) -> Result<Carried, StoreError> {
    let Change { table, place: (column_of_place, place), about, object, set: (set, value) } = row;
    let select = db.render(&format!(
        "SELECT stripe_account, livemode, {about}, status FROM {{p}}{table} \
         WHERE {column_of_place} = ?{}",
        for_update(db.dialect)
    ));
    let rows = db.query(tx, select, vec![place.into()]).await?;
    let Some(row) = rows.first() else { return Ok(Carried::new(0, None, None)) };
    let before: String = column(row, 4)?;
    let Some(after) = leads_to(&before) else { return Ok(Carried::new(0, Some(before), None)) };
    let update = db
        .render(&format!("UPDATE {{p}}{table} SET status = ?, {set} WHERE {column_of_place} = ?"));
    db.execute(tx, update, vec![db::text(after), value.into(), place.into()]).await?;
    let [account, livemode] = db::tenant_values(&db::tenant(row, 0)?);
    let subject = [account, livemode, db::text(&column::<String>(row, 2)?)];
    let object = ObjectRef { kind: object, id: column(row, 3)? };
    let carried = Carried::new(1, Some(before), Some(after.to_owned()));
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
    let carried = Carried::new(changed, before, after);
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
