//! What operators order over HTTP: about events that failed, messages, and the queue.

use serde_json::{Value, json};

use crate::app::{App, app, event};

/// An event that no rule can read, and so is dead at once.
async fn dead(app: &App, id: &str) {
    let body = event(
        id,
        "invoice.paid",
        &json!({"id": "in_1", "object": "invoice",
        "customer": "cus_1", "amount_due": 1_900, "currency": "usd",
        "customer_email": "ada@example.test", "lines": {"data": []}}),
    );
    let body = body.to_string().replace("\"in_1\"", "nonsense");
    assert_eq!(app.deliver(body).await.status, 200);
    assert_eq!(app.operator(&format!("/events/{id}")).await.body["status"], "dead");
}

fn actions(audit: &Value) -> Vec<&str> {
    audit["audit"].as_array().unwrap().iter().map(|line| line["action"].as_str().unwrap()).collect()
}

#[tokio::test]
async fn a_failed_event_is_resolved_or_dismissed_once_and_on_record() {
    let app = app();
    dead(&app, "evt_1").await;
    dead(&app, "evt_2").await;
    let tickets = app.operator("/tickets").await.body;
    assert_eq!(
        (&tickets["tickets"][0]["count"], &tickets["tickets"][1]),
        (&json!(2), &Value::Null)
    );
    let key = tickets["tickets"][0]["key"].as_str().unwrap();
    let of_ticket = app.operator(&format!("/events?ticket={key}")).await.body;
    assert_eq!(of_ticket["events"].as_array().unwrap().len(), 2);
    let shown = app.operator("/events/evt_1").await.body;
    assert_eq!((&shown["error_class"], &shown["ticket"]), (&json!("permanent"), &json!(key)));
    assert_eq!(shown["failed"][0]["code"], "corrupt_payload");

    let why = json!({"request_id": "r1", "reason": "a test of ours"});
    let first = app.operate("/events/evt_1/dismiss", &why).await;
    assert_eq!((first.status.as_u16(), &first.body["after"]), (200, &json!("dismissed")));
    assert_eq!(app.operate("/events/evt_1/dismiss", &why).await.body["repeated"], true);
    let unsaid = app.operate("/events/evt_2/dismiss", &json!({"request_id": "r2"})).await;
    unsaid.assert_problem(400, "invalid_body");
    app.operate("/events/evt_2/dismiss", &why).await.assert_problem(409, "request_reused");
    let gone = json!({"request_id": "r3"});
    app.operate("/events/evt_9/resolve", &gone).await.assert_problem(404, "unknown_event");
    app.operate("/events/evt_1/release", &gone).await.assert_problem(409, "not_now");
    let resolved = app.operate("/events/evt_2/resolve", &json!({"request_id": "r4"})).await;
    assert_eq!(
        (&resolved.body["before"], &resolved.body["after"]),
        (&json!("dead"), &json!("resolved"))
    );
    let ticket = &app.operator("/tickets").await.body["tickets"][0];
    assert_eq!(ticket["status"], "resolved", "nothing fails like it any more");

    let audit = app.operator("/audit").await.body;
    assert_eq!(actions(&audit), ["event.resolved", "event.dismissed"]);
    let line = &audit["audit"][1];
    assert_eq!(
        (&line["actor"], &line["reason"]),
        (&json!("operator:grace"), &json!("a test of ours"))
    );
    assert_eq!((&line["before"], &line["after"]), (&json!("dead"), &json!("dismissed")));
}

#[tokio::test]
async fn a_paused_queue_stores_and_waits() {
    let app = app();
    assert_eq!(app.operator("/queue").await.body["paused"], Value::Null);
    let why = json!({"request_id": "r1", "reason": "moving the database"});
    assert_eq!(app.operate("/queue/pause", &why).await.body["after"], "paused");
    let customer = json!({"id": "cus_1", "object": "customer", "metadata": {"account": "ada"}});
    let body = event("evt_1", "customer.created", &customer).to_string();
    assert_eq!(app.deliver(body).await.status, 200, "deliveries are taken");
    assert_eq!(app.operator("/events/evt_1").await.body["status"], "received");
    let ready = app.get("/health/ready", None).await;
    assert_eq!(ready.status, 200, "{}", ready.body);
    let queue = &ready.body["checks"][1];
    assert_eq!((&queue["name"], &queue["ok"]), (&json!("queue"), &json!(false)));
    assert!(!ready.body.to_string().contains("moving"), "reasons are for operators");
    let paused = app.operator("/queue").await.body;
    assert_eq!(paused["paused"]["actor"], "grace");
    assert_eq!(paused["paused"]["reason"], "moving the database");
    app.operate("/queue/resume", &json!({"request_id": "r2"})).await;
    assert_eq!(app.operator("/events/evt_1").await.body["status"], "processed");
    let none = app.operate("/messages/redeliver", &json!({"request_id": "r3"})).await;
    assert_eq!((none.status.as_u16(), &none.body["changed"]), (200, &json!(0)));
    let form = app.operate_form("/queue/pause").await;
    assert_eq!(form.status, 415, "another site's form is refused");
}

#[tokio::test]
async fn a_payload_is_shown_without_what_is_nobodys_business() {
    let app = app();
    let session = json!({"id": "cs_1", "object": "checkout.session", "customer": "cus_1",
        "amount_total": 999, "currency": "usd", "url": "https://pay.example/c/secret",
        "client_secret": "cs_secret", "metadata": {"note": "Ada"},
        "customer_details": {"email": "ada@example.test", "name": "Ada"}});
    let body = event("evt_1", "checkout.session.completed", &session).to_string();
    assert_eq!(app.deliver(body).await.status, 200);
    let shown = app.operator("/events/evt_1/payload").await;
    let text = shown.body.to_string();
    for secret in ["Ada", "ada@", "cs_secret", "pay.example"] {
        assert!(!text.contains(secret), "{secret} is in {text}");
    }
    assert_eq!(shown.body["data"]["object"]["amount_total"], 999);
    app.operator("/events/evt_9/payload").await.assert_problem(404, "unknown_event");
}
