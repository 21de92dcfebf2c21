//! Selling: at most one page on which an account can pay for one thing.

use chrono::{DateTime, TimeDelta, Utc};
use serde::{Deserialize, Serialize};

use super::Billing;
use super::customer::{CustomerProfile, call_key, is_kept, scope};
use crate::access::Access;
use crate::error::StoreError;
use crate::keys::AccountKey;
use crate::store::{Call, Records};
use crate::stripe::{
    CheckoutLine, CheckoutMode, CheckoutSession, CreateCheckoutSession, IdempotencyKey, Retrieve,
    StripeApi, StripeError,
};

/// What an account wants to buy.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct CheckoutRequest {
    /// A price of the catalog: of a plan, or of a pack.
    pub price: String,
    /// How many (seats); 1 unless set.
    pub quantity: u64,
    /// Where the browser goes afterwards. `{CHECKOUT_SESSION_ID}` in it is replaced by Stripe.
    pub success_url: String,
    /// Where the browser goes when the customer turns back.
    pub cancel_url: String,
    /// What Stripe is told when the account has no customer yet.
    pub profile: CustomerProfile,
}

impl CheckoutRequest {
    /// One of a price.
    pub fn new(
        price: impl Into<String>,
        success_url: impl Into<String>,
        cancel_url: impl Into<String>,
    ) -> Self {
        Self {
            price: price.into(),
            quantity: 1,
            success_url: success_url.into(),
            cancel_url: cancel_url.into(),
            profile: CustomerProfile::default(),
        }
    }

    /// So many of it.
    #[must_use]
    pub fn quantity(mut self, quantity: u64) -> Self {
        self.quantity = quantity;
        self
    }

    /// Bought by a customer with this profile.
    #[must_use]
    pub fn profile(mut self, profile: CustomerProfile) -> Self {
        self.profile = profile;
        self
    }
}

/// Where to send the browser to pay.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct CheckoutUrl {
    /// The checkout session.
    pub session: String,
    /// Its page at Stripe.
    pub url: String,
}

