//! The server itself is killed while a hot account is spent from: what was acknowledged is on the
//! disk. A Postgres of the test's own, since nobody else's may be killed.

use std::collections::BTreeMap;
use std::net::TcpListener;
use std::path::PathBuf;
use std::process::{Child, Command as Process, Stdio};
use std::time::Duration;

use sea_orm::Database;
use stripe_billing_core::ErrorKind;
use stripe_billing_core::ledger::{
    Answer, Command, Grant, LedgerKey, LedgerPolicy, Reply, Request, verify,
};
use stripe_billing_core::store::{CreditLedger, LedgerTerms};
use stripe_billing_seaorm::SeaOrmStore;
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio::time::{interval, timeout};

use crate::hammer::history;
use crate::support::start;

/// The longest that anything may take before a test gives up.
const PATIENCE: Duration = Duration::from_secs(60);
const TASKS: usize = 16;
const KILLS: usize = 3;
/// Spends that are acknowledged before the next kill; the first ones warm everything up.
const BETWEEN: usize = 400;
const CREDITS: i64 = 1_000_000;

/// A Postgres in a directory of its own, gone when this is dropped.
struct Cluster {
    programs: PathBuf,
    data: PathBuf,
    port: u16,
    /// Postgres refuses to run as root: who runs it instead.
    user: Option<u32>,
    server: Option<Child>,
}

impl Cluster {
    /// `None` where Postgres is not installed, unless the environment says that it has to be.
    fn create() -> Option<Self> {
        let installed = std::fs::read_dir("/usr/lib/postgresql").into_iter().flatten();
        let programs = installed.flatten().map(|version| version.path().join("bin"));
        let Some(programs) = programs.filter(|bin| bin.join("initdb").exists()).max() else {
            let required = std::env::var("STRIPE_BILLING_REQUIRE_SERVICES");
            assert!(required.as_deref() != Ok("1"), "Postgres is required and not installed");
            println!("skipped: Postgres is not installed");
            return None;
        };
        let user = (number(Process::new("id").arg("-u")) == 0)
            .then(|| number(Process::new("id").args(["-u", "postgres"])));
        let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let mut cluster = Self { programs, data: PathBuf::new(), port, user, server: None };
        // Made by whom it is for: nobody else may enter it.
        let made = cluster.command("mktemp".into()).arg("-d").output().unwrap();
        cluster.data = String::from_utf8(made.stdout).unwrap().trim().into();
        let initdb = cluster.programs.join("initdb");
        let mut initdb = cluster.command(initdb);
        initdb.args(["--auth=trust", "--username=postgres", "--no-sync", "--pgdata"]);
        let initdb = initdb.arg(&cluster.data).output().unwrap();
        assert!(initdb.status.success(), "{}", String::from_utf8_lossy(&initdb.stderr));
        Some(cluster)
    }

    fn command(&self, program: PathBuf) -> Process {
        let mut command = Process::new(program);
        #[cfg(unix)]
        if let Some(user) = self.user {
            std::os::unix::process::CommandExt::uid(&mut command, user);
        }
        command.current_dir("/").stdin(Stdio::null());
        command
    }

    fn url(&self) -> String {
        format!("postgres://postgres@127.0.0.1:{}/postgres", self.port)
    }

    /// Starts the server, and waits until it has recovered and answers.
    async fn run(&mut self) {
        let mut server = self.command(self.programs.join("postgres"));
        server.args(["-c", "unix_socket_directories=", "-c", "listen_addresses=127.0.0.1"]);
        server.args(["-p", &self.port.to_string(), "-D"]).arg(&self.data);
        self.server = Some(server.stderr(Stdio::null()).spawn().unwrap());
        let mut tick = interval(Duration::from_millis(50));
        let answers = async {
            while Database::connect(self.url()).await.is_err() {
                tick.tick().await;
            }
        };
        timeout(PATIENCE, answers).await.expect("Postgres starts");
    }

    /// SIGKILL for the postmaster and all that it has started.
    fn kill(&mut self) {
        let Some(mut server) = self.server.take() else { return };
        let id = server.id();
        let children = std::fs::read_to_string(format!("/proc/{id}/task/{id}/children"));
        let children = children.unwrap_or_default();
        // The postmaster first, so that it does not shut the others down in order.
        server.kill().unwrap();
        server.wait().unwrap();
        // Some may have ended by themselves.
        let _ = Process::new("kill").arg("-KILL").args(children.split_whitespace()).output();
    }
}

