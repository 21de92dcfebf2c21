//! How failures look to the caller, and that none of them shows the key.

use std::error::Error;
use std::time::Duration;

use tokio::io::AsyncReadExt;
use tokio::net::TcpListener;

use super::server::{Answer, Server};
use super::{KEY, builder, client, key, printed};
use crate::stripe::{
    CreateCustomer, ListCustomers, Retrieve, StripeApi, StripeClient, StripeError, StripeErrorKind,
};

async fn failure(answer: Answer) -> StripeError {
    let patience = if matches!(answer, Answer::Hang) { 100 } else { 30_000 };
    let server = Server::start([answer]).await;
    let client =
        builder(&server).max_retries(0).timeout(Duration::from_millis(patience)).build().unwrap();
    client.create_customer(&CreateCustomer::new(), &key("k")).await.unwrap_err()
}

#[tokio::test]
async fn stripes_error_object_is_kept() {
    let body = r#"{"error": {"type": "card_error", "code": "card_declined", "param": "source",
        "decline_code": "lost_card", "message": "Your card was declined.",
        "doc_url": "https://stripe.test/d"}}"#;
    let error = failure(Answer::new(402, body).with_header("Request-Id", "req_1")).await;
    let decline_code = Some("lost_card".to_owned());
    assert_eq!(error.kind(), &StripeErrorKind::Card { decline_code });
    assert_eq!((error.status(), error.code()), (Some(402), Some("card_declined")));
    assert_eq!((error.param(), error.request_id()), (Some("source"), Some("req_1")));
    assert_eq!(error.doc_url(), Some("https://stripe.test/d"));
    assert_eq!(
        error.to_string(),
        "Stripe card error 402 card_declined (lost_card) on POST /v1/customers: \
         Your card was declined. [param source] [request req_1]"
    );
}

#[tokio::test]
async fn the_word_about_a_retry_reaches_the_caller() {
    let error = failure(Answer::new(500, "{}").with_header("Stripe-Should-Retry", "false")).await;
    assert_eq!((error.should_retry(), error.is_retryable()), (Some(false), false));
}

#[tokio::test]
async fn a_proxys_page_instead_of_an_error_object() {
    let error = failure(Answer::new(502, "<html>bad gateway</html>")).await;
    assert_eq!(error.kind(), &StripeErrorKind::Api);
    assert!(error.message().ends_with("<html>bad gateway</html>"), "{error}");
}

#[tokio::test]
async fn a_success_that_cannot_be_read() {
    for body in ["", "<html>", "[]", "{}", r#"{"id": 7}"#, r#"{"object": "customer"}"#] {
        let error = failure(Answer::ok(body).with_header("Request-Id", "req_1")).await;
        assert_eq!(error.kind(), &StripeErrorKind::Decode, "{body:?}");
        assert_eq!((error.status(), error.request_id()), (Some(200), Some("req_1")));
        assert!(!error.is_retryable());
        assert!(error.to_string().contains("POST /v1/customers"), "{error}");
    }
}

#[tokio::test]
async fn no_whole_answer() {
    for (answer, kind) in [
        (Answer::Drop, StripeErrorKind::Connection),
        (Answer::Truncated, StripeErrorKind::Connection),
        (Answer::Hang, StripeErrorKind::Timeout),
    ] {
        let error = failure(answer.clone()).await;
        assert_eq!(error.kind(), &kind, "{answer:?}: {error:?}");
        assert!(error.is_retryable());
        assert!(error.source().is_some());
    }
}

#[tokio::test]
async fn a_refused_connection_says_so_without_the_query() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let base = format!("http://{}", listener.local_addr().unwrap());
    drop(listener);
    let client = StripeClient::builder(KEY).api_base(base).max_retries(0).build().unwrap();
    let request = ListCustomers::new().with_email("ada@example.test");
    let error = client.list_customers(&request).await.unwrap_err();
    assert_eq!(error.kind(), &StripeErrorKind::Connection);
    assert!(error.to_string().to_lowercase().contains("refused"), "{error}");
    assert!(error.to_string().contains("GET /v1/customers: "), "{error}");
    assert!(!printed(&error).contains("ada"), "{error:?}");
}

#[tokio::test]
async fn no_redirect_is_followed() {
    let elsewhere = Server::start([Answer::ok(r#"{"id":"cus_1"}"#)]).await;
    let redirect = Answer::new(307, "").with_header("Location", &elsewhere.base);
    let error = failure(redirect).await;
    assert_eq!((error.kind(), error.status()), (&StripeErrorKind::Api, Some(307)));
    assert!(elsewhere.seen().is_empty());
}

#[tokio::test]
async fn https_starts_tls_without_a_provider_for_the_process() {
    assert!(rustls::crypto::CryptoProvider::get_default().is_none());
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let base = format!("https://{}", listener.local_addr().unwrap());
    let first_bytes = tokio::spawn(async move {
        let (mut stream, _) = listener.accept().await.unwrap();
        let mut head = [0; 6];
        stream.read_exact(&mut head).await.unwrap();
        head
    });
    let client = StripeClient::builder(KEY).api_base(base).max_retries(0).build().unwrap();
    let error = client.retrieve_customer(&Retrieve::new("cus_1")).await.unwrap_err();
    assert_eq!(error.kind(), &StripeErrorKind::Connection, "{error:?}");
    // A handshake record that holds a ClientHello.
    let head = first_bytes.await.unwrap();
    assert_eq!((head[0], head[1], head[5]), (22, 3, 1), "{head:?}");
}

#[tokio::test]
async fn nothing_prints_the_key() {
    let echo = format!(
        r#"{{"error": {{"type": "invalid_request_error", "code": "{KEY}",
            "message": "Invalid API Key provided: {KEY}", "param": "{KEY}",
            "doc_url": "https://stripe.test/{KEY}", "decline_code": "{KEY}"}}}}"#
    );
    let answers = [
        Answer::new(401, echo.clone()).with_header("Request-Id", KEY),
        Answer::new(402, echo),
        Answer::new(500, format!("page with {KEY}")),
        Answer::new(
            401,
            r#"{"error": {"message": "Invalid API Key provided: sk_test_51N****body"}}"#,
        ),
        Answer::ok(format!(r#"{{"object": "{KEY}"}}"#)),
        Answer::ok(KEY),
        Answer::Drop,
        Answer::Truncated,
        Answer::Hang,
    ];
    for answer in answers {
        let error = failure(answer.clone()).await;
        let printed = printed(&error);
        assert!(!printed.contains("51N"), "{answer:?}: {printed}");
    }

    let server = Server::start([Answer::Drop]).await;
    let client = client(&server);
    let all = format!(
        "{client:?} {client:#?} {:?} {:?} {:?}",
        client.for_account("acct_1"),
        builder(&server),
        client.retrieve_price(&Retrieve::new(KEY)).await.unwrap_err(),
    );
    assert!(all.contains("acct_1") && all.contains("[redacted]"), "{all}");
    assert!(!all.contains("51N"), "{all}");
}
