use std::borrow::Cow;
use std::ops::Range;

use chrono::{DateTime, Utc};
use fearless_simd::{Level, Simd, dispatch};

use super::error::EnvelopeError;
use super::scan::{Kind, Misfit, Scanner, Token};

/// The longest `id`, `type`, `account` or `api_version` that is taken in, in bytes. Stripe's own
/// limit for ids is 255 characters, all of them ASCII.
pub const MAX_TEXT_BYTES: usize = 255;

/// The last second of the year 9999, where the `datetime` of MySQL and four-digit years end.
const LAST_CREATED: i64 = 253_402_300_799;

/// Which of Stripe's two event formats a body is in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum EventKind {
    /// `object` is `event`: carries the whole resource as it was.
    Snapshot,
    /// `object` is `v2.core.event`: names the resource, which has to be fetched.
    Thin,
    /// An operator's command, which no webhook can bring.
    Command,
}

/// What intake has to know of an event in order to store it, read straight from the body.
///
/// Only the top level of the body is parsed. Nested values, `data` above all, are skipped: their
/// strings must end, and of each kind as many brackets must close as open, so that a body cut
/// short is refused; what else is in them is not judged here. A body with nonsense inside `data`
/// is therefore taken in, and fails where somebody sees it, when the stored event is processed.
///
/// Unknown keys are ignored. A key that occurs twice counts with its last value, as in nearly
/// every JSON parser (and in `serde_json::Value`), so that a later look at the same body
/// sees the same event. The whole body must be UTF-8.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Envelope<'a> {
    /// The event's id (`evt_…`), never empty, at most [`MAX_TEXT_BYTES`] long.
    pub id: Cow<'a, str>,
    /// The format of the body.
    pub kind: EventKind,
    /// The event's type, such as `invoice.paid`. An open set: new ones appear at any time.
    pub event_type: Cow<'a, str>,
    /// The connected account (`acct_…`) that the event belongs to, if not the platform's own.
    pub account: Option<Cow<'a, str>>,
    /// The API version that `data` is written in. Thin events have none, and Stripe may send null.
    pub api_version: Option<Cow<'a, str>>,
    /// When Stripe made the event, in seconds since 1970 (UTC), between the years 1970 and 9999.
    /// The fraction that thin events carry is dropped.
    pub created: i64,
    /// Whether the event is about real money. Required in both formats: it is part of an event's
    /// identity, and guessing `false` would file a live event under test.
    pub livemode: bool,
    /// Where in the body the value of `data` is, if there is one.
    pub data: Option<Range<usize>>,
}

impl<'a> Envelope<'a> {
    /// Reads the envelope of a body, which should have been [verified] before.
    ///
    /// Makes one pass, without recursion and (unless a field that is read has escapes) without
    /// allocation.
    ///
    /// [verified]: super::SignatureVerifier::verify
    ///
    /// # Errors
    /// An [`EnvelopeError`]; all of them mean HTTP 400. Never panics, whatever the bytes.
    pub fn parse(body: &'a [u8]) -> Result<Self, EnvelopeError> {
        let body = simdutf8::basic::from_utf8(body).map_err(|_| not_utf8(body))?;
        dispatch!(Level::new(), simd => Self::read(Scanner::new(simd, body)))
    }

    #[inline(always)]
    fn read(scanner: Scanner<'a, impl Simd>) -> Result<Self, EnvelopeError> {
        let fields = Fields::scan(scanner)?;

        let kind = match &*text(scanner, fields.object, "object")? {
            "event" => EventKind::Snapshot,
            "v2.core.event" => EventKind::Thin,
            _ => return Err(EnvelopeError::NotAnEvent),
        };
        Ok(Self {
            id: stored_text(scanner, fields.id, "id")?,
            kind,
            event_type: stored_text(scanner, fields.event_type, "type")?,
            account: optional_stored_text(scanner, fields.account, "account")?,
            api_version: optional_stored_text(scanner, fields.api_version, "api_version")?,
            created: created(scanner, fields.created, kind)?,
            livemode: match required(fields.livemode, "livemode")?.kind {
                Kind::True => true,
                Kind::False => false,
                _ => return Err(EnvelopeError::WrongType { field: "livemode" }),
            },
            data: fields.data.map(|token| token.start..token.end),
        })
    }

