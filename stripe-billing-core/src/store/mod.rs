//! What a storage plugin implements. The contract of each method is certified clause by clause by
//! `stripe_billing_testing`.

mod inspect;
mod ledger;
mod operate;

use std::fmt;

use async_trait::async_trait;
use bytes::Bytes;
use chrono::{DateTime, Utc};

use crate::changes::{Changes, Effects, OutboxEntry, Settlement};
use crate::error::StoreError;
use crate::keys::{EventKey, SubjectKey, Tenant};
use crate::notice::NoticeKind;
use crate::queue::{ClaimRequest, Failure, Lease};
use crate::state::{ObjectRef, Subject};
use crate::webhook::EventKind;

pub use inspect::{
    AuditLine, AuditQuery, Backlog, EVENT_STATUSES, EventQuery, EventRange, EventSummary, Inspect,
    Maintain, OPEN_STATUSES, OUTBOX_STATUSES, Records, Stats, StoredEvent, TicketQuery,
};

pub use ledger::{
    CreditLedger, EntryPage, EntryQuery, LedgerPosting, LedgerTerms, Usage, UsageQuery,
    count_entries, usage_of,
};

pub use operate::{
    Attempt, Carried, KnownFailure, Operate, Order, Paused, TicketNews, TicketSweep, Verb,
};

/// A verified event on its way into the inbox.
#[derive(Clone, Debug, PartialEq, Eq)]
#[allow(clippy::exhaustive_structs)]
pub struct ReceivedEvent {
    /// Tenant and event id: the key of the inbox.
    pub key: EventKey,
    /// Snapshot or thin.
    pub kind: EventKind,
    /// For example `invoice.paid`.
    pub event_type: String,
    /// The API version that rendered it.
    pub api_version: Option<String>,
    /// When it happened, Unix seconds.
    pub created: i64,
    /// When it arrived.
    pub received_at: DateTime<Utc>,
    /// The body as received.
    pub payload: Bytes,
}

/// What became of a delivery. Either way it is stored, and may be acknowledged.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(clippy::exhaustive_enums)]
pub enum Receipt {
    /// It is new.
    Stored,
    /// It was there already; nothing changed.
    Duplicate {
        /// Whether its content is not the content that is stored. Flagged on the row.
        differs: bool,
    },
}

/// An event of which this worker holds the lease.
#[derive(Clone, Debug, PartialEq, Eq)]
#[allow(clippy::exhaustive_structs)]
pub struct ClaimedEvent {
    /// The right to settle it.
    pub lease: Lease,
    /// The event as received.
    pub event: ReceivedEvent,
    /// Attempts that failed so far.
    pub attempts: u32,
    /// How often it was deferred so far.
    pub deferrals: u32,
    /// Leases that ran out so far, this claim's predecessor included.
    pub crashes: u32,
}

/// What a decision needs to know.
#[derive(Clone, Debug, PartialEq, Eq)]
#[allow(clippy::exhaustive_structs)]
pub struct LoadRequest {
    /// The tenant of all of them.
    pub tenant: Tenant,
    /// The subject, and ids that may be other names of it.
    pub ids: Vec<String>,
    /// Records to load besides the current ones, whichever of the subjects has them.
    pub objects: Vec<ObjectRef>,
}

/// A decision, and the right to write it.
#[derive(Clone, Copy, Debug)]
#[allow(clippy::exhaustive_structs)]
pub struct Decided<'a> {
    /// The right to settle the event.
    pub lease: &'a Lease,
    /// What it changes.
    pub changes: &'a Changes,
}

/// How a commit ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(clippy::exhaustive_enums)]
pub enum Commit {
    /// Everything is written.
    Done,
    /// The subject's version is not the expected one. Nothing is written: load and decide again.
    Conflict,
    /// The lease was taken over. Nothing is written: leave it.
    LeaseLost,
}

