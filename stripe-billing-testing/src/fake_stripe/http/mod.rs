//! The HTTP face: authentication, versions, idempotency and faults around one synchronous
//! dispatch.

mod billing;
mod catalog;
mod checkout;
mod connection;
mod customers;
mod disputes;
mod entitlements;
mod events;
mod faults;
mod idempotency;
mod listing;
mod pages;
mod params;
mod subscriptions;

use std::sync::{Arc, PoisonError};

use axum::{
    Router,
    body::Body,
    extract::{ConnectInfo, State as Shared},
    http::{HeaderMap, HeaderValue, Method, Response, Uri},
    routing::get,
};
use bytes::Bytes;
use serde_json::Value;

pub use faults::Fault;

pub(super) use connection::{Cuttable, Line};
pub(super) use faults::Faults;
pub(super) use idempotency::Replays;

use self::{
    idempotency::{Begin, Kept, Scope},
    params::Params,
};
use super::{
    Inner,
    error::ApiError,
    render::{render, to_pretty},
    state::{Cause, State},
    version::ApiVersion,
};

/// One request, as the routes see it.
struct Call {
    method: Method,
    path: Vec<String>,
    params: Params,
    version: ApiVersion,
}

/// Who asks, and under which key.
struct Caller {
    api_key: String,
    account: String,
    idempotency_key: Option<String>,
    version: ApiVersion,
}

pub(super) fn router(inner: Arc<Inner>) -> Router {
    Router::new()
        .route("/", get(pages::home))
        .route("/_fake/advance", axum::routing::post(pages::advance))
        .route("/pay/{session}", get(pages::checkout).post(pages::submit_checkout))
        .route("/portal/{session}", get(pages::portal).post(pages::submit_portal))
        .route("/invoice/{invoice}", get(pages::invoice))
        .fallback(api)
        .with_state(inner)
}

async fn api(
    Shared(inner): Shared<Arc<Inner>>,
    ConnectInfo(line): ConnectInfo<Line>,
    method: Method,
    uri: Uri,
    headers: HeaderMap,
    body: Bytes,
) -> Response<Body> {
    let request_id = inner.with(|state| state.ids.next("req_"));
    let fault = inner
        .faults
        .lock()
        .unwrap_or_else(PoisonError::into_inner)
        .take(method.as_str(), uri.path());
    let mut respond = Respond::new(request_id);
    match fault {
        Some(Fault::DropConnection) => {
            line.cut();
            return respond.answer(500, Bytes::new());
        }
        Some(Fault::RateLimited) => {
            respond.header("stripe-rate-limited-reason", "endpoint-rate");
            return respond.error(
                &ApiError::new(429, "invalid_request_error", "Request rate limit exceeded.")
                    .with_code("rate_limit"),
            );
        }
        Some(Fault::Conflict) => {
            respond.header("stripe-should-retry", "true");
            return respond.error(&ApiError::new(
                409,
                "invalid_request_error",
                "This object cannot be accessed right now because another API request or Stripe \
                 process is currently accessing it.",
            )
            .with_code("lock_timeout"));
        }
        _ => {}
    }
    let response = answer(&inner, &mut respond, (&method, &uri, &headers, &body), fault).await;
    match fault {
        Some(Fault::LoseResponse) => line.cut(),
        Some(Fault::Timeout) => inner.stopped().await,
        _ => {}
    }
    response
}

type Request<'a> = (&'a Method, &'a Uri, &'a HeaderMap, &'a Bytes);

