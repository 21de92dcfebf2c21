//! The routes of the page and of the demo's own buttons.

use std::sync::Arc;

use axum::Router;
use axum::extract::{Form, State};
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::{Html, IntoResponse, Redirect, Response};
use axum::routing::{get, post};
use serde::Deserialize;
use stripe_billing_axum::Problem;
use stripe_billing_core::{Access, SpendError};

use crate::demo::{Demo, DemoError, Step};
use crate::problem::problem;
use crate::state::App;
use crate::trouble::Trouble;
use crate::work::write_story;
use crate::{identity, live, page, trouble};

type Shared = State<Arc<App>>;

pub(crate) fn router(app: Arc<App>) -> Router {
    let mut routes = Router::new()
        .route("/", get(index))
        .route("/demo/style.css", get(async || asset("text/css; charset=utf-8", page::STYLE)))
        .route(
            "/demo/script.js",
            get(async || asset("text/javascript; charset=utf-8", page::SCRIPT)),
        )
        .route("/demo/live", get(changes))
        .route("/demo/account", post(sign_in))
        .route("/demo/work", post(work));
    if app.demo.is_some() {
        routes = routes
            .route("/demo/advance", post(advance))
            .route("/demo/card", post(card))
            .route("/demo/trouble", post(make_trouble))
            .route("/demo/dismiss", post(dismiss));
    }
    routes.with_state(app)
}

async fn index(State(app): Shared, headers: HeaderMap) -> Response {
    let named = identity::account_of(&headers);
    let account = app.visitor(named.as_deref());
    let (status, page) = match page::sections(&app, account).await {
        Ok(sections) => (StatusCode::OK, page::document(&app, account, &sections)),
        Err(_) => (StatusCode::SERVICE_UNAVAILABLE, page::trouble()),
    };
    let mut response = (status, Html(page)).into_response();
    let headers = response.headers_mut();
    if named.as_deref() != Some(account.id.as_str()) {
        remember(headers, &account.id);
    }
    guard(headers, app.demo.as_ref());
    response
}

/// Nothing from elsewhere, nothing inline, and nobody's frame.
fn guard(headers: &mut HeaderMap, demo: Option<&Demo>) {
    // Without scripts, a form leads to Stripe's pages by a redirect, which counts as its action.
    let stripe = demo
        .map_or("https://checkout.stripe.com https://billing.stripe.com", |demo| demo.base_url());
    let policy = format!(
        "default-src 'none'; style-src 'self'; script-src 'self'; connect-src 'self'; \
         img-src data:; form-action 'self' {stripe}; base-uri 'none'; frame-ancestors 'none'"
    );
    let fixed = [
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (header::REFERRER_POLICY, "same-origin"),
        (header::CACHE_CONTROL, "no-store"),
    ];
    for (name, value) in fixed {
        headers.insert(name, HeaderValue::from_static(value));
    }
    if let Ok(policy) = HeaderValue::from_str(&policy) {
        headers.insert(header::CONTENT_SECURITY_POLICY, policy);
    }
}

fn remember(headers: &mut HeaderMap, account: &str) {
    let cookie = format!("{}={account}; Path=/; HttpOnly; SameSite=Lax", identity::NAME);
    if let Ok(cookie) = HeaderValue::from_str(&cookie) {
        headers.insert(header::SET_COOKIE, cookie);
    }
}

fn asset(kind: &'static str, text: &'static str) -> Response {
    let headers = [
        (header::CONTENT_TYPE, kind),
        (header::CACHE_CONTROL, "no-cache"),
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
    ];
    (headers, text).into_response()
}

async fn changes(State(app): Shared, headers: HeaderMap) -> Response {
    let account = app.visitor(identity::account_of(&headers).as_deref()).clone();
    live::stream(app, account).into_response()
}

#[derive(Debug, Deserialize)]
struct SignIn {
    account: String,
}

async fn sign_in(State(app): Shared, Form(form): Form<SignIn>) -> Response {
    let mut response = Redirect::to("/").into_response();
    remember(response.headers_mut(), &app.visitor(Some(&form.account)).id);
    response
}

