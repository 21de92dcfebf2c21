//! End-to-end tests across the crates, in one binary.

mod backends;
mod browser;
mod docs;
mod faults;
mod fraud;
mod histories;
mod lifetimes;
mod live;
mod operators;
mod orders;
mod outages;
mod parking;
mod quickstart;
mod restraint;
mod revocation;
mod sales;
mod secrecy;
mod stage;
mod tenancy;
mod world;
