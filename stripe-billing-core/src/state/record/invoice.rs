use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};

use crate::state::versions::Versions;
use crate::stripe::objects::{Invoice, InvoiceStatus};

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

    pub(super) fn merge(&mut self, other: &Self) {
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

fn earliest(a: Option<i64>, b: Option<i64>) -> Option<i64> {
    match (a, b) {
        (Some(a), Some(b)) => Some(a.min(b)),
        (a, b) => a.or(b),
    }
}
