//! What operators ask: accounts and customers, the queues, tickets and the audit log, as JSON.

mod event;
mod ledger;
mod list;
mod orders;
mod query;
mod verbs;
mod view;

use std::sync::Arc;

use async_trait::async_trait;
use axum::extract::{Path, Request, State};
use axum::http::request::Parts;
use axum::http::{HeaderValue, Uri, header};
use axum::middleware::{Next, from_fn_with_state};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use axum::{Json, Router};
use serde::Serialize;
use stripe_billing_core::Billing;

use crate::problem::Problem;

/// Somebody who may see everything.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Operator {
    /// What logs call them.
    pub name: String,
}

impl Operator {
    /// An operator by name.
    pub fn new(name: impl Into<String>) -> Self {
        Self { name: name.into() }
    }
}

/// Says who a request comes from, if it is an operator: the app's own roles, a bearer token, a
/// network. Implemented for closures `Fn(&Parts) -> Option<Operator>`.
#[async_trait]
pub trait Authorize: Send + Sync + 'static {
    /// The operator, or `None` for anybody else (401).
    async fn operator(&self, request: &Parts) -> Option<Operator>;
}

#[async_trait]
impl<F> Authorize for F
where
    F: Fn(&Parts) -> Option<Operator> + Send + Sync + 'static,
{
    async fn operator(&self, request: &Parts) -> Option<Operator> {
        self(request)
    }
}

