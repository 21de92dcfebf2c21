use std::fmt;

use chrono::{DateTime, Utc};
use hmac::KeyInit;
use hmac::block_api::HmacCore;
use hmac::digest::array::Array;
use hmac::digest::block_api::{Buffer, FixedOutputCore, UpdateCore};
use hmac::digest::{CtOutput, Output};
use sha2::Sha256;

use super::envelope::Envelope;
use super::error::{SignatureError, WebhookError};
use super::header::{Header, encode};
use super::secret::WebhookSecret;

/// Fed whole blocks: a buffer in front of it, filled piece by piece, costs as much as hashing one.
type HmacSha256 = HmacCore<Sha256>;

/// What SHA-256 takes in at once, in bytes.
const BLOCK: usize = 64;

/// How far the signed time stamp may be from now, in either direction.
///
/// Stripe signs every delivery attempt anew, so the default window of five minutes fits its
/// retries over three days. Stamps too far ahead are refused like those too old: otherwise a
/// sender's fast clock would lengthen the time in which a delivery can be replayed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Tolerance {
    /// At most this many whole seconds. `0` is a window of zero, not "off".
    Seconds(u32),
    /// Any age. Only for bodies whose freshness is proven by other means.
    Unlimited,
}

impl Default for Tolerance {
    /// 300 seconds, the default of Stripe's own libraries.
    fn default() -> Self {
        Self::Seconds(300)
    }
}

impl Tolerance {
    fn allows(self, age_seconds: i64) -> bool {
        match self {
            Self::Seconds(limit) => age_seconds.unsigned_abs() <= u64::from(limit),
            Self::Unlimited => true,
        }
    }
}

/// A delivery whose signature was found right.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Verified {
    /// When Stripe signed this delivery attempt, in seconds since 1970 (UTC).
    pub timestamp: i64,
    /// Which of the verifier's secrets matched, counted from 0 in the order they were given.
    /// Once only the newest ever matches, a rotation is over.
    pub secret_index: usize,
}

/// Checks `Stripe-Signature` headers against one or several endpoint secrets.
///
/// Several secrets serve a rotation, a second endpoint on the same URL (Connect), or the CLI
/// beside the dashboard. Each is turned into its keyed HMAC state once, here.
#[derive(Clone)]
pub struct SignatureVerifier {
    keys: Vec<HmacSha256>,
    tolerance: Tolerance,
}

impl SignatureVerifier {
    /// A verifier with the default [`Tolerance`]. Put the secret most often used first.
    ///
    /// # Errors
    /// [`NoSecrets`] if there is no secret: such a verifier would refuse every delivery.
    pub fn new(secrets: impl IntoIterator<Item = WebhookSecret>) -> Result<Self, NoSecrets> {
        let keys: Vec<_> = secrets.into_iter().map(|secret| keyed(&secret)).collect();
        if keys.is_empty() {
            return Err(NoSecrets);
        }
        Ok(Self { keys, tolerance: Tolerance::default() })
    }

    /// The same verifier with another tolerance.
    #[must_use]
    pub fn with_tolerance(self, tolerance: Tolerance) -> Self {
        Self { tolerance, ..self }
    }

    /// Proves that Stripe signed `payload`, the request body exactly as received, recently.
    ///
    /// Follows <https://docs.stripe.com/webhooks#verify-manually>. Where Stripe's libraries differ
    /// from one another: upper-case hex and blanks after a comma are accepted; two different
    /// time stamps and one too far in the future are refused. The signature is judged before the
    /// age, so that only a sender who knows a secret learns about our clock.
    ///
    /// # Errors
    /// A [`SignatureError`]; all of them mean HTTP 400.
    pub fn verify(
        &self,
        payload: &[u8],
        header: &str,
        now: DateTime<Utc>,
    ) -> Result<Verified, SignatureError> {
        let header = Header::parse(header)?;
        let secret_index = self.matching_secret(payload, &header).ok_or(SignatureError::NoMatch)?;
        let age_seconds = now.timestamp().saturating_sub(header.timestamp);
        if !self.tolerance.allows(age_seconds) {
            return Err(SignatureError::OutsideTolerance { age_seconds });
        }
        Ok(Verified { timestamp: header.timestamp, secret_index })
    }

    /// [`verify`](Self::verify), then [`Envelope::parse`]: an envelope that can be trusted.
    ///
    /// # Errors
    /// A [`WebhookError`]; nothing of an unverified body is looked at.
    pub fn open<'a>(
        &self,
        payload: &'a [u8],
        header: &str,
        now: DateTime<Utc>,
    ) -> Result<(Verified, Envelope<'a>), WebhookError> {
        let verified = self.verify(payload, header, now)?;
        Ok((verified, Envelope::parse(payload)?))
    }

    /// One pass over the payload per secret, until one matches. Within a secret every signature
    /// is compared in constant time, also after a match.
    fn matching_secret(&self, payload: &[u8], header: &Header<'_>) -> Option<usize> {
        self.keys.iter().position(|key| {
            let expected = mac(key, header.stamp, payload);
            header.digests().fold(false, |matched, digest| {
                matched | (expected == CtOutput::<HmacSha256>::new(digest.into()))
            })
        })
    }
}

impl fmt::Debug for SignatureVerifier {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SignatureVerifier")
            .field("secrets", &self.keys.len())
            .field("tolerance", &self.tolerance)
            .finish_non_exhaustive()
    }
}

/// A [`SignatureVerifier`] needs at least one secret.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("no webhook signing secret is configured")]
pub struct NoSecrets;

/// The `Stripe-Signature` header that Stripe would send with `payload` at `timestamp`.
///
/// For tests and local tools; production code only ever verifies.
pub fn sign(payload: &[u8], secret: &WebhookSecret, timestamp: DateTime<Utc>) -> String {
    let stamp = timestamp.timestamp().to_string();
    let digest = mac(&keyed(secret), stamp.as_bytes(), payload).into_bytes();
    format!("t={stamp},v1={}", encode(&digest))
}

fn keyed(secret: &WebhookSecret) -> HmacSha256 {
    // HMAC takes keys of any length; the fallible constructor is for other algorithms.
    HmacSha256::new_from_slice(secret.key()).expect("HMAC accepts a key of any length")
}

/// The digest of `<stamp>.<payload>`, for a stamp shorter than a block.
#[inline(always)]
fn mac(key: &HmacSha256, stamp: &[u8], payload: &[u8]) -> CtOutput<HmacSha256> {
    let mut mac = key.clone();
    let mut first = [0; BLOCK];
    let start = stamp.len() + 1;
    first[..stamp.len()].copy_from_slice(stamp);
    first[stamp.len()] = b'.';
    let (head, rest) = payload.split_at(payload.len().min(BLOCK - start));
    let end = start + head.len();
    first[start..end].copy_from_slice(head);
    let tail = if end < BLOCK {
        &first[..end]
    } else {
        let (blocks, tail) = rest.as_chunks();
        mac.update_blocks(Array::cast_slice_from_core(&[first]));
        mac.update_blocks(Array::cast_slice_from_core(blocks));
        tail
    };
    let mut digest = Output::<HmacSha256>::default();
    mac.finalize_fixed_core(&mut Buffer::<HmacSha256>::new(tail), &mut digest);
    CtOutput::new(digest)
}
