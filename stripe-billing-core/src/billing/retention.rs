//! How long what was received is kept, and forgetting it on request.

use super::Billing;
use crate::error::StoreError;
use crate::keys::SubjectKey;

/// Payloads that are emptied, and attempts that are removed, in one statement.
const BATCH: u32 = 1_000;

impl Billing {
    /// Empties the payloads of settled events that are older than their retention, if they have one,
    /// and removes failed attempts that are older than theirs. Workers call it every hour. Returns how
    /// many payloads and attempts it was.
    ///
    /// # Errors
    /// When the store fails; calling again goes on where it ended.
    pub async fn prune(&self) -> Result<u64, StoreError> {
        let now = self.inner.clock.now();
        let mut pruned = 0;
        if let Some(retention) = self.inner.retention {
            loop {
                let batch = self.inner.store.prune(now - retention, BATCH).await?;
                pruned += batch;
                if batch < u64::from(BATCH) {
                    break;
                }
            }
        }
        loop {
            let before = now - self.inner.attempt_retention;
            let batch = self.inner.store.prune_attempts(before, BATCH).await?;
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
