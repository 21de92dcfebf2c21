use std::sync::Arc;

use axum::Router;
use axum::http::Uri;
use stripe_billing_core::Billing;

use crate::identity::Identity;
use crate::origin;
use crate::routes::{self, Shared};

/// Puts the router together: where customers come back to, and whose pages may ask.
///
/// ```
/// # use stripe_billing_core::{AccountKey, Billing, MemoryStore, catalog::Catalog};
/// # let billing = Billing::builder(MemoryStore::new())
/// #     .catalog(Catalog::default()).webhook_secrets(["whsec_1"]).build()?;
/// # let current_account = |_: &axum::http::request::Parts| None::<AccountKey>;
/// use stripe_billing_axum::BillingRouter;
///
/// let routes = BillingRouter::new(billing, current_account)
///     .return_to("https://app.example/account/billing")
///     .trust_origin("https://spa.example")
///     .build()?;
/// # let _: axum::Router = routes;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[must_use]
pub struct BillingRouter {
    billing: Billing,
    identity: Arc<dyn Identity>,
    return_to: Option<String>,
    success: Option<String>,
    cancel: Option<String>,
    portal: Option<String>,
    trusted: Vec<String>,
}

/// What is wrong with the router's configuration: every mistake at once.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the billing router cannot start:{}", .mistakes.iter().map(|one| format!("\n- {one}")).collect::<String>())]
pub struct RouterError {
    mistakes: Vec<String>,
}

impl RouterError {
    /// The mistakes, each saying what to do.
    pub fn mistakes(&self) -> &[String] {
        &self.mistakes
    }
}

/// Where the browser goes after Stripe's pages; relative ones start from the request's origin.
#[derive(Clone, Debug)]
pub(crate) struct Returns {
    pub(crate) success: String,
    pub(crate) cancel: String,
    pub(crate) portal: String,
}

impl BillingRouter {
    /// Starts from billing and from who is asking.
    pub fn new(billing: Billing, identity: impl Identity) -> Self {
        Self {
            billing,
            identity: Arc::new(identity),
            return_to: None,
            success: None,
            cancel: None,
            portal: None,
            trusted: Vec::new(),
        }
    }

    /// The app's billing page: where the browser goes after checkout and portal. An absolute `https`
    /// URL (`http` on this machine), or a path on the origin that the request came from; `/` unless
    /// set. After a checkout it carries `checkout=success&session=cs_...` or `checkout=canceled` in
    /// its query. That is for display only: what counts is `GET /state`.
    pub fn return_to(mut self, url: impl Into<String>) -> Self {
        self.return_to = Some(url.into());
        self
    }

    /// Where the browser goes after a successful checkout, as it is; `{CHECKOUT_SESSION_ID}` is
    /// replaced by Stripe.
    pub fn success_url(mut self, url: impl Into<String>) -> Self {
        self.success = Some(url.into());
        self
    }

    /// Where the browser goes when the customer turns back, as it is.
    pub fn cancel_url(mut self, url: impl Into<String>) -> Self {
        self.cancel = Some(url.into());
        self
    }

    /// Where the browser goes from the portal, as it is.
    pub fn portal_return_url(mut self, url: impl Into<String>) -> Self {
        self.portal = Some(url.into());
        self
    }

    /// Lets pages of another origin (`https://spa.example`) send requests. Only for pages that are
    /// the app's own; answering their preflight requests is the app's CORS layer's work.
    pub fn trust_origin(mut self, origin: impl Into<String>) -> Self {
        self.trusted.push(origin.into());
        self
    }

    /// Checks everything and makes the routes, to be nested where the app likes.
    ///
    /// # Errors
    /// A [`RouterError`] that names every address that cannot be used.
    pub fn build(self) -> Result<Router, RouterError> {
        let pages = [
            ("return_to", &self.return_to),
            ("success_url", &self.success),
            ("cancel_url", &self.cancel),
            ("portal_return_url", &self.portal),
        ];
        let mut mistakes: Vec<String> = pages
            .into_iter()
            .filter_map(|(name, url)| wrong_page(url.as_deref()?).map(|why| (name, why)))
            .map(|(name, why)| format!("{name}: {why}"))
            .collect();
        mistakes.extend(self.trusted.iter().filter(|origin| !is_origin(origin)).map(|origin| {
            format!(
                "trust_origin: `{}` is no origin: write it as https://spa.example",
                origin.escape_debug()
            )
        }));
        if !mistakes.is_empty() {
            return Err(RouterError { mistakes });
        }
        Ok(self.assemble())
    }

