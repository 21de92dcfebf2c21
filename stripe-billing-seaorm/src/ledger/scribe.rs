//! Who writes. Accounts that come at the same time are written together: on SQLite, which has one
//! writer and waits for the disk with each commit, in one transaction; on Postgres in one statement.
//! While one group is written the next one gathers, so that nobody waits for company. On MySQL each
//! account has a transaction of its own.

use std::collections::{BTreeSet, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use sea_orm::DatabaseTransaction;
use stripe_billing_core::ledger::{LedgerKey, Request};
use stripe_billing_core::store::LedgerTerms;
use stripe_billing_core::{ErrorKind, StoreError};
use tokio::sync::oneshot;

use super::held;
use super::rows::Rows;
use super::state::{Decided, Work};
#[cfg(feature = "postgres")]
use super::write::postgres;
use super::write::{self, sqlite};
use crate::db::{self, Db};
use crate::dialect::Dialect;
use crate::shared_error::SharedError;

/// Accounts written together at most.
const MAX_GROUP: usize = sqlite::MAX_ROWS;
/// Groups that Postgres writes at the same time.
const MAX_WRITERS: usize = 4;

/// What an operation sends to the database, about.
const BYTES: usize = 1_024;

/// Operations, and what they go by.
pub(crate) type Operations = Vec<(Request, LedgerTerms)>;

enum Job {
    /// With its rows, until they are written for the first time.
    Write(Box<Work>, Option<Box<Rows>>),
    Operate(LedgerKey, Operations),
}

enum Done {
    Written(Box<Work>),
    /// Somebody else has written the account since it was read.
    Stale,
    Operated(Vec<Decided>, Box<Work>),
}

impl Done {
    fn has_written(&self) -> bool {
        match self {
            Self::Written(_) => true,
            Self::Stale => false,
            Self::Operated(_, work) => work.is_changed,
        }
    }
}

type Answer = Result<Done, StoreError>;

pub(crate) struct Scribe {
    db: Arc<Db>,
    group: Arc<Mutex<Group>>,
}

#[derive(Default)]
struct Group {
    waiting: VecDeque<(Job, oneshot::Sender<Answer>)>,
    /// Tasks that write; each goes on until nothing waits.
    writers: usize,
}

impl Group {
    /// How many of those that wait are next, with so many operations at most, but one at least.
    fn next(&self, most: usize) -> usize {
        let mut operations = 0;
        let fits = |(job, _): &&(Job, _)| {
            operations += match job {
                Job::Write(work, _) => work.entries.len(),
                Job::Operate(_, all) => all.len(),
            };
            operations <= most
        };
        self.waiting.iter().take(MAX_GROUP).take_while(fits).count().max(1)
    }
}

/// How many operations are written together at most: on an encrypted connection they have to fit one
/// record.
pub(super) fn batch_operations(db: &Db) -> usize {
    (db.pools.batch_bytes / BYTES).clamp(8, 512)
}

#[derive(Debug, thiserror::Error)]
#[error("the runtime that wrote to the ledger has shut down")]
struct Stopped;

impl Scribe {
    pub(crate) fn new(db: Arc<Db>) -> Self {
        Self { db, group: Arc::default() }
    }

    /// Writes what was decided on an account as it was; nothing if it is so no more.
    pub(crate) async fn write(&self, work: Work) -> Result<Option<Work>, StoreError> {
        let rows = Some(Box::new(Rows::of(&work)?));
        match self.run(Job::Write(Box::new(work), rows)).await? {
            Done::Written(work) => Ok(Some(*work)),
            Done::Stale | Done::Operated(..) => Ok(None),
        }
    }

    /// Does operations on an account while it is locked.
    pub(crate) async fn operate(
        &self,
        key: &LedgerKey,
        operations: Operations,
    ) -> Result<(Vec<Decided>, Work), StoreError> {
        match self.run(Job::Operate(key.clone(), operations)).await? {
            Done::Operated(decided, work) => Ok((decided, *work)),
            Done::Written(_) | Done::Stale => {
                Err(StoreError::new(ErrorKind::Other, "the operations were not answered"))
            }
        }
    }

    async fn run(&self, job: Job) -> Answer {
        let writers = match (self.db.dialect, &job) {
            (Dialect::Sqlite, _) => 1,
            (Dialect::Postgres, Job::Write(..)) => MAX_WRITERS,
            (Dialect::Postgres, Job::Operate(..)) | (Dialect::Mysql, _) => {
                return alone(&self.db, job).await;
            }
        };
        let (reply, answer) = oneshot::channel();
        let begins = {
            let mut group = lock(&self.group);
            group.waiting.push_back((job, reply));
            let begins = group.writers < writers;
            group.writers += usize::from(begins);
            begins
        };
        if begins {
            tokio::spawn(write_groups(Arc::clone(&self.db), Arc::clone(&self.group)));
        }
        answer.await.unwrap_or_else(|_| Err(StoreError::new(ErrorKind::Unavailable, Stopped)))
    }
}

fn lock(group: &Mutex<Group>) -> MutexGuard<'_, Group> {
    group.lock().unwrap_or_else(PoisonError::into_inner)
}

