//! `Cache`: never older than before.

use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

use stripe_billing_core::{Access, AccountKey, Cache, Lookup, Ticket};

use super::race::race;
use super::{Dice, Fixture};

type CacheFixture = Fixture<dyn Cache>;

/// An access of a version, recognisable by a limit.
fn version(version: i64) -> Arc<Access> {
    let mut access = Access::default();
    access.version = version;
    access.features.insert("export".to_owned());
    access.limits.insert("seats".to_owned(), version * 10);
    Arc::new(access)
}

async fn miss(cache: &dyn Cache, key: &AccountKey) -> Ticket {
    match cache.get(key).await {
        Lookup::Miss(ticket) => ticket,
        Lookup::Hit(access) => panic!("version {} is still there", access.version),
    }
}

/// The version that is held; the whole value has to be that version's.
async fn held(cache: &dyn Cache, key: &AccountKey) -> Option<i64> {
    match cache.get(key).await {
        Lookup::Hit(access) => {
            assert_eq!(access, version(access.version), "it comes back whole");
            Some(access.version)
        }
        Lookup::Miss(_) => None,
    }
}

/// What was put is what is found, by every handle, until it is forgotten.
pub async fn cache_a_hit_is_what_was_put(fixture: &CacheFixture) {
    let (cache, other) = (fixture.node().as_ref(), fixture.other().as_ref());
    let key = AccountKey::from("acme");
    let ticket = miss(cache, &key).await;
    assert!(cache.put(&key, ticket, version(3)).await);
    for _ in 0..3 {
        assert_eq!(held(cache, &key).await, Some(3));
        assert_eq!(held(other, &key).await, Some(3));
    }
    cache.invalidate(&key).await;
    let ticket = miss(cache, &key).await;
    assert!(cache.put(&key, ticket, version(4)).await, "there is room again");
    assert_eq!(held(other, &key).await, Some(4));
    cache.clear().await;
    let ticket = miss(cache, &key).await;
    assert!(cache.put(&key, ticket, version(5)).await, "there is room again");
    assert_eq!(held(cache, &key).await, Some(5));
}

/// Accounts of another Stripe account or in another spelling are others.
pub async fn cache_keys_are_compared_exactly(fixture: &CacheFixture) {
    let cache = fixture.node().as_ref();
    let connected = |account: &str| AccountKey {
        stripe_account: Some("acct_1".to_owned()),
        account: account.to_owned(),
    };
    let keys = [
        AccountKey::from("acme"),
        AccountKey::from("ACME"),
        AccountKey::from("acme "),
        AccountKey::from("acct_1:acme"),
        AccountKey::from("acct_1/acme"),
        connected("acme"),
        connected(""),
        AccountKey::from(""),
        AccountKey::from("🎉"),
        AccountKey::from("🎊"),
    ];
    for (n, key) in (1..).zip(&keys) {
        let ticket = miss(cache, key).await;
        assert!(cache.put(key, ticket, version(n)).await, "{key:?}");
    }
    for (n, key) in (1..).zip(&keys) {
        assert_eq!(held(cache, key).await, Some(n), "{key:?}");
    }
    cache.invalidate(&keys[0]).await;
    assert_eq!(held(cache, &keys[0]).await, None);
    for (n, key) in (1..).zip(&keys).skip(1) {
        assert_eq!(held(cache, key).await, Some(n), "{key:?} stays");
    }
}

/// What was loaded before an invalidation, by whichever node, is refused after it: with nothing
/// held, with the key asked for again, and with a newer value held.
pub async fn cache_1_a_put_after_an_invalidation_is_refused(fixture: &CacheFixture) {
    let cache = fixture.node().as_ref();
    let key = AccountKey::from("acme");
    let stale = miss(cache, &key).await;
    fixture.other().invalidate(&key).await;
    assert!(!cache.put(&key, stale, version(1)).await);
    assert_eq!(held(cache, &key).await, None);

    let fresh = miss(cache, &key).await;
    assert!(!cache.put(&key, stale, version(1)).await, "asked for again");
    assert!(cache.put(&key, fresh, version(2)).await);
    // Even a value that claims to be newer: its ticket says when it was loaded.
    assert!(!cache.put(&key, stale, version(3)).await, "a newer one is held");
    assert_eq!(held(cache, &key).await, Some(2));

    cache.invalidate(&key).await;
    assert!(!cache.put(&key, fresh, version(2)).await, "used tickets too");
    assert_eq!(held(cache, &key).await, None);
}

