use std::fmt;
use std::net::IpAddr;

use reqwest::Url;
use standardwebhooks::Webhook;
use stripe_billing_core::Secret;

/// How many bytes a key of the scheme has.
const KEY_BYTES: std::ops::RangeInclusive<usize> = 24..=64;

/// Where facts are posted, and how the receiver knows that they are ours.
///
/// `Debug` shows its name: a URL may hold a token.
#[derive(Clone)]
pub struct Endpoint {
    url: Secret,
    secrets: Vec<Secret>,
    name: Option<String>,
    plain_http: bool,
}

impl Endpoint {
    /// An endpoint, and the secret it verifies with: `whsec_` and 24 to 64 bytes in base64.
    pub fn new(url: impl Into<Secret>, secret: impl Into<Secret>) -> Self {
        Self { url: url.into(), secrets: vec![secret.into()], name: None, plain_http: false }
    }

    /// One more secret to sign with, while the receiver moves from one to the other.
    pub fn also_sign_with(mut self, secret: impl Into<Secret>) -> Self {
        self.secrets.push(secret.into());
        self
    }

    /// What logs, errors and metrics call it; its host unless it is set.
    pub fn named(mut self, name: impl Into<String>) -> Self {
        self.name = Some(name.into());
        self
    }

    /// Allows `http://` to another machine, where the network is trusted: facts name accounts and
    /// amounts. To this machine it is always allowed.
    pub fn allow_plain_http(mut self) -> Self {
        self.plain_http = true;
        self
    }

    /// The endpoint checked; what is wrong is told under the number that it has in the list.
    pub(crate) fn check(&self, number: usize) -> Result<Checked, Vec<String>> {
        let mut mistakes = Vec::new();
        let url = match parse(self.url.expose(), self.plain_http) {
            Ok(url) => Some(url),
            Err(mistake) => {
                mistakes.push(mistake);
                None
            }
        };
        let mut keys = Vec::new();
        for secret in &self.secrets {
            match key(secret) {
                Ok(key) => keys.push(key),
                Err(mistake) => mistakes.push(mistake),
            }
        }
        let host = url.as_ref().map(|(url, _)| authority(url)).unwrap_or_default();
        let name = self.name.clone().unwrap_or(host);
        match url {
            Some((url, loopback)) if mistakes.is_empty() => {
                Ok(Checked { url, loopback, keys, name })
            }
            _ => {
                let told = |mistake| format!("endpoint {number}: {mistake}");
                Err(mistakes.into_iter().map(told).collect())
            }
        }
    }
}

/// An endpoint that can be used.
pub(crate) struct Checked {
    pub(crate) url: Url,
    /// Whether it is on this machine.
    pub(crate) loopback: bool,
    pub(crate) keys: Vec<Webhook>,
    pub(crate) name: String,
}

impl fmt::Debug for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Endpoint").field("name", &self.name).finish_non_exhaustive()
    }
}

fn parse(text: &str, plain_http: bool) -> Result<(Url, bool), String> {
    let url = Url::parse(text).map_err(|error| format!("the URL cannot be read: {error}"))?;
    let host = url.host_str().unwrap_or_default();
    let address = host.trim_start_matches('[').trim_end_matches(']').parse::<IpAddr>();
    let loopback = host == "localhost" || address.is_ok_and(|address| address.is_loopback());
    match url.scheme() {
        "https" => {}
        "http" if loopback || plain_http => {}
        "http" => {
            return Err("the URL has to be https, or plain http has to be allowed".to_owned());
        }
        _ => return Err("the URL is neither https nor http".to_owned()),
    }
    if !url.username().is_empty() || url.password().is_some() {
        return Err("the URL must not hold a user or a password".to_owned());
    }
    Ok((url, loopback))
}

fn authority(url: &Url) -> String {
    let host = url.host_str().unwrap_or_default();
    url.port().map_or_else(|| host.to_owned(), |port| format!("{host}:{port}"))
}

fn key(secret: &Secret) -> Result<Webhook, String> {
    let secret = secret.expose().trim();
    let key = Webhook::new(secret)
        .map_err(|_| "a secret is not `whsec_` and base64, as the scheme asks".to_owned())?;
    // Base64 of n bytes; a key that can be guessed is no key.
    let text = secret.strip_prefix("whsec_").unwrap_or(secret).trim_end_matches('=');
    let bytes = text.len() * 3 / 4;
    if !KEY_BYTES.contains(&bytes) {
        return Err(format!("a secret has {bytes} bytes, and has to have 24 to 64"));
    }
    Ok(key)
}
