//! Money that goes back: refunds, disputes, warnings. All begin with [`pack_by_card`]'s purchase of
//! 15.00 USD: `pi_1`, `ch_1`.
//!
//! [`pack_by_card`]: super::pack_by_card

use bytes::Bytes;

use super::packs::{charge, story_of_a_pack};
use super::story::Story;
use super::{DAY, START};
use crate::event::{ChargeObject, DisputeObject, FraudWarningObject, RefundObject, Shape};

fn paid() -> ChargeObject {
    charge(Some("cus_1"))
}

fn refund(id: &str, amount: i64, at: i64) -> RefundObject {
    RefundObject::new(id, "ch_1", amount)
        .payment_intent(Some("pi_1"))
        .customer(Some("cus_1"))
        .reason(Some("requested_by_customer"))
        .created(at)
}

/// Two refunds, of 5.00 and of 4.00; the second bounces after ten days. Ends with 5.00 refunded.
pub fn partial_refunds(shape: Shape) -> Vec<Bytes> {
    let mut story = story_of_a_pack("partial_refunds", shape);
    let first = START + DAY;
    let one = refund("re_1", 500, first);
    story.tell(first, "refund.created", &one);
    story.step(first, "charge.refunded", &paid(), &paid().amount_refunded(500));
    let known = one.clone().reference(Some("74000000000000001"));
    story.step(first + 2 * DAY, "refund.updated", &one, &known);

    let second = START + 3 * DAY;
    let two = refund("re_2", 400, second);
    story.tell(second, "refund.created", &two);
    let both = paid().amount_refunded(900);
    story.step(second, "charge.refunded", &paid().amount_refunded(500), &both);

    let bounced = second + 10 * DAY;
    let failed = two.status("failed").failure_reason(Some("expired_or_canceled_card"));
    story.tell(bounced, "refund.failed", &failed);
    story.step(bounced, "charge.updated", &both, &paid().amount_refunded(500));
    story.events
}

const OPENED: i64 = START + 20 * DAY;
const DECIDED: i64 = OPENED + 40 * DAY;

fn dispute() -> DisputeObject {
    DisputeObject::new("dp_1", "ch_1", 1_500)
        .payment_intent(Some("pi_1"))
        .created(OPENED)
        .due_by(Some(OPENED + 9 * DAY))
}

/// A dispute that takes the money, is answered, and is under review.
fn disputed(name: &'static str, shape: Shape) -> (Story, DisputeObject) {
    let mut story = story_of_a_pack(name, shape);
    let opened = dispute();
    story.tell(OPENED, "charge.dispute.created", &opened);
    let withdrawn = opened.withdrawn(true);
    story.tell(OPENED, "charge.dispute.funds_withdrawn", &withdrawn);
    let answered = withdrawn.clone().status("under_review").submissions(1);
    story.step(OPENED + 3 * DAY, "charge.dispute.updated", &withdrawn, &answered);
    (story, answered)
}

/// An inquiry that comes to nothing: no money moves. Ends closed.
pub fn dispute_inquiry(shape: Shape) -> Vec<Bytes> {
    let mut story = story_of_a_pack("dispute_inquiry", shape);
    let asked = dispute().status("warning_needs_response");
    story.tell(OPENED, "charge.dispute.created", &asked);
    let answered = asked.clone().status("warning_under_review").submissions(1);
    story.step(OPENED + 3 * DAY, "charge.dispute.updated", &asked, &answered);
    let closed = answered.status("warning_closed");
    story.tell(OPENED + 120 * DAY, "charge.dispute.closed", &closed);
    story.events
}

/// A dispute that is won: the money comes back. Ends won.
pub fn dispute_won(shape: Shape) -> Vec<Bytes> {
    let (mut story, answered) = disputed("dispute_won", shape);
    let won = answered.status("won").reinstated(true);
    story.tell(DECIDED, "charge.dispute.closed", &won);
    story.tell(DECIDED, "charge.dispute.funds_reinstated", &won);
    story.events
}

/// A dispute that is lost. Ends lost, the money gone.
pub fn dispute_lost(shape: Shape) -> Vec<Bytes> {
    let (mut story, answered) = disputed("dispute_lost", shape);
    story.tell(DECIDED, "charge.dispute.closed", &answered.status("lost"));
    story.events
}

/// A dispute that is lost, and won in the appeal. Ends won. Appeals exist from 2026-10-28 on.
pub fn dispute_appealed(shape: Shape) -> Vec<Bytes> {
    let (mut story, answered) = disputed("dispute_appealed", shape);
    let lost = answered.status("lost");
    story.tell(DECIDED, "charge.dispute.closed", &lost);
    let open = lost.clone().status("appeal_needs_response");
    story.step(DECIDED + DAY, "charge.dispute.updated", &lost, &open);
    let under_review = open.clone().status("appeal_under_review").submissions(2);
    story.step(DECIDED + 3 * DAY, "charge.dispute.updated", &open, &under_review);
    let won = under_review.status("won").reinstated(true);
    story.tell(DECIDED + 30 * DAY, "charge.dispute.closed", &won);
    story.tell(DECIDED + 30 * DAY, "charge.dispute.funds_reinstated", &won);
    story.events
}

/// A dispute that was settled before it was one: the money is gone, and there is nothing to
/// answer. Ends prevented. Known from 2025-08-27 on.
pub fn dispute_prevented(shape: Shape) -> Vec<Bytes> {
    let mut story = story_of_a_pack("dispute_prevented", shape);
    let prevented = dispute().status("prevented").due_by(None);
    story.tell(OPENED, "charge.dispute.created", &prevented);
    story.tell(OPENED, "charge.dispute.funds_withdrawn", &prevented.withdrawn(true));
    story.events
}

/// An early fraud warning that is answered with a full refund: it is not actionable any more. Ends
/// refunded.
pub fn fraud_warning(shape: Shape) -> Vec<Bytes> {
    let mut story = story_of_a_pack("fraud_warning", shape);
    let at = START + 2 * DAY;
    let warning =
        FraudWarningObject::new("issfr_1", "ch_1").payment_intent(Some("pi_1")).created(at);
    story.tell(at, "radar.early_fraud_warning.created", &warning);
    let answered = at + 3_600;
    let whole = refund("re_1", 1_500, answered).reason(Some("fraudulent"));
    story.tell(answered, "refund.created", &whole);
    story.step(answered, "charge.refunded", &paid(), &paid().amount_refunded(1_500));
    let settled = warning.clone().actionable(false);
    story.step(answered, "radar.early_fraud_warning.updated", &warning, &settled);
    story.events
}
