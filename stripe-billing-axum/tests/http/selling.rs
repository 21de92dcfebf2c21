use serde_json::json;
use stripe_billing_core::fraud::{FraudRule, History, Verdict};
use stripe_billing_core::stripe::StripeClient;

use crate::app::{App, app, app_with, builder};

fn offline() -> StripeClient {
    // Nothing listens on port 1: these rows are decided before Stripe is asked.
    StripeClient::builder("sk_test_1")
        .api_base("http://127.0.0.1:1")
        .max_retries(0)
        .build()
        .unwrap()
}

#[tokio::test]
async fn without_a_stripe_client_nothing_is_sold() {
    let app = app();
    let order = json!({"price": "price_pro"});
    for path in ["/billing/checkout", "/billing/portal", "/billing/cancel", "/billing/resume"] {
        app.post(path, "ada", &order).await.assert_problem(503, "payments_unavailable");
    }
}

#[tokio::test]
async fn switched_off_payments_are_told() {
    let billing = builder().stripe(offline()).payments_enabled(false).build().unwrap();
    let app = App::new(billing);
    app.subscribe("ada").await;
    let answer = app.post("/billing/checkout", "ada", &json!({"price": "price_pack"})).await;
    answer.assert_problem(403, "payments_disabled");
    // What was bought keeps working.
    assert_eq!(app.get("/billing/state", Some("ada")).await.body["access"], true);
}

#[tokio::test]
async fn a_second_subscription_is_refused() {
    let app = app_with(offline());
    app.subscribe("ada").await;
    for price in ["price_pro", "price_pro_year"] {
        let answer = app.post("/billing/checkout", "ada", &json!({"price": price})).await;
        answer.assert_problem(409, "already_subscribed");
    }
}

#[tokio::test]
async fn there_is_nothing_to_manage_before_the_first_purchase() {
    let app = app_with(offline());
    app.post("/billing/portal", "ada", &json!({})).await.assert_problem(409, "no_customer");
    app.post("/billing/cancel", "ada", &json!({})).await.assert_problem(409, "no_subscription");
    app.post("/billing/resume", "ada", &json!({})).await.assert_problem(409, "no_subscription");
    // A subscription that runs on has nothing to be taken back.
    app.subscribe("ada").await;
    app.post("/billing/resume", "ada", &json!({})).await.assert_problem(409, "no_subscription");
}

#[tokio::test]
async fn stripe_out_of_reach_is_worth_another_try() {
    let app = app_with(offline());
    app.subscribe("ada").await;
    for path in ["/billing/portal", "/billing/cancel"] {
        let answer = app.post(path, "ada", &json!({})).await;
        answer.assert_problem(503, "stripe_unavailable");
        assert_eq!(answer.headers["retry-after"], "5");
    }
}

#[tokio::test]
async fn an_account_in_a_body_is_never_believed() {
    let app = app_with(offline());
    app.subscribe("ada").await;
    // Ada has a subscription and Ben has none: whose it is shows in the answer.
    let claim = json!({"account": "ada", "price": "price_pro", "x-account": "ada"});
    app.post("/billing/cancel", "ben", &claim).await.assert_problem(409, "no_subscription");
    app.post("/billing/checkout", "ada", &json!({"account": "ben", "price": "price_pro"}))
        .await
        .assert_problem(409, "already_subscribed");
}

/// A rule of the app's own.
#[derive(Debug)]
struct Never(Verdict);

impl FraudRule for Never {
    fn judge(&self, history: &History<'_>) -> Verdict {
        // What Ben did is none of Ada's business.
        if history.subjects.is_empty() { Verdict::Allow } else { self.0 }
    }
}

#[tokio::test]
async fn a_rule_denies_a_checkout_and_nothing_else() {
    let order = json!({"price": "price_pack"});
    let denying = builder().stripe(offline()).fraud_rule(Never(Verdict::Deny("own_rule")));
    let app = App::new(denying.fraud_rule(Never(Verdict::Allow)).build().unwrap());
    app.subscribe("ada").await;
    let answer = app.post("/billing/checkout", "ada", &order).await;
    answer.assert_problem(403, "denied_by_rule");
    app.post("/billing/checkout", "ada", &order).await.assert_problem(403, "denied_by_rule");
    let ticket = app.operator("/tickets").await.body["tickets"][0].clone();
    assert_eq!((&ticket["type"], &ticket["count"]), (&json!("fraud_review"), &json!(1)));
    assert_eq!(ticket["context"]["account"], "ada");
    let audit = app.operator("/audit").await.body;
    let denied = audit["audit"].as_array().unwrap().iter();
    let denied: Vec<_> = denied.filter(|line| line["action"] == "checkout.denied").collect();
    assert_eq!(denied.len(), 1, "asking again and again does not fill the log");
    assert_eq!(denied[0]["actor"], "rule:own_rule");
    let path = format!("/tickets/{}", ticket["number"]);
    let done = json!({"status": "resolved", "request_id": "r1", "reason": "known to us"});
    assert_eq!(app.operate(&path, &done).await.body["after"], "resolved");
    for unknown in ["/tickets/99", "/tickets/none"] {
        app.operate(unknown, &json!({"status": "open", "request_id": "r2"}))
            .await
            .assert_problem(404, "unknown_ticket");
    }
    let long = json!({"status": "open", "request_id": "r3", "reason": "x".repeat(1_001)});
    app.operate(&path, &long).await.assert_problem(400, "reason_too_long");
    assert!(!answer.body.to_string().contains("own_rule"), "{}", answer.body);
    assert_eq!(app.get("/billing/state", Some("ada")).await.body["access"], true);
    // Nothing is known of Ben, and a review lets Ada through: to a Stripe that is away.
    app.post("/billing/checkout", "ben", &order).await.assert_problem(503, "stripe_unavailable");
    let reviewing = builder().stripe(offline()).fraud_rule(Never(Verdict::Review("own_rule")));
    let app = App::new(reviewing.build().unwrap());
    app.subscribe("ada").await;
    app.post("/billing/checkout", "ada", &order).await.assert_problem(503, "stripe_unavailable");
}
