//! Credits as accounts and operators see them.

use axum::body::{Body, to_bytes};
use axum::http::Request;
use serde_json::json;
use tower::ServiceExt;

use crate::app::{App, NOW, app, event};

fn paid(account: &str) -> serde_json::Value {
    let session = json!({
        "id": "cs_1", "object": "checkout.session", "mode": "payment", "status": "complete",
        "payment_status": "paid", "amount_total": 999, "currency": "usd", "created": NOW - 40,
        "client_reference_id": account, "customer": "cus_1", "payment_intent": "pi_1",
        "metadata": {"pack": "pack_100"},
    });
    event("evt_paid", "checkout.session.completed", &session)
}

async fn bought(app: &App) {
    let answer = app.deliver(paid("ada").to_string()).await;
    assert_eq!(answer.status, 200, "{}", answer.body);
}

#[tokio::test]
async fn an_account_sees_its_balance_and_its_history() {
    let app = app();
    bought(&app).await;
    let credits = app.get("/billing/credits", Some("ada")).await.body;
    let balance = json!({
        "available": 100, "reserved": 0, "frozen": 0, "debt": 0, "waiting": 0, "expiring": 0,
        "expires_at": null,
    });
    let expected =
        json!({"account": "ada", "can_use_credits": true, "credits": {"credits": balance}});
    assert_eq!(credits, expected);
    app.get("/billing/credits", None).await.assert_problem(401, "unauthenticated");
    let nobody = app.get("/billing/credits", Some("ben")).await.body;
    assert_eq!(nobody["credits"]["credits"]["available"], 0);

    let take = json!({"amount": -30, "reason": "a mistake", "request_id": "r1"});
    app.operate("/accounts/ada/credits", &take).await;
    let page = app.get("/billing/credits/history?limit=1", Some("ada")).await.body;
    assert_eq!(page["entries"].as_array().unwrap().len(), 1);
    assert_eq!(page["entries"][0]["kind"], "adjust");
    assert_eq!(page["entries"][0]["amount"], -30);
    assert_eq!(page["entries"][0]["member"], "operator:grace");
    let next = format!("/billing/credits/history?limit=1&before={}", page["next"]);
    let page = app.get(&next, Some("ada")).await.body;
    assert_eq!(page["entries"][0]["amount"], 100);
    assert_eq!(page["next"], json!(null));
    let wrong = app.get("/billing/credits/history?unit=coins", Some("ada")).await;
    wrong.assert_problem(400, "invalid_query");
    let usage = app.get("/billing/credits/usage?from=2027-01-01&to=2027-02-01", Some("ada")).await;
    assert_eq!((usage.status.as_u16(), &usage.body["usage"]), (200, &json!([])));
}

#[tokio::test]
async fn operators_correct_credits_once_per_request_and_prove_the_ledger() {
    let app = app();
    bought(&app).await;
    let grant =
        json!({"amount": 50, "reason": "goodwill", "request_id": "r1", "expires_at": NOW + 60});
    let first = app.operate("/accounts/ada/credits", &grant).await;
    assert_eq!((first.status.as_u16(), &first.body["duplicate"]), (200, &json!(false)));
    let again = app.operate("/accounts/ada/credits", &grant).await;
    assert_eq!((again.status.as_u16(), &again.body["duplicate"]), (200, &json!(true)));
    let other =
        json!({"amount": 51, "reason": "goodwill", "request_id": "r1", "expires_at": NOW + 60});
    let other = app.operate("/accounts/ada/credits", &other).await;
    other.assert_problem(409, "idempotency_mismatch");
    let much = json!({"amount": -500, "reason": "too much", "request_id": "r2"});
    app.operate("/accounts/ada/credits", &much).await.assert_problem(402, "insufficient");
    let silent = json!({"amount": 5, "reason": " ", "request_id": "r3"});
    app.operate("/accounts/ada/credits", &silent).await.assert_problem(400, "invalid_body");

    let view = app.operator("/accounts/ada").await.body;
    let credits = json!({
        "available": 150, "reserved": 0, "frozen": 0, "debt": 0, "granted": 150, "clawed_back": 0,
    });
    assert_eq!(view["credits"]["credits"], credits);
    assert_eq!(view["notifications"]["credits_granted"], 1);
    let later = app.operator(&format!("/customers/cus_1?at={}", NOW + 60)).await.body;
    assert_eq!(later["credits"]["credits"]["available"], 100, "the gift has run out by then");

    let audit = app.operator("/audit?customer=account:ada").await.body;
    let line = &audit["audit"][0];
    assert_eq!((&line["actor"], &line["reason"]), (&json!("operator:grace"), &json!("goodwill")));
    assert_eq!(line["before"], "100 available, 0 owed");
    assert_eq!(line["after"], "150 available, 0 owed");
    assert_eq!(audit["audit"].as_array().unwrap().len(), 1, "what was refused changed nothing");

    let proof = app.operator("/ledger/verify").await.body;
    assert_eq!(proof, json!({"ok": true, "accounts": 1, "entries": 2, "violations": []}));
    let entries = app.operator("/accounts/ada/ledger?limit=1").await.body;
    assert_eq!(entries["entries"][0]["reason"], "goodwill");
    assert_eq!(entries["entries"][0]["actor"], "operator:grace");
    let request = Request::get("/operator/accounts/ada/ledger?format=csv");
    let request = request.header("authorization", "Bearer op_hush").body(Body::empty()).unwrap();
    let response = app.router.clone().oneshot(request).await.unwrap();
    assert_eq!(response.headers()["content-type"], "text/csv; charset=utf-8");
    let table = to_bytes(response.into_body(), 1 << 20).await.unwrap();
    let table = String::from_utf8(table.to_vec()).unwrap();
    assert_eq!(table.lines().count(), 3, "{table}");
    assert!(table.contains(",grant,50,150,0,0,"), "{table}");
}
