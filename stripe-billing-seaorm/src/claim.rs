//! Both queues are driven by one column: a row is due when `due_at` has come. A claim moves it to
//! the end of the lease, so that work of a worker that died becomes due by itself.

use std::collections::HashMap;

use chrono::{DateTime, Utc};
use sea_orm::QueryResult;
use stripe_billing_core::changes::OutboxEntry;
use stripe_billing_core::queue::{ClaimRequest, Lease};
use stripe_billing_core::store::{ClaimedEntry, ClaimedEvent, ReceivedEvent};
use stripe_billing_core::{EventKey, StoreError, SubjectKey};

use crate::classify::corrupt;
use crate::db::{self, Db, column};
use crate::dialect::{Dialect, repeated};
use crate::inbox;

/// What the two queues do differently.
struct Queue {
    table: &'static str,
    /// The status of a claimed row.
    claimed: &'static str,
    /// Columns after `seq`, `due_at`, `epoch` and `crashes`, of the row `q`.
    columns: &'static str,
}

const EVENTS: Queue = Queue {
    table: "events",
    claimed: "processing",
    columns: "q.stripe_account, q.livemode, q.event_id, q.kind, q.event_type, q.api_version, \
              q.created, q.received_at, q.payload, q.attempts, q.deferrals",
};

const OUTBOX: Queue = Queue {
    table: "outbox",
    claimed: "sending",
    columns: "q.stripe_account, q.livemode, q.subject, q.fact_key, q.body, q.attempts, q.deferrals",
};

impl Queue {
    /// Leases of the row `q` that ran out: a row that is claimed while it is claimed is one more.
    fn crashes(&self) -> String {
        format!("q.crashes + CASE WHEN q.status = '{}' THEN 1 ELSE 0 END", self.claimed)
    }
}

/// Where the queue's own columns begin.
const OWN: usize = 4;

pub(crate) async fn events(
    db: &Db,
    request: &ClaimRequest,
) -> Result<Vec<ClaimedEvent>, StoreError> {
    let rows = claim(db, &EVENTS, &db.sql.event_due, request).await?;
    sorted(&rows)?.into_iter().map(event).collect()
}

pub(crate) async fn facts(
    db: &Db,
    request: &ClaimRequest,
) -> Result<Vec<ClaimedEntry>, StoreError> {
    let rows = claim(db, &OUTBOX, &db.sql.fact_due, request).await?;
    let mut facts = sorted(&rows)?.into_iter().map(fact).collect::<Result<Vec<_>, _>>()?;
    if !facts.is_empty() {
        let accounts = accounts(db, &facts).await?;
        for fact in &mut facts {
            fact.account = accounts.get(&fact.subject).cloned();
        }
    }
    Ok(facts)
}

/// The accounts of the facts' subjects. A statement of its own and after the claim: a locking read
/// sees rows that were committed after its own statement began, and a subquery in it does not.
async fn accounts(
    db: &Db,
    facts: &[ClaimedEntry],
) -> Result<HashMap<SubjectKey, String>, StoreError> {
    let mut subjects: Vec<&SubjectKey> = facts.iter().map(|fact| &fact.subject).collect();
    subjects.sort_unstable();
    subjects.dedup();
    // Few different lengths, so that few statements are prepared: the last one is repeated.
    let places = subjects.len().next_power_of_two();
    let last = subjects.last().copied();
    let padded = subjects.iter().copied().chain(last.into_iter().cycle()).take(places);
    let values = padded
        .flat_map(|subject| {
            let [account, livemode] = db::tenant_values(&subject.tenant);
            [account, livemode, db::text(&subject.id)]
        })
        .collect();
    let sql = db.render(&format!(
        "SELECT stripe_account, livemode, id, account FROM {{p}}subjects WHERE {}",
        repeated("(stripe_account = ? AND livemode = ? AND id = ?)", " OR ", places)
    ));
    let mut accounts = HashMap::with_capacity(subjects.len());
    for row in &db.query(db.writer(), sql, values).await? {
        let key = SubjectKey { tenant: db::tenant(row, 0)?, id: column(row, 2)? };
        if let Some(account) = column::<Option<String>>(row, 3)? {
            accounts.insert(key, account);
        }
    }
    Ok(accounts)
}

async fn claim(
    db: &Db,
    queue: &Queue,
    is_due: &str,
    request: &ClaimRequest,
) -> Result<Vec<QueryResult>, StoreError> {
    if request.limit == 0 {
        return Ok(Vec::new());
    }
    match db.dialect {
        Dialect::Postgres => claim_at_once(db, queue, request).await,
        // An idle worker looks without taking the only write lock.
        Dialect::Sqlite => {
            let now = db::micros(request.now);
            let due = db.query(db.reader(), is_due, vec![now.into()]).await?;
            if due.is_empty() {
                return Ok(Vec::new());
            }
            claim_locked(db, queue, request).await
        }
        Dialect::Mysql => claim_locked(db, queue, request).await,
    }
}

