use serde_json::{Value, json};

use super::{Notes, notes_of, owned, setters};
use crate::event::Shape;
use crate::event::histories::{MONTH, START};

/// One line of an invoice, as in <https://docs.stripe.com/api/invoice-line-item/object>.
#[derive(Clone, Debug)]
pub struct LineObject {
    pub(super) id: String,
    pub(super) amount: i64,
    pub(super) price: String,
    pub(super) product: String,
    pub(super) description: String,
    pub(super) quantity: Option<i64>,
    pub(super) period: (i64, i64),
    pub(super) proration: bool,
    pub(super) subscription_item: Option<String>,
    pub(super) invoice_item: Option<String>,
    pub(super) metadata: Option<Notes>,
}

/// What a line repeats of its invoice.
pub(super) struct Of<'a> {
    pub(super) invoice: &'a str,
    pub(super) subscription: Option<&'a str>,
    pub(super) currency: &'a str,
    pub(super) livemode: bool,
    pub(super) metadata: &'a Notes,
}

impl LineObject {
    /// One of `price_pro` in the first month, for minor units that may be negative.
    pub fn new(id: &str, amount: i64) -> Self {
        Self {
            id: id.to_owned(),
            amount,
            price: "price_pro".to_owned(),
            product: "prod_1".to_owned(),
            description: "1 × Pro (at $15.00 / month)".to_owned(),
            quantity: Some(1),
            period: (START, START + MONTH),
            proration: false,
            subscription_item: None,
            invoice_item: None,
            metadata: None,
        }
    }

    setters! {
        /// The price billed.
        price: &str => |id| id.to_owned();
        /// What the price is of.
        product: &str => |id| id.to_owned();
        /// What people read.
        description: &str => |text| text.to_owned();
        /// How many; `None` where it is not counted.
        quantity: Option<i64> => |quantity| quantity;
        /// Start and end of what it bills, Unix seconds.
        period: (i64, i64) => |period| period;
        /// Whether it settles a change in the middle of a period.
        proration: bool => |proration| proration;
        /// The subscription's item it bills; by default the one a subscription has when it is
        /// made.
        subscription_item: Option<&str> => |id| owned(id);
        /// The invoice item it came from.
        invoice_item: Option<&str> => |id| owned(id);
        /// Its own notes; by default those of the subscription.
        metadata: &[(&str, &str)] => |notes| Some(notes_of(notes));
    }

    pub(super) fn render(&self, shape: Shape, of: &Of<'_>) -> Value {
        let mut line = json!({
            "id": self.id, "object": "line_item", "amount": self.amount,
            "currency": of.currency, "description": self.description, "discount_amounts": [],
            "discountable": !self.proration, "discounts": [], "invoice": of.invoice, "livemode": of.livemode,
            "metadata": self.metadata.as_ref().unwrap_or(of.metadata),
            "period": {"end": self.period.1, "start": self.period.0}, "quantity": self.quantity,
        });
        if shape >= Shape::Dahlia {
            line["quantity_decimal"] = json!(self.quantity.map(|count| count.to_string()));
        }
        if shape.is_old() {
            self.before_basil(&mut line, of);
        } else {
            self.since_basil(&mut line, of);
        }
        line
    }

    fn item(&self, of: &Of<'_>) -> Option<String> {
        let by_default = of.subscription.map(|id| format!("si_{id}"));
        self.subscription_item.clone().or(by_default)
    }

    fn unit_amount(&self) -> i64 {
        self.amount / self.quantity.unwrap_or(1).max(1)
    }

    fn before_basil(&self, line: &mut Value, of: &Of<'_>) {
        let by_item = of.subscription.is_none() || self.invoice_item.is_some();
        line["plan"] = Value::Null;
        line["price"] = json!({"id": self.price, "object": "price", "product": self.product,
            "type": if of.subscription.is_some() { "recurring" } else { "one_time" },
            "unit_amount": self.unit_amount()});
        line["proration"] = json!(self.proration);
        line["proration_details"] = json!({"credited_items": null});
        line["subscription"] = json!(of.subscription);
        if let Some(item) = self.item(of) {
            line["subscription_item"] = json!(item);
        }
        if by_item {
            line["invoice_item"] = json!(self.item_or_its_own(of));
        }
        line["tax_amounts"] = json!([]);
        line["tax_rates"] = json!([]);
        line["type"] = json!(if by_item { "invoiceitem" } else { "subscription" });
    }

    fn since_basil(&self, line: &mut Value, of: &Of<'_>) {
        line["pricing"] = json!({"type": "price_details",
            "unit_amount_decimal": self.unit_amount().to_string(),
            "price_details": {"price": self.price, "product": self.product}});
        line["taxes"] = json!([]);
        let details = json!({"credited_items": null});
        line["parent"] = match of.subscription {
            Some(subscription) => json!({
                "invoice_item_details": null, "type": "subscription_item_details",
                "subscription_item_details": {"invoice_item": self.invoice_item,
                    "proration": self.proration, "proration_details": details,
                    "subscription": subscription, "subscription_item": self.item(of)}}),
            None => json!({
                "type": "invoice_item_details", "subscription_item_details": null,
                "invoice_item_details": {"invoice_item": self.item_or_its_own(of),
                    "proration": self.proration, "proration_details": details,
                    "subscription": null}}),
        };
    }

    fn item_or_its_own(&self, of: &Of<'_>) -> String {
        self.invoice_item.clone().unwrap_or_else(|| format!("ii_{}", of.invoice))
    }
}
