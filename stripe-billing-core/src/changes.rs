//! Decisions as data: what a store writes for one event, all or nothing.

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

use crate::domain::DomainEvent;
use crate::keys::SubjectKey;
use crate::queue::Failure;
use crate::state::{Links, Record};

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
    /// Facts to tell, each at most once by its key.
    pub outbox: Vec<OutboxEntry>,
    /// How the event ends.
    pub settlement: Settlement,
    /// Whether events parked on this subject for want of a link are due again.
    pub release_parked: bool,
    /// The time of the decision.
    pub now: DateTime<Utc>,
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

/// A fact to tell, under the key that makes it unique in its tenant.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[allow(clippy::exhaustive_structs)]
pub struct OutboxEntry {
    /// Made from the business fact, never from an event id.
    pub key: String,
    /// The fact.
    pub event: DomainEvent,
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
    /// A thin event, whose object is not fetched.
    Thin,
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
