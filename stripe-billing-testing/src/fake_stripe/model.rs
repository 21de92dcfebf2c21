//! What the fake knows, in types. The JSON of each object is made in [`super::objects`].

mod entitlement;

use std::collections::BTreeMap;

use super::{calendar::Interval, card::Card, error::Decline};

pub(super) use entitlement::{Entitlement, Feature};

pub(super) type Metadata = BTreeMap<String, String>;

#[derive(Clone, Debug)]
pub(super) struct Customer {
    pub(super) id: String,
    pub(super) created: i64,
    pub(super) email: Option<String>,
    pub(super) name: Option<String>,
    pub(super) description: Option<String>,
    pub(super) metadata: Metadata,
    pub(super) currency: Option<String>,
    pub(super) default_payment_method: Option<String>,
    pub(super) next_invoice: u32,
    pub(super) deleted: bool,
}

#[derive(Clone, Debug)]
pub(super) struct Product {
    pub(super) id: String,
    pub(super) created: i64,
    pub(super) active: bool,
    pub(super) name: String,
    pub(super) description: Option<String>,
    pub(super) metadata: Metadata,
}

#[derive(Clone, Debug)]
pub(super) struct Price {
    pub(super) id: String,
    pub(super) created: i64,
    pub(super) active: bool,
    pub(super) product: String,
    pub(super) product_name: String,
    pub(super) currency: String,
    pub(super) unit_amount: i64,
    pub(super) recurring: Option<(Interval, u32)>,
    pub(super) lookup_key: Option<String>,
    pub(super) nickname: Option<String>,
    pub(super) metadata: Metadata,
}

#[derive(Clone, Debug)]
pub(super) struct PaymentMethod {
    pub(super) id: String,
    pub(super) created: i64,
    pub(super) customer: Option<String>,
    pub(super) email: Option<String>,
    pub(super) card: Card,
    /// A bank account that is debited, which takes days; the card then says nothing.
    pub(super) debit: bool,
    /// Month and year of the card's end.
    pub(super) expires: (u32, u32),
    pub(super) metadata: Metadata,
}

impl PaymentMethod {
    pub(super) const fn kind(&self) -> &'static str {
        if self.debit { "sepa_debit" } else { "card" }
    }
}

/// `percent_off` of a coupon that is used once.
#[derive(Clone, Debug)]
pub(super) struct Coupon {
    pub(super) id: String,
    pub(super) created: i64,
    pub(super) percent_off: u32,
}

/// An early fraud warning.
#[derive(Clone, Debug)]
pub(super) struct FraudWarning {
    pub(super) id: String,
    pub(super) created: i64,
    pub(super) charge: String,
    pub(super) payment_intent: String,
    pub(super) actionable: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Mode {
    Payment,
    Subscription,
}

#[derive(Clone, Debug)]
pub(super) struct Session {
    pub(super) id: String,
    pub(super) created: i64,
    pub(super) mode: Mode,
    pub(super) lines: Vec<(String, Price, u64)>,
    pub(super) success_url: String,
    pub(super) cancel_url: Option<String>,
    pub(super) customer: Option<String>,
    pub(super) customer_email: Option<String>,
    pub(super) email: Option<String>,
    pub(super) create_customer: bool,
    pub(super) client_reference_id: Option<String>,
    pub(super) metadata: Metadata,
    pub(super) subscription_metadata: Metadata,
    pub(super) payment_metadata: Metadata,
    pub(super) trial_days: Option<u32>,
    pub(super) coupon: Option<Coupon>,
    pub(super) expires_at: i64,
    pub(super) status: &'static str,
    pub(super) payment_status: &'static str,
    pub(super) subscription: Option<String>,
    pub(super) payment_intent: Option<String>,
    pub(super) invoice: Option<String>,
    pub(super) page: String,
    /// The payment a declined attempt has begun; the next attempt goes on with it.
    pub(super) attempt: Option<String>,
    /// The latest decline, for the page.
    pub(super) decline: Option<String>,
}

impl Session {
    pub(super) fn subtotal(&self) -> i64 {
        self.lines.iter().map(|(_, price, quantity)| price.amount(*quantity)).sum()
    }

    /// What the coupon takes off.
    pub(super) fn discount(&self) -> i64 {
        let percent = self.coupon.as_ref().map_or(0, |coupon| i64::from(coupon.percent_off));
        self.subtotal().saturating_mul(percent) / 100
    }

