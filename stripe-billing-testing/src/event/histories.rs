//! Histories as Stripe makes them, in true order, for tests that shuffle and repeat them.
//!
//! All are about the customer `cus_1`, whom metadata link to the account [`ACCOUNT`], and, where
//! there is one, the subscription `sub_1` to `price_pro`; a guest's purchase is about nobody.
//! Events that Stripe makes together share a second. Ids are the same for every shape.

mod customers;
mod dunning;
mod invoices;
mod packs;
mod returned;
mod story;
mod subscriptions;

use bytes::Bytes;

use super::{CheckoutObject, CustomerObject, InvoiceObject, Shape, SubscriptionObject};
use story::Story;

pub use customers::{
    customer_after_subscription, customer_deleted, entitlements, payment_methods, source_expiring,
};
pub use dunning::{
    first_payment_expires, renewal_confirmed, renewal_recovers, renewal_uncollectible,
    renewal_unpaid_canceled, renewal_unpaid_kept,
};
pub use invoices::{manual_invoice, overdue_then_paid, void_and_reissue};
pub use packs::{
    PACK, PACK_KEY, pack_by_card, pack_by_guest, pack_delayed_fails, pack_delayed_succeeds,
    pack_for_free, session_expired,
};
pub use returned::{
    dispute_appealed, dispute_inquiry, dispute_lost, dispute_prevented, dispute_won, fraud_warning,
    partial_refunds,
};
pub use subscriptions::{cancel_undone, collection_paused, paused, trial_to_paid, upgrade};

/// When the histories begin: 2026-01-01 00:00 UTC, Unix seconds.
pub const START: i64 = 1_767_225_600;

/// One billing period, in seconds.
pub const MONTH: i64 = 31 * DAY;

const DAY: i64 = 86_400;

/// The metadata key that names the account: the one of a catalog that sets none.
pub const ACCOUNT_KEY: &str = "account";

/// The account it names.
pub const ACCOUNT: &str = "acme";

const NOTES: &[(&str, &str)] = &[(ACCOUNT_KEY, ACCOUNT)];

/// A history of Stripe's, told in a shape.
pub type History = fn(Shape) -> Vec<Bytes>;

/// Every history, by name.
pub const ALL: [(&str, History); 35] = [
    ("sign_up", sign_up),
    ("cancel", cancel),
    ("failed_renewal", failed_renewal),
    ("pack_by_card", pack_by_card),
    ("pack_by_guest", pack_by_guest),
    ("pack_for_free", pack_for_free),
    ("pack_delayed_succeeds", pack_delayed_succeeds),
    ("pack_delayed_fails", pack_delayed_fails),
    ("session_expired", session_expired),
    ("trial_to_paid", trial_to_paid),
    ("renewal_recovers", renewal_recovers),
    ("renewal_confirmed", renewal_confirmed),
    ("first_payment_expires", first_payment_expires),
    ("renewal_unpaid_canceled", renewal_unpaid_canceled),
    ("renewal_unpaid_kept", renewal_unpaid_kept),
    ("renewal_uncollectible", renewal_uncollectible),
    ("upgrade", upgrade),
    ("cancel_undone", cancel_undone),
    ("collection_paused", collection_paused),
    ("paused", paused),
    ("overdue_then_paid", overdue_then_paid),
    ("void_and_reissue", void_and_reissue),
    ("manual_invoice", manual_invoice),
    ("partial_refunds", partial_refunds),
    ("dispute_inquiry", dispute_inquiry),
    ("dispute_won", dispute_won),
    ("dispute_lost", dispute_lost),
    ("dispute_appealed", dispute_appealed),
    ("dispute_prevented", dispute_prevented),
    ("fraud_warning", fraud_warning),
    ("customer_after_subscription", customer_after_subscription),
    ("customer_deleted", customer_deleted),
    ("payment_methods", payment_methods),
    ("source_expiring", source_expiring),
    ("entitlements", entitlements),
];

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
    story.tell(START, "customer.created", &customer);

    let paid_at = START + 60;
    let active = subscription().created(paid_at);
    let incomplete = active.clone().status("incomplete");
    story.tell(paid_at, "customer.subscription.created", &incomplete);
    story.change(paid_at, &incomplete, &active);
    let invoice =
        invoice("in_1").status("paid").created(paid_at).attempt_count(1).paid_at(Some(paid_at));
    story.tell(paid_at, "invoice.paid", &invoice);
    story.tell(paid_at, "invoice.payment_succeeded", &invoice);
    let session = CheckoutObject::new("cs_live_1", Some("cus_1"))
        .subscription("sub_1")
        .invoice(Some("in_1"))
        .client_reference_id(Some(ACCOUNT))
        .metadata(NOTES);
    story.tell(paid_at, "checkout.session.completed", &session);
    story.events
}

/// A cancellation: active, will cancel at the period's end, does not after all, will in the other
/// spelling, ended. Ends canceled.
pub fn cancel(shape: Shape) -> Vec<Bytes> {
    let mut story = Story::new("cancel", shape);
    let end = START + MONTH;
    let active = subscription();
    story.tell(START, "customer.subscription.created", &active);

    let asked = START + 5 * 86_400;
    let will_end = active.clone().cancel_at_period_end(true).canceled_at(Some(asked));
    story.change(asked, &active, &will_end);
    story.change(asked + 3_600, &will_end, &active);

    let asked_again = START + 6 * 86_400;
    let will_end_at = active.clone().cancel_at(Some(end)).canceled_at(Some(asked_again));
    story.change(asked_again, &active, &will_end_at);
    let ended = will_end_at.status("canceled").ended_at(Some(end));
    story.tell(end, "customer.subscription.deleted", &ended);
    story.events
}