async fn answer(
    inner: &Inner,
    respond: &mut Respond,
    request: Request<'_>,
    fault: Option<Fault>,
) -> Response<Body> {
    let (method, uri, headers, body) = request;
    let caller = match caller(inner, headers) {
        Ok(caller) => caller,
        Err(error) => return respond.error(&error),
    };
    respond.header("stripe-version", caller.version.as_str());
    let encoded = if method == Method::POST {
        String::from_utf8_lossy(body).into_owned()
    } else {
        uri.query().unwrap_or_default().to_owned()
    };
    let call = Call {
        method: method.clone(),
        path: uri.path().split('/').filter(|part| !part.is_empty()).map(str::to_owned).collect(),
        params: Params::decode(&encoded),
        version: caller.version.clone(),
    };
    let key = caller.idempotency_key.filter(|_| *method == Method::POST);
    let Some(key) = key else {
        delay(fault).await;
        let (status, body, _) = run(inner, &call, None, fault, respond);
        return respond.answer(status, body);
    };
    respond.header("idempotency-key", &key);
    let scope: Scope = (caller.api_key, caller.account, key.clone());
    let fingerprint = format!("{method} {} {:?}", uri.path(), call.params);
    let now = inner.now();
    let begun = inner.replays().begin(&scope, &fingerprint, now);
    match begun {
        Err(error) => respond.error(&error),
        Ok(Begin::Replay((status, body))) => {
            respond.header("idempotent-replayed", "true");
            respond.answer(status, body)
        }
        Ok(Begin::Run) => {
            // A client that hangs up during the delay frees its key.
            let mut taken = Taken { inner, scope, kept: None };
            delay(fault).await;
            let (status, body, keep) = run(inner, &call, Some(key), fault, respond);
            taken.kept = keep.then(|| (status, body.clone()));
            respond.answer(status, body)
        }
    }
}

/// A key in use: given back, with the result worth keeping, when the request is over.
struct Taken<'a> {
    inner: &'a Inner,
    scope: Scope,
    kept: Option<Kept>,
}

impl Drop for Taken<'_> {
    fn drop(&mut self) {
        self.inner.replays().finish(&self.scope, self.kept.take());
    }
}

async fn delay(fault: Option<Fault>) {
    if let Some(Fault::Delay(time)) = fault {
        tokio::time::sleep(time).await;
    }
}

/// Status, body, and whether the result is kept under the key.
fn run(
    inner: &Inner,
    call: &Call,
    idempotency_key: Option<String>,
    fault: Option<Fault>,
    respond: &Respond,
) -> (u16, Bytes, bool) {
    let result = if let Some(Fault::Status(status)) = fault {
        let message = "An unknown error occurred while the request was processed.";
        Err(ApiError::new(status, "api_error", message))
    } else {
        inner.with(|state| {
            let request_id = Some(respond.request_id.clone());
            state.cause = Cause { request_id, idempotency_key };
            let result = dispatch(inner, state, call).and_then(|mut value| {
                let paths = call.params.texts("expand");
                listing::expand_all(state, &mut value, &paths, &call.version)?;
                Ok(value)
            });
            state.cause = Cause::default();
            result
        })
    };
    match result {
        Ok(value) => {
            let shown = if matches!(value["object"].as_str(), Some("event" | "v2.core.event"))
                || call.path.get(1).is_some_and(|p| p == "events")
            {
                value
            } else {
                render(&value, &call.version)
            };
            (200, Bytes::from(to_pretty(&shown) + "\n"), true)
        }
        Err(error) => {
            let intent = error.payment_intent().and_then(|id| inner.lock().object(id));
            let intent = intent.map(|intent| render(&intent, &call.version));
            let body = to_pretty(&error.to_json(&respond.request_id, intent));
            (error.status(), Bytes::from(body + "\n"), error.is_kept_for_replay())
        }
    }
}

