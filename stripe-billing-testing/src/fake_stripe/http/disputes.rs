use axum::http::Method;
use serde_json::Value;

use super::{Call, Routed, billing::one, listing};
use crate::fake_stripe::{error::ApiError, state::State, table::Resource};

pub(super) fn route(state: &mut State, call: &Call, rest: &[&str]) -> Routed {
    let params = &call.params;
    Some(match (&call.method, rest) {
        (&Method::GET, []) => {
            let (charge, intent) = (params.text("charge"), params.text("payment_intent"));
            let rows = listing::rows(&state.disputes, |row| {
                charge.is_none_or(|id| row.charge == id)
                    && intent.is_none_or(|id| row.payment_intent == id)
            });
            listing::page("/v1/disputes", rows, params)
        }
        (&Method::GET, [id]) => one(&state.disputes, "dispute", id),
        (&Method::POST, [id]) => update(state, call, id),
        // Accepted: lost.
        (&Method::POST, [id, "close"]) => state.close_dispute(id, false),
        _ => return None,
    })
}

/// Evidence counts once it is submitted, which is the default.
fn update(state: &mut State, call: &Call, id: &str) -> Result<Value, ApiError> {
    let params = &call.params;
    params.only(&["evidence", "metadata", "submit"])?;
    if params.has("evidence") && params.boolean("submit")?.unwrap_or(true) {
        return state.submit_evidence(id);
    }
    one(&state.disputes, "dispute", id)
}

pub(super) fn warnings(state: &mut State, call: &Call, rest: &[&str]) -> Routed {
    let ["early_fraud_warnings", rest @ ..] = rest else {
        return None;
    };
    let params = &call.params;
    Some(match (&call.method, rest) {
        (&Method::GET, []) => {
            let (charge, intent) = (params.text("charge"), params.text("payment_intent"));
            let rows = listing::rows(&state.warnings, |row| {
                charge.is_none_or(|id| row.charge == id)
                    && intent.is_none_or(|id| row.payment_intent == id)
            });
            listing::page("/v1/radar/early_fraud_warnings", rows, params)
        }
        (&Method::GET, [id]) => state
            .warnings
            .get(id)
            .map(Resource::json)
            .ok_or_else(|| ApiError::no_such("early_fraud_warning", id, "id")),
        _ => return None,
    })
}
