//! What a test does in place of a person: buy, change a card, cancel, refund.

mod lifecycle;
mod money;

pub use money::NewRefund;

use serde_json::Value;

use super::{
    FakeStripe,
    calendar::Interval,
    card::Card,
    engine::{Completed, FirstPayment, NewSub},
    error::ApiError,
    model::{Coupon, Customer, Metadata, Price, Product},
    state::State,
    table::Resource,
};

/// A price to add, with its product.
#[derive(Clone, Debug)]
pub struct NewPrice {
    id: Option<String>,
    product: String,
    product_id: Option<String>,
    amount: i64,
    currency: String,
    recurring: Option<(Interval, u32)>,
    lookup_key: Option<String>,
}

impl NewPrice {
    /// A price that bills every `interval`, in minor units. An empty id lets the fake choose one.
    #[must_use]
    pub fn recurring(id: &str, amount: i64, currency: &str, interval: Interval) -> Self {
        Self { recurring: Some((interval, 1)), ..Self::one_time(id, amount, currency) }
    }

    /// A price that is paid once, in minor units. An empty id lets the fake choose one.
    #[must_use]
    pub fn one_time(id: &str, amount: i64, currency: &str) -> Self {
        Self {
            id: Some(id.to_owned()).filter(|id| !id.is_empty()),
            product: "Product".to_owned(),
            product_id: None,
            amount,
            currency: currency.to_lowercase(),
            recurring: None,
            lookup_key: None,
        }
    }

    /// The product's name, as people see it.
    #[must_use]
    pub fn product(mut self, name: &str) -> Self {
        self.product = name.to_owned();
        self
    }

    /// The product's id: shared by prices that name the same one.
    #[must_use]
    pub fn product_id(mut self, id: &str) -> Self {
        self.product_id = Some(id.to_owned());
        self
    }

    /// Bills every so many intervals.
    #[must_use]
    pub fn every(mut self, count: u32) -> Self {
        self.recurring = self.recurring.map(|(interval, _)| (interval, count.max(1)));
        self
    }

    /// Sets `lookup_key`.
    #[must_use]
    pub fn lookup_key(mut self, key: &str) -> Self {
        self.lookup_key = Some(key.to_owned());
        self
    }
}

/// A subscription to begin without a checkout, as the API does with `payment_behavior =
/// allow_incomplete`.
#[derive(Clone, Debug)]
pub struct NewSubscription {
    customer: String,
    items: Vec<(String, u64)>,
    trial_days: u32,
    missing_method: &'static str,
    metadata: Metadata,
    wait_for_payment: bool,
}

impl NewSubscription {
    /// One of `price` for `customer`.
    #[must_use]
    pub fn new(customer: &str, price: &str) -> Self {
        Self {
            customer: customer.to_owned(),
            items: vec![(price.to_owned(), 1)],
            trial_days: 0,
            missing_method: "create_invoice",
            metadata: Metadata::new(),
            wait_for_payment: false,
        }
    }

    /// How many of the price named last.
    #[must_use]
    pub fn quantity(mut self, quantity: u64) -> Self {
        if let Some((_, of_last)) = self.items.last_mut() {
            *of_last = quantity;
        }
        self
    }

    /// One more item.
    #[must_use]
    pub fn item(mut self, price: &str) -> Self {
        self.items.push((price.to_owned(), 1));
        self
    }

    /// Starts with a trial.
    #[must_use]
    pub fn trial_days(mut self, days: u32) -> Self {
        self.trial_days = days;
        self
    }

    /// A trial that ends without a payment method pauses the subscription.
    #[must_use]
    pub fn pauses_without_card(mut self) -> Self {
        self.missing_method = "pause";
        self
    }

    /// A trial that ends without a payment method cancels the subscription.
    #[must_use]
    pub fn cancels_without_card(mut self) -> Self {
        self.missing_method = "cancel";
        self
    }

    /// Adds a pair of metadata.
    #[must_use]
    pub fn metadata(mut self, key: &str, value: &str) -> Self {
        self.metadata.insert(key.to_owned(), value.to_owned());
        self
    }

    /// `payment_behavior = default_incomplete`: nothing is charged, the subscription is
    /// `incomplete` and expires after 23 hours.
    #[must_use]
    pub fn wait_for_payment(mut self) -> Self {
        self.wait_for_payment = true;
        self
    }
}

impl State {
    pub(super) fn add_price(&mut self, new: NewPrice) -> Result<String, ApiError> {
        let taken = new.id.as_deref().is_some_and(|id| self.prices.get(id).is_some());
        if taken || new.amount < 0 || new.currency.len() != 3 {
            return Err(ApiError::invalid(
                "A price needs an id of its own, an amount of at least 0 and a currency.",
            ));
        }
        let product = match &new.product_id {
            Some(id) => id.clone(),
            None => self.ids.next("prod_"),
        };
        if self.products.get(&product).is_none() {
            let row = Product {
                id: product.clone(),
                created: self.now(),
                active: true,
                name: new.product.clone(),
                description: None,
                metadata: Metadata::new(),
            };
            self.emit("product.created", row.json(), None);
            self.products.add(row);
        }
        let price = Price {
            id: new.id.unwrap_or_else(|| self.ids.next("price_1")),
            created: self.now(),
            active: true,
            product,
            product_name: new.product,
            currency: new.currency,
            unit_amount: new.amount,
            recurring: new.recurring,
            lookup_key: new.lookup_key,
            nickname: None,
            metadata: Metadata::new(),
        };
        let id = price.id.clone();
        self.emit("price.created", price.json(), None);
        self.prices.add(price);
        Ok(id)
    }