/// Why something could not be sold or changed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SellError {
    /// There is no Stripe client: `.stripe(...)` was not called.
    #[error("no Stripe client is configured")]
    NoStripe,
    /// Selling is switched off.
    #[error("payments are switched off")]
    PaymentsDisabled,
    /// The catalog has no such price.
    #[error("the price `{0}` is not in the catalog")]
    UnknownPrice(String),
    /// The quantity is 0.
    #[error("the quantity must be at least 1")]
    NoQuantity,
    /// The account has a live subscription; a second one would bill it twice. Change the plan
    /// instead.
    #[error("the account has a live subscription already")]
    AlreadySubscribed,
    /// A rule against fraud denies it; its stable code, which is not for the customer.
    #[error("denied by the rule `{0}`")]
    Denied(&'static str),
    /// A checkout of the account has just been paid; its subscription is about to appear.
    #[error("a checkout has just been completed; its result is about to arrive")]
    CheckoutCompleted,
    /// The account never bought anything, so there is nothing to manage.
    #[error("the account has no customer at Stripe yet")]
    NoCustomer,
    /// The account has no subscription that this could be done to.
    #[error("the account has no such subscription")]
    NoSubscription,
    /// Others kept changing the same thing; try again.
    #[error("the account's checkout is being changed by another request; try again")]
    Busy,
    /// The store failed.
    #[error("the store failed")]
    Store(#[from] StoreError),
    /// Stripe refused, or could not be reached.
    #[error("Stripe failed: {0}")]
    Stripe(#[from] StripeError),
    /// What is stored of an earlier call cannot be read.
    #[error("what is stored of an earlier call cannot be read")]
    Corrupt(#[source] Box<dyn std::error::Error + Send + Sync>),
}

impl SellError {
    pub(super) fn corrupt(source: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> Self {
        Self::Corrupt(source.into())
    }

    /// Whether the same request may succeed later without anyone changing anything.
    pub fn is_retryable(&self) -> bool {
        match self {
            Self::CheckoutCompleted | Self::Busy => true,
            Self::Store(error) => error.is_retryable(),
            Self::Stripe(error) => error.is_retryable(),
            _ => false,
        }
    }
}

/// What a checkout is for. Stored with its call, so that whoever finishes it sends the same.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
struct Order {
    price: String,
    pack: Option<String>,
    quantity: u64,
    trial_days: Option<u32>,
    success_url: String,
    cancel_url: String,
    customer: String,
}

/// What came of a checkout call.
#[derive(Debug, Serialize, Deserialize)]
enum Outcome {
    Opened { session: String },
    Refused,
}

impl Billing {
    /// Opens a checkout for a plan or a pack of the catalog. There is at most one page per account
    /// and thing on which money can be paid: asking again gives the same page, and asking for
    /// something else closes it first. A second subscription is refused.
    ///
    /// # Errors
    /// [`SellError`].
    pub async fn checkout(
        &self,
        account: &AccountKey,
        request: &CheckoutRequest,
    ) -> Result<CheckoutUrl, SellError> {
        if !self.inner.payments_enabled {
            return Err(SellError::PaymentsDisabled);
        }
        if request.quantity == 0 {
            return Err(SellError::NoQuantity);
        }
        let stripe = self.stripe_for(account)?;
        let catalog = &self.inner.catalog;
        let plan = catalog.plan_of_price(&request.price).map(|(plan, _)| plan);
        let pack = catalog.pack_of_price(&request.price);
        if plan.is_none() && pack.is_none() {
            return Err(SellError::UnknownPrice(request.price.clone()));
        }
        let access = self.fresh_access(account, stripe.as_ref()).await?;
        if plan.is_some() && !access.can_purchase {
            return Err(SellError::AlreadySubscribed);
        }
        self.judge(account, stripe.as_ref()).await?;
        // One trial ever: whoever had a subscription has had it.
        let new_here = access.subscriptions.is_empty();
        let order = Order {
            price: request.price.clone(),
            pack: pack.map(|pack| pack.id.clone()),
            quantity: request.quantity,
            trial_days: plan.and_then(|plan| plan.trial_days).filter(|_| new_here),
            success_url: request.success_url.clone(),
            cancel_url: request.cancel_url.clone(),
            customer: self.get_or_create_customer(account, &request.profile).await?,
        };
        self.open_session(stripe.as_ref(), account, &order).await
    }

    pub(super) async fn fresh_access(
        &self,
        account: &AccountKey,
        stripe: &dyn StripeApi,
    ) -> Result<Access, SellError> {
        let mode = self.selling_mode(stripe);
        let subjects = self.inner.store.subjects_of(account, mode, Records::Current).await?;
        Ok(Access::evaluate(&subjects, &self.inner.catalog, self.inner.clock.now()))
    }

    async fn open_session(
        &self,
        stripe: &dyn StripeApi,
        account: &AccountKey,
        order: &Order,
    ) -> Result<CheckoutUrl, SellError> {
        let what = order.pack.as_deref().unwrap_or("subscription");
        let key = format!("checkout:{what}:{}", scope(account, self.selling_mode(stripe)));
        let wanted = serde_json::to_string(order).map_err(SellError::corrupt)?;
        for _ in 0..8 {
            let now = self.inner.clock.now();
            let call = self.inner.store.begin_call(&key, &wanted, now).await?;
            let page = match self.settle_call(stripe, account, &call, now).await? {
                Some(Outcome::Opened { session }) => {
                    let session = stripe.retrieve_checkout_session(&Retrieve::new(session)).await?;
                    self.open_page(stripe, &call, session, call.fingerprint == wanted).await?
                }
                Some(Outcome::Refused) | None => None,
            };
            match page {
                Some(page) => return Ok(page),
                None => {
                    self.inner.store.restart_call(&key, call.generation, &wanted, now).await?;
                }
            }
        }
        Err(SellError::Busy)
    }

    /// What came of a call, which is made now if nobody knows. `None` when it is too old to tell.
    async fn settle_call(
        &self,
        stripe: &dyn StripeApi,
        account: &AccountKey,
        call: &Call,
        now: DateTime<Utc>,
    ) -> Result<Option<Outcome>, SellError> {
        if let Some(result) = &call.result {
            return serde_json::from_str(result).map(Some).map_err(SellError::corrupt);
        }
        if now - call.started_at >= TimeDelta::hours(23) {
            // Whatever page it opened closes within the hour.
            return Ok(None);
        }
        let order: Order = serde_json::from_str(&call.fingerprint).map_err(SellError::corrupt)?;
        let request = self.session_request(account, &order);
        let (outcome, refused) =
            match stripe.create_checkout_session(&request, &call_key(call)?).await {
                Ok(session) => (Outcome::Opened { session: session.id }, None),
                Err(error) if is_kept(&error) => (Outcome::Refused, Some(error)),
                Err(error) => return Err(error.into()),
            };
        let result = serde_json::to_string(&outcome).map_err(SellError::corrupt)?;
        self.inner.store.finish_call(&call.key, call.generation, &result).await?;
        match refused {
            Some(error) => Err(error.into()),
            None => Ok(Some(outcome)),
        }
    }

    /// The page of a session that is still open and is for what is wanted; `None` when another
    /// session has to be opened.
    async fn open_page(
        &self,
        stripe: &dyn StripeApi,
        call: &Call,
        session: CheckoutSession,
        wanted: bool,
    ) -> Result<Option<CheckoutUrl>, SellError> {
        match (session.status.as_deref(), session.url) {
            (Some("open"), Some(url)) if wanted => {
                Ok(Some(CheckoutUrl { session: session.id, url }))
            }
            (Some("open"), _) => {
                let key = IdempotencyKey::new(format!("billing:expire:{}", session.id));
                let key = key.map_err(SellError::corrupt)?;
                stripe.expire_checkout_session(&session.id, &key).await?;
                Ok(None)
            }
            (Some("complete"), _) => match session.subscription {
                // Our own state says that there is none: either it ended, or it has not arrived.
                Some(id) => {
                    let live = stripe.retrieve_subscription(&Retrieve::new(id)).await?;
                    match live.status.as_str() {
                        "canceled" | "incomplete_expired" => Ok(None),
                        _ => Err(SellError::CheckoutCompleted),
                    }
                }
                None => Ok(None),
            },
            _ => {
                tracing::debug!(call = %call.key, "the checkout page is over; opening another");
                Ok(None)
            }
        }
    }

    fn session_request(&self, account: &AccountKey, order: &Order) -> CreateCheckoutSession {
        let link = self.inner.catalog.link();
        let mode =
            if order.pack.is_some() { CheckoutMode::Payment } else { CheckoutMode::Subscription };
        let mut request = CreateCheckoutSession::new(mode, &order.success_url)
            .with_cancel_url(&order.cancel_url)
            .with_customer(&order.customer)
            .with_line(CheckoutLine::new(&order.price, order.quantity))
            .with_metadata(&link.account, &account.account);
        // Stripe takes at most 200 characters; the metadata names the account in any case.
        if account.account.chars().count() <= 200 {
            request = request.with_client_reference_id(&account.account);
        }
        if let Some(pack) = &order.pack {
            request = request.with_metadata(&link.pack, pack);
        }
        if let Some(days) = order.trial_days.filter(|days| *days > 0) {
            request = request.with_trial_period_days(days);
        }
        request
    }
}
