//! Idempotency keys (<https://docs.stripe.com/api/idempotent_requests>).

use std::collections::HashMap;

use bytes::Bytes;

use crate::fake_stripe::error::ApiError;

const LIFETIME: i64 = 24 * 3_600;

/// A key belongs to an API key and an account.
pub(super) type Scope = (String, String, String);

/// A first result.
pub(super) type Kept = (u16, Bytes);

#[derive(Debug)]
struct Entry {
    fingerprint: String,
    at: i64,
    result: Option<Kept>,
}

/// First results by key.
#[derive(Debug, Default)]
pub(in crate::fake_stripe) struct Replays(HashMap<Scope, Entry>);

pub(super) enum Begin {
    /// Nothing is kept under the key: do it. The key is taken until `finish`.
    Run,
    /// The first result, again.
    Replay(Kept),
}

impl Replays {
    pub(super) fn begin(
        &mut self,
        scope: &Scope,
        fingerprint: &str,
        now: i64,
    ) -> Result<Begin, ApiError> {
        let (_, _, key) = scope;
        if key.len() > 255 {
            return Err(ApiError::new(
                400,
                "invalid_request_error",
                "Idempotency-Key must be at most 255 characters long.",
            ));
        }
        self.0.retain(|_, entry| entry.result.is_none() || now - entry.at < LIFETIME);
        let Some(entry) = self.0.get(scope) else {
            let entry = Entry { fingerprint: fingerprint.to_owned(), at: now, result: None };
            self.0.insert(scope.clone(), entry);
            return Ok(Begin::Run);
        };
        if entry.fingerprint != fingerprint {
            return Err(ApiError::new(
                400,
                "idempotency_error",
                format!(
                    "Keys for idempotent requests can only be used with the same parameters they \
                     were first used with. Try using a key other than '{key}' if you meant to \
                     execute a different request."
                ),
            ));
        }
        match &entry.result {
            Some(kept) => Ok(Begin::Replay(kept.clone())),
            None => Err(ApiError::new(
                409,
                "invalid_request_error",
                format!(
                    "There is currently another in-progress request using this Idempotent Key \
                     (that probably means you submitted twice, and the other request is still \
                     going through): {key}. Please try again later."
                ),
            )
            .with_code("idempotency_key_in_use")),
        }
    }

    /// Keeps the result, or frees the key when there is none worth keeping.
    pub(super) fn finish(&mut self, scope: &Scope, result: Option<Kept>) {
        if result.is_none() {
            self.0.remove(scope);
        } else if let Some(entry) = self.0.get_mut(scope) {
            entry.result = result;
        }
    }
}
