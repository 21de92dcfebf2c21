//! Entries as a table for spreadsheets.

use std::fmt::Write as _;

use super::entry::Entry;

/// Entries as comma-separated values with a header line (RFC 4180), times in RFC 3339, UTC. Text that a
/// spreadsheet would take for a formula is made text.
///
/// ```
/// use stripe_billing_core::ledger::csv;
/// assert_eq!(csv(&[]).lines().next().unwrap().split(',').count(), 12);
/// ```
pub fn csv(entries: &[Entry]) -> String {
    let mut table = String::from(
        "seq,recorded_at,effective_at,kind,amount,available,reserved,debt,feature,member,reference,reason\r\n",
    );
    for entry in entries {
        let kind = serde_json::to_value(entry.kind).unwrap_or_default();
        // Writing to a string cannot fail.
        let _ = write!(
            table,
            "{},{},{},{},{},{},{},{}",
            entry.seq,
            entry.recorded_at.to_rfc3339(),
            entry.effective_at.to_rfc3339(),
            kind.as_str().unwrap_or_default(),
            entry.delta_available,
            entry.available_after,
            entry.held_after,
            entry.delta_debt,
        );
        for text in [&entry.feature, &entry.actor, &entry.reference, &entry.reason] {
            table.push(',');
            table.push_str(&cell(text.as_deref().unwrap_or_default()));
        }
        table.push_str("\r\n");
    }
    table
}

fn cell(text: &str) -> String {
    let formula = text.starts_with(['=', '+', '-', '@', '\t', '\r']);
    let quote = formula || text.contains([',', '"', '\r', '\n']);
    let text = text.replace('"', "\"\"");
    match (quote, formula) {
        (true, true) => format!("\"'{text}\""),
        (true, false) => format!("\"{text}\""),
        _ => text,
    }
}

#[cfg(test)]
mod tests {
    use super::cell;

    #[test]
    fn text_stays_text() {
        assert_eq!(cell("plain"), "plain");
        assert_eq!(cell("a, \"b\""), "\"a, \"\"b\"\"\"");
        assert_eq!(cell("=SUM(A1)"), "\"'=SUM(A1)\"");
    }
}
