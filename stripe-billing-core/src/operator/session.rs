use std::collections::BTreeMap;

use serde::Serialize;

use crate::state::{CheckoutRecord, Record, Subject};
use crate::stripe::objects::{CheckoutMode, CheckoutPayment, CheckoutStatus};

/// A checkout session.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct CheckoutSessionView {
    /// `cs_...`
    pub id: String,
    /// What it sells.
    pub mode: Option<CheckoutMode>,
    /// How far it is.
    pub status: Option<CheckoutStatus>,
    /// Whether the money is there.
    pub payment_status: Option<CheckoutPayment>,
    /// Whether what it sells may be handed over: complete, and nothing left to pay.
    pub fulfilled: bool,
    /// Whether a delayed payment failed.
    pub payment_failed: bool,
    /// The subscription it made.
    pub subscription: Option<String>,
    /// The payment it made.
    pub payment_intent: Option<String>,
    /// The invoice it made.
    pub invoice: Option<String>,
    /// What is to be paid.
    pub amount_total: Option<i64>,
    /// Three-letter code, lower case.
    pub currency: Option<String>,
    /// What the link or the app said of who buys.
    pub client_reference_id: Option<String>,
    /// The payment link that it was opened by.
    pub payment_link: Option<String>,
    /// The app's own notes on it.
    pub metadata: BTreeMap<String, String>,
    /// When it was created.
    pub created: Option<i64>,
}

impl CheckoutSessionView {
    /// The subject's checkout sessions.
    pub(super) fn all(subject: &Subject) -> Vec<Self> {
        let sessions = subject.records.values().filter_map(|record| match record {
            Record::CheckoutSession(record) => Self::of(record),
            _ => None,
        });
        sessions.collect()
    }

    fn of(record: &CheckoutRecord) -> Option<Self> {
        let view = record.latest()?;
        Some(Self {
            id: view.id.clone(),
            mode: view.mode.clone(),
            status: view.status.clone(),
            payment_status: view.payment_status.clone(),
            fulfilled: view.is_fulfilled(),
            payment_failed: record.payment_failed,
            subscription: view.subscription.clone(),
            payment_intent: view.payment_intent.clone(),
            invoice: view.invoice.clone(),
            amount_total: view.amount_total,
            currency: view.currency.clone(),
            client_reference_id: view.client_reference_id.clone(),
            payment_link: view.payment_link.clone(),
            metadata: view.metadata.clone(),
            created: view.created,
        })
    }
}
