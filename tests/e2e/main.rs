//! End-to-end tests across the crates, in one binary.

mod backends;
mod docs;
mod faults;
mod orders;
mod world;
