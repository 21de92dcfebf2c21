//! The ledger under a jack hammer: several processes on few accounts of one database, every key sent
//! up to three times, and SIGKILL at uneven moments. Afterwards each balance is proven, and is what
//! the keys in the ledger make of it.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::io::{BufRead, BufReader, Write};
use std::process::{Child, ChildStdin, Command as Process, Stdio};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use stripe_billing_core::ErrorKind;
use stripe_billing_core::ledger::{
    Account, Command, Entry, EntryKind, Grant, LedgerKey, LedgerPolicy, Request, ReservationState,
    Scope, verify,
};
use stripe_billing_core::store::{CreditLedger, EntryQuery, LedgerTerms};
use stripe_billing_seaorm::SeaOrmStore;
use tokio::sync::{Mutex as Turn, oneshot, watch};
use tokio::task::JoinSet;
use tokio::time::timeout;

use crate::support::{Backend, TestDb, start};

/// The longest that anything may take before a test gives up.
const PATIENCE: Duration = Duration::from_secs(100);
/// Where a process finds its database; without it there is nothing to do.
const DATABASE: &str = "STRIPE_BILLING_HAMMERED";
/// Requests that are under way at the same time.
const CLIENTS: usize = 24;
/// How often a key is sent at most.
const COPIES: usize = 3;
/// What the poor account gets; more is asked of it.
const POOR: i64 = 60;
const RICH: i64 = 100_000;
const ACCOUNTS: [(&str, i64); 3] = [("rich", RICH), ("richer", 2 * RICH), ("poor", POOR)];

fn key(account: &str) -> LedgerKey {
    LedgerKey::new(account, "credits")
}

fn terms() -> LedgerTerms {
    LedgerTerms { now: start(), policy: LedgerPolicy::default() }
}

/// One thing to be paid for once: at once, or by a reservation that is captured in part.
#[derive(Clone, Copy, Debug)]
struct Job {
    number: usize,
}

impl Job {
    fn account(self) -> &'static str {
        ACCOUNTS[self.number % ACCOUNTS.len()].0
    }

    fn id(self) -> String {
        format!("k{}", self.number)
    }

    fn is_held_first(self) -> bool {
        self.account() != "poor" && self.number.is_multiple_of(5)
    }

    /// Of the poor account one credit, so that its last one finds a taker.
    fn amount(self) -> i64 {
        if self.account() == "poor" { 1 } else { 1 + i64::try_from(self.number % 7).unwrap() }
    }

    /// What is asked for, one after the other.
    fn steps(self) -> Vec<Request> {
        let (id, amount) = (self.id(), self.amount());
        if !self.is_held_first() {
            return vec![Command::Spend { key: id, amount }.into()];
        }
        let ttl = chrono::TimeDelta::hours(1);
        let reserve = Command::Reserve { id: id.clone(), amount: amount + 2, ttl };
        vec![reserve.into(), Command::Capture { id, amount }.into()]
    }
}

/// What a process is for: it reads numbers of jobs, does them all at once, and says what became of each.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "the tests here start it as a process of its own"]
async fn process() {
    let Ok(url) = std::env::var(DATABASE) else { return };
    let store = SeaOrmStore::builder(url).max_connections(4).connect().await.unwrap();
    let store = Arc::new(store);
    say("ready");
    let (sender, mut orders) = tokio::sync::mpsc::unbounded_channel();
    std::thread::spawn(move || {
        let lines = std::io::stdin().lines().map_while(Result::ok);
        lines.for_each(|line| sender.send(line).unwrap());
    });
    while let Some(line) = orders.recv().await {
        let store = Arc::clone(&store);
        tokio::spawn(async move {
            let (send, number) = line.split_once(' ').unwrap();
            let job = Job { number: number.parse().unwrap() };
            let answer = perform(&store, job).await;
            say(&format!("{send} {answer}"));
        });
    }
}

async fn perform(store: &SeaOrmStore, job: Job) -> &'static str {
    let mut word = "done";
    for request in job.steps() {
        loop {
            match store.execute(&key(job.account()), &request, &terms()).await {
                Ok(Ok(_)) => break,
                Ok(Err(refusal)) => {
                    word = refusal.code();
                    break;
                }
                // Nothing happened. SQLite says so when two processes write for seconds.
                Err(error) if error.kind() == ErrorKind::Conflict => {}
                Err(error) => panic!("{error}: {:?}", std::error::Error::source(&error)),
            }
        }
    }
    word
}

/// Past the test's own output, which may stand in the same line before.
fn say(line: &str) {
    let mut out = std::io::stdout().lock();
    write!(out, "\n> {line}\n").unwrap();
    out.flush().unwrap();
}

type Waiting = Arc<Mutex<HashMap<usize, oneshot::Sender<String>>>>;

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// A process that is killed when this is dropped.
struct Running {
    child: Child,
    input: ChildStdin,
    /// Those who wait for an answer; they are told of its death by being forgotten.
    waiting: Waiting,
}

