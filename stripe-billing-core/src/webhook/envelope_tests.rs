use std::fmt::Write;

use proptest::prelude::*;
use serde_json::Value;

use super::*;

const SNAPSHOT: &str = r#"{
  "id": "evt_1",
  "object": "event",
  "account": "acct_1",
  "api_version": "2026-10-28.endive",
  "created": 1700000000,
  "data": {
    "object": {"id": "in_1", "note": "} ] \" \\", "lines": [{}, []]},
    "previous_attributes": {}
  },
  "livemode": true,
  "pending_webhooks": 1,
  "request": {"id": null, "idempotency_key": null},
  "type": "invoice.paid"
}"#;

const THIN: &str = r#"{"id":"evt_thin_1","object":"v2.core.event","type":"v1.customer.subscription.updated","livemode":false,"created":"2026-03-09T13:00:28.435Z","context":null,"related_object":{"id":"sub_1","type":"subscription","url":"/v1/subscriptions/sub_1"}}"#;

fn parse(body: &str) -> Result<Envelope<'_>, EnvelopeError> {
    Envelope::parse(body.as_bytes())
}

/// [`SNAPSHOT`] with one piece replaced.
fn with(from: &str, to: &str) -> String {
    assert!(SNAPSHOT.contains(from), "{from}");
    SNAPSHOT.replacen(from, to, 1)
}

#[test]
fn reads_a_snapshot_event() {
    let envelope = parse(SNAPSHOT).unwrap();
    assert_eq!(envelope.id, "evt_1");
    assert_eq!(envelope.kind, EventKind::Snapshot);
    assert_eq!(envelope.event_type, "invoice.paid");
    assert_eq!(envelope.account.as_deref(), Some("acct_1"));
    assert_eq!(envelope.api_version.as_deref(), Some("2026-10-28.endive"));
    assert_eq!(envelope.created, 1_700_000_000);
    assert_eq!(envelope.created_at().to_rfc3339(), "2023-11-14T22:13:20+00:00");
    assert!(envelope.livemode);
    let data = &SNAPSHOT[envelope.data.clone().unwrap()];
    assert!(data.starts_with("{\n    \"object\"") && data.ends_with("{}\n  }"), "{data}");
    assert!(matches!(envelope.id, std::borrow::Cow::Borrowed(_)));
}

#[test]
fn reads_a_thin_event() {
    let envelope = parse(THIN).unwrap();
    assert_eq!(envelope.kind, EventKind::Thin);
    assert_eq!(envelope.created, 1_773_061_228);
    assert_eq!((envelope.account, envelope.api_version, envelope.data), (None, None, None));
    let shifted = THIN.replace("13:00:28.435Z", "14:00:28+01:00");
    assert_eq!(parse(&shifted).unwrap().created, 1_773_061_228);
}

#[test]
fn absent_and_null_options_are_none() {
    for body in [
        with("\"account\": \"acct_1\",", "").replace("\"api_version\": \"2026-10-28.endive\",", ""),
        with("\"acct_1\"", "null").replace("\"2026-10-28.endive\"", "null"),
    ] {
        let envelope = parse(&body).unwrap();
        assert_eq!((envelope.account, envelope.api_version), (None, None));
    }
}

