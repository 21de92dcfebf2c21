use std::collections::{BTreeMap, BTreeSet};

use crate::changes::{Changes, Settlement};
use crate::error::{ErrorKind, StoreError};
use crate::keys::{SubjectKey, Tenant};
use crate::state::{Family, Loaded, ObjectRef, Patch, Resolved, Subject};
use crate::store::{ClaimedEvent, EventStore, LoadRequest};
use crate::stripe::{Event, Resource, ThinEvent};

/// A claimed event, as far as it was read.
pub(super) struct Work {
    pub(super) claimed: ClaimedEvent,
    pub(super) input: Input,
}

impl Work {
    /// What happens to it, in traces.
    pub(super) fn span(&self) -> tracing::Span {
        let ClaimedEvent { event, attempts, .. } = &self.claimed;
        tracing::info_span!(
            "process", event = %event.key.id, kind = %event.event_type, attempt = attempts + 1,
        )
    }
}

/// What was read of an event.
pub(super) enum Input {
    /// What it says, and what that adds.
    Read(Box<Read>),
    /// A thin event: Stripe has what it is about.
    Thin(ThinEvent),
    /// How it ends at once.
    Settled(Settlement),
}

/// An event, and what it adds.
#[derive(Clone, Debug)]
pub(super) struct Read {
    pub(super) event: Event,
    pub(super) patch: Patch,
    /// The object to read at Stripe, where the event does not hold it.
    pub(super) live: Option<(Resource, String)>,
}

/// What is known of the subjects of a batch. A subject is loaded once, with everything that the
/// batch's events name, and known from the commits after that: their versions tell when somebody
/// else was faster.
#[derive(Default)]
pub(super) struct Known {
    wanted: BTreeMap<(Tenant, String), Wanted>,
    subjects: BTreeMap<Tenant, Loaded>,
    /// What was asked for of each subject besides its current records: what is not there of it does
    /// not exist.
    read: BTreeMap<Tenant, BTreeMap<String, BTreeSet<ObjectRef>>>,
}

#[derive(Debug, thiserror::Error)]
#[error("the rows of {0:?} in `subjects` own each other: clear `owner` in one of them")]
struct Astray(BTreeSet<String>);

#[derive(Default)]
struct Wanted {
    ids: BTreeSet<String>,
    objects: BTreeSet<ObjectRef>,
}

impl Wanted {
    fn add(&mut self, patch: &Patch) {
        self.ids.extend(patch.names.iter().map(|name| name.id.clone()));
        self.objects.extend(patch.objects());
    }
}

impl Known {
    pub(super) fn of<'a>(batch: impl Iterator<Item = &'a Work>) -> Self {
        let mut known = Self::default();
        for work in batch {
            if let Input::Read(read) = &work.input
                && let Some(name) = read.patch.name()
            {
                let key = (work.claimed.event.key.tenant.clone(), name.id.clone());
                known.wanted.entry(key).or_default().add(&read.patch);
            }
        }
        known
    }

    /// The subject that a patch belongs to, from what is known, or loaded.
    pub(super) async fn family(
        &mut self,
        store: &dyn EventStore,
        tenant: &Tenant,
        patch: &Patch,
    ) -> Result<Family, StoreError> {
        let mut wanted = Wanted::default();
        wanted.add(patch);
        if let Some(name) = patch.name()
            && let Some(batch) = self.wanted.get(&(tenant.clone(), name.id.clone()))
        {
            wanted.ids.extend(batch.ids.iter().cloned());
            wanted.objects.extend(batch.objects.iter().cloned());
        }
        let known = self.subjects.entry(tenant.clone()).or_default();
        let read = self.read.entry(tenant.clone()).or_default();
        loop {
            match Family::resolve(tenant, patch, known) {
                Resolved::Family(family) => {
                    let id = &family.subject.key.id;
                    let needed = family.needed(patch);
                    let has_read = read.entry(id.clone()).or_default();
                    if family.subject.version == 0 || needed.is_subset(has_read) {
                        return Ok(*family);
                    }
                    // A name led here, or what a payment paid for is known only now.
                    wanted.objects.extend(needed);
                    wanted.objects.extend(has_read.iter().cloned());
                    known.remove(id);
                    wanted.ids.insert(id.clone());
                }
                Resolved::Load(missing) => wanted.ids.extend(missing),
                Resolved::Astray(names) => {
                    return Err(StoreError::new(ErrorKind::Corrupt, Astray(names)));
                }
            }
            let ids: Vec<String> =
                wanted.ids.iter().filter(|id| !known.contains_key(*id)).cloned().collect();
            let objects = wanted.objects.iter().cloned().collect();
            let request = LoadRequest { tenant: tenant.clone(), ids, objects };
            let loaded = store.load(&request).await?;
            for id in request.ids {
                read.entry(id.clone()).or_default().extend(wanted.objects.iter().cloned());
                known.insert(id, None);
            }
            known.extend(loaded.into_iter().map(|row| (row.key.id.clone(), Some(row))));
        }
    }

    /// Takes over what was committed.
    pub(super) fn committed(&mut self, family: Family, changes: &Changes) {
        let mut subject = family.subject;
        subject.apply(changes);
        let tenant = subject.key.tenant.clone();
        let known = self.subjects.entry(tenant.clone()).or_default();
        for name in &changes.adopted {
            let mut row = Subject::new(SubjectKey { tenant: tenant.clone(), id: name.id.clone() });
            row.version = name.expected_version + 1;
            row.owner = Some(subject.key.id.clone());
            row.links = name.links.clone();
            known.insert(name.id.clone(), Some(row));
        }
        known.insert(subject.key.id.clone(), Some(subject));
    }

    /// Forgets a tenant's subjects: somebody else changed one of them.
    pub(super) fn forget(&mut self, tenant: &Tenant) {
        self.subjects.remove(tenant);
        self.read.remove(tenant);
    }
}
