//! A payload without what is nobody's business.

use serde_json::Value;

/// What stands in for what is left out.
const MASK: &str = "[redacted]";

/// Fields that hold personal data, secrets, or links that open without a login, whatever is in them.
const MASKED: [&str; 34] = [
    "address",
    "account_number",
    "billing_details",
    "client_secret",
    "customer_address",
    "customer_details",
    "customer_email",
    "customer_name",
    "customer_phone",
    "customer_purchase_ip",
    "customer_shipping",
    "customer_tax_ids",
    "custom_fields",
    "description",
    "email",
    "email_address",
    "evidence",
    "fingerprint",
    "footer",
    "hosted_invoice_url",
    "invoice_pdf",
    "ip",
    "ip_address",
    "metadata",
    "name",
    "next_action",
    "owner",
    "phone",
    "receipt_email",
    "receipt_url",
    "shipping",
    "statement_descriptor",
    "tax_ids",
    "url",
];

/// An event's payload to hand to somebody who may not know the customer: ids, amounts, statuses and
/// times stay; names, addresses, mail, phone, metadata, secrets and links that open without a login
/// are masked. What is not JSON is masked whole.
///
/// ```
/// use serde_json::json;
/// use stripe_billing_core::operator::redacted;
///
/// let body = br#"{"data": {"object": {"id": "in_1", "amount_due": 4900, "customer_email": "a@b.c"}}}"#;
/// let safe = json!({"data": {"object":
///     {"id": "in_1", "amount_due": 4900, "customer_email": "[redacted]"}}});
/// assert_eq!(redacted(body), safe);
/// ```
pub fn redacted(payload: &[u8]) -> Value {
    match serde_json::from_slice(payload) {
        Ok(mut value) => {
            mask(&mut value);
            value
        }
        Err(_) => Value::String(MASK.to_owned()),
    }
}

fn mask(value: &mut Value) {
    match value {
        Value::Object(fields) => {
            for (name, value) in fields {
                let says = !value.is_null() && *value != Value::Object(serde_json::Map::new());
                if says && MASKED.contains(&name.as_str()) {
                    *value = Value::String(MASK.to_owned());
                } else {
                    mask(value);
                }
            }
        }
        Value::Array(items) => items.iter_mut().for_each(mask),
        // An address is an address in whichever field it stands.
        Value::String(text) if text.contains('@') || text.contains("://") => {
            MASK.clone_into(text);
        }
        _ => {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_personal_and_no_secret_is_left() {
        let body =
            br#"{"id": "evt_1", "data": {"object": {"id": "pi_1", "amount": 900, "name": null,
            "metadata": {}, "shipping": {"address": {"line1": "1 High St"}, "name": "Ada"},
            "client_secret": "pi_1_secret_x", "novel_field": ["ada@example.test"],
            "charges": {"data": [{"billing_details": {"phone": "+44"}, "card": {"last4": "4242"},
            "receipt_url": "https://pay.example/r/1", "metadata": {"note": "Ada"}}]}}}}"#;
        let safe = redacted(body).to_string();
        for secret in ["Ada", "High St", "secret_x", "ada@", "+44", "https"] {
            assert!(!safe.contains(secret), "{secret} is in {safe}");
        }
        for kept in ["evt_1", "pi_1", "900", "4242", "\"name\":null", "\"metadata\":{}"] {
            assert!(safe.contains(kept), "{kept} is not in {safe}");
        }
        assert_eq!(redacted(b"Ada, by mail"), Value::String("[redacted]".into()));
    }
}
