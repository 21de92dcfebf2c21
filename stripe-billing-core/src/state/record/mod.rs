use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};

mod payment;
mod snapshot;

use super::versions::Versions;
use crate::stripe::Resource;
use crate::stripe::objects::{
    CheckoutSession, Customer, EntitlementSummary, Invoice, InvoiceStatus, PaymentMethod,
    Subscription, SubscriptionStatus,
};

pub use payment::PaymentRecord;

/// Changes of prices that are kept of a subscription.
const MAX_PRICE_CHANGES: usize = 16;

/// The kinds of Stripe object whose state is kept, and what else the audit log is about.
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
    /// A payment with its charges, refunds, disputes and fraud warnings.
    Payment,
    /// A payment method.
    PaymentMethod,
    /// The features that Stripe's own entitlements give to a customer.
    Entitlements,
    /// An account's credits in one unit. The ledger has them; there is no record of this kind.
    Credits,
    /// An event of the inbox: what operators order is about one. There is no record of this kind.
    Event,
    /// A queue. There is no record of this kind.
    Queue,
    /// An account of the app. There is no record of this kind.
    Account,
    /// A ticket, by its key. There is no record of this kind.
    Ticket,
}

impl ObjectKind {
    /// The kind as stores write it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Customer => "customer",
            Self::Subscription => "subscription",
            Self::Invoice => "invoice",
            Self::CheckoutSession => "checkout_session",
            Self::Payment => "payment",
            Self::PaymentMethod => "payment_method",
            Self::Entitlements => "entitlements",
            Self::Credits => "credits",
            Self::Event => "event",
            Self::Queue => "queue",
            Self::Account => "account",
            Self::Ticket => "ticket",
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

impl ObjectRef {
    /// Names an object.
    pub fn new(kind: ObjectKind, id: impl Into<String>) -> Self {
        Self { kind, id: id.into() }
    }
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
    /// A payment.
    Payment(PaymentRecord),
    /// A payment method.
    PaymentMethod(PaymentMethodRecord),
    /// Stripe's own entitlements of a customer.
    Entitlements(EntitlementsRecord),
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
    /// The end of the trial that Stripe announced last.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) trial_ending: Option<i64>,
    /// The period's end whose renewal Stripe announced last.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) renewal_upcoming: Option<i64>,
    /// What that renewal was said to cost.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) renewal_quote: Option<RenewalQuote>,
    /// The last changes of its prices.
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    pub(crate) price_changes: BTreeSet<PriceChange>,
}

/// A change of a subscription's prices. The latest orders last.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[allow(clippy::exhaustive_structs)]
pub struct PriceChange {
    /// When, Unix seconds.
    pub at: i64,
    /// The prices before.
    pub from: BTreeSet<String>,
    /// The prices after.
    pub to: BTreeSet<String>,
}

/// What a renewal was said to cost. The latest word of the latest renewal orders last.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub(crate) struct RenewalQuote {
    /// The period's end, Unix seconds.
    pub(crate) period_end: i64,
    /// When it was said, Unix seconds.
    pub(crate) at: i64,
    /// Minor units.
    pub(crate) amount: Option<i64>,
    /// Three-letter code, lower case.
    pub(crate) currency: Option<String>,
}

/// What is known of an invoice.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct InvoiceRecord {
    pub(crate) id: String,
    pub(crate) versions: Versions<Invoice>,
    /// When collection failed first, Unix seconds.
    #[serde(default)]
    pub(crate) first_failed_at: Option<i64>,
    /// When collection failed last, Unix seconds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) last_failed_at: Option<i64>,
    /// The numbers of the attempts that failed.
    #[serde(default)]
    pub(crate) failed_attempts: BTreeSet<i64>,
    /// Whether the customer was asked to confirm a payment.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub(crate) action_required: bool,
    /// Whether Stripe could not finalise it.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub(crate) finalization_failed: bool,
    /// Whether it was ever given up.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub(crate) uncollectible: bool,
    /// When it became overdue, Unix seconds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) overdue_at: Option<i64>,
}

/// What is known of a checkout session.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct CheckoutRecord {
    pub(crate) id: String,
    pub(crate) versions: Versions<CheckoutSession>,
    /// Whether a delayed payment failed.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub(crate) payment_failed: bool,
}

/// What is known of a payment method.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PaymentMethodRecord {
    pub(crate) id: String,
    pub(crate) versions: Versions<PaymentMethod>,
    /// Whether Stripe announced that it expires.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub(crate) expiring: bool,
}

/// What is known of a customer's entitlements.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct EntitlementsRecord {
    pub(crate) id: String,
    pub(crate) versions: Versions<EntitlementSummary>,
}

impl Record {
    /// Which object this is about.
    pub fn object(&self) -> ObjectRef {
        let (kind, id) = match self {
            Self::Customer(record) => (ObjectKind::Customer, &record.id),
            Self::Subscription(record) => (ObjectKind::Subscription, &record.id),
            Self::Invoice(record) => (ObjectKind::Invoice, &record.id),
            Self::CheckoutSession(record) => (ObjectKind::CheckoutSession, &record.id),
            Self::Payment(record) => return ObjectRef::new(ObjectKind::Payment, record.id()),
            Self::PaymentMethod(record) => (ObjectKind::PaymentMethod, &record.id),
            Self::Entitlements(record) => (ObjectKind::Entitlements, &record.id),
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
                own.merge(other);
            }
            (Self::Invoice(own), Self::Invoice(other)) if own.id == other.id => own.merge(other),
            (Self::CheckoutSession(own), Self::CheckoutSession(other)) if own.id == other.id => {
                own.versions.merge(&other.versions);
                own.payment_failed |= other.payment_failed;
            }
            (Self::Payment(own), Self::Payment(other)) if own.id() == other.id() => {
                own.merge(other);
            }
            (Self::PaymentMethod(own), Self::PaymentMethod(other)) if own.id == other.id => {
                own.versions.merge(&other.versions);
                own.expiring |= other.expiring;
            }
            (Self::Entitlements(own), Self::Entitlements(other)) if own.id == other.id => {
                own.versions.merge(&other.versions);
            }
            _ => debug_assert!(false, "records of different objects cannot be merged"),
        }
    }
}

