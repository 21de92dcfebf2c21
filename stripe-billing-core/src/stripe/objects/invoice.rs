use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::{CollectionMethod, open_enum};
use crate::stripe::field::{at, count, flag, id, int, list, metadata, text, time};

/// More attempts than that are not believed; Stripe makes a dozen at most.
pub(crate) const MAX_ATTEMPTS: i64 = 10_000;

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
    /// The number printed on it, once it is finalised.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub number: Option<String>,
    /// The customer billed.
    pub customer: Option<String>,
    /// The subscription it bills; `None` for one written by hand.
    pub subscription: Option<String>,
    /// Status at Stripe.
    pub status: InvoiceStatus,
    /// Why it was written.
    pub billing_reason: Option<BillingReason>,
    /// How it is collected.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub collection_method: Option<CollectionMethod>,
    /// Three-letter code, lower case.
    pub currency: Option<String>,
    /// Sum of the lines after discounts and tax.
    pub total: Option<i64>,
    /// What the customer owes.
    pub amount_due: Option<i64>,
    /// What was paid.
    pub amount_paid: Option<i64>,
    /// What is still to be paid.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub amount_remaining: Option<i64>,
    /// Sum of all discounts; `None` where there are none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub discount_total: Option<i64>,
    /// The payment that pays it: one that is made before one that is not.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub payment_intent: Option<String>,
    /// The charge that pays it, where Stripe names it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub charge: Option<String>,
    /// All of its payments where there are several, at most one page.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub payments: Vec<PaymentRef>,
    /// Whether collection was tried at all.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub attempted: bool,
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
    /// When it was voided.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub voided_at: Option<i64>,
    /// When it was given up.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub marked_uncollectible_at: Option<i64>,
    /// Why it could not be finalised (`customer_tax_location_invalid`, ...).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub finalization_error: Option<String>,
    /// What it bills; at most one page of lines.
    pub lines: Vec<InvoiceLine>,
    /// Whether there are lines beyond the first page.
    pub more_lines: bool,
    /// The subscription's metadata as it was when the invoice was finalised.
    pub subscription_metadata: BTreeMap<String, String>,
    /// The app's own notes on it.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub metadata: BTreeMap<String, String>,
}

/// One of several payments of an invoice.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum PaymentRef {
    /// By a payment intent, `pi_...`
    PaymentIntent(String),
    /// By a charge without one, `ch_...`
    Charge(String),
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
    /// The subscription billed; one invoice may bill several.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub subscription: Option<String>,
}

impl Invoice {
    /// Reads an invoice of any API version; `None` when it has no id (an upcoming invoice).
    pub fn from_json(value: &Value) -> Option<Self> {
        let details = at(value, &["parent", "subscription_details"]);
        let details = details.or_else(|| at(value, &["subscription_details"]));
        let payment = payment_of(value);
        Some(Self {
            id: id(value, &["id"])?,
            number: text(value, &["number"]),
            customer: id(value, &["customer"]),
            subscription: Self::subscription_of(value),
            status: status_of(value),
            billing_reason: text(value, &["billing_reason"]).map(BillingReason::from),
            collection_method: text(value, &["collection_method"]).map(CollectionMethod::from),
            currency: text(value, &["currency"]),
            total: int(value, &["total"]),
            amount_due: int(value, &["amount_due"]),
            amount_paid: amount_paid(value),
            amount_remaining: int(value, &["amount_remaining"]),
            discount_total: discount_total(value),
            payment_intent: payment
                .and_then(|payment| id(payment, &["payment", "payment_intent"]))
                .or_else(|| id(value, &["payment_intent"])),
            charge: payment
                .and_then(|payment| id(payment, &["payment", "charge"]))
                .or_else(|| id(value, &["charge"])),
            payments: several_payments(value),
            attempted: flag(value, &["attempted"]),
            attempt_count: count(value, &["attempt_count"])
                .filter(|attempts| *attempts <= MAX_ATTEMPTS)
                .unwrap_or(0),
            next_payment_attempt: time(value, &["next_payment_attempt"]),
            due_date: time(value, &["due_date"]),
            hosted_invoice_url: text(value, &["hosted_invoice_url"]),
            created: time(value, &["created"]),
            paid_at: time(value, &["status_transitions", "paid_at"]),
            voided_at: time(value, &["status_transitions", "voided_at"]),
            marked_uncollectible_at: time(
                value,
                &["status_transitions", "marked_uncollectible_at"],
            ),
            finalization_error: text(value, &["last_finalization_error", "code"]),
            lines: list(value, &["lines"]).iter().filter_map(InvoiceLine::from_json).collect(),
            more_lines: flag(value, &["lines", "has_more"]),
            subscription_metadata: details.map(|d| metadata(d, &["metadata"])).unwrap_or_default(),
            metadata: metadata(value, &["metadata"]),
        })
    }

