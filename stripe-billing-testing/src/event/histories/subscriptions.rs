//! Trials, changes of plan, and the ways to stop for a while.

use bytes::Bytes;
use serde_json::{Value, json};

use super::packs::customer;
use super::story::{Bill, Story};
use super::{ACCOUNT, DAY, MONTH, NOTES, START, invoice, subscription};
use crate::event::{
    CheckoutObject, InvoiceObject, LineObject, PaymentMethodObject, Shape, SubscriptionObject,
};

const TRIAL_END: i64 = START + 14 * DAY;

/// A trial with its invoice of nothing.
fn trial(story: &mut Story, trialing: &SubscriptionObject) {
    story.tell(START, "customer.subscription.created", trialing);
    let free = |status| {
        invoice("in_1").status(status).total(0).period((START, TRIAL_END)).auto_advance(false)
    };
    story.tell(START, "invoice.created", &free("draft"));
    story.tell(START, "invoice.finalized", &free("open"));
    let paid = free("paid").paid_at(Some(START)).attempted(true);
    story.tell(START, "invoice.paid", &paid);
    story.tell(START, "invoice.payment_succeeded", &paid);
}

fn trialing() -> SubscriptionObject {
    subscription().status("trialing").trial(Some((START, TRIAL_END))).period((START, TRIAL_END))
}

/// The first invoice that costs something: drawn up when the trial ends, paid an hour later.
fn first_bill(story: &mut Story, created: i64) -> Bill {
    let draft = invoice("in_2")
        .status("draft")
        .billing_reason("subscription_cycle")
        .created(created)
        .period((created, created + MONTH))
        .next_payment_attempt(Some(created + 3_600));
    story.tell(created, "invoice.created", &draft);
    Bill { id: "in_2", amount: 1_500, object: draft }
}

fn setup_intent(status: &str) -> Value {
    json!({"id": "seti_1", "object": "setup_intent", "application": null, "created": START,
        "customer": "cus_1", "livemode": true, "metadata": {}, "payment_method": "pm_1",
        "payment_method_types": ["card"], "status": status, "usage": "off_session"})
}

/// A trial with a card, which becomes a paid subscription. Ends active, paid for a month after the
/// trial.
pub fn trial_to_paid(shape: Shape) -> Vec<Bytes> {
    let mut story = Story::new("trial_to_paid", shape);
    story.tell(START, "customer.created", &customer());
    story.tell(START, "setup_intent.created", &setup_intent("requires_payment_method"));
    let card = PaymentMethodObject::new("pm_1", Some("cus_1"));
    story.tell(START, "payment_method.attached", &card);
    story.tell(START, "setup_intent.succeeded", &setup_intent("succeeded"));
    let trialing = trialing();
    trial(&mut story, &trialing);
    let session = CheckoutObject::new("cs_live_1", Some("cus_1"))
        .subscription("sub_1")
        .invoice(Some("in_1"))
        .payment_status("no_payment_required")
        .amount_total(0)
        .client_reference_id(Some(ACCOUNT))
        .metadata(NOTES);
    story.tell(START + 1, "checkout.session.completed", &session);

    story.tell(TRIAL_END - 3 * DAY, "customer.subscription.trial_will_end", &trialing);
    let active = trialing
        .clone()
        .status("active")
        .period((TRIAL_END, TRIAL_END + MONTH))
        .latest_invoice(Some("in_2"));
    story.change(TRIAL_END, &trialing, &active);
    let mut bill = first_bill(&mut story, TRIAL_END);
    story.finalized(TRIAL_END + 3_600, &mut bill);
    story.collected(TRIAL_END + 3_601, &mut bill, 1);
    story.events
}

fn invoice_item(id: &str, amount: i64, at: i64) -> Value {
    json!({"id": id, "object": "invoiceitem", "amount": amount, "currency": "usd",
        "customer": "cus_1", "date": at, "description": "Proration", "discountable": false,
        "invoice": null, "livemode": true, "metadata": {}, "proration": true, "quantity": 1,
        "period": {"start": at, "end": START + MONTH}})
}

