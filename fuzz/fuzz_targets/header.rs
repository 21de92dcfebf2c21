//! Any header: no panic, and verified only if a plain reading of the header agrees.

#![no_main]

use chrono::DateTime;
use libfuzzer_sys::fuzz_target;
use stripe_billing_core::webhook::{SignatureVerifier, Tolerance, WebhookSecret, sign};

const BODY: &[u8] = b"{\"id\":\"evt_1\"}";
const NOW: i64 = 1_760_000_000;

fuzz_target!(|input: &str| {
    let now = DateTime::from_timestamp(NOW, 0).unwrap();
    let secret = WebhookSecret::new("whsec_fuzz").unwrap();
    let right = sign(BODY, &secret, now);
    let digest = right.split_once("v1=").unwrap().1;
    let verifier = SignatureVerifier::new([secret]).unwrap().with_tolerance(Tolerance::Seconds(60));

    // `$` stands for the right digest, which no mutation would find.
    let header = input.replace('$', digest);
    let verified = verifier.verify(BODY, &header, now);

    let items = || header.split(',').map(|item| item.trim_ascii());
    let stamps: Vec<&str> = items().filter_map(|item| item.strip_prefix("t=")).collect();
    let signatures: Vec<&str> = items().filter_map(|item| item.strip_prefix("v1=")).collect();
    let expected = header.len() <= 4096
        && signatures.len() <= 16
        && !stamps.is_empty()
        && stamps.iter().all(|stamp| *stamp == NOW.to_string())
        && signatures.iter().any(|signature| signature.eq_ignore_ascii_case(digest));
    assert_eq!(verified.is_ok(), expected, "{header:?} {verified:?}");
});
