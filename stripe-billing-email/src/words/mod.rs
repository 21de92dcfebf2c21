//! Message catalogs: what mails say in each language.
//!
//! A message is a text with `{slots}`, a list of such texts, of which the first is taken whose slots
//! are all known, or a table of plural forms (`one`, `other`).

mod dates;

use std::collections::{BTreeMap, BTreeSet};

use crate::language::{Language, Plural};

/// Everything that a text may name, in the order of the docs.
pub(crate) const SLOTS: &[&str] = &[
    "sender",
    "name",
    "product",
    "amount",
    "total",
    "invoice",
    "card",
    "last4",
    "expiry",
    "paid",
    "period_end",
    "due",
    "next_attempt",
    "grace_end",
    "date",
    "deadline",
    "reason",
    "payment",
    "dispute",
    "event",
    "customer",
    "account",
    "ticket",
    "ticket_about",
    "old_plan",
    "new_plan",
    "old_price",
    "new_price",
    "credits",
    "available",
    "zone",
];
/// What the small texts name that values are put together from.
const PARTS: &[&str] = &[
    "n", "unit", "brand", "month", "year", "day", "time", "zone", "price", "period", "first",
    "rest",
];

/// Values by slot, ready to be read.
pub(crate) type Values = BTreeMap<&'static str, String>;

/// What mails say in one language.
#[derive(Clone, Debug)]
pub(crate) struct Words {
    pub(crate) language: Language,
    messages: BTreeMap<String, Message>,
}

#[derive(Clone, Debug)]
enum Message {
    Texts(Vec<Text>),
    Plural { one: Option<Vec<Text>>, other: Vec<Text> },
}

/// A text in pieces.
#[derive(Clone, Debug)]
struct Text(Vec<Piece>);

#[derive(Clone, Debug)]
enum Piece {
    Words(String),
    Slot(&'static str),
}

impl Words {
    /// What is embedded.
    pub(crate) fn embedded(language: Language) -> Result<Self, Vec<String>> {
        let text = match language {
            Language::English => include_str!("en.toml"),
            Language::German => include_str!("de.toml"),
            Language::French => include_str!("fr.toml"),
            Language::Spanish => include_str!("es.toml"),
            Language::Portuguese => include_str!("pt-BR.toml"),
            Language::Japanese => include_str!("ja.toml"),
        };
        let mut words = Self { language, messages: BTreeMap::new() };
        words.read(text, false).map(|()| words)
    }

    /// Puts the messages of a file before the embedded ones.
    pub(crate) fn overlay(&mut self, text: &str) -> Result<(), Vec<String>> {
        self.read(text, true)
    }

    fn read(&mut self, text: &str, replaces: bool) -> Result<(), Vec<String>> {
        let table: toml::Table = match text.parse() {
            Ok(table) => table,
            Err(error) => return Err(vec![error.to_string().trim().to_owned()]),
        };
        let mut mistakes = Vec::new();
        let mut read = BTreeMap::new();
        flatten("", &table, &mut read, &mut mistakes);
        for (key, message) in read {
            match self.messages.get_mut(&key) {
                None if replaces => mistakes.push(format!("`{key}` is no message")),
                // What the new texts name may be unknown where the old ones have a word for it.
                Some(Message::Texts(old)) if matches!(message, Message::Texts(_)) => {
                    if let Message::Texts(new) = message {
                        old.splice(0..0, new);
                    }
                }
                _ => drop(self.messages.insert(key, message)),
            }
        }
        if mistakes.is_empty() { Ok(()) } else { Err(mistakes) }
    }

    /// The keys of all messages.
    #[cfg(test)]
    pub(crate) fn keys(&self) -> impl Iterator<Item = &str> {
        self.messages.keys().map(String::as_str)
    }

    /// A message; `None` where there is none whose slots are all known.
    pub(crate) fn say(&self, key: &str, values: &Values) -> Option<String> {
        match self.messages.get(key)? {
            Message::Texts(texts) | Message::Plural { other: texts, .. } => first(texts, values),
        }
    }

