//! Where a request comes from: refuses what pages of other origins send, and finds the way back.

use axum::http::request::Parts;
use axum::http::uri::Authority;
use axum::http::{HeaderMap, Uri, header};

/// Whether a request that changes something may be acted on: it comes from a page of this origin or
/// of one that is trusted, or from no browser at all.
///
/// Browsers say so themselves in `Sec-Fetch-Site`; older ones send `Origin` with every form. What
/// sends neither is not a browser, and has no cookies that another page could ride on.
pub(crate) fn is_allowed(headers: &HeaderMap, uri: &Uri, trusted: &[String]) -> bool {
    let origin = text(headers, header::ORIGIN.as_str());
    if origin.is_some_and(|origin| trusted.iter().any(|known| known.eq_ignore_ascii_case(origin))) {
        return true;
    }
    match text(headers, "sec-fetch-site") {
        Some(site) => matches!(site, "same-origin" | "none"),
        None => match (headers.contains_key(header::ORIGIN), origin) {
            (false, _) => true,
            (true, Some(origin)) => host(headers, uri).is_some_and(|host| {
                authority_of(origin).is_some_and(|own| own.as_str().eq_ignore_ascii_case(&host))
            }),
            (true, None) => false,
        },
    }
}

/// The origin that the browser shows, without a slash at its end: what it says itself, or the host
/// that was asked, over TLS unless that is this machine.
pub(crate) fn of_request(parts: &Parts) -> Option<String> {
    let origin = text(&parts.headers, header::ORIGIN.as_str())
        .filter(|origin| authority_of(origin).is_some());
    if let Some(origin) = origin {
        return Some(origin.to_owned());
    }
    let host = host(&parts.headers, &parts.uri)?;
    let authority = plain_authority(&host)?;
    let scheme = if is_loopback(authority.host()) { "http" } else { "https" };
    Some(format!("{scheme}://{authority}"))
}

/// Whether a host name or address is this machine.
pub(crate) fn is_loopback(host: &str) -> bool {
    let address = host.trim_start_matches('[').trim_end_matches(']');
    host.eq_ignore_ascii_case("localhost")
        || address.parse::<std::net::IpAddr>().is_ok_and(|address| address.is_loopback())
}

/// The authority of a plain `http` or `https` origin.
fn authority_of(origin: &str) -> Option<Authority> {
    let host = origin.strip_prefix("https://").or_else(|| origin.strip_prefix("http://"))?;
    plain_authority(host)
}

/// Host and port, without credentials.
fn plain_authority(text: &str) -> Option<Authority> {
    let authority: Authority = text.parse().ok()?;
    (!text.contains('@') && !authority.host().is_empty()).then_some(authority)
}

fn host(headers: &HeaderMap, uri: &Uri) -> Option<String> {
    text(headers, header::HOST.as_str())
        .map(str::to_owned)
        // HTTP/2 names the host in the URI.
        .or_else(|| uri.authority().map(Authority::to_string))
}

fn text<'a>(headers: &'a HeaderMap, name: &str) -> Option<&'a str> {
    headers.get(name)?.to_str().ok()
}

#[cfg(test)]
mod tests {
    use axum::http::Request;

    use super::*;

    fn parts(headers: &[(&str, &str)]) -> Parts {
        let mut request = Request::post("/checkout");
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        request.body(()).unwrap().into_parts().0
    }

    #[test]
    fn pages_of_other_origins_are_refused() {
        let own = ("host", "app.example:8443");
        for (headers, allowed) in [
            (vec![own], true),
            (vec![own, ("sec-fetch-site", "same-origin")], true),
            (vec![own, ("sec-fetch-site", "none")], true),
            (vec![own, ("sec-fetch-site", "same-site")], false),
            (vec![own, ("sec-fetch-site", "cross-site")], false),
            (vec![own, ("origin", "https://app.example:8443")], true),
            (vec![own, ("origin", "HTTPS://APP.example:8443")], false),
            (vec![own, ("origin", "https://app.example")], false),
            (vec![own, ("origin", "https://evil.example")], false),
            (vec![own, ("origin", "https://app.example:8443@evil.example")], false),
            (vec![own, ("origin", "null")], false),
            (vec![own, ("origin", "")], false),
            (vec![("origin", "https://app.example")], false),
            (vec![own, ("origin", "https://spa.example"), ("sec-fetch-site", "cross-site")], true),
        ] {
            let parts = parts(&headers);
            let trusted = ["https://spa.example".to_owned()];
            let answer = is_allowed(&parts.headers, &parts.uri, &trusted);
            assert_eq!(answer, allowed, "{headers:?}");
        }
    }

    #[test]
    fn the_way_back_is_the_origin_that_the_browser_shows() {
        for (headers, origin) in [
            (vec![("host", "app.example")], Some("https://app.example")),
            (vec![("host", "localhost:3000")], Some("http://localhost:3000")),
            (vec![("host", "127.0.0.1:3000")], Some("http://127.0.0.1:3000")),
            (vec![("host", "[::1]:3000")], Some("http://[::1]:3000")),
            (
                vec![("host", "inner:80"), ("origin", "https://app.example")],
                Some("https://app.example"),
            ),
            (vec![("host", "app.example"), ("origin", "null")], Some("https://app.example")),
            (vec![("host", "user@app.example")], None),
            (vec![("host", "not a host")], None),
            (vec![], None),
        ] {
            assert_eq!(of_request(&parts(&headers)).as_deref(), origin, "{headers:?}");
        }
    }
}
