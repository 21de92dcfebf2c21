//! Notices to send.

use stripe_billing_core::notice::{Money, Notice, NoticeDetails, NoticeKind};
use stripe_billing_core::state::{ObjectKind, ObjectRef};
use stripe_billing_core::{Notification, Secret, SubjectKey, Tenant};

pub(crate) const ADA: &str = "ada@example.test";

/// Somebody who paid 19 dollars.
pub(crate) fn details() -> NoticeDetails {
    let mut details = NoticeDetails::default();
    details.recipient.email = Some(ADA.to_owned());
    details.recipient.name = Some("Ada".to_owned());
    details.products = vec!["Pro".to_owned()];
    details.amount = Some(Money { amount: 1_900, currency: "usd".to_owned() });
    details.hosted_url = Some(Secret::from("https://invoice.stripe.test/i/1?s=ap&x=1"));
    details
}

pub(crate) fn notice(
    kind: NoticeKind,
    id: &str,
    livemode: bool,
    details: NoticeDetails,
) -> Notification {
    let subject = SubjectKey { tenant: Tenant::platform(livemode), id: "cus_1".to_owned() };
    let object = (!kind.is_internal()).then(|| ObjectRef::new(ObjectKind::Invoice, id));
    let detail = if object.is_some() { String::new() } else { id.to_owned() };
    Notification::new(subject, Some("acme".to_owned()), Notice { kind, object, detail }, details)
}

/// The receipt of an invoice, in live mode.
pub(crate) fn receipt(id: &str) -> Notification {
    notice(NoticeKind::Receipt, id, true, details())
}
