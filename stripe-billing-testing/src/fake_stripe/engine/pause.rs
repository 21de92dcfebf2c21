//! The two ways to rest: collection alone, or the subscription itself.

use serde_json::Value;

use super::{HOUR, collect::Collect, invoice::NewInvoice};
use crate::fake_stripe::{
    calendar::next_boundary,
    error::ApiError,
    model::{Status, Subscription},
    state::{Due, State},
    table::Resource,
};

impl State {
    /// Collection rests; the status stays as it is, and invoices are still drawn up.
    pub(in crate::fake_stripe) fn pause_collection(
        &mut self,
        id: &str,
        behavior: &str,
        until: Option<i64>,
    ) -> Result<Value, ApiError> {
        const BEHAVIORS: [&str; 3] = ["keep_as_draft", "mark_uncollectible", "void"];
        let Some(behavior) = BEHAVIORS.into_iter().find(|known| *known == behavior) else {
            let message = format!(
                "Invalid pause_collection[behavior]: must be one of keep_as_draft, \
                 mark_uncollectible, or void, got {behavior}"
            );
            return Err(ApiError::bad_param("pause_collection[behavior]", message));
        };
        if until.is_some_and(|at| at <= self.now()) {
            return Err(ApiError::bad_param(
                "pause_collection[resumes_at]",
                "`resumes_at` must be in the future.",
            ));
        }
        self.running(id)?;
        let after =
            self.update_subscription(id, |sub| sub.pause_collection = Some((behavior, until)))?;
        if let Some(at) = until {
            self.schedule(at, Due::ResumeCollection(id.to_owned()));
        }
        Ok(after)
    }

    pub(in crate::fake_stripe) fn resume_collection(
        &mut self,
        id: &str,
    ) -> Result<Value, ApiError> {
        self.running(id)?;
        self.update_subscription(id, |sub| sub.pause_collection = None)
    }

    pub(super) fn resume_collection_if_due(&mut self, id: &str) -> Result<(), ApiError> {
        let until = self.subscription(id)?.pause_collection.and_then(|(_, until)| until);
        if until.is_some_and(|at| at <= self.now()) {
            self.resume_collection(id)?;
        }
        Ok(())
    }

    /// The subscription itself rests: no periods and no invoices. Other than Stripe, the fake gives
    /// no credit for the time that is left.
    pub(in crate::fake_stripe) fn pause(
        &mut self,
        id: &str,
        reason: &'static str,
    ) -> Result<Value, ApiError> {
        let now = self.now();
        let sub = self.running(id)?;
        if matches!(sub.status, Status::Paused | Status::Incomplete) {
            let status = sub.status.as_str();
            return Err(ApiError::invalid(format!("A {status} subscription cannot be paused.")));
        }
        let after = self.update_subscription(id, |sub| {
            sub.status = Status::Paused;
            sub.paused = Some((reason, now));
        })?;
        self.emit("customer.subscription.paused", after.clone(), None);
        Ok(after)
    }

    /// Draws up the invoice of a new period. The subscription is active once that is paid or
    /// written off, and stays paused if nobody pays it within 23 hours.
    pub(in crate::fake_stripe) fn unpause(&mut self, id: &str) -> Result<Value, ApiError> {
        let sub = self.running(id)?.clone();
        if sub.status != Status::Paused {
            let message = "Only subscriptions with a status of paused can be resumed.";
            return Err(ApiError::invalid(message));
        }
        let now = self.now();
        let lines = self.service_lines(&sub, new_period(&sub, now), false);
        if lines.iter().any(|line| line.amount > 0) && !self.has_method(&sub) {
            let message = "This customer has no attached payment source or default payment method.";
            return Err(ApiError::invalid(message).with_code("resource_missing"));
        }
        let invoice = self.add_invoice(NewInvoice {
            subscription: id.to_owned(),
            reason: "subscription_cycle",
            lines,
            period: (now, now),
            finalizes_at: None,
        })?;
        if let Some(sub) = self.subscriptions.get_mut(id) {
            sub.resumption = Some(invoice.clone());
        }
        self.announce_invoice(&invoice)?;
        self.finalize(&invoice)?;
        if self.invoice(&invoice)?.status == "open" {
            self.schedule(now + 23 * HOUR, Due::ResumptionExpires(invoice.clone()));
            // A decline leaves the invoice open, and the subscription paused.
            let _ = self.collect(&invoice, Collect::ByHand)?;
        }
        self.subscription(id).map(Subscription::json)
    }

    /// The invoice that ends a pause is paid, or written off.
    pub(super) fn end_pause(&mut self, id: &str, invoice: &str) -> Result<(), ApiError> {
        let sub = self.subscription(id)?;
        if sub.status != Status::Paused || sub.resumption.as_deref() != Some(invoice) {
            return Ok(());
        }
        let now = self.now();
        let period = new_period(sub, now);
        let after = self.update_subscription(id, |sub| {
            sub.status = Status::Active;
            sub.paused = None;
            sub.anchor = now;
            sub.period = period;
            sub.latest_invoice = sub.resumption.take();
        })?;
        self.emit("customer.subscription.resumed", after, None);
        self.schedule(period.1, Due::PeriodEnd(id.to_owned()));
        self.expect_renewal(id, period.1);
        Ok(())
    }

    pub(super) fn expire_resumption(&mut self, invoice: &str) -> Result<(), ApiError> {
        match self.invoice(invoice)?.status {
            "open" => self.void_invoice(invoice),
            _ => Ok(()),
        }
    }

    /// Whether there is something to charge at all.
    pub(super) fn has_method(&self, sub: &Subscription) -> bool {
        let of_customer = || {
            self.customers.get(&sub.customer).and_then(|row| row.default_payment_method.as_ref())
        };
        sub.default_payment_method.as_ref().or_else(of_customer).is_some()
    }
}

fn new_period(sub: &Subscription, now: i64) -> (i64, i64) {
    let (interval, count) = sub.interval();
    (now, next_boundary(now, interval, count, now))
}
