use std::fmt;
use std::sync::Arc;

use stripe_billing_core::StoreError;

/// One error for many callers.
#[derive(Clone)]
pub(crate) struct SharedError(Arc<StoreError>);

impl SharedError {
    pub(crate) fn new(error: StoreError) -> Self {
        Self(Arc::new(error))
    }

    pub(crate) fn to_store_error(&self) -> StoreError {
        StoreError::new(self.0.kind(), self.clone())
    }
}

impl fmt::Debug for SharedError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&self.0, f)
    }
}

impl fmt::Display for SharedError {
    // The kind is said by the error that this is the source of.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match std::error::Error::source(self.0.as_ref()) {
            Some(source) => fmt::Display::fmt(source, f),
            None => fmt::Display::fmt(&self.0, f),
        }
    }
}

impl std::error::Error for SharedError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        std::error::Error::source(self.0.as_ref())?.source()
    }
}
