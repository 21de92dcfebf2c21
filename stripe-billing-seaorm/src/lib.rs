//! stripe-billing-seaorm
