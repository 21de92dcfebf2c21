//! A handler per route; what they do is billing's.

use std::sync::Arc;

use axum::body::Body;
use axum::extract::rejection::QueryRejection;
use axum::extract::{DefaultBodyLimit, FromRequestParts, Query, State};
use axum::http::request::Parts;
use axum::http::{HeaderMap, HeaderValue, Request, StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use axum::{Json, Router};
use chrono::{NaiveDate, TimeDelta};
use serde::{Deserialize, Serialize};
use stripe_billing_core::ledger::LedgerKey;
use stripe_billing_core::store::{Receipt, UsageQuery};
use stripe_billing_core::{AccountKey, Billing, CheckoutRequest, CustomerProfile};

use crate::body::{self, Purchase};
use crate::builder::Returns;
use crate::credits::{CreditsView, HistoryView, UsageView, Used};
use crate::identity::Identity;
use crate::origin;
use crate::problem::Problem;
use crate::view::{PlansView, StateView};

/// What every handler works with.
pub(crate) struct Shared {
    pub(crate) billing: Billing,
    pub(crate) identity: Arc<dyn Identity>,
    pub(crate) returns: Returns,
    pub(crate) trusted: Vec<String>,
}

type Routed = Result<Response, Problem>;

pub(crate) fn routes(shared: Arc<Shared>) -> Router {
    let webhook = post(webhook).layer(DefaultBodyLimit::max(shared.billing.max_body()));
    let checkout = post(checkout).layer(DefaultBodyLimit::max(body::max_body()));
    Router::new()
        .route("/webhook", webhook)
        .route("/state", get(state))
        .route("/credits", get(credits))
        .route("/credits/history", get(history))
        .route("/credits/usage", get(usage))
        .route("/plans", get(plans))
        .route("/checkout", checkout)
        .route("/portal", post(portal))
        .route("/cancel", post(cancel))
        .route("/resume", post(resume))
        .method_not_allowed_fallback(async || Problem::method_not_allowed())
        .with_state(shared)
}

/// Who asks, and where the browser finds its way back to.
struct Caller {
    account: AccountKey,
    profile: CustomerProfile,
    origin: Option<String>,
}

impl FromRequestParts<Arc<Shared>> for Caller {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, shared: &Arc<Shared>) -> Result<Self, Problem> {
        if !parts.method.is_safe()
            && !origin::is_allowed(&parts.headers, &parts.uri, &shared.trusted)
        {
            return Err(Problem::cross_origin());
        }
        let account = account(shared, parts).await.ok_or_else(Problem::unauthenticated)?;
        Ok(Self {
            account,
            profile: shared.identity.profile(parts).await,
            origin: origin::of_request(parts),
        })
    }
}

impl Caller {
    /// A configured address as the browser needs it.
    fn absolute(&self, page: &str) -> Result<String, Problem> {
        if !page.starts_with('/') {
            return Ok(page.to_owned());
        }
        let origin = self.origin.as_ref().ok_or_else(Problem::return_url_unknown)?;
        Ok(format!("{origin}{page}"))
    }
}

async fn account(shared: &Shared, parts: &Parts) -> Option<AccountKey> {
    let account = shared.identity.account(parts).await;
    // An empty id is nobody's; a store may not be able to hold a NUL.
    account.filter(|key| !key.account.is_empty() && !key.account.contains('\0'))
}

#[derive(Serialize)]
struct Received {
    received: bool,
    duplicate: bool,
}

async fn webhook(State(shared): State<Arc<Shared>>, request: Request<Body>) -> Routed {
    let signature = request.headers().get("stripe-signature");
    // Bytes that are not text cannot match, and are told like any other bad header.
    let signature = signature
        .map(|value| String::from_utf8_lossy(value.as_bytes()).into_owned())
        .unwrap_or_default();
    let body = body::bytes(request, shared.billing.max_body()).await?;
    let accepted = shared.billing.receive(&signature, body).await?;
    Ok(fresh(Json(Received { received: true, duplicate: accepted.receipt != Receipt::Stored })))
}

async fn state(State(shared): State<Arc<Shared>>, caller: Caller) -> Routed {
    let access = shared.billing.access(caller.account.clone()).await;
    let access = access.map_err(|error| Problem::from(error.as_ref()))?;
    Ok(fresh(Json(StateView { account: &caller.account.account, access: &access })))
}

async fn credits(State(shared): State<Arc<Shared>>, caller: Caller) -> Routed {
    let access = shared.billing.access(caller.account.clone()).await;
    let access = access.map_err(|error| Problem::from(error.as_ref()))?;
    let balances = shared.billing.credits(caller.account.clone()).await;
    let balances = balances.map_err(|error| Problem::from(&error))?;
    Ok(fresh(Json(CreditsView {
        account: &caller.account.account,
        can_use_credits: access.can_use_credits,
        credits: balances.into_iter().map(|(unit, view)| (unit, view.into())).collect(),
    })))
}

#[derive(Deserialize)]
struct Page {
    unit: Option<String>,
    before: Option<i64>,
    limit: Option<u32>,
}