/// A change to `price_team` after ten days, whose difference is paid at once. Ends active, on
/// `price_team`.
pub fn upgrade(shape: Shape) -> Vec<Bytes> {
    let mut story = Story::new("upgrade", shape);
    let before = story.subscribed();
    let at = START + 10 * DAY;
    story.tell(at, "invoiceitem.created", &invoice_item("ii_1", -1_000, at));
    story.tell(at, "invoiceitem.created", &invoice_item("ii_2", 3_000, at));
    let after = before.clone().price("price_team");
    story.change(at, &before, &after);
    let rest = (at, START + MONTH);
    let line = |id, amount, item| {
        LineObject::new(id, amount).proration(true).invoice_item(Some(item)).period(rest)
    };
    let lines = [
        line("il_1", -1_000, "ii_1").description("Unused time on Pro"),
        line("il_2", 3_000, "ii_2").description("Remaining time on Team").price("price_team"),
    ];
    let draft = invoice("in_2")
        .status("draft")
        .billing_reason("subscription_update")
        .created(at)
        .lines(&lines);
    story.tell(at, "invoice.created", &draft);
    let mut bill = Bill { id: "in_2", amount: 2_000, object: draft };
    story.finalized(at, &mut bill);
    story.collected(at + 1, &mut bill, 1);
    story.change(at + 1, &after, &after.clone().latest_invoice(Some("in_2")));
    story.events
}

/// A cancellation at the period's end that is taken back, and the renewal that follows. Ends
/// active, paid to the end of the second period.
pub fn cancel_undone(shape: Shape) -> Vec<Bytes> {
    let mut story = Story::new("cancel_undone", shape);
    let active = story.subscribed();
    let asked = START + 5 * DAY;
    let leaving = active
        .clone()
        .cancel_at_period_end(true)
        .cancel_at(Some(START + MONTH))
        .canceled_at(Some(asked))
        .cancel_feedback(Some("too_expensive"));
    story.change(asked, &active, &leaving);
    story.change(asked + 2 * DAY, &leaving, &active);
    let (_, mut bill) = story.renewed(&active);
    story.finalized(START + MONTH + 3_600, &mut bill);
    story.collected(START + MONTH + 3_601, &mut bill, 1);
    story.events
}

/// Collection that is paused over a renewal and resumed: the status stays active, and the invoice
/// of that time is void. Ends active, the second period free.
pub fn collection_paused(shape: Shape) -> Vec<Bytes> {
    let mut story = Story::new("collection_paused", shape);
    let active = story.subscribed();
    let until = Some(START + 2 * MONTH);
    let resting = active.clone().pause_collection(Some(("void", until)));
    story.change(START + 5 * DAY, &active, &resting);
    let (renewed, bill) = story.renewed(&resting);
    let at = START + MONTH + 3_600;
    let open = bill.object.status("open").finalized_at(at);
    story.tell(at, "invoice.finalized", &open);
    story.tell(at, "invoice.voided", &open.next_payment_attempt(None).voided(at));
    let back = START + MONTH + 20 * DAY;
    story.change(back, &renewed, &renewed.clone().pause_collection(None));
    story.events
}

/// A trial without a card that pauses, and is resumed with one. Ends active, paid for the month
/// after it was resumed.
pub fn paused(shape: Shape) -> Vec<Bytes> {
    let mut story = Story::new("paused", shape);
    story.tell(START, "customer.created", &customer());
    let trialing = trialing().default_payment_method(None).trial_end_behavior("pause");
    trial(&mut story, &trialing);
    story.tell(TRIAL_END - 3 * DAY, "customer.subscription.trial_will_end", &trialing);
    let resting = trialing.clone().paused("trial_end_without_payment_method", TRIAL_END);
    story.change(TRIAL_END, &trialing, &resting);
    story.tell(TRIAL_END, "customer.subscription.paused", &resting);

    let back = TRIAL_END + 10 * DAY;
    let card = PaymentMethodObject::new("pm_1", Some("cus_1")).created(back);
    story.tell(back, "payment_method.attached", &card);
    let draft = InvoiceObject::new("in_2", "cus_1", Some("sub_1"))
        .metadata(NOTES)
        .status("draft")
        .billing_reason("subscription_cycle")
        .created(back)
        .period((back, back + MONTH));
    story.tell(back, "invoice.created", &draft);
    let mut bill = Bill { id: "in_2", amount: 1_500, object: draft };
    story.finalized(back, &mut bill);
    story.collected(back + 1, &mut bill, 1);
    let active = trialing
        .status("active")
        .default_payment_method(Some("pm_1"))
        .period((back, back + MONTH))
        .latest_invoice(Some("in_2"));
    story.change(back + 1, &resting, &active);
    story.tell(back + 1, "customer.subscription.resumed", &active);
    story.events
}
