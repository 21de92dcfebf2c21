//! The form encoding of Stripe's v1 API: `items[0][price]=price_1&metadata[app_user]=42`.

/// A parameter's value. A form knows only text; what is empty there means "unset" to Stripe.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum FormValue {
    Text(String),
    /// Sent with indices, as all of Stripe's SDKs do. An empty list sends nothing.
    List(Vec<Self>),
    /// Sent in the order given. An empty map sends nothing.
    Map(Form),
}

/// Named parameters, in the order in which they are sent.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Form(Vec<(String, FormValue)>);

impl Form {
    pub(super) fn new() -> Self {
        Self::default()
    }

    pub(super) fn set(mut self, name: &str, value: impl Into<FormValue>) -> Self {
        self.0.push((name.to_owned(), value.into()));
        self
    }

    /// Leaves the parameter out when there is no value.
    pub(super) fn set_some(self, name: &str, value: Option<impl Into<FormValue>>) -> Self {
        match value {
            Some(value) => self.set(name, value),
            None => self,
        }
    }

    /// Sends the parameter as an empty string, which unsets it.
    pub(super) fn unset(self, name: &str) -> Self {
        self.set(name, "")
    }

    /// Adds parameters under the names that they have on the wire (`address[country]`).
    pub(super) fn append(mut self, params: &[(String, String)]) -> Self {
        let params = params.iter().cloned();
        self.0.extend(params.map(|(name, value)| (name, FormValue::Text(value))));
        self
    }

    pub(super) fn encode(&self) -> String {
        let mut out = String::new();
        for (name, value) in &self.0 {
            // A name given on the wire brings its own brackets.
            encode_value(&escape(name, true), value, &mut out);
        }
        out
    }
}

impl From<&str> for FormValue {
    fn from(text: &str) -> Self {
        Self::Text(text.to_owned())
    }
}

impl From<&String> for FormValue {
    fn from(text: &String) -> Self {
        Self::Text(text.clone())
    }
}

impl From<bool> for FormValue {
    fn from(flag: bool) -> Self {
        Self::from(if flag { "true" } else { "false" })
    }
}

impl From<i64> for FormValue {
    fn from(number: i64) -> Self {
        Self::Text(number.to_string())
    }
}

impl From<u64> for FormValue {
    fn from(number: u64) -> Self {
        Self::Text(number.to_string())
    }
}

impl From<Form> for FormValue {
    fn from(form: Form) -> Self {
        Self::Map(form)
    }
}

impl<T: Into<Self>> FromIterator<T> for FormValue {
    fn from_iter<I: IntoIterator<Item = T>>(values: I) -> Self {
        Self::List(values.into_iter().map(Into::into).collect())
    }
}

impl<'a> FromIterator<(&'a String, &'a String)> for Form {
    fn from_iter<I: IntoIterator<Item = (&'a String, &'a String)>>(pairs: I) -> Self {
        Self(pairs.into_iter().map(|(name, value)| (name.clone(), value.into())).collect())
    }
}

fn encode_value(name: &str, value: &FormValue, out: &mut String) {
    match value {
        FormValue::Text(text) => {
            if !out.is_empty() {
                out.push('&');
            }
            out.push_str(name);
            out.push('=');
            out.push_str(&escape(text, false));
        }
        FormValue::List(values) => {
            for (index, value) in values.iter().enumerate() {
                encode_value(&format!("{name}[{index}]"), value, out);
            }
        }
        FormValue::Map(form) => {
            for (key, value) in &form.0 {
                encode_value(&format!("{name}[{}]", escape(key, false)), value, out);
            }
        }
    }
}

