use axum::http::Method;
use serde_json::Value;

use super::{Call, Routed, listing, params::Params};
use crate::fake_stripe::{
    calendar::Interval,
    error::ApiError,
    model::{Metadata, Price, Product},
    state::{State, update},
    table::Resource,
};

pub(super) fn products(state: &mut State, call: &Call, rest: &[&str]) -> Routed {
    Some(match (&call.method, rest) {
        (&Method::POST, []) => create_product(state, call),
        (&Method::GET, []) => {
            listing::page("/v1/products", listing::rows(&state.products, |_| true), &call.params)
        }
        (&Method::GET, [id]) => state
            .products
            .get(id)
            .map(Product::json)
            .ok_or_else(|| ApiError::no_such("product", id, "id")),
        (&Method::POST, [id]) => update_product(state, call, id),
        _ => return None,
    })
}

pub(super) fn coupons(state: &mut State, call: &Call, rest: &[&str]) -> Routed {
    Some(match (&call.method, rest) {
        (&Method::GET, []) => {
            listing::page("/v1/coupons", listing::rows(&state.coupons, |_| true), &call.params)
        }
        (&Method::GET, [id]) => state
            .coupons
            .get(id)
            .map(Resource::json)
            .ok_or_else(|| ApiError::no_such("coupon", id, "coupon")),
        _ => return None,
    })
}

const PRODUCT: [&str; 12] = [
    "id",
    "name",
    "description",
    "metadata",
    "active",
    "marketing_features",
    "images",
    "tax_code",
    "unit_label",
    "url",
    "statement_descriptor",
    "default_price_data",
];

fn create_product(state: &mut State, call: &Call) -> Result<Value, ApiError> {
    let params = &call.params;
    params.only(&PRODUCT)?;
    let name = params.required("name")?.to_owned();
    let id = params.owned("id").unwrap_or_else(|| state.ids.next("prod_"));
    if state.products.get(&id).is_some() {
        return Err(ApiError::bad_param("id", "Product already exists.")
            .with_code("resource_already_exists"));
    }
    let product = Product {
        id,
        created: state.now(),
        active: params.boolean("active")?.unwrap_or(true),
        name,
        description: params.owned("description"),
        metadata: params.metadata()?,
    };
    let object = product.json();
    state.products.add(product);
    state.emit("product.created", object.clone(), None);
    Ok(object)
}

fn update_product(state: &mut State, call: &Call, id: &str) -> Result<Value, ApiError> {
    let params = &call.params;
    params.only(&PRODUCT)?;
    let active = params.boolean("active")?;
    let kept = state.products.get(id).ok_or_else(|| ApiError::no_such("product", id, "id"))?;
    let mut metadata = kept.metadata.clone();
    params.merge_metadata(&mut metadata)?;
    let (before, after) = update(&mut state.products, id, "product", |product| {
        product.metadata = metadata;
        product.active = active.unwrap_or(product.active);
        product.name = params.owned("name").unwrap_or_else(|| product.name.clone());
    })?;
    if before != after {
        state.emit("product.updated", after.clone(), Some(before));
    }
    Ok(after)
}

const PRICE: [&str; 12] = [
    "currency",
    "unit_amount",
    "unit_amount_decimal",
    "recurring",
    "product",
    "product_data",
    "metadata",
    "lookup_key",
    "nickname",
    "active",
    "tax_behavior",
    "billing_scheme",
];

pub(super) fn prices(state: &mut State, call: &Call, rest: &[&str]) -> Routed {
    Some(match (&call.method, rest) {
        (&Method::POST, []) => call.params.only(&PRICE).and_then(|()| {
            let price = price_from(state, &call.params)?;
            let object = price.json();
            state.prices.add(price);
            state.emit("price.created", object.clone(), None);
            Ok(object)
        }),
        (&Method::GET, []) => list_prices(state, call),
        (&Method::GET, [id]) => state.price(id, "price").map(Price::json),
        (&Method::POST, [id]) => update_price(state, call, id),
        _ => return None,
    })
}

fn list_prices(state: &State, call: &Call) -> Result<Value, ApiError> {
    let params = &call.params;
    let (product, active) = (params.text("product"), params.boolean("active")?);
    let keys = params.texts("lookup_keys");
    let rows = listing::rows(&state.prices, |row| {
        product.is_none_or(|product| row.product == product)
            && active.is_none_or(|active| row.active == active)
            && (keys.is_empty() || row.lookup_key.as_ref().is_some_and(|key| keys.contains(key)))
    });
    listing::page("/v1/prices", rows, params)
}

fn update_price(state: &mut State, call: &Call, id: &str) -> Result<Value, ApiError> {
    let params = &call.params;
    params.only(&PRICE)?;
    let active = params.boolean("active")?;
    let mut metadata = state.price(id, "price")?.metadata.clone();
    params.merge_metadata(&mut metadata)?;
    let (before, after) = update(&mut state.prices, id, "price", |price| {
        price.metadata = metadata;
        price.active = active.unwrap_or(price.active);
        price.nickname = params.owned("nickname").or_else(|| price.nickname.clone());
    })?;
    if before != after {
        state.emit("price.updated", after.clone(), Some(before));
    }
    Ok(after)
}

/// A price from `POST /v1/prices` or from `price_data`; its product is made if it has to be.
pub(super) fn price_from(state: &mut State, params: &Params) -> Result<Price, ApiError> {
    let currency = params.required("currency")?.to_lowercase();
    let unit_amount = params.integer("unit_amount")?.ok_or_else(|| {
        params.required("unit_amount").err().unwrap_or_else(|| ApiError::invalid("unit_amount"))
    })?;
    if currency.len() != 3 || unit_amount < 0 {
        return Err(ApiError::bad_param("currency", format!("Invalid currency: {currency}.")));
    }
    let recurring = recurring_from(&params.nested("recurring"))?;
    let product = match params.text("product") {
        Some(id) => state
            .products
            .get(id)
            .cloned()
            .ok_or_else(|| ApiError::no_such("product", id, "product"))?,
        None => {
            let data = params.nested("product_data");
            let product = Product {
                id: state.ids.next("prod_"),
                created: state.now(),
                active: true,
                name: data.required("name")?.to_owned(),
                description: data.owned("description"),
                metadata: data.metadata()?,
            };
            state.emit("product.created", product.json(), None);
            state.products.add(product.clone());
            product
        }
    };
    Ok(Price {
        id: state.ids.next("price_1"),
        created: state.now(),
        active: true,
        product: product.id,
        product_name: product.name,
        currency,
        unit_amount,
        recurring,
        lookup_key: params.owned("lookup_key"),
        nickname: params.owned("nickname"),
        metadata: if params.has("metadata") { params.metadata()? } else { Metadata::new() },
    })
}

fn recurring_from(params: &Params) -> Result<Option<(Interval, u32)>, ApiError> {
    if params.is_empty() {
        return Ok(None);
    }
    let word = params.required("interval")?;
    let interval = Interval::parse(word).ok_or_else(|| {
        let message = format!(
            "Invalid recurring[interval]: must be one of day, month, week, or year, got {word}"
        );
        ApiError::bad_param("recurring[interval]", message)
    })?;
    let count = params.count("interval_count")?.unwrap_or(1);
    Ok(Some((interval, u32::try_from(count.clamp(1, 1_000)).unwrap_or(1))))
}
