//! What `build` refuses, and that nothing it says holds a secret.

use std::time::Duration;

use stripe_billing_hooks::{Endpoint, Hooks};

use crate::receiver::SECRET;

fn mistakes(endpoint: Endpoint) -> Vec<String> {
    match Hooks::builder().endpoint(endpoint).build() {
        Ok(_) => Vec::new(),
        Err(error) => error.mistakes().to_vec(),
    }
}

#[test]
fn urls_are_https_unless_it_is_this_machine_or_allowed() {
    for good in [
        "https://acme.test/hooks?token=hush",
        "http://localhost:3000/",
        "http://127.0.0.1:1/hooks",
        "http://[::1]/hooks",
    ] {
        assert_eq!(mistakes(Endpoint::new(good, SECRET)), Vec::<String>::new(), "{good}");
    }
    let plain = || Endpoint::new("http://acme.test/hush", SECRET);
    assert_eq!(mistakes(plain().allow_plain_http()), Vec::<String>::new());
    assert_eq!(mistakes(plain()).len(), 1);
    for bad in ["", "acme.test", "ftp://acme.test", "https://user:hush@acme.test", "https://"] {
        let found = mistakes(Endpoint::new(bad, SECRET));
        assert_eq!(found.len(), 1, "{bad}: {found:?}");
        assert!(found[0].starts_with("endpoint 1: the URL"), "{found:?}");
    }
}

#[test]
fn every_mistake_is_named_at_once_and_no_secret() {
    let error = Hooks::builder()
        .timeout(Duration::ZERO)
        .endpoint(Endpoint::new("http://acme.test/hush", "whsec_hush!"))
        .endpoint(Endpoint::new("https://acme.test/a", SECRET).also_sign_with("whsec_aHVzaA=="))
        .endpoint(Endpoint::new("https://crm.test/a", SECRET).also_sign_with(""))
        .build()
        .expect_err("mistakes");
    let text = error.to_string();
    assert_eq!(error.mistakes().len(), 5, "{text}");
    assert!(!text.contains("hush") && !text.contains("aHVz"), "{text}");
    let twins = Hooks::builder()
        .endpoint(Endpoint::new("https://acme.test/a", SECRET))
        .endpoint(Endpoint::new("https://acme.test/b", SECRET));
    assert_eq!(twins.clone().build().expect_err("one name").mistakes().len(), 1);
    let named = Endpoint::new("https://acme.test/c", SECRET).named("crm");
    Hooks::builder().endpoint(named).build().expect("good");
    assert!(Hooks::builder().build().is_err());
    let shown = format!("{twins:?} {:?}", Endpoint::new("https://acme.test/hush", SECRET));
    assert!(!shown.contains("hush") && !shown.contains("C2FV"), "{shown}");
}
