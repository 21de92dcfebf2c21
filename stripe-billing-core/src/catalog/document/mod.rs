//! The catalog as TOML. The spanned tree is walked by hand, because a deserialiser stops at its
//! first mistake and forgets the line.

mod lines;
mod reader;
mod recovery;
mod schema;
mod suggest;
mod variables;

use std::collections::HashSet;

use toml::de::{DeTable, Error};

use super::builder::Draft;
use super::check::check;
use super::mistake::{CatalogError, Finding, Mistake};
use lines::Lines;
use reader::{Reader, Report};

/// Reads and checks a text.
pub(super) fn read(
    text: &str,
    lookup: &dyn Fn(&str) -> Option<String>,
) -> Result<Draft, CatalogError> {
    let lines = Lines::new(text);
    let (text, mut errors) = recovery::readable(text, &lines);
    let (root, more) = DeTable::parse_recoverable(&text);
    errors.extend(more);
    let mut reader = Reader::new(&lines, lookup);
    let draft = schema::draft(&mut reader, root.get_ref());
    let report = reader.into_report();

    let mut checked = check(&draft);
    checked.retain(|finding| !report.explains(finding));
    let mut mistakes = if errors.is_empty() {
        located(&report, checked)
    } else {
        Broken::new(&lines, &errors).mistakes(&report, checked)
    };
    if mistakes.is_empty() {
        return Ok(draft);
    }
    mistakes.sort_by_key(|mistake| (mistake.line, mistake.column));
    Err(CatalogError { mistakes })
}

fn located(report: &Report, checked: Vec<Finding>) -> Vec<Mistake> {
    let findings = report.findings.iter().cloned().chain(checked);
    findings.map(|finding| Mistake::at(finding, |path| report.position(path))).collect()
}

/// A text that is not TOML everywhere. What could be read is still checked, but nothing is said to
/// be missing, nor is anything said about what could not be read for certain.
struct Broken {
    mistakes: Vec<Mistake>,
    lines: HashSet<usize>,
    /// The first header that could not be read: what follows it may stand in the wrong table.
    uncertain_from: usize,
}

impl Broken {
    fn new(lines: &Lines<'_>, errors: &[Error]) -> Self {
        let mut broken =
            Self { mistakes: Vec::new(), lines: HashSet::new(), uncertain_from: usize::MAX };
        for error in errors {
            let position = lines.position(error.span().map_or(usize::MAX, |span| span.start));
            // The keys of a table that is declared twice are read as those of one table.
            if lines.is_header(position.line) && error.message() != "duplicate key" {
                broken.uncertain_from = broken.uncertain_from.min(position.line);
            }
            if broken.lines.insert(position.line) {
                broken.mistakes.push(Mistake {
                    line: Some(position.line),
                    column: Some(position.column),
                    path: String::new(),
                    message: format!("this is not TOML: {}", error.message()),
                });
            }
        }
        broken
    }

    fn mistakes(self, report: &Report, mut checked: Vec<Finding>) -> Vec<Mistake> {
        checked.retain(|finding| report.has(&finding.path));
        let mut mistakes = self.mistakes;
        mistakes.extend(located(report, checked).into_iter().filter(|mistake| {
            let line = mistake.line.unwrap_or(usize::MAX);
            line < self.uncertain_from && !self.lines.contains(&line)
        }));
        mistakes
    }
}
