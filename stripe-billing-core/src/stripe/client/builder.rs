use std::error::Error;
use std::fmt;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use reqwest::Url;
use reqwest::header::{ACCEPT, AUTHORIZATION, HeaderMap, HeaderValue, USER_AGENT};

use super::retry::Backoff;
use super::{API_VERSION, Shared, StripeClient};
use crate::Secret;

/// Configures a [`StripeClient`].
///
/// ```
/// use std::time::Duration;
/// use stripe_billing_core::stripe::{StripeApi, StripeClient};
///
/// let stripe = StripeClient::builder("rk_test_123")
///     .timeout(Duration::from_secs(15))
///     .app_info("Acme", "1.4.0", Some("https://acme.test"))
///     .build()?;
/// assert_eq!(stripe.livemode(), Some(false));
/// # Ok::<(), stripe_billing_core::stripe::InvalidStripeConfig>(())
/// ```
#[derive(Debug, Clone)]
#[must_use]
pub struct StripeClientBuilder {
    key: Secret,
    api_base: String,
    connect_timeout: Duration,
    timeout: Duration,
    max_retries: u32,
    backoff: Backoff,
    app_info: Option<String>,
}

impl StripeClientBuilder {
    pub(super) fn new(key: Secret) -> Self {
        Self {
            key,
            api_base: "https://api.stripe.com".to_owned(),
            connect_timeout: Duration::from_secs(10),
            timeout: Duration::from_secs(30),
            max_retries: 2,
            backoff: Backoff { base: Duration::from_millis(500), cap: Duration::from_secs(5) },
            app_info: None,
        }
    }

    /// Another server than `https://api.stripe.com`, such as a fake on this machine. Plain `http`
    /// works, but not with a live key beyond this machine. A server on this machine is reached
    /// without the proxy that the environment may name.
    pub fn api_base(mut self, url: impl Into<String>) -> Self {
        self.api_base = url.into();
        self
    }

    /// How long a connection may take to open (default 10 s).
    pub fn connect_timeout(mut self, timeout: Duration) -> Self {
        self.connect_timeout = timeout;
        self
    }

    /// How long one try may take, from connecting to the end of the answer (default 30 s). A call
    /// may take that for each of its tries, and the waits between them.
    pub fn timeout(mut self, timeout: Duration) -> Self {
        self.timeout = timeout;
        self
    }

    /// How often a call is tried again (default 2).
    pub fn max_retries(mut self, retries: u32) -> Self {
        self.max_retries = retries;
        self
    }

    /// The wait before the first retry (default 0.5 s). Each further wait is twice as long, up to
    /// 5 s, and shortened by up to a half so that callers do not march in step.
    pub fn retry_base(mut self, wait: Duration) -> Self {
        self.backoff.base = wait;
        self
    }

    /// Names the app in the `User-Agent`, behind `stripe-billing/<version>`.
    pub fn app_info(mut self, name: &str, version: &str, url: Option<&str>) -> Self {
        let url = url.map(|url| format!(" ({url})")).unwrap_or_default();
        self.app_info = Some(format!("{name}/{version}{url}"));
        self
    }

    /// Builds the client.
    ///
    /// # Errors
    ///
    /// [`InvalidStripeConfig`] names every setting that is wrong.
    pub fn build(self) -> Result<StripeClient, InvalidStripeConfig> {
        let mut problems = Vec::new();
        let key = self.key.expose();
        let livemode = livemode(key);
        problems.extend(key_problem(key).map(str::to_owned));
        if self.connect_timeout.is_zero() || self.timeout.is_zero() {
            problems.push("a time-out must not be zero".to_owned());
        }
        let base = match parse_base(&self.api_base, livemode) {
            Ok(base) => Some(base),
            Err(problem) => {
                problems.push(problem);
                None
            }
        };
        let headers = headers(key, self.app_info.as_deref())
            .map_err(|_| problems.push("the app's name or version has control characters".into()));
        let (Some((api_base, loopback)), Ok(headers), true) = (base, headers, problems.is_empty())
        else {
            return Err(InvalidStripeConfig { problems, source: None });
        };
        let http = http_client(headers, self.connect_timeout, loopback)
            .map_err(InvalidStripeConfig::http)?;
        let shared = Shared {
            http,
            api_base,
            key: self.key,
            livemode,
            timeout: self.timeout,
            max_retries: self.max_retries,
            backoff: self.backoff,
        };
        Ok(StripeClient { shared: Arc::new(shared), account: None })
    }
}

