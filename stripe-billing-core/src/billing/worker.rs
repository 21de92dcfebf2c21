//! Background work on tokio: the loops, their signals, and a drain that leaves nothing leased.

use std::panic::AssertUnwindSafe;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use futures_util::FutureExt;
use tokio::sync::{Notify, broadcast, watch};
use tokio::task::JoinSet;

use super::process::Report;
use super::{Billing, observe};
use crate::error::StoreError;
use crate::keys::AccountKey;

/// How often an idle worker looks for what other nodes left and for retries that came due.
const POLL: Duration = Duration::from_secs(1);
/// How often payloads and attempts are pruned.
const PRUNE: Duration = Duration::from_secs(3_600);
/// How often idle ledger accounts are swept. Nobody sees it: what is due counts as due before.
const SWEEP: Duration = Duration::from_secs(15);
/// The longest pause while the store cannot be reached.
const MAX_PAUSE: Duration = Duration::from_secs(15);

/// Wakes workers, and tells subscribers whose state changed.
#[derive(Debug)]
pub(super) struct Signals {
    work: Notify,
    changes: broadcast::Sender<AccountKey>,
    /// Whether workers were ever started, and so there are timers.
    works: AtomicBool,
}

impl Default for Signals {
    fn default() -> Self {
        Self {
            work: Notify::new(),
            changes: broadcast::channel(256).0,
            works: AtomicBool::new(false),
        }
    }
}

impl Signals {
    pub(super) fn wake(&self) {
        self.work.notify_one();
    }

    pub(super) fn has_workers(&self) -> bool {
        self.works.load(Ordering::Relaxed)
    }

    pub(super) fn changed(&self, account: &AccountKey) {
        // Nobody listening is fine.
        let _ = self.changes.send(account.clone());
    }
}

/// Workers under way. Dropping it lets them run on; [`Workers::shutdown`] ends them.
#[derive(Debug)]
pub struct Workers {
    stop: watch::Sender<bool>,
    tasks: JoinSet<()>,
}

impl Workers {
    /// Lets every worker finish what it holds and stops it. Nothing stays leased.
    pub async fn shutdown(mut self) {
        // No receiver left means that all have stopped.
        let _ = self.stop.send(true);
        while self.tasks.join_next().await.is_some() {}
    }
}

impl Billing {
    /// Starts four workers that process events and hand facts over until they are shut down.
    pub fn spawn_workers(&self) -> Workers {
        self.spawn_worker_count(4)
    }

    /// Starts so many workers.
    pub fn spawn_worker_count(&self, count: usize) -> Workers {
        self.inner.signals.works.store(true, Ordering::Relaxed);
        let (stop, stopped) = watch::channel(false);
        let mut tasks = JoinSet::new();
        for _ in 0..count.max(1) {
            tasks.spawn(self.clone().work(stopped.clone()));
        }
        tasks.spawn(self.clone().keep_books(stopped.clone()));
        tasks.spawn(self.clone().keep_house(stopped));
        Workers { stop, tasks }
    }

    /// Whose state changes in this process, as it changes. A receiver that lags misses some; read
    /// the state again then.
    pub fn changes(&self) -> broadcast::Receiver<AccountKey> {
        self.inner.signals.changes.subscribe()
    }

    async fn work(self, mut stopped: watch::Receiver<bool>) {
        let mut pause = POLL;
        let mut released = false;
        while !*stopped.borrow() {
            // A store plugin that panics must not end the worker.
            let round = AssertUnwindSafe(self.work_round(&mut released)).catch_unwind().await;
            let wait = match round {
                Ok(Ok(report)) if !report.is_empty() => {
                    pause = POLL;
                    continue;
                }
                Ok(Ok(_)) => {
                    pause = POLL;
                    POLL
                }
                Ok(Err(error)) => {
                    observe::store_failed();
                    tracing::error!(error = %error, "the store failed; waiting");
                    pause = (pause * 2).min(MAX_PAUSE);
                    pause
                }
                Err(_) => {
                    tracing::error!("a worker's round panicked; waiting");
                    pause = (pause * 2).min(MAX_PAUSE);
                    pause
                }
            };
            tokio::select! {
                _ = stopped.changed() => {}
                () = self.inner.signals.work.notified(), if wait == POLL => {}
                () = tokio::time::sleep(wait) => {}
            }
        }
    }

    /// Sweeps ledger and tickets now and then.
    async fn keep_books(self, mut stopped: watch::Receiver<bool>) {
        while !*stopped.borrow() {
            let more = match AssertUnwindSafe(self.keep()).catch_unwind().await {
                Ok(Ok(report)) => !report.is_empty(),
                Ok(Err(error)) => {
                    tracing::error!(error = %error, "ledger and tickets were not swept");
                    false
                }
                Err(_) => {
                    tracing::error!("sweeping ledger and tickets panicked");
                    false
                }
            };
            if !more {
                tokio::select! {
                    _ = stopped.changed() => {}
                    () = tokio::time::sleep(SWEEP) => {}
                }
            }
        }
    }

    async fn keep(&self) -> Result<Report, StoreError> {
        self.keep_tickets(true).await?;
        self.keep_ledger().await
    }

    /// Prunes payloads and attempts now and then.
    async fn keep_house(self, mut stopped: watch::Receiver<bool>) {
        while !*stopped.borrow() {
            match AssertUnwindSafe(self.prune()).catch_unwind().await {
                Ok(Ok(0)) => {}
                Ok(Ok(pruned)) => {
                    tracing::info!(pruned, "payloads and attempts are past their retention");
                }
                Ok(Err(error)) => {
                    tracing::error!(error = %error, "payloads and attempts were not pruned");
                }
                Err(_) => tracing::error!("pruning panicked"),
            }
            tokio::select! {
                _ = stopped.changed() => {}
                () = tokio::time::sleep(PRUNE) => {}
            }
        }
    }

    async fn work_round(&self, released: &mut bool) -> Result<Report, StoreError> {
        if !*released {
            self.release_parked().await?;
            self.release_config().await?;
            *released = true;
        }
        let mut report = self.process_batch().await?;
        report.add(self.dispatch_batch().await?);
        Ok(report)
    }
}
