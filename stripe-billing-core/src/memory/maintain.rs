use async_trait::async_trait;
use bytes::Bytes;
use chrono::{DateTime, Utc};

use super::{EventRow, MemoryStore};
use crate::error::StoreError;
use crate::keys::SubjectKey;
use crate::store::{EventRange, Maintain};

impl EventRange {
    pub(super) fn holds(&self, seq: i64, row: &EventRow) -> bool {
        self.from.is_none_or(|from| from <= seq)
            && self.until.is_none_or(|until| seq <= until)
            && self.status.as_deref().is_none_or(|status| status == row.queue.status)
            && self.event_type.as_ref().is_none_or(|kind| *kind == row.event.event_type)
            && self.subject.as_ref().is_none_or(|id| Some(id) == row.subject.as_ref())
            && self.ticket.as_ref().is_none_or(|key| Some(key) == row.ticket.as_ref())
    }
}

impl EventRow {
    /// Whether a replay may take it.
    pub(super) fn rests(&self) -> bool {
        let at_rest = ["processed", "ignored", "parked", "dead", "resolved", "dismissed"];
        at_rest.contains(&self.queue.status) && !self.event.payload.is_empty()
    }
}

#[async_trait]
impl Maintain for MemoryStore {
    async fn prune(&self, before: DateTime<Utc>, limit: u32) -> Result<u64, StoreError> {
        let mut inner = self.lock();
        let old = |row: &&mut EventRow| {
            matches!(row.queue.status, "processed" | "ignored")
                && row.event.received_at < before
                && !row.event.payload.is_empty()
        };
        let limit = usize::try_from(limit).unwrap_or(usize::MAX);
        let pruned = inner.events.values_mut().filter(old).take(limit);
        Ok(pruned.map(|row| row.event.payload = Bytes::new()).count() as u64)
    }

    async fn prune_attempts(&self, before: DateTime<Utc>, limit: u32) -> Result<u64, StoreError> {
        let mut inner = self.lock();
        let failed = inner.events.iter().flat_map(|(seq, row)| {
            let old = row.failed.iter().filter(|attempt| attempt.at < before);
            old.map(|attempt| (attempt.at, *seq))
        });
        let mut old: Vec<_> = failed.collect();
        old.sort_unstable();
        old.truncate(usize::try_from(limit).unwrap_or(usize::MAX));
        for (at, seq) in &old {
            let Some(row) = inner.events.get_mut(seq) else { continue };
            if let Some(place) = row.failed.iter().position(|attempt| attempt.at == *at) {
                row.failed.remove(place);
            }
        }
        Ok(old.len() as u64)
    }

    async fn erase(&self, subject: &SubjectKey) -> Result<u64, StoreError> {
        let mut inner = self.lock();
        if let Some(row) = inner.subjects.get_mut(subject) {
            row.records.clear();
            row.version += 1;
        }
        let about = |row: &&mut EventRow| {
            row.event.key.tenant == subject.tenant
                && row.subject.as_ref() == Some(&subject.id)
                && !row.event.payload.is_empty()
        };
        let erased = inner.events.values_mut().filter(about);
        Ok(erased.map(|row| row.event.payload = Bytes::new()).count() as u64)
    }
}
