//! What an account may do: a pure function of its subscriptions, the catalog and the time.

use std::collections::{BTreeMap, BTreeSet};

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

use crate::catalog::{Catalog, OnDispute, OnFullRefund, Policy};
use crate::state::{State, Subject, SubscriptionRecord};
use crate::stripe::objects::{InvoiceStatus, Subscription, SubscriptionStatus};

/// What an account may do. Times are Unix seconds, UTC.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Access {
    /// Where the account stands: the best of its subscriptions.
    pub state: State,
    /// Whether a subscription to a known plan gives access now.
    pub access: bool,
    /// The features it may use.
    pub features: BTreeSet<String>,
    /// The limits it has; of several subscriptions the highest.
    pub limits: BTreeMap<String, i64>,
    /// Whether credits may be spent: not while a bill stands open beyond its grace.
    pub can_use_credits: bool,
    /// Whether a subscription may be bought: only without a live one.
    pub can_purchase: bool,
    /// Its subscriptions, those that give access first.
    pub subscriptions: Vec<SubscriptionAccess>,
    /// When this has to be worked out anew, because a grace period or paid time ends.
    pub valid_until: Option<i64>,
    /// Grows with every change of the account's state.
    pub version: i64,
}

/// One subscription's share in an account's access. Times are Unix seconds, UTC.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct SubscriptionAccess {
    /// `sub_...`
    pub id: String,
    /// The Stripe customer it belongs to.
    pub customer: String,
    /// Where it stands.
    pub state: State,
    /// Its status at Stripe.
    pub status: SubscriptionStatus,
    /// Whether it gives access now.
    pub access: bool,
    /// The plans of the catalog that its prices belong to.
    pub plans: Vec<String>,
    /// The prices subscribed to.
    pub prices: Vec<String>,
    /// How many of each; metered prices have none.
    pub quantities: Vec<Option<i64>>,
    /// `month`, `year`, ...: the billing interval of its first price.
    pub interval: Option<String>,
    /// When the current period ends.
    pub period_end: Option<i64>,
    /// Until when its paid invoices reach.
    pub paid_through: Option<i64>,
    /// When the trial ends.
    pub trial_end: Option<i64>,
    /// Whether it will cancel by itself, in whichever spelling.
    pub will_cancel: bool,
    /// When it will.
    pub ends_at: Option<i64>,
    /// Until when it keeps access although a renewal is not paid.
    pub grace_until: Option<i64>,
    /// Whether the policy takes its access away because its money was called back.
    #[serde(default)]
    pub revoked: bool,
}

impl Access {
    /// Whether a feature may be used.
    pub fn allows(&self, feature: &str) -> bool {
        self.features.contains(feature)
    }

    /// A limit, if the account's plans set it.
    pub fn limit(&self, name: &str) -> Option<i64> {
        self.limits.get(name).copied()
    }

    /// Whether it still holds at a time.
    pub fn is_valid_at(&self, now: DateTime<Utc>) -> bool {
        self.valid_until.is_none_or(|until| now.timestamp() < until)
    }

    /// Works out what an account with these subjects may do.
    pub fn evaluate(subjects: &[Subject], catalog: &Catalog, now: DateTime<Utc>) -> Self {
        let now = now.timestamp();
        let mut subscriptions: Vec<_> = subjects
            .iter()
            .flat_map(|subject| subject.subscriptions().map(move |record| (subject, record)))
            .filter_map(|(subject, record)| share(subject, record, catalog, now))
            .collect();
        subscriptions.sort_by(|a, b| (standing(b), &a.id).cmp(&(standing(a), &b.id)));

        let mut access = Self {
            version: subjects.iter().map(|subject| subject.version).sum(),
            state: subscriptions.first().map_or(State::NoSubscription, |best| best.state),
            ..Self::default()
        };
        for share in &subscriptions {
            if share.access {
                grant(&mut access, share, catalog);
            }
            let turns = [share.grace_until, share.ends_at];
            let next = turns.into_iter().flatten().filter(|turn| *turn > now).min();
            access.valid_until = match (access.valid_until, next) {
                (Some(a), Some(b)) => Some(a.min(b)),
                (a, b) => a.or(b),
            };
        }
        for features in subjects.iter().filter_map(Subject::entitlements) {
            access.features.extend(features.iter().cloned());
        }
        let known = |share: &&SubscriptionAccess| !share.plans.is_empty();
        let live = subscriptions.iter().filter(known).any(|share| is_live(share, now));
        access.can_purchase = !live;
        // Packs stay usable without a subscription; an open bill closes the purse.
        access.can_use_credits = access.access || !live;
        access.subscriptions = subscriptions;
        access
    }
}

/// Adds what one subscription gives.
fn grant(access: &mut Access, share: &SubscriptionAccess, catalog: &Catalog) {
    for price in &share.prices {
        let Some((plan, price)) = catalog.plan_of_price(price) else {
            continue;
        };
        access.access = true;
        access.features.extend(price.features(plan).map(str::to_owned));
        for (name, limit) in price.limits(plan) {
            let kept = access.limits.entry(name.to_owned()).or_insert(limit);
            *kept = limit.max(*kept);
        }
    }
}

