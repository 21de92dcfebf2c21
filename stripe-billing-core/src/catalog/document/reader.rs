use std::collections::{BTreeMap, HashMap};

use chrono::TimeDelta;
use toml::Spanned;
use toml::de::{DeTable, DeValue};

use super::lines::Lines;
use super::{suggest, variables};
use crate::catalog::mistake::{Finding, Position, child, item, shown};
use crate::catalog::policy::Word;
use crate::catalog::{MAX_AMOUNT, Period, duration};

/// Takes typed values out of the tree, and remembers what it could not take and where each stood.
///
/// A value that cannot be taken leaves a harmless one in its place, so that indexes stay true;
/// [`Report::explains`] silences what the checks say about it.
pub(super) struct Reader<'r> {
    lines: &'r Lines<'r>,
    lookup: &'r dyn Fn(&str) -> Option<String>,
    report: Report,
}

/// A key of a table with its value.
pub(super) struct Entry<'v, 'i> {
    pub(super) path: String,
    pub(super) key: &'v str,
    pub(super) value: &'v DeValue<'i>,
    key_at: usize,
}

/// What a reader found.
#[derive(Default)]
pub(super) struct Report {
    pub(super) findings: Vec<Finding>,
    positions: HashMap<String, Position>,
}

impl Report {
    /// Whether the path is written in the text.
    pub(super) fn has(&self, path: &str) -> bool {
        self.positions.contains_key(path)
    }

    /// Where the path stands, or the nearest thing around it that is written.
    pub(super) fn position(&self, path: &str) -> Option<Position> {
        let mut path = path;
        loop {
            if let Some(position) = self.positions.get(path) {
                return Some(*position);
            }
            path = path.get(..path.rfind(['.', '['])?)?;
        }
    }

    /// Whether a finding only follows from one that is reported here.
    pub(super) fn explains(&self, finding: &Finding) -> bool {
        self.findings.iter().any(|known| {
            let rest = finding.path.strip_prefix(&known.path);
            rest.is_some_and(|rest| rest.is_empty() || rest.starts_with(['.', '[']))
        })
    }
}

impl<'r> Reader<'r> {
    pub(super) fn new(lines: &'r Lines<'r>, lookup: &'r dyn Fn(&str) -> Option<String>) -> Self {
        Self { lines, lookup, report: Report::default() }
    }

    pub(super) fn into_report(self) -> Report {
        self.report
    }

    pub(super) fn mistake(&mut self, path: impl Into<String>, message: impl Into<String>) {
        self.report.findings.push(Finding::new(path, message));
    }

    fn place(&mut self, path: &str, offset: usize) {
        let position = self.lines.position(offset);
        self.report.positions.insert(path.to_owned(), position);
    }

    /// The entries of a table in the order they were written (the tree sorts them by key).
    pub(super) fn entries<'v, 'i>(
        &mut self,
        path: &str,
        table: &'v DeTable<'i>,
    ) -> Vec<Entry<'v, 'i>> {
        let mut entries: Vec<_> = table.iter().collect();
        entries.sort_by_key(|(key, value)| first_offset(key.span().start, value.get_ref()));
        let mut kept = Vec::with_capacity(entries.len());
        for (key, value) in entries {
            let entry = Entry {
                path: child(path, key.get_ref()),
                key: key.get_ref(),
                value: value.get_ref(),
                key_at: key.span().start,
            };
            self.place(&entry.path, value.span().start);
            if entry.key.contains("${") {
                self.place(&entry.path, entry.key_at);
                self.mistake(
                    entry.path,
                    "variables are resolved in values only: write this name out",
                );
            } else {
                kept.push(entry);
            }
        }
        kept
    }

