//! Money that goes back: refunds, and refunds that bounce.

use crate::fake_stripe::{
    error::ApiError,
    model::{Metadata, Refund},
    state::{Due, State, update},
    table::Resource,
};

/// A refund to make.
#[derive(Clone, Debug, Default)]
pub(in crate::fake_stripe) struct Returning {
    /// Minor units; without it, all that is left.
    pub(in crate::fake_stripe) amount: Option<i64>,
    pub(in crate::fake_stripe) reason: Option<String>,
    pub(in crate::fake_stripe) metadata: Metadata,
    /// It is pending for so many seconds.
    pub(in crate::fake_stripe) arrives_after: Option<i64>,
    /// It bounces after so many seconds.
    pub(in crate::fake_stripe) fails_after: Option<i64>,
}

impl State {
    /// Refunds some of a charge, or all that is left.
    pub(in crate::fake_stripe) fn refund(
        &mut self,
        charge: &str,
        of: Returning,
    ) -> Result<String, ApiError> {
        let about = self.charge(charge)?.clone();
        let left = about.amount - about.amount_refunded;
        if left == 0 {
            let message = format!("Charge {charge} has already been refunded.");
            return Err(ApiError::invalid(message).with_code("charge_already_refunded"));
        }
        let amount = of.amount.unwrap_or(left);
        if about.status() != "succeeded" {
            let message = format!("This charge is {} and cannot be refunded.", about.status());
            return Err(ApiError::invalid(message).with_param("charge"));
        }
        if amount <= 0 || amount > left {
            return Err(ApiError::bad_param(
                "amount",
                format!(
                    "Refund amount ({amount}) must be positive and at most what is left on \
                     the charge ({left})"
                ),
            )
            .with_code("amount_too_large"));
        }
        let refund = Refund {
            id: self.ids.next("re_3"),
            created: self.now(),
            amount,
            currency: about.currency,
            charge: charge.to_owned(),
            payment_intent: about.payment_intent,
            customer: about.customer,
            payment_method: about.payment_method,
            reason: of.reason,
            status: if of.arrives_after.is_some() { "pending" } else { "succeeded" },
            reference: false,
            metadata: of.metadata,
        };
        let id = refund.id.clone();
        self.emit("refund.created", refund.json(), None);
        self.refunds.add(refund);
        self.change_charge(charge, "charge.refunded", |charge| {
            charge.amount_refunded += amount;
            charge.receipt += 1;
        })?;
        if amount == left {
            self.spend_warning(charge)?;
        }
        match of.arrives_after {
            None => self.refund_arrives(&id)?,
            Some(after) => self.schedule(self.now() + after, Due::RefundArrives(id.clone())),
        }
        if let Some(after) = of.fails_after {
            self.schedule(self.now() + after, Due::RefundFails(id.clone()));
        }
        Ok(id)
    }

    /// The bank has the money, and gives a reference.
    pub(in crate::fake_stripe) fn refund_arrives(&mut self, id: &str) -> Result<(), ApiError> {
        let refund = self.refunds.get(id).ok_or_else(|| ApiError::no_such("refund", id, "id"))?;
        if refund.status == "failed" {
            return Ok(());
        }
        let (before, after) = update(&mut self.refunds, id, "refund", |refund| {
            refund.status = "succeeded";
            refund.reference = true;
        })?;
        if before != after {
            self.emit("refund.updated", after, Some(before));
        }
        Ok(())
    }

    /// The refund bounces: the money is back with the merchant.
    pub(in crate::fake_stripe) fn fail_refund(&mut self, id: &str) -> Result<(), ApiError> {
        let refund = self.refunds.get(id).ok_or_else(|| ApiError::no_such("refund", id, "id"))?;
        if refund.status == "failed" {
            return Err(ApiError::invalid(format!("Refund {id} has failed already.")));
        }
        let (charge, amount) = (refund.charge.clone(), refund.amount);
        let (_, after) = update(&mut self.refunds, id, "refund", |refund| {
            refund.status = "failed";
        })?;
        self.emit("refund.failed", after, None);
        self.change_charge(&charge, "charge.updated", |charge| {
            charge.amount_refunded -= amount;
        })
    }

    fn change_charge(
        &mut self,
        id: &str,
        kind: &'static str,
        change: impl FnOnce(&mut crate::fake_stripe::model::Charge),
    ) -> Result<(), ApiError> {
        let (before, after) = update(&mut self.charges, id, "charge", change)?;
        self.emit(kind, after, Some(before));
        Ok(())
    }
}
