use serde_json::{Value, json};

use super::{Notes, SubscriptionItemObject, notes_of, owned, setters};
use crate::event::Shape;
use crate::event::histories::{MONTH, START};

/// A subscription, as in <https://docs.stripe.com/api/subscriptions/object>.
#[derive(Clone, Debug)]
pub struct SubscriptionObject {
    id: String,
    customer: String,
    status: String,
    items: Vec<SubscriptionItemObject>,
    period: (i64, i64),
    created: i64,
    cancel_at_period_end: bool,
    cancel_at: Option<i64>,
    canceled_at: Option<i64>,
    cancel_reason: Option<String>,
    cancel_feedback: Option<String>,
    cancel_comment: Option<String>,
    ended_at: Option<i64>,
    trial: Option<(i64, i64)>,
    trial_end_behavior: String,
    pause_collection: Option<(String, Option<i64>)>,
    paused: Option<(String, i64)>,
    pending_update: Option<(SubscriptionItemObject, i64)>,
    latest_invoice: Option<String>,
    default_payment_method: Option<String>,
    days_until_due: Option<i64>,
    livemode: bool,
    metadata: Notes,
}

impl SubscriptionObject {
    /// A live, active subscription to one seat of `price_pro`, in its first month.
    pub fn new(id: &str, customer: &str) -> Self {
        Self {
            id: id.to_owned(),
            customer: customer.to_owned(),
            status: "active".to_owned(),
            items: vec![SubscriptionItemObject::new(&format!("si_{id}"), "price_pro")],
            period: (START, START + MONTH),
            created: START,
            cancel_at_period_end: false,
            cancel_at: None,
            canceled_at: None,
            cancel_reason: None,
            cancel_feedback: None,
            cancel_comment: None,
            ended_at: None,
            trial: None,
            trial_end_behavior: "create_invoice".to_owned(),
            pause_collection: None,
            paused: None,
            pending_update: None,
            latest_invoice: Some("in_1".to_owned()),
            default_payment_method: Some("pm_1".to_owned()),
            days_until_due: None,
            livemode: true,
            metadata: Notes::new(),
        }
    }

    setters! {
        /// `incomplete`, `incomplete_expired`, `trialing`, `active`, `past_due`, `canceled`,
        /// `unpaid` or `paused`.
        status: &str => |status| status.to_owned();
        /// Everything subscribed to, in place of the one item.
        items: &[SubscriptionItemObject] => |items| items.to_vec();
        /// Start and end of the current period, Unix seconds; an item can have its own.
        period: (i64, i64) => |period| period;
        /// When it was created, Unix seconds.
        created: i64 => |seconds| seconds;
        /// One spelling of "will cancel".
        cancel_at_period_end: bool => |will| will;
        /// The other spelling, Unix seconds.
        cancel_at: Option<i64> => |seconds| seconds;
        /// When cancellation was asked for, Unix seconds.
        canceled_at: Option<i64> => |seconds| seconds;
        /// `cancellation_requested` (the default of what is canceled), `payment_disputed`,
        /// `payment_failed` or `canceled_by_retention_policy`.
        cancel_reason: Option<&str> => |reason| owned(reason);
        /// What the customer ticked: `too_expensive`, `unused`, ...
        cancel_feedback: Option<&str> => |feedback| owned(feedback);
        /// What the customer wrote.
        cancel_comment: Option<&str> => |comment| owned(comment);
        /// When it ended, Unix seconds.
        ended_at: Option<i64> => |seconds| seconds;
        /// Start and end of the trial, Unix seconds.
        trial: Option<(i64, i64)> => |trial| trial;
        /// What a trial does that ends without a payment method: `create_invoice`, `pause` or
        /// `cancel`.
        trial_end_behavior: &str => |behavior| behavior.to_owned();
        /// Collection that is paused, which leaves the status alone: `keep_as_draft`,
        /// `mark_uncollectible` or `void`, and when it resumes, Unix seconds.
        pause_collection: Option<(&str, Option<i64>)> =>
            |pause| pause.map(|(behavior, until)| (behavior.to_owned(), until));
        /// A change that waits for its payment, and when it is given up, Unix seconds.
        pending_update: Option<(SubscriptionItemObject, i64)> => |update| update;
        /// The newest invoice.
        latest_invoice: Option<&str> => |id| owned(id);
        /// What invoices are paid with.
        default_payment_method: Option<&str> => |id| owned(id);
        /// Live mode or test mode.
        livemode: bool => |live| live;
        /// The app's own notes.
        metadata: &[(&str, &str)] => |notes| notes_of(notes);
    }

    /// The price of the first item.
    #[must_use]
    pub fn price(mut self, price: &str) -> Self {
        self.first(|item| price.clone_into(&mut item.price));
        self
    }

    /// `day`, `week`, `month` or `year`, of the first item.
    #[must_use]
    pub fn interval(mut self, interval: &str) -> Self {
        self.first(|item| item.interval = (interval.to_owned(), 1));
        self
    }

    /// Seats of the first item; `None` for a metered price.
    #[must_use]
    pub fn quantity(mut self, quantity: Option<i64>) -> Self {
        self.first(|item| item.quantity = quantity);
        self
    }

    /// One item more.
    #[must_use]
    pub fn item(mut self, item: SubscriptionItemObject) -> Self {
        self.items.push(item);
        self
    }