impl Drop for Cluster {
    fn drop(&mut self) {
        self.kill();
        if let Err(error) = std::fs::remove_dir_all(&self.data) {
            println!("{} was left behind: {error}", self.data.display());
        }
    }
}

fn number(command: &mut Process) -> u32 {
    let said = command.output().unwrap().stdout;
    String::from_utf8(said).unwrap().trim().parse().unwrap()
}

fn key() -> LedgerKey {
    LedgerKey::new("hot", "credits")
}

fn terms() -> LedgerTerms {
    LedgerTerms { now: start(), policy: LedgerPolicy::default() }
}

fn spend(id: &str) -> Request {
    Command::Spend { key: id.to_owned(), amount: 1 }.into()
}

/// Spends until the server is gone: what was acknowledged, and the key of which nobody knows.
async fn spend_until_gone(
    store: &SeaOrmStore,
    task: String,
    answers: &watch::Sender<usize>,
) -> (Vec<(String, Answer)>, String) {
    let mut acknowledged = Vec::new();
    for n in 0.. {
        let id = format!("{task}-{n}");
        match store.execute(&key(), &spend(&id), &terms()).await {
            Ok(answer) => {
                acknowledged.push((id, answer.unwrap()));
                answers.send_modify(|answers| *answers += 1);
            }
            Err(error) if error.kind() == ErrorKind::Conflict => {}
            Err(_) => return (acknowledged, id),
        }
    }
    unreachable!("there is always another one")
}

/// What an account's history says under a key, asked for as a caller does: with the key.
async fn again(store: &SeaOrmStore, id: &str) -> Answer {
    let mut tick = interval(Duration::from_millis(20));
    let asked = async {
        loop {
            tick.tick().await;
            // Connections from before the death are noticed one by one.
            if let Ok(answer) = store.execute(&key(), &spend(id), &terms()).await {
                return answer.unwrap();
            }
        }
    };
    timeout(PATIENCE, asked).await.expect("the store recovers by itself")
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_postgres_acknowledged_survives_its_death() {
    let Some(mut cluster) = Cluster::create() else { return };
    cluster.run().await;
    let store = SeaOrmStore::builder(cluster.url()).max_connections(8).connect().await.unwrap();
    let grant = Command::Grant(Grant::new("g", CREDITS)).into();
    store.execute(&key(), &grant, &terms()).await.unwrap().unwrap();

    let mut acknowledged: BTreeMap<String, Answer> = BTreeMap::new();
    let mut unknown = Vec::new();
    for round in 0..KILLS {
        let answers = watch::Sender::new(0);
        let mut tasks = JoinSet::new();
        for task in 0..TASKS {
            let (store, answers) = (store.clone(), answers.clone());
            let task = format!("{round}-{task}");
            tasks.spawn(async move { spend_until_gone(&store, task, &answers).await });
        }
        let mut enough = answers.subscribe();
        let enough = enough.wait_for(|answers| *answers >= BETWEEN + 37 * round);
        timeout(PATIENCE, enough).await.expect("it spends").expect("somebody tells");
        cluster.kill();
        for (done, left) in tasks.join_all().await {
            acknowledged.extend(done);
            unknown.push(left);
        }
        cluster.run().await;
    }
    let mut committed = 0;
    for id in &unknown {
        committed += usize::from(again(&store, id).await.replayed);
    }
    for (id, answer) in &acknowledged {
        let Answer { reply, replayed } = again(&store, id).await;
        assert!(replayed, "{id} was acknowledged and is lost");
        assert_eq!(reply, answer.reply, "{id}");
        assert!(matches!(reply, Reply::Spent { debt: 0, .. }), "{id}");
    }
    println!(
        "{KILLS} kills: {} spends acknowledged, {} without an answer, of which {committed} had taken place",
        acknowledged.len(),
        unknown.len()
    );
    let (account, entries) = history(&store, &key()).await;
    assert_eq!(verify(&account, &entries, &LedgerPolicy::default()), []);
    let spent = acknowledged.len() + unknown.len();
    assert_eq!(entries.len(), 1 + spent, "each key once");
    assert_eq!(account.balance.available, CREDITS - i64::try_from(spent).unwrap());
}