async fn perform(db: &Db, tx: &DatabaseTransaction, job: Job) -> Answer {
    match job {
        Job::Write(work, rows) => {
            let rows = rows.map_or_else(|| Rows::of(&work), |rows| Ok(*rows))?;
            Ok(match write::write(db, tx, rows).await? {
                true => Done::Written(work),
                false => Done::Stale,
            })
        }
        Job::Operate(key, operations) => {
            let (decided, work) = held::operate(db, tx, &key, &operations).await?;
            Ok(Done::Operated(decided, Box::new(work)))
        }
    }
}

/// In a transaction of its own.
async fn alone(db: &Db, job: Job) -> Answer {
    let tx = db.begin().await?;
    let done = perform(db, &tx, job).await;
    match &done {
        Ok(done) if done.has_written() => db.commit(tx).await?,
        // What is decided stands whether the rollback is answered or not.
        Ok(_) | Err(_) => drop(db::rollback(tx).await),
    }
    done
}

/// Counts a writer out, also when its task is dropped or panics: then those who wait for the last
/// one are told.
struct Writing(Arc<Mutex<Group>>);

impl Drop for Writing {
    fn drop(&mut self) {
        let mut group = lock(&self.0);
        group.writers -= 1;
        if group.writers == 0 {
            group.waiting.clear();
        }
    }
}

async fn write_groups(db: Arc<Db>, group: Arc<Mutex<Group>>) {
    let writing = Writing(Arc::clone(&group));
    let mut is_first = true;
    loop {
        if !std::mem::take(&mut is_first) {
            gather(|| lock(&group).waiting.len()).await;
        }
        let (jobs, replies): (Vec<Job>, Vec<_>) = {
            let mut group = lock(&group);
            if group.waiting.is_empty() {
                group.writers -= 1;
                break;
            }
            let size = group.next(batch_operations(&db));
            group.waiting.drain(..size).unzip()
        };
        metrics::histogram!("stripe_billing_ledger_group_accounts").record(jobs.len() as f64);
        match together(&db, jobs).await {
            Ok(answers) => {
                for (reply, answer) in replies.into_iter().zip(answers) {
                    let _gone = reply.send(answer);
                }
            }
            Err(error) => {
                let error = SharedError::new(error);
                for reply in replies {
                    let _gone = reply.send(Err(error.to_store_error()));
                }
            }
        }
    }
    // It is counted out already.
    std::mem::forget(writing);
}

/// Lets those who were answered just now ask again, so that they are not in two groups for ever, of
/// which one waits while the other is written. It ends as soon as nobody comes.
pub(super) async fn gather(waiting: impl Fn() -> usize) {
    let (mut seen, mut idle) = (waiting(), 0);
    while idle < 3 {
        tokio::task::yield_now().await;
        let now = waiting();
        idle = if now > seen { 0 } else { idle + 1 };
        seen = now;
    }
}

/// Answers each of them; an error is everyone's.
async fn together(db: &Db, jobs: Vec<Job>) -> Result<Vec<Answer>, StoreError> {
    #[cfg(feature = "postgres")]
    if db.dialect == Dialect::Postgres {
        return in_one_statement(db, jobs).await;
    }
    if jobs.len() == 1 {
        return Ok(one_by_one(db, jobs).await);
    }
    in_one_transaction(db, jobs).await
}

