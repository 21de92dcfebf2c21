use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

use crate::state::versions::{Snapshot, Versions};
use crate::stripe::Resource;
use crate::stripe::objects::{
    Charge, ChargeStatus, Dispute, FraudWarning, PaymentIntent, PaymentIntentStatus, Refund,
};

/// What is known of one payment: its intent, its charges, and what came back of it. Known under the
/// payment intent's id, or the charge's where there is none.
///
/// Money that came back is counted by refund and dispute, by their own ids, since a refund can
/// fail later; what a charge says of it in total is a floor for where no refund was seen.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct PaymentRecord {
    id: String,
    #[serde(default, skip_serializing_if = "Versions::is_empty")]
    pub(crate) intent: Versions<PaymentIntent>,
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub(crate) charges: BTreeMap<String, Versions<Charge>>,
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub(crate) refunds: BTreeMap<String, Versions<Refund>>,
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub(crate) disputes: BTreeMap<String, Versions<Dispute>>,
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub(crate) warnings: BTreeMap<String, Versions<FraudWarning>>,
    /// Every status that a refund or dispute was ever seen in, by its id.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    seen: BTreeMap<String, BTreeSet<String>>,
    /// The invoices it pays.
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    pub(crate) invoices: BTreeSet<String>,
    /// The checkout sessions that it comes from.
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    pub(crate) sessions: BTreeSet<String>,
    /// The payment of which this turned out to be a charge; everything is kept there.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    same_as: Option<String>,
}

impl PaymentRecord {
    /// A payment of which nothing is known but its id.
    pub(crate) fn new(id: impl Into<String>) -> Self {
        Self { id: id.into(), ..Self::default() }
    }

    /// The payment intent's id, or the charge's where there is none.
    pub fn id(&self) -> &str {
        &self.id
    }

    pub(super) fn merge(&mut self, other: &Self) {
        self.intent.merge(&other.intent);
        join(&mut self.charges, &other.charges);
        join(&mut self.refunds, &other.refunds);
        join(&mut self.disputes, &other.disputes);
        join(&mut self.warnings, &other.warnings);
        for (id, statuses) in &other.seen {
            self.seen.entry(id.clone()).or_default().extend(statuses.iter().cloned());
        }
        self.invoices.extend(other.invoices.iter().cloned());
        self.sessions.extend(other.sessions.iter().cloned());
        if other.same_as > self.same_as {
            self.same_as.clone_from(&other.same_as);
        }
    }

    /// Adds a refund as an event brought it.
    pub(crate) fn add_refund(&mut self, view: &Refund, versions: &Versions<Refund>) {
        self.see(&view.id, view.status.as_str());
        self.refunds.entry(view.id.clone()).or_default().merge(versions);
    }

    /// Adds a dispute as an event brought it.
    pub(crate) fn add_dispute(&mut self, view: &Dispute, versions: &Versions<Dispute>) {
        self.see(&view.id, view.status.as_str());
        self.disputes.entry(view.id.clone()).or_default().merge(versions);
    }

    fn see(&mut self, id: &str, status: &str) {
        self.seen.entry(id.to_owned()).or_default().insert(status.to_owned());
    }

    /// Whether a refund or dispute was ever in a status that fits.
    pub(crate) fn was<S: From<String>>(&self, id: &str, fits: impl Fn(&S) -> bool) -> bool {
        let mut seen = self.seen.get(id).into_iter().flatten();
        seen.any(|status| fits(&S::from(status.clone())))
    }

    pub(super) fn tied_by(&self, arrived: &Self) -> Option<(Resource, &str)> {
        if self.intent.is_tied_by(&arrived.intent) {
            return Some((Resource::PaymentIntent, &self.id));
        }
        let charge = tied(&self.charges, &arrived.charges).map(|id| (Resource::Charge, id));
        let refund = || tied(&self.refunds, &arrived.refunds).map(|id| (Resource::Refund, id));
        let dispute = || tied(&self.disputes, &arrived.disputes).map(|id| (Resource::Dispute, id));
        charge.or_else(refund).or_else(dispute)
    }

    /// The same under another id.
    pub(crate) fn renamed(&self, id: &str) -> Self {
        Self { id: id.to_owned(), same_as: None, ..self.clone() }
    }

    /// What is left under the old id of a payment that is known by another.
    pub(crate) fn moved_to(&self, id: &str) -> Self {
        Self { same_as: Some(id.to_owned()), ..Self::new(self.id.clone()) }
    }

    /// The payment that it is a part of, if it turned out to be a charge of another.
    pub fn same_as(&self) -> Option<&str> {
        self.same_as.as_deref()
    }

    /// The payment intent as last seen.
    pub fn intent(&self) -> Option<&PaymentIntent> {
        self.intent.latest()
    }

    /// Its charges that moved money, as last seen.
    pub fn charges(&self) -> impl Iterator<Item = &Charge> {
        let charges = self.charges.values().filter_map(Versions::latest);
        charges.filter(|charge| charge.status == ChargeStatus::Succeeded)
    }

    /// Its refunds, as last seen.
    pub fn refunds(&self) -> impl Iterator<Item = &Refund> {
        self.refunds.values().filter_map(Versions::latest)
    }

