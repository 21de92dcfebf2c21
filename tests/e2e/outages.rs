//! The real process, killed, doubled and cut off from its database while events pour in.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use bytes::Bytes;
use futures_util::{StreamExt, stream};
use reqwest::StatusCode;
use stripe_billing_core::store::{Inspect, Stats};
use stripe_billing_core::webhook::{WebhookSecret, sign};
use stripe_billing_core::{Clock, MemoryStore, SystemClock};
use stripe_billing_seaorm::SeaOrmStore;
use stripe_billing_testing::event::Shape;
use stripe_billing_testing::event::histories::{self, ACCOUNT_KEY};
use tokio::io::copy_bidirectional;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{RwLock, watch};
use tokio::time::{Instant, interval, timeout};

use crate::backends::{Backend, TestDatabase};
use crate::quickstart::{Server, client};
use crate::world::{End, SECRET, Story, World};

/// The longest that anything may take before a test gives up.
const PATIENCE: Duration = Duration::from_secs(120);

const CATALOG: &str = r#"
[plan.pro]
features = ["export"]
[[plan.pro.price]]
id = "price_pro"
"#;

/// Starts the server on a database, with leases short enough to be waited out.
async fn server(database: &str, catalog: &Path) -> Server {
    let catalog = catalog.display().to_string();
    Server::start(&[
        ("BILLING_STRIPE", "none"),
        ("BILLING_CATALOG", &catalog),
        ("BILLING_LEASE_SECONDS", "1"),
        ("DATABASE_URL", database),
        ("STRIPE_WEBHOOK_SECRET", SECRET),
        ("RUST_LOG", "error"),
    ])
    .await
}

struct Scene {
    database: TestDatabase,
    directory: tempfile::TempDir,
}

impl Scene {
    async fn new(backend: Backend) -> Option<Self> {
        let database = backend.database().await?;
        let directory = tempfile::tempdir().expect("a temporary directory");
        let catalog = format!("[link]\naccount = \"{ACCOUNT_KEY}\"\n{CATALOG}");
        std::fs::write(directory.path().join("catalog.toml"), catalog).expect("a catalog file");
        Some(Self { database, directory })
    }

    async fn server(&self, database: &str) -> Server {
        server(database, &self.directory.path().join("catalog.toml")).await
    }

    /// What is in the database once everything has come to rest.
    async fn at_rest(&self) -> (SeaOrmStore, Stats) {
        let store = SeaOrmStore::connect(self.database.url.as_str()).await.expect("the database");
        let mut tick = interval(Duration::from_millis(50));
        let rest = async {
            loop {
                tick.tick().await;
                let stats = store.stats(SystemClock.now()).await.expect("the database answers");
                let open = ["received", "processing", "retry_wait"];
                let facts = ["pending", "sending"];
                let none = |counts: &BTreeMap<String, u64>, words: &[&str]| {
                    words.iter().all(|word| counts.get(*word).is_none_or(|count| *count == 0))
                };
                if none(&stats.events, &open) && none(&stats.outbox, &facts) {
                    return stats;
                }
            }
        };
        let stats = timeout(PATIENCE, rest).await.expect("it comes to rest");
        (store, stats)
    }
}

async fn post(url: &str, body: &Bytes) -> Option<StatusCode> {
    let secret = WebhookSecret::new(SECRET).expect("not blank");
    let request = client()
        .post(format!("{url}/billing/webhook"))
        .header("stripe-signature", sign(body, &secret, SystemClock.now()))
        .timeout(Duration::from_secs(10))
        .body(body.clone());
    Some(request.send().await.ok()?.status())
}

/// Delivers as Stripe does: again and again, until it is acknowledged.
async fn deliver(url: &RwLock<String>, body: &Bytes) {
    let begun = Instant::now();
    let mut tick = interval(Duration::from_millis(20));
    loop {
        tick.tick().await;
        let url = url.read().await.clone();
        match post(&url, body).await {
            Some(status) if status.is_success() => return,
            Some(status) => assert_eq!(status, StatusCode::SERVICE_UNAVAILABLE),
            None => {}
        }
        assert!(begun.elapsed() < PATIENCE, "it is never acknowledged");
    }
}

/// The history told in order to a store that nothing disturbs.
async fn undisturbed(story: &Story) -> End {
    let world = World::new(Arc::new(MemoryStore::new()));
    for body in &story.events {
        world.deliver(body).await.expect("memory takes everything");
        world.billing.process_due().await.expect("memory never fails");
    }
    world.end_of(story).await
}

/// How many messages the story leaves in the outbox of a store that nothing disturbs.
async fn messages_of(story: &Story) -> u64 {
    let world = World::new(Arc::new(MemoryStore::new()));
    for body in &story.events {
        world.deliver(body).await.expect("memory takes everything");
    }
    world.settle().await;
    let stats = world.store.stats(world.clock.now()).await.expect("memory answers");
    stats.outbox.values().sum()
}

/// Every acknowledged event is there once and processed, every story has ended as it should, and
/// every fact is recorded once.
async fn assert_nothing_lost_or_doubled(scene: &Scene, stories: &[Story]) {
    let expected = undisturbed(&stories[0]).await;
    let (store, stats) = scene.at_rest().await;
    let events: usize = stories.iter().map(|story| story.events.len()).sum();
    let rested: u64 = ["processed", "ignored"].iter().filter_map(|s| stats.events.get(*s)).sum();
    assert_eq!(rested, events as u64, "{:?}", stats.events);
    assert_eq!(stats.events.values().sum::<u64>(), events as u64, "{:?}", stats.events);
    // Facts and the notices beside them: as many as in a world of one undisturbed story.
    let messages = (stories.len() as u64) * messages_of(&stories[0]).await;
    assert_eq!(stats.outbox, BTreeMap::from([("done".to_owned(), messages)]));
    let world = World::new(Arc::new(store));
    for story in stories {
        let end = world.end_of(story).await;
        assert_eq!((end.records, end.state), (expected.records.clone(), expected.state.clone()));
    }
}