async fn one_by_one(db: &Db, jobs: Vec<Job>) -> Vec<Answer> {
    let mut answers = Vec::with_capacity(jobs.len());
    for job in jobs {
        answers.push(alone(db, job).await);
    }
    answers
}

/// Those that only write are written at once, the others under savepoints: what the database refuses
/// of one does not undo the others. If it refuses one that only writes, all have a savepoint.
async fn in_one_transaction(db: &Db, mut jobs: Vec<Job>) -> Result<Vec<Answer>, StoreError> {
    let (tx, written) = begin_with(db, &mut jobs).await?;
    let mut answers = Vec::with_capacity(jobs.len());
    for job in jobs {
        answers.push(match job {
            Job::Write(work, _) if written.contains(&work.state.id) => Ok(Done::Written(work)),
            job => under_savepoint(db, &tx, job).await?,
        });
    }
    db.commit(tx).await?;
    Ok(answers)
}

/// Opens a transaction and writes those that only write, but those whose account somebody else was
/// faster to write. Says which accounts are written: none, if the database refuses one of them.
async fn begin_with(
    db: &Db,
    jobs: &mut [Job],
) -> Result<(DatabaseTransaction, BTreeSet<i64>), StoreError> {
    let mut current: BTreeSet<i64> = works(jobs).map(|work| work.state.id).collect();
    let mut tx = db.begin().await?;
    let mut written = sqlite::write(db, &tx, rows(jobs, &current)?).await;
    if let Ok(false) = written {
        tx = begin_again(db, tx).await?;
        current = sqlite::current(db, &tx, works(jobs)).await?;
        written = sqlite::write(db, &tx, rows(jobs, &current)?).await;
    }
    if !matches!(written, Ok(true)) {
        tx = begin_again(db, tx).await?;
        current.clear();
    }
    Ok((tx, current))
}

async fn begin_again(db: &Db, tx: DatabaseTransaction) -> Result<DatabaseTransaction, StoreError> {
    db::rollback(tx).await?;
    db.begin().await
}

async fn under_savepoint(
    db: &Db,
    tx: &DatabaseTransaction,
    job: Job,
) -> Result<Answer, StoreError> {
    db.execute(tx, "SAVEPOINT ledger", Vec::new()).await?;
    let done = perform(db, tx, job).await;
    if !done.as_ref().is_ok_and(Done::has_written) {
        db.execute(tx, "ROLLBACK TO ledger", Vec::new()).await?;
    }
    db.execute(tx, "RELEASE ledger", Vec::new()).await?;
    Ok(done)
}

/// The rows of those that only write, of so many accounts.
fn rows(jobs: &mut [Job], of: &BTreeSet<i64>) -> Result<Vec<Rows>, StoreError> {
    let rows = jobs.iter_mut().filter_map(|job| match job {
        Job::Write(work, rows) if of.contains(&work.state.id) => {
            Some(rows.take().map_or_else(|| Rows::of(work), |rows| Ok(*rows)))
        }
        Job::Write(..) | Job::Operate(..) => None,
    });
    rows.collect()
}

fn works(jobs: &[Job]) -> impl Iterator<Item = &Work> {
    jobs.iter().filter_map(|job| match job {
        Job::Write(work, _) => Some(work.as_ref()),
        Job::Operate(..) => None,
    })
}

/// What is refused of one, as a key that was used before, undoes all; then each is written by itself.
#[cfg(feature = "postgres")]
async fn in_one_statement(db: &Db, mut jobs: Vec<Job>) -> Result<Vec<Answer>, StoreError> {
    let all = works(&jobs).map(|work| work.state.id).collect();
    let all = rows(&mut jobs, &all)?;
    let written = match postgres::write(db, db.writer(), &all).await {
        Ok(written) => written,
        Err(error) if jobs.len() == 1 => return Err(error),
        Err(error) if matches!(error.kind(), ErrorKind::Unavailable | ErrorKind::Timeout) => {
            return Err(error);
        }
        Err(error) => {
            tracing::debug!("accounts are written one by one: {error}");
            return Ok(one_by_one(db, jobs).await);
        }
    };
    let answer = |job| match job {
        Job::Write(work, _) if written.contains(&work.state.id) => Done::Written(work),
        Job::Write(..) | Job::Operate(..) => Done::Stale,
    };
    Ok(jobs.into_iter().map(|job| Ok(answer(job))).collect())
}

