//! A store in memory: the reference that plugins are measured against, and the store of fast tests.

mod effects;
mod inbox;
mod ledger;
mod maintain;
mod operate;
mod outbox;
mod read;

use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use chrono::{DateTime, Utc};

use crate::keys::{EventKey, SubjectKey, Tenant};
use crate::ledger::{Ledger, LedgerKey};
use crate::queue::{ClaimRequest, Lease};
use crate::state::{Links, ObjectRef, Record, Subject};
use crate::store::{Attempt, AuditLine, Call, Carried, Paused, ReceivedEvent, Records, Verb};
use crate::ticket::Ticket;

/// Keeps everything in memory and nothing beyond the process. Clones share one store.
#[derive(Clone, Debug, Default)]
pub struct MemoryStore {
    inner: Arc<Mutex<Inner>>,
}

#[derive(Debug, Default)]
struct Inner {
    events: BTreeMap<i64, EventRow>,
    event_ids: HashMap<EventKey, i64>,
    subjects: BTreeMap<SubjectKey, SubjectRow>,
    outbox: BTreeMap<i64, OutboxRow>,
    outbox_keys: HashMap<(Tenant, String), i64>,
    calls: HashMap<String, Call>,
    tickets: BTreeMap<i64, TicketRow>,
    audit: Vec<AuditLine>,
    /// Orders by request id.
    orders: HashMap<String, (Verb, Carried)>,
    paused: Option<Paused>,
    configuration: Option<String>,
    ledger: Ledger,
    /// The last entry of each account that the usage figures count.
    rolled_up: BTreeMap<LedgerKey, i64>,
}

#[derive(Debug)]
struct EventRow {
    event: ReceivedEvent,
    queue: QueueState,
    worker: Option<String>,
    subject: Option<String>,
    reason: Option<String>,
    message: Option<String>,
    error_class: Option<&'static str>,
    ticket: Option<String>,
    failed: Vec<Attempt>,
    differs: bool,
    anomalies: Option<String>,
}

#[derive(Debug, Default)]
struct SubjectRow {
    version: i64,
    owner: Option<String>,
    links: Links,
    account: Option<String>,
    records: BTreeMap<ObjectRef, (Record, bool)>,
}

#[derive(Debug)]
struct OutboxRow {
    entry: crate::changes::OutboxEntry,
    subject: SubjectKey,
    queue: QueueState,
    error_class: Option<&'static str>,
    ticket: Option<String>,
    /// When it was handed over.
    told_at: Option<DateTime<Utc>>,
}

/// A ticket, and how much of it was told.
#[derive(Debug)]
struct TicketRow {
    ticket: Ticket,
    revision: i64,
    told: i64,
    told_open: Option<bool>,
}

impl SubjectRow {
    fn read(&self, key: &SubjectKey, wanted: impl Fn(&ObjectRef, bool) -> bool) -> Subject {
        let records = self.records.iter().filter(|(object, (_, current))| wanted(object, *current));
        Subject {
            key: key.clone(),
            version: self.version,
            owner: self.owner.clone(),
            links: self.links.clone(),
            records: records
                .map(|(object, (record, _))| (object.clone(), record.clone()))
                .collect(),
        }
    }

    fn all(&self, key: &SubjectKey, records: Records) -> Subject {
        self.read(key, |_, current| current || records == Records::All)
    }
}

/// The columns that both queues share.
#[derive(Debug)]
struct QueueState {
    status: &'static str,
    /// When it is due; `None` when nothing is left to do. A leased item is due when the lease ends.
    due: Option<DateTime<Utc>>,
    epoch: i64,
    attempts: u32,
    deferrals: u32,
    crashes: u32,
}

impl QueueState {
    fn new(status: &'static str, due: DateTime<Utc>) -> Self {
        Self { status, due: Some(due), epoch: 0, attempts: 0, deferrals: 0, crashes: 0 }
    }

    fn is_due(&self, now: DateTime<Utc>) -> bool {
        self.due.is_some_and(|due| due <= now)
    }

    /// Takes the lease. Whoever had it let it run out.
    fn claim(&mut self, status: &'static str, request: &ClaimRequest) {
        if self.status == status {
            self.crashes += 1;
        }
        self.status = status;
        self.due = Some(request.now + request.lease);
        self.epoch += 1;
    }

    fn is_held(&self, leased: &'static str, lease: &Lease) -> bool {
        self.status == leased && self.epoch == lease.epoch
    }

    /// Whether its lease ever ran out.
    fn is_suspect(&self) -> bool {
        self.crashes > 0 || matches!(self.status, "processing" | "sending")
    }

    /// Begins afresh.
    fn begin(&mut self, status: &'static str, now: DateTime<Utc>) {
        let epoch = self.epoch;
        *self = Self { epoch, ..Self::new(status, now) };
    }

    fn rest(&mut self, status: &'static str, due: Option<DateTime<Utc>>) {
        self.status = status;
        self.due = due;
    }
}

/// The sequence numbers of due items, the longest due first: of one whose lease ever ran out, of that
/// alone, and otherwise of none such.
fn due<'a>(
    rows: impl Iterator<Item = (&'a i64, &'a QueueState)>,
    request: &ClaimRequest,
) -> Vec<i64> {
    let mut due: Vec<_> = rows
        .filter(|(_, queue)| queue.is_due(request.now))
        .map(|(seq, queue)| (queue.due, *seq, queue.is_suspect()))
        .collect();
    due.sort_unstable();
    due.truncate(usize::try_from(request.limit).unwrap_or(usize::MAX));
    match due.first() {
        Some((_, seq, true)) => vec![*seq],
        _ => due.into_iter().filter(|(_, _, suspect)| !suspect).map(|(_, seq, _)| seq).collect(),
    }
}

impl MemoryStore {
    /// An empty store.
    pub fn new() -> Self {
        Self::default()
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
