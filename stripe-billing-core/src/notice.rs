//! What humans are told, and when it is true.

mod details;
mod known;

use std::collections::BTreeSet;

use chrono::{DateTime, Datelike, TimeDelta, Utc};
use serde::{Deserialize, Serialize};

use crate::catalog::Policy;
use crate::dunning;
use crate::keys::{AccountKey, SubjectKey, Tenant};
use crate::ledger::{LedgerKey, Level, LotId};
use crate::state::{
    InvoiceRecord, ObjectRef, PaymentMethodRecord, PaymentRecord, PriceChange, Record, Subject,
    SubscriptionRecord,
};
use crate::stripe::objects::{
    BillingReason, CheckoutMode, InvoiceStatus, RefundStatus, SubscriptionStatus,
};
use crate::ticket::words;

pub use details::{
    CardDetails, CreditDetails, Decline, Money, NoticeDetails, PlanDetails, Recipient,
    TicketDetails,
};

/// How long before the end of its period a card's expiry is told.
const CARD_NOTICE: TimeDelta = TimeDelta::days(31);
/// How long before evidence is due it is told again.
const DEADLINE_NOTICE: TimeDelta = TimeDelta::hours(72);
/// How long before that it is told for the last time, in place of the first where that was missed.
const LAST_DEADLINE_NOTICE: TimeDelta = TimeDelta::hours(24);
/// What is behind the dispute in the last one's detail.
const LAST: &str = ":last";
words! {
    /// What a notice says.
    NoticeKind {
        /// A payment went through.
        Receipt = "receipt",
        /// An attempt to collect an invoice failed.
        PaymentFailed = "payment_failed",
        /// An invoice whose collection had failed is paid; told in place of the receipt.
        PaymentRecovered = "payment_recovered",
        /// The customer has to confirm a payment.
        ActionRequired = "action_required",
        /// Money went back to the customer.
        Refund = "refund",
        /// The customer's bank disputes a payment, or inquires.
        DisputeOpened = "dispute_opened",
        /// A dispute was won.
        DisputeWon = "dispute_won",
        /// A dispute was lost.
        DisputeLost = "dispute_lost",
        /// A subscription has ended.
        SubscriptionCanceled = "subscription_canceled",
        /// A trial is about to end.
        TrialEnding = "trial_ending",
        /// The card of a subscription is about to expire.
        CardExpiring = "card_expiring",
        /// Credits were granted.
        CreditsGranted = "credits_granted",
        /// The credits of an account are low, or used up.
        CreditsLow = "credits_low",
        /// Paid credits are about to expire.
        CreditsExpiring = "credits_expiring",
        /// A subscription has another price.
        PlanChanged = "plan_changed",
        /// A subscription is about to renew.
        RenewalUpcoming = "renewal_upcoming",
        /// A renewal still waits to be paid, days after it failed.
        PaymentReminder = "payment_reminder",
        /// Access is about to end because a renewal is not paid.
        PaymentFinalNotice = "payment_final_notice",
        /// For operators: a ticket was opened.
        TicketOpened = "ticket_opened",
        /// For operators: evidence for a dispute is due soon.
        DisputeDeadline = "dispute_deadline",
        /// For operators: an event failed for good.
        EventDead = "event_dead",
        /// For operators: a card network warns of fraud.
        FraudWarning = "fraud_warning",
    }
}

impl NoticeKind {
    /// Whether it follows a failed payment by days. What was due when its case became known is not
    /// told: the first word is, at that time.
    pub(crate) fn is_dunning(self) -> bool {
        matches!(self, Self::PaymentReminder | Self::PaymentFinalNotice)
    }

    /// Notifications: good to know, and neither about money nor about access. Customers may unsubscribe
    /// from them, and are told few within a day
    /// ([`Policy::notifications_per_day`](crate::catalog::Policy::notifications_per_day)).
    pub const OPTIONAL: [Self; 3] = [Self::CreditsGranted, Self::CreditsLow, Self::CreditsExpiring];

    /// Whether it is one of [`OPTIONAL`](Self::OPTIONAL).
    pub fn is_optional(self) -> bool {
        Self::OPTIONAL.contains(&self)
    }

