//! Invoices that are sent, replaced, or written by hand.

use bytes::Bytes;

use super::story::{Bill, Story};
use super::{DAY, MONTH, START, invoice, subscription};
use crate::event::{InvoiceObject, LineObject, Shape};

/// A subscription that is billed by mail: active before anything is paid, past due when the
/// invoice is, active again when a transfer arrives. Ends active, paid for the first period.
pub fn overdue_then_paid(shape: Shape) -> Vec<Bytes> {
    let mut story = Story::new("overdue_then_paid", shape);
    let active = subscription().send_invoice(14);
    story.tell(START, "customer.subscription.created", &active);
    let due = START + 14 * DAY;
    let draft = invoice("in_1").status("draft").send_invoice(due);
    story.tell(START, "invoice.created", &draft);
    let mut bill = Bill { id: "in_1", amount: 1_500, object: draft };
    story.finalized(START + 3_600, &mut bill);
    story.tell(START + 3_600, "invoice.sent", &bill.object);
    let late = active.clone().status("past_due");
    story.change(due, &active, &late);
    story.tell(due, "invoice.overdue", &bill.object);
    let arrived = due + 3 * DAY;
    story.collected(arrived, &mut bill, 1);
    story.change(arrived, &late, &active);
    story.events
}

/// A renewal's invoice that is void, and one written in its place for half the amount. Ends
/// active, the second invoice paid.
pub fn void_and_reissue(shape: Shape) -> Vec<Bytes> {
    let mut story = Story::new("void_and_reissue", shape);
    let first = story.subscribed();
    let (renewed, mut bill) = story.renewed(&first);
    story.finalized(START + MONTH + 3_600, &mut bill);
    let at = START + MONTH + 7_200;
    let void = bill.object.clone().next_payment_attempt(None).voided(at);
    story.tell(at, "invoice.voided", &void);
    let draft = invoice("in_3")
        .status("draft")
        .billing_reason("manual")
        .from_invoice(Some("in_2"))
        .created(at)
        .total(750)
        .period((START + MONTH, START + 2 * MONTH));
    story.tell(at, "invoice.created", &draft);
    let mut bill = Bill { id: "in_3", amount: 750, object: draft };
    story.finalized(at, &mut bill);
    story.collected(at + 1, &mut bill, 1);
    story.change(at + 1, &renewed, &renewed.clone().latest_invoice(Some("in_3")));
    story.events
}

/// An invoice for something else, written by hand to a customer who subscribes, which fails and is
/// paid without Stripe. Ends active: the invoice is none of the subscription's.
pub fn manual_invoice(shape: Shape) -> Vec<Bytes> {
    let mut story = Story::new("manual_invoice", shape);
    let _ = story.subscribed();
    let at = START + 3 * DAY;
    let line = LineObject::new("il_9", 9_900).price("price_setup").period((at, at)).metadata(&[]);
    let draft = InvoiceObject::new("in_9", "cus_1", None)
        .lines(&[line.product("prod_setup").description("Setup")])
        .status("draft")
        .created(at);
    story.tell(at, "invoice.created", &draft);
    let mut bill = Bill { id: "in_9", amount: 9_900, object: draft };
    story.finalized(at + 3_600, &mut bill);
    story.refused(at + 3_600, &mut bill, 1, Some(at + 3 * DAY));
    let paid = at + 2 * DAY;
    bill.object = bill
        .object
        .status("paid")
        .paid_out_of_band(true)
        .next_payment_attempt(None)
        .paid_at(Some(paid));
    story.tell(paid, "invoice.updated", &bill.object);
    // No attempt succeeded, so `invoice.payment_succeeded` stays out.
    story.tell(paid, "invoice.paid", &bill.object);
    story.events
}
