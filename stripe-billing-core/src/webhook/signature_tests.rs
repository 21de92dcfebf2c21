use chrono::{DateTime, Utc};

use super::*;

const SECRET: &str = "whsec_acmeCurrent8b1f";
const OTHER: &str = "whsec_acmePrevious03ce";
const T: i64 = 1_760_000_000;
const BODY: &str = r#"{"id":"evt_1AcmePaid","object":"event","api_version":"2026-10-28.endive","created":1759999990,"data":{"object":{"id":"in_1Acme","object":"invoice","amount_paid":4900}},"livemode":true,"pending_webhooks":2,"request":{"id":null,"idempotency_key":null},"type":"invoice.paid"}"#;
/// HMAC-SHA256 over `1760000000.` and [`BODY`], computed with another implementation; keyed with
/// [`SECRET`], [`OTHER`], [`SECRET`] without its prefix and a single blank.
const RIGHT: &str = "e415e6a7861d124361ceed7725bbaad765654911adb4bbeb5eaf33c019a8f9b8";
const BY_OTHER: &str = "6e4230a648b2775e7c44f5fb1b4e19f63e2382c7244882ef9d751ae0cae45347";
const BY_BARE: &str = "2fe4518a8863fd20b51afe54037fefdb72599fdfb2d529bb6fba7897111a6c13";
const BY_BLANK: &str = "4493e75b91fbbcef99c58a264cb909243992f03b4a20cc61b66c0c1972a05a99";
const FAKE_V0: &str = "6150b79b4169ce4b3ac81500408a8c52f1c9e6c062221c31c4c6239f17d1fe32";

fn at(seconds: i64) -> DateTime<Utc> {
    DateTime::from_timestamp(seconds, 0).unwrap()
}

fn verifier(secrets: &[&str]) -> SignatureVerifier {
    SignatureVerifier::new(secrets.iter().map(|secret| WebhookSecret::new(*secret).unwrap()))
        .unwrap()
}

fn verify_at(header: &str, now: i64) -> Result<Verified, SignatureError> {
    verifier(&[SECRET]).verify(BODY.as_bytes(), header, at(now))
}

fn verify(header: &str) -> Result<Verified, SignatureError> {
    verify_at(header, T)
}

fn ok(secret_index: usize) -> Result<Verified, SignatureError> {
    Ok(Verified { timestamp: T, secret_index })
}

struct Vector {
    name: &'static str,
    body: &'static [u8],
    header: String,
    now: i64,
    expected: Result<(), SignatureError>,
}

fn vector(name: &'static str, header: String, expected: Result<(), SignatureError>) -> Vector {
    Vector { name, body: BODY.as_bytes(), header, now: T, expected }
}

