//! Decisions as data: what a store writes for one event, all or nothing.

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

use crate::domain::DomainEvent;
use crate::keys::SubjectKey;
use crate::ledger::LedgerPolicy;
use crate::notice::Notice;
use crate::queue::Failure;
use crate::state::{Links, ObjectRef, Record};
use crate::store::LedgerPosting;
use crate::ticket::TicketWrite;

/// Everything that one event changes. A store destructures it whole and writes it in one
/// transaction, so that a new kind of effect cannot be forgotten by a plugin.
#[derive(Clone, Debug, PartialEq)]
#[allow(clippy::exhaustive_structs)] // On purpose: see above.
pub struct Changes {
    /// The subject decided on.
    pub subject: SubjectKey,
    /// The version it was decided on; the commit makes it one more, or is a conflict.
    pub expected_version: i64,
    /// Its links after the event.
    pub links: Links,
    /// The account it belongs to after the event; what `links` say, for an index.
    pub account: Option<String>,
    /// Records that are new or changed.
    pub records: Vec<RecordWrite>,
    /// Ids that stand for this subject from now on, with all that was known under them.
    pub adopted: Vec<Adoption>,
    /// What is to be told and looked at.
    pub effects: Effects,
    /// How the event ends.
    pub settlement: Settlement,
    /// Paths of values in the event that are not believed, for operators.
    pub anomalies: Vec<String>,
    /// Whether events parked on this subject for want of a link are due again.
    pub release_parked: bool,
    /// The time of the decision.
    pub now: DateTime<Utc>,
}

impl Changes {
    /// Whether they may be written together with those of other events: not where the ledger is
    /// posted to, a ticket written, or state moved from one subject to another.
    pub fn is_plain(&self) -> bool {
        let Effects { outbox: _, shadow: _, tickets, audit: _, postings, ledger: _, failing } =
            &self.effects;
        postings.is_empty()
            && tickets.is_empty()
            && failing.is_none()
            && !self.adopted.iter().any(|name| name.had_state)
            && matches!(
                self.settlement,
                Settlement::Processed | Settlement::Ignored(_) | Settlement::Parked(_)
            )
    }
}

/// What follows from an event beside the state: written with it, or not at all.
#[derive(Clone, Debug, Default, PartialEq)]
#[allow(clippy::exhaustive_structs)]
pub struct Effects {
    /// Facts and notices to tell, each at most once by its key.
    pub outbox: Vec<OutboxEntry>,
    /// Whether the outbox entries are only kept on record and never handed over.
    pub shadow: bool,
    /// Tickets to open, update or close, by their keys.
    pub tickets: Vec<TicketWrite>,
    /// Changes of money or access, for the audit log.
    pub audit: Vec<AuditEntry>,
    /// Operations on the credit ledger. In shadow mode they are executed all the same: they are
    /// state, and nothing outside.
    pub postings: Vec<LedgerPosting>,
    /// The rules of the ledger.
    pub ledger: LedgerPolicy,
    /// The key of the ticket that the settled event belongs to: with all of its events at rest, the
    /// ticket closes.
    pub failing: Option<String>,
}

impl Effects {
    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.outbox.is_empty()
            && self.tickets.is_empty()
            && self.audit.is_empty()
            && self.postings.is_empty()
            && self.failing.is_none()
    }
}

/// An id of the subject's tenant that becomes another name of the subject: a payment whose customer
/// became known.
#[derive(Clone, Debug, PartialEq, Eq)]
#[allow(clippy::exhaustive_structs)]
pub struct Adoption {
    /// The id: of a payment, an invoice, a session.
    pub id: String,
    /// The version it was read in; 0 is new. Another one is a conflict.
    pub expected_version: i64,
    /// Whether it was a subject with records and events of its own, which move over, or at most
    /// another name.
    pub had_state: bool,
    /// What is kept with the name: of a charge, the payment intent that it is part of.
    pub links: Links,
}

/// A line of the audit log: what changed about an object's money or access, and through whom.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[allow(clippy::exhaustive_structs)]
pub struct AuditEntry {
    /// Who: `stripe:evt_...`, or `operator:...`.
    pub actor: String,
    /// What: `subscription.state`, `payment.returned`, ...
    pub action: String,
    /// About what.
    pub object: ObjectRef,
    /// As it was; nothing when it is new.
    pub before: Option<String>,
    /// As it is.
    pub after: Option<String>,
    /// Why, where somebody said so.
    pub reason: Option<String>,
}

