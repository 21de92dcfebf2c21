//! Replays in batches: at a pace, once by their request id, and on from where they were interrupted.

#![allow(clippy::unwrap_used)] // In the helpers too: a test that cannot go on fails.

use std::sync::Arc;
use std::time::Duration;

use chrono::DateTime;
use stripe_billing_core::catalog::Catalog;
use stripe_billing_core::store::{AuditQuery, EventRange, EventStore, Inspect, ReceivedEvent};
use stripe_billing_core::webhook::EventKind;
use stripe_billing_core::{
    Billing, Clock, EventKey, ManualClock, MemoryStore, OrderError, Replay, ReplayProgress, Tenant,
};

struct Fixture {
    billing: Billing,
    store: MemoryStore,
}

impl Fixture {
    /// Billing with so many events that are done.
    async fn done(events: u32) -> Self {
        let store = MemoryStore::new();
        let clock = Arc::new(ManualClock::new(DateTime::from_timestamp(1_700_000_000, 0).unwrap()));
        for n in 0..events {
            let id = format!("evt_{n}");
            let body = format!(
                r#"{{"id":"{id}","object":"event","created":1700000000,"livemode":false,
                "type":"customer.created","data":{{"object":{{"id":"cus_{n}","object":"customer"}}}}}}"#
            );
            let event = ReceivedEvent {
                key: EventKey { tenant: Tenant::platform(false), id },
                kind: EventKind::Snapshot,
                event_type: "customer.created".to_owned(),
                api_version: None,
                created: 1_700_000_000,
                received_at: clock.now(),
                payload: body.into(),
            };
            store.receive(event).await.unwrap();
        }
        let billing = Billing::builder(store.clone())
            .catalog(Catalog::default())
            .webhook_secrets(["whsec_test"])
            .clock(clock)
            .build()
            .unwrap();
        billing.process_due().await.unwrap();
        let fixture = Self { billing, store };
        assert_eq!(fixture.due().await, 0);
        fixture
    }

    async fn due(&self) -> u64 {
        let stats = self.store.stats(self.billing.clock().now()).await.unwrap();
        stats.events.get("received").copied().unwrap_or(0)
    }

    /// So many batches of a replay, or all.
    async fn replay(&self, replay: Replay, request: &str, batches: usize) -> Vec<ReplayProgress> {
        let mut run = self.billing.replay(replay, "ada", request, Some("mended")).await.unwrap();
        let mut seen = Vec::new();
        while seen.len() < batches
            && let Some(progress) = run.next().await.unwrap()
        {
            seen.push(progress);
        }
        seen
    }
}

fn everything() -> EventRange {
    EventRange { limit: EventRange::MAX, ..EventRange::default() }
}

#[tokio::test(start_paused = true)]
async fn a_replay_keeps_its_pace_and_says_how_far_it_is() {
    let f = Fixture::done(250).await;
    let seen = f.replay(Replay::new(everything()).per_second(20), "req_1", usize::MAX).await;
    let done: Vec<_> = seen.iter().map(|it| (it.done, it.elapsed.as_secs())).collect();
    assert_eq!(done, [(100, 0), (200, 5), (250, 10)]);
    assert!(seen.iter().all(|it| (it.matching, it.repeated) == (250, 0)));
    assert_eq!(seen[2].next, None);
    assert_eq!(f.due().await, 250);
    let lines = f.store.audit(&AuditQuery { limit: 9, ..AuditQuery::default() }).await.unwrap();
    assert_eq!(lines.len(), 3, "each batch is on record");
    assert!(lines.iter().all(|line| line.entry.reason.as_deref() == Some("mended")));
    f.billing.process_due().await.unwrap();
    assert_eq!(f.due().await, 0);
}

