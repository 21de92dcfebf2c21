//! FakeStripe, seen by a client that knows nothing of its inside.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on says so by panicking")]

mod api;
mod checkout;
mod cycle;
mod delivery;
mod entitlements;
mod methods;
mod open_invoices;
mod pauses;
mod payments;
mod returned;
mod shapes;
mod support;
mod thin;
