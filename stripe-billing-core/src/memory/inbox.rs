use async_trait::async_trait;
use chrono::{DateTime, Utc};

use super::{EventRow, Inner, MemoryStore, OutboxRow, QueueState, due};
use crate::changes::{Changes, OutboxEntry, Settlement};
use crate::error::{ErrorKind, StoreError};
use crate::queue::{ClaimRequest, Failure, Lease};
use crate::state::Subject;
use crate::store::{
    ClaimedEvent, Commit, EventStore, LoadRequest, Receipt, ReceivedEvent, Settled,
};
use crate::webhook::same_content;

#[async_trait]
impl EventStore for MemoryStore {
    async fn receive(&self, event: ReceivedEvent) -> Result<Receipt, StoreError> {
        let mut inner = self.lock();
        if let Some(seq) = inner.event_ids.get(&event.key).copied() {
            let differs = inner.events.get_mut(&seq).is_some_and(|row| {
                let differs = !same_content(&row.event.payload, &event.payload);
                row.differs |= differs;
                differs
            });
            return Ok(Receipt::Duplicate { differs });
        }
        let seq = inner.events.last_key_value().map_or(1, |(seq, _)| seq + 1);
        inner.event_ids.insert(event.key.clone(), seq);
        let queue = QueueState::new("received", event.received_at);
        let row = EventRow {
            event,
            queue,
            crashes: 0,
            subject: None,
            reason: None,
            message: None,
            differs: false,
        };
        inner.events.insert(seq, row);
        Ok(Receipt::Stored)
    }

    async fn claim(&self, request: &ClaimRequest) -> Result<Vec<ClaimedEvent>, StoreError> {
        let mut inner = self.lock();
        let due = due(inner.events.iter().map(|(seq, row)| (seq, &row.queue)), request);
        let claimed = due.into_iter().filter_map(|seq| {
            let row = inner.events.get_mut(&seq)?;
            if row.queue.status == "processing" {
                row.crashes += 1;
            }
            row.queue.claim("processing", request);
            Some(ClaimedEvent {
                lease: Lease { seq, epoch: row.queue.epoch },
                event: row.event.clone(),
                attempts: row.queue.attempts,
                crashes: row.crashes,
            })
        });
        Ok(claimed.collect())
    }

    async fn load(&self, request: &LoadRequest) -> Result<Subject, StoreError> {
        let inner = self.lock();
        let mut subject = Subject::new(request.subject.clone());
        if let Some(row) = inner.subjects.get(&request.subject) {
            subject.version = row.version;
            subject.links = row.links.clone();
            subject.records = row
                .records
                .iter()
                .filter(|(object, (_, current))| *current || request.objects.contains(object))
                .map(|(object, (record, _))| (object.clone(), record.clone()))
                .collect();
        }
        Ok(subject)
    }

    async fn commit(&self, lease: &Lease, changes: &Changes) -> Result<Commit, StoreError> {
        let mut inner = self.lock();
        if !inner.holds(lease) {
            return Ok(Commit::LeaseLost);
        }
        let version = inner.subjects.get(&changes.subject).map_or(0, |row| row.version);
        if version != changes.expected_version {
            return Ok(Commit::Conflict);
        }
        let new = inner.new_entries(changes)?;
        inner.write(lease, changes, new);
        Ok(Commit::Done)
    }

    async fn settle(&self, lease: &Lease, settled: &Settled) -> Result<bool, StoreError> {
        let mut inner = self.lock();
        let held = inner.holds(lease);
        if held && let Some(row) = inner.events.get_mut(&lease.seq) {
            row.subject = settled.subject.clone().or_else(|| row.subject.take());
            row.settle(&settled.settlement, settled.now);
        }
        Ok(held)
    }

    async fn release_parked(&self, catalog: &str, now: DateTime<Utc>) -> Result<u64, StoreError> {
        let current = format!("catalog:{catalog}");
        let waits = |reason: &str| reason.starts_with("catalog:") && reason != current;
        Ok(self.lock().release(waits, |_| true, now))
    }
}

