use std::error::Error;
use std::fmt;

use serde_json::Value;

use super::json;
use crate::queue::ErrorClass;

/// What kind of failure a [`StripeError`] is.
///
/// Source: <https://docs.stripe.com/error-handling>, with the kinds of Stripe's own SDKs.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum StripeErrorKind {
    /// The key is missing, wrong or expired (401).
    Authentication,
    /// The key may not do this (403).
    Permission,
    /// The request is wrong and stays wrong (400 and other 4xx).
    InvalidRequest,
    /// There is no such object, or not in this mode (404).
    NotFound,
    /// The card or another payment method was declined (402).
    Card {
        /// The bank's reason, such as `insufficient_funds`.
        decline_code: Option<String>,
    },
    /// The idempotency key was used before with other parameters.
    Idempotency,
    /// Another request works on the same object or with the same key right now (409).
    Conflict,
    /// Too many requests (429).
    RateLimited,
    /// Stripe failed (5xx), or answered with a status that the API does not document.
    Api,
    /// There was no whole answer: no connection, or it broke.
    Connection,
    /// There was no whole answer in time.
    Timeout,
    /// There was an answer, and it is not what the API documents.
    Decode,
}

impl StripeErrorKind {
    /// A short stable name for metrics and logs.
    pub fn as_str(&self) -> &'static str {
        match self {
            Self::Authentication => "authentication",
            Self::Permission => "permission",
            Self::InvalidRequest => "invalid_request",
            Self::NotFound => "not_found",
            Self::Card { .. } => "card",
            Self::Idempotency => "idempotency",
            Self::Conflict => "conflict",
            Self::RateLimited => "rate_limited",
            Self::Api => "api",
            Self::Connection => "connection",
            Self::Timeout => "timeout",
            Self::Decode => "decode",
        }
    }
}

/// A failed call to Stripe. It never holds the secret key.
///
/// After [`Connection`](StripeErrorKind::Connection), [`Timeout`](StripeErrorKind::Timeout),
/// [`Api`](StripeErrorKind::Api) and [`Decode`](StripeErrorKind::Decode) it is unknown whether
/// Stripe has done the work: repeat a POST with the same
/// [`IdempotencyKey`](super::IdempotencyKey), or look.
pub struct StripeError(Box<Parts>);

struct Parts {
    kind: StripeErrorKind,
    message: String,
    status: Option<u16>,
    code: Option<String>,
    param: Option<String>,
    request_id: Option<String>,
    doc_url: Option<String>,
    should_retry: Option<bool>,
    endpoint: Option<String>,
    source: Option<Box<dyn Error + Send + Sync>>,
}

/// How much of an answer that is not JSON goes into the message, in characters.
const EXCERPT: usize = 120;

impl StripeError {
    /// An error of this kind, without an answer from Stripe.
    pub fn new(kind: StripeErrorKind, message: impl Into<String>) -> Self {
        Self(Box::new(Parts {
            kind,
            message: message.into(),
            status: None,
            code: None,
            param: None,
            request_id: None,
            doc_url: None,
            should_retry: None,
            endpoint: None,
            source: None,
        }))
    }

    /// The error that an answer outside 2xx means.
    ///
    /// The body is Stripe's error object, or anything that a proxy between may have sent instead.
    ///
    /// ```
    /// use stripe_billing_core::stripe::{StripeError, StripeErrorKind};
    ///
    /// let body = br#"{"error": {"type": "card_error", "code": "card_declined",
    ///     "decline_code": "insufficient_funds", "message": "Your card was declined."}}"#;
    /// let error = StripeError::from_response(402, body);
    /// let decline_code = Some("insufficient_funds".to_owned());
    /// assert_eq!(error.kind(), &StripeErrorKind::Card { decline_code });
    /// assert!(!error.is_retryable());
    /// ```
    pub fn from_response(status: u16, body: &[u8]) -> Self {
        let answer = serde_json::from_slice::<Value>(body).unwrap_or(Value::Null);
        let error = answer.get("error").unwrap_or(&Value::Null);
        let error_type = json::text(error, "type").unwrap_or_default();
        let code = json::text(error, "code");
        let kind = kind_of(status, &error_type, code.as_deref(), json::text(error, "decline_code"));
        let message = json::text(error, "message")
            // OAuth's form: `error` is a string with a description beside it.
            .or_else(|| json::text(&answer, "error_description"))
            .or_else(|| json::text(&answer, "error"))
            .unwrap_or_else(|| excerpt(body));
        let mut made = Self::new(kind, message).with_status(status);
        made.0.code = code;
        made.0.param = json::text(error, "param");
        made.0.doc_url = json::text(error, "doc_url");
        made
    }