fn livemode(key: &str) -> Option<bool> {
    match key.get(..8)? {
        "sk_live_" | "rk_live_" => Some(true),
        "sk_test_" | "rk_test_" => Some(false),
        _ => None,
    }
}

fn key_problem(key: &str) -> Option<&'static str> {
    if key.trim().is_empty() {
        Some("the secret key is empty")
    } else if !key.bytes().all(|byte| byte.is_ascii_graphic()) {
        Some("the secret key has blanks, line ends or characters beyond ASCII")
    } else if key.starts_with("pk_") {
        Some("the key is a publishable one (pk_…); a secret or restricted key is needed")
    } else if key.starts_with("whsec_") {
        Some(
            "the key is a webhook's signing secret (whsec_…); a secret or restricted key is needed",
        )
    } else {
        None
    }
}

/// The base without a slash at its end, and whether it is this machine. What is wrong is told
/// without the URL, since it may hold a password.
fn parse_base(text: &str, livemode: Option<bool>) -> Result<(String, bool), String> {
    let url = Url::parse(text).map_err(|error| format!("the API base is no URL: {error}"))?;
    let Some(host) = url.host_str() else {
        return Err("the API base has no host".to_owned());
    };
    let address = host.trim_start_matches('[').trim_end_matches(']').parse::<IpAddr>();
    let loopback = host == "localhost" || address.is_ok_and(|address| address.is_loopback());
    if !matches!(url.scheme(), "http" | "https") {
        return Err("the API base is neither http nor https".to_owned());
    }
    if !url.username().is_empty() || url.password().is_some() {
        return Err("the API base must not hold a user or a password".to_owned());
    }
    if url.query().is_some() || url.fragment().is_some() {
        return Err("the API base must not have a query or a fragment".to_owned());
    }
    if url.scheme() == "http" && livemode == Some(true) && !loopback {
        return Err("a live key must not go over plain http".to_owned());
    }
    Ok((url.as_str().trim_end_matches('/').to_owned(), loopback))
}

/// The headers that every request has. A key that is no header value is reported by
/// `key_problem`, so only the app's name can fail here.
fn headers(
    key: &str,
    app_info: Option<&str>,
) -> Result<HeaderMap, reqwest::header::InvalidHeaderValue> {
    let mut headers = HeaderMap::new();
    if let Ok(mut bearer) = HeaderValue::from_str(&format!("Bearer {key}")) {
        bearer.set_sensitive(true);
        headers.insert(AUTHORIZATION, bearer);
    }
    headers.insert(ACCEPT, HeaderValue::from_static("application/json"));
    headers.insert("stripe-version", HeaderValue::from_static(API_VERSION));
    let mut agent = concat!("stripe-billing/", env!("CARGO_PKG_VERSION")).to_owned();
    if let Some(app) = app_info {
        agent.push(' ');
        agent.push_str(app);
    }
    headers.insert(USER_AGENT, HeaderValue::from_str(&agent)?);
    Ok(headers)
}

