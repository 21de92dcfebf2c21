//! Names what an object says and no view believes, for a human to look at.

use std::ops::RangeInclusive;

use serde_json::Value;

use super::field::{FAR_FUTURE, MAX_COUNT, list};
use super::objects::MAX_ATTEMPTS;

/// As many places are named at most.
const MAX_NAMES: usize = 8;
/// As many entries of a list are looked at.
const MAX_ENTRIES: usize = 100;

/// What a field is believed to hold. Null and absent always pass.
#[derive(Clone, Copy)]
enum Measure {
    /// Unix seconds; zero stands for none.
    Time,
    /// Minor units, of either sign.
    Amount,
    /// A number of things.
    Count,
    /// A number of tries to collect.
    Attempts,
}

use Measure::{Amount, Attempts, Count, Time};

impl Measure {
    fn believed(self) -> RangeInclusive<i64> {
        match self {
            Time => 0..=FAR_FUTURE - 1,
            Amount => i64::MIN..=i64::MAX,
            Count => 0..=MAX_COUNT,
            Attempts => 0..=MAX_ATTEMPTS,
        }
    }
}

/// The fields that are looked at, by their paths with dots between the keys.
struct Shape {
    fields: &'static [(&'static str, Measure)],
    /// Start and end.
    period: Option<(&'static str, &'static str)>,
    /// Lists and what an entry holds.
    lists: &'static [(&'static str, Self)],
}

const SUBSCRIPTION_PERIOD: (&str, &str) = ("current_period_start", "current_period_end");

const SUBSCRIPTION: Shape = Shape {
    fields: &[
        ("created", Time),
        ("current_period_start", Time),
        ("current_period_end", Time),
        ("cancel_at", Time),
        ("canceled_at", Time),
        ("ended_at", Time),
        ("trial_start", Time),
        ("trial_end", Time),
        ("pause_collection.resumes_at", Time),
        ("pending_update.expires_at", Time),
    ],
    period: Some(SUBSCRIPTION_PERIOD),
    lists: &[(
        "items",
        Shape {
            fields: &[
                ("current_period_start", Time),
                ("current_period_end", Time),
                ("quantity", Count),
                ("price.unit_amount", Amount),
                ("price.recurring.interval_count", Count),
                ("plan.amount", Amount),
                ("plan.interval_count", Count),
            ],
            period: Some(SUBSCRIPTION_PERIOD),
            lists: &[],
        },
    )],
};

const INVOICE: Shape = Shape {
    fields: &[
        ("created", Time),
        ("due_date", Time),
        ("next_payment_attempt", Time),
        ("status_transitions.paid_at", Time),
        ("status_transitions.voided_at", Time),
        ("status_transitions.marked_uncollectible_at", Time),
        ("total", Amount),
        ("amount_due", Amount),
        ("amount_paid", Amount),
        ("amount_remaining", Amount),
        ("attempt_count", Attempts),
    ],
    period: None,
    lists: &[
        (
            "lines",
            Shape {
                fields: &[
                    ("amount", Amount),
                    ("quantity", Count),
                    ("period.start", Time),
                    ("period.end", Time),
                ],
                period: Some(("period.start", "period.end")),
                lists: &[],
            },
        ),
        (
            "total_discount_amounts",
            Shape { fields: &[("amount", Amount)], period: None, lists: &[] },
        ),
    ],
};

const REFUND: Shape =
    Shape { fields: &[("created", Time), ("amount", Amount)], period: None, lists: &[] };

