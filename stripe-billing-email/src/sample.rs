//! Notices to look at, and to check templates with.

use stripe_billing_core::notice::{
    CardDetails, CreditDetails, Decline, Money, Notice, NoticeDetails, NoticeKind, PlanDetails,
    TicketDetails,
};
use stripe_billing_core::state::{ObjectKind, ObjectRef};
use stripe_billing_core::ticket::TicketKind;
use stripe_billing_core::{Notification, Secret, SubjectKey, Tenant};

use crate::language::Language;

/// 2026-11-21 13:05 UTC.
const NOW: i64 = 1_795_266_300;
const DAY: i64 = 86_400;

/// A notice of which everything is known.
pub(crate) fn full(kind: NoticeKind, language: Language) -> Notification {
    let mut details = NoticeDetails::default();
    // Who speaks a language often pays in its money.
    let (currency, unit) = match language {
        Language::English => ("usd", 1),
        Language::German | Language::French | Language::Spanish => ("eur", 1),
        Language::Portuguese => ("brl", 5),
        Language::Japanese => ("jpy", 2),
    };
    let money = |amount: i64| Some(Money { amount: amount * unit, currency: currency.to_owned() });
    details.recipient.email = Some("ada@example.test".to_owned());
    details.recipient.name = Some("Ada Lovelace".to_owned());
    details.recipient.locales = vec![language.tag().to_owned()];
    details.products = vec!["Pro".to_owned()];
    details.amount = money(1_900);
    details.invoice_number = Some("ACME-0042".to_owned());
    details.hosted_url = Some(Secret::from("https://invoice.stripe.com/i/acct_1/sample"));
    let mut card = CardDetails::default();
    card.brand = Some("visa".to_owned());
    card.last4 = Some("4242".to_owned());
    card.expires = Some((2026, 12));
    details.card = Some(card);
    details.paid_at = Some(NOW);
    details.payment = Some("pi_sample".to_owned());
    details.period_end = Some(NOW + 30 * DAY);
    details.at = Some(NOW + 3 * DAY);
    details.after = plan("Pro", money(1_900), "month");
    match kind {
        NoticeKind::PaymentFailed
        | NoticeKind::PaymentReminder
        | NoticeKind::PaymentFinalNotice
        | NoticeKind::ActionRequired => {
            details.paid_at = None;
            details.next_attempt = Some(NOW + 3 * DAY);
            details.grace_end = Some(NOW + 3 * DAY);
            details.attempt = Some(1);
            details.decline = Some(Decline::of("insufficient_funds"));
        }
        NoticeKind::Refund => {
            details.amount = money(500);
            details.total = money(1_200);
        }
        NoticeKind::DisputeOpened | NoticeKind::DisputeDeadline => {
            details.reason = Some("product_not_received".to_owned());
            details.deadline = Some(NOW + 3 * DAY);
        }
        NoticeKind::SubscriptionCanceled => {
            details.at = Some(NOW);
            details.reason = Some("cancellation_requested".to_owned());
        }
        NoticeKind::PlanChanged => {
            details.at = Some(NOW);
            details.before = plan("Basic", money(900), "month");
            details.after = plan("Pro", money(19_000), "year");
        }
        NoticeKind::CreditsGranted | NoticeKind::CreditsLow | NoticeKind::CreditsExpiring => {
            details.credits = Some(CreditDetails {
                unit: "credits".to_owned(),
                amount: Some(1_500),
                available: Some(if kind == NoticeKind::CreditsLow { 1 } else { 12_000 }),
            });
        }
        NoticeKind::FraudWarning => {
            details.reason = Some("unauthorized_use_of_card".to_owned());
        }
        NoticeKind::TicketOpened => {
            let about = "dp_sample".to_owned();
            details.ticket = Some(TicketDetails { kind: TicketKind::Dispute, about });
        }
        _ => {}
    }
    if kind == NoticeKind::PaymentReminder {
        details.total = money(3_800);
    }
    notification(kind, details)
}

/// A notice of which nothing is known but what it is about.
pub(crate) fn bare(kind: NoticeKind) -> Notification {
    notification(kind, NoticeDetails::default())
}

fn plan(name: &str, price: Option<Money>, unit: &str) -> Option<PlanDetails> {
    let mut plan = PlanDetails::default();
    plan.names = vec![name.to_owned()];
    plan.price = price;
    plan.period = Some((unit.to_owned(), 1));
    Some(plan)
}

fn notification(kind: NoticeKind, details: NoticeDetails) -> Notification {
    let (object, id, detail) = match kind {
        NoticeKind::Receipt
        | NoticeKind::PaymentRecovered
        | NoticeKind::PaymentFinalNotice
        | NoticeKind::ActionRequired => (Some(ObjectKind::Invoice), "in_sample", ""),
        NoticeKind::PaymentReminder => (Some(ObjectKind::Invoice), "in_sample", "1"),
        NoticeKind::PaymentFailed => (Some(ObjectKind::Invoice), "in_sample", "2"),
        NoticeKind::Refund => (Some(ObjectKind::Payment), "pi_sample", "1"),
        NoticeKind::DisputeOpened
        | NoticeKind::DisputeWon
        | NoticeKind::DisputeLost
        | NoticeKind::DisputeDeadline => (Some(ObjectKind::Payment), "pi_sample", "dp_sample"),
        NoticeKind::FraudWarning => (Some(ObjectKind::Payment), "pi_sample", "issfr_sample"),
        NoticeKind::CardExpiring => (Some(ObjectKind::PaymentMethod), "pm_sample", "2026-12"),
        NoticeKind::TicketOpened => (None, "", "dispute:dp_sample"),
        NoticeKind::EventDead => (None, "", "evt_sample"),
        NoticeKind::CreditsGranted | NoticeKind::CreditsLow | NoticeKind::CreditsExpiring => {
            (None, "", "sample")
        }
        _ => (Some(ObjectKind::Subscription), "sub_sample", ""),
    };
    let object = object.map(|kind| ObjectRef::new(kind, id));
    let subject = SubjectKey { tenant: Tenant::platform(true), id: "cus_sample".to_owned() };
    let notice = Notice { kind, object, detail: detail.to_owned() };
    Notification::new(subject, Some("acme".to_owned()), notice, details)
}
