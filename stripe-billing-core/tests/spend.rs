//! Spending credits on work: what is done is paid for once, what is not done costs nothing.

#![allow(clippy::unwrap_used)] // In the helpers too: a test that cannot go on fails.

use std::collections::BTreeMap;
use std::future::pending;
use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use bytes::Bytes;
use chrono::{DateTime, TimeDelta};
use futures_util::FutureExt;
use serde_json::json;
use stripe_billing_core::catalog::{Catalog, CreditsFrom, Pack, Plan, PlanPrice, Policy};
use stripe_billing_core::ledger::{Command, Grant, LedgerKey, LotKind, Refusal, Rollover, Window};
use stripe_billing_core::notice::CreditDetails;
use stripe_billing_core::webhook::{WebhookSecret, sign};
use stripe_billing_core::{
    Access, AccountKey, Billing, Cache, CacheStats, Clock, CreditError, Lookup, ManualClock,
    MemoryStore, NoCache, Notification, Notified, Notifier, NotifyError, SpendError, Ticket,
};

#[derive(Clone, Debug, Default)]
struct Told(Arc<std::sync::Mutex<Vec<Notification>>>);

#[async_trait::async_trait]
impl Notifier for Told {
    async fn notify(&self, notification: &Notification) -> Result<Notified, NotifyError> {
        self.0.lock().expect("not poisoned").push(notification.clone());
        Ok(Notified::Told)
    }
}

impl Told {
    /// What was told since the last time: keys without what all of them begin with, and details.
    fn take(&self) -> Vec<(String, CreditDetails)> {
        let told = std::mem::take(&mut *self.0.lock().expect("not poisoned"));
        let told = told.into_iter().map(|notification| {
            let Notification { key, account, details, .. } = notification;
            assert_eq!(account.as_deref(), Some("ada"));
            let key = key.strip_prefix("notice:credits_").expect("about credits").to_owned();
            (key, details.credits.expect("how many"))
        });
        told.collect()
    }
}

fn details(amount: Option<i64>, available: i64) -> CreditDetails {
    CreditDetails { unit: "credits".to_owned(), amount, available: Some(available) }
}

struct Desk {
    billing: Billing,
    clock: Arc<ManualClock>,
    told: Told,
}

fn key(account: &str) -> LedgerKey {
    LedgerKey::new(account, "credits").in_mode(true)
}

async fn desk(credits: i64) -> Desk {
    let clock = Arc::new(ManualClock::new(DateTime::from_timestamp(1_800_000_000, 0).unwrap()));
    let told = Told::default();
    let from = [
        ("reports", CreditsFrom::TeamFirst),
        ("exports", CreditsFrom::Team),
        ("notes", CreditsFrom::Member),
    ];
    let policy = Policy {
        credits_low: [("credits".to_owned(), 20)].into(),
        credits_from: from.map(|(feature, from)| (feature.to_owned(), from)).into(),
        ..Policy::default()
    };
    let catalog = Catalog::builder()
        .policy(policy)
        .pack(Pack::new("pack", "price_pack").credits("credits", 100))
        .build()
        .unwrap();
    let billing = Billing::builder(MemoryStore::new())
        .catalog(catalog)
        .webhook_secrets(["whsec_test"])
        .clock(Arc::clone(&clock))
        .notifier(told.clone())
        .livemode(true)
        .build()
        .unwrap();
    if credits > 0 {
        grant(&billing, "ada", credits).await;
    }
    Desk { billing, clock, told }
}

async fn grant(billing: &Billing, account: &str, credits: i64) {
    let grant = Command::Grant(Grant::new(format!("pack:{account}"), credits));
    billing.ledger_execute(&key(account), grant).await.unwrap();
}

impl Desk {
    /// Available and reserved.
    async fn balance(&self, account: &str) -> (i64, i64) {
        let balance = self.billing.credits(account).await.unwrap()["credits"].clone();
        assert!(self.billing.verify_ledger(|_| {}).await.unwrap().ok);
        (balance.available, balance.held)
    }

    /// Waits until what a dropped hold gives back is back.
    async fn until_free(&self, account: &str) -> i64 {
        let mut changes = self.billing.changes();
        loop {
            let (available, held) = self.balance(account).await;
            if held == 0 {
                return available;
            }
            changes.recv().await.unwrap();
        }
    }
}

