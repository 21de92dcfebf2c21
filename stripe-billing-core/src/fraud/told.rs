//! What follows from a verdict.

use chrono::{DateTime, TimeDelta, Utc};

use super::Verdict;
use crate::changes::{AuditEntry, Effects, OutboxEntry};
use crate::domain::DomainEvent;
use crate::notice::ticket_opened;
use crate::state::{ObjectKind, ObjectRef};
use crate::ticket::{Ticket, TicketContext, TicketKind, TicketPriority, TicketStatus, TicketWrite};

/// What made rules look at an account.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Occasion<'a> {
    /// It wants to open a checkout.
    Checkout,
    /// An event, by its id.
    Event(&'a str),
}

impl Occasion<'_> {
    fn action(self, denied: bool) -> &'static str {
        match (self, denied) {
            (Self::Checkout, false) => "checkout.reviewed",
            (Self::Checkout, true) => "checkout.denied",
            (Self::Event(_), false) => "account.reviewed",
            (Self::Event(_), true) => "account.denied",
        }
    }
}

/// What operators and the app are told of a verdict, and what the audit log keeps of it; nothing
/// where the same was told within the hour, so that nobody can fill the log by asking again and
/// again. The app is told once when the ticket opens, and once more when a review becomes a denial.
pub(crate) fn told(
    account: &str,
    verdict: Verdict,
    occasion: Occasion<'_>,
    ticket: Option<&Ticket>,
    now: DateTime<Utc>,
) -> Option<Effects> {
    let rule = verdict.rule()?;
    let denied = matches!(verdict, Verdict::Deny(_));
    let said = if denied { TicketPriority::High } else { TicketPriority::Normal };
    let lately = |ticket: &&Ticket| now - ticket.updated_at < TimeDelta::hours(1);
    if ticket.filter(lately).is_some_and(|ticket| ticket.priority >= said) {
        return None;
    }
    let (key, action) = (key(account, rule), occasion.action(denied));
    let open = ticket.filter(|ticket| ticket.status != TicketStatus::Resolved);
    let count = ticket.map_or(0, |ticket| ticket.count);
    let mut effects = Effects::default();
    if open.is_none() {
        let times = if count > 0 { format!("#{count}") } else { String::new() };
        effects.outbox.push(OutboxEntry::from(ticket_opened(&format!("{key}{times}"))));
    }
    if open.is_none_or(|ticket| ticket.priority < said) {
        effects.outbox.push(OutboxEntry::from(DomainEvent::FraudSuspected {
            account: account.to_owned(),
            rule: rule.to_owned(),
            denied,
            occurrence: count,
        }));
    }
    effects.tickets.push(TicketWrite {
        key,
        kind: TicketKind::FraudReview,
        // What was denied once is not less urgent for a milder word.
        priority: open.map_or(said, |ticket| ticket.priority.max(said)),
        open: true,
        object: None,
        event: match occasion {
            Occasion::Checkout => None,
            Occasion::Event(id) => Some(id.to_owned()),
        },
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
