use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use super::process::Report;
use super::{Billing, observe};
use crate::changes::Message;
use crate::dunning::waits_until;
use crate::error::StoreError;
use crate::keys::Tenant;
use crate::notice::{NoticeDetails, account_of};
use crate::notify::{Fact, Notification};
use crate::queue::{ErrorClass, Failure, Lease, MAX_MESSAGE_CRASHES};
use crate::state::{ObjectRef, Subject};
use crate::store::{ClaimedEntry, Delivery, LoadRequest};

/// The code of a notice that the notifier did not take.
const NOTIFIER_FAILED: &str = "notifier_failed";
/// The code of a fact that the app's handler did not take.
const HANDLER_FAILED: &str = "handler_failed";
/// How long a fact that was handed over may wait for others to be settled with: what a crash in
/// between hands over again.
const SETTLE_AFTER: Duration = Duration::from_millis(250);

impl Billing {
    /// Claims facts that are due and hands them to the notifier, outside of any transaction. What
    /// went well is settled together, at the latest after [`SETTLE_AFTER`].
    pub(super) async fn dispatch_batch(&self) -> Result<Report, StoreError> {
        let mut report = Report::default();
        if self.is_paused().await? {
            return Ok(report);
        }
        let (mut done, mut since) = (Vec::new(), Instant::now());
        let batch = self.inner.store.claim_outbox(&self.claim_request()).await?;
        let mut known = self.about(&batch).await?;
        for (index, claimed) in batch.iter().enumerate() {
            match self.deliver(claimed, &known).await? {
                Delivery::Done => done.push(claimed.lease.clone()),
                failed => {
                    let lease = std::slice::from_ref(&claimed.lease);
                    report.undelivered += self.settle_facts(lease, &failed).await?;
                }
            }
            if since.elapsed() >= SETTLE_AFTER {
                report.delivered += self.settle_facts(&done, &Delivery::Done).await?;
                done.clear();
                // It takes long: what was true may be true no more.
                known = self.about(&batch[index + 1..]).await?;
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
            Delivery::Dropped => "dropped",
            Delivery::Retry { .. } => "retry",
            Delivery::Deferred { .. } => "deferred",
            Delivery::Dead { .. } => "dead",
        };
        let now = self.inner.clock.now();
        let settled = self.inner.store.settle_outbox(leases, delivery, now).await?;
        observe::delivered(outcome, settled);
        Ok(settled)
    }

    async fn deliver(
        &self,
        claimed: &ClaimedEntry,
        known: &[Subject],
    ) -> Result<Delivery, StoreError> {
        observe::lease_expired("messages", claimed.crashes);
        if claimed.crashes >= MAX_MESSAGE_CRASHES {
            let message = format!("the lease ran out {} times without a result", claimed.crashes);
            let failure = Failure::new(ErrorClass::Poison, "lease_lost", message);
            return self.fail_message(claimed, failure).await;
        }
        let (key, subject) = (claimed.entry.key.clone(), claimed.subject.clone());
        let account = claimed.account.clone().or_else(|| account_of(&subject));
        let taken = match (&claimed.entry.message, account) {
            (Message::Notice(notice), account) => {
                // A payment may have gone through since it failed.
                let now = self.inner.clock.now();
                let is_about = |known: &&Subject| known.key == subject;
                let holds = |known: &Subject| notice.holds(known, self.inner.catalog.policy(), now);
                let about = known.iter().find(is_about);
                if notice.object.is_some() && !about.is_some_and(holds) {
                    return Ok(Delivery::Dropped);
                }
                let waits =
                    |known: &Subject| waits_until(notice, known, self.inner.catalog.policy(), now);
                if let Some(due) = about.and_then(waits) {
                    let message = "it is night where the customer is";
                    let failure = Failure::new(ErrorClass::Deferred, "outside_hours", message);
                    return Ok(Delivery::Deferred { due, failure });
                }
                let details = NoticeDetails::of(notice, about, &self.inner.catalog, now);
                let details = self.with_credits(notice, &subject, account.as_deref(), details);
                let Some(details) = details.await? else { return Ok(Delivery::Dropped) };
                let notice = notice.clone();
                let told = Notification { key, subject, account, notice, details };
                self.guarded(self.inner.notifier.notify(&told), NOTIFIER_FAILED).await
            }
            (Message::Event(event), Some(account)) => {
                let event = event.clone();
                let fact = Fact { key, subject, account, event };
                self.guarded(self.inner.handler.handle(&fact), HANDLER_FAILED).await
            }
            // Facts are only written for linked subjects, and a link never goes away.
            (Message::Event(_), None) => {
                let message = "the subject's account was not found";
                Err(Failure::new(ErrorClass::Transient, "unlinked", message))
            }
        };
        match taken {
            Ok(()) => Ok(Delivery::Done),
            Err(failure) => self.fail_message(claimed, failure).await,
        }
    }

    /// What notices are about, read at once: they are told only while they are true.
    async fn about(&self, batch: &[ClaimedEntry]) -> Result<Vec<Subject>, StoreError> {
        let mut wanted: BTreeMap<&Tenant, (Vec<String>, Vec<ObjectRef>)> = BTreeMap::new();
        for claimed in batch {
            if let Message::Notice(notice) = &claimed.entry.message
                && (notice.object.is_some() || !notice.kind.is_internal())
            {
                let (ids, objects) = wanted.entry(&claimed.subject.tenant).or_default();
                ids.push(claimed.subject.id.clone());
                objects.extend(notice.object.clone());
            }
        }
        let mut known = Vec::new();
        for (tenant, (ids, objects)) in wanted {
            let request = LoadRequest { tenant: tenant.clone(), ids, objects };
            known.extend(self.inner.store.load(&request).await?);
        }
        Ok(known)
    }
}