/// Whether a second subscription would bill the account twice.
fn is_live(share: &SubscriptionAccess, now: i64) -> bool {
    let over = share.will_cancel && share.ends_at.is_some_and(|end| end <= now);
    !over
        && matches!(
            share.status,
            SubscriptionStatus::Trialing
                | SubscriptionStatus::Active
                | SubscriptionStatus::PastDue
                | SubscriptionStatus::Unpaid
                | SubscriptionStatus::Paused
        )
}

/// One subscription at a time.
fn share(
    subject: &Subject,
    record: &SubscriptionRecord,
    catalog: &Catalog,
    now: i64,
) -> Option<SubscriptionAccess> {
    let view = record.latest()?;
    let state = State::of(view);
    let ends_at = view.ends_at().filter(|_| view.will_cancel());
    let grace_until = (state == State::PastDue)
        .then(|| grace_start(subject, record, view))
        .flatten()
        .map(|start| start.saturating_add(catalog.policy().past_due_grace.num_seconds()));
    let runs = ends_at.is_none_or(|end| now < end);
    let revoked = is_revoked(subject, view, catalog.policy(), now);
    let access = match state {
        _ if revoked => false,
        State::Active | State::Trialing => true,
        State::Canceled => !view.status.is_terminal() && runs,
        State::PastDue => runs && grace_until.is_some_and(|until| now < until),
        _ => false,
    };
    let prices: Vec<String> = view.items.iter().map(|item| item.price.clone()).collect();
    let mut plans: Vec<String> = prices
        .iter()
        .filter_map(|price| Some(catalog.plan_of_price(price)?.0.id.clone()))
        .collect();
    plans.dedup();
    Some(SubscriptionAccess {
        id: view.id.clone(),
        customer: subject.key.id.clone(),
        state,
        status: view.status.clone(),
        access,
        plans,
        quantities: view.items.iter().map(|item| item.quantity).collect(),
        interval: view.items.first().and_then(|item| item.interval.clone()),
        prices,
        period_end: view.period_end(),
        paid_through: record.paid_through(),
        trial_end: view.trial_end,
        will_cancel: view.will_cancel(),
        ends_at,
        grace_until,
        revoked,
    })
}

/// Whether the policy takes access away because money was called back: while a dispute is
/// undecided, and after one that was lost or a full refund for as long as that money paid for.
fn is_revoked(subject: &Subject, view: &Subscription, policy: &Policy, now: i64) -> bool {
    let disputes = policy.on_dispute == OnDispute::RevokeAccess;
    let refunds = policy.on_full_refund == OnFullRefund::RevokeAccess;
    subject
        .payments()
        .filter(|payment| payment.sessions().is_empty() || !payment.invoices().is_empty())
        .any(|payment| {
            let open = disputes && payment.has_open_dispute();
            let gone = (disputes && payment.has_lost_dispute())
                || (refunds && payment.is_fully_refunded());
            if !open && !gone {
                return false;
            }
            let invoices = payment.invoices().iter().filter_map(|id| subject.invoice(id)?.latest());
            let (mut named, mut lasts) = (false, false);
            for invoice in
                invoices.filter(|invoice| invoice.subscription.as_ref() == Some(&view.id))
            {
                named = true;
                lasts |= invoice.service_end().is_none_or(|end| now < end);
            }
            match payment.invoices().is_empty() {
                false => named && (open || lasts),
                // Nobody knows what it paid for: it counts against what was running when it was made.
                true => {
                    open || payment.created() >= view.period_start().map(|start| start - 86_400)
                }
            }
        })
}

/// When grace began: the first failed attempt of the oldest unpaid invoice. Where no failed attempt
/// was seen, the start of the period that is not paid, or the first word of it.
fn grace_start(subject: &Subject, record: &SubscriptionRecord, view: &Subscription) -> Option<i64> {
    let unpaid = subject.invoices().filter(|invoice| {
        invoice.latest().is_some_and(|invoice| {
            invoice.subscription.as_ref() == Some(&view.id)
                && matches!(invoice.status, InvoiceStatus::Open | InvoiceStatus::Uncollectible)
        })
    });
    unpaid
        .filter_map(|invoice| {
            let view = invoice.latest()?;
            // A sent invoice is not collected: it is late from the day on which it was due.
            let late = invoice.first_failed_at().or(view.due_date).or(invoice.overdue_at())?;
            Some((view.created, late))
        })
        .min()
        .map(|(_, failed)| failed)
        .or(view.period_start())
        .or(record.versions.stamp())
}

/// How good a subscription is for the account; the best one names its state. Subscriptions to
/// prices that are not in the catalog count last: they are not about this app.
fn standing(share: &SubscriptionAccess) -> (bool, bool, u8) {
    let state = match share.state {
        State::Active => 9,
        State::Trialing => 8,
        State::Canceled if share.access => 7,
        State::PastDue => 6,
        State::Unpaid => 5,
        State::Paused => 4,
        State::Incomplete => 3,
        State::Canceled => 2,
        State::Expired => 1,
        State::NoSubscription => 0,
    };
    (!share.plans.is_empty(), share.access, state)
}
