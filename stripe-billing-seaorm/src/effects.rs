//! What follows from an event beside the state: messages, tickets, the audit log.

use std::collections::{BTreeMap, BTreeSet};

use chrono::{DateTime, Utc};
use sea_orm::{ConnectionTrait, DatabaseTransaction, Value};
use serde_json::Value as Json;
use stripe_billing_core::StoreError;
use stripe_billing_core::changes::{AuditEntry, Effects, Message, OutboxEntry};
use stripe_billing_core::store::{LedgerPosting, LedgerTerms};
use stripe_billing_core::ticket::TicketWrite;

use crate::classify::{corrupt, is_duplicate};
use crate::db::{self, Db, column};
use crate::dialect::{Dialect, repeated};
use crate::ledger;

/// The columns of a subject: Stripe account, livemode and id.
pub(crate) type SubjectColumns = [Value; 3];

/// Effects as columns.
pub(crate) struct EffectRows<'a> {
    pub(crate) facts: Vec<FactRow<'a>>,
    pub(crate) shadow: bool,
    pub(crate) tickets: &'a [TicketWrite],
    pub(crate) audit: &'a [AuditEntry],
    pub(crate) postings: &'a [LedgerPosting],
    terms: LedgerTerms,
    now: DateTime<Utc>,
}

/// A message on its way out.
pub(crate) struct FactRow<'a> {
    pub(crate) entry: &'a OutboxEntry,
    pub(crate) body: String,
}

impl<'a> EffectRows<'a> {
    pub(crate) fn new(effects: &'a Effects, now: DateTime<Utc>) -> Result<Self, StoreError> {
        // Whole, so that a new kind of effect does not compile until it is written here.
        // Whose event it is goes with the settlement.
        let Effects { outbox, shadow, tickets, audit, postings, ledger, failing: _ } = effects;
        let mut known: BTreeMap<&str, &OutboxEntry> = BTreeMap::new();
        for entry in outbox {
            // Of two of one key the first holds.
            let told = known.entry(entry.key.as_str()).or_insert(entry);
            if told.message != entry.message {
                return Err(StoreError::key_reused(&entry.key));
            }
        }
        let facts = known
            .into_values()
            .map(|entry| {
                let body = serde_json::to_string(&entry.message).map_err(corrupt)?;
                Ok(FactRow { entry, body })
            })
            .collect::<Result<_, StoreError>>()?;
        let terms = LedgerTerms { now, policy: *ledger };
        Ok(Self { facts, shadow: *shadow, tickets, audit, postings, terms, now })
    }

