use std::fmt;
use std::sync::atomic::AtomicBool;
use std::sync::{Arc, Mutex};

use chrono::TimeDelta;

use super::turns::Turns;
use super::{Billing, Inner, flight};
use crate::cache::{Cache, NoCache};
use crate::catalog::Catalog;
use crate::clock::{Clock, SystemClock};
use crate::digest;
use crate::fraud::FraudRule;
use crate::notify::{EventHandler, LogNotifier, Notifier, TicketSink, UnhandledEvents};
use crate::queue::Backoff;
use crate::store::Store;
use crate::stripe::StripeApi;
use crate::webhook::{SignatureVerifier, Tolerance, WebhookSecret};

/// How long failed attempts are kept.
const ATTEMPT_RETENTION: TimeDelta = TimeDelta::days(90);

/// Who processes what was received. The same code decides either way.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum Processing {
    /// Workers, or [`Billing::process_due`] from cron. The webhook answers as soon as the event is
    /// stored.
    #[default]
    Background,
    /// The webhook request itself, after the event is stored, for small apps and serverless. What
    /// fails is still retried from the inbox and never makes the answer an error.
    Inline,
}

/// Puts a [`Billing`] together.
#[derive(Debug)]
#[must_use]
pub struct BillingBuilder {
    store: Arc<dyn Store>,
    catalog: Option<Catalog>,
    secrets: Vec<String>,
    tolerance: Tolerance,
    cache: Arc<dyn Cache>,
    notifier: Arc<dyn Notifier>,
    handler: Arc<dyn EventHandler>,
    unhandled: Option<Arc<dyn UnhandledEvents>>,
    tickets: Option<Arc<dyn TicketSink>>,
    configuration: Option<String>,
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
}

/// What is wrong with the configuration: every mistake at once.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BuildError {
    mistakes: Vec<String>,
}

impl BuildError {
    /// The mistakes, each saying what to do.
    pub fn mistakes(&self) -> &[String] {
        &self.mistakes
    }
}

impl fmt::Display for BuildError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "billing cannot start:")?;
        self.mistakes.iter().try_for_each(|mistake| write!(f, "\n- {mistake}"))
    }
}

impl std::error::Error for BuildError {}

impl BillingBuilder {
    pub(super) fn new(store: Arc<dyn Store>) -> Self {
        Self {
            store,
            catalog: None,
            secrets: Vec::new(),
            tolerance: Tolerance::default(),
            cache: Arc::new(NoCache::default()),
            notifier: Arc::new(LogNotifier),
            handler: Arc::new(LogNotifier),
            unhandled: None,
            tickets: None,
            configuration: None,
            fraud: Vec::new(),
            retention: None,
            attempt_retention: ATTEMPT_RETENTION,
            shadow: false,
            stripe: None,
            clock: Arc::new(SystemClock),
            processing: Processing::default(),
            livemode: None,
            payments_enabled: true,
            worker: format!("worker-{}", std::process::id()),
            batch: 32,
            lease: TimeDelta::seconds(120),
            backoff: Backoff::default(),
            max_body: 1 << 20,
        }
    }

    /// What is sold, and the policy. Required.
    pub fn catalog(mut self, catalog: Catalog) -> Self {
        self.catalog = Some(catalog);
        self
    }

    /// The endpoint's signing secrets; several while one is being rolled. At least one is
    /// required: no event is ever taken unverified.
    pub fn webhook_secrets<S: Into<String>>(
        mut self,
        secrets: impl IntoIterator<Item = S>,
    ) -> Self {
        self.secrets.extend(secrets.into_iter().map(Into::into));
        self
    }

    /// How old a signature may be; 300 seconds unless set.
    pub fn tolerance(mut self, tolerance: Tolerance) -> Self {
        self.tolerance = tolerance;
        self
    }

