use serde_json::{Value, json};

use super::{Notes, notes_of, owned, setters};
use crate::event::Shape;
use crate::event::histories::START;

/// A payment method, as in <https://docs.stripe.com/api/payment_methods/object>. Stripe has no
/// event for one that is about to expire.
#[derive(Clone, Debug)]
pub struct PaymentMethodObject {
    id: String,
    customer: Option<String>,
    kind: String,
    brand: String,
    last4: String,
    expires: (i64, i64),
    created: i64,
    livemode: bool,
    metadata: Notes,
}

impl PaymentMethodObject {
    /// A live Visa card until December 2034; without a customer it is not attached, or not any
    /// more.
    pub fn new(id: &str, customer: Option<&str>) -> Self {
        Self {
            id: id.to_owned(),
            customer: owned(customer),
            kind: "card".to_owned(),
            brand: "visa".to_owned(),
            last4: "4242".to_owned(),
            expires: (12, 2034),
            created: START,
            livemode: true,
            metadata: Notes::new(),
        }
    }

    setters! {
        /// Whose it is; none after it was detached.
        customer: Option<&str> => |id| owned(id);
        /// `card`, `sepa_debit`, `link`, ...: its `type`.
        kind: &str => |kind| kind.to_owned();
        /// `visa`, `mastercard`, ...
        brand: &str => |brand| brand.to_owned();
        /// The last four digits.
        last4: &str => |digits| digits.to_owned();
        /// Month (1 to 12) and year of the card's end.
        expires: (i64, i64) => |end| end;
        /// When it was created, Unix seconds.
        created: i64 => |seconds| seconds;
        /// Live mode or test mode.
        livemode: bool => |live| live;
        /// The app's own notes.
        metadata: &[(&str, &str)] => |notes| notes_of(notes);
    }

    /// The object in a shape.
    pub fn render(&self, shape: Shape) -> Value {
        let mut method = json!({
            "id": self.id, "object": "payment_method", "allow_redisplay": "limited",
            "billing_details": {"address": null, "email": "jane@example.test",
                "name": "Jane Doe", "phone": null},
            "created": self.created, "customer": self.customer, "livemode": self.livemode,
            "metadata": self.metadata, "type": self.kind,
        });
        method[self.kind.as_str()] = match self.kind.as_str() {
            "card" => card(&self.brand, &self.last4, self.expires),
            "link" => json!({"email": "jane@example.test"}),
            _ => json!({"last4": self.last4}),
        };
        if shape >= Shape::Clover {
            method["customer_account"] = Value::Null;
        }
        method
    }
}

fn card(brand: &str, last4: &str, (month, year): (i64, i64)) -> Value {
    json!({"brand": brand, "country": "US", "exp_month": month, "exp_year": year,
        "fingerprint": format!("print{last4}"), "funding": "credit", "last4": last4,
        "three_d_secure_usage": {"supported": true}, "wallet": null})
}

/// A card or source of the time before payment methods: the only ones that
/// `customer.source.expiring` is about (<https://docs.stripe.com/api/cards/object>,
/// <https://docs.stripe.com/api/sources/object>).
#[derive(Clone, Debug)]
pub struct PaymentSourceObject {
    id: String,
    customer: String,
    expires: (i64, i64),
    last4: String,
}

impl PaymentSourceObject {
    /// A Visa card until January 2026: a card if the id begins with `card_`, else a source.
    pub fn new(id: &str, customer: &str) -> Self {
        Self {
            id: id.to_owned(),
            customer: customer.to_owned(),
            expires: (1, 2026),
            last4: "4242".to_owned(),
        }
    }

    setters! {
        /// Month (1 to 12) and year of the card's end.
        expires: (i64, i64) => |end| end;
        /// The last four digits.
        last4: &str => |digits| digits.to_owned();
    }

    /// The object: all shapes have the same.
    pub fn render(&self, _: Shape) -> Value {
        let (month, year) = self.expires;
        let card = json!({"brand": "Visa", "country": "US", "exp_month": month,
            "exp_year": year, "fingerprint": format!("print{}", self.last4),
            "funding": "credit", "last4": self.last4, "name": "Jane Doe"});
        if !self.id.starts_with("card_") {
            return json!({"id": self.id, "object": "source", "amount": null, "card": card,
                "created": START, "currency": null, "customer": self.customer, "flow": "none",
                "livemode": true, "metadata": {}, "owner": {"email": "jane@example.test"},
                "status": "chargeable", "type": "card", "usage": "reusable"});
        }
        let mut whole = card;
        whole["id"] = json!(self.id);
        whole["object"] = json!("card");
        whole["customer"] = json!(self.customer);
        whole["metadata"] = json!({});
        whole
    }
}
