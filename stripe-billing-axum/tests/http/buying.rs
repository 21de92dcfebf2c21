//! Sales against a Stripe that answers as the real one does.

use axum::body::Body;
use axum::http::{Request, StatusCode};
use serde_json::{Value, json};
use stripe_billing_axum::BillingRouter;
use stripe_billing_core::stripe::StripeClient;
use stripe_billing_testing::fake_stripe::{Card, FakeStripe, Fault, Interval, NewPrice};

use crate::app::{App, NOW, app_with, builder, identity};

struct Shop {
    app: App,
    fake: FakeStripe,
}

async fn start() -> FakeStripe {
    FakeStripe::builder()
        .start_time(NOW)
        .price(NewPrice::recurring("price_pro", 1_900, "usd", Interval::Month).product("Pro"))
        .price(NewPrice::recurring("price_pro_year", 19_000, "usd", Interval::Year).product("Pro"))
        .price(NewPrice::one_time("price_pack", 999, "usd").product("Credits"))
        .start()
        .await
        .unwrap()
}

fn client(fake: &FakeStripe) -> StripeClient {
    StripeClient::builder("sk_test_1").api_base(fake.base_url()).max_retries(0).build().unwrap()
}

impl Shop {
    async fn open() -> Self {
        let fake = start().await;
        Self { app: app_with(client(&fake)), fake }
    }

    async fn checkout(&self, body: &Value) -> Value {
        let answer = self.app.post("/billing/checkout", "ada", body).await;
        assert_eq!(answer.status, StatusCode::OK, "{}", answer.body);
        assert!(answer.body["url"].as_str().unwrap().starts_with(self.fake.base_url()));
        answer.body
    }

    /// Tells the app everything that has happened.
    async fn deliver(&self) {
        for event in self.fake.take_events() {
            let body = event.body(self.fake.api_version());
            assert_eq!(self.app.deliver(body).await.status, StatusCode::OK);
        }
    }

    async fn subscribed() -> (Self, String) {
        let shop = Self::open().await;
        let session = shop.checkout(&json!({"price": "price_pro"})).await["session"].clone();
        let done = shop.fake.complete_checkout(session.as_str().unwrap(), Card::Good).unwrap();
        shop.deliver().await;
        (shop, done.subscription.unwrap())
    }

    fn session(&self, answer: &Value) -> Value {
        self.fake.object(answer["session"].as_str().unwrap()).unwrap()
    }
}

#[tokio::test]
async fn a_checkout_is_opened_once_and_comes_back_to_the_origin() {
    let shop = Shop::open().await;
    let first = shop.checkout(&json!({"price": "price_pro", "quantity": 3})).await;
    let session = shop.session(&first);
    assert_eq!(session["client_reference_id"], "ada");
    assert_eq!(
        session["success_url"],
        "https://app.example/?checkout=success&session={CHECKOUT_SESSION_ID}"
    );
    assert_eq!(session["cancel_url"], "https://app.example/?checkout=canceled");
    let again = shop.checkout(&json!({"price": "price_pro", "quantity": 3})).await;
    assert_eq!(first, again);
    // Something else closes it, so that nobody pays twice.
    let other = shop.checkout(&json!({"price": "price_pro_year"})).await;
    assert_ne!(first["session"], other["session"]);
    assert_eq!(shop.session(&first)["status"], "expired");
}

#[tokio::test]
async fn the_account_is_the_callers_whatever_the_body_says() {
    let shop = Shop::open().await;
    let claim = json!({"price": "price_pack", "account": "ben", "client_reference_id": "ben",
        "customer": "cus_ben", "success_url": "https://evil.example"});
    let session = shop.session(&shop.checkout(&claim).await);
    assert_eq!(session["client_reference_id"], "ada");
    assert_eq!(session["metadata"]["account"], "ada");
    assert!(session["success_url"].as_str().unwrap().starts_with("https://app.example/"));
}

#[tokio::test]
async fn a_form_is_answered_in_json_to_scripts_and_with_the_way_to_browsers() {
    let shop = Shop::open().await;
    for (accept, status) in [("application/json", 200), ("text/html,*/*;q=0.8", 303)] {
        let request = Request::post("/billing/checkout")
            .header("host", "app.example")
            .header("origin", "https://app.example")
            .header("accept", accept)
            .header("x-account", "ada")
            .header("content-type", "application/x-www-form-urlencoded; charset=utf-8")
            .body(Body::from("price=price_pack&quantity=2"));
        let answer = shop.app.send(request.unwrap()).await;
        assert_eq!(answer.status.as_u16(), status, "{}", answer.body);
        let location = answer.headers.get("location").map(|url| url.to_str().unwrap());
        assert_eq!(location, answer.body["url"].as_str().filter(|_| status == 303));
    }
}

