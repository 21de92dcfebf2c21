use serde_json::{Value, json};

use crate::fake_stripe::{
    model::{Coupon, Entitlement},
    table::Resource,
};

/// How many entitlements a summary shows.
const PAGE: usize = 10;

pub(in crate::fake_stripe) fn active_entitlement(entitlement: &Entitlement) -> Value {
    json!({
        "id": entitlement.id,
        "object": "entitlements.active_entitlement",
        "feature": entitlement.feature,
        "livemode": false,
        "lookup_key": entitlement.lookup_key,
    })
}

/// The first page of what a customer may use; a summary has no id.
pub(in crate::fake_stripe) fn summary(customer: &str, all: &[Entitlement]) -> Value {
    let data: Vec<Value> = all.iter().take(PAGE).map(active_entitlement).collect();
    json!({
        "object": "entitlements.active_entitlement_summary",
        "customer": customer,
        "entitlements": {
            "object": "list",
            "data": data,
            "has_more": all.len() > PAGE,
            "url": format!("/v1/customer/{customer}/entitlements"),
        },
        "livemode": false,
    })
}

impl Resource for Coupon {
    fn id(&self) -> &str {
        &self.id
    }

    fn json(&self) -> Value {
        json!({
            "id": self.id,
            "object": "coupon",
            "amount_off": null,
            "created": self.created,
            "currency": null,
            "duration": "once",
            "duration_in_months": null,
            "livemode": false,
            "max_redemptions": null,
            "metadata": {},
            "name": null,
            "percent_off": self.percent_off,
            "redeem_by": null,
            "times_redeemed": 0,
            "valid": true,
        })
    }
}
