//! Which subjects the workers of this process are at.

use std::collections::BTreeSet;
use std::sync::{Mutex, MutexGuard, PoisonError};

use super::batch::{Input, Work};
use crate::keys::SubjectKey;

/// The events of one customer come close together, so that two workers have some of them. Only one can
/// write on a version; the other one decides again, with all that it has decided besides. So a worker
/// takes last what another one is at. That is all: the versions hold, and other nodes know nothing of it.
#[derive(Debug, Default)]
pub(super) struct Turns(Mutex<BTreeSet<SubjectKey>>);

/// A worker is at these subjects, until this is dropped.
#[derive(Debug)]
pub(super) struct Turn<'a> {
    turns: &'a Turns,
    subjects: BTreeSet<SubjectKey>,
}

impl Turns {
    fn lock(&self) -> MutexGuard<'_, BTreeSet<SubjectKey>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Moves the events to the end that are about subjects which others are at, and says how many they
    /// are. The order stays otherwise.
    pub(super) fn take(&self, batch: &mut Vec<Work>) -> (Turn<'_>, usize) {
        let mut subjects = BTreeSet::new();
        let mut taken = self.lock();
        let is_free = |work: &mut Work| match subject(work) {
            Some(subject) if subjects.contains(&subject) => true,
            Some(subject) => !taken.contains(&subject) && subjects.insert(subject),
            None => true,
        };
        let mut free: Vec<Work> = batch.extract_if(.., is_free).collect();
        taken.extend(subjects.iter().cloned());
        let busy = batch.len();
        free.append(batch);
        *batch = free;
        (Turn { turns: self, subjects }, busy)
    }
}

impl Drop for Turn<'_> {
    fn drop(&mut self) {
        let mut taken = self.turns.lock();
        for subject in &self.subjects {
            taken.remove(subject);
        }
    }
}

/// What an event is about, as far as it says so itself.
fn subject(work: &Work) -> Option<SubjectKey> {
    let Input::Read(read) = &work.input else { return None };
    let id = read.patch.name()?.id.clone();
    Some(SubjectKey { tenant: work.claimed.event.key.tenant.clone(), id })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::billing::batch::Read;
    use crate::keys::{EventKey, Tenant};
    use crate::queue::Lease;
    use crate::state::{Anchor, Name, Patch};
    use crate::store::{ClaimedEvent, ReceivedEvent};
    use crate::stripe::Event;
    use crate::webhook::EventKind;

    fn work(id: &str, customer: &str) -> Work {
        let event = Event::of_object(id, "customer.updated", 1, serde_json::Value::Null);
        let patch = Patch::link(Name::new(Anchor::Customer, customer.to_owned()), "acme", 1);
        let received = ReceivedEvent {
            key: EventKey { tenant: Tenant::platform(true), id: id.to_owned() },
            kind: EventKind::Snapshot,
            event_type: "customer.updated".to_owned(),
            api_version: None,
            created: 1,
            received_at: chrono::DateTime::UNIX_EPOCH,
            payload: bytes::Bytes::new(),
        };
        let claimed = ClaimedEvent {
            lease: Lease { seq: 1, epoch: 1 },
            event: received,
            attempts: 0,
            deferrals: 0,
            crashes: 0,
        };
        Work { claimed, input: Input::Read(Box::new(Read { event, patch, live: None })) }
    }

    fn taken<'a>(turns: &'a Turns, events: &[(&str, &str)]) -> (Turn<'a>, usize, Vec<String>) {
        let mut batch: Vec<Work> = events.iter().map(|(id, who)| work(id, who)).collect();
        let (turn, busy) = turns.take(&mut batch);
        (turn, busy, batch.into_iter().map(|work| work.claimed.event.key.id).collect())
    }

    #[test]
    fn what_another_worker_is_at_comes_last_until_it_is_done() {
        let turns = Turns::default();
        let (first, busy, order) = taken(&turns, &[("a", "cus_1"), ("b", "cus_2"), ("c", "cus_1")]);
        assert_eq!((busy, order.join("")), (0, "abc".to_owned()));
        let later = [("d", "cus_2"), ("e", "cus_3"), ("f", "cus_2"), ("g", "cus_3")];
        let (second, busy, order) = taken(&turns, &later);
        assert_eq!((busy, order.join("")), (2, "egdf".to_owned()));
        // The second one's end frees what it was at, and nothing else.
        drop(second);
        let (_third, busy, _) = taken(&turns, &[("h", "cus_2"), ("i", "cus_3")]);
        assert_eq!(busy, 1);
        drop(first);
        let (_fourth, busy, _) = taken(&turns, &later);
        assert_eq!(busy, 2, "cus_3 is the third one's");
    }
}
