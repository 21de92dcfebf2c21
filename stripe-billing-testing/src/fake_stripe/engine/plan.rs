//! Changes of plan and quantity, with prorations.

use serde_json::{Value, json};

use super::invoice::NewInvoice;
use crate::fake_stripe::{
    calendar::next_boundary,
    error::ApiError,
    model::{Invoice, Item, Line, Price, Status, Subscription},
    state::{Due, State},
    table::Resource,
};

/// `proration_behavior`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::fake_stripe) enum Proration {
    /// Put the difference on the next invoice.
    Create,
    /// Bill the difference now.
    Invoice,
    /// No difference.
    None,
}

/// One element of `items[]` in an update.
#[derive(Clone, Debug)]
pub(in crate::fake_stripe) struct ItemChange {
    pub(in crate::fake_stripe) id: Option<String>,
    pub(in crate::fake_stripe) price: Option<Price>,
    pub(in crate::fake_stripe) quantity: Option<u64>,
    pub(in crate::fake_stripe) deleted: bool,
}

/// What a change amounts to.
struct Plan {
    after: Subscription,
    prorations: Vec<Line>,
    restarts: bool,
}

impl State {
    pub(in crate::fake_stripe) fn change_items(
        &mut self,
        id: &str,
        changes: &[ItemChange],
        proration: Proration,
    ) -> Result<(), ApiError> {
        let Plan { after, prorations, restarts } = self.plan_change(id, changes, proration)?;
        let now = self.now();
        let bill_now = restarts || (proration == Proration::Invoice && !prorations.is_empty());
        if !bill_now {
            for line in &prorations {
                let object = invoice_item_json(line, &after.customer, now);
                self.emit("invoiceitem.created", object, None);
            }
        }
        let (items, anchor, period) = (after.items.clone(), after.anchor, after.period);
        self.update_subscription(id, |sub| {
            sub.items = items;
            sub.anchor = anchor;
            sub.period = period;
            if !bill_now {
                sub.pending.extend(prorations.iter().cloned());
            }
        })?;
        if restarts {
            self.schedule(period.1, Due::PeriodEnd(id.to_owned()));
        }
        if bill_now {
            let mut lines = prorations;
            if restarts {
                lines.extend(self.service_lines(&after, period, false));
            }
            let invoice = self.invoice_now(id, lines)?;
            self.update_subscription(id, |sub| sub.latest_invoice = Some(invoice))?;
        }
        Ok(())
    }

    /// The invoice that a change would bring, for `POST /v1/invoices/create_preview`.
    pub(in crate::fake_stripe) fn preview_change(
        &mut self,
        id: &str,
        changes: &[ItemChange],
        proration: Proration,
    ) -> Result<Invoice, ApiError> {
        let Plan { after, prorations, restarts } = self.plan_change(id, changes, proration)?;
        let mut lines = after.pending.clone();
        lines.extend(prorations);
        if restarts {
            lines.extend(self.service_lines(&after, after.period, false));
        } else if proration != Proration::Invoice {
            let (interval, count) = after.interval();
            let end = after.period.1;
            let next = (end, next_boundary(after.anchor, interval, count, end));
            lines.extend(self.service_lines(&after, next, false));
        }
        let mut invoice = self.draft(NewInvoice {
            subscription: id.to_owned(),
            reason: "upcoming",
            lines,
            period: after.period,
            finalizes_at: None,
        })?;
        invoice.id = self.ids.next("upcoming_in_1");
        Ok(invoice)
    }

