//! Histories as Stripe makes them, in true order, for tests that shuffle and repeat them.
//!
//! All are about the customer `cus_1`, whom metadata link to the account [`ACCOUNT`], and the
//! subscription `sub_1` to `price_pro`. Events that Stripe makes together share a second.

use bytes::Bytes;
use serde_json::Value;

use super::{
    CheckoutObject, CustomerObject, EventBuilder, InvoiceObject, Shape, SubscriptionObject,
};

/// When the histories begin: 2026-01-01 00:00 UTC, Unix seconds.
pub const START: i64 = 1_767_225_600;

/// One billing period, in seconds.
pub const MONTH: i64 = 31 * 86_400;

/// The metadata key that names the account: the one of a catalog that sets none.
pub const ACCOUNT_KEY: &str = "account";

/// The account it names.
pub const ACCOUNT: &str = "acme";

const NOTES: &[(&str, &str)] = &[(ACCOUNT_KEY, ACCOUNT)];

/// Numbers events as they happen.
struct Story {
    name: &'static str,
    shape: Shape,
    events: Vec<Bytes>,
}

impl Story {
    fn new(name: &'static str, shape: Shape) -> Self {
        Self { name, shape, events: Vec::new() }
    }

    fn builder(&self, created: i64, event_type: &str) -> EventBuilder {
        EventBuilder::new(event_type)
            .id(format!("evt_{}_{}", self.name, self.events.len() + 1))
            .shape(self.shape)
            .created(created)
    }

    fn tell(&mut self, created: i64, event_type: &str, object: Value) {
        let event = self.builder(created, event_type).object(object).build();
        self.events.push(event);
    }

    fn change(&mut self, created: i64, before: &SubscriptionObject, after: &SubscriptionObject) {
        let (before, after) = (before.render(self.shape), after.render(self.shape));
        let event =
            self.builder(created, "customer.subscription.updated").change(&before, &after).build();
        self.events.push(event);
    }
}

fn subscription() -> SubscriptionObject {
    SubscriptionObject::new("sub_1", "cus_1").metadata(NOTES)
}

fn invoice(id: &str) -> InvoiceObject {
    InvoiceObject::new(id, "cus_1", Some("sub_1")).metadata(NOTES)
}

/// Signing up through Checkout: customer, subscription (incomplete, then active), invoice paid and
/// session completed, all but the first in one second. Ends active, with one invoice paid.
pub fn sign_up(shape: Shape) -> Vec<Bytes> {
    let mut story = Story::new("sign_up", shape);
    let customer = CustomerObject::new("cus_1").metadata(NOTES);
    story.tell(START, "customer.created", customer.render(shape));

    let paid_at = START + 60;
    let active = subscription().created(paid_at);
    let incomplete = active.clone().status("incomplete");
    story.tell(paid_at, "customer.subscription.created", incomplete.render(shape));
    story.change(paid_at, &incomplete, &active);
    let invoice = invoice("in_1")
        .status("paid")
        .created(paid_at)
        .attempt_count(1)
        .paid_at(Some(paid_at))
        .render(shape);
    story.tell(paid_at, "invoice.paid", invoice.clone());
    story.tell(paid_at, "invoice.payment_succeeded", invoice);
    let session = CheckoutObject::new("cs_live_1", Some("cus_1"))
        .subscription("sub_1")
        .invoice(Some("in_1"))
        .client_reference_id(Some(ACCOUNT))
        .metadata(NOTES);
    story.tell(paid_at, "checkout.session.completed", session.render(shape));
    story.events
}

/// A cancellation: active, will cancel at the period's end, does not after all, will in the other
/// spelling, ended. Ends canceled.
pub fn cancel(shape: Shape) -> Vec<Bytes> {
    let mut story = Story::new("cancel", shape);
    let end = START + MONTH;
    let active = subscription();
    story.tell(START, "customer.subscription.created", active.render(shape));

    let asked = START + 5 * 86_400;
    let will_end = active.clone().cancel_at_period_end(true).canceled_at(Some(asked));
    story.change(asked, &active, &will_end);
    story.change(asked + 3_600, &will_end, &active);

    let asked_again = START + 6 * 86_400;
    let will_end_at = active.clone().cancel_at(Some(end)).canceled_at(Some(asked_again));
    story.change(asked_again, &active, &will_end_at);
    let ended = will_end_at.status("canceled").ended_at(Some(end));
    story.tell(end, "customer.subscription.deleted", ended.render(shape));
    story.events
}

