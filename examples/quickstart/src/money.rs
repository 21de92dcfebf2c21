/// An amount in minor units as people write it: `$19.00`, `¥1,900`, `1,900.00 ISK`.
pub(crate) fn money(minor: i64, currency: &str) -> String {
    let digits: u32 = match currency {
        "bif" | "clp" | "djf" | "gnf" | "jpy" | "kmf" | "krw" | "mga" | "pyg" | "rwf" | "vnd"
        | "vuv" | "xaf" | "xof" | "xpf" => 0,
        "bhd" | "jod" | "kwd" | "omr" | "tnd" => 3,
        _ => 2,
    };
    let unit = 10_u64.pow(digits);
    let magnitude = minor.unsigned_abs();
    let mut number = grouped(magnitude / unit);
    if digits > 0 {
        let width = digits as usize;
        number = format!("{number}.{:0width$}", magnitude % unit);
    }
    let sign = if minor < 0 { "-" } else { "" };
    match currency {
        "usd" => format!("{sign}${number}"),
        "eur" => format!("{sign}€{number}"),
        "gbp" => format!("{sign}£{number}"),
        "jpy" => format!("{sign}¥{number}"),
        other => format!("{sign}{number} {}", other.to_uppercase()),
    }
}

/// A number with commas between thousands.
pub(crate) fn grouped(number: u64) -> String {
    let digits = number.to_string();
    let mut out = String::with_capacity(digits.len() + digits.len() / 3);
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            out.push(',');
        }
        out.push(digit);
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn amounts_are_written_as_people_do() {
        assert_eq!(money(1_900, "usd"), "$19.00");
        assert_eq!(money(-5, "eur"), "-€0.05");
        assert_eq!(money(1_234_567, "jpy"), "¥1,234,567");
        assert_eq!(money(190_000, "isk"), "1,900.00 ISK");
        assert_eq!(money(1_500, "kwd"), "1.500 KWD");
        assert_eq!(money(i64::MIN, "usd"), "-$92,233,720,368,547,758.08");
    }
}
