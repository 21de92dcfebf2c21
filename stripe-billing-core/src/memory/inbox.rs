use std::collections::BTreeSet;

use async_trait::async_trait;
use chrono::{DateTime, Utc};

use super::{EventRow, Inner, MemoryStore, QueueState, SubjectRow, due};
use crate::changes::{Adoption, Changes, OutboxEntry, Settlement};
use crate::error::StoreError;
use crate::keys::SubjectKey;
use crate::queue::{ClaimRequest, ErrorClass, Failure, Lease};
use crate::state::Subject;
use crate::store::{
    Attempt, ClaimedEvent, Commit, Decided, EventStore, LoadRequest, Receipt, ReceivedEvent,
    Settled,
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
            worker: None,
            subject: None,
            reason: None,
            message: None,
            error_class: None,
            ticket: None,
            failed: Vec::new(),
            differs: false,
            anomalies: None,
        };
        inner.events.insert(seq, row);
        Ok(Receipt::Stored)
    }

    async fn claim(&self, request: &ClaimRequest) -> Result<Vec<ClaimedEvent>, StoreError> {
        let mut inner = self.lock();
        let due = due(inner.events.iter().map(|(seq, row)| (seq, &row.queue)), request);
        let claimed = due.into_iter().filter_map(|seq| {
            let row = inner.events.get_mut(&seq)?;
            row.queue.claim("processing", request);
            row.worker = Some(request.worker.clone());
            Some(ClaimedEvent {
                lease: Lease { seq, epoch: row.queue.epoch },
                event: row.event.clone(),
                attempts: row.queue.attempts,
                deferrals: row.queue.deferrals,
                crashes: row.queue.crashes,
            })
        });
        Ok(claimed.collect())
    }

    async fn load(&self, request: &LoadRequest) -> Result<Vec<Subject>, StoreError> {
        let inner = self.lock();
        let ids: BTreeSet<&String> = request.ids.iter().collect();
        let loaded = ids.into_iter().filter_map(|id| {
            let key = SubjectKey { tenant: request.tenant.clone(), id: id.clone() };
            let row = inner.subjects.get(&key)?;
            Some(row.read(&key, |object, current| current || request.objects.contains(object)))
        });
        Ok(loaded.collect())
    }

    async fn commit(&self, lease: &Lease, changes: &Changes) -> Result<Commit, StoreError> {
        let mut inner = self.lock();
        if !inner.holds(lease) {
            return Ok(Commit::LeaseLost);
        }
        let version = |id: &str| {
            let key = SubjectKey { tenant: changes.subject.tenant.clone(), id: id.to_owned() };
            inner.subjects.get(&key).map_or(0, |row| row.version)
        };
        let moved = changes.adopted.iter().any(|name| version(&name.id) != name.expected_version);
        if moved || version(&changes.subject.id) != changes.expected_version {
            return Ok(Commit::Conflict);
        }
        let new = inner.new_entries(&changes.subject.tenant, &changes.effects)?;
        inner.write(lease, changes, new);
        Ok(Commit::Done)
    }

    async fn commit_all(&self, decided: &[Decided<'_>]) -> Result<usize, StoreError> {
        for (written, Decided { lease, changes }) in decided.iter().enumerate() {
            match self.commit(lease, changes).await {
                Ok(Commit::Done) => {}
                Err(error) if written == 0 => return Err(error),
                _ => return Ok(written),
            }
        }
        Ok(decided.len())
    }

    async fn settle(&self, lease: &Lease, settled: &Settled) -> Result<bool, StoreError> {
        let mut inner = self.lock();
        let Some(row) = inner.events.get(&lease.seq).filter(|_| inner.holds(lease)) else {
            return Ok(false);
        };
        let id = settled.subject.clone().or_else(|| row.subject.clone());
        let tenant = row.event.key.tenant.clone();
        let subject = SubjectKey { tenant, id: id.clone().unwrap_or(row.event.key.id.clone()) };
        let new = inner.new_entries(&subject.tenant, &settled.effects)?;
        inner.tell(&subject, &settled.effects, new, settled.now);
        if let Some(row) = inner.events.get_mut(&lease.seq) {
            row.subject = id;
            row.ticket = settled.effects.failing.clone().or(row.ticket.take());
            row.settle(&settled.settlement, settled.now);
        }
        Ok(true)
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

    fn write(&mut self, lease: &Lease, changes: &Changes, new: Vec<OutboxEntry>) {
        let Changes {
            subject,
            expected_version,
            links,
            account,
            records,
            adopted,
            effects,
            settlement,
            anomalies,
            release_parked,
            now,
        } = changes;
        for name in adopted {
            self.adopt(subject, name);
        }
        let row = self.subjects.entry(subject.clone()).or_default();
        row.version = expected_version + 1;
        row.links = links.clone();
        row.account = account.clone();
        for write in records {
            row.records.insert(write.record.object(), (write.record.clone(), write.current));
        }
        self.tell(subject, effects, new, *now);
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
            row.anomalies = (!anomalies.is_empty()).then(|| anomalies.join(" "));
            row.settle(settlement, *now);
        }
    }

    /// Makes an id another name of a subject.
    fn adopt(&mut self, subject: &SubjectKey, name: &Adoption) {
        let key = SubjectKey { tenant: subject.tenant.clone(), id: name.id.clone() };
        let row = SubjectRow {
            version: name.expected_version + 1,
            owner: Some(subject.id.clone()),
            links: name.links.clone(),
            ..SubjectRow::default()
        };
        self.subjects.insert(key.clone(), row);
        if name.had_state {
            let about = |row: &&mut EventRow| {
                row.event.key.tenant == key.tenant && row.subject.as_ref() == Some(&key.id)
            };
            for row in self.events.values_mut().filter(about) {
                row.subject = Some(subject.id.clone());
            }
            for row in self.outbox.values_mut().filter(|row| row.subject == key) {
                row.subject = subject.clone();
            }
            for row in self.tickets.values_mut().filter(|row| row.ticket.subject == key) {
                row.ticket.subject = subject.clone();
            }
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
                self.queue.attempts += 1;
                self.fail(failure, now);
            }
            Settlement::Deferred { due, failure } => {
                self.queue.rest("deferred", Some(*due));
                self.queue.deferrals += u32::from(failure.class == ErrorClass::Deferred);
                self.fail(failure, now);
            }
            Settlement::Dead(failure) => {
                self.queue.rest("dead", None);
                self.queue.attempts += 1;
                self.fail(failure, now);
            }
            Settlement::Released => self.queue.rest("received", Some(now)),
        }
    }

    fn fail(&mut self, failure: &Failure, now: DateTime<Utc>) {
        self.reason = Some(failure.code.to_owned());
        self.message = Some(failure.message.clone());
        self.error_class = Some(failure.class.as_str());
        self.failed.push(Attempt {
            at: now,
            class: failure.class.as_str().to_owned(),
            code: failure.code.to_owned(),
            message: failure.message.clone(),
            worker: self.worker.clone(),
        });
    }
}
