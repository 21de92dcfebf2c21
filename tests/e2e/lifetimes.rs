//! Lifetimes of accounts as FakeStripe lives them: after every step, in whatever order its events
//! arrive, what operators see is what Stripe has.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use serde_json::{Value, json};
use stripe_billing_core::{MemoryStore, Tenant};
use stripe_billing_testing::event::histories::{ACCOUNT, ACCOUNT_KEY, START};
use stripe_billing_testing::fake_stripe::{
    ApiVersion, Card, Debit, Exhausted, FakeStripe, Interval, NewPrice, NewRefund, NewSubscription,
};

use crate::live::ask;
use crate::stage::{Dice, Setup, Stage};

const DAY: u64 = 86_400;

/// Who lives here: one customer with a subscription, and guests.
struct Life {
    fake: FakeStripe,
    customer: String,
    subscription: String,
    dice: Dice,
    second: u64,
}

impl Life {
    async fn begin(seed: u64, version: &ApiVersion) -> Self {
        let mut dice = Dice(seed);
        let ends = [
            Exhausted::Cancel,
            Exhausted::Unpaid,
            Exhausted::KeepPastDue,
            Exhausted::Pause,
            Exhausted::MarkUncollectible,
        ];
        let fake = FakeStripe::builder()
            .start_time(START)
            .api_version(version.as_str())
            .when_exhausted(ends[dice.below(ends.len())])
            .feature("prod_team", "sso")
            .feature("prod_team", "audit")
            .price(NewPrice::recurring("price_pro", 1_500, "usd", Interval::Month))
            .price(
                NewPrice::recurring("price_team", 4_500, "usd", Interval::Month)
                    .product_id("prod_team"),
            )
            .price(NewPrice::one_time("price_pack", 1_500, "usd"))
            .start()
            .await
            .expect("the fake starts");
        let customer = fake.create_customer("ada@example.test", &[(ACCOUNT_KEY, ACCOUNT)]);
        fake.set_card(&customer, Card::Good).expect("a card");
        let new = NewSubscription::new(&customer, "price_pro");
        let new = if dice.below(3) == 0 { new.trial_days(10) } else { new };
        let subscription = fake.create_subscription(new).expect("a subscription");
        Self { fake, customer, subscription, dice, second: 0 }
    }

    /// The objects of a kind that Stripe told of, in the order of their making.
    fn known(&self, prefix: &str) -> Vec<String> {
        let mut ids: Vec<String> = Vec::new();
        for event in self.fake.events() {
            let id = event.object_id();
            if id.starts_with(prefix) && !ids.iter().any(|known| known == id) {
                ids.push(id.to_owned());
            }
        }
        ids
    }

    fn any(&mut self, prefix: &str) -> String {
        let known = self.known(prefix);
        known.get(self.dice.below(known.len())).cloned().unwrap_or_default()
    }

    /// A charge whose money has moved.
    fn paid(&mut self) -> String {
        let charge = self.any("ch_");
        let moved = self.fake.object(&charge).is_some_and(|row| row["status"] == "succeeded");
        if moved { charge } else { String::new() }
    }

    /// One step, whatever is possible just then: the rest is refused, as by Stripe.
    async fn step(&mut self) -> String {
        // Stripe stamps whole seconds; every other step falls into the second of the one before.
        self.second += 1;
        self.fake.advance(Duration::from_secs(2 * (self.second % 2))).await;
        let kind = self.dice.below(12);
        let done = match kind {
            0 | 1 => self.subscription_changes().await,
            2 => self.collection_changes(),
            3 => self.invoice_changes(),
            4 | 5 => self.money_goes_back(),
            6 => self.dispute_moves(),
            7 | 8 => self.checkout().await,
            _ => {
                let days = [1, 3, 10, 31][self.dice.below(4)];
                self.fake.advance(Duration::from_secs(days * DAY)).await;
                format!("{days} days")
            }
        };
        format!("{kind}: {done}")
    }

    async fn subscription_changes(&mut self) -> String {
        let (fake, subscription) = (&self.fake, self.subscription.clone());
        match self.dice.below(8) {
            0 => format!("good card {}", fake.set_card(&self.customer, Card::Good).is_ok()),
            1 => {
                format!("bad card {}", fake.set_card(&self.customer, Card::FailsOnRenewal).is_ok())
            }
            2 => format!(
                "card to confirm {}",
                fake.set_card(&self.customer, Card::ConfirmsOnRenewal).is_ok()
            ),
            3 => format!("will end {}", fake.cancel_at_period_end(&subscription).is_ok()),
            4 => format!("resumes {}", fake.resume(&subscription).is_ok()),
            5 if self.dice.below(3) == 0 => {
                format!("ends {}", self.fake.cancel_now(&subscription).is_ok())
            }
            _ => {
                let row = fake.object(&subscription).unwrap_or_default();
                let item = row["items"]["data"][0]["id"].as_str().unwrap_or_default().to_owned();
                let now = row["items"]["data"][0]["price"]["id"].clone();
                let to = if now == "price_pro" { "price_team" } else { "price_pro" };
                let form = format!(
                    "items[0][id]={item}&items[0][price]={to}&proration_behavior=always_invoice"
                );
                let path = format!("/v1/subscriptions/{subscription}");
                let answer = ask(&self.fake, &path, &form).await;
                format!("to {to} {}", answer["error"].is_null())
            }
        }
    }