    /// Whether it bills a subscription's first or a further period, as opposed to a change in
    /// between.
    pub fn is_renewal(&self) -> bool {
        self.billing_reason == Some(BillingReason::SubscriptionCycle)
    }

    /// The payments that pay it, as payment intents and charges.
    pub(crate) fn payment_ids(&self) -> Vec<(Option<&String>, Option<&String>)> {
        if self.payments.is_empty() {
            return vec![(self.payment_intent.as_ref(), self.charge.as_ref())];
        }
        let ids = self.payments.iter().map(|payment| match payment {
            PaymentRef::PaymentIntent(id) => (Some(id), None),
            PaymentRef::Charge(id) => (None, Some(id)),
        });
        ids.collect()
    }

    /// The subscription that an invoice of any version bills. Since basil its parent names it; lines
    /// do in both shapes, and there a manual invoice may settle a subscription's change without
    /// being the subscription's.
    pub(crate) fn subscription_of(value: &Value) -> Option<String> {
        let own = id(value, &["parent", "subscription_details", "subscription"])
            .or_else(|| id(value, &["subscription"]));
        let manual = text(value, &["billing_reason"]).as_deref() == Some("manual");
        own.or_else(|| {
            let lines = list(value, &["lines"]).iter().filter(|_| !manual);
            lines.filter_map(line_subscription).next()
        })
    }

    /// The end of the service that its regular lines pay for.
    pub fn service_end(&self) -> Option<i64> {
        self.lines.iter().filter(|line| !line.proration).filter_map(|line| line.period_end).max()
    }
}

/// Up to basil, what was paid outside of Stripe was not counted.
fn amount_paid(value: &Value) -> Option<i64> {
    let outside = flag(value, &["paid_out_of_band"]);
    int(value, if outside { &["amount_due"] } else { &["amount_paid"] })
}

fn line_subscription(line: &Value) -> Option<String> {
    id(line, &["parent", "subscription_item_details", "subscription"])
        .or_else(|| id(line, &["subscription"]))
}

/// Since basil an invoice may have several payments; up to then it named the only one itself. Of
/// several, one that is made goes before one that is open, and that before one that was given up.
fn payment_of(value: &Value) -> Option<&Value> {
    list(value, &["payments"]).iter().min_by_key(|payment| {
        match payment.get("status").and_then(Value::as_str) {
            Some("paid") => 0,
            Some("canceled") => 2,
            _ => 1,
        }
    })
}

fn several_payments(value: &Value) -> Vec<PaymentRef> {
    let payments = list(value, &["payments"]);
    if payments.len() < 2 {
        return Vec::new();
    }
    let payment_ref = |payment| {
        id(payment, &["payment", "payment_intent"])
            .map(PaymentRef::PaymentIntent)
            .or_else(|| id(payment, &["payment", "charge"]).map(PaymentRef::Charge))
    };
    payments.iter().filter_map(payment_ref).collect()
}

