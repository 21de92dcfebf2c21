use std::collections::BTreeMap;

use serde_json::{Value, json};

use super::{notes_of, setters};
use crate::event::Shape;
use crate::event::histories::{MONTH, START};

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
        let reason = if subscription.is_some() { "subscription_create" } else { "manual" };
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
            let kind = if item.is_some() { "subscription" } else { "invoiceitem" };
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
