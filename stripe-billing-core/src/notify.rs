use std::error::Error;
use std::fmt;

use async_trait::async_trait;
use chrono::TimeDelta;

use crate::domain::DomainEvent;
use crate::keys::SubjectKey;
use crate::notice::{Notice, NoticeDetails};
use crate::queue::{ErrorClass, Failure};
use crate::store::ReceivedEvent;
use crate::ticket::Ticket;

/// A notice on its way to a human. It was true a moment ago.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Notification {
    /// The notice's key; use it as the idempotency key of whatever follows.
    pub key: String,
    /// The subject it is about.
    pub subject: SubjectKey,
    /// The app's account; a notice for operators may have none.
    pub account: Option<String>,
    /// What to say.
    pub notice: Notice,
    /// What is known of it, as it was when the notice was last found true.
    pub details: NoticeDetails,
}

impl Notification {
    /// A notice on its way, as [`Billing`](crate::Billing) makes it; for tests of notifiers and for
    /// samples.
    pub fn new(
        subject: SubjectKey,
        account: Option<String>,
        notice: Notice,
        details: NoticeDetails,
    ) -> Self {
        Self { key: notice.key(), subject, account, notice, details }
    }
}

/// What became of a notice.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(clippy::exhaustive_enums)]
pub enum Notified {
    /// It is handed over, now or when it was asked for the first time.
    Told,
    /// Nobody is told, and nobody will be: notices of its kind are switched off here, or there is nobody
    /// to tell. It does not count as told, neither for how much a customer is told within a day nor for
    /// what reminders bring in.
    LeftOut,
}

/// Takes notices out of the outbox: mail, chat, a log.
///
/// Clauses: it is called at least once for each notice that is still true, with the same key every
/// time, and returns only when the notice is handed over for good, or left out for good. It is never
/// called inside a transaction.
#[async_trait]
pub trait Notifier: fmt::Debug + Send + Sync + 'static {
    /// Hands a notice over.
    async fn notify(&self, notification: &Notification) -> Result<Notified, NotifyError>;
}

/// A fact on its way to the app.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Fact {
    /// The fact's key; handle each key once.
    pub key: String,
    /// The subject it is about.
    pub subject: SubjectKey,
    /// The app's account.
    pub account: String,
    /// What happened.
    pub event: DomainEvent,
}

impl Fact {
    /// A fact on its way, as [`Billing`](crate::Billing) makes it; for tests of handlers.
    pub fn new(subject: SubjectKey, account: impl Into<String>, event: DomainEvent) -> Self {
        Self { key: event.key(), subject, account: account.into(), event }
    }
}

/// The app's own handler of facts.
///
/// Clauses: it is called at least once for each fact, in no order, with the same key every time;
/// never inside a transaction. What it refuses is tried again with back-off.
#[async_trait]
pub trait EventHandler: fmt::Debug + Send + Sync + 'static {
    /// Handles a fact.
    async fn handle(&self, fact: &Fact) -> Result<(), NotifyError>;
}

/// The app's own handler of events that billing has no rule for: whatever Stripe sends beside
/// billing, and what it invents one day.
///
/// Clauses: it is called at least once for each such event, in no order, with the event as it was
/// received; never inside a transaction. What it refuses for now is tried again with back-off, what
/// it refuses for good is set aside for an operator.
#[async_trait]
pub trait UnhandledEvents: fmt::Debug + Send + Sync + 'static {
    /// Handles an event.
    async fn handle(&self, event: &ReceivedEvent) -> Result<(), NotifyError>;
}

/// Takes tickets to where people work on them: a help desk, a chat, an incident tool.
///
/// Clauses: a change is told at least once, in the order of changes of one ticket, several at once
/// where they come fast; the ticket's key is the idempotency key, and its count says how often what
/// it is about has happened. Never called inside a transaction. What it refuses is told again.
#[async_trait]
pub trait TicketSink: fmt::Debug + Send + Sync + 'static {
    /// A ticket opened, or opened again.
    async fn open(&self, ticket: &Ticket) -> Result<(), NotifyError>;

    /// It happened again, or more is known.
    async fn append(&self, ticket: &Ticket) -> Result<(), NotifyError>;

    /// Nothing is left to do.
    async fn close(&self, ticket: &Ticket) -> Result<(), NotifyError>;
}

/// Why a notice, a fact or an event could not be handed over. How it was made says what follows.
#[derive(Debug)]
pub struct NotifyError {
    class: ErrorClass,
    retry_after: Option<TimeDelta>,
    source: Box<dyn Error + Send + Sync>,
}

impl NotifyError {
    fn new(class: ErrorClass, source: impl Into<Box<dyn Error + Send + Sync>>) -> Self {
        Self { class, retry_after: None, source: source.into() }
    }

    /// A failure that may pass: tried again with back-off.
    pub fn transient(source: impl Into<Box<dyn Error + Send + Sync>>) -> Self {
        Self::new(ErrorClass::Transient, source)
    }

    /// Something that it needs is not there yet: tried again soon, and for ten minutes without
    /// counting as a failed attempt.
    pub fn not_yet(source: impl Into<Box<dyn Error + Send + Sync>>) -> Self {
        Self::new(ErrorClass::Deferred, source)
    }

    /// The configuration has to change first: set aside with a ticket, and taken up by itself when
    /// [`BillingBuilder::configuration`](crate::BillingBuilder::configuration) says that it has.
    pub fn configuration(source: impl Into<Box<dyn Error + Send + Sync>>) -> Self {
        Self::new(ErrorClass::Config, source)
    }

    /// A failure that no retry helps: set aside with a ticket.
    pub fn permanent(source: impl Into<Box<dyn Error + Send + Sync>>) -> Self {
        Self::new(ErrorClass::Permanent, source)
    }

    /// With the time after which the other side asked to be tried again. Honoured up to twice the
    /// step of the schedule.
    #[must_use]
    pub fn with_retry_after(mut self, after: TimeDelta) -> Self {
        self.retry_after = Some(after);
        self
    }

    /// Whether trying again may help.
    pub fn is_retryable(&self) -> bool {
        matches!(self.class, ErrorClass::Transient | ErrorClass::Deferred)
    }

    /// What kind of failure it is.
    pub fn class(&self) -> ErrorClass {
        self.class
    }

    /// When the other side asked to be tried again, if it did.
    pub fn retry_after(&self) -> Option<TimeDelta> {
        self.retry_after
    }

    pub(crate) fn failure(&self, code: &'static str) -> Failure {
        Failure::new(self.class, code, self.to_string()).with_retry_after(self.retry_after)
    }
}

impl fmt::Display for NotifyError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "it could not be handed over: {}", self.source)
    }
}

impl Error for NotifyError {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        Some(self.source.as_ref())
    }
}

/// Writes facts and notices to the log, one line each. The default.
#[derive(Clone, Copy, Debug, Default)]
pub struct LogNotifier;

#[async_trait]
impl Notifier for LogNotifier {
    async fn notify(&self, notification: &Notification) -> Result<Notified, NotifyError> {
        tracing::info!(
            key = notification.key,
            subject = notification.subject.id,
            account = notification.account,
            "billing notice",
        );
        Ok(Notified::Told)
    }
}

#[async_trait]
impl EventHandler for LogNotifier {
    async fn handle(&self, fact: &Fact) -> Result<(), NotifyError> {
        tracing::info!(
            key = fact.key,
            subject = fact.subject.id,
            account = fact.account,
            "billing fact",
        );
        Ok(())
    }
}
