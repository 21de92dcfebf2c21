//! An endpoint at work: it signs, posts, and rests while the other side is away.

use std::error::Error;
use std::fmt;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use chrono::{DateTime, TimeDelta, Utc};
use reqwest::Url;
use reqwest::header::{CONTENT_TYPE, HeaderMap, HeaderValue, RETRY_AFTER, USER_AGENT};
use standardwebhooks::{
    HEADER_WEBHOOK_ID, HEADER_WEBHOOK_SIGNATURE, HEADER_WEBHOOK_TIMESTAMP, Webhook,
};

use crate::answer::Answer;
use crate::endpoint::Checked;
use crate::message::Message;

/// How long an endpoint that did not answer is left alone. Others' facts and mails wait behind each
/// attempt, so one that hangs must not hold them up again and again.
const REST: TimeDelta = TimeDelta::seconds(30);

pub(crate) struct Target {
    name: String,
    url: Url,
    keys: Vec<Webhook>,
    http: reqwest::Client,
    timeout: Duration,
    rests_until: Mutex<Option<DateTime<Utc>>>,
    gone: AtomicBool,
}

impl fmt::Debug for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Target").field("name", &self.name).finish_non_exhaustive()
    }
}

impl Target {
    pub(crate) fn new(
        endpoint: Checked,
        timeout: Duration,
        connect_timeout: Duration,
        roots: rustls::RootCertStore,
    ) -> Result<Self, Box<dyn Error + Send + Sync>> {
        let http = http_client(endpoint.loopback, connect_timeout, roots)?;
        Ok(Self {
            name: endpoint.name,
            url: endpoint.url,
            keys: endpoint.keys,
            http,
            timeout,
            rests_until: Mutex::new(None),
            gone: AtomicBool::new(false),
        })
    }

    pub(crate) fn name(&self) -> &str {
        &self.name
    }

    /// Posts a message, unless the endpoint is gone or rests.
    pub(crate) async fn post(&self, message: &Message, now: DateTime<Utc>) -> Answer {
        if self.gone.load(Ordering::Relaxed) {
            self.count("gone");
            return Answer::Gone("answered 410 before".to_owned());
        }
        if let Some(left) = self.rest_left(now) {
            self.count("rested");
            return Answer::Later("did not answer a moment ago".to_owned(), Some(left));
        }
        let started = Instant::now();
        let answer = self.send(message, now).await;
        metrics::histogram!("stripe_billing_hooks_seconds", "endpoint" => self.name.clone())
            .record(started.elapsed());
        self.count(match &answer {
            Answer::Taken => "taken",
            Answer::Later(..) => "later",
            Answer::Refused(_) => "refused",
            Answer::Gone(_) => "gone",
        });
        let rest = match &answer {
            Answer::Later(_, wait) => *wait,
            Answer::Gone(_) => {
                self.gone.store(true, Ordering::Relaxed);
                tracing::error!(endpoint = self.name, "a webhook's endpoint is gone");
                None
            }
            Answer::Taken | Answer::Refused(_) => None,
        };
        let rests_until = rest.map(|rest| now + rest);
        *self.rests_until.lock().unwrap_or_else(PoisonError::into_inner) = rests_until;
        answer
    }

    async fn send(&self, message: &Message, now: DateTime<Utc>) -> Answer {
        let headers = match self.headers(message, now) {
            Ok(headers) => headers,
            Err(error) => return Answer::Refused(format!("could not be signed for: {error}")),
        };
        let request = self.http.post(self.url.clone()).headers(headers).timeout(self.timeout);
        match request.body(message.body.clone()).send().await {
            // The status is the answer; what comes after it is not waited for.
            Ok(response) => {
                let retry_after = response.headers().get(RETRY_AFTER);
                let retry_after = retry_after.and_then(|value| value.to_str().ok());
                Answer::of(response.status().as_u16(), retry_after, now)
            }
            Err(error) if error.is_timeout() => {
                Answer::Later("did not answer in time".to_owned(), Some(REST))
            }
            Err(error) => {
                // The URL may hold a token.
                let error = error.without_url();
                let mut innermost: &dyn Error = &error;
                while let Some(source) = innermost.source() {
                    innermost = source;
                }
                Answer::Later(format!("could not be reached: {innermost}"), Some(REST))
            }
        }
    }

    fn headers(
        &self,
        message: &Message,
        now: DateTime<Utc>,
    ) -> Result<HeaderMap, Box<dyn Error + Send + Sync>> {
        let mut signatures = Vec::new();
        for key in &self.keys {
            signatures.push(key.sign(&message.id, now.timestamp(), message.body.as_bytes())?);
        }
        let agent = concat!("stripe-billing/", env!("CARGO_PKG_VERSION"));
        let mut headers = HeaderMap::new();
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
        headers.insert(USER_AGENT, HeaderValue::from_static(agent));
        headers.insert(HEADER_WEBHOOK_ID, HeaderValue::from_str(&message.id)?);
        headers.insert(HEADER_WEBHOOK_TIMESTAMP, HeaderValue::from(now.timestamp()));
        let signature = HeaderValue::from_str(&signatures.join(" "))?;
        headers.insert(HEADER_WEBHOOK_SIGNATURE, signature);
        Ok(headers)
    }

    fn rest_left(&self, now: DateTime<Utc>) -> Option<TimeDelta> {
        let until = *self.rests_until.lock().unwrap_or_else(PoisonError::into_inner);
        until.map(|until| until - now).filter(|left| *left > TimeDelta::zero())
    }

    fn count(&self, result: &'static str) {
        let endpoint = self.name.clone();
        metrics::counter!("stripe_billing_hooks_total", "endpoint" => endpoint, "result" => result)
            .increment(1);
    }
}

fn http_client(
    loopback: bool,
    connect_timeout: Duration,
    roots: rustls::RootCertStore,
) -> Result<reqwest::Client, Box<dyn Error + Send + Sync>> {
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let tls = rustls::ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()?
        .with_root_certificates(roots)
        .with_no_client_auth();
    let mut http = reqwest::Client::builder()
        .tls_backend_preconfigured(tls)
        .connect_timeout(connect_timeout)
        // What was meant for one receiver is not carried to another.
        .redirect(reqwest::redirect::Policy::none())
        // Every attempt is the outbox's.
        .retry(reqwest::retry::never());
    if loopback {
        http = http.no_proxy();
    }
    Ok(http.build()?)
}
