use chrono::{DateTime, Utc};

use super::{Inner, OutboxRow, QueueState, TicketRow};
use crate::changes::{Effects, OutboxEntry};
use crate::error::StoreError;
use crate::keys::{SubjectKey, Tenant};
use crate::store::{AuditLine, LedgerTerms};
use crate::ticket::{Ticket, TicketStatus, TicketWrite};

impl Inner {
    /// The entries whose keys are new; an error when a key stands for another message.
    pub(super) fn new_entries(
        &self,
        tenant: &Tenant,
        effects: &Effects,
    ) -> Result<Vec<OutboxEntry>, StoreError> {
        let mut new: Vec<OutboxEntry> = Vec::new();
        for entry in &effects.outbox {
            let key = (tenant.clone(), entry.key.clone());
            let stored = self.outbox_keys.get(&key).and_then(|seq| self.outbox.get(seq));
            let twin = new.iter().find(|other| other.key == entry.key);
            match stored.map(|row| &row.entry).or(twin) {
                Some(known) if known.message == entry.message => {}
                Some(_) => return Err(StoreError::key_reused(&entry.key)),
                None => new.push(entry.clone()),
            }
        }
        Ok(new)
    }

    /// Writes what follows from an event beside the state.
    pub(super) fn tell(
        &mut self,
        subject: &SubjectKey,
        effects: &Effects,
        new: Vec<OutboxEntry>,
        now: DateTime<Utc>,
    ) {
        let Effects { outbox: _, shadow, tickets, audit, postings, ledger, failing: _ } = effects;
        for entry in new {
            let seq = self.outbox.last_key_value().map_or(1, |(seq, _)| seq + 1);
            self.outbox_keys.insert((subject.tenant.clone(), entry.key.clone()), seq);
            let mut queue = QueueState::new("pending", entry.due.unwrap_or(now));
            if *shadow {
                queue.rest("shadow", None);
            }
            self.outbox.insert(seq, OutboxRow::new(entry, subject.clone(), queue));
        }
        self.execute_postings(postings, &LedgerTerms { now, policy: *ledger });
        for write in tickets {
            self.write_ticket(subject, write, now);
        }
        for entry in audit {
            let seq = self.audit.last().map_or(1, |line| line.seq + 1);
            let subject = subject.clone();
            self.audit.push(AuditLine { seq, at: now, subject, entry: entry.clone() });
        }
    }

    fn write_ticket(&mut self, subject: &SubjectKey, write: &TicketWrite, now: DateTime<Utc>) {
        let same = |row: &&mut TicketRow| {
            row.ticket.key == write.key && row.ticket.subject.tenant == subject.tenant
        };
        let TicketWrite { key, kind, priority, open, object, event, title, due_by, context } =
            write.clone();
        if let Some(row) = self.tickets.values_mut().find(same) {
            let known = &mut row.ticket;
            known.status = match (open, known.status) {
                (false, _) => TicketStatus::Resolved,
                (true, TicketStatus::Resolved) => TicketStatus::Open,
                (true, status) => status,
            };
            (known.kind, known.priority, known.subject) = (kind, priority, subject.clone());
            (known.object, known.event, known.title) = (object, event, title);
            (known.due_by, known.updated_at) = (due_by, now);
            known.context = context.or(known.context.take());
            known.count += 1;
            row.revision += 1;
        } else if open {
            let number = self.tickets.last_key_value().map_or(1, |(number, _)| number + 1);
            let ticket = Ticket {
                number,
                key,
                kind,
                priority,
                status: TicketStatus::Open,
                subject: subject.clone(),
                object,
                event,
                title,
                due_by,
                count: 1,
                context,
                opened_at: now,
                updated_at: now,
            };
            let row = TicketRow { ticket, revision: 1, told: 0, told_open: None };
            self.tickets.insert(number, row);
        }
    }
}
