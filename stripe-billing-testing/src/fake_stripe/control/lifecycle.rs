//! Pauses, open invoices, payment methods and features.

use serde_json::Value;

use super::FakeStripe;
use crate::fake_stripe::{engine::Change, error::ApiError};

impl FakeStripe {
    /// Pauses collection (`keep_as_draft`, `mark_uncollectible` or `void`), until an instant in
    /// unix seconds if there is one. The status stays as it is.
    ///
    /// # Errors
    /// When the subscription is unknown or has ended, or the behaviour is none of the three.
    pub fn pause_collection(
        &self,
        subscription: &str,
        behavior: &str,
        resumes_at: Option<i64>,
    ) -> Result<Value, ApiError> {
        self.inner.with(|state| state.pause_collection(subscription, behavior, resumes_at))
    }

    /// Collects again.
    ///
    /// # Errors
    /// When the subscription is unknown or has ended.
    pub fn resume_collection(&self, subscription: &str) -> Result<Value, ApiError> {
        self.inner.with(|state| state.resume_collection(subscription))
    }

    /// Pauses the subscription itself: its status is `paused`, without periods and invoices. Other
    /// than at Stripe, there is no credit for the time that is left.
    ///
    /// # Errors
    /// When the subscription is unknown, has ended, or cannot be paused.
    pub fn pause_subscription(&self, subscription: &str) -> Result<Value, ApiError> {
        self.inner.with(|state| state.pause(subscription, "pause_requested"))
    }

    /// Resumes a subscription that is `paused`: once the invoice of a new period is paid. The
    /// subscription as it is then; still `paused` when the bank refuses.
    ///
    /// # Errors
    /// When the subscription is not paused, or there is nothing to charge.
    pub fn resume_subscription(&self, subscription: &str) -> Result<Value, ApiError> {
        self.inner.with(|state| state.unpause(subscription))
    }

    /// Voids an open invoice.
    ///
    /// # Errors
    /// When the invoice is unknown or not open.
    pub fn void_invoice(&self, invoice: &str) -> Result<(), ApiError> {
        self.inner.with(|state| {
            state.owing(invoice)?;
            state.void_invoice(invoice)
        })
    }

    /// Writes an open invoice off.
    ///
    /// # Errors
    /// When the invoice is unknown or not open.
    pub fn mark_uncollectible(&self, invoice: &str) -> Result<(), ApiError> {
        self.inner.with(|state| {
            state.owing(invoice)?;
            state.mark_uncollectible(invoice, "user_forgiven")
        })
    }

    /// Counts an open invoice as paid, without a payment of Stripe's.
    ///
    /// # Errors
    /// When the invoice is unknown or not open.
    pub fn pay_out_of_band(&self, invoice: &str) -> Result<(), ApiError> {
        self.inner.with(|state| state.pay_out_of_band(invoice))
    }

    /// The customer confirms the payment of an invoice that requires action, or turns it down.
    ///
    /// # Errors
    /// When no such payment waits.
    pub fn confirm_payment(&self, invoice: &str, confirmed: bool) -> Result<(), ApiError> {
        self.inner.with(|state| state.confirm_payment(invoice, confirmed))
    }

    /// Corrects a card's expiry (month and year).
    ///
    /// # Errors
    /// When there is no such payment method.
    pub fn update_payment_method(&self, method: &str, expires: (u32, u32)) -> Result<(), ApiError> {
        self.inner.with(|state| state.change_method(method, (Change::Asked, Some(expires)), None))
    }

    /// The network sends a new expiry (month and year) for a card.
    ///
    /// # Errors
    /// When there is no such payment method.
    pub fn renew_payment_method(&self, method: &str, expires: (u32, u32)) -> Result<(), ApiError> {
        self.inner.with(|state| state.change_method(method, (Change::Network, Some(expires)), None))
    }

    /// Takes a payment method from its customer.
    ///
    /// # Errors
    /// When there is no such payment method, or it belongs to nobody.
    pub fn detach_payment_method(&self, method: &str) -> Result<(), ApiError> {
        self.inner.with(|state| state.detach(method))
    }

    /// Lets the buyers of a product use a feature, from now on.
    pub fn add_feature(&self, product: &str, lookup_key: &str) {
        self.inner.with(|state| state.add_feature(product, lookup_key));
    }
}
