//! Replays in batches, at a pace.

use std::time::Duration;

use serde::Serialize;
use tokio::time::{Instant, sleep_until};

use super::Billing;
use super::orders::OrderError;
use crate::store::{EventRange, Verb};

/// Bytes of a request id that are left for a batch's place.
const PLACE: usize = 20;

/// A replay of many events: which, and how fast.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Replay {
    /// Which events. Its limit holds for the whole command.
    pub range: EventRange,
    /// Events that are made due in one transaction: 100.
    pub batch: u32,
    /// Events a second: 10. Nothing is as fast as it goes.
    pub per_second: Option<u32>,
}

impl Replay {
    /// A replay of a range, with 100 events a batch and 10 a second.
    pub fn new(range: EventRange) -> Self {
        Self { range, batch: 100, per_second: Some(10) }
    }

    /// So many events a batch, at least one.
    #[must_use]
    pub fn batch(mut self, events: u32) -> Self {
        self.batch = events.max(1);
        self
    }

    /// So many events a second; with zero as fast as it goes.
    #[must_use]
    pub fn per_second(mut self, events: u32) -> Self {
        self.per_second = Some(events).filter(|events| *events > 0);
        self
    }
}

/// How far a replay is.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct ReplayProgress {
    /// Events that it made due.
    pub done: u64,
    /// Events that an earlier run with the same request id had made due; they are left as they are.
    pub repeated: u64,
    /// Events that could be replayed when it began, counted to 100,000.
    pub matching: u64,
    /// How long it took so far.
    pub elapsed: Duration,
    /// The place from which it goes on; nothing when it has come to the end of the range.
    pub next: Option<i64>,
}

/// A replay that is under way. To interrupt it, stop asking.
#[derive(Debug)]
pub struct ReplayRun<'a> {
    billing: &'a Billing,
    wanted: Replay,
    actor: String,
    request: String,
    reason: Option<String>,
    progress: ReplayProgress,
    began: Instant,
    /// When the next batch may be written.
    due: Instant,
    is_over: bool,
}

impl Billing {
    /// Decides on many events once more, in batches and at a pace, so that workers get to what is
    /// new, too. Each batch is an order of its own ([`Verb::Replay`]), on record and all or nothing.
    ///
    /// The same again, with the same `request`, repeats nothing: it goes on after the last batch that
    /// was written. So whoever was interrupted asks once more, or begins at
    /// [`next`](ReplayProgress::next). [`try_replay`](Self::try_replay) shows first what it would do.
    ///
    /// ```
    /// # use stripe_billing_core::{Billing, MemoryStore, catalog::Catalog};
    /// # tokio::runtime::Builder::new_current_thread().enable_all().build()?.block_on(async {
    /// use stripe_billing_core::{Replay, store::EventRange};
    /// # let billing = Billing::builder(MemoryStore::new())
    /// #     .catalog(Catalog::default()).webhook_secrets(["whsec_1"]).build()?;
    ///
    /// let dead = EventRange { status: Some("dead".into()), limit: 5_000, ..EventRange::default() };
    /// let replay = Replay::new(dead).per_second(50);
    /// let mut run = billing.replay(replay, "ada", "req_1", Some("mended")).await?;
    /// while let Some(progress) = run.next().await? {
    ///     println!("{} of {}", progress.done, progress.matching);
    /// }
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// # })?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// [`OrderError`], before anything has happened.
    pub async fn replay(
        &self,
        wanted: Replay,
        actor: &str,
        request: &str,
        reason: Option<&str>,
    ) -> Result<ReplayRun<'_>, OrderError> {
        if request.len() > 200 - PLACE {
            return Err(OrderError::Invalid("the request id with the place of a batch"));
        }
        if wanted.range.limit > EventRange::MAX {
            return Err(OrderError::TooMany);
        }
        let counted = EventRange { limit: u32::MAX, ..wanted.range.clone() };
        let matching = self.inner.store.count_replayable(&counted).await?;
        let next = Some(wanted.range.from.unwrap_or(0));
        let began = Instant::now();
        Ok(ReplayRun {
            billing: self,
            wanted,
            actor: actor.to_owned(),
            request: request.to_owned(),
            reason: reason.map(str::to_owned),
            progress: ReplayProgress { matching, next, ..ReplayProgress::default() },
            began,
            due: began,
            is_over: false,
        })
    }
}

impl ReplayRun<'_> {
    /// How far it is.
    pub fn progress(&self) -> &ReplayProgress {
        &self.progress
    }

    /// Writes the next batch, once it is time for it; nothing when there is none: the range has come
    /// to its end, the limit is reached, or all that matched when it began is due again. May be
    /// dropped at any time: a batch is written whole or not at all.
    ///
    /// # Errors
    /// [`OrderError`]. It may be asked again, and goes on where it stopped.
    pub async fn next(&mut self) -> Result<Option<ReplayProgress>, OrderError> {
        let ReplayProgress { done, repeated, matching, .. } = self.progress;
        let left = u64::from(self.wanted.range.limit).saturating_sub(done + repeated);
        let Some(place) = self.progress.next.filter(|_| !self.is_over && left > 0) else {
            return Ok(None);
        };
        sleep_until(self.due).await;
        // Of the same command always the same batches: that is what makes a repetition one.
        let limit = u32::try_from(left).unwrap_or(u32::MAX).min(self.wanted.batch);
        let range = EventRange { from: Some(place), limit, ..self.wanted.range.clone() };
        let (verb, request) = (Verb::Replay { range }, format!("{}@{place}", self.request));
        let reason = self.reason.as_deref();
        let carried = self.billing.order(verb, &self.actor, &request, reason).await?;
        if carried.repeated {
            self.progress.repeated = repeated + carried.changed;
        } else {
            self.progress.done = done + carried.changed;
            self.wait(carried.changed);
        }
        self.progress.next = carried.next;
        self.progress.elapsed = self.began.elapsed();
        // What came to rest since then is not what was meant.
        self.is_over = self.progress.done >= matching;
        Ok(Some(self.progress.clone()))
    }

    fn wait(&mut self, events: u64) {
        if let Some(per_second) = self.wanted.per_second {
            let millis = events.saturating_mul(1_000) / u64::from(per_second.max(1));
            self.due = Instant::now() + Duration::from_millis(millis);
        }
    }
}
