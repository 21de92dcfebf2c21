//! Amounts in words of the language, from integers. Nothing here is a float.

use std::fmt::Write as _;

use stripe_billing_core::notice::Money;

use crate::language::Language;

/// How many digits of an amount of Stripe's stand behind the point
/// (<https://docs.stripe.com/currencies>). ISK and UGX have no minor unit, but Stripe counts
/// hundredths of them; HUF and TWD are hundredths in charges and whole in payouts only.
pub(crate) fn exponent(currency: &str) -> usize {
    match currency {
        "bif" | "clp" | "djf" | "gnf" | "jpy" | "kmf" | "krw" | "mga" | "pyg" | "rwf" | "vnd"
        | "vuv" | "xaf" | "xof" | "xpf" => 0,
        "bhd" | "jod" | "kwd" | "omr" | "tnd" => 3,
        _ => 2,
    }
}

/// How a language writes numbers: between thousands, before decimals.
fn separators(language: Language) -> (&'static str, &'static str) {
    match language {
        Language::English | Language::Japanese => (",", "."),
        Language::German | Language::Spanish | Language::Portuguese => (".", ","),
        Language::French => ("\u{202f}", ","),
    }
}

/// What a language calls a currency; anything else goes by its code, which is always right.
fn symbol(currency: &str, language: Language) -> Option<&'static str> {
    Some(match (currency, language) {
        ("eur", _) => "€",
        ("usd", Language::English | Language::German | Language::Japanese) => "$",
        ("usd", Language::French) => "$US",
        ("usd", Language::Spanish | Language::Portuguese) => "US$",
        ("gbp", Language::French | Language::Spanish) => return None,
        ("gbp", _) => "£",
        ("jpy", Language::English) => "¥",
        ("jpy", Language::Japanese) => "¥",
        ("brl", Language::Portuguese) => "R$",
        _ => return None,
    })
}

/// Digits in groups of three.
fn grouped(digits: &str, separator: &str, language: Language) -> String {
    // Spanish groups from five digits on.
    let least = if language == Language::Spanish { 5 } else { 4 };
    if digits.len() < least {
        return digits.to_owned();
    }
    let mut out = String::with_capacity(digits.len() * 2);
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            out.push_str(separator);
        }
        out.push(digit);
    }
    out
}

/// A whole number.
pub(crate) fn number(value: i64, language: Language) -> String {
    let sign = if value < 0 { "-" } else { "" };
    let digits = value.unsigned_abs().to_string();
    format!("{sign}{}", grouped(&digits, separators(language).0, language))
}

/// An amount with its currency.
pub(crate) fn money(money: &Money, language: Language) -> String {
    let currency = money.currency.to_ascii_lowercase();
    let decimals = exponent(&currency);
    let (group, point) = separators(language);
    let digits = format!("{:0>width$}", money.amount.unsigned_abs(), width = decimals + 1);
    let (whole, rest) = digits.split_at(digits.len() - decimals);
    let mut value = grouped(whole, group, language);
    if decimals > 0 {
        // Writing to a string cannot fail.
        let _ = write!(value, "{point}{rest}");
    }
    let sign = if money.amount < 0 { "-" } else { "" };
    let code = currency.to_ascii_uppercase();
    let symbol = symbol(&currency, language);
    match (language, symbol) {
        (Language::English | Language::Japanese, Some(symbol)) => format!("{sign}{symbol}{value}"),
        (Language::English | Language::Japanese, None) => format!("{sign}{code}\u{a0}{value}"),
        (Language::Portuguese, symbol) => {
            format!("{sign}{}\u{a0}{value}", symbol.unwrap_or(&code))
        }
        (_, symbol) => format!("{sign}{value}\u{a0}{}", symbol.unwrap_or(&code)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(amount: i64, currency: &str, language: Language) -> String {
        let money = Money { amount, currency: currency.to_owned() };
        super::money(&money, language).replace('\u{a0}', "~").replace('\u{202f}', "_")
    }

    #[test]
    fn each_language_writes_amounts_its_own_way() {
        let of = |amount, currency| Language::ALL.map(|language| shown(amount, currency, language));
        assert_eq!(
            of(123_450, "eur"),
            ["€1,234.50", "1.234,50~€", "1_234,50~€", "1234,50~€", "€~1.234,50", "€1,234.50"]
        );
        assert_eq!(
            of(1_234_567, "usd"),
            [
                "$12,345.67",
                "12.345,67~$",
                "12_345,67~$US",
                "12.345,67~US$",
                "US$~12.345,67",
                "$12,345.67"
            ]
        );
        assert_eq!(
            of(1_900, "jpy"),
            ["¥1,900", "1.900~JPY", "1_900~JPY", "1900~JPY", "JPY~1.900", "¥1,900"]
        );
        assert_eq!(
            of(1_234_500, "kwd"),
            [
                "KWD~1,234.500",
                "1.234,500~KWD",
                "1_234,500~KWD",
                "1234,500~KWD",
                "KWD~1.234,500",
                "KWD~1,234.500"
            ]
        );
        assert_eq!(shown(1_990, "brl", Language::Portuguese), "R$~19,90");
        assert_eq!(shown(1_990, "gbp", Language::French), "19,90~GBP");
    }

    #[test]
    fn every_currency_has_the_decimals_that_stripe_counts() {
        let zero = "bif clp djf gnf jpy kmf krw mga pyg rwf vnd vuv xaf xof xpf";
        let three = "bhd jod kwd omr tnd";
        assert!(zero.split(' ').all(|code| exponent(code) == 0));
        assert!(three.split(' ').all(|code| exponent(code) == 3));
        // Two for Stripe, whatever ISO 4217 says.
        assert!("isk ugx huf twd eur usd".split(' ').all(|code| exponent(code) == 2));
        assert_eq!(shown(190_000, "isk", Language::English), "ISK~1,900.00");
        assert_eq!(shown(500, "ugx", Language::German), "5,00~UGX");
        assert_eq!(shown(7, "KWD", Language::English), "KWD~0.007");
    }

    #[test]
    fn the_smallest_and_largest_amounts_are_exact() {
        let english = |amount| shown(amount, "usd", Language::English);
        assert_eq!(english(0), "$0.00");
        assert_eq!(english(-5), "-$0.05");
        assert_eq!(english(i64::MAX), "$92,233,720,368,547,758.07");
        assert_eq!(english(i64::MIN), "-$92,233,720,368,547,758.08");
        assert_eq!(number(i64::MIN, Language::German), "-9.223.372.036.854.775.808");
        assert_eq!(number(1_000, Language::Spanish), "1000");
        assert_eq!(number(10_000, Language::Spanish), "10.000");
    }
}
