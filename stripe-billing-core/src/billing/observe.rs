//! Names of metrics, in one place. Labels never hold ids, secrets or personal data.

use std::time::Duration;

use chrono::{DateTime, Utc};

use super::Billing;
use crate::error::StoreError;
use crate::queue::ErrorClass;
use crate::store::Stats;

/// Every status that a gauge is set for, so that one that no event has any more goes back to nothing.
const EVENT_STATUSES: [&str; 10] = [
    "received",
    "processing",
    "retry_wait",
    "deferred",
    "parked",
    "processed",
    "ignored",
    "dead",
    "resolved",
    "dismissed",
];
const OUTBOX_STATUSES: [&str; 6] = ["pending", "sending", "done", "dropped", "dead", "shadow"];

/// Deliveries by result: `stored`, `duplicate`, `rejected`, `unavailable`.
pub(super) fn received(result: &'static str, took: Duration) {
    metrics::counter!("stripe_billing_webhook_received_total", "result" => result).increment(1);
    metrics::histogram!("stripe_billing_webhook_seconds").record(took);
}

/// Refused deliveries by the refusal's stable code.
pub(super) fn rejected(code: &'static str) {
    metrics::counter!("stripe_billing_webhook_rejected_total", "code" => code).increment(1);
}

/// Events by how they ended: `processed`, `ignored`, `parked`, `retry`, `dead`, `lost`.
pub(super) fn processed(outcome: &'static str, took: Duration) {
    metrics::counter!("stripe_billing_events_total", "outcome" => outcome).increment(1);
    metrics::histogram!("stripe_billing_process_seconds").record(took);
}

/// How long an event waited between arrival and claim.
pub(super) fn waited(seconds: f64) {
    metrics::histogram!("stripe_billing_queue_wait_seconds").record(seconds);
}

/// Subjects that moved between load and commit.
pub(super) fn conflict() {
    metrics::counter!("stripe_billing_commit_conflicts_total").increment(1);
}

/// Facts by how their delivery ended: `done`, `retry`, `dead`.
pub(super) fn delivered(outcome: &'static str, facts: u64) {
    metrics::counter!("stripe_billing_outbox_total", "outcome" => outcome).increment(facts);
}

/// Access look-ups by where the answer came from: `cache` or `store`.
pub(super) fn looked_up(source: &'static str) {
    metrics::counter!("stripe_billing_access_total", "source" => source).increment(1);
}

/// Failed attempts by class.
pub(super) fn failed(class: ErrorClass) {
    let class = class.as_str();
    metrics::counter!("stripe_billing_failures_total", "class" => class).increment(1);
}

/// Whether the queue pauses because most work fails: 1 or 0.
pub(super) fn queue_paused(paused: bool) {
    metrics::gauge!("stripe_billing_queue_paused").set(if paused { 1.0 } else { 0.0 });
}

/// Operations on the ledger that were refused, by the refusal's stable code.
pub(super) fn denied(reason: &'static str) {
    metrics::counter!("stripe_billing_ledger_denied_total", "reason" => reason).increment(1);
}

/// How the last proof of the ledger ended, and when.
pub(super) fn proved(ok: bool, violations: usize, now: DateTime<Utc>) {
    metrics::gauge!("stripe_billing_ledger_verify_ok").set(f64::from(u8::from(ok)));
    metrics::gauge!("stripe_billing_ledger_violations").set(violations as f64);
    metrics::gauge!("stripe_billing_ledger_verify_timestamp_seconds").set(now.timestamp() as f64);
}

/// What rules against fraud said against accounts, at a checkout or on an event: `review` or `deny`, by
/// the rule's code.
pub(super) fn judged(verdict: &'static str, rule: &'static str) {
    metrics::counter!("stripe_billing_fraud_total", "verdict" => verdict, "rule" => rule)
        .increment(1);
}

/// Times that workers, or who asks for figures, could not use the store.
pub(super) fn store_failed() {
    metrics::counter!("stripe_billing_store_errors_total").increment(1);
}

fn queues(stats: &Stats) {
    let count = |counts: &std::collections::BTreeMap<String, u64>, status: &str| {
        counts.get(status).copied().unwrap_or(0) as f64
    };
    for status in EVENT_STATUSES {
        metrics::gauge!("stripe_billing_inbox_events", "status" => status)
            .set(count(&stats.events, status));
    }
    for status in OUTBOX_STATUSES {
        metrics::gauge!("stripe_billing_outbox_messages", "status" => status)
            .set(count(&stats.outbox, status));
    }
    metrics::gauge!("stripe_billing_queue_age_seconds").set(stats.queue_age_seconds);
}

impl Billing {
    /// Sets the gauges of what only the store knows: events and messages by status, and the age of
    /// the queue. Call it before metrics are read, or every some seconds; it costs what
    /// [`stats`](crate::store::Inspect::stats) costs.
    ///
    /// # Errors
    /// When the store cannot be reached; that is counted, too.
    pub async fn observe(&self) -> Result<Stats, StoreError> {
        let stats = self.inner.store.stats(self.inner.clock.now()).await;
        match &stats {
            Ok(stats) => queues(stats),
            Err(_) => store_failed(),
        }
        stats
    }
}
