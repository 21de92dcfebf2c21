//! Plans, prices, packs, links and policy: what the app sells and how it wants to be treated.
//!
//! A [`Catalog`] comes from TOML ([`Catalog::from_toml`], [`Catalog::from_toml_with`]) or from code
//! ([`Catalog::builder`]). Both ways run the same checks, and every mistake is named at once: with
//! its line and column for TOML, with its path in both cases.
//!
//! ```
//! use stripe_billing_core::catalog::Catalog;
//!
//! let catalog = Catalog::from_toml_with(
//!     r#"
//!     [plan.pro]
//!     features = ["export"]
//!     limits = { projects = 20 }
//!
//!     [[plan.pro.price]]
//!     id = "${PRICE_PRO_MONTHLY}"
//!     period = "month"
//!     credits = { credits = 500 }
//!
//!     [pack.pack_1000]
//!     price = "price_pack"
//!     credits = { credits = 1000 }
//!     "#,
//!     |name| (name == "PRICE_PRO_MONTHLY").then(|| "price_pro".to_owned()),
//! )?;
//!
//! let (plan, price) = catalog.plan_of_price("price_pro").expect("declared above");
//! assert_eq!(plan.id, "pro");
//! assert_eq!(price.credits["credits"], 500);
//! assert!(price.features(plan).eq(["export"]));
//! # Ok::<(), stripe_billing_core::catalog::CatalogError>(())
//! ```
//!
//! # The file
//!
//! Every key there is; all may be left out, except that a plan needs a price with an `id`, and a
//! pack a `price` and `credits`. `${NAME}` is replaced inside any string value. Numbers of credits,
//! limits and amounts go from 0 to [`MAX_AMOUNT`]; amounts of money are minor units.
//!
//! ```
//! # let text = r#"
//! [link]
//! account = "account"                  # metadata key that names the app's account
//! pack = "pack"                        # metadata key of a checkout session that names the pack
//!
//! [policy]
//! past_due_grace = "3d"                # w, d, h, m, s, also "1d12h"; "0" for none
//! on_dispute = "freeze_credits"        # or "revoke_access"
//! on_full_refund = "keep_access"       # or "revoke_access"
//! credit_residual = "debt"             # or "write_off"
//! connected_accounts = "ignore"        # or "separate"
//! renewal_grace = "72h"                # how long a period's credits outlast it, until the renewal ends them
//! upgrade_credits = "at_renewal"       # or "prorated": what an upgrade within a period grants
//! dunning = "standard"                 # or "off": reminders of renewals that failed
//! dunning_days = [3, 7, 12]            # on which days after the first failed attempt
//! dunning_hours = "daytime"            # 08:00-20:00 by the customer's clock where it is known; or "any"
//! notifications_per_day = 3            # about credits, told to a customer within 24 hours; more wait
//! fraud = "off"                        # or "standard": rules before a checkout, and on events
//! credits_low = { credits = 50 }       # tell the customer at this balance
//! credits_from = { stories = "team_first" } # or "member_first", "member", "team": who pays for work on a feature
//!
//! [plan.pro]
//! name = "Pro"                         # default: the id in words
//! features = ["stories", "export"]
//! limits = { projects = 20 }
//! trial_days = 14
//! trial_credits = { credits = 50 }     # granted once for a trial
//! rollover = { credits = 300 }         # of a period's unused credits, what a renewal carries over at most
//!
//! [[plan.pro.price]]                   # one for each Stripe price that sells the plan
//! id = "price_pro_annual"
//! credits = { credits = 6000 }         # per paid period and per quantity
//! credits_monthly = false              # true: so many every month of the period
//! features = ["priority_support"]      # beyond those of the plan
//! limits = { projects = 50 }           # instead of those of the plan
//! label = "Two months free"            # label, period, amount and currency are for display only
//! period = "year"                      # day, week, month, year, also "3 months"
//! amount = 19000
//! currency = "usd"
//!
//! [pack.pack_1000]
//! name = "1,000 credits"
//! price = "price_pack_1000"
//! credits = { credits = 1000 }         # granted once per paid checkout session
//! amount = 999
//! currency = "usd"
//! # "#;
//! # stripe_billing_core::catalog::Catalog::from_toml(text)?;
//! # Ok::<(), stripe_billing_core::catalog::CatalogError>(())
//! ```

mod builder;
mod check;
mod document;
mod duration;
mod fingerprint;
mod mistake;
mod period;
mod plan;
mod policy;
#[cfg(test)]
mod tests;

use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;

pub use builder::CatalogBuilder;
pub use mistake::{CatalogError, Mistake};
pub use period::{Period, PeriodUnit};
pub use plan::{DisplayAmount, Pack, Plan, PlanPrice};
pub use policy::{
    ConnectedAccounts, CreditResidual, CreditsFrom, Dunning, DunningHours, Fraud, Link, OnDispute,
    OnFullRefund, Policy, UpgradeCredits,
};

use crate::ledger::LedgerPolicy;
use builder::Draft;

/// The largest limit, credit amount or display amount a catalog may name: 2^53 - 1, the largest
/// integer that every JSON reader keeps exactly.
pub const MAX_AMOUNT: i64 = 9_007_199_254_740_991;

/// A checked catalog. Cloning is one reference count; lookups do not allocate.
///
/// The default is the empty catalog: nothing is sold, so every event about a plan waits until the
/// plan is declared.
#[derive(Clone, Debug, PartialEq)]
pub struct Catalog {
    inner: Arc<Inner>,
}

