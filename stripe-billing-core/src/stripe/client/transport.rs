//! One call to Stripe: prepare it once, send it, try again where that is right, read the answer.

use std::error::Error;
use std::time::{Duration, Instant};

use bytes::Bytes;
use reqwest::header::{CONTENT_LENGTH, CONTENT_TYPE, HeaderMap, HeaderName, HeaderValue};
use reqwest::{Method, Url};
use serde_json::Value;
use tracing::{Instrument, Span, field};

use super::form::{Form, escape};
use super::redact::redact;
use super::{StripeClient, retry};
use crate::stripe::{IdempotencyKey, StripeError, StripeErrorKind};

/// A call, as the API describes it.
pub(super) struct Call<'a> {
    /// Its name in metrics.
    name: &'static str,
    method: Method,
    path: String,
    form: Form,
    key: Option<&'a IdempotencyKey>,
}

impl<'a> Call<'a> {
    pub(super) fn get(name: &'static str, path: String, form: Form) -> Self {
        Self { name, method: Method::GET, path, form, key: None }
    }

    pub(super) fn post(
        name: &'static str,
        path: String,
        form: Form,
        key: &'a IdempotencyKey,
    ) -> Self {
        Self { name, method: Method::POST, path, form, key: Some(key) }
    }

    pub(super) fn delete(name: &'static str, path: String, form: Form) -> Self {
        Self { name, method: Method::DELETE, path, form, key: None }
    }

    /// What sets the waits of this call apart from those of others.
    fn seed(&self) -> &str {
        self.key.map_or(&self.path, IdempotencyKey::as_str)
    }
}

/// Refuses what is no id, before anything is sent: an empty one would turn "one" into "all", and a
/// dot segment would leave the resource.
pub(super) fn check_id(id: &str) -> Result<(), StripeError> {
    if matches!(id, "" | "." | "..") {
        let message = format!("{id:?} is no id");
        return Err(StripeError::new(StripeErrorKind::InvalidRequest, message));
    }
    Ok(())
}

/// A path with an id in it.
pub(super) fn path_with(prefix: &str, id: &str, suffix: &str) -> Result<String, StripeError> {
    check_id(id)?;
    Ok(format!("{prefix}/{}{suffix}", escape(id, false)))
}

/// What every try sends, byte for byte the same.
struct Prepared {
    url: Url,
    headers: HeaderMap,
    body: Option<Bytes>,
}

/// One try, and what is to be logged of its answer.
struct Tried<T> {
    status: Option<u16>,
    request_id: Option<String>,
    outcome: Result<T, StripeError>,
}

