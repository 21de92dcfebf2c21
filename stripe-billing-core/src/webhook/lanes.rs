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
    let (lanes, tail) = bytes.as_chunks::<LANES>();
    for (index, lane) in lanes.iter().enumerate() {
        let found = sixteen(u8x16::new(*lane)).to_bitmask();
        if found != 0 {
            return index * LANES + found.trailing_zeros() as usize;
        }
    }
    let before = bytes.len() - tail.len();
    tail.iter()
        .position(|byte| one(*byte))
        .map_or(bytes.len(), |at| before + at)
}