#[test]
fn the_last_of_equal_keys_counts_and_escaped_keys_are_keys() {
    let body = with("\"livemode\"", r#""id": 7, "\u0069d": "evt_\u00fc\n", "livemode""#);
    assert_eq!(parse(&body).unwrap().id, "evt_ü\n");
    let tree: Value = serde_json::from_str(&body).unwrap();
    assert_eq!(tree["id"], "evt_ü\n");
    let body = with("\"livemode\"", r#""created": "x", "livemode""#);
    assert_eq!(parse(&body), Err(EnvelopeError::WrongType { field: "created" }));
}

#[test]
fn a_field_that_is_missing_or_has_the_wrong_type_is_named() {
    let required = [
        ("id", "\"id\": \"evt_1\""),
        ("object", "\"object\": \"event\""),
        ("type", "\"type\": \"invoice.paid\""),
        ("created", "\"created\": 1700000000"),
        ("livemode", "\"livemode\": true"),
    ];
    for (field, pair) in required {
        let missing = with(pair, "\"other\": 1");
        assert_eq!(parse(&missing), Err(EnvelopeError::MissingField { field }), "{field}");
        for wrong in ["null", "1.5", "{}", "[]"] {
            let body = with(pair, &format!("\"{field}\": {wrong}"));
            assert_eq!(parse(&body), Err(EnvelopeError::WrongType { field }), "{field} {wrong}");
        }
    }
    for (field, from, to) in [
        ("id", "\"evt_1\"", "1"),
        ("account", "\"acct_1\"", "{}"),
        ("api_version", "\"2026-10-28.endive\"", "false"),
        ("created", "1700000000", "\"2026-03-09T13:00:28Z\""),
        ("created", "1700000000", "1.7e9"),
        ("livemode", "true", "\"true\""),
        ("livemode", "true", "0"),
    ] {
        assert_eq!(parse(&with(from, to)), Err(EnvelopeError::WrongType { field }), "{to}");
    }
    let thin = |from: &str, to: &str| THIN.replace(from, to);
    for body in [
        thin("\"2026-03-09T13:00:28.435Z\"", "1700000000"),
        thin("2026-03-09T13:00:28.435Z", "yesterday"),
    ] {
        assert_eq!(parse(&body), Err(EnvelopeError::WrongType { field: "created" }));
    }
    let body = thin("\"livemode\":false,", "");
    assert_eq!(parse(&body), Err(EnvelopeError::MissingField { field: "livemode" }));
}

#[test]
fn other_stripe_objects_are_no_events() {
    for object in ["customer", "Event", "event ", ""] {
        let body = with("\"event\"", &format!("\"{object}\""));
        assert_eq!(parse(&body), Err(EnvelopeError::NotAnEvent), "{object}");
    }
    assert!(parse(&with("\"event\"", r#""\u0065vent""#)).is_ok());
}

#[test]
fn texts_that_a_database_would_refuse_are_refused() {
    let longest = "x".repeat(MAX_TEXT_BYTES);
    for (field, value) in [
        ("id", "\"evt_1\""),
        ("type", "\"invoice.paid\""),
        ("account", "\"acct_1\""),
        ("api_version", "\"2026-10-28.endive\""),
    ] {
        let replaced = |text: &str| with(value, &format!("\"{text}\""));
        assert!(parse(&replaced(&longest)).is_ok());
        let too_long = replaced(&format!("{longest}x"));
        assert_eq!(parse(&too_long), Err(EnvelopeError::TextTooLong { field }));
        let escaped = replaced(&"\\u00fc".repeat(MAX_TEXT_BYTES / 2 + 1));
        assert_eq!(parse(&escaped), Err(EnvelopeError::TextTooLong { field }));
        assert_eq!(parse(&replaced("a\\u0000b")), Err(EnvelopeError::NulCharacter { field }));
        assert_eq!(parse(&replaced("")), Err(EnvelopeError::EmptyText { field }));
        assert!(matches!(parse(&replaced("a\0b")), Err(EnvelopeError::InvalidJson { .. })));
    }
}

#[test]
fn no_control_character_stands_in_a_text_as_it_is() {
    for character in '\0'..='\u{a0}' {
        let body = with("\"evt_1\"", &format!("\"evt_1{character}\""));
        let offset = body.find(&format!("evt_1{character}")).unwrap() + 5;
        match parse(&body) {
            Ok(envelope) => assert!(envelope.id.ends_with(character) && character >= ' '),
            Err(_) if ['"', '\\'].contains(&character) => {}
            Err(error) => {
                assert!(character < ' ', "{character:?}");
                assert_eq!(error, EnvelopeError::InvalidJson { offset }, "{character:?}");
            }
        }
    }
}

#[test]
fn created_stays_within_four_digit_years() {
    for (seconds, accepted) in [
        ("0", true),
        ("253402300799", true),
        ("253402300800", false),
        ("-1", false),
        ("-0", false),
        ("9223372036854775808", false),
    ] {
        let body = with("1700000000", seconds);
        match parse(&body) {
            Ok(envelope) => assert!(accepted && envelope.created.to_string() == seconds),
            Err(error) => assert!(!accepted && error == EnvelopeError::CreatedOutOfRange),
        }
    }
    let body = THIN.replace("2026-03-09", "1969-12-31");
    assert_eq!(parse(&body), Err(EnvelopeError::CreatedOutOfRange));
}

#[test]
fn what_is_no_json_object_is_refused() {
    use EnvelopeError as E;
    for (body, expected) in [
        ("", E::Truncated),
        (" \n", E::Truncated),
        ("{", E::Truncated),
        ("{\"", E::Truncated),
        ("{\"id", E::Truncated),
        ("{\"id\"", E::Truncated),
        ("{\"id\":", E::Truncated),
        ("{\"id\":tru", E::Truncated),
        ("{\"id\":-", E::Truncated),
        ("{\"id\":1.", E::Truncated),
        ("{\"id\":\"\\", E::Truncated),
        ("{\"id\":[1,{\"a\":\"]}\"}", E::Truncated),
        ("[]", E::NotAnObject),
        ("\"event\"", E::NotAnObject),
        ("12", E::NotAnObject),
        ("null", E::NotAnObject),
        ("\u{feff}{}", E::InvalidJson { offset: 0 }),
        ("id=evt_1", E::InvalidJson { offset: 0 }),
        ("{id:1}", E::InvalidJson { offset: 1 }),
        ("{\"id\" 1}", E::InvalidJson { offset: 6 }),
        ("{\"id\":01}", E::InvalidJson { offset: 7 }),
        ("{\"id\":1,}", E::InvalidJson { offset: 8 }),
        ("{\"id\":1 2}", E::InvalidJson { offset: 8 }),
        ("{\"id\":trve}", E::InvalidJson { offset: 6 }),
        ("{\"id\":+1}", E::InvalidJson { offset: 6 }),
        ("{\"id\":1.e5}", E::InvalidJson { offset: 8 }),
        ("{\"id\":1e}", E::InvalidJson { offset: 8 }),
        ("{\"id\":\"a\nb\"}", E::InvalidJson { offset: 8 }),
        ("{\"id\":\"\\x\"}", E::InvalidJson { offset: 6 }),
        ("{\"id\":\"\\ud800\"}", E::InvalidJson { offset: 6 }),
        ("{\"id\":[}", E::InvalidJson { offset: 7 }),
        ("{,}", E::InvalidJson { offset: 1 }),
        ("{} {}", E::TrailingData { offset: 3 }),
        ("{}\0", E::TrailingData { offset: 2 }),
        ("{}", E::MissingField { field: "object" }),
    ] {
        assert_eq!(parse(body), Err(expected), "{body}");
    }
    let mut body = SNAPSHOT.as_bytes().to_vec();
    let offset = SNAPSHOT.find("in_1").unwrap();
    body[offset] = 0xff;
    assert_eq!(Envelope::parse(&body), Err(E::NotUtf8 { offset }));
}

#[test]
fn nonsense_inside_data_is_left_to_processing() {
    for data in ["{nonsense}", "[1 2 tru]", "{\"a\":\"\\x\"}"] {
        let body = format!("{},\"data\":{data}}}", &SNAPSHOT[..SNAPSHOT.len() - 1]);
        assert_eq!(&body[parse(&body).unwrap().data.unwrap()], data);
    }
}

#[test]
fn deep_nesting_neither_overflows_the_stack_nor_hides_what_follows() {
    let depth = 100_000;
    let nested = format!("{}{}", "[{\"a\":".repeat(depth), "}]".repeat(depth))
        .replace("\"a\":}", "\"a\":0}");
    let body = with("\"livemode\"", &format!("\"deep\": {nested}, \"livemode\""));
    assert_eq!(parse(&body).unwrap().event_type, "invoice.paid");
    assert_eq!(parse(&"{\"a\":".repeat(depth)), Err(EnvelopeError::Truncated));
}

#[test]
fn every_truncation_and_every_extension_is_refused() {
    for body in [SNAPSHOT, THIN] {
        for end in 0..body.len() {
            assert!(parse(&body[..end]).is_err(), "{}", &body[..end]);
        }
        for extension in ["}", "{", "\"", ",", "x", "\0"] {
            let error = parse(&format!("{body}{extension}")).map(|_| ()).unwrap_err();
            assert_eq!(error, EnvelopeError::TrailingData { offset: body.len() });
        }
        assert!(parse(&format!("\r\n\t {body} \r\n\t")).is_ok());
    }
}

#[test]
fn every_error_has_its_code_and_status() {
    use EnvelopeError as E;
    let field = "id";
    for (error, code) in [
        (E::NotUtf8 { offset: 0 }, "event_not_utf8"),
        (E::Truncated, "event_truncated"),
        (E::InvalidJson { offset: 0 }, "event_invalid_json"),
        (E::TrailingData { offset: 0 }, "event_trailing_data"),
        (E::NotAnObject, "event_not_an_object"),
        (E::MissingField { field }, "event_field_missing"),
        (E::WrongType { field }, "event_field_wrong_type"),
        (E::NotAnEvent, "event_wrong_object"),
        (E::EmptyText { field }, "event_field_empty"),
        (E::TextTooLong { field }, "event_field_too_long"),
        (E::NulCharacter { field }, "event_field_nul"),
        (E::CreatedOutOfRange, "event_created_out_of_range"),
    ] {
        assert_eq!((error.code(), error.status()), (code, 400));
        assert!(!error.is_retryable());
        let error = WebhookError::from(error);
        assert_eq!((error.code(), error.status()), (code, 400));
        assert!(!error.to_string().is_empty());
    }
}

/// A JSON value that keeps the order and the duplicates of its keys.
#[derive(Clone, Debug)]
enum Json {
    Literal(&'static str),
    Text(String),
    List(Vec<Self>),
    Map(Vec<(String, Self)>),
}

/// Writes JSON with whitespace and escapes chosen by `noise`.
struct Writer<'n> {
    out: String,
    noise: std::iter::Cycle<std::slice::Iter<'n, u8>>,
}

impl Writer<'_> {
    fn noise(&mut self) -> u8 {
        self.noise.next().copied().unwrap_or_default()
    }

    fn blank(&mut self) {
        let blanks = ["", "", " ", "\n", "\n  ", "\r\n\t\t", "                    "];
        let choice = usize::from(self.noise()) % blanks.len();
        self.out.push_str(blanks[choice]);
    }

    fn text(&mut self, text: &str) {
        self.out.push('"');
        for character in text.chars() {
            let escape = self.noise().is_multiple_of(8);
            match character {
                '"' => self.out.push_str("\\\""),
                '\\' => self.out.push_str("\\\\"),
                '/' if escape => self.out.push_str("\\/"),
                '\n' if escape => self.out.push_str("\\n"),
                _ if escape || character < ' ' => {
                    for unit in character.encode_utf16(&mut [0; 2]) {
                        write!(self.out, "\\u{unit:04x}").unwrap();
                    }
                }
                _ => self.out.push(character),
            }
        }
        self.out.push('"');
    }

    fn value(&mut self, value: &Json) {
        match value {
            Json::Literal(literal) => self.out.push_str(literal),
            Json::Text(text) => self.text(text),
            Json::List(items) => {
                self.out.push('[');
                for (index, item) in items.iter().enumerate() {
                    self.separator(index);
                    self.value(item);
                }
                self.blank();
                self.out.push(']');
            }
            Json::Map(pairs) => {
                self.out.push('{');
                for (index, (key, item)) in pairs.iter().enumerate() {
                    self.separator(index);
                    self.text(key);
                    self.blank();
                    self.out.push(':');
                    self.blank();
                    self.value(item);
                }
                self.blank();
                self.out.push('}');
            }
        }
    }

    fn separator(&mut self, index: usize) {
        self.blank();
        if index > 0 {
            self.out.push(',');
            self.blank();
        }
    }
}

fn write(value: &Json, noise: &[u8]) -> String {
    let mut writer = Writer { out: String::new(), noise: noise.iter().cycle() };
    writer.blank();
    writer.value(value);
    writer.blank();
    writer.out
}

fn any_text() -> impl Strategy<Value = String> {
    prop_oneof![
        "[a-z_.]{0,20}",
        "[\"\\\\{}\\[\\],:a ]{0,40}",
        "\\\\{0,130}",
        "\\PC{0,20}",
        "[\u{0}-\u{1f}😀ü]{0,4}",
    ]
}

fn any_json() -> impl Strategy<Value = Json> {
    let leaf = prop_oneof![
        prop::sample::select(vec![
            "null",
            "true",
            "false",
            "0",
            "-0",
            "-1",
            "1.5",
            "1e3",
            "12E-2",
            "1700000000",
            "9223372036854775807",
            "18446744073709551615",
        ])
        .prop_map(Json::Literal),
        any_text().prop_map(Json::Text),
    ];
    leaf.prop_recursive(5, 40, 6, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..6).prop_map(Json::List),
            prop::collection::vec((any_text(), inner), 0..6).prop_map(Json::Map),
        ]
    })
}

/// Mostly events: the usual fields, sometimes with odd values, in any order, some of them twice.
fn any_event() -> impl Strategy<Value = Json> {
    let text = |usual: &'static [&'static str]| {
        prop_oneof![
            9 => prop::sample::select(usual).prop_map(|text| Json::Text(text.to_owned())),
            2 => any_text().prop_map(Json::Text),
            1 => any_json(),
        ]
    };
    let field = |name: &'static str, value: BoxedStrategy<Json>| {
        value.prop_map(move |value| (name.to_owned(), value)).boxed()
    };
    let literal = |usual: &'static [&'static str]| {
        prop_oneof![
            9 => prop::sample::select(usual).prop_map(Json::Literal),
            1 => any_json(),
        ]
    };
    let usual = vec![
        field("id", text(&["evt_1", "evt_ü"]).boxed()),
        field("object", text(&["event", "event", "event", "v2.core.event"]).boxed()),
        field("type", text(&["invoice.paid"]).boxed()),
        field("created", literal(&["1700000000", "0"]).boxed()),
        field("livemode", literal(&["true", "false"]).boxed()),
    ];
    let extra = prop_oneof![
        text(&["acct_1"]).prop_map(|value| ("account".to_owned(), value)),
        text(&["2026-10-28.endive"]).prop_map(|value| ("api_version".to_owned(), value)),
        any_json().prop_map(|value| ("data".to_owned(), value)),
        text(&["2026-03-09T13:00:28Z"]).prop_map(|value| ("created".to_owned(), value)),
        text(&["evt_2"]).prop_map(|value| ("id".to_owned(), value)),
        (any_text(), any_json()),
    ];
    (usual, prop::collection::vec(extra, 0..6)).prop_flat_map(|(usual, extra)| {
        Just(usual.into_iter().chain(extra).collect::<Vec<_>>()).prop_shuffle().prop_map(Json::Map)
    })
}

