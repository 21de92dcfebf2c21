//! Storage for [`stripe_billing_core`] on SQLite (embedded, the default), Postgres and
//! MySQL/MariaDB, through SeaORM.
//!
//! [`SeaOrmStore`] is all of it. It owns its tables: connecting creates and migrates them, under a
//! prefix, beside the app's own if need be. Enable the features `postgres` and `mysql` for those.
//!
//! What it promises beyond the traits' contracts:
//! - An event is acknowledged only once it is durable. Deliveries that arrive at the same time
//!   share a commit; one that the database refuses does not fail its neighbours.
//! - Operations on the credit ledger that wait for the same account, or the same disk, are written
//!   together; one that the database refuses does not fail its neighbours.
//! - On SQLite writing has one connection and takes its lock at once; reads never wait for it.
//! - Every driver error is classified in one table, so that callers know whether a retry helps.
//!
//! Times are kept as Unix microseconds, UTC.

#[cfg(not(any(feature = "sqlite", feature = "postgres", feature = "mysql")))]
compile_error!("enable at least one of the features `sqlite`, `postgres` and `mysql`");

mod builder;
mod calls;
mod claim;
mod classify;
mod commit;
mod connect;
#[cfg(test)]
mod crash;
mod db;
mod dialect;
mod effects;
mod error;
mod inbox;
mod inspect;
mod intake;
mod ledger;
mod load;
mod maintain;
mod migrate;
mod orders;
mod settle;
mod shared_error;
mod sql;
mod store;
#[cfg(all(test, feature = "sqlite", feature = "postgres", feature = "mysql"))]
#[allow(clippy::unwrap_used, dead_code)]
#[path = "../tests/sql/support.rs"]
mod support;
mod tickets;
mod told;
mod url;

/// As the integration tests call it, with which the unit tests share their databases.
#[cfg(test)]
extern crate self as stripe_billing_seaorm;

pub use builder::{SeaOrmStoreBuilder, Source};
pub use error::ConnectError;
pub use store::SeaOrmStore;
