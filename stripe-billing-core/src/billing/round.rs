//! A batch of events: decided one after the other, written together.

use std::collections::BTreeSet;
use std::time::Instant;
use std::{mem, slice, vec};

use tracing::Instrument;

use super::batch::{Input, Known, Work};
use super::process::{Report, outcome, touched};
use super::{Billing, observe};
use crate::changes::{Changes, Effects, Settlement};
use crate::decide::Decision;
use crate::error::StoreError;
use crate::queue::{Admission, ClaimRequest, ErrorClass};
use crate::store::{Commit, Decided, Settled};

/// Tries to write decisions together, before each event is processed by itself.
const MAX_TRIES: u32 = 3;

/// A batch on its way. An event is decided as if what was decided before it were written, and then
/// all of it is. Where somebody else was faster, or the store refuses, the rest is taken up again, each
/// event by itself.
struct Round<'a> {
    billing: &'a Billing,
    known: Known,
    pending: Vec<Pending<'a>>,
    report: Report,
}

/// A decision that is not written yet.
struct Pending<'a> {
    work: &'a Work,
    started: Instant,
    verdict: Verdict,
}

enum Verdict {
    /// Changes, and the accounts that they touch.
    Commit(Box<Changes>, BTreeSet<String>),
    /// It changes nothing, and whom it is about.
    Settle(Settlement, String),
}

impl Pending<'_> {
    /// What can be written together with others.
    fn plain(&self) -> Option<Decided<'_>> {
        match &self.verdict {
            Verdict::Commit(changes, _) if changes.is_plain() => {
                Some(Decided { lease: &self.work.claimed.lease, changes })
            }
            _ => None,
        }
    }
}

impl Billing {
    /// What may be claimed now: nothing while operators pause the queue, or most work fails.
    async fn admitted(&self) -> Result<Option<ClaimRequest>, StoreError> {
        if self.is_paused().await? {
            return Ok(None);
        }
        let request = self.claim_request();
        Ok(match self.breaker().admit(request.now) {
            Admission::All => Some(request),
            Admission::One => Some(ClaimRequest { limit: 1, ..request }),
            Admission::Nothing => None,
        })
    }

    pub(super) fn claim_request(&self) -> ClaimRequest {
        ClaimRequest {
            worker: self.inner.worker.clone(),
            limit: self.inner.batch,
            lease: self.inner.lease,
            now: self.inner.clock.now(),
        }
    }

    /// Claims a batch and processes it.
    pub(super) async fn process_batch(&self) -> Result<Report, StoreError> {
        self.tell_turn().await;
        let Some(request) = self.admitted().await? else { return Ok(Report::default()) };
        let claimed = self.inner.store.claim(&request).await?;
        let read = |claimed| Work { input: self.read(&claimed), claimed };
        let mut batch: Vec<Work> = claimed.into_iter().map(read).collect();
        let (_turn, busy) = self.inner.turns.take(&mut batch);
        let mut round = Round {
            billing: self,
            known: Known::of(batch.iter()),
            pending: Vec::new(),
            report: Report::default(),
        };
        let mut rest = batch.iter();
        let done = round.take_all(&mut rest, busy, &request).await;
        // After an error, or where it took long: whoever is slow does not hold the rest up.
        self.give_back(round.pending.iter().map(|it| it.work).chain(rest)).await;
        done.map(|()| round.report)
    }

    /// Hands leases back, so that nobody has to wait for them to run out and no event is blamed. If
    /// that fails too, they do run out.
    async fn give_back(&self, works: impl Iterator<Item = &Work>) {
        let settled = Settled {
            settlement: Settlement::Released,
            subject: None,
            effects: Effects::default(),
            now: self.inner.clock.now(),
        };
        for work in works {
            if self.inner.store.settle(&work.claimed.lease, &settled).await.is_err() {
                return;
            }
        }
    }

    /// The decision on an event, if nobody has to be asked for it but the store.
    async fn foresee(&self, work: &Work, known: &mut Known) -> Option<Verdict> {
        let Input::Read(read) = &work.input else { return None };
        let event = &work.claimed.event;
        let tenant = &event.key.tenant;
        // What goes wrong here does so again where the event is processed by itself.
        let family = known.family(&self.inner.store, tenant, &read.patch).await.ok()?;
        if self.has_to_ask(tenant, read, &family) {
            return None;
        }
        match self.decide(&event.key.id, &family, &read.patch).ok()? {
            Decision::Settle(settlement) => {
                Some(Verdict::Settle(settlement, family.subject.key.id))
            }
            Decision::Commit(changes)
                if self.is_judged(&read.event.event_type, &family, &changes) =>
            {
                None
            }
            Decision::Commit(changes) => {
                let accounts = touched(&family, &changes);
                known.committed(family, &changes);
                Some(Verdict::Commit(changes, accounts))
            }
        }
    }
}

