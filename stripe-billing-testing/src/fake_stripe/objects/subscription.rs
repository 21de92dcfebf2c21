use serde_json::{Value, json};

use super::{embedded_list, plan_json};
use crate::fake_stripe::{
    model::{Item, Subscription},
    table::Resource,
};

impl Resource for Subscription {
    fn id(&self) -> &str {
        &self.id
    }

    fn json(&self) -> Value {
        let mut value = json!({
            "id": self.id,
            "object": "subscription",
            "application": null,
            "application_fee_percent": null,
            "automatic_tax": { "disabled_reason": null, "enabled": false, "liability": null },
            "billing_cycle_anchor": self.anchor,
            "billing_cycle_anchor_config": null,
            "billing_mode": {
                "flexible": { "proration_discounts": "included" },
                "type": "flexible",
                "updated_at": self.created,
            },
            "billing_thresholds": null,
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
            "customer_account": null,
            "days_until_due": null,
            "default_payment_method": self.default_payment_method,
            "default_source": null,
            "default_tax_rates": [],
            "description": null,
            "discounts": [],
            "ended_at": self.ended_at,
            "invoice_settings": { "account_tax_ids": null, "issuer": { "type": "self" } },
            "latest_invoice": self.latest_invoice,
            "livemode": false,
            "metadata": self.metadata,
            "next_pending_invoice_item_invoice": null,
            "on_behalf_of": null,
            "pause_collection": null,
            "payment_settings": {
                "payment_method_options": null,
                "payment_method_types": null,
                "save_default_payment_method": "off",
            },
            "pending_invoice_item_interval": null,
            "pending_setup_intent": null,
            "pending_update": null,
        });
        let items = self.items.iter().map(|item| self.item_json(item)).collect();
        let url = format!("/v1/subscription_items?subscription={}", self.id);
        value["items"] = embedded_list(&url, items);
        // The top-level mirrors exist for a single item only.
        let only = if let [item] = self.items.as_slice() {
            Some(item)
        } else {
            None
        };
        value["plan"] = only.map_or(Value::Null, |item| plan_json(&item.price));
        value["quantity"] = json!(only.map(|item| item.quantity));
        value["schedule"] = Value::Null;
        value["start_date"] = json!(self.created);
        value["status"] = json!(self.status.as_str());
        value["test_clock"] = Value::Null;
        value["transfer_data"] = Value::Null;
        value["trial_end"] = json!(self.trial.map(|(_, end)| end));
        value["trial_settings"] =
            json!({ "end_behavior": { "missing_payment_method": "create_invoice" } });
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