#[cfg(all(test, feature = "sqlite"))]
#[allow(clippy::unwrap_used)] // In the helpers too: a test that cannot go on fails.
mod tests {
    use chrono::DateTime;
    use stripe_billing_core::ledger::{Command, Grant, LedgerPolicy, Scope};
    use stripe_billing_core::store::CreditLedger;

    use super::super::load;
    use super::*;
    use crate::SeaOrmStore;

    /// A job for each account; one of them was decided on a version that is no more, and another one
    /// uses a key that was used before.
    async fn group(store: &SeaOrmStore, stale: Option<usize>, used: Option<usize>) -> Vec<Job> {
        let now = DateTime::from_timestamp(1_800_000_000, 0).unwrap();
        let terms = LedgerTerms { now, policy: LedgerPolicy::default() };
        let spend = |key: &str| Command::Spend { key: key.to_owned(), amount: 1 };
        let mut jobs = Vec::new();
        for account in 0..9 {
            let key = LedgerKey::new(format!("team-{account}").as_str(), "credits");
            for command in [Command::Grant(Grant::new("g", 5)), spend("used")] {
                store.execute(&key, &command.into(), &terms).await.unwrap().unwrap();
            }
            let (db, named) = (&store.db, BTreeSet::new());
            let state = load::account(db, db.reader(), &key, Scope::Open, &named).await.unwrap();
            let mut work = Work::on(state.unwrap());
            work.state.version -= i64::from(stale == Some(account));
            work.decide(&spend(if used == Some(account) { "used" } else { "new" }).into(), &terms);
            let rows = Some(Box::new(Rows::of(&work).unwrap()));
            jobs.push(Job::Write(Box::new(work), rows));
        }
        jobs
    }

    /// What came of each, and how many statements that took.
    async fn write(store: &SeaOrmStore, jobs: Vec<Job>) -> (String, u32) {
        store.db.crash.plan(1_000);
        let answers = in_one_transaction(&store.db, jobs).await.unwrap();
        let answers = answers.iter().map(|answer| match answer {
            Ok(Done::Written(_)) => 'w',
            Ok(Done::Stale) => 's',
            Ok(Done::Operated(..)) => 'o',
            Err(_) => 'e',
        });
        (answers.collect(), 1_000 - store.db.crash.left())
    }

    async fn available(store: &SeaOrmStore) -> Vec<i64> {
        let mut all = Vec::new();
        for account in 0..9 {
            let key = LedgerKey::new(format!("team-{account}").as_str(), "credits");
            all.push(store.account(&key, Scope::All).await.unwrap().unwrap().balance.available);
        }
        all
    }

    #[tokio::test]
    async fn a_group_is_a_call_and_a_commit() {
        let store = SeaOrmStore::connect("sqlite::memory:").await.unwrap();
        let jobs = group(&store, None, None).await;
        assert_eq!(write(&store, jobs).await, ("wwwwwwwww".to_owned(), 2));
        assert_eq!(available(&store).await, [3; 9]);
    }

    #[tokio::test]
    async fn who_was_overtaken_does_not_hold_up_the_others() {
        let store = SeaOrmStore::connect("sqlite::memory:").await.unwrap();
        let jobs = group(&store, Some(4), None).await;
        // Refused, looked for, written without it; it alone, between a savepoint and its end; the commit.
        assert_eq!(write(&store, jobs).await, ("wwwwswwww".to_owned(), 3 + 4 + 1));
        assert_eq!(available(&store).await, [3, 3, 3, 3, 4, 3, 3, 3, 3]);
    }

    #[tokio::test]
    async fn what_the_database_refuses_of_one_does_not_undo_the_others() {
        for (stale, expected) in [(None, "wwwwwwwew"), (Some(2), "wwswwwwew")] {
            let store = SeaOrmStore::connect("sqlite::memory:").await.unwrap();
            let jobs = group(&store, stale, Some(7)).await;
            assert_eq!(write(&store, jobs).await.0, expected);
            let left: Vec<i64> =
                expected.chars().map(|answer| if answer == 'w' { 3 } else { 4 }).collect();
            assert_eq!(available(&store).await, left);
        }
    }
}
