//! Deliveries that arrive at the same time share one write: while a batch is being written the next
//! one gathers, so that an idle store adds no delay and a busy one commits once for many.

use std::collections::{HashMap, VecDeque};
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use stripe_billing_core::store::{Receipt, ReceivedEvent};
use stripe_billing_core::{ErrorKind, EventKey, StoreError};
use tokio::sync::oneshot;

use crate::db::Db;
use crate::dialect::Dialect;
use crate::inbox;
use crate::shared_error::SharedError;

/// Events written in one statement at most.
const MAX_BATCH: usize = 64;
/// Batches written at the same time. A second one begins only when a whole batch waits.
const MAX_WRITERS: usize = 4;
/// Events that wait at most. Beyond, intake is refused, and Stripe delivers again.
const MAX_WAITING: usize = 1_024;
/// How long a batch may take, so that a database that hangs does not hang intake for good.
const WRITE_TIMEOUT: Duration = Duration::from_secs(10);
/// How often a batch that was in another transaction's way is written again.
const MAX_CONFLICTS: usize = 5;

type Answer = Result<Receipt, StoreError>;

/// The way into the inbox.
#[derive(Clone)]
pub(crate) struct Intake(Arc<Shared>);

struct Shared {
    db: Arc<Db>,
    queue: Mutex<Queue>,
}

#[derive(Default)]
struct Queue {
    waiting: VecDeque<Job>,
    /// The length of their bodies together.
    waiting_bytes: usize,
    /// Tasks that are writing; each goes on until nothing waits.
    writers: usize,
}

impl Queue {
    fn pop(&mut self) -> Option<Job> {
        let job = self.waiting.pop_front()?;
        self.waiting_bytes -= job.event.payload.len();
        Some(job)
    }

    fn take_all(&mut self) -> VecDeque<Job> {
        self.waiting_bytes = 0;
        std::mem::take(&mut self.waiting)
    }
}

struct Job {
    event: ReceivedEvent,
    /// Sending fails when the caller has gone. Its event is stored all the same.
    reply: oneshot::Sender<Answer>,
}

impl fmt::Debug for Intake {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Intake").finish_non_exhaustive()
    }
}

#[derive(Debug, thiserror::Error)]
enum Refused {
    #[error("{MAX_WAITING} events wait to be stored already")]
    Full,
    #[error("the runtime that stored events has shut down")]
    Stopped,
    #[error("a batch of events was not stored within {WRITE_TIMEOUT:?}")]
    Hanging,
}

impl Intake {
    pub(crate) fn new(db: Arc<Db>) -> Self {
        Self(Arc::new(Shared { db, queue: Mutex::default() }))
    }

    pub(crate) async fn receive(&self, event: ReceivedEvent) -> Answer {
        let (reply, answer) = oneshot::channel();
        if self.0.push(Job { event, reply })? {
            // A task of its own, so that a caller who goes away takes nobody else's event along.
            tokio::spawn(write_all(Arc::clone(&self.0)));
        }
        answer
            .await
            .unwrap_or_else(|_| Err(StoreError::new(ErrorKind::Unavailable, Refused::Stopped)))
    }
}

impl Shared {
    fn queue(&self) -> MutexGuard<'_, Queue> {
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Queues a job; whether somebody has to start writing.
    fn push(&self, job: Job) -> Result<bool, StoreError> {
        let mut queue = self.queue();
        if queue.waiting.len() >= MAX_WAITING {
            return Err(StoreError::new(ErrorKind::Unavailable, Refused::Full));
        }
        queue.waiting_bytes += job.event.payload.len();
        queue.waiting.push_back(job);
        let (max_writers, max_bytes) = self.limits();
        let is_full = queue.waiting.len() >= MAX_BATCH || queue.waiting_bytes >= max_bytes;
        let starts = queue.writers == 0 || (is_full && queue.writers < max_writers);
        queue.writers += usize::from(starts);
        Ok(starts)
    }

