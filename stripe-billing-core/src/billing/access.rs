use std::sync::Arc;

use super::{Billing, observe};
use crate::access::Access;
use crate::cache::Lookup;
use crate::error::StoreError;
use crate::keys::AccountKey;
use crate::store::Records;

impl Billing {
    /// What an account may do now: from the cache where it is, else from the store, and then one
    /// load serves all who ask at the same time.
    ///
    /// # Errors
    /// When it is not cached and the store cannot be reached. That is not the same as having no
    /// access: let the caller try again rather than lock a paying customer out.
    pub async fn access(
        &self,
        account: impl Into<AccountKey>,
    ) -> Result<Arc<Access>, Arc<StoreError>> {
        let key = account.into();
        let ticket = match self.inner.cache.get(&key).await {
            Lookup::Hit(access) if self.holds(&access) => {
                observe::looked_up("cache");
                return Ok(access);
            }
            // A grace period or paid time ended; the state behind it did not change.
            Lookup::Hit(_) => {
                self.inner.cache.invalidate(&key).await;
                match self.inner.cache.get(&key).await {
                    Lookup::Hit(access) => return Ok(access),
                    Lookup::Miss(ticket) => ticket,
                }
            }
            Lookup::Miss(ticket) => ticket,
        };
        observe::looked_up("store");
        let load = || {
            let (billing, key) = (self.clone(), key.clone());
            Box::pin(async move { billing.load_access(&key).await.map(Arc::new).map_err(Arc::new) })
                as _
        };
        // By ticket, so that nobody joins a load that began before the last change.
        let access = self.inner.flights.run(&(key.clone(), ticket), load).await?;
        self.inner.cache.put(&key, ticket, Arc::clone(&access)).await;
        Ok(access)
    }

    /// Whether a cached answer still holds. Most hold until something changes, and then there is no
    /// need for the time, which is a fifth of the whole look-up.
    fn holds(&self, access: &Access) -> bool {
        access.valid_until.is_none() || access.is_valid_at(self.inner.clock.now())
    }

    /// Forgets what is cached of an account; returns what it may do, read anew.
    ///
    /// # Errors
    /// When the store cannot be reached.
    pub async fn refresh(
        &self,
        account: impl Into<AccountKey>,
    ) -> Result<Arc<Access>, Arc<StoreError>> {
        let key = account.into();
        self.inner.cache.invalidate(&key).await;
        self.access(key).await
    }

    /// Forgets everything that is cached.
    pub async fn clear_cache(&self) {
        self.inner.cache.clear().await;
    }

    async fn load_access(&self, key: &AccountKey) -> Result<Access, StoreError> {
        let subjects =
            self.inner.store.subjects_of(key, self.inner.livemode, Records::Current).await?;
        Ok(Access::evaluate(&subjects, &self.inner.catalog, self.inner.clock.now()))
    }
}
