//! Crashes at a place of a test's choice.

use std::sync::atomic::{AtomicU32, Ordering};

use stripe_billing_core::{ErrorKind, StoreError};

/// After so many statements and commits the process is gone, as the database sees it: the last one
/// took place, its answer reaches nobody, and no other follows.
#[derive(Debug, Default)]
pub(crate) struct Crash(AtomicU32);

const GONE: u32 = u32::MAX;

#[derive(Debug, thiserror::Error)]
#[error("the process is gone")]
struct Gone;

impl Crash {
    pub(crate) fn plan(&self, statements: u32) {
        self.0.store(statements, Ordering::SeqCst);
    }

    /// How many of the planned statements are left.
    #[cfg(feature = "sqlite")]
    pub(crate) fn left(&self) -> u32 {
        self.0.load(Ordering::SeqCst)
    }

    pub(crate) fn before(&self) -> Result<(), StoreError> {
        match self.0.load(Ordering::SeqCst) {
            GONE => Err(StoreError::new(ErrorKind::Unavailable, Gone)),
            _ => Ok(()),
        }
    }

    pub(crate) fn after(&self) -> Result<(), StoreError> {
        match self.0.load(Ordering::SeqCst) {
            0 => return Ok(()),
            1 => self.0.store(GONE, Ordering::SeqCst),
            left => self.0.store(left - 1, Ordering::SeqCst),
        }
        self.before()
    }
}