fn stories(count: usize) -> Vec<Story> {
    let history = histories::sign_up(Shape::New);
    (0..count).map(|number| Story::new(&history, number)).collect()
}

fn bodies(stories: &[Story]) -> Vec<Bytes> {
    stories.iter().flat_map(|story| story.events.clone()).collect()
}

/// Kills the server with SIGKILL at uneven moments while events pour in.
async fn killed_at_random(backend: Backend, kills: usize) {
    let Some(scene) = Scene::new(backend).await else {
        return;
    };
    let stories = stories(150);
    let bodies = bodies(&stories);
    let first = scene.server(&scene.database.url).await;
    let url = RwLock::new(first.url.clone());
    let done = AtomicBool::new(false);
    let acknowledged = AtomicUsize::new(0);
    let pour = async {
        stream::iter(&bodies)
            .for_each_concurrent(8, |body| async {
                deliver(&url, body).await;
                acknowledged.fetch_add(1, Ordering::Relaxed);
            })
            .await;
        done.store(true, Ordering::Relaxed);
    };
    let kill = async {
        let mut server = first;
        let mut deaths = 0;
        while deaths < kills && !done.load(Ordering::Relaxed) {
            // Uneven, so that the deaths fall everywhere between receipt and hand-over.
            let pause = 20 + (deaths as u64 * 7_919) % 180;
            tokio::time::sleep(Duration::from_millis(pause)).await;
            // Dropping it is SIGKILL.
            drop(server);
            deaths += 1;
            server = scene.server(&scene.database.url).await;
            *url.write().await = server.url.clone();
        }
        (server, deaths)
    };
    let ((), (_server, deaths)) = tokio::join!(pour, kill);
    assert!(deaths > 0, "the events were in before the first kill");
    assert_eq!(acknowledged.load(Ordering::Relaxed), bodies.len());
    assert_nothing_lost_or_doubled(&scene, &stories).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn killed_at_random_on_sqlite() {
    killed_at_random(Backend::Sqlite, 12).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn killed_at_random_on_postgres() {
    killed_at_random(Backend::Postgres, 12).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn two_processes_on_one_database_process_each_event_once() {
    let Some(scene) = Scene::new(Backend::Postgres).await else {
        return;
    };
    let stories = stories(100);
    // Both start on an empty database at once, so both migrate.
    let (one, two) =
        tokio::join!(scene.server(&scene.database.url), scene.server(&scene.database.url));
    let urls = [RwLock::new(one.url.clone()), RwLock::new(two.url.clone())];
    let twice = bodies(&stories)
        .into_iter()
        .flat_map(|body| urls.iter().map(move |url| (url, body.clone())).collect::<Vec<_>>());
    stream::iter(twice)
        .for_each_concurrent(16, |(url, body)| async move { deliver(url, &body).await })
        .await;
    assert_nothing_lost_or_doubled(&scene, &stories).await;
}

/// A way to the database that can be cut and mended.
struct Wire {
    port: u16,
    open: watch::Sender<bool>,
}

impl Wire {
    async fn to(address: String) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let port = listener.local_addr().expect("bound").port();
        let (open, state) = watch::channel(true);
        tokio::spawn(async move {
            while let Ok((mut near, _)) = listener.accept().await {
                let (address, mut state) = (address.clone(), state.clone());
                if *state.borrow() {
                    tokio::spawn(async move {
                        let Ok(mut far) = TcpStream::connect(address).await else {
                            return;
                        };
                        tokio::select! {
                            _ = copy_bidirectional(&mut near, &mut far) => {}
                            _ = state.wait_for(|open| !open) => {}
                        }
                    });
                }
            }
        });
        Self { port, open }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn without_its_database_it_says_503_and_recovers_by_itself() {
    let Some(scene) = Scene::new(Backend::Postgres).await else {
        return;
    };
    let url = scene.database.url.clone();
    let (credentials, rest) = url.rsplit_once('@').expect("a user in the URL");
    let (address, name) = rest.split_once('/').expect("a database in the URL");
    let wire = Wire::to(address.to_owned()).await;
    let server = scene.server(&format!("{credentials}@127.0.0.1:{}/{name}", wire.port)).await;
    let stories = stories(20);
    let bodies = bodies(&stories);
    let ready = format!("{}/health/ready", server.url);

    let address = RwLock::new(server.url.clone());
    for body in &bodies[..40] {
        deliver(&address, body).await;
    }
    wire.open.send_replace(false);
    for body in &bodies[40..44] {
        assert_eq!(post(&server.url, body).await, Some(StatusCode::SERVICE_UNAVAILABLE));
    }
    let status = client().get(&ready).send().await.expect("an answer").status();
    assert_eq!(status, StatusCode::SERVICE_UNAVAILABLE);
    wire.open.send_replace(true);
    for body in &bodies[40..] {
        deliver(&address, body).await;
    }
    let status = client().get(&ready).send().await.expect("an answer").status();
    assert_eq!(status, StatusCode::OK);
    assert_nothing_lost_or_doubled(&scene, &stories).await;
}
