//! Views over Stripe's objects: the fields billing decides on, read from either the old or the new
//! shape. A view never fails on what it does not know; it fails only without an id.

mod checkout;
mod customer;
mod invoice;
mod subscription;

pub use checkout::{CheckoutMode, CheckoutPayment, CheckoutSession, CheckoutStatus};
pub use customer::Customer;
pub use invoice::{BillingReason, Invoice, InvoiceLine, InvoiceStatus};
pub use subscription::{PauseCollection, Subscription, SubscriptionItem, SubscriptionStatus};

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
