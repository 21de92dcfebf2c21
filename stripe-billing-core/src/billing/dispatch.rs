use std::time::{Duration, Instant};

use super::process::Report;
use super::{Billing, observe};
use crate::error::StoreError;
use crate::notify::Notification;
use crate::queue::{ErrorClass, Failure, Lease};
use crate::store::{ClaimedEntry, Delivery};

/// The code of a fact that the notifier did not take.
const NOTIFIER_FAILED: &str = "notifier_failed";
/// How long a fact that was handed over may wait for others to be settled with: what a crash in
/// between hands over again.
const SETTLE_AFTER: Duration = Duration::from_millis(250);

impl Billing {
    /// Claims facts that are due and hands them to the notifier, outside of any transaction. What
    /// went well is settled together, at the latest after [`SETTLE_AFTER`].
    pub(super) async fn dispatch_batch(&self) -> Result<Report, StoreError> {
        let mut report = Report::default();
        let (mut done, mut since) = (Vec::new(), Instant::now());
        for claimed in self.inner.store.claim_outbox(&self.claim_request()).await? {
            match self.deliver(&claimed).await {
                Delivery::Done => done.push(claimed.lease),
                failed => {
                    self.settle_facts(&[claimed.lease], &failed).await?;
                }
            }
            if since.elapsed() >= SETTLE_AFTER {
                report.delivered += self.settle_facts(&done, &Delivery::Done).await?;
                done.clear();
                since = Instant::now();
            }
        }
        report.delivered += self.settle_facts(&done, &Delivery::Done).await?;
        Ok(report)
    }

    async fn settle_facts(&self, leases: &[Lease], delivery: &Delivery) -> Result<u64, StoreError> {
        if leases.is_empty() {
            return Ok(0);
        }
        let outcome = match delivery {
            Delivery::Done => "done",
            Delivery::Retry { .. } => "retry",
            Delivery::Dead(_) => "dead",
        };
        let now = self.inner.clock.now();
        let settled = self.inner.store.settle_outbox(leases, delivery, now).await?;
        observe::delivered(outcome, settled);
        Ok(settled)
    }

    async fn deliver(&self, claimed: &ClaimedEntry) -> Delivery {
        let Some(account) = claimed.account.clone() else {
            // Facts are only written for linked subjects, and a link never goes away.
            return self.retry(claimed, "unlinked", "the subject's account was not found");
        };
        let notification = Notification {
            key: claimed.entry.key.clone(),
            subject: claimed.subject.clone(),
            account,
            event: claimed.entry.event.clone(),
        };
        let Err(error) = self.inner.notifier.notify(&notification).await else {
            return Delivery::Done;
        };
        if error.is_retryable() {
            return self.retry(claimed, NOTIFIER_FAILED, &error.to_string());
        }
        tracing::error!(key = claimed.entry.key, "a fact is given up: {error}");
        Delivery::Dead(Failure::new(ErrorClass::Permanent, NOTIFIER_FAILED, error.to_string()))
    }

    /// Tries again later, unless the attempts are used up.
    fn retry(&self, claimed: &ClaimedEntry, code: &'static str, message: &str) -> Delivery {
        let delay = self.inner.backoff.delay(&claimed.entry.key, claimed.attempts + 1);
        tracing::warn!(key = claimed.entry.key, retry = delay.is_some(), "{message}");
        let failure = Failure::new(ErrorClass::Transient, code, message);
        match delay {
            Some(delay) => Delivery::Retry { due: self.inner.clock.now() + delay, failure },
            None => Delivery::Dead(failure),
        }
    }
}
