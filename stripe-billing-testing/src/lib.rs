//! stripe-billing-testing

pub mod fake_stripe;
