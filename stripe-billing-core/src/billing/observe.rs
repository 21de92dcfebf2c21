//! Names of metrics, in one place. Labels never hold ids, secrets or personal data.

use std::collections::BTreeSet;
use std::sync::PoisonError;
use std::time::Duration;

use chrono::{DateTime, Utc};

use super::Billing;
use crate::error::StoreError;
use crate::queue::ErrorClass;
use crate::store::{Backlog, EVENT_STATUSES, OPEN_STATUSES, OUTBOX_STATUSES, Stats};
use crate::ticket::TicketKind;

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

/// Events or messages that were claimed although their lease has run out before, under whoever
/// had it.
pub(super) fn lease_expired(queue: &'static str, crashes: u32) {
    if crashes > 0 {
        metrics::counter!("stripe_billing_lease_expired_total", "queue" => queue).increment(1);
    }
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

/// What was there before and is not any more goes back to nothing.
fn waiting(backlog: &Backlog, told: &mut BTreeSet<(String, String)>) {
    let mut now = BTreeSet::new();
    for (status, types) in &backlog.events {
        for (event_type, count) in types {
            inbox_waiting(status, event_type, *count);
            now.insert((status.clone(), event_type.clone()));
        }
    }
    for (status, event_type) in told.difference(&now) {
        inbox_waiting(status, event_type, 0);
    }
    *told = now;
    for kind in TicketKind::ALL {
        let open = backlog.tickets.get(kind.as_str()).copied().unwrap_or(0);
        metrics::gauge!("stripe_billing_tickets_open", "kind" => kind.as_str()).set(open as f64);
    }
    metrics::gauge!("stripe_billing_reservations_open").set(backlog.reservations as f64);
    metrics::gauge!("stripe_billing_debt_accounts").set(backlog.debtors as f64);
}

/// Events that are not done, by status and type.
fn inbox_waiting(status: &str, event_type: &str, count: u64) {
    let known = OPEN_STATUSES.into_iter().find(|known| *known == status).unwrap_or("other");
    let event_type = event_type.to_owned();
    metrics::gauge!("stripe_billing_inbox_waiting", "status" => known, "type" => event_type)
        .set(count as f64);
}

impl Billing {
    /// Sets the gauges of what only the store knows: events and messages by status, what waits by
    /// type, the age of the queue, open tickets, reservations and accounts in debt; and whether this
    /// process pauses its queue. Call it before metrics are read, or every some seconds; it costs
    /// what [`stats`](crate::store::Inspect::stats) and [`backlog`](crate::store::Inspect::backlog)
    /// cost, whose counts end somewhere.
    ///
    /// # Errors
    /// When the store cannot be reached; that is counted, too.
    pub async fn observe(&self) -> Result<Stats, StoreError> {
        queue_paused(self.breaker().paused_since().is_some());
        let seen = self.figures().await;
        match &seen {
            Ok((stats, backlog)) => {
                queues(stats);
                let told = &self.inner.waiting;
                waiting(backlog, &mut told.lock().unwrap_or_else(PoisonError::into_inner));
            }
            Err(_) => store_failed(),
        }
        seen.map(|(stats, _)| stats)
    }

    async fn figures(&self) -> Result<(Stats, Backlog), StoreError> {
        let stats = self.inner.store.stats(self.inner.clock.now()).await?;
        Ok((stats, self.inner.store.backlog().await?))
    }
}
