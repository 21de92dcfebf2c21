//! Work for humans that follows from events.

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

use crate::keys::SubjectKey;
use crate::state::ObjectRef;

macro_rules! words {
    ($(#[$meta:meta])* $name:ident { $($(#[$doc:meta])* $variant:ident = $word:literal,)+ }) => {
        $(#[$meta])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
        #[serde(rename_all = "snake_case")]
        #[non_exhaustive]
        pub enum $name { $($(#[$doc])* $variant,)+ }

        impl $name {
            /// Every value.
            pub const ALL: &[Self] = &[$(Self::$variant,)+];

            /// The word that stores and the operator JSON write.
            pub fn as_str(self) -> &'static str {
                match self { $(Self::$variant => $word,)+ }
            }

            /// The value of a word.
            pub fn from_word(word: &str) -> Option<Self> {
                match word { $($word => Some(Self::$variant),)+ _ => None }
            }
        }
    };
}
pub(crate) use words;

words! {
    /// What a ticket is about.
    TicketKind {
        /// A dispute waits for evidence, or for the bank.
        Dispute = "dispute",
        /// A card network warns of fraud.
        FraudWarning = "fraud_warning",
        /// An event failed for good.
        DeadEvent = "dead_event",
        /// The sources that name a customer's account disagree.
        ContestedLink = "contested_link",
        /// A fact that was told came again with other content.
        FactDiffers = "fact_differs",
        /// A message could not be handed over.
        DeadMessage = "dead_message",
        /// Most work fails, and the queue pauses.
        QueuePaused = "queue_paused",
        /// A rule against fraud asks for a look at an account, or denies it a checkout.
        FraudReview = "fraud_review",
        /// More kinds of failure in an hour than anybody reads one by one.
        ManyFailures = "many_failures",
    }
}

words! {
    /// How urgent a ticket is.
    TicketPriority {
        /// When there is time.
        Low = "low",
        /// In the next days.
        Normal = "normal",
        /// Today.
        High = "high",
    }
}

words! {
    /// Where a ticket stands.
    TicketStatus {
        /// Nobody has looked yet.
        Open = "open",
        /// Somebody is looking.
        Investigating = "investigating",
        /// Done.
        Resolved = "resolved",
    }
}

/// Opens, updates or closes the ticket with a key.
#[derive(Clone, Debug, PartialEq, Eq)]
#[allow(clippy::exhaustive_structs)]
pub struct TicketWrite {
    /// Made from the business fact: `dispute:dp_1`.
    pub key: String,
    /// What it is about.
    pub kind: TicketKind,
    /// How urgent it is.
    pub priority: TicketPriority,
    /// Whether there is work to do; false closes it.
    pub open: bool,
    /// The object it is about.
    pub object: Option<ObjectRef>,
    /// The event that told of it.
    pub event: Option<String>,
    /// One line for humans, without personal data.
    pub title: String,
    /// When it has to be done, Unix seconds.
    pub due_by: Option<i64>,
    /// What whoever takes it up has to know; kept when a later write brings none.
    pub context: Option<TicketContext>,
}

/// What whoever takes a ticket up has to know. No personal data, no payload.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[allow(clippy::exhaustive_structs)]
pub struct TicketContext {
    /// Stripe's customer whom the last of it was about.
    pub customer: Option<String>,
    /// The app's account, where it is known.
    pub account: Option<String>,
    /// The money at stake in the last of it, in minor units of `currency`.
    pub amount: Option<i64>,
    /// ISO code, lower case.
    pub currency: Option<String>,
    /// Whether the account has access meanwhile.
    pub access: Option<bool>,
    /// What the last failure said.
    pub error: Option<String>,
    /// What to do about it.
    pub action: Option<String>,
}

impl TicketKind {
    /// Those about work that failed.
    pub const FAILURES: [Self; 3] = [Self::DeadEvent, Self::DeadMessage, Self::ManyFailures];

    /// Whether it is about work that failed, and closes by itself when none of it is left.
    pub fn is_failure(self) -> bool {
        Self::FAILURES.contains(&self)
    }
}

/// A ticket as it is stored.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[allow(clippy::exhaustive_structs)]
pub struct Ticket {
    /// Its number; pages go by it.
    pub number: i64,
    /// What makes it one ticket.
    pub key: String,
    /// What it is about.
    #[serde(rename = "type")]
    pub kind: TicketKind,
    /// How urgent it is.
    pub priority: TicketPriority,
    /// Where it stands.
    pub status: TicketStatus,
    /// The subject it is about; the event's id where none is known.
    #[serde(flatten)]
    pub subject: SubjectKey,
    /// The object it is about.
    pub object: Option<ObjectRef>,
    /// The last event that told of it.
    pub event: Option<String>,
    /// One line for humans.
    pub title: String,
    /// When it has to be done, Unix seconds.
    pub due_by: Option<i64>,
    /// How often it was told.
    pub count: u32,
    /// What whoever takes it up has to know.
    pub context: Option<TicketContext>,
    /// When it was opened.
    pub opened_at: DateTime<Utc>,
    /// When it was last told of, or closed.
    pub updated_at: DateTime<Utc>,
}