fn shape_of(object: &Value) -> Option<Shape> {
    let fields: &'static [(&'static str, Measure)] = match object.get("object")?.as_str()? {
        "subscription" => return Some(SUBSCRIPTION),
        "invoice" => return Some(INVOICE),
        "refund" => return Some(REFUND),
        "charge" => {
            return Some(Shape {
                fields: &[
                    ("created", Time),
                    ("amount", Amount),
                    ("amount_captured", Amount),
                    ("amount_refunded", Amount),
                ],
                period: None,
                lists: &[("refunds", REFUND)],
            });
        }
        "checkout.session" => &[("created", Time), ("expires_at", Time), ("amount_total", Amount)],
        "payment_intent" => &[("created", Time), ("amount", Amount), ("amount_received", Amount)],
        "dispute" => &[
            ("created", Time),
            ("amount", Amount),
            ("evidence_details.due_by", Time),
            ("evidence_details.submission_count", Count),
        ],
        "invoice_payment" => &[("created", Time), ("amount_paid", Amount)],
        "payment_method" | "radar.early_fraud_warning" | "customer" => &[("created", Time)],
        _ => return None,
    };
    Some(Shape { fields, period: None, lists: &[] })
}

/// The paths of values that are there but not believed: times before 1970 or from 2100 on, amounts
/// and quantities that are no whole number in range, and periods that end before they start.
///
/// At most eight, of at most a hundred entries per list. Kinds that no view reads have none.
pub(crate) fn anomalies(object: &Value) -> Vec<String> {
    let mut names = Vec::new();
    let Some(shape) = shape_of(object) else {
        return names;
    };
    look(object, &shape, &mut names);
    for (path, entry_shape) in shape.lists {
        for (index, entry) in list(object, &[path]).iter().take(MAX_ENTRIES).enumerate() {
            if names.len() >= MAX_NAMES {
                return names;
            }
            let from = names.len();
            look(entry, entry_shape, &mut names);
            for name in &mut names[from..] {
                name.insert_str(0, &format!("{path}[{index}]."));
            }
        }
    }
    names
}

/// Adds what is not believed of one object or entry, nothing beyond [`MAX_NAMES`].
fn look(object: &Value, shape: &Shape, names: &mut Vec<String>) {
    let fields = shape.fields.iter().filter(|(path, measure)| {
        lookup(object, path).is_some_and(|value| {
            !value.as_i64().is_some_and(|number| measure.believed().contains(&number))
        })
    });
    let backwards = shape.period.filter(|(start, end)| {
        let number = |path| lookup(object, path).and_then(Value::as_i64).filter(|it| *it > 0);
        matches!((number(start), number(end)), (Some(start), Some(end)) if end < start)
    });
    let found = fields.map(|(path, _)| *path).chain(backwards.map(|(_, end)| end));
    let room = MAX_NAMES.saturating_sub(names.len());
    names.extend(found.take(room).map(str::to_owned));
}

