//! Views over Stripe's objects: the fields billing decides on, read from either the old or the new
//! shape. A view never fails on what it does not know; it fails only without an id.

mod charge;
mod checkout;
mod customer;
mod dispute;
mod entitlements;
mod fraud_warning;
mod invoice;
mod invoice_payment;
mod payment_intent;
mod payment_method;
mod refund;
mod subscription;

pub use charge::{Charge, ChargeStatus};
pub use checkout::{CheckoutMode, CheckoutPayment, CheckoutSession, CheckoutStatus};
pub use customer::Customer;
pub use dispute::{Dispute, DisputeStatus};
pub use entitlements::EntitlementSummary;
pub use fraud_warning::FraudWarning;
pub(crate) use invoice::MAX_ATTEMPTS;
pub use invoice::{BillingReason, Invoice, InvoiceLine, InvoiceStatus, PaymentRef};
pub use invoice_payment::{InvoicePayment, InvoicePaymentStatus};
pub use payment_intent::{PaymentIntent, PaymentIntentStatus};
pub use payment_method::PaymentMethod;
pub use refund::{Refund, RefundStatus};
pub use subscription::{
    CancellationReason, PauseCollection, PauseReason, PendingUpdate, Subscription,
    SubscriptionItem, SubscriptionStatus, UsageType,
};

/// Declares an open enum of Stripe's: known words, and `Other` for whatever comes next.
macro_rules! open_enum {
    ($(#[$meta:meta])* $name:ident { $($(#[$doc:meta])* $variant:ident = $word:literal,)+ }) => {
        $(#[$meta])*
        #[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, serde::Serialize, serde::Deserialize)]
        #[serde(from = "String", into = "String")]
        #[non_exhaustive]
        pub enum $name {
            $($(#[$doc])* $variant,)+
            /// A word this version does not know. It never fails an event.
            Other(String),
        }

        impl $name {
            /// Stripe's word for it.
            pub fn as_str(&self) -> &str {
                match self {
                    $(Self::$variant => $word,)+
                    Self::Other(word) => word,
                }
            }
        }

        impl From<String> for $name {
            fn from(word: String) -> Self {
                match word.as_str() {
                    $($word => Self::$variant,)+
                    _ => Self::Other(word),
                }
            }
        }

        impl From<&str> for $name {
            fn from(word: &str) -> Self {
                Self::from(word.to_owned())
            }
        }

        impl From<$name> for String {
            fn from(value: $name) -> Self {
                match value {
                    $name::Other(word) => word,
                    known => known.as_str().to_owned(),
                }
            }
        }
    };
}
pub(crate) use open_enum;

open_enum! {
    /// How an invoice is collected.
    CollectionMethod {
        /// Stripe charges the customer's payment method.
        ChargeAutomatically = "charge_automatically",
        /// The customer gets the invoice and pays it by the due date.
        SendInvoice = "send_invoice",
    }
}
