//! End-to-end tests across the crates, in one binary.

mod backends;
mod browser;
mod docs;
mod faults;
mod lifetimes;
mod orders;
mod outages;
mod quickstart;
mod sales;
mod world;
