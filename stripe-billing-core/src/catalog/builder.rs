use super::check::check;
use super::mistake::{CatalogError, Mistake};
use super::{Catalog, Link, Pack, Plan, Policy};

/// What was declared, before any check: the common ground of TOML and code.
#[derive(Clone, Debug, Default)]
pub(super) struct Draft {
    pub(super) plans: Vec<Plan>,
    pub(super) packs: Vec<Pack>,
    pub(super) policy: Policy,
    pub(super) link: Link,
}

/// Declares a catalog in code; made by [`Catalog::builder`].
///
/// ```
/// use stripe_billing_core::catalog::{Catalog, OnDispute, Pack, Plan, PlanPrice, Policy};
///
/// let catalog = Catalog::builder()
///     .plan(
///         Plan::new("pro")
///             .feature("export")
///             .limit("projects", 20)
///             .price(PlanPrice::new("price_123").credits("credits", 500)),
///     )
///     .pack(Pack::new("pack_1000", "price_456").credits("credits", 1000))
///     .policy(Policy { on_dispute: OnDispute::RevokeAccess, ..Policy::default() })
///     .build()?;
/// assert_eq!(catalog.plans().len(), 1);
/// # Ok::<(), stripe_billing_core::catalog::CatalogError>(())
/// ```
#[derive(Clone, Debug, Default)]
#[must_use = "a builder does nothing until `build` is called"]
pub struct CatalogBuilder {
    draft: Draft,
}

impl CatalogBuilder {
    /// Adds a plan.
    pub fn plan(mut self, plan: Plan) -> Self {
        self.draft.plans.push(plan);
        self
    }

    /// Adds a pack of credits.
    pub fn pack(mut self, pack: Pack) -> Self {
        self.draft.packs.push(pack);
        self
    }

    /// Sets the policy; without it, [`Policy::default`] holds.
    pub fn policy(mut self, policy: Policy) -> Self {
        self.draft.policy = policy;
        self
    }

    /// Sets the metadata keys; without it, [`Link::default`] holds.
    pub fn link(mut self, link: Link) -> Self {
        self.draft.link = link;
        self
    }

    /// Checks everything and builds the catalog.
    ///
    /// # Errors
    ///
    /// Names every mistake, each with its path (there are no lines in code).
    pub fn build(self) -> Result<Catalog, CatalogError> {
        let findings = check(&self.draft);
        if findings.is_empty() {
            return Ok(Catalog::assemble(self.draft));
        }
        Err(CatalogError {
            mistakes: findings.into_iter().map(|finding| Mistake::at(finding, |_| None)).collect(),
        })
    }
}
