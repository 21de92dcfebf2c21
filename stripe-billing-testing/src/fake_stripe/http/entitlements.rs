use axum::http::Method;
use serde_json::Value;

use super::{Call, Routed, listing};
use crate::fake_stripe::{error::ApiError, objects::active_entitlement, state::State};

pub(super) fn route(state: &State, call: &Call, rest: &[&str]) -> Routed {
    match (&call.method, rest) {
        (&Method::GET, ["active_entitlements"]) => Some(list(state, call)),
        (&Method::GET, ["active_entitlements", id]) => Some(
            state
                .entitlements
                .values()
                .flatten()
                .find(|row| row.id == *id)
                .map(active_entitlement)
                .ok_or_else(|| ApiError::no_such("active entitlement", id, "id")),
        ),
        _ => None,
    }
}

fn list(state: &State, call: &Call) -> Result<Value, ApiError> {
    let params = &call.params;
    params.only(&["customer", "limit", "starting_after", "ending_before"])?;
    let customer = params.required("customer")?;
    if state.customers.get(customer).is_none() {
        return Err(ApiError::no_such("customer", customer, "customer").with_status(400));
    }
    let all = state.entitlements.get(customer).map(Vec::as_slice).unwrap_or_default();
    let rows = all.iter().map(active_entitlement).collect();
    listing::page("/v1/entitlements/active_entitlements", rows, params)
}