    /// Whether it is for operators, and not for the customer.
    pub fn is_internal(self) -> bool {
        matches!(
            self,
            Self::TicketOpened | Self::DisputeDeadline | Self::EventDead | Self::FraudWarning
        )
    }
}

/// Something to tell a human: at most once, and only while it is true. It names what it is about
/// and carries nothing else; whoever writes it reads the rest from the state.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[allow(clippy::exhaustive_structs)]
pub struct Notice {
    /// What it says.
    #[serde(rename = "notice")]
    pub kind: NoticeKind,
    /// The record it is about, if it is about one.
    pub object: Option<ObjectRef>,
    /// What tells it from others of the kind: the attempt, the number of the refund, the dispute, the
    /// period's end.
    pub detail: String,
}

impl Notice {
    /// A notice about a record.
    pub(crate) fn about(kind: NoticeKind, object: ObjectRef, detail: impl Into<String>) -> Self {
        Self { kind, object: Some(object), detail: detail.into() }
    }

    /// A notice about no record.
    pub(crate) fn of(kind: NoticeKind, detail: impl Into<String>) -> Self {
        Self { kind, object: None, detail: detail.into() }
    }

    /// Unique in its tenant, and made from the business fact.
    ///
    /// ```
    /// use stripe_billing_core::notice::{Notice, NoticeKind};
    /// let dead = Notice { kind: NoticeKind::EventDead, object: None, detail: "evt_1".into() };
    /// assert_eq!(dead.key(), "notice:event_dead:evt_1");
    /// ```
    pub fn key(&self) -> String {
        let kind = self.kind.as_str();
        match &self.object {
            None => format!("notice:{kind}:{}", self.detail),
            Some(object) if self.detail.is_empty() => format!("notice:{kind}:{}", object.id),
            Some(object) => format!("notice:{kind}:{}:{}", object.id, self.detail),
        }
    }

    /// The dispute that it is about, if it is about one.
    pub fn dispute(&self) -> Option<&str> {
        match self.kind {
            NoticeKind::DisputeOpened | NoticeKind::DisputeWon | NoticeKind::DisputeLost => {
                Some(&self.detail)
            }
            NoticeKind::DisputeDeadline => {
                Some(self.detail.strip_suffix(LAST).unwrap_or(&self.detail))
            }
            _ => None,
        }
    }

    /// Whether it is true of the subject at a time. What is about no record of Stripe's stays true.
    pub fn holds(&self, subject: &Subject, policy: &Policy, now: DateTime<Utc>) -> bool {
        let Some(object) = &self.object else { return true };
        notices(subject, object, policy, now).iter().any(|due| due.notice == *self)
    }
}

/// A notice that is true, or will be when it is due.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Due {
    pub(crate) notice: Notice,
    /// From when on it may be told.
    pub(crate) at: DateTime<Utc>,
}

/// What there is to tell about a record at a time: a pure function of what is known.
pub(crate) fn notices(
    subject: &Subject,
    object: &ObjectRef,
    policy: &Policy,
    now: DateTime<Utc>,
) -> Vec<Due> {
    let mut told = Vec::new();
    match subject.records.get(object) {
        Some(Record::Subscription(record)) => of_subscription(record, object, now, &mut told),
        Some(Record::Invoice(record)) => {
            of_invoice(record, object, &mut told);
            let at_once = told.into_iter().map(|notice| Due { notice, at: now });
            return at_once.chain(dunning::notices(subject, object, policy, now)).collect();
        }
        Some(Record::CheckoutSession(record)) => {
            let paid = record.latest().filter(|view| view.is_fulfilled() && view.invoice.is_none());
            if let Some(view) = paid
                && view.mode == Some(CheckoutMode::Payment)
                && view.amount_total.is_some_and(|amount| amount > 0)
            {
                told.push(Notice::about(NoticeKind::Receipt, object.clone(), ""));
            }
        }
        Some(Record::Payment(record)) => {
            of_payment(record, object, &mut told);
            let at_once = told.into_iter().map(|notice| Due { notice, at: now });
            return at_once.chain(deadlines(record, object, now)).collect();
        }
        Some(Record::PaymentMethod(record)) => {
            of_payment_method(subject, record, object, now, &mut told);
        }
        Some(Record::Customer(_) | Record::Entitlements(_)) | None => {}
    }
    told.into_iter().map(|notice| Due { notice, at: now }).collect()
}

