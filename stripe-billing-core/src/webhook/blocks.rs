//! Finding the end of a JSON container without reading what is inside.
//!
//! The bytes are looked at in blocks of 64. Vector compares turn each block into bit masks of its
//! quotes, backslashes and brackets; a prefix sum over the quotes that are not escaped tells which
//! bytes are inside strings; only the brackets outside of them are visited one by one.

use fearless_simd::{prelude::*, u8x64};

use super::lanes::padded;
use super::scan::Misfit;

const BLOCK: usize = 64;

/// Given the offset of a `{` or `[`, the offset just behind the bracket that closes it.
///
/// Every string in between must end, and of each kind as many brackets must close as open; nothing
/// else is checked. Takes no memory, however deep the nesting.
///
/// A function of its own, so that what a block hands on to the next stays in registers.
#[inline(never)]
pub(super) fn skip_container(simd: impl Simd, bytes: &[u8], start: usize) -> Result<usize, Misfit> {
    simd.vectorize(
        #[inline(always)]
        || skip(simd, bytes, start),
    )
}

#[inline(always)]
fn skip(simd: impl Simd, bytes: &[u8], start: usize) -> Result<usize, Misfit> {
    let mut strings = Strings::default();
    let mut open = if bytes.get(start) == Some(&b'[') { SQUARE } else { CURLY };
    let (blocks, rest) = bytes.get(start + 1..).unwrap_or_default().as_chunks();
    for (index, block) in blocks.iter().enumerate() {
        let brackets = Masks::of(simd, block).brackets(simd, &mut strings);
        if let Some(end) = visit(brackets, block, &mut open) {
            return end.behind(start + 1 + index * BLOCK);
        }
    }
    if rest.is_empty() {
        return Err(Misfit(bytes.len()));
    }
    // The rest is read together with what precedes it.
    let at = bytes.len() - rest.len();
    let masks = match bytes.last_chunk() {
        Some(block) => Masks::of(simd, block).without_first(BLOCK - rest.len()),
        None => Masks::of(simd, &padded(bytes)).without_first(at),
    };
    match visit(masks.brackets(simd, &mut strings), rest, &mut open) {
        Some(end) => end.behind(at),
        None => Err(Misfit(bytes.len())),
    }
}

/// Where in a block the reading ends.
enum End {
    /// With the bracket that closes the container.
    Closed(usize),
    /// With a bracket that does not fit.
    Misfit(usize),
}

impl End {
    /// The offset just behind the container, for a block at `block`.
    #[inline(always)]
    fn behind(self, block: usize) -> Result<usize, Misfit> {
        match self {
            Self::Closed(at) => Ok(block + at + 1),
            Self::Misfit(at) => Err(Misfit(block + at)),
        }
    }
}

/// One bracket in a count of open brackets: all of them below, the square ones above.
const CURLY: i64 = 1;
const SQUARE: i64 = 1 << 32 | 1;

/// What each byte adds to the count of open brackets.
const STEPS: [i64; 256] = {
    let mut steps = [0; 256];
    steps[b'{' as usize] = CURLY;
    steps[b'}' as usize] = -CURLY;
    steps[b'[' as usize] = SQUARE;
    steps[b']' as usize] = -SQUARE;
    steps
};

/// Counts the brackets of a block.
#[inline(always)]
fn visit(mut brackets: u64, block: &[u8], open: &mut i64) -> Option<End> {
    while brackets != 0 {
        let at = brackets.trailing_zeros() as usize;
        brackets &= brackets - 1;
        let step = STEPS[usize::from(block[at])];
        if step == 0 {
            return Some(End::Misfit(at));
        }
        *open = open.wrapping_add(step);
        // The lower half reaches zero with the bracket that closes the first one.
        if *open as u32 == 0 {
            return Some(if *open == 0 { End::Closed(at) } else { End::Misfit(at) });
        }
    }
    None
}

/// One bit per byte of a block, the first byte in the lowest bit.
struct Masks {
    quotes: u64,
    backslashes: u64,
    /// Brackets, and a few bytes that cannot stand outside of strings.
    brackets: u64,
}

