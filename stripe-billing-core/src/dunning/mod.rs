//! Dunning: what becomes of a renewal that could not be collected. Pure: a case is worked out anew
//! from the invoice and its payments whenever it matters, and stored nowhere.
//!
//! The customer is told of each failed attempt as it fails (`payment_failed`). Where that is not
//! enough, reminders follow on the days of the catalog's policy, and a last word before access ends.
//! Reminders go out by day where the customer's time zone is known.

mod decline;
mod figures;
mod hours;
mod schedule;

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

use crate::catalog::Policy;
use crate::state::{InvoiceRecord, PaymentRecord, Record, Subject};
use crate::stripe::objects::{BillingReason, Invoice, InvoiceStatus};
use crate::ticket::words;

pub use decline::DeclineClass;
pub use figures::{Figure, figures};
pub use hours::TIME_ZONE_KEY;
pub use schedule::{Step, StepKind};
pub(crate) use schedule::{notices, waits_until};

words! {
    /// Where a case stands.
    CaseState {
        /// The invoice waits for money, and there is more to tell.
        Active = "active",
        /// It is paid.
        Recovered = "recovered",
        /// Nothing is to be collected any more.
        Stopped = "stopped",
        /// It still waits, and everything was told.
        Exhausted = "exhausted",
    }
}

words! {
    /// What a payment is put down to.
    Recovery {
        /// The customer brought another payment method after the first mail and before the payment.
        Email = "email",
        /// Anything else: the same card went through. A customer who followed the link of a mail and
        /// paid with the card that was known already counts here, since the use of links is not
        /// recorded.
        Retry = "retry",
    }
}

words! {
    /// Why a case was stopped.
    StopReason {
        /// The invoice was voided.
        Voided = "voided",
        /// The invoice was given up.
        Uncollectible = "uncollectible",
        /// The subscription has ended.
        Canceled = "canceled",
    }
}

/// An invoice whose collection failed, and what is done about it. Amounts are minor units, times
/// Unix seconds, UTC.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct Case {
    /// `in_...`
    pub invoice: String,
    /// The subscription that it bills.
    pub subscription: Option<String>,
    /// Where it stands.
    pub state: CaseState,
    /// Why it was stopped.
    pub reason: Option<StopReason>,
    /// Stripe's word for why the last attempt failed, if it is known.
    pub decline: Option<String>,
    /// What that means for what is done.
    pub class: DeclineClass,
    /// What is owed, was recovered, or was lost.
    pub amount: Option<i64>,
    /// Three-letter code, lower case.
    pub currency: Option<String>,
    /// Attempts that failed.
    pub attempts: i64,
    /// When the first one failed.
    pub opened_at: i64,
    /// When the last one failed.
    pub last_failed_at: i64,
    /// When Stripe tries again.
    pub next_attempt: Option<i64>,
    /// Until when access is kept although it is not paid.
    pub grace_end: Option<i64>,
    /// When it was paid or stopped.
    pub closed_at: Option<i64>,
    /// What the payment is put down to; `None` where it is not paid.
    pub recovered_by: Option<Recovery>,
    /// What is told after the first word, in order. Empty where the policy says so.
    pub steps: Vec<Step>,
    /// How many of the steps were due before it was closed, or are by now.
    pub step: usize,
}

