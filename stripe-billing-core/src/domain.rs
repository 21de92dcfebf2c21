use serde::{Deserialize, Serialize};

use crate::state::Record;
use crate::stripe::objects::{CheckoutMode, InvoiceStatus, SubscriptionStatus};

/// A fact about an account's billing, told to the app at least once, under a stable key.
///
/// It carries what can never change, so that the same fact read from different events is equal.
/// Amounts are minor units of the currency.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "snake_case")]
#[non_exhaustive]
pub enum DomainEvent {
    /// A subscription gave access for the first time.
    SubscriptionStarted {
        /// `sub_...`
        subscription: String,
    },
    /// A subscription ended.
    SubscriptionEnded {
        /// `sub_...`
        subscription: String,
    },
    /// A subscription's first payment never went through.
    SubscriptionExpired {
        /// `sub_...`
        subscription: String,
    },
    /// An invoice is paid.
    InvoicePaid {
        /// `in_...`
        invoice: String,
        /// The subscription it bills.
        subscription: Option<String>,
        /// Its total, minor units.
        total: Option<i64>,
        /// Three-letter code, lower case.
        currency: Option<String>,
    },
    /// An invoice will never have to be paid.
    InvoiceVoided {
        /// `in_...`
        invoice: String,
        /// The subscription it billed.
        subscription: Option<String>,
    },
    /// An attempt to collect an invoice failed.
    PaymentFailed {
        /// `in_...`
        invoice: String,
        /// The subscription it bills.
        subscription: Option<String>,
        /// Which attempt, from 1.
        attempt: i64,
    },
    /// A checkout session is complete and its money is there.
    CheckoutFulfilled {
        /// `cs_...`
        session: String,
        /// What it sold.
        mode: Option<CheckoutMode>,
    },
}

impl DomainEvent {
    /// The key of the fact: unique in its tenant, and the same from whatever event it is read.
    ///
    /// ```
    /// use stripe_billing_core::DomainEvent;
    /// let failed = DomainEvent::PaymentFailed { invoice: "in_1".into(), subscription: None, attempt: 2 };
    /// assert_eq!(failed.key(), "payment_failed:in_1:2");
    /// ```
    pub fn key(&self) -> String {
        let kind = self.kind();
        match self {
            Self::SubscriptionStarted { subscription }
            | Self::SubscriptionEnded { subscription }
            | Self::SubscriptionExpired { subscription } => format!("{kind}:{subscription}"),
            Self::InvoicePaid { invoice, .. } | Self::InvoiceVoided { invoice, .. } => {
                format!("{kind}:{invoice}")
            }
            Self::PaymentFailed { invoice, attempt, .. } => format!("{kind}:{invoice}:{attempt}"),
            Self::CheckoutFulfilled { session, .. } => format!("{kind}:{session}"),
        }
    }

    /// The kind of fact, as it is written in JSON.
    pub fn kind(&self) -> &'static str {
        match self {
            Self::SubscriptionStarted { .. } => "subscription_started",
            Self::SubscriptionEnded { .. } => "subscription_ended",
            Self::SubscriptionExpired { .. } => "subscription_expired",
            Self::InvoicePaid { .. } => "invoice_paid",
            Self::InvoiceVoided { .. } => "invoice_voided",
            Self::PaymentFailed { .. } => "payment_failed",
            Self::CheckoutFulfilled { .. } => "checkout_fulfilled",
        }
    }
}

/// The facts that a record tells: a pure function of what is known, so that they are the same in
/// whatever order it became known.
pub(crate) fn facts(record: &Record) -> Vec<DomainEvent> {
    let mut facts = Vec::new();
    match record {
        Record::Customer(_) => {}
        Record::Subscription(record) => {
            let subscription = || record.id.clone();
            let seen = |status| record.seen.contains(&status);
            if seen(SubscriptionStatus::Active) || seen(SubscriptionStatus::Trialing) {
                facts.push(DomainEvent::SubscriptionStarted { subscription: subscription() });
            }
            if seen(SubscriptionStatus::Canceled) {
                facts.push(DomainEvent::SubscriptionEnded { subscription: subscription() });
            }
            if seen(SubscriptionStatus::IncompleteExpired) {
                facts.push(DomainEvent::SubscriptionExpired { subscription: subscription() });
            }
        }
        Record::Invoice(record) => {
            let Some(view) = record.latest() else {
                return facts;
            };
            let (invoice, subscription) = (view.id.clone(), view.subscription.clone());
            facts.extend(record.failed_attempts.iter().map(|attempt| DomainEvent::PaymentFailed {
                invoice: invoice.clone(),
                subscription: subscription.clone(),
                attempt: *attempt,
            }));
            match view.status {
                InvoiceStatus::Paid => facts.push(DomainEvent::InvoicePaid {
                    invoice,
                    subscription,
                    total: view.total,
                    currency: view.currency.clone(),
                }),
                InvoiceStatus::Void => {
                    facts.push(DomainEvent::InvoiceVoided { invoice, subscription });
                }
                _ => {}
            }
        }
        Record::CheckoutSession(record) => {
            if let Some(view) = record.latest().filter(|view| view.is_fulfilled()) {
                facts.push(DomainEvent::CheckoutFulfilled {
                    session: view.id.clone(),
                    mode: view.mode.clone(),
                });
            }
        }
    }
    facts
}