/// The durable inbox and the state that it feeds.
///
/// Clauses:
/// 1. `receive` is idempotent by (Stripe account, livemode, event id), for ever and across nodes;
///    when it returns, the event survives a crash of the process.
/// 2. `claim` gives due items to one worker at a time, the longest due first; each claim raises the
///    epoch by one. An item whose lease ran out is due again, and its crashes are one more. One that
///    ever ran out is claimed alone, so that it takes no other down with it: when it is the longest
///    due the claim is of it, and otherwise it is left for a later claim.
/// 3. `load` returns those of the subjects that are stored, each with its current records and those
///    asked for; another name of a subject comes with its `owner` and no records. Versions and
///    records are of one instant.
/// 4. `commit` writes all of the changes and settles the event, or nothing. It is `Conflict` if and
///    only if the subject's version, or that of an adopted id, is not the expected one, and
///    `LeaseLost` if the lease's epoch is not the row's, or the event is settled already (checked
///    first).
/// 5. Outbox keys are unique per tenant. The same key with the same message is already there and no
///    error; with another message the commit fails with [`StoreError::key_reused`]. An entry is due at
///    its own time, at once without one, and never in shadow (status `shadow`).
/// 6. `settle` without a commit follows the same fencing. `Retry` and `Dead` count an attempt,
///    `Deferred` counts none, and a deferral where that is the failure's class; all three keep the
///    failure's class, its code as the reason, and its message; a later success clears the reason.
///    Its effects are written with it, or not at all.
/// 7. A failed call has happened entirely or not at all; calling again is safe.
/// 8. An adopted id becomes another name: its version is one more (1 when it is new), its `owner` is
///    the subject. Where it had state, its records are gone (what held is among the changes'
///    records), and its events and outbox entries belong to the subject.
/// 9. Tickets are unique per tenant and key. A write of an open ticket opens or reopens it, and
///    counts; a write of a closed one closes it, and opens none. The audit log is append-only.
/// 10. Postings of the changes are executed as [`CreditLedger`] clause 10 says.
/// 11. `commit_all` writes decisions in their order, each as `commit` would write it and
///     all in one transaction where the backend can: so many from the first on as it says, and none
///     of the others. One that `commit` would refuse is among the others, and a failed call may have
///     written some. Of those of one subject each expects the version that the one before it leaves.
///     All are [plain](Changes::is_plain).
#[async_trait]
pub trait EventStore: fmt::Debug + Send + Sync + 'static {
    /// Stores a delivery (clause 1).
    async fn receive(&self, event: ReceivedEvent) -> Result<Receipt, StoreError>;

    /// Takes due events (clause 2).
    async fn claim(&self, request: &ClaimRequest) -> Result<Vec<ClaimedEvent>, StoreError>;

    /// Loads what a decision needs (clause 3).
    async fn load(&self, request: &LoadRequest) -> Result<Vec<Subject>, StoreError>;

    /// Writes a decision and settles its event (clauses 4 and 5).
    async fn commit(&self, lease: &Lease, changes: &Changes) -> Result<Commit, StoreError>;

    /// Writes several decisions and settles their events; how many of them, from the first on
    /// (clause 11).
    async fn commit_all(&self, decided: &[Decided<'_>]) -> Result<usize, StoreError>;

    /// Settles an event that changed nothing; false when the lease was lost (clause 6).
    async fn settle(&self, lease: &Lease, settled: &Settled) -> Result<bool, StoreError>;

    /// Makes events due again that were parked for want of a price by another catalog than the one
    /// with this fingerprint; returns how many.
    async fn release_parked(&self, catalog: &str, now: DateTime<Utc>) -> Result<u64, StoreError>;
}

/// How an event without changes ends.
#[derive(Clone, Debug, PartialEq)]
#[allow(clippy::exhaustive_structs)]
pub struct Settled {
    /// How.
    pub settlement: Settlement,
    /// The subject it turned out to be about, for operators.
    pub subject: Option<String>,
    /// What follows from it. Outbox entries without a subject belong to the event's id.
    pub effects: Effects,
    /// When.
    pub now: DateTime<Utc>,
}

/// A fact of which this worker holds the lease.
#[derive(Clone, Debug, PartialEq, Eq)]
#[allow(clippy::exhaustive_structs)]
pub struct ClaimedEntry {
    /// The right to settle it.
    pub lease: Lease,
    /// The message and its key.
    pub entry: OutboxEntry,
    /// The subject it is about.
    pub subject: SubjectKey,
    /// The account that the subject belongs to now.
    pub account: Option<String>,
    /// Attempts that failed so far.
    pub attempts: u32,
    /// How often it was deferred so far.
    pub deferrals: u32,
    /// Leases that ran out so far, this claim's predecessor included.
    pub crashes: u32,
}

/// How a claimed fact ends.
#[derive(Clone, Debug, PartialEq)]
#[allow(clippy::exhaustive_enums)]
pub enum Delivery {
    /// It is handed over.
    Done,
    /// It was a notice of which nobody is told: it is not true any more, or the notifier leaves it out.
    Dropped,
    /// It failed and is due again.
    Retry {
        /// When.
        due: DateTime<Utc>,
        /// Why it failed.
        failure: Failure,
    },
    /// It could not be tried yet and is due again. Costs no attempt.
    Deferred {
        /// When.
        due: DateTime<Utc>,
        /// Why.
        failure: Failure,
    },
    /// It is true, and its time has not come, or this worker's is over. Costs neither an attempt nor a
    /// deferral.
    PutOff {
        /// When it is due.
        due: DateTime<Utc>,
        /// What it waits for, kept as the reason: `outside_hours`, `told_enough`, `given_back`.
        reason: &'static str,
    },
    /// It failed for good.
    Dead {
        /// Why.
        failure: Failure,
        /// What follows from that: its ticket. Written with it, or not at all.
        effects: Box<Effects>,
    },
}

/// A notice that somebody was told, or may be told just now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(clippy::exhaustive_structs)]
pub struct Told {
    /// Its place in the outbox, as in its lease.
    pub seq: i64,
    /// When it was settled as handed over; `None` while a worker has it.
    pub at: Option<DateTime<Utc>>,
}

/// Facts on their way out, written by [`EventStore::commit`].
///
/// Clauses: claims, leases and crashes as in [`EventStore`] clause 2; an entry is claimed until it is settled
/// as done, dropped or dead, and never in shadow; `settle_outbox` settles those of the leases that were not lost, and says how many; effects are
/// written once for each of them, about its subject. `told_since` names notices of the kinds that are
/// about any of the subjects: those that are claimed, whether their lease has run out or not, and then
/// those that were settled as done after `since`, the latest first.
#[async_trait]
pub trait Outbox: fmt::Debug + Send + Sync + 'static {
    /// Takes due facts.
    async fn claim_outbox(&self, request: &ClaimRequest) -> Result<Vec<ClaimedEntry>, StoreError>;

    /// Settles facts that ended alike, together.
    async fn settle_outbox(
        &self,
        leases: &[Lease],
        delivery: &Delivery,
        now: DateTime<Utc>,
    ) -> Result<u64, StoreError>;

    /// What somebody was told of these kinds since a time, and what is under way.
    async fn told_since(
        &self,
        tenant: &Tenant,
        subjects: &[String],
        kinds: &[NoticeKind],
        since: DateTime<Utc>,
    ) -> Result<Vec<Told>, StoreError>;
}

