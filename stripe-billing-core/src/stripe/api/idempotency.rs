use std::fmt;

/// The key under which Stripe keeps the result of a POST for 24 hours.
///
/// Derive it from the row that claims the work (`checkout:acct_42:7`), so that a second try, even
/// by another process, names the same work. The parameters have to be the same as well, else
/// Stripe answers [`StripeErrorKind::Idempotency`](super::StripeErrorKind::Idempotency).
///
/// A key is no secret: it is printed in full and Stripe shows it in its request log. Put no
/// personal data into it.
///
/// ```
/// use stripe_billing_core::stripe::IdempotencyKey;
///
/// let key = IdempotencyKey::new("customer:user_42")?;
/// assert_eq!(key.as_str(), "customer:user_42");
/// assert!(IdempotencyKey::new("k".repeat(256)).is_err());
/// # Ok::<(), stripe_billing_core::stripe::InvalidIdempotencyKey>(())
/// ```
///
/// Source: <https://docs.stripe.com/api/idempotent_requests>.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct IdempotencyKey(String);

impl IdempotencyKey {
    /// Stripe's limit, in characters.
    pub const MAX_LEN: usize = 255;

    /// Checks a key: 1 to 255 characters, all of them visible ASCII, since it travels in a header.
    ///
    /// # Errors
    ///
    /// [`InvalidIdempotencyKey`] names what is wrong.
    pub fn new(key: impl Into<String>) -> Result<Self, InvalidIdempotencyKey> {
        let key = key.into();
        if key.is_empty() {
            return Err(InvalidIdempotencyKey::Empty);
        }
        if let Some(found) = key.chars().find(|c| !c.is_ascii_graphic()) {
            return Err(InvalidIdempotencyKey::Character { found });
        }
        if key.len() > Self::MAX_LEN {
            return Err(InvalidIdempotencyKey::TooLong { length: key.len() });
        }
        Ok(Self(key))
    }

    /// The key as it is sent.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for IdempotencyKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Why a string is no [`IdempotencyKey`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum InvalidIdempotencyKey {
    /// It has no characters.
    #[error("an idempotency key must not be empty")]
    Empty,
    /// It is longer than [`IdempotencyKey::MAX_LEN`].
    #[error("an idempotency key has at most 255 characters, this one has {length}; hash it first")]
    TooLong {
        /// Its length in characters.
        length: usize,
    },
    /// It holds a blank, a control character or something beyond ASCII.
    #[error("an idempotency key is visible ASCII only, found {found:?}")]
    Character {
        /// The first character that cannot be sent.
        found: char,
    },
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn accepts_up_to_the_limit() {
        assert!(IdempotencyKey::new("k").is_ok());
        assert!(IdempotencyKey::new("k".repeat(255)).is_ok());
        assert_eq!(
            IdempotencyKey::new("k".repeat(256)),
            Err(InvalidIdempotencyKey::TooLong { length: 256 })
        );
    }

    #[test]
    fn rejects_what_a_header_cannot_carry() {
        assert_eq!(IdempotencyKey::new(""), Err(InvalidIdempotencyKey::Empty));
        for (key, found) in [("a b", ' '), ("a\r\nX: y", '\r'), ("clé", 'é'), ("\u{7f}", '\u{7f}')]
        {
            assert_eq!(
                IdempotencyKey::new(key),
                Err(InvalidIdempotencyKey::Character { found }),
                "{key:?}"
            );
        }
    }
}
