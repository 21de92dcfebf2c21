use std::error::Error;
use std::fmt;
use std::time::Duration;

use crate::queue::ErrorClass;

/// What kind of failure a [`StoreError`] is; decides whether a retry helps.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum ErrorKind {
    /// The store cannot be reached: connection lost, pool exhausted, shutting down, disk full.
    Unavailable,
    /// It did not answer in time. The operation may have happened.
    Timeout,
    /// Another transaction was in the way (serialisation failure, deadlock, a busy database).
    Conflict,
    /// A key that was used before came back with other content. A human has to look.
    KeyReused,
    /// What is stored, or was to be stored, cannot be read as what it should be.
    Corrupt,
    /// The backend cannot do this.
    Unsupported,
    /// Anything else; retried like a transient failure.
    Other,
}

/// A failure of a store plugin: its kind, and the driver's own error as the source.
#[derive(Debug)]
pub struct StoreError {
    kind: ErrorKind,
    retry_after: Option<Duration>,
    source: Box<dyn Error + Send + Sync>,
}

impl StoreError {
    /// Wraps a driver's error. Plugins classify in one table (see the crate `stripe-billing-seaorm`).
    pub fn new(kind: ErrorKind, source: impl Into<Box<dyn Error + Send + Sync>>) -> Self {
        Self { kind, retry_after: None, source: source.into() }
    }

    /// A key of the outbox that stands for another message already
    /// ([`EventStore`](crate::store::EventStore) clause 5).
    pub fn key_reused(key: impl Into<String>) -> Self {
        Self::new(ErrorKind::KeyReused, ReusedKey(key.into()))
    }

    /// The key, if that is the failure.
    pub fn reused_key(&self) -> Option<&str> {
        self.source.downcast_ref::<ReusedKey>().map(|key| key.0.as_str())
    }

    /// With the time after which the backend asked to be tried again.
    #[must_use]
    pub fn with_retry_after(mut self, after: Duration) -> Self {
        self.retry_after = Some(after);
        self
    }

    /// What kind of failure this is.
    pub fn kind(&self) -> ErrorKind {
        self.kind
    }

    /// Whether the same call may succeed later without anyone changing anything.
    pub fn is_retryable(&self) -> bool {
        self.class() != ErrorClass::Permanent
    }

    /// What follows for work that failed with it: everything fails while the store is away, and a
    /// failure of the work's own is transient or permanent.
    pub fn class(&self) -> ErrorClass {
        match self.kind {
            ErrorKind::Unavailable | ErrorKind::Timeout => ErrorClass::Systemic,
            ErrorKind::Conflict | ErrorKind::Other => ErrorClass::Transient,
            ErrorKind::KeyReused | ErrorKind::Corrupt | ErrorKind::Unsupported => {
                ErrorClass::Permanent
            }
        }
    }

    /// When the backend asked to be tried again, if it did.
    pub fn retry_after(&self) -> Option<Duration> {
        self.retry_after
    }
}

#[derive(Debug, thiserror::Error)]
#[error("`{0}` is in the outbox with other content")]
struct ReusedKey(String);

impl fmt::Display for StoreError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let what = match self.kind {
            ErrorKind::Unavailable => "the store is unavailable",
            ErrorKind::Timeout => "the store did not answer in time",
            ErrorKind::Conflict => "another transaction was in the way",
            ErrorKind::KeyReused => "a key was used again with other content",
            ErrorKind::Corrupt => "stored data cannot be read",
            ErrorKind::Unsupported => "the store does not support this",
            ErrorKind::Other => "the store failed",
        };
        write!(f, "{what}: {}", self.source)
    }
}

impl Error for StoreError {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        Some(self.source.as_ref())
    }
}
