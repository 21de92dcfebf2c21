//! Stripe billing done right: verified webhooks become durable, order-independent subscription
//! state and access.
//!
//! This crate holds the pure logic and the traits that plugin crates implement. It reads no clock
//! and opens no socket unless a feature asks for it.

pub mod catalog;
mod secret;
pub mod stripe;
pub mod webhook;

pub use secret::Secret;
