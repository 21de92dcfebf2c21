use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};

use crate::digest::fingerprint;
use crate::state::{
    CheckoutRecord, InvoiceRecord, PaymentRecord, PriceChange, Record, SubscriptionRecord,
};
use crate::stripe::objects::{
    CheckoutMode, CheckoutStatus, DisputeStatus, InvoiceStatus, RefundStatus, SubscriptionStatus,
};

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
    /// Stripe gave an invoice up; it may still be paid.
    InvoiceUncollectible {
        /// `in_...`
        invoice: String,
        /// The subscription it bills.
        subscription: Option<String>,
    },
    /// A subscription has other prices.
    PricesChanged {
        /// `sub_...`
        subscription: String,
        /// When, Unix seconds.
        at: i64,
        /// The prices before.
        from: BTreeSet<String>,
        /// The prices after.
        to: BTreeSet<String>,
    },
    /// Money went back to the customer.
    RefundSucceeded {
        /// `re_...`
        refund: String,
        /// Minor units.
        amount: Option<i64>,
        /// Three-letter code, lower case.
        currency: Option<String>,
    },
    /// A refund failed or was canceled: its money stays.
    RefundFailed {
        /// `re_...`
        refund: String,
    },
    /// A payment is disputed; an inquiry is no dispute yet.
    DisputeOpened {
        /// `dp_...`
        dispute: String,
    },
    /// A dispute was decided for the app.
    DisputeWon {
        /// `dp_...`
        dispute: String,
    },
    /// A dispute was decided for the customer. An appeal may turn that.
    DisputeLost {
        /// `dp_...`
        dispute: String,
    },
    /// A card network warns that a payment is fraud.
    FraudWarned {
        /// `issfr_...`
        warning: String,
    },
    /// A rule against fraud speaks against an account: once for each opening of its ticket, and once
    /// more where a review becomes a denial.
    FraudSuspected {
        /// The app's account.
        account: String,
        /// The rule's code.
        rule: String,
        /// Whether its checkouts are denied; otherwise somebody should look.
        denied: bool,
        /// Tells it from earlier ones: how often the ticket had been told of before.
        occurrence: u32,
    },
    /// A customer was deleted at Stripe.
    CustomerDeleted {
        /// `cus_...`
        customer: String,
    },
    /// The delayed payment of a checkout session failed.
    CheckoutPaymentFailed {
        /// `cs_...`
        session: String,
    },
    /// A checkout session was not finished in time.
    CheckoutExpired {
        /// `cs_...`
        session: String,
    },
    /// Credits were granted. How many, the ledger knows: its entry is about the same grant.
    CreditsGranted {
        /// What for: `plan:si_...:<period's start>`, `cs:cs_...`, `trial:sub_...`
        grant: String,
        /// The unit of credit.
        unit: String,
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
            Self::InvoicePaid { invoice, .. }
            | Self::InvoiceVoided { invoice, .. }
            | Self::InvoiceUncollectible { invoice, .. } => format!("{kind}:{invoice}"),
            // There and back may take no second.
            Self::PricesChanged { subscription, at, from, to } => {
                format!("{kind}:{subscription}:{at}:{}", fingerprint(&(from, to)))
            }
            Self::RefundSucceeded { refund, .. } | Self::RefundFailed { refund, .. } => {
                format!("{kind}:{refund}")
            }
            Self::DisputeOpened { dispute, .. }
            | Self::DisputeWon { dispute, .. }
            | Self::DisputeLost { dispute, .. } => format!("{kind}:{dispute}"),
            Self::FraudWarned { warning, .. } => format!("{kind}:{warning}"),
            Self::FraudSuspected { account, rule, denied, occurrence } => {
                let verdict = if *denied { "deny" } else { "review" };
                format!("{kind}:{rule}:{verdict}:{occurrence}:{account}")
            }
            Self::CustomerDeleted { customer } => format!("{kind}:{customer}"),
            Self::PaymentFailed { invoice, attempt, .. } => format!("{kind}:{invoice}:{attempt}"),
            Self::CreditsGranted { grant, unit } => format!("{kind}:{unit}:{grant}"),
            Self::CheckoutFulfilled { session, .. }
            | Self::CheckoutExpired { session }
            | Self::CheckoutPaymentFailed { session } => {
                format!("{kind}:{session}")
            }
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
            Self::InvoiceUncollectible { .. } => "invoice_uncollectible",
            Self::PaymentFailed { .. } => "payment_failed",
            Self::PricesChanged { .. } => "prices_changed",
            Self::RefundSucceeded { .. } => "refund_succeeded",
            Self::RefundFailed { .. } => "refund_failed",
            Self::DisputeOpened { .. } => "dispute_opened",
            Self::DisputeWon { .. } => "dispute_won",
            Self::DisputeLost { .. } => "dispute_lost",
            Self::FraudWarned { .. } => "fraud_warned",
            Self::FraudSuspected { .. } => "fraud_suspected",
            Self::CustomerDeleted { .. } => "customer_deleted",
            Self::CheckoutExpired { .. } => "checkout_expired",
            Self::CheckoutPaymentFailed { .. } => "checkout_payment_failed",
            Self::CreditsGranted { .. } => "credits_granted",
            Self::CheckoutFulfilled { .. } => "checkout_fulfilled",
        }
    }
}

