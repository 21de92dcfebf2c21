use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant};

use super::process::Report;
use super::{Billing, observe};
use crate::changes::Message;
use crate::dunning::waits_until;
use crate::error::StoreError;
use crate::keys::{AccountKey, SubjectKey, Tenant};
use crate::notice::{Notice, NoticeDetails, account_of, credits_subject_id};
use crate::notify::{Fact, Notification, Notified};
use crate::queue::{ErrorClass, Failure, Lease, MAX_MESSAGE_CRASHES};
use crate::state::{ObjectRef, Subject};
use crate::store::{ClaimedEntry, Delivery, LoadRequest, Records};

/// The code of a notice that the notifier did not take.
const NOTIFIER_FAILED: &str = "notifier_failed";
/// The code of a fact that the app's handler did not take.
const HANDLER_FAILED: &str = "handler_failed";
/// How long a fact that was handed over may wait for others to be settled with: what a crash in
/// between hands over again.
const SETTLE_AFTER: Duration = Duration::from_millis(250);

/// A claimed batch on its way out.
pub(super) struct Batch<'a> {
    pub(super) claimed: &'a [ClaimedEntry],
    /// What its notices are about.
    known: Vec<Subject>,
    /// What was handed over and is not settled yet.
    done: Vec<Lease>,
    /// Whom some of that tells what is merely good to know.
    pub(super) told: BTreeSet<SubjectKey>,
    report: Report,
}

/// What is to become of a notice.
enum Prepared {
    /// It is told.
    Told(Box<Notification>),
    /// It ends like this.
    Ends(Delivery),
}

impl Billing {
    /// Claims facts that are due and hands them to the notifier, outside of any transaction. What
    /// went well is settled together, at the latest after [`SETTLE_AFTER`].
    pub(super) async fn dispatch_batch(&self) -> Result<Report, StoreError> {
        if self.is_paused().await? {
            return Ok(Report::default());
        }
        let request = self.claim_request();
        let claimed = self.inner.store.claim_outbox(&request).await?;
        let mut batch = Batch {
            claimed: &claimed,
            known: self.about(&claimed).await?,
            done: Vec::new(),
            told: BTreeSet::new(),
            report: Report::default(),
        };
        let mut since = Instant::now();
        for (index, claimed) in batch.claimed.iter().enumerate() {
            let now = self.inner.clock.now();
            if now - request.now > request.lease / 2 {
                // Whoever hands over slowly leaves the rest to others, before they take it for lost.
                let rest: Vec<Lease> =
                    batch.claimed[index..].iter().map(|claimed| claimed.lease.clone()).collect();
                let given_back = Delivery::PutOff { due: now, reason: "given_back" };
                batch.report.undelivered += self.settle_facts(&rest, &given_back).await?;
                break;
            }
            match self.deliver(claimed, &mut batch).await? {
                Delivery::Done => batch.done.push(claimed.lease.clone()),
                failed => {
                    let lease = std::slice::from_ref(&claimed.lease);
                    batch.report.undelivered += self.settle_facts(lease, &failed).await?;
                }
            }
            if since.elapsed() >= SETTLE_AFTER {
                self.settle_done(&mut batch).await?;
                // It takes long: what was true may be true no more.
                batch.known = self.about(&batch.claimed[index + 1..]).await?;
                since = Instant::now();
            }
        }
        self.settle_done(&mut batch).await?;
        Ok(batch.report)
    }

    /// Settles what was handed over.
    pub(super) async fn settle_done(&self, batch: &mut Batch<'_>) -> Result<(), StoreError> {
        batch.told.clear();
        let done = std::mem::take(&mut batch.done);
        batch.report.delivered += self.settle_facts(&done, &Delivery::Done).await?;
        Ok(())
    }

    async fn settle_facts(&self, leases: &[Lease], delivery: &Delivery) -> Result<u64, StoreError> {
        if leases.is_empty() {
            return Ok(0);
        }
        let outcome = match delivery {
            Delivery::Done => "done",
            Delivery::Dropped => "dropped",
            Delivery::Retry { .. } => "retry",
            Delivery::Deferred { .. } | Delivery::PutOff { .. } => "deferred",
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
        batch: &mut Batch<'_>,
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
                match self.prepare_notice(notice, claimed, account, batch).await? {
                    Prepared::Told(told) => {
                        self.guarded(self.inner.notifier.notify(&told), NOTIFIER_FAILED).await
                    }
                    Prepared::Ends(delivery) => return Ok(delivery),
                }
            }
            (Message::Event(event), Some(account)) => {
                let event = event.clone();
                let fact = Fact { key, subject, account, event };
                let handled = self.guarded(self.inner.handler.handle(&fact), HANDLER_FAILED).await;
                handled.map(|()| Notified::Told)
            }
            // Facts are only written for linked subjects, and a link never goes away.
            (Message::Event(_), None) => {
                let message = "the subject's account was not found";
                Err(Failure::new(ErrorClass::Transient, "unlinked", message))
            }
        };
        match taken {
            Ok(Notified::Told) => Ok(Delivery::Done),
            Ok(Notified::LeftOut) => Ok(Delivery::Dropped),
            Err(failure) => self.fail_message(claimed, failure).await,
        }
    }

    /// Whether a notice is true and may be told now, and what is known of it.
    async fn prepare_notice(
        &self,
        notice: &Notice,
        claimed: &ClaimedEntry,
        account: Option<String>,
        batch: &mut Batch<'_>,
    ) -> Result<Prepared, StoreError> {
        let (policy, subject) = (self.inner.catalog.policy(), &claimed.subject);
        // A payment may have gone through since it failed.
        let now = self.inner.clock.now();
        let about = batch.known.iter().find(|known| known.key == *subject);
        if notice.object.is_some() && !about.is_some_and(|it| notice.holds(it, policy, now)) {
            return Ok(Prepared::Ends(Delivery::Dropped));
        }
        // By the clock of the customer it may be night.
        if let Some(due) = about.and_then(|known| waits_until(notice, known, policy, now)) {
            return Ok(Prepared::Ends(Delivery::PutOff { due, reason: "outside_hours" }));
        }
        let mut details = NoticeDetails::of(notice, about, &self.inner.catalog, now);
        if notice.kind.is_optional() {
            let mut names = BTreeSet::from([subject.id.clone()]);
            if let Some(account) = &account {
                let Tenant { stripe_account, livemode } = subject.tenant.clone();
                let owner = AccountKey { stripe_account, account: account.clone() };
                let customers =
                    self.inner.store.subjects_of(&owner, Some(livemode), Records::Current);
                let customers = customers.await?;
                let known = self.with_credits(notice, &owner, livemode, &customers, details);
                let Some(known) = known.await? else {
                    return Ok(Prepared::Ends(Delivery::Dropped));
                };
                details = known;
                names.extend(customers.into_iter().map(|customer| customer.key.id));
                names.insert(credits_subject_id(&owner));
            }
            if let Some(due) = self.too_many(&subject.tenant, names, batch).await? {
                return Ok(Prepared::Ends(Delivery::PutOff { due, reason: "told_enough" }));
            }
        }
        Ok(Prepared::Told(Box::new(Notification {
            key: claimed.entry.key.clone(),
            subject: subject.clone(),
            account,
            notice: notice.clone(),
            details,
        })))
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
