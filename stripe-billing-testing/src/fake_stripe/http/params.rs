//! Stripe's form encoding: `a[b][0][c]=d`, `a[]=b`.

use std::collections::BTreeMap;

use crate::fake_stripe::{error::ApiError, model::Metadata};

/// Decoded parameters: a text, or parameters by name (array elements by index).
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) enum Param {
    Text(String),
    Map(BTreeMap<String, Self>),
}

/// The parameters of one request, or of one nested object in it.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Default)]
pub(super) struct Params {
    map: BTreeMap<String, Param>,
    prefix: String,
}

impl Params {
    /// Decodes a form body or a query string.
    pub(super) fn decode(encoded: &str) -> Self {
        let mut map = BTreeMap::new();
        // The URL type brings the form decoder with it.
        if let Ok(mut url) = reqwest::Url::parse("http://form.invalid/") {
            url.set_query(Some(encoded));
            for (key, value) in url.query_pairs() {
                insert(&mut map, &path_of(&key), value.into_owned());
            }
        }
        Self { map, prefix: String::new() }
    }

    /// Refuses names that the route does not have.
    pub(super) fn only(&self, known: &[&str]) -> Result<(), ApiError> {
        for name in self.map.keys() {
            if name != "expand" && !known.contains(&name.as_str()) {
                let name = self.name(name);
                let message = format!("Received unknown parameter: {name}");
                return Err(ApiError::bad_param(&name, message).with_code("parameter_unknown"));
            }
        }
        Ok(())
    }

    fn name(&self, name: &str) -> String {
        if self.prefix.is_empty() { name.to_owned() } else { format!("{}[{name}]", self.prefix) }
    }

    pub(super) fn has(&self, name: &str) -> bool {
        self.map.contains_key(name)
    }

    /// A text; an empty one counts as absent, as it means "unset".
    pub(super) fn text(&self, name: &str) -> Option<&str> {
        match self.map.get(name)? {
            Param::Text(text) if !text.is_empty() => Some(text),
            _ => None,
        }
    }

    pub(super) fn owned(&self, name: &str) -> Option<String> {
        self.text(name).map(str::to_owned)
    }

    pub(super) fn required(&self, name: &str) -> Result<&str, ApiError> {
        self.text(name).ok_or_else(|| ApiError::missing_param(&self.name(name)))
    }

    pub(super) fn integer(&self, name: &str) -> Result<Option<i64>, ApiError> {
        let Some(text) = self.text(name) else {
            return Ok(None);
        };
        text.parse().map(Some).map_err(|_| {
            ApiError::bad_param(&self.name(name), format!("Invalid integer: {text}"))
                .with_code("parameter_invalid_integer")
        })
    }

    pub(super) fn count(&self, name: &str) -> Result<Option<u64>, ApiError> {
        let Some(number) = self.integer(name)? else {
            return Ok(None);
        };
        u64::try_from(number).map(Some).map_err(|_| {
            ApiError::bad_param(&self.name(name), "This value must be greater than or equal to 0.")
        })
    }

    pub(super) fn boolean(&self, name: &str) -> Result<Option<bool>, ApiError> {
        match self.text(name) {
            None => Ok(None),
            Some("true") => Ok(Some(true)),
            Some("false") => Ok(Some(false)),
            Some(other) => {
                let message = format!("Invalid boolean: {other}");
                Err(ApiError::bad_param(&self.name(name), message))
            }
        }
    }

    /// A nested object, empty if there is none.
    pub(super) fn nested(&self, name: &str) -> Self {
        let map = match self.map.get(name) {
            Some(Param::Map(map)) => map.clone(),
            _ => BTreeMap::new(),
        };
        Self { map, prefix: self.name(name) }
    }

    fn elements(&self, name: &str) -> Vec<(String, &Param)> {
        let Some(Param::Map(map)) = self.map.get(name) else {
            return Vec::new();
        };
        let mut elements: Vec<_> = map
            .iter()
            .map(|(key, value)| (key.parse::<u32>().unwrap_or(u32::MAX), key, value))
            .collect();
        elements.sort_by_key(|(index, ..)| *index);
        elements
            .into_iter()
            .map(|(_, key, value)| (format!("{}[{key}]", self.name(name)), value))
            .collect()
    }

    /// An array of objects.
    pub(super) fn objects(&self, name: &str) -> Vec<Self> {
        self.elements(name)
            .into_iter()
            .filter_map(|(prefix, value)| match value {
                Param::Map(map) => Some(Self { map: map.clone(), prefix }),
                Param::Text(_) => None,
            })
            .collect()
    }

