use std::collections::BTreeMap;

use chrono::{DateTime, Utc};
use serde_json::Value;

use super::{StripeError, json};

/// What a checkout session is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum CheckoutMode {
    /// A purchase that is paid once.
    Payment,
    /// A subscription.
    Subscription,
    /// A payment method for later; nothing is charged.
    Setup,
}

impl CheckoutMode {
    /// The name that Stripe uses.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Payment => "payment",
            Self::Subscription => "subscription",
            Self::Setup => "setup",
        }
    }
}

/// One line of a checkout session.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct CheckoutLine {
    /// The price's id.
    pub price: String,
    /// How many; `None` for a metered price, which takes no quantity.
    pub quantity: Option<u64>,
}

impl CheckoutLine {
    /// This many of a price.
    pub fn new(price: impl Into<String>, quantity: u64) -> Self {
        Self { price: price.into(), quantity: Some(quantity) }
    }

    /// A metered price: usage is reported later.
    pub fn metered(price: impl Into<String>) -> Self {
        Self { price: price.into(), quantity: None }
    }
}

/// Creates a checkout session: the page on which a customer pays.
///
/// ```
/// use stripe_billing_core::stripe::{CheckoutLine, CreateCheckoutSession};
///
/// let request = CreateCheckoutSession::subscription("https://app.test/welcome")
///     .with_customer("cus_1")
///     .with_line(CheckoutLine::new("price_pro", 1))
///     .with_metadata("app_user", "user_42");
/// assert_eq!(request.lines.len(), 1);
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct CreateCheckoutSession {
    /// What the session is for.
    pub mode: CheckoutMode,
    /// Where the browser goes after success; `{CHECKOUT_SESSION_ID}` in it is filled by Stripe.
    pub success_url: String,
    /// Where the link back leads.
    pub cancel_url: Option<String>,
    /// The customer who buys.
    pub customer: Option<String>,
    /// The address to fill in when there is no customer yet. Stripe takes one of the two.
    pub customer_email: Option<String>,
    /// The app's account, at most 200 characters.
    pub client_reference_id: Option<String>,
    /// What is bought.
    pub lines: Vec<CheckoutLine>,
    /// The app's own marks. They go on the session *and* on the subscription, payment or setup
    /// that comes of it: Stripe does not copy them, and the events of that object would
    /// otherwise not say whose they are.
    pub metadata: BTreeMap<String, String>,
    /// Free days before the first payment of a subscription.
    pub trial_period_days: Option<u32>,
    /// Whether the customer may enter a promotion code.
    pub allow_promotion_codes: Option<bool>,
    /// When the page stops working: 30 minutes to 24 hours ahead (Stripe's default is 24 hours).
    pub expires_at: Option<DateTime<Utc>>,
    /// The page's language, such as `de`; Stripe takes the browser's without it.
    pub locale: Option<String>,
    /// Further parameters, under their names on the wire.
    pub params: Vec<(String, String)>,
}

impl CreateCheckoutSession {
    /// A session in this mode that returns to `success_url`.
    pub fn new(mode: CheckoutMode, success_url: impl Into<String>) -> Self {
        Self {
            mode,
            success_url: success_url.into(),
            cancel_url: None,
            customer: None,
            customer_email: None,
            client_reference_id: None,
            lines: Vec::new(),
            metadata: BTreeMap::new(),
            trial_period_days: None,
            allow_promotion_codes: None,
            expires_at: None,
            locale: None,
            params: Vec::new(),
        }
    }

    /// A session that is paid once.
    pub fn payment(success_url: impl Into<String>) -> Self {
        Self::new(CheckoutMode::Payment, success_url)
    }

    /// A session that starts a subscription.
    pub fn subscription(success_url: impl Into<String>) -> Self {
        Self::new(CheckoutMode::Subscription, success_url)
    }

    /// Sets where the link back leads.
    #[must_use]
    pub fn with_cancel_url(mut self, url: impl Into<String>) -> Self {
        self.cancel_url = Some(url.into());
        self
    }

    /// Sets the customer who buys.
    #[must_use]
    pub fn with_customer(mut self, id: impl Into<String>) -> Self {
        self.customer = Some(id.into());
        self
    }

    /// Sets the address to fill in when there is no customer yet.
    #[must_use]
    pub fn with_customer_email(mut self, email: impl Into<String>) -> Self {
        self.customer_email = Some(email.into());
        self
    }

