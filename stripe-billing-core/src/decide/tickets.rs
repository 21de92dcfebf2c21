//! Work for humans that follows from records.

use super::Terms;
use crate::changes::{Effects, OutboxEntry};
use crate::notice::ticket_opened;
use crate::state::{ObjectRef, PaymentRecord, Record, Subject};
use crate::ticket::{TicketKind, TicketPriority, TicketWrite};

/// Tickets that a payment's disputes and fraud warnings open, update and close.
pub(super) fn of(
    before: Option<&Record>,
    after: &Record,
    terms: &Terms<'_>,
    effects: &mut Effects,
) {
    let Record::Payment(payment) = after else { return };
    let known = match before {
        Some(Record::Payment(payment)) => Some(payment),
        _ => None,
    };
    let object = after.object();
    let was = known.map(|known| wanted(known, &object, terms)).unwrap_or_default();
    for ticket in wanted(payment, &object, terms) {
        let told = was.iter().find(|told| told.key == ticket.key);
        if told.is_some_and(|told| *told == ticket) {
            continue;
        }
        if ticket.open && told.is_none_or(|told| !told.open) {
            effects.outbox.push(OutboxEntry::from(ticket_opened(&ticket.key)));
        }
        if ticket.open || told.is_some() {
            effects.tickets.push(ticket);
        }
    }
}

/// The sources that name the subject's account disagree.
pub(super) fn contested(subject: &Subject, terms: &Terms<'_>, effects: &mut Effects) {
    let key = format!("contested_link:{}", subject.key.id);
    effects.outbox.push(OutboxEntry::from(ticket_opened(&key)));
    effects.tickets.push(TicketWrite {
        key,
        kind: TicketKind::ContestedLink,
        priority: TicketPriority::Normal,
        open: true,
        object: None,
        event: Some(terms.event.to_owned()),
        title: "the sources that name this customer's account disagree".to_owned(),
        due_by: None,
        context: None,
    });
}

/// A fact was told already, in other words: what was told stays, and somebody should look.
pub(crate) fn fact_differs(effects: &mut Effects, key: &str, event: &str) {
    let twins = effects.outbox.iter().filter(|entry| entry.key == key).count();
    let mut keep = twins > 1; // Of several now the first is told, unless another was told before.
    effects.outbox.retain(|entry| entry.key != key || std::mem::take(&mut keep));
    let ticket = format!("fact_differs:{key}");
    effects.outbox.push(OutboxEntry::from(ticket_opened(&ticket)));
    effects.tickets.push(TicketWrite {
        key: ticket,
        kind: TicketKind::FactDiffers,
        priority: TicketPriority::Normal,
        open: true,
        object: None,
        event: Some(event.to_owned()),
        title: format!("{key} was told with other content than it has now"),
        due_by: None,
        context: None,
    });
}

fn wanted(payment: &PaymentRecord, object: &ObjectRef, terms: &Terms<'_>) -> Vec<TicketWrite> {
    let ticket = |key: String, kind, priority, open, title: String, due_by| TicketWrite {
        key,
        kind,
        priority,
        open,
        object: Some(object.clone()),
        event: Some(terms.event.to_owned()),
        title,
        due_by,
        context: None,
    };
    let disputes = payment.disputes().map(|dispute| {
        let waits = dispute.status.is_open() && !dispute.has_evidence;
        let priority = if waits { TicketPriority::High } else { TicketPriority::Normal };
        let reason = dispute.reason.as_deref().unwrap_or("no reason given");
        let title = format!("dispute {}: {} ({reason})", dispute.id, dispute.status.as_str());
        let key = format!("dispute:{}", dispute.id);
        ticket(key, TicketKind::Dispute, priority, dispute.status.is_open(), title, dispute.due_by)
    });
    let warnings = payment.warnings().map(|warning| {
        let kind = warning.fraud_type.as_deref().unwrap_or("unknown");
        let title = format!("early fraud warning {} ({kind})", warning.id);
        let key = format!("fraud_warning:{}", warning.id);
        let open = warning.actionable;
        ticket(key, TicketKind::FraudWarning, TicketPriority::High, open, title, None)
    });
    disputes.chain(warnings).collect()
}
