//! What is particular to SQL: concurrency, batches, migrations. Every test runs on a SQLite file,
//! SQLite in memory, Postgres and MariaDB, each in a database of its own.
//!
//! `POSTGRES_URL` and `MYSQL_URL` say where the servers are. One that is not there is skipped,
//! unless `STRIPE_BILLING_REQUIRE_SERVICES=1`.

#![allow(clippy::unwrap_used)] // A test that cannot go on should panic.

mod commit;
mod conformance;
mod hammer;
mod inspect;
mod intake;
mod killed;
mod ledger;
mod queue;
mod schema;
mod support;
