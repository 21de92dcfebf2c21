use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::open_enum;
use crate::stripe::field::{id, int, text};

open_enum! {
    /// Whether a payment of an invoice counts.
    InvoicePaymentStatus {
        /// Not paid yet.
        Open = "open",
        /// Paid.
        Paid = "paid",
        /// Given up.
        Canceled = "canceled",
    }
}

/// A payment of an invoice, which since basil ties the two together
/// (<https://docs.stripe.com/api/invoice-payment/object>). The amount is in minor units of
/// `currency`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct InvoicePayment {
    /// `inpay_...`
    pub id: String,
    /// The invoice paid.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub invoice: Option<String>,
    /// The payment, where it was made by one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub payment_intent: Option<String>,
    /// The charge, where it was made without a payment intent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub charge: Option<String>,
    /// What was paid.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub amount_paid: Option<i64>,
    /// Three-letter code, lower case.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub currency: Option<String>,
    /// Whether it counts.
    pub status: InvoicePaymentStatus,
}

impl InvoicePayment {
    /// Reads an invoice payment; `None` when it has no id.
    pub fn from_json(value: &Value) -> Option<Self> {
        Some(Self {
            id: id(value, &["id"])?,
            invoice: id(value, &["invoice"]),
            payment_intent: id(value, &["payment", "payment_intent"]),
            charge: id(value, &["payment", "charge"]),
            amount_paid: int(value, &["amount_paid"]),
            currency: text(value, &["currency"]),
            status: text(value, &["status"]).unwrap_or_default().into(),
        })
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn reads_a_payment_plain_and_expanded() {
        let plain = json!({"id": "inpay_1", "object": "invoice_payment", "invoice": "in_1",
            "payment": {"type": "payment_intent", "payment_intent": "pi_1"}, "amount_paid": 1500,
            "amount_requested": 1500, "currency": "usd", "is_default": true, "status": "paid"});
        let mut expanded = plain.clone();
        expanded["invoice"] = json!({"id": "in_1"});
        expanded["payment"]["payment_intent"] = json!({"id": "pi_1"});
        let view = InvoicePayment::from_json(&plain).unwrap();
        assert_eq!(Some(&view), InvoicePayment::from_json(&expanded).as_ref());
        assert_eq!(view.payment_intent.as_deref(), Some("pi_1"));
        assert_eq!((view.charge, view.amount_paid), (None, Some(1500)));
        assert_eq!(view.status, InvoicePaymentStatus::Paid);
    }

    #[test]
    fn what_is_missing_or_unknown_does_not_fail() {
        let view = InvoicePayment::from_json(&json!({"id": "inpay_1", "status": "half",
            "amount_paid": null, "payment": {"type": "charge", "charge": "ch_1"}}))
        .unwrap();
        assert_eq!(view.charge.as_deref(), Some("ch_1"));
        assert_eq!(view.status, InvoicePaymentStatus::Other("half".into()));
        let stored = serde_json::to_value(&view).unwrap();
        assert_eq!(stored, json!({"id": "inpay_1", "status": "half", "charge": "ch_1"}));
        assert_eq!(serde_json::from_value::<InvoicePayment>(stored).unwrap(), view);
        assert_eq!(InvoicePayment::from_json(&json!({"invoice": "in_1"})), None);
    }
}