    pub(super) fn total(&self) -> i64 {
        self.subtotal() - self.discount()
    }

    pub(super) fn items(&self) -> Vec<(Price, u64)> {
        self.lines.iter().map(|(_, price, quantity)| (price.clone(), *quantity)).collect()
    }

    pub(super) fn currency(&self) -> &str {
        self.lines.first().map_or("usd", |(_, price, _)| price.currency.as_str())
    }
}

impl Price {
    pub(super) fn amount(&self, quantity: u64) -> i64 {
        self.unit_amount.saturating_mul(i64::try_from(quantity).unwrap_or(i64::MAX))
    }
}

/// Subscription statuses the fake reaches.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Status {
    Incomplete,
    IncompleteExpired,
    Trialing,
    Active,
    PastDue,
    Canceled,
    Unpaid,
    Paused,
}

impl Status {
    pub(super) const fn as_str(self) -> &'static str {
        match self {
            Self::Incomplete => "incomplete",
            Self::IncompleteExpired => "incomplete_expired",
            Self::Trialing => "trialing",
            Self::Active => "active",
            Self::PastDue => "past_due",
            Self::Canceled => "canceled",
            Self::Unpaid => "unpaid",
            Self::Paused => "paused",
        }
    }

    pub(super) const fn is_ended(self) -> bool {
        matches!(self, Self::Canceled | Self::IncompleteExpired)
    }
}

#[derive(Clone, Debug)]
pub(super) struct Item {
    pub(super) id: String,
    pub(super) created: i64,
    pub(super) price: Price,
    pub(super) quantity: u64,
}

