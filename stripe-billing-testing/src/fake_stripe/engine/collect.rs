//! Collecting an open invoice: attempts, retries, and giving up.

use super::payment::Payment;
use crate::fake_stripe::{
    error::{ApiError, Decline},
    model::{Invoice, Metadata, Status},
    state::{Due, Exhausted, State},
    table::Resource,
};

/// Who tries to collect.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(in crate::fake_stripe) enum Collect {
    /// Stripe, on its schedule.
    Automatic,
    /// Somebody asked for it just now.
    ByHand,
}

impl State {
    pub(super) fn retry_due(&mut self, id: &str) -> Result<(), ApiError> {
        let invoice = self.invoice(id)?;
        let due = invoice.next_payment_attempt.is_some_and(|at| at <= self.now());
        if invoice.status == "open" && invoice.auto_advance && due {
            self.collect(id, Collect::Automatic).map(drop)?;
        }
        Ok(())
    }

    /// Tries to collect an open invoice from the card on file. The inner result is the bank's.
    pub(in crate::fake_stripe) fn collect(
        &mut self,
        id: &str,
        how: Collect,
    ) -> Result<Result<(), ApiError>, ApiError> {
        let invoice = self.invoice(id)?.clone();
        let method = self.method_for(&invoice);
        let first = invoice.attempt_count == 0;
        let Some(method) = method else {
            self.collection_failed(id, (how, first), None)?;
            return Ok(Err(ApiError::invalid("Cannot charge a customer that has no active card")
                .with_code("resource_missing")));
        };
        let intent = self.intent_for(&invoice);
        match self.charge_card(&intent, &method, false, None)? {
            Ok(charge) => {
                self.count_attempt(id, how);
                self.settle(id, Some((intent, charge)), true)?;
                Ok(Ok(()))
            }
            Err((decline, charge)) => {
                self.collection_failed(id, (how, first), Some(decline))?;
                Ok(Err(ApiError::card(decline).with_payment(charge, intent)))
            }
        }
    }

    pub(super) fn method_for(&self, invoice: &Invoice) -> Option<String> {
        let of_subscription = invoice
            .subscription
            .as_deref()
            .and_then(|id| self.subscriptions.get(id))
            .and_then(|sub| sub.default_payment_method.clone());
        of_subscription
            .or_else(|| self.customers.get(&invoice.customer)?.default_payment_method.clone())
    }

    /// The invoice's payment intent, begun if there is none yet.
    pub(super) fn intent_for(&mut self, invoice: &Invoice) -> String {
        if let Some(intent) = &invoice.payment_intent {
            return intent.clone();
        }
        let description = match invoice.billing_reason {
            "subscription_create" => "Subscription creation",
            _ => "Subscription update",
        };
        let intent = self.begin_payment(Payment {
            amount: invoice.due(),
            currency: invoice.currency.clone(),
            customer: Some(invoice.customer.clone()),
            invoice: Some(invoice.id.clone()),
            description: Some(description.to_owned()),
            metadata: Metadata::new(),
        });
        if let Some(invoice) = self.invoices.get_mut(&invoice.id) {
            invoice.payment_intent = Some(intent.clone());
        }
        intent
    }

    /// The first attempt of any kind counts; later only Stripe's own do.
    fn count_attempt(&mut self, id: &str, how: Collect) {
        if let Some(invoice) = self.invoices.get_mut(id)
            && (invoice.attempt_count == 0 || how == Collect::Automatic)
        {
            invoice.attempt_count += 1;
        }
    }

    pub(super) fn collection_failed(
        &mut self,
        id: &str,
        (how, first): (Collect, bool),
        decline: Option<Decline>,
    ) -> Result<(), ApiError> {
        let now = self.now();
        let before = self.invoice(id)?.json();
        self.count_attempt(id, how);
        let retries = self.rules.retries.clone();
        let Some(invoice) = self.invoices.get_mut(id) else {
            return Ok(());
        };
        invoice.attempted = true;
        let mut exhausted = false;
        // The first payment of a subscription is the customer's to repeat.
        if how == Collect::Automatic && invoice.billing_reason != "subscription_create" {
            let since = *invoice.first_failure.get_or_insert(now);
            let upcoming = retries.iter().map(|after| since + after).find(|at| *at > now);
            invoice.next_payment_attempt = upcoming;
            exhausted = upcoming.is_none();
        }
        let next = invoice.next_payment_attempt.filter(|_| how == Collect::Automatic);
        let (after, sub) = (invoice.json(), invoice.subscription.clone());
        if !first {
            self.emit("invoice.updated", after.clone(), Some(before));
        }
        if decline == Some(Decline::AuthenticationRequired) {
            self.emit("invoice.payment_action_required", after.clone(), None);
        }
        self.emit("invoice.payment_failed", after, None);
        if let Some(at) = next {
            self.schedule(at, Due::RetryInvoice(id.to_owned()));
        }
        let Some(sub) = sub else { return Ok(()) };
        if self.subscription(&sub)?.status == Status::Active {
            self.update_subscription(&sub, |sub| sub.status = Status::PastDue)?;
        }
        if exhausted { self.give_up(&sub, id) } else { Ok(()) }
    }

    fn give_up(&mut self, sub: &str, invoice: &str) -> Result<(), ApiError> {
        if self.subscription(sub)?.status != Status::PastDue {
            return Ok(());
        }
        match self.rules.exhausted {
            Exhausted::Cancel => self.end_subscription(sub, Some("payment_failed")).map(drop),
            Exhausted::Unpaid => {
                self.update_subscription(sub, |sub| sub.status = Status::Unpaid).map(drop)
            }
            Exhausted::KeepPastDue => Ok(()),
            Exhausted::Pause => self.pause(sub, "final_payment_failure").map(drop),
            Exhausted::MarkUncollectible => {
                self.mark_uncollectible(invoice, "max_payment_attempts")
            }
        }
    }
}