#[derive(Debug, PartialEq, thiserror::Error)]
#[error("it broke")]
struct Broken;

#[tokio::test]
async fn work_that_is_done_is_paid_for() {
    let desk = desk(100).await;
    let story = desk.billing.spend("ada", 3).on("stories").by("ann").key("job-1");
    let done: Result<_, SpendError<Broken>> = story.run(async || Ok("once upon a time")).await;
    assert_eq!(done.unwrap(), "once upon a time");
    assert_eq!(desk.balance("ada").await, (97, 0));
    let history = desk.billing.credit_history("ada", "credits", None, 1).await.unwrap();
    assert_eq!(history[0].feature.as_deref(), Some("stories"));
    assert_eq!(history[0].actor.as_deref(), Some("ann"));
    // Under the same key it is done already, and does not run again.
    let again = desk.billing.spend("ada", 3).on("stories").by("ann").key("job-1");
    let again = again.run(async || -> Result<(), Broken> { panic!("it runs again") }).await;
    assert!(matches!(again, Err(SpendError::Credits(CreditError::Done { .. }))), "{again:?}");
    assert_eq!(desk.balance("ada").await, (97, 0));
}

#[tokio::test]
async fn work_that_fails_panics_or_is_cancelled_costs_nothing() {
    let desk = desk(100).await;
    let failed =
        desk.billing.spend("ada", 10).key("job-1").run(async || Err::<(), _>(Broken)).await;
    assert!(matches!(failed, Err(SpendError::Work(Broken))));
    assert_eq!(desk.balance("ada").await, (100, 0));
    let panicking = desk.billing.spend("ada", 10).key("job-2");
    let panicking = panicking.run(async || -> Result<(), Broken> { panic!("on purpose") });
    assert!(AssertUnwindSafe(panicking).catch_unwind().await.is_err());
    assert_eq!(desk.until_free("ada").await, 100);
    let started = tokio::sync::Notify::new();
    let endless = desk.billing.spend("ada", 10).key("job-3").run(async || {
        started.notify_one();
        pending::<Result<(), Broken>>().await
    });
    tokio::select! {
        _ = endless => unreachable!("it has no end"),
        () = started.notified() => assert_eq!(desk.balance("ada").await, (90, 10)),
    }
    assert_eq!(desk.until_free("ada").await, 100);
    // What failed may be tried again under its key, and is paid for once it is done.
    let retried =
        desk.billing.spend("ada", 10).key("job-1").run(async || Ok::<_, Broken>(())).await;
    assert!(retried.is_ok());
    assert_eq!(desk.balance("ada").await, (90, 0));
}

#[tokio::test]
async fn what_a_crash_leaves_comes_back_by_itself() {
    let desk = desk(100).await;
    let id = desk.billing.spend("ada", 40).key("job-1").reserve().await.unwrap().keep();
    assert_eq!(id, "job-1");
    assert_eq!(desk.balance("ada").await, (60, 40));
    let meanwhile = desk.billing.spend("ada", 40).key("job-1").reserve().await;
    assert!(matches!(meanwhile, Err(CreditError::UnderWay { .. })));
    desk.clock.advance(TimeDelta::minutes(15));
    assert_eq!(desk.balance("ada").await, (100, 0), "before anything swept it");
    let report = desk.billing.process_due().await.unwrap();
    assert_eq!(report.swept, 1);
    let again = desk.billing.spend("ada", 40).key("job-1").reserve().await.unwrap();
    assert_eq!(again.capture(15).await.unwrap(), 15);
    assert_eq!(desk.balance("ada").await, (85, 0));
}

#[tokio::test]
async fn one_call_sweeps_every_account_that_is_due() {
    let desk = desk(0).await;
    let ends = desk.clock.now() + TimeDelta::hours(1);
    for number in 0..250 {
        let gift = Grant { expires_at: Some(ends), ..Grant::new("gift", 10) };
        let account = key(&format!("account {number}"));
        desk.billing.ledger_execute(&account, Command::Grant(gift)).await.unwrap();
    }
    desk.clock.advance(TimeDelta::hours(1));
    let due = async || desk.billing.store().due(desk.clock.now(), 1_000).await.unwrap().len();
    assert_eq!(due().await, 250);
    let report = desk.billing.process_due().await.unwrap();
    assert_eq!((report.swept, due().await), (250, 0));
    let last = desk.billing.credit_history("account 249", "credits", None, 9).await.unwrap();
    assert_eq!(last.len(), 2, "what is over is on record: {last:?}");
}

