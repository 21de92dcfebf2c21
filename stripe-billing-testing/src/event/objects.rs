mod charge;
mod checkout;
mod customer;
mod dispute;
mod entitlements;
mod invoice;
mod invoice_line;
mod invoice_payment;
mod payment_intent;
mod payment_method;
mod refund;
mod subscription;
mod subscription_item;

use std::collections::BTreeMap;

pub use charge::ChargeObject;
pub use checkout::CheckoutObject;
pub use customer::CustomerObject;
pub use dispute::{DisputeObject, FraudWarningObject};
pub use entitlements::EntitlementSummaryObject;
pub use invoice::InvoiceObject;
pub use invoice_line::LineObject;
pub use invoice_payment::InvoicePaymentObject;
pub use payment_intent::PaymentIntentObject;
pub use payment_method::{PaymentMethodObject, PaymentSourceObject};
pub use refund::RefundObject;
pub use subscription::SubscriptionObject;
pub use subscription_item::SubscriptionItemObject;

/// Writes the setters of a builder whose fields have the setters' names.
macro_rules! setters {
    ($($(#[$doc:meta])* $field:ident: $from:ty => |$value:ident| $set:expr;)+) => {
        $($(#[$doc])*
        #[must_use]
        pub fn $field(mut self, $value: $from) -> Self {
            self.$field = $set;
            self
        })+
    };
}
use setters;

type Notes = BTreeMap<String, String>;

fn notes_of(notes: &[(&str, &str)]) -> Notes {
    notes.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect()
}

fn owned(text: Option<&str>) -> Option<String> {
    text.map(str::to_owned)
}

#[cfg(test)]
mod tests;
