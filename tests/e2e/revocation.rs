//! Access whose money was called back: taken away, given back, and taken for as long as was paid.

use std::sync::Arc;

use bytes::Bytes;
use chrono::DateTime;
use serde_json::Value;
use stripe_billing_core::catalog::{OnDispute, OnFullRefund, Policy};
use stripe_billing_core::store::Store;
use stripe_billing_core::{AccountKey, MemoryStore, Tenant};
use stripe_billing_testing::event::histories::{ACCOUNT, ACCOUNT_KEY, MONTH, START};
use stripe_billing_testing::event::{
    ChargeObject, CustomerObject, DisputeObject, EventBuilder, InvoiceObject, InvoicePaymentObject,
    PaymentIntentObject, RefundObject, Shape, SubscriptionObject,
};

use crate::stage::{Dice, Setup, Stage, moved, tenant};

const NOTES: &[(&str, &str)] = &[(ACCOUNT_KEY, ACCOUNT)];
const DAY: i64 = 86_400;
const SHAPES: [Shape; 3] = [Shape::Old, Shape::Basil, Shape::New];

fn policy() -> Policy {
    Policy {
        on_dispute: OnDispute::RevokeAccess,
        on_full_refund: OnFullRefund::RevokeAccess,
        ..Policy::default()
    }
}

struct Tale {
    shape: Shape,
    events: Vec<Bytes>,
}

impl Tale {
    fn tell(&mut self, at: i64, kind: &str, object: Value) {
        let id = format!("evt_{}", self.events.len() + 1);
        let event = EventBuilder::new(kind).id(id).created(at).shape(self.shape).object(object);
        self.events.push(event.build());
    }

    /// An invoice and the payment that it was paid by: tied on the objects themselves in old
    /// versions, since basil by an event of its own alone.
    fn paid(&mut self, number: i64) {
        let (invoice, intent) = (format!("in_{number}"), format!("pi_{number}"));
        let charge = format!("ch_{number}");
        let at = START + (number - 1) * MONTH;
        let reason = if number == 1 { "subscription_create" } else { "subscription_cycle" };
        let paid = InvoiceObject::new(&invoice, "cus_1", Some("sub_1"))
            .status("paid")
            .billing_reason(reason)
            .created(at)
            .period((at, at + MONTH))
            .paid_at(Some(at))
            .metadata(NOTES)
            .payment_intent(Some(&intent))
            .charge(Some(&charge));
        let shape = self.shape;
        self.tell(at, "charge.succeeded", charged(number, 0).render(shape));
        let payment = PaymentIntentObject::new(&intent, 1_500)
            .customer(Some("cus_1"))
            .invoice(Some(&invoice))
            .latest_charge(Some(&charge))
            .created(at);
        self.tell(at, "payment_intent.succeeded", payment.render(shape));
        self.tell(at, "invoice.paid", paid.render(shape));
        if shape >= Shape::Basil {
            let tie = InvoicePaymentObject::new("inpay_1", &invoice, &intent, 1_500).created(at);
            self.tell(at, "invoice_payment.paid", tie.render(shape));
        }
    }
}

fn charged(number: i64, refunded: i64) -> ChargeObject {
    let (charge, intent) = (format!("ch_{number}"), format!("pi_{number}"));
    ChargeObject::new(&charge, Some(&intent), 1_500)
        .customer(Some("cus_1"))
        .invoice(Some(&format!("in_{number}")))
        .amount_refunded(refunded)
        .created(START + (number - 1) * MONTH)
}

/// A subscription in its second month, with both months paid.
fn two_months(shape: Shape) -> Tale {
    let mut tale = Tale { shape, events: Vec::new() };
    let customer = CustomerObject::new("cus_1").metadata(NOTES);
    tale.tell(START, "customer.created", customer.render(shape));
    let first = SubscriptionObject::new("sub_1", "cus_1").metadata(NOTES);
    tale.tell(START, "customer.subscription.created", first.render(shape));
    tale.paid(1);
    let renewal = START + MONTH;
    let second = first.period((renewal, renewal + MONTH));
    tale.tell(renewal, "customer.subscription.updated", second.render(shape));
    tale.paid(2);
    tale
}

/// In the second month, of the second month's money.
fn disputed(shape: Shape, statuses: &[&str]) -> Vec<Bytes> {
    let mut tale = two_months(shape);
    let opened = START + MONTH + DAY;
    let dispute =
        DisputeObject::new("dp_1", "ch_2", 1_500).payment_intent(Some("pi_2")).created(opened);
    for (at, status) in (opened..).step_by(3_600).zip(statuses) {
        let kind = match *status {
            "needs_response" => "charge.dispute.created",
            "won" | "lost" => "charge.dispute.closed",
            _ => "charge.dispute.updated",
        };
        let dispute = dispute.clone().status(status).withdrawn(true);
        let dispute = dispute.reinstated(*status == "won");
        tale.tell(at, kind, dispute.render(shape));
    }
    tale.events
}

