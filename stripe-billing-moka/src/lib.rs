//! stripe-billing-moka