    fn collection_changes(&mut self) -> String {
        let (fake, subscription) = (&self.fake, &self.subscription);
        let until = Some(fake.now() + 20 * 86_400);
        match self.dice.below(6) {
            0 => format!("void {}", fake.pause_collection(subscription, "void", None).is_ok()),
            1 => format!(
                "draft {}",
                fake.pause_collection(subscription, "keep_as_draft", until).is_ok()
            ),
            2 => format!(
                "uncollectible {}",
                fake.pause_collection(subscription, "mark_uncollectible", None).is_ok()
            ),
            3 => format!("collects {}", fake.resume_collection(subscription).is_ok()),
            4 => format!("pauses {}", fake.pause_subscription(subscription).is_ok()),
            _ => format!("unpauses {}", fake.resume_subscription(subscription).is_ok()),
        }
    }

    fn invoice_changes(&mut self) -> String {
        let invoice = self.fake.latest_invoice(&self.subscription).unwrap_or_default();
        let fake = &self.fake;
        match self.dice.below(6) {
            0 => format!("voids {}", fake.void_invoice(&invoice).is_ok()),
            1 => format!("forgives {}", fake.mark_uncollectible(&invoice).is_ok()),
            2 => format!("paid in cash {}", fake.pay_out_of_band(&invoice).is_ok()),
            3 => format!("pays {}", fake.pay_invoice(&invoice).is_ok()),
            4 => format!("confirms {}", fake.confirm_payment(&invoice, true).is_ok()),
            _ => format!("turns down {}", fake.confirm_payment(&invoice, false).is_ok()),
        }
    }

    fn money_goes_back(&mut self) -> String {
        let charge = self.paid();
        let later = Duration::from_secs(2 * DAY);
        let refund = match self.dice.below(5) {
            0 => NewRefund::new(),
            1 => NewRefund::new().amount(300),
            2 => NewRefund::new().amount(200).pending_for(later),
            3 => NewRefund::new().amount(400).fails_after(later),
            _ => {
                let refund = self.any("re_");
                return format!("bounces {refund} {}", self.fake.fail_refund(&refund).is_ok());
            }
        };
        format!("{charge} {}", self.fake.refund_as(&charge, refund).is_ok())
    }

    fn dispute_moves(&mut self) -> String {
        let (charge, dispute) = (self.paid(), self.any("du_"));
        let fake = &self.fake;
        match self.dice.below(9) {
            0 => format!("disputed {}", fake.open_dispute(&charge, None).is_ok()),
            1 => format!("inquiry {}", fake.open_inquiry(&charge, Some(500)).is_ok()),
            2 => format!("prevented {}", fake.prevent_dispute(&charge, None).is_ok()),
            3 => format!("escalated {}", fake.escalate_dispute(&dispute).is_ok()),
            4 => format!("evidence {}", fake.submit_evidence(&dispute).is_ok()),
            5 => format!("won {}", fake.close_dispute(&dispute, true).is_ok()),
            6 => format!("lost {}", fake.close_dispute(&dispute, false).is_ok()),
            7 => format!("appeal {}", fake.appeal_dispute(&dispute).is_ok()),
            _ => format!("warning {}", fake.warn_of_fraud(&charge).is_ok()),
        }
    }

    /// A pack, bought by the customer or a guest, by card or debit; some pages are left alone.
    async fn checkout(&mut self) -> String {
        let mut form = format!(
            "mode=payment&success_url=https://app.test/&line_items[0][price]=price_pack\
             &line_items[0][quantity]=1&metadata[{ACCOUNT_KEY}]={ACCOUNT}\
             &client_reference_id={ACCOUNT}\
             &payment_intent_data[metadata][{ACCOUNT_KEY}]={ACCOUNT}"
        );
        let guest = self.dice.below(2) == 0;
        if !guest {
            form += &format!("&customer={}", self.customer);
        }
        let session = ask(&self.fake, "/v1/checkout/sessions", &form).await;
        let Some(id) = session["id"].as_str() else { return format!("refused {session}") };
        let (later, fake) = (Duration::from_secs(3 * DAY), &self.fake);
        let paid = match self.dice.below(4) {
            0 => fake.complete_checkout_by_debit(id, Debit::Arrives(later)).is_ok(),
            1 => fake.complete_checkout_by_debit(id, Debit::Bounces(later)).is_ok(),
            2 => fake.complete_checkout(id, Card::Good).is_ok(),
            _ => false,
        };
        format!("{id} guest {guest} paid {paid}")
    }

