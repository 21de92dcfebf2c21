//! Webhooks over real HTTP, with trouble on order.

mod queue;

use std::{
    collections::BTreeSet,
    fmt,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use bytes::Bytes;
use tokio::sync::{Notify, Semaphore, watch};

use self::queue::{Job, Queue};
use super::{
    clock::WallClock,
    events::{FakeEvent, signature_header},
    ids::Dice,
    render::to_pretty,
    version::ApiVersion,
};

/// Where webhooks go, and in which shape.
#[derive(Clone)]
pub(super) struct Endpoint {
    pub(super) url: String,
    pub(super) secrets: Vec<String>,
    pub(super) version: ApiVersion,
    /// It gets thin events in place of snapshots.
    pub(super) thin: bool,
}

/// How one attempt to deliver ended.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Outcome {
    /// The endpoint answered with this status; only 2xx counts as success.
    Answered(u16),
    /// No answer: refused, reset or timed out.
    Unreachable(String),
    /// Lost on purpose.
    Dropped,
}

/// One line of the delivery log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Attempt {
    /// The event.
    pub event_id: String,
    /// Its type.
    pub event_type: &'static str,
    /// The endpoint.
    pub url: String,
    /// 1 for the first try.
    pub attempt: u32,
    /// What came of it.
    pub outcome: Outcome,
}

struct Shared {
    endpoints: Vec<Endpoint>,
    client: reqwest::Client,
    signing_time: WallClock,
    tries: u32,
    backoff: Duration,
    lanes: Arc<Semaphore>,
    queue: Mutex<Queue>,
    wake: Notify,
    outstanding: watch::Sender<usize>,
}

/// The fake's webhook sender and its knobs. Cheap to clone.
///
/// Events are delivered one after the other in the order of their making, unless a knob says
/// otherwise. An answer that is not 2xx is tried again a few times with a short growing pause;
/// then the delivery counts as failed until [`redeliver`](Self::redeliver).
#[derive(Clone)]
pub struct Delivery(Arc<Shared>);

/// How the sender is set up.
pub(super) struct Setup {
    pub(super) endpoints: Vec<Endpoint>,
    pub(super) client: reqwest::Client,
    pub(super) signing_time: WallClock,
    pub(super) tries: u32,
    pub(super) backoff: Duration,
    pub(super) lanes: usize,
}

impl Delivery {
    pub(super) fn new(setup: Setup) -> Self {
        Self(Arc::new(Shared {
            endpoints: setup.endpoints,
            client: setup.client,
            signing_time: setup.signing_time,
            tries: setup.tries.max(1),
            backoff: setup.backoff,
            lanes: Arc::new(Semaphore::new(setup.lanes.max(1))),
            queue: Mutex::new(Queue::default()),
            wake: Notify::new(),
            outstanding: watch::Sender::new(0),
        }))
    }

    fn queue(&self) -> MutexGuard<'_, Queue> {
        self.0.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Changes the queue and tells who waits on it.
    fn change<R>(&self, change: impl FnOnce(&mut Queue) -> R) -> R {
        let mut queue = self.queue();
        let result = change(&mut queue);
        self.0.outstanding.send_replace(queue.outstanding);
        drop(queue);
        self.0.wake.notify_one();
        result
    }

    pub(super) fn enqueue(&self, event: &FakeEvent) {
        if self.0.endpoints.is_empty() {
            return;
        }
        self.change(|queue| {
            for endpoint in 0..self.0.endpoints.len() {
                queue.pending.entry(event.id().to_owned()).or_default().insert(endpoint);
                let job = Job { event: event.clone(), endpoint, attempt: 1 };
                if queue.loses_one() {
                    queue.log.push(self.line(&job, Outcome::Dropped));
                    queue.failed.push(job);
                    continue;
                }
                for _ in 0..=queue.duplicates {
                    queue.admit(job.clone());
                }
            }
        });
    }

    fn line(&self, job: &Job, outcome: Outcome) -> Attempt {
        Attempt {
            event_id: job.event.id().to_owned(),
            event_type: job.event.event_type(),
            url: self.0.endpoints[job.endpoint].url.clone(),
            attempt: job.attempt,
            outcome,
        }
    }

    /// Endpoints that have not acknowledged an event: its `pending_webhooks`.
    #[must_use]
    pub fn pending(&self, event_id: &str) -> usize {
        self.queue().pending.get(event_id).map_or(0, BTreeSet::len)
    }

    /// Sends every further event `extra` more times.
    pub fn duplicate(&self, extra: u32) {
        self.change(|queue| queue.duplicates = extra);
    }

    /// Holds further events and lets them go in a shuffled order with [`flush`](Self::flush) or
    /// [`wait_idle`](Self::wait_idle).
    pub fn reorder(&self, seed: u64) {
        self.change(|queue| queue.reorder = Some(Dice::new(seed)));
    }

    /// Back to the order of making; lets go what was held.
    pub fn in_order(&self) {
        self.flush();
        self.change(|queue| queue.reorder = None);
    }

    /// Waits this much real time before each attempt.
    pub fn delay(&self, delay: Duration) {
        self.change(|queue| queue.delay = delay);
    }

    /// Loses the next `count` deliveries; [`redeliver_failed`](Self::redeliver_failed) brings
    /// them back.
    pub fn drop_next(&self, count: u32) {
        self.change(|queue| queue.drop_next = count);
    }

    /// Loses about this share of the deliveries (0 to 1), the same ones for the same seed.
    pub fn drop_fraction(&self, fraction: f64, seed: u64) {
        self.change(|queue| {
            queue.drop_fraction = (fraction > 0.0).then(|| (fraction, Dice::new(seed)));
        });
    }