    /// Adds the HTTP status of the answer.
    #[must_use]
    pub fn with_status(mut self, status: u16) -> Self {
        self.0.status = Some(status);
        self
    }

    /// Adds Stripe's error code, such as `resource_missing`.
    #[must_use]
    pub fn with_code(mut self, code: impl Into<String>) -> Self {
        self.0.code = Some(code.into());
        self
    }

    /// Adds the id of the request, for Stripe's support and its request log.
    #[must_use]
    pub fn with_request_id(mut self, id: impl Into<String>) -> Self {
        self.0.request_id = Some(id.into());
        self
    }

    /// Adds what Stripe says itself about a retry (header `Stripe-Should-Retry`).
    #[must_use]
    pub fn with_should_retry(mut self, should_retry: bool) -> Self {
        self.0.should_retry = Some(should_retry);
        self
    }

    /// Adds the method and the path of the call, without its parameters.
    #[must_use]
    pub fn with_endpoint(mut self, method: &str, path: &str) -> Self {
        self.0.endpoint = Some(format!("{method} {path}"));
        self
    }

    /// Adds the failure that this one comes from.
    #[must_use]
    pub fn with_source(mut self, source: impl Into<Box<dyn Error + Send + Sync>>) -> Self {
        self.0.source = Some(source.into());
        self
    }

    /// What kind of failure it is.
    pub fn kind(&self) -> &StripeErrorKind {
        &self.0.kind
    }

    /// Stripe's message, or a description of what went wrong before Stripe could say something.
    ///
    /// It is for developers; only a [`Card`](StripeErrorKind::Card) error's message is meant for
    /// the customer.
    pub fn message(&self) -> &str {
        &self.0.message
    }

    /// The HTTP status, when there was an answer.
    pub fn status(&self) -> Option<u16> {
        self.0.status
    }

    /// Stripe's error code, such as `resource_missing`; new ones appear without notice.
    pub fn code(&self) -> Option<&str> {
        self.0.code.as_deref()
    }

    /// The parameter that the error is about.
    pub fn param(&self) -> Option<&str> {
        self.0.param.as_deref()
    }

    /// The id of the request, for Stripe's support and its request log.
    pub fn request_id(&self) -> Option<&str> {
        self.0.request_id.as_deref()
    }

    /// Stripe's page about the error's code.
    pub fn doc_url(&self) -> Option<&str> {
        self.0.doc_url.as_deref()
    }

    /// What Stripe says itself about a retry (header `Stripe-Should-Retry`).
    pub fn should_retry(&self) -> Option<bool> {
        self.0.should_retry
    }

    /// Whether the same call, with the same idempotency key, may work later.
    ///
    /// Stripe's own word (`Stripe-Should-Retry`) counts first. Otherwise it is true for a broken
    /// connection, a time-out, a conflict, a rate limit and a 5xx. The client has already tried
    /// again by itself where that is useful at once, so wait seconds rather than milliseconds.
    /// Stripe keeps the result of a key, even a 5xx, for 24 hours: when it repeats, only a new key
    /// makes a new attempt, once it is known that the old one has done nothing.
    pub fn is_retryable(&self) -> bool {
        self.0.should_retry.unwrap_or(match self.0.kind {
            StripeErrorKind::Conflict
            | StripeErrorKind::RateLimited
            | StripeErrorKind::Connection
            | StripeErrorKind::Timeout => true,
            StripeErrorKind::Api => self.0.status.is_none_or(|status| status >= 500),
            StripeErrorKind::Authentication
            | StripeErrorKind::Permission
            | StripeErrorKind::InvalidRequest
            | StripeErrorKind::NotFound
            | StripeErrorKind::Card { .. }
            | StripeErrorKind::Idempotency
            | StripeErrorKind::Decode => false,
        })
    }

    /// What follows for work that failed with it.
    pub fn class(&self) -> ErrorClass {
        match self.0.kind {
            _ if self.is_retryable() => ErrorClass::Transient,
            StripeErrorKind::Authentication | StripeErrorKind::Permission => ErrorClass::Config,
            _ => ErrorClass::Permanent,
        }
    }

