//! Renewals that fail, and what becomes of them.

use bytes::Bytes;

use super::packs::customer;
use super::story::{Bill, Story};
use super::{DAY, MONTH, START};
use crate::event::{InvoiceObject, PaymentMethodObject, Shape, SubscriptionObject};

const TRIED: i64 = START + MONTH + 3_600;

/// A renewal whose first attempt fails: past due, and tried again after three days.
fn first_failure(name: &'static str, shape: Shape) -> (Story, SubscriptionObject, Bill) {
    let mut story = Story::new(name, shape);
    let first = story.subscribed();
    let upcoming = InvoiceObject::upcoming("cus_1", "sub_1").metadata(super::NOTES);
    story.tell(START + MONTH - 3 * DAY, "invoice.upcoming", &upcoming);
    let (renewed, mut bill) = story.renewed(&first);
    story.finalized(TRIED, &mut bill);
    story.refused(TRIED, &mut bill, 1, Some(TRIED + 3 * DAY));
    let past_due = renewed.clone().status("past_due");
    story.change(TRIED, &renewed, &past_due);
    (story, past_due, bill)
}

/// All four attempts fail; the last leaves nothing to wait for.
fn exhausted(name: &'static str, shape: Shape) -> (Story, SubscriptionObject, Bill) {
    let (mut story, past_due, mut bill) = first_failure(name, shape);
    for (attempt, after, next) in [(2, 3, Some(5)), (3, 5, Some(7)), (4, 7, None)] {
        let next = next.map(|days| TRIED + days * DAY);
        story.refused(TRIED + after * DAY, &mut bill, attempt, next);
    }
    (story, past_due, bill)
}

const LAST: i64 = TRIED + 7 * DAY;

/// A renewal that fails twice, and is paid with a new card. Ends active, paid to the end of the
/// second period.
pub fn renewal_recovers(shape: Shape) -> Vec<Bytes> {
    let (mut story, past_due, mut bill) = first_failure("renewal_recovers", shape);
    story.refused(TRIED + 3 * DAY, &mut bill, 2, Some(TRIED + 5 * DAY));
    let changed = TRIED + 4 * DAY;
    let card = PaymentMethodObject::new("pm_2", Some("cus_1")).last4("4444").created(changed);
    story.tell(changed, "payment_method.attached", &card);
    let before = customer();
    let after = before.clone().default_payment_method(Some("pm_2"));
    story.step(changed, "customer.updated", &before, &after);
    let paid = TRIED + 5 * DAY;
    story.collected(paid, &mut bill, 3);
    story.change(paid, &past_due, &past_due.clone().status("active"));
    story.events
}

/// A renewal that the customer has to confirm: past due until they do, a day later. Ends active,
/// paid to the end of the second period.
pub fn renewal_confirmed(shape: Shape) -> Vec<Bytes> {
    let mut story = Story::new("renewal_confirmed", shape);
    let first = story.subscribed();
    let (renewed, mut bill) = story.renewed(&first);
    story.finalized(TRIED, &mut bill);
    story.tell(TRIED, "payment_intent.requires_action", &bill.intent().status("requires_action"));
    bill.object = bill.object.attempt_count(1).next_payment_attempt(Some(TRIED + 3 * DAY));
    story.tell(TRIED, "invoice.payment_action_required", &bill.object);
    story.tell(TRIED, "invoice.payment_failed", &bill.object);
    let past_due = renewed.clone().status("past_due");
    story.change(TRIED, &renewed, &past_due);
    story.collected(TRIED + DAY, &mut bill, 1);
    story.change(TRIED + DAY, &past_due, &renewed);
    story.events
}

/// A subscription whose first payment nobody makes within 23 hours. Ends expired, the invoice
/// void.
pub fn first_payment_expires(shape: Shape) -> Vec<Bytes> {
    let mut story = Story::new("first_payment_expires", shape);
    let waiting = super::subscription().status("incomplete").default_payment_method(None);
    story.tell(START, "customer.subscription.created", &waiting);
    let draft = super::invoice("in_1").status("draft");
    story.tell(START, "invoice.created", &draft);
    let mut bill = Bill { id: "in_1", amount: 1_500, object: draft };
    story.finalized(START, &mut bill);
    let at = START + 23 * 3_600;
    let expired = waiting.clone().status("incomplete_expired").ended_at(Some(at));
    story.change(at, &waiting, &expired);
    story.tell(at, "invoice.voided", &bill.object.voided(at));
    story.events
}

/// A renewal that fails until the end, where the account cancels. Ends canceled, the invoice open.
pub fn renewal_unpaid_canceled(shape: Shape) -> Vec<Bytes> {
    let (mut story, past_due, bill) = exhausted("renewal_unpaid_canceled", shape);
    let given_up = bill.object.clone().auto_advance(false);
    story.step(LAST, "invoice.updated", &bill.object, &given_up);
    let ended = past_due
        .status("canceled")
        .canceled_at(Some(LAST))
        .ended_at(Some(LAST))
        .cancel_reason(Some("payment_failed"));
    story.tell(LAST, "customer.subscription.deleted", &ended);
    story.events
}

/// A renewal that fails until the end, where the account keeps the subscription. Ends unpaid, the
/// invoice open.
pub fn renewal_unpaid_kept(shape: Shape) -> Vec<Bytes> {
    let (mut story, past_due, _) = exhausted("renewal_unpaid_kept", shape);
    story.change(LAST, &past_due, &past_due.clone().status("unpaid"));
    story.events
}

/// A renewal that fails until the end, where the account gives the invoice up. Ends past due, the
/// invoice uncollectible.
pub fn renewal_uncollectible(shape: Shape) -> Vec<Bytes> {
    let (mut story, _, bill) = exhausted("renewal_uncollectible", shape);
    let lost = bill.object.clone().uncollectible("max_payment_attempts", LAST);
    story.step(LAST, "invoice.updated", &bill.object, &lost);
    story.tell(LAST, "invoice.marked_uncollectible", &lost);
    story.events
}
