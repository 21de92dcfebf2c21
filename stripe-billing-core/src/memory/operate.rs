use async_trait::async_trait;
use chrono::{DateTime, Utc};

use super::{EventRow, Inner, MemoryStore};
use crate::changes::Effects;
use crate::error::StoreError;
use crate::keys::{SubjectKey, Tenant};
use crate::state::{ObjectKind, ObjectRef};
use crate::store::{
    Attempt, AuditLine, Carried, EventRange, KnownFailure, OPEN_STATUSES, Operate, Order, Paused,
    TicketNews, TicketSweep, Verb,
};
use crate::ticket::{Ticket, TicketStatus};

#[async_trait]
impl Operate for MemoryStore {
    async fn operate(&self, order: &Order) -> Result<Carried, StoreError> {
        let mut inner = self.lock();
        if let Some((verb, carried)) = inner.orders.get(&order.request) {
            if *verb != order.verb {
                return Err(StoreError::key_reused(&order.request));
            }
            return Ok(Carried { repeated: true, ..carried.clone() });
        }
        let carried = inner.carry_out(order);
        inner.orders.insert(order.request.clone(), (order.verb.clone(), carried.clone()));
        Ok(carried)
    }

    async fn paused(&self) -> Result<Option<Paused>, StoreError> {
        Ok(self.lock().paused.clone())
    }

    async fn known_failure(
        &self,
        tenant: &Tenant,
        key: &str,
        since: DateTime<Utc>,
    ) -> Result<KnownFailure, StoreError> {
        let inner = self.lock();
        let dated = format!("{key}@");
        let tickets = || inner.tickets.values().map(|row| &row.ticket);
        let newest = tickets().rev().find(|ticket| {
            ticket.subject.tenant == *tenant
                && (ticket.key == key || ticket.key.starts_with(&dated))
        });
        let lately =
            tickets().filter(|ticket| ticket.kind.is_failure() && ticket.opened_at >= since);
        Ok(KnownFailure { ticket: newest.cloned(), opened: lately.count() as u64 })
    }

    async fn ticket(&self, tenant: &Tenant, key: &str) -> Result<Option<Ticket>, StoreError> {
        let inner = self.lock();
        let mut tickets = inner.tickets.values().map(|row| &row.ticket);
        let same = |ticket: &&Ticket| ticket.key == key && ticket.subject.tenant == *tenant;
        Ok(tickets.find(same).cloned())
    }

    async fn record_effects(
        &self,
        subject: &SubjectKey,
        effects: &Effects,
        now: DateTime<Utc>,
    ) -> Result<(), StoreError> {
        let mut inner = self.lock();
        let new = inner.new_entries(&subject.tenant, effects)?;
        inner.tell(subject, effects, new, now);
        Ok(())
    }

    async fn close_tickets(&self, now: DateTime<Utc>) -> Result<TicketSweep, StoreError> {
        let inner = &mut *self.lock();
        let mut sweep = TicketSweep::default();
        for row in inner.tickets.values_mut() {
            let ticket = &mut row.ticket;
            if !ticket.kind.is_failure() || ticket.status == TicketStatus::Resolved {
                continue;
            }
            let same = |tenant: &Tenant, key: &Option<String>| {
                *tenant == ticket.subject.tenant && key.as_ref() == Some(&ticket.key)
            };
            let fails = |row: &EventRow| {
                OPEN_STATUSES.contains(&row.queue.status)
                    && same(&row.event.key.tenant, &row.ticket)
            };
            let is_open = inner.events.values().any(fails)
                || inner.outbox.values().any(|row| {
                    ["pending", "sending", "dead"].contains(&row.queue.status)
                        && same(&row.subject.tenant, &row.ticket)
                });
            if is_open {
                sweep.open += 1;
                continue;
            }
            (ticket.status, ticket.updated_at) = (TicketStatus::Resolved, now);
            row.revision += 1;
            sweep.closed += 1;
        }
        Ok(sweep)
    }

    async fn ticket_news(&self, limit: u32) -> Result<Vec<TicketNews>, StoreError> {
        let inner = self.lock();
        let mut changed: Vec<_> =
            inner.tickets.values().filter(|row| row.revision != row.told).collect();
        changed.sort_by_key(|row| (row.ticket.updated_at, row.ticket.number));
        let limit = usize::try_from(limit).unwrap_or(usize::MAX);
        let news = changed.into_iter().take(limit).map(|row| TicketNews {
            ticket: row.ticket.clone(),
            revision: row.revision,
            told_open: row.told_open,
        });
        Ok(news.collect())
    }

    async fn ticket_told(&self, news: &TicketNews) -> Result<(), StoreError> {
        if let Some(row) = self.lock().tickets.get_mut(&news.ticket.number)
            && row.told < news.revision
        {
            row.told = news.revision;
            row.told_open = Some(news.ticket.status != TicketStatus::Resolved);
        }
        Ok(())
    }

    async fn release_config(
        &self,
        configuration: &str,
        now: DateTime<Utc>,
    ) -> Result<u64, StoreError> {
        let inner = &mut *self.lock();
        if inner.configuration.as_deref() == Some(configuration) {
            return Ok(0);
        }
        inner.configuration = Some(configuration.to_owned());
        let events =
            inner.events.values_mut().map(|row| (&mut row.queue, row.error_class, "received"));
        let messages =
            inner.outbox.values_mut().map(|row| (&mut row.queue, row.error_class, "pending"));
        let mut released = 0;
        for (queue, class, status) in events.chain(messages) {
            if queue.status == "dead" && class == Some("config") {
                queue.begin(status, now);
                released += 1;
            }
        }
        Ok(released)
    }

