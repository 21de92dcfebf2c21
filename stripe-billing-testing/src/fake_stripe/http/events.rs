use axum::http::Method;
use serde_json::Value;

use super::{Call, Routed, listing};
use crate::fake_stripe::{Inner, error::ApiError, events::FakeEvent, state::State};

const KEPT_FOR: i64 = 30 * 86_400;

pub(super) fn route(inner: &Inner, state: &State, call: &Call, rest: &[&str]) -> Routed {
    Some(match (&call.method, rest) {
        (&Method::GET, []) => list(inner, state, call),
        (&Method::GET, [id]) => state
            .events
            .iter()
            .find(|event| event.id() == *id)
            .map(|event| show(inner, event))
            .ok_or_else(|| ApiError::no_such("event", id, "id")),
        _ => return None,
    })
}

/// Thin events: each snapshot has one.
pub(super) fn thin(state: &State, call: &Call, rest: &[&str]) -> Routed {
    match (&call.method, rest) {
        (&Method::GET, [id]) => Some(
            state
                .events
                .iter()
                .find(|event| event.thin_id() == *id)
                .map(FakeEvent::to_fetched_thin_json)
                .ok_or_else(|| {
                    let message = format!("No such event: '{id}'");
                    ApiError::new(404, "invalid_request_error", message).with_code("not_found")
                }),
        ),
        _ => None,
    }
}

/// In the shape of the account's version: an event never changes its shape afterwards.
fn show(inner: &Inner, event: &FakeEvent) -> Value {
    event.to_json(&inner.api_version, inner.delivery.pending(event.id()))
}

fn list(inner: &Inner, state: &State, call: &Call) -> Result<Value, ApiError> {
    let params = &call.params;
    params.only(&[
        "created",
        "type",
        "types",
        "delivery_success",
        "limit",
        "starting_after",
        "ending_before",
    ])?;
    let created = listing::created_filter(params)?;
    let types = params.texts("types");
    if params.has("type") && params.has("types") {
        return Err(ApiError::bad_param(
            "types",
            "You may only specify one of `type` and `types`.",
        ));
    }
    if types.len() > 20 {
        return Err(ApiError::bad_param("types", "You may specify at most 20 types."));
    }
    let single = params.text("type");
    let success = params.boolean("delivery_success")?;
    let oldest = state.now() - KEPT_FOR;
    let mut matching: Vec<&FakeEvent> = state
        .events
        .iter()
        .rev()
        .filter(|event| event.created() >= oldest && created(event.created()))
        .filter(|event| single.is_none_or(|pattern| matches(pattern, event.event_type())))
        .filter(|event| types.is_empty() || types.iter().any(|name| name == event.event_type()))
        .filter(|event| {
            success.is_none_or(|success| success == (inner.delivery.pending(event.id()) == 0))
        })
        .collect();
    // Newest first; events of one second stay in the order of their making.
    matching.sort_by_key(|event| std::cmp::Reverse(event.created()));
    // Bodies are large: render only the page.
    let stubs = matching.iter().map(|event| serde_json::json!({ "id": event.id() })).collect();
    let mut page = listing::page("/v1/events", stubs, params)?;
    if let Some(data) = page["data"].as_array_mut() {
        for stub in data {
            let id = stub["id"].as_str().unwrap_or_default().to_owned();
            if let Some(event) = matching.iter().find(|event| event.id() == id) {
                *stub = show(inner, event);
            }
        }
    }
    Ok(page)
}

fn matches(pattern: &str, name: &str) -> bool {
    pattern.strip_suffix('*').map_or(pattern == name, |prefix| name.starts_with(prefix))
}
