//! The workers under test, in a process of their own.

use std::ops::Range;
use std::sync::Arc;

use sea_orm::{ConnectionTrait, DatabaseConnection, DbBackend, Statement, TransactionTrait, Value};
use stripe_billing_seaorm::SeaOrmStore;
use tokio::task::JoinSet;

use crate::args::Args;
use crate::child::{orders, say};
use crate::counted::Counted;
use crate::{Outcome, database, events, serve};

pub(crate) async fn ours(args: &Args) -> Outcome {
    let store = SeaOrmStore::connect(args.database.as_str()).await?;
    let store = Arc::new(Counted::new(store));
    let billing = serve::billing(Arc::clone(&store), args)?;
    let mut orders = orders();
    say("ready")?;
    while let Some(order) = orders.recv().await {
        let before = store.counts();
        let end = stretch(&order)?.end as u64;
        store.until(end);
        let workers = billing.spawn_worker_count(args.workers);
        // It may have been told more than once that the stretch before had ended.
        while store.counts().rested() < end {
            store.idle.notified().await;
        }
        say(&serde_json::to_string(&(store.counts() - before))?)?;
        workers.shutdown().await;
    }
    Ok(())
}

/// What an order says: the first event and the one after the last.
fn stretch(order: &str) -> Outcome<Range<usize>> {
    let (first, end) = order.split_once(' ').ok_or("an order of two numbers")?;
    Ok(first.parse()?..end.parse()?)
}

/// About as long as the records that processing writes.
const BODY: &str = r#"{"kind":"invoice","id":"in_1","snapshots":[{"at":1767225600,"rank":1,"object":{"id":"in_1","customer":"cus_1","subscription":"sub_1","status":"paid","amount_due":4900,"amount_paid":4900,"amount_remaining":0,"currency":"eur","attempt_count":1,"billing_reason":"subscription_create","period_start":1767225600,"period_end":1769904000,"hosted_invoice_url":"https://invoice.stripe.com/i/acct_1/test_YWNjdF8x?s=ap","lines":[{"price":"price_pro","quantity":1,"amount":4900,"period":[1767225600,1769904000]}]}}],"seen":["paid"]}"#;

/// The rows that the bare transactions count up: the customers of the sign-ups.
pub(crate) fn bare_subjects(customers: usize) -> Vec<String> {
    let all: Vec<usize> = (0..customers).collect();
    let row = |n: &usize| format!("('', TRUE, 'cus_{n}', 1, 'acme{n}', '{{}}')");
    all.chunks(1_000)
        .map(|chunk| {
            let rows: Vec<String> = chunk.iter().map(row).collect();
            format!(
                "INSERT INTO billing_subjects (stripe_account, livemode, id, version, account, \
                 links) VALUES {}",
                rows.join(", ")
            )
        })
        .collect()
}

/// One transaction for each event: update the event, insert a record, update the subject. On the
/// same tables, with nothing decided.
pub(crate) async fn bare(args: &Args) -> Outcome {
    let sqlite = args.database.starts_with("sqlite");
    let connections = if sqlite { 1 } else { args.workers };
    let database = database::connect(&args.database, u32::try_from(connections)?).await?;
    if sqlite {
        let full = "PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL";
        database.execute_unprepared(full).await?;
    }
    database.ping().await?;
    let mut orders = orders();
    say("ready")?;
    while let Some(order) = orders.recv().await {
        let events = stretch(&order)?;
        // Each a stretch of its own, so that no two want one row.
        let share = events.len().div_ceil(args.workers);
        let mut workers = JoinSet::new();
        for first in events.clone().step_by(share) {
            let database = database.clone();
            let share = first..events.end.min(first + share);
            workers.spawn(async move {
                for event in share {
                    bare_event(&database, event).await?;
                }
                Outcome::Ok(())
            });
        }
        while let Some(done) = workers.join_next().await {
            done??;
        }
        say("no decision, no lease, no version, no facts")?;
    }
    Ok(())
}

async fn bare_event(database: &DatabaseConnection, event: usize) -> Outcome {
    const UPDATE_EVENT: [&str; 2] = [
        "UPDATE billing_events SET status = 'processed', due_at = NULL, subject = $1 WHERE seq = $2",
        "UPDATE billing_events SET status = 'processed', due_at = NULL, subject = ? WHERE seq = ?",
    ];
    const INSERT_RECORD: [&str; 2] = [
        "INSERT INTO billing_records (stripe_account, livemode, subject, kind, id, is_current, \
         body) VALUES ('', TRUE, $1, 'invoice', $2, TRUE, $3)",
        "INSERT INTO billing_records (stripe_account, livemode, subject, kind, id, is_current, \
         body) VALUES ('', TRUE, ?, 'invoice', ?, TRUE, ?)",
    ];
    const UPDATE_SUBJECT: [&str; 2] = [
        "UPDATE billing_subjects SET version = version + 1, links = '{}' \
         WHERE stripe_account = '' AND livemode = TRUE AND id = $1",
        "UPDATE billing_subjects SET version = version + 1, links = '{}' \
         WHERE stripe_account = '' AND livemode = TRUE AND id = ?",
    ];
    let backend = database.get_database_backend();
    let dialect = usize::from(backend != DbBackend::Postgres);
    let subject = format!("cus_{}", event / events::SIGN_UP);
    let seq = i64::try_from(event + 1)?;
    let steps: [(&str, Vec<Value>); 3] = [
        (UPDATE_EVENT[dialect], vec![subject.clone().into(), seq.into()]),
        (
            INSERT_RECORD[dialect],
            vec![subject.clone().into(), format!("in_{event}").into(), BODY.into()],
        ),
        (UPDATE_SUBJECT[dialect], vec![subject.into()]),
    ];
    let tx = database.begin().await?;
    for (sql, values) in steps {
        let statement = Statement::from_sql_and_values(backend, sql, values);
        let changed = tx.execute_raw(statement).await?.rows_affected();
        if changed != 1 {
            return Err(format!("{changed} rows by: {sql}").into());
        }
    }
    Ok(tx.commit().await?)
}
