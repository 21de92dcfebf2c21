//! Customers, what they pay with, and what they may use.

use bytes::Bytes;

use super::packs::customer;
use super::story::{Bill, Story};
use super::{DAY, START, invoice, subscription};
use crate::event::{EntitlementSummaryObject, PaymentMethodObject, PaymentSourceObject, Shape};

/// A subscription made for a customer whom its own event names a second later. Ends active.
pub fn customer_after_subscription(shape: Shape) -> Vec<Bytes> {
    let mut story = Story::new("customer_after_subscription", shape);
    let active = subscription().metadata(&[]);
    story.tell(START, "customer.subscription.created", &active);
    let open = invoice("in_1").metadata(&[]);
    let mut bill = Bill { id: "in_1", amount: 1_500, object: open };
    story.collected(START, &mut bill, 1);
    story.tell(START + 1, "customer.created", &customer().created(START + 1));
    story.events
}

/// A customer who is deleted with a subscription: it ends first, and the last event carries the
/// whole customer. Ends canceled.
pub fn customer_deleted(shape: Shape) -> Vec<Bytes> {
    let mut story = Story::new("customer_deleted", shape);
    story.tell(START, "customer.created", &customer());
    let active = story.subscribed();
    let at = START + 10 * DAY;
    let ended = active.status("canceled").canceled_at(Some(at)).ended_at(Some(at));
    story.tell(at, "customer.subscription.deleted", &ended);
    story.tell(at, "customer.deleted", &customer());
    story.events
}

/// A card that is attached, corrected, renewed by its network, replaced and detached. A detached
/// card belongs to nobody; its event says to whom it did.
pub fn payment_methods(shape: Shape) -> Vec<Bytes> {
    let mut story = Story::new("payment_methods", shape);
    story.tell(START, "customer.created", &customer());
    let card = PaymentMethodObject::new("pm_1", Some("cus_1")).expires((1, 2026));
    story.tell(START, "payment_method.attached", &card);
    let corrected = card.clone().expires((2, 2026));
    story.step(START + DAY, "payment_method.updated", &card, &corrected);
    let renewed = corrected.clone().expires((2, 2030)).last4("1881");
    let at = START + 20 * DAY;
    story.step(at, "payment_method.automatically_updated", &corrected, &renewed);
    let other = PaymentMethodObject::new("pm_2", Some("cus_1")).last4("4444").brand("mastercard");
    story.tell(START + 30 * DAY, "payment_method.attached", &other.created(START + 30 * DAY));
    let loose = renewed.clone().customer(None);
    story.step(START + 30 * DAY, "payment_method.detached", &renewed, &loose);
    story.events
}

/// A card of the time before payment methods, and a source, that are about to expire.
pub fn source_expiring(shape: Shape) -> Vec<Bytes> {
    let mut story = Story::new("source_expiring", shape);
    story.tell(START, "customer.created", &customer());
    let card = PaymentSourceObject::new("card_1", "cus_1");
    story.tell(START, "customer.source.expiring", &card);
    let source = PaymentSourceObject::new("src_1", "cus_1");
    story.tell(START, "customer.source.expiring", &source);
    story.events
}

/// Twelve features with a subscription, of which a summary shows ten; two after a change; none
/// after the end.
pub fn entitlements(shape: Shape) -> Vec<Bytes> {
    const ALL: [&str; 12] = [
        "api",
        "audit_log",
        "backups",
        "branding",
        "exports",
        "forms",
        "hooks",
        "imports",
        "invites",
        "reports",
        "roles",
        "sso",
    ];
    let kind = "entitlements.active_entitlement_summary.updated";
    let mut story = Story::new("entitlements", shape);
    story.tell(START, "customer.created", &customer());
    let active = story.subscribed();
    let none = EntitlementSummaryObject::new("cus_1");
    let all = none.clone().features(&ALL);
    story.step(START + 1, kind, &none, &all);
    let fewer = none.clone().features(&ALL[..2]);
    story.step(START + DAY, kind, &all, &fewer);
    let at = START + 10 * DAY;
    let ended = active.status("canceled").canceled_at(Some(at)).ended_at(Some(at));
    story.tell(at, "customer.subscription.deleted", &ended);
    story.step(at, kind, &fewer, &none);
    story.events
}