    /// Names a key that nothing reads; `elsewhere` says where keys of another table belong.
    pub(super) fn unknown(
        &mut self,
        entry: &Entry<'_, '_>,
        known: &[&str],
        elsewhere: Option<(&[&str], &str)>,
    ) {
        let key = shown(entry.key);
        let moved = elsewhere.filter(|(keys, _)| keys.contains(&entry.key));
        let message = if let Some((_, place)) = moved {
            format!("{key} does not belong here: move it to {place}")
        } else if let Some(word) = suggest::nearest(entry.key, known) {
            format!("unknown key {key}: did you mean `{word}`?")
        } else {
            format!("unknown key {key}: the keys here are {}", known.join(", "))
        };
        self.place(&entry.path, entry.key_at);
        self.mistake(&entry.path, message);
    }

    fn wrong_type(&mut self, path: &str, expected: &str, found: &DeValue<'_>) {
        let found = match found {
            DeValue::String(_) => "a string",
            DeValue::Integer(_) => "an integer",
            DeValue::Float(_) => "a number with a fraction",
            DeValue::Boolean(_) => "a boolean",
            DeValue::Datetime(_) => "a date",
            DeValue::Array(_) => "an array",
            DeValue::Table(_) => "a table",
        };
        self.mistake(path, format!("this must be {expected}, not {found}"));
    }

    pub(super) fn table<'v, 'i>(
        &mut self,
        entry: &Entry<'v, 'i>,
        expected: &str,
    ) -> Option<&'v DeTable<'i>> {
        let table = entry.value.as_table();
        if table.is_none() {
            self.wrong_type(&entry.path, expected, entry.value);
        }
        table
    }

    /// The tables of an array of tables; `None` stands for an item that is none.
    pub(super) fn tables<'v, 'i>(
        &mut self,
        entry: &Entry<'v, 'i>,
    ) -> Vec<(String, Option<&'v DeTable<'i>>)> {
        let header = format!("[[{}]]", entry.path);
        let DeValue::Array(items) = entry.value else {
            if entry.value.is_table() {
                let message = format!("each price is its own table: write {header}, two brackets");
                self.mistake(&entry.path, message);
            } else {
                self.wrong_type(&entry.path, &format!("tables headed {header}"), entry.value);
            }
            return Vec::new();
        };
        let mut tables = Vec::with_capacity(items.len());
        for (at, value) in items.iter().enumerate() {
            let path = self.item(&entry.path, at, value);
            let table = value.get_ref().as_table();
            if table.is_none() {
                self.wrong_type(&path, &format!("a table headed {header}"), value.get_ref());
            }
            tables.push((path, table));
        }
        tables
    }

    fn item(&mut self, parent: &str, at: usize, value: &Spanned<DeValue<'_>>) -> String {
        let path = item(parent, at);
        self.place(&path, value.span().start);
        path
    }

    pub(super) fn string(&mut self, entry: &Entry<'_, '_>) -> Option<String> {
        self.text(&entry.path, entry.value)
    }

    fn text(&mut self, path: &str, value: &DeValue<'_>) -> Option<String> {
        let Some(text) = value.as_str() else {
            self.wrong_type(path, "a string in quotes", value);
            return None;
        };
        match variables::resolve(text, self.lookup) {
            Ok(text) => Some(text.into_owned()),
            Err(problem) => {
                self.mistake(path, problem);
                None
            }
        }
    }

    pub(super) fn strings(&mut self, entry: &Entry<'_, '_>) -> Vec<String> {
        let DeValue::Array(items) = entry.value else {
            self.wrong_type(&entry.path, "an array, such as [\"export\"]", entry.value);
            return Vec::new();
        };
        let mut strings = Vec::with_capacity(items.len());
        for (at, value) in items.iter().enumerate() {
            let path = self.item(&entry.path, at, value);
            strings.push(self.text(&path, value.get_ref()).unwrap_or_default());
        }
        strings
    }

    pub(super) fn integer(&mut self, entry: &Entry<'_, '_>) -> Option<i64> {
        self.number(&entry.path, entry.value)
    }

    fn number(&mut self, path: &str, value: &DeValue<'_>) -> Option<i64> {
        let Some(integer) = value.as_integer() else {
            self.wrong_type(path, "a whole number", value);
            return None;
        };
        let number = i64::from_str_radix(integer.as_str(), integer.radix()).ok();
        if number.is_none() {
            let message = format!("{integer} is out of range: write at most {MAX_AMOUNT}");
            self.mistake(path, message);
        }
        number
    }

