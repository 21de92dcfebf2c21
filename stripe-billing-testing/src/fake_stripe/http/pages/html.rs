//! The few pieces that the pages are put together from.

use axum::{
    http::StatusCode,
    response::{Html, IntoResponse, Response},
};
use chrono::{DateTime, Utc};

/// Text made safe for HTML, in content and in quoted attributes.
pub(super) fn escape(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            '\'' => out.push_str("&#39;"),
            c => out.push(c),
        }
    }
    out
}

/// A link target: web addresses and local paths only, so that no script gets in.
pub(super) fn href(url: &str) -> String {
    let fine = url.starts_with("http://") || url.starts_with("https://") || url.starts_with('/');
    escape(if fine { url } else { "/" })
}

pub(super) fn document(title: &str, body: &str) -> Html<String> {
    let style = include_str!("style.css");
    let title = escape(title);
    Html(format!(
        "<!doctype html><html lang=\"en\"><head><meta charset=\"utf-8\">\
         <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\
         <meta name=\"robots\" content=\"noindex\"><title>{title}</title>\
         <link rel=\"icon\" href=\"data:,\"><style>{style}</style></head><body>{body}</body></html>"
    ))
}

pub(super) fn message(status: StatusCode, title: &str, text: &str) -> Response {
    let body = format!(
        "<main class=\"page\"><div class=\"card\"><h1>{}</h1><p>{}</p></div></main>",
        escape(title),
        escape(text)
    );
    (status, document(title, &body)).into_response()
}

/// `7 January 2027`.
pub(super) fn day(unix: i64) -> String {
    date(unix, "%-d %B %Y")
}

/// `2027-01-07 12:00:00 UTC`.
pub(super) fn instant(unix: i64) -> String {
    date(unix, "%Y-%m-%d %H:%M:%S UTC")
}

fn date(unix: i64, format: &str) -> String {
    DateTime::<Utc>::from_timestamp(unix, 0)
        .map_or_else(|| unix.to_string(), |at| at.format(format).to_string())
}