#[tokio::test(start_paused = true)]
async fn a_replay_that_was_interrupted_goes_on_and_repeats_nothing() {
    let f = Fixture::done(250).await;
    let replay = Replay::new(everything()).batch(60).per_second(0);
    let first = f.replay(replay.clone(), "req_1", 2).await;
    assert_eq!((first[1].done, f.due().await), (120, 120));
    f.billing.process_due().await.unwrap();

    // The whole command once more: the batches that were written stay as they are.
    let again = f.replay(replay.clone(), "req_1", 3).await;
    assert_eq!((again[2].repeated, again[2].done, f.due().await), (120, 60, 60));
    // Or from the place that was told last.
    let mut rest = replay.clone();
    rest.range.from = again[2].next;
    let rest = f.replay(rest, "req_1", usize::MAX).await;
    assert_eq!((rest.last().unwrap().done, rest.last().unwrap().next), (70, None));
    assert_eq!(f.due().await, 130);
    f.billing.process_due().await.unwrap();
    let whole = f.replay(replay, "req_1", usize::MAX).await;
    assert_eq!((whole.last().unwrap().repeated, whole.last().unwrap().done), (250, 0));
    assert_eq!(f.due().await, 0);
}

#[tokio::test(start_paused = true)]
async fn a_command_takes_its_limit_and_says_where_the_rest_begins() {
    let f = Fixture::done(130).await;
    let limited = EventRange { limit: 70, ..everything() };
    let replay = Replay::new(limited.clone()).batch(50).per_second(0);
    let seen = f.replay(replay, "req_1", usize::MAX).await;
    assert_eq!(seen.iter().map(|it| it.done).collect::<Vec<_>>(), [50, 70]);
    let last = seen.last().unwrap();
    assert_eq!((last.matching, f.due().await), (130, 70));
    let rest = EventRange { from: last.next, ..limited };
    let seen = f.replay(Replay::new(rest).per_second(0), "req_2", usize::MAX).await;
    assert_eq!((seen[0].done, seen[0].matching, f.due().await), (60, 60, 130));

    let more = EventRange { limit: EventRange::MAX + 1, ..everything() };
    let refused = f.billing.replay(Replay::new(more), "ada", "req_3", None).await;
    assert!(matches!(refused, Err(OrderError::TooMany)), "{refused:?}");
}

#[tokio::test(start_paused = true)]
async fn what_comes_to_rest_while_a_replay_runs_is_not_taken_again() {
    let f = Fixture::done(4).await;
    let replay = Replay::new(everything()).batch(2).per_second(1);
    let mut run = f.billing.replay(replay, "ada", "req_1", None).await.unwrap();
    assert_eq!(run.next().await.unwrap().unwrap().done, 2);
    // Another customer's event comes in and is done with.
    let other = Fixture::done(6).await;
    for n in 4..6 {
        let stored = other.store.events_by_id(&format!("evt_{n}")).await.unwrap().remove(0);
        let event = ReceivedEvent {
            key: stored.summary.key,
            kind: stored.kind,
            event_type: stored.summary.event_type,
            api_version: None,
            created: stored.summary.created,
            received_at: stored.summary.received_at,
            payload: stored.payload,
        };
        f.store.receive(event).await.unwrap();
    }
    f.billing.process_due().await.unwrap();
    let began = tokio::time::Instant::now();
    assert_eq!(run.next().await.unwrap().unwrap().done, 4);
    assert_eq!(began.elapsed(), Duration::from_secs(2));
    assert_eq!(run.next().await.unwrap(), None);
    assert_eq!(f.due().await, 2);
}

#[tokio::test]
async fn a_dry_run_counts_what_matches_beyond_its_limit() {
    let f = Fixture::done(130).await;
    let dry = f.billing.try_replay(&EventRange { limit: 120, ..everything() }).await.unwrap();
    assert_eq!((dry.matching, dry.events.len()), (130, 120));
    let ids: std::collections::BTreeSet<_> = dry.events.iter().map(|it| &it.id).collect();
    assert_eq!(ids.len(), 120);
    assert_eq!(f.due().await, 0);
}
