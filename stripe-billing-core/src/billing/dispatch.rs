use super::process::Report;
use super::{Billing, observe};
use crate::error::StoreError;
use crate::notify::Notification;
use crate::queue::{ErrorClass, Failure};
use crate::store::{ClaimedEntry, Delivery};

impl Billing {
    /// Claims facts that are due and hands them to the notifier, outside of any transaction.
    pub(super) async fn dispatch_batch(&self) -> Result<Report, StoreError> {
        let mut report = Report::default();
        for claimed in self.inner.store.claim_outbox(&self.claim_request()).await? {
            let delivery = self.deliver(&claimed).await;
            let done = delivery == Delivery::Done;
            observe::delivered(match &delivery {
                Delivery::Done => "done",
                Delivery::Retry { .. } => "retry",
                Delivery::Dead(_) => "dead",
            });
            let now = self.inner.clock.now();
            let held = self
                .inner
                .store
                .settle_outbox(&claimed.lease, &delivery, now)
                .await?;
            report.delivered += u64::from(done && held);
        }
        Ok(report)
    }

    async fn deliver(&self, claimed: &ClaimedEntry) -> Delivery {
        let Some(account) = claimed.account.clone() else {
            // Facts are only written for linked subjects, and a link never goes away.
            return Delivery::Dead(Failure::new(
                ErrorClass::Permanent,
                "unlinked",
                "no account",
            ));
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
        let class = if error.is_retryable() {
            ErrorClass::Transient
        } else {
            ErrorClass::Permanent
        };
        let failure = Failure::new(class, "notifier_failed", error.to_string());
        let delay = self
            .inner
            .backoff
            .delay(&claimed.entry.key, claimed.attempts + 1)
            .filter(|_| error.is_retryable());
        tracing::warn!(key = claimed.entry.key, retry = delay.is_some(), "{error}");
        match delay {
            Some(delay) => Delivery::Retry {
                due: self.inner.clock.now() + delay,
                failure,
            },
            None => Delivery::Dead(failure),
        }
    }
}
