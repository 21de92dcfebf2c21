//! Test kit for `stripe-billing`: a Stripe inside the process, conformance suites that certify a
//! plugin, hand-made Stripe events with signatures, and fault injection.

pub mod conformance;
pub mod event;
pub mod fake_stripe;
mod faulty;
pub mod ledger;

pub use faulty::{Faults, FaultyStore, Moment};
