use serde_json::{Value, json};

use super::{absent, embedded_list, plan_json};
use crate::fake_stripe::{
    model::{Item, Status, Subscription},
    table::Resource,
};

/// What the fake does not play with.
const UNUSED: [&str; 16] = [
    "application",
    "application_fee_percent",
    "billing_cycle_anchor_config",
    "billing_thresholds",
    "customer_account",
    "days_until_due",
    "default_source",
    "description",
    "next_pending_invoice_item_invoice",
    "on_behalf_of",
    "pending_invoice_item_interval",
    "pending_setup_intent",
    "pending_update",
    "schedule",
    "test_clock",
    "transfer_data",
];

impl Resource for Subscription {
    fn id(&self) -> &str {
        &self.id
    }

    fn json(&self) -> Value {
        let mut value = json!({
            "id": self.id,
            "object": "subscription",
            "automatic_tax": { "disabled_reason": null, "enabled": false, "liability": null },
            "billing_cycle_anchor": self.anchor,
            "billing_mode": {
                "flexible": { "proration_discounts": "included" },
                "type": "flexible",
                "updated_at": self.created,
            },
            "cancel_at": self.cancel_at,
            "cancel_at_period_end": self.cancel_at_period_end,
            "canceled_at": self.canceled_at,
            "cancellation_details": {
                "comment": self.cancel_comment,
                "feedback": self.cancel_feedback,
                "reason": self.cancel_reason,
            },
            "collection_method": "charge_automatically",
            "created": self.created,
            "currency": self.currency(),
            "customer": self.customer,
            "default_payment_method": self.default_payment_method,
            "default_tax_rates": [],
            "discounts": [],
            "ended_at": self.ended_at,
            "invoice_settings": { "account_tax_ids": null, "issuer": { "type": "self" } },
            "latest_invoice": self.latest_invoice,
            "livemode": false,
            "metadata": self.metadata,
            "payment_settings": {
                "payment_method_options": null,
                "payment_method_types": null,
                "save_default_payment_method": "off",
            },
        });
        absent(&mut value, &UNUSED);
        let items = self.items.iter().map(|item| self.item_json(item)).collect();
        let url = format!("/v1/subscription_items?subscription={}", self.id);
        value["items"] = embedded_list(&url, items);
        // The top-level mirrors exist for a single item only.
        let only = if let [item] = self.items.as_slice() { Some(item) } else { None };
        value["plan"] = only.map_or(Value::Null, |item| plan_json(&item.price));
        value["quantity"] = json!(only.map(|item| item.quantity));
        value["start_date"] = json!(self.created);
        value["pause_collection"] = json!(
            self.pause_collection
                .map(|(behavior, until)| { json!({ "behavior": behavior, "resumes_at": until }) })
        );
        value["status"] = json!(self.status.as_str());
        if let (Status::Paused, Some((reason, since))) = (self.status, self.paused) {
            value["status_details"] = json!({ "paused": {
                "subscription": { "type": reason }, "transitioned_at": since,
                "type": "subscription",
            } });
        }
        value["trial_end"] = json!(self.trial.map(|(_, end)| end));
        value["trial_settings"] =
            json!({ "end_behavior": { "missing_payment_method": self.missing_method } });
        value["trial_start"] = json!(self.trial.map(|(start, _)| start));
        value
    }
}

impl Subscription {
    fn item_json(&self, item: &Item) -> Value {
        json!({
            "id": item.id,
            "object": "subscription_item",
            "billing_thresholds": null,
            "created": item.created,
            "current_period_end": self.period.1,
            "current_period_start": self.period.0,
            "discounts": [],
            "metadata": {},
            "plan": plan_json(&item.price),
            "price": item.price.json(),
            "quantity": item.quantity,
            "subscription": self.id,
            "tax_rates": [],
        })
    }
}
