use axum::Form;
use axum::body::{Body, Bytes};
use axum::extract::FromRequest;
use axum::http::{HeaderMap, Request, StatusCode, header};
use serde::Deserialize;
use serde::de::DeserializeOwned;

use crate::problem::Problem;

/// Whatever the app's own routes are asked is small.
const MAX_BODY: usize = 16 << 10;
/// More is a mistake, or mischief; Stripe takes more.
const MAX_QUANTITY: u64 = 1_000_000;

/// What `POST /checkout` is asked. Fields that it does not know, an account among them, are left
/// unread.
#[derive(Debug, Deserialize)]
pub(crate) struct Purchase {
    pub(crate) price: String,
    #[serde(default = "one")]
    pub(crate) quantity: u64,
}

fn one() -> u64 {
    1
}

impl Purchase {
    pub(crate) fn checked(self) -> Result<Self, Problem> {
        if !(1..=MAX_QUANTITY).contains(&self.quantity) {
            return Err(Problem::invalid_quantity());
        }
        Ok(self)
    }
}

/// The bytes of a request, never more than `limit` of them held.
pub(crate) async fn bytes(request: Request<Body>, limit: usize) -> Result<Bytes, Problem> {
    let declared = request
        .headers()
        .get(header::CONTENT_LENGTH)
        .and_then(|length| length.to_str().ok()?.parse::<u64>().ok());
    if declared.is_some_and(|length| length > limit as u64) {
        return Err(Problem::too_large(limit));
    }
    // The route's `DefaultBodyLimit` stops it where the declared length lies or is missing.
    Bytes::from_request(request, &()).await.map_err(|error| {
        if error.status() == StatusCode::PAYLOAD_TOO_LARGE {
            Problem::too_large(limit)
        } else {
            Problem::body_incomplete()
        }
    })
}

/// A JSON or form body.
pub(crate) async fn read<T: DeserializeOwned>(request: Request<Body>) -> Result<T, Problem> {
    let headers = request.headers().clone();
    match media_type(&headers).as_deref() {
        Some("application/json") => {
            let body = bytes(request, MAX_BODY).await?;
            serde_json::from_slice(&body).map_err(|error| {
                // Position and category, never the text: it goes back to whoever sent it, and to logs.
                Problem::invalid_body(match error.classify() {
                    serde_json::error::Category::Data => {
                        "a field is missing or has the wrong type".to_owned()
                    }
                    _ => format!("not JSON at line {}, column {}", error.line(), error.column()),
                })
            })
        }
        Some("application/x-www-form-urlencoded") => {
            let body = bytes(request, MAX_BODY).await?;
            let request = Request::post("/")
                .header(header::CONTENT_TYPE, "application/x-www-form-urlencoded")
                .body(Body::from(body))
                .map_err(|_| Problem::invalid_body("the form cannot be read"))?;
            let form = Form::<T>::from_request(request, &()).await;
            form.map(|Form(form)| form)
                .map_err(|_| Problem::invalid_body("a field is missing or has the wrong type"))
        }
        _ => Err(Problem::unsupported_media_type()),
    }
}

/// The limit that routes with such a body are given.
pub(crate) const fn max_body() -> usize {
    MAX_BODY
}

fn media_type(headers: &HeaderMap) -> Option<String> {
    let value = headers.get(header::CONTENT_TYPE)?.to_str().ok()?;
    let essence = value.split(';').next().unwrap_or_default();
    Some(essence.trim().to_ascii_lowercase())
}
