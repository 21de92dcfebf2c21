//! How a fake is set up and started.

use std::{
    fmt,
    net::SocketAddr,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use tokio::{
    net::TcpListener,
    sync::{Notify, watch},
};

use super::{
    FakeStripe, Inner, NewPrice, Running,
    clock::{Clock, TimeSource, WallClock, system_wall_clock},
    delivery::{Delivery, Endpoint, Setup},
    http::{Cuttable, Faults, Line, Replays, router},
    state::{Exhausted, Rules, State, seconds},
    version::ApiVersion,
};

/// Why a fake did not start.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StartError {
    /// An API version does not start with a date.
    #[error("`{0}` is no API version: expected YYYY-MM-DD, optionally with a release name")]
    Version(String),
    /// The address could not be bound.
    #[error("cannot listen on {address}")]
    Listen {
        /// The address asked for.
        address: String,
        /// What the system said.
        #[source]
        source: std::io::Error,
    },
    /// The client that delivers webhooks could not be made.
    #[error("cannot make the HTTP client for webhooks")]
    Client(#[source] Box<dyn std::error::Error + Send + Sync>),
    /// A seeded price is wrong.
    #[error("cannot seed a price")]
    Price(#[source] super::ApiError),
}

/// 1 January 2027, 12:00 UTC: where a clock that is moved by hand starts.
const DEFAULT_START: i64 = 1_798_804_800;

enum Signing {
    Wall(WallClock),
    FakeClock,
}

/// An endpoint, before its version is known to be one.
struct Destination {
    url: String,
    secrets: Vec<String>,
    version: Option<String>,
    thin: bool,
}

/// Sets up a [`FakeStripe`].
pub struct FakeStripeBuilder {
    address: String,
    endpoints: Vec<Destination>,
    api_version: String,
    start: i64,
    source: TimeSource,
    signing: Signing,
    seed: u64,
    rules: Rules,
    tries: u32,
    backoff: Duration,
    lanes: usize,
    prices: Vec<NewPrice>,
    features: Vec<(String, String)>,
    coupons: Vec<(String, u32)>,
}

impl Default for FakeStripeBuilder {
    fn default() -> Self {
        Self {
            address: "127.0.0.1:0".to_owned(),
            endpoints: Vec::new(),
            api_version: ApiVersion::NEWEST.to_owned(),
            start: DEFAULT_START,
            source: TimeSource::Manual,
            signing: Signing::Wall(system_wall_clock()),
            seed: 1,
            rules: Rules::default(),
            tries: 5,
            backoff: Duration::from_millis(50),
            lanes: 1,
            prices: Vec::new(),
            features: Vec::new(),
            coupons: Vec::new(),
        }
    }
}

impl FakeStripeBuilder {
    /// Sends webhooks to `url`, signed with `secret`, in the shape of the account's version.
    #[must_use]
    pub fn webhook(self, url: impl Into<String>, secret: impl Into<String>) -> Self {
        self.destination(url.into(), secret.into(), None, false)
    }

    fn destination(
        mut self,
        url: String,
        secret: String,
        version: Option<String>,
        thin: bool,
    ) -> Self {
        self.endpoints.push(Destination { url, secrets: vec![secret], version, thin });
        self
    }

    /// Sends a thin event (`v2.core.event`) to `url` for each snapshot, with an id of its own and
    /// signed with `secret`. The fetched event names the snapshot.
    #[must_use]
    pub fn thin_webhook(self, url: impl Into<String>, secret: impl Into<String>) -> Self {
        self.destination(url.into(), secret.into(), None, true)
    }

    /// Sends webhooks to `url` in the shape of `version`.
    #[must_use]
    pub fn webhook_at(
        self,
        url: impl Into<String>,
        secret: impl Into<String>,
        version: impl Into<String>,
    ) -> Self {
        self.destination(url.into(), secret.into(), Some(version.into()), false)
    }

    /// Gives the endpoint named last a second secret: both sign, as while a secret is rolled.
    #[must_use]
    pub fn rolling_secret(mut self, secret: impl Into<String>) -> Self {
        if let Some(endpoint) = self.endpoints.last_mut() {
            endpoint.secrets.push(secret.into());
        }
        self
    }

    /// The account's API version: for requests without `Stripe-Version`, for `/v1/events`, and for
    /// the order of checkout's events (default: the newest).
    #[must_use]
    pub fn api_version(mut self, version: impl Into<String>) -> Self {
        self.api_version = version.into();
        self
    }

    /// Where to listen (default `127.0.0.1:0`: any free port).
    #[must_use]
    pub fn addr(mut self, address: impl Into<String>) -> Self {
        self.address = address.into();
        self
    }

    /// Where the clock starts, in unix seconds; it then moves only by hand.
    #[must_use]
    pub fn start_time(mut self, unix: i64) -> Self {
        self.start = unix;
        self.source = TimeSource::Manual;
        self
    }

    /// The clock follows real time; [`advance`](FakeStripe::advance) adds to it.
    #[must_use]
    pub fn real_time(self) -> Self {
        self.time_from(system_wall_clock())
    }

    /// The clock follows this source of unix seconds; [`advance`](FakeStripe::advance) adds to it.
    #[must_use]
    pub fn time_from(mut self, source: WallClock) -> Self {
        self.source = TimeSource::Wall(source);
        self.start = 0;
        self
    }

    /// Where the timestamp of webhook signatures comes from (default: the machine's clock, so that
    /// a receiver with a real clock accepts them).
    #[must_use]
    pub fn sign_with(mut self, source: WallClock) -> Self {
        self.signing = Signing::Wall(source);
        self
    }

    /// Signs webhooks with the fake's own time.
    #[must_use]
    pub fn sign_with_fake_time(mut self) -> Self {
        self.signing = Signing::FakeClock;
        self
    }

    /// Ids are made from this seed (default 1); the same seed and calls give the same ids.
    #[must_use]
    pub fn seed(mut self, seed: u64) -> Self {
        self.seed = seed;
        self
    }

    /// When a failed renewal is tried again, counted from its first failure (default 3, 5 and 7
    /// days), and what happens after the last time.
    #[must_use]
    pub fn dunning(mut self, retries: &[Duration], exhausted: Exhausted) -> Self {
        self.rules.retries = retries.iter().copied().map(seconds).collect();
        self.rules.exhausted = exhausted;
        self
    }

    /// What happens after the last retry of a renewal.
    #[must_use]
    pub fn when_exhausted(mut self, exhausted: Exhausted) -> Self {
        self.rules.exhausted = exhausted;
        self
    }

    /// Whether a cancellation in the portal sets `cancel_at` alone, as in flexible billing
    /// (default), or `cancel_at_period_end` too.
    #[must_use]
    pub fn portal_sets_cancel_at_only(mut self, only: bool) -> Self {
        self.rules.portal_sets_cancel_at_only = only;
        self
    }

    /// Announces renewals with `invoice.upcoming` so many days before (default: not at all, as an
    /// account can choose).
    #[must_use]
    pub fn announce_renewals(mut self, days_before: u32) -> Self {
        self.rules.upcoming = Some(i64::from(days_before) * 86_400);
        self
    }

    /// Has this feature from the start: the buyers of a product may use it, as
    /// `entitlements.active_entitlement_summary.updated` will say.
    #[must_use]
    pub fn feature(mut self, product: &str, lookup_key: &str) -> Self {
        self.features.push((product.to_owned(), lookup_key.to_owned()));
        self
    }

    /// Has a coupon from the start that takes off a share of a one-time payment.
    #[must_use]
    pub fn coupon(mut self, id: &str, percent_off: u32) -> Self {
        self.coupons.push((id.to_owned(), percent_off));
        self
    }

    /// How often a webhook is tried and how long the first pause is; each further one is twice as
    /// long (default 5 tries, 50 ms).
    #[must_use]
    pub fn delivery_tries(mut self, tries: u32, first_pause: Duration) -> Self {
        self.tries = tries;
        self.backoff = first_pause;
        self
    }

    /// How many webhooks may be under way at once (default 1: strictly in order).
    #[must_use]
    pub fn concurrent_deliveries(mut self, lanes: usize) -> Self {
        self.lanes = lanes;
        self
    }

    /// Has this price and its product from the start, without events.
    #[must_use]
    pub fn price(mut self, price: NewPrice) -> Self {
        self.prices.push(price);
        self
    }

    /// Starts the server. It stops when the last clone of the handle is dropped.
    ///
    /// # Errors
    /// When a version is malformed, the address is taken, or a seeded price is wrong.
    pub async fn start(self) -> Result<FakeStripe, StartError> {
        let version = |text: String| ApiVersion::new(text).map_err(StartError::Version);
        let api_version = version(self.api_version)?;
        let mut endpoints = Vec::with_capacity(self.endpoints.len());
        for Destination { url, secrets, version: own, thin } in self.endpoints {
            let version = own.map_or_else(|| Ok(api_version.clone()), version)?;
            endpoints.push(Endpoint { url, secrets, version, thin });
        }
        let address = self.address;
        let listen = |source| StartError::Listen { address: address.clone(), source };
        let listener = TcpListener::bind(&address).await.map_err(listen)?;
        let local: SocketAddr = listener.local_addr().map_err(listen)?;

        let mut rules = self.rules;
        rules.api_version = api_version.clone();
        let mut state = State::new(Clock::new(self.source, self.start), self.seed, rules);
        state.base_url = format!("http://{local}");
        for price in self.prices {
            state.add_price(price).map_err(StartError::Price)?;
        }
        for (product, key) in self.features {
            state.add_feature(&product, &key);
        }
        for (id, percent_off) in self.coupons {
            state.add_coupon(id, percent_off);
        }
        state.events.clear();
        state.outbox.clear();
        let state = Arc::new(Mutex::new(state));
        let signing_time: WallClock = match self.signing {
            Signing::Wall(wall) => wall,
            Signing::FakeClock => {
                let state = Arc::clone(&state);
                Arc::new(move || state.lock().unwrap_or_else(PoisonError::into_inner).now())
            }
        };
        let delivery = Delivery::new(Setup {
            endpoints,
            client: plain_client()?,
            signing_time,
            tries: self.tries,
            backoff: self.backoff,
            lanes: self.lanes,
        });
        let (stop, stopped) = watch::channel(false);
        let inner = Arc::new(Inner {
            state,
            delivery,
            api_version,
            base_url: format!("http://{local}"),
            faults: Mutex::new(Faults::default()),
            replays: Mutex::new(Replays::default()),
            changed: Notify::new(),
            stopped,
        });
        serve(&inner, listener);
        Ok(FakeStripe { inner, running: Arc::new(Running(stop)) })
    }
}

fn serve(inner: &Arc<Inner>, listener: TcpListener) {
    let app = router(Arc::clone(inner)).into_make_service_with_connect_info::<Line>();
    let server = Arc::clone(inner);
    tokio::spawn(async move {
        let stopped = Arc::clone(&server);
        let served = axum::serve(Cuttable(listener), app)
            .with_graceful_shutdown(async move { stopped.stopped().await })
            .await;
        if let Err(error) = served {
            tracing::error!(%error, "the fake's server ended");
        }
    });
    let sender = Arc::clone(inner);
    tokio::spawn(async move {
        tokio::select! {
            () = sender.delivery.clone().run() => {}
            () = sender.stopped() => {}
        }
        sender.delivery.abandon();
    });
    let ticker = Arc::clone(inner);
    tokio::spawn(async move { ticker.follow_time().await });
}

/// A client for plain HTTP. Its TLS set-up trusts nobody, and does not depend on what the process
/// has installed.
fn plain_client() -> Result<reqwest::Client, StartError> {
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let tls = rustls::ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(|error| StartError::Client(error.into()))?
        .with_root_certificates(rustls::RootCertStore::empty())
        .with_no_client_auth();
    reqwest::Client::builder()
        .tls_backend_preconfigured(tls)
        .redirect(reqwest::redirect::Policy::none())
        .timeout(Duration::from_secs(20))
        .no_proxy()
        .build()
        .map_err(|error| StartError::Client(error.into()))
}

impl fmt::Debug for FakeStripeBuilder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("FakeStripeBuilder")
            .field("address", &self.address)
            .field("api_version", &self.api_version)
            .field("endpoints", &self.endpoints.len())
            .finish_non_exhaustive()
    }
}
