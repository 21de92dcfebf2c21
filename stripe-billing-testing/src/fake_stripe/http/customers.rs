use axum::http::Method;
use serde_json::{Value, json};

use super::{Call, Routed, listing};
use crate::fake_stripe::{
    engine::Change, error::ApiError, model::Customer, state::State, table::Resource,
};

const FIELDS: [&str; 14] = [
    "email",
    "name",
    "description",
    "metadata",
    "phone",
    "address",
    "shipping",
    "payment_method",
    "invoice_settings",
    "preferred_locales",
    "tax_exempt",
    "balance",
    "test_clock",
    "tax",
];

pub(super) fn route(state: &mut State, call: &Call, rest: &[&str]) -> Routed {
    Some(match (&call.method, rest) {
        (&Method::POST, []) => create(state, call),
        (&Method::GET, []) => list(state, call),
        (&Method::GET, [id]) => get(state, id),
        (&Method::POST, [id]) => update(state, call, id),
        (&Method::DELETE, [id]) => delete(state, id),
        (&Method::GET, [id, "payment_methods"]) => list_methods(state, call, Some(id)),
        _ => return None,
    })
}

fn create(state: &mut State, call: &Call) -> Result<Value, ApiError> {
    let params = &call.params;
    params.only(&FIELDS)?;
    check_email(call)?;
    let customer = Customer {
        id: state.ids.next("cus_"),
        created: state.now(),
        email: params.owned("email"),
        name: params.owned("name"),
        description: params.owned("description"),
        metadata: params.metadata()?,
        currency: None,
        default_payment_method: None,
        next_invoice: 1,
        deleted: false,
    };
    let (id, object) = (customer.id.clone(), customer.json());
    state.customers.add(customer);
    state.emit("customer.created", object, None);
    if let Some(method) = params.text("payment_method") {
        state.attach(method, &id)?;
    }
    state.object(&id).ok_or_else(|| ApiError::no_such("customer", &id, "id"))
}

fn check_email(call: &Call) -> Result<(), ApiError> {
    match call.params.text("email") {
        Some(email) if !email.contains('@') => {
            let message = format!("Invalid email address: {email}");
            Err(ApiError::bad_param("email", message).with_code("email_invalid"))
        }
        _ => Ok(()),
    }
}

fn list(state: &State, call: &Call) -> Result<Value, ApiError> {
    let params = &call.params;
    params.only(&["email", "created", "limit", "starting_after", "ending_before", "test_clock"])?;
    let (email, created) = (params.text("email"), listing::created_filter(params)?);
    let rows = listing::rows(&state.customers, |row| {
        !row.deleted
            && created(row.created)
            && email.is_none_or(|email| row.email.as_deref() == Some(email))
    });
    listing::page("/v1/customers", rows, params)
}

fn get(state: &State, id: &str) -> Result<Value, ApiError> {
    let found = state.customers.get(id).map(Customer::json);
    found.ok_or_else(|| ApiError::no_such("customer", id, "id"))
}

fn update(state: &mut State, call: &Call, id: &str) -> Result<Value, ApiError> {
    let params = &call.params;
    params.only(&FIELDS)?;
    check_email(call)?;
    let mut metadata = state.customer(id)?.metadata.clone();
    params.merge_metadata(&mut metadata)?;
    let method = params.nested("invoice_settings").owned("default_payment_method");
    if let Some(method) = &method {
        let owner = state.methods.get(method).and_then(|method| method.customer.clone());
        if owner.as_deref() != Some(id) {
            let name = "invoice_settings[default_payment_method]";
            return Err(ApiError::bad_param(
                name,
                format!("The customer does not have a payment method with the ID {method}."),
            )
            .with_code("resource_missing"));
        }
    }
    state.update_customer(id, |customer| {
        customer.metadata = metadata;
        for (name, field) in [
            ("email", &mut customer.email),
            ("name", &mut customer.name),
            ("description", &mut customer.description),
        ] {
            if params.has(name) {
                *field = params.owned(name);
            }
        }
        if method.is_some() {
            customer.default_payment_method = method;
        }
    })
}