/// A call to Stripe that must happen once per key, whatever races and crashes: its row is claimed
/// first, and the idempotency key is derived from the row.
#[derive(Clone, Debug, PartialEq, Eq)]
#[allow(clippy::exhaustive_structs)]
pub struct Call {
    /// What the call is for: `customer:acme`, `checkout:acme`.
    pub key: String,
    /// Grows with every new call under the key.
    pub generation: i64,
    /// What was asked for; another request under the key has another one.
    pub fingerprint: String,
    /// When this generation was claimed. Part of the idempotency key.
    pub started_at: DateTime<Utc>,
    /// What Stripe answered, once it has: JSON.
    pub result: Option<String>,
}

/// Rows for calls that must happen once.
///
/// Clauses: `begin_call` inserts the first generation, or returns the row as it is, whoever races;
/// `finish_call` sets the result if the generation is still the row's and has none; `restart_call`
/// makes the next generation if the generation is still the row's. The boolean says whether this
/// call did it. Generations begin at 1.
#[async_trait]
pub trait CallStore: fmt::Debug + Send + Sync + 'static {
    /// Claims a key, or reads who has.
    async fn begin_call(
        &self,
        key: &str,
        fingerprint: &str,
        now: DateTime<Utc>,
    ) -> Result<Call, StoreError>;

    /// Stores the answer of a generation.
    async fn finish_call(
        &self,
        key: &str,
        generation: i64,
        result: &str,
    ) -> Result<bool, StoreError>;

    /// Opens the next generation.
    async fn restart_call(
        &self,
        key: &str,
        generation: i64,
        fingerprint: &str,
        now: DateTime<Utc>,
    ) -> Result<bool, StoreError>;
}

/// All that [`Billing`](crate::Billing) needs of storage, in one object.
pub trait Store:
    EventStore + Outbox + CallStore + CreditLedger + Inspect + Maintain + Operate
{
}

impl<T: EventStore + Outbox + CallStore + CreditLedger + Inspect + Maintain + Operate> Store for T {}
