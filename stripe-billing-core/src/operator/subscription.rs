use serde::Serialize;

use crate::access::{Access, SubscriptionAccess};
use crate::state::{State, Subject, SubscriptionRecord};
use crate::stripe::objects::{
    CancellationReason, CollectionMethod, PauseCollection, SubscriptionStatus,
};

/// A subscription: what Stripe said last, and what it gives. Lists have one entry per item.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct SubscriptionView {
    /// `sub_...`
    pub id: String,
    /// The Stripe customer it belongs to.
    pub customer: String,
    /// Stripe's word for its status.
    pub status: SubscriptionStatus,
    /// Where it stands.
    pub state: State,
    /// Whether it gives access at the instant that was asked for.
    pub access: bool,
    /// The plans of the catalog that its prices belong to.
    pub plans: Vec<String>,
    /// The prices subscribed to.
    pub prices: Vec<String>,
    /// How many of each; metered prices have none.
    pub quantities: Vec<Option<i64>>,
    /// When each item's current period began.
    pub period_start: Vec<Option<i64>>,
    /// When each item's current period ends.
    pub period_end: Vec<Option<i64>>,
    /// One spelling of "will cancel".
    pub cancel_at_period_end: bool,
    /// The other spelling: the instant at which it will.
    pub cancel_at: Option<i64>,
    /// Whether it will cancel by itself, in whichever spelling.
    pub will_cancel: bool,
    /// When it will.
    pub ends_at: Option<i64>,
    /// When cancellation was asked for; not the end.
    pub canceled_at: Option<i64>,
    /// Why it was, or will be, canceled.
    pub cancellation_reason: Option<CancellationReason>,
    /// When it ended.
    pub ended_at: Option<i64>,
    /// When the trial began.
    pub trial_start: Option<i64>,
    /// When the trial ends or ended.
    pub trial_end: Option<i64>,
    /// How invoices are treated while collection is paused.
    pub pause_collection: Option<PauseCollection>,
    /// How its invoices are collected.
    pub collection_method: Option<CollectionMethod>,
    /// The newest invoice.
    pub latest_invoice: Option<String>,
    /// Until when its paid invoices reach.
    pub paid_through: Option<i64>,
    /// Until when it keeps access although a renewal is not paid.
    pub grace_until: Option<i64>,
    /// Whether the policy takes its access away because its money was called back.
    pub revoked: bool,
    /// When it was created.
    pub created: Option<i64>,
}

impl SubscriptionView {
    /// The subject's subscriptions; those of which only invoices are known are left out.
    pub(super) fn all(subject: &Subject, access: &Access) -> Vec<Self> {
        let share = |id: &str| access.subscriptions.iter().find(|share| share.id == id);
        let known = subject.subscriptions();
        known.filter_map(|record| Self::of(record, share(record.id())?)).collect()
    }

    fn of(record: &SubscriptionRecord, share: &SubscriptionAccess) -> Option<Self> {
        let view = record.latest()?;
        let items = view.items.iter();
        Some(Self {
            id: view.id.clone(),
            customer: share.customer.clone(),
            status: view.status.clone(),
            state: share.state,
            access: share.access,
            plans: share.plans.clone(),
            prices: share.prices.clone(),
            quantities: share.quantities.clone(),
            period_start: items.clone().map(|item| item.period_start).collect(),
            period_end: items.map(|item| item.period_end).collect(),
            cancel_at_period_end: view.cancel_at_period_end,
            cancel_at: view.cancel_at,
            will_cancel: share.will_cancel,
            ends_at: share.ends_at,
            canceled_at: view.canceled_at,
            cancellation_reason: view.cancellation_reason.clone(),
            ended_at: view.ended_at,
            trial_start: view.trial_start,
            trial_end: view.trial_end,
            pause_collection: view.pause_collection.clone(),
            collection_method: view.collection_method.clone(),
            latest_invoice: view.latest_invoice.clone(),
            paid_through: share.paid_through,
            grace_until: share.grace_until,
            revoked: share.revoked,
            created: view.created,
        })
    }
}
