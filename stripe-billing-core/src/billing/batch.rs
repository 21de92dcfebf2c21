use std::collections::{BTreeSet, HashMap};

use crate::changes::Settlement;
use crate::error::StoreError;
use crate::keys::SubjectKey;
use crate::state::{ObjectRef, Patch, Subject};
use crate::store::{ClaimedEvent, EventStore, LoadRequest};

/// A claimed event, read: what it adds to which subject, or how it ends at once.
pub(super) struct Work {
    pub(super) claimed: ClaimedEvent,
    pub(super) read: Result<(SubjectKey, Patch), Settlement>,
}

/// What is known of the subjects of a batch. A subject is loaded once, with everything that the
/// batch's events name, and known from the commits after that: their versions tell when somebody
/// else was faster.
#[derive(Default)]
pub(super) struct Known {
    wanted: HashMap<SubjectKey, BTreeSet<ObjectRef>>,
    subjects: HashMap<SubjectKey, Subject>,
}

impl Known {
    pub(super) fn of(batch: &[Work]) -> Self {
        let mut known = Self::default();
        for (key, patch) in batch.iter().filter_map(|work| work.read.as_ref().ok()) {
            known.wanted.entry(key.clone()).or_default().extend(patch.objects());
        }
        known
    }

    /// Takes what is known of a subject, or loads it. It is known again when it is
    /// [put back](Self::put_back).
    pub(super) async fn take(
        &mut self,
        store: &dyn EventStore,
        key: &SubjectKey,
    ) -> Result<Subject, StoreError> {
        if let Some(subject) = self.subjects.remove(key) {
            return Ok(subject);
        }
        let objects = self.wanted.get(key).into_iter().flatten().cloned().collect();
        store.load(&LoadRequest { subject: key.clone(), objects }).await
    }

    pub(super) fn put_back(&mut self, subject: Subject) {
        self.subjects.insert(subject.key.clone(), subject);
    }
}
