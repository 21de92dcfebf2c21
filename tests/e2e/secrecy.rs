//! Nothing that a run writes for people to read holds a payload, an address or a secret.

use serde_json::{Value, json};

use crate::quickstart::{SECRET, Server, TOKEN};

const START: i64 = 1_700_000_000;

/// What must be nowhere but in the database's payloads.
const HUSH: [&str; 9] = [
    "ada.hush@example.test",
    "Ada Lovelace",
    "12 Secret Street",
    "+44 20 7946 0000",
    "pi_1_secret_hush",
    "https://pay.example.test/hush",
    "sk_test_hush",
    SECRET,
    TOKEN,
];

fn event(id: &str, kind: &str, object: &Value) -> String {
    json!({"id": id, "object": "event", "api_version": "2026-10-28.endive", "created": START,
        "livemode": false, "type": kind, "data": {"object": object}})
    .to_string()
}

/// Events of every fate, with something to hide in each of them.
fn events() -> Vec<String> {
    let address = json!({"line1": "12 Secret Street", "city": "London"});
    let customer = json!({"id": "cus_1", "object": "customer", "email": "ada.hush@example.test",
        "name": "Ada Lovelace", "phone": "+44 20 7946 0000", "address": address,
        "metadata": {"account": "ada"}});
    let invoice = json!({"id": "in_1", "object": "invoice", "customer": "cus_1", "status": "paid",
        "customer_email": "ada.hush@example.test", "customer_name": "Ada Lovelace",
        "hosted_invoice_url": "https://pay.example.test/hush", "amount_due": 4_900,
        "amount_paid": 4_900, "total": 4_900, "currency": "eur", "lines": {"data": []}});
    let intent = json!({"id": "pi_1", "object": "payment_intent", "customer": "cus_1",
        "client_secret": "pi_1_secret_hush", "amount": 4_900, "currency": "eur",
        "status": "requires_action", "receipt_email": "ada.hush@example.test"});
    let nobody = json!({"id": "cus_2", "object": "customer", "email": "ada.hush@example.test"});
    let broken = event("evt_broken", "invoice.paid", &invoice).replace("\"in_1\"", "Ada Lovelace");
    vec![
        event("evt_customer", "customer.created", &customer),
        event("evt_invoice", "invoice.paid", &invoice),
        event("evt_intent", "payment_intent.requires_action", &intent),
        event("evt_nobody", "customer.updated", &nobody),
        event("evt_novel", "novelty.created", &customer),
        broken,
    ]
}

#[tokio::test]
async fn nothing_to_hide_is_in_logs_tickets_the_audit_log_or_health() {
    let variables = [
        ("BILLING_STRIPE", "none"),
        ("STRIPE_WEBHOOK_SECRET", SECRET),
        ("BILLING_OPERATOR_TOKEN", TOKEN),
        ("STRIPE_SECRET_KEY", ""),
        ("RUST_LOG", "trace,hyper=info,h2=info,sqlx=info"),
    ];
    let server = Server::start(&variables).await;
    for body in events() {
        let (status, answer) = server.deliver(&body, SECRET).await;
        // One of them is no event at all.
        assert!(status == 200 || (status == 400 && body.contains("evt_broken")), "{answer}");
        let (status, _) = server.deliver(&body, "whsec_of_somebody_else").await;
        assert_eq!(status, 400, "and each once forged");
    }
    while !server.json("/operator/stats", "").await["idle"].as_bool().unwrap_or_default() {
        tokio::task::yield_now().await;
    }
    let mut seen = vec![
        ("tickets", server.json("/operator/tickets", "").await.to_string()),
        ("audit", server.json("/operator/audit", "").await.to_string()),
        ("events", server.json("/operator/events", "").await.to_string()),
        (
            "redacted payload",
            server.json("/operator/events/evt_invoice/payload", "").await.to_string(),
        ),
        ("stats", server.json("/operator/stats", "").await.to_string()),
        ("queue", server.json("/operator/queue", "").await.to_string()),
    ];
    let (ended, _) = server.stop().await;
    let log = ended.errors;
    assert!(log.contains("evt_broken"), "the log says what went wrong: {log}");
    seen.push(("log", log));
    for (place, text) in &seen {
        for secret in HUSH {
            let line = text.lines().find(|line| line.contains(secret));
            assert_eq!(line, None, "{secret} is in {place}");
        }
    }
}