/// A sum with an unreadable part is not believed.
fn discount_total(value: &Value) -> Option<i64> {
    let amounts = list(value, &["total_discount_amounts"]);
    let mut amounts = amounts.iter().map(|discount| int(discount, &["amount"]));
    let first = amounts.next()??;
    amounts.try_fold(first, |sum, amount| sum.checked_add(amount?))
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
            quantity: count(value, &["quantity"]),
            period_start: start.filter(|start| end.is_none_or(|end| *start <= end)),
            period_end: end.filter(|end| start.is_none_or(|start| start <= *end)),
            proration: flag(value, &["proration"])
                || flag(value, &[item[0], item[1], "proration"])
                || flag(value, &[invoice_item[0], invoice_item[1], "proration"]),
            subscription_item: id(value, &[item[0], item[1], "subscription_item"])
                .or_else(|| id(value, &["subscription_item"])),
            subscription: line_subscription(value),
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
        assert_eq!(view.lines[0].subscription.as_deref(), Some("sub_1"));
        assert_eq!(view.service_end(), Some(1_702_592_000));
        assert!(view.is_renewal());
    }

    #[test]
    fn the_payment_is_found_in_both_shapes() {
        let old = json!({"id": "in_1", "payment_intent": {"id": "pi_1"}, "charge": null,
            "status": "paid"});
        let new = json!({"id": "in_1", "status": "paid", "payments": {"data": [{"status": "paid",
            "payment": {"type": "payment_intent", "payment_intent": "pi_1"}}]}});
        let view = Invoice::from_json(&old).unwrap();
        assert_eq!(Some(&view), Invoice::from_json(&new).as_ref());
        assert_eq!(view.payment_intent.as_deref(), Some("pi_1"));
        let old = json!({"id": "in_1", "charge": "ch_1"});
        let new = json!({"id": "in_1", "payments": {"data": [{"status": "open",
            "payment": {"type": "charge", "charge": {"id": "ch_1"}}}]}});
        let view = Invoice::from_json(&old).unwrap();
        assert_eq!(Some(&view), Invoice::from_json(&new).as_ref());
        assert_eq!((view.charge.as_deref(), view.payment_intent), (Some("ch_1"), None));
    }

    #[test]
    fn of_several_payments_the_one_that_is_made_is_named() {
        let payment = |id: &str, status: &str| json!({"status": status, "payment": {"type": "payment_intent", "payment_intent": id}});
        let read = |payments: Value| {
            let value = json!({"id": "in_1", "payments": {"data": payments}});
            Invoice::from_json(&value).unwrap()
        };
        let canceled = payment("pi_3", "canceled");
        let view = read(json!([canceled, payment("pi_2", "open"), payment("pi_1", "paid"),
            {"status": "paid", "payment": {"type": "charge", "charge": "ch_1"}},
            {"status": "paid", "payment": {"type": "payment_record", "payment_record": "pr_1"}}]));
        assert_eq!(view.payment_intent.as_deref(), Some("pi_1"));
        let intent = |id: &str| PaymentRef::PaymentIntent(id.to_owned());
        let charge = PaymentRef::Charge("ch_1".to_owned());
        assert_eq!(view.payments, [intent("pi_3"), intent("pi_2"), intent("pi_1"), charge]);
        let view = read(json!([payment("pi_3", "canceled"), payment("pi_2", "open")]));
        assert_eq!(view.payment_intent.as_deref(), Some("pi_2"));
        assert_eq!(
            read(json!([payment("pi_3", "canceled")])).payment_intent.as_deref(),
            Some("pi_3")
        );
        let stored = serde_json::to_value(&view).unwrap();
        assert_eq!(serde_json::from_value::<Invoice>(stored).unwrap(), view);
    }

    #[test]
    fn what_else_it_says_is_read() {
        let value = json!({"id": "in_1", "number": "A-1", "collection_method": "send_invoice",
            "amount_remaining": 500, "attempted": true, "attempt_count": 2,
            "last_finalization_error": {"code": "customer_tax_location_invalid", "type": "x"},
            "status_transitions": {"voided_at": 1_700_000_001,
                "marked_uncollectible_at": 1_700_000_002},
            "customer_email": "ada@example.test", "metadata": {"order": "7"},
            "total_discount_amounts": [{"amount": 100, "discount": "di_1"}, {"amount": 50}]});
        let view = Invoice::from_json(&value).unwrap();
        assert_eq!(view.number.as_deref(), Some("A-1"));
        assert_eq!(view.collection_method, Some(CollectionMethod::SendInvoice));
        assert_eq!((view.amount_remaining, view.discount_total), (Some(500), Some(150)));
        assert_eq!((view.attempted, view.attempt_count), (true, 2));
        assert_eq!(view.finalization_error.as_deref(), Some("customer_tax_location_invalid"));
        assert_eq!(view.voided_at, Some(1_700_000_001));
        assert_eq!(view.marked_uncollectible_at, Some(1_700_000_002));
        assert_eq!(view.metadata["order"], "7");
        let stored = serde_json::to_string(&view).unwrap();
        assert!(!stored.contains("ada@example.test"), "an address is not kept: {stored}");
        assert_eq!(serde_json::from_str::<Invoice>(&stored).unwrap(), view);
    }

    #[test]
    fn absurd_numbers_are_not_believed() {
        for attempts in [json!(-1), json!(10_001), json!(1.5), json!("3")] {
            let value = json!({"id": "in_1", "attempt_count": attempts});
            assert_eq!(Invoice::from_json(&value).unwrap().attempt_count, 0, "{attempts}");
        }
        let value = json!({"id": "in_1", "lines": {"data": [{"id": "il_1", "quantity": -3}]},
            "total_discount_amounts": [{"amount": i64::MAX}, {"amount": 1}]});
        let view = Invoice::from_json(&value).unwrap();
        assert_eq!((view.lines[0].quantity, view.discount_total), (None, None));
        for amounts in [json!([]), json!(null), json!([{"amount": 5}, {"amount": "5"}])] {
            let value = json!({"id": "in_1", "total_discount_amounts": amounts});
            assert_eq!(Invoice::from_json(&value).unwrap().discount_total, None, "{amounts}");
        }
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