/// The operators' routes, to be nested where the app likes; nothing mounts them by itself. They
/// show everything that is known of everybody, so `authorize` decides each request.
///
/// | route | answers |
/// |---|---|
/// | `GET /customers/{id}?at=&livemode=&stripe_account=` | [`CustomerView`](stripe_billing_core::operator::CustomerView): everything known of a customer; `known` is false when that is nothing |
/// | `GET /customers/{id}/disputes/{dispute}/evidence?livemode=&stripe_account=` | [`EvidenceDraft`](stripe_billing_core::operator::EvidenceDraft): what is known that speaks for the payment; 404 `unknown_dispute` |
/// | `GET /accounts/{account}?at=&livemode=&stripe_account=` | the same by the app's account, with what it bought as a guest |
/// | `GET /events?status=&type=&customer=&ticket=&limit=&after=` | `{"events": [..], "next"}`, the newest first |
/// | `GET /events/{id}` | an event with its `payload` as received and the `failed` attempts; 404 `unknown_event` |
/// | `GET /events/{id}/payload` | its payload without names, addresses, metadata, secrets and links ([`redacted`](stripe_billing_core::operator::redacted)) |
/// | `POST /events/{id}/resolve`, `/dismiss`, `/release` `{"request_id", "reason"}` | [`Carried`](stripe_billing_core::store::Carried): it was dealt with elsewhere; it does not matter (with a reason); its worker is gone. 409 `not_now` where its status does not allow it |
/// | `POST /tickets/{number}` `{"status", "request_id", "reason"}` | [`Carried`](stripe_billing_core::store::Carried): the ticket is `open`, `investigating` or `resolved` |
/// | `GET /queue` | `{"paused", "readiness"}`: who paused the queue, and what is wrong |
/// | `POST /queue/pause`, `/queue/resume` `{"request_id", "reason"}` | [`Carried`](stripe_billing_core::store::Carried): nothing is processed or handed over until it is resumed; deliveries are stored all the same |
/// | `POST /messages/redeliver` `{"request_id", "key", "reason"}` | [`Carried`](stripe_billing_core::store::Carried): dead messages are due again, the one with this key or all |
/// | `GET /stats` | [`Stats`](stripe_billing_core::store::Stats) of both queues |
/// | `GET /ledger/verify` | [`LedgerProof`](stripe_billing_core::LedgerProof): every balance of credits recomputed from its entries |
/// | `GET /accounts/{account}/ledger?unit=&limit=&after=&format=` | `{"entries": [..], "next"}`, the newest first; with `format=csv` a table |
/// | `POST /accounts/{account}/credits` `{"unit", "amount" or "forgive", "expires_at", "reason", "request_id"}` | grants credits, takes them (`amount` below zero), or forgives debt; once per request id |
/// | `GET /tickets?status=&customer=&limit=&after=` | `{"tickets": [..], "next"}`, the newest first |
/// | `GET /dunning?limit=&after=` | [`DunningPage`](stripe_billing_core::DunningPage): renewals that failed and what is done about them, by their last attempt; `limit` counts attempts |
/// | `GET /dunning/figures?days=` | [`DunningFigures`](stripe_billing_core::DunningFigures): at risk, recovered and lost in the last days, 30 unless given |
/// | `GET /audit?customer=&limit=&after=` | `{"audit": [..], "next"}`, the newest first |
/// | `POST /customers/{id}/link` `{"account", "request_id"}` | 202: the customer belongs to that account, whatever its metadata say; once per request id |
/// | `POST /customers/{id}/erase` `{}` | `{"events"}`: what was received about the customer is forgotten |
/// | `POST /events/replay` `{"dry_run", "from", "until", "status", "type", "customer", "ticket", "limit", "request_id", "reason"}` | [`Replayed`](stripe_billing_core::Replayed): what deciding again would change, or, with `"dry_run": false`, how many events are due again (`requeued`) |
///
/// A `POST` about a customer takes `livemode` and `stripe_account` as well. Every `POST` takes JSON
/// only, which a page of another site cannot send unasked.
///
/// `at` is an instant in Unix seconds as of which access is worked out; it moves that clock, not
/// the data. Without `livemode` a customer is looked for in live mode first, then in test mode.
/// `limit` is 100 unless given, and 1,000 at most; `next` is the `after` of the next page, `null` on
/// the last. A payload that is not JSON is in `payload_base64`; one that was pruned is `null`. An
/// event id that several tenants have comes with the rest of them under `others`.
///
/// ```
/// # use stripe_billing_core::{Billing, MemoryStore, catalog::Catalog};
/// # let billing = Billing::builder(MemoryStore::new())
/// #     .catalog(Catalog::default()).webhook_secrets(["whsec_1"]).build()?;
/// use axum::Router;
/// use axum::http::request::Parts;
/// use stripe_billing_axum::{Operator, operator};
///
/// struct Admin { name: String } // what your session middleware leaves in the request
///
/// let staff = |request: &Parts| Some(Operator::new(&request.extensions.get::<Admin>()?.name));
/// let app: Router = Router::new().nest("/operator", operator(billing, staff));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub fn operator(billing: Billing, authorize: impl Authorize) -> Router {
    let authorize: Arc<dyn Authorize> = Arc::new(authorize);
    Router::new()
        .route("/customers/{id}", get(customer))
        .route("/customers/{id}/disputes/{dispute}/evidence", get(evidence))
        .route("/customers/{id}/link", post(verbs::link))
        .route("/customers/{id}/erase", post(verbs::erase))
        .route("/accounts/{account}", get(account))
        .route("/events", get(list::events))
        .route("/events/replay", post(orders::replay))
        .route("/events/{id}", get(one_event))
        .route("/events/{id}/payload", get(orders::payload))
        .route("/events/{id}/resolve", post(orders::resolve))
        .route("/events/{id}/dismiss", post(orders::dismiss))
        .route("/events/{id}/release", post(orders::release))
        .route("/messages/redeliver", post(orders::redeliver))
        .route("/queue", get(orders::queue))
        .route("/queue/pause", post(orders::pause))
        .route("/queue/resume", post(orders::resume))
        .route("/stats", get(stats))
        .route("/ledger/verify", get(ledger::verify))
        .route("/accounts/{account}/ledger", get(ledger::entries))
        .route("/accounts/{account}/credits", post(ledger::correct))
        .route("/tickets", get(list::tickets))
        .route("/tickets/{number}", post(orders::ticket))
        .route("/dunning", get(list::dunning))
        .route("/dunning/figures", get(list::dunning_figures))
        .route("/audit", get(list::audit))
        .fallback(async || Problem::not_found())
        .method_not_allowed_fallback(async || Problem::method_not_allowed())
        .layer(from_fn_with_state(authorize, admit))
        .with_state(billing)
}

