use std::future::Future;

use async_trait::async_trait;
use axum::http::request::Parts;
use stripe_billing_core::{AccountKey, CustomerProfile};

/// Says which account a request acts for: the app's own session, token or header.
///
/// Implemented for closures `Fn(&Parts) -> Option<AccountKey>`; [`identity_fn`] makes one of a
/// closure that returns a future.
#[async_trait]
pub trait Identity: Send + Sync + 'static {
    /// The account, or `None` for a request that is not signed in (401). Take it from what the app
    /// has authenticated, never from something that the client can simply write.
    async fn account(&self, request: &Parts) -> Option<AccountKey>;

    /// What Stripe is told when the account becomes a customer; nothing unless overridden.
    async fn profile(&self, _request: &Parts) -> CustomerProfile {
        CustomerProfile::default()
    }
}

#[async_trait]
impl<F> Identity for F
where
    F: Fn(&Parts) -> Option<AccountKey> + Send + Sync + 'static,
{
    async fn account(&self, request: &Parts) -> Option<AccountKey> {
        self(request)
    }
}

/// An [`Identity`] from a closure that returns a future. Take out of the request what the future
/// needs:
///
/// ```
/// use axum::http::request::Parts;
/// use stripe_billing_axum::identity_fn;
/// use stripe_billing_core::AccountKey;
///
/// async fn account_of_session(session: String) -> Option<AccountKey> {
///     (session == "s3cret").then(|| "acme".into())
/// }
///
/// let identity = identity_fn(|request: &Parts| {
///     let session = request.headers.get("x-session").cloned();
///     async move { account_of_session(session?.to_str().ok()?.to_owned()).await }
/// });
/// # let _ = identity;
/// ```
pub fn identity_fn<F, R>(identify: F) -> impl Identity
where
    F: Fn(&Parts) -> R + Send + Sync + 'static,
    R: Future<Output = Option<AccountKey>> + Send + 'static,
{
    Asynchronous(identify)
}

struct Asynchronous<F>(F);

#[async_trait]
impl<F, R> Identity for Asynchronous<F>
where
    F: Fn(&Parts) -> R + Send + Sync + 'static,
    R: Future<Output = Option<AccountKey>> + Send + 'static,
{
    async fn account(&self, request: &Parts) -> Option<AccountKey> {
        (self.0)(request).await
    }
}
