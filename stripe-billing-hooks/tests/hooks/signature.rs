//! The signature, recomputed from the scheme's text with nothing of the library that made it.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;
use stripe_billing_core::EventHandler;

use crate::receiver::{Receiver, SECRET, START, builder, clock, fact};

const OTHER: &str = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";

/// `v1,` and base64 of HMAC-SHA256 over `id.timestamp.body` with the decoded secret.
fn expected(secret: &str, id: &str, timestamp: &str, body: &str) -> String {
    let key = STANDARD.decode(secret.trim_start_matches("whsec_")).expect("base64");
    let mut mac = Hmac::<Sha256>::new_from_slice(&key).expect("any length");
    mac.update(format!("{id}.{timestamp}.{body}").as_bytes());
    format!("v1,{}", STANDARD.encode(mac.finalize().into_bytes()))
}

#[test]
fn the_check_agrees_with_the_vector_of_the_scheme() {
    let body = r#"{"test": 2432232314}"#;
    let made = expected(OTHER, "msg_p5jXN8AQM9LWM0D4loKWxJek", "1614265330", body);
    assert_eq!(made, "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=");
}

#[tokio::test]
async fn what_arrives_is_signed_with_every_secret() {
    let (receiver, clock) = (Receiver::start().await, clock());
    let endpoint = receiver.endpoint().also_sign_with(OTHER);
    let hooks = builder(&clock).endpoint(endpoint).build().expect("good");
    hooks.handle(&fact("sub_ü")).await.expect("taken");

    let got = receiver.got();
    assert_eq!(got.len(), 1);
    let (id, timestamp) = (got[0].id(), got[0].header("webhook-timestamp"));
    assert_eq!(timestamp, START.to_string());
    let signatures = [SECRET, OTHER].map(|secret| expected(secret, id, timestamp, &got[0].body));
    assert_eq!(got[0].header("webhook-signature"), signatures.join(" "));
    assert_eq!(got[0].header("content-type"), "application/json");
    assert!(got[0].header("user-agent").starts_with("stripe-billing/"));
    let tampered = got[0].body.replace("acme", "evil");
    assert_ne!(expected(SECRET, id, timestamp, &tampered), signatures[0]);
}
