//! DEMO ONLY: who is asking, by a header or cookie that anybody can write.
//!
//! A real app takes the account from its own session or token. This is the one place to replace.

use async_trait::async_trait;
use axum::http::HeaderMap;
use axum::http::header::COOKIE;
use axum::http::request::Parts;
use stripe_billing_axum::Identity;
use stripe_billing_core::{AccountKey, CustomerProfile};

/// The header that names the demo account.
pub(crate) const HEADER: &str = "x-demo-account";
/// The cookie that the page keeps it in.
pub(crate) const NAME: &str = "demo_account";
/// Longer ids are nobody's.
const LONGEST: usize = 200;

/// Believes whatever the header or the cookie says.
#[derive(Clone, Copy, Debug)]
pub(crate) struct DemoIdentity;

#[async_trait]
impl Identity for DemoIdentity {
    async fn account(&self, request: &Parts) -> Option<AccountKey> {
        account_of(&request.headers).map(AccountKey::platform)
    }

    async fn profile(&self, request: &Parts) -> CustomerProfile {
        let name = account_of(&request.headers);
        let local: Option<String> = name.map(|name| {
            let plain = |c: &char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.');
            name.chars().filter(plain).take(60).collect()
        });
        match local.filter(|local| !local.is_empty()) {
            Some(local) => CustomerProfile::with_email(format!("{local}@example.com")),
            None => CustomerProfile::default(),
        }
    }
}

/// The account that a request names: the header, else the page's cookie.
pub(crate) fn account_of(headers: &HeaderMap) -> Option<String> {
    let account = match headers.get(HEADER) {
        Some(header) => header.to_str().ok()?.trim().to_owned(),
        None => cookie(headers)?,
    };
    (1..=LONGEST).contains(&account.len()).then_some(account)
}

fn cookie(headers: &HeaderMap) -> Option<String> {
    let cookies = headers.get_all(COOKIE).iter();
    let mut pairs = cookies
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(';'))
        .filter_map(|pair| pair.trim().split_once('='));
    pairs.find(|(name, _)| *name == NAME).map(|(_, value)| value.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_header_wins_over_the_cookie() {
        let mut headers = HeaderMap::new();
        assert_eq!(account_of(&headers), None);
        headers.append(COOKIE, "other=1; demo_account=ada".parse().unwrap());
        assert_eq!(account_of(&headers).as_deref(), Some("ada"));
        headers.insert(HEADER, "ben".parse().unwrap());
        assert_eq!(account_of(&headers).as_deref(), Some("ben"));
        headers.insert(HEADER, "".parse().unwrap());
        assert_eq!(account_of(&headers), None);
        headers.insert(HEADER, "x".repeat(201).parse().unwrap());
        assert_eq!(account_of(&headers), None);
    }
}
