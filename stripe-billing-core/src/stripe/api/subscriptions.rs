use std::collections::BTreeMap;

use chrono::{DateTime, Utc};
use serde_json::Value;

use super::{StripeError, json};

/// What happens with the rest of the period when a price or a quantity changes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum ProrationBehavior {
    /// The difference goes on the next invoice. Stripe's default.
    CreateProrations,
    /// The difference is invoiced now.
    AlwaysInvoice,
    /// No difference is charged or credited.
    None,
}

impl ProrationBehavior {
    /// The name that Stripe uses.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::CreateProrations => "create_prorations",
            Self::AlwaysInvoice => "always_invoice",
            Self::None => "none",
        }
    }
}

/// A change to one item of a subscription.
///
/// Without an item's id Stripe *adds* an item: to change the plan, name the item that there is.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct SubscriptionItemChange {
    /// The item to change (`si_…`); `None` adds one.
    pub id: Option<String>,
    /// The price it shall have.
    pub price: Option<String>,
    /// The quantity it shall have.
    pub quantity: Option<u64>,
    /// Whether to remove it.
    pub deleted: bool,
}

impl SubscriptionItemChange {
    /// Changes the item with this id.
    pub fn change(id: impl Into<String>) -> Self {
        Self { id: Some(id.into()), price: None, quantity: None, deleted: false }
    }

    /// Adds an item with this price.
    pub fn add(price: impl Into<String>) -> Self {
        Self { id: None, price: Some(price.into()), quantity: None, deleted: false }
    }

    /// Removes the item with this id.
    pub fn remove(id: impl Into<String>) -> Self {
        Self { id: Some(id.into()), price: None, quantity: None, deleted: true }
    }

    /// Sets the price.
    #[must_use]
    pub fn with_price(mut self, price: impl Into<String>) -> Self {
        self.price = Some(price.into());
        self
    }

    /// Sets the quantity.
    #[must_use]
    pub fn with_quantity(mut self, quantity: u64) -> Self {
        self.quantity = Some(quantity);
        self
    }
}

/// Changes a subscription; what is not set stays as it is.
///
/// ```
/// use stripe_billing_core::stripe::{
///     ProrationBehavior, SubscriptionItemChange, UpdateSubscription,
/// };
///
/// let upgrade = UpdateSubscription::new("sub_1")
///     .with_item(SubscriptionItemChange::change("si_1").with_price("price_team"))
///     .with_proration_behavior(ProrationBehavior::AlwaysInvoice);
/// assert_eq!(upgrade.cancel_at_period_end, None);
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct UpdateSubscription {
    /// The subscription's id.
    pub id: String,
    /// Whether it ends with the current period.
    pub cancel_at_period_end: Option<bool>,
    /// Takes back a `cancel_at`: a subscription with flexible billing that was canceled in the
    /// customer portal may have nothing else set. Stripe does not take it together with
    /// `cancel_at_period_end`.
    pub clear_cancel_at: bool,
    /// Items to change, add or remove.
    pub items: Vec<SubscriptionItemChange>,
    /// What happens with the rest of the period.
    pub proration_behavior: Option<ProrationBehavior>,
    /// The moment that a preview was made for, so that the amounts are the same.
    pub proration_date: Option<DateTime<Utc>>,
    /// The app's own marks; pairs that are not named stay, an empty value removes a pair.
    pub metadata: BTreeMap<String, String>,
    /// Further parameters, under their names on the wire.
    pub params: Vec<(String, String)>,
}

impl UpdateSubscription {
    /// A change to this subscription.
    pub fn new(id: impl Into<String>) -> Self {
        Self {
            id: id.into(),
            cancel_at_period_end: None,
            clear_cancel_at: false,
            items: Vec::new(),
            proration_behavior: None,
            proration_date: None,
            metadata: BTreeMap::new(),
            params: Vec::new(),
        }
    }

    /// Sets whether the subscription ends with the current period; `false` takes it back.
    #[must_use]
    pub fn with_cancel_at_period_end(mut self, cancel: bool) -> Self {
        self.cancel_at_period_end = Some(cancel);
        self
    }

    /// Takes back a `cancel_at`.
    #[must_use]
    pub fn with_cancel_at_cleared(mut self) -> Self {
        self.clear_cancel_at = true;
        self
    }

    /// Adds a change to one item.
    #[must_use]
    pub fn with_item(mut self, item: SubscriptionItemChange) -> Self {
        self.items.push(item);
        self
    }

    /// Sets what happens with the rest of the period.
    #[must_use]
    pub fn with_proration_behavior(mut self, behavior: ProrationBehavior) -> Self {
        self.proration_behavior = Some(behavior);
        self
    }

    /// Sets the moment from which the difference is computed; whole seconds, the rest is dropped.
    #[must_use]
    pub fn with_proration_date(mut self, time: DateTime<Utc>) -> Self {
        self.proration_date = Some(time);
        self
    }

    /// Sets one metadata pair; an empty value removes it.
    #[must_use]
    pub fn with_metadata(mut self, key: impl Into<String>, value: impl Into<String>) -> Self {
        self.metadata.insert(key.into(), value.into());
        self
    }

    /// Adds a parameter that has no setter here, such as `("payment_behavior",
    /// "pending_if_incomplete")`.
    #[must_use]
    pub fn with_param(mut self, name: impl Into<String>, value: impl Into<String>) -> Self {
        self.params.push((name.into(), value.into()));
        self
    }
}

/// Cancels a subscription at once.
///
/// To let it run to the end of its period, use
/// [`UpdateSubscription::with_cancel_at_period_end`].
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct CancelSubscription {
    /// The subscription's id.
    pub id: String,
    /// Whether usage and prorations that are still open are invoiced now.
    pub invoice_now: Option<bool>,
    /// Whether the unused rest of the period is credited.
    pub prorate: Option<bool>,
}