    pub(crate) fn status(&self) -> &'static str {
        if self.shadow { "shadow" } else { "pending" }
    }

    fn now(&self) -> Value {
        db::micros(self.now).into()
    }

    /// When an entry is due, if it ever is.
    fn due(&self, fact: &FactRow<'_>) -> Option<i64> {
        (!self.shadow).then(|| self.due_or_now(fact))
    }

    pub(crate) fn due_or_now(&self, fact: &FactRow<'_>) -> i64 {
        db::micros(fact.entry.due.unwrap_or(self.now))
    }

    /// Writes all of them, each kind in statements of its own.
    pub(crate) async fn write(
        &self,
        db: &Db,
        tx: &DatabaseTransaction,
        subject: &SubjectColumns,
    ) -> Result<(), StoreError> {
        // First, so that on MySQL nothing was read yet that a lock is waited for after.
        if !self.postings.is_empty() {
            ledger::post(db, tx, self.postings, &self.terms).await?;
        }
        if !self.facts.is_empty() {
            self.write_facts(db, tx, subject).await?;
        }
        for ticket in self.tickets {
            self.write_ticket(db, tx, subject, ticket).await?;
        }
        if !self.audit.is_empty() {
            self.write_audit(db, tx, subject).await?;
        }
        Ok(())
    }

    /// Most of the messages of an event were told by an earlier one, so the table is read first.
    async fn write_facts(
        &self,
        db: &Db,
        tx: &DatabaseTransaction,
        subject: &SubjectColumns,
    ) -> Result<(), StoreError> {
        let told = self.told(db, tx, subject, "").await?;
        let mut missing: Vec<&FactRow<'_>> = self.facts.iter().collect();
        missing.retain(|fact| !told.contains(&fact.entry.key));
        while !missing.is_empty() {
            match self.insert_facts(db, tx, subject, &missing).await {
                Ok(inserted) if inserted == missing.len() as u64 => break,
                Ok(_) => {
                    self.told(db, tx, subject, "").await?;
                    break;
                }
                // MySQL undoes the statement and goes on with the transaction. The lock makes it
                // read what is there now, and not what was there when the transaction began.
                Err(error) if is_duplicate(&error) => {
                    let told = self.told(db, tx, subject, " LOCK IN SHARE MODE").await?;
                    missing.retain(|fact| !told.contains(&fact.entry.key));
                }
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }

    async fn insert_facts(
        &self,
        db: &Db,
        tx: &DatabaseTransaction,
        subject: &SubjectColumns,
        facts: &[&FactRow<'_>],
    ) -> Result<u64, StoreError> {
        let ignore = match db.dialect {
            Dialect::Mysql => "",
            Dialect::Sqlite | Dialect::Postgres => " ON CONFLICT DO NOTHING",
        };
        let sql = db.render(&format!(
            "INSERT INTO {{p}}outbox (stripe_account, livemode, subject, fact_key, kind, \
             is_notice, body, created_at, status, due_at) VALUES {}{ignore}",
            repeated("(?, ?, ?, ?, ?, ?, ?, ?, ?, ?)", ", ", facts.len())
        ));
        let mut values = Vec::with_capacity(facts.len() * 10);
        for fact in facts {
            values.extend(subject.iter().cloned());
            values.extend([
                db::text(&fact.entry.key),
                db::text(fact.entry.message.kind()),
                fact.entry.message.is_notice().into(),
                db::text(&fact.body),
                self.now(),
                db::text(self.status()),
                self.due(fact).into(),
            ]);
        }
        db.execute(tx, sql, values).await
    }

    /// The keys of what is in the outbox already; an error if one of them is another message.
    async fn told(
        &self,
        db: &Db,
        on: &impl ConnectionTrait,
        subject: &SubjectColumns,
        lock: &str,
    ) -> Result<BTreeSet<String>, StoreError> {
        // Few different lengths, so that few statements are prepared: the last one is repeated.
        let places = self.facts.len().next_power_of_two();
        let sql = db.render(&format!(
            "SELECT fact_key, body FROM {{p}}outbox \
             WHERE stripe_account = ? AND livemode = ? AND fact_key IN ({}){lock}",
            repeated("?", ", ", places)
        ));
        let mut values = subject[..2].to_vec();
        values.extend(self.facts.iter().map(|fact| db::text(&fact.entry.key)));
        if let Some(last) = values.last().cloned() {
            values.resize(2 + places, last);
        }
        let rows = db.query(on, sql, values).await?;
        let mut told = BTreeSet::new();
        for stored in &rows {
            let (key, body): (String, String) = (column(stored, 0)?, column(stored, 1)?);
            let fact = self.facts.iter().find(|fact| fact.entry.key == key);
            if !fact.is_some_and(|fact| fact.says(&body)) {
                return Err(StoreError::key_reused(&key));
            }
            told.insert(key);
        }
        Ok(told)
    }

    /// Updates the ticket, or opens it if there is none yet.
    async fn write_ticket(
        &self,
        db: &Db,
        tx: &DatabaseTransaction,
        subject: &SubjectColumns,
        write: &TicketWrite,
    ) -> Result<(), StoreError> {
        let TicketWrite { key, kind, priority, open, object, event, title, due_by, context } =
            write;
        let context = context.as_ref().map(serde_json::to_string).transpose().map_err(corrupt)?;
        let [account, livemode, id] = subject;
        let told = [
            db::text(kind.as_str()),
            db::text(priority.as_str()),
            id.clone(),
            db::optional(object.as_ref().map(|object| object.kind.as_str())),
            db::optional(object.as_ref().map(|object| object.id.as_str())),
            db::optional(event.as_deref()),
            db::text(title),
            (*due_by).into(),
            db::optional(context.as_deref()),
            self.now(),
        ];
        let place = [account.clone(), livemode.clone(), db::text(key)];
        let update = if *open { &db.sql.tell_ticket } else { &db.sql.close_ticket };
        let values: Vec<Value> = told.iter().chain(&place).cloned().collect();
        let known = db.execute(tx, update.as_str(), values.clone()).await?;
        if known > 0 || !open {
            return Ok(());
        }
        let opened = place.iter().chain(&told).cloned().chain([self.now()]).collect();
        match db.execute(tx, db.sql.open_ticket.as_str(), opened).await {
            Ok(1) => return Ok(()),
            Ok(_) => {}
            Err(error) if is_duplicate(&error) => {}
            Err(error) => return Err(error),
        }
        // Somebody else has opened it meanwhile.
        db.execute(tx, update.as_str(), values).await?;
        Ok(())
    }

    async fn write_audit(
        &self,
        db: &Db,
        tx: &DatabaseTransaction,
        subject: &SubjectColumns,
    ) -> Result<(), StoreError> {
        let sql = db.render(&format!(
            "INSERT INTO {{p}}audit (at, stripe_account, livemode, subject, actor, action, \
             object_kind, object_id, state_before, state_after, reason) VALUES {}",
            repeated("(?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)", ", ", self.audit.len())
        ));
        let mut values = Vec::with_capacity(self.audit.len() * 11);
        for entry in self.audit {
            let AuditEntry { actor, action, object, before, after, reason } = entry;
            values.push(self.now());
            values.extend(subject.iter().cloned());
            values.extend([
                db::text(actor),
                db::text(action),
                db::text(object.kind.as_str()),
                db::text(&object.id),
                db::optional(before.as_deref()),
                db::optional(after.as_deref()),
                db::optional(reason.as_deref()),
            ]);
        }
        db.execute(tx, sql, values).await?;
        Ok(())
    }
}

impl FactRow<'_> {
    /// Whether a stored body is this message, if in other words.
    fn says(&self, stored: &str) -> bool {
        if stored == self.body {
            return true;
        }
        match serde_json::from_str::<Message>(stored) {
            Ok(stored) => stored == self.entry.message,
            // Told by a newer version of the library, which may know more kinds.
            Err(_) => {
                let parse = |body| serde_json::from_str::<Json>(body).ok();
                parse(stored).is_some() && parse(stored) == parse(&self.body)
            }
        }
    }
}
