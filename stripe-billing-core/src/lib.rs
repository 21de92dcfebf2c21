//! Stripe billing done right: verified webhooks become durable, order-independent subscription
//! state and access.
//!
//! This crate holds the pure logic and the traits that plugin crates implement. It reads no clock
//! and opens no socket unless a feature asks for it.

mod access;
mod billing;
mod cache;
pub mod catalog;
pub mod changes;
mod clock;
mod decide;
mod digest;
mod domain;
pub mod dunning;
mod error;
mod forward;
pub mod fraud;
mod keys;
pub mod ledger;
mod memory;
pub mod notice;
mod notify;
pub mod operator;
pub mod queue;
mod secret;
pub mod state;
pub mod store;
pub mod stripe;
pub mod ticket;
pub mod webhook;

pub use access::{Access, SubscriptionAccess};
pub use billing::{
    Accepted, Billing, BillingBuilder, BuildError, Check, CheckoutRequest, CheckoutUrl,
    CommandError, CreditError, CustomerProfile, DunningCase, DunningFigures, DunningPage, Hold,
    LedgerDifference, LedgerProof, LedgerViolation, OrderError, PortalUrl, Processing, Readiness,
    ReceiveError, ReconcileError, Reconciliation, RecordChange, Replayed, ReplayedEvent, Report,
    SellError, Spend, SpendError, Spent,
};
#[cfg(feature = "tokio")]
pub use billing::{Replay, ReplayProgress, ReplayRun, Workers};
pub use cache::{Cache, CacheStats, Lookup, NoCache, Ticket};
pub use clock::{Clock, ManualClock, SystemClock};
pub use decide::{Decision, Terms, decide};
pub use domain::DomainEvent;
pub use error::{ErrorKind, StoreError};
pub use keys::{AccountKey, EventKey, SubjectKey, Tenant};
pub use memory::MemoryStore;
pub use notify::{
    EventHandler, Fact, LogNotifier, Notification, Notified, Notifier, NotifyError, TicketSink,
    UnhandledEvents,
};
pub use secret::Secret;