    /// Paused for good: the status is `paused`, since an instant in Unix seconds. Endive says
    /// why: `pause_requested`, `trial_end_without_payment_method`, `first_payment_failure`,
    /// `final_payment_failure` or `system`.
    #[must_use]
    pub fn paused(mut self, reason: &str, since: i64) -> Self {
        self.status = "paused".to_owned();
        self.paused = Some((reason.to_owned(), since));
        self
    }

    /// Invoices are sent by mail, and are due after this many days.
    #[must_use]
    pub fn send_invoice(mut self, days_until_due: i64) -> Self {
        self.days_until_due = Some(days_until_due);
        self.default_payment_method = None;
        self
    }

    fn first(&mut self, change: impl FnOnce(&mut SubscriptionItemObject)) {
        if let Some(item) = self.items.first_mut() {
            change(item);
        }
    }

    /// The object in a shape.
    pub fn render(&self, shape: Shape) -> Value {
        let mut subscription = json!({
            "id": self.id, "object": "subscription", "application": null,
            "automatic_tax": {"enabled": false, "liability": null},
            "billing_cycle_anchor": self.period.0, "cancel_at": self.cancel_at,
            "cancel_at_period_end": self.cancel_at_period_end, "canceled_at": self.canceled_at,
            "cancellation_details": self.cancellation(),
            "collection_method": self.collection(), "created": self.created,
            "currency": "usd", "customer": self.customer, "days_until_due": self.days_until_due,
            "default_payment_method": self.default_payment_method, "ended_at": self.ended_at,
            "items": {"object": "list", "data": self.rendered_items(shape), "has_more": false,
                "url": format!("/v1/subscription_items?subscription={}", self.id)},
            "latest_invoice": self.latest_invoice, "livemode": self.livemode,
            "metadata": self.metadata,
            "pause_collection": self.pause_collection.as_ref().map(|(behavior, until)| {
                json!({"behavior": behavior, "resumes_at": until})
            }),
            "pending_setup_intent": null, "pending_update": self.pending(shape),
            "schedule": null, "start_date": self.created, "status": self.status,
            "test_clock": null, "trial_end": self.trial.map(|trial| trial.1),
            "trial_settings": {"end_behavior":
                {"missing_payment_method": self.trial_end_behavior}},
            "trial_start": self.trial.map(|trial| trial.0),
        });
        self.shaped(&mut subscription, shape);
        // The mirrors of a single item.
        let only = if let [item] = self.items.as_slice() { Some(item) } else { None };
        subscription["plan"] = only.map_or(Value::Null, SubscriptionItemObject::plan);
        if let Some(quantity) = only.and_then(|item| item.quantity) {
            subscription["quantity"] = json!(quantity);
        }
        subscription
    }

    /// What versions moved, dropped or added.
    fn shaped(&self, subscription: &mut Value, shape: Shape) {
        if shape.is_old() {
            let (start, end) = self.first_to_end();
            subscription["current_period_start"] = json!(start);
            subscription["current_period_end"] = json!(end);
            subscription["discount"] = Value::Null;
        }
        if shape >= Shape::Autumn2023 {
            subscription["discounts"] = json!([]);
        }
        // Removed with basil and back two months later.
        if shape != Shape::Basil {
            subscription["billing_thresholds"] = Value::Null;
        }
        // Named by basil, and seen in payloads of 2024 versions that were written since.
        if shape >= Shape::OldExtended {
            let mode = if shape < Shape::Clover { "classic" } else { "flexible" };
            subscription["billing_mode"] = json!({"type": mode, "updated_at": self.created});
        }
        if shape >= Shape::Clover {
            subscription["customer_account"] = Value::Null;
        }
        if let (true, Some((reason, since))) = (shape >= Shape::Endive, &self.paused)
            && self.status == "paused"
        {
            subscription["status_details"] = json!({"paused": {"type": "subscription",
                "subscription": {"type": reason}, "transitioned_at": since}});
        }
    }

    fn rendered_items(&self, shape: Shape) -> Vec<Value> {
        let of = (self.id.as_str(), self.period, self.livemode);
        self.items.iter().map(|item| item.render(shape, of)).collect()
    }

    /// Where periods are mixed, the subscription has the one that ends first.
    fn first_to_end(&self) -> (i64, i64) {
        let periods = self.items.iter().map(|item| item.period.unwrap_or(self.period));
        periods.min_by_key(|period| period.1).unwrap_or(self.period)
    }

    fn cancellation(&self) -> Value {
        let by_default = self.canceled_at.map(|_| "cancellation_requested");
        json!({"comment": self.cancel_comment, "feedback": self.cancel_feedback,
            "reason": self.cancel_reason.as_deref().or(by_default)})
    }

    fn collection(&self) -> &'static str {
        if self.days_until_due.is_some() { "send_invoice" } else { "charge_automatically" }
    }

    fn pending(&self, shape: Shape) -> Option<Value> {
        let (item, expires_at) = self.pending_update.as_ref()?;
        let item = item.render(shape, (&self.id, self.period, self.livemode));
        Some(json!({"billing_cycle_anchor": null, "expires_at": expires_at,
            "subscription_items": [item], "trial_end": null, "trial_from_plan": null}))
    }
}
