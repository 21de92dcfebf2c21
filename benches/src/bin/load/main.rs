//! The load harness: intake and processing under load, each beside the least that could do, in the
//! same run and on the same database.
//!
//! What is measured runs in a process of its own, so that its CPU time is its own; so does the
//! database, whose processes' CPU time is read from `/proc` (Linux).

mod args;
mod child;
mod client;
mod counted;
mod cpu;
mod database;
mod depth;
mod events;
mod history;
mod intake;
mod ledger;
mod process;
mod renewals;
mod report;
mod serve;
mod work;

use std::error::Error;
use std::process::ExitCode;

use args::{Args, Mode};

type Outcome<T = ()> = Result<T, Box<dyn Error + Send + Sync>>;

fn main() -> ExitCode {
    let args = match Args::parse(std::env::args().skip(1)) {
        Ok(args) => args,
        Err(error) => {
            eprintln!("{error}\n\n{}", args::USAGE);
            return ExitCode::from(2);
        }
    };
    match run(&args) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("{}: {error}", args.mode.name());
            ExitCode::FAILURE
        }
    }
}

fn run(args: &Args) -> Outcome {
    let mut builder = tokio::runtime::Builder::new_multi_thread();
    builder.enable_all();
    if args.mode.is_harness() && args.mode != Mode::Ledger {
        // The client is not what is measured: it gets as little of the machine as it needs.
        builder.worker_threads(1);
    }
    let runtime = builder.build()?;
    match args.mode {
        Mode::History => return runtime.block_on(history::run(args)),
        Mode::Depth => return runtime.block_on(depth::run(args)),
        _ => {}
    }
    // On a worker: the main thread would cost a wake-up for every step.
    let args = args.clone();
    runtime.block_on(async {
        tokio::spawn(async move {
            match args.mode {
                Mode::Intake => intake::run(&args).await,
                Mode::Process => process::run(&args).await,
                Mode::Ledger => ledger::run(&args).await,
                Mode::Renewals => renewals::run(&args).await,
                Mode::History | Mode::Depth => Ok(()),
                Mode::Serve => serve::ours(&args).await,
                Mode::ServeBare => serve::bare(&args).await,
                Mode::Work | Mode::WorkCredits => work::ours(&args).await,
                Mode::WorkBare => work::bare(&args).await,
            }
        })
        .await?
    })
}
