//! Tells events one after the other.

use bytes::Bytes;
use serde_json::Value;

use super::{MONTH, START};
use crate::event::{
    ChargeObject, CheckoutObject, CustomerObject, DisputeObject, EntitlementSummaryObject,
    EventBuilder, FraudWarningObject, InvoiceObject, InvoicePaymentObject, PaymentIntentObject,
    PaymentMethodObject, PaymentSourceObject, RefundObject, Shape, SubscriptionObject,
};

/// What an event can be about.
pub(super) trait Told {
    fn told(&self, shape: Shape) -> Value;
}

macro_rules! told {
    ($($object:ty),+ $(,)?) => {
        $(impl Told for $object {
            fn told(&self, shape: Shape) -> Value {
                self.render(shape)
            }
        })+
    };
}
told!(
    ChargeObject,
    CheckoutObject,
    CustomerObject,
    DisputeObject,
    EntitlementSummaryObject,
    FraudWarningObject,
    InvoiceObject,
    InvoicePaymentObject,
    PaymentIntentObject,
    PaymentMethodObject,
    PaymentSourceObject,
    RefundObject,
    SubscriptionObject,
);

impl Told for Value {
    fn told(&self, _: Shape) -> Value {
        self.clone()
    }
}

/// Numbers events as they happen.
pub(super) struct Story {
    name: &'static str,
    pub(super) shape: Shape,
    pub(super) events: Vec<Bytes>,
}

impl Story {
    pub(super) fn new(name: &'static str, shape: Shape) -> Self {
        Self { name, shape, events: Vec::new() }
    }

    fn builder(&self, created: i64, event_type: &str) -> EventBuilder {
        EventBuilder::new(event_type)
            .id(format!("evt_{}_{}", self.name, self.events.len() + 1))
            .shape(self.shape)
            .created(created)
    }

    pub(super) fn tell(&mut self, created: i64, event_type: &str, object: &impl Told) {
        let object = object.told(self.shape);
        let event = self.builder(created, event_type).object(object).build();
        self.events.push(event);
    }

    /// A change, with what was before.
    pub(super) fn step<T: Told>(&mut self, created: i64, event_type: &str, before: &T, after: &T) {
        let (before, after) = (before.told(self.shape), after.told(self.shape));
        let event = self.builder(created, event_type).change(&before, &after).build();
        self.events.push(event);
    }

    pub(super) fn change(
        &mut self,
        created: i64,
        before: &SubscriptionObject,
        after: &SubscriptionObject,
    ) {
        self.step(created, "customer.subscription.updated", before, after);
    }

    /// The subscription as it begins, active in its first month.
    pub(super) fn subscribed(&mut self) -> SubscriptionObject {
        let first = super::subscription();
        self.tell(START, "customer.subscription.created", &first);
        first
    }

    /// A renewal up to its draft: the period has moved, and no money has.
    pub(super) fn renewed(&mut self, first: &SubscriptionObject) -> (SubscriptionObject, Bill) {
        let at = START + MONTH;
        let period = (at, at + MONTH);
        let renewed = first.clone().period(period).latest_invoice(Some("in_2"));
        self.change(at, first, &renewed);
        let draft = super::invoice("in_2")
            .status("draft")
            .billing_reason("subscription_cycle")
            .created(at)
            .period(period)
            .next_payment_attempt(Some(at + 3_600));
        self.tell(at, "invoice.created", &draft);
        (renewed, Bill { id: "in_2", amount: 1_500, object: draft })
    }

    /// A draft becomes final, and its payment begins.
    pub(super) fn finalized(&mut self, at: i64, bill: &mut Bill) {
        bill.object = bill.object.clone().status("open").finalized_at(at);
        self.tell(at, "invoice.finalized", &bill.object);
        let intent = bill.intent().status("requires_payment_method").payment_method(None);
        self.tell(at, "payment_intent.created", &intent);
    }

    /// The bank says no: the `attempt`-th time, and once more at `next`.
    pub(super) fn refused(&mut self, at: i64, bill: &mut Bill, attempt: i64, next: Option<i64>) {
        let charge = bill.charge(attempt).status("failed").failure_code(Some("card_declined"));
        self.tell(at, "charge.failed", &charge.created(at));
        let intent = bill
            .intent()
            .status("requires_payment_method")
            .latest_charge(Some(&bill.charge_id(attempt)))
            .decline_code(Some("insufficient_funds"));
        self.tell(at, "payment_intent.payment_failed", &intent);
        let before = bill.object.clone();
        bill.object = before.clone().attempt_count(attempt).next_payment_attempt(next);
        if attempt > 1 {
            self.step(at, "invoice.updated", &before, &bill.object);
        }
        self.tell(at, "invoice.payment_failed", &bill.object);
    }

    /// The bank says yes at the `attempt`-th time.
    pub(super) fn collected(&mut self, at: i64, bill: &mut Bill, attempt: i64) {
        let charge_id = bill.charge_id(attempt);
        self.tell(at, "charge.succeeded", &bill.charge(attempt).created(at));
        let intent = bill.intent().latest_charge(Some(&charge_id));
        self.tell(at, "payment_intent.succeeded", &intent);
        let before = bill.object.clone();
        bill.object = before
            .clone()
            .status("paid")
            .attempt_count(attempt)
            .next_payment_attempt(None)
            .paid_at(Some(at))
            .charge(Some(&charge_id));
        self.step(at, "invoice.updated", &before, &bill.object);
        self.paid(at, bill, &bill.intent_id());
    }

    /// What follows once an invoice is paid, by whatever.
    pub(super) fn paid(&mut self, at: i64, bill: &Bill, payment: &str) {
        self.tell(at, "invoice.paid", &bill.object);
        self.tell(at, "invoice.payment_succeeded", &bill.object);
        if self.shape >= Shape::Basil {
            let id = format!("inpay_{}", bill.id);
            let row = InvoicePaymentObject::new(&id, bill.id, payment, bill.amount).created(at);
            self.tell(at, "invoice_payment.paid", &row);
        }
    }
}

/// An invoice and what it asks for.
pub(super) struct Bill {
    pub(super) id: &'static str,
    pub(super) amount: i64,
    pub(super) object: InvoiceObject,
}

impl Bill {
    pub(super) fn intent_id(&self) -> String {
        format!("pi_{}", self.id)
    }

    pub(super) fn charge_id(&self, attempt: i64) -> String {
        format!("ch_{}_{attempt}", self.id)
    }

    pub(super) fn intent(&self) -> PaymentIntentObject {
        PaymentIntentObject::new(&self.intent_id(), self.amount)
            .customer(Some("cus_1"))
            .invoice(Some(self.id))
    }

    pub(super) fn charge(&self, attempt: i64) -> ChargeObject {
        ChargeObject::new(&self.charge_id(attempt), Some(&self.intent_id()), self.amount)
            .customer(Some("cus_1"))
            .invoice(Some(self.id))
    }
}
