use std::collections::BTreeMap;

use serde_json::{Value, json};

use super::Shape;
use super::histories::{MONTH, START};

/// Writes the setters of a builder whose fields have the setters' names.
macro_rules! setters {
    ($($(#[$doc:meta])* $field:ident: $from:ty => |$value:ident| $set:expr;)+) => {
        $($(#[$doc])*
        #[must_use]
        pub fn $field(mut self, $value: $from) -> Self {
            self.$field = $set;
            self
        })+
    };
}

/// A customer, as in <https://docs.stripe.com/api/customers/object>.
#[derive(Clone, Debug)]
pub struct CustomerObject {
    id: String,
    email: Option<String>,
    created: i64,
    livemode: bool,
    metadata: BTreeMap<String, String>,
}

impl CustomerObject {
    /// A live customer without metadata.
    pub fn new(id: &str) -> Self {
        Self {
            id: id.to_owned(),
            email: Some("jane@example.test".to_owned()),
            created: START,
            livemode: true,
            metadata: BTreeMap::new(),
        }
    }

    setters! {
        /// Where mail goes.
        email: &str => |email| Some(email.to_owned());
        /// When it was created, Unix seconds.
        created: i64 => |seconds| seconds;
        /// Live mode or test mode.
        livemode: bool => |live| live;
        /// The app's own notes.
        metadata: &[(&str, &str)] => |notes| notes_of(notes);
    }

    /// The object in a shape.
    pub fn render(&self, shape: Shape) -> Value {
        let mut customer = json!({
            "id": self.id, "object": "customer", "address": null, "balance": 0,
            "created": self.created, "currency": "usd", "default_source": null,
            "delinquent": false, "description": null, "email": self.email,
            "invoice_prefix": "8A1C3F2B",
            "invoice_settings": {"custom_fields": null, "default_payment_method": null,
                "footer": null, "rendering_options": null},
            "livemode": self.livemode, "metadata": self.metadata, "name": "Jane Doe",
            "next_invoice_sequence": 1, "phone": null, "preferred_locales": ["en"],
            "shipping": null, "tax_exempt": "none", "test_clock": null,
        });
        if shape.is_old() {
            customer["discount"] = Value::Null;
        }
        customer
    }
}

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

/// An invoice with one line, as in <https://docs.stripe.com/api/invoices/object>.
#[derive(Clone, Debug)]
pub struct InvoiceObject {
    id: String,
    customer: String,
    subscription: Option<String>,
    status: String,
    billing_reason: String,
    price: String,
    total: i64,
    attempt_count: i64,
    next_payment_attempt: Option<i64>,
    created: i64,
    paid_at: Option<i64>,
    period: (i64, i64),
    proration: bool,
    livemode: bool,
    metadata: BTreeMap<String, String>,
}

impl InvoiceObject {
    /// A live, open invoice of 15.00 USD for a subscription's first month; `None` is one written
    /// by hand.
    pub fn new(id: &str, customer: &str, subscription: Option<&str>) -> Self {
        let reason = if subscription.is_some() {
            "subscription_create"
        } else {
            "manual"
        };
        Self {
            id: id.to_owned(),
            customer: customer.to_owned(),
            subscription: subscription.map(str::to_owned),
            status: "open".to_owned(),
            billing_reason: reason.to_owned(),
            price: "price_pro".to_owned(),
            total: 1_500,
            attempt_count: 0,
            next_payment_attempt: None,
            created: START,
            paid_at: None,
            period: (START, START + MONTH),
            proration: false,
            livemode: true,
            metadata: BTreeMap::new(),
        }
    }

    setters! {
        /// `draft`, `open`, `paid`, `uncollectible` or `void`.
        status: &str => |status| status.to_owned();
        /// `subscription_create`, `subscription_cycle`, ...
        billing_reason: &str => |reason| reason.to_owned();
        /// The price billed.
        price: &str => |price| price.to_owned();
        /// Minor units.
        total: i64 => |total| total;
        /// How often collection was tried.
        attempt_count: i64 => |count| count;
        /// When it will be tried again, Unix seconds.
        next_payment_attempt: Option<i64> => |seconds| seconds;
        /// When it was created, Unix seconds.
        created: i64 => |seconds| seconds;
        /// When it was paid, Unix seconds.
        paid_at: Option<i64> => |seconds| seconds;
        /// Start and end of the service that the line bills, Unix seconds.
        period: (i64, i64) => |period| period;
        /// Whether the line settles a change in the middle of a period.
        proration: bool => |proration| proration;
        /// Live mode or test mode.
        livemode: bool => |live| live;
        /// The subscription's metadata, as the invoice repeats them.
        metadata: &[(&str, &str)] => |notes| notes_of(notes);
    }

    /// The object in a shape.
    pub fn render(&self, shape: Shape) -> Value {
        let (final_, paid) = (self.status != "draft", self.status == "paid");
        let (id, total) = (&self.id, self.total);
        let amount_paid = if paid { total } else { 0 };
        let due = if paid { 0 } else { total };
        let url = final_.then(|| format!("https://invoice.stripe.test/i/{id}"));
        let mut invoice = json!({
            "id": id, "object": "invoice", "account_country": "US", "amount_due": total,
            "amount_paid": amount_paid, "amount_remaining": due,
            "attempt_count": self.attempt_count, "attempted": self.attempt_count > 0,
            "auto_advance": !paid, "billing_reason": self.billing_reason,
            "collection_method": "charge_automatically", "created": self.created,
            "currency": "usd", "customer": self.customer, "due_date": null,
            "hosted_invoice_url": url, "invoice_pdf": url.as_ref().map(|url| format!("{url}/pdf")),
            "lines": {"object": "list", "data": [self.line(shape)], "has_more": false,
                "total_count": 1, "url": format!("/v1/invoices/{id}/lines")},
            "livemode": self.livemode, "metadata": {},
            "next_payment_attempt": self.next_payment_attempt,
            "number": final_.then(|| format!("8A1C3F2B-{id}")),
            "period_end": self.created, "period_start": self.created, "status": self.status,
            "status_transitions": {"finalized_at": final_.then_some(self.created),
                "marked_uncollectible_at": null, "paid_at": self.paid_at, "voided_at": null},
            "subtotal": total, "total": total,
        });
        if shape.is_old() {
            invoice["charge"] = json!(paid.then(|| format!("ch_{id}")));
            invoice["paid"] = json!(paid);
            invoice["payment_intent"] = json!(final_.then(|| format!("pi_{id}")));
            invoice["subscription"] = json!(self.subscription);
            invoice["subscription_details"] = json!({"metadata": self.metadata});
            invoice["tax"] = Value::Null;
        } else {
            invoice["parent"] = json!(self.subscription.as_ref().map(|subscription| json!({
                "quote_details": null, "type": "subscription_details",
                "subscription_details": {"metadata": self.metadata, "subscription": subscription},
            })));
            invoice["total_taxes"] = json!([]);
            invoice["amount_overpaid"] = json!(0);
        }
        match shape {
            Shape::Old => invoice["rendering_options"] = Value::Null,
            _ => invoice["rendering"] = Value::Null,
        }
        invoice
    }

    fn line(&self, shape: Shape) -> Value {
        let item = self.subscription.as_ref().map(|id| format!("si_{id}"));
        let mut line = json!({
            "id": format!("il_{}", self.id), "object": "line_item", "amount": self.total,
            "currency": "usd", "description": "1 × Pro (at $15.00 / month)", "discountable": true,
            "livemode": self.livemode, "metadata": self.metadata,
            "period": {"end": self.period.1, "start": self.period.0}, "quantity": 1,
            "subscription": self.subscription,
        });
        if shape.is_old() {
            line["price"] = json!({"id": self.price, "object": "price", "product": "prod_1",
                "type": "recurring", "unit_amount": self.total});
            line["proration"] = json!(self.proration);
            line["subscription_item"] = json!(item);
            let kind = if item.is_some() {
                "subscription"
            } else {
                "invoiceitem"
            };
            line["type"] = json!(kind);
            return line;
        }
        line["pricing"] = json!({"type": "price_details", "unit_amount_decimal": "1500",
            "price_details": {"price": self.price, "product": "prod_1"}});
        line["parent"] = match &self.subscription {
            Some(subscription) => json!({
                "invoice_item_details": null, "type": "subscription_item_details",
                "subscription_item_details": {"invoice_item": null, "proration": self.proration,
                    "subscription": subscription, "subscription_item": item}}),
            None => json!({
                "type": "invoice_item_details", "subscription_item_details": null,
                "invoice_item_details": {"invoice_item": format!("ii_{}", self.id),
                    "proration": self.proration, "subscription": null}}),
        };
        line
    }
}

/// A checkout session, as in <https://docs.stripe.com/api/checkout/sessions/object>.
#[derive(Clone, Debug)]
pub struct CheckoutObject {
    id: String,
    customer: Option<String>,
    mode: String,
    status: String,
    payment_status: String,
    subscription: Option<String>,
    invoice: Option<String>,
    payment_intent: Option<String>,
    client_reference_id: Option<String>,
    amount_total: i64,
    created: i64,
    livemode: bool,
    metadata: BTreeMap<String, String>,
}

impl CheckoutObject {
    /// A live session that is complete and paid; without a customer it is a guest's. It sells a
    /// subscription if one is set, else a one-time payment.
    pub fn new(id: &str, customer: Option<&str>) -> Self {
        Self {
            id: id.to_owned(),
            customer: customer.map(str::to_owned),
            mode: "payment".to_owned(),
            status: "complete".to_owned(),
            payment_status: "paid".to_owned(),
            subscription: None,
            invoice: None,
            payment_intent: None,
            client_reference_id: None,
            amount_total: 1_500,
            created: START,
            livemode: true,
            metadata: BTreeMap::new(),
        }
    }

    setters! {
        /// `open`, `complete` or `expired`.
        status: &str => |status| status.to_owned();
        /// `paid`, `unpaid` or `no_payment_required`.
        payment_status: &str => |status| status.to_owned();
        /// The invoice it made.
        invoice: Option<&str> => |id| id.map(str::to_owned);
        /// The payment it made.
        payment_intent: Option<&str> => |id| id.map(str::to_owned);
        /// What the link or the app says of who buys.
        client_reference_id: Option<&str> => |id| id.map(str::to_owned);
        /// Minor units.
        amount_total: i64 => |total| total;
        /// When it was created, Unix seconds.
        created: i64 => |seconds| seconds;
        /// Live mode or test mode.
        livemode: bool => |live| live;
        /// The app's own notes.
        metadata: &[(&str, &str)] => |notes| notes_of(notes);
    }

    /// The subscription it made; it then is of the mode that sells one.
    #[must_use]
    pub fn subscription(mut self, id: &str) -> Self {
        self.subscription = Some(id.to_owned());
        self.mode = "subscription".to_owned();
        self
    }

    /// The object in a shape.
    pub fn render(&self, shape: Shape) -> Value {
        let mut session = json!({
            "id": self.id, "object": "checkout.session", "amount_subtotal": self.amount_total,
            "amount_total": self.amount_total, "cancel_url": "https://app.example.test/pricing",
            "client_reference_id": self.client_reference_id, "created": self.created,
            "currency": "usd", "customer": self.customer,
            "customer_details": {"email": "jane@example.test", "name": "Jane Doe"},
            "expires_at": self.created + 86_400, "invoice": self.invoice,
            "livemode": self.livemode, "metadata": self.metadata, "mode": self.mode,
            "payment_intent": self.payment_intent, "payment_method_types": ["card"],
            "payment_status": self.payment_status, "setup_intent": null, "status": self.status,
            "subscription": self.subscription,
            "success_url": "https://app.example.test/welcome", "ui_mode": "hosted_page",
        });
        session["url"] = match self.status.as_str() {
            "open" => json!(format!("https://checkout.stripe.test/c/pay/{}", self.id)),
            _ => Value::Null,
        };
        if shape.is_old() {
            session["ui_mode"] = json!("hosted");
            session["shipping_details"] = Value::Null;
        } else {
            session["collected_information"] = json!({"shipping_details": null});
        }
        session
    }
}

fn notes_of(notes: &[(&str, &str)]) -> BTreeMap<String, String> {
    notes
        .iter()
        .map(|(key, value)| ((*key).to_owned(), (*value).to_owned()))
        .collect()
}

#[cfg(test)]
mod tests {
    use stripe_billing_core::stripe::objects::{CheckoutSession, Customer, Invoice, Subscription};

    use super::*;

    #[test]
    fn all_shapes_mean_the_same() {
        let notes = [("app_user", "acme")];
        let subscription = SubscriptionObject::new("sub_1", "cus_1")
            .quantity(Some(3))
            .trial(Some((START, START + 7)))
            .metadata(&notes);
        let invoice = InvoiceObject::new("in_1", "cus_1", Some("sub_1"))
            .status("paid")
            .paid_at(Some(START + 5))
            .proration(true)
            .metadata(&notes);
        let manual = InvoiceObject::new("in_2", "cus_1", None);
        let checkout = CheckoutObject::new("cs_live_1", Some("cus_1"))
            .subscription("sub_1")
            .metadata(&notes);
        let customer = CustomerObject::new("cus_1").metadata(&notes);
        let new = Shape::New;
        for old in [Shape::Old, Shape::OldExtended] {
            let views = |shape| {
                (
                    Subscription::from_json(&subscription.render(shape)),
                    Invoice::from_json(&invoice.render(shape)),
                    Invoice::from_json(&manual.render(shape)),
                    CheckoutSession::from_json(&checkout.render(shape)),
                    Customer::from_json(&customer.render(shape)),
                )
            };
            assert_eq!(views(old), views(new), "{old:?}");
        }
        let view = Subscription::from_json(&subscription.render(new)).unwrap();
        assert_eq!(view.period_end(), Some(START + MONTH));
        assert_eq!(view.items[0].quantity, Some(3));
        let view = Invoice::from_json(&invoice.render(new)).unwrap();
        assert_eq!(view.subscription.as_deref(), Some("sub_1"));
        assert_eq!(view.subscription_metadata["app_user"], "acme");
        assert!(view.lines[0].proration);
        assert_eq!(
            Invoice::from_json(&manual.render(new))
                .unwrap()
                .subscription,
            None
        );
    }

    #[test]
    fn the_shapes_differ_where_stripe_changed_them() {
        let subscription = SubscriptionObject::new("sub_1", "cus_1");
        let (old, new) = (
            subscription.render(Shape::Old),
            subscription.render(Shape::New),
        );
        assert!(old["current_period_end"].is_i64());
        assert!(old["items"]["data"][0]["current_period_end"].is_null());
        assert!(new["current_period_end"].is_null());
        assert!(new["items"]["data"][0]["current_period_end"].is_i64());
        let invoice = InvoiceObject::new("in_1", "cus_1", Some("sub_1"));
        let (old, new) = (invoice.render(Shape::Old), invoice.render(Shape::New));
        assert_eq!(old["subscription"], "sub_1");
        assert!(new["subscription"].is_null());
        assert_eq!(
            new["parent"]["subscription_details"]["subscription"],
            "sub_1"
        );
    }
}
