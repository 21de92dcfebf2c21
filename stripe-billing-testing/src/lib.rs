//! stripe-billing-testing
