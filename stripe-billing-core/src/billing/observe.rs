//! Names of metrics, in one place. Labels never hold ids, secrets or personal data.

use std::time::Duration;

use crate::queue::ErrorClass;

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