/// What the envelope should be, by way of a tree.
fn expected(tree: &Value) -> Option<(String, EventKind, String, i64, bool)> {
    let text = |key: &str| {
        let text = tree[key].as_str()?;
        let fits = !text.is_empty() && text.len() <= MAX_TEXT_BYTES && !text.contains('\0');
        fits.then(|| text.to_owned())
    };
    for optional in ["account", "api_version"] {
        if !tree[optional].is_null() {
            text(optional)?;
        }
    }
    let (kind, created) = match tree["object"].as_str()? {
        "event" => (EventKind::Snapshot, tree["created"].as_i64()?),
        "v2.core.event" => {
            let created = chrono::DateTime::parse_from_rfc3339(tree["created"].as_str()?).ok()?;
            (EventKind::Thin, created.timestamp())
        }
        _ => return None,
    };
    let in_range = (0..=253_402_300_799).contains(&created);
    in_range.then_some(())?;
    Some((text("id")?, kind, text("type")?, created, tree["livemode"].as_bool()?))
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2000))]

    #[test]
    fn agrees_with_a_parsed_tree(event in any_event(), noise in prop::collection::vec(any::<u8>(), 1..64)) {
        let body = write(&event, &noise);
        let tree: Value = serde_json::from_str(&body).unwrap();
        match (parse(&body), expected(&tree)) {
            (Ok(envelope), Some((id, kind, event_type, created, livemode))) => {
                prop_assert_eq!(&*envelope.id, &*id);
                prop_assert_eq!(envelope.kind, kind);
                prop_assert_eq!(&*envelope.event_type, &*event_type);
                prop_assert_eq!(envelope.created, created);
                prop_assert_eq!(envelope.livemode, livemode);
                prop_assert_eq!(envelope.account.as_deref(), tree["account"].as_str());
                prop_assert_eq!(envelope.api_version.as_deref(), tree["api_version"].as_str());
                let data = envelope.data.map(|range| {
                    serde_json::from_str::<Value>(&body[range]).unwrap()
                });
                prop_assert_eq!(data.as_ref(), tree.get("data"));
            }
            (Err(_), None) => {}
            (got, expected) => prop_assert!(false, "{got:?} but {expected:?}: {body}"),
        }
    }

    #[test]
    fn arbitrary_bytes_never_panic(mut bytes in prop::collection::vec(any::<u8>(), 0..300), keep in 0..400usize) {
        let _ = Envelope::parse(&bytes);
        let mut body = SNAPSHOT.as_bytes()[..keep.min(SNAPSHOT.len())].to_vec();
        body.append(&mut bytes);
        let _ = Envelope::parse(&body);
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(100))]

    #[test]
    fn refuses_every_truncation(event in any_event(), noise in prop::collection::vec(any::<u8>(), 1..64)) {
        let body = write(&event, &noise);
        let body = body.trim_end();
        for end in 0..body.len() {
            prop_assert!(Envelope::parse(&body.as_bytes()[..end]).is_err(), "{end} of {body}");
        }
    }
}
