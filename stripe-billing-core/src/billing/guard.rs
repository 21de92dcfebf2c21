//! Calls into the app's own code: it may panic, hang or fail, and none of that is ours.

use std::future::Future;
use std::panic::AssertUnwindSafe;

use futures_util::FutureExt;

use crate::notify::NotifyError;
use crate::queue::{ErrorClass, Failure};

/// How long a handler may take.
#[cfg(feature = "tokio")]
const TIME_LIMIT: std::time::Duration = std::time::Duration::from_secs(30);

/// Calls a handler. A panic is poison; taking longer than 30 s is a failure that may pass (without
/// the feature `tokio` nobody measures).
pub(super) async fn guarded(
    call: impl Future<Output = Result<(), NotifyError>>,
    code: &'static str,
) -> Result<(), Failure> {
    match AssertUnwindSafe(timed(call)).catch_unwind().await {
        Ok(Some(Ok(()))) => Ok(()),
        Ok(Some(Err(error))) => Err(error.failure(code)),
        Ok(None) => {
            Err(Failure::new(ErrorClass::Transient, "handler_timeout", "a handler took over 30 s"))
        }
        Err(_) => Err(Failure::new(ErrorClass::Poison, "handler_panic", "a handler panicked")),
    }
}

#[cfg(feature = "tokio")]
async fn timed<T>(call: impl Future<Output = T>) -> Option<T> {
    if tokio::runtime::Handle::try_current().is_err() {
        return Some(call.await);
    }
    tokio::time::timeout(TIME_LIMIT, call).await.ok()
}

#[cfg(not(feature = "tokio"))]
async fn timed<T>(call: impl Future<Output = T>) -> Option<T> {
    Some(call.await)
}
