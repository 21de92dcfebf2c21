use async_trait::async_trait;
use chrono::{DateTime, Utc};

use super::{EventRow, MemoryStore};
use crate::error::StoreError;
use crate::keys::AccountKey;
use crate::state::Subject;
use crate::store::{EventQuery, EventSummary, Inspect, Stats};

#[async_trait]
impl Inspect for MemoryStore {
    async fn subjects_of(
        &self,
        account: &AccountKey,
        livemode: Option<bool>,
    ) -> Result<Vec<Subject>, StoreError> {
        let inner = self.lock();
        let belongs = inner.subjects.iter().filter(|(key, row)| {
            row.account.as_deref() == Some(account.account.as_str())
                && key.tenant.stripe_account == account.stripe_account
                && livemode.is_none_or(|mode| key.tenant.livemode == mode)
        });
        let subjects = belongs.map(|(key, row)| Subject {
            key: key.clone(),
            version: row.version,
            links: row.links.clone(),
            records: row
                .records
                .iter()
                .filter(|(_, (_, current))| *current)
                .map(|(object, (record, _))| (object.clone(), record.clone()))
                .collect(),
        });
        Ok(subjects.collect())
    }

    async fn events(&self, query: &EventQuery) -> Result<Vec<EventSummary>, StoreError> {
        let inner = self.lock();
        let before = query.after.unwrap_or(i64::MAX);
        let wanted = |row: &EventRow| {
            query.status.as_deref().is_none_or(|status| status == row.queue.status)
                && query.event_type.as_ref().is_none_or(|kind| *kind == row.event.event_type)
                && query.subject.as_ref().is_none_or(|id| Some(id) == row.subject.as_ref())
        };
        let limit = usize::try_from(query.limit.min(1_000)).unwrap_or(1_000);
        let newest_first = inner.events.range(..before).rev();
        Ok(newest_first
            .filter(|(_, row)| wanted(row))
            .take(limit)
            .map(|(seq, row)| EventSummary {
                seq: *seq,
                key: row.event.key.clone(),
                event_type: row.event.event_type.clone(),
                status: row.queue.status.to_owned(),
                reason: row.reason.clone(),
                message: row.message.clone(),
                subject: row.subject.clone(),
                created: row.event.created,
                received_at: row.event.received_at,
                attempts: row.queue.attempts,
                differs: row.differs,
            })
            .collect())
    }

    async fn stats(&self, now: DateTime<Utc>) -> Result<Stats, StoreError> {
        let inner = self.lock();
        let mut stats = Stats::default();
        for row in inner.events.values() {
            *stats.events.entry(row.queue.status.to_owned()).or_default() += 1;
        }
        for row in inner.outbox.values() {
            *stats.outbox.entry(row.queue.status.to_owned()).or_default() += 1;
        }
        let events = inner.events.values().map(|row| &row.queue);
        let mut queues = events.clone().chain(inner.outbox.values().map(|row| &row.queue));
        stats.idle = !queues
            .any(|queue| queue.is_due(now) || matches!(queue.status, "processing" | "sending"));
        let oldest = events.filter(|queue| queue.is_due(now)).filter_map(|queue| queue.due).min();
        let age = oldest.map_or(0, |due| (now - due).num_milliseconds());
        stats.queue_age_seconds = age as f64 / 1_000.0;
        Ok(stats)
    }

    async fn ping(&self) -> Result<(), StoreError> {
        Ok(())
    }
}
