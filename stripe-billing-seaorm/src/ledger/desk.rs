//! One desk for each account: requests that arrive at the same time queue there, and whoever serves
//! it takes all of them at once.
//!
//! An account is kept in memory between operations. What is decided on it is written only if the
//! account is still in its version, and a refusal, or that there is nothing to do, is believed of an
//! account that is locked only.

use std::collections::{HashMap, VecDeque};
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use stripe_billing_core::ledger::{Answer, LedgerKey, Refusal, Request, Scope};
use stripe_billing_core::store::LedgerTerms;
use stripe_billing_core::{ErrorKind, StoreError};
use tokio::sync::oneshot;

use super::load;
use super::scribe::{Scribe, batch_operations, gather};
use super::state::{Decided, State, Work, is_frequent};
use crate::db::{self, Db};
use crate::shared_error::SharedError;

/// Operations written together at most.
const MAX_BATCH: usize = 128;
/// Operations that wait for one account at most.
const MAX_WAITING: usize = 4_096;
/// Accounts that are kept in memory.
const MAX_DESKS: usize = 16_384;
/// How long a batch may take, so that a database that hangs does not hang its callers for good.
const TIME_LIMIT: Duration = Duration::from_secs(10);
/// How often a batch is decided again that was in another transaction's way.
const MAX_CONFLICTS: usize = 8;

type Reply = Result<Result<Answer, Refusal>, StoreError>;

/// The way to the accounts.
#[derive(Clone)]
pub(crate) struct Desks(Arc<Shared>);

struct Shared {
    db: Arc<Db>,
    scribe: Scribe,
    open: Mutex<HashMap<LedgerKey, Desk>>,
}

#[derive(Default)]
struct Desk {
    waiting: VecDeque<Job>,
    /// Somebody serves it.
    is_served: bool,
    /// The account as it was written last.
    kept: Option<State>,
    /// Used since the desks were last cleared.
    is_used: bool,
}

struct Job {
    request: Request,
    terms: LedgerTerms,
    /// Sending fails when the caller has gone. The operation is done all the same.
    reply: oneshot::Sender<Reply>,
}

impl fmt::Debug for Desks {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Desks").finish_non_exhaustive()
    }
}

#[derive(Debug, thiserror::Error)]
enum Failed {
    #[error("{MAX_WAITING} operations wait for the account already")]
    Full,
    #[error("the runtime that served the account has shut down")]
    Stopped,
    #[error("operations on an account were not done within {TIME_LIMIT:?}")]
    Hanging,
    #[error("operations on an account were in the way of others {MAX_CONFLICTS} times")]
    Crowded,
}

impl Desks {
    pub(crate) fn new(db: Arc<Db>) -> Self {
        let scribe = Scribe::new(Arc::clone(&db));
        Self(Arc::new(Shared { db, scribe, open: Mutex::default() }))
    }

    pub(crate) async fn execute(
        &self,
        key: &LedgerKey,
        request: &Request,
        terms: &LedgerTerms,
    ) -> Reply {
        let (reply, answer) = oneshot::channel();
        // To the microsecond, as it will be read again.
        let now = db::from_micros(db::micros(terms.now))?;
        let terms = LedgerTerms { now, ..*terms };
        if self.0.push(key, Job { request: request.clone(), terms, reply })? {
            // A task of its own, so that a caller who goes away takes nobody else's along.
            tokio::spawn(serve(Arc::clone(&self.0), key.clone()));
        }
        answer
            .await
            .unwrap_or_else(|_| Err(StoreError::new(ErrorKind::Unavailable, Failed::Stopped)))
    }

    /// Forgets what is kept of accounts that were written past the desks. It would be found out, but
    /// at the price of an attempt.
    pub(crate) fn forget<'a>(&self, keys: impl Iterator<Item = &'a LedgerKey>) {
        let mut open = self.0.open();
        for key in keys {
            if let Some(desk) = open.get_mut(key) {
                desk.kept = None;
            }
        }
    }
}

