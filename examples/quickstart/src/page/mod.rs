//! The page: server-rendered, escaped by construction, its sections sent again as they change.

mod credits;
mod feed;
mod manage;
mod plans;
mod status;
mod trouble;

use std::collections::BTreeMap;
use std::sync::Arc;

use maud::{DOCTYPE, Markup, html};
use stripe_billing_core::StoreError;

use crate::identity;
use crate::state::{App, DemoAccount};

pub(crate) const STYLE: &str = include_str!("style.css");
pub(crate) const SCRIPT: &str = include_str!("script.js");

/// The parts of the page that change, by the id of the element that holds them.
pub(crate) type Sections = BTreeMap<&'static str, String>;

/// Renders the parts that change.
pub(crate) async fn sections(
    app: &App,
    account: &DemoAccount,
) -> Result<Sections, Arc<StoreError>> {
    let access = app.access(&account.id).await?;
    let events = feed::latest(app).await.map_err(Arc::new)?;
    let credits = credits::read(app, &account.id).await.map_err(Arc::new)?;
    let card = app.demo.as_ref().and_then(|demo| demo.card(&access));
    let now = app.billing.clock().now().timestamp();
    let mut sections = Sections::new();
    sections.insert("status", status::render(app, &access, card.as_deref()).into_string());
    sections.insert("credits", credits::render(credits.as_ref()).into_string());
    sections.insert("plans", plans::render(app, &access).into_string());
    sections.insert("events", feed::events(&events).into_string());
    sections.insert("told", feed::told(&app.told.of(&account.id, 8)).into_string());
    if app.demo.is_some() {
        let panel = manage::time_machine(&access, card.as_deref(), now);
        sections.insert("machine", panel.into_string());
        let troubles = trouble::read(app).await.map_err(Arc::new)?;
        sections.insert("trouble", trouble::render(&troubles, now).into_string());
    }
    Ok(sections)
}

/// The whole page.
pub(crate) fn document(app: &App, account: &DemoAccount, sections: &Sections) -> String {
    let section = |id: &str| maud::PreEscaped(sections.get(id).cloned().unwrap_or_default());
    let page = html! {
        (DOCTYPE)
        html lang="en" {
            head {
                meta charset="utf-8";
                meta name="viewport" content="width=device-width, initial-scale=1";
                meta name="color-scheme" content="light dark";
                meta name="robots" content="noindex";
                title { "stripe-billing quickstart" }
                link rel="icon" href="data:,";
                link rel="stylesheet" href="/demo/style.css";
                script src="/demo/script.js" defer {}
            }
            body {
                a.skip href="#status" { "Skip to the account" }
                (header(app, account))
                p.lede {
                    "Subscribe with a test card, spend credits, then move the clock and watch renewals, failures and recoveries arrive, nothing to reload."
                }
                main.grid {
                    div.column {
                        section.card.status #status aria-live="polite" aria-label="Account" { (section("status")) }
                        section.card.credits #credits aria-label="Credits" { (section("credits")) }
                        (plans::toggle(app))
                        section #plans aria-label="Plans" { (section("plans")) }
                        section.card.told {
                            h2 { "Told to your app" }
                            p.hint { "Facts for your code and mail for your customer, each once, however often and in whatever order Stripe repeats itself."
                                @if app.inbox.is_some() && app.demo.is_some() { " " a href="/inbox" { "Read the mails" } "." }
                            }
                            div #told { (section("told")) }
                        }
                    }
                    aside.column aria-label="Behind the scenes" {
                        @if app.demo.is_some() {
                            section.card.machine #machine aria-label="Time machine" { (section("machine")) }
                        }
                        section.card.webhooks {
                            h2 { "Webhooks from Stripe" }
                            p.hint { "Verified, stored, then processed in any order." }
                            div #events { (section("events")) }
                        }
                        @if app.demo.is_some() {
                            section.card.webhooks #trouble aria-live="polite" aria-label="When things fail" { (section("trouble")) }
                        }
                    }
                }
                (footer(app, account))
                div #toast role="status" aria-live="assertive" {}
            }
        }
    };
    page.into_string()
}

/// What is shown while the store is away.
pub(crate) fn trouble() -> String {
    let page = html! {
        (DOCTYPE)
        html lang="en" {
            head {
                meta charset="utf-8";
                meta name="viewport" content="width=device-width, initial-scale=1";
                meta http-equiv="refresh" content="3";
                title { "stripe-billing quickstart" }
                link rel="stylesheet" href="/demo/style.css";
            }
            body { main.grid { section.card {
                h1 { "The database is away" }
                p { "Webhooks are answered with 503, so that Stripe delivers them again. This page looks again every few seconds." }
            } } }
        }
    };
    page.into_string()
}

fn header(app: &App, account: &DemoAccount) -> Markup {
    let mode = match (&app.demo, app.has_stripe) {
        (Some(_), _) => "FakeStripe inside, no network",
        (None, true) => "Stripe",
        (None, false) => "no Stripe API, webhooks only",
    };
    html! {
        header.top {
            div.brand {
                span.mark aria-hidden="true" { (logo()) }
                span { strong { "stripe-billing" } span.quiet { "quickstart" } }
            }
            span.mode { span.dot aria-hidden="true" {} (mode) }
            form.people method="post" action="/demo/account" data-native="" {
                span.quiet #who { "Signed in as" }
                div role="group" aria-labelledby="who" {
                    @for person in &app.accounts {
                        button.person name="account" value=(person.id)
                            aria-pressed=(if person.id == account.id { "true" } else { "false" }) {
                            span.face aria-hidden="true" { (person.name.chars().next().unwrap_or('?')) }
                            (person.name)
                        }
                    }
                }
            }
        }
    }
}

fn logo() -> Markup {
    html! {
        svg viewBox="0 0 24 24" width="20" height="20" fill="none" stroke="currentColor" stroke-width="2.2"
            stroke-linecap="round" stroke-linejoin="round" {
            path d="M4 12a8 8 0 0 1 13.7-5.6L20 8.6" {}
            path d="M20 4v4.6h-4.6" {}
            path d="M20 12a8 8 0 0 1-13.7 5.6L4 15.4" {}
            path d="M4 20v-4.6h4.6" {}
        }
    }
}

fn footer(app: &App, account: &DemoAccount) -> Markup {
    html! {
        footer {
            p { "The same over HTTP:" }
            pre tabindex="0" { code { "curl -H '" (identity::HEADER) ": " (account.id) "' " (app.home) "/billing/state" } }
            p.quiet {
                "The header and this page's cookie are a demo identity: anybody may be anybody. A real app takes the account from its own session."
                @if let Some(demo) = &app.demo { " The fake Stripe has a page of its own: " a href=(demo.base_url()) { (demo.base_url()) } "." }
            }
        }
    }
}
