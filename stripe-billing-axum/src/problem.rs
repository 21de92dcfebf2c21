use axum::Json;
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde::Serialize;
use stripe_billing_core::{CreditError, ReceiveError, SellError, StoreError};

/// Seconds after which a caller may try again what failed for want of a backend.
const RETRY_AFTER: u32 = 5;
/// Seconds after which a caller may try again what another request is in the middle of.
const RETRY_SOON: u32 = 1;

/// An error as RFC 9457 has it: `application/problem+json` with `type`, `title`, `status`, `code`
/// and `detail`. `code` is stable; nothing internal and no secret is ever in it.
///
/// # Codes
///
/// | code | status | when |
/// |---|---|---|
/// | `signature_*` | 400 | the webhook is not proven to come from Stripe |
/// | `event_*` | 400 | the webhook's body is not an event |
/// | `body_incomplete` | 400 | the request ended before its body did |
/// | `payload_too_large` | 413 | the body is larger than is accepted |
/// | `store_unavailable` | 503, `Retry-After` | the store cannot be reached |
/// | `store_failed` | 500 | the store failed in a way that no retry helps |
/// | `unauthenticated` | 401 | nobody is signed in |
/// | `cross_origin` | 403 | the request was sent by a page of another origin |
/// | `invalid_body` | 400 | the body cannot be read, or a field is missing or of the wrong type |
/// | `unsupported_media_type` | 415 | the body is neither JSON nor a form |
/// | `invalid_quantity` | 400 | the quantity is 0, or more than Stripe takes |
/// | `unknown_price` | 422 | the catalog does not sell this price |
/// | `payments_disabled` | 403 | selling is switched off |
/// | `payments_unavailable` | 503 | no Stripe client is configured |
/// | `already_subscribed` | 409 | the account has a live subscription |
/// | `checkout_completed` | 409, `Retry-After` | a checkout has just been paid |
/// | `busy` | 409, `Retry-After` | another request changes the same thing |
/// | `no_customer` | 409 | the account never bought anything |
/// | `no_subscription` | 409 | there is no subscription that this could be done to |
/// | `insufficient`, `negative_balance`, `member_limit` | 402 | there are not enough credits |
/// | `credits_not_allowed`, `frozen` | 403 | the account's state does not allow to spend credits |
/// | `work_done`, `work_under_way`, `idempotency_mismatch`, `reservation_*` | 409 | the key was used |
/// | `stripe_unavailable` | 503, `Retry-After` | Stripe cannot be reached, or asks to wait |
/// | `stripe_refused` | 502 | Stripe refused the request |
/// | `return_url_unknown` | 400 | no return address is configured and the request names no origin |
/// | `invalid_query` | 400 | a parameter of an operator's question is wrong; `detail` names it |
/// | `unknown_event` | 404 | no event has this id |
/// | `unknown_ticket` | 404 | no ticket has this number |
/// | `reason_too_long` | 400 | an order's reason has more than 1,000 bytes |
/// | `not_now` | 409 | the event is in a status in which this cannot be done |
/// | `request_reused` | 409 | the request id was used for another order |
/// | `not_found` | 404 | operators have no such route |
/// | `method_not_allowed` | 405 | the route is asked with another method |
/// | `internal_error` | 500 | anything else |
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    status: StatusCode,
    code: &'static str,
    title: &'static str,
    detail: Option<String>,
    retry_after: Option<u32>,
}

#[derive(Serialize)]
struct Body<'a> {
    r#type: String,
    title: &'a str,
    status: u16,
    code: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    detail: Option<&'a str>,
}

impl Problem {
    /// The HTTP status.
    pub fn status(&self) -> StatusCode {
        self.status
    }

