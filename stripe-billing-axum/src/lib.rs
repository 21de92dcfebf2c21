//! Billing over HTTP: an axum router for [`Billing`], and one for health checks.
//!
//! ```
//! use axum::Router;
//! use axum::http::request::Parts;
//! use stripe_billing_core::{AccountKey, Billing, MemoryStore};
//! # use stripe_billing_core::catalog::Catalog;
//! # let billing = Billing::builder(MemoryStore::new())
//! #     .catalog(Catalog::default()).webhook_secrets(["whsec_1"]).build()?;
//!
//! // The app says who is asking; an account that a body names is never believed.
//! fn current_account(request: &Parts) -> Option<AccountKey> {
//!     let user = request.extensions.get::<u64>()?; // what your session middleware left there
//!     Some(AccountKey::platform(user.to_string()))
//! }
//!
//! let app: Router = Router::new()
//!     .nest("/billing", stripe_billing_axum::router(billing.clone(), current_account))
//!     .merge(stripe_billing_axum::health(billing));
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! # Routes
//!
//! | route | answers |
//! |---|---|
//! | `POST /webhook` | 200 `{"received": true, "duplicate": bool}` once the event is stored |
//! | `GET /state` | the account's [`Access`](stripe_billing_core::Access), with its `account` |
//! | `GET /plans` | what the catalog sells, and which of it the account has; works signed out |
//! | `POST /checkout` | `{"price": "...", "quantity": 1}` as JSON or form: `{"url", "session"}` |
//! | `POST /portal` | `{"url"}` of Stripe's customer portal |
//! | `POST /cancel` | 204: the subscription ends with the period that is paid for |
//! | `POST /resume` | 204: that is taken back |
//!
//! A browser that posts a plain form (`Accept: text/html`) to `/checkout` or `/portal` is sent on
//! with a 303. What `/cancel` and `/resume` did shows in `/state` when Stripe's event arrives, a
//! moment later. Every error is an RFC 9457 problem with a stable `code`: see [`Problem`].
//!
//! Browsers send cookies along with forms that other sites submit, so every `POST` but the webhook
//! is refused when it comes from another origin; see [`BillingRouter::trust_origin`].
//!
//! Operators have routes of their own, which an app mounts if it wants them: see [`operator()`].

mod body;
mod builder;
mod credits;
mod health;
mod identity;
mod operator;
mod origin;
mod problem;
mod routes;
mod view;

use axum::Router;
use stripe_billing_core::Billing;

pub use builder::{BillingRouter, RouterError};
pub use health::health;
pub use identity::{Identity, identity_fn};
pub use operator::{Authorize, Operator, operator};
pub use problem::Problem;

/// The billing routes with everything at its default, to be nested where the app likes:
/// `.nest("/billing", router(billing, current_account))`.
///
/// Customers come back from Stripe to the path `/` of the origin that they came from;
/// [`BillingRouter`] sets that and more.
pub fn router(billing: Billing, identity: impl Identity) -> Router {
    BillingRouter::new(billing, identity).assemble()
}