    /// A message about a number of things.
    pub(crate) fn count(&self, key: &str, count: i64, values: &Values) -> Option<String> {
        match self.messages.get(key)? {
            Message::Plural { one: Some(one), .. }
                if self.language.plural(count) == Plural::One =>
            {
                first(one, values)
            }
            Message::Texts(texts) | Message::Plural { other: texts, .. } => first(texts, values),
        }
    }

    /// The slots that a message names in any of its texts.
    #[cfg(test)]
    pub(crate) fn slots(&self, key: &str) -> BTreeSet<&'static str> {
        let texts: Vec<&Text> = match &self.messages[key] {
            Message::Texts(texts) => texts.iter().collect(),
            Message::Plural { one, other } => one.iter().flatten().chain(other).collect(),
        };
        texts.into_iter().flat_map(Text::slots).collect()
    }

    /// Whether a message has the plural forms that its language needs, where it has any.
    #[cfg(test)]
    pub(crate) fn has_all_forms(&self, key: &str) -> bool {
        match &self.messages[key] {
            Message::Texts(_) => true,
            Message::Plural { one, .. } => one.is_some() == (self.language != Language::Japanese),
        }
    }
}

/// Collects the messages of a table and of those in it.
fn flatten(
    path: &str,
    table: &toml::Table,
    read: &mut BTreeMap<String, Message>,
    mistakes: &mut Vec<String>,
) {
    for (key, value) in table {
        let path = if path.is_empty() { key.clone() } else { format!("{path}.{key}") };
        let mut texts = |value: &toml::Value| texts(&path, value, mistakes);
        match value {
            toml::Value::Table(forms) if forms.contains_key("other") => {
                let known: BTreeSet<&str> = ["one", "other"].into();
                let one = forms.get("one").map(&mut texts);
                let other = texts(&forms["other"]);
                for form in forms.keys().filter(|form| !known.contains(form.as_str())) {
                    mistakes.push(format!("`{path}` has a form `{form}`: known are one and other"));
                }
                read.insert(path, Message::Plural { one, other });
            }
            toml::Value::Table(inner) => flatten(&path, inner, read, mistakes),
            other => {
                let texts = texts(other);
                read.insert(path, Message::Texts(texts));
            }
        }
    }
}

fn texts(path: &str, value: &toml::Value, mistakes: &mut Vec<String>) -> Vec<Text> {
    let several = match value {
        toml::Value::Array(several) => several.as_slice(),
        single => std::slice::from_ref(single),
    };
    let mut texts = Vec::new();
    for value in several {
        match value.as_str().map(Text::parse) {
            Some(Ok(text)) => texts.push(text),
            Some(Err(mistake)) => mistakes.push(format!("`{path}` {mistake}")),
            None => mistakes.push(format!("`{path}` is no text and no list of texts")),
        }
    }
    texts
}

fn first(texts: &[Text], values: &Values) -> Option<String> {
    texts.iter().find_map(|text| text.fill(values))
}

impl Text {
    fn parse(text: &str) -> Result<Self, String> {
        let mut pieces = Vec::new();
        let mut rest = text;
        while let Some((words, after)) = rest.split_once('{') {
            let Some((slot, after)) = after.split_once('}') else {
                return Err("has a { without its }".to_owned());
            };
            let known = SLOTS.iter().chain(PARTS).find(|known| **known == slot);
            let known = known.ok_or_else(|| format!("names {{{slot}}}, which there is not"))?;
            pieces.extend([Piece::Words(words.to_owned()), Piece::Slot(known)]);
            rest = after;
        }
        pieces.push(Piece::Words(rest.to_owned()));
        Ok(Self(pieces))
    }

    fn fill(&self, values: &Values) -> Option<String> {
        let mut out = String::new();
        for piece in &self.0 {
            match piece {
                Piece::Words(words) => out.push_str(words),
                Piece::Slot(slot) => out.push_str(values.get(slot)?),
            }
        }
        Some(out)
    }

    #[cfg(test)]
    fn slots(&self) -> impl Iterator<Item = &'static str> {
        self.0.iter().filter_map(|piece| match piece {
            Piece::Slot(slot) => Some(*slot),
            Piece::Words(_) => None,
        })
    }
}

#[cfg(test)]
mod tests;
