//! What others wrote, made fit to be shown: names come from customers, and go into headers.

/// Characters of a name that are shown.
const MAX_NAME: usize = 80;
/// Bytes of a link that are believed.
const MAX_LINK: usize = 2_000;

/// One line of at most so many characters, without control characters and without those that turn
/// the direction of what follows. What is written from right to left is set apart, so that it
/// leaves the rest of the line alone.
pub(crate) fn line(text: &str) -> Option<String> {
    let kept = text.chars().map(|char| if char.is_whitespace() { ' ' } else { char });
    let kept: String = kept.filter(|char| !char.is_control() && !is_invisible(*char)).collect();
    let words: Vec<&str> = kept.split(' ').filter(|word| !word.is_empty()).collect();
    let words = words.join(" ");
    let line = cut(&words, MAX_NAME);
    match line.is_empty() {
        true => None,
        false if line.chars().any(is_right_to_left) => Some(format!("\u{2068}{line}\u{2069}")),
        false => Some(line),
    }
}

/// At most so many characters.
pub(crate) fn cut(text: &str, most: usize) -> String {
    match text.char_indices().nth(most) {
        None => text.to_owned(),
        Some(_) => text.chars().take(most - 1).chain(['…']).collect(),
    }
}

/// The same for a header, where nothing is set apart.
pub(crate) fn header(text: &str) -> Option<String> {
    line(text).map(|line| line.replace(['\u{2068}', '\u{2069}'], ""))
}

/// A link that may be followed: `https`, and `http` in test mode, where it may lead to this machine.
pub(crate) fn link(url: &str, livemode: bool) -> Option<String> {
    let secure = url.starts_with("https://") || (!livemode && url.starts_with("http://"));
    let plain = url.chars().all(|char| {
        char.is_ascii_graphic() && !matches!(char, '"' | '\'' | '<' | '>' | '\\' | '`')
    });
    (secure && plain && url.len() <= MAX_LINK).then(|| url.to_owned())
}

/// A page of the app's: `https`, or on this machine.
pub(crate) fn is_page(url: &str) -> bool {
    let here = ["http://localhost", "http://127.0.0.1"].iter().any(|here| url.starts_with(here));
    link(url, !here).is_some()
}

/// Turns of direction, isolates and other marks that nobody sees.
fn is_invisible(char: char) -> bool {
    matches!(char, '\u{200b}' | '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2060}'..='\u{2069}' | '\u{feff}' | '\u{fff9}'..='\u{fffb}')
}

fn is_right_to_left(char: char) -> bool {
    matches!(char, '\u{590}'..='\u{8ff}' | '\u{fb1d}'..='\u{fdff}' | '\u{fe70}'..='\u{fefe}' | '\u{10800}'..='\u{10fff}' | '\u{1e800}'..='\u{1efff}')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_one_line_whatever_is_in_it() {
        assert_eq!(line("Ada\r\nBcc: eve@evil.test").as_deref(), Some("Ada Bcc: eve@evil.test"));
        assert_eq!(line(" \u{202e}Ada\0\t Lovelace\u{200b} ").as_deref(), Some("Ada Lovelace"));
        assert_eq!(line("👩🏽‍💻 Ada").as_deref(), Some("👩🏽‍💻 Ada"));
        assert_eq!(line(" \r\n\u{feff}"), None);
        let long = line(&"é".repeat(10_000)).unwrap();
        assert_eq!(long.chars().count(), MAX_NAME);
        assert!(long.ends_with('…'));
    }

    #[test]
    fn what_is_written_from_right_to_left_leaves_the_rest_alone() {
        assert_eq!(line("עדה").as_deref(), Some("\u{2068}עדה\u{2069}"));
        assert_eq!(line("\u{2067}آدا").as_deref(), Some("\u{2068}آدا\u{2069}"));
        assert_eq!(header("עדה").as_deref(), Some("עדה"));
    }

    #[test]
    fn only_plain_links_are_followed() {
        let long = format!("https://a.test/{}", "x".repeat(MAX_LINK));
        for bad in [
            "javascript:alert(1)",
            "https://a.test/\"x",
            "https://a.test/ x",
            "http://a.test",
            "https://ä.test",
            &long,
        ] {
            assert_eq!(link(bad, true), None, "{bad}");
        }
        assert!(link("https://invoice.stripe.com/i/acct_1/test?s=ap&x=1", true).is_some());
        assert!(link("http://127.0.0.1:1/i", false).is_some());
    }
}
