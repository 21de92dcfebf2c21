use serde_json::{Value, json};

use super::{Notes, notes_of, owned, setters};
use crate::event::Shape;
use crate::event::histories::START;

/// A checkout session, as in <https://docs.stripe.com/api/checkout/sessions/object>.
#[derive(Clone, Debug)]
pub struct CheckoutObject {
    id: String,
    customer: Option<String>,
    mode: String,
    status: String,
    payment_status: String,
    payment_method_types: Vec<String>,
    subscription: Option<String>,
    invoice: Option<String>,
    payment_intent: Option<String>,
    setup_intent: Option<String>,
    client_reference_id: Option<String>,
    email: Option<String>,
    currency: String,
    amount_total: i64,
    amount_discount: i64,
    created: i64,
    expires_at: Option<i64>,
    livemode: bool,
    metadata: Notes,
}

impl CheckoutObject {
    /// A live session that is complete and paid; without a customer it is a guest's. It sells a
    /// subscription if one is set, else a one-time payment.
    pub fn new(id: &str, customer: Option<&str>) -> Self {
        Self {
            id: id.to_owned(),
            customer: owned(customer),
            mode: "payment".to_owned(),
            status: "complete".to_owned(),
            payment_status: "paid".to_owned(),
            payment_method_types: vec!["card".to_owned()],
            subscription: None,
            invoice: None,
            payment_intent: None,
            setup_intent: None,
            client_reference_id: None,
            email: Some("jane@example.test".to_owned()),
            currency: "usd".to_owned(),
            amount_total: 1_500,
            amount_discount: 0,
            created: START,
            expires_at: None,
            livemode: true,
            metadata: Notes::new(),
        }
    }

    setters! {
        /// `payment`, `setup` or `subscription`.
        mode: &str => |mode| mode.to_owned();
        /// `open`, `complete` or `expired`.
        status: &str => |status| status.to_owned();
        /// `paid`, `unpaid` (a delayed method that has not settled) or `no_payment_required`.
        payment_status: &str => |status| status.to_owned();
        /// What it can be paid with: `card`, `sepa_debit`, ...
        payment_method_types: &[&str] => |types| types.iter().map(ToString::to_string).collect();
        /// The invoice it made.
        invoice: Option<&str> => |id| owned(id);
        /// The payment it made; none where nothing had to be paid.
        payment_intent: Option<&str> => |id| owned(id);
        /// The setup intent, in setup mode and where a trial starts.
        setup_intent: Option<&str> => |id| owned(id);
        /// What the link or the app says of who buys.
        client_reference_id: Option<&str> => |id| owned(id);
        /// The address typed in; none while nobody typed one.
        email: Option<&str> => |email| owned(email);
        /// Three letters in lower case.
        currency: &str => |currency| currency.to_owned();
        /// Minor units, after discounts.
        amount_total: i64 => |total| total;
        /// What coupons took off, minor units.
        amount_discount: i64 => |amount| amount;
        /// When it was created, Unix seconds.
        created: i64 => |seconds| seconds;
        /// When it expires, Unix seconds; by default a day after it was created.
        expires_at: i64 => |seconds| Some(seconds);
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
        let details = self.email.as_ref().map(|email| {
            json!({"address": null, "email": email, "name": "Jane Doe", "phone": null,
                "tax_exempt": "none", "tax_ids": []})
        });
        let creation = (self.mode == "payment").then_some("if_required");
        let ui_mode = if shape < Shape::Dahlia { "hosted" } else { "hosted_page" };
        let mut session = json!({
            "id": self.id, "object": "checkout.session",
            "amount_subtotal": self.amount_total + self.amount_discount,
            "amount_total": self.amount_total, "cancel_url": "https://app.example.test/pricing",
            "client_reference_id": self.client_reference_id, "created": self.created,
            "currency": self.currency, "customer": self.customer, "customer_creation": creation,
            "customer_details": details, "customer_email": null,
            "expires_at": self.expires_at.unwrap_or(self.created + 86_400),
            "invoice": self.invoice, "livemode": self.livemode, "metadata": self.metadata,
            "mode": self.mode, "payment_intent": self.payment_intent, "payment_link": null,
            "payment_method_types": self.payment_method_types,
            "payment_status": self.payment_status, "recovered_from": null,
            "setup_intent": self.setup_intent, "status": self.status,
            "subscription": self.subscription,
            "success_url": "https://app.example.test/welcome",
            "total_details": {"amount_discount": self.amount_discount, "amount_shipping": 0,
                "amount_tax": 0},
            "ui_mode": ui_mode,
        });
        session["url"] = match self.status.as_str() {
            "open" => json!(format!("https://checkout.stripe.test/c/pay/{}", self.id)),
            _ => Value::Null,
        };
        if shape.is_old() {
            session["shipping_details"] = Value::Null;
        } else {
            session["collected_information"] = json!({"shipping_details": null});
        }
        if shape >= Shape::Clover {
            session["customer_account"] = Value::Null;
        }
        session
    }
}
