use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::{CollectionMethod, open_enum};
use crate::stripe::field::{at, count, flag, id, int, list, metadata, text, time};

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

open_enum! {
    /// Why a subscription was canceled.
    CancellationReason {
        /// Somebody asked for it.
        CancellationRequested = "cancellation_requested",
        /// A payment was disputed.
        PaymentDisputed = "payment_disputed",
        /// Retries are exhausted.
        PaymentFailed = "payment_failed",
        /// By a retention policy of the account.
        RetentionPolicy = "canceled_by_retention_policy",
    }
}

open_enum! {
    /// Why a subscription is in the status `paused`; said since endive.
    PauseReason {
        /// The last retry of a payment failed.
        FinalPaymentFailure = "final_payment_failure",
        /// The first payment failed.
        FirstPaymentFailure = "first_payment_failure",
        /// Somebody asked for it.
        PauseRequested = "pause_requested",
        /// Stripe did it.
        System = "system",
        /// The trial ended, and there is nothing to pay with.
        TrialEndWithoutPaymentMethod = "trial_end_without_payment_method",
    }
}

open_enum! {
    /// How the quantity of an item comes about.
    UsageType {
        /// It is set beforehand.
        Licensed = "licensed",
        /// It is what was used.
        Metered = "metered",
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
    /// Whether there are items beyond the first page.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub more_items: bool,
    /// Three-letter code, lower case.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub currency: Option<String>,
    /// How its invoices are collected.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub collection_method: Option<CollectionMethod>,
    /// What it is paid with; `None` means whatever the customer's default is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub default_payment_method: Option<String>,
    /// One of the two spellings of "will cancel"; see [`Subscription::ends_at`].
    pub cancel_at_period_end: bool,
    /// The other spelling: the instant at which it will cancel.
    pub cancel_at: Option<i64>,
    /// When cancellation was asked for; not the end.
    pub canceled_at: Option<i64>,
    /// Why it was, or will be, canceled.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cancellation_reason: Option<CancellationReason>,
    /// When it ended.
    pub ended_at: Option<i64>,
    /// When the trial began.
    pub trial_start: Option<i64>,
    /// When the trial ends or ended.
    pub trial_end: Option<i64>,
    /// Collection is paused; the status, and with it access, stays as it is.
    pub pause_collection: Option<PauseCollection>,
    /// Why it is in the status `paused`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pause_reason: Option<PauseReason>,
    /// A change that takes effect when its invoice is paid.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pending_update: Option<PendingUpdate>,
    /// The schedule that changes it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub schedule: Option<String>,
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
    /// How the quantity comes about.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub usage_type: Option<UsageType>,
    /// What one costs in a period, in minor units; `None` for tiers and for less than one minor
    /// unit.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub unit_amount: Option<i64>,
    /// The price's product.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub product: Option<String>,
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

/// A change of a subscription that waits for its invoice to be paid.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct PendingUpdate {
    /// When it is dropped unless it is paid, Unix seconds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expires_at: Option<i64>,
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
            more_items: flag(value, &["items", "has_more"]),
            currency: text(value, &["currency"]),
            collection_method: text(value, &["collection_method"]).map(CollectionMethod::from),
            default_payment_method: id(value, &["default_payment_method"]),
            cancel_at_period_end: flag(value, &["cancel_at_period_end"]),
            cancel_at: time(value, &["cancel_at"]),
            canceled_at: time(value, &["canceled_at"]),
            cancellation_reason: text(value, &["cancellation_details", "reason"])
                .map(CancellationReason::from),
            ended_at: time(value, &["ended_at"]),
            trial_start: time(value, &["trial_start"]),
            trial_end: time(value, &["trial_end"]),
            pause_collection: value.get("pause_collection").filter(|p| p.is_object()).map(|p| {
                PauseCollection {
                    behavior: text(p, &["behavior"]),
                    resumes_at: time(p, &["resumes_at"]),
                }
            }),
            pause_reason: text(value, &["status_details", "paused", "subscription", "type"])
                .map(PauseReason::from),
            pending_update: at(value, &["pending_update"])
                .filter(|update| update.is_object())
                .map(|update| PendingUpdate { expires_at: time(update, &["expires_at"]) }),
            schedule: id(value, &["schedule"]),
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
        Some(Self {
            id: id(value, &["id"])?,
            price: id(value, &["price"]).or_else(|| id(value, &["plan"])).unwrap_or_default(),
            quantity: count(value, &["quantity"]),
            period_start: own.0.or(outer.0),
            period_end: own.1.or(outer.1),
            interval: text_at("interval"),
            interval_count: count(value, &["price", "recurring", "interval_count"])
                .or_else(|| count(value, &["plan", "interval_count"])),
            usage_type: text_at("usage_type").map(UsageType::from),
            unit_amount: int(value, &["price", "unit_amount"])
                .or_else(|| int(value, &["plan", "amount"])),
            product: id(value, &["price", "product"]).or_else(|| id(value, &["plan", "product"])),
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
    fn a_plan_says_what_a_price_says() {
        let old = json!({"id": "sub_1", "items": {"data": [{"id": "si_1", "quantity": 2,
            "plan": {"id": "price_1", "interval": "month", "interval_count": 1, "amount": 1500,
                "product": "prod_1", "usage_type": "licensed"}}]}});
        let new = json!({"id": "sub_1", "items": {"has_more": false, "data": [
            item(&json!({"price": {"unit_amount": 1500, "product": {"id": "prod_1"},
                "recurring": {"usage_type": "licensed"}}}))]}});
        let view = Subscription::from_json(&old).unwrap();
        assert_eq!(Some(&view), Subscription::from_json(&new).as_ref());
        let item = &view.items[0];
        assert_eq!(item.usage_type, Some(UsageType::Licensed));
        assert_eq!((item.unit_amount, item.product.as_deref()), (Some(1500), Some("prod_1")));
    }

    #[test]
    fn what_goes_with_it_is_read_plain_and_expanded() {
        let plain = json!({"id": "sub_1", "status": "paused", "currency": "usd",
            "collection_method": "send_invoice", "default_payment_method": "pm_1",
            "schedule": "sub_sched_1", "pending_update": {"expires_at": 1_700_000_000},
            "cancellation_details": {"reason": "payment_failed", "comment": null},
            "status_details": {"paused": {"transitioned_at": 1_700_000_000,
                "subscription": {"type": "pause_requested"}}},
            "items": {"data": [], "has_more": true}});
        let mut expanded = plain.clone();
        expanded["default_payment_method"] = json!({"id": "pm_1", "type": "card"});
        expanded["schedule"] = json!({"id": "sub_sched_1"});
        let view = Subscription::from_json(&plain).unwrap();
        assert_eq!(Some(&view), Subscription::from_json(&expanded).as_ref());
        assert_eq!(view.collection_method, Some(CollectionMethod::SendInvoice));
        assert_eq!(view.default_payment_method.as_deref(), Some("pm_1"));
        assert_eq!(view.schedule.as_deref(), Some("sub_sched_1"));
        assert_eq!(view.pending_update.as_ref().unwrap().expires_at, Some(1_700_000_000));
        assert_eq!(view.cancellation_reason, Some(CancellationReason::PaymentFailed));
        assert_eq!(view.pause_reason, Some(PauseReason::PauseRequested));
        assert!(view.more_items);
        let stored = serde_json::to_value(&view).unwrap();
        assert_eq!(serde_json::from_value::<Subscription>(stored).unwrap(), view);
    }

    #[test]
    fn a_record_from_before_a_field_was_kept_is_read() {
        let value = json!({"id": "sub_1", "status": "active", "pending_update": null,
            "items": {"data": [item(&json!({}))]}});
        let view = Subscription::from_json(&value).unwrap();
        assert_eq!(view.pending_update, None);
        let odd = json!({"id": "sub_1", "pending_update": true});
        assert_eq!(Subscription::from_json(&odd).unwrap().pending_update, None);
        let stored = serde_json::to_value(&view).unwrap();
        for field in ["more_items", "currency", "pending_update", "pause_reason", "schedule"] {
            assert!(stored.get(field).is_none(), "{field} costs nothing when absent");
        }
        assert_eq!(serde_json::from_value::<Subscription>(stored).unwrap(), view);
    }

    #[test]
    fn an_absurd_quantity_is_none() {
        for quantity in [json!(-1), json!(1_000_000_001), json!(1.5), json!("2")] {
            let value = json!({"id": "sub_1",
                "items": {"data": [item(&json!({"quantity": quantity}))]}});
            assert_eq!(Subscription::from_json(&value).unwrap().items[0].quantity, None);
        }
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