    /// Rewrites every text that came from outside, to take a secret out of it.
    #[cfg(feature = "client")]
    pub(in crate::stripe) fn map_text(mut self, rewrite: impl Fn(&str) -> String) -> Self {
        let parts = &mut *self.0;
        parts.message = rewrite(&parts.message);
        let fields = [
            &mut parts.code,
            &mut parts.param,
            &mut parts.request_id,
            &mut parts.doc_url,
            &mut parts.endpoint,
        ];
        for text in fields.into_iter().flatten() {
            *text = rewrite(text);
        }
        if let StripeErrorKind::Card { decline_code: Some(text) } = &mut parts.kind {
            *text = rewrite(text);
        }
        self
    }
}

/// The table of statuses; a type or a code that says more than the status goes first.
fn kind_of(
    status: u16,
    error_type: &str,
    code: Option<&str>,
    decline_code: Option<String>,
) -> StripeErrorKind {
    match status {
        400 | 404 if error_type == "idempotency_error" => StripeErrorKind::Idempotency,
        400 if code == Some("rate_limit") => StripeErrorKind::RateLimited,
        401 => StripeErrorKind::Authentication,
        402 => StripeErrorKind::Card { decline_code },
        403 => StripeErrorKind::Permission,
        404 => StripeErrorKind::NotFound,
        409 => StripeErrorKind::Conflict,
        // 424: something that Stripe depends on has failed.
        424 => StripeErrorKind::Api,
        429 => StripeErrorKind::RateLimited,
        400..=499 => StripeErrorKind::InvalidRequest,
        _ => StripeErrorKind::Api,
    }
}

fn excerpt(body: &[u8]) -> String {
    // Four bytes hold any character; the rest of a long page need not be decoded.
    let head = String::from_utf8_lossy(&body[..body.len().min(4 * EXCERPT)]);
    let head: String = head.split_whitespace().collect::<Vec<_>>().join(" ");
    if head.is_empty() {
        return "the answer has no body".to_owned();
    }
    let head: String = head.chars().take(EXCERPT).collect();
    format!("the answer is no Stripe error object: {head}")
}

impl fmt::Display for StripeError {
    /// One line: kind, status and code, the call, the message, the parameter and the request id.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let parts = &*self.0;
        write!(f, "Stripe {} error", parts.kind.as_str().replace('_', " "))?;
        if let Some(status) = parts.status {
            write!(f, " {status}")?;
        }
        if let Some(code) = &parts.code {
            write!(f, " {code}")?;
        }
        if let StripeErrorKind::Card { decline_code: Some(reason) } = &parts.kind {
            write!(f, " ({reason})")?;
        }
        if let Some(endpoint) = &parts.endpoint {
            write!(f, " on {endpoint}")?;
        }
        // A message may have been written over several lines.
        write!(f, ": {}", parts.message.split_whitespace().collect::<Vec<_>>().join(" "))?;
        if let Some(param) = &parts.param {
            write!(f, " [param {param}]")?;
        }
        if let Some(id) = &parts.request_id {
            write!(f, " [request {id}]")?;
        }
        Ok(())
    }
}

impl fmt::Debug for StripeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("StripeError")
            .field("kind", &self.0.kind)
            .field("message", &self.0.message)
            .field("status", &self.0.status)
            .field("code", &self.0.code)
            .field("param", &self.0.param)
            .field("request_id", &self.0.request_id)
            .field("doc_url", &self.0.doc_url)
            .field("should_retry", &self.0.should_retry)
            .field("endpoint", &self.0.endpoint)
            .field("source", &self.0.source)
            .finish()
    }
}

impl Error for StripeError {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        self.0.source.as_deref().map(|source| source as _)
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use StripeErrorKind as Kind;

    fn answer(status: u16, error: &Value) -> StripeError {
        StripeError::from_response(status, json!({ "error": error }).to_string().as_bytes())
    }

