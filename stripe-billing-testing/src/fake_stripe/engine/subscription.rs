//! Subscriptions: how they begin and how they end.

use serde_json::Value;

use super::{DAY, HOUR, collect::Collect, invoice::NewInvoice};
use crate::fake_stripe::{
    calendar::next_boundary,
    error::ApiError,
    model::{Item, Metadata, Price, Status, Subscription},
    state::{Due, State},
    table::Resource,
};

/// A subscription to begin.
#[derive(Clone, Debug)]
pub(in crate::fake_stripe) struct NewSub {
    pub(in crate::fake_stripe) customer: String,
    pub(in crate::fake_stripe) items: Vec<(Price, u64)>,
    pub(in crate::fake_stripe) trial_end: Option<i64>,
    pub(in crate::fake_stripe) metadata: Metadata,
    pub(in crate::fake_stripe) default_payment_method: Option<String>,
    pub(in crate::fake_stripe) cancel_at_period_end: bool,
    /// What a trial that ends without a payment method does.
    pub(in crate::fake_stripe) missing_method: &'static str,
}

/// `payment_behavior` of an API request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::fake_stripe) enum FirstPayment {
    /// `allow_incomplete`: charge, and stay incomplete if that fails.
    Allow,
    /// `default_incomplete`: wait for the customer.
    Wait,
    /// `error_if_incomplete`: charge, or do nothing at all.
    Require,
}

impl State {
    /// Adds a subscription and its first invoice without telling anybody.
    pub(super) fn add_subscription(
        &mut self,
        new: NewSub,
        status: Status,
    ) -> Result<(String, String), ApiError> {
        let now = self.now();
        let id = self.ids.next("sub_1");
        let items: Vec<Item> = new
            .items
            .into_iter()
            .map(|(price, quantity)| Item {
                id: self.ids.next("si_"),
                created: now,
                price,
                quantity,
            })
            .collect();
        let recurring = items.first().and_then(|item| item.price.recurring);
        let (interval, count) = recurring.ok_or_else(|| {
            ApiError::bad_param("items", "A subscription needs a recurring price.")
        })?;
        let anchor = new.trial_end.unwrap_or(now);
        let end = new.trial_end.unwrap_or_else(|| next_boundary(now, interval, count, now));
        let sub = Subscription {
            id: id.clone(),
            created: now,
            customer: new.customer,
            items,
            status,
            anchor,
            period: (now, end),
            cancel_at: new.cancel_at_period_end.then_some(end),
            cancel_at_period_end: new.cancel_at_period_end,
            canceled_at: new.cancel_at_period_end.then_some(now),
            cancel_reason: new.cancel_at_period_end.then_some("cancellation_requested"),
            cancel_comment: None,
            cancel_feedback: None,
            ended_at: None,
            trial: new.trial_end.map(|end| (now, end)),
            missing_method: new.missing_method,
            pause_collection: None,
            paused: None,
            resumption: None,
            default_payment_method: new.default_payment_method,
            latest_invoice: None,
            metadata: new.metadata,
            pending: Vec::new(),
        };
        let lines = self.service_lines(&sub, sub.period, sub.trial.is_some());
        self.schedule(end, Due::PeriodEnd(id.clone()));
        self.expect_renewal(&id, end);
        if let Some(end) = new.trial_end {
            self.schedule((end - 3 * DAY).max(now), Due::TrialWillEnd(id.clone()));
        }
        if status == Status::Incomplete {
            self.schedule(now + 23 * HOUR, Due::IncompleteExpires(id.clone()));
        }
        self.subscriptions.add(sub);
        let invoice = self.add_invoice(NewInvoice {
            subscription: id.clone(),
            reason: "subscription_create",
            lines,
            period: (now, now),
            finalizes_at: None,
        })?;
        if let Some(sub) = self.subscriptions.get_mut(&id) {
            sub.latest_invoice = Some(invoice.clone());
        }
        Ok((id, invoice))
    }

    pub(super) fn announce_subscription(&mut self, id: &str) -> Result<(), ApiError> {
        let sub = self.subscription(id)?;
        let (object, customer) = (sub.json(), sub.customer.clone());
        self.emit("customer.subscription.created", object, None);
        self.refresh_entitlements(&customer);
        Ok(())
    }

