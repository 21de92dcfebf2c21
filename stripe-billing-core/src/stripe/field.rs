//! Tolerant reading of Stripe's JSON: an absent, null or odd field is `None`, never an error.

use std::collections::BTreeMap;

use serde_json::Value;

/// The first instant that is not believed: 2100-01-01 UTC, in seconds.
pub(crate) const FAR_FUTURE: i64 = 4_102_444_800;
/// The largest quantity that is believed.
pub(crate) const MAX_COUNT: i64 = 1_000_000_000;

/// The value at a path of keys.
pub(crate) fn at<'a>(value: &'a Value, path: &[&str]) -> Option<&'a Value> {
    path.iter().try_fold(value, |value, key| value.get(key)).filter(|value| !value.is_null())
}

/// A non-empty string at a path.
pub(crate) fn text(value: &Value, path: &[&str]) -> Option<String> {
    at(value, path).and_then(Value::as_str).filter(|text| !text.is_empty()).map(clean)
}

/// The longest id that is believed, in bytes; Stripe's own limit is 255 characters.
const MAX_ID: usize = 255;

/// An id at a path, be it the string or the expanded object.
pub(crate) fn id(value: &Value, path: &[&str]) -> Option<String> {
    let value = at(value, path)?;
    let id = value.as_str().or_else(|| value.get("id")?.as_str())?;
    // Cleaning may make a text longer, and no store keeps a longer id than this.
    Some(clean(id)).filter(|id| (1..=MAX_ID).contains(&id.len()))
}

/// An integer at a path; a number beyond `i64` or with a fraction is not believed.
pub(crate) fn int(value: &Value, path: &[&str]) -> Option<i64> {
    at(value, path)?.as_i64()
}

/// A quantity or a number of times at a path; less than none and more than a billion are not
/// believed.
pub(crate) fn count(value: &Value, path: &[&str]) -> Option<i64> {
    int(value, path).filter(|count| (0..=MAX_COUNT).contains(count))
}

/// A time at a path, in Unix seconds; times before 1970 or from 2100 on are not believed.
pub(crate) fn time(value: &Value, path: &[&str]) -> Option<i64> {
    int(value, path).filter(|seconds| is_plausible(*seconds))
}

/// Whether a time in Unix seconds is believed.
pub(crate) fn is_plausible(seconds: i64) -> bool {
    (1..FAR_FUTURE).contains(&seconds)
}

/// A flag at a path; absent is false.
pub(crate) fn flag(value: &Value, path: &[&str]) -> bool {
    at(value, path).and_then(Value::as_bool).unwrap_or(false)
}

/// The entries of a list object (`{data: [...]}`) or of a plain array at a path.
pub(crate) fn list<'a>(value: &'a Value, path: &[&str]) -> &'a [Value] {
    let Some(value) = at(value, path) else {
        return &[];
    };
    let list = value.get("data").unwrap_or(value);
    list.as_array().map_or(&[], Vec::as_slice)
}

/// String metadata at a path.
pub(crate) fn metadata(value: &Value, path: &[&str]) -> BTreeMap<String, String> {
    let Some(Value::Object(map)) = at(value, path) else {
        return BTreeMap::new();
    };
    map.iter().filter_map(|(key, value)| Some((clean(key), clean(value.as_str()?)))).collect()
}

/// NUL cannot be stored as text by Postgres.
fn clean(text: &str) -> String {
    if text.contains('\0') { text.replace('\0', "\u{fffd}") } else { text.to_owned() }
}

/// `base` with `patch` laid over it: objects are merged key by key, anything else is replaced.
pub(crate) fn overlay(base: &mut Value, patch: &Value) {
    match (base, patch) {
        (Value::Object(base), Value::Object(patch)) => {
            for (key, patch) in patch {
                overlay(base.entry(key.clone()).or_insert(Value::Null), patch);
            }
        }
        (base, patch) => *base = patch.clone(),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn ids_are_read_plain_and_expanded() {
        let value = json!({"a": "cus_1", "b": {"id": "cus_2"}, "c": null, "d": 3, "e": ""});
        assert_eq!(id(&value, &["a"]).as_deref(), Some("cus_1"));
        assert_eq!(id(&value, &["b"]).as_deref(), Some("cus_2"));
        for key in ["c", "d", "e", "missing"] {
            assert_eq!(id(&value, &[key]), None, "{key}");
        }
        let long = json!({"fits": "x".repeat(255), "long": "x".repeat(256)});
        assert!(id(&long, &["fits"]).is_some());
        assert_eq!(id(&long, &["long"]), None);
    }

    #[test]
    fn absurd_numbers_and_times_are_not_believed() {
        let value = json!({"big": 1e300, "beyond": 9_223_372_036_854_775_808_u64, "far": FAR_FUTURE,
            "ok": 1_700_000_000, "negative": -5, "text": "12"});
        assert_eq!(int(&value, &["big"]), None);
        assert_eq!(int(&value, &["beyond"]), None);
        assert_eq!(int(&value, &["text"]), None);
        assert_eq!(count(&value, &["negative"]), None);
        assert_eq!(count(&value, &["ok"]), None);
        assert_eq!(count(&json!({"most": MAX_COUNT}), &["most"]), Some(MAX_COUNT));
        assert_eq!(count(&json!({"none": 0}), &["none"]), Some(0));
        assert_eq!(time(&value, &["far"]), None);
        assert_eq!(time(&value, &["negative"]), None);
        assert_eq!(time(&value, &["ok"]), Some(1_700_000_000));
    }

    #[test]
    fn overlay_merges_objects_and_replaces_the_rest() {
        let mut base = json!({"status": "active", "items": {"data": [1, 2], "has_more": false}});
        overlay(&mut base, &json!({"status": "incomplete", "items": {"data": [3]}}));
        let expected = json!({"status": "incomplete", "items": {"data": [3], "has_more": false}});
        assert_eq!(base, expected);
    }
}