async fn history(
    State(shared): State<Arc<Shared>>,
    caller: Caller,
    page: Result<Query<Page>, QueryRejection>,
) -> Routed {
    let Query(page) =
        page.map_err(|_| Problem::invalid_query("`before` and `limit` are numbers"))?;
    let unit = unit(&shared.billing, page.unit)?;
    let limit = page.limit.unwrap_or(50).clamp(1, 500);
    let entries =
        shared.billing.credit_history(caller.account, &unit, page.before, limit + 1).await;
    let entries = entries.map_err(|error| Problem::from(&error))?;
    let limit = usize::try_from(limit).unwrap_or(usize::MAX);
    Ok(fresh(Json(HistoryView::new(&unit, entries, limit))))
}

#[derive(Deserialize)]
struct Days {
    unit: Option<String>,
    from: Option<NaiveDate>,
    to: Option<NaiveDate>,
}

async fn usage(
    State(shared): State<Arc<Shared>>,
    caller: Caller,
    days: Result<Query<Days>, QueryRejection>,
) -> Routed {
    let Query(days) =
        days.map_err(|_| Problem::invalid_query("`from` and `to` are days: 2026-01-31"))?;
    let unit = unit(&shared.billing, days.unit)?;
    let to = days.to.unwrap_or_else(|| shared.billing.clock().now().date_naive());
    let from = days.from.unwrap_or(to - TimeDelta::days(30));
    let mode = shared.billing.ledger_mode(&caller.account).await;
    let mode = mode.map_err(|error| Problem::from(&error))?;
    let key = LedgerKey::new(caller.account, unit.as_str()).in_mode(mode);
    let rows = shared.billing.credit_usage(&UsageQuery { key, from, to, actor: None }).await;
    let rows = rows.map_err(|error| Problem::from(&error))?;
    let usage = rows.into_iter().map(Used::from).collect();
    Ok(fresh(Json(UsageView { unit: &unit, from, to, usage })))
}

/// The unit asked for; where the catalog sells only one, that.
pub(crate) fn unit(billing: &Billing, wanted: Option<String>) -> Result<String, Problem> {
    let mut units: Vec<String> = billing.catalog().units().into_iter().collect();
    match wanted {
        Some(unit) if units.contains(&unit) => Ok(unit),
        None if units.len() == 1 => Ok(units.remove(0)),
        _ => {
            let known = units.join(", ");
            Err(Problem::invalid_query(format!("`unit` has to be one of: {known}")))
        }
    }
}

async fn plans(State(shared): State<Arc<Shared>>, request: Request<Body>) -> Routed {
    let (parts, _) = request.into_parts();
    let access = match account(&shared, &parts).await {
        Some(account) => {
            let access = shared.billing.access(account).await;
            Some(access.map_err(|error| Problem::from(error.as_ref()))?)
        }
        None => None,
    };
    let view = PlansView::new(shared.billing.catalog(), access.as_deref());
    Ok(fresh(Json(view)))
}

async fn checkout(
    State(shared): State<Arc<Shared>>,
    caller: Caller,
    request: Request<Body>,
) -> Routed {
    let follow = wants_page(request.headers());
    let purchase: Purchase = body::read(request).await?;
    let purchase = purchase.checked()?;
    let returns = &shared.returns;
    let (success, cancel) = (caller.absolute(&returns.success)?, caller.absolute(&returns.cancel)?);
    let wanted = CheckoutRequest::new(purchase.price, success, cancel)
        .quantity(purchase.quantity)
        .profile(caller.profile);
    let page = shared.billing.checkout(&caller.account, &wanted).await?;
    Ok(send_to(&page.url, &page, follow))
}

async fn portal(State(shared): State<Arc<Shared>>, caller: Caller, headers: HeaderMap) -> Routed {
    let back = caller.absolute(&shared.returns.portal)?;
    let page = shared.billing.portal(&caller.account, &back).await?;
    Ok(send_to(&page.url, &page, wants_page(&headers)))
}

async fn cancel(State(shared): State<Arc<Shared>>, caller: Caller) -> Routed {
    shared.billing.cancel_at_period_end(&caller.account).await?;
    Ok(fresh(StatusCode::NO_CONTENT))
}

async fn resume(State(shared): State<Arc<Shared>>, caller: Caller) -> Routed {
    shared.billing.resume(&caller.account).await?;
    Ok(fresh(StatusCode::NO_CONTENT))
}

/// Whether a browser shows what is answered, rather than a script that reads it.
fn wants_page(headers: &HeaderMap) -> bool {
    let accept = headers.get(header::ACCEPT).and_then(|accept| accept.to_str().ok());
    accept.is_some_and(|accept| accept.contains("text/html"))
}

fn send_to(url: &str, body: &impl Serialize, follow: bool) -> Response {
    let location = HeaderValue::from_str(url).ok().filter(|_| follow);
    let mut response = fresh(Json(body));
    if let Some(location) = location {
        *response.status_mut() = StatusCode::SEE_OTHER;
        response.headers_mut().insert(header::LOCATION, location);
    }
    response
}

/// An answer that nobody may keep: it is of this account, and of now.
fn fresh(answer: impl IntoResponse) -> Response {
    let mut response = answer.into_response();
    let headers = response.headers_mut();
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    response
}
