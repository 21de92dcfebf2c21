use std::time::Duration;

use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use axum::{Json, Router};
use serde_json::{Value, json};
use stripe_billing_core::Billing;

/// The longest that a probe waits for the store.
const PATIENCE: Duration = Duration::from_secs(2);

/// `GET /health/live` (200 while the process answers) and `GET /health/ready` (503 while the store
/// cannot be reached), to be merged into the app: `.merge(health(billing))`. What is wrong is in
/// `checks`, each with its `name`, whether it is `ok`, and the `problem`; a queue that pauses is
/// said there and does not make it unready, since deliveries are stored all the same.
pub fn health(billing: Billing) -> Router {
    Router::new()
        .route("/health/live", get(async || answer(StatusCode::OK, json!({ "status": "live" }))))
        .route("/health/ready", get(async move || ready(&billing).await))
}

async fn ready(billing: &Billing) -> Response {
    let Ok(found) = tokio::time::timeout(PATIENCE, billing.readiness()).await else {
        tracing::warn!("not ready: the store does not answer");
        let checks = json!([{ "name": "store", "ok": false, "problem": "it does not answer" }]);
        return unready(&checks);
    };
    let checks = json!(found.checks);
    if !found.ready {
        return unready(&checks);
    }
    answer(StatusCode::OK, json!({ "status": "ready", "checks": checks }))
}

fn unready(checks: &Value) -> Response {
    let body = json!({ "status": "store_unavailable", "checks": checks });
    answer(StatusCode::SERVICE_UNAVAILABLE, body)
}

fn answer(status: StatusCode, body: Value) -> Response {
    let mut response = (status, Json(body)).into_response();
    let headers = response.headers_mut();
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    response
}