    /// Batches at a time, and bytes of a batch.
    fn limits(&self) -> (usize, usize) {
        let writers = match self.db.dialect {
            Dialect::Sqlite => 1,
            Dialect::Postgres | Dialect::Mysql => MAX_WRITERS,
        };
        (writers, self.db.pools.batch_bytes)
    }

    /// The next batch; without one this writer ends.
    fn take(&self) -> Option<Vec<Job>> {
        let (_, max_bytes) = self.limits();
        let mut queue = self.queue();
        let mut batch = Vec::with_capacity(queue.waiting.len().min(MAX_BATCH));
        let mut bytes = 0;
        while let Some(next) = queue.waiting.front() {
            bytes += next.event.payload.len();
            let is_full = batch.len() == MAX_BATCH || bytes > max_bytes;
            if is_full && !batch.is_empty() {
                break;
            }
            batch.extend(queue.pop());
        }
        if batch.is_empty() {
            queue.writers -= 1;
            return None;
        }
        Some(batch)
    }
}

/// Counts a writer out also when its task is dropped or panics: whoever waits for the last one is
/// told, and the next delivery starts a new task.
struct Writing<'a>(&'a Shared);

impl Drop for Writing<'_> {
    fn drop(&mut self) {
        let mut queue = self.0.queue();
        queue.writers -= 1;
        if queue.writers == 0 {
            drop(queue.take_all());
        }
    }
}

async fn write_all(shared: Arc<Shared>) {
    let writing = Writing(&shared);
    while let Some(jobs) = shared.take() {
        metrics::histogram!("stripe_billing_intake_batch_events").record(jobs.len() as f64);
        let (events, replies): (Vec<_>, Vec<_>) =
            jobs.into_iter().map(|job| (job.event, job.reply)).unzip();
        let written = tokio::time::timeout(WRITE_TIMEOUT, write(&shared.db, &events))
            .await
            .unwrap_or_else(|_| Err(StoreError::new(ErrorKind::Timeout, Refused::Hanging)));
        match written {
            Ok(answers) => {
                for (reply, answer) in replies.into_iter().zip(answers) {
                    let _gone = reply.send(answer);
                }
            }
            Err(error) => {
                // Those who came meanwhile would wait for the same failure, one batch after the
                // other.
                let waiting = shared.queue().take_all();
                let shared_error = SharedError::new(error);
                for reply in replies.into_iter().chain(waiting.into_iter().map(|job| job.reply)) {
                    let _gone = reply.send(Err(shared_error.to_store_error()));
                }
            }
        }
    }
    // `take` has counted this writer out already.
    std::mem::forget(writing);
}

/// Writes a batch and answers each of its events; an error is everyone's.
async fn write(db: &Db, events: &[ReceivedEvent]) -> Result<Vec<Answer>, StoreError> {
    // The first event of each key is written. In the order of the keys, so that nodes that write
    // the same events do not wait for each other in a circle.
    let mut first: HashMap<&EventKey, usize> = HashMap::with_capacity(events.len());
    for (index, event) in events.iter().enumerate() {
        first.entry(&event.key).or_insert(index);
    }
    let mut order: Vec<usize> = first.values().copied().collect();
    order.sort_unstable_by(|a, b| events[*a].key.cmp(&events[*b].key));

    let mut answers: Vec<Option<Answer>> = events.iter().map(|_| None).collect();
    for (index, stored) in insert(db, events, &order).await? {
        match stored {
            Ok(true) => answers[index] = Some(Ok(Receipt::Stored)),
            Ok(false) => {}
            Err(error) => answers[index] = Some(Err(error)),
        }
    }
    settle_duplicates(db, events, &first, &mut answers).await;
    Ok(answers
        .into_iter()
        .map(|answer| {
            answer.unwrap_or_else(|| {
                Err(StoreError::new(ErrorKind::Other, "the event was not answered"))
            })
        })
        .collect())
}

