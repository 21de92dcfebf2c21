use axum::http::Method;
use serde_json::Value;

use super::{Call, Routed, catalog::price_from, listing, params::Params};
use crate::fake_stripe::{
    error::ApiError,
    model::{Coupon, Mode, PortalSession, Price, Session},
    state::{Due, State},
    table::Resource,
};

const SESSION: [&str; 38] = [
    "mode",
    "success_url",
    "cancel_url",
    "line_items",
    "customer",
    "customer_email",
    "locale",
    "client_reference_id",
    "metadata",
    "subscription_data",
    "payment_intent_data",
    "expires_at",
    "customer_creation",
    "allow_promotion_codes",
    "automatic_tax",
    "billing_address_collection",
    "consent_collection",
    "currency",
    "custom_fields",
    "custom_text",
    "customer_update",
    "discounts",
    "invoice_creation",
    "payment_method_collection",
    "payment_method_options",
    "ui_mode",
    "payment_method_types",
    "allowed_payment_method_types",
    "excluded_payment_method_types",
    "phone_number_collection",
    "saved_payment_method_options",
    "shipping_address_collection",
    "shipping_options",
    "submit_type",
    "tax_id_collection",
    "adaptive_pricing",
    "origin_context",
    "return_url",
];

pub(super) fn route(state: &mut State, call: &Call, rest: &[&str]) -> Routed {
    let ["sessions", rest @ ..] = rest else {
        return None;
    };
    Some(match (&call.method, rest) {
        (&Method::POST, []) => create(state, call),
        (&Method::GET, []) => list(state, call),
        (&Method::GET, [id]) => state.session(id).map(Session::json),
        (&Method::GET, [id, "line_items"]) => state.session(id).and_then(|session| {
            let url = format!("/v1/checkout/sessions/{id}/line_items");
            listing::page(&url, session.line_items_json(), &call.params)
        }),
        (&Method::POST, [id, "expire"]) => expire(state, id),
        _ => return None,
    })
}

fn create(state: &mut State, call: &Call) -> Result<Value, ApiError> {
    let params = &call.params;
    check(call)?;
    let mode = match params.required("mode")? {
        "payment" => Mode::Payment,
        "subscription" => Mode::Subscription,
        other => {
            let message =
                format!("Invalid mode: must be one of payment or subscription, got {other}");
            return Err(ApiError::bad_param("mode", message));
        }
    };
    let success_url = params.required("success_url")?.to_owned();
    let customer = params.owned("customer");
    if let Some(customer) = &customer {
        state.customer(customer)?;
        if params.has("customer_email") {
            return Err(ApiError::bad_param(
                "customer_email",
                "You may only specify one of these parameters: customer, customer_email.",
            ));
        }
    }
    let (subscription, payment) =
        (params.nested("subscription_data"), params.nested("payment_intent_data"));
    let trial = subscription.count("trial_period_days")?.map(|days| days.min(730));
    let now = state.now();
    let expires_at = expiry(params, now)?;
    let lines = lines(state, params, mode)?;
    let coupon = coupon(state, params, mode)?;
    let id = state.ids.session();
    let session = Session {
        page: format!("{}/pay/{id}", state.base_url),
        id: id.clone(),
        created: now,
        mode,
        lines,
        success_url,
        cancel_url: params.owned("cancel_url"),
        email: customer.as_deref().and_then(|id| state.customers.get(id)?.email.clone()),
        create_customer: params.text("customer_creation") == Some("always"),
        customer,
        customer_email: params.owned("customer_email"),
        client_reference_id: params.owned("client_reference_id"),
        metadata: params.metadata()?,
        subscription_metadata: subscription.metadata()?,
        payment_metadata: payment.metadata()?,
        coupon,
        trial_days: trial.and_then(|days| u32::try_from(days).ok()).filter(|days| *days > 0),
        expires_at,
        status: "open",
        payment_status: "unpaid",
        subscription: None,
        payment_intent: None,
        invoice: None,
        attempt: None,
        decline: None,
    };
    let object = session.json();
    state.schedule(expires_at, Due::SessionExpires(id));
    state.sessions.add(session);
    Ok(object)
}

fn check(call: &Call) -> Result<(), ApiError> {
    let params = &call.params;
    params.only(&SESSION)?;
    params.nested("subscription_data").only(&[
        "metadata",
        "trial_period_days",
        "trial_end",
        "trial_settings",
        "description",
        "billing_cycle_anchor",
        "proration_behavior",
        "billing_mode",
        "default_tax_rates",
        "invoice_settings",
        "application_fee_percent",
        "on_behalf_of",
        "transfer_data",
    ])?;
    let removed = params.has("payment_method_types") && !call.version.before("2026-09-30");
    if removed {
        return Err(ApiError::bad_param(
            "payment_method_types",
            "Received unknown parameter: payment_method_types",
        )
        .with_code("parameter_unknown"));
    }
    if params.has("client_reference_id")
        && params.text("client_reference_id").is_some_and(|id| id.len() > 200)
    {
        return Err(ApiError::bad_param(
            "client_reference_id",
            "This value must be at most 200 characters long.",
        ));
    }
    Ok(())
}