impl Inner {
    fn holds(&self, lease: &Lease) -> bool {
        self.events.get(&lease.seq).is_some_and(|row| row.queue.is_held("processing", lease))
    }

    /// The entries whose keys are new; an error when a key stands for another fact.
    fn new_entries<'a>(&self, changes: &'a Changes) -> Result<Vec<&'a OutboxEntry>, StoreError> {
        let mut new: Vec<&OutboxEntry> = Vec::new();
        for entry in &changes.outbox {
            let key = (changes.subject.tenant.clone(), entry.key.clone());
            let stored = self.outbox_keys.get(&key).and_then(|seq| self.outbox.get(seq));
            let twin = new.iter().find(|other| other.key == entry.key).copied();
            match stored.map(|row| &row.entry).or(twin) {
                Some(known) if known.event == entry.event => {}
                Some(_) => {
                    let message = format!("outbox key {} stands for another fact", entry.key);
                    return Err(StoreError::new(ErrorKind::KeyReused, message));
                }
                None => new.push(entry),
            }
        }
        Ok(new)
    }

    fn write(&mut self, lease: &Lease, changes: &Changes, new: Vec<&OutboxEntry>) {
        let Changes {
            subject,
            expected_version,
            links,
            account,
            records,
            outbox: _, // Checked before; `new` holds what is not there yet.
            settlement,
            release_parked,
            now,
        } = changes;
        let row = self.subjects.entry(subject.clone()).or_default();
        row.version = expected_version + 1;
        row.links = links.clone();
        row.account = account.clone();
        for write in records {
            row.records.insert(write.record.object(), (write.record.clone(), write.current));
        }
        for entry in new {
            let seq = self.outbox.last_key_value().map_or(1, |(seq, _)| seq + 1);
            self.outbox_keys.insert((subject.tenant.clone(), entry.key.clone()), seq);
            let queue = QueueState::new("pending", *now);
            let row = OutboxRow { entry: entry.clone(), subject: subject.clone(), queue };
            self.outbox.insert(seq, row);
        }
        // Before the event itself is settled: its own commit does not release it.
        if *release_parked {
            let own = |row: &EventRow| {
                row.event.key.tenant == subject.tenant
                    && row.subject.as_deref() == Some(subject.id.as_str())
            };
            self.release(|reason| reason == "unlinked", own, *now);
        }
        if let Some(row) = self.events.get_mut(&lease.seq) {
            row.subject = Some(subject.id.clone());
            row.settle(settlement, *now);
        }
    }

    /// Makes parked events due again.
    fn release(
        &mut self,
        waits: impl Fn(&str) -> bool,
        chosen: impl Fn(&EventRow) -> bool,
        now: DateTime<Utc>,
    ) -> u64 {
        let mut released = 0;
        for row in self.events.values_mut() {
            let parked = row.queue.status == "parked";
            if parked && row.reason.as_deref().is_some_and(&waits) && chosen(row) {
                row.queue.rest("received", Some(now));
                row.reason = None;
                released += 1;
            }
        }
        released
    }
}

impl EventRow {
    fn settle(&mut self, settlement: &Settlement, now: DateTime<Utc>) {
        self.reason = None;
        match settlement {
            Settlement::Processed => self.queue.rest("processed", None),
            Settlement::Ignored(reason) => {
                self.queue.rest("ignored", None);
                self.reason = Some(reason.as_str().to_owned());
            }
            Settlement::Parked(reason) => {
                self.queue.rest("parked", None);
                self.reason = Some(reason.code());
            }
            Settlement::Retry { due, failure } => {
                self.queue.rest("retry_wait", Some(*due));
                self.fail(failure);
            }
            Settlement::Dead(failure) => {
                self.queue.rest("dead", None);
                self.fail(failure);
            }
            Settlement::Released => self.queue.rest("received", Some(now)),
        }
    }

    fn fail(&mut self, failure: &Failure) {
        self.queue.attempts += 1;
        self.reason = Some(failure.code.to_owned());
        self.message = Some(failure.message.clone());
    }
}
