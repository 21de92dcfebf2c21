use std::error::Error;
use std::sync::Arc;

use async_trait::async_trait;
use axum::http::StatusCode;
use axum::http::request::Parts;
use serde_json::json;
use stripe_billing_axum::{Identity, identity_fn};
use stripe_billing_core::{AccountKey, ErrorKind, MemoryStore};
use stripe_billing_testing::{Faults, FaultyStore, Moment};

use crate::app::{Answer, App, builder_on, event};

fn app() -> (App, Faults) {
    let faults = Faults::new();
    let store = FaultyStore::new(MemoryStore::new(), &faults);
    (App::new(builder_on(store).build().unwrap()), faults)
}

fn body(id: &str) -> String {
    event(id, "customer.created", &json!({"id": "cus_1", "object": "customer"})).to_string()
}

fn assert_unavailable(answer: &Answer) {
    answer.assert_problem(503, "store_unavailable");
    assert_eq!(answer.headers["retry-after"], "5");
}

#[tokio::test]
async fn what_cannot_be_stored_is_not_acknowledged() {
    let (app, faults) = app();
    faults.go_down();
    assert_unavailable(&app.deliver(body("evt_1")).await);
    assert_unavailable(&app.get("/billing/state", Some("ada")).await);
    assert_unavailable(&app.get("/billing/plans", Some("ada")).await);
    assert_eq!(app.get("/billing/plans", None).await.status, StatusCode::OK);
    assert_eq!(app.get("/health/live", None).await.status, StatusCode::OK);
    let ready = app.get("/health/ready", None).await;
    assert_eq!((ready.status.as_u16(), &ready.body["status"]), (503, &json!("store_unavailable")));

    faults.recover();
    assert_eq!(app.get("/health/ready", None).await.status, StatusCode::OK);
    let again = app.deliver(body("evt_1")).await;
    assert_eq!(again.body, json!({"received": true, "duplicate": false}));
}

#[tokio::test]
async fn whatever_fails_in_the_store_stripe_is_asked_to_come_again() {
    for kind in [
        ErrorKind::Unavailable,
        ErrorKind::Timeout,
        ErrorKind::Conflict,
        ErrorKind::Corrupt,
        ErrorKind::Unsupported,
        ErrorKind::Other,
    ] {
        let (app, faults) = app();
        faults.script_method_as("receive", 1, Moment::Before, kind);
        assert_unavailable(&app.deliver(body("evt_1")).await);
        assert_eq!(app.deliver(body("evt_1")).await.status, StatusCode::OK, "{kind:?}");
    }
}

#[tokio::test]
async fn a_lost_answer_makes_a_duplicate_and_no_second_event() {
    let (app, faults) = app();
    faults.script_method("receive", 1, Moment::After);
    assert_unavailable(&app.deliver(body("evt_1")).await);
    let again = app.deliver(body("evt_1")).await;
    assert_eq!(again.body, json!({"received": true, "duplicate": true}));
}

#[tokio::test]
async fn what_fails_after_receipt_is_nothing_to_stripe() {
    let (app, faults) = app();
    faults.script_method("claim", 1, Moment::Before);
    assert_eq!(app.deliver(body("evt_1")).await.status, StatusCode::OK);
}

#[tokio::test]
async fn operators_are_told_that_the_store_is_away() {
    let (app, faults) = app();
    faults.go_down();
    for path in [
        "/customers/cus_1",
        "/accounts/ada",
        "/events",
        "/events/evt_1",
        "/stats",
        "/tickets",
        "/audit",
    ] {
        assert_unavailable(&app.operator(path).await);
    }
    for (method, path) in [
        ("subject", "/customers/cus_1"),
        ("subjects_of", "/accounts/ada"),
        ("events", "/events"),
        ("events_by_id", "/events/evt_1"),
        ("stats", "/stats"),
        ("tickets", "/tickets"),
        ("audit", "/audit"),
    ] {
        let (app, faults) = self::app();
        faults.script_method_as(method, 1, Moment::Before, ErrorKind::Corrupt);
        app.operator(path).await.assert_problem(500, "store_failed");
    }
}

#[tokio::test]
async fn identities_come_from_closures_futures_and_types() -> Result<(), Box<dyn Error>> {
    struct Session;
    #[async_trait]
    impl Identity for Session {
        async fn account(&self, _: &Parts) -> Option<AccountKey> {
            Some("typed".into())
        }
    }
    let later = identity_fn(|request: &Parts| {
        let header = request.headers.get("x-account").cloned();
        async move {
            tokio::task::yield_now().await;
            Some(AccountKey::platform(header?.to_str().ok()?))
        }
    });
    let identities: [(Arc<dyn Identity>, &str); 3] = [
        (Arc::new(Session), "typed"),
        (Arc::new(later), "ada"),
        (Arc::new(crate::app::identity), "ada"),
    ];
    for (identity, expected) in identities {
        let parts =
            axum::http::Request::get("/").header("x-account", "ada").body(())?.into_parts().0;
        let account = identity.account(&parts).await;
        assert_eq!(account.map(|key| key.account).as_deref(), Some(expected));
    }
    Ok(())
}