/// Percent-encodes everything that RFC 3986 does not call unreserved, which is right in a form, in
/// a query and in a segment of a path alike.
pub(super) fn escape(text: &str, keep_brackets: bool) -> String {
    const HEX: &[u8; 16] = b"0123456789ABCDEF";
    let mut out = String::with_capacity(text.len());
    for byte in text.bytes() {
        let literal = byte.is_ascii_alphanumeric()
            || b"-._~".contains(&byte)
            || (keep_brackets && b"[]".contains(&byte));
        if literal {
            out.push(char::from(byte));
        } else {
            out.push('%');
            out.push(char::from(HEX[usize::from(byte >> 4)]));
            out.push(char::from(HEX[usize::from(byte & 15)]));
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn text(text: &str) -> FormValue {
        FormValue::from(text)
    }

    #[test]
    fn scalars() {
        let form = Form::new()
            .set("text", "a b&c=d+e/ü%")
            .set("yes", true)
            .set("no", false)
            .set("amount", -5_i64)
            .set("quantity", u64::MAX)
            .set_some("absent", None::<bool>)
            .unset("coupon");
        assert_eq!(
            form.encode(),
            "text=a%20b%26c%3Dd%2Be%2F%C3%BC%25&yes=true&no=false&amount=-5\
             &quantity=18446744073709551615&coupon="
        );
    }

    #[test]
    fn nesting() {
        let item = Form::new().set("price", "price_1").set("quantity", 2_u64);
        let tags = Form::new().set("app user", "1").set("a[b]", "2");
        let form = Form::new()
            .set("items", FormValue::from_iter([item, Form::new().set("price", "price_2")]))
            .set("expand", FormValue::from_iter(["a.b", "c"]))
            .set("data", Form::new().set("metadata", tags))
            .set("none", FormValue::List(Vec::new()))
            .set("nothing", Form::new())
            .append(&[("tax[liability][type]".to_owned(), "self".to_owned())]);
        assert_eq!(
            form.encode(),
            "items[0][price]=price_1&items[0][quantity]=2&items[1][price]=price_2\
             &expand[0]=a.b&expand[1]=c\
             &data[metadata][app%20user]=1&data[metadata][a%5Bb%5D]=2&tax[liability][type]=self"
        );
    }

    /// Reads a form back the way a server does: pairs, then names split at brackets, then maps
    /// whose keys are 0, 1, 2 … are lists.
    fn decode(encoded: &str) -> Form {
        let mut root = Form::new();
        for pair in encoded.split('&').filter(|pair| !pair.is_empty()) {
            let (name, value) = pair.split_once('=').unwrap();
            let mut parts = name.split('[').map(|part| unescape(part.trim_end_matches(']')));
            let mut place = entry(&mut root, parts.next().unwrap());
            for part in parts {
                if *place == text("") {
                    *place = FormValue::Map(Form::new());
                }
                let FormValue::Map(form) = place else { panic!("{name} is both text and map") };
                place = entry(form, part);
            }
            *place = FormValue::Text(unescape(value));
        }
        Form(root.0.into_iter().map(|(name, value)| (name, lists(value))).collect())
    }

    fn entry(form: &mut Form, name: String) -> &mut FormValue {
        let index = form.0.iter().position(|(known, _)| *known == name).unwrap_or_else(|| {
            form.0.push((name, text("")));
            form.0.len() - 1
        });
        &mut form.0[index].1
    }

    fn lists(value: FormValue) -> FormValue {
        let FormValue::Map(Form(pairs)) = value else {
            return value;
        };
        let pairs: Vec<_> = pairs.into_iter().map(|(key, value)| (key, lists(value))).collect();
        if pairs.iter().enumerate().all(|(index, (key, _))| *key == index.to_string()) {
            FormValue::List(pairs.into_iter().map(|(_, value)| value).collect())
        } else {
            FormValue::Map(Form(pairs))
        }
    }

    fn unescape(text: &str) -> String {
        let mut bytes = Vec::new();
        let mut rest = text.bytes();
        while let Some(byte) = rest.next() {
            if byte == b'%' {
                let digits = [rest.next().unwrap(), rest.next().unwrap()];
                let digits = std::str::from_utf8(&digits).unwrap();
                bytes.push(u8::from_str_radix(digits, 16).unwrap());
            } else {
                bytes.push(byte);
            }
        }
        String::from_utf8(bytes).unwrap()
    }

    /// Any name that is no number; a map with the keys 0, 1, 2 … is a list on the wire.
    fn name() -> impl Strategy<Value = String> {
        "[^0-9]\\PC{0,6}"
    }

    fn map(value: impl Strategy<Value = FormValue>) -> impl Strategy<Value = Form> {
        // Stripe allows no brackets in names, and a name occurs once.
        proptest::collection::btree_map(name(), value, 1..5).prop_map(|pairs| {
            let plain = |name: String| name.replace(['[', ']'], "_");
            let mut form = Form::new();
            for (name, value) in pairs {
                *entry(&mut form, plain(name)) = value;
            }
            form
        })
    }

    fn value() -> impl Strategy<Value = FormValue> {
        let leaf = prop_oneof![
            any::<String>().prop_map(FormValue::Text),
            any::<i64>().prop_map(FormValue::from),
            any::<bool>().prop_map(FormValue::from),
        ];
        leaf.prop_recursive(4, 40, 5, |inner| {
            prop_oneof![
                proptest::collection::vec(inner.clone(), 1..5).prop_map(FormValue::List),
                map(inner).prop_map(FormValue::Map),
            ]
        })
    }

    proptest! {
        #[test]
        fn what_is_encoded_reads_back(form in map(value())) {
            prop_assert_eq!(decode(&form.encode()), form);
        }

        #[test]
        fn the_encoding_is_plain_ascii(form in map(value())) {
            let legal = |b: u8| b.is_ascii_alphanumeric() || b"-._~%[]=&".contains(&b);
            prop_assert!(form.encode().bytes().all(legal));
        }
    }
}