impl Case {
    /// The case of an invoice at a time; `None` where nothing failed, or where the customer was there
    /// to see it: on the first invoice of a subscription.
    pub fn of(
        subject: &Subject,
        record: &InvoiceRecord,
        policy: &Policy,
        now: DateTime<Utc>,
    ) -> Option<Self> {
        let view = record.latest()?;
        let opened_at = record.first_failed_at()?;
        if view.billing_reason == Some(BillingReason::SubscriptionCreate) {
            return None;
        }
        let ended = ended(subject, view);
        let (state, reason) = match view.status {
            InvoiceStatus::Paid => (CaseState::Recovered, None),
            InvoiceStatus::Void => (CaseState::Stopped, Some(StopReason::Voided)),
            InvoiceStatus::Uncollectible => (CaseState::Stopped, Some(StopReason::Uncollectible)),
            _ if ended.is_some() => (CaseState::Stopped, Some(StopReason::Canceled)),
            _ => (CaseState::Active, None),
        };
        let closed_at = record.closed_at().or(ended.flatten());
        let decline = decline_of(subject, record.id());
        let class = decline.as_deref().map_or(DeclineClass::Soft, DeclineClass::of);
        let grace = policy.past_due_grace.num_seconds();
        let grace_end = view.is_renewal().then(|| opened_at.saturating_add(grace));
        let steps =
            schedule::steps(opened_at, grace_end, class, policy, hours::zone_of(subject, policy));
        let by = closed_at.unwrap_or_else(|| now.timestamp());
        let mut case = Self {
            invoice: view.id.clone(),
            subscription: view.subscription.clone(),
            state,
            reason,
            decline,
            class,
            amount: match state {
                CaseState::Recovered => view.amount_paid,
                _ => view.amount_remaining.or(view.amount_due),
            },
            currency: view.currency.clone(),
            attempts: record.failed_attempts.last().copied().unwrap_or(1),
            opened_at,
            last_failed_at: record.last_failed_at().unwrap_or(opened_at),
            next_attempt: view.next_payment_attempt.filter(|at| *at > now.timestamp()),
            grace_end,
            closed_at,
            recovered_by: (state == CaseState::Recovered)
                .then(|| recovered_by(subject, opened_at, closed_at)),
            step: steps.iter().filter(|step| step.at <= by).count(),
            steps,
        };
        if case.state == CaseState::Active && case.is_over(now) {
            case.state = CaseState::Exhausted;
        }
        Some(case)
    }

    /// Whether there is nothing left to tell: the last step is stale, or there are none.
    fn is_over(&self, now: DateTime<Utc>) -> bool {
        let last = self.steps.last().map_or(self.opened_at, |step| step.at);
        last.saturating_add(schedule::STALE) < now.timestamp()
    }
}

/// The cases of a subject at a time, as far as its invoices are loaded, the oldest first.
pub fn cases(subject: &Subject, policy: &Policy, now: DateTime<Utc>) -> Vec<Case> {
    let mut cases: Vec<Case> =
        subject.invoices().filter_map(|record| Case::of(subject, record, policy, now)).collect();
    cases.sort_by(|a, b| (a.opened_at, &a.invoice).cmp(&(b.opened_at, &b.invoice)));
    cases
}

/// Whether the invoice's subscription has ended, and when, as far as that is known.
fn ended(subject: &Subject, view: &Invoice) -> Option<Option<i64>> {
    let id = view.subscription.as_deref()?;
    let record = subject.subscriptions().find(|record| record.id() == id)?;
    let view = record.latest().filter(|view| view.status.is_terminal())?;
    Some(view.ended_at.or(view.canceled_at))
}

/// Whether a payment method came between the first mail, which follows the first failed attempt at
/// once, and the payment. One that was detached since counts as well.
fn recovered_by(subject: &Subject, opened_at: i64, closed_at: Option<i64>) -> Recovery {
    let came = |record: &Record| match record {
        Record::PaymentMethod(method) => method.latest().and_then(|view| view.created),
        _ => None,
    };
    let by_customer = subject.records.values().filter_map(came).any(|created| {
        created > opened_at && closed_at.is_none_or(|closed_at| created <= closed_at)
    });
    if by_customer { Recovery::Email } else { Recovery::Retry }
}

/// Why the last attempt to pay an invoice failed.
fn decline_of(subject: &Subject, invoice: &str) -> Option<String> {
    let pays = |payment: &&PaymentRecord| payment.invoices().contains(invoice);
    let intent = subject.payments().find(pays)?.intent()?;
    intent.decline_code.clone().or_else(|| intent.failure_code.clone())
}
