use serde_json::Value;

use super::links::{LinkSource, Links};
use super::record::{
    CheckoutRecord, CustomerRecord, InvoiceRecord, ObjectRef, Record, SubscriptionRecord,
};
use super::versions::{Rank, Snapshot, Versions};
use crate::catalog::Link;
use crate::stripe::Event;
use crate::stripe::objects::{CheckoutSession, Customer, Invoice, InvoiceStatus, Subscription};

/// What one event adds to what is known: records and links to join. A pure function of the event.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Patch {
    /// The subject it belongs to: the customer, or the object where there is none.
    pub subject: String,
    /// The records to join; the first is the event's own object.
    pub records: Vec<Record>,
    /// The links to join.
    pub links: Links,
}

impl Patch {
    /// What the event adds; `None` when it is about nothing that is kept.
    pub fn of(event: &Event, keys: &Link) -> Option<Self> {
        match event.object_kind() {
            "subscription" => Self::subscription(event, keys),
            "invoice" => Self::invoice(event, keys),
            "checkout.session" => Self::checkout(event, keys),
            "customer" => Self::customer(event, keys),
            _ => None,
        }
    }

    /// The objects it touches, to be loaded.
    pub fn objects(&self) -> Vec<ObjectRef> {
        self.records.iter().map(Record::object).collect()
    }

    fn subscription(event: &Event, keys: &Link) -> Option<Self> {
        let versions = versions(event, Subscription::from_json)?;
        let view = versions.latest()?.clone();
        let mut links = Links::default();
        if let Some(account) = named(view.metadata.get(&keys.account)) {
            links.claim(LinkSource::SubscriptionMetadata, account, event.created);
        }
        let record = Record::Subscription(SubscriptionRecord {
            id: view.id.clone(),
            versions,
            seen: [view.status].into(),
            paid_through: None,
        });
        Some(Self { subject: view.customer.unwrap_or(view.id), records: vec![record], links })
    }

    fn invoice(event: &Event, keys: &Link) -> Option<Self> {
        let versions = versions(event, Invoice::from_json)?;
        let view = versions.latest()?.clone();
        let mut links = Links::default();
        if let Some(account) = named(view.subscription_metadata.get(&keys.account)) {
            links.claim(LinkSource::SubscriptionMetadata, account, event.created);
        }
        let failed = event.event_type == "invoice.payment_failed";
        let mut records = vec![Record::Invoice(InvoiceRecord {
            id: view.id.clone(),
            versions,
            first_failed_at: failed.then_some(event.created),
            failed_attempts: failed.then_some(view.attempt_count).into_iter().collect(),
        })];
        let paid_through = view.service_end().filter(|_| view.status == InvoiceStatus::Paid);
        if let (Some(subscription), Some(_)) = (&view.subscription, paid_through) {
            records.push(Record::Subscription(SubscriptionRecord {
                id: subscription.clone(),
                versions: Versions::default(),
                seen: [].into(),
                paid_through,
            }));
        }
        Some(Self { subject: view.customer.unwrap_or(view.id), records, links })
    }

    fn checkout(event: &Event, keys: &Link) -> Option<Self> {
        let versions = versions(event, CheckoutSession::from_json)?;
        let view = versions.latest()?.clone();
        let mut links = Links::default();
        if let Some(account) = named(view.metadata.get(&keys.account)) {
            links.claim(LinkSource::SessionMetadata, account, event.created);
        }
        if let Some(account) = named(view.client_reference_id.as_ref()) {
            links.claim(LinkSource::ClientReference, account, event.created);
        }
        let record = Record::CheckoutSession(CheckoutRecord { id: view.id.clone(), versions });
        Some(Self { subject: view.customer.unwrap_or(view.id), records: vec![record], links })
    }

    fn customer(event: &Event, keys: &Link) -> Option<Self> {
        let versions = versions(event, Customer::from_json)?;
        let view = versions.latest()?.clone();
        let mut links = Links::default();
        if let Some(account) = named(view.metadata.get(&keys.account)) {
            links.claim(LinkSource::CustomerMetadata, account, event.created);
        }
        let record = Record::Customer(CustomerRecord { id: view.id.clone(), versions });
        Some(Self { subject: view.id, records: vec![record], links })
    }
}

/// The event's snapshot as the only version, with what it was before.
fn versions<T: Snapshot>(event: &Event, read: fn(&Value) -> Option<T>) -> Option<Versions<T>> {
    let view = read(&event.object)?;
    let before = event.before.as_ref().and_then(read);
    Some(Versions::of(event.created, Rank::of(&event.event_type), view, before.as_ref()))
}

/// An account named by metadata; blank names none, and no id is longer than 255 bytes.
fn named(value: Option<&String>) -> Option<&str> {
    value.map(|account| account.trim()).filter(|account| (1..=255).contains(&account.len()))
}
