use std::collections::BTreeMap;

use serde_json::Value;

use super::{StripeError, json};

/// Lists prices, newest first.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct ListPrices {
    /// Only those that can (or can no longer) be bought.
    pub active: Option<bool>,
    /// Only those of this product.
    pub product: Option<String>,
    /// Only those with one of these keys, at most 10.
    pub lookup_keys: Vec<String>,
    /// Page size, 1 to 100 (Stripe's default is 10).
    pub limit: Option<u8>,
    /// Continue after this price.
    pub starting_after: Option<String>,
    /// Paths of the fields that Stripe shall answer as whole objects (`data.product`).
    pub expand: Vec<String>,
}

impl ListPrices {
    /// All prices.
    pub fn new() -> Self {
        Self::default()
    }

    /// Only active, or only archived prices.
    #[must_use]
    pub fn with_active(mut self, active: bool) -> Self {
        self.active = Some(active);
        self
    }

    /// Only prices of this product.
    #[must_use]
    pub fn with_product(mut self, product: impl Into<String>) -> Self {
        self.product = Some(product.into());
        self
    }

    /// Only prices with this lookup key, or with another one added before.
    #[must_use]
    pub fn with_lookup_key(mut self, key: impl Into<String>) -> Self {
        self.lookup_keys.push(key.into());
        self
    }

    /// Sets the page size, 1 to 100.
    #[must_use]
    pub fn with_limit(mut self, limit: u8) -> Self {
        self.limit = Some(limit);
        self
    }

    /// Continues after the last price of the page before.
    #[must_use]
    pub fn with_starting_after(mut self, id: impl Into<String>) -> Self {
        self.starting_after = Some(id.into());
        self
    }

    /// Also asks for the object behind a field; in a list its path starts with `data.`.
    #[must_use]
    pub fn with_expand(mut self, path: impl Into<String>) -> Self {
        self.expand.push(path.into());
        self
    }
}

/// A price, as Stripe answers it.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct Price {
    /// `price_…`, or the id of a plan from before prices.
    pub id: String,
    /// Whether it can be used for new purchases.
    pub active: bool,
    /// Lower-case ISO currency.
    pub currency: Option<String>,
    /// Amount in minor units; `None` for tiers and for amounts below one minor unit.
    pub unit_amount: Option<i64>,
    /// The billing interval; `None` for a one-time price.
    pub recurring: Option<Recurring>,
    /// The id of its product.
    pub product: Option<String>,
    /// The key under which the account's owner looks it up.
    pub lookup_key: Option<String>,
    /// Whether it lives in live mode.
    pub livemode: bool,
    /// The app's own marks.
    pub metadata: BTreeMap<String, String>,
    /// The answer as it came.
    pub raw: Value,
}

/// How often a price is charged.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Recurring {
    /// `day`, `week`, `month` or `year`.
    pub interval: String,
    /// Every how many intervals.
    pub interval_count: i64,
}

impl TryFrom<Value> for Price {
    type Error = StripeError;

    /// Reads a price; only the id is required.
    fn try_from(raw: Value) -> Result<Self, StripeError> {
        let recurring = raw.get("recurring").and_then(|recurring| {
            Some(Recurring {
                interval: json::text(recurring, "interval")?,
                interval_count: json::int(recurring, "interval_count").unwrap_or(1),
            })
        });
        Ok(Self {
            id: json::required(&raw, "price", "id")?,
            active: json::flag(&raw, "active"),
            currency: json::text(&raw, "currency"),
            unit_amount: json::int(&raw, "unit_amount"),
            recurring,
            product: json::id(&raw, "product"),
            lookup_key: json::text(&raw, "lookup_key"),
            livemode: json::flag(&raw, "livemode"),
            metadata: json::metadata(&raw),
            raw,
        })
    }
}
