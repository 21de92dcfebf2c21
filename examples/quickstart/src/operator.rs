//! Who is an operator here: whoever has the token.

use axum::http::request::Parts;
use axum::http::{HeaderMap, header};
use sha2::{Digest, Sha256};
use stripe_billing_axum::{Authorize, Operator};
use stripe_billing_core::Secret;

/// Lets in whoever brings the bearer token.
pub(crate) fn by_token(token: &Secret) -> impl Authorize {
    let expected = digest(token.expose());
    move |request: &Parts| {
        let known = bearer(&request.headers).is_some_and(|token| digest(token) == expected);
        known.then(|| Operator::new("operator"))
    }
}

fn bearer(headers: &HeaderMap) -> Option<&str> {
    let (scheme, token) = headers.get(header::AUTHORIZATION)?.to_str().ok()?.split_once(' ')?;
    scheme.eq_ignore_ascii_case("bearer").then(|| token.trim())
}

/// Digests are compared in place of tokens: how long that takes tells nothing about the token.
fn digest(token: &str) -> [u8; 32] {
    Sha256::digest(token.as_bytes()).into()
}

#[cfg(test)]
mod tests {
    use axum::http::Request;

    use super::*;

    #[tokio::test]
    async fn only_the_token_opens() {
        let authorize = by_token(&Secret::from("hush"));
        for (header, opens) in [
            ("Bearer hush", true),
            ("bearer  hush ", true),
            ("Bearer hus", false),
            ("Bearer hushh", false),
            ("Basic hush", false),
            ("hush", false),
            ("", false),
        ] {
            let request = Request::get("/").header("authorization", header).body(()).unwrap();
            let operator = authorize.operator(&request.into_parts().0).await;
            assert_eq!(operator.is_some(), opens, "{header}");
        }
        let parts = Request::get("/").body(()).unwrap().into_parts().0;
        assert!(authorize.operator(&parts).await.is_none());
    }
}
