use axum::http::Method;
use serde_json::Value;

use super::{Call, Routed, catalog::price_from, listing, params::Params};
use crate::fake_stripe::{
    engine::{FirstPayment, ItemChange, NewSub, Proration},
    error::ApiError,
    model::{Price, Status, Subscription},
    state::State,
    table::Resource,
};

const FIELDS: [&str; 25] = [
    "customer",
    "items",
    "metadata",
    "trial_period_days",
    "trial_end",
    "payment_behavior",
    "default_payment_method",
    "cancel_at_period_end",
    "cancel_at",
    "cancellation_details",
    "proration_behavior",
    "proration_date",
    "collection_method",
    "off_session",
    "payment_settings",
    "billing_mode",
    "description",
    "discounts",
    "automatic_tax",
    "trial_settings",
    "currency",
    "billing_cycle_anchor",
    "invoice_settings",
    "days_until_due",
    "pause_collection",
];

pub(super) fn route(state: &mut State, call: &Call, rest: &[&str]) -> Routed {
    Some(match (&call.method, rest) {
        (&Method::POST, []) => create(state, call),
        (&Method::GET, []) => list(state, call),
        (&Method::GET, [id]) => state.subscription(id).map(Resource::json),
        (&Method::POST, [id]) => update(state, call, id),
        (&Method::DELETE, [id]) => cancel(state, call, id),
        // Since endive.
        (&Method::POST, [id, "pause"]) if !call.version.before("2026-09-30") => call
            .params
            .only(&["bill_for", "invoicing_behavior", "type"])
            .and_then(|()| state.pause(id, "pause_requested")),
        (&Method::POST, [id, "resume"]) => call
            .params
            .only(&[
                "billing_cycle_anchor",
                "proration_behavior",
                "proration_date",
                "payment_behavior",
            ])
            .and_then(|()| state.unpause(id)),
        _ => return None,
    })
}

fn create(state: &mut State, call: &Call) -> Result<Value, ApiError> {
    let params = &call.params;
    params.only(&FIELDS)?;
    let customer = params.required("customer")?.to_owned();
    state.customer(&customer)?;
    let mut items = Vec::new();
    for item in params.objects("items") {
        let price =
            price_of(state, &item)?.ok_or_else(|| ApiError::missing_param("items[0][price]"))?;
        items.push((price, item.count("quantity")?.unwrap_or(1)));
    }
    if items.is_empty() {
        return Err(ApiError::missing_param("items"));
    }
    let first = match params.text("payment_behavior") {
        None | Some("allow_incomplete") => FirstPayment::Allow,
        Some("default_incomplete") => FirstPayment::Wait,
        Some("error_if_incomplete") => FirstPayment::Require,
        Some(other) => {
            return Err(ApiError::bad_param("payment_behavior", format!("Invalid value: {other}")));
        }
    };
    let trial_end = match (params.integer("trial_end")?, params.integer("trial_period_days")?) {
        (Some(end), _) => Some(end),
        (None, Some(days)) if days > 0 => Some(state.now() + days.min(730) * 86_400),
        _ => None,
    };
    let default_payment_method = params.owned("default_payment_method");
    if let Some(method) = &default_payment_method {
        state.card_of(method)?;
    }
    let new = NewSub {
        customer,
        items,
        trial_end,
        metadata: params.metadata()?,
        default_payment_method,
        cancel_at_period_end: params.boolean("cancel_at_period_end")?.unwrap_or(false),
        missing_method: missing_method(params)?,
    };
    let id = state.subscribe(new, first)?;
    state.subscription(&id).map(Resource::json)
}

/// `trial_settings[end_behavior][missing_payment_method]`.
fn missing_method(params: &Params) -> Result<&'static str, ApiError> {
    let behavior = params.nested("trial_settings").nested("end_behavior");
    let Some(word) = behavior.text("missing_payment_method") else {
        return Ok("create_invoice");
    };
    ["create_invoice", "pause", "cancel"].into_iter().find(|known| *known == word).ok_or_else(
        || {
            ApiError::bad_param(
                "trial_settings[end_behavior][missing_payment_method]",
                format!("Invalid value: {word}"),
            )
        },
    )
}

/// `GET /v1/subscription_items?subscription=`.
pub(super) fn items(state: &mut State, call: &Call, rest: &[&str]) -> Routed {
    let params = &call.params;
    match (&call.method, rest) {
        (&Method::GET, []) => Some(params.required("subscription").and_then(|id| {
            let object = state.subscription(id)?.json();
            let rows = object["items"]["data"].as_array().cloned().unwrap_or_default();
            listing::page("/v1/subscription_items", rows, params)
        })),
        _ => None,
    }
}