impl Shared {
    fn open(&self) -> MutexGuard<'_, HashMap<LedgerKey, Desk>> {
        self.open.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Queues a job; whether somebody has to begin to serve.
    fn push(&self, key: &LedgerKey, job: Job) -> Result<bool, StoreError> {
        let mut open = self.open();
        if open.len() >= MAX_DESKS && !open.contains_key(key) {
            clear(&mut open);
        }
        let desk = match open.get_mut(key) {
            Some(desk) => desk,
            None => open.entry(key.clone()).or_default(),
        };
        if desk.waiting.len() >= MAX_WAITING {
            return Err(StoreError::new(ErrorKind::Unavailable, Failed::Full));
        }
        desk.waiting.push_back(job);
        desk.is_used = true;
        Ok(!std::mem::replace(&mut desk.is_served, true))
    }

    /// The next batch, and the account if it is kept; without one nobody serves any more.
    fn take(&self, key: &LedgerKey) -> Option<(Vec<Job>, Option<State>)> {
        let most = batch_operations(&self.db).min(MAX_BATCH);
        let mut open = self.open();
        let desk = open.get_mut(key)?;
        if desk.waiting.is_empty() {
            desk.is_served = false;
            return None;
        }
        let size = desk.waiting.len().min(most);
        Some((desk.waiting.drain(..size).collect(), desk.kept.take()))
    }

    fn waiting(&self, key: &LedgerKey) -> usize {
        self.open().get(key).map_or(0, |desk| desk.waiting.len())
    }

    fn keep(&self, key: &LedgerKey, state: Option<State>) {
        if let Some(desk) = self.open().get_mut(key) {
            desk.kept = state;
        }
    }
}

/// Closes desks that nobody waits at: those that were not used since the last time, or all.
fn clear(open: &mut HashMap<LedgerKey, Desk>) {
    open.retain(|_, desk| desk.is_served || std::mem::take(&mut desk.is_used));
    if open.len() >= MAX_DESKS {
        open.retain(|_, desk| desk.is_served);
    }
}

/// Closes the desk also when its task is dropped or panics: whoever waits there is told, and the
/// next request opens it again.
struct Serving<'a>(&'a Shared, &'a LedgerKey);

impl Drop for Serving<'_> {
    fn drop(&mut self) {
        self.0.open().remove(self.1);
    }
}

async fn serve(shared: Arc<Shared>, key: LedgerKey) {
    let serving = Serving(&shared, &key);
    while let Some((jobs, kept)) = shared.take(&key) {
        metrics::histogram!("stripe_billing_ledger_batch_operations").record(jobs.len() as f64);
        let is_busy = jobs.len() > 1;
        let mut batch = Batch { shared: &shared, key: &key, jobs: Vec::new(), kept };
        batch.jobs.extend(jobs.into_iter().map(Some));
        let done = tokio::time::timeout(TIME_LIMIT, batch.settle()).await;
        let done =
            done.unwrap_or_else(|_| Err(StoreError::new(ErrorKind::Timeout, Failed::Hanging)));
        if let Err(error) = done {
            batch.kept = None;
            let error = SharedError::new(error);
            for job in batch.jobs.iter_mut().filter_map(Option::take) {
                let _gone = job.reply.send(Err(error.to_store_error()));
            }
        }
        let kept = batch.kept.take().and_then(State::kept);
        shared.keep(&key, kept);
        if is_busy {
            gather(|| shared.waiting(&key)).await;
        }
    }
    // `take` has closed it already.
    std::mem::forget(serving);
}

/// Whether nobody knows what became of it.
fn is_lost(error: &StoreError) -> bool {
    matches!(error.kind(), ErrorKind::Unavailable | ErrorKind::Timeout)
}

fn is_everyones(error: &StoreError) -> bool {
    is_lost(error) || error.kind() == ErrorKind::Conflict
}

/// Operations that were taken from a desk.
struct Batch<'a> {
    shared: &'a Shared,
    key: &'a LedgerKey,
    /// Those without an answer.
    jobs: Vec<Option<Job>>,
    kept: Option<State>,
}