impl<'a> Round<'a> {
    /// Takes one event after the other, until half of the lease is over. Before the last ones, which
    /// other workers may be at, what comes before is written, and they may be done.
    async fn take_all(
        &mut self,
        rest: &mut slice::Iter<'a, Work>,
        busy: usize,
        request: &ClaimRequest,
    ) -> Result<(), StoreError> {
        while let Some(work) = rest.as_slice().first() {
            let now = self.billing.inner.clock.now();
            if now - request.now > request.lease / 2 {
                break;
            }
            if rest.len() == busy {
                self.flush().await?;
            }
            let waited = now - work.claimed.event.received_at;
            observe::lease_expired("events", work.claimed.crashes);
            observe::waited(waited.num_milliseconds().max(0) as f64 / 1_000.0);
            self.take(work).await?;
            rest.next();
        }
        self.flush().await
    }

    /// Decides an event; it is written with what follows. One that takes more than a decision waits
    /// for what comes before it to be written.
    async fn take(&mut self, work: &'a Work) -> Result<(), StoreError> {
        let started = Instant::now();
        let foreseen = self.billing.foresee(work, &mut self.known).instrument(work.span()).await;
        if let Some(verdict) = foreseen {
            self.pending.push(Pending { work, started, verdict });
            return Ok(());
        }
        self.flush().await?;
        self.alone(work, started).await
    }

    /// Processes an event by itself.
    async fn alone(&mut self, work: &Work, started: Instant) -> Result<(), StoreError> {
        let outcome = self.billing.process(work, &mut self.known).await?;
        self.ended(outcome, started);
        Ok(())
    }

    fn ended(&mut self, outcome: &'static str, started: Instant) {
        observe::processed(outcome, started.elapsed());
        self.report.count(outcome);
    }

    /// Writes what was decided. After an error what is still pending is not written.
    async fn flush(&mut self) -> Result<(), StoreError> {
        let mut pending = mem::take(&mut self.pending).into_iter();
        let mut tries = 1;
        while !pending.as_slice().is_empty() {
            let outcomes = match self.write_next(pending.as_slice()).await {
                Ok(outcomes) => outcomes,
                Err(error) => {
                    self.pending = pending.collect();
                    return Err(error);
                }
            };
            for (outcome, written) in outcomes.iter().zip(pending.by_ref()) {
                self.written(outcome, written).await?;
            }
            if !outcomes.is_empty() {
                continue;
            }
            // What is left was decided on what did not come true: somebody else was faster, mostly.
            let again = if tries < MAX_TRIES { self.again(pending.as_slice()).await } else { None };
            match again {
                Some(decided) => pending = decided.into_iter(),
                None => return self.each_alone(pending).await,
            }
            tries += 1;
        }
        Ok(())
    }

    async fn written(&mut self, outcome: &'static str, it: Pending<'a>) -> Result<(), StoreError> {
        if let Verdict::Commit(_, accounts) = &it.verdict {
            let tenant = &it.work.claimed.event.key.tenant;
            self.billing.forget_accounts(tenant, accounts).await;
        }
        self.billing.succeeded(outcome).await?;
        self.ended(outcome, it.started);
        Ok(())
    }

    /// Decides once more, on what is there now; nothing if one of them takes more than a decision.
    async fn again(&mut self, pending: &[Pending<'a>]) -> Option<Vec<Pending<'a>>> {
        observe::conflict();
        self.known = Known::of(pending.iter().map(|it| it.work));
        let mut decided = Vec::with_capacity(pending.len());
        for Pending { work, started, .. } in pending {
            let foreseen = self.billing.foresee(work, &mut self.known);
            let verdict = foreseen.instrument(work.span()).await?;
            decided.push(Pending { work, started: *started, verdict });
        }
        Some(decided)
    }

    /// Each by itself.
    async fn each_alone(&mut self, mut rest: vec::IntoIter<Pending<'a>>) -> Result<(), StoreError> {
        self.known = Known::default();
        while let Some(Pending { work, started, .. }) = rest.as_slice().first() {
            if let Err(error) = self.alone(work, *started).await {
                self.pending = rest.collect();
                return Err(error);
            }
            rest.next();
        }
        Ok(())
    }

    /// Writes the first of what is pending, as many as can be written together; how they ended. None
    /// if it was not written, or nobody knows: processed by itself it says why. An error says that
    /// the store is away.
    async fn write_next(&self, pending: &[Pending<'a>]) -> Result<Vec<&'static str>, StoreError> {
        let together: Vec<Decided<'_>> = pending.iter().map_while(Pending::plain).collect();
        let store = &self.billing.inner.store;
        let written = match pending {
            [Pending { work, verdict: Verdict::Settle(settlement, subject), .. }, ..] => {
                let subject = Some(subject.clone());
                let settled = self.billing.settle(&work.claimed, settlement.clone(), subject).await;
                settled.map(|outcome| vec![outcome])
            }
            [Pending { work, verdict: Verdict::Commit(changes, _), .. }, ..]
                if together.len() <= 1 =>
            {
                let committed = store.commit(&work.claimed.lease, changes).await;
                let ended = outcome(&changes.settlement);
                committed.map(|it| Vec::from_iter((it == Commit::Done).then_some(ended)))
            }
            _ => store.commit_all(&together).await.map(|written| {
                let written = together.iter().take(written);
                written.map(|decided| outcome(&decided.changes.settlement)).collect()
            }),
        };
        match written {
            Err(error) if error.class() == ErrorClass::Systemic => Err(error),
            Err(error) => {
                tracing::debug!(%error, "decisions were not written; each goes by itself");
                Ok(Vec::new())
            }
            written => written,
        }
    }
}
