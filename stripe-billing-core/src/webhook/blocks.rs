//! Finding the end of a JSON container without reading what is inside.
//!
//! The bytes are looked at in blocks of 64. A vector compare turns each block into bit masks of
//! its quotes, backslashes and brackets; a prefix sum over the quotes that are not escaped tells
//! which bytes are inside strings; only the brackets outside of them are visited one by one.

use wide::u8x16;

use super::lanes::LANES;
use super::scan::Misfit;

const BLOCK: usize = 64;
/// Levels of nesting in one word of [`Nesting`].
const LEVELS: usize = 64;

/// Given the offset of a `{` or `[`, the offset just behind the bracket that closes it.
///
/// Every string in between must end, and every bracket must be closed by one of its own kind;
/// nothing else is checked. Takes constant stack, and one bit of heap for each level beyond 64.
pub(super) fn skip_container(bytes: &[u8], start: usize) -> Result<usize, Misfit> {
    let Some((first, inside)) = bytes.get(start..).and_then(<[u8]>::split_first) else {
        return Err(Misfit(bytes.len()));
    };
    let (blocks, tail) = inside.as_chunks::<BLOCK>();
    let mut strings = Strings::default();
    let mut nesting = Nesting::new(*first == b'[');
    let mut end = None;
    for (index, block) in blocks.iter().enumerate() {
        end = visit(block, &mut strings, &mut nesting).at(index);
        if end.is_some() {
            break;
        }
    }
    if end.is_none() {
        let mut padded = [b' '; BLOCK];
        padded[..tail.len()].copy_from_slice(tail);
        end = visit(&padded, &mut strings, &mut nesting).at(blocks.len());
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
fn visit(block: &[u8; BLOCK], strings: &mut Strings, nesting: &mut Nesting) -> Visit {
    let masks = Masks::of(block);
    let mut brackets = masks.brackets & !strings.inside(block, &masks);
    while brackets != 0 {
        let at = brackets.trailing_zeros() as usize;
        brackets &= brackets - 1;
        match nesting.visit(block[at]) {
            Bracket::Inner => {}
            Bracket::Outermost => return Visit::Closed(at),
            Bracket::Misfit => return Visit::Misfit(at),
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
        Self {
            quotes,
            brackets,
            any_backslash: backslashes.to_bitmask() != 0,
        }
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

/// The kinds of the brackets that are open, one bit each: 1 is square.
struct Nesting {
    depth: usize,
    /// The innermost up to 64 levels, the innermost in the lowest bit.
    kinds: u64,
    /// Full words of the levels further out.
    outer: Vec<u64>,
}

enum Bracket {
    Inner,
    /// It closes the outermost one.
    Outermost,
    Misfit,
}

impl Nesting {
    fn new(square: bool) -> Self {
        Self {
            depth: 1,
            kinds: u64::from(square),
            outer: Vec::new(),
        }
    }

    /// Takes one of the bytes that [`Masks::brackets`] stands for.
    ///
    /// Opening and closing brackets come in no order that a processor could guess, so the way
    /// through here is the same for both but for the rare cases.
    #[inline(always)]
    fn visit(&mut self, byte: u8) -> Bracket {
        // `{` is 0x7b, `}` 0x7d, `[` 0x5b and `]` 0x5d; the other bytes have both middle bits or
        // neither.
        let opening = u64::from(byte >> 1 & 1);
        let closing = u64::from(byte >> 2 & 1);
        let square = u64::from(!byte >> 5 & 1);
        if opening == closing || closing & (self.kinds ^ square) != 0 {
            return Bracket::Misfit;
        }
        // The depth around this bracket: before it if it opens, behind it if it closes.
        let around = self.depth - closing as usize;
        self.depth = around + opening as usize;
        self.kinds = if !around.is_multiple_of(LEVELS) {
            if closing == 1 {
                self.kinds >> 1
            } else {
                self.kinds << 1 | square
            }
        } else if closing == 1 {
            match self.outer.pop() {
                Some(kinds) => kinds,
                None => return Bracket::Outermost,
            }
        } else {
            spill(&mut self.outer, self.kinds);
            square
        };
        Bracket::Inner
    }
}

/// Puts a full word of kinds aside.
#[cold]
#[inline(never)]
fn spill(outer: &mut Vec<u64>, kinds: u64) {
    outer.push(kinds);
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The same, byte by byte.
    fn slow(bytes: &[u8]) -> Option<usize> {
        let (mut stack, mut string, mut escape) = (Vec::new(), false, false);
        for (at, &byte) in bytes.iter().enumerate() {
            let escaped = std::mem::take(&mut escape);
            match byte {
                b'\\' => escape = !escaped,
                b'"' => string ^= !escaped,
                b'{' if !string => stack.push(b'}'),
                b'[' if !string => stack.push(b']'),
                b'}' | b']' if !string => {
                    if stack.pop() != Some(byte) {
                        return None;
                    }
                    if stack.is_empty() {
                        return Some(at + 1);
                    }
                }
                _ => {}
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
    fn brackets_close_brackets_of_their_own_kind_at_any_depth() {
        for depth in [1, 2, 63, 64, 65, 127, 128, 129, 1000] {
            let open: String = (0..depth)
                .map(|n| if n % 3 == 0 { '[' } else { '{' })
                .collect();
            let close: String = (0..depth)
                .rev()
                .map(|n| if n % 3 == 0 { ']' } else { '}' })
                .collect();
            let text = format!("{open}{close}]]}}");
            assert_eq!(skip_container(text.as_bytes(), 0), Ok(2 * depth), "{depth}");
            for wrong in 0..depth {
                let mut text = format!("{open}{close}").into_bytes();
                text[depth + wrong] ^= b'}' ^ b']';
                assert_eq!(
                    skip_container(&text, 0),
                    Err(Misfit(depth + wrong)),
                    "{depth}"
                );
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
                assert_eq!(
                    skip_container(&[b'[', b'"', byte, b'"', b']'], 0),
                    Ok(5),
                    "{byte}"
                );
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
