//! The client for Stripe's API over HTTP.

mod builder;
mod calls;
mod form;
mod params;
mod redact;
mod retry;
mod transport;

#[cfg(test)]
mod tests;

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use self::retry::Backoff;
use crate::Secret;

pub use builder::{InvalidStripeConfig, StripeClientBuilder};

/// The version of Stripe's API that every request of this crate is written for, sent as
/// `Stripe-Version`. It does not depend on the account's default version.
pub const API_VERSION: &str = "2026-10-28.endive";

/// Stripe's API over HTTP; its calls are those of [`StripeApi`](super::StripeApi).
///
/// A clone is cheap and shares the connections. The client needs a Tokio runtime with its time and
/// I/O drivers. It brings its own TLS (rustls with ring and Mozilla's roots) and needs no
/// process-wide provider. It tries again as Stripe's own SDKs do: after a broken connection, a
/// time-out, 409 and 5xx, or where `Stripe-Should-Retry` says so, with the same idempotency key.
///
/// Each call is a `tracing` span `stripe_api` with the method, the path, the number of tries, the
/// status and Stripe's request id. Each HTTP request is measured by the histogram
/// `stripe_billing_stripe_api_seconds` and the counter `stripe_billing_stripe_api_total`, labelled
/// `call` (`create_customer`) and `result` (`ok` or the kind of the error). Neither ever holds the
/// key, parameters or bodies.
///
/// ```no_run
/// use stripe_billing_core::stripe::{CreateCustomer, IdempotencyKey, StripeApi, StripeClient};
///
/// # async fn example() -> Result<(), Box<dyn std::error::Error>> {
/// let stripe = StripeClient::new(std::env::var("STRIPE_SECRET_KEY")?)?;
/// let request = CreateCustomer::new().with_email("ada@example.test");
/// let customer =
///     stripe.create_customer(&request, &IdempotencyKey::new("customer:user_42")?).await?;
/// println!("{}", customer.id);
/// # Ok(())
/// # }
/// ```
#[derive(Clone)]
pub struct StripeClient {
    shared: Arc<Shared>,
    /// The connected account that this handle acts on.
    account: Option<Arc<str>>,
}

struct Shared {
    http: reqwest::Client,
    /// Without a slash at its end.
    api_base: String,
    key: Secret,
    livemode: Option<bool>,
    timeout: Duration,
    max_retries: u32,
    backoff: Backoff,
}

impl StripeClient {
    /// A client with this secret or restricted key and with the defaults of
    /// [`StripeClient::builder`].
    ///
    /// # Errors
    ///
    /// [`InvalidStripeConfig`] when the key cannot be one.
    pub fn new(key: impl Into<Secret>) -> Result<Self, InvalidStripeConfig> {
        Self::builder(key).build()
    }

    /// A client to configure. A restricted key (`rk_…`) with only the permissions that are needed
    /// is what Stripe recommends.
    pub fn builder(key: impl Into<Secret>) -> StripeClientBuilder {
        StripeClientBuilder::new(key.into())
    }
}

impl fmt::Debug for StripeClient {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("StripeClient")
            .field("api_base", &self.shared.api_base)
            .field("api_version", &API_VERSION)
            .field("key", &self.shared.key)
            .field("livemode", &self.shared.livemode)
            .field("account", &self.account)
            .field("timeout", &self.shared.timeout)
            .field("max_retries", &self.shared.max_retries)
            .finish_non_exhaustive()
    }
}
