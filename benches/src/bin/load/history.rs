//! Processing for customers with a past: what an event costs must not grow with it.

use std::time::Instant;

use bytes::Bytes;
use sea_orm::{ConnectionTrait, DatabaseConnection, DbBackend, Statement};
use stripe_billing_core::Billing;
use stripe_billing_seaorm::SeaOrmStore;
use stripe_billing_testing::event::Shape;
use stripe_billing_testing::event::histories::{cancel, pack_by_card, sign_up};

use crate::args::{Args, Mode};
use crate::child::Measured;
use crate::database::{Scratch, connect};
use crate::report::{self, Run};
use crate::{Outcome, events, process, serve};

/// Customers, each with a past of the size.
const CUSTOMERS: usize = 10;

pub(crate) async fn run(args: &Args) -> Outcome {
    let mut sizes: Vec<(usize, Vec<Run>)> =
        args.sizes.iter().map(|size| (*size, Vec::new())).collect();
    for _ in 0..args.runs {
        for (size, runs) in &mut sizes {
            runs.push(side(args, *size).await?);
        }
    }
    report::print(&format!(
        "history: {} events of {CUSTOMERS} customers, {} workers, batches of {}",
        args.events, args.workers, args.batch
    ));
    report::sizes("past objects of each customer", &sizes);
    Ok(())
}

/// A database whose customers have each had so many invoices, payments, sessions and subscriptions.
async fn side(args: &Args, size: usize) -> Outcome<Run> {
    let database = Scratch::create(&args.database).await?;
    live(args, &database.url).await?;
    let connection = connect(&database.url, 1).await?;
    past(&connection, size).await?;
    connection.close().await?;

    let of_round = CUSTOMERS * events::round_size();
    let (warm_up, rounds) = (1, args.events.div_ceil(of_round));
    let mut worker = Measured::spawn(Mode::Work, args, &database.url)?;
    worker.hear()?;
    process::receive(args, events::rounds(CUSTOMERS, 0..warm_up)?, &database.url).await?;
    let earlier = warm_up * of_round;
    worker.tell(&format!("0 {earlier}"))?;
    worker.hear()?;
    let measured = events::rounds(CUSTOMERS, warm_up..warm_up + rounds)?;
    let (count, all) = (measured.len(), earlier + measured.len());
    process::receive(args, measured, &database.url).await?;
    database.analyze().await?;

    let (before, cpu) = (database.read().await?, worker.cpu()?);
    let started = Instant::now();
    worker.tell(&format!("{earlier} {all}"))?;
    let done = worker.hear()?;
    let elapsed = started.elapsed();
    let (after, cpu) = (database.read().await?, worker.cpu()? - cpu);
    let notes = process::in_words(&serde_json::from_str(&done)?, count);
    worker.stop()?;
    let run = Run::new(&database, count, elapsed, cpu, (before, after), notes).await?;
    database.drop_it().await?;
    Ok(run)
}

/// The customers sign up, one subscription of each has ended, and each has bought something.
async fn live(args: &Args, url: &str) -> Outcome {
    let billing: Billing = serve::billing(SeaOrmStore::connect(url).await?, args)?;
    let secret = events::secret()?;
    let mut bodies: Vec<Bytes> = Vec::new();
    for customer in 0..CUSTOMERS {
        let shape = Shape::New;
        let ended = cancel(shape).into_iter().map(|body| rename(&body, "sub_1", "sub_past"));
        let bought = pack_by_card(shape).into_iter();
        for body in sign_up(shape).into_iter().map(Ok).chain(ended).chain(bought.map(Ok)) {
            let text = std::str::from_utf8(&body?)?.replace("\"evt_", &format!("\"evt_{customer}"));
            // Sessions and payments of different customers have different ids.
            let text =
                ["in_", "pi_", "ch_", "cs_live_", "sub_past"].iter().fold(text, |text, id| {
                    text.replace(&format!("\"{id}"), &format!("\"{id}{customer:03}past"))
                });
            bodies.push(events::of_customer(&text, customer).into());
        }
    }
    for body in bodies {
        let header = events::signature(&body, &secret);
        billing.receive(&header, body).await?;
    }
    billing.process_due().await?;
    Ok(())
}

fn rename(body: &Bytes, from: &str, to: &str) -> Outcome<Bytes> {
    let (from, to) = (format!("\"{from}\""), format!("\"{to}\""));
    Ok(std::str::from_utf8(body)?.replace(&from, &to).into())
}

/// More of the same past: the records that processing left, again and again under other ids, with
/// an event for each, whose payload is pruned, and a message for every second one.
async fn past(connection: &DatabaseConnection, size: usize) -> Outcome {
    let backend = connection.get_database_backend();
    let postgres = backend == DbBackend::Postgres;
    let numbers = if postgres {
        format!("generate_series(1, {}) AS n(n)", size.div_ceil(4))
    } else {
        format!(
            "(WITH RECURSIVE n(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM n WHERE n < {}) \
             SELECT n FROM n) AS n",
            size.div_ceil(4)
        )
    };
    let is_current = if postgres { "FALSE" } else { "0" };
    let empty = if postgres { "''::bytea" } else { "x''" };
    // Ends in an id of its own, and is found by what it was made from.
    let of_past = "(r.kind IN ('invoice', 'payment', 'checkout_session') \
         OR r.kind = 'subscription' AND r.id LIKE '%past%') AND r.id NOT LIKE '%p0%'";
    let statements = [
        format!(
            "INSERT INTO billing_records (stripe_account, livemode, subject, kind, id, is_current, \
             body) SELECT r.stripe_account, r.livemode, r.subject, r.kind, r.id || 'p0' || n.n, \
             {is_current}, replace(r.body, '\"' || r.id || '\"', '\"' || r.id || 'p0' || n.n || '\"') \
             FROM billing_records r CROSS JOIN {numbers} WHERE {of_past}"
        ),
        format!(
            "INSERT INTO billing_events (stripe_account, livemode, event_id, kind, event_type, \
             api_version, created, received_at, status, due_at, subject, payload) \
             SELECT r.stripe_account, r.livemode, 'evt_' || r.id, 'snapshot', 'invoice.paid', \
             '2026-10-28.endive', 1767225600, 1767225600000000, 'processed', NULL, r.subject, {empty} \
             FROM billing_records r WHERE r.id LIKE '%p0%'"
        ),
        format!(
            "INSERT INTO billing_outbox (stripe_account, livemode, fact_key, kind, is_notice, body, \
             subject, created_at, status) SELECT o.stripe_account, o.livemode, \
             o.fact_key || 'p0' || n.n, o.kind, o.is_notice, o.body, o.subject, o.created_at, 'done' \
             FROM billing_outbox o CROSS JOIN {numbers} WHERE o.kind IN \
             (SELECT MIN(kind) FROM billing_outbox UNION SELECT MAX(kind) FROM billing_outbox) \
             AND o.fact_key NOT LIKE '%p0%'"
        ),
    ];
    for statement in statements {
        connection.execute_unprepared(&statement).await?;
    }
    let count = "SELECT COUNT(*) FROM billing_records WHERE id LIKE '%p0%'";
    let row = connection.query_one_raw(Statement::from_string(backend, count)).await?;
    let rows: i64 = row.ok_or("no row")?.try_get_by_index(0)?;
    if usize::try_from(rows)? < size * CUSTOMERS {
        return Err(format!("a past of {rows} rows, and {} were wanted", size * CUSTOMERS).into());
    }
    Ok(())
}
