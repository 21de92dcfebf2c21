//! From the newest shape to the shape of an API version, and from there to bytes.
//!
//! Each rule is one line of Stripe's change log
//! (<https://docs.stripe.com/changelog>): what moved, and with which version.

use serde_json::{Map, Value, json};

use super::version::ApiVersion;

/// `value` as `version` shows it.
pub(super) fn render(value: &Value, version: &ApiVersion) -> Value {
    let mut value = value.clone();
    reshape(&mut value, version);
    value
}

fn reshape(value: &mut Value, version: &ApiVersion) {
    match value {
        Value::Array(items) => items.iter_mut().for_each(|item| reshape(item, version)),
        Value::Object(map) => {
            let object = map.get("object").and_then(Value::as_str).map(str::to_owned);
            if let Some(object) = object {
                downgrade(&object, map, version);
            }
            map.retain(|key, _| !key.starts_with('_'));
            map.values_mut().for_each(|inner| reshape(inner, version));
        }
        _ => {}
    }
}

fn downgrade(object: &str, map: &mut Map<String, Value>, version: &ApiVersion) {
    match object {
        "subscription" => subscription(map, version),
        "subscription_item" if version.before("2024-01-01") => {
            drop_keys(map, &["current_period_end", "current_period_start", "discounts"]);
        }
        "invoice" => invoice(map, version),
        "line_item" => invoice_line(map, version),
        "charge" | "payment_intent" if version.is_before_basil() => {
            let invoice = map.get("_invoice").cloned().unwrap_or_default();
            map.insert("invoice".to_owned(), invoice);
            drop_keys(map, &["presentment_details", "customer_account"]);
        }
        "payment_intent" if version.before("2025-12-15") => {
            drop_keys(map, &["customer_account"]);
        }
        "checkout.session" => {
            if version.before("2026-03-25") {
                map.insert("ui_mode".to_owned(), json!("hosted"));
            }
            if version.before("2025-12-15") {
                drop_keys(map, &["customer_account"]);
            }
            if version.is_before_basil() {
                drop_keys(map, &["collected_information", "wallet_options"]);
                map.insert("shipping_details".to_owned(), Value::Null);
            }
        }
        "product" if version.before("2024-04-10") => {
            let features = map.remove("marketing_features").unwrap_or_default();
            map.insert("features".to_owned(), features);
        }
        "refund" if version.before("2026-07-29") => {
            drop_keys(map, &["customer", "customer_account", "payment_method"]);
        }
        "customer" | "payment_method" if version.before("2025-12-15") => {
            drop_keys(map, &["customer_account"]);
        }
        _ => {}
    }
}

fn subscription(map: &mut Map<String, Value>, version: &ApiVersion) {
    if version.before("2026-09-30") {
        drop_keys(map, &["status_details"]);
    }
    // Removed with basil and back two months later.
    if !version.before("2025-03-31") && version.before("2025-05-28") {
        drop_keys(map, &["billing_thresholds"]);
    }
    if version.before("2025-12-15") {
        drop_keys(map, &["customer_account"]);
    }
    // Captured 2024 payloads carry it, older ones do not.
    if version.before("2024-01-01") {
        drop_keys(map, &["billing_mode"]);
    }
    if version.is_before_basil() {
        for edge in ["current_period_start", "current_period_end"] {
            let items = map["items"]["data"].as_array().into_iter().flatten();
            let at = items.filter_map(|item| item[edge].as_i64()).min();
            map.insert(edge.to_owned(), json!(at));
        }
        map.insert("discount".to_owned(), Value::Null);
        if version.before("2023-10-16") {
            drop_keys(map, &["discounts"]);
        }
    }
}

fn invoice(map: &mut Map<String, Value>, version: &ApiVersion) {
    if version.before("2026-05-27") {
        drop_keys(map, &["amount_paid_off_stripe"]);
    }
    let given_up = map.get("_status_details").filter(|details| !details.is_null()).cloned();
    if let (Some(details), false) = (given_up, version.before("2026-09-30")) {
        map.insert("status_details".to_owned(), details);
    }
    if version.before("2025-12-15") {
        drop_keys(map, &["customer_account"]);
    }
    if !version.is_before_basil() {
        return;
    }
    let details = map["parent"]["subscription_details"].clone();
    let paid = map["status"] == "paid";
    let outside = map.get("_paid_out_of_band").cloned().unwrap_or_default();
    if outside == true {
        // What Stripe did not take was not counted.
        map.insert("amount_paid".to_owned(), json!(0));
        let due = map["amount_due"].clone();
        map.insert("amount_remaining".to_owned(), due);
    }
    let moved = [
        ("subscription", details["subscription"].clone()),
        ("subscription_details", json!({ "metadata": details["metadata"] })),
        ("payment_intent", map.get("_payment_intent").cloned().unwrap_or_default()),
        ("charge", map.get("_charge").cloned().unwrap_or_default()),
        ("paid", json!(paid)),
        ("paid_out_of_band", outside),
        ("quote", Value::Null),
        ("discount", Value::Null),
        ("tax", Value::Null),
        ("total_tax_amounts", json!([])),
        ("application_fee_amount", Value::Null),
        ("transfer_data", Value::Null),
    ];
    for (key, value) in moved {
        map.insert(key.to_owned(), value);
    }
    drop_keys(map, &["parent", "total_taxes", "amount_overpaid"]);
    if version.before("2024-04-10") {
        drop_keys(map, &["rendering"]);
        map.insert("rendering_options".to_owned(), Value::Null);
    }
}