    /// An array of texts.
    pub(super) fn texts(&self, name: &str) -> Vec<String> {
        self.elements(name)
            .into_iter()
            .filter_map(|(_, value)| match value {
                Param::Text(text) => Some(text.clone()),
                Param::Map(_) => None,
            })
            .collect()
    }

    /// Writes `metadata` into `kept`: an empty value removes its key, an empty whole removes all.
    pub(super) fn merge_metadata(&self, kept: &mut Metadata) -> Result<(), ApiError> {
        match self.map.get("metadata") {
            None => {}
            Some(Param::Text(text)) if text.is_empty() => kept.clear(),
            Some(Param::Text(_)) => {
                return Err(ApiError::bad_param(&self.name("metadata"), "Invalid object"));
            }
            Some(Param::Map(map)) => {
                for (key, value) in map {
                    match value {
                        Param::Text(text) if text.is_empty() => drop(kept.remove(key)),
                        Param::Text(text) => drop(kept.insert(key.clone(), text.clone())),
                        Param::Map(_) => {
                            let name = format!("{}[{key}]", self.name("metadata"));
                            return Err(ApiError::bad_param(
                                &name,
                                "Metadata values must be strings.",
                            ));
                        }
                    }
                }
            }
        }
        Ok(())
    }

    pub(super) fn metadata(&self) -> Result<Metadata, ApiError> {
        let mut metadata = Metadata::new();
        self.merge_metadata(&mut metadata)?;
        Ok(metadata)
    }

    pub(super) fn is_empty(&self) -> bool {
        self.map.is_empty()
    }
}

fn path_of(key: &str) -> Vec<String> {
    let (head, rest) = key.split_once('[').unwrap_or((key, ""));
    let mut path = vec![head.to_owned()];
    if !rest.is_empty() {
        path.extend(rest.trim_end_matches(']').split("][").map(str::to_owned));
    } else if key.ends_with('[') {
        path.push(String::new());
    }
    path
}

fn insert(map: &mut BTreeMap<String, Param>, path: &[String], value: String) {
    let Some((head, rest)) = path.split_first() else {
        return;
    };
    // `a[]` appends.
    let head = if head.is_empty() { map.len().to_string() } else { head.clone() };
    if rest.is_empty() {
        map.insert(head, Param::Text(value));
        return;
    }
    let slot = map.entry(head).or_insert_with(|| Param::Map(BTreeMap::new()));
    if let Param::Text(_) = slot {
        *slot = Param::Map(BTreeMap::new());
    }
    if let Param::Map(inner) = slot {
        insert(inner, rest, value);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn brackets_nest_and_arrays_keep_their_order() {
        let params = Params::decode(
            "line_items[0][price]=price_1&line_items%5B1%5D[price]=price_2&line_items[10][price]=c\
             &expand[]=a&expand[]=b&metadata[app_user]=u%201%2B&plain=x+y",
        );
        let prices: Vec<_> =
            params.objects("line_items").iter().filter_map(|line| line.owned("price")).collect();
        assert_eq!(prices, ["price_1", "price_2", "c"]);
        assert_eq!(params.texts("expand"), ["a", "b"]);
        assert_eq!(params.metadata().unwrap()["app_user"], "u 1+");
        assert_eq!(params.text("plain"), Some("x y"));
    }

    #[test]
    fn errors_name_the_parameter_with_its_brackets() {
        let params = Params::decode("items[0][quantity]=many&wrong=1");
        let item = &params.objects("items")[0];
        assert_eq!(item.integer("quantity").unwrap_err().param().unwrap(), "items[0][quantity]");
        assert_eq!(params.only(&["items"]).unwrap_err().param().unwrap(), "wrong");
        assert_eq!(item.required("price").unwrap_err().param().unwrap(), "items[0][price]");
    }

    #[test]
    fn empty_metadata_values_unset() {
        let mut kept = Metadata::from([("a".to_owned(), "1".to_owned()), ("b".into(), "2".into())]);
        Params::decode("metadata[a]=&metadata[c]=3").merge_metadata(&mut kept).unwrap();
        assert_eq!(kept.keys().collect::<Vec<_>>(), ["b", "c"]);
        Params::decode("metadata=").merge_metadata(&mut kept).unwrap();
        assert!(kept.is_empty());
    }
}
