//! Mail: over SMTP where there is a server, else kept in memory and shown on a page.

use std::sync::Arc;

use async_trait::async_trait;
use axum::Router;
use axum::extract::{Path, Request, State};
use axum::http::{HeaderValue, StatusCode, header};
use axum::middleware::{self, Next};
use axum::response::{Html, IntoResponse, Response};
use axum::routing::get;
use maud::{DOCTYPE, html};
use stripe_billing_axum::Authorize;
use stripe_billing_core::{Notification, Notified, Notifier, NotifyError, Secret};
use stripe_billing_email::{EmailNotifier, EmailNotifierBuilder, Mail, Mailbox, TestMode};

use crate::told::Told;

/// What the server is told about mail.
#[derive(Clone, Debug)]
pub(crate) struct MailConfig {
    pub(crate) smtp: Option<Secret>,
    pub(crate) from: String,
    pub(crate) operators: Vec<String>,
    /// Where mail about test mode goes, in place of the customer.
    pub(crate) test_to: Option<String>,
}

impl MailConfig {
    /// Puts it together; mails are kept in the mailbox where there is no server.
    pub(crate) fn builder(&self, mailbox: &Mailbox) -> EmailNotifierBuilder {
        let builder = match &self.smtp {
            Some(url) => EmailNotifier::smtp(url.clone(), self.from.as_str()),
            None => EmailNotifier::in_memory(mailbox, self.from.as_str()),
        };
        let builder = self.operators.iter().fold(builder, EmailNotifierBuilder::operators);
        match &self.test_to {
            Some(to) => builder.test_mode(TestMode::Redirect(to.clone())),
            None => builder,
        }
    }
}

/// Tells the page, and mails.
#[derive(Clone, Debug)]
pub(crate) struct Mails {
    pub(crate) told: Told,
    pub(crate) email: EmailNotifier,
}

#[async_trait]
impl Notifier for Mails {
    async fn notify(&self, notification: &Notification) -> Result<Notified, NotifyError> {
        // The page tells of it, also where there is nobody to mail.
        let told = self.told.notify(notification).await?;
        self.email.notify(notification).await?;
        Ok(told)
    }
}

/// The pages of the inbox. They show what customers are told: with a real Stripe behind, only to
/// operators.
pub(crate) fn router(mailbox: Mailbox, operators: Option<impl Authorize>) -> Router {
    let routes = Router::new()
        .route("/inbox", get(list))
        .route("/inbox/{id}", get(show))
        .with_state(mailbox);
    let Some(authorize) = operators else { return routes };
    let authorize = Arc::new(authorize);
    routes.layer(middleware::from_fn(move |request: Request, next: Next| {
        let authorize = Arc::clone(&authorize);
        async move {
            let (parts, body) = request.into_parts();
            match authorize.operator(&parts).await {
                Some(_) => next.run(Request::from_parts(parts, body)).await,
                None => StatusCode::UNAUTHORIZED.into_response(),
            }
        }
    }))
}

/// A mail's id as a path.
fn id(mail: &Mail) -> &str {
    mail.message_id.trim_start_matches('<').split('@').next().unwrap_or_default()
}

async fn list(State(mailbox): State<Mailbox>) -> Response {
    let mails = mailbox.mails();
    let page = html! {
        (DOCTYPE)
        html lang="en" {
            head {
                meta charset="utf-8";
                meta name="viewport" content="width=device-width, initial-scale=1";
                meta name="color-scheme" content="light dark";
                meta name="robots" content="noindex";
                title { "Inbox" }
                link rel="icon" href="data:,";
                link rel="stylesheet" href="/demo/style.css";
            }
            body.inbox {
                p { a href="/" { "Back" } }
                h1 { "Inbox" }
                p.lede { "What customers and operators were told lately. Nothing was sent: set SMTP_URL for that." }
                @if mails.is_empty() { p.empty { "None yet." } }
                @for (at, mail) in mails.iter().enumerate() {
                    details.card open[at == 0] {
                        summary { strong { (mail.subject) } " " span.quiet { (mail.to.join(", ")) } }
                        iframe.mail title=(mail.subject) sandbox="" loading="lazy" src={ "/inbox/" (id(mail)) } {}
                        details { summary { "Text" } pre { (mail.text) } }
                    }
                }
            }
        }
    };
    let policy = "default-src 'none'; style-src 'self'; img-src data:; frame-src 'self'; \
                  base-uri 'none'; form-action 'none'; frame-ancestors 'none'";
    guarded(policy, Html(page.into_string()))
}

/// One mail, as it is: nothing in it runs, and nothing is fetched.
async fn show(State(mailbox): State<Mailbox>, Path(wanted): Path<String>) -> Response {
    let Some(mail) = mailbox.mails().into_iter().find(|mail| id(mail) == wanted) else {
        return StatusCode::NOT_FOUND.into_response();
    };
    let policy = "sandbox; default-src 'none'; style-src 'unsafe-inline'; frame-ancestors 'self'";
    guarded(policy, Html(mail.html))
}

fn guarded(policy: &'static str, page: Html<String>) -> Response {
    let mut response = page.into_response();
    for (name, value) in [
        (header::CONTENT_SECURITY_POLICY, policy),
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (header::REFERRER_POLICY, "no-referrer"),
        (header::CACHE_CONTROL, "no-store"),
    ] {
        response.headers_mut().insert(name, HeaderValue::from_static(value));
    }
    response
}
