//! Takes secret keys out of text that came from outside.

/// Replaces the key itself and whatever else looks like a secret or restricted key: Stripe
/// repeats a rejected key in its message, masked, but with its last characters.
pub(super) fn redact(text: &str, key: &str) -> String {
    let text = if key.is_empty() { text.to_owned() } else { text.replace(key, "[redacted]") };
    let mut out = String::with_capacity(text.len());
    let mut rest = text.as_str();
    while let Some(start) = next_key(rest) {
        let (before, found) = rest.split_at(start);
        let end = found.find(|c: char| !(c.is_ascii_alphanumeric() || c == '_' || c == '*'));
        out.push_str(before);
        out.push_str("[redacted]");
        rest = &found[end.unwrap_or(found.len())..];
    }
    out.push_str(rest);
    out
}

fn next_key(text: &str) -> Option<usize> {
    ["sk_live_", "sk_test_", "rk_live_", "rk_test_"].iter().filter_map(|p| text.find(p)).min()
}

#[cfg(test)]
mod tests {
    use super::redact;

    #[test]
    fn keys_are_taken_out() {
        let rows = [
            ("nothing here", "nothing here"),
            (
                "Invalid API Key provided: sk_test_****1234.",
                "Invalid API Key provided: [redacted].",
            ),
            ("key_of_an_odd_form!", "[redacted]!"),
            ("a sk_live_a rk_test_b, rk_live_c", "a [redacted] [redacted], [redacted]"),
            ("sk_test_", "[redacted]"),
            ("é sk_live_é", "é [redacted]é"),
        ];
        for (text, expected) in rows {
            assert_eq!(redact(text, "key_of_an_odd_form"), expected);
        }
        assert_eq!(redact("plain", ""), "plain");
    }
}
