//! stripe-billing-axum
