//! Rules against fraud: whether an account may open a checkout. Pure functions of what is known of
//! it; Stripe Radar looks at the cards, these look at the account.

use std::fmt;

use chrono::{DateTime, TimeDelta, Utc};

use crate::changes::{AuditEntry, Effects, OutboxEntry};
use crate::notice::ticket_opened;
use crate::state::{ObjectKind, ObjectRef, Subject};
use crate::store::KnownFailure;
use crate::stripe::objects::PaymentIntentStatus;
use crate::ticket::{Ticket, TicketContext, TicketKind, TicketPriority, TicketStatus, TicketWrite};

/// What is known of an account that wants to buy.
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

/// A rule. It has to be quick and to come to the same verdict every time.
pub trait FraudRule: fmt::Debug + Send + Sync + 'static {
    /// Judges an account that wants to open a checkout.
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

/// What operators are told of a verdict, and what the audit log keeps of it; nothing where the same
/// was told within the hour, so that nobody can fill the log by asking again and again.
pub(crate) fn told(
    account: &str,
    verdict: Verdict,
    known: &KnownFailure,
    now: DateTime<Utc>,
) -> Option<Effects> {
    let (rule, action, priority) = match verdict {
        Verdict::Allow => return None,
        Verdict::Review(rule) => (rule, "checkout.reviewed", TicketPriority::Normal),
        Verdict::Deny(rule) => (rule, "checkout.denied", TicketPriority::High),
    };
    let ticket = known.ticket.as_ref();
    let lately = |ticket: &&Ticket| now - ticket.updated_at < TimeDelta::hours(1);
    if ticket.filter(lately).is_some_and(|ticket| ticket.priority >= priority) {
        return None;
    }
    let key = key(account, rule);
    let mut effects = Effects::default();
    if ticket.is_none_or(|ticket| ticket.status == TicketStatus::Resolved) {
        let times = ticket.map_or(String::new(), |ticket| format!("#{}", ticket.count));
        effects.outbox.push(OutboxEntry::from(ticket_opened(&format!("{key}{times}"))));
    }
    effects.tickets.push(TicketWrite {
        key,
        kind: TicketKind::FraudReview,
        priority,
        open: true,
        object: None,
        event: None,
        title: format!("{action} by the rule `{rule}`"),
        due_by: None,
        context: Some(TicketContext {
            account: Some(account.to_owned()),
            action: Some("Look at the account's payments and disputes; refund or block it.".into()),
            ..TicketContext::default()
        }),
    });
    effects.audit.push(AuditEntry {
        actor: format!("rule:{rule}"),
        action: action.to_owned(),
        object: ObjectRef { kind: ObjectKind::Account, id: account.to_owned() },
        before: None,
        after: None,
        reason: None,
    });
    Some(effects)
}

/// The key of the ticket about an account and a rule.
pub(crate) fn key(account: &str, rule: &str) -> String {
    format!("{}:{rule}:{account}", TicketKind::FraudReview.as_str())
}

impl FraudRule for StandardRules {
    fn judge(&self, history: &History<'_>) -> Verdict {
        let hour = TimeDelta::hours(1);
        let counts = [
            ("declines", history.declines(hour), self.declines_an_hour),
            ("checkouts", history.checkouts(hour), self.checkouts_an_hour),
            ("fraud_warnings", history.warnings(), self.warnings),
            ("disputes", history.disputes(TimeDelta::days(365)), self.disputes_a_year),
        ];
        let verdicts = counts.into_iter().map(|(code, count, (review, deny))| match count {
            count if count >= deny => Verdict::Deny(code),
            count if count >= review => Verdict::Review(code),
            _ => Verdict::Allow,
        });
        verdicts.max().unwrap_or(Verdict::Allow)
    }
}