    fn plan_change(
        &mut self,
        id: &str,
        changes: &[ItemChange],
        proration: Proration,
    ) -> Result<Plan, ApiError> {
        let now = self.now();
        let before = self.running(id)?.clone();
        let mut after = before.clone();
        for change in changes {
            self.apply(&mut after.items, change)?;
        }
        if after.items.is_empty() {
            return Err(ApiError::bad_param(
                "items",
                "A subscription must have at least one item.",
            ));
        }
        let restarts = after.interval() != before.interval() && before.status != Status::Trialing;
        if restarts {
            let (interval, count) = after.interval();
            after.anchor = now;
            after.period = (now, next_boundary(now, interval, count, now));
        }
        let mut prorations = Vec::new();
        if proration != Proration::None && before.status != Status::Trialing {
            for old in &before.items {
                let new = after.items.iter().find(|item| item.id == old.id);
                let same = new.is_some_and(|new| {
                    new.price.id == old.price.id && new.quantity == old.quantity
                });
                if !same {
                    prorations.push(self.proration(&before, old, now, -1));
                }
                if let (Some(new), false, false) = (new, same, restarts) {
                    prorations.push(self.proration(&before, new, now, 1));
                }
            }
            for new in &after.items {
                if !restarts && !before.items.iter().any(|old| old.id == new.id) {
                    prorations.push(self.proration(&before, new, now, 1));
                }
            }
        }
        Ok(Plan { after, prorations, restarts })
    }

    fn apply(&mut self, items: &mut Vec<Item>, change: &ItemChange) -> Result<(), ApiError> {
        let Some(id) = &change.id else {
            let price =
                change.price.clone().ok_or_else(|| ApiError::missing_param("items[0][price]"))?;
            let quantity = change.quantity.unwrap_or(1);
            items.push(Item { id: self.ids.next("si_"), created: self.now(), price, quantity });
            return Ok(());
        };
        if !items.iter().any(|item| item.id == *id) {
            return Err(ApiError::no_such("subscription_item", id, "items[0][id]"));
        }
        if change.deleted {
            items.retain(|item| item.id != *id);
            return Ok(());
        }
        for item in items.iter_mut().filter(|item| item.id == *id) {
            if let Some(price) = &change.price {
                item.price = price.clone();
            }
            item.quantity = change.quantity.unwrap_or(item.quantity);
        }
        Ok(())
    }

    /// The share of a period from now to its end, to pay (`sign` 1) or to give back (-1).
    fn proration(&mut self, sub: &Subscription, item: &Item, now: i64, sign: i64) -> Line {
        let (start, end) = sub.period;
        let whole = i128::from((end - start).max(1));
        let left = i128::from((end - now).clamp(0, end - start));
        let amount = i128::from(item.price.amount(item.quantity));
        let share = i64::try_from((amount * left * 2 + whole) / (whole * 2)).unwrap_or(i64::MAX);
        let word = if sign < 0 { "Unused" } else { "Remaining" };
        Line {
            id: self.ids.next("il_1"),
            amount: sign * share,
            description: format!("{word} time on {}", item.price.product_name),
            price: item.price.clone(),
            quantity: item.quantity,
            period: (now, end),
            proration: true,
            invoice_item: Some(self.ids.next("ii_1")),
            subscription: Some(sub.id.clone()),
            subscription_item: Some(item.id.clone()),
            metadata: sub.metadata.clone(),
        }
    }
}

fn invoice_item_json(line: &Line, customer: &str, now: i64) -> Value {
    let mut item = line.json("");
    json!({
        "id": line.invoice_item,
        "object": "invoiceitem",
        "amount": line.amount,
        "currency": line.price.currency,
        "customer": customer,
        "date": now,
        "description": line.description,
        "discountable": false,
        "discounts": [],
        "invoice": null,
        "livemode": false,
        "metadata": line.metadata,
        "parent": {
            "subscription_details": {
                "subscription": line.subscription, "subscription_item": line.subscription_item,
            },
            "type": "subscription_details",
        },
        "period": item["period"].take(),
        "pricing": item["pricing"].take(),
        "proration": true,
        "proration_details": { "discount_amounts": [] },
        "quantity": line.quantity,
        "tax_rates": [],
        "test_clock": null,
        "_price": line.price.json(),
    })
}
