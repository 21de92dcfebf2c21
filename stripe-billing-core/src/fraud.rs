//! Rules against fraud: whether an account may open a checkout, and whether somebody should look at
//! it. Pure functions of what is known of it; Stripe Radar looks at the cards, these look at the
//! account. They are asked before a checkout is opened, and when an event is decided that may change
//! what they count.

mod told;

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use chrono::{DateTime, TimeDelta, Utc};

use crate::changes::Changes;
use crate::state::{Family, Subject};
use crate::stripe::objects::PaymentIntentStatus;

pub(crate) use told::{Occasion, key, told};

/// What is known of an account.
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub struct History<'a> {
    /// Its customers, and what it bought as a guest, with all of their records.
    pub subjects: &'a [Subject],
    /// The time.
    pub now: DateTime<Utc>,
}

/// What a rule says. Of several the strictest holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[non_exhaustive]
pub enum Verdict {
    /// Nothing speaks against it.
    Allow,
    /// It may go on, and somebody should look; with the rule's stable code.
    Review(&'static str),
    /// It may not; with the rule's stable code.
    Deny(&'static str),
}

impl Verdict {
    /// The code of the rule that speaks against it.
    pub(crate) fn rule(self) -> Option<&'static str> {
        match self {
            Self::Allow => None,
            Self::Review(rule) | Self::Deny(rule) => Some(rule),
        }
    }
}

/// A rule. It has to be quick and to come to the same verdict every time.
pub trait FraudRule: fmt::Debug + Send + Sync + 'static {
    /// Judges an account that wants to open a checkout, or with which something happened that rules
    /// may count.
    fn judge(&self, history: &History<'_>) -> Verdict;
}

/// The rules of the catalog's policy `fraud = "standard"`, each with the number from which on it
/// reviews, and denies.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct StandardRules {
    /// Payments that were declined within an hour: somebody tries cards.
    pub declines_an_hour: (usize, usize),
    /// Checkouts that ended within an hour, paid or not.
    pub checkouts_an_hour: (usize, usize),
    /// Warnings of card networks that can still be acted on.
    pub warnings: (usize, usize),
    /// Disputes within a year that are open or lost.
    pub disputes_a_year: (usize, usize),
}

impl Default for StandardRules {
    fn default() -> Self {
        Self {
            declines_an_hour: (5, 10),
            checkouts_an_hour: (10, 20),
            warnings: (1, 2),
            disputes_a_year: (1, 2),
        }
    }
}

impl<'a> History<'a> {
    /// What is known at a time; for tests of rules.
    pub fn new(subjects: &'a [Subject], now: DateTime<Utc>) -> Self {
        Self { subjects, now }
    }

    /// Payments whose last attempt was declined since a while ago, and that nobody paid since.
    /// Attempts at one payment count once: what failed is kept by payment.
    pub fn declines(&self, within: TimeDelta) -> usize {
        let declined = self.payments().filter(|payment| {
            payment.intent().is_some_and(|intent| {
                intent.status == PaymentIntentStatus::RequiresPaymentMethod
                    && (intent.decline_code.is_some() || intent.failure_code.is_some())
            })
        });
        declined.filter(|payment| self.is_within(payment.intent.stamp(), within)).count()
    }

    /// Checkouts that were opened since a while ago and have ended.
    pub fn checkouts(&self, within: TimeDelta) -> usize {
        let sessions = self.subjects.iter().flat_map(Subject::sessions);
        sessions.filter(|session| self.is_within(session.created, within)).count()
    }

    /// Early fraud warnings that can still be acted on.
    pub fn warnings(&self) -> usize {
        let warnings = self.payments().flat_map(|payment| payment.warnings());
        warnings.filter(|warning| warning.actionable).count()
    }

    /// Disputes since a while ago that are undecided or lost; inquiries are none yet.
    pub fn disputes(&self, within: TimeDelta) -> usize {
        let disputes = self.payments().flat_map(|payment| payment.disputes());
        let disputes = disputes.filter(|dispute| {
            let status = &dispute.status;
            !status.is_inquiry() && (status.is_open() || status.is_lost())
        });
        disputes.filter(|dispute| self.is_within(dispute.created, within)).count()
    }

