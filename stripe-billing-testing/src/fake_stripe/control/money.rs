//! Money that comes late, goes back, or is fought over.

use std::time::Duration;

use serde_json::Value;

use super::FakeStripe;
use crate::fake_stripe::{
    engine::{Completed, Debit, Opening, Returning},
    error::ApiError,
    state::seconds,
};

/// A refund to make: of all that is left, at once, for no reason, unless it says otherwise.
#[derive(Clone, Debug, Default)]
pub struct NewRefund(Returning);

impl NewRefund {
    /// All that is left.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// So many minor units.
    #[must_use]
    pub fn amount(mut self, amount: i64) -> Self {
        self.0.amount = Some(amount);
        self
    }

    /// `duplicate`, `fraudulent` or `requested_by_customer`.
    #[must_use]
    pub fn reason(mut self, reason: &str) -> Self {
        self.0.reason = Some(reason.to_owned());
        self
    }

    /// Adds a pair of metadata.
    #[must_use]
    pub fn metadata(mut self, key: &str, value: &str) -> Self {
        self.0.metadata.insert(key.to_owned(), value.to_owned());
        self
    }

    /// It is `pending` for so long.
    #[must_use]
    pub fn pending_for(mut self, time: Duration) -> Self {
        self.0.arrives_after = Some(seconds(time));
        self
    }

    /// It bounces after so long, whatever it was until then.
    #[must_use]
    pub fn fails_after(mut self, time: Duration) -> Self {
        self.0.fails_after = Some(seconds(time));
        self
    }
}

impl FakeStripe {
    /// Submits the checkout page of a one-time payment with a bank account: the session is
    /// complete and `unpaid` until the clock settles it.
    ///
    /// # Errors
    /// When the session is not open, sells a subscription, or costs nothing.
    pub fn complete_checkout_by_debit(
        &self,
        session: &str,
        debit: Debit,
    ) -> Result<Completed, ApiError> {
        self.inner.with(|state| state.submit_debit(session, debit, None))
    }

    /// Refunds `amount` minor units, or all that is left, of a charge or payment intent; the
    /// refund's id.
    ///
    /// # Errors
    /// When nothing was paid or less is left.
    pub fn refund(&self, payment: &str, amount: Option<i64>) -> Result<String, ApiError> {
        self.refund_as(payment, NewRefund(Returning { amount, ..Returning::default() }))
    }

    /// Refunds a charge or payment intent, with what becomes of it; the refund's id.
    ///
    /// # Errors
    /// When nothing was paid or less is left.
    pub fn refund_as(&self, payment: &str, refund: NewRefund) -> Result<String, ApiError> {
        self.inner.with(|state| {
            let charge = state.charge_for(payment)?;
            state.refund(&charge, refund.0)
        })
    }

    /// A refund bounces: `refund.failed`, and the charge counts it no more.
    ///
    /// # Errors
    /// When the refund is unknown or has failed already.
    pub fn fail_refund(&self, refund: &str) -> Result<(), ApiError> {
        self.inner.with(|state| state.fail_refund(refund))
    }

    /// The network suspects a charge or payment intent; the early fraud warning's id.
    ///
    /// # Errors
    /// When nothing was paid.
    pub fn warn_of_fraud(&self, payment: &str) -> Result<String, ApiError> {
        self.inner.with(|state| {
            let charge = state.charge_for(payment)?;
            state.warn_of_fraud(&charge)
        })
    }

    /// A chargeback on a charge or payment intent, over `amount` or all of it; the dispute's id.
    ///
    /// # Errors
    /// When nothing was paid.
    pub fn open_dispute(&self, payment: &str, amount: Option<i64>) -> Result<String, ApiError> {
        self.dispute(payment, amount, Opening::Real)
    }

    /// The bank asks about a charge or payment intent, and no money moves; the dispute's id.
    ///
    /// # Errors
    /// When nothing was paid.
    pub fn open_inquiry(&self, payment: &str, amount: Option<i64>) -> Result<String, ApiError> {
        self.dispute(payment, amount, Opening::Inquiry)
    }

    /// A dispute that is settled before it is one: `prevented`, and the money is gone; its id.
    ///
    /// # Errors
    /// When nothing was paid.
    pub fn prevent_dispute(&self, payment: &str, amount: Option<i64>) -> Result<String, ApiError> {
        self.dispute(payment, amount, Opening::Prevented)
    }

    fn dispute(
        &self,
        payment: &str,
        amount: Option<i64>,
        how: Opening,
    ) -> Result<String, ApiError> {
        self.inner.with(|state| {
            let charge = state.charge_for(payment)?;
            state.open_dispute(&charge, amount, how)
        })
    }

    /// An inquiry becomes a chargeback.
    ///
    /// # Errors
    /// When there is no such inquiry.
    pub fn escalate_dispute(&self, dispute: &str) -> Result<(), ApiError> {
        self.inner.with(|state| state.escalate_dispute(dispute))
    }

    /// Sends evidence: the dispute, inquiry or appeal is under review.
    ///
    /// # Errors
    /// When none is asked for, or not any more.
    pub fn submit_evidence(&self, dispute: &str) -> Result<Value, ApiError> {
        self.inner.with(|state| state.submit_evidence(dispute))
    }

    /// The bank decides a dispute. An inquiry that is won is closed.
    ///
    /// # Errors
    /// When there is no such dispute, or it is decided already.
    pub fn close_dispute(&self, dispute: &str, won: bool) -> Result<Value, ApiError> {
        self.inner.with(|state| state.close_dispute(dispute, won))
    }

    /// Appeals against a dispute that was lost.
    ///
    /// # Errors
    /// When there is no such dispute, or it is not lost.
    pub fn appeal_dispute(&self, dispute: &str) -> Result<Value, ApiError> {
        self.inner.with(|state| state.appeal_dispute(dispute))
    }
}
