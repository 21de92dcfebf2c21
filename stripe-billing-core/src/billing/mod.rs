//! The shell: the one handle an app holds. It reads the clock, calls the store and Stripe, and
//! leaves every decision to the pure rules.

mod access;
mod batch;
mod builder;
mod checkout;
mod command;
mod credits;
mod customer;
mod dispatch;
mod dunning;
mod failure;
mod flight;
mod gate;
mod guard;
mod hold;
mod intake;
mod lookup;
mod observe;
mod operate;
mod orders;
#[cfg(feature = "tokio")]
mod paced;
mod portal;
mod process;
mod read;
mod ready;
mod reconcile;
mod replay;
mod restraint;
mod retention;
mod round;
mod spend;
mod told_credits;
mod turns;
#[cfg(feature = "tokio")]
mod worker;

use std::collections::BTreeSet;
use std::fmt;
use std::sync::atomic::AtomicBool;
use std::sync::{Arc, Mutex};

use chrono::{DateTime, TimeDelta, Utc};

use crate::access::Access;
use crate::cache::{Cache, CacheStats, Ticket};
use crate::catalog::Catalog;
use crate::clock::Clock;
use crate::error::StoreError;
use crate::fraud::FraudRule;
use crate::keys::AccountKey;
use crate::notify::{EventHandler, Notifier, TicketSink, UnhandledEvents};
use crate::queue::{Backoff, Breaker};
use crate::store::Store;
use crate::stripe::StripeApi;
use crate::webhook::SignatureVerifier;

pub use builder::{BillingBuilder, BuildError, Processing};
pub use checkout::{CheckoutRequest, CheckoutUrl, SellError};
pub use command::CommandError;
pub use credits::{CreditError, LedgerProof, LedgerViolation};
pub use customer::CustomerProfile;
pub use dunning::{DunningCase, DunningFigures, DunningPage};
pub use hold::Hold;
pub use intake::{Accepted, ReceiveError};
pub use orders::OrderError;
#[cfg(feature = "tokio")]
pub use paced::{Replay, ReplayProgress, ReplayRun};
pub use portal::PortalUrl;
pub use process::Report;
pub use ready::{Check, Readiness};
pub use reconcile::{LedgerDifference, ReconcileError, Reconciliation};
pub use replay::{RecordChange, Replayed, ReplayedEvent};
pub use spend::{Spend, SpendError, Spent};
#[cfg(feature = "tokio")]
pub use worker::Workers;

/// Billing for one app: cheap to clone, safe to share.
///
/// ```
/// use stripe_billing_core::catalog::{Catalog, Plan, PlanPrice};
/// use stripe_billing_core::{Billing, MemoryStore};
///
/// let pro = Plan::new("pro").feature("export").price(PlanPrice::new("price_123"));
/// let billing = Billing::builder(MemoryStore::new())
///     .catalog(Catalog::builder().plan(pro).build()?)
///     .webhook_secrets(["whsec_current", "whsec_previous"])
///     .build()?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone)]
pub struct Billing {
    inner: Arc<Inner>,
}

struct Inner {
    store: Arc<dyn Store>,
    catalog: Catalog,
    verifier: SignatureVerifier,
    cache: Arc<dyn Cache>,
    notifier: Arc<dyn Notifier>,
    handler: Arc<dyn EventHandler>,
    unhandled: Option<Arc<dyn UnhandledEvents>>,
    tickets: Option<Arc<dyn TicketSink>>,
    configuration: String,
    fraud: Vec<Arc<dyn FraudRule>>,
    retention: Option<TimeDelta>,
    attempt_retention: TimeDelta,
    shadow: bool,
    stripe: Option<Arc<dyn StripeApi>>,
    clock: Arc<dyn Clock>,
    processing: Processing,
    livemode: Option<bool>,
    payments_enabled: bool,
    worker: String,
    batch: u32,
    lease: TimeDelta,
    backoff: Backoff,
    max_body: usize,
    flights: flight::Flights<(AccountKey, Ticket), Result<Arc<Access>, Arc<StoreError>>>,
    breaker: Mutex<Breaker>,
    turns: turns::Turns,
    /// The last turn of the breaker while nobody has been told of it.
    untold: Mutex<Option<failure::Turned>>,
    /// Statuses and types for which a gauge is set.
    waiting: Mutex<BTreeSet<(String, String)>>,
    /// When operators' pause was last read, and whether there was one.
    paused: Mutex<Option<(DateTime<Utc>, bool)>>,
    /// Whether there may be open tickets of failures.
    has_tickets: AtomicBool,
    #[cfg(feature = "tokio")]
    signals: worker::Signals,
}

impl Billing {
    /// Starts to put billing together around a store.
    pub fn builder(store: impl Store) -> BillingBuilder {
        BillingBuilder::new(Arc::new(store))
    }

    /// The plans, packs and policy.
    pub fn catalog(&self) -> &Catalog {
        &self.inner.catalog
    }

    /// The store, for what plugins and operators read.
    pub fn store(&self) -> &dyn Store {
        self.inner.store.as_ref()
    }

    /// The clock that decisions go by.
    pub fn clock(&self) -> &dyn Clock {
        self.inner.clock.as_ref()
    }

    /// The largest webhook body that is accepted, in bytes.
    pub fn max_body(&self) -> usize {
        self.inner.max_body
    }

    /// How the access cache is doing.
    pub fn cache_stats(&self) -> CacheStats {
        self.inner.cache.stats()
    }
}

impl fmt::Debug for Billing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Billing")
            .field("store", &self.inner.store)
            .field("catalog", &self.inner.catalog.fingerprint())
            .field("processing", &self.inner.processing)
            .field("livemode", &self.inner.livemode)
            .finish_non_exhaustive()
    }
}