fn dispatch(inner: &Inner, state: &mut State, call: &Call) -> Result<Value, ApiError> {
    let path: Vec<&str> = call.path.iter().map(String::as_str).collect();
    let unknown = || {
        let url = format!("{}: /{}", call.method, call.path.join("/"));
        Err(ApiError::new(
            404,
            "invalid_request_error",
            format!("Unrecognized request URL ({url}). Please see https://stripe.com/docs."),
        ))
    };
    if let ["v2", "core", "events", rest @ ..] = path.as_slice() {
        return events::thin(state, call, rest).unwrap_or_else(unknown);
    }
    let ["v1", resource, rest @ ..] = path.as_slice() else {
        return unknown();
    };
    let answer = match *resource {
        "customers" => customers::route(state, call, rest),
        "payment_methods" => customers::methods(state, call, rest),
        "products" => catalog::products(state, call, rest),
        "prices" => catalog::prices(state, call, rest),
        "checkout" => checkout::route(state, call, rest),
        "billing_portal" => checkout::portal(state, call, rest),
        "subscriptions" => subscriptions::route(state, call, rest),
        "invoices" => billing::invoices(state, call, rest),
        "invoice_payments" => billing::invoice_payments(state, call, rest),
        "refunds" => billing::refunds(state, call, rest),
        "charges" => billing::charges(state, call, rest),
        "setup_intents" => billing::setups(state, call, rest),
        "payment_intents" => billing::intents(state, call, rest),
        "disputes" => disputes::route(state, call, rest),
        "radar" => disputes::warnings(state, call, rest),
        "entitlements" => entitlements::route(state, call, rest),
        "subscription_items" => subscriptions::items(state, call, rest),
        "coupons" => catalog::coupons(state, call, rest),
        "events" => events::route(inner, state, call, rest),
        _ => None,
    };
    answer.unwrap_or_else(unknown)
}

/// What a route family gives: nothing if it has no such route.
type Routed = Option<Result<Value, ApiError>>;

fn caller(inner: &Inner, headers: &HeaderMap) -> Result<Caller, ApiError> {
    let text = |name: &str| headers.get(name).and_then(|value| value.to_str().ok());
    let unauthorized = |message: &str| ApiError::new(401, "invalid_request_error", message);
    let api_key = match text("authorization").and_then(|value| value.split_once(' ')) {
        Some((scheme, key)) if scheme.eq_ignore_ascii_case("bearer") => key.trim().to_owned(),
        Some((scheme, pair)) if scheme.eq_ignore_ascii_case("basic") => pair.trim().to_owned(),
        _ => String::new(),
    };
    if api_key.is_empty() {
        return Err(unauthorized(
            "You did not provide an API key. You need to provide your API key in the \
             Authorization header, using Bearer auth (e.g. 'Authorization: Bearer YOUR_SECRET_KEY').",
        ));
    }
    if !(text("authorization").is_some_and(|value| value.to_lowercase().starts_with("basic"))
        || api_key.starts_with("sk_")
        || api_key.starts_with("rk_"))
    {
        return Err(unauthorized("Invalid API Key provided."));
    }
    let version = match text("stripe-version") {
        None => inner.api_version.clone(),
        Some(version) => ApiVersion::new(version).map_err(|version| {
            ApiError::invalid(format!("Invalid Stripe API version: {version}"))
        })?,
    };
    Ok(Caller {
        api_key,
        account: text("stripe-account").unwrap_or_default().to_owned(),
        idempotency_key: text("idempotency-key").map(str::to_owned),
        version,
    })
}

/// The headers every answer has.
struct Respond {
    request_id: String,
    headers: HeaderMap,
}

impl Respond {
    fn new(request_id: String) -> Self {
        let mut respond = Self { request_id, headers: HeaderMap::new() };
        let id = respond.request_id.clone();
        respond.header("request-id", &id);
        respond.header("content-type", "application/json");
        respond
    }

    fn header(&mut self, name: &'static str, value: &str) {
        if let Ok(value) = HeaderValue::from_str(value) {
            self.headers.insert(name, value);
        }
    }

    fn answer(&self, status: u16, body: Bytes) -> Response<Body> {
        let mut response = Response::new(Body::from(body));
        *response.status_mut() = axum::http::StatusCode::from_u16(status).unwrap_or_default();
        *response.headers_mut() = self.headers.clone();
        response
    }

    fn error(&self, error: &ApiError) -> Response<Body> {
        let body = to_pretty(&error.to_json(&self.request_id, None));
        self.answer(error.status(), Bytes::from(body + "\n"))
    }
}
