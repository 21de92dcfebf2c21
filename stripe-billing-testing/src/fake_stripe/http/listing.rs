//! Pages of lists, and `expand`.

use serde_json::{Value, json};

use super::params::Params;
use crate::fake_stripe::{
    error::ApiError,
    state::State,
    table::{Resource, Table},
    version::ApiVersion,
};

/// One page of `rows` (newest first), by `limit`, `starting_after` and `ending_before`.
pub(super) fn page(url: &str, rows: Vec<Value>, params: &Params) -> Result<Value, ApiError> {
    let limit = params.integer("limit")?.unwrap_or(10);
    if !(1..=100).contains(&limit) {
        return Err(ApiError::bad_param("limit", "This value must be between 1 and 100."));
    }
    let limit = usize::try_from(limit).unwrap_or(10);
    let place = |name: &str| -> Result<Option<usize>, ApiError> {
        let Some(id) = params.text(name) else {
            return Ok(None);
        };
        let at = rows.iter().position(|row| row["id"] == id);
        at.map(Some).ok_or_else(|| ApiError::no_such("object", id, name).with_status(400))
    };
    let (after, before) = (place("starting_after")?, place("ending_before")?);
    if after.is_some() && before.is_some() {
        return Err(ApiError::invalid(
            "You cannot parametrize starting_after and ending_before at once.",
        ));
    }
    let (from, to, has_more) = match before {
        // The rows next to the cursor, still newest first.
        Some(end) => (end.saturating_sub(limit), end, end > limit),
        None => {
            let from = after.map_or(0, |at| at + 1);
            let to = (from + limit).min(rows.len());
            (from, to, to < rows.len())
        }
    };
    let data: Vec<Value> = rows.into_iter().skip(from).take(to - from).collect();
    Ok(json!({ "object": "list", "data": data, "has_more": has_more, "url": url }))
}

/// The rows of a table that pass, newest first.
pub(super) fn rows<T: Resource>(table: &Table<T>, keep: impl Fn(&T) -> bool) -> Vec<Value> {
    table.newest_first().filter(|row| keep(row)).map(T::json).collect()
}

/// `created`, an instant or `created[gt|gte|lt|lte]`.
pub(super) fn created_filter(params: &Params) -> Result<impl Fn(i64) -> bool + use<>, ApiError> {
    let exact = params.integer("created")?;
    let range = params.nested("created");
    let (gt, gte) = (range.integer("gt")?, range.integer("gte")?);
    let (lt, lte) = (range.integer("lt")?, range.integer("lte")?);
    Ok(move |at: i64| {
        exact.is_none_or(|bound| at == bound)
            && gt.is_none_or(|bound| at > bound)
            && gte.is_none_or(|bound| at >= bound)
            && lt.is_none_or(|bound| at < bound)
            && lte.is_none_or(|bound| at <= bound)
    })
}

/// Puts objects in the place of their ids, for each path in `expand`.
pub(super) fn expand_all(
    state: &State,
    value: &mut Value,
    paths: &[String],
    version: &ApiVersion,
) -> Result<(), ApiError> {
    for path in paths {
        let parts: Vec<&str> = path.split('.').collect();
        if parts.len() > 4 {
            return Err(ApiError::bad_param(
                "expand",
                format!("You cannot expand more than 4 levels of a property: {path}"),
            ));
        }
        expand(state, value, &parts, version).map_err(|()| {
            ApiError::bad_param("expand", format!("This property cannot be expanded ({path})."))
        })?;
    }
    Ok(())
}

fn expand(state: &State, value: &mut Value, path: &[&str], version: &ApiVersion) -> Result<(), ()> {
    let Some((head, rest)) = path.split_first() else {
        return Ok(());
    };
    match value {
        Value::Null => return Ok(()),
        Value::Array(items) => {
            return items.iter_mut().try_for_each(|item| expand(state, item, path, version));
        }
        _ => {}
    }
    include(state, value, head);
    let hidden = format!("_{head}");
    let Value::Object(map) = value else {
        return Err(());
    };
    let key = if map.contains_key(*head) {
        (*head).to_owned()
    } else if version.is_before_basil() && map.contains_key(&hidden) {
        hidden
    } else {
        return Err(());
    };
    let Some(slot) = map.get_mut(&key) else {
        return Err(());
    };
    if let Value::String(id) = slot {
        *slot = state.object(id).ok_or(())?;
    }
    expand(state, slot, rest, version)
}

/// Lists that are only there when asked for.
fn include(state: &State, value: &mut Value, name: &str) {
    let Some(id) = value["id"].as_str().map(str::to_owned) else {
        return;
    };
    let (url, data) = match (value["object"].as_str(), name) {
        (Some("checkout.session"), "line_items") => {
            let lines = state.sessions.get(&id).map(|session| session.line_items_json());
            (format!("/v1/checkout/sessions/{id}/line_items"), lines.unwrap_or_default())
        }
        (Some("invoice"), "payments") => (
            "/v1/invoice_payments".to_owned(),
            rows(&state.invoice_payments, |row| row.invoice == id),
        ),
        (Some("charge"), "refunds") => {
            (format!("/v1/charges/{id}/refunds"), rows(&state.refunds, |row| row.charge == id))
        }
        (Some("customer"), "subscriptions") => (
            format!("/v1/customers/{id}/subscriptions"),
            rows(&state.subscriptions, |row| row.customer == id && !row.status.is_ended()),
        ),
        _ => return,
    };
    value[name] = json!({ "object": "list", "data": data, "has_more": false, "url": url });
}
