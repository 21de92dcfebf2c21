use axum::body::Body;
use axum::http::Request;
use serde_json::json;

use crate::app::{NOW, app};

#[tokio::test]
async fn state_of_an_account_that_has_nothing() {
    let app = app();
    let answer = app.get("/billing/state", Some("ada")).await;
    assert_eq!(answer.status, 200);
    assert_eq!(answer.headers["cache-control"], "no-store");
    assert_eq!(answer.body["account"], "ada");
    assert_eq!(answer.body["state"], "no_subscription");
    assert_eq!(answer.body["access"], false);
    assert_eq!(answer.body["can_purchase"], true);
    assert_eq!(answer.body["subscriptions"], json!([]));
}

#[tokio::test]
async fn state_of_a_subscriber() {
    let app = app();
    app.subscribe("ada").await;
    let body = app.get("/billing/state", Some("ada")).await.body;
    assert_eq!(body["state"], "active");
    assert_eq!(body["access"], true);
    assert_eq!(body["features"], json!(["export"]));
    assert_eq!(body["limits"], json!({"projects": 20}));
    assert_eq!(body["can_use_credits"], true);
    assert_eq!(body["can_purchase"], false);
    assert_eq!(body["valid_until"], json!(null));
    let subscription = &body["subscriptions"][0];
    assert_eq!(subscription["id"], "sub_ada");
    assert_eq!(subscription["plans"], json!(["pro"]));
    assert_eq!(subscription["period_end"], NOW + 2_592_000);
    // Others see nothing of it.
    let other = app.get("/billing/state", Some("ben")).await.body;
    assert_eq!(other["state"], "no_subscription");
}

#[tokio::test]
async fn plans_are_public_and_know_the_current_one() {
    let app = app();
    app.subscribe("ada").await;
    let public = app.get("/billing/plans", None).await;
    assert_eq!(public.status, 200);
    assert_eq!(public.body["can_purchase"], json!(null));
    let plan = &public.body["plans"][0];
    assert_eq!((&plan["id"], &plan["name"]), (&json!("pro"), &json!("Pro")));
    assert_eq!(plan["current"], false);
    let price = &plan["prices"][0];
    assert_eq!(price["id"], "price_pro");
    assert_eq!(price["period"], "month");
    assert_eq!((&price["amount"], &price["currency"]), (&json!(1_900), &json!("usd")));
    assert_eq!(plan["prices"][1]["limits"], json!({"projects": 50}));
    assert_eq!(public.body["packs"][0]["price"], "price_pack");
    assert_eq!(public.body["packs"][0]["credits"], json!({"credits": 100}));

    let own = app.get("/billing/plans", Some("ada")).await.body;
    assert_eq!(own["can_purchase"], false);
    assert_eq!(own["plans"][0]["current"], true);
    let current: Vec<_> = own["plans"][0]["prices"]
        .as_array()
        .unwrap()
        .iter()
        .map(|price| price["current"].clone())
        .collect();
    assert_eq!(current, [json!(true), json!(false)]);
}

#[tokio::test]
async fn nobody_gets_no_account() {
    let app = app();
    app.get("/billing/state", None).await.assert_problem(401, "unauthenticated");
    app.get("/billing/state", Some("")).await.assert_problem(401, "unauthenticated");
    for path in ["/billing/checkout", "/billing/portal", "/billing/cancel", "/billing/resume"] {
        let request = Request::post(path)
            .header("content-type", "application/json")
            .body(Body::from(r#"{"price": "price_pro", "account": "ada"}"#));
        app.send(request.unwrap()).await.assert_problem(401, "unauthenticated");
    }
}
