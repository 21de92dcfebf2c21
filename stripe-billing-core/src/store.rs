//! What a storage plugin implements. The contract of each method is certified clause by clause by
//! `stripe_billing_testing`.

use std::collections::BTreeMap;
use std::fmt;

use async_trait::async_trait;
use bytes::Bytes;
use chrono::{DateTime, Utc};
use serde::Serialize;

use crate::changes::{AuditEntry, Changes, Effects, OutboxEntry, Settlement};
use crate::error::StoreError;
use crate::keys::{AccountKey, EventKey, SubjectKey, Tenant};
use crate::queue::{ClaimRequest, Failure, Lease};
use crate::state::{ObjectRef, Subject};
use crate::ticket::{Ticket, TicketStatus};
use crate::webhook::EventKind;

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
///    epoch by one. An item whose lease ran out is due again, and its crashes are one more.
/// 3. `load` returns those of the subjects that are stored, each with its current records and those
///    asked for; another name of a subject comes with its `owner` and no records. Versions and
///    records are of one instant.
/// 4. `commit` writes all of the changes and settles the event, or nothing. It is `Conflict` if and
///    only if the subject's version, or that of an adopted id, is not the expected one, and
///    `LeaseLost` if the lease's epoch is not the row's, or the event is settled already (checked
///    first).
/// 5. Outbox keys are unique per tenant. The same key with the same message is already there and no
///    error; with another message the commit fails with `ErrorKind::KeyReused`. An entry is due at
///    its own time, at once without one, and never in shadow (status `shadow`).
/// 6. `settle` without a commit follows the same fencing. `Retry` and `Dead` count an attempt and
///    keep the failure's code as the reason and its message; a later success clears the reason. Its
///    effects are written with it, or not at all.
/// 7. A failed call has happened entirely or not at all; calling again is safe.
/// 8. An adopted id becomes another name: its version is one more (1 when it is new), its `owner` is
///    the subject. Where it had state, its records are gone (what held is among the changes'
///    records), and its events and outbox entries belong to the subject.
/// 9. Tickets are unique per tenant and key. A write of an open ticket opens or reopens it, and
///    counts; a write of a closed one closes it, and opens none. The audit log is append-only.
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
}

/// How a claimed fact ends.
#[derive(Clone, Debug, PartialEq, Eq)]
#[allow(clippy::exhaustive_enums)]
pub enum Delivery {
    /// It is handed over.
    Done,
    /// It was a notice that is not true any more.
    Dropped,
    /// It failed and is due again.
    Retry {
        /// When.
        due: DateTime<Utc>,
        /// Why it failed.
        failure: Failure,
    },
    /// It failed for good.
    Dead(Failure),
}

/// Facts on their way out, written by [`EventStore::commit`].
///
/// Clauses: claims and leases as in [`EventStore`] clause 2; an entry is claimed until it is settled
/// as done, dropped or dead, and never in shadow; `settle_outbox` settles those of the leases that were not lost, and says how many.
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

/// Which of a subject's records to read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(clippy::exhaustive_enums)]
pub enum Records {
    /// Those that access depends on.
    Current,
    /// All, up to 10,000 a subject.
    All,
}

/// The read side: accounts for the app, events and figures for operators.
#[async_trait]
pub trait Inspect: fmt::Debug + Send + Sync + 'static {
    /// The subjects that belong to an account, with their records: in one mode, or in both.
    /// Ordered by key.
    async fn subjects_of(
        &self,
        account: &AccountKey,
        livemode: Option<bool>,
        records: Records,
    ) -> Result<Vec<Subject>, StoreError>;

    /// A subject with all of its records; by another name of it, the subject itself.
    async fn subject(&self, key: &SubjectKey) -> Result<Option<Subject>, StoreError>;

    /// How many notices of each kind there are for these subjects of one tenant: handed over, or
    /// due by now; not those that were dropped.
    async fn notices(
        &self,
        tenant: &Tenant,
        subjects: &[String],
        now: DateTime<Utc>,
    ) -> Result<BTreeMap<String, u64>, StoreError>;

    /// Events, the newest first.
    async fn events(&self, query: &EventQuery) -> Result<Vec<EventSummary>, StoreError>;

    /// The events with this id, of whichever tenant, with their payloads.
    async fn events_by_id(&self, id: &str) -> Result<Vec<StoredEvent>, StoreError>;

    /// Events with their payloads, the oldest first, for a replay.
    async fn stored_events(&self, range: &EventRange) -> Result<Vec<StoredEvent>, StoreError>;

    /// Tickets, the newest first.
    async fn tickets(&self, query: &TicketQuery) -> Result<Vec<Ticket>, StoreError>;

    /// The audit log, the newest first.
    async fn audit(&self, query: &AuditQuery) -> Result<Vec<AuditLine>, StoreError>;

    /// Counts and ages of both queues.
    async fn stats(&self, now: DateTime<Utc>) -> Result<Stats, StoreError>;

    /// Whether the store can be reached.
    async fn ping(&self) -> Result<(), StoreError>;
}

