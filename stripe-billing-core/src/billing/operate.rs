//! What operators ask of the state.

use std::collections::{BTreeMap, BTreeSet};

use chrono::{DateTime, Utc};

use super::Billing;
use crate::error::StoreError;
use crate::keys::{AccountKey, SubjectKey, Tenant};
use crate::operator::CustomerView;
use crate::state::Subject;
use crate::store::Records;

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
        let mut view = self.view(found.as_slice(), at).await?;
        if !view.known {
            view.stripe_account = stripe_account.map(str::to_owned);
            view.livemode = livemode;
        }
        Ok(view)
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
        let mut view = self.view(&subjects, at).await?;
        view.account = Some(account.account.clone());
        view.stripe_account.clone_from(&account.stripe_account);
        view.livemode = view.livemode.or(livemode);
        Ok(view)
    }

    async fn view(
        &self,
        subjects: &[Subject],
        at: Option<DateTime<Utc>>,
    ) -> Result<CustomerView, StoreError> {
        let now = self.inner.clock.now();
        let mut notices: BTreeMap<String, u64> = BTreeMap::new();
        let tenants: BTreeSet<&Tenant> = subjects.iter().map(|it| &it.key.tenant).collect();
        for tenant in tenants {
            let of_tenant = subjects.iter().filter(|subject| subject.key.tenant == *tenant);
            let ids: Vec<String> = of_tenant.map(|subject| subject.key.id.clone()).collect();
            for (kind, count) in self.inner.store.notices(tenant, &ids, now).await? {
                *notices.entry(kind).or_default() += count;
            }
        }
        Ok(CustomerView::of(subjects, &notices, &self.inner.catalog, at.unwrap_or(now)))
    }
}
