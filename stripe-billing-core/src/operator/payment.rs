use std::collections::BTreeSet;

use serde::Serialize;

use crate::state::{PaymentRecord, Subject};
use crate::stripe::objects::{Dispute, DisputeStatus, FraudWarning, Refund, RefundStatus};

/// A payment whose money moved, and what came back of it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct PaymentView {
    /// The payment intent's id, or the charge's where there is none.
    pub id: String,
    /// The charge that moved the money, as far as it was named.
    pub charge: Option<String>,
    /// The payment intent, where there is one.
    pub payment_intent: Option<String>,
    /// What was paid; `null` where only what came back of it is known.
    pub amount: Option<i64>,
    /// What went back by refunds that did not fail, pending ones included.
    pub amount_refunded: i64,
    /// What came back in all: refunds, and disputes that are lost.
    pub returned: i64,
    /// Whether it was ever disputed.
    pub disputed: bool,
    /// Three-letter code, lower case.
    pub currency: Option<String>,
    /// When it was made.
    pub created: Option<i64>,
    /// Its refunds, failed ones included.
    pub refunds: Vec<RefundView>,
    /// The invoices it pays.
    pub invoices: BTreeSet<String>,
    /// The checkout sessions that it comes from.
    pub sessions: BTreeSet<String>,
}

/// A refund.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct RefundView {
    /// `re_...`
    pub id: String,
    /// What it gives back.
    pub amount: Option<i64>,
    /// Stripe's word for how far it is.
    pub status: RefundStatus,
    /// Why it was made.
    pub reason: Option<String>,
    /// Why it failed.
    pub failure_reason: Option<String>,
    /// When it was created.
    pub created: Option<i64>,
}

/// A dispute, or an inquiry.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct DisputeView {
    /// `dp_...`
    pub id: String,
    /// Stripe's word for how far it is.
    pub status: DisputeStatus,
    /// What is disputed; it may differ from what was paid.
    pub amount: Option<i64>,
    /// Three-letter code, lower case.
    pub currency: Option<String>,
    /// What the customer says.
    pub reason: Option<String>,
    /// Until when evidence is taken.
    pub due_by: Option<i64>,
    /// Whether evidence is stored.
    pub has_evidence: bool,
    /// The charge disputed.
    pub charge: Option<String>,
    /// The payment disputed.
    pub payment_intent: Option<String>,
    /// Whether it is still undecided.
    pub open: bool,
    /// How it was decided; `null` while it is open, and where no money was at stake in the end.
    pub outcome: Option<DisputeOutcome>,
    /// When it was created.
    pub created: Option<i64>,
}

/// How a dispute was decided.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum DisputeOutcome {
    /// For the account: the money stays.
    Won,
    /// For the customer: the money is gone.
    Lost,
}

/// A card network's warning of fraud.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct FraudWarningView {
    /// `issfr_...`
    pub id: String,
    /// The charge it is about.
    pub charge: Option<String>,
    /// The payment it is about.
    pub payment_intent: Option<String>,
    /// Whether a refund can still prevent a dispute.
    pub actionable: bool,
    /// What the issuer says.
    pub fraud_type: Option<String>,
    /// When it was created.
    pub created: Option<i64>,
}

impl PaymentView {
    /// The subject's payments that moved money.
    pub(super) fn all(subject: &Subject) -> Vec<Self> {
        subject.payments().filter(|record| moved_money(record)).map(Self::of).collect()
    }

    pub(super) fn of(record: &PaymentRecord) -> Self {
        let mut refunds: Vec<RefundView> = record.refunds().map(RefundView::of).collect();
        refunds.sort_by(|a, b| (a.created, &a.id).cmp(&(b.created, &b.id)));
        Self {
            id: record.id().to_owned(),
            charge: record.charge().map(str::to_owned),
            payment_intent: payment_intent(record).map(str::to_owned),
            amount: record.amount(),
            amount_refunded: record.refunded(),
            returned: record.returned(),
            disputed: record.is_disputed(),
            currency: record.currency().map(str::to_owned),
            created: record.created(),
            refunds,
            invoices: record.invoices().clone(),
            sessions: record.sessions().clone(),
        }
    }
}

/// Whether money went out or came back; attempts that failed moved none.
fn moved_money(record: &PaymentRecord) -> bool {
    record.amount().is_some()
        || record.refunded() > 0
        || record.refunds().next().is_some()
        || record.is_disputed()
}

/// The payment intent, by whichever of its objects named it.
fn payment_intent(record: &PaymentRecord) -> Option<&str> {
    let own = record.intent().map(|intent| &intent.id);
    own.or_else(|| record.charges().find_map(|charge| charge.payment_intent.as_ref()))
        .or_else(|| record.refunds().find_map(|refund| refund.payment_intent.as_ref()))
        .or_else(|| record.disputes().find_map(|dispute| dispute.payment_intent.as_ref()))
        .or_else(|| record.warnings().find_map(|warning| warning.payment_intent.as_ref()))
        .map(String::as_str)
}

impl RefundView {
    fn of(refund: &Refund) -> Self {
        Self {
            id: refund.id.clone(),
            amount: refund.amount,
            status: refund.status.clone(),
            reason: refund.reason.clone(),
            failure_reason: refund.failure_reason.clone(),
            created: refund.created,
        }
    }
}

impl DisputeView {
    /// The disputes over the subject's payments.
    pub(super) fn all(subject: &Subject) -> Vec<Self> {
        let of = |record| PaymentRecord::disputes(record).map(|it| Self::of(it, record));
        subject.payments().flat_map(of).collect()
    }

    fn of(dispute: &Dispute, payment: &PaymentRecord) -> Self {
        let charge = dispute.charge.as_deref().or_else(|| payment.charge());
        let intent = dispute.payment_intent.as_deref().or_else(|| payment_intent(payment));
        let status = &dispute.status;
        Self {
            id: dispute.id.clone(),
            status: status.clone(),
            amount: dispute.amount,
            currency: dispute.currency.clone(),
            reason: dispute.reason.clone(),
            due_by: dispute.due_by,
            has_evidence: dispute.has_evidence,
            charge: charge.map(str::to_owned),
            payment_intent: intent.map(str::to_owned),
            open: status.is_open(),
            outcome: match (status.is_won(), status.is_lost()) {
                (true, _) => Some(DisputeOutcome::Won),
                (_, true) => Some(DisputeOutcome::Lost),
                (false, false) => None,
            },
            created: dispute.created,
        }
    }
}

impl FraudWarningView {
    /// The warnings about the subject's payments.
    pub(super) fn all(subject: &Subject) -> Vec<Self> {
        let of = |record| PaymentRecord::warnings(record).map(|it| Self::of(it, record));
        subject.payments().flat_map(of).collect()
    }

    fn of(warning: &FraudWarning, payment: &PaymentRecord) -> Self {
        let charge = warning.charge.as_deref().or_else(|| payment.charge());
        let intent = warning.payment_intent.as_deref().or_else(|| payment_intent(payment));
        Self {
            id: warning.id.clone(),
            charge: charge.map(str::to_owned),
            payment_intent: intent.map(str::to_owned),
            actionable: warning.actionable,
            fraud_type: warning.fraud_type.clone(),
            created: warning.created,
        }
    }
}
