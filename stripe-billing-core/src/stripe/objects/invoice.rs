use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::open_enum;
use crate::stripe::field::{at, flag, id, int, list, metadata, text, time};

open_enum! {
    /// An invoice's status at Stripe. `Paid` and `Void` are final.
    InvoiceStatus {
        /// Not finalised yet.
        Draft = "draft",
        /// Finalised and waiting to be paid.
        Open = "open",
        /// Paid, by whatever means. Final.
        Paid = "paid",
        /// Given up; may still be paid or voided.
        Uncollectible = "uncollectible",
        /// Never to be paid. Final.
        Void = "void",
    }
}

impl InvoiceStatus {
    /// Whether Stripe never leaves this status again.
    pub fn is_terminal(&self) -> bool {
        matches!(self, Self::Paid | Self::Void)
    }

    /// How far along it is, to settle snapshots of one second.
    pub(crate) fn progress(&self) -> u8 {
        match self {
            Self::Draft => 1,
            Self::Open => 2,
            Self::Uncollectible => 3,
            Self::Void => 4,
            Self::Paid => 5,
            Self::Other(_) => 0,
        }
    }
}

open_enum! {
    /// Why an invoice was written.
    BillingReason {
        /// The first invoice of a subscription.
        SubscriptionCreate = "subscription_create",
        /// A renewal.
        SubscriptionCycle = "subscription_cycle",
        /// A change of a subscription, usually prorated.
        SubscriptionUpdate = "subscription_update",
        /// A usage threshold was reached.
        SubscriptionThreshold = "subscription_threshold",
        /// Written by hand, about no subscription.
        Manual = "manual",
    }
}

/// An invoice as billing sees it (<https://docs.stripe.com/api/invoices/object>). Amounts are minor
/// units of `currency`, times Unix seconds, UTC.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Invoice {
    /// `in_...`
    pub id: String,
    /// The customer billed.
    pub customer: Option<String>,
    /// The subscription it bills; `None` for one written by hand.
    pub subscription: Option<String>,
    /// Status at Stripe.
    pub status: InvoiceStatus,
    /// Why it was written.
    pub billing_reason: Option<BillingReason>,
    /// Three-letter code, lower case.
    pub currency: Option<String>,
    /// Sum of the lines after discounts and tax.
    pub total: Option<i64>,
    /// What the customer owes.
    pub amount_due: Option<i64>,
    /// What was paid.
    pub amount_paid: Option<i64>,
    /// How often collection was tried.
    pub attempt_count: i64,
    /// When it will be tried again.
    pub next_payment_attempt: Option<i64>,
    /// When a sent invoice is due.
    pub due_date: Option<i64>,
    /// Stripe's page on which it can be paid.
    pub hosted_invoice_url: Option<String>,
    /// When it was created.
    pub created: Option<i64>,
    /// When it was paid.
    pub paid_at: Option<i64>,
    /// What it bills; at most one page of lines.
    pub lines: Vec<InvoiceLine>,
    /// Whether there are lines beyond the first page.
    pub more_lines: bool,
    /// The subscription's metadata as it was when the invoice was finalised.
    pub subscription_metadata: BTreeMap<String, String>,
}

/// A line of an invoice.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct InvoiceLine {
    /// `il_...`
    pub id: String,
    /// Before discounts and tax, minor units.
    pub amount: Option<i64>,
    /// The price billed.
    pub price: Option<String>,
    /// How many.
    pub quantity: Option<i64>,
    /// Start of the service period.
    pub period_start: Option<i64>,
    /// End of the service period.
    pub period_end: Option<i64>,
    /// Whether it settles a change in the middle of a period.
    pub proration: bool,
    /// The subscription item billed.
    pub subscription_item: Option<String>,
}

impl Invoice {
    /// Reads an invoice of any API version; `None` when it has no id (an upcoming invoice).
    pub fn from_json(value: &Value) -> Option<Self> {
        let details = at(value, &["parent", "subscription_details"]);
        let details = details.or_else(|| at(value, &["subscription_details"]));
        Some(Self {
            id: id(value, &["id"])?,
            customer: id(value, &["customer"]),
            subscription: subscription_of(value),
            status: status_of(value),
            billing_reason: text(value, &["billing_reason"]).map(BillingReason::from),
            currency: text(value, &["currency"]),
            total: int(value, &["total"]),
            amount_due: int(value, &["amount_due"]),
            amount_paid: int(value, &["amount_paid"]),
            attempt_count: int(value, &["attempt_count"]).unwrap_or(0).max(0),
            next_payment_attempt: time(value, &["next_payment_attempt"]),
            due_date: time(value, &["due_date"]),
            hosted_invoice_url: text(value, &["hosted_invoice_url"]),
            created: time(value, &["created"]),
            paid_at: time(value, &["status_transitions", "paid_at"]),
            lines: list(value, &["lines"]).iter().filter_map(InvoiceLine::from_json).collect(),
            more_lines: flag(value, &["lines", "has_more"]),
            subscription_metadata: details.map(|d| metadata(d, &["metadata"])).unwrap_or_default(),
        })
    }