    fn payments(&self) -> impl Iterator<Item = &crate::state::PaymentRecord> {
        self.subjects.iter().flat_map(Subject::payments)
    }

    /// What has no time counts: it is not known to be long ago.
    fn is_within(&self, created: Option<i64>, within: TimeDelta) -> bool {
        let since = self.now.timestamp().saturating_sub(within.num_seconds());
        created.is_none_or(|created| created > since)
    }
}

impl StandardRules {
    /// What each of them says, if it speaks against the account.
    fn verdicts(&self, history: &History<'_>) -> impl Iterator<Item = Verdict> {
        let hour = TimeDelta::hours(1);
        let counts = [
            ("declines", history.declines(hour), self.declines_an_hour),
            ("checkouts", history.checkouts(hour), self.checkouts_an_hour),
            ("fraud_warnings", history.warnings(), self.warnings),
            ("disputes", history.disputes(TimeDelta::days(365)), self.disputes_a_year),
        ];
        counts.into_iter().filter_map(|(code, count, (review, deny))| match count {
            count if count >= deny => Some(Verdict::Deny(code)),
            count if count >= review => Some(Verdict::Review(code)),
            _ => None,
        })
    }
}

impl FraudRule for StandardRules {
    fn judge(&self, history: &History<'_>) -> Verdict {
        self.verdicts(history).max().unwrap_or(Verdict::Allow)
    }
}

/// What rules say against an account: of each rule the strictest, the mildest first. All of them,
/// and not the strictest alone, so that what is told does not depend on which came first.
pub(crate) fn verdicts(
    own: &[Arc<dyn FraudRule>],
    standard: bool,
    history: &History<'_>,
) -> Vec<Verdict> {
    let own = own.iter().map(|rule| rule.judge(history));
    let standard = standard.then(|| StandardRules::default().verdicts(history).collect());
    let all = own.chain(standard.unwrap_or_else(Vec::new));
    let mut strictest: BTreeMap<&str, Verdict> = BTreeMap::new();
    for verdict in all {
        if let Some(rule) = verdict.rule() {
            strictest.entry(rule).and_modify(|kept| *kept = verdict.max(*kept)).or_insert(verdict);
        }
    }
    let mut verdicts: Vec<Verdict> = strictest.into_values().collect();
    verdicts.sort_unstable();
    verdicts
}

/// Whether an event may change what rules count: by its type, or because it says whose the subject
/// is of which something was known before.
pub(crate) fn concerns(event_type: &str, family: &Family, changes: &Changes) -> bool {
    let counts = matches!(
        event_type,
        "payment_intent.payment_failed"
            | "charge.failed"
            | "invoice.payment_failed"
            | "checkout.session.completed"
            | "checkout.session.expired"
            | "checkout.session.async_payment_failed"
    ) || event_type.starts_with("charge.dispute.")
        || event_type.starts_with("radar.early_fraud_warning.");
    let known = family.subject.version > 0 || !family.orphans.is_empty();
    let linked = family.subject.links.account().is_none() && changes.account.is_some();
    changes.account.is_some() && (counts || linked && known)
}

/// An account's subjects with a decision applied. Those that it adopts are part of its own now.
pub(crate) fn applied(subjects: Vec<Subject>, changes: &Changes) -> Vec<Subject> {
    let adopted = |subject: &Subject| {
        subject.key.tenant == changes.subject.tenant
            && changes.adopted.iter().any(|name| name.id == subject.key.id)
    };
    let mut subjects: Vec<Subject> = subjects.into_iter().filter(|it| !adopted(it)).collect();
    match subjects.iter_mut().find(|subject| subject.key == changes.subject) {
        Some(subject) => subject.apply(changes),
        None => {
            let mut subject = Subject::new(changes.subject.clone());
            subject.apply(changes);
            subjects.push(subject);
        }
    }
    subjects
}

#[cfg(test)]
mod tests;