impl CancelSubscription {
    /// Cancels this subscription, by Stripe's defaults without a last invoice and without a credit.
    pub fn new(id: impl Into<String>) -> Self {
        Self { id: id.into(), invoice_now: None, prorate: None }
    }

    /// Sets whether what is still open is invoiced now.
    #[must_use]
    pub fn with_invoice_now(mut self, invoice_now: bool) -> Self {
        self.invoice_now = Some(invoice_now);
        self
    }

    /// Sets whether the unused rest of the period is credited.
    #[must_use]
    pub fn with_prorate(mut self, prorate: bool) -> Self {
        self.prorate = Some(prorate);
        self
    }
}

/// A subscription, as Stripe answers it.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct Subscription {
    /// `sub_…`
    pub id: String,
    /// `incomplete`, `incomplete_expired`, `trialing`, `active`, `past_due`, `canceled`, `unpaid`,
    /// `paused`, or one that Stripe adds later.
    pub status: String,
    /// The customer's id.
    pub customer: Option<String>,
    /// The items, as far as they are on the first page (a subscription has at most 20).
    pub items: Vec<SubscriptionItem>,
    /// Whether it ends with the current period.
    pub cancel_at_period_end: bool,
    /// When it will end; set without `cancel_at_period_end` under flexible billing.
    pub cancel_at: Option<DateTime<Utc>>,
    /// When the cancellation was asked for, not when it takes effect.
    pub canceled_at: Option<DateTime<Utc>>,
    /// When it ended.
    pub ended_at: Option<DateTime<Utc>>,
    /// The newest invoice's id.
    pub latest_invoice: Option<String>,
    /// Whether it lives in live mode.
    pub livemode: bool,
    /// The app's own marks.
    pub metadata: BTreeMap<String, String>,
    /// The answer as it came.
    pub raw: Value,
}

/// One item of a [`Subscription`].
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct SubscriptionItem {
    /// `si_…`
    pub id: String,
    /// The price's id.
    pub price: Option<String>,
    /// How many; `None` for a metered price.
    pub quantity: Option<i64>,
    /// Start of the current period: the item's own, or before version basil the subscription's.
    pub current_period_start: Option<DateTime<Utc>>,
    /// End of the current period: the item's own, or before version basil the subscription's.
    pub current_period_end: Option<DateTime<Utc>>,
}

impl TryFrom<Value> for Subscription {
    type Error = StripeError;

    /// Reads a subscription; its id and its status are required.
    fn try_from(raw: Value) -> Result<Self, StripeError> {
        Ok(Self {
            id: json::required(&raw, "subscription", "id")?,
            status: json::required(&raw, "subscription", "status")?,
            customer: json::id(&raw, "customer"),
            items: items(&raw),
            cancel_at_period_end: json::flag(&raw, "cancel_at_period_end"),
            cancel_at: json::time(&raw, "cancel_at"),
            canceled_at: json::time(&raw, "canceled_at"),
            ended_at: json::time(&raw, "ended_at"),
            latest_invoice: json::id(&raw, "latest_invoice"),
            livemode: json::flag(&raw, "livemode"),
            metadata: json::metadata(&raw),
            raw,
        })
    }
}

fn items(subscription: &Value) -> Vec<SubscriptionItem> {
    let data = subscription.get("items").and_then(|items| items.get("data"));
    let read = |item: &Value| {
        let period = |field| json::time(item, field).or_else(|| json::time(subscription, field));
        Some(SubscriptionItem {
            id: json::text(item, "id")?,
            price: json::id(item, "price"),
            quantity: json::int(item, "quantity"),
            current_period_start: period("current_period_start"),
            current_period_end: period("current_period_end"),
        })
    };
    data.and_then(Value::as_array).into_iter().flatten().filter_map(read).collect()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::stripe::StripeErrorKind;

    fn at(seconds: i64) -> Option<DateTime<Utc>> {
        DateTime::from_timestamp(seconds, 0)
    }

    #[test]
    fn reads_the_period_from_the_item_and_else_from_the_subscription() {
        let subscription = Subscription::try_from(json!({
            "id": "sub_1", "status": "a_status_of_2031", "customer": { "id": "cus_1" },
            "current_period_start": 100, "current_period_end": 200, "latest_invoice": "in_1",
            "items": { "data": [
                { "id": "si_1", "price": { "id": "price_1" }, "quantity": 2,
                  "current_period_start": 110, "current_period_end": 210 },
                { "id": "si_2", "price": "price_2" },
            ] },
        }))
        .unwrap();
        assert_eq!(subscription.status, "a_status_of_2031");
        assert_eq!(subscription.customer.as_deref(), Some("cus_1"));
        assert_eq!(subscription.latest_invoice.as_deref(), Some("in_1"));
        let [new, old] = subscription.items.as_slice() else { panic!("{:?}", subscription.items) };
        assert_eq!((new.current_period_start, new.current_period_end), (at(110), at(210)));
        assert_eq!((old.current_period_start, old.current_period_end), (at(100), at(200)));
        assert_eq!((new.quantity, old.quantity), (Some(2), None));
        assert_eq!(
            (new.price.as_deref(), old.price.as_deref()),
            (Some("price_1"), Some("price_2"))
        );
    }

    #[test]
    fn a_subscription_without_a_status_is_unreadable() {
        let error = Subscription::try_from(json!({ "id": "sub_1", "object": "subscription" }));
        let error = error.unwrap_err();
        assert_eq!(error.kind(), &StripeErrorKind::Decode);
        assert!(error.to_string().contains("`status`"), "{error}");
    }
}
