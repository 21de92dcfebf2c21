//! Facts of `stripe-billing` as signed webhooks: each typed domain event is posted as JSON to the
//! endpoints that you name, signed by the [Standard Webhooks](https://www.standardwebhooks.com)
//! scheme, so that a receiver verifies it with a library of its language.
//!
//! ```
//! use stripe_billing_hooks::{Endpoint, Hooks};
//!
//! # fn main() -> Result<(), stripe_billing_hooks::HooksError> {
//! let hooks = Hooks::builder()
//!     .endpoint(Endpoint::new("https://crm.acme.test/hooks", "whsec_C2FVsBQIhrscChlQIMV+b5sSYspob7oD"))
//!     .build()?; // then Billing::builder(store).on_event(hooks)
//! # drop(hooks);
//! # Ok(())
//! # }
//! ```
//!
//! # What is posted
//!
//! ```json
//! {"id": "msg_6a1f...", "type": "invoice_paid", "key": "invoice_paid:in_1", "account": "acme",
//!  "subject": "cus_1", "livemode": true, "stripe_account": null,
//!  "data": {"invoice": "in_1", "subscription": "sub_1", "total": 1900, "currency": "usd"}}
//! ```
//!
//! The headers are `webhook-id`, `webhook-timestamp` (Unix seconds of the attempt) and
//! `webhook-signature`, with a signature for each secret of the endpoint.
//!
//! # What a receiver may rely on
//!
//! - **At least once, in no order.** The id is made from the fact and is the same in every attempt
//!   and for every endpoint: a receiver that keeps the ids it handled handles each fact once.
//! - Any 2xx takes the fact. Time-outs, lost connections, 408, 425, 429 and 5xx are tried again with
//!   the back-off of the outbox, where a `Retry-After` counts up to twice the step. Any other answer, a redirect
//!   included, refuses the fact for good: it is set aside for an operator.
//! - 410 also says that the endpoint is gone. It is not called again until the app starts anew, and
//!   the facts that it would have got are set aside.
//! - Of several endpoints each gets the fact until it took it. Which ones did is remembered in
//!   memory: after a restart in between, those that had taken a fact can get it once more.
//!
//! # Counters
//!
//! `stripe_billing_hooks_total` and `stripe_billing_hooks_seconds`, by `endpoint` (its name) and, the
//! first one, `result`: `taken`, `later`, `refused`, `gone`, `rested`.

mod answer;
mod endpoint;
mod error;
mod hooks;
mod message;
mod taken;
mod target;

pub use endpoint::Endpoint;
pub use error::HooksError;
pub use hooks::{Hooks, HooksBuilder};
