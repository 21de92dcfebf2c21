use chrono::TimeDelta;

/// The longest grace: far beyond any dunning schedule, and safe to add to any timestamp.
pub(super) const LONGEST_DAYS: i64 = 3650;

/// Reads `7d`, `36h`, `90m`, `1d12h` or `0`; units are w, d, h, m and s.
///
/// A number too large to count answers a duration beyond [`LONGEST_DAYS`], which the check names.
pub(super) fn parse(text: &str) -> Option<TimeDelta> {
    if text == "0" {
        return Some(TimeDelta::zero());
    }
    let mut seconds: i64 = 0;
    let mut rest = text;
    while !rest.is_empty() {
        let digits = rest.find(|c: char| !c.is_ascii_digit()).filter(|at| *at > 0)?;
        let (number, tail) = rest.split_at(digits);
        let mut letters = tail.chars();
        let unit = match letters.next()? {
            'w' => 604_800,
            'd' => 86_400,
            'h' => 3_600,
            'm' => 60,
            's' => 1,
            _ => return None,
        };
        let part = number.parse::<i64>().unwrap_or(i64::MAX);
        seconds = seconds.saturating_add(part.saturating_mul(unit));
        rest = letters.as_str();
    }
    if text.is_empty() {
        return None;
    }
    Some(TimeDelta::try_seconds(seconds).unwrap_or(TimeDelta::MAX))
}