/// A renewal that fails twice and is paid then: active, the period advances before money moves,
/// the invoice is written and finalised, fails, the subscription is past due, fails again, is paid,
/// active. Ends active, paid to the end of the second period.
pub fn failed_renewal(shape: Shape) -> Vec<Bytes> {
    let mut story = Story::new("failed_renewal", shape);
    let first = subscription();
    story.tell(START, "customer.subscription.created", first.render(shape));

    let renewal = START + MONTH;
    let period = (renewal, renewal + MONTH);
    let renewed = first.clone().period(period).latest_invoice(Some("in_2"));
    story.change(renewal, &first, &renewed);
    let draft = invoice("in_2")
        .status("draft")
        .billing_reason("subscription_cycle")
        .created(renewal)
        .period(period)
        .next_payment_attempt(Some(renewal + 3_600));
    story.tell(renewal, "invoice.created", draft.render(shape));

    let tried = renewal + 3_600;
    let open = draft.status("open");
    story.tell(tried, "invoice.finalized", open.render(shape));
    let again = tried + 3 * 86_400;
    let failed = open.attempt_count(1).next_payment_attempt(Some(again));
    story.tell(tried, "invoice.payment_failed", failed.render(shape));
    let past_due = renewed.clone().status("past_due");
    story.change(tried, &renewed, &past_due);

    let paid_at = again + 5 * 86_400;
    let failed = failed.attempt_count(2).next_payment_attempt(Some(paid_at));
    story.tell(again, "invoice.payment_failed", failed.render(shape));

    let paid =
        failed.status("paid").attempt_count(3).next_payment_attempt(None).paid_at(Some(paid_at));
    story.tell(paid_at, "invoice.paid", paid.render(shape));
    story.change(paid_at, &past_due, &renewed);
    story.events
}

#[cfg(test)]
mod tests {
    use stripe_billing_core::catalog::Link;
    use stripe_billing_core::state::{Patch, State, Subject};
    use stripe_billing_core::stripe::Event;
    use stripe_billing_core::{SubjectKey, Tenant};

    use super::*;
    use crate::conformance::Dice;

    fn told(events: &[Bytes]) -> Subject {
        let key = SubjectKey { tenant: Tenant::platform(true), id: "cus_1".to_owned() };
        let mut subject = Subject::new(key);
        for event in events {
            let event = Event::parse(event).unwrap();
            let patch = Patch::of(&event, &Link::default()).unwrap();
            assert!(patch.names.iter().any(|name| name.id == "cus_1"));
            for record in &patch.records {
                subject.merge(record);
            }
            subject.links.merge(&patch.links);
        }
        subject
    }

    fn state(subject: &Subject) -> State {
        State::of(subject.subscriptions().next().unwrap().latest().unwrap())
    }

    #[test]
    fn histories_end_as_they_say() {
        for shape in Shape::ALL {
            assert_eq!(sign_up(shape).len(), 6);
            assert_eq!(told(&sign_up(shape)).links.account(), Some(ACCOUNT));
            assert_eq!(state(&told(&sign_up(shape))), State::Active);
            assert_eq!(state(&told(&cancel(shape))), State::Canceled);
            assert_eq!(state(&told(&cancel(shape)[..2])), State::Canceled);
            assert_eq!(state(&told(&cancel(shape)[..3])), State::Active);
            assert_eq!(state(&told(&cancel(shape)[..4])), State::Canceled);
            let renewal = failed_renewal(shape);
            assert_eq!(state(&told(&renewal[..6])), State::PastDue);
            let subject = told(&renewal);
            assert_eq!(state(&subject), State::Active);
            let paid = subject.subscriptions().next().unwrap().paid_through();
            assert_eq!(paid, Some(START + 2 * MONTH));
        }
    }

    #[test]
    fn histories_end_alike_in_any_order() {
        for shape in Shape::ALL {
            for history in [sign_up(shape), cancel(shape), failed_renewal(shape)] {
                let expected = told(&history);
                let mut dice = Dice::new(7);
                let mut shuffled = history;
                for _ in 0..300 {
                    dice.shuffle(&mut shuffled);
                    assert_eq!(told(&shuffled), expected);
                }
            }
        }
    }
}