    /// [`created`](Self::created) as a time.
    pub fn created_at(&self) -> DateTime<Utc> {
        // `parse` lets no other seconds through; a hand-made envelope gets the epoch.
        DateTime::from_timestamp(self.created, 0).unwrap_or_default()
    }
}

/// The fast check does not say where it failed.
#[cold]
fn not_utf8(body: &[u8]) -> EnvelopeError {
    let offset = std::str::from_utf8(body).map_or_else(|error| error.valid_up_to(), str::len);
    EnvelopeError::NotUtf8 { offset }
}

/// The last value of each key that matters, not interpreted yet.
#[derive(Default)]
struct Fields {
    id: Option<Token>,
    object: Option<Token>,
    event_type: Option<Token>,
    account: Option<Token>,
    api_version: Option<Token>,
    created: Option<Token>,
    livemode: Option<Token>,
    data: Option<Token>,
}

impl Fields {
    /// Reads the whole document.
    #[inline(always)]
    fn scan(scanner: Scanner<'_, impl Simd>) -> Result<Self, EnvelopeError> {
        let mut fields = Self::default();
        let at = scanner.skip_blanks(0);
        if let Some(b'[' | b'"' | b'-' | b'0'..=b'9' | b't' | b'f' | b'n') = scanner.byte(at) {
            return Err(EnvelopeError::NotAnObject);
        }
        let end = fields.object(scanner, at).map_err(|misfit| scanner.error(misfit))?;
        let behind = scanner.skip_blanks(end);
        match scanner.byte(behind) {
            None => Ok(fields),
            Some(_) => Err(EnvelopeError::TrailingData { offset: behind }),
        }
    }

    /// Reads the object at `at`; returns the offset just behind it.
    #[inline(always)]
    fn object(&mut self, scanner: Scanner<'_, impl Simd>, at: usize) -> Result<usize, Misfit> {
        if scanner.byte(at) != Some(b'{') {
            return Err(Misfit(at));
        }
        let mut at = scanner.skip_blanks(at + 1);
        if scanner.byte(at) == Some(b'}') {
            return Ok(at + 1);
        }
        loop {
            at = self.pair(scanner, at)?;
            match scanner.byte(at) {
                Some(b',') => at = scanner.skip_blanks(at + 1),
                Some(b'}') => return Ok(at + 1),
                _ => return Err(Misfit(at)),
            }
        }
    }

    /// Reads the `"key": value` at `at`; returns where the next token is.
    #[inline(always)]
    fn pair(&mut self, scanner: Scanner<'_, impl Simd>, at: usize) -> Result<usize, Misfit> {
        let (slot, key_end) = match self.plain_key(scanner.rest(at)) {
            Some((slot, length)) => (Some(slot), at + length),
            None => self.any_key(scanner, at)?,
        };
        let colon = scanner.skip_blanks(key_end);
        if scanner.byte(colon) != Some(b':') {
            return Err(Misfit(colon));
        }
        let start = scanner.skip_blanks(colon + 1);
        let (kind, end) = scanner.value(start)?;
        if let Some(slot) = slot {
            *slot = Some(Token { kind, start, end });
        }
        Ok(scanner.skip_blanks(end))
    }

    /// The field whose key, written without escapes, comes next, and the length of that key.
    ///
    /// Comparing with the few keys that matter is faster than looking for the closing quote
    /// first: the processor guesses the outcome of a comparison and goes on at once.
    #[inline(always)]
    fn plain_key(&mut self, rest: &[u8]) -> Option<(&mut Option<Token>, usize)> {
        match rest.get(1)? {
            b'i' => starts_with(rest, b"\"id\"", &mut self.id),
            b'o' => starts_with(rest, b"\"object\"", &mut self.object),
            b'c' => starts_with(rest, b"\"created\"", &mut self.created),
            b'd' => starts_with(rest, b"\"data\"", &mut self.data),
            b'l' => starts_with(rest, b"\"livemode\"", &mut self.livemode),
            b't' => starts_with(rest, b"\"type\"", &mut self.event_type),
            b'a' if rest.get(2) == Some(&b'p') => {
                starts_with(rest, b"\"api_version\"", &mut self.api_version)
            }
            b'a' => starts_with(rest, b"\"account\"", &mut self.account),
            _ => None,
        }
    }