    /// Whether it bills a subscription's first or a further period, as opposed to a change in
    /// between.
    pub fn is_renewal(&self) -> bool {
        self.billing_reason == Some(BillingReason::SubscriptionCycle)
    }

    /// The end of the service that its regular lines pay for.
    pub fn service_end(&self) -> Option<i64> {
        self.lines.iter().filter(|line| !line.proration).filter_map(|line| line.period_end).max()
    }
}

/// Since basil the subscription is named by the invoice's parent; lines name it in both shapes.
fn subscription_of(value: &Value) -> Option<String> {
    id(value, &["parent", "subscription_details", "subscription"])
        .or_else(|| id(value, &["subscription"]))
        .or_else(|| list(value, &["lines"]).iter().find_map(line_subscription))
}

fn line_subscription(line: &Value) -> Option<String> {
    id(line, &["parent", "subscription_item_details", "subscription"])
        .or_else(|| id(line, &["subscription"]))
}

/// Old payloads also say `paid`; a null status happens while an invoice is being written.
fn status_of(value: &Value) -> InvoiceStatus {
    match text(value, &["status"]) {
        Some(status) => status.into(),
        None if flag(value, &["paid"]) => InvoiceStatus::Paid,
        None => InvoiceStatus::Draft,
    }
}

impl InvoiceLine {
    fn from_json(value: &Value) -> Option<Self> {
        let item = &["parent", "subscription_item_details"];
        let invoice_item = &["parent", "invoice_item_details"];
        let (start, end) = (time(value, &["period", "start"]), time(value, &["period", "end"]));
        Some(Self {
            id: id(value, &["id"])?,
            amount: int(value, &["amount"]),
            price: id(value, &["pricing", "price_details", "price"])
                .or_else(|| id(value, &["price"]))
                .or_else(|| id(value, &["plan"])),
            quantity: int(value, &["quantity"]),
            period_start: start.filter(|start| end.is_none_or(|end| *start <= end)),
            period_end: end.filter(|end| start.is_none_or(|start| start <= *end)),
            proration: flag(value, &["proration"])
                || flag(value, &[item[0], item[1], "proration"])
                || flag(value, &[invoice_item[0], invoice_item[1], "proration"]),
            subscription_item: id(value, &[item[0], item[1], "subscription_item"])
                .or_else(|| id(value, &["subscription_item"])),
        })
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn both_shapes_give_one_view() {
        let old = json!({"id": "in_1", "customer": "cus_1", "subscription": "sub_1", "paid": true,
            "status": "paid", "billing_reason": "subscription_cycle", "currency": "usd",
            "total": 1500, "amount_due": 1500, "amount_paid": 1500, "attempt_count": 1,
            "subscription_details": {"metadata": {"account": "acme"}},
            "status_transitions": {"paid_at": 1_700_000_100},
            "lines": {"has_more": false, "data": [{"id": "il_1", "amount": 1500, "quantity": 1,
                "price": {"id": "price_1"}, "type": "subscription", "proration": false,
                "subscription": "sub_1", "subscription_item": "si_1",
                "period": {"start": 1_700_000_000, "end": 1_702_592_000}}]}});
        let new = json!({"id": "in_1", "customer": {"id": "cus_1"}, "status": "paid",
            "billing_reason": "subscription_cycle", "currency": "usd", "total": 1500,
            "amount_due": 1500, "amount_paid": 1500, "attempt_count": 1,
            "parent": {"type": "subscription_details", "subscription_details":
                {"subscription": "sub_1", "metadata": {"account": "acme"}}},
            "status_transitions": {"paid_at": 1_700_000_100},
            "lines": {"has_more": false, "data": [{"id": "il_1", "amount": 1500, "quantity": 1,
                "pricing": {"type": "price_details", "price_details": {"price": "price_1"}},
                "parent": {"subscription_item_details": {"subscription": "sub_1",
                    "subscription_item": "si_1", "proration": false}},
                "period": {"start": 1_700_000_000, "end": 1_702_592_000}}]}});
        let view = Invoice::from_json(&old).unwrap();
        assert_eq!(Some(&view), Invoice::from_json(&new).as_ref());
        assert_eq!(view.subscription.as_deref(), Some("sub_1"));
        assert_eq!(view.service_end(), Some(1_702_592_000));
        assert!(view.is_renewal());
    }

    #[test]
    fn a_manual_invoice_names_no_subscription() {
        let value = json!({"id": "in_2", "billing_reason": "manual", "status": "open",
            "parent": null, "lines": {"data": [{"id": "il_9", "amount": 5}]}});
        let view = Invoice::from_json(&value).unwrap();
        assert_eq!(view.subscription, None);
        assert_eq!(view.service_end(), None);
    }

    #[test]
    fn an_upcoming_invoice_has_no_id_and_no_view() {
        assert_eq!(Invoice::from_json(&json!({"object": "invoice", "status": "draft"})), None);
    }
}
