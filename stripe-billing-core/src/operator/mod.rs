//! What operators see of a customer or an account, as one document: a pure function of what is
//! known, the catalog and a time.
//!
//! Amounts are minor units of their currency, times Unix seconds, UTC. Lists are ordered by when
//! their objects were created, then by id; what Stripe did not say is `null`.

mod customer;
mod evidence;
mod invoice;
mod payment;
mod redact;
mod session;
mod subscription;
#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, BTreeSet};

use chrono::{DateTime, Utc};
use serde::Serialize;

use crate::access::Access;
use crate::catalog::Catalog;
use crate::ledger::CreditsView;
use crate::state::{State, Subject};

pub use customer::{CustomerDetails, LinksView, PaymentMethodView, SubjectView};
pub use evidence::{EvidenceDraft, PaidPeriod};
pub use invoice::InvoiceView;
pub use payment::{DisputeOutcome, DisputeView, FraudWarningView, PaymentView, RefundView};
pub use redact::redacted;
pub use session::CheckoutSessionView;
pub use subscription::SubscriptionView;

/// Everything that is known of a customer, or of an account with all of its customers.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct CustomerView {
    /// Whether anything is known at all.
    pub known: bool,
    /// The app's account; `null` while nothing has named one.
    pub account: Option<String>,
    /// The connected account it lives in; `null` is the platform's own.
    pub stripe_account: Option<String>,
    /// Live mode or test mode; `null` where nothing is known, or both are shown.
    pub livemode: Option<bool>,
    /// The instant as of which access is worked out.
    pub at: i64,
    /// Grows with every change.
    pub version: i64,
    /// Where it stands: the best of its subscriptions.
    pub state: State,
    /// Whether a subscription to a known plan gives access.
    pub access: bool,
    /// The features it may use.
    pub features: BTreeSet<String>,
    /// The limits it has.
    pub limits: BTreeMap<String, i64>,
    /// Whether credits may be spent.
    pub can_use_credits: bool,
    /// Whether a subscription may be bought.
    pub can_purchase: bool,
    /// When access has to be worked out anew, because a grace period or paid time ends.
    pub valid_until: Option<i64>,
    /// The customer at Stripe; of several the first.
    pub customer: Option<CustomerDetails>,
    /// What named the account.
    pub links: LinksView,
    /// The customers, and what stands in for one where there is none.
    pub subjects: Vec<SubjectView>,
    /// Its subscriptions.
    pub subscriptions: Vec<SubscriptionView>,
    /// Its invoices.
    pub invoices: Vec<InvoiceView>,
    /// Its payments: those whose money moved.
    pub payments: Vec<PaymentView>,
    /// The disputes over them.
    pub disputes: Vec<DisputeView>,
    /// Warnings of card networks about them.
    pub fraud_warnings: Vec<FraudWarningView>,
    /// Its checkout sessions.
    pub checkout_sessions: Vec<CheckoutSessionView>,
    /// Its payment methods, detached ones included.
    pub payment_methods: Vec<PaymentMethodView>,
    /// What Stripe's own entitlements give.
    pub entitlements: BTreeSet<String>,
    /// Balances by unit.
    pub credits: BTreeMap<String, CreditsView>,
    /// How many notices of each kind were told, or are about to be.
    pub notifications: BTreeMap<String, u64>,
}

impl CustomerView {
    /// Puts together what is known of these subjects: of one customer, or all of an account.
    ///
    /// `at` moves only the clock by which access is worked out; the data stays that of now.
    pub fn of(
        subjects: &[Subject],
        notices: &BTreeMap<String, u64>,
        credits: &BTreeMap<String, CreditsView>,
        catalog: &Catalog,
        at: DateTime<Utc>,
    ) -> Self {
        let access = Access::evaluate(subjects, catalog, at);
        let mut view = Self {
            known: !subjects.is_empty(),
            account: same(subjects.iter().map(|subject| subject.links.account()))
                .flatten()
                .map(str::to_owned),
            stripe_account: same(subjects.iter().map(|it| it.key.tenant.stripe_account.clone()))
                .flatten(),
            livemode: same(subjects.iter().map(|subject| subject.key.tenant.livemode)),
            at: at.timestamp(),
            version: access.version,
            state: access.state,
            access: access.access,
            features: access.features,
            limits: access.limits,
            can_use_credits: access.can_use_credits,
            can_purchase: access.can_purchase,
            valid_until: access.valid_until,
            customer: subjects.iter().find_map(CustomerDetails::of),
            links: LinksView::of(subjects),
            subjects: subjects.iter().map(SubjectView::of).collect(),
            subscriptions: Vec::new(),
            invoices: Vec::new(),
            payments: Vec::new(),
            disputes: Vec::new(),
            fraud_warnings: Vec::new(),
            checkout_sessions: Vec::new(),
            payment_methods: Vec::new(),
            entitlements: BTreeSet::new(),
            credits: credits.clone(),
            notifications: notices.clone(),
        };
        for subject in subjects {
            view.add(subject, catalog, at);
        }
        view.sort();
        view
    }

    fn add(&mut self, subject: &Subject, catalog: &Catalog, at: DateTime<Utc>) {
        // Of each subject by itself: ids of different tenants have nothing to do with each other.
        let access = Access::evaluate(std::slice::from_ref(subject), catalog, at);
        self.subscriptions.extend(SubscriptionView::all(subject, &access));
        self.invoices.extend(InvoiceView::all(subject));
        self.payments.extend(PaymentView::all(subject));
        self.disputes.extend(DisputeView::all(subject));
        self.fraud_warnings.extend(FraudWarningView::all(subject));
        self.checkout_sessions.extend(CheckoutSessionView::all(subject));
        self.payment_methods.extend(PaymentMethodView::all(subject));
        self.entitlements.extend(subject.entitlements().into_iter().flatten().cloned());
    }

    fn sort(&mut self) {
        self.subscriptions.sort_by(|a, b| (a.created, &a.id).cmp(&(b.created, &b.id)));
        self.invoices.sort_by(|a, b| (a.created, &a.id).cmp(&(b.created, &b.id)));
        self.payments.sort_by(|a, b| (a.created, &a.id).cmp(&(b.created, &b.id)));
        self.disputes.sort_by(|a, b| (a.created, &a.id).cmp(&(b.created, &b.id)));
        self.fraud_warnings.sort_by(|a, b| (a.created, &a.id).cmp(&(b.created, &b.id)));
        self.checkout_sessions.sort_by(|a, b| (a.created, &a.id).cmp(&(b.created, &b.id)));
        self.payment_methods.sort_by(|a, b| (a.created, &a.id).cmp(&(b.created, &b.id)));
    }
}

/// What all of them say; `None` where they disagree, or there are none.
fn same<T: PartialEq>(mut values: impl Iterator<Item = T>) -> Option<T> {
    let first = values.next()?;
    values.all(|value| value == first).then_some(first)
}
