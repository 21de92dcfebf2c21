use std::collections::BTreeMap;
use std::fmt;

use async_trait::async_trait;
use bytes::Bytes;
use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

use crate::changes::AuditEntry;
use crate::error::StoreError;
use crate::keys::{AccountKey, EventKey, SubjectKey, Tenant};
use crate::state::Subject;
use crate::ticket::{Ticket, TicketStatus};
use crate::webhook::EventKind;

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

    /// How many events of a range a replay would make due now, counted up to its limit, and to
    /// 100,000.
    async fn count_replayable(&self, range: &EventRange) -> Result<u64, StoreError>;

    /// Tickets, the newest first.
    async fn tickets(&self, query: &TicketQuery) -> Result<Vec<Ticket>, StoreError>;

    /// The audit log, the newest first.
    async fn audit(&self, query: &AuditQuery) -> Result<Vec<AuditLine>, StoreError>;

    /// Counts and ages of both queues.
    async fn stats(&self, now: DateTime<Utc>) -> Result<Stats, StoreError>;

    /// What waits, by what it is: for gauges, so that each count ends at 10,000.
    async fn backlog(&self) -> Result<Backlog, StoreError>;

    /// Whether the store can be reached.
    async fn ping(&self) -> Result<(), StoreError>;
}

/// What operators and retention do to the store.
///
/// Clauses: `prune` empties payloads of events that
/// are processed or ignored and older, at most `limit` of them, and keeps everything else;
/// `prune_attempts` removes failed attempts that ended before a time, of whatever event, at most
/// `limit` of them, the oldest first, and nothing else;
/// `erase` empties the payloads of a subject's events and removes its records, and keeps ids, keys
/// and amounts of what was told.
#[async_trait]
pub trait Maintain: fmt::Debug + Send + Sync + 'static {
    /// Empties payloads of settled events that were received before a time; how many it was.
    async fn prune(&self, before: DateTime<Utc>, limit: u32) -> Result<u64, StoreError>;

    /// Removes failed attempts that ended before a time; how many it was.
    async fn prune_attempts(&self, before: DateTime<Utc>, limit: u32) -> Result<u64, StoreError>;

    /// Forgets what a subject's events said; how many events it was.
    async fn erase(&self, subject: &SubjectKey) -> Result<u64, StoreError>;
}

/// A range of events by their places in the inbox. Fields that are `None` do not restrict.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
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
    /// Of this ticket.
    #[serde(default)]
    pub ticket: Option<String>,
    /// At most so many, up to 10,000.
    pub limit: u32,
}

impl EventRange {
    /// Events that one command reads or replays at most.
    pub const MAX: u32 = 10_000;
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
    /// Of this ticket.
    pub ticket: Option<String>,
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
    /// `received`, `processing`, `retry_wait`, `deferred`, `parked`, `processed`, `ignored`, `dead`,
    /// `resolved` or `dismissed`.
    pub status: String,
    /// Why it is ignored, parked or dead.
    pub reason: Option<String>,
    /// The class of its last failure.
    pub error_class: Option<String>,
    /// The key of the ticket that its failure belongs to.
    pub ticket: Option<String>,
    /// When it is due; nothing when it rests. That of an event under way is the end of its lease.
    pub due_at: Option<DateTime<Utc>>,
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
    /// Leases that ran out.
    pub crashes: u32,
    /// Whether it came again with other content.
    pub differs: bool,
    /// Paths of values in it that were not believed, separated by blanks.
    pub anomalies: Option<String>,
}

/// What waits for work or for a human. Each count ends at 10,000: the events at so many in all.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
#[allow(clippy::exhaustive_structs)]
pub struct Backlog {
    /// Events that are not done, by status and type.
    pub events: BTreeMap<String, BTreeMap<String, u64>>,
    /// Tickets that are not resolved, by kind.
    pub tickets: BTreeMap<String, u64>,
    /// Reservations of credits that are neither captured nor released.
    pub reservations: u64,
    /// Ledger accounts in debt.
    pub debtors: u64,
}

impl Backlog {
    /// Where each count ends.
    pub const MAX: u64 = 10_000;
}

/// Where an event can stand: every value of [`EventSummary::status`].
pub const EVENT_STATUSES: [&str; 10] = [
    "received",
    "processing",
    "retry_wait",
    "deferred",
    "parked",
    "processed",
    "ignored",
    "dead",
    "resolved",
    "dismissed",
];

/// Where a message can stand.
pub const OUTBOX_STATUSES: [&str; 6] = ["pending", "sending", "done", "dropped", "dead", "shadow"];

/// The statuses of events that are not done: they wait, are under way, or are dead.
pub const OPEN_STATUSES: [&str; 6] =
    ["received", "processing", "retry_wait", "deferred", "parked", "dead"];

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
