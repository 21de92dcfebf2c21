use chrono::TimeDelta;
use serde::{Deserialize, Serialize};

/// Why an attempt failed, which decides what happens next. Taken from the error's type, never from
/// its words.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum ErrorClass {
    /// Passes by itself: retried with back-off, costs an attempt.
    Transient,
    /// Something it needs is not there yet: tried again soon, costs no attempt for ten minutes.
    Deferred,
    /// The configuration has to change first; when it does, the item is taken up by itself.
    Config,
    /// No retry can help; a human has to look.
    Permanent,
    /// It takes the worker down: a panic, or [`MAX_CRASHES`](super::MAX_CRASHES) lost leases.
    Poison,
    /// Most work fails: the queue pauses, and nothing of it is held against the item.
    Systemic,
}

impl ErrorClass {
    /// The class as stores and the operator JSON write it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Transient => "transient",
            Self::Deferred => "deferred",
            Self::Config => "config",
            Self::Permanent => "permanent",
            Self::Poison => "poison",
            Self::Systemic => "systemic",
        }
    }

    /// What an operator can do about it, in one sentence.
    pub fn advice(self) -> &'static str {
        match self {
            Self::Transient => "It is tried again by itself; look at what does not answer.",
            Self::Deferred => {
                "It waits for something that has not arrived; look for what is missing."
            }
            Self::Config => {
                "Mend the configuration and restart; what failed for it is then taken up by itself."
            }
            Self::Permanent => {
                "No retry helps: mend the cause and replay the events, or resolve or dismiss them."
            }
            Self::Poison => {
                "It takes workers down: mend the handler before replaying the events, or dismiss them."
            }
            Self::Systemic => "Most work fails: find what is down. Nothing is lost meanwhile.",
        }
    }
}

/// A failed attempt, as kept on the row: class, stable code and a message without secrets or
/// personal data.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Failure {
    /// Decides what happens next.
    pub class: ErrorClass,
    /// Stable and short, for grouping: `store_unavailable`, `corrupt_payload`, ...
    pub code: &'static str,
    /// For humans; at most 2,000 characters are kept.
    pub message: String,
    /// When whoever refused asked to be tried again, if it did.
    pub retry_after: Option<TimeDelta>,
}

impl Failure {
    /// A failure; the message is cut at 2,000 characters.
    pub fn new(class: ErrorClass, code: &'static str, message: impl Into<String>) -> Self {
        let mut message: String = message.into();
        if let Some((at, _)) = message.char_indices().nth(2_000) {
            message.truncate(at);
        }
        Self { class, code, message: message.replace('\0', "\u{fffd}"), retry_after: None }
    }

    /// With the time after which it may be tried again.
    #[must_use]
    pub fn with_retry_after(mut self, after: Option<TimeDelta>) -> Self {
        self.retry_after = after;
        self
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_failure_keeps_at_most_2000_characters_and_no_nul() {
        let failure = Failure::new(ErrorClass::Permanent, "x", "é\0".repeat(3_000));
        assert_eq!(failure.message.chars().count(), 2_000);
        assert!(!failure.message.contains('\0'));
    }
}
