use crate::Secret;

/// The signing secret of one webhook endpoint (`whsec_…`).
///
/// Stripe keys its signatures with the secret exactly as shown, prefix included and not decoded
/// from base64, so it is kept verbatim. `Debug` is redacted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WebhookSecret(Secret);

impl WebhookSecret {
    /// Takes a secret as copied from the Stripe dashboard, the API or the CLI.
    ///
    /// # Errors
    /// [`BlankSecret`] if it is empty or only whitespace. Anybody can sign with a blank key, so
    /// an unset variable must not turn into an open endpoint.
    pub fn new(secret: impl Into<String>) -> Result<Self, BlankSecret> {
        let secret = secret.into();
        if secret.trim().is_empty() {
            return Err(BlankSecret);
        }
        Ok(Self(Secret::new(secret)))
    }

    /// Whether whitespace surrounds the secret.
    ///
    /// It is part of the key, so nothing that Stripe signs will match: almost certainly a slip
    /// of copy and paste, worth a warning at start-up.
    pub fn has_surrounding_whitespace(&self) -> bool {
        let secret = self.0.expose();
        secret.trim() != secret
    }

    pub(super) fn key(&self) -> &[u8] {
        self.0.expose().as_bytes()
    }
}

/// A webhook signing secret was empty or only whitespace.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the webhook signing secret is blank; it should look like whsec_…")]
pub struct BlankSecret;
