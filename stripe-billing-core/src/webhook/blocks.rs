//! Finding the end of a JSON container without reading what is inside.
//!
//! The bytes are looked at in blocks of 64. A vector compare turns each block into bit masks of
//! its quotes, backslashes and brackets; a prefix sum over the quotes that are not escaped tells
//! which bytes are inside strings; only the brackets outside of them are visited one by one.

use wide::u8x16;

use super::lanes::LANES;
use super::scan::Misfit;

const BLOCK: usize = 64;

/// One bracket in a count of open brackets: all of them below, the square ones above.
const CURLY: i64 = 1;
const SQUARE: i64 = 1 << 32 | 1;

/// Given the offset of a `{` or `[`, the offset just behind the bracket that closes it.
///
/// Every string in between must end, and of each kind as many brackets must close as open; nothing
/// else is checked. Takes no memory, however deep the nesting.
pub(super) fn skip_container(bytes: &[u8], start: usize) -> Result<usize, Misfit> {
    let Some((first, inside)) = bytes.get(start..).and_then(<[u8]>::split_first) else {
        return Err(Misfit(bytes.len()));
    };
    let (blocks, tail) = inside.as_chunks::<BLOCK>();
    let mut strings = Strings::default();
    let mut open = if *first == b'[' { SQUARE } else { CURLY };
    let mut end = None;
    for (index, block) in blocks.iter().enumerate() {
        end = visit(block, &mut strings, &mut open).at(index);
        if end.is_some() {
            break;
        }
    }
    if end.is_none() {
        let mut padded = [b' '; BLOCK];
        padded[..tail.len()].copy_from_slice(tail);
        end = visit(&padded, &mut strings, &mut open).at(blocks.len());
    }
    match end {
        Some(Ok(last)) => Ok(start + 1 + last + 1),
        Some(Err(misfit)) => Err(Misfit(start + 1 + misfit)),
        None => Err(Misfit(bytes.len())),
    }
}

/// What the brackets of one block come to; offsets are counted within the block.
enum Visit {
    Open,
    Closed(usize),
    Misfit(usize),
}

impl Visit {
    /// The last bracket, or the one that does not fit, counted from the first block.
    #[inline(always)]
    fn at(self, block: usize) -> Option<Result<usize, usize>> {
        match self {
            Self::Open => None,
            Self::Closed(at) => Some(Ok(block * BLOCK + at)),
            Self::Misfit(at) => Some(Err(block * BLOCK + at)),
        }
    }
}

#[inline(always)]
fn visit(block: &[u8; BLOCK], strings: &mut Strings, open: &mut i64) -> Visit {
    let masks = Masks::of(block);
    let mut brackets = masks.brackets & !strings.inside(block, &masks);
    while brackets != 0 {
        let at = brackets.trailing_zeros() as usize;
        brackets &= brackets - 1;
        *open = open.wrapping_add(match block[at] {
            b'{' => CURLY,
            b'}' => -CURLY,
            b'[' => SQUARE,
            b']' => -SQUARE,
            _ => return Visit::Misfit(at),
        });
        // The lower half reaches zero with the bracket that closes the first one.
        if *open as u32 == 0 {
            return if *open == 0 { Visit::Closed(at) } else { Visit::Misfit(at) };
        }
    }
    Visit::Open
}

/// One bit per byte of a block, the first byte in the lowest bit.
struct Masks {
    quotes: u64,
    /// Brackets, and a few bytes that cannot stand outside of strings.
    brackets: u64,
    any_backslash: bool,
}

impl Masks {
    #[inline(always)]
    fn of(block: &[u8; BLOCK]) -> Self {
        let (quote, backslash) = (u8x16::splat(b'"'), u8x16::splat(b'\\'));
        // The four brackets differ in these bits only. Set, they make a DEL of every bracket, of
        // `Y`, `y`, `_` and of DEL itself, which outside of strings have no place in JSON.
        let (differing, bracket) = (u8x16::splat(0x26), u8x16::splat(0x7f));
        let mut backslashes = u8x16::splat(0);
        let (mut quotes, mut brackets) = (0, 0);
        for (index, lane) in block.as_chunks::<LANES>().0.iter().enumerate() {
            let lane = u8x16::new(*lane);
            let shift = index * LANES;
            quotes |= u64::from(lane.simd_eq(quote).to_bitmask()) << shift;
            brackets |= u64::from((lane | differing).simd_eq(bracket).to_bitmask()) << shift;
            backslashes |= lane.simd_eq(backslash);
        }
        Self { quotes, brackets, any_backslash: backslashes.to_bitmask() != 0 }
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
    fn inside(&mut self, block: &[u8; BLOCK], masks: &Masks) -> u64 {
        let mut quotes = masks.quotes;
        if masks.any_backslash | self.escape {
            let (escaped, escape) = escaped(block, self.escape);
            quotes &= !escaped;
            self.escape = escape;
        }
        let inside = prefix_xor(quotes) ^ self.open;
        self.open = 0u64.wrapping_sub(inside >> 63);
        inside
    }
}

/// The bytes behind an odd run of backslashes, and whether the first byte of the next block is one.
#[inline(never)]
fn escaped(block: &[u8; BLOCK], escape: bool) -> (u64, bool) {
    const EVEN: u64 = 0x5555_5555_5555_5555;
    let mut backslashes = 0;
    for (index, lane) in block.as_chunks::<LANES>().0.iter().enumerate() {
        let bits = u8x16::new(*lane).simd_eq(u8x16::splat(b'\\')).to_bitmask();
        backslashes |= u64::from(bits) << (index * LANES);
    }
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
fn prefix_xor(mut bits: u64) -> u64 {
    bits ^= bits << 1;
    bits ^= bits << 2;
    bits ^= bits << 4;
    bits ^= bits << 8;
    bits ^= bits << 16;
    bits ^ bits << 32
}

#[cfg(test)]
mod tests {
    use super::*;

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
