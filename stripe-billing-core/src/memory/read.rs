use std::collections::BTreeMap;

use async_trait::async_trait;
use chrono::{DateTime, Utc};

use super::{EventRow, MemoryStore, OutboxRow};
use crate::error::StoreError;
use crate::keys::{AccountKey, SubjectKey, Tenant};
use crate::ledger::Account;
use crate::state::Subject;
use crate::store::{
    AuditLine, AuditQuery, Backlog, EventQuery, EventRange, EventSummary, Inspect, OPEN_STATUSES,
    Records, Stats, StoredEvent, TicketQuery,
};
use crate::ticket::{Ticket, TicketStatus};

#[async_trait]
impl Inspect for MemoryStore {
    async fn subjects_of(
        &self,
        account: &AccountKey,
        livemode: Option<bool>,
        records: Records,
    ) -> Result<Vec<Subject>, StoreError> {
        let inner = self.lock();
        let belongs = inner.subjects.iter().filter(|(key, row)| {
            row.account.as_deref() == Some(account.account.as_str())
                && key.tenant.stripe_account == account.stripe_account
                && livemode.is_none_or(|mode| key.tenant.livemode == mode)
        });
        Ok(belongs.map(|(key, row)| row.all(key, records)).collect())
    }

    async fn subject(&self, key: &SubjectKey) -> Result<Option<Subject>, StoreError> {
        let inner = self.lock();
        let owner = inner.subjects.get(key).and_then(|row| row.owner.clone());
        let key = match owner {
            Some(id) => SubjectKey { tenant: key.tenant.clone(), id },
            None => key.clone(),
        };
        Ok(inner.subjects.get(&key).map(|row| row.all(&key, Records::All)))
    }

    async fn notices(
        &self,
        tenant: &Tenant,
        subjects: &[String],
        now: DateTime<Utc>,
    ) -> Result<BTreeMap<String, u64>, StoreError> {
        let inner = self.lock();
        let counts = |row: &&OutboxRow| {
            row.entry.message.is_notice()
                && row.subject.tenant == *tenant
                && subjects.contains(&row.subject.id)
                && row.queue.status != "dropped"
                && (row.queue.status != "pending" || row.queue.is_due(now))
        };
        let mut notices = BTreeMap::new();
        for row in inner.outbox.values().filter(counts) {
            *notices.entry(row.entry.message.kind().to_owned()).or_default() += 1;
        }
        Ok(notices)
    }

    async fn events(&self, query: &EventQuery) -> Result<Vec<EventSummary>, StoreError> {
        let inner = self.lock();
        let before = query.after.unwrap_or(i64::MAX);
        let wanted = |row: &EventRow| {
            query.status.as_deref().is_none_or(|status| status == row.queue.status)
                && query.event_type.as_ref().is_none_or(|kind| *kind == row.event.event_type)
                && query.subject.as_ref().is_none_or(|id| Some(id) == row.subject.as_ref())
                && query.ticket.as_ref().is_none_or(|key| Some(key) == row.ticket.as_ref())
        };
        let newest_first = inner.events.range(..before).rev();
        let page = newest_first.filter(|(_, row)| wanted(row)).take(page(query.limit));
        Ok(page.map(|(seq, row)| row.summary(*seq)).collect())
    }

    async fn events_by_id(&self, id: &str) -> Result<Vec<StoredEvent>, StoreError> {
        let inner = self.lock();
        let same = inner.events.iter().filter(|(_, row)| row.event.key.id == id);
        Ok(same.map(|(seq, row)| row.stored(*seq)).collect())
    }

    async fn count_replayable(&self, range: &EventRange) -> Result<u64, StoreError> {
        let inner = self.lock();
        let limit = usize::try_from(range.limit.min(100_000)).unwrap_or(100_000);
        let rests = |(seq, row): &(&i64, &EventRow)| row.rests() && range.holds(**seq, row);
        Ok(inner.events.iter().filter(rests).take(limit).count() as u64)
    }

    async fn stored_events(&self, range: &EventRange) -> Result<Vec<StoredEvent>, StoreError> {
        let inner = self.lock();
        let limit = usize::try_from(range.limit.min(EventRange::MAX)).unwrap_or(usize::MAX);
        let chosen = inner.events.iter().filter(|(seq, row)| range.holds(**seq, row)).take(limit);
        Ok(chosen.map(|(seq, row)| row.stored(*seq)).collect())
    }

    async fn tickets(&self, query: &TicketQuery) -> Result<Vec<Ticket>, StoreError> {
        let inner = self.lock();
        let wanted = |ticket: &&Ticket| {
            query.status.is_none_or(|status| status == ticket.status)
                && query.subject.as_ref().is_none_or(|id| *id == ticket.subject.id)
        };
        let newest_first = inner.tickets.range(..query.after.unwrap_or(i64::MAX)).rev();
        let tickets = newest_first.map(|(_, row)| &row.ticket);
        let page = tickets.filter(wanted).take(page(query.limit));
        Ok(page.cloned().collect())
    }

    async fn audit(&self, query: &AuditQuery) -> Result<Vec<AuditLine>, StoreError> {
        let inner = self.lock();
        let wanted = |line: &&AuditLine| {
            query.after.is_none_or(|after| line.seq < after)
                && query.subject.as_ref().is_none_or(|id| *id == line.subject.id)
        };
        Ok(inner.audit.iter().rev().filter(wanted).take(page(query.limit)).cloned().collect())
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

    async fn backlog(&self) -> Result<Backlog, StoreError> {
        let inner = self.lock();
        let mut backlog = Backlog::default();
        let max = Backlog::MAX as usize;
        let open = |row: &&EventRow| OPEN_STATUSES.contains(&row.queue.status);
        for row in inner.events.values().filter(open).take(max) {
            let types = backlog.events.entry(row.queue.status.to_owned()).or_default();
            *types.entry(row.event.event_type.clone()).or_default() += 1;
        }
        let tickets = inner.tickets.values().map(|row| &row.ticket);
        for ticket in tickets.filter(|one| one.status != TicketStatus::Resolved).take(max) {
            *backlog.tickets.entry(ticket.kind.as_str().to_owned()).or_default() += 1;
        }
        let accounts = || inner.ledger.accounts();
        let reservations = accounts().flat_map(Account::open_reservations).take(max);
        backlog.reservations = reservations.count() as u64;
        let debtors = accounts().filter(|account| account.balance.debt > 0).take(max);
        backlog.debtors = debtors.count() as u64;
        Ok(backlog)
    }

    async fn ping(&self) -> Result<(), StoreError> {
        Ok(())
    }
}

fn page(limit: u32) -> usize {
    usize::try_from(limit.min(1_000)).unwrap_or(1_000)
}

impl EventRow {
    fn summary(&self, seq: i64) -> EventSummary {
        EventSummary {
            seq,
            key: self.event.key.clone(),
            event_type: self.event.event_type.clone(),
            status: self.queue.status.to_owned(),
            reason: self.reason.clone(),
            message: self.message.clone(),
            error_class: self.error_class.map(str::to_owned),
            ticket: self.ticket.clone(),
            due_at: self.queue.due,
            subject: self.subject.clone(),
            created: self.event.created,
            received_at: self.event.received_at,
            attempts: self.queue.attempts,
            crashes: self.queue.crashes,
            differs: self.differs,
            anomalies: self.anomalies.clone(),
        }
    }

    fn stored(&self, seq: i64) -> StoredEvent {
        StoredEvent {
            summary: self.summary(seq),
            kind: self.event.kind,
            api_version: self.event.api_version.clone(),
            payload: self.event.payload.clone(),
        }
    }
}
