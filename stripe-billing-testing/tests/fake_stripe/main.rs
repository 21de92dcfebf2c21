//! FakeStripe, seen by a client that knows nothing of its inside.

mod api;
mod checkout;
mod cycle;
mod delivery;
mod support;
