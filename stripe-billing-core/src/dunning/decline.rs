use serde::{Deserialize, Serialize};

use crate::ticket::words;

words! {
    /// What a decline says about trying again (<https://docs.stripe.com/declines/codes>,
    /// <https://docs.stripe.com/billing/revenue-recovery/smart-retries>).
    DeclineClass {
        /// It may pass by itself: reminders wait while Stripe is about to try again. What nobody knows
        /// the reason of is one of these.
        Soft = "soft",
        /// The same card will never pay: only another one helps.
        Hard = "hard",
        /// The customer has to confirm it with the bank.
        Authentication = "authentication",
        /// The card is lost, stolen or blocked. Whoever reads the mail is told no more than that
        /// another card is needed, and is not pressed.
        Fraud = "fraud",
    }
}

/// Every code that is not soft.
const CODES: [(&str, DeclineClass); 24] = [
    ("authentication_required", DeclineClass::Authentication),
    ("mobile_device_authentication_required", DeclineClass::Authentication),
    ("payment_intent_authentication_failure", DeclineClass::Authentication),
    ("card_not_supported", DeclineClass::Hard),
    ("currency_not_supported", DeclineClass::Hard),
    ("expired_card", DeclineClass::Hard),
    ("incorrect_number", DeclineClass::Hard),
    ("invalid_account", DeclineClass::Hard),
    ("invalid_expiry_month", DeclineClass::Hard),
    ("invalid_expiry_year", DeclineClass::Hard),
    ("invalid_number", DeclineClass::Hard),
    ("new_account_information_available", DeclineClass::Hard),
    ("revocation_of_all_authorizations", DeclineClass::Hard),
    ("revocation_of_authorization", DeclineClass::Hard),
    ("stop_payment_order", DeclineClass::Hard),
    ("transaction_not_allowed", DeclineClass::Hard),
    ("testmode_decline", DeclineClass::Hard),
    ("fraudulent", DeclineClass::Fraud),
    ("highest_risk_level", DeclineClass::Fraud),
    ("lost_card", DeclineClass::Fraud),
    ("merchant_blacklist", DeclineClass::Fraud),
    ("pickup_card", DeclineClass::Fraud),
    ("restricted_card", DeclineClass::Fraud),
    ("stolen_card", DeclineClass::Fraud),
];

impl DeclineClass {
    /// The class of a decline code, or of an error code where there is none.
    ///
    /// ```
    /// use stripe_billing_core::dunning::DeclineClass;
    /// assert_eq!(DeclineClass::of("insufficient_funds"), DeclineClass::Soft);
    /// assert_eq!(DeclineClass::of("lost_card"), DeclineClass::Fraud);
    /// ```
    pub fn of(code: &str) -> Self {
        let known = CODES.iter().find(|(known, _)| *known == code);
        known.map_or(Self::Soft, |(_, class)| *class)
    }

    /// Whether trying the same card again cannot help.
    pub fn needs_another_card(self) -> bool {
        matches!(self, Self::Hard | Self::Fraud)
    }

    /// Whether there are reminders before the last word.
    pub(super) fn is_reminded(self) -> bool {
        self != Self::Fraud
    }

    /// Whether Stripe's next attempt may settle it without the customer.
    pub(super) fn may_pass(self) -> bool {
        self == Self::Soft
    }
}
