//! What whoever writes a notice needs to know.

use std::fmt;

use crate::dunning::DeclineClass;
use crate::secret::Secret;
use crate::ticket::TicketKind;

/// What a notice is about, as far as it is known: every field but the recipient is of some kinds
/// only, and any of them may be missing. Times are Unix seconds, UTC.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct NoticeDetails {
    /// The customer, as Stripe knows them.
    pub recipient: Recipient,
    /// The names of the plans or packs, from the catalog.
    pub products: Vec<String>,
    /// What the notice is about: paid, owed, refunded, disputed, or to be charged.
    pub amount: Option<Money>,
    /// What went back in all, where that is more than `amount`; or what all open invoices come to,
    /// where there are several.
    pub total: Option<Money>,
    /// The number printed on the invoice.
    pub invoice_number: Option<String>,
    /// Stripe's page on which the invoice is seen and paid. Whoever knows it may see it.
    pub hosted_url: Option<Secret>,
    /// What it was, or will be, paid with.
    pub card: Option<CardDetails>,
    /// When the invoice was paid, or the payment made.
    pub paid_at: Option<i64>,
    /// The end of the period that was paid for.
    pub period_end: Option<i64>,
    /// When a sent invoice is due.
    pub due: Option<i64>,
    /// When Stripe tries again to collect it; in the future.
    pub next_attempt: Option<i64>,
    /// Until when access is kept although it is not paid; in the future.
    pub grace_end: Option<i64>,
    /// Which attempt failed, from 1.
    pub attempt: Option<i64>,
    /// Why the last attempt failed.
    pub decline: Option<Decline>,
    /// When the trial ends, the subscription renews, or ended.
    pub at: Option<i64>,
    /// Until when evidence is taken.
    pub deadline: Option<i64>,
    /// Stripe's word for the reason: of a dispute, a refund, a fraud warning, a cancellation.
    pub reason: Option<String>,
    /// Whether the dispute is an inquiry, which moves no money.
    pub inquiry: bool,
    /// Stripe's id of the payment, for operators.
    pub payment: Option<String>,
    /// What was subscribed to before.
    pub before: Option<PlanDetails>,
    /// What is, or will be, subscribed to.
    pub after: Option<PlanDetails>,
    /// The ticket.
    pub ticket: Option<TicketDetails>,
    /// The credits.
    pub credits: Option<CreditDetails>,
}

/// Who is told. `Debug` says what is known, and not what it is.
#[derive(Clone, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Recipient {
    /// Where mail goes; a guest's is not kept.
    pub email: Option<String>,
    /// What Stripe calls them.
    pub name: Option<String>,
    /// The languages they prefer, best first: `de`, `pt-BR`.
    pub locales: Vec<String>,
}

/// An amount of money.
#[derive(Clone, Debug, PartialEq, Eq)]
#[allow(clippy::exhaustive_structs)]
pub struct Money {
    /// In minor units of the currency, as Stripe counts them.
    pub amount: i64,
    /// Three-letter code, lower case.
    pub currency: String,
}

/// A card, or an account, that is charged.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct CardDetails {
    /// `visa`, `amex`, ...
    pub brand: Option<String>,
    /// The last four digits.
    pub last4: Option<String>,
    /// The year and the month, 1 to 12, at whose end it expires.
    pub expires: Option<(i64, i64)>,
}

/// Why a payment was declined.
#[derive(Clone, Debug, PartialEq, Eq)]
#[allow(clippy::exhaustive_structs)]
pub struct Decline {
    /// Stripe's word (`insufficient_funds`).
    pub code: String,
    /// Whether trying the same card again cannot help
    /// (<https://docs.stripe.com/billing/revenue-recovery/smart-retries>).
    pub hard: bool,
    /// What kind of decline it is.
    pub class: DeclineClass,
}

/// What is subscribed to, and what it costs.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct PlanDetails {
    /// The names of the plans, from the catalog.
    pub names: Vec<String>,
    /// The sum of its prices per period, before discounts and tax; `None` where use decides.
    pub price: Option<Money>,
    /// `day`, `week`, `month` or `year`, and how many of them make a period.
    pub period: Option<(String, i64)>,
}

/// A ticket that was opened.
#[derive(Clone, Debug, PartialEq, Eq)]
#[allow(clippy::exhaustive_structs)]
pub struct TicketDetails {
    /// What it is about.
    pub kind: TicketKind,
    /// The id of the dispute, the event, the customer ...
    pub about: String,
}

/// Credits that were granted, run low, or are about to expire.
#[derive(Clone, Debug, PartialEq, Eq)]
#[allow(clippy::exhaustive_structs)]
pub struct CreditDetails {
    /// The unit of the catalog: `credits`, `generations`.
    pub unit: String,
    /// How many were granted, or are about to expire.
    pub amount: Option<i64>,
    /// How many can be spent.
    pub available: Option<i64>,
}

impl fmt::Debug for Recipient {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let known = |value: &Option<String>| value.as_ref().map(|_| "[redacted]");
        f.debug_struct("Recipient")
            .field("email", &known(&self.email))
            .field("name", &known(&self.name))
            .field("locales", &self.locales)
            .finish()
    }
}

impl Decline {
    /// What a code of Stripe's means.
    pub fn of(code: &str) -> Self {
        let class = DeclineClass::of(code);
        Self { code: code.to_owned(), hard: class.needs_another_card(), class }
    }
}
