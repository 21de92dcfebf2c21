//! What a mail of each kind says, in which order: the words are in the message catalogs, the looks
//! in the templates.

use stripe_billing_core::Notification;
use stripe_billing_core::dunning::DeclineClass;
use stripe_billing_core::notice::NoticeKind;

use crate::clean;
use crate::words::{Values, Words};

/// Why a mail is sent, which decides about whom, and about unsubscribing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Class {
    /// About money or access: the customer has to know.
    Transactional,
    /// Good to know, and can be unsubscribed from.
    Notification,
    /// For operators.
    Internal,
}

impl Class {
    /// The word that templates see.
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::Transactional => "transactional",
            Self::Notification => "notification",
            Self::Internal => "internal",
        }
    }

    pub(crate) fn of(kind: NoticeKind) -> Self {
        match kind {
            kind if kind.is_optional() => Self::Notification,
            kind if kind.is_internal() => Self::Internal,
            _ => Self::Transactional,
        }
    }
}

/// Characters of a subject line.
const MAX_SUBJECT: usize = 150;

/// Pages of the app.
#[derive(Clone, Debug, Default)]
pub(crate) struct Pages {
    pub(crate) billing: Option<String>,
    pub(crate) operator: Option<String>,
}

/// A mail before it has looks.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Content {
    pub(crate) subject: String,
    pub(crate) preheader: String,
    pub(crate) greeting: String,
    pub(crate) paragraphs: Vec<String>,
    pub(crate) facts: Vec<Fact>,
    pub(crate) button: Option<Link>,
}

/// A line of the small table.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Fact {
    pub(crate) name: &'static str,
    pub(crate) label: String,
    pub(crate) value: String,
}

/// Where to go.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Link {
    pub(crate) label: String,
    pub(crate) url: String,
}

/// Where a button leads.
#[derive(Clone, Copy)]
enum To {
    /// Stripe's page of the invoice.
    Invoice,
    /// The app's page for billing.
    Billing,
    /// The operators' page.
    Operator,
}

impl Content {
    /// `None` for a kind that there are no words for.
    pub(crate) fn of(
        notification: &Notification,
        words: &Words,
        values: &Values,
        pages: &Pages,
    ) -> Option<Self> {
        let kind = notification.notice.kind;
        let paragraphs = paragraphs(notification, values)?;
        let say = |key: &str| words.say(&format!("{}.{key}", kind.as_str()), values);
        let facts = facts(kind).iter().filter_map(|name| {
            let label = words.say(&format!("fact.{name}"), values)?;
            Some(Fact { name, label, value: values.get(name)?.clone() })
        });
        let livemode = notification.subject.tenant.livemode;
        let hosted = notification.details.hosted_url.as_ref();
        let button = buttons(kind).iter().find_map(|(name, to)| {
            let url = match to {
                To::Invoice => hosted.and_then(|url| clean::link(url.expose(), livemode)),
                To::Billing => pages.billing.clone(),
                To::Operator => pages.operator.clone(),
            }?;
            Some(Link { label: words.say(&format!("button.{name}"), values)?, url })
        });
        Some(Self {
            subject: clean::cut(&say("subject")?, MAX_SUBJECT),
            preheader: say("preheader")?,
            greeting: words.say("mail.hello", values)?,
            paragraphs: paragraphs.iter().filter_map(|key| say(key)).collect(),
            facts: facts.collect(),
            button,
        })
    }
}