impl Record {
    /// The object of this record whose last state the events leave open, now that another record
    /// of it arrived; Stripe can tell.
    pub(crate) fn tied_by(&self, arrived: &Self) -> Option<(Resource, &str)> {
        let tied = match (self, arrived) {
            (Self::Customer(own), Self::Customer(new)) => {
                (own.versions.is_tied_by(&new.versions), Resource::Customer, &own.id)
            }
            (Self::Subscription(own), Self::Subscription(new)) => {
                (own.versions.is_tied_by(&new.versions), Resource::Subscription, &own.id)
            }
            (Self::Invoice(own), Self::Invoice(new)) => {
                (own.versions.is_tied_by(&new.versions), Resource::Invoice, &own.id)
            }
            (Self::CheckoutSession(own), Self::CheckoutSession(new)) => {
                (own.versions.is_tied_by(&new.versions), Resource::CheckoutSession, &own.id)
            }
            (Self::PaymentMethod(own), Self::PaymentMethod(new)) => {
                (own.versions.is_tied_by(&new.versions), Resource::PaymentMethod, &own.id)
            }
            (Self::Payment(own), Self::Payment(new)) => return own.tied_by(new),
            _ => return None,
        };
        tied.0.then_some((tied.1, tied.2.as_str()))
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
    /// A subscription of which nothing is known but its id.
    pub(crate) fn new(id: impl Into<String>) -> Self {
        Self {
            id: id.into(),
            versions: Versions::default(),
            seen: BTreeSet::new(),
            paid_through: None,
            trial_ending: None,
            renewal_upcoming: None,
            renewal_quote: None,
            price_changes: BTreeSet::new(),
        }
    }

    fn merge(&mut self, other: &Self) {
        self.versions.merge(&other.versions);
        self.seen.extend(other.seen.iter().cloned());
        self.paid_through = self.paid_through.max(other.paid_through);
        self.trial_ending = self.trial_ending.max(other.trial_ending);
        self.renewal_upcoming = self.renewal_upcoming.max(other.renewal_upcoming);
        if other.renewal_quote > self.renewal_quote {
            self.renewal_quote.clone_from(&other.renewal_quote);
        }
        self.price_changes.extend(other.price_changes.iter().cloned());
        while self.price_changes.len() > MAX_PRICE_CHANGES {
            self.price_changes.pop_first();
        }
    }

    /// Stripe's id.
    pub fn id(&self) -> &str {
        &self.id
    }

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
    /// An invoice of which nothing is known but its id.
    pub(crate) fn new(id: impl Into<String>) -> Self {
        Self {
            id: id.into(),
            versions: Versions::default(),
            first_failed_at: None,
            last_failed_at: None,
            failed_attempts: BTreeSet::new(),
            action_required: false,
            finalization_failed: false,
            uncollectible: false,
            overdue_at: None,
        }
    }

    fn merge(&mut self, other: &Self) {
        self.versions.merge(&other.versions);
        self.first_failed_at = earliest(self.first_failed_at, other.first_failed_at);
        self.last_failed_at = self.last_failed_at.max(other.last_failed_at);
        self.failed_attempts.extend(&other.failed_attempts);
        self.action_required |= other.action_required;
        self.finalization_failed |= other.finalization_failed;
        self.uncollectible |= other.uncollectible;
        self.overdue_at = earliest(self.overdue_at, other.overdue_at);
    }

    /// Stripe's id.
    pub fn id(&self) -> &str {
        &self.id
    }

    /// When it became overdue: by Stripe's word, or because a sent invoice was due.
    pub fn overdue_at(&self) -> Option<i64> {
        self.overdue_at
    }

    /// When it was paid, voided or given up, or was last seen so; `None` while it waits.
    pub(crate) fn closed_at(&self) -> Option<i64> {
        let view = self.latest()?;
        let said = match view.status {
            InvoiceStatus::Paid => view.paid_at,
            InvoiceStatus::Void => view.voided_at,
            InvoiceStatus::Uncollectible => view.marked_uncollectible_at,
            _ => return None,
        };
        said.or_else(|| self.versions.stamp())
    }

    /// Whether Stripe could not finalise it.
    pub fn finalization_failed(&self) -> bool {
        self.finalization_failed
    }

    /// The invoice as last seen.
    pub fn latest(&self) -> Option<&Invoice> {
        self.versions.latest()
    }

    /// When collection failed last, Unix seconds.
    pub fn last_failed_at(&self) -> Option<i64> {
        self.last_failed_at
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

impl PaymentMethodRecord {
    /// The payment method as last seen.
    pub fn latest(&self) -> Option<&PaymentMethod> {
        self.versions.latest()
    }

    /// Whether it was detached from its customer.
    pub fn is_detached(&self) -> bool {
        self.versions.is_deleted()
    }
}

impl EntitlementsRecord {
    /// The entitlements as last seen.
    pub fn latest(&self) -> Option<&EntitlementSummary> {
        self.versions.latest()
    }
}

fn earliest(a: Option<i64>, b: Option<i64>) -> Option<i64> {
    match (a, b) {
        (Some(a), Some(b)) => Some(a.min(b)),
        (a, b) => a.or(b),
    }
}
