//! The two ways to rest: collection alone, or the subscription itself.

use serde_json::Value;

use super::{collect::Collect, invoice::NewInvoice};
use crate::fake_stripe::{
    calendar::next_boundary,
    error::ApiError,
    model::{Status, Subscription},
    state::{Due, State},
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

    /// The subscription itself rests: no periods and no invoices.
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

    /// A new period begins now, if its invoice can be paid.
    pub(in crate::fake_stripe) fn unpause(&mut self, id: &str) -> Result<Value, ApiError> {
        let sub = self.running(id)?.clone();
        if sub.status != Status::Paused {
            let message = "Only subscriptions with a status of paused can be resumed.";
            return Err(ApiError::invalid(message));
        }
        let now = self.now();
        let (interval, count) = sub.interval();
        let period = (now, next_boundary(now, interval, count, now));
        let lines = self.service_lines(&sub, period, false);
        let invoice = self.add_invoice(NewInvoice {
            subscription: id.to_owned(),
            reason: "subscription_cycle",
            lines,
            period: (now, now),
            finalizes_at: None,
        })?;
        self.announce_invoice(&invoice)?;
        self.finalize(&invoice)?;
        if self.invoice(&invoice)?.status == "open" {
            self.collect(&invoice, Collect::ByHand)??;
        }
        let after = self.update_subscription(id, |sub| {
            sub.status = Status::Active;
            sub.paused = None;
            sub.anchor = now;
            sub.period = period;
            sub.latest_invoice = Some(invoice);
        })?;
        self.emit("customer.subscription.resumed", after.clone(), None);
        self.schedule(period.1, Due::PeriodEnd(id.to_owned()));
        self.expect_renewal(id, period.1);
        Ok(after)
    }

    /// Whether there is something to charge at all.
    pub(super) fn has_method(&self, sub: &Subscription) -> bool {
        let of_customer = || {
            self.customers.get(&sub.customer).and_then(|row| row.default_payment_method.as_ref())
        };
        sub.default_payment_method.as_ref().or_else(of_customer).is_some()
    }
}