/// Postgres: one statement. The limit is part of its text, so that the planner knows that the rows
/// are few and goes by the index; a worker claims with the same limit every time.
///
/// All that are due are locked, and then the first alone or all that never crashed: the others are
/// free again when the statement ends.
async fn claim_at_once(
    db: &Db,
    queue: &Queue,
    request: &ClaimRequest,
) -> Result<Vec<QueryResult>, StoreError> {
    let Queue { table, claimed, columns } = queue;
    let (limit, crashes) = (request.limit, queue.crashes());
    let sql = db.render(&format!(
        "WITH ready AS MATERIALIZED (SELECT q.seq, q.due_at, {crashes} AS crashes \
         FROM {{p}}{table} q WHERE q.due_at <= ? \
         ORDER BY q.due_at, q.seq LIMIT {limit} FOR UPDATE SKIP LOCKED), \
         first AS (SELECT seq, crashes FROM ready ORDER BY due_at, seq LIMIT 1), \
         due AS (SELECT r.seq, r.due_at, r.crashes FROM ready r, first f \
         WHERE CASE WHEN f.crashes > 0 THEN r.seq = f.seq ELSE r.crashes = 0 END) \
         UPDATE {{p}}{table} q SET status = '{claimed}', crashes = due.crashes, due_at = ?, \
         epoch = q.epoch + 1, worker = ? FROM due WHERE q.seq = due.seq \
         RETURNING q.seq, due.due_at, q.epoch, q.crashes, {columns}"
    ));
    let values = vec![
        db::micros(request.now).into(),
        db::lease_end(request.now, request.lease).into(),
        db::text(&request.worker),
    ];
    db.query(db.writer(), sql, values).await
}

/// MySQL and SQLite: select, then update what was chosen of it, in one transaction.
async fn claim_locked(
    db: &Db,
    queue: &Queue,
    request: &ClaimRequest,
) -> Result<Vec<QueryResult>, StoreError> {
    let Queue { table, claimed, columns } = queue;
    // Without the index in force a small table would be scanned, and all of it locked.
    let (index, locking) = match db.dialect {
        Dialect::Mysql => (format!(" FORCE INDEX ({{p}}{table}_due)"), " FOR UPDATE SKIP LOCKED"),
        Dialect::Sqlite | Dialect::Postgres => (String::new(), ""),
    };
    let (limit, crashes) = (request.limit, queue.crashes());
    let select = db.render(&format!(
        "SELECT q.seq, q.due_at, q.epoch + 1, {crashes}, {columns} FROM {{p}}{table} q{index} \
         WHERE q.due_at <= ? ORDER BY q.due_at, q.seq LIMIT {limit}{locking}"
    ));
    let tx = db.begin().await?;
    let rows = chosen(db.query(&tx, select, vec![db::micros(request.now).into()]).await?)?;
    if rows.is_empty() {
        db::rollback(tx).await?;
        return Ok(rows);
    }
    let mut values =
        vec![db::lease_end(request.now, request.lease).into(), db::text(&request.worker)];
    for row in &rows {
        values.push(column::<i64>(row, 0)?.into());
    }
    // Few different lengths, so that few statements are prepared: the last one is repeated.
    let places = rows.len().next_power_of_two();
    if let Some(last) = values.last().cloned() {
        values.resize(places + 2, last);
    }
    let update = db.render(&format!(
        "UPDATE {{p}}{table} SET crashes = crashes + CASE WHEN status = '{claimed}' THEN 1 ELSE 0 \
         END, status = '{claimed}', due_at = ?, epoch = epoch + 1, worker = ? WHERE seq IN ({})",
        repeated("?", ", ", places)
    ));
    db.execute(&tx, update, values).await?;
    db.commit(tx).await?;
    Ok(rows)
}

/// The first alone if it ever crashed, and otherwise those that never did.
fn chosen(mut rows: Vec<QueryResult>) -> Result<Vec<QueryResult>, StoreError> {
    let crashed: Vec<bool> =
        rows.iter().map(|row| Ok(column::<i64>(row, 3)? > 0)).collect::<Result<_, StoreError>>()?;
    match crashed.first() {
        Some(true) => rows.truncate(1),
        _ => {
            let mut crashed = crashed.into_iter();
            rows.retain(|_| crashed.next() == Some(false));
        }
    }
    Ok(rows)
}

/// The longest due first; no database promises an order of what an update returns.
fn sorted(rows: &[QueryResult]) -> Result<Vec<&QueryResult>, StoreError> {
    let mut keyed = Vec::with_capacity(rows.len());
    for row in rows {
        keyed.push(((column::<i64>(row, 1)?, column::<i64>(row, 0)?), row));
    }
    keyed.sort_unstable_by_key(|(key, _)| *key);
    Ok(keyed.into_iter().map(|(_, row)| row).collect())
}

fn lease(row: &QueryResult) -> Result<Lease, StoreError> {
    Ok(Lease { seq: column(row, 0)?, epoch: column(row, 2)? })
}

fn event(row: &QueryResult) -> Result<ClaimedEvent, StoreError> {
    let kind: String = column(row, OWN + 3)?;
    let received_at: DateTime<Utc> = db::time(row, OWN + 7)?;
    Ok(ClaimedEvent {
        lease: lease(row)?,
        event: ReceivedEvent {
            key: EventKey { tenant: db::tenant(row, OWN)?, id: column(row, OWN + 2)? },
            kind: inbox::kind_of(&kind)?,
            event_type: column(row, OWN + 4)?,
            api_version: column(row, OWN + 5)?,
            created: column(row, OWN + 6)?,
            received_at,
            payload: column::<Vec<u8>>(row, OWN + 8)?.into(),
        },
        attempts: db::count(row, OWN + 9)?,
        deferrals: db::count(row, OWN + 10)?,
        crashes: db::count(row, 3)?,
    })
}

fn fact(row: &QueryResult) -> Result<ClaimedEntry, StoreError> {
    let body: String = column(row, OWN + 4)?;
    Ok(ClaimedEntry {
        lease: lease(row)?,
        entry: OutboxEntry {
            key: column(row, OWN + 3)?,
            message: serde_json::from_str(&body).map_err(corrupt)?,
            // That of the claim is gone with the claim.
            due: None,
        },
        subject: SubjectKey { tenant: db::tenant(row, OWN)?, id: column(row, OWN + 2)? },
        account: None,
        attempts: db::count(row, OWN + 5)?,
        deferrals: db::count(row, OWN + 6)?,
        crashes: db::count(row, 3)?,
    })
}