    /// The field whose key comes next, if it is one that matters, and the end of that key.
    #[inline(always)]
    fn any_key(
        &mut self,
        scanner: Scanner<'_, impl Simd>,
        at: usize,
    ) -> Result<(Option<&mut Option<Token>>, usize), Misfit> {
        let (kind, end) = scanner.string(at)?;
        if kind == Kind::Text {
            return Ok((None, end));
        }
        let plain = scanner.content(kind, at, end)?;
        Ok((self.escaped_key(&plain), end))
    }

    #[cold]
    fn escaped_key(&mut self, plain: &str) -> Option<&mut Option<Token>> {
        self.plain_key(format!("\"{plain}\"").as_bytes()).map(|(slot, _)| slot)
    }
}

/// `field` and the length of its quoted key, if that is what comes next.
#[inline(always)]
fn starts_with<'f, const N: usize>(
    rest: &[u8],
    key: &[u8; N],
    field: &'f mut Option<Token>,
) -> Option<(&'f mut Option<Token>, usize)> {
    (rest.first_chunk() == Some(key)).then_some((field, N))
}

#[inline(always)]
fn required(token: Option<Token>, field: &'static str) -> Result<Token, EnvelopeError> {
    token.ok_or(EnvelopeError::MissingField { field })
}

#[inline(always)]
fn text<'a>(
    scanner: Scanner<'a, impl Simd>,
    token: Option<Token>,
    field: &'static str,
) -> Result<Cow<'a, str>, EnvelopeError> {
    let Token { kind, start, end } = required(token, field)?;
    if !matches!(kind, Kind::Text | Kind::EscapedText) {
        return Err(EnvelopeError::WrongType { field });
    }
    scanner.content(kind, start, end).map_err(|misfit| scanner.error(misfit))
}

/// A text that a store has to be able to hold.
#[inline(always)]
fn stored_text<'a>(
    scanner: Scanner<'a, impl Simd>,
    token: Option<Token>,
    field: &'static str,
) -> Result<Cow<'a, str>, EnvelopeError> {
    let text = text(scanner, token, field)?;
    if text.is_empty() {
        return Err(EnvelopeError::EmptyText { field });
    }
    if text.len() > MAX_TEXT_BYTES {
        return Err(EnvelopeError::TextTooLong { field });
    }
    // Only an escape can make one: a raw control character is no JSON.
    if matches!(text, Cow::Owned(_)) && text.contains('\0') {
        return Err(EnvelopeError::NulCharacter { field });
    }
    Ok(text)
}

#[inline(always)]
fn optional_stored_text<'a>(
    scanner: Scanner<'a, impl Simd>,
    token: Option<Token>,
    field: &'static str,
) -> Result<Option<Cow<'a, str>>, EnvelopeError> {
    match token {
        None | Some(Token { kind: Kind::Null, .. }) => Ok(None),
        Some(_) => stored_text(scanner, token, field).map(Some),
    }
}

/// Whole seconds in a snapshot event, an RFC 3339 time in a thin one.
#[inline(always)]
fn created(
    scanner: Scanner<'_, impl Simd>,
    token: Option<Token>,
    kind: EventKind,
) -> Result<i64, EnvelopeError> {
    const FIELD: &str = "created";
    let value = required(token, FIELD)?;
    let seconds = match (kind, value.kind) {
        // An integer by now, so what does not parse is negative or too large. `-0` is neither, but
        // a fraction to other parsers, and so refused as well.
        (EventKind::Snapshot, Kind::Integer) => {
            let seconds = scanner.raw(value).parse::<u64>().ok();
            seconds.and_then(|it| it.try_into().ok()).ok_or(EnvelopeError::CreatedOutOfRange)?
        }
        (EventKind::Thin, Kind::Text | Kind::EscapedText) => {
            DateTime::parse_from_rfc3339(&text(scanner, token, FIELD)?)
                .map_err(|_| EnvelopeError::WrongType { field: FIELD })?
                .timestamp()
        }
        _ => return Err(EnvelopeError::WrongType { field: FIELD }),
    };
    if !(0..=LAST_CREATED).contains(&seconds) {
        return Err(EnvelopeError::CreatedOutOfRange);
    }
    Ok(seconds)
}
