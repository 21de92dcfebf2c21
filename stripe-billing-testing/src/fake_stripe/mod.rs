//! A Stripe inside the process: API, hosted pages, signed webhooks, and a clock that can be moved.
//!
//! [`FakeStripe`] listens on loopback and behaves like Stripe to a real client: form-encoded
//! requests, idempotency keys, error objects, lists, several API versions. Subscriptions renew,
//! fail, recover and end as its clock moves, and every step sends the events that Stripe sends, in
//! Stripe's order.
//!
//! ```
//! use std::time::Duration;
//! use stripe_billing_testing::fake_stripe::{Card, FakeStripe, Interval, NewPrice, NewSubscription};
//!
//! # tokio::runtime::Runtime::new().unwrap().block_on(async {
//! let fake = FakeStripe::builder()
//!     .price(NewPrice::recurring("price_pro", 1_900, "usd", Interval::Month).product("Pro"))
//!     .start()
//!     .await?;
//! let customer = fake.create_customer("ada@example.com", &[("app_user", "ada")]);
//! fake.set_card(&customer, Card::Good)?;
//! let sub = fake.create_subscription(NewSubscription::new(&customer, "price_pro"))?;
//!
//! fake.advance(Duration::from_secs(32 * 86_400)).await;
//! let paid = fake.events().iter().filter(|event| event.event_type() == "invoice.paid").count();
//! assert_eq!(paid, 2);
//! assert_eq!(fake.object(&sub).unwrap()["status"], "active");
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! # }).unwrap();
//! ```

mod builder;
mod calendar;
mod card;
mod clock;
mod control;
mod delivery;
mod engine;
mod error;
mod events;
mod http;
mod ids;
mod model;
mod objects;
mod render;
mod state;
mod table;
mod version;

pub use builder::{FakeStripeBuilder, StartError};
pub use calendar::Interval;
pub use card::Card;
pub use clock::WallClock;
pub use control::{NewPrice, NewRefund, NewSubscription};
pub use delivery::{Attempt, Delivery, Outcome};
pub use engine::{Completed, Debit};
pub use error::ApiError;
pub use events::{EventBuilder, FakeEvent, SignedEvent, signature_header, signed};
pub use http::Fault;

pub use state::Exhausted;
pub use version::ApiVersion;

