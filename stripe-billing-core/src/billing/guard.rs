//! Calls into the app's own code: it may panic, hang or fail, and none of that is ours.

use std::future::Future;
use std::panic::AssertUnwindSafe;

use futures_util::FutureExt;

use super::Billing;
use crate::notify::NotifyError;
use crate::queue::{ErrorClass, Failure};

/// How long a handler may take.
#[cfg(feature = "tokio")]
const TIME_LIMIT: std::time::Duration = std::time::Duration::from_secs(30);

impl Billing {
    /// Calls a handler. A panic is poison. Taking longer than 30 s is a failure that may pass, where
    /// workers run: a runtime that only ever calls [`Billing::process_due`] may have no timers.
    pub(super) async fn guarded<T>(
        &self,
        call: impl Future<Output = Result<T, NotifyError>>,
        code: &'static str,
    ) -> Result<T, Failure> {
        match AssertUnwindSafe(self.timed(call)).catch_unwind().await {
            Ok(Some(Ok(done))) => Ok(done),
            Ok(Some(Err(error))) => Err(error.failure(code)),
            Ok(None) => {
                let message = "a handler took over 30 s";
                Err(Failure::new(ErrorClass::Transient, "handler_timeout", message))
            }
            Err(_) => Err(Failure::new(ErrorClass::Poison, "handler_panic", "a handler panicked")),
        }
    }

    async fn timed<T>(&self, call: impl Future<Output = T>) -> Option<T> {
        #[cfg(feature = "tokio")]
        if self.inner.signals.has_workers() {
            return tokio::time::timeout(TIME_LIMIT, call).await.ok();
        }
        Some(call.await)
    }
}
