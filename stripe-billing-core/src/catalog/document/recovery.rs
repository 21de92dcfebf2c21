use std::borrow::Cow;

use toml::de::{DeTable, Error};

use super::lines::Lines;

/// How many broken statements are taken out before the rest is left to the parser.
const MOST: usize = 50;

/// Takes out, one by one, the statements that are not TOML, so that what follows them is read.
///
/// The parser recovers from many mistakes by itself, but gives the rest of the text up at a key
/// without a value. Blanks keep every offset as it was.
pub(super) fn readable<'t>(text: &'t str, lines: &Lines<'_>) -> (Cow<'t, str>, Vec<Error>) {
    let mut text = Cow::Borrowed(text);
    let mut errors = Vec::new();
    while errors.len() < MOST {
        let Some((error, readable)) = without_first_error(&text, lines) else {
            break;
        };
        errors.push(error);
        text = Cow::Owned(readable);
    }
    (text, errors)
}

/// The first error, and the text without its line; `None` when the line cannot go alone.
fn without_first_error(text: &str, lines: &Lines<'_>) -> Option<(Error, String)> {
    let error = DeTable::parse(text).err()?;
    let range = lines.range(lines.position(error.span()?.start).line)?;
    let (before, rest) = text.split_at_checked(range.start)?;
    let (line, after) = rest.split_at_checked(range.len())?;
    let goes_alone = is_statement(line) && DeTable::parse(before).is_ok();
    goes_alone.then(|| {
        let blanks = " ".repeat(line.len());
        (error, [before, &blanks, after].concat())
    })
}

/// Whether a line is a whole `key = value`: no header, and nothing that goes on in the next line.
fn is_statement(line: &str) -> bool {
    let count = |brackets: [char; 2]| line.matches(brackets).count();
    let is_blank_or_header = line.trim_start().is_empty() || line.trim_start().starts_with('[');
    let goes_on = line.contains("\"\"\"") || line.contains("'''");
    !is_blank_or_header && !goes_on && count(['[', '{']) == count([']', '}'])
}
