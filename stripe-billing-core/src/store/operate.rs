use std::fmt;

use async_trait::async_trait;
use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

use super::EventRange;
use crate::changes::{AuditEntry, Effects};
use crate::error::StoreError;
use crate::keys::{SubjectKey, Tenant};
use crate::state::{ObjectKind, ObjectRef};
use crate::ticket::{Ticket, TicketStatus};

/// Failures and those who mend them: tickets by what failed, orders of operators, the queue's switch.
///
/// Clauses:
/// 1. `operate` carries an order out once: all of it, with its line in the audit log, or nothing. The
///    same request with the same verb is answered as it was, with `repeated` set, and does nothing;
///    with another verb it fails with [`StoreError::key_reused`].
/// 2. A ticket comes to the status that is ordered, whatever it was. An event is resolved or dismissed while it is at rest or waits, never while it is processed;
///    releasing a lease makes the event due at once, and its holder can settle it no more. Where the
///    event's status does not allow a verb nothing changes, and `after` is `None`. A replay that its limit ends says from where
///    the next goes on, whatever became of its events meanwhile.
/// 3. While the queue is paused `paused` says by whom. Pausing a paused queue keeps who did it first.
/// 4. `known_failure` finds the newest ticket whose key is the one asked for, or that key followed by
///    `@` and a date, and counts the failure tickets that were opened since a time. `ticket` finds the
///    ticket with exactly this key in this tenant, as the last write left it.
/// 5. `record_effects` writes effects that follow from no event, all or nothing, under the clauses of
///    [`EventStore`](super::EventStore).
/// 6. `close_tickets` closes each open failure ticket of which no event and no message is waiting or
///    dead any more, and says how many that was and how many stay open. Who closes a ticket that is
///    about nothing closes nothing else.
/// 7. `ticket_news` gives the tickets that changed since they were told, the longest ago first;
///    `ticket_told` marks one as told up to a revision.
/// 8. `release_config` makes events and messages due again that are dead for their configuration,
///    when the configuration is not the one of the last call; how many it was.
/// 9. A settlement that failed (`Retry`, `Deferred`, `Dead`) adds an attempt to the event's, with the
///    worker that held it; `attempts` gives the latest hundred, the oldest first.
#[async_trait]
pub trait Operate: fmt::Debug + Send + Sync + 'static {
    /// Carries out an order (clauses 1 and 2).
    async fn operate(&self, order: &Order) -> Result<Carried, StoreError>;

    /// Whether operators have paused the queue, and who (clause 3).
    async fn paused(&self) -> Result<Option<Paused>, StoreError>;

    /// What is known of a failure (clause 4).
    async fn known_failure(
        &self,
        tenant: &Tenant,
        key: &str,
        since: DateTime<Utc>,
    ) -> Result<KnownFailure, StoreError>;

    /// The ticket with a key (clause 4).
    async fn ticket(&self, tenant: &Tenant, key: &str) -> Result<Option<Ticket>, StoreError>;

    /// Writes effects that follow from no event (clause 5).
    async fn record_effects(
        &self,
        subject: &SubjectKey,
        effects: &Effects,
        now: DateTime<Utc>,
    ) -> Result<(), StoreError>;

    /// Closes tickets whose events are all at rest (clause 6).
    async fn close_tickets(&self, now: DateTime<Utc>) -> Result<TicketSweep, StoreError>;

    /// Tickets that changed since they were told (clause 7).
    async fn ticket_news(&self, limit: u32) -> Result<Vec<TicketNews>, StoreError>;

    /// Marks a ticket as told (clause 7).
    async fn ticket_told(&self, news: &TicketNews) -> Result<(), StoreError>;

    /// Takes up what failed under another configuration (clause 8).
    async fn release_config(
        &self,
        configuration: &str,
        now: DateTime<Utc>,
    ) -> Result<u64, StoreError>;

    /// The attempts of an event that failed (clause 9).
    async fn attempts(&self, seq: i64) -> Result<Vec<Attempt>, StoreError>;
}

/// What an operator wants done.
#[derive(Clone, Debug, PartialEq, Eq)]
#[allow(clippy::exhaustive_structs)]
pub struct Order {
    /// Makes the order happen once.
    pub request: String,
    /// Who: goes into the audit log as `operator:<actor>`.
    pub actor: String,
    /// Why, for the audit log.
    pub reason: Option<String>,
    /// What.
    pub verb: Verb,
    /// When.
    pub now: DateTime<Utc>,
}

impl Order {
    /// The line for the audit log.
    pub fn audit(
        &self,
        object: ObjectRef,
        before: Option<String>,
        after: Option<String>,
    ) -> AuditEntry {
        AuditEntry {
            actor: format!("operator:{}", self.actor),
            action: self.verb.action().to_owned(),
            object,
            before,
            after,
            reason: self.reason.clone(),
        }
    }

