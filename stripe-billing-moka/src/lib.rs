//! An in-process [`Cache`] of access decisions for `stripe-billing`, on
//! [moka](https://docs.rs/moka).
//!
//! ```
//! use std::time::Duration;
//! use stripe_billing_moka::MokaCache;
//!
//! let standard = MokaCache::default(); // 100,000 accounts, five minutes each
//! let small = MokaCache::builder()
//!     .max_capacity(1_000)
//!     .time_to_live(Duration::from_secs(30))
//!     .build();
//! ```
//!
//! It is one process's cache. Where several processes serve one database, each learns of a change
//! that another one committed when its own entry ends, within the time to live at the latest.
//!
//! Counters go to the [`metrics`](https://docs.rs/metrics) recorder that is installed when the
//! cache is made: `stripe_billing_cache_hits_total`, `stripe_billing_cache_misses_total`,
//! `stripe_billing_cache_invalidations_total` and `stripe_billing_cache_refused_total`.
//!
//! [`Cache`]: stripe_billing_core::Cache

mod cache;
mod counters;

pub use cache::{MokaCache, MokaCacheBuilder};
