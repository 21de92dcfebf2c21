//! What `Billing::access` costs for a cached account beside a bare `get` of moka with the same key,
//! value and bounds.
//!
//! Prints the least of each, measured in turns, and the ratios; then runs criterion's own
//! measurements of the same.

use std::hint::black_box;
use std::sync::Arc;
use std::time::{Duration, Instant};

use criterion::{Criterion, criterion_group};
use stripe_billing_core::catalog::{Catalog, Plan, PlanPrice};
use stripe_billing_core::webhook::{WebhookSecret, sign};
use stripe_billing_core::{
    Access, AccountKey, Billing, Cache, Clock, MemoryStore, Processing, SystemClock,
};
use stripe_billing_moka::MokaCache;
use stripe_billing_testing::event::Shape;
use stripe_billing_testing::event::histories::{ACCOUNT, sign_up};
use tokio::runtime::Runtime;

const CAPACITY: u64 = 100_000;
const TIME_TO_LIVE: Duration = Duration::from_secs(300);

struct Caches {
    runtime: Runtime,
    key: AccountKey,
    sync: moka::sync::Cache<AccountKey, Arc<Access>>,
    future: moka::future::Cache<AccountKey, Arc<Access>>,
    plugin: Arc<MokaCache>,
    billing: Billing,
}

impl Caches {
    /// One account that has signed up, in every cache.
    fn new() -> Self {
        let runtime = Runtime::new().expect("a runtime");
        let plugin = Arc::new(MokaCache::default());
        let secret = WebhookSecret::new("whsec_1").expect("not blank");
        let pro = Plan::new("pro").price(PlanPrice::new("price_pro"));
        let catalog = Catalog::builder().plan(pro).build().expect("a catalog");
        let billing = Billing::builder(MemoryStore::new())
            .catalog(catalog)
            .webhook_secrets(["whsec_1"])
            .processing(Processing::Inline)
            .cache(Arc::clone(&plugin))
            .build()
            .expect("billing");
        let sync =
            moka::sync::Cache::builder().max_capacity(CAPACITY).time_to_live(TIME_TO_LIVE).build();
        let future = moka::future::Cache::builder()
            .max_capacity(CAPACITY)
            .time_to_live(TIME_TO_LIVE)
            .build();
        let key = AccountKey::platform(ACCOUNT);
        runtime.block_on(async {
            for body in sign_up(Shape::New) {
                let header = sign(&body, &secret, SystemClock.now());
                billing.receive(&header, body).await.expect("received");
            }
            let access = billing.access(key.clone()).await.expect("loaded");
            assert!(!access.subscriptions.is_empty());
            sync.insert(key.clone(), Arc::clone(&access));
            future.insert(key.clone(), access).await;
        });
        Self { runtime, key, sync, future, plugin, billing }
    }

    fn sync(&self, calls: u64) -> Duration {
        let started = Instant::now();
        for _ in 0..calls {
            black_box(self.sync.get(black_box(&self.key)));
        }
        started.elapsed()
    }

    fn future(&self, calls: u64) -> Duration {
        self.runtime.block_on(async {
            let started = Instant::now();
            for _ in 0..calls {
                black_box(self.future.get(black_box(&self.key)).await);
            }
            started.elapsed()
        })
    }

    fn plugin(&self, calls: u64) -> Duration {
        self.runtime.block_on(async {
            let started = Instant::now();
            for _ in 0..calls {
                black_box(self.plugin.get(black_box(&self.key)).await);
            }
            started.elapsed()
        })
    }

    fn access(&self, calls: u64) -> Duration {
        self.runtime.block_on(async {
            let started = Instant::now();
            for _ in 0..calls {
                black_box(self.billing.access(black_box(&self.key).clone()).await).expect("cached");
            }
            started.elapsed()
        })
    }

    /// By name, which makes a key of it first.
    fn access_by_name(&self, calls: u64) -> Duration {
        self.runtime.block_on(async {
            let started = Instant::now();
            for _ in 0..calls {
                black_box(self.billing.access(black_box(ACCOUNT)).await).expect("cached");
            }
            started.elapsed()
        })
    }

    /// The least nanoseconds of a call of each, measured in turns.
    fn least(&self) -> Vec<(&'static str, f64)> {
        const CALLS: u64 = 2_000;
        SIDES
            .map(|(name, _)| name)
            .into_iter()
            .zip((0..1_000).fold([f64::MAX; SIDES.len()], |mut least, _| {
                for (least, (_, side)) in least.iter_mut().zip(SIDES) {
                    let took = side(self, CALLS).as_secs_f64() * 1e9 / CALLS as f64;
                    *least = least.min(took);
                }
                least
            }))
            .collect()
    }
}

type Side = fn(&Caches, u64) -> Duration;

const SIDES: [(&str, Side); 5] = [
    ("bare moka, sync", Caches::sync),
    ("bare moka, future", Caches::future),
    ("MokaCache", Caches::plugin),
    ("Billing::access by key", Caches::access),
    ("Billing::access by name", Caches::access_by_name),
];

fn measure(criterion: &mut Criterion) {
    let caches = Caches::new();
    let mut group = criterion.benchmark_group("cache hit");
    for (name, side) in SIDES {
        group.bench_function(name, |bencher| {
            bencher.iter_custom(|calls| side(&caches, calls));
        });
    }
    group.finish();
}

criterion_group! {
    name = benches;
    config = Criterion::default()
        .warm_up_time(Duration::from_secs(1))
        .measurement_time(Duration::from_secs(3));
    targets = measure
}

fn main() {
    let least = Caches::new().least();
    let (sync, future) = (least[0].1, least[1].1);
    for (name, nanoseconds) in least {
        println!(
            "{name}: {nanoseconds:.1} ns, {:.2} of bare sync, {:.2} of bare future",
            nanoseconds / sync,
            nanoseconds / future
        );
    }
    benches();
    Criterion::default().configure_from_args().final_summary();
}