/// The coupon of `discounts[0]`.
fn coupon(state: &State, params: &Params, mode: Mode) -> Result<Option<Coupon>, ApiError> {
    let discounts = params.objects("discounts");
    let Some(discount) = discounts.first() else {
        return Ok(None);
    };
    if mode != Mode::Payment || discounts.len() > 1 {
        return Err(ApiError::bad_param(
            "discounts",
            "This fake takes one coupon, and only in `payment` mode.",
        ));
    }
    let id = discount.required("coupon")?;
    let found = state.coupons.get(id).cloned();
    found
        .map(Some)
        .ok_or_else(|| ApiError::no_such("coupon", id, "discounts[0][coupon]").with_status(400))
}

fn expiry(params: &Params, now: i64) -> Result<i64, ApiError> {
    match params.integer("expires_at")? {
        None => Ok(now + 24 * 3_600),
        Some(at) if (now + 30 * 60..=now + 24 * 3_600).contains(&at) => Ok(at),
        Some(_) => Err(ApiError::bad_param(
            "expires_at",
            "The `expires_at` timestamp must be between 30 minutes and 24 hours from Checkout \
             Session creation.",
        )),
    }
}

fn lines(
    state: &mut State,
    params: &Params,
    mode: Mode,
) -> Result<Vec<(String, Price, u64)>, ApiError> {
    let asked = params.objects("line_items");
    if asked.is_empty() {
        return Err(ApiError::missing_param("line_items"));
    }
    let mut lines = Vec::with_capacity(asked.len());
    for line in &asked {
        line.only(&["price", "price_data", "quantity", "adjustable_quantity", "tax_rates"])?;
        let price = match line.text("price") {
            Some(id) => state
                .price(id, "line_items[0][price]")
                .map_err(|error| error.with_status(400))?
                .clone(),
            None if line.has("price_data") => {
                let price = price_from(state, &line.nested("price_data"))?;
                state.prices.add(price.clone());
                price
            }
            None => {
                return Err(line
                    .required("price")
                    .err()
                    .unwrap_or_else(|| ApiError::missing_param("line_items[0][price]")));
            }
        };
        if mode == Mode::Payment && price.recurring.is_some() {
            return Err(ApiError::bad_param(
                "mode",
                "You specified `payment` mode but passed a recurring price. Either switch to \
                 `subscription` mode or use only one-time prices.",
            ));
        }
        let quantity = line.count("quantity")?.ok_or_else(|| {
            line.required("quantity").err().unwrap_or_else(|| ApiError::missing_param("quantity"))
        })?;
        lines.push((state.ids.next("li_1"), price, quantity));
    }
    if mode == Mode::Subscription && lines.iter().any(|(_, price, _)| price.recurring.is_none()) {
        return Err(ApiError::bad_param(
            "line_items",
            "This fake takes only recurring prices in `subscription` mode.",
        ));
    }
    Ok(lines)
}

fn list(state: &State, call: &Call) -> Result<Value, ApiError> {
    let params = &call.params;
    let created = listing::created_filter(params)?;
    let same = |name: &str, value: Option<&str>| params.text(name).is_none_or(|v| Some(v) == value);
    let rows = listing::rows(&state.sessions, |row| {
        created(row.created)
            && same("customer", row.customer.as_deref())
            && same("subscription", row.subscription.as_deref())
            && same("payment_intent", row.payment_intent.as_deref())
            && same("status", Some(row.status))
    });
    listing::page("/v1/checkout/sessions", rows, params)
}

fn expire(state: &mut State, id: &str) -> Result<Value, ApiError> {
    let session = state.session(id)?;
    if session.status != "open" {
        return Err(ApiError::invalid(format!(
            "Only Checkout Sessions with a status in [\"open\"] can be expired. This Checkout \
             Session has a status of {}.",
            session.status
        )));
    }
    state.expire_session(id)?;
    state.session(id).map(Session::json)
}

pub(super) fn portal(state: &mut State, call: &Call, rest: &[&str]) -> Routed {
    match (&call.method, rest) {
        (&Method::POST, ["sessions"]) => Some(open_portal(state, call)),
        _ => None,
    }
}

fn open_portal(state: &mut State, call: &Call) -> Result<Value, ApiError> {
    let params = &call.params;
    params.only(&["customer", "return_url", "configuration", "flow_data", "locale"])?;
    let customer = params.required("customer")?.to_owned();
    state.customer(&customer)?;
    let id = state.ids.next("bps_1");
    let portal = PortalSession {
        url: format!("{}/portal/{id}", state.base_url),
        id,
        created: state.now(),
        customer,
        return_url: params.owned("return_url"),
    };
    let object = portal.json();
    state.emit("billing_portal.session.created", object.clone(), None);
    state.portals.add(portal);
    Ok(object)
}
