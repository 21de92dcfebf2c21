use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::open_enum;
use crate::stripe::field::{flag, id, int, list, metadata, text, time};

open_enum! {
    /// A subscription's status at Stripe. `IncompleteExpired` and `Canceled` are final.
    SubscriptionStatus {
        /// The first payment has not gone through yet.
        Incomplete = "incomplete",
        /// The first payment did not go through within 23 hours. Final.
        IncompleteExpired = "incomplete_expired",
        /// In its trial.
        Trialing = "trialing",
        /// In good standing.
        Active = "active",
        /// The latest invoice is not paid.
        PastDue = "past_due",
        /// Ended. Final.
        Canceled = "canceled",
        /// Retries are exhausted, the subscription stays open.
        Unpaid = "unpaid",
        /// No invoices and no periods until it is resumed.
        Paused = "paused",
    }
}

impl SubscriptionStatus {
    /// Whether Stripe never leaves this status again.
    pub fn is_terminal(&self) -> bool {
        matches!(self, Self::Canceled | Self::IncompleteExpired)
    }
}

/// A subscription as billing sees it (<https://docs.stripe.com/api/subscriptions/object>).
/// Times are Unix seconds, UTC.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Subscription {
    /// `sub_...`
    pub id: String,
    /// The customer it belongs to.
    pub customer: Option<String>,
    /// Status at Stripe.
    pub status: SubscriptionStatus,
    /// What is subscribed to; at most one page of items.
    pub items: Vec<SubscriptionItem>,
    /// One of the two spellings of "will cancel"; see [`Subscription::ends_at`].
    pub cancel_at_period_end: bool,
    /// The other spelling: the instant at which it will cancel.
    pub cancel_at: Option<i64>,
    /// When cancellation was asked for; not the end.
    pub canceled_at: Option<i64>,
    /// When it ended.
    pub ended_at: Option<i64>,
    /// When the trial began.
    pub trial_start: Option<i64>,
    /// When the trial ends or ended.
    pub trial_end: Option<i64>,
    /// Collection is paused; the status, and with it access, stays as it is.
    pub pause_collection: Option<PauseCollection>,
    /// The newest invoice.
    pub latest_invoice: Option<String>,
    /// When the subscription was created.
    pub created: Option<i64>,
    /// The app's own notes on it.
    pub metadata: BTreeMap<String, String>,
}

/// One price of a subscription.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct SubscriptionItem {
    /// `si_...`
    pub id: String,
    /// The price subscribed to.
    pub price: String,
    /// How many (seats); metered prices have none.
    pub quantity: Option<i64>,
    /// Start of the current period.
    pub period_start: Option<i64>,
    /// End of the current period.
    pub period_end: Option<i64>,
    /// `day`, `week`, `month` or `year`.
    pub interval: Option<String>,
    /// How many intervals make a period.
    pub interval_count: Option<i64>,
}

/// How invoices are treated while collection is paused.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct PauseCollection {
    /// `keep_as_draft`, `mark_uncollectible` or `void`.
    pub behavior: Option<String>,
    /// When collection resumes by itself.
    pub resumes_at: Option<i64>,
}

impl Subscription {
    /// Reads a subscription of any API version; `None` when it has no id.
    pub fn from_json(value: &Value) -> Option<Self> {
        Some(Self {
            id: id(value, &["id"])?,
            customer: id(value, &["customer"]),
            status: text(value, &["status"]).unwrap_or_default().into(),
            items: list(value, &["items"])
                .iter()
                .filter_map(|item| SubscriptionItem::from_json(item, value))
                .collect(),
            cancel_at_period_end: flag(value, &["cancel_at_period_end"]),
            cancel_at: time(value, &["cancel_at"]),
            canceled_at: time(value, &["canceled_at"]),
            ended_at: time(value, &["ended_at"]),
            trial_start: time(value, &["trial_start"]),
            trial_end: time(value, &["trial_end"]),
            pause_collection: value.get("pause_collection").filter(|p| p.is_object()).map(|p| {
                PauseCollection {
                    behavior: text(p, &["behavior"]),
                    resumes_at: time(p, &["resumes_at"]),
                }
            }),
            latest_invoice: id(value, &["latest_invoice"]),
            created: time(value, &["created"]),
            metadata: metadata(value, &["metadata"]),
        })
    }

    /// The end of the current period: the earliest of its items' ends.
    pub fn period_end(&self) -> Option<i64> {
        self.items.iter().filter_map(|item| item.period_end).min()
    }