fn refunded(shape: Shape, amount: i64, fails: bool) -> Vec<Bytes> {
    let mut tale = two_months(shape);
    let at = START + MONTH + DAY;
    let refund = RefundObject::new("re_1", "ch_2", amount)
        .payment_intent(Some("pi_2"))
        .customer(Some("cus_1"))
        .created(at);
    tale.tell(at, "refund.created", refund.render(shape));
    tale.tell(at, "charge.refunded", charged(2, amount).render(shape));
    if fails {
        let failed = refund.status("failed").failure_reason(Some("lost_or_stolen_card"));
        let later = at + 10 * DAY;
        // Older versions tell of it by the general event alone.
        let kind = if shape < Shape::Acacia { "charge.refund.updated" } else { "refund.failed" };
        tale.tell(later, kind, failed.render(shape));
        tale.tell(later, "charge.updated", charged(2, 0).render(shape));
    }
    tale.events
}

/// Access two days into each of the first three months.
async fn months(stage: &Stage, tenant: &Tenant) -> [bool; 3] {
    let stripe_account = tenant.stripe_account.clone();
    let key = AccountKey { stripe_account, account: ACCOUNT.to_owned() };
    let mut months = [false; 3];
    for (month, access) in (0..).zip(&mut months) {
        let at = DateTime::from_timestamp(START + month * MONTH + 2 * DAY, 0);
        *access = stage.billing.account_view(&key, None, at).await.expect("read").access;
    }
    months
}

type Case = (&'static str, fn(Shape) -> Vec<Bytes>, [bool; 3]);

/// Access is that of the newest state, whichever month is asked for: what is gone is gone until
/// the end of what it paid for.
const CASES: [Case; 8] = [
    ("undisputed", |shape| two_months(shape).events, [true; 3]),
    ("opened", |shape| disputed(shape, &["needs_response"]), [false; 3]),
    ("under review", |shape| disputed(shape, &["needs_response", "under_review"]), [false; 3]),
    ("won", |shape| disputed(shape, &["needs_response", "under_review", "won"]), [true; 3]),
    (
        "lost",
        |shape| disputed(shape, &["needs_response", "under_review", "lost"]),
        [false, false, true],
    ),
    ("refunded", |shape| refunded(shape, 1_500, false), [false, false, true]),
    ("refunded in part", |shape| refunded(shape, 700, false), [true; 3]),
    ("refund failed", |shape| refunded(shape, 1_500, true), [true; 3]),
];

async fn called_back_money_does_not_keep_access(store: Arc<dyn Store>) {
    let stage = Stage::new(store, Setup::policy(&policy()));
    let mut dice = Dice(29);
    let mut told = Vec::new();
    for (name, tale, expected) in CASES {
        for shape in SHAPES {
            for turn in 0..4 {
                let tenant = tenant(told.len() + 1);
                let mut events = tale(shape);
                match turn {
                    0 => {}
                    1 => events.reverse(),
                    _ => dice.shuffle(&mut events),
                }
                let events: Vec<Bytes> = events.iter().map(|body| moved(body, &tenant)).collect();
                let step = 1 + dice.below(events.len());
                for some in events.chunks(step) {
                    stage.deliver(some).await;
                    stage.billing.process_due().await.expect("the store answers");
                }
                told.push((format!("{name} in {shape:?}, turn {turn}"), tenant, expected));
            }
        }
    }
    stage.settle().await;
    for (name, tenant, expected) in told {
        assert_eq!(months(&stage, &tenant).await, expected, "{name}");
    }
}

#[tokio::test]
async fn by_default_called_back_money_does_not_end_access() {
    for shape in SHAPES {
        for events in [disputed(shape, &["needs_response", "lost"]), refunded(shape, 1_500, false)]
        {
            let stage = Stage::new(Arc::new(MemoryStore::new()), Setup::default());
            stage.deliver(&events).await;
            stage.settle().await;
            assert_eq!(months(&stage, &Tenant::platform(true)).await, [true; 3]);
        }
    }
}

/// Each step by itself, as it is seen while it happens.
#[tokio::test]
async fn access_comes_and_goes_with_the_dispute() {
    for shape in SHAPES {
        let events = disputed(shape, &["needs_response", "under_review", "won"]);
        let stage = Stage::new(Arc::new(MemoryStore::new()), Setup::policy(&policy()));
        let (before, steps) = events.split_at(events.len() - 3);
        stage.deliver(before).await;
        stage.settle().await;
        let mut seen = vec![months(&stage, &Tenant::platform(true)).await[1]];
        for step in steps {
            stage.deliver([step]).await;
            stage.settle().await;
            seen.push(months(&stage, &Tenant::platform(true)).await[1]);
        }
        assert_eq!(seen, [true, false, false, true], "{shape:?}");
    }
}

mod on {
    use crate::backends::on_every_backend;

    on_every_backend!(called_back_money_does_not_keep_access);
}
