//! The retry rules, row by row, against a server that misbehaves by a script.

use std::time::{Duration, Instant};

use super::server::{Answer, Server};
use super::{builder, client, key};
use crate::stripe::{CreateCustomer, Retrieve, StripeApi, StripeErrorKind};

fn ok() -> Answer {
    Answer::ok(r#"{"id":"cus_1"}"#)
}

fn fails(status: u16) -> Answer {
    Answer::new(status, r#"{"error":{"message":"no"}}"#)
}

fn says(status: u16, word: &str) -> Answer {
    fails(status).with_header("Stripe-Should-Retry", word)
}

#[tokio::test]
async fn every_row() {
    // (script, tries, status of the error that is left)
    let rows: Vec<(Vec<Answer>, usize, Option<u16>)> = vec![
        (vec![ok()], 1, None),
        (vec![Answer::Drop, ok()], 2, None),
        (vec![Answer::Truncated, ok()], 2, None),
        (vec![Answer::Drop, Answer::Truncated, ok()], 3, None),
        (vec![fails(409), ok()], 2, None),
        (vec![fails(500), ok()], 2, None),
        (vec![fails(503), fails(502), ok()], 3, None),
        (vec![says(400, "true"), ok()], 2, None),
        (vec![says(402, "true"), ok()], 2, None),
        (vec![says(429, "true"), ok()], 2, None),
        (vec![says(500, "false"), ok()], 1, Some(500)),
        (vec![says(409, "false"), ok()], 1, Some(409)),
        (vec![says(400, "perhaps"), ok()], 1, Some(400)),
        (vec![says(500, "perhaps"), ok()], 2, None),
        (vec![fails(302), ok()], 1, Some(302)),
        (vec![fails(400), ok()], 1, Some(400)),
        (vec![fails(401), ok()], 1, Some(401)),
        (vec![fails(402), ok()], 1, Some(402)),
        (vec![fails(403), ok()], 1, Some(403)),
        (vec![fails(404), ok()], 1, Some(404)),
        (vec![fails(424), ok()], 1, Some(424)),
        (vec![fails(429), ok()], 1, Some(429)),
        (vec![fails(500), fails(402), ok()], 2, Some(402)),
        (vec![fails(500)], 3, Some(500)),
        (vec![says(429, "true")], 3, Some(429)),
        (vec![Answer::ok("not json"), ok()], 1, Some(200)),
    ];
    for (script, tries, left) in rows {
        let server = Server::start(script.clone()).await;
        let request = CreateCustomer::new().with_email("a@b.test");
        let result = client(&server).create_customer(&request, &key("customer:42")).await;
        let seen = server.seen();
        assert_eq!(seen.len(), tries, "{script:?}");
        assert_eq!(result.err().map(|error| error.status().unwrap()), left, "{script:?}");
        // The very same request each time, and so the same idempotency key and body.
        assert!(seen.iter().all(|request| request == &seen[0]), "{seen:?}");
        assert_eq!(seen[0].header("idempotency-key"), Some("customer:42"));
        assert_eq!(seen[0].body, "email=a%40b.test");
    }
}

#[tokio::test]
async fn a_time_out_is_tried_again() {
    let server = Server::start([Answer::Hang]).await;
    let client = builder(&server).timeout(Duration::from_millis(200)).build().unwrap();
    let error = client.create_customer(&CreateCustomer::new(), &key("k")).await.unwrap_err();
    assert_eq!(error.kind(), &StripeErrorKind::Timeout, "{error:?}");
    assert!(error.is_retryable());
    assert_eq!(server.seen().len(), 3);
}

#[tokio::test]
async fn a_get_is_tried_again_too() {
    let server = Server::start([Answer::Drop, fails(500), ok()]).await;
    client(&server).retrieve_customer(&Retrieve::new("cus_1")).await.unwrap();
    assert_eq!(server.seen().len(), 3);
}

#[tokio::test]
async fn the_number_of_retries_is_configurable() {
    for (retries, tries) in [(0, 1), (1, 2), (4, 5)] {
        let server = Server::start([fails(500)]).await;
        let client = builder(&server).max_retries(retries).build().unwrap();
        client.retrieve_customer(&Retrieve::new("cus_1")).await.unwrap_err();
        assert_eq!(server.seen().len(), tries);
    }
}

#[tokio::test]
async fn each_retry_waits_at_least_the_base() {
    let server = Server::start([fails(500), fails(500), ok()]).await;
    let client = builder(&server).retry_base(Duration::from_millis(20)).build().unwrap();
    let started = Instant::now();
    client.retrieve_customer(&Retrieve::new("cus_1")).await.unwrap();
    assert!(started.elapsed() >= Duration::from_millis(40), "{:?}", started.elapsed());
}