impl StripeClient {
    pub(super) async fn send<T>(&self, call: Call<'_>) -> Result<T, StripeError>
    where
        T: TryFrom<Value, Error = StripeError> + Send,
    {
        let span = tracing::info_span!(
            "stripe_api",
            call = call.name,
            method = call.method.as_str(),
            path = call.path,
            attempt = field::Empty,
            status = field::Empty,
            request_id = field::Empty,
        );
        self.send_in_span(&call).instrument(span).await.map_err(|error| {
            error
                .with_endpoint(call.method.as_str(), &call.path)
                .map_text(|text| redact(text, self.shared.key.expose()))
        })
    }

    async fn send_in_span<T>(&self, call: &Call<'_>) -> Result<T, StripeError>
    where
        T: TryFrom<Value, Error = StripeError> + Send,
    {
        let prepared = self.prepare(call)?;
        let mut tries: u32 = 0;
        loop {
            tries += 1;
            let started = Instant::now();
            let tried = self.try_once::<T>(call, &prepared).await;
            let result = tried.outcome.as_ref().map_or_else(|e| e.kind().as_str(), |_| "ok");
            measure(call.name, result, started.elapsed());

            let retries_left = self.shared.max_retries.saturating_sub(tries - 1);
            if let Err(error) = &tried.outcome
                && retry::should_retry(error, retries_left)
            {
                let wait = self.shared.backoff.delay(tries, call.seed());
                tracing::info!(
                    attempt = tries,
                    result,
                    status = tried.status,
                    code = error.code(),
                    request_id = tried.request_id,
                    wait_ms = u64::try_from(wait.as_millis()).unwrap_or(u64::MAX),
                    "trying again"
                );
                tokio::time::sleep(wait).await;
                continue;
            }
            record(tries, &tried, result);
            return tried.outcome;
        }
    }

    fn prepare(&self, call: &Call<'_>) -> Result<Prepared, StripeError> {
        let form = call.form.encode();
        let mut url = format!("{}{}", self.shared.api_base, call.path);
        let mut headers = HeaderMap::new();
        let mut body = None;
        if call.method == Method::POST {
            let form_type = HeaderValue::from_static("application/x-www-form-urlencoded");
            headers.insert(CONTENT_TYPE, form_type);
            if form.is_empty() {
                // The HTTP stack leaves it out then, and a server may insist on a length.
                headers.insert(CONTENT_LENGTH, HeaderValue::from_static("0"));
            }
            body = Some(Bytes::from(form));
        } else if !form.is_empty() {
            url.push('?');
            url.push_str(&form);
        }
        let url = Url::parse(&url).map_err(|error| {
            StripeError::new(StripeErrorKind::InvalidRequest, "the URL cannot be built")
                .with_source(error)
        })?;
        if let Some(key) = call.key {
            insert(&mut headers, "idempotency-key", key.as_str())?;
        }
        if let Some(account) = &self.account {
            insert(&mut headers, "stripe-account", account)?;
        }
        Ok(Prepared { url, headers, body })
    }

    async fn try_once<T>(&self, call: &Call<'_>, prepared: &Prepared) -> Tried<T>
    where
        T: TryFrom<Value, Error = StripeError>,
    {
        let mut request = self
            .shared
            .http
            .request(call.method.clone(), prepared.url.clone())
            .headers(prepared.headers.clone())
            .timeout(self.shared.timeout);
        if let Some(body) = &prepared.body {
            request = request.body(body.clone());
        }
        let response = match request.send().await {
            Ok(response) => response,
            Err(error) => {
                return Tried { status: None, request_id: None, outcome: Err(no_answer(error)) };
            }
        };
        let status = response.status();
        let header = |name| response.headers().get(name).and_then(|value| value.to_str().ok());
        let request_id = header("request-id").map(str::to_owned);
        let should_retry = header("stripe-should-retry").and_then(|word| word.parse().ok());
        let outcome = match response.bytes().await {
            // A body that was cut short is no answer, whatever the status line said.
            Err(error) => Err(no_answer(error)),
            Ok(body) if status.is_success() => read(&body),
            Ok(body) => Err(StripeError::from_response(status.as_u16(), &body)),
        };
        let outcome = outcome.map_err(|mut error| {
            error = error.with_status(status.as_u16());
            if let Some(id) = &request_id {
                error = error.with_request_id(id);
            }
            match should_retry {
                Some(word) => error.with_should_retry(word),
                None => error,
            }
        });
        Tried { status: Some(status.as_u16()), request_id, outcome }
    }
}

fn insert(headers: &mut HeaderMap, name: &'static str, value: &str) -> Result<(), StripeError> {
    if value.is_empty() || !value.bytes().all(|byte| byte.is_ascii_graphic()) {
        let message = format!("the value for the header {name} is empty or not visible ASCII");
        return Err(StripeError::new(StripeErrorKind::InvalidRequest, message));
    }
    let value = HeaderValue::from_str(value).map_err(|error| {
        StripeError::new(StripeErrorKind::InvalidRequest, format!("bad value for {name}"))
            .with_source(error)
    })?;
    headers.insert(HeaderName::from_static(name), value);
    Ok(())
}

fn read<T>(body: &[u8]) -> Result<T, StripeError>
where
    T: TryFrom<Value, Error = StripeError>,
{
    let value = serde_json::from_slice::<Value>(body).map_err(|error| {
        StripeError::new(StripeErrorKind::Decode, "the answer is not JSON").with_source(error)
    })?;
    T::try_from(value)
}

/// The error when there was no whole answer. The URL is left out: its query may name a person.
fn no_answer(error: reqwest::Error) -> StripeError {
    let error = error.without_url();
    let kind = if error.is_timeout() {
        StripeErrorKind::Timeout
    } else if error.is_builder() {
        StripeErrorKind::InvalidRequest
    } else {
        StripeErrorKind::Connection
    };
    // The outermost error says no more than that sending failed; the innermost one says why.
    let mut innermost: &dyn Error = &error;
    while let Some(source) = innermost.source() {
        innermost = source;
    }
    StripeError::new(kind, format!("{error}: {innermost}")).with_source(error)
}

fn measure(call: &'static str, result: &'static str, elapsed: Duration) {
    metrics::histogram!("stripe_billing_stripe_api_seconds", "call" => call, "result" => result)
        .record(elapsed.as_secs_f64());
    metrics::counter!("stripe_billing_stripe_api_total", "call" => call, "result" => result)
        .increment(1);
}

/// Completes the call's span. A message of Stripe's may repeat what the caller sent, so it is
/// left to the caller to log it.
fn record<T>(tries: u32, tried: &Tried<T>, result: &'static str) {
    let span = Span::current();
    span.record("attempt", tries);
    if let Some(status) = tried.status {
        span.record("status", status);
    }
    if let Some(id) = &tried.request_id {
        span.record("request_id", id);
    }
    match &tried.outcome {
        Ok(_) => tracing::debug!(result, "answered"),
        Err(error) => tracing::info!(result, code = error.code(), "failed"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_cannot_leave_their_place_in_the_path() {
        let path = |id| path_with("/v1/customers", id, "/x").map_err(|error| error.kind().clone());
        for bad in ["", ".", ".."] {
            assert_eq!(path(bad), Err(StripeErrorKind::InvalidRequest), "{bad:?}");
        }
        assert_eq!(path("cus_1"), Ok("/v1/customers/cus_1/x".to_owned()));
        assert_eq!(path("../a?b#c d"), Ok("/v1/customers/..%2Fa%3Fb%23c%20d/x".to_owned()));
    }
}
