//! What each answer, and none, makes of a fact.

use std::time::{Duration, Instant};

use chrono::TimeDelta;
use stripe_billing_core::{EventHandler, NotifyError};
use stripe_billing_hooks::{Endpoint, Hooks};

use crate::receiver::{Receiver, SECRET, builder, clock, dropping, fact, nobody, silent};

async fn refused(hooks: &Hooks, subscription: &str) -> NotifyError {
    hooks.handle(&fact(subscription)).await.expect_err("not taken")
}

#[tokio::test]
async fn a_receiver_that_does_not_answer_is_tried_later_and_left_alone_for_a_while() {
    for (url, why) in [
        (silent().await, "did not answer in time"),
        (dropping().await, "could not be reached"),
        (nobody().await, "could not be reached"),
    ] {
        let clock = clock();
        let endpoint = Endpoint::new(format!("{url}?token=hush"), SECRET).named("crm");
        let hooks = builder(&clock).endpoint(endpoint).build().expect("good");
        let started = Instant::now();
        let error = refused(&hooks, "sub_1").await;
        assert!(started.elapsed() < Duration::from_secs(5));
        assert!(error.is_retryable(), "{error}");
        assert_eq!(error.retry_after(), Some(TimeDelta::seconds(30)));
        let text = format!("{error} {error:?}");
        assert!(text.contains("crm") && text.contains(why), "{text}");
        assert!(!text.contains("hush"), "{text}");

        // The next one is not held up by it.
        clock.advance(TimeDelta::seconds(10));
        let error = refused(&hooks, "sub_2").await;
        assert_eq!(error.retry_after(), Some(TimeDelta::seconds(20)));
        clock.advance(TimeDelta::seconds(20));
        assert!(refused(&hooks, "sub_2").await.to_string().contains(why));
    }
}

#[tokio::test]
async fn too_many_requests_wait_as_long_as_they_are_told_to() {
    let (receiver, clock) = (Receiver::start().await, clock());
    let hooks = builder(&clock).endpoint(receiver.endpoint()).build().expect("good");
    receiver.answers(429, &[("retry-after", "90")]);
    let error = refused(&hooks, "sub_1").await;
    assert!(error.is_retryable());
    assert_eq!(error.retry_after(), Some(TimeDelta::seconds(90)));
    refused(&hooks, "sub_1").await;
    assert_eq!(receiver.got().len(), 1, "it asked to be left alone");
    clock.advance(TimeDelta::seconds(90));
    hooks.handle(&fact("sub_1")).await.expect("taken");
    let got = receiver.got();
    assert_eq!((got.len(), got[0].id()), (2, got[1].id()));
    assert_eq!(got[0].body, got[1].body);
    assert_ne!(got[0].header("webhook-timestamp"), got[1].header("webhook-timestamp"));
}

#[tokio::test]
async fn servers_in_trouble_are_asked_again_and_refusals_are_final() {
    let (receiver, clock) = (Receiver::start().await, clock());
    let hooks = builder(&clock).endpoint(receiver.endpoint()).build().expect("good");
    for status in [500, 503, 408] {
        receiver.answers(status, &[]);
        let error = refused(&hooks, "sub_1").await;
        assert!(error.is_retryable() && error.retry_after().is_none(), "{status}: {error}");
    }
    for status in [400, 401, 404, 422] {
        receiver.answers(status, &[]);
        let error = refused(&hooks, "sub_1").await;
        assert!(!error.is_retryable(), "{status}: {error}");
    }
    assert_eq!(receiver.got().len(), 7);
}

#[tokio::test]
async fn a_redirect_is_refused_and_not_followed() {
    let (receiver, other, clock) = (Receiver::start().await, Receiver::start().await, clock());
    let hooks = builder(&clock).endpoint(receiver.endpoint()).build().expect("good");
    receiver.answers(307, &[("location", &other.url)]);
    assert!(!refused(&hooks, "sub_1").await.is_retryable());
    assert_eq!((receiver.got().len(), other.got().len()), (1, 0));
}

#[tokio::test]
async fn an_endpoint_that_is_gone_is_not_called_again() {
    let (receiver, clock) = (Receiver::start().await, clock());
    let hooks = builder(&clock).endpoint(receiver.endpoint()).build().expect("good");
    receiver.answers(410, &[]);
    for subscription in ["sub_1", "sub_2"] {
        let error = refused(&hooks, subscription).await;
        assert!(!error.is_retryable() && error.to_string().contains("410"), "{error}");
        clock.advance(TimeDelta::days(1));
    }
    assert_eq!(receiver.got().len(), 1);
}

#[tokio::test]
async fn who_took_a_fact_is_not_sent_it_again_while_others_have_not() {
    let (crm, books, clock) = (Receiver::start().await, Receiver::start().await, clock());
    let endpoints = builder(&clock).endpoint(crm.endpoint()).endpoint(books.endpoint());
    let hooks = endpoints.build().expect("good");
    books.answers(500, &[]);
    books.answers(500, &[]);
    for _ in 0..2 {
        assert!(refused(&hooks, "sub_1").await.is_retryable());
    }
    hooks.handle(&fact("sub_1")).await.expect("taken by both");
    assert_eq!((crm.got().len(), books.got().len()), (1, 3));

    // One that refused is not asked again either, and the refusal is told in the end.
    crm.answers(400, &[]);
    books.answers(500, &[]);
    assert!(refused(&hooks, "sub_2").await.is_retryable());
    let error = refused(&hooks, "sub_2").await;
    assert!(!error.is_retryable() && error.to_string().contains("400"), "{error}");
    assert_eq!((crm.got().len(), books.got().len()), (2, 5));
}