impl Running {
    async fn start(url: &str) -> Self {
        let mut child = Process::new(std::env::current_exe().unwrap())
            .args(["--exact", "hammer::process", "--ignored", "--nocapture"])
            .env(DATABASE, url)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let (input, output) = (child.stdin.take().unwrap(), child.stdout.take().unwrap());
        let waiting = Waiting::default();
        let (ready, is_ready) = oneshot::channel();
        let answers = Arc::clone(&waiting);
        std::thread::spawn(move || {
            let mut ready = Some(ready);
            for line in BufReader::new(output).lines().map_while(Result::ok) {
                let Some(line) = line.strip_prefix("> ") else { continue };
                match line.split_once(' ') {
                    None => drop(ready.take().unwrap().send(())),
                    Some((send, answer)) => {
                        let reply = lock(&answers).remove(&send.parse().unwrap());
                        // Who asked may have been told already that the process is to be killed.
                        let _ = reply.map(|reply| reply.send(answer.to_owned()));
                    }
                }
            }
            lock(&answers).clear();
        });
        timeout(PATIENCE, is_ready).await.expect("it starts in time").expect("it starts");
        Self { child, input, waiting }
    }

    fn ask(&mut self, send: usize, job: Job) -> oneshot::Receiver<String> {
        let (reply, answer) = oneshot::channel();
        lock(&self.waiting).insert(send, reply);
        // One that is dead does not read it, and its end forgets those who wait.
        if writeln!(self.input, "{send} {}", job.number).is_err() {
            lock(&self.waiting).remove(&send);
        }
        answer
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        // SIGKILL, whatever it is doing.
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }
}

/// What a hammer does.
#[derive(Clone, Copy)]
struct Blows {
    processes: usize,
    jobs: usize,
    kills: usize,
}

struct Hammer {
    url: String,
    slots: Vec<Turn<Running>>,
    /// How many sends were answered.
    answers: watch::Sender<usize>,
    /// Jobs that somebody was told are done, and those that were refused.
    done: Mutex<BTreeSet<usize>>,
    refused: Mutex<BTreeSet<usize>>,
}

/// Said in place of a number once nothing more will be answered.
const OVER: usize = usize::MAX;

impl Hammer {
    async fn start(db: &TestDb, processes: usize) -> Arc<Self> {
        let mut slots = Vec::new();
        for _ in 0..processes {
            slots.push(Turn::new(Running::start(&db.url).await));
        }
        Arc::new(Self {
            url: db.url.clone(),
            slots,
            answers: watch::Sender::new(0),
            done: Mutex::default(),
            refused: Mutex::default(),
        })
    }

    /// Sends a copy of a job to one of the processes; a death leaves it unanswered.
    async fn send(&self, send: usize, job: Job) {
        let slot = &self.slots[(job.number + send) % self.slots.len()];
        let answer = slot.lock().await.ask(send, job);
        let Ok(word) = timeout(PATIENCE, answer).await.expect("an answer, or a death") else {
            return;
        };
        self.answers.send_modify(|answers| *answers += 1);
        match word.as_str() {
            "done" => lock(&self.done).insert(job.number),
            "insufficient" => lock(&self.refused).insert(job.number),
            other => panic!("{job:?}: {other}"),
        };
    }

    /// Kills a process and starts another in its place, so many times, spread over the work.
    async fn strike(&self, kills: usize, sends: usize) -> usize {
        let mut answers = self.answers.subscribe();
        for dead in 0..kills {
            // Uneven, so that the deaths fall everywhere.
            let due = (dead * 7_919) % 23 + (dead + 1) * sends / (2 * kills + 2);
            let reached = answers.wait_for(|answers| *answers >= due).await;
            if *reached.expect("it is here") == OVER {
                return dead;
            }
            let mut slot = self.slots[dead % self.slots.len()].lock().await;
            slot.child.kill().unwrap();
            *slot = Running::start(&self.url).await;
        }
        kills
    }
}

/// Copies of all jobs, near enough to each other to meet, and far enough to come after a death.
fn sends(jobs: usize) -> Vec<Job> {
    let mut sends: Vec<(usize, Job)> = (0..jobs * COPIES)
        // Some keys are sent once, some twice.
        .filter(|n| n % COPIES <= (n / COPIES) % 4)
        .map(|n| (n / COPIES + (n % COPIES) * ((n * 7_919) % 97), Job { number: n / COPIES }))
        .collect();
    sends.sort_by_key(|(place, _)| *place);
    sends.into_iter().map(|(_, job)| job).collect()
}