fn of_subscription(
    record: &SubscriptionRecord,
    object: &ObjectRef,
    now: DateTime<Utc>,
    told: &mut Vec<Notice>,
) {
    let Some(view) = record.latest() else { return };
    let mut tell = |kind, detail: String| told.push(Notice::about(kind, object.clone(), detail));
    if view.status == SubscriptionStatus::Canceled {
        tell(NoticeKind::SubscriptionCanceled, String::new());
    }
    let ahead = |time: Option<i64>| time.filter(|time| *time > now.timestamp());
    if let Some(end) = ahead(record.trial_ending)
        && view.status == SubscriptionStatus::Trialing
        && view.trial_end == Some(end)
    {
        tell(NoticeKind::TrialEnding, end.to_string());
    }
    if let Some(end) = ahead(record.renewal_upcoming)
        && !view.status.is_terminal()
        && !view.will_cancel()
    {
        tell(NoticeKind::RenewalUpcoming, end.to_string());
    }
    let prices: BTreeSet<&str> = view.items.iter().map(|item| item.price.as_str()).collect();
    let led_here =
        |change: &&PriceChange| change.to.iter().map(String::as_str).eq(prices.iter().copied());
    if let Some(change) = record.price_changes.iter().rev().find(led_here) {
        tell(NoticeKind::PlanChanged, change.at.to_string());
    }
}

fn of_invoice(record: &InvoiceRecord, object: &ObjectRef, told: &mut Vec<Notice>) {
    let Some(view) = record.latest() else { return };
    let first = view.billing_reason == Some(BillingReason::SubscriptionCreate);
    let mut tell = |kind, detail: String| told.push(Notice::about(kind, object.clone(), detail));
    match view.status {
        InvoiceStatus::Paid if view.amount_paid.is_some_and(|paid| paid > 0) => {
            let failed = !record.failed_attempts.is_empty() || view.attempt_count > 1;
            let kind = match failed && !first {
                true => NoticeKind::PaymentRecovered,
                false => NoticeKind::Receipt,
            };
            tell(kind, String::new());
        }
        InvoiceStatus::Open | InvoiceStatus::Uncollectible => {
            // On the very first invoice the customer is there and sees it.
            if let Some(attempt) = record.failed_attempts.last().filter(|_| !first) {
                tell(NoticeKind::PaymentFailed, attempt.to_string());
            }
            if record.action_required {
                tell(NoticeKind::ActionRequired, String::new());
            }
        }
        _ => {}
    }
}

fn of_payment(record: &PaymentRecord, object: &ObjectRef, told: &mut Vec<Notice>) {
    let mut tell = |kind, detail: &str| told.push(Notice::about(kind, object.clone(), detail));
    // By number, since a charge tells of its refunds before, after, or in place of themselves: that
    // makes one notice of each, and none of any twice.
    let refunds = record.refunds().filter(|refund| refund.status == RefundStatus::Succeeded);
    let alone = record.refunds.is_empty() && record.refunded() > 0;
    for number in 1..=refunds.count().max(usize::from(alone)) {
        tell(NoticeKind::Refund, &number.to_string());
    }
    for dispute in record.disputes() {
        if dispute.status.is_open() {
            tell(NoticeKind::DisputeOpened, &dispute.id);
        } else if dispute.status.is_won() {
            tell(NoticeKind::DisputeWon, &dispute.id);
        } else if dispute.status.is_lost() {
            tell(NoticeKind::DisputeLost, &dispute.id);
        }
    }
    for warning in record.warnings() {
        tell(NoticeKind::FraudWarning, &warning.id);
    }
}