/// A renewal that fails twice and is paid then: active, the period advances before money moves,
/// the invoice is written and finalised, fails, the subscription is past due, fails again, is paid,
/// active. Ends active, paid to the end of the second period.
pub fn failed_renewal(shape: Shape) -> Vec<Bytes> {
    let mut story = Story::new("failed_renewal", shape);
    let first = subscription();
    story.tell(START, "customer.subscription.created", &first);

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
    story.tell(renewal, "invoice.created", &draft);

    let tried = renewal + 3_600;
    let open = draft.status("open");
    story.tell(tried, "invoice.finalized", &open);
    let again = tried + 3 * 86_400;
    let failed = open.attempt_count(1).next_payment_attempt(Some(again));
    story.tell(tried, "invoice.payment_failed", &failed);
    let past_due = renewed.clone().status("past_due");
    story.change(tried, &renewed, &past_due);

    let paid_at = again + 5 * 86_400;
    let failed = failed.attempt_count(2).next_payment_attempt(Some(paid_at));
    story.tell(again, "invoice.payment_failed", &failed);

    let paid =
        failed.status("paid").attempt_count(3).next_payment_attempt(None).paid_at(Some(paid_at));
    story.tell(paid_at, "invoice.paid", &paid);
    story.change(paid_at, &past_due, &renewed);
    story.events
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use serde_json::Value;
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

    /// What all the events say of every subject.
    fn told_of_all(events: &[Bytes]) -> BTreeMap<String, Subject> {
        let mut all = BTreeMap::new();
        for event in events {
            let event = Event::parse(event).unwrap();
            let Some(patch) = Patch::of(&event, &Link::default()) else { continue };
            let Some(id) = patch.name().map(|name| name.id.clone()) else { continue };
            let key = SubjectKey { tenant: Tenant::platform(true), id: id.clone() };
            let subject = all.entry(id).or_insert_with(|| Subject::new(key));
            for record in &patch.records {
                subject.merge(record);
            }
            subject.links.merge(&patch.links);
        }
        all
    }

    #[test]
    fn lives_end_as_they_say() {
        for shape in Shape::ALL {
            let all = |history: History| told_of_all(&history(shape));
            for (history, expected) in [
                (trial_to_paid as History, State::Active),
                (renewal_recovers, State::Active),
                (renewal_confirmed, State::Active),
                (first_payment_expires, State::Expired),
                (renewal_unpaid_canceled, State::Canceled),
                (renewal_unpaid_kept, State::Unpaid),
                (renewal_uncollectible, State::PastDue),
                (upgrade, State::Active),
                (cancel_undone, State::Active),
                (collection_paused, State::Active),
                (paused, State::Active),
                (overdue_then_paid, State::Active),
                (void_and_reissue, State::Active),
                (manual_invoice, State::Active),
                (customer_after_subscription, State::Active),
                (customer_deleted, State::Canceled),
            ] {
                let told = all(history);
                assert_eq!(state(&told["cus_1"]), expected, "{shape:?}");
            }
            let paid = |history| {
                all(history)["cus_1"].subscriptions().next().unwrap().paid_through().unwrap()
            };
            assert_eq!(paid(renewal_recovers), START + 2 * MONTH);
            assert_eq!(paid(trial_to_paid), START + 14 * DAY + MONTH);
            assert_eq!(paid(void_and_reissue), START + 2 * MONTH);
            assert_eq!(all(pack_by_guest).keys().collect::<Vec<_>>(), ["pi_1"]);
            assert_eq!(all(pack_by_card)["cus_1"].links.account(), Some(ACCOUNT));
        }
    }

    #[test]
    fn ids_are_unique_stable_and_times_never_go_back() {
        let mut seen = std::collections::BTreeSet::new();
        for (name, history) in ALL {
            let events = history(Shape::New);
            assert_eq!(events, history(Shape::New), "{name}");
            let old = history(Shape::Old);
            let mut before = 0;
            for body in &events {
                let event: Value = serde_json::from_slice(body).unwrap();
                let id = event["id"].as_str().unwrap().to_owned();
                assert!(id.starts_with(&format!("evt_{name}_")), "{id}");
                assert!(seen.insert(id));
                let created = event["created"].as_i64().unwrap();
                assert!(created >= before, "{name}: {event}");
                before = created;
            }
            assert!(old.len() <= events.len() && old.len() > 1, "{name}");
        }
    }

    #[test]
    fn histories_end_alike_in_any_order() {
        for shape in Shape::ALL {
            for (name, history) in ALL {
                let history = history(shape);
                let expected = told_of_all(&history);
                let mut dice = Dice::new(7);
                let mut shuffled = history;
                for _ in 0..20 {
                    dice.shuffle(&mut shuffled);
                    assert_eq!(told_of_all(&shuffled), expected, "{name} {shape:?}");
                }
            }
        }
    }
}