    /// The stable code.
    pub fn code(&self) -> &'static str {
        self.code
    }

    /// Seconds after which the same request may succeed, if waiting helps.
    pub fn retry_after(&self) -> Option<u32> {
        self.retry_after
    }

    pub(crate) fn new(status: StatusCode, code: &'static str, title: &'static str) -> Self {
        Self { status, code, title, detail: None, retry_after: None }
    }

    pub(crate) fn with_detail(mut self, detail: impl Into<String>) -> Self {
        self.detail = Some(detail.into());
        self
    }

    fn retry(mut self, seconds: u32) -> Self {
        self.retry_after = Some(seconds);
        self
    }

    pub(crate) fn unauthenticated() -> Self {
        Self::new(StatusCode::UNAUTHORIZED, "unauthenticated", "Nobody is signed in")
    }

    pub(crate) fn too_large(limit: usize) -> Self {
        let title = "The body is too large";
        Self::new(StatusCode::PAYLOAD_TOO_LARGE, "payload_too_large", title)
            .with_detail(format!("at most {limit} bytes are accepted"))
    }

    pub(crate) fn body_incomplete() -> Self {
        let title = "The request ended before its body did";
        Self::new(StatusCode::BAD_REQUEST, "body_incomplete", title)
    }

    pub(crate) fn invalid_body(detail: impl Into<String>) -> Self {
        let title = "The body cannot be read";
        Self::new(StatusCode::BAD_REQUEST, "invalid_body", title).with_detail(detail)
    }

    pub(crate) fn unsupported_media_type() -> Self {
        let title = "The body is neither JSON nor a form";
        Self::new(StatusCode::UNSUPPORTED_MEDIA_TYPE, "unsupported_media_type", title)
            .with_detail("send application/json or application/x-www-form-urlencoded")
    }

    pub(crate) fn invalid_quantity() -> Self {
        let title = "The quantity is out of range";
        Self::new(StatusCode::BAD_REQUEST, "invalid_quantity", title)
            .with_detail("it must be at least 1 and at most 1,000,000")
    }

    pub(crate) fn not_now(detail: String) -> Self {
        let title = "This cannot be done to the event as it is";
        Self::new(StatusCode::CONFLICT, "not_now", title).with_detail(detail)
    }

    pub(crate) fn request_reused() -> Self {
        let title = "The request id was used for another order";
        Self::new(StatusCode::CONFLICT, "request_reused", title)
    }

    pub(crate) fn cross_origin() -> Self {
        let title = "The request was sent by a page of another origin";
        Self::new(StatusCode::FORBIDDEN, "cross_origin", title)
    }

    pub(crate) fn return_url_unknown() -> Self {
        let title = "There is no address to come back to";
        Self::new(StatusCode::BAD_REQUEST, "return_url_unknown", title)
            .with_detail("no return address is configured and the request has no usable Host")
    }

    pub(crate) fn method_not_allowed() -> Self {
        let title = "The route does not take this method";
        Self::new(StatusCode::METHOD_NOT_ALLOWED, "method_not_allowed", title)
    }

    pub(crate) fn invalid_query(detail: impl Into<String>) -> Self {
        let title = "The question cannot be read";
        Self::new(StatusCode::BAD_REQUEST, "invalid_query", title).with_detail(detail)
    }

    pub(crate) fn unknown_event() -> Self {
        Self::new(StatusCode::NOT_FOUND, "unknown_event", "No event has this id")
    }

    pub(crate) fn unknown_ticket() -> Self {
        Self::new(StatusCode::NOT_FOUND, "unknown_ticket", "No ticket has this number")
    }

    pub(crate) fn reason_too_long() -> Self {
        let title = "The reason has more than 1,000 bytes";
        Self::new(StatusCode::BAD_REQUEST, "reason_too_long", title)
    }

    pub(crate) fn unknown_dispute() -> Self {
        Self::new(StatusCode::NOT_FOUND, "unknown_dispute", "The customer has no such dispute")
    }

    pub(crate) fn unknown_customer() -> Self {
        Self::new(StatusCode::NOT_FOUND, "unknown_customer", "Nothing is known of this customer")
    }

    pub(crate) fn not_found() -> Self {
        Self::new(StatusCode::NOT_FOUND, "not_found", "There is no such route")
    }

    fn internal() -> Self {
        let title = "Something went wrong";
        Self::new(StatusCode::INTERNAL_SERVER_ERROR, "internal_error", title)
    }
}

impl From<ReceiveError> for Problem {
    fn from(error: ReceiveError) -> Self {
        let code = error.code();
        match error {
            ReceiveError::Webhook(error) => {
                let status =
                    StatusCode::from_u16(error.status()).unwrap_or(StatusCode::BAD_REQUEST);
                let title = "The delivery is refused";
                // What is wrong with the sender's own bytes; it names fields and numbers only.
                Self::new(status, code, title).with_detail(error.to_string())
            }
            // Even a store that will never take it: Stripe tries again for three days, and until
            // then somebody may have mended it.
            ReceiveError::Store(_) => Self::store_unavailable(),
            _ => Self::internal(),
        }
    }
}