#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Job {
    Succeeds,
    Fails,
}

#[derive(Debug, Deserialize)]
struct Work {
    job: Job,
}

async fn work(State(app): Shared, headers: HeaderMap, Form(form): Form<Work>) -> Response {
    let account = app.visitor(identity::account_of(&headers).as_deref());
    let Some(unit) = app.billing.catalog().units().into_iter().next() else {
        return StatusCode::NOT_FOUND.into_response();
    };
    let succeeds = matches!(form.job, Job::Succeeds);
    match write_story(&app.billing, &account.id, unit, succeeds).await {
        Ok(()) => done(&headers),
        Err(SpendError::Credits(error)) => Problem::from(error).into_response(),
        Err(error) => {
            problem(StatusCode::INTERNAL_SERVER_ERROR, "story_failed", &error.to_string())
        }
    }
}

#[derive(Debug, Deserialize)]
struct Advance {
    step: Step,
}

async fn advance(State(app): Shared, headers: HeaderMap, Form(form): Form<Advance>) -> Response {
    let moved =
        async |demo: &Demo, access: &Access| demo.advance(&app.billing, access, form.step).await;
    with_demo(&app, &headers, moved).await
}

#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(rename_all = "snake_case")]
enum CardChoice {
    Good,
    Failing,
}

#[derive(Debug, Deserialize)]
struct Card {
    card: CardChoice,
}

async fn card(State(app): Shared, headers: HeaderMap, Form(form): Form<Card>) -> Response {
    let good = matches!(form.card, CardChoice::Good);
    let put = async |demo: &Demo, access: &Access| demo.use_card(access, good);
    with_demo(&app, &headers, put).await
}

#[derive(Debug, Deserialize)]
struct MakeTrouble {
    trouble: Trouble,
}

async fn make_trouble(
    State(app): Shared,
    headers: HeaderMap,
    Form(form): Form<MakeTrouble>,
) -> Response {
    let id = app.billing.clock().now().timestamp_micros().to_string();
    match trouble::send(&app.billing, &app.secret, form.trouble, &id).await {
        Ok(()) => done(&headers),
        Err(error) => Problem::from(error).into_response(),
    }
}

#[derive(Debug, Deserialize)]
struct Dismiss {
    seq: i64,
}

async fn dismiss(State(app): Shared, headers: HeaderMap, Form(form): Form<Dismiss>) -> Response {
    match trouble::dismiss(&app.billing, form.seq).await {
        Ok(()) => done(&headers),
        Err(error) => problem(StatusCode::CONFLICT, "not_possible", &error.to_string()),
    }
}

/// Back to the page, or nothing for a script that shows the change by itself.
fn done(headers: &HeaderMap) -> Response {
    if wants_page(headers) {
        Redirect::to("/").into_response()
    } else {
        StatusCode::NO_CONTENT.into_response()
    }
}

/// Does something to the fake for the visitor.
async fn with_demo(
    app: &App,
    headers: &HeaderMap,
    act: impl AsyncFnOnce(&Demo, &Access) -> Result<(), DemoError>,
) -> Response {
    let account = app.visitor(identity::account_of(headers).as_deref());
    let Some(demo) = &app.demo else {
        return StatusCode::NOT_FOUND.into_response();
    };
    let Ok(access) = app.access(&account.id).await else {
        let title = "The store cannot be reached";
        return problem(StatusCode::SERVICE_UNAVAILABLE, "store_unavailable", title);
    };
    match act(demo, &access).await {
        Ok(()) => done(headers),
        Err(error @ DemoError::StillBusy) => {
            problem(StatusCode::SERVICE_UNAVAILABLE, "still_busy", &error.to_string())
        }
        Err(error) => problem(StatusCode::CONFLICT, "not_possible", &error.to_string()),
    }
}

fn wants_page(headers: &HeaderMap) -> bool {
    let accept = headers.get(header::ACCEPT).and_then(|accept| accept.to_str().ok());
    accept.is_some_and(|accept| accept.contains("text/html"))
}