/// What operators and retention do to the store.
///
/// Clauses: `requeue` makes events due again that are at rest (not leased, not waiting for a retry),
/// with no attempts or crashes counted, and says how many; `prune` empties payloads of events that
/// are processed or ignored and older, at most `limit` of them, and keeps everything else;
/// `erase` empties the payloads of a subject's events and removes its records, and keeps ids, keys
/// and amounts of what was told.
#[async_trait]
pub trait Maintain: fmt::Debug + Send + Sync + 'static {
    /// Makes events due again, in one statement.
    async fn requeue(&self, range: &EventRange, now: DateTime<Utc>) -> Result<u64, StoreError>;

    /// Empties payloads of settled events that were received before a time; how many it was.
    async fn prune(&self, before: DateTime<Utc>, limit: u32) -> Result<u64, StoreError>;

    /// Forgets what a subject's events said; how many events it was.
    async fn erase(&self, subject: &SubjectKey) -> Result<u64, StoreError>;
}

/// A range of events by their places in the inbox. Fields that are `None` do not restrict.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[allow(clippy::exhaustive_structs)]
pub struct EventRange {
    /// From this sequence number on.
    pub from: Option<i64>,
    /// Up to this one, included.
    pub until: Option<i64>,
    /// In this status.
    pub status: Option<String>,
    /// Of this type.
    pub event_type: Option<String>,
    /// About this subject.
    pub subject: Option<String>,
    /// At most so many, up to 10,000.
    pub limit: u32,
}

/// An event as it is stored.
#[derive(Clone, Debug, PartialEq, Eq)]
#[allow(clippy::exhaustive_structs)]
pub struct StoredEvent {
    /// What a list shows of it.
    pub summary: EventSummary,
    /// Snapshot, thin, or an operator's own.
    pub kind: EventKind,
    /// The API version that rendered it.
    pub api_version: Option<String>,
    /// The body as received; empty when it was pruned or erased.
    pub payload: Bytes,
}

/// Which tickets to list. Fields that are `None` do not restrict.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[allow(clippy::exhaustive_structs)]
pub struct TicketQuery {
    /// In this status.
    pub status: Option<TicketStatus>,
    /// About this subject.
    pub subject: Option<String>,
    /// Older than the ticket with this number: the next page.
    pub after: Option<i64>,
    /// At most so many, up to 1,000.
    pub limit: u32,
}

/// Which lines of the audit log to list. Fields that are `None` do not restrict.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[allow(clippy::exhaustive_structs)]
pub struct AuditQuery {
    /// About this subject.
    pub subject: Option<String>,
    /// Older than the line with this number: the next page.
    pub after: Option<i64>,
    /// At most so many, up to 1,000.
    pub limit: u32,
}

/// A line of the audit log as it is stored.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[allow(clippy::exhaustive_structs)]
pub struct AuditLine {
    /// Its place in the log.
    pub seq: i64,
    /// When.
    pub at: DateTime<Utc>,
    /// The subject.
    #[serde(flatten)]
    pub subject: SubjectKey,
    /// What.
    #[serde(flatten)]
    pub entry: AuditEntry,
}

/// Which events to list. Fields that are `None` do not restrict.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[allow(clippy::exhaustive_structs)]
pub struct EventQuery {
    /// In this status, as [`EventSummary::status`] writes it.
    pub status: Option<String>,
    /// Of this type.
    pub event_type: Option<String>,
    /// About this subject (a customer id).
    pub subject: Option<String>,
    /// Older than the event with this sequence number: the next page.
    pub after: Option<i64>,
    /// At most so many, up to 1,000.
    pub limit: u32,
}

/// An event as operators see it in a list.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[allow(clippy::exhaustive_structs)]
pub struct EventSummary {
    /// Its place in the inbox; pages go by it.
    pub seq: i64,
    /// Tenant and id.
    #[serde(flatten)]
    pub key: EventKey,
    /// For example `invoice.paid`.
    #[serde(rename = "type")]
    pub event_type: String,
    /// `received`, `processing`, `retry_wait`, `parked`, `processed`, `ignored` or `dead`.
    pub status: String,
    /// Why it is ignored, parked or dead.
    pub reason: Option<String>,
    /// What its last failure said.
    pub message: Option<String>,
    /// The subject it is about, once known.
    pub subject: Option<String>,
    /// When it happened, Unix seconds.
    pub created: i64,
    /// When it arrived.
    pub received_at: DateTime<Utc>,
    /// Attempts that failed.
    pub attempts: u32,
    /// Whether it came again with other content.
    pub differs: bool,
    /// Paths of values in it that were not believed, separated by blanks.
    pub anomalies: Option<String>,
}

/// Both queues in figures.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
#[allow(clippy::exhaustive_structs)]
pub struct Stats {
    /// Events by status, each counted to a million.
    pub events: BTreeMap<String, u64>,
    /// Messages by status: `pending`, `sending`, `done`, `dropped`, `dead`, `shadow`; counted to a million.
    pub outbox: BTreeMap<String, u64>,
    /// How long the oldest due event has been due, in seconds.
    pub queue_age_seconds: f64,
    /// Nothing is due and nothing is leased: every event has come to rest.
    pub idle: bool,
}

/// All that [`Billing`](crate::Billing) needs of storage, in one object.
pub trait Store: EventStore + Outbox + CallStore + Inspect + Maintain {}

impl<T: EventStore + Outbox + CallStore + Inspect + Maintain> Store for T {}
