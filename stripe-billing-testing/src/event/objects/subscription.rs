use std::collections::BTreeMap;

use serde_json::{Value, json};

use super::{notes_of, setters};
use crate::event::Shape;
use crate::event::histories::{MONTH, START};

/// A subscription to one price, as in <https://docs.stripe.com/api/subscriptions/object>.
#[derive(Clone, Debug)]
pub struct SubscriptionObject {
    id: String,
    customer: String,
    status: String,
    price: String,
    interval: String,
    quantity: Option<i64>,
    period: (i64, i64),
    created: i64,
    cancel_at_period_end: bool,
    cancel_at: Option<i64>,
    canceled_at: Option<i64>,
    ended_at: Option<i64>,
    trial: Option<(i64, i64)>,
    latest_invoice: Option<String>,
    livemode: bool,
    metadata: BTreeMap<String, String>,
}

impl SubscriptionObject {
    /// A live, active subscription to one seat of `price_pro`, in its first month.
    pub fn new(id: &str, customer: &str) -> Self {
        Self {
            id: id.to_owned(),
            customer: customer.to_owned(),
            status: "active".to_owned(),
            price: "price_pro".to_owned(),
            interval: "month".to_owned(),
            quantity: Some(1),
            period: (START, START + MONTH),
            created: START,
            cancel_at_period_end: false,
            cancel_at: None,
            canceled_at: None,
            ended_at: None,
            trial: None,
            latest_invoice: Some("in_1".to_owned()),
            livemode: true,
            metadata: BTreeMap::new(),
        }
    }

    setters! {
        /// `incomplete`, `active`, `past_due`, ...
        status: &str => |status| status.to_owned();
        /// The price subscribed to.
        price: &str => |price| price.to_owned();
        /// `day`, `week`, `month` or `year`.
        interval: &str => |interval| interval.to_owned();
        /// Seats; `None` for a metered price.
        quantity: Option<i64> => |quantity| quantity;
        /// Start and end of the current period, Unix seconds.
        period: (i64, i64) => |period| period;
        /// When it was created, Unix seconds.
        created: i64 => |seconds| seconds;
        /// One spelling of "will cancel".
        cancel_at_period_end: bool => |will| will;
        /// The other spelling, Unix seconds.
        cancel_at: Option<i64> => |seconds| seconds;
        /// When cancellation was asked for, Unix seconds.
        canceled_at: Option<i64> => |seconds| seconds;
        /// When it ended, Unix seconds.
        ended_at: Option<i64> => |seconds| seconds;
        /// Start and end of the trial, Unix seconds.
        trial: Option<(i64, i64)> => |trial| trial;
        /// The newest invoice.
        latest_invoice: Option<&str> => |id| id.map(str::to_owned);
        /// Live mode or test mode.
        livemode: bool => |live| live;
        /// The app's own notes.
        metadata: &[(&str, &str)] => |notes| notes_of(notes);
    }

    /// The object in a shape.
    pub fn render(&self, shape: Shape) -> Value {
        let reason = self.canceled_at.map(|_| "cancellation_requested");
        let mut subscription = json!({
            "id": self.id, "object": "subscription", "application": null,
            "automatic_tax": {"enabled": false, "liability": null},
            "billing_cycle_anchor": self.period.0, "cancel_at": self.cancel_at,
            "cancel_at_period_end": self.cancel_at_period_end, "canceled_at": self.canceled_at,
            "cancellation_details": {"comment": null, "feedback": null, "reason": reason},
            "collection_method": "charge_automatically", "created": self.created,
            "currency": "usd", "customer": self.customer, "days_until_due": null,
            "default_payment_method": "pm_1", "ended_at": self.ended_at,
            "items": {"object": "list", "data": [self.item(shape)], "has_more": false,
                "url": format!("/v1/subscription_items?subscription={}", self.id)},
            "latest_invoice": self.latest_invoice, "livemode": self.livemode,
            "metadata": self.metadata, "pause_collection": null, "pending_setup_intent": null,
            "pending_update": null, "schedule": null, "start_date": self.created,
            "status": self.status, "test_clock": null,
            "trial_end": self.trial.map(|trial| trial.1),
            "trial_start": self.trial.map(|trial| trial.0),
        });
        if shape.is_old() {
            subscription["current_period_start"] = json!(self.period.0);
            subscription["current_period_end"] = json!(self.period.1);
            subscription["discount"] = Value::Null;
            subscription["plan"] = self.plan();
            subscription["quantity"] = json!(self.quantity);
        } else {
            subscription["billing_mode"] = json!({"type": "flexible", "updated_at": self.created});
        }
        if shape != Shape::Old {
            subscription["discounts"] = json!([]);
        }
        subscription
    }

    fn item(&self, shape: Shape) -> Value {
        let mut item = json!({
            "id": format!("si_{}", self.id), "object": "subscription_item", "created": self.created,
            "metadata": {}, "plan": self.plan(),
            "price": {"id": self.price, "object": "price", "active": true,
                "billing_scheme": "per_unit", "created": START, "currency": "usd",
                "livemode": self.livemode, "lookup_key": null, "metadata": {}, "product": "prod_1",
                "recurring": {"interval": self.interval, "interval_count": 1, "meter": null,
                    "usage_type": "licensed"},
                "type": "recurring", "unit_amount": 1500, "unit_amount_decimal": "1500"},
            "subscription": self.id, "tax_rates": [],
        });
        if let Some(quantity) = self.quantity {
            item["quantity"] = json!(quantity);
        }
        if shape != Shape::Old {
            item["current_period_start"] = json!(self.period.0);
            item["current_period_end"] = json!(self.period.1);
            item["discounts"] = json!([]);
        }
        item
    }

    fn plan(&self) -> Value {
        json!({"id": self.price, "object": "plan", "active": true, "amount": 1500,
            "currency": "usd", "interval": self.interval, "interval_count": 1,
            "product": "prod_1", "usage_type": "licensed"})
    }
}