#[tokio::test]
async fn work_does_not_begin_without_credits() {
    let desk = desk(5).await;
    let ran = AtomicU32::new(0);
    let work = async || -> Result<(), Broken> {
        ran.fetch_add(1, Ordering::Relaxed);
        Ok(())
    };
    let refused = desk.billing.spend("ada", 6).run(work).await.unwrap_err();
    let SpendError::Credits(error) = refused else { panic!("{refused:?}") };
    assert_eq!((error.http_status(), error.code()), (402, "insufficient"));
    let CreditError::Refused(refusal) = &error else { panic!("{error:?}") };
    assert_eq!(*refusal, Refusal::Insufficient { available: 5, requested: 6 });
    assert_eq!(ran.load(Ordering::Relaxed), 0);
    // Every call without a key is its own.
    for left in [3, 1] {
        desk.billing.spend("ada", 2).now().await.unwrap();
        assert_eq!(desk.balance("ada").await, (left, 0));
    }
}

#[tokio::test]
async fn a_member_pays_first_and_the_team_after() {
    let desk = desk(5).await;
    grant(&desk.billing, "team", 50).await;
    let spend = |amount| desk.billing.spend("ada", amount).by("ada").or_from("team");
    assert_eq!(spend(4).key("a").now().await.unwrap().from, key("ada"));
    assert_eq!(spend(4).key("b").now().await.unwrap().from, key("team"));
    assert_eq!((desk.balance("ada").await, desk.balance("team").await), ((1, 0), (46, 0)));
    // The team paid for it: it is not paid for again by the member, who has enough by now.
    grant(&desk.billing, "ada2", 1).await;
    desk.billing.ledger_execute(&key("ada"), Command::Grant(Grant::new("more", 50))).await.unwrap();
    let again = spend(4).key("b").now().await;
    assert!(matches!(again, Err(CreditError::Done { .. })), "{again:?}");
    let limit =
        Command::SetLimit { member: "ada".to_owned(), feature: None, window: Window::Day, max: 10 };
    desk.billing.ledger_execute(&key("team"), limit).await.unwrap();
    let beyond = desk.billing.spend("team", 11).by("ada").now().await.unwrap_err();
    assert_eq!((beyond.http_status(), beyond.code()), (402, "member_limit"));
}

#[tokio::test]
async fn the_catalog_says_for_each_feature_who_pays_first_or_alone() {
    let desk = desk(10).await;
    grant(&desk.billing, "team", 10).await;
    let spend = async |feature: &str, amount: i64| {
        let spend = desk.billing.spend("ada", amount).by("ada").on(feature).or_from("team");
        spend.now().await.map(|spent| spent.from.owner.account)
    };
    let who = |name: &str| Some(name.to_owned());
    assert_eq!(spend("stories", 1).await.ok(), who("ada"));
    assert_eq!(spend("reports", 1).await.ok(), who("team"));
    assert_eq!(spend("exports", 8).await.ok(), who("team"));
    assert_eq!(spend("reports", 2).await.ok(), who("ada"), "the team has not enough");
    assert_eq!(spend("exports", 2).await.ok(), None, "the member is not asked");
    assert_eq!(spend("notes", 7).await.ok(), who("ada"));
    assert_eq!(spend("notes", 1).await.ok(), None, "the team is not asked");
    let held = desk.billing.spend("ada", 1).on("reports").or_from("team").reserve().await.unwrap();
    assert_eq!(held.from().owner.account, "team");
    held.release().await.unwrap();
    assert_eq!((desk.balance("ada").await, desk.balance("team").await), ((0, 0), (1, 0)));
}

