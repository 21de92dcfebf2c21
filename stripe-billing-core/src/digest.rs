//! Small uses of SHA-256: fingerprints of content, and numbers that look random but are not.

use serde::Serialize;
use sha2::{Digest, Sha256};

/// A fingerprint of a value's JSON form: 128 bits in hex. Equal values have equal fingerprints.
pub(crate) fn fingerprint(value: &impl Serialize) -> String {
    // The views serialise without maps that could fail; an error would still compare unequal.
    let json = serde_json::to_vec(value).unwrap_or_default();
    hex(&Sha256::digest(json)[..16])
}

/// A number derived from a key and a counter, for jitter that a replay repeats.
pub(crate) fn seed(key: &str, counter: u32) -> u64 {
    let mut hasher = Sha256::new();
    hasher.update(key.as_bytes());
    hasher.update(counter.to_be_bytes());
    let digest = hasher.finalize();
    digest[..8].iter().fold(0, |number, byte| (number << 8) | u64::from(*byte))
}

/// Lower-case hex.
pub(crate) fn hex(bytes: &[u8]) -> String {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    bytes
        .iter()
        .flat_map(|byte| [DIGITS[usize::from(byte >> 4)], DIGITS[usize::from(byte & 15)]])
        .map(char::from)
        .collect()
}