/// Inserts the events at these places; for each, whether it is new.
async fn insert(
    db: &Db,
    events: &[ReceivedEvent],
    order: &[usize],
) -> Result<Vec<(usize, Result<bool, StoreError>)>, StoreError> {
    let batch: Vec<&ReceivedEvent> = order.iter().map(|index| &events[*index]).collect();
    match insert_again(db, &batch).await {
        Ok(inserted) => {
            let results = inserted.into_iter().map(Ok);
            return Ok(order.iter().copied().zip(results).collect());
        }
        Err(error) if is_everyones(&error) || batch.len() == 1 => return Err(error),
        Err(error) => {
            tracing::warn!(%error, events = batch.len(), "a batch was refused; storing one by one");
        }
    }
    // One of them holds what the database refuses, which is not the others' fault.
    let mut results = Vec::with_capacity(order.len());
    for (index, event) in order.iter().zip(&batch) {
        let inserted = insert_again(db, &[*event]).await;
        let one = inserted.map(|inserted| inserted.first().copied().unwrap_or(false));
        results.push((*index, one));
    }
    Ok(results)
}

fn is_everyones(error: &StoreError) -> bool {
    matches!(error.kind(), ErrorKind::Unavailable | ErrorKind::Timeout | ErrorKind::Conflict)
}

/// Inserting is idempotent, so what another transaction or a broken connection was in the way of is
/// simply done again. A connection that broke while it was idle is replaced before the second attempt.
async fn insert_again(db: &Db, batch: &[&ReceivedEvent]) -> Result<Vec<bool>, StoreError> {
    let (mut conflicts, mut breaks) = (0, 0);
    loop {
        let error = match inbox::insert(db, batch).await {
            Ok(inserted) => return Ok(inserted),
            Err(error) => error,
        };
        match error.kind() {
            ErrorKind::Conflict if conflicts < MAX_CONFLICTS => conflicts += 1,
            ErrorKind::Unavailable if breaks == 0 => breaks = 1,
            _ => return Err(error),
        }
    }
}

/// Answers those that were there before: in the table, or earlier in the batch.
async fn settle_duplicates(
    db: &Db,
    events: &[ReceivedEvent],
    first: &HashMap<&EventKey, usize>,
    answers: &mut [Option<Answer>],
) {
    let open: Vec<usize> = (0..events.len()).filter(|index| answers[*index].is_none()).collect();
    if open.is_empty() {
        return;
    }
    // Whose first in the batch was new is compared with that one, the others with the table.
    let is_new = |key: &EventKey| {
        first.get(key).is_some_and(|index| matches!(answers[*index], Some(Ok(Receipt::Stored))))
    };
    let known: Vec<&EventKey> =
        first.iter().filter(|(_, index)| answers[**index].is_none()).map(|(key, _)| *key).collect();
    let stored = match inbox::payloads(db, &known).await {
        Ok(stored) => stored,
        Err(error) => {
            let error = SharedError::new(error);
            for index in open {
                answers[index] = Some(Err(error.to_store_error()));
            }
            return;
        }
    };
    let mut results = Vec::with_capacity(open.len());
    for index in open {
        let event = &events[index];
        let before = if is_new(&event.key) {
            Some(events[first[&event.key]].payload.as_ref())
        } else {
            stored.get(&event.key).map(Vec::as_slice)
        };
        let answer = match before {
            Some(before) => duplicate(db, event, before).await,
            None => Err(not_stored(first, answers, &event.key)),
        };
        results.push((index, answer));
    }
    for (index, answer) in results {
        answers[index] = Some(answer);
    }
}

async fn duplicate(db: &Db, event: &ReceivedEvent, before: &[u8]) -> Answer {
    let differs = inbox::differs(before, &event.payload);
    if differs {
        tracing::warn!(event = event.key.id, "an event came again with other content");
        inbox::flag(db, &event.key).await?;
    }
    Ok(Receipt::Duplicate { differs })
}

/// The first of its key was refused, and so is this one.
fn not_stored(
    first: &HashMap<&EventKey, usize>,
    answers: &[Option<Answer>],
    key: &EventKey,
) -> StoreError {
    let refused = first.get(key).and_then(|index| answers[*index].as_ref()?.as_ref().err());
    match refused {
        Some(error) => StoreError::new(error.kind(), error.to_string()),
        None => StoreError::new(ErrorKind::Other, "the event was neither stored nor found"),
    }
}
