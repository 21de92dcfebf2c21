//! What operators ask, as JSON behind a bearer token.

use std::sync::Arc;

use axum::extract::rejection::QueryRejection;
use axum::extract::{Query, Request, State};
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::middleware::{Next, from_fn_with_state};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use axum::{Json, Router};
use serde::Deserialize;
use serde_json::json;
use sha2::{Digest, Sha256};
use stripe_billing_core::store::EventQuery;
use stripe_billing_core::{Billing, Secret, StoreError};

use crate::problem::problem;

/// The most events that one page lists.
const MOST: u32 = 1_000;

#[derive(Clone, Debug)]
struct Operator {
    billing: Billing,
    token: Arc<[u8; 32]>,
}

/// `GET /stats` and `GET /events`, to be nested under `/operator`.
pub(crate) fn router(billing: Billing, token: &Secret) -> Router {
    let operator = Operator { billing, token: Arc::new(digest(token.expose())) };
    Router::new()
        .route("/stats", get(stats))
        .route("/events", get(events))
        .layer(from_fn_with_state(operator.clone(), authorize))
        .with_state(operator)
}

async fn authorize(State(operator): State<Operator>, request: Request, next: Next) -> Response {
    if bearer(request.headers()).is_some_and(|token| digest(token) == *operator.token) {
        return next.run(request).await;
    }
    let title = "The operator's token is missing or wrong";
    let mut response = problem(StatusCode::UNAUTHORIZED, "unauthenticated", title);
    let headers = response.headers_mut();
    headers.insert(header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
    response
}

fn bearer(headers: &HeaderMap) -> Option<&str> {
    let (scheme, token) = headers.get(header::AUTHORIZATION)?.to_str().ok()?.split_once(' ')?;
    scheme.eq_ignore_ascii_case("bearer").then(|| token.trim())
}

/// Digests are compared in place of tokens: how long that takes tells nothing about the token.
fn digest(token: &str) -> [u8; 32] {
    Sha256::digest(token.as_bytes()).into()
}

async fn stats(State(operator): State<Operator>) -> Response {
    let now = operator.billing.clock().now();
    answer(operator.billing.store().stats(now).await)
}

/// Fields that are missing do not restrict.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Wanted {
    status: Option<String>,
    r#type: Option<String>,
    customer: Option<String>,
    limit: Option<u32>,
    after: Option<i64>,
}

async fn events(
    State(operator): State<Operator>,
    wanted: Result<Query<Wanted>, QueryRejection>,
) -> Response {
    let Ok(Query(wanted)) = wanted else {
        let title = "limit and after are whole numbers";
        return problem(StatusCode::BAD_REQUEST, "invalid_query", title);
    };
    let query = EventQuery {
        status: wanted.status,
        event_type: wanted.r#type,
        subject: wanted.customer,
        after: wanted.after,
        limit: wanted.limit.unwrap_or(100).clamp(1, MOST),
    };
    let events = operator.billing.store().events(&query).await;
    answer(events.map(|events| {
        let full = events.len() == query.limit as usize;
        let next = events.last().filter(|_| full).map(|event| event.seq);
        json!({ "events": events, "next": next })
    }))
}

fn answer(result: Result<impl serde::Serialize, StoreError>) -> Response {
    match result {
        Ok(body) => ([(header::CACHE_CONTROL, "no-store")], Json(body)).into_response(),
        Err(error) => {
            tracing::error!(%error, "the operator's question could not be answered");
            let title = "The store cannot be reached";
            problem(StatusCode::SERVICE_UNAVAILABLE, "store_unavailable", title)
        }
    }
}
