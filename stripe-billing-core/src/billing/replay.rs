//! Events once more, with today's rules.

use serde::Serialize;

use super::Billing;
use super::batch::{Input, Known, Work};
use crate::decide::{Decision, Terms, decide};
use crate::error::StoreError;
use crate::queue::Lease;
use crate::state::{ObjectRef, Record};
use crate::store::{ClaimedEvent, EventRange, ReceivedEvent, StoredEvent};

/// Events with their payloads that are in memory at once.
const PAGE: u32 = 100;

/// What a replay would do.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
#[non_exhaustive]
pub struct Replayed {
    /// How many events a replay would make due, counted to 100,000: those of the range that are at
    /// rest and have a payload, whatever the range's limit.
    pub matching: u64,
    /// What each event would change.
    pub events: Vec<ReplayedEvent>,
}

/// What one event would change.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[non_exhaustive]
pub struct ReplayedEvent {
    /// The event's id.
    pub id: String,
    /// Its type.
    #[serde(rename = "type")]
    pub event_type: String,
    /// How it would end: `processed`, `ignored`, `parked`, `dead`, or `unreadable` where the payload
    /// is gone.
    pub outcome: String,
    /// The records that would change, as they are and as they would be.
    pub changes: Vec<RecordChange>,
    /// Keys of messages that would be told unless they were.
    pub messages: Vec<String>,
}

/// A record before and after.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[non_exhaustive]
pub struct RecordChange {
    /// Which.
    pub object: ObjectRef,
    /// As it is.
    pub before: Option<Record>,
    /// As it would be.
    pub after: Record,
}

impl Billing {
    /// Decides on stored events once more, with today's code and catalog, and shows the difference;
    /// it writes nothing. [`Verb::Replay`](crate::store::Verb::Replay) does it for real: through the
    /// same rules as any delivery, so that it never takes state back, and tells nothing twice.
    ///
    /// Takes up to 10,000 events of the range, in pages of a hundred, decides on each apart, against
    /// the state as it is, and asks Stripe nothing.
    ///
    /// # Errors
    /// When the store fails.
    pub async fn try_replay(&self, range: &EventRange) -> Result<Replayed, StoreError> {
        let counted = EventRange { limit: u32::MAX, ..range.clone() };
        let matching = self.inner.store.count_replayable(&counted).await?;
        let mut replayed = Replayed { matching, events: Vec::new() };
        let (mut from, mut left) = (range.from, range.limit.min(EventRange::MAX));
        while left > 0 {
            let limit = left.min(PAGE);
            let page = EventRange { from, limit, ..range.clone() };
            let events = self.inner.store.stored_events(&page).await?;
            let read = u32::try_from(events.len()).unwrap_or(limit);
            let Some(last) = events.last() else { break };
            from = Some(last.summary.seq.saturating_add(1));
            for stored in events {
                replayed.events.push(self.try_out(stored).await?);
            }
            left = if read < limit { 0 } else { left - limit };
        }
        Ok(replayed)
    }

    async fn try_out(&self, stored: StoredEvent) -> Result<ReplayedEvent, StoreError> {
        let mut tried = ReplayedEvent {
            id: stored.summary.key.id.clone(),
            event_type: stored.summary.event_type.clone(),
            outcome: "unreadable".to_owned(),
            changes: Vec::new(),
            messages: Vec::new(),
        };
        if stored.payload.is_empty() {
            return Ok(tried);
        }
        let work = self.work_on(stored);
        let read = match &work.input {
            Input::Read(read) => read,
            Input::Thin(_) => {
                tried.outcome = "thin".to_owned();
                return Ok(tried);
            }
            Input::Settled(settlement) => {
                tried.outcome = super::process::outcome(settlement).to_owned();
                return Ok(tried);
            }
        };
        let tenant = &work.claimed.event.key.tenant;
        let family = Known::default().family(&self.inner.store, tenant, &read.patch).await?;
        let terms = Terms {
            catalog: &self.inner.catalog,
            now: self.inner.clock.now(),
            event: &tried.id,
            shadow: true,
        };
        match decide(&family, &read.patch, &terms) {
            Decision::Settle(settlement) => {
                tried.outcome = super::process::outcome(&settlement).to_owned();
            }
            Decision::Commit(changes) => {
                tried.outcome = super::process::outcome(&changes.settlement).to_owned();
                tried.messages =
                    changes.effects.outbox.into_iter().map(|entry| entry.key).collect();
                let changed = changes.records.into_iter().map(|write| RecordChange {
                    object: write.record.object(),
                    before: family.subject.records.get(&write.record.object()).cloned(),
                    after: write.record,
                });
                tried.changes = changed
                    .filter(|change| change.before.as_ref() != Some(&change.after))
                    .collect();
            }
        }
        Ok(tried)
    }

    /// A stored event as if it had been claimed.
    fn work_on(&self, stored: StoredEvent) -> Work {
        let summary = stored.summary;
        let event = ReceivedEvent {
            key: summary.key,
            kind: stored.kind,
            event_type: summary.event_type,
            api_version: stored.api_version,
            created: summary.created,
            received_at: summary.received_at,
            payload: stored.payload,
        };
        let lease = Lease { seq: summary.seq, epoch: 0 };
        let claimed = ClaimedEvent { lease, event, attempts: 0, deferrals: 0, crashes: 0 };
        Work { input: self.read(&claimed), claimed }
    }
}
