use std::fmt;

/// One thing that is wrong in a catalog.
///
/// Displayed as `line 7, column 6: plan.pro.price[0].id: what is wrong and what to do`.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Mistake {
    /// Line in the TOML text, from 1; `None` for a catalog built in code.
    pub line: Option<usize>,
    /// Column in that line in characters, from 1.
    pub column: Option<usize>,
    /// Where in the catalog, such as `plan.pro.price[0].id`; empty when the text is not TOML there.
    pub path: String,
    /// What is wrong and what to do about it.
    pub message: String,
}

impl Mistake {
    /// Completes a finding with positions, where there are any.
    pub(super) fn at(finding: Finding, locate: impl Fn(&str) -> Option<Position>) -> Self {
        let position = locate(&finding.path);
        let message = match finding.earlier {
            None => finding.message,
            Some(earlier) => {
                let line = locate(&earlier).map(|position| format!(" (line {})", position.line));
                let line = line.unwrap_or_default();
                format!("{}; it stands at {earlier}{line} already", finding.message)
            }
        };
        Self {
            line: position.map(|position| position.line),
            column: position.map(|position| position.column),
            path: finding.path,
            message,
        }
    }
}

impl fmt::Display for Mistake {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(line) = self.line {
            write!(f, "line {line}")?;
            if let Some(column) = self.column {
                write!(f, ", column {column}")?;
            }
            f.write_str(": ")?;
        }
        if !self.path.is_empty() {
            write!(f, "{}: ", self.path)?;
        }
        f.write_str(&self.message)
    }
}

/// Everything that is wrong in a catalog. Displayed with one mistake per line.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{}", lines(.mistakes))]
pub struct CatalogError {
    /// The mistakes, never empty: in the order of the text for TOML, of declaration for code.
    pub mistakes: Vec<Mistake>,
}

impl CatalogError {
    /// Always false: the same catalog stays wrong until somebody corrects it.
    pub fn is_retryable(&self) -> bool {
        false
    }
}

fn lines(mistakes: &[Mistake]) -> String {
    let lines: Vec<String> = mistakes.iter().map(Mistake::to_string).collect();
    lines.join("\n")
}

/// A mistake before its position is known.
#[derive(Clone, Debug)]
pub(super) struct Finding {
    pub(super) path: String,
    pub(super) message: String,
    /// Where the other half of a clash stands.
    pub(super) earlier: Option<String>,
}

impl Finding {
    pub(super) fn new(path: impl Into<String>, message: impl Into<String>) -> Self {
        Self { path: path.into(), message: message.into(), earlier: None }
    }

    pub(super) fn clashing_with(mut self, earlier: impl Into<String>) -> Self {
        self.earlier = Some(earlier.into());
        self
    }
}

/// A place in the TOML text, both from 1; columns count characters.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Position {
    pub(super) line: usize,
    pub(super) column: usize,
}

/// The path of a key inside a table, quoted as TOML would where it must be.
pub(super) fn child(parent: &str, key: &str) -> String {
    let is_bare = |c: char| c.is_ascii_alphanumeric() || c == '_' || c == '-';
    let key = if !key.is_empty() && key.chars().all(is_bare) {
        key.to_owned()
    } else {
        format!("\"{}\"", key.escape_debug())
    };
    if parent.is_empty() { key } else { format!("{parent}.{key}") }
}

/// The path of an item of an array.
pub(super) fn item(parent: &str, index: usize) -> String {
    format!("{parent}[{index}]")
}

/// A value as a message may show it: on one line, not too long, and never a secret that a variable
/// put in the wrong place.
pub(super) fn shown(value: &str) -> String {
    const LONGEST: usize = 60;
    const SECRETS: [&str; 5] = ["sk_live_", "sk_test_", "rk_live_", "rk_test_", "whsec_"];
    if SECRETS.iter().any(|secret| value.contains(secret)) {
        return "[redacted]".to_owned();
    }
    let mut shown: String = value.chars().take(LONGEST).collect();
    if shown.len() < value.len() {
        shown.push('…');
    }
    format!("`{}`", shown.escape_debug())
}
