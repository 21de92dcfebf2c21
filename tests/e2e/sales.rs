//! Selling against a Stripe that answers: one customer and one payable page per account, whatever
//! races, fails and gets lost.

use std::collections::BTreeSet;
use std::sync::Arc;

use futures_util::future::join_all;
use serde_json::Value;
use stripe_billing_core::catalog::{Catalog, Plan, PlanPrice};
use stripe_billing_core::store::Store;
use stripe_billing_core::stripe::StripeClient;
use stripe_billing_core::{
    AccountKey, Billing, CheckoutRequest, CheckoutUrl, CustomerProfile, Processing, SellError,
};
use stripe_billing_testing::fake_stripe::{Card, FakeStripe, Fault, Interval, NewPrice};
use stripe_billing_testing::{Faults, FaultyStore, Moment};

use crate::quickstart::client;
use crate::world::SECRET;

async fn fake() -> FakeStripe {
    FakeStripe::builder()
        .price(NewPrice::recurring("price_pro", 1_500, "usd", Interval::Month))
        .price(NewPrice::recurring("price_team", 4_500, "usd", Interval::Month))
        .start()
        .await
        .expect("the fake starts")
}

fn billing(store: Arc<dyn Store>, fake: &FakeStripe) -> Billing {
    billing_by(store, fake, "sk_test_e2e")
}

fn billing_by(store: Arc<dyn Store>, fake: &FakeStripe, key: &str) -> Billing {
    let pro = Plan::new("pro").price(PlanPrice::new("price_pro"));
    let team = Plan::new("team").price(PlanPrice::new("price_team"));
    let stripe = StripeClient::builder(key).api_base(fake.base_url()).build();
    Billing::builder(store)
        .catalog(Catalog::builder().plan(pro).plan(team).build().expect("a catalog"))
        .webhook_secrets([SECRET])
        .stripe(stripe.expect("a client"))
        .processing(Processing::Inline)
        .build()
        .expect("a good configuration")
}

fn account() -> AccountKey {
    AccountKey::platform("acme")
}

fn order(price: &str) -> CheckoutRequest {
    CheckoutRequest::new(price, "https://app.test/done", "https://app.test/")
        .profile(CustomerProfile::with_email("ada@example.test"))
}

/// What the fake has of a kind.
async fn list(fake: &FakeStripe, path: &str) -> Vec<Value> {
    let request = client().get(format!("{}{path}?limit=100", fake.base_url()));
    let answer = request.bearer_auth("sk_test_e2e").send().await.expect("the fake answers");
    let answer: Value = answer.json().await.expect("JSON");
    answer["data"].as_array().expect("a list").clone()
}

async fn open_sessions(fake: &FakeStripe) -> usize {
    let sessions = list(fake, "/v1/checkout/sessions").await;
    sessions.iter().filter(|session| session["status"] == "open").count()
}

/// Delivers everything the fake has made since.
async fn hear(billing: &Billing, fake: &FakeStripe) {
    use stripe_billing_core::{Clock, SystemClock};
    use stripe_billing_testing::fake_stripe::ApiVersion;
    let version = ApiVersion::new("2026-10-28.endive").expect("a version");
    for event in fake.take_events() {
        let signed = event.signed(&version, SECRET, SystemClock.now().timestamp());
        billing.receive(&signed.header, signed.body).await.expect("stored");
    }
}

async fn a_hundred_first_checkouts(store: Arc<dyn Store>) {
    let fake = fake().await;
    let nodes = [billing(Arc::clone(&store), &fake), billing(store, &fake)];
    let tries = (0..100).map(|n| {
        let node = nodes[n % 2].clone();
        tokio::spawn(async move { node.checkout(&account(), &order("price_pro")).await })
    });
    let results: Vec<Result<CheckoutUrl, SellError>> =
        join_all(tries).await.into_iter().map(|joined| joined.expect("no panic")).collect();
    let mut pages = BTreeSet::new();
    for result in results {
        match result {
            Ok(page) => drop(pages.insert(page.url)),
            Err(error) => assert!(error.is_retryable(), "{error}"),
        }
    }
    assert_eq!(pages.len(), 1, "one page for all");
    assert_eq!(list(&fake, "/v1/customers").await.len(), 1);
    assert_eq!(open_sessions(&fake).await, 1);
}