fn delete(state: &mut State, id: &str) -> Result<Value, ApiError> {
    let theirs: Vec<String> = state
        .subscriptions
        .iter()
        .filter(|sub| sub.customer == id && !sub.status.is_ended())
        .map(|sub| sub.id.clone())
        .collect();
    state.customer(id)?;
    for sub in theirs {
        state.end_subscription(&sub, None)?;
    }
    if let Some(customer) = state.customers.get_mut(id) {
        let object = customer.full_json();
        customer.deleted = true;
        state.emit("customer.deleted", object, None);
    }
    Ok(json!({ "id": id, "object": "customer", "deleted": true }))
}

pub(super) fn methods(state: &mut State, call: &Call, rest: &[&str]) -> Routed {
    Some(match (&call.method, rest) {
        (&Method::GET, []) => list_methods(state, call, call.params.text("customer")),
        (&Method::GET, [id]) => found_method(state, id),
        (&Method::POST, [id]) => update_method(state, call, id),
        (&Method::POST, [id, "attach"]) => attach(state, call, id),
        (&Method::POST, [id, "detach"]) => state.detach(id).and_then(|()| found_method(state, id)),
        _ => return None,
    })
}

fn found_method(state: &State, id: &str) -> Result<Value, ApiError> {
    let found = state.methods.get(id).map(Resource::json);
    found.ok_or_else(|| ApiError::no_such("PaymentMethod", id, "id"))
}

fn update_method(state: &mut State, call: &Call, id: &str) -> Result<Value, ApiError> {
    let params = &call.params;
    params.only(&["billing_details", "card", "metadata", "allow_redisplay"])?;
    let kept = state.methods.get(id).ok_or_else(|| ApiError::no_such("PaymentMethod", id, "id"))?;
    let mut metadata = kept.metadata.clone();
    params.merge_metadata(&mut metadata)?;
    let card = params.nested("card");
    card.only(&["exp_month", "exp_year"])?;
    let part = |name: &str, kept: u32| -> Result<u32, ApiError> {
        Ok(card.count(name)?.and_then(|number| u32::try_from(number).ok()).unwrap_or(kept))
    };
    let expires = (part("exp_month", kept.expires.0)?, part("exp_year", kept.expires.1)?);
    state.change_method(id, (Change::Asked, Some(expires)), Some(metadata))?;
    found_method(state, id)
}

fn attach(state: &mut State, call: &Call, id: &str) -> Result<Value, ApiError> {
    call.params.only(&["customer"])?;
    let customer = call.params.required("customer")?;
    state.customer(customer)?;
    // The test ids that need no client-side step, as `pm_card_visa` on the real thing.
    let card = match id {
        "pm_card_visa" => Some(crate::fake_stripe::Card::Good),
        "pm_card_chargeCustomerFail" => Some(crate::fake_stripe::Card::FailsOnRenewal),
        "pm_card_chargeDeclined" => Some(crate::fake_stripe::Card::Declined),
        _ => None,
    };
    let id = match card {
        Some(card) => state.new_method(card, None),
        None => id.to_owned(),
    };
    state.attach(&id, customer)?;
    state.object(&id).ok_or_else(|| ApiError::no_such("PaymentMethod", &id, "id"))
}

fn list_methods(state: &State, call: &Call, customer: Option<&str>) -> Result<Value, ApiError> {
    let params = &call.params;
    params.only(&["customer", "type", "limit", "starting_after", "ending_before"])?;
    let rows = listing::rows(&state.methods, |row| {
        row.customer.is_some() && customer.is_none_or(|id| row.customer.as_deref() == Some(id))
    });
    listing::page("/v1/payment_methods", rows, params)
}
