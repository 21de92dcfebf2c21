//! Tolerant reads from Stripe's JSON: a missing, null or unexpected field is `None`, never an
//! error, since Stripe adds fields and widens enums without notice.

use std::collections::BTreeMap;

use chrono::{DateTime, Utc};
use serde_json::Value;

use super::{StripeError, StripeErrorKind};

pub(super) fn text(object: &Value, field: &str) -> Option<String> {
    object.get(field)?.as_str().map(str::to_owned)
}

pub(super) fn int(object: &Value, field: &str) -> Option<i64> {
    object.get(field)?.as_i64()
}

pub(super) fn flag(object: &Value, field: &str) -> bool {
    object.get(field).and_then(Value::as_bool).unwrap_or(false)
}

/// A time in whole seconds since the epoch.
pub(super) fn time(object: &Value, field: &str) -> Option<DateTime<Utc>> {
    DateTime::from_timestamp(int(object, field)?, 0)
}

/// The id behind a field that is an id, or the whole object where it was expanded.
pub(super) fn id(object: &Value, field: &str) -> Option<String> {
    let value = object.get(field)?;
    value.as_str().map(str::to_owned).or_else(|| text(value, "id"))
}

pub(super) fn metadata(object: &Value) -> BTreeMap<String, String> {
    let Some(pairs) = object.get("metadata").and_then(Value::as_object) else {
        return BTreeMap::new();
    };
    pairs
        .iter()
        .filter_map(|(key, value)| Some((key.clone(), value.as_str()?.to_owned())))
        .collect()
}

/// A field without which the answer is of no use.
pub(super) fn required(object: &Value, kind: &str, field: &str) -> Result<String, StripeError> {
    text(object, field).ok_or_else(|| {
        let found = text(object, "object").unwrap_or_else(|| "something without a type".to_owned());
        StripeError::new(
            StripeErrorKind::Decode,
            format!("expected a {kind} with a string `{field}`, found {found}"),
        )
    })
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn an_id_may_be_expanded() {
        let object = json!({ "a": "cus_1", "b": { "id": "cus_2" }, "c": null, "d": 7 });
        assert_eq!(id(&object, "a").as_deref(), Some("cus_1"));
        assert_eq!(id(&object, "b").as_deref(), Some("cus_2"));
        for missing in ["c", "d", "e"] {
            assert_eq!(id(&object, missing), None, "{missing}");
        }
    }

    #[test]
    fn unexpected_types_read_as_absent() {
        let object =
            json!({ "n": "7", "t": i64::MAX, "f": "true", "metadata": { "a": "b", "c": 1 } });
        assert_eq!(int(&object, "n"), None);
        assert_eq!(time(&object, "t"), None);
        assert!(!flag(&object, "f"));
        assert_eq!(metadata(&object), BTreeMap::from([("a".to_owned(), "b".to_owned())]));
        assert_eq!(text(&Value::Null, "x"), None);
    }
}
