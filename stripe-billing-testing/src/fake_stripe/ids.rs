//! Deterministic ids that look like Stripe's.

const ALPHABET: &[u8; 62] = b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";

/// A counter under a seed: the same seed and the same calls give the same ids.
#[derive(Debug)]
pub(super) struct Ids {
    seed: u64,
    counter: u64,
}

impl Ids {
    pub(super) const fn new(seed: u64) -> Self {
        Self { seed, counter: 0 }
    }

    /// `prefix` with its underscore and generation, such as `sub_1`, followed by `Fake` and 16
    /// letters or digits.
    pub(super) fn next(&mut self, prefix: &str) -> String {
        self.counter += 1;
        let mut id = format!("{prefix}Fake");
        let mut word = mix(self.seed ^ mix(self.counter));
        for half in 0..2_u64 {
            for _ in 0..8 {
                id.push(char::from(ALPHABET[usize::try_from(word % 62).unwrap_or(0)]));
                word /= 62;
            }
            word = mix(word ^ mix(self.seed.wrapping_add(self.counter << 1) ^ half));
        }
        id
    }

    /// Checkout sessions have longer ids.
    pub(super) fn session(&mut self) -> String {
        let tail = self.next("").split_off(4);
        let more = self.next("").split_off(4);
        format!("cs_test_a1Fake{tail}{more}")
    }

    /// A key as the checkout page sends it: shaped like a UUID.
    pub(super) fn uuid(&mut self) -> String {
        self.counter += 1;
        let (a, b) = (mix(self.seed ^ self.counter), mix(self.counter ^ 0x5bd1_e995));
        format!(
            "{:08x}-{:04x}-4{:03x}-a{:03x}-{:012x}",
            a >> 32,
            (a >> 16) & 0xffff,
            a & 0xfff,
            b >> 52,
            b & 0xffff_ffff_ffff
        )
    }
}

/// splitmix64: enough to spread a counter and to shuffle, never for secrets.
pub(super) const fn mix(value: u64) -> u64 {
    let mut z = value.wrapping_add(0x9e37_79b9_7f4a_7c15);
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

/// A small repeatable stream of numbers for shuffles and losses.
#[derive(Clone, Debug)]
pub(super) struct Dice(u64);

impl Dice {
    pub(super) const fn new(seed: u64) -> Self {
        Self(seed)
    }

    pub(super) const fn roll(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(1);
        mix(self.0)
    }

    /// Fisher-Yates.
    pub(super) fn shuffle<T>(&mut self, items: &mut [T]) {
        for last in (1..items.len()).rev() {
            let pick = usize::try_from(self.roll() % (last as u64 + 1)).unwrap_or(0);
            items.swap(last, pick);
        }
    }

    /// True for about `fraction` of the rolls.
    pub(super) fn chance(&mut self, fraction: f64) -> bool {
        ((self.roll() >> 11) as f64) / ((1_u64 << 53) as f64) < fraction
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::HashSet;

    #[test]
    fn ids_repeat_with_the_seed_and_never_within_it() {
        let (mut one, mut same, mut other) = (Ids::new(7), Ids::new(7), Ids::new(8));
        let first: Vec<_> = (0..5000).map(|_| one.next("evt_1")).collect();
        assert!(first.iter().all(|id| same.next("evt_1") == *id));
        assert!(first.iter().all(|id| other.next("evt_1") != *id));
        assert_eq!(first.iter().collect::<HashSet<_>>().len(), first.len());
        assert_eq!(first[0].len(), "evt_1Fake".len() + 16);
    }
}