impl Masks {
    #[inline(always)]
    fn of(simd: impl Simd, block: &[u8; BLOCK]) -> Self {
        let bytes = u8x64::load_array_ref(simd, block);
        Self {
            quotes: bytes.simd_eq(b'"').to_bitmask(),
            backslashes: bytes.simd_eq(b'\\').to_bitmask(),
            // The four brackets differ in these bits only. Set, they make a DEL of every bracket,
            // of `Y`, `y`, `_` and of DEL itself, which outside of strings have no place in JSON.
            brackets: (bytes | 0x26).simd_eq(0x7f).to_bitmask(),
        }
    }

    /// The masks of what follows the first `count` bytes, fewer than 64.
    #[inline(always)]
    fn without_first(self, count: usize) -> Self {
        Self {
            quotes: self.quotes >> count,
            backslashes: self.backslashes >> count,
            brackets: self.brackets >> count,
        }
    }

    /// The brackets outside of strings.
    #[inline(always)]
    fn brackets(&self, simd: impl Simd, strings: &mut Strings) -> u64 {
        self.brackets & !strings.inside(simd, self.quotes, self.backslashes)
    }
}

/// Where strings begin and end, carried from block to block.
#[derive(Default)]
struct Strings {
    /// All ones while a string is open at the end of the last block.
    open: u64,
    /// Whether the last block ended in a backslash that escapes the next byte.
    escape: bool,
}

impl Strings {
    /// The bytes inside strings, opening quotes included and closing ones not.
    #[inline(always)]
    fn inside(&mut self, simd: impl Simd, mut quotes: u64, backslashes: u64) -> u64 {
        if backslashes != 0 || self.escape {
            let (escaped, escape) = escaped(backslashes, self.escape);
            quotes &= !escaped;
            self.escape = escape;
        }
        let inside = prefix_xor(simd, quotes) ^ self.open;
        self.open = 0u64.wrapping_sub(inside >> 63);
        inside
    }
}

/// The bytes behind an odd run of backslashes, and whether the first byte of the next block is one.
#[inline(always)]
fn escaped(backslashes: u64, escape: bool) -> (u64, bool) {
    const EVEN: u64 = 0x5555_5555_5555_5555;
    let escape = u64::from(escape);
    let escaping = backslashes & !escape;
    let behind = escaping << 1 | escape;
    // Adding the runs that start on odd bits makes their carry fall out behind the run; what
    // differs from the even bits there is a run of odd length.
    let odd_starts = escaping & !EVEN & !behind;
    let (sum, escape) = odd_starts.overflowing_add(escaping);
    ((EVEN ^ (sum << 1)) & behind, escape)
}

/// Bit n of the result is the parity of bits 0..=n.
#[inline(always)]
#[cfg_attr(not(target_arch = "x86_64"), expect(unused_variables))]
fn prefix_xor(simd: impl Simd, mut bits: u64) -> u64 {
    #[cfg(target_arch = "x86_64")]
    if let Some(simd) = simd.level().as_avx512() {
        return prefix_xor_by_product(simd, bits);
    }
    bits ^= bits << 1;
    bits ^= bits << 2;
    bits ^= bits << 4;
    bits ^= bits << 8;
    bits ^= bits << 16;
    bits ^ bits << 32
}

#[cfg(target_arch = "x86_64")]
fearless_simd::kernel!(
    /// The same in one instruction: the product with all ones, added up without carries.
    #[inline(always)]
    fn prefix_xor_by_product(simd: Avx512, bits: u64) -> u64 {
        use std::arch::x86_64::{
            _mm_clmulepi64_si128, _mm_cvtsi64_si128, _mm_cvtsi128_si64, _mm_set1_epi8,
        };
        let bits = _mm_cvtsi64_si128(bits.cast_signed());
        _mm_cvtsi128_si64(_mm_clmulepi64_si128::<0>(bits, _mm_set1_epi8(-1))).cast_unsigned()
    }
);

#[cfg(test)]
mod tests {
    use fearless_simd::{Level, dispatch};

    use super::*;