    /// A subscription made through the API, with its first payment.
    pub(in crate::fake_stripe) fn subscribe(
        &mut self,
        new: NewSub,
        first: FirstPayment,
    ) -> Result<String, ApiError> {
        let customer = self.customer(&new.customer)?;
        let method =
            new.default_payment_method.clone().or_else(|| customer.default_payment_method.clone());
        let due: i64 = new.items.iter().map(|(price, quantity)| price.amount(*quantity)).sum();
        let free = new.trial_end.is_some() || due == 0;
        if !free && method.is_none() && first != FirstPayment::Wait {
            return Err(ApiError::invalid(
                "This customer has no attached payment source or default payment method. Please \
                 consider adding a default payment method.",
            )
            .with_code("resource_missing"));
        }
        let card = method.as_deref().map(|method| self.card_of(method)).transpose()?;
        if let (false, FirstPayment::Require, Some(card)) = (free, first, card) {
            card.charge(true).map_err(ApiError::card)?;
        }
        let status = match (new.trial_end.is_some(), free) {
            (true, _) => Status::Trialing,
            (false, true) => Status::Active,
            (false, false) => Status::Incomplete,
        };
        let (id, invoice) = self.add_subscription(new, status)?;
        self.announce_subscription(&id)?;
        self.announce_invoice(&invoice)?;
        self.finalize(&invoice)?;
        if self.invoice(&invoice)?.status == "open" {
            let about = self.invoice(&invoice)?.clone();
            let intent = self.intent_for(&about);
            if let (Some(method), true) = (method, first != FirstPayment::Wait) {
                self.first_charge(&invoice, intent, &method)?;
            }
        }
        Ok(id)
    }

    fn first_charge(
        &mut self,
        invoice: &str,
        intent: String,
        method: &str,
    ) -> Result<(), ApiError> {
        match self.charge_card(&intent, method, true, None)? {
            Ok(charge) => {
                if let Some(invoice) = self.invoices.get_mut(invoice) {
                    invoice.attempt_count = 1;
                }
                self.settle(invoice, Some((intent, charge)), false)
            }
            Err((decline, _)) => {
                self.collection_failed(invoice, (Collect::Automatic, true), Some(decline))
            }
        }
    }

    /// Cancels for good, now. Open and draft invoices are not collected any more.
    pub(in crate::fake_stripe) fn end_subscription(
        &mut self,
        id: &str,
        reason: Option<&'static str>,
    ) -> Result<Value, ApiError> {
        let now = self.now();
        if self.subscription(id)?.status.is_ended() {
            return Err(ApiError::no_such("subscription", id, "id"));
        }
        let sub = self
            .subscriptions
            .get_mut(id)
            .ok_or_else(|| ApiError::no_such("subscription", id, "id"))?;
        sub.status = Status::Canceled;
        sub.ended_at = Some(now);
        sub.canceled_at.get_or_insert(now);
        if let Some(reason) = reason {
            sub.cancel_reason.get_or_insert(reason);
        }
        let after = sub.json();
        let waiting: Vec<String> = self
            .invoices
            .iter()
            .filter(|invoice| invoice.subscription.as_deref() == Some(id))
            .filter(|invoice| invoice.auto_advance && matches!(invoice.status, "open" | "draft"))
            .map(|invoice| invoice.id.clone())
            .collect();
        for invoice in waiting {
            self.update_invoice(&invoice, "invoice.updated", |invoice| {
                invoice.auto_advance = false;
                invoice.next_payment_attempt = None;
                invoice.finalizes_at = None;
            })?;
        }
        self.emit("customer.subscription.deleted", after.clone(), None);
        self.refresh_entitlements(after["customer"].as_str().unwrap_or_default());
        Ok(after)
    }

    /// Schedules the end, as the API does: all three fields are set.
    pub(in crate::fake_stripe) fn cancel_at_period_end(
        &mut self,
        id: &str,
    ) -> Result<Value, ApiError> {
        let now = self.now();
        self.running(id)?;
        self.update_subscription(id, |sub| {
            sub.cancel_at_period_end = true;
            sub.cancel_at = Some(sub.period.1);
            sub.canceled_at = Some(now);
            sub.cancel_reason = Some("cancellation_requested");
        })
    }

    /// Schedules the end at an instant.
    pub(in crate::fake_stripe) fn cancel_at(
        &mut self,
        id: &str,
        at: i64,
    ) -> Result<Value, ApiError> {
        let now = self.now();
        self.running(id)?;
        let after = self.update_subscription(id, |sub| {
            sub.cancel_at_period_end = false;
            sub.cancel_at = Some(at);
            sub.canceled_at = Some(now);
            sub.cancel_reason = Some("cancellation_requested");
        })?;
        self.schedule(at, Due::CancelAt(id.to_owned()));
        Ok(after)
    }

    /// Takes a scheduled end back.
    pub(in crate::fake_stripe) fn resume(&mut self, id: &str) -> Result<Value, ApiError> {
        self.running(id)?;
        self.update_subscription(id, |sub| {
            sub.cancel_at_period_end = false;
            sub.cancel_at = None;
            sub.canceled_at = None;
            sub.cancel_reason = None;
            sub.cancel_comment = None;
            sub.cancel_feedback = None;
        })
    }

    pub(in crate::fake_stripe) fn running(&self, id: &str) -> Result<&Subscription, ApiError> {
        let sub = self.subscription(id)?;
        if sub.status.is_ended() {
            return Err(ApiError::invalid(
                "A canceled subscription can only update its cancellation_details and metadata.",
            ));
        }
        Ok(sub)
    }
}
