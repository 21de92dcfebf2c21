//! Every history, in every API version, in any order, twinned and repeated: one end, and the one
//! that the history is known to have.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use bytes::Bytes;
use chrono::{DateTime, TimeDelta};
use serde_json::{Value, json};
use stripe_billing_core::catalog::{Catalog, Link, Pack, Plan, PlanPrice};
use stripe_billing_core::webhook::{WebhookSecret, sign};
use stripe_billing_core::{
    AccountKey, Billing, EventHandler, Fact, ManualClock, MemoryStore, NotifyError,
};
use stripe_billing_testing::event::Shape;
use stripe_billing_testing::event::histories::{ACCOUNT, ACCOUNT_KEY, ALL, PACK, PACK_KEY, START};

const SECRET: &str = "whsec_test";

#[derive(Clone, Debug, Default)]
struct Facts(Arc<Mutex<BTreeSet<String>>>);

#[async_trait]
impl EventHandler for Facts {
    async fn handle(&self, fact: &Fact) -> Result<(), NotifyError> {
        let mut facts = self.0.lock().expect("not poisoned");
        assert!(facts.insert(fact.key.clone()), "{} is told twice", fact.key);
        Ok(())
    }
}

/// What is to be seen in the end.
#[derive(Clone, Debug, PartialEq)]
struct End {
    view: Value,
    facts: BTreeSet<String>,
}

fn created(body: &Bytes) -> i64 {
    let event: Value = serde_json::from_slice(body).expect("a history of events");
    event["created"].as_i64().expect("a stamp")
}

async fn told(events: &[Bytes], batch: u32, step: usize) -> End {
    told_late(events, batch, step, 0).await
}

/// What is to be seen as of the end, of events that arrive so many days after it.
async fn told_late(events: &[Bytes], batch: u32, step: usize, days: i64) -> End {
    let (store, facts) = (MemoryStore::new(), Facts::default());
    let last = events.iter().map(created).max().unwrap_or_default() + 60;
    let then = DateTime::from_timestamp(last, 0).expect("a time");
    let now = then + TimeDelta::days(days);
    let plan = Plan::new("pro")
        .feature("export")
        .trial_credits("credits", 50)
        .price(PlanPrice::new("price_pro").credits("credits", 500))
        .price(PlanPrice::new("price_team").credits("credits", 800));
    let link = Link { account: ACCOUNT_KEY.to_owned(), pack: PACK_KEY.to_owned() };
    let catalog = Catalog::builder()
        .plan(plan)
        .link(link)
        .pack(Pack::new(PACK, "price_pack").credits("credits", 1000));
    let billing = Billing::builder(store)
        .catalog(catalog.build().expect("the suite's catalog"))
        .webhook_secrets([SECRET])
        .on_event(facts.clone())
        .clock(Arc::new(ManualClock::new(now)))
        .batch(batch)
        .build()
        .expect("a good configuration");
    let secret = WebhookSecret::new(SECRET).expect("a secret");
    for (index, body) in events.iter().enumerate() {
        let header = sign(body, &secret, now);
        billing.receive(&header, body.clone()).await.expect("stored");
        if index % step == step - 1 {
            billing.process_due().await.expect("processed");
        }
    }
    billing.process_due().await.expect("processed");
    let account = AccountKey::platform(ACCOUNT);
    let view = billing.account_view(&account, None, Some(then)).await.expect("read");
    let mut view = serde_json::to_value(&view).expect("views serialise");
    for volatile in ["version", "notifications", "subjects"] {
        view.as_object_mut().expect("an object").remove(volatile);
    }
    let facts = facts.0.lock().expect("not poisoned").clone();
    End { view, facts }
}

/// A stream of numbers that is the same every time.
struct Dice(u64);

impl Dice {
    fn below(&mut self, limit: usize) -> usize {
        self.0 =
            self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        usize::try_from(self.0 >> 33).expect("31 bits") % limit.max(1)
    }

    fn shuffle<T>(&mut self, list: &mut [T]) {
        for end in (1..list.len()).rev() {
            let other = self.below(end + 1);
            list.swap(end, other);
        }
    }
}

/// The same event under a second id, as Stripe sometimes makes it.
fn twin(body: &Bytes) -> Bytes {
    let mut event: Value = serde_json::from_slice(body).expect("a history of events");
    event["id"] = json!(format!("{}_twin", event["id"].as_str().expect("an id")));
    event.to_string().into()
}

fn list(view: &Value, name: &str, show: impl Fn(&Value) -> String) -> String {
    let shown: Vec<String> = view[name].as_array().into_iter().flatten().map(show).collect();
    if shown.is_empty() { String::new() } else { format!(" | {name} {}", shown.join(", ")) }
}

fn word(value: &Value) -> String {
    value.as_str().map_or_else(|| value.to_string(), str::to_owned)
}