impl Problem {
    fn store_unavailable() -> Self {
        let title = "The store cannot be reached";
        Self::new(StatusCode::SERVICE_UNAVAILABLE, "store_unavailable", title).retry(RETRY_AFTER)
    }
}

impl From<&StoreError> for Problem {
    fn from(error: &StoreError) -> Self {
        tracing::error!(%error, "billing could not use its store");
        if error.is_retryable() {
            return Self::store_unavailable();
        }
        let title = "The store failed";
        Self::new(StatusCode::INTERNAL_SERVER_ERROR, "store_failed", title)
    }
}

impl From<CreditError> for Problem {
    fn from(error: CreditError) -> Self {
        let title = match &error {
            CreditError::Store(error) => return Self::from(error),
            CreditError::Refused(refusal) if refusal.is_about_funds() => {
                "There are not enough credits"
            }
            CreditError::Refused(_) => "The credit ledger refuses it",
            CreditError::NotAllowed => "Credits may not be used now",
            _ => "The work cannot be paid for",
        };
        let status = StatusCode::from_u16(error.http_status()).unwrap_or(StatusCode::CONFLICT);
        let problem = Self::new(status, error.code(), title).with_detail(error.to_string());
        if error.is_retryable() { problem.retry(RETRY_SOON) } else { problem }
    }
}

impl From<SellError> for Problem {
    fn from(error: SellError) -> Self {
        let conflict = |code, title| Self::new(StatusCode::CONFLICT, code, title);
        match error {
            SellError::NoStripe => Self::new(
                StatusCode::SERVICE_UNAVAILABLE,
                "payments_unavailable",
                "Nothing can be bought here",
            ),
            SellError::PaymentsDisabled => {
                Self::new(StatusCode::FORBIDDEN, "payments_disabled", "Payments are switched off")
                    .with_detail("what was bought keeps working")
            }
            SellError::UnknownPrice(_) => Self::new(
                StatusCode::UNPROCESSABLE_ENTITY,
                "unknown_price",
                "This price is not for sale",
            ),
            SellError::NoQuantity => Self::invalid_quantity(),
            SellError::AlreadySubscribed => {
                conflict("already_subscribed", "There is a live subscription already")
                    .with_detail("change or cancel it instead of buying a second one")
            }
            SellError::Denied(_) => {
                Self::new(StatusCode::FORBIDDEN, "denied_by_rule", "This cannot be bought now")
                    .with_detail("please get in touch")
            }
            SellError::CheckoutCompleted => {
                conflict("checkout_completed", "A checkout has just been paid")
                    .with_detail("its result is about to arrive")
                    .retry(RETRY_SOON)
            }
            SellError::Busy => {
                conflict("busy", "Another request is changing the same thing").retry(RETRY_SOON)
            }
            SellError::NoCustomer => conflict("no_customer", "Nothing was ever bought")
                .with_detail("there is nothing to manage before the first purchase"),
            SellError::NoSubscription => {
                conflict("no_subscription", "There is no subscription that this could be done to")
            }
            SellError::Store(error) => Self::from(&error),
            SellError::Stripe(error) if error.is_retryable() => {
                tracing::warn!(%error, "Stripe is not available");
                Self::new(
                    StatusCode::SERVICE_UNAVAILABLE,
                    "stripe_unavailable",
                    "The payment provider cannot be reached",
                )
                .retry(RETRY_AFTER)
            }
            SellError::Stripe(error) => {
                tracing::error!(%error, "Stripe refused");
                Self::new(StatusCode::BAD_GATEWAY, "stripe_refused", "The payment provider refused")
            }
            error => {
                tracing::error!(%error, "a sale failed");
                Self::internal()
            }
        }
    }
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let body = Body {
            r#type: format!(
                "https://docs.rs/stripe-billing-axum/latest/stripe_billing_axum/struct.Problem.html#{}",
                self.code
            ),
            title: self.title,
            status: self.status.as_u16(),
            code: self.code,
            detail: self.detail.as_deref(),
        };
        let mut response = (self.status, Json(body)).into_response();
        let headers = response.headers_mut();
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/problem+json"));
        headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
        if let Some(seconds) = self.retry_after {
            headers.insert(header::RETRY_AFTER, HeaderValue::from(seconds));
        }
        response
    }
}