fn vectors() -> Vec<Vector> {
    use SignatureError::{Malformed, MissingHeader, NoMatch, NoSupportedScheme, OutsideTolerance};
    let right = format!("t={T},v1={RIGHT}");
    let with_body = |name, body, v1: &str, expected| Vector {
        body,
        ..vector(name, format!("t={T},v1={v1}"), expected)
    };
    let at = |name, now, expected| Vector { now, ..vector(name, right.clone(), expected) };
    vec![
        at("valid", T + 10, Ok(())),
        with_body(
            "body beyond ASCII",
            "{\"id\":\"evt_☂\",\"object\":\"event\",\"name\":\"Žofie Ångström 🦀\"}".as_bytes(),
            "1928236891582ac36c1faeaa9982528991e74f24c5ca0ac1ccadcd7a6aed2c9e",
            Ok(()),
        ),
        vector("two v1, second right", format!("t={T},v1={BY_OTHER},v1={RIGHT}"), Ok(())),
        vector("two v1, first right", format!("t={T},v1={RIGHT},v1={BY_OTHER}"), Ok(())),
        vector("v1 and v0", format!("t={T},v1={RIGHT},v0={FAKE_V0}"), Ok(())),
        vector("only v0", format!("t={T},v0={RIGHT}"), Err(NoSupportedScheme)),
        vector("only v2", format!("t={T},v2={RIGHT}"), Err(NoSupportedScheme)),
        vector("wrong secret", format!("t={T},v1={BY_OTHER}"), Err(NoMatch)),
        vector("secret without its prefix", format!("t={T},v1={BY_BARE}"), Err(NoMatch)),
        with_body("other body", br#"{"id":"evt_1AcmeVoid","object":"event"}"#, RIGHT, Err(NoMatch)),
        Vector {
            body: Box::leak(format!("{BODY}\n").into_bytes().into_boxed_slice()),
            ..vector("newline behind the body", right.clone(), Err(NoMatch))
        },
        vector("other time stamp", format!("t={},v1={RIGHT}", T + 1), Err(NoMatch)),
        at("as old as tolerated", T + 300, Ok(())),
        at("a second too old", T + 301, Err(OutsideTolerance { age_seconds: 301 })),
        at("as far ahead as tolerated", T - 300, Ok(())),
        at("ahead, but tolerated", T - 299, Ok(())),
        at("a second too far ahead", T - 301, Err(OutsideTolerance { age_seconds: -301 })),
        vector("empty header", String::new(), Err(MissingHeader)),
        vector("no header at all", "completely invalid".to_owned(), Err(Malformed)),
        vector("no time stamp", format!("v1={RIGHT}"), Err(Malformed)),
        vector("time stamp is no number", format!("t=abc,v1={RIGHT}"), Err(Malformed)),
        vector("upper-case hex", format!("t={T},v1={}", RIGHT.to_uppercase()), Ok(())),
        vector("no hex", format!("t={T},v1=zzzz"), Err(NoMatch)),
        vector("hex cut short", format!("t={T},v1={}", &RIGHT[..62]), Err(NoMatch)),
        vector("blank after the comma", format!("t={T}, v1={RIGHT}"), Ok(())),
        with_body(
            "body that is not UTF-8",
            b"{\"id\":\"evt_raw\",\"object\":\"event\",\"x\":\"\xc3\x28\"}",
            "820e7d8be2963dc6d1a2743172262233b0e6e454214b19ff2fab0cdcff88fb6f",
            Ok(()),
        ),
        with_body(
            "empty body",
            b"",
            "3471c7d60816e3fe56cb89a3130b8d7f5c95188ef30d7311f2f210f2c5a1e4b2",
            Ok(()),
        ),
    ]
}

#[test]
fn known_vectors_are_judged_as_stripe_would() {
    for Vector { name, body, header, now, expected } in vectors() {
        let got = verifier(&[SECRET]).verify(body, &header, at(now));
        let expected = expected.map(|()| Verified { timestamp: T, secret_index: 0 });
        assert_eq!(got, expected, "{name}");
    }
}

#[test]
fn a_body_that_is_not_utf8_verifies_and_is_then_refused_as_an_event() {
    let body = b"{\"id\":\"evt_raw\",\"object\":\"event\",\"x\":\"\xc3\x28\"}";
    let secret = WebhookSecret::new(SECRET).unwrap();
    let header = sign(body, &secret, at(T));
    let verifier = SignatureVerifier::new([secret]).unwrap();
    assert_eq!(verifier.verify(body, &header, at(T)), ok(0));
    let error = verifier.open(body, &header, at(T)).unwrap_err();
    assert!(matches!(error, WebhookError::Envelope(EnvelopeError::NotUtf8 { offset: 38 })));
}

#[test]
fn the_vector_for_a_blank_secret_cannot_even_be_configured() {
    for blank in ["", " ", "\t\r\n", "\u{a0}"] {
        assert_eq!(WebhookSecret::new(blank), Err(BlankSecret), "{blank:?}");
    }
    assert_eq!(verify(&format!("t={T},v1={BY_BLANK}")), Err(SignatureError::NoMatch));
    assert_eq!(SignatureVerifier::new([]).unwrap_err(), NoSecrets);
}

#[test]
fn surrounding_whitespace_is_kept_and_can_be_seen() {
    let padded = WebhookSecret::new(format!("{SECRET}\n")).unwrap();
    assert!(padded.has_surrounding_whitespace());
    assert!(!WebhookSecret::new(SECRET).unwrap().has_surrounding_whitespace());
    let header = sign(BODY.as_bytes(), &padded, at(T));
    assert_eq!(verify(&header), Err(SignatureError::NoMatch));
    let verifier = SignatureVerifier::new([padded]).unwrap();
    assert_eq!(verifier.verify(BODY.as_bytes(), &header, at(T)), ok(0));
}

#[test]
fn secrets_do_not_show_in_debug_output() {
    let secret = WebhookSecret::new(SECRET).unwrap();
    let verifier = SignatureVerifier::new([secret.clone()]).unwrap();
    for debug in [format!("{secret:?}"), format!("{verifier:?}")] {
        assert!(!debug.contains("acmeCurrent"), "{debug}");
    }
    assert!(format!("{verifier:?}").contains("secrets: 1"));
}

#[test]
fn any_of_several_secrets_matches_any_of_several_signatures() {
    let third = WebhookSecret::new("whsec_third").unwrap();
    let by_third = sign(BODY.as_bytes(), &third, at(T));
    let by_third = by_third.strip_prefix("t=1760000000,v1=").unwrap();
    let verifier = verifier(&[SECRET, OTHER, "whsec_third"]);
    let verify = |header: String| verifier.verify(BODY.as_bytes(), &header, at(T));
    for (index, digest) in [RIGHT, BY_OTHER, by_third].into_iter().enumerate() {
        assert_eq!(verify(format!("t={T},v1={digest}")), ok(index));
        assert_eq!(verify(format!("t={T},v1={BY_BARE},v1={digest}")), ok(index));
        assert_eq!(verify(format!("t={T},v1={digest},v1={BY_BARE}")), ok(index));
        assert_eq!(verify(format!("v1={digest},v1=zz,t={T}")), ok(index));
    }
    // Both secrets of a rotation signed: the first configured one counts, in either order.
    assert_eq!(verify(format!("t={T},v1={by_third},v1={BY_OTHER}")), ok(1));
    assert_eq!(verify(format!("t={T},v1={BY_OTHER},v1={by_third}")), ok(1));
    assert_eq!(verify(format!("t={T},v1={BY_BARE}")), Err(SignatureError::NoMatch));
}

#[test]
fn every_byte_of_a_signature_counts() {
    for position in 0..RIGHT.len() {
        let mut digest = RIGHT.to_owned().into_bytes();
        digest[position] = if digest[position] == b'0' { b'1' } else { b'0' };
        let digest = String::from_utf8(digest).unwrap();
        assert_eq!(verify(&format!("t={T},v1={digest}")), Err(SignatureError::NoMatch));
    }
    for strange in ['/', ':', '@', 'G', '`', 'g', '\u{10}', '\u{11}', 'ü'] {
        let digest = format!("{strange}{}", &RIGHT[strange.len_utf8()..]);
        assert_eq!(verify(&format!("t={T},v1={digest}")), Err(SignatureError::NoMatch));
    }
}

#[test]
fn headers_are_read_tolerantly_but_time_stamps_strictly() {
    for accepted in [
        format!(" t={T} ,\tv1={RIGHT} "),
        format!("v1={RIGHT},t={T}"),
        format!("t={T},t={T},v1={RIGHT}"),
        format!("t={T},junk,=,v1,x=y=z,,v1={RIGHT},"),
    ] {
        assert_eq!(verify(&accepted), ok(0), "{accepted}");
    }
    for stamp in [
        "",
        "-1",
        "+1760000000",
        " 1760000000",
        "1760000000.0",
        "1e9",
        "0x10",
        "٣",
        "99999999999999999999",
        "9223372036854775808",
        "17000000000000000000000",
    ] {
        let header = format!("t={stamp},v1={RIGHT}");
        assert_eq!(verify(&header), Err(SignatureError::Malformed), "{header}");
        let header = format!("t={T},t={stamp},v1={RIGHT}");
        assert_eq!(verify(&header), Err(SignatureError::Malformed), "{header}");
    }
    assert_eq!(verify(&format!("t={T},v1={RIGHT},t={}", T + 1)), Err(SignatureError::Malformed));
    assert_eq!(verify(" \t "), Err(SignatureError::MissingHeader));
    assert_eq!(verify(&format!("T={T},V1={RIGHT}")), Err(SignatureError::Malformed));
}

#[test]
fn long_headers_and_many_signatures_are_refused() {
    let longest = format!("t={T},v1={RIGHT},");
    let longest = format!("{longest}{}", "x".repeat(MAX_HEADER_BYTES - longest.len()));
    assert_eq!(verify(&longest), ok(0));
    let length = MAX_HEADER_BYTES + 1;
    assert_eq!(verify(&format!("{longest}x")), Err(SignatureError::HeaderTooLong { length }));

    let wrong = format!(",v1={BY_OTHER}");
    let most = format!("t={T}{},v1={RIGHT}", wrong.repeat(MAX_SIGNATURES - 1));
    assert_eq!(verify(&most), ok(0));
    assert_eq!(verify(&format!("{most}{wrong}")), Err(SignatureError::TooManySignatures));
}

#[test]
fn the_tolerance_can_be_changed_and_lifted() {
    let right = format!("t={T},v1={RIGHT}");
    let verify = |tolerance, now: DateTime<Utc>| {
        verifier(&[SECRET])
            .with_tolerance(tolerance)
            .verify(BODY.as_bytes(), &right, now)
            .map(|_| ())
    };
    let outside = |age_seconds| Err(SignatureError::OutsideTolerance { age_seconds });
    assert_eq!(Tolerance::default(), Tolerance::Seconds(300));
    assert_eq!(verify(Tolerance::Seconds(0), at(T)), Ok(()));
    assert_eq!(verify(Tolerance::Seconds(0), at(T + 1)), outside(1));
    assert_eq!(verify(Tolerance::Seconds(0), at(T - 1)), outside(-1));
    assert_eq!(verify(Tolerance::Unlimited, at(T + 10_000_000)), Ok(()));
    assert_eq!(verify(Tolerance::Unlimited, DateTime::<Utc>::MIN_UTC), Ok(()));
    assert!(verify(Tolerance::Seconds(u32::MAX), DateTime::<Utc>::MAX_UTC).is_err());
    // A stamp at the end of the number range is only a stamp far ahead.
    let secret = WebhookSecret::new(SECRET).unwrap();
    let header = format!("t={},v1={RIGHT}", i64::MAX);
    let verifier = SignatureVerifier::new([secret]).unwrap();
    let far = verifier.verify(BODY.as_bytes(), &header, DateTime::<Utc>::MIN_UTC);
    assert_eq!(far, Err(SignatureError::NoMatch));
}

#[test]
fn who_does_not_know_the_secret_learns_nothing_about_the_clock() {
    assert_eq!(
        verify_at(&format!("t={T},v1={BY_OTHER}"), T + 10_000),
        Err(SignatureError::NoMatch)
    );
}

#[test]
fn what_is_signed_verifies_whatever_its_length() {
    let secret = WebhookSecret::new("k".repeat(200)).unwrap();
    let verifier = SignatureVerifier::new([secret.clone()]).unwrap();
    for length in 0..200 {
        let body = "ü".repeat(length);
        let header = sign(body.as_bytes(), &secret, at(T));
        assert_eq!(verifier.verify(body.as_bytes(), &header, at(T)), ok(0), "{length}");
        let longer = format!("{body}x");
        assert!(verifier.verify(longer.as_bytes(), &header, at(T)).is_err(), "{length}");
    }
    assert_eq!(
        sign(BODY.as_bytes(), &WebhookSecret::new(SECRET).unwrap(), at(T)),
        format!("t={T},v1={RIGHT}")
    );
}

#[test]
fn open_verifies_before_it_parses() {
    let verifier = verifier(&[SECRET]);
    let right = format!("t={T},v1={RIGHT}");
    let (verified, envelope) = verifier.open(BODY.as_bytes(), &right, at(T)).unwrap();
    assert_eq!((verified.secret_index, &*envelope.id), (0, "evt_1AcmePaid"));
    assert_eq!(
        verifier.open(b"no json", &right, at(T)),
        Err(WebhookError::Signature(SignatureError::NoMatch))
    );
}

#[test]
fn every_error_has_its_code_and_status() {
    use SignatureError as S;
    for (error, code) in [
        (S::MissingHeader, "signature_missing"),
        (S::HeaderTooLong { length: 5000 }, "signature_header_too_long"),
        (S::Malformed, "signature_malformed"),
        (S::TooManySignatures, "signature_too_many"),
        (S::NoSupportedScheme, "signature_scheme_unsupported"),
        (S::NoMatch, "signature_mismatch"),
        (S::OutsideTolerance { age_seconds: 301 }, "signature_outside_tolerance"),
    ] {
        assert_eq!((error.code(), error.status()), (code, 400));
        assert!(!error.is_retryable());
        let error = WebhookError::from(error);
        assert_eq!((error.code(), error.status()), (code, 400));
        assert!(!error.to_string().is_empty());
    }
    let error = WebhookError::TooLarge { limit: 1024 };
    assert_eq!((error.code(), error.status()), ("payload_too_large", 413));
    assert!(!error.is_retryable());
    assert_eq!(error.to_string(), "the body is larger than 1024 bytes");
}

proptest::proptest! {
    #[test]
    fn arbitrary_headers_never_panic_and_never_verify(header in "[tv01=, a-f\\PC]{0,80}") {
        proptest::prop_assert!(verify(&header).is_err());
    }
}
