//! What operators ask of the state.

use std::collections::{BTreeMap, BTreeSet};

use chrono::{DateTime, Utc};

use super::Billing;
use crate::access::Access;
use crate::error::StoreError;
use crate::keys::{AccountKey, SubjectKey, Tenant};
use crate::notice::credits_subject_id;
use crate::operator::{CustomerView, EvidenceDraft};
use crate::state::Subject;
use crate::store::{Records, UsageQuery};

impl Billing {
    /// Everything that is known of a customer, by its id or another name of it. Without a mode it is
    /// looked for in live mode first, then in test mode. One that was never heard of has an empty
    /// view with `known` false.
    ///
    /// `at` moves the clock by which access is worked out; now, unless given. The data stays that of
    /// now.
    ///
    /// # Errors
    /// When the store cannot be reached.
    pub async fn customer_view(
        &self,
        stripe_account: Option<&str>,
        livemode: Option<bool>,
        id: &str,
        at: Option<DateTime<Utc>>,
    ) -> Result<CustomerView, StoreError> {
        let modes: &[bool] = match livemode {
            Some(true) => &[true],
            Some(false) => &[false],
            None => &[true, false],
        };
        let mut found = None;
        for mode in modes {
            let stripe_account = stripe_account.map(str::to_owned);
            let tenant = Tenant { stripe_account, livemode: *mode };
            let key = SubjectKey { tenant, id: id.to_owned() };
            found = self.inner.store.subject(&key).await?;
            if found.is_some() {
                break;
            }
        }
        let mut view = self.view(found.as_slice(), None, livemode, at).await?;
        if !view.known {
            view.stripe_account = stripe_account.map(str::to_owned);
            view.livemode = livemode;
        }
        Ok(view)
    }

    /// What is known that speaks for a disputed payment of a customer, or a guest: a draft of
    /// evidence. `None` if there is no such dispute. Modes as in [`Billing::customer_view`].
    ///
    /// # Errors
    /// When the store cannot be reached.
    pub async fn dispute_evidence(
        &self,
        stripe_account: Option<&str>,
        livemode: Option<bool>,
        id: &str,
        dispute: &str,
    ) -> Result<Option<EvidenceDraft>, StoreError> {
        let now = self.inner.clock.now();
        for mode in livemode.map_or_else(|| vec![true, false], |mode| vec![mode]) {
            let stripe_account = stripe_account.map(str::to_owned);
            let tenant = Tenant { stripe_account, livemode: mode };
            let key = SubjectKey { tenant, id: id.to_owned() };
            let Some(subject) = self.inner.store.subject(&key).await? else { continue };
            let paid = subject.payments().find(|it| it.disputes().any(|it| it.id == dispute));
            let since = paid.and_then(|it| DateTime::from_timestamp(it.created()?, 0));
            let mut usage = BTreeMap::new();
            if let (Some(since), Some(owner)) = (since, owner_of(std::slice::from_ref(&subject))) {
                for account in self.inner.store.accounts_of(&owner, Some(mode)).await? {
                    let (from, to) = (since.date_naive(), now.date_naive());
                    let query = UsageQuery { key: account.key.clone(), from, to, actor: None };
                    let days = self.inner.store.usage(&query).await?;
                    if !days.is_empty() {
                        usage.insert(account.key.unit.0, days);
                    }
                }
            }
            let catalog = &self.inner.catalog;
            let access = Access::evaluate(std::slice::from_ref(&subject), catalog, now);
            return Ok(EvidenceDraft::of(&subject, dispute, usage, access, catalog));
        }
        Ok(None)
    }

    /// Everything that is known of an account: of all of its customers, and of what it bought as a
    /// guest. Without a mode in the one that is applied, or in both.
    ///
    /// `at` as in [`Billing::customer_view`].
    ///
    /// # Errors
    /// When the store cannot be reached.
    pub async fn account_view(
        &self,
        account: &AccountKey,
        livemode: Option<bool>,
        at: Option<DateTime<Utc>>,
    ) -> Result<CustomerView, StoreError> {
        let livemode = livemode.or(self.inner.livemode);
        let subjects = self.inner.store.subjects_of(account, livemode, Records::All).await?;
        let mut view = self.view(&subjects, Some(account), livemode, at).await?;
        view.account = Some(account.account.clone());
        view.stripe_account.clone_from(&account.stripe_account);
        view.livemode = view.livemode.or(livemode);
        Ok(view)
    }

    async fn view(
        &self,
        subjects: &[Subject],
        owner: Option<&AccountKey>,
        livemode: Option<bool>,
        at: Option<DateTime<Utc>>,
    ) -> Result<CustomerView, StoreError> {
        let now = self.inner.clock.now();
        let owner = owner.cloned().or_else(|| owner_of(subjects));
        let livemode = livemode.or_else(|| mode_of(subjects));
        let mut notices: BTreeMap<String, u64> = BTreeMap::new();
        let tenants: BTreeSet<&Tenant> = subjects.iter().map(|it| &it.key.tenant).collect();
        for tenant in tenants {
            let of_tenant = subjects.iter().filter(|subject| subject.key.tenant == *tenant);
            let mut ids: Vec<String> = of_tenant.map(|subject| subject.key.id.clone()).collect();
            ids.extend(owner.iter().map(credits_subject_id));
            for (kind, count) in self.inner.store.notices(tenant, &ids, now).await? {
                *notices.entry(kind).or_default() += count;
            }
        }
        let at = at.unwrap_or(now);
        let credits = self.credits_view(owner.as_ref(), livemode, at).await?;
        Ok(CustomerView::of(subjects, &notices, &credits, &self.inner.catalog, at))
    }
}

/// The account that all of them belong to.
fn owner_of(subjects: &[Subject]) -> Option<AccountKey> {
    let first = subjects.first()?;
    Some(AccountKey {
        stripe_account: first.key.tenant.stripe_account.clone(),
        account: first.links.account()?.to_owned(),
    })
}

fn mode_of(subjects: &[Subject]) -> Option<bool> {
    let mode = subjects.first()?.key.tenant.livemode;
    subjects.iter().all(|subject| subject.key.tenant.livemode == mode).then_some(mode)
}