    /// The client for Stripe's API. Without one, everything is decided from payloads and nothing
    /// can be sold.
    pub fn stripe(mut self, stripe: impl StripeApi) -> Self {
        self.stripe = Some(Arc::new(stripe));
        self
    }

    /// The cache in front of access decisions; none unless set.
    pub fn cache(mut self, cache: impl Cache) -> Self {
        self.cache = Arc::new(cache);
        self
    }

    /// Where notices to humans go; to the log unless set.
    pub fn notifier(mut self, notifier: impl Notifier) -> Self {
        self.notifier = Arc::new(notifier);
        self
    }

    /// The app's own handler of facts; they go to the log unless it is set.
    pub fn on_event(mut self, handler: impl EventHandler) -> Self {
        self.handler = Arc::new(handler);
        self
    }

    /// One more rule that an account has to pass before a checkout is opened, beside those of the
    /// catalog's policy.
    pub fn fraud_rule(mut self, rule: impl FraudRule) -> Self {
        self.fraud.push(Arc::new(rule));
        self
    }

    /// The app's own handler of events that billing has no rule for; they are stored and ignored
    /// unless it is set.
    pub fn on_unhandled(mut self, handler: impl UnhandledEvents) -> Self {
        self.unhandled = Some(Arc::new(handler));
        self
    }

    /// Where tickets are told of, besides the notices to operators: a help desk, a chat, an incident
    /// tool. They are kept and listed whether it is set or not.
    pub fn tickets(mut self, sink: impl TicketSink) -> Self {
        self.tickets = Some(Arc::new(sink));
        self
    }

    /// A version of whatever handlers and notifiers are configured with: when it, the catalog or the
    /// Stripe key is another one than before, what failed for its configuration is tried again.
    pub fn configuration(mut self, version: impl Into<String>) -> Self {
        self.configuration = Some(version.into());
        self
    }

    /// How long the payloads of settled events are kept, to be read and replayed; for ever unless
    /// set. Ids, states and facts are kept whatever this says.
    pub fn payload_retention(mut self, retention: TimeDelta) -> Self {
        self.retention = Some(retention);
        self
    }

    /// How long the attempts that failed of an event are kept, with what went wrong in each; 90 days
    /// unless set. How many there were stays on the event.
    pub fn attempt_retention(mut self, retention: TimeDelta) -> Self {
        self.attempt_retention = retention;
        self
    }

    /// Shadow mode, for moving over from another handler: everything is stored and decided, what
    /// would be told is kept on record (status `shadow`) and never handed over, and nothing is
    /// sold.
    pub fn shadow(mut self, shadow: bool) -> Self {
        self.shadow = shadow;
        self
    }

    /// The clock; the machine's unless set.
    pub fn clock(mut self, clock: impl Clock) -> Self {
        self.clock = Arc::new(clock);
        self
    }

    /// Who processes what was received; background workers unless set.
    pub fn processing(mut self, processing: Processing) -> Self {
        self.processing = processing;
        self
    }

    /// Applies only events of this mode, and stores the rest; unless set, applies both. In
    /// production set `true`, so that test events never give access.
    pub fn livemode(mut self, livemode: bool) -> Self {
        self.livemode = Some(livemode);
        self
    }

    /// Whether anything is sold. When false, what was bought keeps working and webhooks go on.
    pub fn payments_enabled(mut self, enabled: bool) -> Self {
        self.payments_enabled = enabled;
        self
    }

    /// The name under which this process claims work; made from its process id unless set.
    pub fn worker_name(mut self, name: impl Into<String>) -> Self {
        self.worker = name.into();
        self
    }

    /// How many events, and how many facts, a worker takes at once; 32 unless set. More cost the database
    /// less, and hold up more when a worker crashes. What is not done by half of the lease is given back.
    pub fn batch(mut self, size: u32) -> Self {
        self.batch = size;
        self
    }

    /// How long claimed work is held before another worker takes it over; 120 seconds unless set.
    pub fn lease(mut self, lease: TimeDelta) -> Self {
        self.lease = lease;
        self
    }