use std::{
    fmt,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use tokio::sync::{Notify, watch};

use self::{
    http::{Faults, Replays},
    state::State,
};

/// A running fake. Cheap to clone; the server stops with the last clone.
#[derive(Clone)]
pub struct FakeStripe {
    inner: Arc<Inner>,
    running: Arc<Running>,
}

/// Everything behind the handle. Locks are taken in the order state, delivery queue, and none is
/// held across an await.
struct Inner {
    state: Arc<Mutex<State>>,
    delivery: Delivery,
    api_version: ApiVersion,
    base_url: String,
    faults: Mutex<Faults>,
    replays: Mutex<Replays>,
    changed: Notify,
    stopped: watch::Receiver<bool>,
}

/// Stops the server when the last handle goes.
struct Running(watch::Sender<bool>);

impl Drop for Running {
    fn drop(&mut self) {
        self.0.send_replace(true);
    }
}

impl Inner {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn replays(&self) -> MutexGuard<'_, Replays> {
        self.replays.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn now(&self) -> i64 {
        self.lock().now()
    }

    /// One step of work: first what has fallen due, then `work`, then its immediate consequences;
    /// the events go out in the order of their making.
    fn with<R>(&self, work: impl FnOnce(&mut State) -> R) -> R {
        let mut state = self.lock();
        let now = state.now();
        state.run_until(now);
        let result = work(&mut state);
        let now = state.now();
        state.run_until(now);
        while let Some(event) = state.outbox.pop_front() {
            self.delivery.enqueue(&event);
        }
        drop(state);
        self.changed.notify_one();
        result
    }

    /// Moves the clock. Between two pieces of work the runtime gets its turn, so that a receiver
    /// in the same process is not starved by years of renewals.
    async fn advance_to(&self, unix: i64) {
        loop {
            let next = self.with(|state| {
                let next = state.next_due().filter(|at| *at <= unix);
                state.run_until(next.unwrap_or(unix));
                next
            });
            if next.is_none() {
                return;
            }
            tokio::task::yield_now().await;
        }
    }

    /// Resolves when the fake is stopped.
    async fn stopped(&self) {
        let mut stopped = self.stopped.clone();
        // An error means that the handle is gone, which is a stop too.
        let _ = stopped.wait_for(|stopped| *stopped).await;
    }

    /// With a clock that follows real time, does what falls due without being asked.
    async fn follow_time(&self) {
        if !self.lock().clock.follows_wall() {
            return;
        }
        loop {
            let wait = {
                let state = self.lock();
                state.next_due().map(|at| at - state.now())
            };
            let wait = wait.map_or(Duration::from_secs(86_400), |seconds| {
                Duration::from_secs(u64::try_from(seconds).unwrap_or(0).min(86_400))
            });
            tokio::select! {
                () = tokio::time::sleep(wait) => self.with(|_| ()),
                () = self.changed.notified() => {}
                () = self.stopped() => return,
            }
        }
    }
}

impl FakeStripe {
    /// A fake to set up.
    #[must_use]
    pub fn builder() -> FakeStripeBuilder {
        FakeStripeBuilder::default()
    }

    /// `http://127.0.0.1:port`, what a client uses in place of `https://api.stripe.com`.
    #[must_use]
    pub fn base_url(&self) -> &str {
        &self.inner.base_url
    }

    /// The account's API version.
    #[must_use]
    pub fn api_version(&self) -> &ApiVersion {
        &self.inner.api_version
    }

    /// The fake's time, unix seconds.
    #[must_use]
    pub fn now(&self) -> i64 {
        self.inner.now()
    }

    /// Moves the clock and does all that falls due on the way, in order. Webhooks are on their way
    /// afterwards; [`Delivery::wait_idle`] waits for them.
    pub async fn advance(&self, by: Duration) {
        self.advance_to(self.now().saturating_add(state::seconds(by))).await;
    }

    /// Moves the clock to `unix` seconds; an instant in the past changes nothing.
    pub async fn advance_to(&self, unix: i64) {
        self.inner.advance_to(unix).await;
    }

    /// The sender of webhooks and its knobs.
    #[must_use]
    pub fn delivery(&self) -> &Delivery {
        &self.inner.delivery
    }

    /// Waits until every due webhook is acknowledged or given up.
    pub async fn wait_idle(&self) {
        self.inner.delivery.wait_idle().await;
    }

    /// Every event so far, oldest first.
    #[must_use]
    pub fn events(&self) -> Vec<FakeEvent> {
        self.inner.lock().events.clone()
    }

    /// The events since the last call.
    #[must_use]
    pub fn take_events(&self) -> Vec<FakeEvent> {
        let mut state = self.inner.lock();
        let from = state.taken;
        state.taken = state.events.len();
        state.events.get(from..).unwrap_or_default().to_vec()
    }

    /// Any object by its id, in the newest shape.
    #[must_use]
    pub fn object(&self, id: &str) -> Option<serde_json::Value> {
        let object = self.inner.lock().object(id);
        object.map(|object| render::render(&object, &ApiVersion::default()))
    }

    /// The next request that matches `route` meets `fault`. A route is a method and a path, such as
    /// `POST /v1/subscriptions/*`; `*` stands for a method or one segment, alone for any request.
    /// Faults for the same route strike one after the other.
    pub fn fail_next(&self, route: &str, fault: Fault) {
        self.inner.faults.lock().unwrap_or_else(PoisonError::into_inner).plan(route, fault);
    }

    /// Stops the server. Also happens when the last clone is dropped.
    pub fn shutdown(&self) {
        self.running.0.send_replace(true);
    }
}

impl fmt::Debug for FakeStripe {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("FakeStripe")
            .field("base_url", &self.inner.base_url)
            .field("api_version", &self.inner.api_version)
            .finish_non_exhaustive()
    }
}