fn lookup<'a>(object: &'a Value, path: &str) -> Option<&'a Value> {
    let value = path.split('.').try_fold(object, |value, key| value.get(key));
    value.filter(|value| !value.is_null())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    /// One object of each kind with every field at a value that Stripe sends.
    fn ordinary() -> Vec<Value> {
        let at = 1_700_000_000;
        vec![
            json!({"object": "subscription", "id": "sub_1", "created": at, "cancel_at": null,
                "canceled_at": at, "ended_at": null, "trial_start": null, "trial_end": at,
                "current_period_start": at, "current_period_end": at,
                "pause_collection": {"behavior": "void", "resumes_at": null},
                "pending_update": {"expires_at": at}, "metadata": {"quantity": "-1"},
                "items": {"data": [{"current_period_start": at, "current_period_end": at + 9,
                    "quantity": 1, "price": {"unit_amount": null, "unit_amount_decimal": "0.5",
                    "recurring": {"interval_count": 1}}, "plan": {"amount": null}}, {}]}}),
            json!({"object": "invoice", "id": "in_1", "created": at, "due_date": null,
                "next_payment_attempt": at, "total": -500, "amount_due": 0, "amount_paid": 0,
                "amount_remaining": 0, "attempt_count": 0, "period_start": at + 5,
                "period_end": at, "status_transitions": {"paid_at": null, "voided_at": null,
                    "marked_uncollectible_at": null, "finalized_at": at},
                "lines": {"data": [{"amount": -700, "quantity": 2, "quantity_decimal": "2.5",
                    "period": {"start": at, "end": at}}, {"quantity": null}]},
                "total_discount_amounts": [{"amount": 100}]}),
            json!({"object": "invoice", "lines": null, "total_discount_amounts": null}),
            json!({"object": "charge", "created": at, "amount": 1, "amount_captured": 1,
                "amount_refunded": 0, "refunds": {"data": [{"created": at, "amount": 1}]}}),
            json!({"object": "refund", "created": at, "amount": 1}),
            json!({"object": "checkout.session", "created": at, "expires_at": at,
                "amount_total": null}),
            json!({"object": "payment_intent", "created": at, "amount": 1, "amount_received": 0}),
            json!({"object": "dispute", "created": at, "amount": 1,
                "evidence_details": {"due_by": 0, "submission_count": 0}}),
            json!({"object": "dispute", "evidence_details": {"due_by": null}}),
            json!({"object": "invoice_payment", "created": at, "amount_paid": null}),
            json!({"object": "payment_method", "created": at}),
            json!({"object": "radar.early_fraud_warning", "created": at}),
            json!({"object": "customer", "created": at, "balance": -5}),
            json!({"object": "billing.credit_grant", "amount": {"type": "monetary"}}),
            json!({"object": "card", "exp_year": 2029}),
            json!({}),
            json!(null),
        ]
    }

    #[test]
    fn nothing_that_stripe_sends_is_named() {
        for object in ordinary() {
            assert_eq!(anomalies(&object), [""; 0], "{object}");
        }
    }

    #[test]
    fn what_is_not_believed_is_named_with_its_place() {
        let (at, far) = (1_700_000_000, FAR_FUTURE);
        let object = json!({"object": "subscription", "created": -1, "trial_end": far,
            "cancel_at": "now", "canceled_at": far - 1, "pending_update": {"expires_at": 1.5},
            "items": {"data": [{}, {"current_period_start": at, "current_period_end": at - 1},
                {"quantity": -1, "price": {"unit_amount": {}}}]}});
        assert_eq!(
            anomalies(&object),
            [
                "created",
                "cancel_at",
                "trial_end",
                "pending_update.expires_at",
                "items[1].current_period_end",
                "items[2].quantity",
                "items[2].price.unit_amount",
            ]
        );
        let object = json!({"object": "invoice", "attempt_count": 10_001, "total": 1e300,
            "amount_due": 9_223_372_036_854_775_808_u64,
            "status_transitions": {"paid_at": -5},
            "lines": [{"period": {"start": at, "end": 5}}, {"quantity": 1_000_000_001}]});
        assert_eq!(
            anomalies(&object),
            [
                "status_transitions.paid_at",
                "total",
                "amount_due",
                "attempt_count",
                "lines[0].period.end",
                "lines[1].quantity",
            ]
        );
        let object = json!({"object": "subscription", "current_period_start": at,
            "current_period_end": at - 1});
        assert_eq!(anomalies(&object), ["current_period_end"]);
        let object = json!({"object": "charge", "refunds": {"data": [{"amount": "5"}]}});
        assert_eq!(anomalies(&object), ["refunds[0].amount"]);
        let object = json!({"object": "dispute", "evidence_details": {"due_by": far}});
        assert_eq!(anomalies(&object), ["evidence_details.due_by"]);
    }

    #[test]
    fn the_work_and_the_names_are_bounded() {
        let line = json!({"amount": 0.5, "quantity": -1});
        let many = vec![line.clone(); 1_000];
        let names = anomalies(&json!({"object": "invoice", "lines": {"data": many}}));
        assert_eq!(names.len(), MAX_NAMES);
        assert_eq!(names.last().unwrap(), "lines[3].quantity");
        let names = anomalies(&json!({"object": "invoice", "total": "1", "lines": [
            line, line, line, {"amount": 0.5, "quantity": -1, "period": {"start": -1}}]}));
        assert_eq!(names.len(), MAX_NAMES, "the last entry has more than there is room for");
        let mut last = vec![json!({}); MAX_ENTRIES];
        last.push(line);
        assert_eq!(anomalies(&json!({"object": "invoice", "lines": last})), [""; 0]);
    }
}
