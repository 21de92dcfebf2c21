use std::collections::BTreeMap;

use axum::extract::rejection::PathRejection;
use axum::extract::{Path, Query};
use axum::http::Uri;

use crate::problem::Problem;

/// The longest text that is compared with anything stored.
const MAX_TEXT_BYTES: usize = 255;
/// How many a page lists unless it is said.
const DEFAULT_LIMIT: u32 = 100;
/// The most that a page lists.
const MAX_LIMIT: u32 = 1_000;

/// A query, checked: only what the route knows, each at most once.
pub(super) struct Params(BTreeMap<String, String>);

impl Params {
    /// Reads a query. A parameter that the route does not know is a mistake: a filter that is
    /// misspelt would show what nobody asked for.
    pub(super) fn read(uri: &Uri, known: &[&str]) -> Result<Self, Problem> {
        let pairs: Query<Vec<(String, String)>> =
            Query::try_from_uri(uri).map_err(|_| Problem::invalid_query("it cannot be read"))?;
        let mut params = BTreeMap::new();
        for (name, value) in pairs.0 {
            if !known.contains(&name.as_str()) {
                let shown: String = name.chars().take(40).collect();
                let known = if known.is_empty() { "none".to_owned() } else { known.join(", ") };
                let shown = shown.escape_debug();
                let detail = format!("`{shown}` is not known here; known: {known}");
                return Err(Problem::invalid_query(detail));
            }
            if !is_usable(&value) {
                return Err(unusable(&name));
            }
            // A form sends its empty fields as well.
            if !value.is_empty() && params.insert(name.clone(), value).is_some() {
                return Err(Problem::invalid_query(format!("`{name}` is given twice")));
            }
        }
        Ok(Self(params))
    }

    pub(super) fn text(&self, name: &str) -> Option<String> {
        self.0.get(name).cloned()
    }

    pub(super) fn value<T>(
        &self,
        name: &str,
        expected: &str,
        read: impl Fn(&str) -> Option<T>,
    ) -> Result<Option<T>, Problem> {
        let Some(text) = self.0.get(name) else { return Ok(None) };
        let wrong = || Problem::invalid_query(format!("`{name}` has to be {expected}"));
        read(text).map(Some).ok_or_else(wrong)
    }

    /// How many to list.
    pub(super) fn limit(&self) -> Result<u32, Problem> {
        let limit = self.value("limit", "a whole number", |text| text.parse::<u32>().ok())?;
        Ok(limit.unwrap_or(DEFAULT_LIMIT).clamp(1, MAX_LIMIT))
    }

    /// Where the page begins.
    pub(super) fn after(&self) -> Result<Option<i64>, Problem> {
        self.value("after", "the `next` of the page before", |text| text.parse().ok())
    }
}

/// An id out of the path.
pub(super) fn id(name: &str, path: Result<Path<String>, PathRejection>) -> Result<String, Problem> {
    let id = path.ok().map(|Path(id)| id);
    id.filter(|id| is_usable(id)).ok_or_else(|| unusable(name))
}

/// Not every store can look for a NUL.
fn is_usable(text: &str) -> bool {
    text.len() <= MAX_TEXT_BYTES && !text.contains('\0')
}

fn unusable(name: &str) -> Problem {
    let detail = format!("`{name}` has to be text of at most {MAX_TEXT_BYTES} bytes without NUL");
    Problem::invalid_query(detail)
}
