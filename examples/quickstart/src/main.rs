//! From nothing to a subscription in the browser, and with a few variables a real billing server.
//!
//! `cargo run --bin quickstart`, and open the page that it prints.
//!
//! | variable | default | meaning |
//! |---|---|---|
//! | `BILLING_LISTEN` | `127.0.0.1:3000` | address; port 0 takes a free one and prints it |
//! | `DATABASE_URL` | `sqlite://billing.db?mode=rwc` | also `postgres://`, `mysql://` |
//! | `BILLING_CATALOG` | the demo's | TOML file of plans, prices, packs and policy |
//! | `STRIPE_WEBHOOK_SECRET` | the fake's | one or several, separated by commas |
//! | `STRIPE_SECRET_KEY`, `STRIPE_API_BASE` | none | real Stripe, or another server |
//! | `BILLING_STRIPE` | `fake`, `live` with a key | `none`: decide from events alone, sell nothing |
//! | `BILLING_OPERATOR_TOKEN` | made up and printed | bearer token for `/operator/` |
//! | `BILLING_LIVEMODE` | from the key, else `any` | `true` or `false`: apply only such events |
//! | `PAYMENTS_ENABLED` | `true` | `false` stops selling; what was bought keeps working |
//! | `BILLING_LEASE_SECONDS` | 30 | how long a worker holds an event before another may |
//! | `BILLING_WORKERS` | 4 | workers in this process; 0 only takes events in |
//! | `SMTP_URL` | none | mails go there; without one they are kept and shown at `/inbox` |
//! | `BILLING_MAIL_FROM` | `billing@localhost` | the sender of mails |
//! | `BILLING_MAIL_OPERATORS` | none | addresses that are told what is for operators |
//! | `BILLING_MAIL_TEST_TO` | none | gets mail about test mode, which reaches nobody else |
//! | `RUST_LOG` | `info` | what is logged, to standard error |
//!
//! Exit codes: 0 after SIGTERM or Ctrl-C, with nothing left leased; 2 when the configuration is
//! wrong, all of it named at once; 1 when something else stops it.

mod config;
mod demo;
mod identity;
mod inbox;
mod live;
mod money;
mod operator;
mod page;
mod pages;
mod problem;
mod server;
mod state;
mod told;
mod trouble;
mod words;
mod work;

use std::process::ExitCode;

use tracing_subscriber::EnvFilter;

use config::Config;

#[tokio::main]
async fn main() -> ExitCode {
    let lookup = |name: &str| std::env::var(name).ok();
    let config = match Config::read(&lookup, &|path| std::fs::read_to_string(path)) {
        Ok(config) => config,
        Err(mistakes) => {
            eprintln!("The configuration is wrong:");
            for mistake in mistakes {
                eprintln!("- {mistake}");
            }
            return ExitCode::from(2);
        }
    };
    tracing_subscriber::fmt()
        .with_env_filter(EnvFilter::new(&config.log))
        .with_writer(std::io::stderr)
        .init();
    match server::run(config).await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            tracing::error!("stopped: {error}");
            ExitCode::FAILURE
        }
    }
}
