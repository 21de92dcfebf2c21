//! What people decide about an open invoice.

use super::collect::Collect;
use crate::fake_stripe::{
    error::{ApiError, Decline},
    state::{State, update},
    table::Resource,
};

impl State {
    /// Written off: nobody tries to collect it any more.
    pub(in crate::fake_stripe) fn mark_uncollectible(
        &mut self,
        id: &str,
        reason: &'static str,
    ) -> Result<(), ApiError> {
        let now = self.now();
        self.update_invoice(id, "invoice.marked_uncollectible", |invoice| {
            invoice.status = "uncollectible";
            invoice.uncollectible = Some((reason, now));
            invoice.auto_advance = false;
            invoice.next_payment_attempt = None;
        })?;
        match self.invoice(id)?.subscription.clone() {
            Some(sub) => self.end_pause(&sub, id),
            None => Ok(()),
        }
    }

    /// An invoice that waits for its money.
    pub(in crate::fake_stripe) fn owing(&self, id: &str) -> Result<(), ApiError> {
        match self.invoice(id)?.status {
            "open" | "uncollectible" => Ok(()),
            status => Err(ApiError::invalid(format!("This invoice is {status}, and not open."))
                .with_code("invoice_not_editable")),
        }
    }

    /// Paid without Stripe: `invoice.paid` alone, as no attempt succeeded.
    pub(in crate::fake_stripe) fn pay_out_of_band(&mut self, id: &str) -> Result<(), ApiError> {
        let status = self.invoice(id)?.status;
        if !matches!(status, "open" | "uncollectible") {
            return Err(ApiError::invalid(format!("A {status} invoice cannot be paid.")));
        }
        let now = self.now();
        let after = self.update_invoice(id, "invoice.updated", |invoice| {
            invoice.status = "paid";
            invoice.out_of_band = true;
            invoice.paid_at = Some(now);
            invoice.amount_paid = invoice.due();
            invoice.auto_advance = false;
            invoice.next_payment_attempt = None;
        })?;
        self.emit("invoice.paid", after, None);
        self.recover(id)
    }

    /// The customer confirms the payment of an invoice, or turns it down.
    pub(in crate::fake_stripe) fn confirm_payment(
        &mut self,
        id: &str,
        confirmed: bool,
    ) -> Result<(), ApiError> {
        let intent = self.invoice(id)?.payment_intent.clone();
        let waiting = intent.as_ref().and_then(|id| self.intents.get(id));
        let waiting = waiting.filter(|intent| intent.status == "requires_action");
        let method = waiting.and_then(|intent| intent.payment_method.clone());
        let (Some(intent), Some(method)) = (intent, method) else {
            return Err(ApiError::invalid("This invoice has no payment that requires action."));
        };
        if confirmed {
            let charge = self.charge_card(&intent, &method, true, None)?;
            let charge = charge.map_err(|(decline, _)| ApiError::card(decline))?;
            return self.settle(id, Some((intent, charge)), true);
        }
        self.conclude(&intent, Some(Decline::AuthenticationRequired))?;
        self.collection_failed(id, (Collect::ByHand, true), None)
    }

    /// How the collection of an invoice's subscription rests, if it does.
    pub(super) fn resting(&self, invoice: &str) -> Option<&'static str> {
        let sub = self.invoices.get(invoice)?.subscription.as_deref()?;
        self.subscriptions.get(sub)?.pause_collection.map(|(behavior, _)| behavior)
    }

    /// A refund or a dispute leaves nothing to do about a warning.
    pub(super) fn spend_warning(&mut self, charge: &str) -> Result<(), ApiError> {
        let found = self.warnings.iter().find(|row| row.charge == charge && row.actionable);
        let Some(id) = found.map(|row| row.id.clone()) else {
            return Ok(());
        };
        let (before, after) =
            update(&mut self.warnings, &id, "early_fraud_warning", |row| row.actionable = false)?;
        self.emit("radar.early_fraud_warning.updated", after, Some(before));
        Ok(())
    }

    /// The network suspects a payment.
    pub(in crate::fake_stripe) fn warn_of_fraud(
        &mut self,
        charge: &str,
    ) -> Result<String, ApiError> {
        let about = self.charge(charge)?;
        let warning = crate::fake_stripe::model::FraudWarning {
            id: String::new(),
            created: self.now(),
            charge: charge.to_owned(),
            payment_intent: about.payment_intent.clone(),
            actionable: about.amount_refunded < about.amount && !about.disputed,
        };
        let id = self.ids.next("issfr_1");
        let warning = crate::fake_stripe::model::FraudWarning { id: id.clone(), ..warning };
        self.emit("radar.early_fraud_warning.created", warning.json(), None);
        self.warnings.add(warning);
        Ok(id)
    }
}