#[tokio::test]
async fn a_low_balance_is_told_once_per_crossing() {
    let desk = desk(100).await;
    let spend = async |amount| drop(desk.billing.spend("ada", amount).now().await.unwrap());
    spend(79).await;
    desk.billing.process_due().await.unwrap();
    assert_eq!(desk.told.take(), []);
    spend(1).await;
    spend(1).await;
    spend(19).await;
    desk.billing.process_due().await.unwrap();
    let line = |what: &str, left| (format!("low:ada:credits:{what}"), details(None, left));
    assert_eq!(desk.told.take(), [line("low:1", 0), line("depleted:1", 0)]);
    desk.billing.ledger_execute(&key("ada"), Command::Grant(Grant::new("more", 50))).await.unwrap();
    spend(40).await;
    desk.billing.process_due().await.unwrap();
    assert_eq!(desk.told.take(), [line("low:2", 10)]);
    // What is not true any more is not told.
    desk.billing.ledger_execute(&key("ada"), Command::Grant(Grant::new("2", 50))).await.unwrap();
    spend(50).await;
    desk.billing.ledger_execute(&key("ada"), Command::Grant(Grant::new("3", 50))).await.unwrap();
    desk.billing.process_due().await.unwrap();
    assert_eq!(desk.told.take(), []);
}

#[tokio::test]
async fn paid_credits_that_are_about_to_expire_are_told_a_week_and_a_day_before() {
    let desk = desk(0).await;
    let end = desk.billing.clock().now() + TimeDelta::days(30);
    let own = async |name: &str, change: fn(Grant) -> Grant| {
        let grant = change(Grant::new(name, 100).until(end));
        desk.billing.ledger_execute(&key("ada"), Command::Grant(grant)).await.unwrap();
    };
    own("pack", |grant| grant).await;
    // What was not paid for, and what a period of a plan gives, is not announced.
    own("gift", |grant| grant.of_kind(LotKind::Promo)).await;
    own("period", |grant| grant.of_kind(LotKind::Plan).in_series("si_1")).await;
    let after = async |time: TimeDelta| {
        desk.clock.advance(time);
        desk.billing.process_due().await.unwrap();
        desk.billing.process_due().await.unwrap();
        desk.told.take()
    };
    assert_eq!(after(TimeDelta::days(23) - TimeDelta::seconds(1)).await, []);
    let week = ("expiring:ada:credits:1:7".to_owned(), details(Some(100), 300));
    assert_eq!(after(TimeDelta::seconds(1)).await, [week]);
    desk.billing.spend("ada", 140).now().await.unwrap();
    assert_eq!(after(TimeDelta::days(5)).await, []);
    let day = ("expiring:ada:credits:1:1".to_owned(), details(Some(60), 160));
    assert_eq!(after(TimeDelta::days(1)).await, [day]);
    assert_eq!(after(TimeDelta::days(1)).await, []);
    assert_eq!(desk.balance("ada").await, (0, 0));
}

#[tokio::test]
async fn an_expiry_is_told_while_it_is_ahead_and_there_is_something_left() {
    let desk = desk(0).await;
    let start = desk.billing.clock().now();
    for (name, days) in [("a", 10), ("b", 20), ("c", 30), ("d", 3)] {
        let grant = Grant::new(name, 100).until(start + TimeDelta::days(days));
        desk.billing.ledger_execute(&key("ada"), Command::Grant(grant)).await.unwrap();
    }
    // Nobody looked for two weeks and five days: `a` is gone, of `b` the last word counts.
    desk.clock.advance(TimeDelta::days(19));
    desk.billing.ledger_execute(&key("ada"), Command::Sweep).await.unwrap();
    desk.billing.process_due().await.unwrap();
    let last = ("expiring:ada:credits:2:1".to_owned(), details(Some(100), 200));
    assert_eq!(desk.told.take(), [last]);
    // What was used up before the word went out is not announced.
    desk.clock.advance(TimeDelta::days(4));
    desk.billing.ledger_execute(&key("ada"), Command::Sweep).await.unwrap();
    desk.billing.spend("ada", 100).now().await.unwrap();
    desk.billing.process_due().await.unwrap();
    let told = desk.told.take();
    assert!(told.iter().all(|(key, _)| key.starts_with("low:")), "{told:?}");
    assert_eq!(desk.balance("ada").await, (0, 0));
}

#[tokio::test]
async fn a_renewal_that_is_booked_late_is_proven_all_the_same() {
    let desk = desk(0).await;
    let start = desk.billing.clock().now();
    let allowance = |number: i64| {
        let begins = start + TimeDelta::days(30 * number);
        let grant = Grant::new(format!("plan:si_1:{number}"), 100).in_series("si_1").from(begins);
        let grant = grant.until(begins + TimeDelta::days(33));
        Command::Allow { grant, rollover: Rollover::default() }
    };
    desk.billing.ledger_execute(&key("ada"), allowance(0)).await.unwrap();
    desk.clock.advance(TimeDelta::days(31));
    desk.billing.spend("ada", 30).now().await.unwrap();
    desk.billing.ledger_execute(&key("ada"), allowance(1)).await.unwrap();
    assert_eq!(desk.balance("ada").await, (100, 0), "the new period's, and nothing of the old");
}

