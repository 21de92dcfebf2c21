use axum::body::{Body, Bytes};
use axum::http::Request;
use serde_json::json;
use stripe_billing_core::webhook::{self, WebhookSecret};

use crate::app::{App, MAX_BODY, SECRET, app, event};

fn customer(id: &str) -> String {
    event(id, "customer.created", &json!({"id": "cus_1", "object": "customer"})).to_string()
}

#[tokio::test]
async fn an_event_is_received_and_a_second_time_known() {
    let app = app();
    let first = app.deliver(customer("evt_1")).await;
    assert_eq!(first.status, 200);
    assert_eq!(first.body, json!({"received": true, "duplicate": false}));
    let again = app.deliver(customer("evt_1")).await;
    assert_eq!(again.status, 200);
    assert_eq!(again.body, json!({"received": true, "duplicate": true}));
}

#[tokio::test]
async fn whatever_an_event_contains_it_is_received() {
    let app = app();
    for (at, object) in [
        json!({"id": "sub_1", "object": "subscription"}),
        json!({"object": "subscription", "items": "no list", "status": 7}),
        json!({"id": "a\u{0}b", "object": "invoice", "customer": {"id": "x\u{0}"}}),
        json!({"id": "in_1", "object": "invoice", "lines": {"data": [{"amount": i64::MAX}]}}),
        json!([1, 2, 3]),
        json!(null),
    ]
    .iter()
    .enumerate()
    {
        for kind in ["customer.subscription.updated", "invoice.paid", "some.new_type"] {
            let id = format!("evt_{at}_{kind}");
            let answer = app.deliver(event(&id, kind, object).to_string()).await;
            assert_eq!(answer.status, 200, "{kind} {object}: {}", answer.body);
        }
    }
}

#[tokio::test]
async fn deep_nesting_is_received() {
    let app = app();
    let deep = format!("{}{}", "[".repeat(10_000), "]".repeat(10_000));
    let body = customer("evt_deep").replace("\"cus_1\"", &deep);
    assert_eq!(app.deliver(body).await.status, 200);
}

#[tokio::test]
async fn bad_signatures_are_refused() {
    let app = app();
    let body = customer("evt_1");
    let other = WebhookSecret::new("whsec_other").unwrap();
    let secret = WebhookSecret::new(SECRET).unwrap();
    let hour = chrono::TimeDelta::hours(1);
    let v1 = app.signed(body.as_bytes());
    let rows: Vec<(Vec<u8>, &str)> = vec![
        (Vec::new(), "signature_missing"),
        (b"t=1".to_vec(), "signature_scheme_unsupported"),
        (b"nonsense".to_vec(), "signature_malformed"),
        (vec![0xff, 0xfe, 0x80], "signature_malformed"),
        (vec![b'a'; 20_000], "signature_header_too_long"),
        (v1.replace("v1=", "v0=").into_bytes(), "signature_scheme_unsupported"),
        (webhook::sign(body.as_bytes(), &other, app.now).into_bytes(), "signature_mismatch"),
        (webhook::sign(b"{}", &secret, app.now).into_bytes(), "signature_mismatch"),
        (
            webhook::sign(body.as_bytes(), &secret, app.now - hour).into_bytes(),
            "signature_outside_tolerance",
        ),
        (
            webhook::sign(body.as_bytes(), &secret, app.now + hour).into_bytes(),
            "signature_outside_tolerance",
        ),
    ];
    for (header, code) in rows {
        let mut request = Request::post("/billing/webhook");
        if !header.is_empty() {
            request = request.header("stripe-signature", header);
        }
        let answer = app.send(request.body(Body::from(body.clone())).unwrap()).await;
        answer.assert_problem(400, code);
    }
    let unsigned = Request::post("/billing/webhook").body(Body::from(body)).unwrap();
    app.send(unsigned).await.assert_problem(400, "signature_missing");
}