#[cfg(test)]
mod tests {
    use stripe_billing_core::ErrorKind;
    use stripe_billing_core::stripe::{StripeError, StripeErrorKind};
    use stripe_billing_core::webhook::{EnvelopeError, SignatureError, WebhookError};

    use super::*;

    fn store(kind: ErrorKind) -> StoreError {
        StoreError::new(kind, "password=hunter2")
    }

    fn stripe(kind: StripeErrorKind) -> SellError {
        SellError::Stripe(StripeError::new(kind, "No such customer: cus_secret"))
    }

    #[test]
    fn every_sale_that_fails_has_its_row() {
        let corrupt: Box<dyn std::error::Error + Send + Sync> = "hunter2".into();
        for (error, status, code, retry) in [
            (SellError::NoStripe, 503, "payments_unavailable", None),
            (SellError::PaymentsDisabled, 403, "payments_disabled", None),
            (SellError::UnknownPrice("hunter2".into()), 422, "unknown_price", None),
            (SellError::NoQuantity, 400, "invalid_quantity", None),
            (SellError::AlreadySubscribed, 409, "already_subscribed", None),
            (SellError::CheckoutCompleted, 409, "checkout_completed", Some(1)),
            (SellError::NoCustomer, 409, "no_customer", None),
            (SellError::NoSubscription, 409, "no_subscription", None),
            (SellError::Busy, 409, "busy", Some(1)),
            (store(ErrorKind::Unavailable).into(), 503, "store_unavailable", Some(5)),
            (store(ErrorKind::Timeout).into(), 503, "store_unavailable", Some(5)),
            (store(ErrorKind::Corrupt).into(), 500, "store_failed", None),
            (store(ErrorKind::KeyReused).into(), 500, "store_failed", None),
            (stripe(StripeErrorKind::Connection), 503, "stripe_unavailable", Some(5)),
            (stripe(StripeErrorKind::Timeout), 503, "stripe_unavailable", Some(5)),
            (stripe(StripeErrorKind::RateLimited), 503, "stripe_unavailable", Some(5)),
            (stripe(StripeErrorKind::InvalidRequest), 502, "stripe_refused", None),
            (stripe(StripeErrorKind::NotFound), 502, "stripe_refused", None),
            (stripe(StripeErrorKind::Authentication), 502, "stripe_refused", None),
            (SellError::Corrupt(corrupt), 500, "internal_error", None),
        ] {
            let problem = Problem::from(error);
            assert_eq!(
                (problem.status().as_u16(), problem.code(), problem.retry_after()),
                (status, code, retry)
            );
            for inner in ["hunter2", "cus_secret"] {
                assert!(!format!("{problem:?}").contains(inner), "{problem:?}");
            }
        }
    }

    #[test]
    fn every_delivery_that_fails_has_its_row() {
        let webhook = |error: WebhookError| ReceiveError::from(error);
        for (error, status, code) in [
            (webhook(SignatureError::NoMatch.into()), 400, "signature_mismatch"),
            (webhook(EnvelopeError::NotAnObject.into()), 400, "event_not_an_object"),
            (webhook(WebhookError::TooLarge { limit: 1 }), 413, "payload_too_large"),
            (store(ErrorKind::Unavailable).into(), 503, "store_unavailable"),
            (store(ErrorKind::Corrupt).into(), 503, "store_unavailable"),
        ] {
            let problem = Problem::from(error);
            assert_eq!((problem.status().as_u16(), problem.code()), (status, code));
            assert_eq!(problem.retry_after().is_some(), status == 503);
            assert!(!format!("{problem:?}").contains("hunter2"));
        }
    }

    #[test]
    fn every_code_is_in_the_table() {
        let table = include_str!("problem.rs");
        for code in [
            "body_incomplete",
            "payload_too_large",
            "unauthenticated",
            "cross_origin",
            "invalid_body",
            "unsupported_media_type",
            "return_url_unknown",
            "invalid_query",
            "unknown_event",
            "unknown_ticket",
            "reason_too_long",
            "not_found",
            "method_not_allowed",
        ] {
            assert!(table.contains(&format!("/// | `{code}` |")), "{code}");
        }
    }
}
