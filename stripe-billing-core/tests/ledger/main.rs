//! The credit ledger: its scenarios, its invariants under random operations, and its traces.
#![allow(clippy::unwrap_used)] // The words of the bench are test code, too.

mod bench;
mod invariants;
mod scenarios;
mod streams;
mod traces;
