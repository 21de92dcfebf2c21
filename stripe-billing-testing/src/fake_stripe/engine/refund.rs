//! Money that goes back: refunds, failed refunds, disputes.

use serde_json::Value;

use crate::fake_stripe::{
    error::ApiError,
    model::{Dispute, Metadata, Refund},
    state::{State, update},
    table::Resource,
};

impl State {
    /// Refunds `amount` minor units of a charge, or all that is left.
    pub(in crate::fake_stripe) fn refund(
        &mut self,
        charge: &str,
        amount: Option<i64>,
        reason: Option<String>,
        metadata: Metadata,
    ) -> Result<String, ApiError> {
        let about = self.charge(charge)?.clone();
        let left = about.amount - about.amount_refunded;
        if left == 0 {
            let message = format!("Charge {charge} has already been refunded.");
            return Err(ApiError::invalid(message).with_code("charge_already_refunded"));
        }
        let amount = amount.unwrap_or(left);
        if about.decline.is_some() {
            return Err(ApiError::invalid("This charge has failed and cannot be refunded.")
                .with_param("charge"));
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
            reason,
            status: "succeeded",
            reference: false,
            metadata,
        };
        let id = refund.id.clone();
        self.emit("refund.created", refund.json(), None);
        self.refunds.add(refund);
        self.change_charge(charge, "charge.refunded", |charge| {
            charge.amount_refunded += amount;
            charge.receipt += 1;
        })?;
        let (before, after) = update(&mut self.refunds, &id, "refund", |refund| {
            refund.reference = true;
        })?;
        self.emit("refund.updated", after, Some(before));
        Ok(id)
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

    /// A chargeback over `amount`, or over the whole charge.
    pub(in crate::fake_stripe) fn open_dispute(
        &mut self,
        charge: &str,
        amount: Option<i64>,
    ) -> Result<String, ApiError> {
        let about = self.charge(charge)?;
        let mut dispute = Dispute {
            id: String::new(),
            created: self.now(),
            amount: amount.unwrap_or(about.amount),
            currency: about.currency.clone(),
            charge: charge.to_owned(),
            payment_intent: about.payment_intent.clone(),
            reason: "fraudulent".to_owned(),
            status: "needs_response",
            transactions: 0,
        };
        dispute.id = self.ids.next("du_1");
        let id = dispute.id.clone();
        self.emit("charge.dispute.created", dispute.json(), None);
        dispute.transactions = 1;
        self.emit("charge.dispute.funds_withdrawn", dispute.json(), None);
        self.disputes.add(dispute);
        if let Some(charge) = self.charges.get_mut(charge) {
            charge.disputed = true;
        }
        Ok(id)
    }

    pub(in crate::fake_stripe) fn close_dispute(
        &mut self,
        id: &str,
        won: bool,
    ) -> Result<Value, ApiError> {
        let (_, after) = update(&mut self.disputes, id, "dispute", |dispute| {
            dispute.status = if won { "won" } else { "lost" };
            dispute.transactions = if won { 2 } else { 1 };
        })?;
        self.emit("charge.dispute.closed", after.clone(), None);
        if won {
            self.emit("charge.dispute.funds_reinstated", after.clone(), None);
        }
        Ok(after)
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
