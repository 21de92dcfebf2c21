//! When to try again and how long to wait before: the rules of Stripe's own SDKs, as pure
//! functions.

use std::time::Duration;

use sha2::{Digest, Sha256};

use crate::stripe::{StripeError, StripeErrorKind};

/// Whether to try again after this failure. The order of the rules matters.
pub(super) fn should_retry(error: &StripeError, retries_left: u32) -> bool {
    if retries_left == 0 {
        return false;
    }
    if matches!(error.kind(), StripeErrorKind::Connection | StripeErrorKind::Timeout) {
        return true;
    }
    if let Some(word) = error.should_retry() {
        return word;
    }
    // A 429 is not tried again at once: that would only add to the load that it complains about.
    error.status().is_some_and(|status| status == 409 || status >= 500)
}

/// How the waiting time grows.
#[derive(Debug, Clone, Copy)]
pub(super) struct Backoff {
    /// The first waiting time, and the least.
    pub(super) base: Duration,
    /// The most that doubling reaches.
    pub(super) cap: Duration,
}

impl Backoff {
    /// The wait before the `retry`th retry (from 1): doubled each time, then shortened to between
    /// a half and the whole of it.
    ///
    /// The part comes from a hash of `seed`, so that calls spread out and one call, tried again,
    /// waits the same.
    pub(super) fn delay(self, retry: u32, seed: &str) -> Duration {
        let doublings = retry.saturating_sub(1).min(31);
        let whole = self.base.saturating_mul(1 << doublings).min(self.cap);
        whole.mul_f64(0.5 + 0.5 * fraction(seed, retry)).max(self.base)
    }
}

/// A number from 0 to 1 that looks random and is not.
fn fraction(seed: &str, retry: u32) -> f64 {
    let hash = Sha256::new().chain_update(retry.to_be_bytes()).chain_update(seed).finalize();
    let head = u32::from_be_bytes([hash[0], hash[1], hash[2], hash[3]]);
    f64::from(head) / f64::from(u32::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn answered(status: u16) -> StripeError {
        StripeError::from_response(status, b"{}")
    }

    fn without_answer(kind: StripeErrorKind) -> StripeError {
        StripeError::new(kind, "")
    }

    #[test]
    fn the_table_of_retries() {
        use StripeErrorKind::{Connection, Decode, InvalidRequest, Timeout};
        let rows = [
            (without_answer(Connection), true),
            (without_answer(Timeout), true),
            (without_answer(Decode), false),
            (without_answer(InvalidRequest), false),
            (answered(500).with_should_retry(false), false),
            (answered(409).with_should_retry(false), false),
            (answered(400).with_should_retry(true), true),
            (answered(402).with_should_retry(true), true),
            (answered(429).with_should_retry(true), true),
            (answered(409), true),
            (answered(500), true),
            (answered(502), true),
            (answered(503), true),
            (answered(302), false),
            (answered(400), false),
            (answered(401), false),
            (answered(402), false),
            (answered(403), false),
            (answered(404), false),
            (answered(424), false),
            (answered(429), false),
        ];
        for (error, expected) in rows {
            assert_eq!(should_retry(&error, 1), expected, "{error:?}");
            assert!(!should_retry(&error, 0), "out of retries: {error:?}");
        }
    }

    const STRIPES: Backoff =
        Backoff { base: Duration::from_millis(500), cap: Duration::from_secs(5) };

    #[test]
    fn the_table_of_delays() {
        // (retry, least, most) in milliseconds: half of the doubled time, but never below 0.5 s.
        let rows = [
            (1, 500, 500),
            (2, 500, 1000),
            (3, 1000, 2000),
            (4, 2000, 4000),
            (5, 2500, 5000),
            (6, 2500, 5000),
            (u32::MAX, 2500, 5000),
        ];
        for (retry, least, most) in rows {
            for seed in ["", "customer:1", "customer:2", "/v1/prices"] {
                let delay = STRIPES.delay(retry, seed).as_millis();
                assert!((least..=most).contains(&delay), "retry {retry}, {seed:?}: {delay} ms");
            }
        }
    }

    #[test]
    fn the_delay_is_the_same_for_the_same_call_and_spreads_over_calls() {
        assert_eq!(STRIPES.delay(3, "a"), STRIPES.delay(3, "a"));
        let delays: std::collections::BTreeSet<_> =
            (0..100).map(|n| STRIPES.delay(3, &format!("customer:{n}"))).collect();
        assert!(delays.len() > 95, "{} different delays", delays.len());
        let (first, last) = (delays.first().unwrap(), delays.last().unwrap());
        assert!(last.saturating_sub(*first) > Duration::from_millis(800), "{first:?} to {last:?}");
    }

    #[test]
    fn a_base_above_the_cap_is_kept() {
        let slow = Backoff { base: Duration::from_secs(9), ..STRIPES };
        assert_eq!(slow.delay(1, ""), Duration::from_secs(9));
        assert_eq!(slow.delay(8, ""), Duration::from_secs(9));
    }
}