fn invoice_line(map: &mut Map<String, Value>, version: &ApiVersion) {
    if version.before("2026-03-25") {
        drop_keys(map, &["quantity_decimal"]);
    }
    if !version.is_before_basil() {
        return;
    }
    let details = map["parent"]["subscription_item_details"].clone();
    let amount = map["amount"].clone();
    let invoice_item = details["invoice_item"].clone();
    let kind = if invoice_item.is_null() { "subscription" } else { "invoiceitem" };
    let moved = [
        ("type", json!(kind)),
        ("subscription", details["subscription"].clone()),
        ("subscription_item", details["subscription_item"].clone()),
        ("proration", details["proration"].clone()),
        ("proration_details", details["proration_details"].clone()),
        ("price", map.get("_price").cloned().unwrap_or_default()),
        ("plan", map.get("_plan").cloned().unwrap_or_default()),
        ("amount_excluding_tax", amount),
        ("unit_amount_excluding_tax", map["pricing"]["unit_amount_decimal"].clone()),
        ("tax_amounts", json!([])),
        ("tax_rates", json!([])),
    ];
    for (key, value) in moved {
        map.insert(key.to_owned(), value);
    }
    if !invoice_item.is_null() {
        map.insert("invoice_item".to_owned(), invoice_item);
    }
    drop_keys(map, &["parent", "pricing", "taxes", "subtotal"]);
}

fn drop_keys(map: &mut Map<String, Value>, keys: &[&str]) {
    for key in keys {
        map.remove(*key);
    }
}

/// `previous_attributes`: the values in `before` of what differs in `after`. Objects are compared
/// key by key, arrays are given whole.
pub(super) fn previous_attributes(before: &Value, after: &Value) -> Value {
    let (Value::Object(before), Value::Object(after)) = (before, after) else {
        return before.clone();
    };
    let mut changed = Map::new();
    for (key, old) in before {
        match after.get(key) {
            Some(new) if new == old => {}
            Some(new @ Value::Object(_)) if old.is_object() => {
                changed.insert(key.clone(), previous_attributes(old, new));
            }
            _ => {
                changed.insert(key.clone(), old.clone());
            }
        }
    }
    for key in after.keys().filter(|key| !before.contains_key(*key)) {
        changed.insert(key.clone(), Value::Null);
    }
    Value::Object(changed)
}

/// Indented by two, `id` and `object` first, then by name: how Stripe writes a webhook body.
pub(super) fn to_pretty(value: &Value) -> String {
    let mut out = String::with_capacity(2048);
    write(&mut out, value, 0);
    out
}

fn write(out: &mut String, value: &Value, depth: usize) {
    match value {
        Value::Object(map) if !map.is_empty() => {
            let first = ["id", "object"].into_iter().filter_map(|key| map.get_key_value(key));
            let rest = map.iter().filter(|(key, _)| *key != "id" && *key != "object");
            out.push('{');
            for (n, (key, inner)) in first.chain(rest).enumerate() {
                separate(out, n, depth + 1);
                out.push_str(&Value::from(key.as_str()).to_string());
                out.push_str(": ");
                write(out, inner, depth + 1);
            }
            close(out, '}', depth);
        }
        Value::Array(items) if !items.is_empty() => {
            out.push('[');
            for (n, inner) in items.iter().enumerate() {
                separate(out, n, depth + 1);
                write(out, inner, depth + 1);
            }
            close(out, ']', depth);
        }
        simple => out.push_str(&simple.to_string()),
    }
}

fn separate(out: &mut String, n: usize, depth: usize) {
    if n > 0 {
        out.push(',');
    }
    out.push('\n');
    out.extend(std::iter::repeat_n("  ", depth));
}

fn close(out: &mut String, bracket: char, depth: usize) {
    out.push('\n');
    out.extend(std::iter::repeat_n("  ", depth));
    out.push(bracket);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn previous_attributes_hold_only_what_changed() {
        let before = json!({ "a": 1, "b": { "x": null, "y": 2 }, "list": [1], "same": true });
        let after = json!({ "a": 2, "b": { "x": "set", "y": 2 }, "list": [1, 2], "same": true });
        assert_eq!(
            previous_attributes(&before, &after),
            json!({ "a": 1, "b": { "x": null }, "list": [1] })
        );
    }

    #[test]
    fn bodies_are_indented_with_the_id_first() {
        let body = to_pretty(&json!({ "a": [], "b": [1], "object": "event", "id": "evt_1" }));
        assert_eq!(
            body,
            "{\n  \"id\": \"evt_1\",\n  \"object\": \"event\",\n  \"a\": [],\n  \"b\": [\n    1\n  ]\n}"
        );
        assert!(serde_json::from_str::<Value>(&body).is_ok());
    }
}
