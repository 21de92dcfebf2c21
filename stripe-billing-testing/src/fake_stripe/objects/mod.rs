//! The JSON of every object in the newest shape, one file a family.
//!
//! Keys that start with `_` never leave the process: they carry what older shapes need
//! ([`super::render`]).

mod catalog;
mod dispute;
mod entitlements;
mod invoice;
mod payment;
mod session;
mod subscription;

pub(super) use catalog::{invoice_prefix, plan_json};
pub(super) use entitlements::{active_entitlement, summary};

use serde_json::{Value, json};

/// A first page embedded in another object.
fn embedded_list(url: &str, data: Vec<Value>) -> Value {
    let count = data.len();
    let mut list = json!({ "object": "list", "has_more": false, "total_count": count, "url": url });
    list["data"] = Value::Array(data);
    list
}

/// Fields that the fake never fills.
fn absent(value: &mut Value, keys: &[&str]) {
    for key in keys {
        value[*key] = Value::Null;
    }
}

/// `$19.00` for the texts on invoices and pages.
pub(super) fn money(amount: i64, currency: &str) -> String {
    const ZERO_DECIMAL: [&str; 14] = [
        "bif", "clp", "djf", "gnf", "jpy", "kmf", "krw", "mga", "pyg", "rwf", "vnd", "vuv", "xaf",
        "xof",
    ];
    let sign = if amount < 0 { "-" } else { "" };
    let amount = amount.unsigned_abs();
    let number = if ZERO_DECIMAL.contains(&currency) {
        amount.to_string()
    } else {
        format!("{}.{:02}", amount / 100, amount % 100)
    };
    match currency {
        "usd" => format!("{sign}${number}"),
        "eur" => format!("{sign}€{number}"),
        "gbp" => format!("{sign}£{number}"),
        "jpy" => format!("{sign}¥{number}"),
        other => format!("{sign}{} {number}", other.to_uppercase()),
    }
}

#[cfg(test)]
mod tests {
    use super::money;

    #[test]
    fn money_reads_as_people_write_it() {
        assert_eq!(money(1905, "usd"), "$19.05");
        assert_eq!(money(500, "jpy"), "¥500");
        assert_eq!(money(-250, "eur"), "-€2.50");
        assert_eq!(money(28800, "hkd"), "HKD 288.00");
    }
}
