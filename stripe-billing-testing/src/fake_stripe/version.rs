//! API versions and what changed with them.

use std::fmt;

/// A Stripe API version, such as `2026-10-28.endive` or `2022-11-15`. Ordered by its date.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ApiVersion(String);

impl ApiVersion {
    /// The newest version the fake knows; its own model has this shape.
    pub const NEWEST: &'static str = "2026-10-28.endive";

    /// Any `YYYY-MM-DD` with an optional release name.
    ///
    /// # Errors
    /// Gives the text back when it does not start with a date.
    pub fn new(version: impl Into<String>) -> Result<Self, String> {
        let version = version.into();
        let date = version.split('.').next().unwrap_or_default();
        let is_date = date.len() == 10
            && date.bytes().enumerate().all(|(i, b)| match i {
                4 | 7 => b == b'-',
                _ => b.is_ascii_digit(),
            });
        if is_date { Ok(Self(version)) } else { Err(version) }
    }

    /// The version as Stripe writes it.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    pub(super) fn before(&self, date: &str) -> bool {
        self.0.as_str() < date
    }

    /// Before basil: periods on the subscription, `invoice.subscription`, `invoice.paid`, ...
    pub(super) fn is_before_basil(&self) -> bool {
        self.before("2025-03-31")
    }
}

impl Default for ApiVersion {
    fn default() -> Self {
        Self(Self::NEWEST.to_owned())
    }
}

impl fmt::Display for ApiVersion {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}
