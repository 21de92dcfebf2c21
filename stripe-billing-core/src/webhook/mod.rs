//! Webhook intake: who sent it ([`SignatureVerifier`]) and what it is about ([`Envelope`]).
//!
//! Everything here is a pure function of the received bytes, the `Stripe-Signature` header, the
//! endpoint's secrets and the time that the caller passes in. Verify at receipt and only then:
//! a stored body cannot be verified again later, because its time stamp has left the tolerance.
//!
//! ```
//! use chrono::DateTime;
//! use stripe_billing_core::webhook::{self, SignatureVerifier, WebhookSecret};
//!
//! let body = br#"{"id":"evt_1","object":"event","type":"invoice.paid","created":1700000000,
//!     "livemode":false,"data":{"object":{"id":"in_1"}}}"#;
//! let now = DateTime::from_timestamp(1_700_000_003, 0).ok_or("time")?;
//! let secret = WebhookSecret::new("whsec_current")?;
//! let header = webhook::sign(body, &secret, now);
//!
//! let verifier = SignatureVerifier::new([secret, WebhookSecret::new("whsec_previous")?])?;
//! let (verified, envelope) = verifier.open(body, &header, now)?;
//! assert_eq!(verified.secret_index, 0);
//! assert_eq!(envelope.id, "evt_1");
//! assert_eq!(envelope.event_type, "invoice.paid");
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

mod blocks;
mod envelope;
mod error;
mod header;
mod lanes;
mod scan;
mod secret;
mod signature;

#[cfg(test)]
mod envelope_tests;
#[cfg(test)]
mod signature_tests;

pub use envelope::{Envelope, EventKind, MAX_TEXT_BYTES};
pub use error::{EnvelopeError, SignatureError, WebhookError};
pub use header::{MAX_HEADER_BYTES, MAX_SIGNATURES};
pub use secret::{BlankSecret, WebhookSecret};
pub use signature::{NoSecrets, SignatureVerifier, Tolerance, Verified, sign};