    /// With the widest vectors that there are, and the same with all narrower ones.
    fn skip_container(bytes: &[u8], start: usize) -> Result<usize, Misfit> {
        let level = Level::new();
        let widest = dispatch!(level, simd => super::skip_container(simd, bytes, start));
        #[cfg(target_arch = "x86_64")]
        {
            let sse2 = level.as_sse2().map(|simd| super::skip_container(simd, bytes, start));
            let sse4 = level.as_sse4_2().map(|simd| super::skip_container(simd, bytes, start));
            let avx2 = level.as_avx2().map(|simd| super::skip_container(simd, bytes, start));
            for narrower in [sse2, sse4, avx2].into_iter().flatten() {
                assert_eq!(narrower, widest, "{:?}", std::str::from_utf8(bytes));
            }
        }
        widest
    }

    /// The same, byte by byte.
    fn slow(bytes: &[u8]) -> Option<usize> {
        let (mut curly, mut square, mut string, mut escape) = (0, 0, false, false);
        for (at, &byte) in bytes.iter().enumerate() {
            let escaped = std::mem::take(&mut escape);
            match byte {
                b'\\' => escape = !escaped,
                b'"' => string ^= !escaped,
                _ if string => {}
                b'{' => curly += 1,
                b'[' => square += 1,
                b'}' => curly -= 1,
                b']' => square -= 1,
                _ => {}
            }
            if curly + square == 0 {
                return (square == 0).then_some(at + 1);
            }
        }
        None
    }

    #[test]
    fn strings_with_backslash_runs_across_block_borders_end_where_they_should() {
        for before in 0..140 {
            for run in 0..70 {
                for rest in [r#"}]"}tail"#, r#"" }tail"#, r#"","}":"{"}tail"#] {
                    let text = format!(r#"{{"{}{}{rest}"#, "x".repeat(before), r"\".repeat(run));
                    assert_eq!(
                        skip_container(text.as_bytes(), 0).ok(),
                        slow(text.as_bytes()),
                        "{text}"
                    );
                }
            }
        }
    }

    #[test]
    fn as_many_brackets_of_each_kind_close_as_open() {
        for depth in [1, 2, 63, 64, 65, 129, 1000] {
            let open: String = (0..depth).map(|n| if n % 3 == 0 { '[' } else { '{' }).collect();
            let close: String =
                (0..depth).rev().map(|n| if n % 3 == 0 { ']' } else { '}' }).collect();
            let text = format!("{open}{close}]}}]");
            assert_eq!(skip_container(text.as_bytes(), 0), Ok(2 * depth), "{depth}");
            for wrong in 0..depth {
                let mut text = format!("{open}{close}").into_bytes();
                text[depth + wrong] ^= b'}' ^ b']';
                let misfit = Misfit(2 * depth - 1);
                assert_eq!(skip_container(&text, 0), Err(misfit), "{depth} {wrong}");
            }
        }
    }

    #[test]
    fn only_brackets_outside_of_strings_count() {
        for byte in 0..=u8::MAX {
            let skipped = skip_container(&[b'[', byte, b']', b' '], 0);
            match byte {
                b']' => assert_eq!(skipped, Ok(2)),
                b'[' | b'"' | b'{' => assert!(skipped.is_err()),
                b'}' | b'Y' | b'_' | b'y' | 0x7f => {
                    assert_eq!(skipped, Err(Misfit(1)));
                }
                _ => assert_eq!(skipped, Ok(3), "{byte}"),
            }
            if byte != b'"' && byte != b'\\' {
                assert_eq!(skip_container(&[b'[', b'"', byte, b'"', b']'], 0), Ok(5), "{byte}");
            }
        }
    }

    proptest::proptest! {
        #[test]
        fn agrees_with_a_byte_by_byte_reading(
            pieces in proptest::collection::vec(
                proptest::sample::select(vec![
                    "{", "}", "[", "]", "\"", "\\\"", "\\", "\\\\", " ", "ü", "xxxxxxxxxxxxxxx",
                ]),
                0..200,
            )
        ) {
            let text = format!("[{}", pieces.concat());
            proptest::prop_assert_eq!(
                skip_container(text.as_bytes(), 0).ok(),
                slow(text.as_bytes())
            );
        }
    }
}
