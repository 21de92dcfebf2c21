//! Views over whatever may come: they never panic, and what is stored of them reads back.

use proptest::prelude::*;
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::{Map, Value, json};
use stripe_billing_core::stripe::objects::{
    Charge, CheckoutSession, Customer, Dispute, EntitlementSummary, FraudWarning, Invoice,
    InvoicePayment, PaymentIntent, PaymentMethod, Refund, Subscription,
};

/// Keys that views look for; others are never read.
const KEYS: &[&str] = &[
    "id",
    "object",
    "customer",
    "status",
    "data",
    "has_more",
    "items",
    "lines",
    "refunds",
    "charges",
    "payments",
    "payment",
    "payment_intent",
    "charge",
    "invoice",
    "price",
    "plan",
    "product",
    "recurring",
    "interval",
    "interval_count",
    "usage_type",
    "unit_amount",
    "amount",
    "quantity",
    "created",
    "metadata",
    "parent",
    "subscription_details",
    "subscription",
    "current_period_start",
    "current_period_end",
    "period",
    "start",
    "end",
    "pending_update",
    "expires_at",
    "pause_collection",
    "cancellation_details",
    "reason",
    "status_details",
    "paused",
    "type",
    "card",
    "brand",
    "last4",
    "exp_month",
    "exp_year",
    "evidence_details",
    "due_by",
    "submission_count",
    "last_payment_error",
    "code",
    "entitlements",
    "lookup_key",
    "total_discount_amounts",
    "attempt_count",
    "disputed",
    "refunded",
    "amount_paid",
    "currency",
    "status_transitions",
    "paid_at",
    "due_date",
    "total",
    "email",
    "preferred_locales",
];

fn leaf() -> impl Strategy<Value = Value> {
    prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<u64>().prop_map(Value::from),
        any::<f64>().prop_map(Value::from),
        (0_i64..5_000_000_000).prop_map(Value::from),
        prop::sample::select(vec!["", "a", "card", "paid", "active", "cus_1", "nul\0"])
            .prop_map(Value::from),
    ]
}

fn object(inner: impl Strategy<Value = Value>) -> impl Strategy<Value = Value> {
    let fields = prop::collection::vec((prop::sample::select(KEYS), inner), 0..24);
    fields.prop_map(|fields| {
        Value::Object(fields.into_iter().map(|(k, v)| (k.to_owned(), v)).collect::<Map<_, _>>())
    })
}

fn anything() -> impl Strategy<Value = Value> {
    leaf().prop_recursive(4, 200, 24, |inner| {
        prop_oneof![
            2 => object(inner.clone()),
            1 => prop::collection::vec(inner, 0..4).prop_map(Value::from),
        ]
    })
}

fn reads_back<T>(view: Option<T>)
where
    T: Serialize + DeserializeOwned + PartialEq + std::fmt::Debug,
{
    if let Some(view) = view {
        let stored = serde_json::to_string(&view).expect("a view is JSON");
        assert_eq!(serde_json::from_str::<T>(&stored).expect("a view"), view);
        assert!(!stored.contains("\\u0000"), "Postgres stores no NUL: {stored}");
    }
}

proptest! {
    #[test]
    fn a_view_of_anything_reads_back(mut value in object(anything())) {
        value["id"] = json!("x_1");
        reads_back(Charge::from_json(&value));
        reads_back(CheckoutSession::from_json(&value));
        reads_back(Customer::from_json(&value));
        reads_back(Dispute::from_json(&value));
        reads_back(EntitlementSummary::from_json(&value));
        reads_back(FraudWarning::from_json(&value));
        reads_back(Invoice::from_json(&value));
        reads_back(InvoicePayment::from_json(&value));
        reads_back(PaymentIntent::from_json(&value));
        reads_back(PaymentMethod::from_json(&value));
        reads_back(Refund::from_json(&value));
        reads_back(Subscription::from_json(&value));
    }
}
