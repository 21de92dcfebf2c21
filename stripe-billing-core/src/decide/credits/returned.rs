//! Where the money of a payment stands.

use std::collections::BTreeMap;

use super::time;
use crate::catalog::{Catalog, OnDispute};
use crate::ledger::{MoneyBack, MoneyBackStatus};
use crate::state::PaymentRecord;
use crate::stripe::objects::{DisputeStatus, RefundStatus};

/// The refunds and disputes of a payment, by their ids. What the charge says beyond its refunds is a
/// row of its own.
pub(super) fn returned(record: &PaymentRecord, catalog: &Catalog) -> BTreeMap<String, MoneyBack> {
    let mut rows = BTreeMap::new();
    let mut known: i64 = 0;
    for refund in record.refunds() {
        let amount = refund.amount.unwrap_or(0).max(0);
        let status = match refund.status {
            RefundStatus::Succeeded => MoneyBackStatus::RefundSucceeded,
            _ if refund.returns_money() => MoneyBackStatus::RefundPending,
            _ => MoneyBackStatus::RefundFailed,
        };
        if status.counts() {
            known = known.saturating_add(amount);
        }
        let made_at = refund.created.and_then(time);
        rows.insert(refund.id.clone(), MoneyBack { amount, status, made_at });
    }
    let beyond = record.refunded().saturating_sub(known).max(0);
    if beyond > 0 || !rows.is_empty() {
        let status = MoneyBackStatus::RefundSucceeded;
        let row = MoneyBack { amount: beyond, status, made_at: None };
        rows.insert(format!("charge:{}", record.id()), row);
    }
    for dispute in record.disputes() {
        let row = MoneyBack {
            amount: dispute.amount.unwrap_or(0).max(0),
            status: dispute_status(&dispute.status, catalog),
            made_at: dispute.created.and_then(time),
        };
        rows.insert(dispute.id.clone(), row);
    }
    rows
}

fn dispute_status(status: &DisputeStatus, catalog: &Catalog) -> MoneyBackStatus {
    let freezes = catalog.policy().on_dispute == OnDispute::FreezeCredits;
    match status {
        // The money of a lost dispute is gone until an appeal brings it back.
        DisputeStatus::AppealNeedsResponse | DisputeStatus::AppealUnderReview => {
            MoneyBackStatus::DisputeLost
        }
        _ if status.is_lost() => MoneyBackStatus::DisputeLost,
        _ if status.is_open() && !status.is_inquiry() && freezes => MoneyBackStatus::DisputeOpen,
        DisputeStatus::Other(_) => MoneyBackStatus::DisputeInquiry,
        _ if status.is_open() => MoneyBackStatus::DisputeInquiry,
        _ => MoneyBackStatus::DisputeWon,
    }
}
