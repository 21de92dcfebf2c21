//! What events grant where it takes more than one of them: upgrades within a period, and allowances
//! that come by the month of a paid year.

use std::sync::Arc;

use bytes::Bytes;
use chrono::{DateTime, Months, TimeDelta, Utc};
use stripe_billing_core::catalog::{Catalog, Plan, PlanPrice, Policy, UpgradeCredits};
use stripe_billing_core::ledger::{EntryKind, LotKind, Scope};
use stripe_billing_core::store::CreditLedger;
use stripe_billing_core::webhook::{WebhookSecret, sign};
use stripe_billing_core::{Billing, Clock, ManualClock, MemoryStore};
use stripe_billing_testing::event::histories::{self, ACCOUNT, ACCOUNT_KEY, MONTH, START};
use stripe_billing_testing::event::{EventBuilder, InvoiceObject, Shape, SubscriptionObject};

const SECRET: &str = "whsec_test";
const DAY: i64 = 86_400;
const YEAR: i64 = 365 * DAY;

fn at(seconds: i64) -> DateTime<Utc> {
    DateTime::from_timestamp(seconds, 0).expect("a time of the test")
}

struct Desk {
    billing: Billing,
    store: MemoryStore,
    clock: Arc<ManualClock>,
}

impl Desk {
    fn new(upgrade_credits: UpgradeCredits) -> Self {
        let plan = Plan::new("pro")
            .price(PlanPrice::new("price_pro").credits("credits", 500))
            .price(PlanPrice::new("price_team").credits("credits", 800))
            .price(PlanPrice::new("price_year").credits("credits", 100).credits_monthly());
        let policy = Policy { upgrade_credits, ..Policy::default() };
        let catalog = Catalog::builder().plan(plan).policy(policy).build().expect("a catalog");
        let store = MemoryStore::new();
        let clock = Arc::new(ManualClock::new(at(START)));
        let billing = Billing::builder(store.clone())
            .catalog(catalog)
            .webhook_secrets([SECRET])
            .clock(Arc::clone(&clock))
            .build()
            .expect("a good configuration");
        Self { billing, store, clock }
    }

    async fn deliver(&self, events: &[Bytes]) {
        let secret = WebhookSecret::new(SECRET).expect("a secret");
        for body in events {
            let header = sign(body, &secret, self.clock.now());
            self.billing.receive(&header, body.clone()).await.expect("stored");
        }
        while !self.billing.process_due().await.expect("memory never fails").is_empty() {}
    }

    /// Every lot but what was given back, by kind, and that the ledger is proven.
    async fn granted(&self) -> Vec<(LotKind, i64)> {
        assert!(self.billing.verify_ledger(|_| {}).await.expect("read").ok);
        let owner = ACCOUNT.into();
        let accounts = self.store.accounts_of(&owner, Some(true)).await.expect("read");
        let lots = accounts.iter().flat_map(|account| account.lots.values());
        let mut lots: Vec<_> = lots.map(|lot| (lot.kind, lot.granted)).collect();
        lots.sort();
        lots
    }

    async fn available(&self) -> i64 {
        self.billing.credits(ACCOUNT).await.expect("read")["credits"].available
    }
}

/// A month that is paid, and upgraded after ten days.
fn upgraded(shape: Shape) -> Vec<Bytes> {
    let first = InvoiceObject::new("in_1", "cus_1", Some("sub_1")).status("paid");
    let first = first.paid_at(Some(START)).metadata(&[(ACCOUNT_KEY, ACCOUNT)]).render(shape);
    let paid = EventBuilder::new("invoice.paid").id("evt_first").shape(shape);
    let mut events = vec![paid.created(START).object(first).build()];
    events.extend(histories::upgrade(shape));
    events
}

/// Ten of 31 days for 500, the rest for 800: floor((500 * 10 + 800 * 21) / 31) = 703 in all.
#[tokio::test]
async fn an_upgrade_grants_its_share_of_the_period_in_any_order_of_events() {
    for shape in Shape::ALL {
        let events = upgraded(shape);
        let expected = [(LotKind::Plan, 500), (LotKind::Upgrade, 203)];
        for turn in 0..=events.len() {
            let desk = Desk::new(UpgradeCredits::Prorated);
            desk.clock.set(at(START + 11 * DAY));
            let mut events = events.clone();
            match turn {
                0 => {}
                1 => events.reverse(),
                _ => events.rotate_left(turn),
            }
            for event in &events {
                desk.deliver(std::slice::from_ref(event)).await;
            }
            assert_eq!(desk.granted().await, expected, "{shape:?}, turn {turn}");
            // Told once more, by all of them at once.
            desk.deliver(&events).await;
            assert_eq!(desk.available().await, 703);
        }
    }
}

