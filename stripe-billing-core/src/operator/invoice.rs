use std::collections::{BTreeMap, BTreeSet};

use serde::Serialize;

use crate::state::{InvoiceRecord, Subject};
use crate::stripe::objects::{BillingReason, InvoiceStatus};

/// An invoice.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct InvoiceView {
    /// `in_...`
    pub id: String,
    /// The number printed on it, once it is finalised.
    pub number: Option<String>,
    /// Stripe's word for its status.
    pub status: InvoiceStatus,
    /// The subscription it bills.
    pub subscription: Option<String>,
    /// Why it was written.
    pub billing_reason: Option<BillingReason>,
    /// Sum of the lines after discounts and tax.
    pub total: Option<i64>,
    /// What the customer owes.
    pub amount_due: Option<i64>,
    /// What was paid.
    pub amount_paid: Option<i64>,
    /// Three-letter code, lower case.
    pub currency: Option<String>,
    /// How often collection was tried.
    pub attempt_count: i64,
    /// When collection failed first.
    pub first_failed_at: Option<i64>,
    /// When it will be tried again.
    pub next_payment_attempt: Option<i64>,
    /// When a sent invoice is due.
    pub due_date: Option<i64>,
    /// When it became overdue.
    pub overdue_at: Option<i64>,
    /// Whether Stripe could not finalise it.
    pub finalization_failed: bool,
    /// When it was created.
    pub created: Option<i64>,
    /// When it was paid.
    pub paid_at: Option<i64>,
    /// When it was voided.
    pub voided_at: Option<i64>,
    /// The payments made or tried for it: payment intents, and charges without one.
    pub payments: BTreeSet<String>,
}

impl InvoiceView {
    /// The subject's invoices; those of which only the id is known are left out.
    pub(super) fn all(subject: &Subject) -> Vec<Self> {
        let mut paying: BTreeMap<&str, BTreeSet<&str>> = BTreeMap::new();
        for payment in subject.payments() {
            for invoice in payment.invoices() {
                paying.entry(invoice).or_default().insert(payment.id());
            }
        }
        let own = |record: &InvoiceRecord| paying.get(record.id());
        subject.invoices().filter_map(|record| Self::of(record, own(record))).collect()
    }

    fn of(record: &InvoiceRecord, paying: Option<&BTreeSet<&str>>) -> Option<Self> {
        let view = record.latest()?;
        // A charge that an invoice names beside its payment intent is the same payment.
        let named = view.payment_ids().into_iter();
        let named = named.filter_map(|(intent, charge)| intent.or(charge)).cloned();
        let known = paying.into_iter().flatten().map(|id| (*id).to_owned());
        Some(Self {
            id: view.id.clone(),
            number: view.number.clone(),
            status: view.status.clone(),
            subscription: view.subscription.clone(),
            billing_reason: view.billing_reason.clone(),
            total: view.total,
            amount_due: view.amount_due,
            amount_paid: view.amount_paid,
            currency: view.currency.clone(),
            attempt_count: view.attempt_count,
            first_failed_at: record.first_failed_at(),
            next_payment_attempt: view.next_payment_attempt,
            due_date: view.due_date,
            overdue_at: record.overdue_at(),
            finalization_failed: record.finalization_failed(),
            created: view.created,
            paid_at: view.paid_at,
            voided_at: view.voided_at,
            payments: named.chain(known).collect(),
        })
    }
}
