use serde_json::{Value, json};

use super::{Notes, notes_of, owned, setters};
use crate::event::Shape;
use crate::event::histories::START;

/// A payment intent, as in <https://docs.stripe.com/api/payment_intents/object>.
#[derive(Clone, Debug)]
pub struct PaymentIntentObject {
    id: String,
    amount: i64,
    amount_received: Option<i64>,
    currency: String,
    customer: Option<String>,
    status: String,
    invoice: Option<String>,
    latest_charge: Option<String>,
    payment_method: Option<String>,
    payment_method_type: String,
    decline_code: Option<String>,
    canceled_at: Option<i64>,
    description: Option<String>,
    created: i64,
    livemode: bool,
    metadata: Notes,
}

impl PaymentIntentObject {
    /// A live payment of minor units in USD that succeeded, for nobody's invoice.
    pub fn new(id: &str, amount: i64) -> Self {
        Self {
            id: id.to_owned(),
            amount,
            amount_received: None,
            currency: "usd".to_owned(),
            customer: None,
            status: "succeeded".to_owned(),
            invoice: None,
            latest_charge: None,
            payment_method: Some("pm_1".to_owned()),
            payment_method_type: "card".to_owned(),
            decline_code: None,
            canceled_at: None,
            description: None,
            created: START,
            livemode: true,
            metadata: Notes::new(),
        }
    }

    setters! {
        /// What arrived, minor units; by default all once it succeeded, and nothing before.
        amount_received: i64 => |amount| Some(amount);
        /// Three letters in lower case.
        currency: &str => |currency| currency.to_owned();
        /// Who pays; a guest's has none.
        customer: Option<&str> => |id| owned(id);
        /// `requires_payment_method`, `requires_confirmation`, `requires_action`, `processing`,
        /// `requires_capture`, `canceled` or `succeeded`.
        status: &str => |status| status.to_owned();
        /// The invoice it pays. Only shapes before basil say so.
        invoice: Option<&str> => |id| owned(id);
        /// The newest attempt.
        latest_charge: Option<&str> => |id| owned(id);
        /// What it is paid with.
        payment_method: Option<&str> => |id| owned(id);
        /// `card`, `sepa_debit`, ...
        payment_method_type: &str => |kind| kind.to_owned();
        /// Why the bank said no the last time.
        decline_code: Option<&str> => |code| owned(code);
        /// When it was canceled, Unix seconds.
        canceled_at: Option<i64> => |seconds| seconds;
        /// What the statement says.
        description: Option<&str> => |text| owned(text);
        /// When it was created, Unix seconds.
        created: i64 => |seconds| seconds;
        /// Live mode or test mode.
        livemode: bool => |live| live;
        /// The app's own notes.
        metadata: &[(&str, &str)] => |notes| notes_of(notes);
    }

    /// The object in a shape.
    pub fn render(&self, shape: Shape) -> Value {
        let all = if self.status == "succeeded" { self.amount } else { 0 };
        let action = (self.status == "requires_action").then(|| {
            json!({"type": "use_stripe_sdk", "use_stripe_sdk": {"type": "three_d_secure_redirect"}})
        });
        // From 2024-04-10 on the default is to capture when the bank has time for it.
        let capture = if shape < Shape::OldExtended { "automatic" } else { "automatic_async" };
        let mut intent = json!({
            "id": self.id, "object": "payment_intent", "amount": self.amount,
            "amount_capturable": 0, "amount_details": {"tip": {}},
            "amount_received": self.amount_received.unwrap_or(all), "application": null,
            "automatic_payment_methods": null, "canceled_at": self.canceled_at,
            "cancellation_reason": null, "capture_method": capture,
            "client_secret": format!("{}_secret_test", self.id),
            "confirmation_method": "automatic", "created": self.created,
            "currency": self.currency, "customer": self.customer,
            "description": self.description, "last_payment_error": self.error(),
            "latest_charge": self.latest_charge, "livemode": self.livemode,
            "metadata": self.metadata, "next_action": action,
            "payment_method": self.payment_method, "payment_method_options": {},
            "payment_method_types": [self.payment_method_type], "processing": null,
            "receipt_email": null, "setup_future_usage": null, "status": self.status,
        });
        if shape.is_old() {
            intent["invoice"] = json!(self.invoice);
        }
        if shape >= Shape::Clover {
            intent["customer_account"] = Value::Null;
        }
        intent
    }

    fn error(&self) -> Option<Value> {
        let code = self.decline_code.as_ref()?;
        Some(json!({"charge": self.latest_charge, "code": "card_declined", "decline_code": code,
            "message": "Your card was declined.", "type": "card_error"}))
    }
}