    async fn attempts(&self, seq: i64) -> Result<Vec<Attempt>, StoreError> {
        let inner = self.lock();
        let failed = inner.events.get(&seq).map(|row| row.failed.as_slice()).unwrap_or_default();
        Ok(failed[failed.len().saturating_sub(100)..].to_vec())
    }
}

impl Inner {
    fn carry_out(&mut self, order: &Order) -> Carried {
        match &order.verb {
            Verb::Resolve { seq } | Verb::Dismiss { seq } | Verb::Release { seq } => {
                self.change_event(*seq, order)
            }
            Verb::Replay { range } => {
                let (changed, next) = self.requeue(range, order.now);
                let after = Some(format!("{changed} due again"));
                Carried { next, ..self.change_queue(order, changed, None, after) }
            }
            Verb::Redeliver { key } => {
                let chosen = self.outbox.values_mut().filter(|row| {
                    row.queue.status == "dead"
                        && key.as_ref().is_none_or(|key| *key == row.entry.key)
                });
                let changed =
                    chosen.map(|row| row.queue.begin("pending", order.now)).count() as u64;
                self.change_queue(order, changed, None, Some(format!("{changed} due again")))
            }
            Verb::Ticket { number, status } => self.change_ticket(*number, *status, order),
            Verb::Pause | Verb::Resume => self.switch(order),
        }
    }

    fn switch(&mut self, order: &Order) -> Carried {
        let pauses = order.verb == Verb::Pause;
        let word = |paused: bool| Some(if paused { "paused" } else { "running" }.to_owned());
        let was = self.paused.is_some();
        if pauses && !was {
            let (actor, reason) = (order.actor.clone(), order.reason.clone());
            self.paused = Some(Paused { actor, reason, since: order.now });
        } else if !pauses {
            self.paused = None;
        }
        self.change_queue(order, u64::from(was != pauses), word(was), word(pauses))
    }

    fn change_queue(
        &mut self,
        order: &Order,
        changed: u64,
        before: Option<String>,
        after: Option<String>,
    ) -> Carried {
        let subject = SubjectKey { tenant: Tenant::default(), id: "queue".to_owned() };
        self.log_order(order, subject, order.queue(), before.clone(), after.clone());
        Carried::new(changed, before, after)
    }

    fn change_ticket(&mut self, number: i64, status: TicketStatus, order: &Order) -> Carried {
        let nothing = Carried::new(0, None, None);
        let Some(row) = self.tickets.get_mut(&number) else { return nothing };
        let before = row.ticket.status;
        (row.ticket.status, row.ticket.updated_at) = (status, order.now);
        row.revision += 1;
        let subject = row.ticket.subject.clone();
        let object = ObjectRef { kind: ObjectKind::Ticket, id: row.ticket.key.clone() };
        let [before, after] = [before, status].map(|status| Some(status.as_str().to_owned()));
        self.log_order(order, subject, object, before.clone(), after.clone());
        Carried::new(1, before, after)
    }

    fn change_event(&mut self, seq: i64, order: &Order) -> Carried {
        let nothing = Carried::new(0, None, None);
        let Some(row) = self.events.get_mut(&seq) else { return nothing };
        let before = row.queue.status.to_owned();
        let Some(after) = order.verb.leads_to(&before) else {
            return Carried { before: Some(before), ..nothing };
        };
        let due = (after == "received").then_some(order.now);
        row.queue.rest(after, due);
        let key = row.event.key.clone();
        let id = row.subject.clone().unwrap_or_else(|| key.id.clone());
        let subject = SubjectKey { tenant: key.tenant, id };
        let object = ObjectRef { kind: ObjectKind::Event, id: key.id };
        let (before, after) = (Some(before), Some(after.to_owned()));
        self.log_order(order, subject, object, before.clone(), after.clone());
        Carried::new(1, before, after)
    }

    fn log_order(
        &mut self,
        order: &Order,
        subject: SubjectKey,
        object: ObjectRef,
        before: Option<String>,
        after: Option<String>,
    ) {
        let seq = self.audit.last().map_or(1, |line| line.seq + 1);
        let entry = order.audit(object, before, after);
        self.audit.push(AuditLine { seq, at: order.now, subject, entry });
    }

    /// How many it was, and where the next replay goes on if the limit ended this one.
    fn requeue(&mut self, range: &EventRange, now: DateTime<Utc>) -> (u64, Option<i64>) {
        let limit = usize::try_from(range.limit.min(EventRange::MAX)).unwrap_or(usize::MAX);
        let chosen =
            self.events.iter_mut().filter(|(seq, row)| row.rests() && range.holds(**seq, row));
        let (mut count, mut last) = (0, None);
        for (seq, row) in chosen.take(limit) {
            row.queue.begin("received", now);
            row.reason = None;
            (count, last) = (count + 1, Some(*seq));
        }
        let is_full = count >= u64::from(range.limit.min(EventRange::MAX));
        (count, last.filter(|_| is_full).map(|last| last + 1))
    }
}
