//! Invoices: from draft to paid, failed or void.

use super::{HOUR, collect::Collect};
use crate::fake_stripe::{
    error::ApiError,
    model::{Invoice, InvoicePayment, Line, Metadata, Status, Subscription},
    objects::money,
    state::{Due, State},
    table::Resource,
};

/// An invoice to draw up.
pub(in crate::fake_stripe) struct NewInvoice {
    pub(in crate::fake_stripe) subscription: String,
    pub(in crate::fake_stripe) reason: &'static str,
    pub(in crate::fake_stripe) lines: Vec<Line>,
    /// The window for loose items, not the service period.
    pub(in crate::fake_stripe) period: (i64, i64),
    pub(in crate::fake_stripe) finalizes_at: Option<i64>,
}

impl State {
    /// The draft as it would be; nothing is kept.
    pub(in crate::fake_stripe) fn draft(&mut self, new: NewInvoice) -> Result<Invoice, ApiError> {
        let sub = self.subscription(&new.subscription)?.clone();
        let (email, name) = self
            .customers
            .get(&sub.customer)
            .map(|customer| (customer.email.clone(), customer.name.clone()))
            .unwrap_or_default();
        let id = self.ids.next("in_1");
        Ok(Invoice {
            hosted_url: format!("{}/invoice/{id}", self.base_url),
            id,
            created: self.now(),
            currency: sub.currency().to_owned(),
            customer_email: email,
            customer_name: name,
            status: "draft",
            billing_reason: new.reason,
            lines: new.lines,
            subscription: Some(sub.id),
            subscription_metadata: sub.metadata,
            customer: sub.customer,
            period: new.period,
            attempt_count: 0,
            attempted: false,
            auto_advance: true,
            next_payment_attempt: None,
            finalizes_at: new.finalizes_at,
            number: None,
            finalized_at: None,
            paid_at: None,
            voided_at: None,
            uncollectible: None,
            out_of_band: false,
            amount_paid: 0,
            payment_intent: None,
            charge: None,
            metadata: Metadata::new(),
            first_failure: None,
        })
    }

    pub(super) fn add_invoice(&mut self, new: NewInvoice) -> Result<String, ApiError> {
        let invoice = self.draft(new)?;
        let id = invoice.id.clone();
        if let (Some(at), true) = (invoice.finalizes_at, invoice.auto_advance) {
            self.schedule(at, Due::FinalizeInvoice(id.clone()));
        }
        self.invoices.add(invoice);
        Ok(id)
    }

    pub(super) fn announce_invoice(&mut self, id: &str) -> Result<(), ApiError> {
        let draft = self.invoice(id)?.json();
        self.emit("invoice.created", draft, None);
        Ok(())
    }

    /// Draft to open; an invoice of nothing is paid at once.
    pub(in crate::fake_stripe) fn finalize(&mut self, id: &str) -> Result<(), ApiError> {
        let customer = self.invoice(id)?.customer.clone();
        let number = self.customers.get_mut(&customer).map(|customer| {
            let number = customer.next_invoice;
            customer.next_invoice += 1;
            number
        });
        let prefix = crate::fake_stripe::objects::invoice_prefix(&customer);
        let now = self.now();
        self.update_invoice(id, "invoice.finalized", |invoice| {
            invoice.status = "open";
            invoice.finalizes_at = None;
            invoice.finalized_at = Some(now);
            invoice.number = number.map(|number| format!("{prefix}-{number:04}"));
        })?;
        if self.invoice(id)?.due() == 0 {
            self.settle(id, None, false)?;
        }
        Ok(())
    }

    /// Marks an invoice paid and tells everybody, the subscription last.
    pub(super) fn settle(
        &mut self,
        id: &str,
        paid: Option<(String, String)>,
        changed_since: bool,
    ) -> Result<(), ApiError> {
        let now = self.now();
        let before = self.invoice(id)?.json();
        let (mut payment, mut after) = (None, before.clone());
        if let Some(invoice) = self.invoices.get_mut(id) {
            invoice.status = "paid";
            invoice.paid_at = Some(now);
            invoice.attempted = true;
            invoice.auto_advance = false;
            invoice.next_payment_attempt = None;
            invoice.amount_paid = invoice.due();
            if let Some((intent, charge)) = paid {
                invoice.payment_intent = Some(intent.clone());
                invoice.charge = Some(charge);
                payment = Some((intent, invoice.due(), invoice.currency.clone()));
            }
            after = invoice.json();
        }
        if changed_since {
            self.emit("invoice.updated", after.clone(), Some(before));
        }
        self.emit("invoice.paid", after.clone(), None);
        self.emit("invoice.payment_succeeded", after, None);
        if let Some((payment_intent, amount, currency)) = payment {
            let row = InvoicePayment {
                id: self.ids.next("inpay_1"),
                created: now,
                invoice: id.to_owned(),
                payment_intent,
                amount,
                currency,
                paid_at: Some(now),
            };
            self.emit("invoice_payment.paid", row.json(), None);
            self.invoice_payments.add(row);
        }
        self.recover(id)
    }

