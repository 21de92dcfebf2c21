use super::envelope::MAX_TEXT_BYTES;
use super::header::{MAX_HEADER_BYTES, MAX_SIGNATURES};

const BAD_REQUEST: u16 = 400;
const CONTENT_TOO_LARGE: u16 = 413;

/// Why a delivery is not proven to come from Stripe.
///
/// None of these is worth a retry with the same bytes. Stripe itself signs every delivery attempt
/// anew, so its own later attempts can succeed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum SignatureError {
    /// There is no `Stripe-Signature` header, or it is blank.
    #[error("the Stripe-Signature header is missing")]
    MissingHeader,
    /// The header is longer than [`MAX_HEADER_BYTES`].
    #[error("the Stripe-Signature header is {length} bytes long, more than {MAX_HEADER_BYTES}")]
    HeaderTooLong {
        /// Length of the header in bytes.
        length: usize,
    },
    /// The header has no time stamp, one that is not a plain decimal, or two different ones.
    #[error("the Stripe-Signature header does not hold exactly one readable time stamp")]
    Malformed,
    /// The header has more than [`MAX_SIGNATURES`] signatures.
    #[error("the Stripe-Signature header holds more than {MAX_SIGNATURES} signatures")]
    TooManySignatures,
    /// The header has no `v1` signature. Other schemes never count: accepting one would let a
    /// sender choose a weaker proof.
    #[error("the Stripe-Signature header holds no signature of scheme v1")]
    NoSupportedScheme,
    /// No `v1` signature matches any of the secrets.
    #[error(
        "no signature matches: check that the secret belongs to this endpoint and that the raw \
         body is verified, before any parsing or re-encoding"
    )]
    NoMatch,
    /// The signature is right but too old, or too far in the future.
    #[error("the signature is {age_seconds} s old, outside the tolerance")]
    OutsideTolerance {
        /// Now minus the signed time stamp, in seconds; negative for a stamp in the future.
        age_seconds: i64,
    },
}

impl SignatureError {
    /// A stable name for logs, metrics and problem responses.
    pub fn code(&self) -> &'static str {
        match self {
            Self::MissingHeader => "signature_missing",
            Self::HeaderTooLong { .. } => "signature_header_too_long",
            Self::Malformed => "signature_malformed",
            Self::TooManySignatures => "signature_too_many",
            Self::NoSupportedScheme => "signature_scheme_unsupported",
            Self::NoMatch => "signature_mismatch",
            Self::OutsideTolerance { .. } => "signature_outside_tolerance",
        }
    }

    /// The HTTP status to answer with: always 400.
    pub fn status(&self) -> u16 {
        BAD_REQUEST
    }

    /// Whether the same bytes could be accepted later: never.
    pub fn is_retryable(&self) -> bool {
        false
    }
}

/// Why a body cannot be taken in as a Stripe event.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum EnvelopeError {
    /// The body is not UTF-8.
    #[error("the body is not UTF-8 (first bad byte at {offset})")]
    NotUtf8 {
        /// Offset of the first bad byte.
        offset: usize,
    },
    /// The body ends before its JSON does; an empty body is the shortest such one.
    #[error("the body ends in the middle of its JSON")]
    Truncated,
    /// The body is not JSON.
    #[error("the body is not JSON (at byte {offset})")]
    InvalidJson {
        /// Offset of the first byte that does not fit.
        offset: usize,
    },
    /// Something other than whitespace follows the JSON object.
    #[error("the body goes on after its JSON (at byte {offset})")]
    TrailingData {
        /// Offset of the first byte too many.
        offset: usize,
    },
    /// The body is JSON, but not an object.
    #[error("the body is not a JSON object")]
    NotAnObject,
    /// A field that every event has is absent.
    #[error("the event has no `{field}`")]
    MissingField {
        /// Name of the field.
        field: &'static str,
    },
    /// A field has another JSON type than Stripe documents.
    #[error("the event's `{field}` has the wrong type")]
    WrongType {
        /// Name of the field.
        field: &'static str,
    },
    /// `object` is neither `event` nor `v2.core.event`: this is some other Stripe object.
    #[error("the body's `object` is neither `event` nor `v2.core.event`")]
    NotAnEvent,
    /// A text field is empty.
    #[error("the event's `{field}` is empty")]
    EmptyText {
        /// Name of the field.
        field: &'static str,
    },
    /// A text field is longer than [`MAX_TEXT_BYTES`].
    #[error("the event's `{field}` is longer than {MAX_TEXT_BYTES} bytes")]
    TextTooLong {
        /// Name of the field.
        field: &'static str,
    },
    /// A text field holds U+0000, which PostgreSQL cannot store.
    #[error("the event's `{field}` holds a NUL character")]
    NulCharacter {
        /// Name of the field.
        field: &'static str,
    },
    /// `created` is before 1970 or after 9999, which no store has to be able to hold.
    #[error("the event's `created` is not a time between the years 1970 and 9999")]
    CreatedOutOfRange,
}

impl EnvelopeError {
    /// A stable name for logs, metrics and problem responses.
    pub fn code(&self) -> &'static str {
        match self {
            Self::NotUtf8 { .. } => "event_not_utf8",
            Self::Truncated => "event_truncated",
            Self::InvalidJson { .. } => "event_invalid_json",
            Self::TrailingData { .. } => "event_trailing_data",
            Self::NotAnObject => "event_not_an_object",
            Self::MissingField { .. } => "event_field_missing",
            Self::WrongType { .. } => "event_field_wrong_type",
            Self::NotAnEvent => "event_wrong_object",
            Self::EmptyText { .. } => "event_field_empty",
            Self::TextTooLong { .. } => "event_field_too_long",
            Self::NulCharacter { .. } => "event_field_nul",
            Self::CreatedOutOfRange => "event_created_out_of_range",
        }
    }

    /// The HTTP status to answer with: always 400.
    pub fn status(&self) -> u16 {
        BAD_REQUEST
    }

    /// Whether the same bytes could be accepted later: never.
    pub fn is_retryable(&self) -> bool {
        false
    }
}

/// Why a webhook request is refused.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum WebhookError {
    /// It is not proven to come from Stripe.
    #[error(transparent)]
    Signature(#[from] SignatureError),
    /// It comes from Stripe but cannot be read as an event.
    #[error(transparent)]
    Envelope(#[from] EnvelopeError),
    /// Its body is larger than the endpoint accepts.
    #[error("the body is larger than {limit} bytes")]
    TooLarge {
        /// The most bytes accepted.
        limit: usize,
    },
}

impl WebhookError {
    /// A stable name for logs, metrics and problem responses.
    pub fn code(&self) -> &'static str {
        match self {
            Self::Signature(error) => error.code(),
            Self::Envelope(error) => error.code(),
            Self::TooLarge { .. } => "payload_too_large",
        }
    }

    /// The HTTP status to answer with: 413 for a body that is too large, otherwise 400.
    pub fn status(&self) -> u16 {
        match self {
            Self::Signature(error) => error.status(),
            Self::Envelope(error) => error.status(),
            Self::TooLarge { .. } => CONTENT_TOO_LARGE,
        }
    }

    /// Whether the same bytes could be accepted later: never.
    pub fn is_retryable(&self) -> bool {
        false
    }
}
