//! What an event adds to what is known: one file per family of objects.

mod billing;
mod payment;

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

use super::links::{Anchor, LinkSource, Links, Name};
use super::record::{ObjectKind, ObjectRef, PaymentRecord, Record};
use super::versions::{Rank, Snapshot, Versions};
use crate::catalog::Link;
use crate::stripe::{Event, anomalies};

/// What one event adds to what is known: records and links to join. A pure function of the event.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Patch {
    /// The ids that the event ties together, the best one first: they name one subject.
    pub names: BTreeSet<Name>,
    /// The records to join; the first is the event's own object.
    pub records: Vec<Record>,
    /// The links to join.
    pub links: Links,
    /// Charges, and the payment intents that they are part of.
    pub charges: BTreeMap<String, String>,
    /// Paths of values that are not believed.
    pub anomalies: Vec<String>,
}

impl Patch {
    /// What the event adds; `None` when it is about nothing that is kept.
    pub fn of(event: &Event, keys: &Link) -> Option<Self> {
        let mut patch = match event.object_kind() {
            "subscription" => Self::subscription(event, keys),
            "invoice" => Self::invoice(event, keys).or_else(|| Self::upcoming(event)),
            "checkout.session" => Self::checkout(event, keys),
            "customer" => Self::customer(event, keys),
            "payment_intent" => Self::payment_intent(event, keys),
            "charge" => Self::charge(event, keys),
            "refund" => Self::refund(event),
            "dispute" => Self::dispute(event),
            "radar.early_fraud_warning" => Self::fraud_warning(event),
            "invoice_payment" => Self::invoice_payment(event),
            "payment_method" | "card" | "source" => Self::payment_method(event),
            "entitlements.active_entitlement_summary" => Self::entitlements(event),
            _ => None,
        }?;
        patch.anomalies = anomalies(&event.object);
        if event.stamp() != event.created {
            patch.anomalies.push("event.created".to_owned());
        }
        Some(patch)
    }

    /// An operator's word that a subject belongs to an account.
    pub fn link(subject: Name, account: &str, at: i64) -> Self {
        let mut patch = Self { names: [subject].into(), ..Self::default() };
        patch.links.claim(LinkSource::Operator, account, at);
        patch
    }

    /// Adds what another patch knows of the same subject.
    pub(crate) fn join(&mut self, other: Self) {
        self.names.extend(other.names);
        self.records.extend(other.records);
        self.links.merge(&other.links);
        self.charges.extend(other.charges);
        self.anomalies.extend(other.anomalies);
    }

    /// The objects it touches, to be loaded.
    pub fn objects(&self) -> Vec<ObjectRef> {
        let charges =
            self.charges.keys().map(|charge| ObjectRef::new(ObjectKind::Payment, charge.clone()));
        self.records.iter().map(Record::object).chain(charges).collect()
    }

    /// The subject's best name.
    pub fn name(&self) -> Option<&Name> {
        self.names.first()
    }

    /// Puts the records of charges under the payments that they turned out to be part of.
    pub(crate) fn route(&mut self, routes: &BTreeMap<String, String>) {
        for record in &mut self.records {
            if let Record::Payment(payment) = record
                && let Some(intent) = routes.get(payment.id())
            {
                *payment = payment.renamed(intent);
            }
        }
    }

    fn named(&mut self, anchor: Anchor, id: Option<&String>) {
        self.names.extend(id.map(|id| Name::new(anchor, id.clone())));
    }

    /// Names the subject by its customer, or by the object itself.
    fn owned_by(&mut self, customer: Option<&String>, id: &str) {
        match customer {
            Some(customer) => self.named(Anchor::Customer, Some(customer)),
            None => self.named(Anchor::Other, Some(&id.to_owned())),
        }
    }

    fn claim(&mut self, source: LinkSource, account: Option<&String>, event: &Event) {
        if let Some(account) = named(account) {
            self.links.claim(source, account, event.stamp());
        }
    }

    /// The payment with these ids, which the patch names; `None` without any.
    fn payment_of(
        &mut self,
        intent: Option<&String>,
        charge: Option<&String>,
    ) -> Option<PaymentRecord> {
        self.named(Anchor::PaymentIntent, intent);
        self.named(Anchor::Charge, charge);
        if let (Some(intent), Some(charge)) = (intent, charge) {
            self.charges.insert(charge.clone(), intent.clone());
        }
        Some(PaymentRecord::new(intent.or(charge)?.clone()))
    }
}

/// The event's snapshot as the only version, with what it was before.
fn versions<T: Snapshot>(event: &Event, read: fn(&Value) -> Option<T>) -> Option<Versions<T>> {
    let view = read(&event.object)?;
    let before = event.before.as_ref().and_then(read);
    Some(Versions::of(event.stamp(), event.rank(), view, before.as_ref()))
}

/// An account named by metadata; blank names none, and no id is longer than 255 bytes.
fn named(value: Option<&String>) -> Option<&str> {
    value.map(|account| account.trim()).filter(|account| (1..=255).contains(&account.len()))
}

impl Event {
    /// Its place among the snapshots of its second.
    fn rank(&self) -> Rank {
        self.live.map_or_else(|| Rank::of(&self.event_type), Rank::Live)
    }
}
