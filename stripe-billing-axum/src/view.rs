//! What the read routes show.

use std::collections::BTreeMap;

use serde::Serialize;
use stripe_billing_core::Access;
use stripe_billing_core::catalog::{Catalog, DisplayAmount, Pack, Period, Plan, PlanPrice};

/// `GET /state`.
#[derive(Serialize)]
pub(crate) struct StateView<'a> {
    pub(crate) account: &'a str,
    #[serde(flatten)]
    pub(crate) access: &'a Access,
}

/// `GET /plans`.
#[derive(Serialize)]
pub(crate) struct PlansView<'a> {
    plans: Vec<PlanView<'a>>,
    packs: &'a [Pack],
    /// Whether the account may buy a subscription; null when nobody is signed in.
    can_purchase: Option<bool>,
}

#[derive(Serialize)]
struct PlanView<'a> {
    id: &'a str,
    name: &'a str,
    features: &'a [String],
    limits: &'a BTreeMap<String, i64>,
    trial_days: Option<u32>,
    trial_credits: &'a BTreeMap<String, i64>,
    prices: Vec<PriceView<'a>>,
    /// Whether the account has a live subscription to it.
    current: bool,
}

/// A price with everything that it gives, the plan's share included.
#[derive(Serialize)]
struct PriceView<'a> {
    id: &'a str,
    label: Option<&'a str>,
    period: Option<Period>,
    #[serde(flatten)]
    display: Option<&'a DisplayAmount>,
    credits: &'a BTreeMap<String, i64>,
    features: Vec<&'a str>,
    limits: BTreeMap<&'a str, i64>,
    current: bool,
}

impl<'a> PlansView<'a> {
    pub(crate) fn new(catalog: &'a Catalog, access: Option<&Access>) -> Self {
        let plans = catalog.plans().iter();
        Self {
            plans: plans.map(|plan| PlanView::new(plan, access)).collect(),
            packs: catalog.packs(),
            can_purchase: access.map(|access| access.can_purchase),
        }
    }
}

impl<'a> PlanView<'a> {
    fn new(plan: &'a Plan, access: Option<&Access>) -> Self {
        let prices: Vec<_> =
            plan.prices.iter().map(|price| PriceView::new(plan, price, access)).collect();
        Self {
            id: &plan.id,
            name: &plan.name,
            features: &plan.features,
            limits: &plan.limits,
            trial_days: plan.trial_days,
            trial_credits: &plan.trial_credits,
            current: prices.iter().any(|price| price.current),
            prices,
        }
    }
}

impl<'a> PriceView<'a> {
    fn new(plan: &'a Plan, price: &'a PlanPrice, access: Option<&Access>) -> Self {
        let current = access.is_some_and(|access| {
            let mut live = access.subscriptions.iter().filter(|share| !share.status.is_terminal());
            live.any(|share| share.prices.contains(&price.id))
        });
        Self {
            id: &price.id,
            label: price.label.as_deref(),
            period: price.period,
            display: price.display.as_ref(),
            credits: &price.credits,
            features: price.features(plan).collect(),
            limits: price.limits(plan).collect(),
            current,
        }
    }
}