#[tokio::test]
async fn signed_bodies_that_are_no_events_are_refused() {
    let app = app();
    let whole = customer("evt_1");
    let nul = customer("evt_1").replace("evt_1", "evt\\u00001");
    let long = customer(&"e".repeat(5_000));
    let rows: Vec<(Vec<u8>, &str)> = vec![
        (b"".to_vec(), "event_truncated"),
        (whole.as_bytes()[..whole.len() / 2].to_vec(), "event_truncated"),
        (format!("{whole} x").into_bytes(), "event_trailing_data"),
        (b"{]".to_vec(), "event_invalid_json"),
        (b"[]".to_vec(), "event_not_an_object"),
        (b"\xff\xfe{}".to_vec(), "event_not_utf8"),
        (b"{}".to_vec(), "event_field_missing"),
        (nul.into_bytes(), "event_field_nul"),
        (long.into_bytes(), "event_field_too_long"),
        (customer("").into_bytes(), "event_field_empty"),
        (whole.replace("\"event\"", "\"customer\"").into_bytes(), "event_wrong_object"),
        (whole.replace("\"evt_1\"", "7").into_bytes(), "event_field_wrong_type"),
    ];
    for (body, code) in rows {
        app.deliver(body).await.assert_problem(400, code);
    }
}

#[tokio::test]
async fn bodies_that_are_too_large_are_refused_without_being_held() {
    let app = app();
    let declared = Request::post("/billing/webhook")
        .header("content-length", MAX_BODY + 1)
        .body(Body::empty());
    app.send(declared.unwrap()).await.assert_problem(413, "payload_too_large");

    // Without a length, or with one that lies, it is cut off while it comes in.
    for length in [None, Some("10"), Some("no number")] {
        let (sent, counted) = std::sync::mpsc::channel();
        let chunks = futures_util::stream::iter((0..10_000).map(move |_| {
            let _ = sent.send(());
            Ok::<_, std::io::Error>(Bytes::from_static(&[b' '; 4_096]))
        }));
        let mut request = Request::post("/billing/webhook").header("stripe-signature", "t=1,v1=00");
        if let Some(length) = length {
            request = request.header("content-length", length);
        }
        let answer = app.send(request.body(Body::from_stream(chunks)).unwrap()).await;
        answer.assert_problem(413, "payload_too_large");
        assert!(counted.try_iter().count() <= MAX_BODY / 4_096 + 2);
    }
}

#[tokio::test]
async fn a_body_that_breaks_off_is_refused() {
    let app = app();
    let broken = futures_util::stream::iter([
        Ok(Bytes::from_static(b"{\"id\"")),
        Err(std::io::Error::other("connection refused")),
    ]);
    let request = Request::post("/billing/webhook").body(Body::from_stream(broken));
    app.send(request.unwrap()).await.assert_problem(400, "body_incomplete");
}

#[tokio::test]
async fn the_largest_body_fits() {
    let app = app();
    let mut body = customer("evt_large").into_bytes();
    body.resize(MAX_BODY, b' ');
    assert_eq!(app.deliver(body.clone()).await.status, 200);
    body.push(b' ');
    app.deliver(body).await.assert_problem(413, "payload_too_large");
}

#[tokio::test]
async fn pages_of_any_origin_may_deliver() {
    // Stripe sends no such header; but what is signed is judged by its signature alone.
    let app = app();
    let body = customer("evt_1");
    let request = Request::post("/billing/webhook")
        .header("stripe-signature", app.signed(body.as_bytes()))
        .header("sec-fetch-site", "cross-site")
        .body(Body::from(body));
    assert_eq!(app.send(request.unwrap()).await.status, 200);
}

#[tokio::test]
async fn other_methods_are_problems_too() {
    let app = app();
    let answer = app.get("/billing/webhook", None).await;
    answer.assert_problem(405, "method_not_allowed");
    assert_eq!(answer.headers["allow"], "POST");
}

#[tokio::test]
async fn health_says_whether_the_store_is_there() {
    let app: App = app();
    assert_eq!(app.get("/health/live", None).await.body, json!({"status": "live"}));
    let ready = app.get("/health/ready", None).await;
    assert_eq!((ready.status.as_u16(), &ready.body["status"]), (200, &json!("ready")));
}