    /// A subscription whose last open invoice is paid is in order again.
    pub(super) fn recover(&mut self, invoice: &str) -> Result<(), ApiError> {
        let Some(sub) = self.invoice(invoice)?.subscription.clone() else {
            return Ok(());
        };
        self.end_pause(&sub, invoice)?;
        let owing = self
            .invoices
            .iter()
            .any(|other| other.subscription.as_ref() == Some(&sub) && other.status == "open");
        let status = self.subscription(&sub)?.status;
        let stuck = matches!(status, Status::PastDue | Status::Unpaid | Status::Incomplete);
        if stuck && !owing {
            self.update_subscription(&sub, |sub| sub.status = Status::Active)?;
        }
        Ok(())
    }

    pub(super) fn finalize_due(&mut self, id: &str) -> Result<(), ApiError> {
        let invoice = self.invoice(id)?;
        if invoice.status != "draft" || !invoice.auto_advance {
            return Ok(());
        }
        self.finalize(id)?;
        if self.invoice(id)?.status != "open" {
            return Ok(());
        }
        match self.resting(id) {
            Some("void") => self.void_invoice(id),
            Some("mark_uncollectible") => self.mark_uncollectible(id, "subscription_paused"),
            _ => self.collect(id, Collect::Automatic).map(drop),
        }
    }

    pub(in crate::fake_stripe) fn void_invoice(&mut self, id: &str) -> Result<(), ApiError> {
        let now = self.now();
        self.update_invoice(id, "invoice.voided", |invoice| {
            invoice.status = "void";
            invoice.voided_at = Some(now);
            invoice.auto_advance = false;
            invoice.next_payment_attempt = None;
        })?;
        Ok(())
    }

    /// One line for each item over `period`; a trial's lines cost nothing.
    pub(super) fn service_lines(
        &mut self,
        sub: &Subscription,
        period: (i64, i64),
        trial: bool,
    ) -> Vec<Line> {
        let mut lines = Vec::with_capacity(sub.items.len());
        for item in &sub.items {
            let (price, quantity) = (item.price.clone(), item.quantity);
            let each = money(price.unit_amount, &price.currency);
            let every = match price.recurring {
                Some((interval, 1)) => interval.as_str().to_owned(),
                Some((interval, count)) => format!("every {count} {}s", interval.as_str()),
                None => "once".to_owned(),
            };
            let name = &price.product_name;
            let description = if trial {
                format!("Trial period for {name}")
            } else {
                format!("{quantity} × {name} (at {each} / {every})")
            };
            lines.push(Line {
                id: self.ids.next("il_1"),
                amount: if trial { 0 } else { price.amount(quantity) },
                description,
                price,
                quantity,
                period,
                proration: false,
                invoice_item: None,
                subscription: Some(sub.id.clone()),
                subscription_item: Some(item.id.clone()),
                metadata: sub.metadata.clone(),
            });
        }
        lines
    }

    /// Draws up and collects an invoice right now, as a change of plan does.
    pub(super) fn invoice_now(&mut self, sub: &str, lines: Vec<Line>) -> Result<String, ApiError> {
        let now = self.now();
        let id = self.add_invoice(NewInvoice {
            subscription: sub.to_owned(),
            reason: "subscription_update",
            lines,
            period: (now, now),
            finalizes_at: None,
        })?;
        self.announce_invoice(&id)?;
        self.finalize(&id)?;
        if self.invoice(&id)?.status == "open" {
            self.collect(&id, Collect::Automatic).map(drop)?;
        }
        Ok(id)
    }

    pub(super) fn renewal_invoice(
        &mut self,
        sub: &Subscription,
        lines: Vec<Line>,
    ) -> Result<String, ApiError> {
        let kept = sub.pause_collection.is_some_and(|(behavior, _)| behavior == "keep_as_draft");
        let unpaid = sub.status == Status::Unpaid || kept;
        let finalizes_at = (!unpaid).then(|| self.now() + HOUR);
        let id = self.add_invoice(NewInvoice {
            subscription: sub.id.clone(),
            reason: "subscription_cycle",
            lines,
            period: sub.period,
            finalizes_at,
        })?;
        if let (true, Some(invoice)) = (unpaid, self.invoices.get_mut(&id)) {
            invoice.auto_advance = false;
        }
        Ok(id)
    }
}
