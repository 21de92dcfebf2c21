use serde_json::{Value, json};

use super::{owned, setters};
use crate::event::Shape;
use crate::event::histories::START;

/// One item of a subscription, as in
/// <https://docs.stripe.com/api/subscription_items/object>.
#[derive(Clone, Debug)]
pub struct SubscriptionItemObject {
    pub(super) id: String,
    pub(super) price: String,
    pub(super) product: String,
    pub(super) lookup_key: Option<String>,
    pub(super) interval: (String, i64),
    pub(super) quantity: Option<i64>,
    pub(super) amount: Option<i64>,
    pub(super) period: Option<(i64, i64)>,
}

impl SubscriptionItemObject {
    /// One of a monthly price of 15.00 USD, in the subscription's period.
    pub fn new(id: &str, price: &str) -> Self {
        Self {
            id: id.to_owned(),
            price: price.to_owned(),
            product: "prod_1".to_owned(),
            lookup_key: None,
            interval: ("month".to_owned(), 1),
            quantity: Some(1),
            amount: Some(1_500),
            period: None,
        }
    }

    setters! {
        /// What the price is of.
        product: &str => |id| id.to_owned();
        /// The price's own name.
        lookup_key: Option<&str> => |key| owned(key);
        /// `day`, `week`, `month` or `year`, and how many of them.
        interval: (&str, i64) => |interval| (interval.0.to_owned(), interval.1);
        /// Seats; `None` for a metered price.
        quantity: Option<i64> => |quantity| quantity;
        /// Minor units per seat; `None` where only `unit_amount_decimal` says it.
        amount: Option<i64> => |amount| amount;
        /// Start and end of its own period, Unix seconds, where intervals are mixed. Only shapes
        /// with periods on the items show it.
        period: Option<(i64, i64)> => |period| period;
    }

    /// An item that is billed by usage: no quantity, and no amount in whole minor units.
    #[must_use]
    pub fn metered(mut self) -> Self {
        (self.quantity, self.amount) = (None, None);
        self
    }

    pub(super) fn render(&self, shape: Shape, of: (&str, (i64, i64), bool)) -> Value {
        let (subscription, period, livemode) = of;
        let (start, end) = self.period.unwrap_or(period);
        let mut item = json!({
            "id": self.id, "object": "subscription_item", "created": START, "metadata": {},
            "plan": self.plan(), "price": self.price(shape, livemode),
            "subscription": subscription, "tax_rates": [],
        });
        if let Some(quantity) = self.quantity {
            item["quantity"] = json!(quantity);
        }
        // Payloads of 2024 versions, written since, have them beside the subscription's own.
        if shape >= Shape::OldExtended {
            item["current_period_start"] = json!(start);
            item["current_period_end"] = json!(end);
            item["discounts"] = json!([]);
        }
        item
    }

    fn price(&self, shape: Shape, livemode: bool) -> Value {
        let mut recurring = json!({"interval": self.interval.0, "interval_count": self.interval.1,
            "meter": self.meter(), "usage_type": self.usage()});
        if shape.is_old() {
            let sums = self.quantity.is_none().then_some("sum");
            recurring["aggregate_usage"] = json!(sums);
        }
        json!({"id": self.price, "object": "price", "active": true,
            "billing_scheme": "per_unit", "created": START, "currency": "usd",
            "livemode": livemode, "lookup_key": self.lookup_key, "metadata": {},
            "product": self.product, "recurring": recurring, "type": "recurring",
            "unit_amount": self.amount, "unit_amount_decimal": self.decimal()})
    }

    /// The price's deprecated mirror.
    pub(super) fn plan(&self) -> Value {
        json!({"id": self.price, "object": "plan", "active": true, "amount": self.amount,
            "amount_decimal": self.decimal(), "currency": "usd", "interval": self.interval.0,
            "interval_count": self.interval.1, "product": self.product,
            "usage_type": self.usage()})
    }

    fn decimal(&self) -> String {
        self.amount.map_or_else(|| "0.25".to_owned(), |amount| amount.to_string())
    }

    fn usage(&self) -> &'static str {
        if self.quantity.is_some() { "licensed" } else { "metered" }
    }

    fn meter(&self) -> Option<&'static str> {
        self.quantity.is_none().then_some("mtr_1")
    }
}
