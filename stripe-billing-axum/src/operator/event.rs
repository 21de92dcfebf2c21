//! An event with its payload, byte for byte where it is JSON.

use serde::Serialize;
use serde_json::value::RawValue;
use stripe_billing_core::store::{Attempt, EventSummary, StoredEvent};
use stripe_billing_core::webhook::EventKind;

/// `GET /events/{id}`.
#[derive(Serialize)]
pub(super) struct EventView<'a> {
    #[serde(flatten)]
    summary: &'a EventSummary,
    kind: &'static str,
    api_version: Option<&'a str>,
    payload: Option<&'a RawValue>,
    #[serde(skip_serializing_if = "Option::is_none")]
    payload_base64: Option<String>,
    /// Attempts that failed.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    failed: Vec<Attempt>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    others: Vec<Self>,
}

impl<'a> EventView<'a> {
    pub(super) fn of(
        event: &'a StoredEvent,
        others: &'a [StoredEvent],
        failed: Vec<Attempt>,
    ) -> Self {
        let payload = serde_json::from_slice::<&RawValue>(&event.payload).ok();
        let unreadable = payload.is_none() && !event.payload.is_empty();
        Self {
            summary: &event.summary,
            kind: match event.kind {
                EventKind::Snapshot => "snapshot",
                EventKind::Thin => "thin",
                EventKind::Command => "command",
            },
            api_version: event.api_version.as_deref(),
            payload,
            payload_base64: unreadable.then(|| base64(&event.payload)),
            failed,
            others: others.iter().map(|other| EventView::of(other, &[], Vec::new())).collect(),
        }
    }
}

/// Bytes as RFC 4648, section 4, writes them.
fn base64(bytes: &[u8]) -> String {
    const ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut text = String::with_capacity(bytes.len().div_ceil(3) * 4);
    for chunk in bytes.chunks(3) {
        let byte = |at: usize| u32::from(chunk.get(at).copied().unwrap_or(0));
        let bits = byte(0) << 16 | byte(1) << 8 | byte(2);
        for at in 0..4 {
            let sextet = (bits >> (18 - 6 * at)) & 63;
            let letter = ALPHABET.get(sextet as usize).copied().unwrap_or(b'=');
            text.push(char::from(if at > chunk.len() { b'=' } else { letter }));
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_are_written_as_the_standard_has_it() {
        for (bytes, text) in [
            ("", ""),
            ("f", "Zg=="),
            ("fo", "Zm8="),
            ("foo", "Zm9v"),
            ("foob", "Zm9vYg=="),
            ("fooba", "Zm9vYmE="),
            ("foobar", "Zm9vYmFy"),
        ] {
            assert_eq!(base64(bytes.as_bytes()), text);
        }
        assert_eq!(base64(&[0xff, 0xfe, 0xfb]), "//77");
    }
}
