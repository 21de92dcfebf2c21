use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};

use super::versions::{Snapshot, Versions};
use crate::stripe::objects::{
    CheckoutPayment, CheckoutSession, CheckoutStatus, Customer, Invoice, InvoiceStatus,
    Subscription, SubscriptionStatus,
};

/// The kinds of Stripe object whose state is kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum ObjectKind {
    /// A customer.
    Customer,
    /// A subscription.
    Subscription,
    /// An invoice.
    Invoice,
    /// A checkout session.
    CheckoutSession,
}

impl ObjectKind {
    /// The kind as stores write it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Customer => "customer",
            Self::Subscription => "subscription",
            Self::Invoice => "invoice",
            Self::CheckoutSession => "checkout_session",
        }
    }
}

/// Names one object of a subject.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct ObjectRef {
    /// What it is.
    pub kind: ObjectKind,
    /// Stripe's id for it.
    pub id: String,
}

/// What is known of one Stripe object: its newest snapshot, and what only grows. A join-semilattice:
/// merging is commutative, associative and idempotent, so that the order of events does not matter.
///
/// Stores keep it as JSON and look at nothing but [`Record::object`].
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
#[non_exhaustive]
pub enum Record {
    /// A customer.
    Customer(CustomerRecord),
    /// A subscription.
    Subscription(SubscriptionRecord),
    /// An invoice.
    Invoice(InvoiceRecord),
    /// A checkout session.
    CheckoutSession(CheckoutRecord),
}

/// What is known of a customer.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct CustomerRecord {
    pub(crate) id: String,
    pub(crate) versions: Versions<Customer>,
}

/// What is known of a subscription.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SubscriptionRecord {
    pub(crate) id: String,
    pub(crate) versions: Versions<Subscription>,
    /// Every status it was ever seen in.
    #[serde(default)]
    pub(crate) seen: BTreeSet<SubscriptionStatus>,
    /// Until when its paid invoices reach, Unix seconds.
    #[serde(default)]
    pub(crate) paid_through: Option<i64>,
}

/// What is known of an invoice.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct InvoiceRecord {
    pub(crate) id: String,
    pub(crate) versions: Versions<Invoice>,
    /// When collection failed first, Unix seconds.
    #[serde(default)]
    pub(crate) first_failed_at: Option<i64>,
    /// The numbers of the attempts that failed.
    #[serde(default)]
    pub(crate) failed_attempts: BTreeSet<i64>,
}

/// What is known of a checkout session.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct CheckoutRecord {
    pub(crate) id: String,
    pub(crate) versions: Versions<CheckoutSession>,
}

impl Record {
    /// Which object this is about.
    pub fn object(&self) -> ObjectRef {
        let (kind, id) = match self {
            Self::Customer(record) => (ObjectKind::Customer, &record.id),
            Self::Subscription(record) => (ObjectKind::Subscription, &record.id),
            Self::Invoice(record) => (ObjectKind::Invoice, &record.id),
            Self::CheckoutSession(record) => (ObjectKind::CheckoutSession, &record.id),
        };
        ObjectRef { kind, id: id.clone() }
    }

    /// Joins what another record knows of the same object. Records of different objects are left
    /// apart.
    pub fn merge(&mut self, other: &Self) {
        match (self, other) {
            (Self::Customer(own), Self::Customer(other)) if own.id == other.id => {
                own.versions.merge(&other.versions);
            }
            (Self::Subscription(own), Self::Subscription(other)) if own.id == other.id => {
                own.versions.merge(&other.versions);
                own.seen.extend(other.seen.iter().cloned());
                own.paid_through = own.paid_through.max(other.paid_through);
            }
            (Self::Invoice(own), Self::Invoice(other)) if own.id == other.id => {
                own.versions.merge(&other.versions);
                own.first_failed_at = earliest(own.first_failed_at, other.first_failed_at);
                own.failed_attempts.extend(&other.failed_attempts);
            }
            (Self::CheckoutSession(own), Self::CheckoutSession(other)) if own.id == other.id => {
                own.versions.merge(&other.versions);
            }
            _ => debug_assert!(false, "records of different objects cannot be merged"),
        }
    }
}

impl CustomerRecord {
    /// The customer as last seen.
    pub fn latest(&self) -> Option<&Customer> {
        self.versions.latest()
    }

    /// Whether Stripe said that it is deleted, in whichever shape.
    pub fn is_deleted(&self) -> bool {
        self.versions.is_deleted()
    }
}

impl SubscriptionRecord {
    /// The subscription as last seen; `None` while only its invoices were.
    pub fn latest(&self) -> Option<&Subscription> {
        self.versions.latest()
    }

    /// Until when its paid invoices reach, Unix seconds.
    pub fn paid_through(&self) -> Option<i64> {
        self.paid_through
    }
}

impl InvoiceRecord {
    /// The invoice as last seen.
    pub fn latest(&self) -> Option<&Invoice> {
        self.versions.latest()
    }

    /// When collection failed first, Unix seconds.
    pub fn first_failed_at(&self) -> Option<i64> {
        self.first_failed_at
    }
}

impl CheckoutRecord {
    /// The session as last seen.
    pub fn latest(&self) -> Option<&CheckoutSession> {
        self.versions.latest()
    }
}

fn earliest(a: Option<i64>, b: Option<i64>) -> Option<i64> {
    match (a, b) {
        (Some(a), Some(b)) => Some(a.min(b)),
        (a, b) => a.or(b),
    }
}

impl Snapshot for Customer {
    fn is_terminal(&self) -> bool {
        self.deleted
    }

    fn progress(&self) -> i64 {
        0
    }
}

impl Snapshot for Subscription {
    fn is_terminal(&self) -> bool {
        self.status.is_terminal()
    }

    fn progress(&self) -> i64 {
        match self.status {
            SubscriptionStatus::Incomplete => 1,
            SubscriptionStatus::Trialing => 2,
            SubscriptionStatus::Active => 3,
            SubscriptionStatus::PastDue => 4,
            SubscriptionStatus::Unpaid => 5,
            SubscriptionStatus::Paused => 6,
            SubscriptionStatus::IncompleteExpired | SubscriptionStatus::Canceled => 7,
            SubscriptionStatus::Other(_) => 0,
        }
    }
}

impl Snapshot for Invoice {
    fn is_terminal(&self) -> bool {
        self.status.is_terminal()
    }

    // Attempts only grow, so among open snapshots the one with more of them is the later.
    fn progress(&self) -> i64 {
        let attempts = self.attempt_count.clamp(0, 999);
        let open = matches!(self.status, InvoiceStatus::Open | InvoiceStatus::Uncollectible);
        i64::from(self.status.progress()) * 1_000 + if open { attempts } else { 0 }
    }
}

impl Snapshot for CheckoutSession {
    fn is_terminal(&self) -> bool {
        self.is_fulfilled() || self.status == Some(CheckoutStatus::Expired)
    }

    fn progress(&self) -> i64 {
        match (&self.status, &self.payment_status) {
            (Some(CheckoutStatus::Complete), Some(CheckoutPayment::Unpaid)) => 1,
            (Some(CheckoutStatus::Complete), _) => 2,
            _ => 0,
        }
    }
}
