//! What a run came to, per event.

use std::time::Duration;

use crate::Outcome;
use crate::database::{Reading, Scratch};

/// One run of one side. CPU in microseconds per event.
#[derive(Clone, Debug)]
pub(crate) struct Run {
    database: String,
    rate: f64,
    cpu: f64,
    database_cpu: Option<f64>,
    events_per_commit: Option<f64>,
    statements: Option<f64>,
    notes: String,
}

impl Run {
    pub(crate) async fn new(
        database: &Scratch,
        events: usize,
        elapsed: Duration,
        cpu: Duration,
        (before, after): (Reading, Reading),
        notes: String,
    ) -> Outcome<Self> {
        let events = events as f64;
        let micros = |time: Duration| time.as_secs_f64() * 1e6 / events;
        let difference = |before: Option<i64>, after: Option<i64>| {
            before.zip(after).map(|(before, after)| (after - before) as f64)
        };
        Ok(Self {
            database: database.version().await?,
            rate: events / elapsed.as_secs_f64(),
            cpu: micros(cpu),
            database_cpu: before
                .cpu
                .zip(after.cpu)
                .map(|(before, after)| micros(after.saturating_sub(before))),
            events_per_commit: difference(before.commits, after.commits)
                .filter(|commits| *commits > 0.0)
                .map(|commits| events / commits),
            statements: difference(before.statements, after.statements)
                .map(|statements| statements / events),
            notes,
        })
    }
}

/// A line for whoever reads.
pub(crate) fn print(line: &str) {
    println!("\n{line}\n");
}

/// Every run of both sides as a table, and the least of each against the other.
pub(crate) fn sides(ours: &str, our_runs: &[Run], bare: &str, bare_runs: &[Run]) {
    head("side");
    for (name, runs) in [(ours, our_runs), (bare, bare_runs)] {
        runs.iter().for_each(|run| line(name, run));
    }
    println!();
    compare("process CPU", our_runs, bare_runs, |run| Some(run.cpu));
    compare("database CPU", our_runs, bare_runs, |run| run.database_cpu);
    compare("both", our_runs, bare_runs, |run| Some(run.cpu + run.database_cpu?));
}

/// Every run of each size as a table, and the least of each against that of the first.
pub(crate) fn sizes(of: &str, sizes: &[(usize, Vec<Run>)]) {
    head(of);
    for (size, runs) in sizes {
        runs.iter().for_each(|run| line(&size.to_string(), run));
    }
    println!();
    let least = |runs: &[Run]| {
        let both = runs.iter().map(|run| run.cpu + run.database_cpu.unwrap_or(0.0));
        both.min_by(f64::total_cmp).unwrap_or(f64::NAN)
    };
    let Some((_, first)) = sizes.first() else { return };
    for (size, runs) in sizes {
        let (own, first) = (least(runs), least(first));
        println!(
            "- {size}: {own:.1} µs of CPU in all, least of the runs; ratio {:.2}",
            own / first
        );
    }
}

fn head(first: &str) {
    println!(
        "| {first} | events/s | process CPU, µs/event | database CPU, µs/event | events/commit | \
         statements/event | notes |\n|---|---:|---:|---:|---:|---:|---|"
    );
}

fn line(name: &str, run: &Run) {
    let optional = |number: Option<f64>| match number {
        Some(number) => format!("{number:.1}"),
        None => "–".to_owned(),
    };
    println!(
        "| {name}, {} | {:.0} | {:.1} | {} | {} | {} | {} |",
        run.database,
        run.rate,
        run.cpu,
        optional(run.database_cpu),
        optional(run.events_per_commit),
        optional(run.statements),
        run.notes,
    );
}

fn compare(what: &str, ours: &[Run], bare: &[Run], of: impl Fn(&Run) -> Option<f64>) {
    let least = |runs: &[Run]| runs.iter().filter_map(&of).min_by(f64::total_cmp);
    let (Some(ours), Some(bare)) = (least(ours), least(bare)) else {
        return;
    };
    println!(
        "- {what}, least of the runs: {ours:.1} µs against {bare:.1} µs, ratio {:.2}",
        ours / bare
    );
}