#[derive(Debug, PartialEq)]
struct Inner {
    plans: Vec<Plan>,
    packs: Vec<Pack>,
    policy: Policy,
    link: Link,
    plan_ids: HashMap<String, usize>,
    pack_ids: HashMap<String, usize>,
    prices: HashMap<String, Sold>,
    fingerprint: String,
}

/// What a Stripe price sells, as positions in the declared order.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Sold {
    Plan { plan: usize, price: usize },
    Pack { pack: usize },
}

impl Catalog {
    /// Starts a catalog in code.
    pub fn builder() -> CatalogBuilder {
        CatalogBuilder::default()
    }

    /// Reads a catalog from TOML that uses no `${NAME}` variable.
    ///
    /// # Errors
    ///
    /// Names every mistake of the text, each with its line. A `${NAME}` is one of them, because
    /// nothing can resolve it; see [`Catalog::from_toml_with`].
    pub fn from_toml(text: &str) -> Result<Self, CatalogError> {
        Self::from_toml_with(text, |_| None)
    }

    /// Reads a catalog from TOML; `lookup` resolves each `${NAME}` inside a string value.
    ///
    /// The library reads neither files nor the environment: pass
    /// `|name| std::env::var(name).ok()` to read the environment.
    ///
    /// # Errors
    ///
    /// Names every mistake of the text, each with its line.
    pub fn from_toml_with(
        text: &str,
        lookup: impl Fn(&str) -> Option<String>,
    ) -> Result<Self, CatalogError> {
        document::read(text, &lookup).map(Self::assemble)
    }

    /// The plan and the price that a Stripe price id stands for.
    pub fn plan_of_price(&self, price_id: &str) -> Option<(&Plan, &PlanPrice)> {
        match *self.inner.prices.get(price_id)? {
            Sold::Plan { plan, price } => {
                let plan = self.inner.plans.get(plan)?;
                Some((plan, plan.prices.get(price)?))
            }
            Sold::Pack { .. } => None,
        }
    }

    /// The pack that a Stripe price id stands for.
    pub fn pack_of_price(&self, price_id: &str) -> Option<&Pack> {
        match *self.inner.prices.get(price_id)? {
            Sold::Pack { pack } => self.inner.packs.get(pack),
            Sold::Plan { .. } => None,
        }
    }

    /// The plan with this id.
    pub fn plan(&self, id: &str) -> Option<&Plan> {
        self.inner.plans.get(*self.inner.plan_ids.get(id)?)
    }

    /// The pack with this id.
    pub fn pack(&self, id: &str) -> Option<&Pack> {
        self.inner.packs.get(*self.inner.pack_ids.get(id)?)
    }

    /// All plans, in the order they were declared.
    pub fn plans(&self) -> &[Plan] {
        &self.inner.plans
    }

    /// All packs, in the order they were declared.
    pub fn packs(&self) -> &[Pack] {
        &self.inner.packs
    }

    /// How grace, disputes, refunds and connected accounts are treated.
    pub fn policy(&self) -> &Policy {
        &self.inner.policy
    }

    /// Which metadata keys tie Stripe objects to the app.
    pub fn link(&self) -> &Link {
        &self.inner.link
    }

    /// The units of credit that anything it sells gives.
    pub fn units(&self) -> BTreeSet<String> {
        let plans = self.plans().iter().flat_map(|plan| {
            let paid = plan.prices.iter().flat_map(|price| price.credits.keys());
            paid.chain(plan.trial_credits.keys())
        });
        let packs = self.packs().iter().flat_map(|pack| pack.credits.keys());
        plans.chain(packs).cloned().collect()
    }

    /// The rules of the credit ledger that follow from the policy; what is low differs by unit and is
    /// not among them.
    pub fn ledger_policy(&self) -> LedgerPolicy {
        match self.policy().credit_residual {
            CreditResidual::Debt => LedgerPolicy::default(),
            CreditResidual::WriteOff => LedgerPolicy::gentle(),
        }
    }

    /// The same for spending a unit.
    pub fn ledger_policy_of(&self, unit: &str) -> LedgerPolicy {
        let mut policy = self.ledger_policy();
        policy.low_at = self.policy().credits_low.get(unit).copied();
        policy
    }

    /// A stable hash (SHA-256, lower-case hex) of everything the catalog says.
    ///
    /// Two catalogs that mean the same have the same fingerprint, whatever their formatting and the
    /// order of their keys, plans, prices and features. A fingerprint other than the stored one
    /// means that the configuration changed and that parked work may find its plan now.
    pub fn fingerprint(&self) -> &str {
        &self.inner.fingerprint
    }

    /// Indexes a draft that passed every check.
    fn assemble(draft: Draft) -> Self {
        let Draft { plans, packs, policy, link } = draft;
        let mut prices = HashMap::new();
        for (plan, declared) in plans.iter().enumerate() {
            for (price, declared) in declared.prices.iter().enumerate() {
                prices.insert(declared.id.clone(), Sold::Plan { plan, price });
            }
        }
        for (pack, declared) in packs.iter().enumerate() {
            prices.insert(declared.price.clone(), Sold::Pack { pack });
        }
        Self {
            inner: Arc::new(Inner {
                fingerprint: fingerprint::of(&plans, &packs, &policy, &link),
                plan_ids: index(plans.iter().map(|plan| &plan.id)),
                pack_ids: index(packs.iter().map(|pack| &pack.id)),
                plans,
                packs,
                policy,
                link,
                prices,
            }),
        }
    }
}

impl Default for Catalog {
    fn default() -> Self {
        Self::assemble(Draft::default())
    }
}

fn index<'a>(ids: impl Iterator<Item = &'a String>) -> HashMap<String, usize> {
    ids.enumerate().map(|(at, id)| (id.clone(), at)).collect()
}
