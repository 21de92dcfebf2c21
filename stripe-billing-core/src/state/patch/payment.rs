//! Payments, and the money that comes back.

use super::{Patch, versions};
use crate::catalog::Link;
use crate::state::links::{Anchor, LinkSource};
use crate::state::record::{PaymentRecord, Record};
use crate::state::versions::{Rank, Versions};
use crate::stripe::Event;
use crate::stripe::objects::{
    Charge, ChargeStatus, Dispute, FraudWarning, InvoicePayment, PaymentIntent, Refund,
};

impl Patch {
    pub(super) fn payment_intent(event: &Event, keys: &Link) -> Option<Self> {
        let versions = versions(event, PaymentIntent::from_json)?;
        let view = versions.latest()?.clone();
        let mut patch = Self::default();
        patch.named(Anchor::Customer, view.customer.as_ref());
        patch.claim(LinkSource::PaymentMetadata, view.metadata.get(&keys.account), event);
        let mut payment = patch.payment_of(Some(&view.id), view.latest_charge.as_ref())?;
        payment.intent = versions;
        patch.pays(&mut payment, view.invoice.as_ref());
        patch.records.push(Record::Payment(payment));
        Some(patch)
    }

    pub(super) fn charge(event: &Event, keys: &Link) -> Option<Self> {
        let versions = versions(event, Charge::from_json)?;
        let view = versions.latest()?.clone();
        let mut patch = Self::default();
        patch.named(Anchor::Customer, view.customer.as_ref());
        patch.claim(LinkSource::PaymentMetadata, view.metadata.get(&keys.account), event);
        let mut payment = patch.payment_of(view.payment_intent.as_ref(), Some(&view.id))?;
        for refund in &view.refunds {
            let version = Versions::of(event.stamp(), Rank::Updated, refund.clone(), None);
            payment.add_refund(refund, &version);
        }
        // An attempt that failed moved no money, and there is no end of them.
        if view.status == ChargeStatus::Succeeded {
            payment.charges.insert(view.id.clone(), versions);
        }
        patch.pays(&mut payment, view.invoice.as_ref());
        patch.records.push(Record::Payment(payment));
        Some(patch)
    }

    pub(super) fn refund(event: &Event) -> Option<Self> {
        let versions = versions(event, Refund::from_json)?;
        let view = versions.latest()?.clone();
        let mut patch = Self::default();
        patch.named(Anchor::Customer, view.customer.as_ref());
        let ids = (view.payment_intent.as_ref(), view.charge.as_ref());
        patch.add_to_payment(ids, &view.id, |payment| {
            payment.add_refund(&view, &versions);
        });
        Some(patch)
    }

    pub(super) fn dispute(event: &Event) -> Option<Self> {
        let versions = versions(event, Dispute::from_json)?;
        let view = versions.latest()?.clone();
        let mut patch = Self::default();
        let ids = (view.payment_intent.as_ref(), view.charge.as_ref());
        patch.add_to_payment(ids, &view.id, |payment| {
            payment.add_dispute(&view, &versions);
        });
        Some(patch)
    }

    pub(super) fn fraud_warning(event: &Event) -> Option<Self> {
        let versions = versions(event, FraudWarning::from_json)?;
        let view = versions.latest()?.clone();
        let mut patch = Self::default();
        let ids = (view.payment_intent.as_ref(), view.charge.as_ref());
        patch.add_to_payment(ids, &view.id, |payment| {
            payment.warnings.insert(view.id.clone(), versions);
        });
        Some(patch)
    }

    /// Since basil the only place that ties a payment to its invoice.
    pub(super) fn invoice_payment(event: &Event) -> Option<Self> {
        let view = InvoicePayment::from_json(&event.object)?;
        let mut patch = Self::default();
        let ids = (view.payment_intent.as_ref(), view.charge.as_ref());
        let mut payment = patch.payment_of(ids.0, ids.1)?;
        patch.pays(&mut payment, view.invoice.as_ref());
        patch.records.push(Record::Payment(payment));
        Some(patch)
    }

    fn pays(&mut self, payment: &mut PaymentRecord, invoice: Option<&String>) {
        self.named(Anchor::Invoice, invoice);
        payment.invoices.extend(invoice.cloned());
    }

    /// Adds to the payment with these ids; what names none is a payment of its own.
    fn add_to_payment(
        &mut self,
        (intent, charge): (Option<&String>, Option<&String>),
        id: &str,
        add: impl FnOnce(&mut PaymentRecord),
    ) {
        let payment = self.payment_of(intent, charge);
        if payment.is_none() {
            self.owned_by(None, id);
        }
        let mut payment = payment.unwrap_or_else(|| PaymentRecord::new(id));
        add(&mut payment);
        self.records.push(Record::Payment(payment));
    }
}
