//! Plans, prices, packs and policy.
