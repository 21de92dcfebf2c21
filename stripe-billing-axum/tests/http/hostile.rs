use axum::body::Body;
use axum::http::Request;
use serde_json::json;

use crate::app::{Answer, App, app};

async fn checkout(app: &App, media: Option<&str>, body: impl Into<Body>) -> Answer {
    let mut request =
        Request::post("/billing/checkout").header("host", "app.example").header("x-account", "ada");
    if let Some(media) = media {
        request = request.header("content-type", media);
    }
    app.send(request.body(body.into()).unwrap()).await
}

#[tokio::test]
async fn bodies_that_cannot_be_read_are_refused() {
    let app = app();
    let json = Some("application/json");
    let form = Some("application/x-www-form-urlencoded");
    let deep = format!("{{\"price\":{}", "[".repeat(5_000));
    for (media, body, status, code) in [
        (json, "", 400, "invalid_body"),
        (json, "{\"price\":\"pri", 400, "invalid_body"),
        (json, "{}", 400, "invalid_body"),
        (json, "[]", 400, "invalid_body"),
        (json, r#"{"price": 7}"#, 400, "invalid_body"),
        (json, r#"{"price": "p", "quantity": -1}"#, 400, "invalid_body"),
        (json, r#"{"price": "p", "quantity": 1.5}"#, 400, "invalid_body"),
        (json, r#"{"price": "p", "quantity": 99999999999999999999}"#, 400, "invalid_body"),
        (json, r#"{"price": "p", "quantity": 0}"#, 400, "invalid_quantity"),
        (json, r#"{"price": "p", "quantity": 1000001}"#, 400, "invalid_quantity"),
        (json, &deep, 400, "invalid_body"),
        (json, "price=price_pro", 400, "invalid_body"),
        (form, "", 400, "invalid_body"),
        (form, "quantity=1", 400, "invalid_body"),
        (form, "price=p&quantity=x", 400, "invalid_body"),
        (form, "price=p&quantity=0", 400, "invalid_quantity"),
        (form, r#"{"price": "price_pro"}"#, 400, "invalid_body"),
        (None, r#"{"price": "price_pro"}"#, 415, "unsupported_media_type"),
        (Some("text/plain"), r#"{"price": "price_pro"}"#, 415, "unsupported_media_type"),
        (Some("multipart/form-data"), "x", 415, "unsupported_media_type"),
    ] {
        let answer = checkout(&app, media, body.to_owned()).await;
        answer.assert_problem(status, code);
    }
    checkout(&app, json, &b"{\"price\":\"\xff\"}"[..]).await.assert_problem(400, "invalid_body");
    let large = format!("{{\"price\":\"{}\"}}", "p".repeat(20_000));
    checkout(&app, json, large).await.assert_problem(413, "payload_too_large");
}

#[tokio::test]
async fn odd_prices_are_not_for_sale() {
    let stripe = stripe_billing_core::stripe::StripeClient::new("sk_test_1").unwrap();
    let app = crate::app::app_with(stripe);
    for price in ["", "price_other", "price_pro\0", "../customers", "price_pro ", "💥"] {
        let answer = app.post("/billing/checkout", "ada", &json!({"price": price})).await;
        answer.assert_problem(422, "unknown_price");
    }
}

#[tokio::test]
async fn pages_of_other_origins_change_nothing() {
    let app = app();
    for path in ["/billing/checkout", "/billing/portal", "/billing/cancel", "/billing/resume"] {
        let request = Request::post(path)
            .header("host", "app.example")
            .header("origin", "https://evil.example")
            .header("x-account", "ada")
            .header("content-type", "application/x-www-form-urlencoded")
            .body(Body::from("price=price_pro"));
        app.send(request.unwrap()).await.assert_problem(403, "cross_origin");
    }
}