    /// What Stripe has, as far as it told of it.
    fn truth(&self) -> Value {
        let get = |id: &String| self.fake.object(id).expect("an object that an event was about");
        let by = |prefix: &str, show: fn(&Value) -> Option<Value>| -> BTreeMap<String, Value> {
            let known = self.known(prefix).into_iter();
            known.filter_map(|id| Some((id.clone(), show(&get(&id))?))).collect()
        };
        json!({
            "subscriptions": by("sub_", |row| Some(json!([
                row["status"], row["items"]["data"][0]["price"]["id"],
                row["items"]["data"][0]["current_period_start"],
                row["items"]["data"][0]["current_period_end"],
                row["cancel_at_period_end"], row["cancel_at"], row["ended_at"],
                row["pause_collection"], row["trial_end"], row["latest_invoice"],
            ]))),
            "invoices": by("in_", |row| Some(json!([
                row["status"], row["total"], row["amount_due"], row["attempt_count"],
                row["next_payment_attempt"],
            ]))),
            "payments": by("ch_", |row| (row["status"] == "succeeded").then(|| json!([
                row["amount"], row["amount_refunded"], row["disputed"],
            ]))),
            "disputes": by("du_", |row| Some(json!([row["status"], row["amount"]]))),
            "checkout_sessions": by("cs_", |row| (row["status"] != "open").then(|| json!([
                row["status"], row["payment_status"], row["payment_intent"],
            ]))),
        })
    }
}

/// The same of our own view.
fn seen(view: &Value) -> Value {
    let by = |list: &str, id: &str, show: fn(&Value) -> Value| -> BTreeMap<String, Value> {
        let rows = view[list].as_array().expect("a list").iter();
        rows.map(|row| (row[id].as_str().unwrap_or("without an id").to_owned(), show(row)))
            .collect()
    };
    json!({
        "subscriptions": by("subscriptions", "id", |row| json!([
            row["status"], row["prices"][0], row["period_start"][0], row["period_end"][0],
            row["cancel_at_period_end"], row["cancel_at"], row["ended_at"],
            row["pause_collection"], row["trial_end"], row["latest_invoice"],
        ])),
        "invoices": by("invoices", "id", |row| json!([
            row["status"], row["total"], row["amount_due"], row["attempt_count"],
            row["next_payment_attempt"],
        ])),
        "payments": by("payments", "charge", |row| json!([
            row["amount"], row["amount_refunded"], row["disputed"],
        ])),
        "disputes": by("disputes", "id", |row| json!([row["status"], row["amount"]])),
        "checkout_sessions": by("checkout_sessions", "id", |row| json!([
            row["status"], row["payment_status"], row["payment_intent"],
        ])),
    })
}

async fn live(seed: u64, version: &str) {
    let version = ApiVersion::new(version).expect("a version");
    let mut life = Life::begin(seed, &version).await;
    let stage = Stage::new(Arc::new(MemoryStore::new()), Setup::default());
    let mut steps = vec!["created".to_owned()];
    for _ in 0..16 {
        let mut events: Vec<Bytes> =
            life.fake.take_events().iter().map(|event| event.body(&version)).collect();
        life.dice.shuffle(&mut events);
        let again = events.clone();
        for body in events.iter().chain(&again) {
            stage.deliver([body]).await;
            if life.dice.below(2) == 0 {
                stage.billing.process_due().await.expect("memory never fails");
            }
        }
        stage.settle().await;
        let view = stage.account(&Tenant::platform(false), ACCOUNT).await;
        let (seen, truth) = (seen(&view), life.truth());
        for kind in ["subscriptions", "invoices", "payments", "disputes", "checkout_sessions"] {
            assert_eq!(seen[kind], truth[kind], "{kind}, seed {seed}, {version}, {steps:#?}");
        }
        steps.push(life.step().await);
    }
    let ends = stage.events().await;
    let bad: Vec<_> = ends.iter().filter(|(_, end)| end.starts_with("dead")).collect();
    assert!(bad.is_empty(), "seed {seed}: {bad:?}");
    let facts = stage.facts(&Tenant::platform(false));
    assert!(facts.values().all(|times| *times == 1), "seed {seed}: {facts:?}");
}

#[tokio::test]
async fn no_step_ends_otherwise_than_stripe_has_it() {
    let versions = [
        "2026-10-28.endive",
        "2024-06-20",
        "2022-11-15",
        "2025-03-31.basil",
        "2023-10-16",
        "2025-12-15.clover",
    ];
    for (seed, version) in (0..150).zip(versions.into_iter().cycle()) {
        live(seed, version).await;
    }
}
