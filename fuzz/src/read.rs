//! Reading, merging and deciding alone, on one subject after the other.

use stripe_billing_core::catalog::Link;
use stripe_billing_core::changes::{Changes, Message};
use stripe_billing_core::state::{Family, Patch, Record, Subject};
use stripe_billing_core::stripe::Event;
use stripe_billing_core::webhook::Envelope;
use stripe_billing_core::{Decision, SubjectKey, Tenant, Terms, decide};
use stripe_billing_testing::event::histories::{ACCOUNT_KEY, PACK_KEY};

use crate::choices::Choices;
use crate::deliver::{catalog, now};
use crate::mutate;

/// Reads the case's events and decides on them on one subject; how many events.
///
/// # Panics
/// When a rule does, when a decision that is taken again changes something, or when something would
/// not come back from a store as it was.
pub(crate) fn read(bytes: &[u8]) -> usize {
    let mut choices = Choices::new(bytes);
    let bodies = mutate::bodies(&mut choices);
    let link = Link { account: ACCOUNT_KEY.to_owned(), pack: PACK_KEY.to_owned() };
    let key = SubjectKey { tenant: Tenant::platform(true), id: "cus_1".to_owned() };
    let mut subject = Subject::new(key);
    for body in &bodies {
        let envelope = Envelope::parse(body);
        let Ok(event) = Event::parse(body) else { continue };
        let id = envelope.map(|envelope| envelope.id.into_owned()).unwrap_or_default();
        let Some(patch) = Patch::of(&event, &link) else { continue };
        let terms = Terms { catalog: catalog(), now: now(), event: &id, shadow: false };
        let Decision::Commit(changes) = decide(&Family::alone(subject.clone()), &patch, &terms)
        else {
            continue;
        };
        check(&changes);
        subject.apply(&changes);
        match decide(&Family::alone(subject.clone()), &patch, &terms) {
            Decision::Settle(_) => {}
            Decision::Commit(again) => {
                assert!(again.records.is_empty(), "{:?}", again.records);
                assert_eq!(again.links, subject.links);
            }
            _ => unreachable!("a third kind of decision"),
        }
    }
    bodies.len()
}

/// A store gets back what it was given, and can write every key.
fn check(changes: &Changes) {
    for write in &changes.records {
        let body = serde_json::to_string(&write.record).expect("a record");
        let stored: Record = serde_json::from_str(&body).expect("a record that was stored");
        assert_eq!(stored, write.record);
        assert!(!write.record.object().id.contains('\0'));
    }
    for entry in &changes.effects.outbox {
        let body = serde_json::to_string(&entry.message).expect("a message");
        let stored: Message = serde_json::from_str(&body).expect("a message that was stored");
        assert_eq!(stored, entry.message);
        assert!(!entry.key.contains('\0'));
    }
}
