use serde::{Deserialize, Serialize};

mod invoice;
mod payment;
mod snapshot;
mod subscription;

use super::versions::Versions;
use crate::stripe::Resource;
use crate::stripe::objects::{CheckoutSession, Customer, EntitlementSummary, PaymentMethod};

pub use invoice::InvoiceRecord;
pub use payment::PaymentRecord;
pub(crate) use subscription::RenewalQuote;
pub use subscription::{PriceChange, SubscriptionRecord};

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
