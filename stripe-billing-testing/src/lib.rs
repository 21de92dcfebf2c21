//! Test kit for `stripe-billing`: conformance suites that certify a plugin, hand-made Stripe events
//! with signatures, and fault injection.

pub mod conformance;
pub mod event;
mod faulty;

pub use faulty::{Faults, FaultyStore, Moment};
