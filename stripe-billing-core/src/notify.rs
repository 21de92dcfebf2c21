use std::error::Error;
use std::fmt;

use async_trait::async_trait;

use crate::domain::DomainEvent;
use crate::keys::SubjectKey;

/// A fact on its way out.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Notification {
    /// The fact's key; use it as the idempotency key of whatever follows.
    pub key: String,
    /// The subject it is about.
    pub subject: SubjectKey,
    /// The app's account.
    pub account: String,
    /// The fact.
    pub event: DomainEvent,
}

/// Takes facts out of the outbox: mail, the app's own handlers, another system.
///
/// Clauses: it is called at least once for each fact, with the same key every time, and returns
/// only when the fact is handed over for good. It is never called inside a transaction.
#[async_trait]
pub trait Notifier: fmt::Debug + Send + Sync + 'static {
    /// Hands a fact over.
    async fn notify(&self, notification: &Notification) -> Result<(), NotifyError>;
}

/// Why a fact could not be handed over.
#[derive(Debug)]
pub struct NotifyError {
    retryable: bool,
    source: Box<dyn Error + Send + Sync>,
}

impl NotifyError {
    /// A failure that may pass: tried again with back-off.
    pub fn transient(source: impl Into<Box<dyn Error + Send + Sync>>) -> Self {
        Self { retryable: true, source: source.into() }
    }

    /// A failure that no retry helps.
    pub fn permanent(source: impl Into<Box<dyn Error + Send + Sync>>) -> Self {
        Self { retryable: false, source: source.into() }
    }

    /// Whether trying again may help.
    pub fn is_retryable(&self) -> bool {
        self.retryable
    }
}

impl fmt::Display for NotifyError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "the fact could not be handed over: {}", self.source)
    }
}

impl Error for NotifyError {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        Some(self.source.as_ref())
    }
}

/// Writes facts to the log, one line each. The default.
#[derive(Clone, Copy, Debug, Default)]
pub struct LogNotifier;

#[async_trait]
impl Notifier for LogNotifier {
    async fn notify(&self, notification: &Notification) -> Result<(), NotifyError> {
        tracing::info!(
            key = notification.key,
            subject = notification.subject.id,
            account = notification.account,
            "billing fact",
        );
        Ok(())
    }
}