impl Batch<'_> {
    /// Answers all of them; an error is that of those that are left.
    async fn settle(&mut self) -> Result<(), StoreError> {
        self.write_kept().await?;
        let left: Vec<usize> =
            (0..self.jobs.len()).filter(|place| self.jobs[*place].is_some()).collect();
        match self.hold(&left).await {
            Ok(()) => return Ok(()),
            Err(error) if is_everyones(&error) || left.len() == 1 => return Err(error),
            Err(error) => {
                tracing::warn!("operations were refused together and are done one by one: {error}");
            }
        }
        // One of them holds what the database refuses, which is not the others' fault.
        for place in left {
            match self.hold(&[place]).await {
                Ok(()) => {}
                Err(error) if is_everyones(&error) => return Err(error),
                Err(error) => self.fail(place, error),
            }
        }
        Ok(())
    }

    /// Decides the frequent operations on the account as it was written or read last, and writes
    /// those that are done, unless somebody else was faster.
    async fn write_kept(&mut self) -> Result<(), StoreError> {
        let is_frequent =
            |job: &Option<Job>| job.as_ref().is_some_and(|job| is_frequent(&job.request));
        if !self.jobs.iter().any(is_frequent) {
            self.kept = None;
            return Ok(());
        }
        let db = &self.shared.db;
        let kept = match self.kept.take() {
            Some(kept) => Some(kept),
            None => {
                let named = self.jobs.iter().flatten().filter_map(|job| job.request.reservation());
                let named = named.collect();
                load::account(db, db.reader(), self.key, Scope::Open, &named).await?
            }
        };
        let Some(kept) = kept.filter(|state| state.version > 0) else { return Ok(()) };
        let mut work = Work::on(kept);
        let mut done: Vec<(usize, Result<Answer, Refusal>)> = Vec::new();
        for (place, job) in self.jobs.iter().enumerate() {
            let Some(job) = job.as_ref().filter(|job| self::is_frequent(&job.request)) else {
                continue;
            };
            if let Decided::Done(answer) = work.decide(&job.request, &job.terms) {
                done.push((place, Ok(answer)));
            }
        }
        if done.is_empty() {
            return Ok(());
        }
        match self.shared.scribe.write(work).await {
            Ok(Some(work)) => {
                self.answer(done);
                self.kept = Some(work.written());
                Ok(())
            }
            Ok(None) => Ok(()),
            Err(error) if is_lost(&error) => Err(error),
            // A key that was used before, or another transaction in the way.
            Err(error) => {
                tracing::debug!("operations on an account are decided again: {error}");
                Ok(())
            }
        }
    }

    /// Does the operations at some places on the account while it is locked.
    async fn hold(&mut self, places: &[usize]) -> Result<(), StoreError> {
        if places.is_empty() {
            return Ok(());
        }
        self.kept = None;
        let jobs = places.iter().filter_map(|place| self.jobs.get(*place)?.as_ref());
        let operations: Vec<(Request, LedgerTerms)> =
            jobs.map(|job| (job.request.clone(), job.terms)).collect();
        for _ in 0..MAX_CONFLICTS {
            match self.shared.scribe.operate(self.key, operations.clone()).await {
                Ok((decided, work)) => {
                    let answers = decided.into_iter().map(Decided::into_answer);
                    self.answer(places.iter().copied().zip(answers).collect());
                    self.kept = Some(work.written()).filter(|state| state.version > 0);
                    return Ok(());
                }
                Err(error) if error.kind() == ErrorKind::Conflict => {
                    tracing::debug!("operations on an account are decided again: {error}");
                }
                Err(error) => return Err(error),
            }
        }
        Err(StoreError::new(ErrorKind::Conflict, Failed::Crowded))
    }

    fn fail(&mut self, place: usize, error: StoreError) {
        if let Some(job) = self.jobs.get_mut(place).and_then(Option::take) {
            let _gone = job.reply.send(Err(error));
        }
    }

    fn answer(&mut self, answers: Vec<(usize, Result<Answer, Refusal>)>) {
        for (place, answer) in answers {
            if let Some(job) = self.jobs.get_mut(place).and_then(Option::take) {
                let _gone = job.reply.send(Ok(answer));
            }
        }
    }
}