    fn add_customer(&mut self, email: &str, metadata: Metadata) -> String {
        let customer = Customer {
            id: self.ids.next("cus_"),
            created: self.now(),
            email: Some(email.to_owned()).filter(|email| !email.is_empty()),
            name: None,
            description: None,
            metadata,
            currency: None,
            default_payment_method: None,
            next_invoice: 1,
            deleted: false,
        };
        let id = customer.id.clone();
        self.emit("customer.created", customer.json(), None);
        self.customers.add(customer);
        id
    }

    pub(super) fn add_coupon(&mut self, id: String, percent_off: u32) {
        let created = self.now();
        self.coupons.add(Coupon { id, created, percent_off: percent_off.min(100) });
    }

    fn begin(&mut self, new: NewSubscription) -> Result<String, ApiError> {
        let mut items = Vec::with_capacity(new.items.len());
        for (price, quantity) in &new.items {
            items.push((self.price(price, "items[0][price]")?.clone(), *quantity));
        }
        let trial = (new.trial_days > 0).then(|| self.now() + i64::from(new.trial_days) * 86_400);
        let first = if new.wait_for_payment { FirstPayment::Wait } else { FirstPayment::Allow };
        let new = NewSub {
            customer: new.customer,
            items,
            trial_end: trial,
            metadata: new.metadata,
            default_payment_method: None,
            cancel_at_period_end: false,
            missing_method: new.missing_method,
        };
        self.subscribe(new, first)
    }
}

impl FakeStripe {
    /// Adds a price and, unless it is there already, its product.
    ///
    /// # Errors
    /// When the id is taken, the amount negative or the currency no three letters.
    pub fn create_price(&self, price: NewPrice) -> Result<String, ApiError> {
        self.inner.with(|state| state.add_price(price))
    }

    /// Adds a customer; its id. An empty e-mail is none.
    #[must_use]
    pub fn create_customer(&self, email: &str, metadata: &[(&str, &str)]) -> String {
        let metadata =
            metadata.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect();
        self.inner.with(|state| state.add_customer(email, metadata))
    }

    /// Begins a subscription and tries its first payment; its id.
    ///
    /// # Errors
    /// When customer or price is unknown, or there is something to pay and no card on file.
    pub fn create_subscription(&self, new: NewSubscription) -> Result<String, ApiError> {
        self.inner.with(|state| state.begin(new))
    }

    /// Submits the checkout page with `card`.
    ///
    /// # Errors
    /// A card error when the card is declined (the session stays open), or when the session is not
    /// open any more.
    pub fn complete_checkout(&self, session: &str, card: Card) -> Result<Completed, ApiError> {
        self.inner.with(|state| state.submit_checkout(session, card, None))
    }

    /// Expires an open checkout session.
    ///
    /// # Errors
    /// When there is no such session.
    pub fn expire_checkout(&self, session: &str) -> Result<(), ApiError> {
        self.inner.with(|state| state.expire_session(session))
    }

    /// Gives a customer a new default card, also for its subscriptions; the payment method's id.
    ///
    /// # Errors
    /// A card error for a card that is declined at once; unknown customer.
    pub fn set_card(&self, customer: &str, card: Card) -> Result<String, ApiError> {
        self.inner.with(|state| state.set_card(customer, card))
    }

    /// Cancels at the end of the period, as `POST /v1/subscriptions/:id` does.
    ///
    /// # Errors
    /// When the subscription is unknown or has ended.
    pub fn cancel_at_period_end(&self, subscription: &str) -> Result<Value, ApiError> {
        self.inner.with(|state| state.cancel_at_period_end(subscription))
    }

    /// Takes a scheduled cancellation back.
    ///
    /// # Errors
    /// When the subscription is unknown or has ended.
    pub fn resume(&self, subscription: &str) -> Result<Value, ApiError> {
        self.inner.with(|state| state.resume(subscription))
    }

    /// Cancels at once.
    ///
    /// # Errors
    /// When the subscription is unknown or has ended.
    pub fn cancel_now(&self, subscription: &str) -> Result<Value, ApiError> {
        self.inner
            .with(|state| state.end_subscription(subscription, Some("cancellation_requested")))
    }

    /// Collects an open invoice from the card on file now.
    ///
    /// # Errors
    /// A card error when the bank refuses; when the invoice is not open.
    pub fn pay_invoice(&self, invoice: &str) -> Result<(), ApiError> {
        self.inner.with(|state| state.pay_invoice(invoice))
    }

    /// The latest invoice of a subscription.
    #[must_use]
    pub fn latest_invoice(&self, subscription: &str) -> Option<String> {
        self.inner.lock().subscription(subscription).ok()?.latest_invoice.clone()
    }
}