/// The facts that a record tells: a pure function of what is known, so that they are the same in
/// whatever order it became known.
pub(crate) fn facts(record: &Record) -> Vec<DomainEvent> {
    match record {
        Record::Customer(record) => {
            let deleted = DomainEvent::CustomerDeleted { customer: record.id.clone() };
            record.is_deleted().then_some(deleted).into_iter().collect()
        }
        Record::Subscription(record) => of_subscription(record),
        Record::Invoice(record) => of_invoice(record),
        Record::CheckoutSession(record) => of_checkout(record),
        Record::Payment(record) if record.same_as().is_none() => of_payment(record),
        Record::Payment(_) | Record::PaymentMethod(_) | Record::Entitlements(_) => Vec::new(),
    }
}

fn of_subscription(record: &SubscriptionRecord) -> Vec<DomainEvent> {
    let subscription = || record.id.clone();
    let seen = |status| record.seen.contains(&status);
    let mut facts = Vec::new();
    if seen(SubscriptionStatus::Active) || seen(SubscriptionStatus::Trialing) {
        facts.push(DomainEvent::SubscriptionStarted { subscription: subscription() });
    }
    if seen(SubscriptionStatus::Canceled) {
        facts.push(DomainEvent::SubscriptionEnded { subscription: subscription() });
    }
    if seen(SubscriptionStatus::IncompleteExpired) {
        facts.push(DomainEvent::SubscriptionExpired { subscription: subscription() });
    }
    facts.extend(record.price_changes.iter().cloned().map(|PriceChange { at, from, to }| {
        DomainEvent::PricesChanged { subscription: subscription(), at, from, to }
    }));
    facts
}

fn of_invoice(record: &InvoiceRecord) -> Vec<DomainEvent> {
    let mut facts = Vec::new();
    let Some(view) = record.latest() else { return facts };
    let (invoice, subscription) = (view.id.clone(), view.subscription.clone());
    facts.extend(record.failed_attempts.iter().map(|attempt| DomainEvent::PaymentFailed {
        invoice: invoice.clone(),
        subscription: subscription.clone(),
        attempt: *attempt,
    }));
    if record.uncollectible {
        let (invoice, subscription) = (invoice.clone(), subscription.clone());
        facts.push(DomainEvent::InvoiceUncollectible { invoice, subscription });
    }
    match view.status {
        InvoiceStatus::Paid => facts.push(DomainEvent::InvoicePaid {
            invoice,
            subscription,
            total: view.total,
            currency: view.currency.clone(),
        }),
        InvoiceStatus::Void => facts.push(DomainEvent::InvoiceVoided { invoice, subscription }),
        _ => {}
    }
    facts
}

fn of_checkout(record: &CheckoutRecord) -> Vec<DomainEvent> {
    let session = || record.id.clone();
    let mut facts = Vec::new();
    if record.payment_failed {
        facts.push(DomainEvent::CheckoutPaymentFailed { session: session() });
    }
    match record.latest() {
        Some(view) if view.is_fulfilled() => facts
            .push(DomainEvent::CheckoutFulfilled { session: session(), mode: view.mode.clone() }),
        Some(view) if view.status == Some(CheckoutStatus::Expired) => {
            facts.push(DomainEvent::CheckoutExpired { session: session() });
        }
        _ => {}
    }
    facts
}

fn of_payment(record: &PaymentRecord) -> Vec<DomainEvent> {
    let mut facts = Vec::new();
    for view in record.refunds() {
        let refund = || view.id.clone();
        if record.was(&view.id, |status: &RefundStatus| *status == RefundStatus::Succeeded) {
            let (amount, currency) = (view.amount, view.currency.clone());
            facts.push(DomainEvent::RefundSucceeded { refund: refund(), amount, currency });
        }
        if !view.returns_money() {
            facts.push(DomainEvent::RefundFailed { refund: refund() });
        }
    }
    for view in record.disputes() {
        let dispute = || view.id.clone();
        let was = |fits: fn(&DisputeStatus) -> bool| record.was(&view.id, fits);
        if was(|status| status.is_open() && !status.is_inquiry()) {
            facts.push(DomainEvent::DisputeOpened { dispute: dispute() });
        }
        if was(DisputeStatus::is_won) {
            facts.push(DomainEvent::DisputeWon { dispute: dispute() });
        }
        if was(DisputeStatus::is_lost) {
            facts.push(DomainEvent::DisputeLost { dispute: dispute() });
        }
    }
    let warnings =
        record.warnings().map(|view| DomainEvent::FraudWarned { warning: view.id.clone() });
    facts.extend(warnings);
    facts
}
