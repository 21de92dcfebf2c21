use std::cmp::Reverse;

use async_trait::async_trait;
use chrono::{DateTime, Utc};

use super::{MemoryStore, OutboxRow, QueueState, due};
use crate::changes::{Message, OutboxEntry};
use crate::error::StoreError;
use crate::keys::{SubjectKey, Tenant};
use crate::notice::NoticeKind;
use crate::queue::{ClaimRequest, ErrorClass, Lease};
use crate::store::{Call, CallStore, ClaimedEntry, Delivery, Outbox, Told};

#[async_trait]
impl Outbox for MemoryStore {
    async fn claim_outbox(&self, request: &ClaimRequest) -> Result<Vec<ClaimedEntry>, StoreError> {
        let inner = &mut *self.lock();
        let due = due(inner.outbox.iter().map(|(seq, row)| (seq, &row.queue)), request);
        let claimed = due.into_iter().filter_map(|seq| {
            let row = inner.outbox.get_mut(&seq)?;
            row.queue.claim("sending", request);
            Some(ClaimedEntry {
                lease: Lease { seq, epoch: row.queue.epoch },
                entry: row.entry.clone(),
                account: inner.subjects.get(&row.subject).and_then(|s| s.account.clone()),
                subject: row.subject.clone(),
                attempts: row.queue.attempts,
                deferrals: row.queue.deferrals,
                crashes: row.queue.crashes,
            })
        });
        Ok(claimed.collect())
    }

    async fn settle_outbox(
        &self,
        leases: &[Lease],
        delivery: &Delivery,
        now: DateTime<Utc>,
    ) -> Result<u64, StoreError> {
        let mut inner = self.lock();
        let mut settled = 0;
        for lease in leases {
            let Some(row) = inner.outbox.get_mut(&lease.seq) else { continue };
            if !row.queue.is_held("sending", lease) {
                continue;
            }
            row.settle(delivery, now);
            settled += 1;
            if let Delivery::Dead { effects, .. } = delivery {
                let subject = row.subject.clone();
                let new = inner.new_entries(&subject.tenant, effects)?;
                inner.tell(&subject, effects, new, now);
            }
        }
        Ok(settled)
    }

    async fn told_since(
        &self,
        tenant: &Tenant,
        subjects: &[String],
        kinds: &[NoticeKind],
        since: DateTime<Utc>,
    ) -> Result<Vec<Told>, StoreError> {
        let inner = self.lock();
        let is_asked_for = |row: &OutboxRow| {
            matches!(&row.entry.message, Message::Notice(notice) if kinds.contains(&notice.kind))
                && row.subject.tenant == *tenant
                && subjects.contains(&row.subject.id)
        };
        let is_told = |row: &OutboxRow| {
            row.queue.status == "sending" || row.told_at.is_some_and(|at| at > since)
        };
        let rows = inner.outbox.iter().filter(|(_, row)| is_asked_for(row) && is_told(row));
        let mut told: Vec<Told> =
            rows.map(|(seq, row)| Told { seq: *seq, at: row.told_at }).collect();
        told.sort_by_key(|told| (told.at.is_some(), Reverse(told.at)));
        Ok(told)
    }
}

impl OutboxRow {
    pub(super) fn new(entry: OutboxEntry, subject: SubjectKey, queue: QueueState) -> Self {
        Self { entry, subject, queue, error_class: None, ticket: None, told_at: None }
    }

    fn settle(&mut self, delivery: &Delivery, now: DateTime<Utc>) {
        match delivery {
            Delivery::Done => {
                self.told_at = Some(now);
                self.queue.rest("done", None);
            }
            Delivery::Dropped => self.queue.rest("dropped", None),
            Delivery::Retry { due, failure } => {
                self.queue.attempts += 1;
                self.error_class = Some(failure.class.as_str());
                self.queue.rest("pending", Some(*due));
            }
            Delivery::Deferred { due, failure } => {
                self.queue.deferrals += u32::from(failure.class == ErrorClass::Deferred);
                self.error_class = Some(failure.class.as_str());
                self.queue.rest("pending", Some(*due));
            }
            Delivery::PutOff { due, reason: _ } => self.queue.rest("pending", Some(*due)),
            Delivery::Dead { failure, effects } => {
                self.queue.attempts += 1;
                self.error_class = Some(failure.class.as_str());
                self.ticket = effects.failing.clone();
                self.queue.rest("dead", None);
            }
        }
    }
}

#[async_trait]
impl CallStore for MemoryStore {
    async fn begin_call(
        &self,
        key: &str,
        fingerprint: &str,
        now: DateTime<Utc>,
    ) -> Result<Call, StoreError> {
        let mut inner = self.lock();
        let call = inner.calls.entry(key.to_owned()).or_insert_with(|| Call {
            key: key.to_owned(),
            generation: 1,
            fingerprint: fingerprint.to_owned(),
            started_at: now,
            result: None,
        });
        Ok(call.clone())
    }

    async fn finish_call(
        &self,
        key: &str,
        generation: i64,
        result: &str,
    ) -> Result<bool, StoreError> {
        let mut inner = self.lock();
        let open = |call: &&mut Call| call.generation == generation && call.result.is_none();
        let call = inner.calls.get_mut(key).filter(open);
        Ok(call.map(|call| call.result = Some(result.to_owned())).is_some())
    }

    async fn restart_call(
        &self,
        key: &str,
        generation: i64,
        fingerprint: &str,
        now: DateTime<Utc>,
    ) -> Result<bool, StoreError> {
        let mut inner = self.lock();
        let call = inner.calls.get_mut(key).filter(|call| call.generation == generation);
        let restart = |call: &mut Call| {
            call.generation += 1;
            call.fingerprint = fingerprint.to_owned();
            call.started_at = now;
            call.result = None;
        };
        Ok(call.map(restart).is_some())
    }
}