    pub(crate) fn assemble(self) -> Router {
        let page = self.return_to.unwrap_or_else(|| "/".to_owned());
        let returns = Returns {
            success: self.success.unwrap_or_else(|| {
                with_query(&page, "checkout=success&session={CHECKOUT_SESSION_ID}")
            }),
            cancel: self.cancel.unwrap_or_else(|| with_query(&page, "checkout=canceled")),
            portal: self.portal.unwrap_or(page),
        };
        routes::routes(Arc::new(Shared {
            billing: self.billing,
            identity: self.identity,
            returns,
            trusted: self.trusted,
        }))
    }
}

impl std::fmt::Debug for BillingRouter {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("BillingRouter")
            .field("billing", &self.billing)
            .field("return_to", &self.return_to)
            .field("trusted", &self.trusted)
            .finish_non_exhaustive()
    }
}

/// Adds to a URL's query, in front of its fragment.
fn with_query(url: &str, query: &str) -> String {
    let (page, fragment) = match url.split_once('#') {
        Some((page, fragment)) => (page, format!("#{fragment}")),
        None => (url, String::new()),
    };
    let separator = if page.contains('?') { '&' } else { '?' };
    format!("{page}{separator}{query}{fragment}")
}

/// What is wrong with an address that browsers are sent to.
fn wrong_page(url: &str) -> Option<&'static str> {
    if url.chars().any(|c| c.is_whitespace() || c.is_control()) {
        return Some("there is white space in the address");
    }
    if let Some(rest) = url.strip_prefix('/') {
        // `//host` and `/\host` are addresses of other hosts to a browser.
        let foreign = rest.starts_with(['/', '\\']);
        return foreign.then_some("a path starts with one slash");
    }
    // The placeholder is Stripe's, and no character of it may stand in a URI.
    let parsed: Result<Uri, _> = url
        .split_once('#')
        .map_or(url, |(page, _)| page)
        .replace("{CHECKOUT_SESSION_ID}", "cs_1")
        .parse();
    let Ok(uri) = parsed else {
        return Some("this is no address: write https://app.example/billing or a path");
    };
    let host = uri.host().unwrap_or_default();
    match uri.scheme_str() {
        Some("https" | "http") if host.is_empty() => Some("the address names no host"),
        Some("https" | "http") if uri.authority().is_some_and(|a| a.as_str().contains('@')) => {
            Some("credentials do not belong in an address")
        }
        Some("https") => None,
        Some("http") if origin::is_loopback(host) => None,
        Some("http") => Some("use https; plain http is for this machine only"),
        _ => Some("the address has to start with https:// or be a path"),
    }
}

fn is_origin(text: &str) -> bool {
    let Ok(uri) = text.parse::<Uri>() else {
        return false;
    };
    let has_host = uri.host().is_some_and(|host| !host.is_empty());
    let bare = text.split_once("://").is_some_and(|(_, rest)| !rest.contains(['/', '?', '#', '@']));
    has_host && bare && matches!(uri.scheme_str(), Some("https" | "http"))
}

#[cfg(test)]
mod tests {
    use stripe_billing_core::catalog::Catalog;
    use stripe_billing_core::{AccountKey, MemoryStore};

    use super::*;

    fn builder() -> BillingRouter {
        let billing = Billing::builder(MemoryStore::new())
            .catalog(Catalog::default())
            .webhook_secrets(["whsec_1"])
            .build()
            .unwrap();
        BillingRouter::new(billing, |_: &axum::http::request::Parts| None::<AccountKey>)
    }

    #[test]
    fn every_wrong_address_is_named_at_once() {
        let error = builder()
            .return_to("//evil.example")
            .success_url("http://app.example/ok")
            .cancel_url("javascript:alert(1)")
            .portal_return_url("https://user:pw@app.example")
            .trust_origin("https://spa.example/path")
            .build()
            .unwrap_err();
        let named: Vec<&str> = error
            .mistakes()
            .iter()
            .filter_map(|mistake| Some(mistake.split_once(':')?.0))
            .collect();
        let all = ["return_to", "success_url", "cancel_url", "portal_return_url", "trust_origin"];
        assert_eq!(named, all);
        assert_eq!(error.to_string().lines().count(), 6);
    }

    #[test]
    fn good_addresses_are_taken() {
        for url in [
            "/",
            "/billing?tab=plans#top",
            "https://app.example/billing",
            "http://localhost:3000/",
            "http://127.0.0.1/ok?session={CHECKOUT_SESSION_ID}",
        ] {
            assert!(builder().success_url(url).build().is_ok(), "{url}");
        }
        for url in ["/\\evil.example", "app.example", "", "https://", "/a b", "ftp://app.example"] {
            assert!(builder().success_url(url).build().is_err(), "{url}");
        }
    }

    #[test]
    fn the_query_goes_in_front_of_the_fragment() {
        assert_eq!(with_query("/", "a=1"), "/?a=1");
        assert_eq!(with_query("/b?c=2#d", "a=1"), "/b?c=2&a=1#d");
    }
}
