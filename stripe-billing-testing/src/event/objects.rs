mod invoice;
mod subscription;

use std::collections::BTreeMap;

use serde_json::{Value, json};

use super::Shape;
use super::histories::START;

pub use invoice::InvoiceObject;
pub use subscription::SubscriptionObject;

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
use setters;

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
    notes.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect()
}

#[cfg(test)]
mod tests {
    use stripe_billing_core::stripe::objects::{CheckoutSession, Customer, Invoice, Subscription};

    use super::*;
    use crate::event::histories::MONTH;

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
        let checkout =
            CheckoutObject::new("cs_live_1", Some("cus_1")).subscription("sub_1").metadata(&notes);
        let customer = CustomerObject::new("cus_1").metadata(&notes);
        let new = Shape::New;
        for old in [Shape::Old, Shape::OldExtended] {
            let views = |shape| {
                (
                    Subscription::from_json(&subscription.render(shape)),
                    // Since basil an invoice in an event does not name its payment.
                    [&invoice, &manual].map(|invoice| {
                        let mut view = Invoice::from_json(&invoice.render(shape)).unwrap();
                        (view.payment_intent, view.charge) = (None, None);
                        view
                    }),
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
        assert_eq!(Invoice::from_json(&manual.render(new)).unwrap().subscription, None);
    }

    #[test]
    fn the_shapes_differ_where_stripe_changed_them() {
        let subscription = SubscriptionObject::new("sub_1", "cus_1");
        let (old, new) = (subscription.render(Shape::Old), subscription.render(Shape::New));
        assert!(old["current_period_end"].is_i64());
        assert!(old["items"]["data"][0]["current_period_end"].is_null());
        assert!(new["current_period_end"].is_null());
        assert!(new["items"]["data"][0]["current_period_end"].is_i64());
        let invoice = InvoiceObject::new("in_1", "cus_1", Some("sub_1"));
        let (old, new) = (invoice.render(Shape::Old), invoice.render(Shape::New));
        assert_eq!(old["subscription"], "sub_1");
        assert!(new["subscription"].is_null());
        assert_eq!(new["parent"]["subscription_details"]["subscription"], "sub_1");
    }
}
