use serde_json::{Value, json};

use super::{Notes, notes_of, owned, setters};
use crate::event::Shape;
use crate::event::histories::START;

/// A customer, as in <https://docs.stripe.com/api/customers/object>.
#[derive(Clone, Debug)]
pub struct CustomerObject {
    id: String,
    email: Option<String>,
    name: Option<String>,
    default_payment_method: Option<String>,
    created: i64,
    livemode: bool,
    metadata: Notes,
}

impl CustomerObject {
    /// A live customer without metadata.
    pub fn new(id: &str) -> Self {
        Self {
            id: id.to_owned(),
            email: Some("jane@example.test".to_owned()),
            name: Some("Jane Doe".to_owned()),
            default_payment_method: None,
            created: START,
            livemode: true,
            metadata: Notes::new(),
        }
    }

    setters! {
        /// Where mail goes.
        email: &str => |email| Some(email.to_owned());
        /// The name, if one is known.
        name: Option<&str> => |name| owned(name);
        /// The payment method that invoices are paid with.
        default_payment_method: Option<&str> => |id| owned(id);
        /// When it was created, Unix seconds.
        created: i64 => |seconds| seconds;
        /// Live mode or test mode.
        livemode: bool => |live| live;
        /// The app's own notes.
        metadata: &[(&str, &str)] => |notes| notes_of(notes);
    }

    /// A customer whose address nobody knows.
    #[must_use]
    pub fn without_email(mut self) -> Self {
        self.email = None;
        self
    }

    /// The object in a shape. `customer.deleted` carries it whole as well, as it was last.
    pub fn render(&self, shape: Shape) -> Value {
        let mut customer = json!({
            "id": self.id, "object": "customer", "address": null, "balance": 0,
            "created": self.created, "currency": "usd", "default_source": null,
            "delinquent": false, "description": null, "email": self.email,
            "invoice_prefix": "8A1C3F2B",
            "invoice_settings": {"custom_fields": null,
                "default_payment_method": self.default_payment_method,
                "footer": null, "rendering_options": null},
            "livemode": self.livemode, "metadata": self.metadata, "name": self.name,
            "next_invoice_sequence": 1, "phone": null, "preferred_locales": ["en"],
            "shipping": null, "tax_exempt": "none", "test_clock": null,
        });
        if shape.is_old() {
            customer["discount"] = Value::Null;
        }
        if shape >= Shape::Clover {
            customer["customer_account"] = Value::Null;
        }
        customer
    }

    /// What the API gives for a customer that was deleted: its id, and that it is gone.
    pub fn render_deleted(&self) -> Value {
        json!({"id": self.id, "object": "customer", "deleted": true})
    }
}
