//! Searching bytes thirty-two at a time.

use fearless_simd::{mask8x32, prelude::*, u8x32};

const LANES: usize = 32;

/// The offset of the first byte from `from` on that satisfies a condition, or the length if none
/// does. The condition may hold of a NUL: what is behind the end does not count. It has to be a
/// function that is always inlined: only so it is compiled for the instructions of `simd`.
#[inline(always)]
pub(super) fn position<S: Simd>(
    simd: S,
    bytes: &[u8],
    from: usize,
    condition: impl Fn(u8x32<S>) -> mask8x32<S>,
) -> usize {
    let mut at = from;
    while let Some(lanes) = bytes.get(at..).and_then(<[u8]>::first_chunk) {
        let found = condition(u8x32::load_array_ref(simd, lanes)).to_bitmask();
        if found != 0 {
            return at + found.trailing_zeros() as usize;
        }
        at += LANES;
    }
    let rest = bytes.len().saturating_sub(at);
    if rest == 0 {
        return bytes.len();
    }
    // The rest is read together with what precedes it.
    let found = match bytes.last_chunk() {
        Some(lanes) => condition(u8x32::load_array_ref(simd, lanes)).to_bitmask() >> (LANES - rest),
        None => condition(u8x32::load_array_ref(simd, &padded(bytes))).to_bitmask() >> at,
    };
    bytes.len().min(at + found.trailing_zeros() as usize)
}

/// At most as many bytes as fit, and NULs behind them.
#[inline(always)]
pub(super) fn padded<const N: usize>(bytes: &[u8]) -> [u8; N] {
    let mut padded = [0; N];
    for (to, from) in padded.iter_mut().zip(bytes) {
        *to = *from;
    }
    padded
}

#[cfg(test)]
mod tests {
    use fearless_simd::{Level, dispatch};

    use super::*;

    #[inline(always)]
    fn comma(simd: impl Simd, bytes: &[u8], from: usize) -> usize {
        position(
            simd,
            bytes,
            from,
            #[inline(always)]
            |lanes| lanes.simd_eq(b','),
        )
    }

    #[test]
    fn the_first_match_counts_wherever_it_is_and_what_precedes_does_not() {
        for length in 0..100 {
            for from in 0..length + 2 {
                for at in from..=length.max(from) {
                    let mut bytes = vec![b'x'; length];
                    bytes[..from.min(length)].fill(b',');
                    bytes[at.min(length)..].fill(b',');
                    let found = [Level::new(), Level::baseline()]
                        .map(|level| dispatch!(level, simd => comma(simd, &bytes, from)));
                    assert_eq!(found, [at.min(length); 2], "{length} {from} {at}");
                }
            }
        }
    }
}