/// A cache that nobody tells of what other nodes do.
#[derive(Debug, Default)]
struct Kept(std::sync::Mutex<BTreeMap<AccountKey, Arc<Access>>>);

#[async_trait::async_trait]
impl Cache for Kept {
    async fn get(&self, key: &AccountKey) -> Lookup {
        let known = self.0.lock().expect("not poisoned").get(key).cloned();
        known.map_or(Lookup::Miss(Ticket(0)), Lookup::Hit)
    }

    async fn put(&self, key: &AccountKey, _: Ticket, access: Arc<Access>) -> bool {
        self.0.lock().expect("not poisoned").insert(key.clone(), access);
        true
    }

    async fn invalidate(&self, key: &AccountKey) {
        self.0.lock().expect("not poisoned").remove(key);
    }

    async fn clear(&self) {
        self.0.lock().expect("not poisoned").clear();
    }

    fn stats(&self) -> CacheStats {
        CacheStats::default()
    }
}

fn told(id: &str, created: i64, status: &str) -> Bytes {
    json!({"id": id, "object": "event", "api_version": "2026-10-28.endive", "created": created,
        "livemode": true, "type": "customer.subscription.updated", "pending_webhooks": 1,
        "request": null, "data": {"object": {
            "id": "sub_1", "object": "subscription", "customer": "cus_1", "status": status,
            "metadata": {"account": "ada"}, "items": {"data": [{"id": "si_1",
            "price": {"id": "price_pro"}, "current_period_start": created,
            "current_period_end": created + 2_592_000}]}}}})
    .to_string()
    .into()
}

#[tokio::test]
async fn a_strict_spend_goes_by_what_another_node_learned_and_not_by_the_cache() {
    let start = 1_800_000_000;
    let clock = Arc::new(ManualClock::new(DateTime::from_timestamp(start, 0).unwrap()));
    let store = MemoryStore::new();
    let node = |cache: Arc<dyn Cache>| {
        let plan = Plan::new("pro").price(PlanPrice::new("price_pro"));
        let pack = Pack::new("pack", "price_pack").credits("credits", 100);
        Billing::builder(store.clone())
            .catalog(Catalog::builder().plan(plan).pack(pack).build().unwrap())
            .webhook_secrets(["whsec_test"])
            .clock(Arc::clone(&clock))
            .cache(cache)
            .build()
            .unwrap()
    };
    let (hears, spends) = (node(Arc::new(NoCache::default())), node(Arc::new(Kept::default())));
    let hear = async |id: &str, created: i64, status: &str| {
        let body = told(id, created, status);
        let secret = WebhookSecret::new("whsec_test").unwrap();
        let header = sign(&body, &secret, DateTime::from_timestamp(start, 0).unwrap());
        hears.receive(&header, body).await.unwrap();
        assert_eq!(hears.process_due().await.unwrap().processed, 1);
    };
    hear("evt_1", start - 30, "active").await;
    grant(&spends, "ada", 10).await;
    let spend = |key: &str| spends.spend("ada", 1).key(key);
    assert_eq!(spend("a").strictly().now().await.unwrap().amount, 1);
    // What was cached is old, and what is there now allows it, too.
    hear("evt_2", start - 20, "past_due").await;
    hear("evt_3", start - 10, "active").await;
    assert!(!spend("b").strictly().now().await.unwrap().replayed);
    assert!(spend("b").strictly().now().await.unwrap().replayed);
    hear("evt_4", start, "unpaid").await;
    assert!(spend("c").now().await.is_ok(), "by the cache");
    let refused = spend("d").strictly().now().await.unwrap_err();
    assert!(matches!(refused, CreditError::NotAllowed), "{refused:?}");
    let held = spend("e").strictly().reserve().await.unwrap_err();
    assert!(matches!(held, CreditError::NotAllowed), "{held:?}");
    assert_eq!(spends.credits("ada").await.unwrap()["credits"].available, 7);
}