/// An end in one line.
fn summary(view: &Value) -> String {
    let access = if view["access"] == true { "access" } else { "no access" };
    let mut line = format!("{} {access}", word(&view["state"]));
    line += &list(view, "subscriptions", |it| {
        let paid = it["paid_through"].as_i64().map(|end| format!(" to {}", (end - START) / 86_400));
        format!("{} {}{}", word(&it["id"]), word(&it["status"]), paid.unwrap_or_default())
    });
    line += &list(view, "invoices", |it| {
        format!("{} {} {}", word(&it["id"]), word(&it["status"]), it["amount_paid"])
    });
    line += &list(view, "payments", |it| {
        let disputed = if it["disputed"] == true { " disputed" } else { "" };
        let (amount, refunded) = (&it["amount"], &it["amount_refunded"]);
        format!("{amount} refunded {refunded} returned {}{disputed}", it["returned"])
    });
    line += &list(view, "disputes", |it| word(&it["status"]));
    line += &list(view, "checkout_sessions", |it| {
        let fulfilled = if it["fulfilled"] == true { "fulfilled" } else { "not fulfilled" };
        format!("{} {} {fulfilled}", word(&it["status"]), word(&it["payment_status"]))
    });
    let amounts = view["credits"]["credits"].as_object().into_iter().flatten();
    let amounts: Vec<String> = amounts
        .filter(|(_, amount)| **amount != 0)
        .map(|(name, amount)| format!("{name} {amount}"))
        .collect();
    if !amounts.is_empty() {
        line += &format!(" | credits {}", amounts.join(", "));
    }
    line
}

/// How each history ends, as its description says.
#[rustfmt::skip]
const ENDS: [(&str, &str); 35] = [
    ("sign_up", "active access | subscriptions sub_1 active to 31 | invoices in_1 paid 1500 | checkout_sessions complete paid fulfilled | credits available 500, granted 500"),
    ("cancel", "canceled no access | subscriptions sub_1 canceled"),
    ("failed_renewal", "active access | subscriptions sub_1 active to 62 | invoices in_2 paid 1500 | credits available 500, granted 500"),
    ("pack_by_card", "no_subscription no access | payments 1500 refunded 0 returned 0 | checkout_sessions complete paid fulfilled | credits available 1000, granted 1000"),
    ("pack_by_guest", "no_subscription no access | payments 1500 refunded 0 returned 0 | checkout_sessions complete paid fulfilled | credits available 1000, granted 1000"),
    ("pack_for_free", "no_subscription no access | checkout_sessions complete no_payment_required fulfilled | credits available 1000, granted 1000"),
    ("pack_delayed_succeeds", "no_subscription no access | payments 1500 refunded 0 returned 0 | checkout_sessions complete paid fulfilled | credits available 1000, granted 1000"),
    ("pack_delayed_fails", "no_subscription no access | checkout_sessions complete unpaid not fulfilled"),
    ("session_expired", "no_subscription no access | checkout_sessions expired unpaid not fulfilled"),
    ("trial_to_paid", "active access | subscriptions sub_1 active to 45 | invoices in_1 paid 0, in_2 paid 1500 | payments 1500 refunded 0 returned 0 | checkout_sessions complete no_payment_required fulfilled | credits available 500, granted 550"),
    ("renewal_recovers", "active access | subscriptions sub_1 active to 62 | invoices in_2 paid 1500 | payments 1500 refunded 0 returned 0 | credits available 500, granted 500"),
    ("renewal_confirmed", "active access | subscriptions sub_1 active to 62 | invoices in_2 paid 1500 | payments 1500 refunded 0 returned 0 | credits available 500, granted 500"),
    ("first_payment_expires", "expired no access | subscriptions sub_1 incomplete_expired | invoices in_1 void 0"),
    ("renewal_unpaid_canceled", "canceled no access | subscriptions sub_1 canceled | invoices in_2 open 0"),
    ("renewal_unpaid_kept", "unpaid no access | subscriptions sub_1 unpaid | invoices in_2 open 0"),
    ("renewal_uncollectible", "past_due no access | subscriptions sub_1 past_due | invoices in_2 uncollectible 0"),
    ("upgrade", "active access | subscriptions sub_1 active | invoices in_2 paid 2000 | payments 2000 refunded 0 returned 0"),
    ("cancel_undone", "active access | subscriptions sub_1 active to 62 | invoices in_2 paid 1500 | payments 1500 refunded 0 returned 0 | credits available 500, granted 500"),
    ("collection_paused", "active access | subscriptions sub_1 active | invoices in_2 void 0"),
    ("paused", "active access | subscriptions sub_1 active to 55 | invoices in_1 paid 0, in_2 paid 1500 | payments 1500 refunded 0 returned 0 | credits available 500, granted 550"),
    ("overdue_then_paid", "active access | subscriptions sub_1 active to 31 | invoices in_1 paid 1500 | payments 1500 refunded 0 returned 0 | credits available 500, granted 500"),
    ("void_and_reissue", "active access | subscriptions sub_1 active to 62 | invoices in_2 void 0, in_3 paid 750 | payments 750 refunded 0 returned 0 | credits available 500, granted 500"),
    ("manual_invoice", "active access | subscriptions sub_1 active | invoices in_9 paid 9900"),
    ("partial_refunds", "no_subscription no access | payments 1500 refunded 500 returned 500 | checkout_sessions complete paid fulfilled | credits available 667, clawed_back 333, granted 1000"),
    ("dispute_inquiry", "no_subscription no access | payments 1500 refunded 0 returned 0 disputed | disputes warning_closed | checkout_sessions complete paid fulfilled | credits available 1000, granted 1000"),
    ("dispute_won", "no_subscription no access | payments 1500 refunded 0 returned 0 disputed | disputes won | checkout_sessions complete paid fulfilled | credits available 1000, granted 1000"),
    ("dispute_lost", "no_subscription no access | payments 1500 refunded 0 returned 1500 disputed | disputes lost | checkout_sessions complete paid fulfilled | credits clawed_back 1000, granted 1000"),
    ("dispute_appealed", "no_subscription no access | payments 1500 refunded 0 returned 0 disputed | disputes won | checkout_sessions complete paid fulfilled | credits available 1000, granted 1000"),
    ("dispute_prevented", "no_subscription no access | payments 1500 refunded 0 returned 0 disputed | disputes prevented | checkout_sessions complete paid fulfilled | credits available 1000, granted 1000"),
    ("fraud_warning", "no_subscription no access | payments 1500 refunded 1500 returned 1500 | checkout_sessions complete paid fulfilled | credits clawed_back 1000, granted 1000"),
    ("customer_after_subscription", "active access | subscriptions sub_1 active to 31 | invoices in_1 paid 1500 | payments 1500 refunded 0 returned 0 | credits available 500, granted 500"),
    ("customer_deleted", "canceled no access | subscriptions sub_1 canceled"),
    ("payment_methods", "no_subscription no access"),
    ("source_expiring", "no_subscription no access"),
    ("entitlements", "canceled no access | subscriptions sub_1 canceled"),
];