async fn another_wish_closes_the_first_page(store: Arc<dyn Store>) {
    let fake = fake().await;
    let billing = billing(store, &fake);
    let first = billing.checkout(&account(), &order("price_pro")).await.expect("a page");
    let again = billing.checkout(&account(), &order("price_pro")).await.expect("a page");
    assert_eq!(first, again);
    let other = billing.checkout(&account(), &order("price_team")).await.expect("a page");
    assert_ne!(first.session, other.session);
    assert_eq!(open_sessions(&fake).await, 1);
    let back = billing.checkout(&account(), &order("price_pro")).await.expect("a page");
    assert_eq!(open_sessions(&fake).await, 1);

    // Paid, and nothing heard of it yet: a second subscription is not sold all the same.
    fake.complete_checkout(&back.session, Card::Good).expect("paid");
    let hasty = billing.checkout(&account(), &order("price_pro")).await;
    assert!(matches!(hasty, Err(SellError::CheckoutCompleted)), "{hasty:?}");
    hear(&billing, &fake).await;
    let late = billing.checkout(&account(), &order("price_team")).await;
    assert!(matches!(late, Err(SellError::AlreadySubscribed)), "{late:?}");
    assert_eq!(list(&fake, "/v1/customers").await.len(), 1);

    // Ended: it may be bought again, by the same customer.
    let sold = list(&fake, "/v1/subscriptions").await;
    fake.cancel_now(sold[0]["id"].as_str().expect("an id")).expect("canceled");
    hear(&billing, &fake).await;
    billing.checkout(&account(), &order("price_pro")).await.expect("a page");
    assert_eq!(list(&fake, "/v1/customers").await.len(), 1);
}

/// Going live on the database of the test: the test's customer is nobody there.
async fn test_and_live_customers_are_apart(store: Arc<dyn Store>) {
    let (test, live) = (fake().await, fake().await);
    let profile = CustomerProfile::default();
    for _ in 0..2 {
        for (fake, key) in [(&test, "sk_test_e2e"), (&live, "sk_live_e2e")] {
            let billing = billing_by(Arc::clone(&store), fake, key);
            billing.get_or_create_customer(&account(), &profile).await.expect("a customer");
            billing.checkout(&account(), &order("price_pro")).await.expect("a page");
        }
    }
    assert_eq!(list(&test, "/v1/customers").await.len(), 1);
    assert_eq!(list(&live, "/v1/customers").await.len(), 1, "and not the test's");
}

/// A fault at every call of the store and every answer of Stripe's: still one of each.
async fn lost_answers(store: Arc<dyn Store>) {
    let mut number = 0;
    let mut next = || {
        number += 1;
        AccountKey::platform(format!("acme-{number}"))
    };
    let calls = {
        let (fake, faults, account) = (fake().await, Faults::new(), next());
        let counted: Arc<dyn Store> = Arc::new(FaultyStore::new(Arc::clone(&store), &faults));
        billing(counted, &fake).checkout(&account, &order("price_pro")).await.expect("a page");
        faults.count()
    };
    assert!(calls >= 6, "claims, answers and reads: {calls}");
    for position in 1..=calls {
        for moment in Moment::ALL {
            let (fake, faults, account) = (fake().await, Faults::new(), next());
            let faulty: Arc<dyn Store> = Arc::new(FaultyStore::new(Arc::clone(&store), &faults));
            let billing = billing(faulty, &fake);
            faults.script(position, moment);
            let first = billing.checkout(&account, &order("price_pro")).await;
            assert!(first.is_ok() || first.is_err_and(|error| error.is_retryable()));
            billing.checkout(&account, &order("price_pro")).await.expect("a page");
            assert_eq!(list(&fake, "/v1/customers").await.len(), 1, "{moment:?} {position}");
            assert_eq!(open_sessions(&fake).await, 1, "{moment:?} call {position}");
        }
    }
    for route in ["POST /v1/customers", "POST /v1/checkout/sessions"] {
        for fault in [Fault::LoseResponse, Fault::Status(500), Fault::Conflict] {
            let (fake, account) = (fake().await, next());
            let billing = billing(Arc::clone(&store), &fake);
            fake.fail_next(route, fault);
            // The client tries again by itself, under the same key.
            let _ = billing.checkout(&account, &order("price_pro")).await;
            billing.checkout(&account, &order("price_pro")).await.expect("a page");
            assert_eq!(list(&fake, "/v1/customers").await.len(), 1, "{route}");
            assert_eq!(open_sessions(&fake).await, 1, "{route}");
        }
    }
}

mod on {
    use crate::backends::on_every_backend;

    on_every_backend!(
        a_hundred_first_checkouts another_wish_closes_the_first_page
        test_and_live_customers_are_apart lost_answers
    );
}
