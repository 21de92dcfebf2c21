//! How long what was received is kept, and forgetting it on request.

use super::Billing;
use crate::error::StoreError;
use crate::keys::SubjectKey;

/// Payloads that are emptied in one statement.
const BATCH: u32 = 1_000;

impl Billing {
    /// Empties the payloads of settled events that are older than the retention; without one it
    /// does nothing. Workers call it every hour. Returns how many it was.
    ///
    /// # Errors
    /// When the store fails; calling again goes on where it ended.
    pub async fn prune(&self) -> Result<u64, StoreError> {
        let Some(retention) = self.inner.retention else { return Ok(0) };
        let before = self.inner.clock.now() - retention;
        let mut pruned = 0;
        loop {
            let batch = self.inner.store.prune(before, BATCH).await?;
            pruned += batch;
            if batch < u64::from(BATCH) {
                return Ok(pruned);
            }
        }
    }

    /// Forgets what is known of a subject (a customer): what its events said, and the records made
    /// of them. Ids, keys of what was told, and the ledger stay. Delete the customer at Stripe
    /// first, or its next event makes it known again. Returns how many events it was.
    ///
    /// # Errors
    /// When the store fails; calling again is safe.
    pub async fn erase(&self, subject: &SubjectKey) -> Result<u64, StoreError> {
        let known = self.inner.store.subject(subject).await?;
        let Some(known) = known else { return Ok(0) };
        let erased = self.inner.store.erase(&known.key).await?;
        if let Some(account) = known.links.account() {
            self.forget_account(&known.key.tenant, account).await;
        }
        Ok(erased)
    }
}
