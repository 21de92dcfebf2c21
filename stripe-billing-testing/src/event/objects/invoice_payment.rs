use serde_json::{Value, json};

use super::setters;
use crate::event::Shape;
use crate::event::histories::START;

/// One payment of an invoice, as in <https://docs.stripe.com/api/invoice-payment/object>: from
/// basil on the only link between an invoice and the money. An invoice may have several.
#[derive(Clone, Debug)]
pub struct InvoicePaymentObject {
    id: String,
    invoice: String,
    payment: (String, String),
    amount: i64,
    status: String,
    currency: String,
    is_default: bool,
    created: i64,
    livemode: bool,
}

impl InvoicePaymentObject {
    /// A live payment of minor units in USD that is paid, by a payment intent, a charge (`ch_`) or
    /// a record of money that moved elsewhere (`pr_`).
    pub fn new(id: &str, invoice: &str, payment: &str, amount: i64) -> Self {
        let kind = match payment.split('_').next() {
            Some("ch" | "py") => "charge",
            Some("pr") => "payment_record",
            _ => "payment_intent",
        };
        Self {
            id: id.to_owned(),
            invoice: invoice.to_owned(),
            payment: (kind.to_owned(), payment.to_owned()),
            amount,
            status: "paid".to_owned(),
            currency: "usd".to_owned(),
            is_default: true,
            created: START,
            livemode: true,
        }
    }

    setters! {
        /// `open`, `paid` or `canceled`.
        status: &str => |status| status.to_owned();
        /// Three letters in lower case.
        currency: &str => |currency| currency.to_owned();
        /// Whether it is the one that Stripe keeps up to date with the amount due.
        is_default: bool => |default| default;
        /// When it was created, Unix seconds.
        created: i64 => |seconds| seconds;
        /// Live mode or test mode.
        livemode: bool => |live| live;
    }

    /// The object: all shapes have the same.
    pub fn render(&self, _: Shape) -> Value {
        let (kind, payment) = (self.payment.0.as_str(), self.payment.1.as_str());
        let since = |status: &str| (self.status == status).then_some(self.created);
        json!({
            "id": self.id, "object": "invoice_payment",
            "amount_paid": since("paid").map(|_| self.amount), "amount_requested": self.amount,
            "created": self.created, "currency": self.currency, "invoice": self.invoice,
            "is_default": self.is_default, "livemode": self.livemode,
            "payment": {"type": kind, kind: payment}, "status": self.status,
            "status_transitions": {"canceled_at": since("canceled"), "paid_at": since("paid")},
        })
    }
}