/// What was loaded before a clear is refused after it, for every key.
pub async fn cache_1_a_put_after_a_clear_is_refused(fixture: &CacheFixture) {
    let cache = fixture.node().as_ref();
    let keys = ["acme", "zenith"].map(AccountKey::from);
    for round in 0..50 {
        let mut stale = Vec::new();
        for key in &keys {
            stale.push(miss(cache, key).await);
        }
        if round % 2 == 1 {
            assert!(cache.put(&keys[0], stale[0], version(1)).await);
        }
        fixture.other().clear().await;
        for (key, stale) in keys.iter().zip(stale) {
            assert!(!cache.put(key, stale, version(1)).await);
            assert_eq!(held(cache, key).await, None);
            assert!(!cache.put(key, stale, version(1)).await, "asked for again");
            assert_eq!(held(cache, key).await, None);
        }
        cache.clear().await;
    }
}

/// Of two that loaded without an invalidation in between, the older version is refused.
pub async fn cache_1_an_older_version_is_refused(fixture: &CacheFixture) {
    let cache = fixture.node().as_ref();
    let key = AccountKey::from("acme");
    let slow = miss(cache, &key).await;
    let quick = miss(fixture.other().as_ref(), &key).await;
    assert!(cache.put(&key, quick, version(5)).await);
    assert!(!cache.put(&key, slow, version(4)).await);
    assert_eq!(held(cache, &key).await, Some(5));
}

/// Of two that loaded without an invalidation in between, the newer version replaces the older,
/// or the older stays; it never goes back.
pub async fn cache_1_a_newer_version_is_taken(fixture: &CacheFixture) {
    let cache = fixture.node().as_ref();
    let key = AccountKey::from("acme");
    let (slow, quick) = (miss(cache, &key).await, miss(cache, &key).await);
    assert!(cache.put(&key, slow, version(4)).await || slow != quick);
    let taken = cache.put(&key, quick, version(5)).await;
    assert!(taken, "the newest ticket's value is taken");
    assert_eq!(held(cache, &key).await, Some(5));
    assert!(!cache.put(&key, slow, version(4)).await);
    assert_eq!(held(cache, &key).await, Some(5));
}

/// Sixteen simultaneous loaders leave the newest version behind.
pub async fn cache_1_racing_loaders_end_with_the_newest(fixture: &CacheFixture) {
    let key = AccountKey::from("acme");
    for _ in 0..20 {
        let mut tickets = Vec::new();
        for number in 0..16 {
            tickets.push(miss(fixture.turn(number).as_ref(), &key).await);
        }
        let newest = *tickets.last().expect("sixteen");
        let taken = race(16, |number| {
            let (cache, key) = (fixture.turn(number), key.clone());
            let (ticket, loaded) = (tickets[number], i64::try_from(number).unwrap_or(0) + 1);
            async move { cache.put(&key, ticket, version(loaded)).await }
        })
        .await;
        assert!(taken[15], "the newest is never refused");
        assert_eq!(held(fixture.node().as_ref(), &key).await, Some(16));
        assert!(!fixture.node().put(&key, newest, version(15)).await);
        fixture.node().invalidate(&key).await;
    }
}

/// Who asked, and what was loaded since.
struct Loader {
    ticket: Ticket,
    loaded: Option<i64>,
}

/// Commits, invalidations, look-ups, loads and puts in thousands of random orders, against a
/// model: an answer is never older than an answer before it, nor than the last state of which the
/// cache was told.
pub async fn cache_1_no_interleaving_answers_older(fixture: &CacheFixture) {
    for seed in 0..300 {
        let mut dice = Dice::new(seed);
        let key = AccountKey::from(format!("account-{seed}").as_str());
        let mut truth = 1;
        let mut untold: VecDeque<i64> = VecDeque::new();
        let (mut told, mut answered) = (0, 0);
        let mut loaders: Vec<Loader> = Vec::new();
        for step in 0..120 {
            let cache = fixture.turn(dice.roll(2));
            match dice.roll(10) {
                0 => {
                    truth += 1;
                    untold.push_back(truth);
                }
                1 => {
                    if let Some(version) = untold.pop_front() {
                        told = version;
                        if dice.roll(8) == 0 {
                            cache.clear().await;
                        } else {
                            cache.invalidate(&key).await;
                        }
                    }
                }
                2..=5 => match cache.get(&key).await {
                    Lookup::Hit(access) => {
                        let (is, at) = (access.version, format!("seed {seed}, step {step}"));
                        assert!(is >= answered, "{at}: {is} after {answered}");
                        assert!(is >= told, "{at}: {is}, and {told} was told");
                        assert!(is <= truth, "{at}: {is} before it happened");
                        answered = is;
                    }
                    Lookup::Miss(ticket) => loaders.push(Loader { ticket, loaded: None }),
                },
                6 | 7 if !loaders.is_empty() => {
                    let loader = dice.roll(loaders.len());
                    loaders[loader].loaded.get_or_insert(truth);
                }
                _ if !loaders.is_empty() => {
                    let loader = dice.roll(loaders.len());
                    if let Some(loaded) = loaders[loader].loaded {
                        let ticket = loaders[loader].ticket;
                        cache.put(&key, ticket, version(loaded)).await;
                        // Some put twice.
                        if dice.roll(4) > 0 {
                            loaders.swap_remove(loader);
                        }
                    }
                }
                _ => {}
            }
        }
    }
}

