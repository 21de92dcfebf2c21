//! Test cards.

use super::error::Decline;

/// The test cards the fake knows, by what happens when they are charged.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Default)]
pub enum Card {
    /// `4242 4242 4242 4242`: every charge succeeds.
    #[default]
    Good,
    /// `4000 0000 0000 0002`: declined at once, and cannot be attached to a customer.
    Declined,
    /// `4000 0000 0000 0341`: can be attached and pays while the customer is present; every later
    /// charge (a renewal, a retry) fails with `insufficient_funds`.
    FailsOnRenewal,
    /// `4000 0027 6000 3184`: pays while the customer is present, who confirms it; every later
    /// charge waits until the customer confirms that one too.
    ConfirmsOnRenewal,
}

impl Card {
    /// Month and year of a new card's end.
    pub(super) const DEFAULT_EXPIRY: (u32, u32) = (12, 2034);

    /// The card's number.
    #[must_use]
    pub const fn number(self) -> &'static str {
        match self {
            Self::Good => "4242424242424242",
            Self::Declined => "4000000000000002",
            Self::FailsOnRenewal => "4000000000000341",
            Self::ConfirmsOnRenewal => "4000002760003184",
        }
    }

    /// Reads a number with or without spaces; `None` for any other card.
    #[must_use]
    pub fn from_number(number: &str) -> Option<Self> {
        let digits: String = number.chars().filter(char::is_ascii_digit).collect();
        [Self::Good, Self::Declined, Self::FailsOnRenewal, Self::ConfirmsOnRenewal]
            .into_iter()
            .find(|c| c.number() == digits)
    }

    pub(super) fn last4(self) -> &'static str {
        &self.number()[12..]
    }

    /// What the bank says, with the customer present or not.
    pub(super) const fn charge(self, present: bool) -> Result<(), Decline> {
        match (self, present) {
            (Self::Good, _) | (Self::FailsOnRenewal | Self::ConfirmsOnRenewal, true) => Ok(()),
            (Self::Declined, _) => Err(Decline::Generic),
            (Self::FailsOnRenewal, false) => Err(Decline::InsufficientFunds),
            (Self::ConfirmsOnRenewal, false) => Err(Decline::AuthenticationRequired),
        }
    }
}
