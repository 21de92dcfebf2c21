//! A renewal run: every account's next invoice is paid, its credits of the last period end and the
//! next ones are granted. What it takes, and that memory does not grow with the accounts.

use std::ops::Range;
use std::time::{Duration, Instant};

use bytes::Bytes;
use sea_orm::{ConnectionTrait, Statement};

use crate::args::{Args, Mode};
use crate::child::Measured;
use crate::database::{Scratch, connect};
use crate::{Outcome, events, process, report};

/// Credits of a period.
pub(crate) const GRANTED: i64 = 1_000;
/// Accounts whose events are made at once.
const CHUNK: usize = 5_000;

struct Run {
    accounts: usize,
    elapsed: Duration,
    worker: Duration,
    database: Option<Duration>,
    /// Peak memory of the worker in MiB: before the run, and after each quarter of it.
    memory: Vec<f64>,
}

pub(crate) async fn run(args: &Args) -> Outcome {
    report::print(&format!(
        "renewals: {} workers, batches of {}\n\n| accounts | s | renewals/s | worker CPU, µs each | \
         database CPU, µs each | peak memory, MiB: before, and by quarters |\n\
         |---:|---:|---:|---:|---:|---|",
        args.workers, args.batch
    ));
    for size in &args.sizes {
        for _ in 0..args.runs {
            row(&side(args, *size).await?);
        }
    }
    Ok(())
}

fn row(run: &Run) {
    let accounts = run.accounts as f64;
    let each = |time: Duration| time.as_secs_f64() * 1e6 / accounts;
    let database = run.database.map_or("in it".to_owned(), |time| format!("{:.1}", each(time)));
    let memory: Vec<String> = run.memory.iter().map(|mib| format!("{mib:.1}")).collect();
    report::print(&format!(
        "| {} | {:.1} | {:.0} | {:.1} | {database} | {} |",
        run.accounts,
        run.elapsed.as_secs_f64(),
        accounts / run.elapsed.as_secs_f64(),
        each(run.worker),
        memory.join(", ")
    ));
}

async fn side(args: &Args, accounts: usize) -> Outcome<Run> {
    let database = Scratch::create(&args.database).await?;
    let mut worker = Measured::spawn(Mode::WorkCredits, args, &database.url)?;
    worker.hear()?;
    let months = events::MONTH_ONE.len() * accounts;
    let later = events::until_now();
    let first_month = |range| events::first_month(range, later);
    receive(args, accounts, first_month, &database.url).await?;
    worker.tell(&format!("0 {months}"))?;
    worker.hear()?;
    receive(args, accounts, |range| events::renewals(range, later), &database.url).await?;
    database.analyze().await?;

    let mut memory = vec![worker.peak_memory()?];
    let (before, cpu) = (database.read().await?, worker.cpu()?);
    let started = Instant::now();
    for quarter in 0..4 {
        let part = |quarter: usize| months + accounts * quarter / 4;
        worker.tell(&format!("{} {}", part(quarter), part(quarter + 1)))?;
        worker.hear()?;
        memory.push(worker.peak_memory()?);
    }
    let elapsed = started.elapsed();
    let (after, cpu) = (database.read().await?, worker.cpu()? - cpu);
    worker.stop()?;
    prove(&database.url, accounts).await?;
    database.drop_it().await?;
    let database = before.cpu.zip(after.cpu).map(|(before, after)| after.saturating_sub(before));
    Ok(Run { accounts, elapsed, worker: cpu, database, memory })
}

async fn receive(
    args: &Args,
    accounts: usize,
    bodies: impl Fn(Range<usize>) -> Outcome<Vec<Bytes>>,
    url: &str,
) -> Outcome {
    for first in (0..accounts).step_by(CHUNK) {
        process::receive(args, bodies(first..accounts.min(first + CHUNK))?, url).await?;
    }
    Ok(())
}

/// Every account was granted twice, and has one period's credits.
async fn prove(url: &str, accounts: usize) -> Outcome {
    let connection = connect(url, 1).await?;
    let backend = connection.get_database_backend();
    let wanted = [
        ("SELECT COUNT(*) FROM billing_credit_lots".to_owned(), 2 * accounts),
        (
            format!("SELECT COUNT(*) FROM billing_credit_accounts WHERE available = {GRANTED}"),
            accounts,
        ),
    ];
    for (sql, wanted) in wanted {
        let row = connection.query_one_raw(Statement::from_string(backend, sql.as_str())).await?;
        let found: i64 = row.ok_or("no row")?.try_get_by_index(0)?;
        if usize::try_from(found)? != wanted {
            return Err(format!("{found} rows, and {wanted} were wanted: {sql}").into());
        }
    }
    connection.close().await?;
    Ok(())
}