/// The reminders that evidence is due: three days and one day before, while it is missing.
fn deadlines(record: &PaymentRecord, object: &ObjectRef, now: DateTime<Utc>) -> Vec<Due> {
    let waiting = record
        .disputes()
        .filter(|dispute| dispute.status.is_open() && !dispute.has_evidence && !dispute.past_due);
    let timed = waiting
        .filter_map(|dispute| Some((&dispute.id, DateTime::from_timestamp(dispute.due_by?, 0)?)));
    timed
        .flat_map(|(id, due_by)| {
            let told = |detail: String, before: TimeDelta| Due {
                notice: Notice::about(NoticeKind::DisputeDeadline, object.clone(), detail),
                at: due_by - before,
            };
            let last = told(format!("{id}{LAST}"), LAST_DEADLINE_NOTICE);
            let first = (now < last.at).then(|| told(id.clone(), DEADLINE_NOTICE));
            first.into_iter().chain([last])
        })
        .collect()
}

/// A card is told of once per expiry, when a subscription would be charged to it.
fn of_payment_method(
    subject: &Subject,
    record: &PaymentMethodRecord,
    object: &ObjectRef,
    now: DateTime<Utc>,
    told: &mut Vec<Notice>,
) {
    let Some(view) = record.latest().filter(|_| !record.is_detached()) else { return };
    let (Some(month), Some(year)) = (view.exp_month, view.exp_year) else { return };
    let months = |year: i64, month: i64| year * 12 + month;
    let soon = now + CARD_NOTICE;
    let this = months(i64::from(now.year()), i64::from(now.month()));
    let next = months(i64::from(soon.year()), i64::from(soon.month()));
    let expires = (this..=next).contains(&months(year, month));
    let renews = subject.subscriptions().filter_map(SubscriptionRecord::latest).any(|view| {
        matches!(
            view.status,
            SubscriptionStatus::Active | SubscriptionStatus::Trialing | SubscriptionStatus::PastDue
        ) && !view.will_cancel()
    });
    if expires && renews {
        told.push(Notice::about(
            NoticeKind::CardExpiring,
            object.clone(),
            format!("{year}-{month}"),
        ));
    }
}

/// The ticket that a notice is about.
pub(crate) fn ticket_opened(key: &str) -> Notice {
    Notice::of(NoticeKind::TicketOpened, key)
}

/// The credits of a grant are there.
pub(crate) fn credits_granted(grant: &str) -> Notice {
    Notice::of(NoticeKind::CreditsGranted, grant)
}

/// An account's credits became low or ran out; `None` if they are fine.
pub fn credits_low(key: &LedgerKey, level: Level, epoch: i64) -> Option<Notice> {
    let word = match level {
        Level::Fine => return None,
        Level::Low => "low",
        Level::Depleted => "depleted",
    };
    let detail = format!("{}:{}:{word}:{epoch}", key.owner.account, key.unit.0);
    Some(Notice::of(NoticeKind::CreditsLow, detail))
}

/// What was paid for is about to run out, in so many days.
pub(crate) fn credits_expiring(key: &LedgerKey, lot: LotId, days: i64) -> Notice {
    let detail = format!("{}:{}:{lot}:{days}", key.owner.account, key.unit.0);
    Notice::of(NoticeKind::CreditsExpiring, detail)
}

/// The unit that a notice about an account's credits names, and what it says of it: how low it is, or
/// which lot.
pub(crate) fn unit_of<'a>(notice: &'a Notice, account: &str) -> Option<(&'a str, &'a str)> {
    let rest = notice.detail.strip_prefix(account)?.strip_prefix(':')?;
    let (rest, _) = rest.rsplit_once(':')?;
    rest.rsplit_once(':')
}

/// The subject that notices about an account's credits belong to, which no record has.
pub fn credits_subject(key: &LedgerKey) -> SubjectKey {
    let tenant =
        Tenant { stripe_account: key.owner.stripe_account.clone(), livemode: key.livemode };
    SubjectKey { tenant, id: credits_subject_id(&key.owner) }
}

pub(crate) fn credits_subject_id(owner: &AccountKey) -> String {
    format!("account:{}", owner.account)
}

/// The account that such a subject is about.
pub(crate) fn account_of(subject: &SubjectKey) -> Option<String> {
    subject.id.strip_prefix("account:").map(str::to_owned)
}
