//! The `Stripe-Signature` header: `t=<unix seconds>,v1=<hex>[,v1=<hex>…][,v0=<hex>]`.

use std::iter;

use fearless_simd::{Level, dispatch, prelude::*};

use super::error::SignatureError;
use super::lanes::position;

/// The longest `Stripe-Signature` header that is looked at, in bytes. Stripe's are under 300.
pub const MAX_HEADER_BYTES: usize = 4096;

/// The most `v1` signatures in one header. Stripe sends one per active secret of the endpoint.
pub const MAX_SIGNATURES: usize = 16;

const DIGEST_BYTES: usize = 32;

/// The most digits of a time stamp: as many as a signed 64-bit number can have.
const MAX_STAMP_BYTES: usize = 19;

/// What a header says, nothing of it verified yet.
pub(super) struct Header<'h> {
    /// The digits of `t` as they were sent: they are part of the signed text.
    pub(super) stamp: &'h [u8],
    pub(super) timestamp: i64,
    /// The values of `v1`. There is nearly always one, and it should cost no allocation.
    first: &'h [u8],
    others: Vec<&'h [u8]>,
}

impl<'h> Header<'h> {
    #[inline(always)]
    pub(super) fn parse(header: &'h str) -> Result<Self, SignatureError> {
        if header.len() > MAX_HEADER_BYTES {
            return Err(SignatureError::HeaderTooLong { length: header.len() });
        }
        let mut rest = header.trim_ascii().as_bytes();
        if rest.is_empty() {
            return Err(SignatureError::MissingHeader);
        }
        let mut stamp: Option<&[u8]> = None;
        let mut first: Option<&[u8]> = None;
        let mut others = Vec::new();
        while !rest.is_empty() {
            // A header is too short for wider vectors than every processor has.
            let item = dispatch!(Level::baseline(), simd => next_item(simd, &mut rest));
            if let Some(value) = item.strip_prefix(b"v1=") {
                if first.is_none() {
                    first = Some(value);
                } else if others.len() + 1 < MAX_SIGNATURES {
                    others.push(value);
                } else {
                    return Err(SignatureError::TooManySignatures);
                }
            } else if let Some(value) = item.strip_prefix(b"t=") {
                if stamp.is_some_and(|known| known != value) {
                    return Err(SignatureError::Malformed);
                }
                stamp = Some(value);
            }
        }
        let stamp = stamp.ok_or(SignatureError::Malformed)?;
        let timestamp = parse_stamp(stamp).ok_or(SignatureError::Malformed)?;
        let first = first.ok_or(SignatureError::NoSupportedScheme)?;
        Ok(Self { stamp, timestamp, first, others })
    }

    /// The `v1` signatures that are 64 hex digits; the others cannot match and are left out.
    #[inline(always)]
    pub(super) fn digests(&self) -> impl Iterator<Item = [u8; DIGEST_BYTES]> {
        iter::once(&self.first).chain(&self.others).filter_map(|hex| decode(hex))
    }
}

/// Takes what is before the next comma, without the blanks around it.
#[inline(always)]
fn next_item<'h>(simd: impl Simd, rest: &mut &'h [u8]) -> &'h [u8] {
    let comma = position(
        simd,
        rest,
        0,
        #[inline(always)]
        |lanes| lanes.simd_eq(b','),
    );
    let (item, behind) = rest.split_at(comma);
    *rest = behind.get(1..).unwrap_or_default();
    item.trim_ascii()
}

/// Plain digits only: no sign, no blanks.
fn parse_stamp(stamp: &[u8]) -> Option<i64> {
    if stamp.is_empty() || stamp.len() > MAX_STAMP_BYTES {
        return None;
    }
    // So few digits always fit into an unsigned number.
    let seconds = stamp.iter().try_fold(0, |seconds: u64, byte| {
        let digit = byte.checked_sub(b'0').filter(|digit| *digit < 10)?;
        Some(10 * seconds + u64::from(digit))
    })?;
    i64::try_from(seconds).ok()
}

/// Branch-free, so that the compiler can work on many digits at once.
fn decode(hex: &[u8]) -> Option<[u8; DIGEST_BYTES]> {
    let hex: &[u8; 2 * DIGEST_BYTES] = hex.try_into().ok()?;
    let mut nibbles = [0; 2 * DIGEST_BYTES];
    let mut wrong = false;
    for (nibble, byte) in nibbles.iter_mut().zip(hex) {
        let digit = byte.wrapping_sub(b'0');
        let letter = (byte | 0x20).wrapping_sub(b'a');
        wrong |= digit >= 10 && letter >= 6;
        *nibble = if digit < 10 { digit } else { letter.wrapping_add(10) };
    }
    let mut digest = [0; DIGEST_BYTES];
    for (byte, pair) in digest.iter_mut().zip(nibbles.as_chunks::<2>().0) {
        *byte = pair[0] << 4 | pair[1];
    }
    (!wrong).then_some(digest)
}

/// Lower-case hex, as Stripe writes it.
pub(super) fn encode(digest: &[u8]) -> String {
    let mut hex = String::with_capacity(2 * digest.len());
    for byte in digest {
        for digit in [byte >> 4, byte & 0xf] {
            hex.push(char::from(b"0123456789abcdef"[usize::from(digit)]));
        }
    }
    hex
}