    /// Names the app's account on the session, at most 200 characters.
    #[must_use]
    pub fn with_client_reference_id(mut self, id: impl Into<String>) -> Self {
        self.client_reference_id = Some(id.into());
        self
    }

    /// Adds a line.
    #[must_use]
    pub fn with_line(mut self, line: CheckoutLine) -> Self {
        self.lines.push(line);
        self
    }

    /// Adds one metadata pair, on the session and on what comes of it.
    #[must_use]
    pub fn with_metadata(mut self, key: impl Into<String>, value: impl Into<String>) -> Self {
        self.metadata.insert(key.into(), value.into());
        self
    }

    /// Sets the free days before the first payment; for a subscription only.
    #[must_use]
    pub fn with_trial_period_days(mut self, days: u32) -> Self {
        self.trial_period_days = Some(days);
        self
    }

    /// Sets whether the customer may enter a promotion code.
    #[must_use]
    pub fn with_allow_promotion_codes(mut self, allow: bool) -> Self {
        self.allow_promotion_codes = Some(allow);
        self
    }

    /// Sets when the page stops working, 30 minutes to 24 hours ahead.
    #[must_use]
    pub fn with_expires_at(mut self, time: DateTime<Utc>) -> Self {
        self.expires_at = Some(time);
        self
    }

    /// Sets the page's language.
    #[must_use]
    pub fn with_locale(mut self, locale: impl Into<String>) -> Self {
        self.locale = Some(locale.into());
        self
    }

    /// Adds a parameter that has no setter here, such as `("automatic_tax[enabled]", "true")`.
    #[must_use]
    pub fn with_param(mut self, name: impl Into<String>, value: impl Into<String>) -> Self {
        self.params.push((name.into(), value.into()));
        self
    }
}

/// A checkout session, as Stripe answers it.
///
/// Fulfil it only when `payment_status` is not `unpaid`.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct CheckoutSession {
    /// `cs_test_…` or `cs_live_…`
    pub id: String,
    /// Where to send the customer's browser; `None` once the session is no longer open.
    pub url: Option<String>,
    /// `open`, `complete` or `expired`.
    pub status: Option<String>,
    /// `paid`, `unpaid` or `no_payment_required`.
    pub payment_status: Option<String>,
    /// `payment`, `subscription` or `setup`.
    pub mode: Option<String>,
    /// The customer; a guest's one-time purchase has none.
    pub customer: Option<String>,
    /// The subscription, once there is one.
    pub subscription: Option<String>,
    /// The payment, once there is one; never for a subscription or when nothing was due.
    pub payment_intent: Option<String>,
    /// The invoice, once there is one.
    pub invoice: Option<String>,
    /// The app's account as it was given at creation, or in a payment link's URL: a claim, no
    /// proof.
    pub client_reference_id: Option<String>,
    /// The whole amount in minor units of `currency`.
    pub amount_total: Option<i64>,
    /// Lower-case ISO currency.
    pub currency: Option<String>,
    /// When the page stops working.
    pub expires_at: Option<DateTime<Utc>>,
    /// Whether it lives in live mode.
    pub livemode: bool,
    /// The session's own metadata.
    pub metadata: BTreeMap<String, String>,
    /// The answer as it came.
    pub raw: Value,
}

impl TryFrom<Value> for CheckoutSession {
    type Error = StripeError;

    /// Reads a checkout session; only the id is required.
    fn try_from(raw: Value) -> Result<Self, StripeError> {
        Ok(Self {
            id: json::required(&raw, "checkout session", "id")?,
            url: json::text(&raw, "url"),
            status: json::text(&raw, "status"),
            payment_status: json::text(&raw, "payment_status"),
            mode: json::text(&raw, "mode"),
            customer: json::id(&raw, "customer"),
            subscription: json::id(&raw, "subscription"),
            payment_intent: json::id(&raw, "payment_intent"),
            invoice: json::id(&raw, "invoice"),
            client_reference_id: json::text(&raw, "client_reference_id"),
            amount_total: json::int(&raw, "amount_total"),
            currency: json::text(&raw, "currency"),
            expires_at: json::time(&raw, "expires_at"),
            livemode: json::flag(&raw, "livemode"),
            metadata: json::metadata(&raw),
            raw,
        })
    }
}