    /// Holds everything that is not in flight, as during an outage of Stripe.
    pub fn pause(&self) {
        self.change(|queue| {
            queue.paused = true;
            let ready: Vec<Job> = queue.ready.drain(..).collect();
            queue.outstanding = queue.outstanding.saturating_sub(ready.len());
            queue.held.extend(ready);
        });
    }

    /// Ends a [`pause`](Self::pause).
    pub fn resume(&self) {
        self.change(|queue| {
            queue.paused = false;
            if queue.reorder.is_none() {
                queue.release();
            }
        });
    }

    /// Lets go what [`reorder`](Self::reorder) holds, shuffled. Does nothing during a pause.
    pub fn flush(&self) {
        self.change(|queue| {
            if !queue.paused {
                queue.release();
            }
        });
    }

    /// Sends an event of [`FakeStripe::events`](super::FakeStripe::events) once more to every
    /// endpoint, whether it was acknowledged or not.
    pub fn redeliver(&self, event: &FakeEvent) {
        self.change(|queue| {
            queue.failed.retain(|job| job.event.id() != event.id());
            for endpoint in 0..self.0.endpoints.len() {
                queue.admit(Job { event: event.clone(), endpoint, attempt: 1 });
            }
        });
    }

    /// Sends every dropped or given-up delivery again; the number of deliveries.
    pub fn redeliver_failed(&self) -> usize {
        self.change(|queue| {
            let failed = std::mem::take(&mut queue.failed);
            let count = failed.len();
            for job in failed {
                queue.admit(Job { attempt: 1, ..job });
            }
            count
        })
    }

    /// Resolves when every due delivery is acknowledged or given up. Held events of
    /// [`reorder`](Self::reorder) are let go first; during a [`pause`](Self::pause) only what is
    /// in flight counts.
    pub async fn wait_idle(&self) {
        let mut outstanding = self.0.outstanding.subscribe();
        loop {
            self.flush();
            // The sender lives as long as `self`.
            let _ = outstanding.wait_for(|count| *count == 0).await;
            // A receiver may have caused further events, which a reordering holds.
            let queue = self.queue();
            if queue.outstanding == 0 && (queue.paused || queue.held.is_empty()) {
                return;
            }
        }
    }

    /// The sender has stopped: nothing is due any more.
    pub(super) fn abandon(&self) {
        self.change(|queue| {
            queue.ready.clear();
            queue.outstanding = 0;
            queue.paused = true;
        });
    }

    /// Every attempt so far, oldest first.
    #[must_use]
    pub fn attempts(&self) -> Vec<Attempt> {
        self.queue().log.clone()
    }

    /// Sends until the returned future is dropped.
    pub(super) async fn run(self) {
        loop {
            let Ok(lane) = Arc::clone(&self.0.lanes).acquire_owned().await else {
                return;
            };
            let job = loop {
                if let Some(job) = self.next_job() {
                    break job;
                }
                self.0.wake.notified().await;
            };
            let delivery = self.clone();
            tokio::spawn(async move {
                delivery.attempt(job).await;
                drop(lane);
            });
        }
    }

    fn next_job(&self) -> Option<Job> {
        self.queue().ready.pop_front()
    }

    async fn attempt(self, job: Job) {
        let delay = self.queue().delay;
        if !delay.is_zero() {
            tokio::time::sleep(delay).await;
        }
        let outcome = self.post(&job).await;
        let done = matches!(outcome, Outcome::Answered(200..=299));
        let retry = !done && job.attempt < self.0.tries;
        let line = self.line(&job, outcome);
        self.change(|queue| {
            queue.log.push(line);
            if done {
                queue.acknowledge(&job);
            }
            if !retry {
                queue.outstanding = queue.outstanding.saturating_sub(1);
                if !done {
                    queue.failed.push(job.clone());
                }
            }
        });
        if retry {
            tokio::spawn(async move {
                let pause = self.0.backoff.saturating_mul(1 << (job.attempt - 1).min(10));
                tokio::time::sleep(pause).await;
                self.change(|queue| {
                    let job = Job { attempt: job.attempt + 1, ..job };
                    if queue.paused {
                        queue.outstanding = queue.outstanding.saturating_sub(1);
                        queue.held.push(job);
                    } else {
                        queue.ready.push_back(job);
                    }
                });
            });
        }
    }

    async fn post(&self, job: &Job) -> Outcome {
        let endpoint = &self.0.endpoints[job.endpoint];
        let value = if endpoint.thin {
            job.event.to_thin_json()
        } else {
            job.event.to_json(&endpoint.version, self.0.endpoints.len())
        };
        let body = Bytes::from(to_pretty(&value));
        let secrets: Vec<&str> = endpoint.secrets.iter().map(String::as_str).collect();
        // Every attempt is signed anew, as Stripe does.
        let signature = signature_header(&body, &secrets, (self.0.signing_time)());
        let sent = self
            .0
            .client
            .post(&endpoint.url)
            .header("content-type", "application/json; charset=utf-8")
            .header("stripe-signature", signature)
            .header("user-agent", "Stripe/1.0 (+https://stripe.com/docs/webhooks)")
            .body(body)
            .send()
            .await;
        match sent {
            Ok(response) => {
                let status = response.status().as_u16();
                // Read to the end, so that the connection can be used again.
                let _ = response.bytes().await;
                Outcome::Answered(status)
            }
            Err(error) => Outcome::Unreachable(error.to_string()),
        }
    }
}

impl fmt::Debug for Delivery {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let queue = self.queue();
        f.debug_struct("Delivery")
            .field("outstanding", &queue.outstanding)
            .field("held", &queue.held.len())
            .field("failed", &queue.failed.len())
            .finish_non_exhaustive()
    }
}