/// Which of its paragraphs a mail has, by their names under the kind; `None` for a kind of a newer
/// core.
fn paragraphs(notification: &Notification, values: &Values) -> Option<&'static [&'static str]> {
    let details = &notification.details;
    Some(match notification.notice.kind {
        NoticeKind::Receipt
        | NoticeKind::PaymentRecovered
        | NoticeKind::DisputeWon
        | NoticeKind::DisputeLost
        | NoticeKind::TicketOpened
        | NoticeKind::DisputeDeadline
        | NoticeKind::EventDead => &["lead"],
        // What nobody knows the reason of may pass as well.
        NoticeKind::PaymentFailed => match details.decline.as_ref().is_some_and(|it| it.hard) {
            true => &["lead", "hard", "grace"],
            false => &["lead", "soft", "retry", "grace"],
        },
        NoticeKind::PaymentReminder | NoticeKind::PaymentFinalNotice => match &details.decline {
            Some(decline) if decline.hard => &["lead", "hard", "total"],
            Some(decline) if decline.class == DeclineClass::Authentication => {
                &["lead", "confirm", "total"]
            }
            _ => &["lead", "soft", "total"],
        },
        NoticeKind::ActionRequired
        | NoticeKind::CardExpiring
        | NoticeKind::CreditsLow
        | NoticeKind::CreditsExpiring
        | NoticeKind::FraudWarning => &["lead", "what"],
        NoticeKind::Refund => &["lead", "total", "time"],
        NoticeKind::DisputeOpened if details.inquiry => &["inquiry", "what"],
        NoticeKind::DisputeOpened => &["lead", "what"],
        NoticeKind::SubscriptionCanceled => match details.reason.as_deref() {
            Some("payment_failed") => &["lead", "unpaid", "back"],
            _ => &["lead", "back"],
        },
        NoticeKind::TrialEnding => &["lead", "then", "manage"],
        NoticeKind::PlanChanged => {
            let (old, new) = (values.get("old_plan"), values.get("new_plan"));
            if old.is_some() && old == new { &["same"] } else { &["lead"] }
        }
        NoticeKind::RenewalUpcoming => &["lead", "manage"],
        NoticeKind::CreditsGranted => &["lead", "available"],
        _ => return None,
    })
}

/// The lines of a mail's table, as far as they are known: names under `fact`, and slots.
fn facts(kind: NoticeKind) -> &'static [&'static str] {
    match kind {
        NoticeKind::Receipt => &["product", "amount", "paid", "card", "invoice", "period_end"],
        NoticeKind::PaymentFailed => &["product", "amount", "invoice", "due"],
        NoticeKind::PaymentReminder | NoticeKind::PaymentFinalNotice => {
            &["product", "amount", "invoice", "grace_end"]
        }
        NoticeKind::PaymentRecovered => &["product", "amount", "paid", "card", "invoice"],
        NoticeKind::ActionRequired => &["product", "amount", "invoice"],
        NoticeKind::Refund => &["amount", "total"],
        NoticeKind::DisputeOpened | NoticeKind::DisputeWon | NoticeKind::DisputeLost => {
            &["amount", "paid"]
        }
        NoticeKind::PlanChanged => &["old_price", "new_price"],
        NoticeKind::CreditsGranted => &["credits", "available"],
        NoticeKind::CreditsLow => &["available"],
        NoticeKind::CreditsExpiring => &["credits", "available"],
        NoticeKind::TicketOpened => &["ticket_about", "customer", "account"],
        NoticeKind::DisputeDeadline => {
            &["deadline", "amount", "reason", "dispute", "payment", "customer", "account"]
        }
        NoticeKind::EventDead => &["event", "account"],
        NoticeKind::FraudWarning => &["amount", "reason", "payment", "customer", "account"],
        _ => &[],
    }
}

/// The buttons that a mail may have, by their names under `button`: it gets the first whose page
/// there is.
fn buttons(kind: NoticeKind) -> &'static [(&'static str, To)] {
    match kind {
        NoticeKind::Receipt | NoticeKind::PaymentRecovered => {
            &[("invoice", To::Invoice), ("billing", To::Billing)]
        }
        NoticeKind::PaymentFailed
        | NoticeKind::PaymentReminder
        | NoticeKind::PaymentFinalNotice => &[("pay", To::Invoice), ("billing", To::Billing)],
        NoticeKind::ActionRequired => &[("confirm", To::Invoice), ("billing", To::Billing)],
        NoticeKind::SubscriptionCanceled => &[("back", To::Billing)],
        NoticeKind::CardExpiring => &[("card", To::Billing)],
        NoticeKind::CreditsLow => &[("more", To::Billing)],
        kind if kind.is_internal() => &[("operator", To::Operator)],
        _ => &[("billing", To::Billing)],
    }
}