#[derive(Clone, Debug)]
pub(super) struct Subscription {
    pub(super) id: String,
    pub(super) created: i64,
    pub(super) customer: String,
    pub(super) items: Vec<Item>,
    pub(super) status: Status,
    pub(super) anchor: i64,
    pub(super) period: (i64, i64),
    pub(super) cancel_at: Option<i64>,
    pub(super) cancel_at_period_end: bool,
    pub(super) canceled_at: Option<i64>,
    pub(super) cancel_reason: Option<&'static str>,
    pub(super) cancel_comment: Option<String>,
    pub(super) cancel_feedback: Option<String>,
    pub(super) ended_at: Option<i64>,
    pub(super) trial: Option<(i64, i64)>,
    /// What a trial that ends without a payment method does.
    pub(super) missing_method: &'static str,
    /// Collection rests: the behaviour, and until when.
    pub(super) pause_collection: Option<(&'static str, Option<i64>)>,
    /// Why and since when the status is `paused`.
    pub(super) paused: Option<(&'static str, i64)>,
    /// The invoice that ends the pause once it is paid.
    pub(super) resumption: Option<String>,
    pub(super) default_payment_method: Option<String>,
    pub(super) latest_invoice: Option<String>,
    pub(super) metadata: Metadata,
    /// Prorations that wait for the next invoice.
    pub(super) pending: Vec<Line>,
}

impl Subscription {
    pub(super) fn currency(&self) -> &str {
        self.items.first().map_or("usd", |item| item.price.currency.as_str())
    }

    pub(super) fn interval(&self) -> (Interval, u32) {
        self.items.first().and_then(|item| item.price.recurring).unwrap_or((Interval::Month, 1))
    }
}

#[derive(Clone, Debug)]
pub(super) struct Line {
    pub(super) id: String,
    pub(super) amount: i64,
    pub(super) description: String,
    pub(super) price: Price,
    pub(super) quantity: u64,
    pub(super) period: (i64, i64),
    pub(super) proration: bool,
    pub(super) invoice_item: Option<String>,
    pub(super) subscription: Option<String>,
    pub(super) subscription_item: Option<String>,
    pub(super) metadata: Metadata,
}

#[derive(Clone, Debug)]
pub(super) struct Invoice {
    pub(super) id: String,
    pub(super) created: i64,
    pub(super) customer: String,
    pub(super) customer_email: Option<String>,
    pub(super) customer_name: Option<String>,
    pub(super) currency: String,
    pub(super) status: &'static str,
    pub(super) billing_reason: &'static str,
    pub(super) lines: Vec<Line>,
    pub(super) subscription: Option<String>,
    pub(super) subscription_metadata: Metadata,
    pub(super) period: (i64, i64),
    pub(super) attempt_count: u32,
    pub(super) attempted: bool,
    pub(super) auto_advance: bool,
    pub(super) next_payment_attempt: Option<i64>,
    pub(super) finalizes_at: Option<i64>,
    pub(super) number: Option<String>,
    pub(super) finalized_at: Option<i64>,
    pub(super) paid_at: Option<i64>,
    pub(super) voided_at: Option<i64>,
    /// Why and when it was given up.
    pub(super) uncollectible: Option<(&'static str, i64)>,
    pub(super) out_of_band: bool,
    pub(super) amount_paid: i64,
    pub(super) payment_intent: Option<String>,
    pub(super) charge: Option<String>,
    pub(super) metadata: Metadata,
    pub(super) hosted_url: String,
    /// When the first automatic attempt failed, for the retry schedule.
    pub(super) first_failure: Option<i64>,
}

impl Invoice {
    pub(super) fn total(&self) -> i64 {
        self.lines.iter().map(|line| line.amount).sum()
    }

    /// What is asked of the customer: a negative total becomes nothing to pay.
    pub(super) fn due(&self) -> i64 {
        self.total().max(0)
    }
}

#[derive(Clone, Debug)]
pub(super) struct PaymentIntent {
    pub(super) id: String,
    pub(super) created: i64,
    pub(super) amount: i64,
    pub(super) received: i64,
    pub(super) currency: String,
    pub(super) customer: Option<String>,
    pub(super) status: &'static str,
    pub(super) latest_charge: Option<String>,
    pub(super) payment_method: Option<String>,
    pub(super) invoice: Option<String>,
    pub(super) description: Option<String>,
    pub(super) metadata: Metadata,
    pub(super) decline: Option<Decline>,
    /// What it can be paid with.
    pub(super) kind: &'static str,
}

#[derive(Clone, Debug)]
pub(super) struct Charge {
    pub(super) id: String,
    pub(super) created: i64,
    pub(super) amount: i64,
    pub(super) amount_refunded: i64,
    pub(super) currency: String,
    pub(super) customer: Option<String>,
    pub(super) email: Option<String>,
    pub(super) description: Option<String>,
    pub(super) payment_intent: String,
    pub(super) payment_method: String,
    pub(super) card: Card,
    pub(super) invoice: Option<String>,
    pub(super) metadata: Metadata,
    pub(super) decline: Option<Decline>,
    /// The bank has not said yet.
    pub(super) pending: bool,
    pub(super) debit: bool,
    pub(super) disputed: bool,
    /// How often the receipt was rewritten: each refund gives it a new address.
    pub(super) receipt: u32,
}

#[derive(Clone, Debug)]
pub(super) struct Refund {
    pub(super) id: String,
    pub(super) created: i64,
    pub(super) amount: i64,
    pub(super) currency: String,
    pub(super) charge: String,
    pub(super) payment_intent: String,
    pub(super) customer: Option<String>,
    pub(super) payment_method: String,
    pub(super) reason: Option<String>,
    pub(super) status: &'static str,
    pub(super) reference: bool,
    pub(super) metadata: Metadata,
}

#[derive(Clone, Debug)]
pub(super) struct Dispute {
    pub(super) id: String,
    pub(super) created: i64,
    pub(super) amount: i64,
    pub(super) currency: String,
    pub(super) charge: String,
    pub(super) payment_intent: String,
    pub(super) reason: String,
    pub(super) status: &'static str,
    pub(super) due_by: Option<i64>,
    /// How often evidence was sent.
    pub(super) submissions: u32,
    /// Money moved: withdrawn, and perhaps given back.
    pub(super) transactions: u8,
}

#[derive(Clone, Debug)]
pub(super) struct InvoicePayment {
    pub(super) id: String,
    pub(super) created: i64,
    pub(super) invoice: String,
    pub(super) payment_intent: String,
    pub(super) amount: i64,
    pub(super) currency: String,
    pub(super) paid_at: Option<i64>,
}

#[derive(Clone, Debug)]
pub(super) struct PortalSession {
    pub(super) id: String,
    pub(super) created: i64,
    pub(super) customer: String,
    pub(super) return_url: Option<String>,
    pub(super) url: String,
}

#[derive(Clone, Debug)]
pub(super) struct SetupIntent {
    pub(super) id: String,
    pub(super) created: i64,
    pub(super) customer: String,
    pub(super) payment_method: String,
}