async fn hammered(backend: Backend, blows: Blows) {
    let Some(db) = TestDb::create(backend).await else { return };
    let store = db.store().await;
    for (account, credits) in ACCOUNTS {
        let grant = Command::Grant(Grant::new("g", credits)).into();
        store.execute(&key(account), &grant, &terms()).await.unwrap().unwrap();
    }
    let hammer = Hammer::start(&db, blows.processes).await;
    let queue: Vec<(usize, Job)> = sends(blows.jobs).into_iter().enumerate().collect();
    let count = queue.len();
    let queue = Arc::new(Mutex::new(queue.into_iter()));
    let mut clients = JoinSet::new();
    for _ in 0..CLIENTS {
        let (hammer, queue) = (Arc::clone(&hammer), Arc::clone(&queue));
        clients.spawn(async move {
            loop {
                let next = lock(&queue).next();
                let Some((send, job)) = next else { return };
                hammer.send(send, job).await;
            }
        });
    }
    let strikes = hammer.strike(blows.kills, count);
    let work = async {
        clients.join_all().await;
        hammer.answers.send_replace(OVER)
    };
    let (dead, answers) = tokio::join!(strikes, work);
    assert_eq!(dead, blows.kills, "the work was over before the last kill");
    assert!(answers < count, "no request was interrupted");
    let (done, refused) = (lock(&hammer.done).clone(), lock(&hammer.refused).clone());
    drop(hammer);
    println!("{answers} of {count} sends were answered, {dead} processes killed");
    for (account, credits) in ACCOUNTS {
        proven(&store, account, credits, blows.jobs, &done).await;
    }
    let poor = |number: &usize| Job { number: *number }.account() == "poor";
    assert!(refused.iter().all(poor), "only the poor account runs dry");
    assert!(!refused.is_empty(), "the poor account never ran dry");
}

/// Every invariant holds; what was acknowledged is in the ledger, nothing is in it twice, and the
/// balance is what was granted less what is in it.
async fn proven(
    store: &SeaOrmStore,
    name: &str,
    granted: i64,
    jobs: usize,
    acknowledged: &BTreeSet<usize>,
) {
    let (account, entries) = history(store, &key(name)).await;
    assert_eq!(verify(&account, &entries, &LedgerPolicy::default()), [], "{name}");
    let mut spent: BTreeMap<String, i64> = BTreeMap::new();
    for entry in &entries {
        let job = match entry.kind {
            EntryKind::Spend => entry.key.as_deref().unwrap().strip_prefix("spend:").unwrap(),
            EntryKind::Capture => entry.reference.as_deref().unwrap(),
            EntryKind::Grant | EntryKind::Reserve => continue,
            other => panic!("{name}: {other:?} was never asked for"),
        };
        let used = entry.usage().unwrap().0;
        assert_eq!(spent.insert(job.to_owned(), used), None, "{name}: {job} is paid for twice");
    }
    for job in (0..jobs).map(|number| Job { number }).filter(|job| job.account() == name) {
        let paid = spent.get(&job.id());
        assert!(paid.is_none_or(|paid| *paid == job.amount()), "{name}: {job:?}: {paid:?}");
        assert!(paid.is_some() || !acknowledged.contains(&job.number), "{name}: {job:?} is lost");
    }
    let left: i64 = account.open_reservations().map(|one| one.amount).sum();
    let total: i64 = spent.values().sum();
    assert_eq!(account.balance.available, granted - total - left, "{name}");
    assert_eq!(account.balance.held, left, "{name}");
    assert_eq!(account.balance.debt, 0, "{name}");
    let ends = [ReservationState::Open, ReservationState::Captured];
    assert!(account.reservations.values().all(|one| ends.contains(&one.state)), "{name}");
    if name == "poor" {
        assert_eq!(account.balance.available, 0, "as many as there were credits");
    }
}

/// An account with its whole history.
pub(crate) async fn history(store: &SeaOrmStore, key: &LedgerKey) -> (Account, Vec<Entry>) {
    let account = store.account(key, Scope::All).await.unwrap().unwrap();
    let mut entries: Vec<Entry> = Vec::new();
    loop {
        let last = entries.last().map_or(0, |entry| entry.seq);
        let page = store.entries(&EntryQuery::after(key.clone(), last, 5_000)).await.unwrap();
        if page.is_empty() {
            return (account, entries);
        }
        entries.extend(page);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn four_processes_on_postgres_lose_nothing_and_spend_nothing_twice() {
    hammered(Backend::Postgres, Blows { processes: 4, jobs: 1_200, kills: 12 }).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn three_processes_on_mysql_lose_nothing_and_spend_nothing_twice() {
    hammered(Backend::MySql, Blows { processes: 3, jobs: 450, kills: 6 }).await;
}

/// A file has one process at a time that spends; it is killed and starts anew.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_process_on_sqlite_that_is_killed_loses_nothing() {
    hammered(Backend::SqliteFile, Blows { processes: 1, jobs: 600, kills: 8 }).await;
}