    /// When failed work is tried again.
    pub fn backoff(mut self, backoff: Backoff) -> Self {
        self.backoff = backoff;
        self
    }

    /// The largest webhook body that is accepted, in bytes; 1 MiB unless set. Stripe's events are a
    /// few kilobytes.
    pub fn max_body(mut self, bytes: usize) -> Self {
        self.max_body = bytes;
        self
    }

    /// Checks everything and starts.
    ///
    /// # Errors
    /// A [`BuildError`] that names every mistake: no catalog, no secret, a blank secret, a lease
    /// that is too short, a client of the other mode.
    pub fn build(self) -> Result<Billing, BuildError> {
        let mut mistakes = self.mistakes();
        let secrets = self.secrets.iter().filter_map(|secret| WebhookSecret::new(secret).ok());
        let verifier = SignatureVerifier::new(secrets);
        let (Some(catalog), Ok(verifier), []) = (self.catalog, verifier, mistakes.as_slice())
        else {
            mistakes.sort();
            return Err(BuildError { mistakes });
        };
        let stripe = self.stripe.as_ref().and_then(|stripe| stripe.configuration());
        let configuration =
            digest::fingerprint(&(catalog.fingerprint(), stripe, self.configuration));
        Ok(Billing {
            inner: Arc::new(Inner {
                store: self.store,
                catalog,
                verifier: verifier.with_tolerance(self.tolerance),
                cache: self.cache,
                notifier: self.notifier,
                handler: self.handler,
                unhandled: self.unhandled,
                tickets: self.tickets,
                configuration,
                fraud: self.fraud,
                retention: self.retention,
                attempt_retention: self.attempt_retention,
                shadow: self.shadow,
                stripe: self.stripe,
                clock: self.clock,
                processing: self.processing,
                livemode: self.livemode,
                payments_enabled: self.payments_enabled && !self.shadow,
                worker: self.worker,
                batch: self.batch,
                lease: self.lease,
                backoff: self.backoff,
                max_body: self.max_body,
                flights: flight::Flights::default(),
                breaker: Mutex::default(),
                turns: Turns::default(),
                untold: Mutex::default(),
                waiting: Mutex::default(),
                paused: Mutex::default(),
                has_tickets: AtomicBool::new(true),
                #[cfg(feature = "tokio")]
                signals: super::worker::Signals::default(),
            }),
        })
    }

    fn mistakes(&self) -> Vec<String> {
        let mut mistakes = Vec::new();
        let mut wrong = |mistake: &str| mistakes.push(mistake.to_owned());
        if self.catalog.is_none() {
            wrong("there is no catalog: call .catalog(Catalog::from_toml(...)?)");
        }
        if self.secrets.is_empty() {
            wrong(
                "there is no webhook secret: call .webhook_secrets([...]) with the endpoint's whsec_...",
            );
        }
        if self.secrets.iter().any(|secret| secret.trim().is_empty()) {
            wrong("a webhook secret is blank: leave it out or set it");
        }
        if self.lease < TimeDelta::seconds(1) {
            wrong("the lease is shorter than a second: work would be taken over while it runs");
        }
        if self.batch == 0 {
            wrong("workers would take 0 events at once: nothing would be processed");
        }
        if self.retention.is_some_and(|retention| retention < TimeDelta::days(1)) {
            wrong("payloads would be kept for less than a day: retries may still need them");
        }
        if self.attempt_retention < TimeDelta::days(1) {
            wrong("failed attempts would be kept for less than a day: nobody could look into them");
        }
        if self.max_body == 0 {
            wrong("the largest webhook body is 0 bytes: nothing could be received");
        }
        if let (Some(stripe), Some(livemode)) = (&self.stripe, self.livemode)
            && stripe.livemode().is_some_and(|key| key != livemode)
        {
            wrong("the Stripe key and the mode disagree: use a key of the mode that is applied");
        }
        mistakes
    }
}