    /// Its disputes, as last seen.
    pub fn disputes(&self) -> impl Iterator<Item = &Dispute> {
        self.disputes.values().filter_map(Versions::latest)
    }

    /// Its fraud warnings, as last seen.
    pub fn warnings(&self) -> impl Iterator<Item = &FraudWarning> {
        self.warnings.values().filter_map(Versions::latest)
    }

    /// The invoices it pays.
    pub fn invoices(&self) -> &BTreeSet<String> {
        &self.invoices
    }

    /// The checkout sessions that it comes from.
    pub fn sessions(&self) -> &BTreeSet<String> {
        &self.sessions
    }

    /// What was paid, minor units; `None` while no money is known to have moved.
    pub fn amount(&self) -> Option<i64> {
        let charged: Vec<i64> =
            self.charges().filter_map(|c| c.amount_captured.or(c.amount)).collect();
        if !charged.is_empty() {
            return Some(charged.into_iter().fold(0, i64::saturating_add));
        }
        let intent = self.intent().filter(|i| i.status == PaymentIntentStatus::Succeeded)?;
        intent.amount_received.filter(|amount| *amount > 0).or(intent.amount)
    }

    /// Three-letter code, lower case.
    pub fn currency(&self) -> Option<&str> {
        let charge = self.charges().find_map(|charge| charge.currency.as_deref());
        charge.or_else(|| self.intent()?.currency.as_deref())
    }

    /// The charge that moved the money, as far as it was named.
    pub fn charge(&self) -> Option<&str> {
        let own = self.charges().map(|charge| charge.id.as_str()).next();
        own.or_else(|| self.intent()?.latest_charge.as_deref())
            .or_else(|| self.refunds().find_map(|refund| refund.charge.as_deref()))
            .or_else(|| self.disputes().find_map(|dispute| dispute.charge.as_deref()))
    }

    /// What went back to the customer by refunds that did not fail, pending ones included; minor
    /// units, never more than was paid where that is known.
    pub fn refunded(&self) -> i64 {
        let sum = |live: bool| {
            let refunds = self.refunds().filter(|refund| refund.returns_money() == live);
            refunds.filter_map(|refund| refund.amount).fold(0, i64::saturating_add)
        };
        // A charge's own total may still count what failed since.
        let charges = self.charges.values().filter_map(|versions| {
            let said = versions.latest()?.amount_refunded?;
            let stamp = versions.stamp()?;
            let failed_since = self.refunds.values().filter(|refund| {
                refund.stamp() >= Some(stamp)
                    && refund.latest().is_some_and(|refund| !refund.returns_money())
            });
            let failed = failed_since.filter_map(|refund| refund.latest()?.amount);
            Some(said.saturating_sub(failed.fold(0, i64::saturating_add)))
        });
        let floor = charges.fold(0, i64::saturating_add);
        let refunded = sum(true).max(floor).max(0);
        self.amount().map_or(refunded, |amount| refunded.min(amount))
    }

    /// What came back in all: refunds, and disputes that are lost; never more than was paid.
    pub fn returned(&self) -> i64 {
        let lost = self.disputes().filter(|dispute| dispute.status.is_lost());
        let lost = lost.filter_map(|dispute| dispute.amount).fold(0, i64::saturating_add);
        let returned = self.refunded().saturating_add(lost);
        self.amount().map_or(returned, |amount| returned.min(amount))
    }

    /// Whether all of it was refunded.
    pub fn is_fully_refunded(&self) -> bool {
        match self.amount() {
            Some(amount) => amount > 0 && self.refunded() >= amount,
            None => self.charges().any(|charge| charge.refunded),
        }
    }

    /// Whether it was ever disputed.
    pub fn is_disputed(&self) -> bool {
        !self.disputes.is_empty() || self.charges().any(|charge| charge.disputed)
    }

    /// Whether a dispute over it is undecided; inquiries are not disputes yet.
    pub fn has_open_dispute(&self) -> bool {
        self.disputes().any(|dispute| dispute.status.is_open() && !dispute.status.is_inquiry())
    }

    /// Whether a dispute over it was lost.
    pub fn has_lost_dispute(&self) -> bool {
        self.disputes().any(|dispute| dispute.status.is_lost())
    }

    /// When it was made, Unix seconds.
    pub fn created(&self) -> Option<i64> {
        let charge = self.charges().filter_map(|charge| charge.created).min();
        charge.or_else(|| self.intent()?.created)
    }
}

fn tied<'a, T: Snapshot>(
    own: &'a BTreeMap<String, Versions<T>>,
    arrived: &BTreeMap<String, Versions<T>>,
) -> Option<&'a str> {
    let tied = |(id, versions): &(&String, &Versions<T>)| {
        arrived.get(*id).is_some_and(|arrived| versions.is_tied_by(arrived))
    };
    own.iter().find(tied).map(|(id, _)| id.as_str())
}

fn join<T: Snapshot>(
    own: &mut BTreeMap<String, Versions<T>>,
    other: &BTreeMap<String, Versions<T>>,
) {
    for (id, versions) in other {
        own.entry(id.clone()).or_default().merge(versions);
    }
}
