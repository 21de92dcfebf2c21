use std::collections::{BTreeMap, BTreeSet};

use super::links::{Anchor, Links, Name};
use super::record::{
    InvoiceRecord, ObjectKind, ObjectRef, PaymentRecord, Record, SubscriptionRecord,
};
use crate::changes::Changes;
use crate::keys::SubjectKey;
use crate::stripe::objects::{CheckoutSession, InvoiceStatus};

/// What is known of a subject: its links, and the records that its next decision may need.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Subject {
    /// Which subject.
    pub key: SubjectKey,
    /// Grows by one with every commit; 0 is not stored yet.
    pub version: i64,
    /// The subject that this is only another name of, if it is.
    pub owner: Option<String>,
    /// Which account of the app it belongs to.
    pub links: Links,
    /// All current records, and those that were asked for by name.
    pub records: BTreeMap<ObjectRef, Record>,
}

impl Subject {
    /// A subject of which nothing is known.
    pub fn new(key: SubjectKey) -> Self {
        Self { key, version: 0, owner: None, links: Links::default(), records: BTreeMap::new() }
    }

    /// Its name: a customer, or what stands in for one.
    pub fn name(&self) -> Name {
        let own = self.links.names().iter().find(|name| name.id == self.key.id);
        own.cloned().unwrap_or_else(|| Name::new(Anchor::Customer, self.key.id.clone()))
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

    /// Puts what is known of charges under the payments that they turned out to be part of.
    pub(crate) fn route(&mut self, routes: &BTreeMap<String, String>) {
        for (charge, intent) in routes {
            let object = ObjectRef::new(ObjectKind::Payment, charge.clone());
            let Some(Record::Payment(payment)) = self.records.get(&object) else { continue };
            if payment.same_as().is_none() {
                let (moved, rest) = (payment.renamed(intent), payment.moved_to(intent));
                self.merge(&Record::Payment(moved));
                self.records.insert(object, Record::Payment(rest));
            }
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

    /// An invoice, if it is loaded.
    pub fn invoice(&self, id: &str) -> Option<&InvoiceRecord> {
        let object = ObjectRef::new(ObjectKind::Invoice, id);
        match self.records.get(&object) {
            Some(Record::Invoice(record)) => Some(record),
            _ => None,
        }
    }

    /// Its checkout sessions as last seen, as far as they are loaded.
    pub fn sessions(&self) -> impl Iterator<Item = &CheckoutSession> {
        self.records.values().filter_map(|record| match record {
            Record::CheckoutSession(record) => record.latest(),
            _ => None,
        })
    }

    /// The features that Stripe's own entitlements give, if the account uses them.
    pub fn entitlements(&self) -> Option<&BTreeSet<String>> {
        self.records.values().find_map(|record| match record {
            Record::Entitlements(record) => Some(&record.latest()?.features),
            _ => None,
        })
    }

    /// Its payments, as far as they are loaded.
    pub fn payments(&self) -> impl Iterator<Item = &PaymentRecord> {
        self.records.values().filter_map(|record| match record {
            Record::Payment(record) if record.same_as().is_none() => Some(record),
            _ => None,
        })
    }

    /// Records that a decision on these needs besides: what a payment that is disputed or refunded
    /// paid for.
    pub(crate) fn wanted(&self, touched: &[ObjectRef]) -> BTreeSet<ObjectRef> {
        let payments = touched.iter().filter_map(|object| match self.records.get(object) {
            Some(Record::Payment(record)) => Some(record),
            _ => None,
        });
        payments
            .filter(|payment| payment.is_disputed() || payment.returned() > 0)
            .flat_map(|payment| payment.invoices())
            .map(|invoice| ObjectRef::new(ObjectKind::Invoice, invoice.clone()))
            .collect()
    }

    /// The records that every decision on this subject needs, so that loading it does not grow with
    /// its history: the customer, what Stripe entitles it to, payment methods, subscriptions that
    /// are not over and the one that ended last, invoices that wait for money or pay for now and for
    /// what was changed since, and payments whose money came back or may. A subject without a customer is small, and needs all.
    pub fn current(&self) -> BTreeSet<&ObjectRef> {
        if self.name().anchor != Anchor::Customer {
            return self.records.keys().collect();
        }
        let ended = self.last_ended();
        let mut invoices: BTreeSet<&str> = self.latest_paid(ended).map(InvoiceRecord::id).collect();
        invoices.extend(self.invoices().filter(|invoice| waits(invoice)).map(InvoiceRecord::id));
        invoices.extend(self.last_settled());
        let unexplained = self.last_unexplained();
        let disputed = self.payments().filter(|payment| payment.has_open_dispute());
        invoices.extend(disputed.flat_map(|payment| payment.invoices()).map(String::as_str));
        self.records
            .iter()
            .filter(|(_, record)| match record {
                Record::Customer(_) | Record::Entitlements(_) => true,
                Record::CheckoutSession(_) => false,
                Record::PaymentMethod(record) => !record.is_detached(),
                Record::Subscription(record) => {
                    record.latest().is_none_or(|view| !view.status.is_terminal())
                        || ended == Some(record.id.as_str())
                }
                Record::Invoice(record) => invoices.contains(record.id()),
                Record::Payment(payment) => {
                    payment.has_open_dispute()
                        || payment.invoices().iter().any(|id| invoices.contains(id.as_str()))
                        || unexplained == Some(payment.id())
                }
            })
            .map(|(object, _)| object)
            .collect()
    }

    /// The subscription that ended last.
    fn last_ended(&self) -> Option<&str> {
        self.subscriptions()
            .filter_map(|record| Some((record, record.latest()?)))
            .filter(|(_, view)| view.status.is_terminal())
            .max_by_key(|(_, view)| (view.ended_at.or(view.canceled_at), view.created, &view.id))
            .map(|(record, _)| record.id.as_str())
    }

    /// Of each subscription that is not over, or not known yet, and of the last, the paid invoice
    /// that reaches the farthest, and those of changes within what it pays for: what they add is
    /// known once the subscription is.
    fn latest_paid(&self, ended: Option<&str>) -> impl Iterator<Item = &InvoiceRecord> {
        let over: BTreeSet<&str> = self
            .subscriptions()
            .filter(|record| {
                ended != Some(record.id())
                    && record.latest().is_some_and(|view| view.status.is_terminal())
            })
            .map(SubscriptionRecord::id)
            .collect();
        let paid = || {
            self.invoices().filter_map(|record| {
                let view = record.latest().filter(|view| view.status == InvoiceStatus::Paid)?;
                let subscription = view.subscription.as_deref().filter(|id| !over.contains(id))?;
                Some((subscription, view, record))
            })
        };
        let mut latest: BTreeMap<&str, (Option<i64>, &InvoiceRecord)> = BTreeMap::new();
        for (subscription, view, record) in paid() {
            let reaches = (view.service_end(), record);
            let kept = latest.entry(subscription).or_insert(reaches);
            if (reaches.0, record.id()) > (kept.0, kept.1.id()) {
                *kept = reaches;
            }
        }
        let changes = paid().filter(|(subscription, view, _)| {
            let changed = view.lines.iter().filter(|line| line.proration);
            let until = changed.filter_map(|line| line.period_end).max();
            until.is_some() && latest.get(subscription).is_some_and(|(end, _)| until >= *end)
        });
        let changes: Vec<&InvoiceRecord> = changes.map(|(_, _, record)| record).collect();
        latest.into_values().map(|(_, record)| record).chain(changes)
    }

    /// Of the invoices that could not be collected at first, the one that was settled last: whoever
    /// was told of it and paid is not told of another one right after.
    fn last_settled(&self) -> Option<&str> {
        self.invoices()
            .filter(|record| record.first_failed_at().is_some())
            .filter(|record| record.latest().is_some_and(|view| view.status.is_terminal()))
            .max_by_key(|record| (record.closed_at(), record.id()))
            .map(InvoiceRecord::id)
    }

    /// The newest payment that came back and of which nobody knows what it paid for.
    fn last_unexplained(&self) -> Option<&str> {
        self.payments()
            .filter(|payment| payment.invoices().is_empty() && payment.sessions().is_empty())
            .filter(|payment| payment.has_lost_dispute() || payment.is_fully_refunded())
            .max_by_key(|payment| (payment.created(), payment.id()))
            .map(PaymentRecord::id)
    }
}

/// Whether a subscription's invoice waits for money.
fn waits(invoice: &InvoiceRecord) -> bool {
    invoice.latest().is_some_and(|view| {
        view.subscription.is_some()
            && matches!(view.status, InvoiceStatus::Open | InvoiceStatus::Uncollectible)
    })
}
