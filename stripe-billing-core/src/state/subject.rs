use std::collections::{BTreeMap, BTreeSet};

use super::links::Links;
use super::record::{InvoiceRecord, ObjectRef, Record, SubscriptionRecord};
use crate::changes::Changes;
use crate::keys::SubjectKey;
use crate::stripe::objects::InvoiceStatus;

/// What is known of a subject: its links, and the records that its next decision may need.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Subject {
    /// Which subject.
    pub key: SubjectKey,
    /// Grows by one with every commit; 0 is not stored yet.
    pub version: i64,
    /// Which account of the app it belongs to.
    pub links: Links,
    /// All current records, and those that were asked for by name.
    pub records: BTreeMap<ObjectRef, Record>,
}

impl Subject {
    /// A subject of which nothing is known.
    pub fn new(key: SubjectKey) -> Self {
        Self { key, version: 0, links: Links::default(), records: BTreeMap::new() }
    }

    /// Joins a record.
    pub fn merge(&mut self, record: &Record) {
        self.records
            .entry(record.object())
            .and_modify(|kept| kept.merge(record))
            .or_insert_with(|| record.clone());
    }

    /// Takes over what was committed on it.
    pub fn apply(&mut self, changes: &Changes) {
        self.version = changes.expected_version + 1;
        self.links = changes.links.clone();
        for write in &changes.records {
            self.records.insert(write.record.object(), write.record.clone());
        }
    }

    /// Its subscriptions.
    pub fn subscriptions(&self) -> impl Iterator<Item = &SubscriptionRecord> {
        self.records.values().filter_map(|record| match record {
            Record::Subscription(record) => Some(record),
            _ => None,
        })
    }

    /// Its invoices, as far as they are loaded.
    pub fn invoices(&self) -> impl Iterator<Item = &InvoiceRecord> {
        self.records.values().filter_map(|record| match record {
            Record::Invoice(record) => Some(record),
            _ => None,
        })
    }

    /// The records that every decision on this subject needs, so that loading it does not grow with
    /// its history: the customer, subscriptions that are not over, the one that ended last, and
    /// invoices that wait for money.
    pub fn current(&self) -> BTreeSet<&ObjectRef> {
        let last_ended = self
            .subscriptions()
            .filter_map(|record| Some((record, record.latest()?)))
            .filter(|(_, view)| view.status.is_terminal())
            .max_by_key(|(_, view)| (view.ended_at.or(view.canceled_at), view.created, &view.id))
            .map(|(record, _)| record.id.as_str());
        self.records
            .iter()
            .filter(|(_, record)| match record {
                Record::Customer(_) => true,
                Record::CheckoutSession(_) => false,
                Record::Subscription(record) => {
                    record.latest().is_none_or(|view| !view.status.is_terminal())
                        || last_ended == Some(record.id.as_str())
                }
                Record::Invoice(record) => record.latest().is_some_and(|view| {
                    view.subscription.is_some()
                        && matches!(view.status, InvoiceStatus::Open | InvoiceStatus::Uncollectible)
                }),
            })
            .map(|(object, _)| object)
            .collect()
    }
}