#[tokio::test]
async fn every_history_ends_as_it_is_known_to_in_every_api_version() {
    for ((name, history), (expected_name, expected)) in ALL.into_iter().zip(ENDS) {
        assert_eq!(name, expected_name);
        for shape in Shape::ALL {
            let end = told(&history(shape), 16, 1).await;
            assert_eq!(summary(&end.view), expected, "{name} in {shape:?}");
            assert_eq!(end.view["account"], ACCOUNT, "{name}");
        }
    }
}

#[tokio::test]
async fn any_order_repetition_and_twin_ids_end_alike() {
    let mut dice = Dice(20_261_121);
    for (name, history) in ALL {
        for shape in Shape::ALL {
            let events = history(shape);
            let expected = told(&events, 16, 1).await;
            for round in 0..3 {
                let twins: Vec<Bytes> = events.iter().map(twin).collect();
                let mut shuffled = [events.clone(), events.clone(), twins].concat();
                dice.shuffle(&mut shuffled);
                let (batch, step) = (1 + dice.below(20), 1 + dice.below(4));
                let batch = u32::try_from(batch).expect("small");
                let actual = told(&shuffled, batch, step).await;
                assert_eq!(actual, expected, "{name} in {shape:?}, round {round}");
            }
        }
    }
}

#[tokio::test]
async fn a_history_told_years_late_shows_what_was_there_then() {
    let mut dice = Dice(99);
    for (name, history) in ALL {
        let events = history(Shape::New);
        let expected = told(&events, 16, 1).await;
        for round in 0..4 {
            let mut shuffled = events.clone();
            dice.shuffle(&mut shuffled);
            let actual = told_late(&shuffled, 16, 1 + dice.below(4), 900).await;
            assert_eq!(actual, expected, "{name}, round {round}");
        }
    }
}

#[tokio::test]
async fn a_history_told_in_several_api_versions_at_once_ends_alike() {
    let mut dice = Dice(7);
    for (name, history) in ALL {
        let expected = told(&history(Shape::New), 16, 1).await;
        for round in 0..6 {
            let mut mixed: Vec<Bytes> = Shape::ALL
                .into_iter()
                .flat_map(|shape| {
                    let events = history(shape);
                    let tag = shape.api_version().replace(['-', '.'], "_");
                    events.into_iter().map(move |body| {
                        let mut event: Value = serde_json::from_slice(&body).expect("an event");
                        event["id"] =
                            json!(format!("{}_{tag}", event["id"].as_str().expect("an id")));
                        Bytes::from(event.to_string())
                    })
                })
                .collect();
            dice.shuffle(&mut mixed);
            let actual = told(&mixed, 16, 1 + dice.below(9)).await;
            // An event of one version may know more of an object than that of another.
            assert_eq!(summary(&actual.view), summary(&expected.view), "{name}, round {round}");
        }
    }
}