    #[test]
    fn every_row_of_the_table() {
        let declined = Kind::Card { decline_code: Some("insufficient_funds".to_owned()) };
        let rows = [
            (400, json!({ "type": "invalid_request_error" }), Kind::InvalidRequest, false),
            (400, json!({ "type": "idempotency_error" }), Kind::Idempotency, false),
            (404, json!({ "type": "idempotency_error" }), Kind::Idempotency, false),
            (
                400,
                json!({ "type": "invalid_request_error", "code": "rate_limit" }),
                Kind::RateLimited,
                true,
            ),
            (401, json!({ "type": "invalid_request_error" }), Kind::Authentication, false),
            (
                402,
                json!({ "type": "card_error", "decline_code": "insufficient_funds" }),
                declined,
                false,
            ),
            (402, json!({ "type": "card_error" }), Kind::Card { decline_code: None }, false),
            (403, json!({ "type": "invalid_request_error" }), Kind::Permission, false),
            (404, json!({ "type": "invalid_request_error" }), Kind::NotFound, false),
            (405, json!({ "type": "invalid_request_error" }), Kind::InvalidRequest, false),
            (409, json!({ "code": "idempotency_key_in_use" }), Kind::Conflict, true),
            (424, json!({ "type": "api_error" }), Kind::Api, false),
            (429, json!({ "code": "rate_limit" }), Kind::RateLimited, true),
            (429, json!({ "code": "lock_timeout" }), Kind::RateLimited, true),
            (500, json!({ "type": "api_error" }), Kind::Api, true),
            (503, json!({}), Kind::Api, true),
            (302, json!({}), Kind::Api, false),
        ];
        for (status, body, kind, retryable) in rows {
            let error = answer(status, &body);
            assert_eq!(error.kind(), &kind, "{status} {body}");
            assert_eq!(error.is_retryable(), retryable, "{status} {body}");
            assert_eq!(error.status(), Some(status));
        }
        for (kind, retryable) in
            [(Kind::Connection, true), (Kind::Timeout, true), (Kind::Decode, false)]
        {
            assert_eq!(StripeError::new(kind.clone(), "").is_retryable(), retryable, "{kind:?}");
        }
    }

    #[test]
    fn stripes_own_word_about_a_retry_counts_first() {
        assert!(answer(402, &json!({})).with_should_retry(true).is_retryable());
        assert!(!answer(500, &json!({})).with_should_retry(false).is_retryable());
    }

    #[test]
    fn keeps_every_field() {
        let error = answer(
            400,
            &json!({
                "type": "invalid_request_error", "code": "resource_missing",
                "param": "line_items[0][price]", "message": "No such price: 'price_x'",
                "doc_url": "https://docs.stripe.com/error-codes#resource-missing",
            }),
        )
        .with_request_id("req_1")
        .with_endpoint("POST", "/v1/checkout/sessions");
        assert_eq!(error.code(), Some("resource_missing"));
        assert_eq!(error.param(), Some("line_items[0][price]"));
        assert_eq!(error.message(), "No such price: 'price_x'");
        assert_eq!(error.doc_url(), Some("https://docs.stripe.com/error-codes#resource-missing"));
        assert_eq!(
            error.to_string(),
            "Stripe invalid request error 400 resource_missing on POST /v1/checkout/sessions: \
             No such price: 'price_x' [param line_items[0][price]] [request req_1]"
        );
    }

    #[test]
    fn a_decline_reads_in_one_line() {
        let error = answer(
            402,
            &json!({
                "code": "card_declined", "decline_code": "insufficient_funds",
            "message": "Your card\nwas declined.",
            }),
        );
        assert_eq!(
            error.to_string(),
            "Stripe card error 402 card_declined (insufficient_funds): Your card was declined."
        );
    }

    #[test]
    fn bodies_that_are_no_error_object() {
        let page = format!("<html>\n  <body>Bad gateway{}</body>", " é".repeat(4000));
        let error = StripeError::from_response(502, page.as_bytes());
        assert_eq!(error.kind(), &Kind::Api);
        assert!(error.message().contains("<html> <body>Bad gateway"), "{error}");
        assert!(error.message().chars().count() < 200, "{error}");
        assert!(!error.to_string().contains('\n'));

        let rows: [(&[u8], &str); 6] = [
            (b"", "the answer has no body"),
            (b" \n", "the answer has no body"),
            (b"\xff\xfe", "the answer is no Stripe error object: \u{fffd}\u{fffd}"),
            (b"null", "the answer is no Stripe error object: null"),
            (br#"{"error":"invalid_grant","error_description":"Unknown code"}"#, "Unknown code"),
            (br#"{"error":"invalid_grant"}"#, "invalid_grant"),
        ];
        for (body, message) in rows {
            assert_eq!(StripeError::from_response(400, body).message(), message);
        }
    }

    #[test]
    fn the_source_is_kept() {
        let error = StripeError::new(Kind::Connection, "refused")
            .with_source(std::io::Error::other("the socket's own words"));
        assert_eq!(error.source().unwrap().to_string(), "the socket's own words");
    }
}