    /// The start of the current period: the latest of its items' starts.
    pub fn period_start(&self) -> Option<i64> {
        self.items.iter().filter_map(|item| item.period_start).max()
    }

    /// When it will cancel, if it will: `cancel_at`, or the period's end with
    /// `cancel_at_period_end`. API versions and customer portals set either or both.
    pub fn ends_at(&self) -> Option<i64> {
        let period_end =
            self.items.iter().filter_map(|item| item.period_end).max().or(self.trial_end);
        self.cancel_at.or(if self.cancel_at_period_end { period_end } else { None })
    }

    /// Whether it will cancel by itself.
    pub fn will_cancel(&self) -> bool {
        !self.status.is_terminal() && (self.cancel_at_period_end || self.cancel_at.is_some())
    }
}

impl SubscriptionItem {
    fn from_json(value: &Value, subscription: &Value) -> Option<Self> {
        // Up to basil the period stood on the subscription; additive fields reach old versions too.
        let (own, outer) = (period_of(value), period_of(subscription));
        let text_at = |field| {
            text(value, &["price", "recurring", field]).or_else(|| text(value, &["plan", field]))
        };
        let int_at = |field| {
            int(value, &["price", "recurring", field]).or_else(|| int(value, &["plan", field]))
        };
        Some(Self {
            id: id(value, &["id"])?,
            price: id(value, &["price"]).or_else(|| id(value, &["plan"])).unwrap_or_default(),
            quantity: int(value, &["quantity"]),
            period_start: own.0.or(outer.0),
            period_end: own.1.or(outer.1),
            interval: text_at("interval"),
            interval_count: int_at("interval_count"),
        })
    }
}

fn period_of(value: &Value) -> (Option<i64>, Option<i64>) {
    let start = time(value, &["current_period_start"]);
    let end = time(value, &["current_period_end"]);
    match (start, end) {
        // A period that ends before it starts is not believed.
        (Some(start), Some(end)) if end < start => (None, None),
        period => period,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn item(extra: &Value) -> Value {
        let mut item = json!({"id": "si_1", "object": "subscription_item", "quantity": 2,
            "price": {"id": "price_1", "recurring": {"interval": "month", "interval_count": 1}}});
        crate::stripe::field::overlay(&mut item, extra);
        item
    }

    #[test]
    fn both_shapes_give_one_view() {
        let old = json!({"id": "sub_1", "customer": {"id": "cus_1"}, "status": "active",
            "current_period_start": 1_700_000_000, "current_period_end": 1_702_592_000,
            "items": {"data": [item(&json!({}))]}, "latest_invoice": "in_1"});
        let new = json!({"id": "sub_1", "customer": "cus_1", "status": "active",
            "items": {"data": [item(&json!({"current_period_start": 1_700_000_000,
                "current_period_end": 1_702_592_000}))]}, "latest_invoice": {"id": "in_1"}});
        let view = Subscription::from_json(&old).unwrap();
        assert_eq!(Some(&view), Subscription::from_json(&new).as_ref());
        assert_eq!(view.period_end(), Some(1_702_592_000));
        assert_eq!(view.items[0].interval.as_deref(), Some("month"));
    }

    #[test]
    fn will_cancel_in_both_spellings() {
        let period = json!({"current_period_start": 100, "current_period_end": 200});
        let base = json!({"id": "sub_1", "status": "active", "items": {"data": [item(&period)]}});
        let with = |patch: Value| {
            let mut value = base.clone();
            crate::stripe::field::overlay(&mut value, &patch);
            Subscription::from_json(&value).unwrap()
        };
        assert!(!with(json!({})).will_cancel());
        assert_eq!(with(json!({"cancel_at_period_end": true})).ends_at(), Some(200));
        assert_eq!(with(json!({"cancel_at": 150})).ends_at(), Some(150));
        assert!(with(json!({"cancel_at": 150})).will_cancel());
        assert!(!with(json!({"cancel_at": 150, "status": "canceled"})).will_cancel());
    }

    #[test]
    fn what_is_missing_or_unknown_does_not_fail() {
        let view =
            Subscription::from_json(&json!({"id": "sub_1", "status": "hibernating"})).unwrap();
        assert_eq!(view.status, SubscriptionStatus::Other("hibernating".into()));
        assert!(view.items.is_empty());
        assert_eq!(Subscription::from_json(&json!({"object": "subscription"})), None);
        let backwards = json!({"id": "sub_1", "items": {"data": [
            item(&json!({"current_period_start": 200, "current_period_end": 100}))]}});
        assert_eq!(Subscription::from_json(&backwards).unwrap().period_end(), None);
    }
}