fn http_client(
    headers: HeaderMap,
    connect_timeout: Duration,
    loopback: bool,
) -> Result<reqwest::Client, Box<dyn Error + Send + Sync>> {
    let roots: rustls::RootCertStore = webpki_roots::TLS_SERVER_ROOTS.iter().cloned().collect();
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let tls = rustls::ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()?
        .with_root_certificates(roots)
        .with_no_client_auth();
    let mut http = reqwest::Client::builder()
        .tls_backend_preconfigured(tls)
        .default_headers(headers)
        .connect_timeout(connect_timeout)
        // A redirect is an answer that Stripe never gives; following one could carry data away.
        .redirect(reqwest::redirect::Policy::none())
        // Every try is ours, so that each is counted and each is logged.
        .retry(reqwest::retry::never());
    if loopback {
        http = http.no_proxy();
    }
    Ok(http.build()?)
}

/// What is wrong with a client's configuration. It never holds the key.
#[derive(Debug)]
pub struct InvalidStripeConfig {
    problems: Vec<String>,
    source: Option<Box<dyn Error + Send + Sync>>,
}

impl InvalidStripeConfig {
    fn http(source: Box<dyn Error + Send + Sync>) -> Self {
        Self { problems: vec!["the HTTP stack does not start".to_owned()], source: Some(source) }
    }

    /// Every mistake, each in a few words.
    pub fn problems(&self) -> &[String] {
        &self.problems
    }
}

impl fmt::Display for InvalidStripeConfig {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "the Stripe client cannot be built: {}", self.problems.join("; "))
    }
}

impl Error for InvalidStripeConfig {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        self.source.as_deref().map(|source| source as _)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::stripe::StripeApi;

    fn problems(builder: StripeClientBuilder) -> Vec<String> {
        builder.build().map(|_| Vec::new()).unwrap_or_else(|error| error.problems().to_vec())
    }

    #[test]
    fn the_mode_is_read_from_the_key() {
        let rows = [
            ("sk_live_1", Some(true)),
            ("rk_live_1", Some(true)),
            ("sk_test_1", Some(false)),
            ("rk_test_1", Some(false)),
            ("sk_org_1", None),
            ("other", None),
            ("sk_tes", None),
        ];
        for (key, expected) in rows {
            assert_eq!(StripeClient::new(key).unwrap().livemode(), expected, "{key}");
        }
        assert_eq!(livemode("sk_liveé"), None);
    }

    #[test]
    fn keys_that_cannot_be_one_are_named() {
        let rows = [
            ("", "empty"),
            (" \n", "empty"),
            ("sk_test_1\n", "blanks"),
            ("sk_test_é", "blanks"),
            ("pk_test_1", "publishable"),
            ("whsec_1", "signing secret"),
        ];
        for (key, word) in rows {
            let found = problems(StripeClient::builder(key));
            assert!(found.len() == 1 && found[0].contains(word), "{key:?}: {found:?}");
        }
    }

    #[test]
    fn bases() {
        let base = |url: &str, key: &str| problems(StripeClient::builder(key).api_base(url));
        for good in
            ["http://127.0.0.1:12111", "http://localhost", "http://[::1]:9/", "https://a.test/x/"]
        {
            assert_eq!(base(good, "sk_live_1"), Vec::<String>::new(), "{good}");
        }
        assert_eq!(base("http://stripe-fake:12111", "sk_test_1"), Vec::<String>::new());
        let bad =
            ["", "api.stripe.com", "ftp://a.test", "https://u:p@a.test", "https://a.test?x=1"];
        for bad in bad {
            assert_eq!(base(bad, "sk_test_1").len(), 1, "{bad}");
        }
        assert!(base("http://a.test", "sk_live_1")[0].contains("plain http"));
        assert!(!base("https://u:hunter2@a.test", "sk_test_1")[0].contains("hunter2"));
    }

    #[test]
    fn all_mistakes_are_named_at_once_and_none_shows_the_key() {
        let error = StripeClient::builder("sk_live_secret with blank")
            .api_base("http://a.test")
            .timeout(Duration::ZERO)
            .app_info("a\nb", "1", None)
            .build()
            .unwrap_err();
        assert_eq!(error.problems().len(), 4, "{error}");
        assert!(!format!("{error} {error:?}").contains("sk_live_secret"));
    }
}
