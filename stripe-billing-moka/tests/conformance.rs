//! The cache keeps the contract, and its own promises.

use std::sync::Arc;
use std::time::{Duration, Instant};

use stripe_billing_core::{Access, AccountKey, Cache, Lookup, Ticket};
use stripe_billing_moka::MokaCache;
use stripe_billing_testing::conformance::Fixture;

async fn fixture() -> Option<Fixture<dyn Cache>> {
    let cache: Arc<dyn Cache> = Arc::new(MokaCache::default());
    Some(Fixture::new(cache))
}

stripe_billing_testing::cache_conformance!(fixture);

async fn ticket(cache: &MokaCache, key: &AccountKey) -> Option<Ticket> {
    match cache.get(key).await {
        Lookup::Hit(_) => None,
        Lookup::Miss(ticket) => Some(ticket),
    }
}

#[tokio::test]
async fn an_entry_ends_by_itself_and_its_ticket_with_it() {
    let cache = MokaCache::builder().time_to_live(Duration::from_millis(20)).build();
    let key = AccountKey::from("acme");
    let first = ticket(&cache, &key).await.unwrap();
    assert!(cache.put(&key, first, Arc::default()).await);
    let deadline = Instant::now() + Duration::from_secs(10);
    let second = loop {
        if let Some(ticket) = ticket(&cache, &key).await {
            break ticket;
        }
        assert!(Instant::now() < deadline, "it never ends");
        tokio::task::yield_now().await;
    };
    assert_ne!(first, second);
    assert!(!cache.put(&key, first, Arc::default()).await);
}

#[tokio::test]
async fn a_ticket_that_was_never_given_is_refused() {
    let cache = MokaCache::default();
    let key = AccountKey::from("acme");
    for forged in [0, 1, u64::MAX] {
        assert!(!cache.put(&key, Ticket(forged), Arc::default()).await);
    }
    let other = ticket(&cache, &AccountKey::from("zenith")).await.unwrap();
    ticket(&cache, &key).await.unwrap();
    assert!(!cache.put(&key, other, Arc::default()).await);
}

#[tokio::test]
async fn the_capacity_bounds_what_is_held() {
    let cache = MokaCache::builder().max_capacity(10).build();
    for n in 0..5_000 {
        let key = AccountKey::platform(format!("account-{n}"));
        if let Some(ticket) = ticket(&cache, &key).await {
            cache.put(&key, ticket, Arc::new(Access::default())).await;
        }
    }
    assert!(cache.stats().entries <= 10, "{:?}", cache.stats());
}

#[tokio::test]
async fn absurd_bounds_do_not_panic() {
    let cache = MokaCache::builder().max_capacity(0).time_to_live(Duration::MAX).build();
    let key = AccountKey::from("acme");
    assert!(ticket(&cache, &key).await.is_some());
    assert!(format!("{cache:?}").contains("misses: 1"));
}