async fn admit(
    State(authorize): State<Arc<dyn Authorize>>,
    request: Request,
    next: Next,
) -> Response {
    let (mut parts, body) = request.into_parts();
    let Some(operator) = authorize.operator(&parts).await else {
        let mut response = Problem::unauthenticated().into_response();
        let headers = response.headers_mut();
        headers.insert(header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
        return response;
    };
    tracing::debug!(operator = operator.name, path = parts.uri.path(), "an operator asks");
    parts.extensions.insert(operator);
    next.run(Request::from_parts(parts, body)).await
}

type Routed = Result<Response, Problem>;
type Named = Result<Path<String>, axum::extract::rejection::PathRejection>;

async fn customer(State(billing): State<Billing>, id: Named, uri: Uri) -> Routed {
    let id = query::id("id", id)?;
    let wanted = view::Wanted::read(&uri)?;
    let account = wanted.stripe_account.as_deref();
    let view = billing.customer_view(account, wanted.livemode, &id, wanted.at).await;
    Ok(answer(&view.map_err(|error| Problem::from(&error))?))
}

type TwoNamed = Result<Path<(String, String)>, axum::extract::rejection::PathRejection>;

async fn evidence(State(billing): State<Billing>, ids: TwoNamed, uri: Uri) -> Routed {
    let (id, dispute) = ids.map(|Path(ids)| ids).map_err(|_| Problem::unknown_dispute())?;
    let params = query::Params::read(&uri, &["livemode", "stripe_account"])?;
    let livemode =
        params.value("livemode", "`true` or `false`", |text| text.parse::<bool>().ok())?;
    let account = params.text("stripe_account");
    let found = billing.dispute_evidence(account.as_deref(), livemode, &id, &dispute).await;
    let found = found.map_err(|error| Problem::from(&error))?;
    Ok(answer(&found.ok_or_else(Problem::unknown_dispute)?))
}

async fn account(State(billing): State<Billing>, account: Named, uri: Uri) -> Routed {
    let account = query::id("account", account)?;
    let wanted = view::Wanted::read(&uri)?;
    let key = stripe_billing_core::AccountKey { stripe_account: wanted.stripe_account, account };
    let view = billing.account_view(&key, wanted.livemode, wanted.at).await;
    Ok(answer(&view.map_err(|error| Problem::from(&error))?))
}

async fn one_event(State(billing): State<Billing>, id: Named, uri: Uri) -> Routed {
    let id = query::id("id", id)?;
    query::Params::read(&uri, &[])?;
    let events = billing.store().events_by_id(&id).await;
    let events = events.map_err(|error| Problem::from(&error))?;
    let (first, others) = events.split_first().ok_or_else(Problem::unknown_event)?;
    let failed = billing.store().attempts(first.summary.seq).await;
    let failed = failed.map_err(|error| Problem::from(&error))?;
    Ok(answer(&event::EventView::of(first, others, failed)))
}

async fn stats(State(billing): State<Billing>, uri: Uri) -> Routed {
    query::Params::read(&uri, &[])?;
    let stats = billing.store().stats(billing.clock().now()).await;
    Ok(answer(&stats.map_err(|error| Problem::from(&error))?))
}

/// An answer that nobody may keep: it is about people, and of now.
fn answer(body: &impl Serialize) -> Response {
    ([(header::CACHE_CONTROL, HeaderValue::from_static("no-store"))], Json(body)).into_response()
}