#[tokio::test]
async fn what_was_just_paid_is_about_to_arrive() {
    let shop = Shop::open().await;
    let session = shop.checkout(&json!({"price": "price_pro"})).await["session"].clone();
    shop.fake.complete_checkout(session.as_str().unwrap(), Card::Good).unwrap();
    let answer = shop.app.post("/billing/checkout", "ada", &json!({"price": "price_pro"})).await;
    answer.assert_problem(409, "checkout_completed");
    assert_eq!(answer.headers["retry-after"], "1");
    shop.deliver().await;
    let answer = shop.app.post("/billing/checkout", "ada", &json!({"price": "price_pro"})).await;
    answer.assert_problem(409, "already_subscribed");
}

#[tokio::test]
async fn a_subscriber_manages_cancels_and_resumes() {
    let (shop, subscription) = Shop::subscribed().await;
    let portal = shop.app.post("/billing/portal", "ada", &json!({})).await;
    assert_eq!(portal.status, StatusCode::OK, "{}", portal.body);
    assert!(portal.body["url"].as_str().unwrap().starts_with(shop.fake.base_url()));

    for (path, canceling, state) in
        [("/billing/cancel", true, "canceled"), ("/billing/resume", false, "active")]
    {
        // The clock stands: the two changes are told apart by what they want.
        let answer = shop.app.post(path, "ada", &Value::Null).await;
        assert_eq!(answer.status, StatusCode::NO_CONTENT, "{path}: {}", answer.body);
        let live = shop.fake.object(&subscription).unwrap();
        assert_eq!(live["cancel_at_period_end"], canceling);
        shop.deliver().await;
        let now = shop.app.get("/billing/state", Some("ada")).await.body;
        assert_eq!((&now["state"], &now["access"]), (&json!(state), &json!(true)));
    }
}

#[tokio::test]
async fn what_stripe_refuses_is_told_without_its_words() {
    for (fault, status, code) in [
        (Fault::Status(400), 502, "stripe_refused"),
        (Fault::Status(401), 502, "stripe_refused"),
        (Fault::Status(500), 503, "stripe_unavailable"),
        (Fault::RateLimited, 503, "stripe_unavailable"),
        (Fault::DropConnection, 503, "stripe_unavailable"),
    ] {
        let shop = Shop::open().await;
        shop.fake.fail_next("POST /v1/checkout/sessions", fault);
        let answer =
            shop.app.post("/billing/checkout", "ada", &json!({"price": "price_pro"})).await;
        answer.assert_problem(status, code);
        assert_eq!(answer.headers.contains_key("retry-after"), status == 503);
        assert!(!answer.body.to_string().contains("unknown error"), "{}", answer.body);
    }
}

#[tokio::test]
async fn configured_addresses_are_used_as_they_are() {
    let fake = start().await;
    let billing = builder().stripe(client(&fake)).build().unwrap();
    let router = BillingRouter::new(billing, identity)
        .return_to("https://shop.example/account#billing")
        .cancel_url("https://shop.example/plans")
        .build()
        .unwrap();
    let shop = Shop {
        app: App {
            router: axum::Router::new().nest("/billing", router),
            now: chrono::DateTime::from_timestamp(NOW, 0).unwrap(),
        },
        fake,
    };
    let session = shop.session(&shop.checkout(&json!({"price": "price_pack"})).await);
    assert_eq!(
        session["success_url"],
        "https://shop.example/account?checkout=success&session={CHECKOUT_SESSION_ID}#billing"
    );
    assert_eq!(session["cancel_url"], "https://shop.example/plans");
}

#[tokio::test]
async fn without_an_origin_there_is_no_way_back() {
    let shop = Shop::open().await;
    let request = Request::post("/billing/checkout")
        .header("x-account", "ada")
        .header("content-type", "application/json")
        .body(Body::from(r#"{"price": "price_pack"}"#));
    shop.app.send(request.unwrap()).await.assert_problem(400, "return_url_unknown");
}
