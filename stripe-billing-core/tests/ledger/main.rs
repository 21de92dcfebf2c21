//! The credit ledger: its scenarios, its invariants under random operations, and its traces.

mod bench;
mod invariants;
mod scenarios;
mod streams;
mod traces;