#[tokio::test]
async fn without_the_policy_an_upgrade_grants_at_the_renewal() {
    let desk = Desk::new(UpgradeCredits::AtRenewal);
    desk.clock.set(at(START + 11 * DAY));
    desk.deliver(&upgraded(newest())).await;
    assert_eq!(desk.granted().await, [(LotKind::Plan, 500)]);
}

fn newest() -> Shape {
    Shape::ALL.into_iter().next_back().expect("a shape")
}

fn event(kind: &str, number: u32, created: i64, object: serde_json::Value) -> Bytes {
    let event = EventBuilder::new(kind).id(format!("evt_{number}")).shape(newest());
    event.created(created).object(object).build()
}

fn yearly() -> SubscriptionObject {
    SubscriptionObject::new("sub_1", "cus_1")
        .price("price_year")
        .interval("year")
        .period((START, START + YEAR))
        .metadata(&[(ACCOUNT_KEY, ACCOUNT)])
}

/// A year that is paid.
fn bought() -> Vec<Bytes> {
    let invoice = InvoiceObject::new("in_1", "cus_1", Some("sub_1"))
        .price("price_year")
        .period((START, START + YEAR))
        .total(12_000)
        .status("paid")
        .paid_at(Some(START))
        .metadata(&[(ACCOUNT_KEY, ACCOUNT)]);
    vec![
        event("customer.subscription.created", 1, START, yearly().render(newest())),
        event("invoice.paid", 2, START, invoice.render(newest())),
    ]
}

/// What there is to spend in each month, when 30 are spent in each.
async fn months(desk: &Desk, from: u32, to: u32) -> Vec<i64> {
    let mut seen = Vec::new();
    for month in from..to {
        let begins = at(START).checked_add_months(Months::new(month)).expect("a month");
        desk.clock.set(begins.max(desk.clock.now()));
        while !desk.billing.process_due().await.expect("memory never fails").is_empty() {}
        seen.push(desk.available().await);
        desk.billing.spend(ACCOUNT, 30).now().await.expect("there is enough");
    }
    seen
}

#[tokio::test]
async fn a_paid_year_grants_by_the_month() {
    let desk = Desk::new(UpgradeCredits::AtRenewal);
    desk.deliver(&bought()).await;
    assert_eq!(months(&desk, 0, 12).await, [100; 12], "unused ones end with their month");
    desk.deliver(&bought()).await;
    assert_eq!(desk.granted().await, [(LotKind::Plan, 100); 12]);
    // The last month's outlast the year by the renewal's grace, and nothing comes after them.
    desk.clock.set(at(START + YEAR) + TimeDelta::hours(71));
    assert_eq!(desk.available().await, 70);
    desk.clock.set(at(START + YEAR) + TimeDelta::hours(72));
    desk.billing.process_due().await.expect("memory never fails");
    assert_eq!(desk.available().await, 0);
    assert_eq!(desk.granted().await.len(), 12);
}

/// Whoever hears of a year when five months of it are over gets what is left of it, and what has run
/// out since is in the books.
#[tokio::test]
async fn a_year_that_is_told_late_grants_what_has_come_due() {
    let desk = Desk::new(UpgradeCredits::AtRenewal);
    desk.clock.set(at(START).checked_add_months(Months::new(5)).expect("a month"));
    let mut events = bought();
    events.reverse();
    desk.deliver(&events).await;
    assert_eq!(desk.granted().await, [(LotKind::Plan, 100); 6]);
    assert_eq!(months(&desk, 5, 12).await, [100; 7]);
    let key = stripe_billing_core::ledger::LedgerKey::new(ACCOUNT, "credits");
    let account = desk.store.account(&key, Scope::All).await.expect("read").expect("an account");
    assert_eq!(account.lots.values().map(|lot| lot.expired).sum::<i64>(), 500 + 6 * 70);
}

/// What is paid for stays: a year that is canceled on the spot, and not refunded, goes on by the month.
#[tokio::test]
async fn a_canceled_year_grants_to_its_paid_end() {
    let desk = Desk::new(UpgradeCredits::AtRenewal);
    desk.deliver(&bought()).await;
    assert_eq!(months(&desk, 0, 3).await, [100; 3]);
    let canceled_at = START + 2 * MONTH;
    let canceled = yearly().status("canceled").canceled_at(Some(canceled_at));
    let canceled = canceled.ended_at(Some(canceled_at)).render(newest());
    desk.deliver(&[event("customer.subscription.deleted", 3, canceled_at, canceled)]).await;
    assert_eq!(months(&desk, 3, 12).await, [100; 9]);
    desk.clock.set(at(START + YEAR));
    assert_eq!(desk.available().await, 0, "without a renewal there is no grace");
    assert_eq!(desk.granted().await.len(), 12);
    let history = desk.billing.credit_history(ACCOUNT, "credits", None, 100).await.expect("read");
    assert!(history.iter().all(|entry| entry.kind != EntryKind::Clawback));
}
