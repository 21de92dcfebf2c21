//! Any body: no panic, and the same fields as in a tree parsed by `serde_json`.

#![no_main]

use chrono::DateTime;
use libfuzzer_sys::fuzz_target;
use serde_json::Value;
use stripe_billing_core::webhook::{Envelope, EventKind};

fuzz_target!(|body: &[u8]| {
    let parsed = Envelope::parse(body);
    match serde_json::from_slice::<Value>(body) {
        Ok(tree) => compare(body, parsed.ok(), &tree),
        // Not JSON: whatever was skipped may be nonsense, but the top level may not.
        Err(_) => {
            if let Ok(envelope) = parsed
                && let Some(data) = envelope.data
            {
                let without = [&body[..data.start], b"0", &body[data.end..]].concat();
                let nested = without.iter().skip(1).any(|byte| matches!(byte, b'{' | b'['));
                let rest = serde_json::from_slice::<serde::de::IgnoredAny>(&without);
                assert!(nested || rest.is_ok(), "{rest:?}");
            }
        }
    }
});

fn compare(body: &[u8], parsed: Option<Envelope<'_>>, tree: &Value) {
    let Some(envelope) = parsed else {
        assert!(expected(tree).is_none(), "refused");
        return;
    };
    let (kind, created) = expected(tree).expect("accepted");
    assert_eq!((envelope.kind, envelope.created), (kind, created));
    assert_eq!(tree["id"], *envelope.id);
    assert_eq!(tree["type"], *envelope.event_type);
    assert_eq!(tree["livemode"], envelope.livemode);
    assert_eq!(tree["account"].as_str(), envelope.account.as_deref());
    assert_eq!(tree["api_version"].as_str(), envelope.api_version.as_deref());
    let data = envelope.data.map(|range| serde_json::from_slice::<Value>(&body[range]).unwrap());
    assert_eq!(tree.get("data"), data.as_ref());
}

/// Kind and creation time of a tree that is an acceptable event.
fn expected(tree: &Value) -> Option<(EventKind, i64)> {
    let storable = |value: &Value| {
        let text = value.as_str()?;
        (!text.is_empty() && text.len() <= 255 && !text.contains('\0')).then_some(())
    };
    tree.as_object()?;
    storable(&tree["id"])?;
    storable(&tree["type"])?;
    for optional in [&tree["account"], &tree["api_version"]] {
        if !optional.is_null() {
            storable(optional)?;
        }
    }
    tree["livemode"].as_bool()?;
    let (kind, created) = match tree["object"].as_str()? {
        "event" => (EventKind::Snapshot, tree["created"].as_i64()?),
        "v2.core.event" => {
            let created = DateTime::parse_from_rfc3339(tree["created"].as_str()?).ok()?;
            (EventKind::Thin, created.timestamp())
        }
        _ => return None,
    };
    (0..=253_402_300_799).contains(&created).then_some((kind, created))
}