    /// Numbers of days; one out of range counts as too many, which the checks name.
    pub(super) fn days(&mut self, entry: &Entry<'_, '_>) -> Vec<u16> {
        let DeValue::Array(items) = entry.value else {
            self.wrong_type(&entry.path, "an array, such as [3, 7, 12]", entry.value);
            return Vec::new();
        };
        let mut days = Vec::with_capacity(items.len());
        for (at, value) in items.iter().enumerate() {
            let path = self.item(&entry.path, at, value);
            let number = self.number(&path, value.get_ref());
            days.extend(number.map(|number| u16::try_from(number).unwrap_or(u16::MAX)));
        }
        days
    }

    pub(super) fn flag(&mut self, entry: &Entry<'_, '_>) -> bool {
        let flag = entry.value.as_bool();
        if flag.is_none() {
            self.wrong_type(&entry.path, "true or false", entry.value);
        }
        flag.unwrap_or(false)
    }

    pub(super) fn amounts(&mut self, entry: &Entry<'_, '_>) -> BTreeMap<String, i64> {
        let mut amounts = BTreeMap::new();
        if let Some(table) = self.table(entry, "a table, such as { name = 100 }") {
            for entry in self.entries(&entry.path, table) {
                let amount = self.integer(&entry).unwrap_or(1);
                amounts.insert(entry.key.to_owned(), amount);
            }
        }
        amounts
    }

    pub(super) fn words<W: Word + Default>(
        &mut self,
        entry: &Entry<'_, '_>,
    ) -> BTreeMap<String, W> {
        let mut words = BTreeMap::new();
        if let Some(table) = self.table(entry, "a table, such as { name = \"word\" }") {
            for entry in self.entries(&entry.path, table) {
                words.insert(entry.key.to_owned(), self.word(&entry, W::default()));
            }
        }
        words
    }

    pub(super) fn word<W: Word>(&mut self, entry: &Entry<'_, '_>, otherwise: W) -> W {
        let Some(written) = self.string(entry) else {
            return otherwise;
        };
        let mut words = W::WORDS.iter();
        if let Some((_, meant)) = words.find(|(word, _)| *word == written) {
            return *meant;
        }
        let words: Vec<String> = W::WORDS.iter().map(|(word, _)| format!("\"{word}\"")).collect();
        let message = format!("{} is not known: write {}", shown(&written), words.join(" or "));
        self.mistake(&entry.path, message);
        otherwise
    }

    pub(super) fn duration(&mut self, entry: &Entry<'_, '_>, otherwise: TimeDelta) -> TimeDelta {
        let Some(written) = self.string(entry) else {
            return otherwise;
        };
        duration::parse(&written).unwrap_or_else(|| {
            let message = format!(
                "{} is no duration: write \"7d\", \"36h\", \"90m\", \"1d12h\" or \"0\"",
                shown(&written)
            );
            self.mistake(&entry.path, message);
            otherwise
        })
    }

    pub(super) fn period(&mut self, entry: &Entry<'_, '_>) -> Option<Period> {
        let written = self.string(entry)?;
        let period = Period::parse(&written);
        if period.is_none() {
            let message = format!(
                "{} is no period: write \"day\", \"week\", \"month\", \"year\" or \"3 months\"",
                shown(&written)
            );
            self.mistake(&entry.path, message);
        }
        period
    }
}

/// Where something is first mentioned: `[[plan.a.price]]` may come before `[plan.a]`.
fn first_offset(key_at: usize, value: &DeValue<'_>) -> usize {
    let inside = match value {
        DeValue::Table(table) => {
            table.iter().map(|(key, value)| first_offset(key.span().start, value.get_ref())).min()
        }
        DeValue::Array(items) => items.first().map(|item| item.span().start),
        _ => None,
    };
    inside.map_or(key_at, |inside| inside.min(key_at))
}