/// A record to write.
#[derive(Clone, Debug, PartialEq, Eq)]
#[allow(clippy::exhaustive_structs)]
pub struct RecordWrite {
    /// The record, whole.
    pub record: Record,
    /// Whether it is loaded with every decision on its subject.
    pub current: bool,
}

/// Something to tell, under the key that makes it unique in its tenant.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[allow(clippy::exhaustive_structs)]
pub struct OutboxEntry {
    /// Made from the business fact, never from an event id.
    pub key: String,
    /// What to tell.
    pub message: Message,
    /// When, if not at once.
    pub due: Option<DateTime<Utc>>,
}

/// What leaves through the outbox.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(untagged)]
#[allow(clippy::exhaustive_enums)]
pub enum Message {
    /// A fact for the app's own handlers. True for ever.
    Event(DomainEvent),
    /// A notice to a human, told only while it is true.
    Notice(Notice),
}

impl Message {
    /// The kind, as stores and operators write it.
    pub fn kind(&self) -> &'static str {
        match self {
            Self::Event(event) => event.kind(),
            Self::Notice(notice) => notice.kind.as_str(),
        }
    }

    /// Whether it is a notice; what stores count by kind for operators.
    pub fn is_notice(&self) -> bool {
        matches!(self, Self::Notice(_))
    }
}

impl From<DomainEvent> for OutboxEntry {
    fn from(event: DomainEvent) -> Self {
        Self { key: event.key(), message: Message::Event(event), due: None }
    }
}

impl From<Notice> for OutboxEntry {
    fn from(notice: Notice) -> Self {
        Self { key: notice.key(), message: Message::Notice(notice), due: None }
    }
}

/// How a claimed event ends.
#[derive(Clone, Debug, PartialEq, Eq)]
#[allow(clippy::exhaustive_enums)]
pub enum Settlement {
    /// Its effects are recorded.
    Processed,
    /// It has none: nothing of ours, or older than what is known.
    Ignored(IgnoreReason),
    /// It waits for something to appear. Neither an error nor lost.
    Parked(ParkReason),
    /// It failed and is due again. Costs an attempt.
    Retry {
        /// When.
        due: DateTime<Utc>,
        /// Why it failed.
        failure: Failure,
    },
    /// It could not be tried yet and is due again. Costs no attempt; where the failure's class is
    /// deferred it counts as a deferral.
    Deferred {
        /// When.
        due: DateTime<Utc>,
        /// Why.
        failure: Failure,
    },
    /// It failed for good; a human has to look.
    Dead(Failure),
    /// It was not tried after all and is due at once. Costs nothing.
    Released,
}

/// Why an event had no effect.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[allow(clippy::exhaustive_enums)]
pub enum IgnoreReason {
    /// No rule reads this type.
    Unhandled,
    /// All it says was known.
    Superseded,
    /// It belongs to the other mode.
    OtherMode,
    /// It belongs to a connected account, and those are not served.
    ConnectedAccount,
    /// A thin event, whose object cannot be fetched.
    Thin,
    /// A thin event whose snapshot twin is in the inbox.
    Twin,
    /// What it said was erased before it was processed.
    Erased,
}

impl IgnoreReason {
    /// The reason as stores write it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Unhandled => "unhandled",
            Self::Superseded => "superseded",
            Self::OtherMode => "other_mode",
            Self::ConnectedAccount => "connected_account",
            Self::Thin => "thin",
            Self::Twin => "twin",
            Self::Erased => "erased",
        }
    }
}

/// What a parked event waits for.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[allow(clippy::exhaustive_enums)]
pub enum ParkReason {
    /// Its subject belongs to no account of the app yet.
    Unlinked,
    /// A price is not in the catalog with this fingerprint.
    UnknownPrice {
        /// The fingerprint of the catalog that did not know it.
        catalog: String,
    },
}

impl ParkReason {
    /// The reason as stores write it: `unlinked`, or `catalog:<fingerprint>`.
    pub fn code(&self) -> String {
        match self {
            Self::Unlinked => "unlinked".to_owned(),
            Self::UnknownPrice { catalog } => format!("catalog:{catalog}"),
        }
    }
}
