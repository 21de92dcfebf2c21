//! Changes of money and access, as lines of the audit log.

use super::Terms;
use crate::changes::{AuditEntry, Effects};
use crate::state::{ObjectKind, ObjectRef, PaymentRecord, Record, State, Subject};

/// What changed about an object's money or access.
pub(super) fn of(
    before: Option<&Record>,
    after: &Record,
    terms: &Terms<'_>,
    effects: &mut Effects,
) {
    let mut note = |action: &str, from: Option<String>, to: Option<String>| {
        if from != to {
            effects.audit.push(AuditEntry {
                actor: format!("stripe:{}", terms.event),
                action: action.to_owned(),
                object: after.object(),
                before: from,
                after: to,
                reason: None,
            });
        }
    };
    match after {
        Record::Subscription(_) => {
            let word = |record: &Record| state_of(record).map(|state| state.as_str().to_owned());
            note("subscription.state", before.and_then(word), word(after));
        }
        Record::Invoice(_) => {
            let word = |record: &Record| match record {
                Record::Invoice(record) => Some(record.latest()?.status.as_str().to_owned()),
                _ => None,
            };
            note("invoice.status", before.and_then(word), word(after));
        }
        Record::Payment(_) => {
            let part = |read: fn(&PaymentRecord) -> Option<String>| {
                (before.and_then(payment).and_then(read), payment(after).and_then(read))
            };
            let (from, to) = part(|p| Some(p.returned()).filter(|n| *n > 0).map(|n| n.to_string()));
            note("payment.returned", from, to);
            let (from, to) = part(disputes);
            note("payment.disputes", from, to);
        }
        _ => {}
    }
}

/// Whose account the subject is.
pub(super) fn of_links(
    before: &Subject,
    after: &Subject,
    terms: &Terms<'_>,
    effects: &mut Effects,
) {
    let (was, is) = (before.links.account(), after.links.account());
    if was != is {
        effects.audit.push(AuditEntry {
            actor: format!("stripe:{}", terms.event),
            action: "subject.account".to_owned(),
            object: ObjectRef::new(ObjectKind::Customer, after.key.id.clone()),
            before: was.map(str::to_owned),
            after: is.map(str::to_owned),
            reason: None,
        });
    }
}

/// The state of a subscription of the subject.
pub(super) fn state(subject: &Subject, object: &ObjectRef) -> Option<State> {
    subject.records.get(object).and_then(state_of)
}

fn state_of(record: &Record) -> Option<State> {
    match record {
        Record::Subscription(record) => record.latest().map(State::of),
        _ => None,
    }
}

fn payment(record: &Record) -> Option<&PaymentRecord> {
    match record {
        Record::Payment(payment) => Some(payment),
        _ => None,
    }
}

fn disputes(payment: &PaymentRecord) -> Option<String> {
    let words: Vec<String> = payment
        .disputes()
        .map(|dispute| format!("{} {}", dispute.id, dispute.status.as_str()))
        .collect();
    (!words.is_empty()).then(|| words.join(", "))
}
