use std::time::Duration;

use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use axum::{Json, Router};
use serde_json::json;
use stripe_billing_core::Billing;

/// The longest that a probe waits for the store.
const PATIENCE: Duration = Duration::from_secs(2);

/// `GET /health/live` (200 while the process answers) and `GET /health/ready` (503 while the store
/// cannot be reached), to be merged into the app: `.merge(health(billing))`.
pub fn health(billing: Billing) -> Router {
    Router::new()
        .route("/health/live", get(async || answer(StatusCode::OK, "live")))
        .route("/health/ready", get(async move || ready(&billing).await))
}

async fn ready(billing: &Billing) -> Response {
    match tokio::time::timeout(PATIENCE, billing.store().ping()).await {
        Ok(Ok(())) => answer(StatusCode::OK, "ready"),
        Ok(Err(error)) => {
            tracing::warn!(%error, "not ready: the store cannot be reached");
            answer(StatusCode::SERVICE_UNAVAILABLE, "store_unavailable")
        }
        Err(_) => {
            tracing::warn!("not ready: the store does not answer");
            answer(StatusCode::SERVICE_UNAVAILABLE, "store_unavailable")
        }
    }
}

fn answer(status: StatusCode, word: &str) -> Response {
    let mut response = (status, Json(json!({ "status": word }))).into_response();
    let headers = response.headers_mut();
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    response
}
