use axum::Json;
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde_json::json;

/// An RFC 9457 problem, as the billing routes answer it.
pub(crate) fn problem(status: StatusCode, code: &str, title: &str) -> Response {
    let body =
        json!({ "type": "about:blank", "title": title, "status": status.as_u16(), "code": code });
    let mut response = (status, Json(body)).into_response();
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/problem+json"));
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    response
}