fn price_of(state: &mut State, item: &Params) -> Result<Option<Price>, ApiError> {
    item.only(&["id", "price", "price_data", "quantity", "deleted", "metadata", "clear_usage"])?;
    if let Some(id) = item.text("price") {
        let found = state.price(id, "items[0][price]").cloned();
        return found.map(Some).map_err(|error| error.with_status(400));
    }
    if !item.has("price_data") {
        return Ok(None);
    }
    let price = price_from(state, &item.nested("price_data"))?;
    state.prices.add(price.clone());
    Ok(Some(price))
}

fn list(state: &State, call: &Call) -> Result<Value, ApiError> {
    let params = &call.params;
    params.only(&[
        "customer",
        "price",
        "status",
        "created",
        "limit",
        "starting_after",
        "ending_before",
        "collection_method",
    ])?;
    let created = listing::created_filter(params)?;
    let (customer, status) = (params.text("customer"), params.text("status"));
    let price = params.text("price");
    let rows = listing::rows(&state.subscriptions, |row: &Subscription| {
        let wanted = match status {
            // By default everything but what is canceled.
            None => row.status != Status::Canceled,
            Some("all") => true,
            Some("ended") => row.status.is_ended(),
            Some(status) => row.status.as_str() == status,
        };
        wanted
            && created(row.created)
            && customer.is_none_or(|customer| row.customer == customer)
            && price.is_none_or(|price| row.items.iter().any(|item| item.price.id == price))
    });
    listing::page("/v1/subscriptions", rows, params)
}

/// `items[]` and `proration_behavior` of an update or a preview.
pub(super) fn changes_from(
    state: &mut State,
    params: &Params,
) -> Result<(Vec<ItemChange>, Proration), ApiError> {
    let mut changes = Vec::new();
    for item in params.objects("items") {
        changes.push(ItemChange {
            id: item.owned("id"),
            price: price_of(state, &item)?,
            quantity: item.count("quantity")?,
            deleted: item.boolean("deleted")?.unwrap_or(false),
        });
    }
    let proration = match params.text("proration_behavior") {
        None | Some("create_prorations") => Proration::Create,
        Some("always_invoice") => Proration::Invoice,
        Some("none") => Proration::None,
        Some(other) => {
            let message = format!("Invalid proration_behavior: {other}");
            return Err(ApiError::bad_param("proration_behavior", message));
        }
    };
    Ok((changes, proration))
}

fn update(state: &mut State, call: &Call, id: &str) -> Result<Value, ApiError> {
    let params = &call.params;
    params.only(&FIELDS)?;
    let mut metadata = state.subscription(id)?.metadata.clone();
    params.merge_metadata(&mut metadata)?;
    let (changes, proration) = changes_from(state, params)?;
    let at_end = params.boolean("cancel_at_period_end")?;
    let cancel_at = params.integer("cancel_at")?;
    let clear_cancel_at = params.has("cancel_at") && cancel_at.is_none();
    let method = params.owned("default_payment_method");
    if let Some(method) = &method {
        state.card_of(method)?;
    }
    if !changes.is_empty() {
        state.change_items(id, &changes, proration)?;
    }
    let details = params.nested("cancellation_details");
    state.update_subscription(id, |sub| {
        sub.metadata = metadata;
        if method.is_some() {
            sub.default_payment_method = method;
        }
    })?;
    if params.has("pause_collection") {
        let pause = params.nested("pause_collection");
        match pause.text("behavior") {
            Some(behavior) => state.pause_collection(id, behavior, pause.integer("resumes_at")?)?,
            // An empty value takes the pause away.
            None if pause.is_empty() => state.resume_collection(id)?,
            None => return Err(ApiError::missing_param("pause_collection[behavior]")),
        };
    }
    match at_end {
        Some(true) => drop(state.cancel_at_period_end(id)?),
        Some(false) => drop(state.resume(id)?),
        None => {}
    }
    if let Some(at) = cancel_at {
        state.cancel_at(id, at)?;
    } else if clear_cancel_at {
        state.resume(id)?;
    }
    if !details.is_empty() {
        state.update_subscription(id, |sub| {
            sub.cancel_comment = details.owned("comment").or_else(|| sub.cancel_comment.take());
            sub.cancel_feedback = details.owned("feedback").or_else(|| sub.cancel_feedback.take());
        })?;
    }
    state.subscription(id).map(Resource::json)
}

fn cancel(state: &mut State, call: &Call, id: &str) -> Result<Value, ApiError> {
    let params = &call.params;
    params.only(&["invoice_now", "prorate", "cancellation_details"])?;
    state.running(id).map_err(|_| ApiError::no_such("subscription", id, "id"))?;
    let details = params.nested("cancellation_details");
    if let Some(sub) = state.subscriptions.get_mut(id) {
        sub.cancel_comment = details.owned("comment").or_else(|| sub.cancel_comment.take());
        sub.cancel_feedback = details.owned("feedback").or_else(|| sub.cancel_feedback.take());
    }
    state.end_subscription(id, Some("cancellation_requested"))
}
