//! Searching bytes sixteen at a time.

use wide::u8x16;

pub(super) const LANES: usize = 16;

/// The offset of the first byte that satisfies a condition, or the length if none does.
///
/// The condition is given twice: for sixteen bytes (all bits set in each that satisfies it) and
/// for one.
#[inline(always)]
pub(super) fn position(
    bytes: &[u8],
    sixteen: impl Fn(u8x16) -> u8x16,
    one: impl Fn(u8) -> bool,
) -> usize {
    let mut at = 0;
    while let Some(lane) = bytes.get(at..).and_then(<[u8]>::first_chunk::<LANES>) {
        let found = sixteen(u8x16::new(*lane)).to_bitmask();
        if found != 0 {
            return at + found.trailing_zeros() as usize;
        }
        at += LANES;
    }
    while at < bytes.len() && !one(bytes[at]) {
        at += 1;
    }
    at
}
