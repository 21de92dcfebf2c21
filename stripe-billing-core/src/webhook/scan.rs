//! Taking tokens off the top level of a JSON document.

use std::borrow::Cow;

use fearless_simd::prelude::*;

use super::blocks::skip_container;
use super::error::EnvelopeError;
use super::lanes::position;

/// One value of the top level: what it is, and where its bytes are.
#[derive(Clone, Copy, Debug)]
pub(super) struct Token {
    pub(super) kind: Kind,
    /// The first byte of the value, quote or bracket included.
    pub(super) start: usize,
    /// Just behind the last.
    pub(super) end: usize,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Text,
    /// A string with at least one backslash.
    EscapedText,
    Integer,
    Decimal,
    True,
    False,
    Null,
    Container,
}

/// The offset of a byte that does not fit, or the length of the document if it ends too early.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Misfit(pub(super) usize);

/// What kind of value was found, and the offset just behind it.
type Found = Result<(Kind, usize), Misfit>;

/// Takes tokens at given offsets. Offsets, kinds and misfits go in and out by value and are small
/// enough to stay in registers: a cursor in memory costs more than the looking.
#[derive(Clone, Copy)]
pub(super) struct Scanner<'a, S> {
    simd: S,
    text: &'a str,
}

impl<'a, S: Simd> Scanner<'a, S> {
    #[inline(always)]
    pub(super) fn new(simd: S, text: &'a str) -> Self {
        Self { simd, text }
    }

    #[inline(always)]
    pub(super) fn byte(self, at: usize) -> Option<u8> {
        self.text.as_bytes().get(at).copied()
    }

    /// The bytes from `at` on.
    #[inline(always)]
    pub(super) fn rest(self, at: usize) -> &'a [u8] {
        self.text.as_bytes().get(at..).unwrap_or_default()
    }

    /// The first offset from `at` on that holds no whitespace.
    #[inline(always)]
    pub(super) fn skip_blanks(self, mut at: usize) -> usize {
        while matches!(self.byte(at), Some(b' ' | b'\n' | b'\r' | b'\t')) {
            at += 1;
        }
        at
    }

    /// What a misfit means.
    #[cold]
    pub(super) fn error(self, Misfit(offset): Misfit) -> EnvelopeError {
        if offset < self.text.len() {
            EnvelopeError::InvalidJson { offset }
        } else {
            EnvelopeError::Truncated
        }
    }

    /// The value that starts at `at`.
    #[inline(always)]
    pub(super) fn value(self, at: usize) -> Found {
        match self.byte(at) {
            Some(b'"') => self.string(at),
            Some(b'{' | b'[') => {
                Ok((Kind::Container, skip_container(self.simd, self.text.as_bytes(), at)?))
            }
            Some(b'0'..=b'9') => self.number(at),
            Some(b'-') => self.number(at + 1),
            Some(b't') => self.literal(at, b"true", Kind::True),
            Some(b'f') => self.literal(at, b"false", Kind::False),
            Some(b'n') => self.literal(at, b"null", Kind::Null),
            _ => Err(Misfit(at)),
        }
    }

    /// The string whose opening quote should be at `at`.
    #[inline(always)]
    pub(super) fn string(self, at: usize) -> Found {
        if self.byte(at) != Some(b'"') {
            return Err(Misfit(at));
        }
        let end = self.plain_text(at + 1);
        match self.byte(end) {
            Some(b'"') => Ok((Kind::Text, end + 1)),
            Some(b'\\') => self.escaped_string(at, end),
            _ => Err(Misfit(end)),
        }
    }

    /// The string that starts at `start` and has its first backslash at `at`.
    #[cold]
    fn escaped_string(self, start: usize, mut at: usize) -> Found {
        while self.byte(at) == Some(b'\\') {
            // What follows a backslash is judged when the string is unescaped.
            at = self.plain_text(at + 2);
        }
        if self.byte(at) != Some(b'"') {
            return Err(Misfit(at));
        }
        self.unescape(start, at + 1)?;
        Ok((Kind::EscapedText, at + 1))
    }

    /// The text of the string from `start` to `end`.
    #[inline(always)]
    pub(super) fn content(
        self,
        kind: Kind,
        start: usize,
        end: usize,
    ) -> Result<Cow<'a, str>, Misfit> {
        if kind == Kind::EscapedText {
            return Ok(Cow::Owned(self.unescape(start, end)?));
        }
        Ok(Cow::Borrowed(&self.text[start + 1..end - 1]))
    }

    /// The bytes of a token.
    pub(super) fn raw(self, token: Token) -> &'a str {
        &self.text[token.start..token.end]
    }

    /// Rare in the fields that are read here, so the general parser is good enough.
    #[cold]
    fn unescape(self, start: usize, end: usize) -> Result<String, Misfit> {
        serde_json::from_str(&self.text[start..end]).map_err(|_| Misfit(start))
    }

    #[inline(always)]
    fn literal<const N: usize>(self, at: usize, word: &[u8; N], kind: Kind) -> Found {
        let rest = self.rest(at);
        if rest.first_chunk() == Some(word) {
            Ok((kind, at + N))
        } else if word.starts_with(rest) {
            Err(Misfit(self.text.len()))
        } else {
            Err(Misfit(at))
        }
    }

    /// The number whose first digit is at `first`.
    #[inline(always)]
    fn number(self, first: usize) -> Found {
        let end = self.digits(first)?;
        if self.byte(first) == Some(b'0') && end > first + 1 {
            return Err(Misfit(first + 1));
        }
        match self.byte(end) {
            Some(b'.' | b'e' | b'E') => self.decimal(end),
            _ => Ok((Kind::Integer, end)),
        }
    }

    /// The number whose integer part ends at `at`.
    #[cold]
    fn decimal(self, mut at: usize) -> Found {
        if self.byte(at) == Some(b'.') {
            at = self.digits(at + 1)?;
        }
        if matches!(self.byte(at), Some(b'e' | b'E')) {
            at += 1;
            at = self.digits(at + usize::from(matches!(self.byte(at), Some(b'+' | b'-'))))?;
        }
        Ok((Kind::Decimal, at))
    }

    /// The end of the digits at `at`, of which there must be at least one.
    #[inline(always)]
    fn digits(self, at: usize) -> Result<usize, Misfit> {
        let mut end = at;
        while matches!(self.byte(end), Some(b'0'..=b'9')) {
            end += 1;
        }
        if end == at { Err(Misfit(at)) } else { Ok(end) }
    }
    /// The first offset from `at` on that holds a quote, a backslash or a control character.
    #[inline(always)]
    fn plain_text(self, at: usize) -> usize {
        position(
            self.simd,
            self.text.as_bytes(),
            at,
            #[inline(always)]
            |lanes| lanes.simd_eq(b'"') | lanes.simd_eq(b'\\') | lanes.simd_le(0x1f),
        )
    }
}