    /// The queue that it is about, where it is not about one event.
    pub fn queue(&self) -> ObjectRef {
        let name = if matches!(self.verb, Verb::Redeliver { .. }) { "messages" } else { "events" };
        ObjectRef { kind: ObjectKind::Queue, id: name.to_owned() }
    }
}

/// What can be ordered.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[allow(clippy::exhaustive_enums)]
pub enum Verb {
    /// An event was dealt with elsewhere.
    Resolve {
        /// Its place in the inbox.
        seq: i64,
    },
    /// An event does not matter.
    Dismiss {
        /// Its place in the inbox.
        seq: i64,
    },
    /// An event's worker is gone or stuck: another may take it.
    Release {
        /// Its place in the inbox.
        seq: i64,
    },
    /// Events are decided on once more: those of the range that are at rest and have a payload, up
    /// to its limit. [`Billing::replay`](crate::Billing::replay) does it in batches, with a pace.
    Replay {
        /// Which.
        range: EventRange,
    },
    /// A ticket stands elsewhere: somebody looks at it, or has dealt with it.
    Ticket {
        /// Its number.
        number: i64,
        /// Where it stands.
        status: TicketStatus,
    },
    /// Messages that are dead are handed over once more: the one with this key, or all.
    Redeliver {
        /// The key.
        key: Option<String>,
    },
    /// No event is processed and no message handed over until the queue is resumed. Deliveries are
    /// received all the same.
    Pause,
    /// Work goes on.
    Resume,
}

impl Verb {
    /// The action in the audit log.
    pub fn action(&self) -> &'static str {
        match self {
            Self::Resolve { .. } => "event.resolved",
            Self::Dismiss { .. } => "event.dismissed",
            Self::Release { .. } => "event.released",
            Self::Replay { .. } => "events.replayed",
            Self::Ticket { .. } => "ticket.changed",
            Self::Redeliver { .. } => "messages.redelivered",
            Self::Pause => "queue.paused",
            Self::Resume => "queue.resumed",
        }
    }

    /// The event that it is about.
    pub fn event(&self) -> Option<i64> {
        match self {
            Self::Resolve { seq } | Self::Dismiss { seq } | Self::Release { seq } => Some(*seq),
            _ => None,
        }
    }

    /// The status that an event in this one comes to, if the verb may be applied to it.
    pub fn leads_to(&self, status: &str) -> Option<&'static str> {
        let waits = matches!(status, "received" | "retry_wait" | "deferred" | "parked" | "dead");
        match self {
            Self::Resolve { .. } if waits => Some("resolved"),
            Self::Dismiss { .. } if waits => Some("dismissed"),
            Self::Release { .. } if status == "processing" => Some("received"),
            _ => None,
        }
    }
}

/// What an order came to.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[allow(clippy::exhaustive_structs)]
pub struct Carried {
    /// How many events, messages or switches it changed.
    pub changed: u64,
    /// As it was: the event's status, or the queue's.
    pub before: Option<String>,
    /// As it is; nothing where the order does not apply.
    pub after: Option<String>,
    /// Whether it was carried out before, by an earlier request with this id.
    #[serde(default)]
    pub repeated: bool,
    /// Of a replay that its limit ended: the place from which the next one goes on.
    #[serde(default)]
    pub next: Option<i64>,
}

impl Carried {
    /// An order that came to this, for the first time.
    pub fn new(changed: u64, before: Option<String>, after: Option<String>) -> Self {
        Self { changed, before, after, repeated: false, next: None }
    }
}

/// Who paused the queue.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[allow(clippy::exhaustive_structs)]
pub struct Paused {
    /// The operator.
    pub actor: String,
    /// Why.
    pub reason: Option<String>,
    /// When.
    pub since: DateTime<Utc>,
}

/// What is known of a failure before it is told once more.
#[derive(Clone, Debug, Default, PartialEq)]
#[allow(clippy::exhaustive_structs)]
pub struct KnownFailure {
    /// The newest ticket of its key.
    pub ticket: Option<Ticket>,
    /// How many failure tickets were opened lately, of whatever key.
    pub opened: u64,
}

/// What a sweep of the failure tickets came to.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[allow(clippy::exhaustive_structs)]
pub struct TicketSweep {
    /// How many were closed.
    pub closed: u64,
    /// How many are still open.
    pub open: u64,
}

/// A ticket that changed since it was told.
#[derive(Clone, Debug, PartialEq)]
#[allow(clippy::exhaustive_structs)]
pub struct TicketNews {
    /// As it is.
    pub ticket: Ticket,
    /// Grows with every change.
    pub revision: i64,
    /// Whether it was told as open before; nothing when it was never told.
    pub told_open: Option<bool>,
}

/// An attempt that failed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[allow(clippy::exhaustive_structs)]
pub struct Attempt {
    /// When it ended.
    pub at: DateTime<Utc>,
    /// The failure's class.
    pub class: String,
    /// Its code.
    pub code: String,
    /// What it said.
    pub message: String,
    /// Who tried.
    pub worker: Option<String>,
}