/// The same with real races: one task commits and tells the cache, mostly by an invalidation or
/// always by a clear; seven look up, load and put.
pub async fn cache_1_no_race_answers_older(fixture: &CacheFixture) {
    for clears in [64, 1] {
        race_loaders(fixture, clears).await;
    }
}

/// Every so-many-th commit is told by a clear.
async fn race_loaders(fixture: &CacheFixture, clears: i64) {
    const COMMITS: i64 = 2_000;
    let key = AccountKey::from(format!("account-{clears}").as_str());
    let truth = Arc::new(AtomicI64::new(1));
    let told = Arc::new(AtomicI64::new(0));
    let answered = Arc::new(AtomicI64::new(0));
    let hits = race(8, |number| {
        let (cache, key) = (fixture.turn(number), key.clone());
        let (truth, told) = (Arc::clone(&truth), Arc::clone(&told));
        let answered = Arc::clone(&answered);
        async move {
            let mut hits = 0_u64;
            if number == 0 {
                for commit in 2..=COMMITS {
                    truth.store(commit, Ordering::SeqCst);
                    tokio::task::yield_now().await;
                    if commit % clears == 0 {
                        cache.clear().await;
                    } else {
                        cache.invalidate(&key).await;
                    }
                    told.store(commit, Ordering::SeqCst);
                    tokio::task::yield_now().await;
                }
                return hits;
            }
            loop {
                let over = told.load(Ordering::SeqCst) == COMMITS;
                let floor = told.load(Ordering::SeqCst).max(answered.load(Ordering::SeqCst));
                match cache.get(&key).await {
                    Lookup::Hit(access) => {
                        let is = access.version;
                        assert!(is >= floor, "{is}, and {floor} was answered or told");
                        answered.fetch_max(is, Ordering::SeqCst);
                        hits += 1;
                    }
                    Lookup::Miss(ticket) => {
                        let loaded = truth.load(Ordering::SeqCst);
                        if loaded % 3 == 0 {
                            tokio::task::yield_now().await;
                        }
                        cache.put(&key, ticket, version(loaded)).await;
                    }
                }
                tokio::task::yield_now().await;
                if over && hits > 0 {
                    return hits;
                }
            }
        }
    })
    .await;
    assert!(hits[1..].iter().all(|hits| *hits > 0), "all were answered");
    assert_eq!(held(fixture.node().as_ref(), &key).await, Some(COMMITS));
}

/// Hits, misses, invalidations and refusals are counted by the handle that saw them.
pub async fn cache_stats_count_what_happened(fixture: &CacheFixture) {
    let cache = fixture.node().as_ref();
    let key = AccountKey::from("acme");
    let before = cache.stats();
    let ticket = miss(cache, &key).await;
    assert!(cache.put(&key, ticket, version(2)).await);
    assert!(!cache.put(&key, ticket, version(1)).await);
    for _ in 0..3 {
        assert_eq!(held(cache, &key).await, Some(2));
    }
    cache.invalidate(&key).await;
    assert!(!cache.put(&key, ticket, version(2)).await);
    assert_eq!(held(cache, &key).await, None);
    let after = cache.stats();
    let counted = (
        after.hits - before.hits,
        after.misses - before.misses,
        after.invalidations - before.invalidations,
        after.refused - before.refused,
    );
    assert_eq!(counted, (3, 2, 1, 2));
}
