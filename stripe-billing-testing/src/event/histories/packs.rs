//! Credits bought once, through Checkout.

use bytes::Bytes;

use super::story::Story;
use super::{ACCOUNT, ACCOUNT_KEY, START};
use crate::event::{ChargeObject, CheckoutObject, CustomerObject, PaymentIntentObject, Shape};

/// The metadata key under which sessions and payments of these histories name the pack.
pub const PACK_KEY: &str = "pack";

/// The pack it names, for 15.00 USD.
pub const PACK: &str = "credits_1000";

const BOUGHT: i64 = START + 60;
const NOTES: &[(&str, &str)] = &[(ACCOUNT_KEY, ACCOUNT), (PACK_KEY, PACK)];

pub(super) fn customer() -> CustomerObject {
    CustomerObject::new("cus_1").metadata(super::NOTES)
}

fn session(customer: Option<&str>) -> CheckoutObject {
    CheckoutObject::new("cs_live_1", customer)
        .payment_intent(Some("pi_1"))
        .client_reference_id(Some(ACCOUNT))
        .metadata(NOTES)
}

pub(super) fn intent(customer: Option<&str>) -> PaymentIntentObject {
    PaymentIntentObject::new("pi_1", 1_500).customer(customer).metadata(NOTES).created(BOUGHT)
}

pub(super) fn charge(customer: Option<&str>) -> ChargeObject {
    ChargeObject::new("ch_1", Some("pi_1"), 1_500)
        .customer(customer)
        .metadata(NOTES)
        .created(BOUGHT)
}

fn bought(story: &mut Story, customer: Option<&str>) {
    let begun = intent(customer).status("requires_payment_method").payment_method(None);
    story.tell(BOUGHT, "payment_intent.created", &begun);
    story.tell(BOUGHT + 1, "charge.succeeded", &charge(customer));
    let done = intent(customer).latest_charge(Some("ch_1"));
    story.tell(BOUGHT + 1, "payment_intent.succeeded", &done);
    story.tell(BOUGHT + 1, "checkout.session.completed", &session(customer));
}

/// A story that begins with a customer who bought a pack by card: `pi_1`, `ch_1`.
pub(super) fn story_of_a_pack(name: &'static str, shape: Shape) -> Story {
    let mut story = Story::new(name, shape);
    story.tell(START, "customer.created", &customer());
    bought(&mut story, Some("cus_1"));
    story
}

/// A pack paid by card at once. Ends paid.
pub fn pack_by_card(shape: Shape) -> Vec<Bytes> {
    story_of_a_pack("pack_by_card", shape).events
}

/// A pack bought by somebody without a customer: only `client_reference_id` and metadata say who.
/// Ends paid.
pub fn pack_by_guest(shape: Shape) -> Vec<Bytes> {
    let mut story = Story::new("pack_by_guest", shape);
    bought(&mut story, None);
    story.events
}

/// A pack with a coupon over all of it: no payment at all. Ends complete.
pub fn pack_for_free(shape: Shape) -> Vec<Bytes> {
    let mut story = Story::new("pack_for_free", shape);
    story.tell(START, "customer.created", &customer());
    let free = session(Some("cus_1"))
        .payment_intent(None)
        .payment_status("no_payment_required")
        .amount_total(0)
        .amount_discount(1_500);
    story.tell(BOUGHT, "checkout.session.completed", &free);
    story.events
}

/// A direct debit under way: the session is complete, and nothing is paid.
fn delayed(name: &'static str, shape: Shape) -> (Story, CheckoutObject) {
    let mut story = Story::new(name, shape);
    story.tell(START, "customer.created", &customer());
    let debit = intent(Some("cus_1")).payment_method_type("sepa_debit");
    let begun = debit.clone().status("requires_payment_method").payment_method(None);
    story.tell(BOUGHT, "payment_intent.created", &begun);
    let unpaid = session(Some("cus_1"))
        .payment_status("unpaid")
        .payment_method_types(&["card", "sepa_debit"]);
    story.tell(BOUGHT + 1, "checkout.session.completed", &unpaid);
    let waits = debit.status("processing").latest_charge(Some("ch_1"));
    story.tell(BOUGHT + 1, "payment_intent.processing", &waits);
    let pending = charge(Some("cus_1")).payment_method_type("sepa_debit").status("pending");
    story.tell(BOUGHT + 1, "charge.pending", &pending);
    (story, unpaid)
}

/// A pack paid by direct debit that arrives after three days. Ends paid.
pub fn pack_delayed_succeeds(shape: Shape) -> Vec<Bytes> {
    let (mut story, unpaid) = delayed("pack_delayed_succeeds", shape);
    let at = BOUGHT + 3 * 86_400;
    let charge = charge(Some("cus_1")).payment_method_type("sepa_debit");
    story.tell(at, "charge.succeeded", &charge);
    let debit = intent(Some("cus_1")).payment_method_type("sepa_debit");
    story.tell(at, "payment_intent.succeeded", &debit.latest_charge(Some("ch_1")));
    story.tell(at, "checkout.session.async_payment_succeeded", &unpaid.payment_status("paid"));
    story.events
}

/// A pack whose direct debit bounces after three days. Ends unpaid.
pub fn pack_delayed_fails(shape: Shape) -> Vec<Bytes> {
    let (mut story, unpaid) = delayed("pack_delayed_fails", shape);
    let at = BOUGHT + 3 * 86_400;
    let charge = charge(Some("cus_1"))
        .payment_method_type("sepa_debit")
        .status("failed")
        .failure_code(Some("insufficient_funds"));
    story.tell(at, "charge.failed", &charge);
    let debit = intent(Some("cus_1"))
        .payment_method_type("sepa_debit")
        .status("requires_payment_method")
        .payment_method(None)
        .latest_charge(Some("ch_1"))
        .decline_code(Some("insufficient_funds"));
    story.tell(at, "payment_intent.payment_failed", &debit);
    story.tell(at, "checkout.session.async_payment_failed", &unpaid);
    story.events
}

/// A session that nobody paid within a day. Ends expired.
pub fn session_expired(shape: Shape) -> Vec<Bytes> {
    let mut story = Story::new("session_expired", shape);
    story.tell(START, "customer.created", &customer());
    let expired = session(Some("cus_1"))
        .payment_intent(None)
        .status("expired")
        .payment_status("unpaid")
        .email(None)
        .created(BOUGHT);
    story.tell(BOUGHT + 86_400, "checkout.session.expired", &expired);
    story.events
}
