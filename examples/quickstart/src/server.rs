//! Puts the server together, runs it, and takes it down without leaving anything half done.

use std::error::Error;
use std::fmt::Write as _;
use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::serve::ListenerExt;
use stripe_billing_axum::{BillingRouter, health};
use stripe_billing_core::store::{EventQuery, Inspect};
use stripe_billing_core::{Billing, Secret, Workers};
use stripe_billing_email::Mailbox;
use stripe_billing_moka::MokaCache;
use stripe_billing_seaorm::SeaOrmStore;
use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio::time::Instant;

use crate::config::{Config, Stripe};
use crate::demo::Demo;
use crate::identity::DemoIdentity;
use crate::inbox::Mails;
use crate::state::{App, accounts};
use crate::told::{Facts, Told};
use crate::trouble::LabelPrinter;
use crate::{inbox, operator, pages};

/// How long to wait for a database that is away at start.
const DATABASE_PATIENCE: Duration = Duration::from_secs(30);
/// How long requests that are under way may take to end.
const REQUEST_PATIENCE: Duration = Duration::from_secs(10);
/// How long workers may take to finish what they hold.
const WORKER_PATIENCE: Duration = Duration::from_secs(20);

type Failure = Box<dyn Error + Send + Sync>;

/// Runs until a signal ends it.
pub(crate) async fn run(config: Config) -> Result<(), Failure> {
    let mut signal = Box::pin(stop_signal()?);
    let store = tokio::select! {
        store = open_store(&config.database) => store?,
        () = &mut signal => return Ok(()),
    };
    let listener = TcpListener::bind(config.listen)
        .await
        .map_err(|error| format!("BILLING_LISTEN: cannot listen on {}: {error}", config.listen))?;
    let mut address = listener.local_addr()?;
    if address.ip().is_unspecified() {
        // Where this machine reaches itself.
        address.set_ip(std::net::Ipv4Addr::LOCALHOST.into());
    }
    let home = format!("http://{address}");

    for name in &config.unused {
        tracing::warn!("{name} is set and has no effect in this configuration");
    }
    let generated = config.operator_token.is_none();
    let token = match &config.operator_token {
        Some(token) => token.clone(),
        None => Secret::from(random_hex(16)?),
    };
    let (stop, stopping) = watch::channel(false);
    let app = Arc::new(assemble(&config, store, &home, stopping).await?);
    let workers = (config.workers > 0).then(|| app.billing.spawn_worker_count(config.workers));
    println!("{}", welcome(&app, &home, generated.then_some(&token)));
    tracing::info!(%home, workers = config.workers, "listening");

    let routes = routes(&app, &token)?;
    let mut going = stop.subscribe();
    let listener = listener.tap_io(|connection| {
        // An answer of a few bytes should not wait for more.
        let _ = connection.set_nodelay(true);
    });
    let server = axum::serve(listener, routes).with_graceful_shutdown(async move {
        let _ = going.wait_for(|going| *going).await;
    });
    let mut server = tokio::spawn(server.into_future());
    tokio::select! {
        () = &mut signal => {}
        ended = &mut server => return Err(format!("the server ended by itself: {ended:?}").into()),
    }
    tracing::info!("stopping: no new requests; finishing what is under way");
    let _ = stop.send(true);
    shut_down(server, workers, &app).await;
    tracing::info!("stopped");
    Ok(())
}

/// Lets requests and workers end, each within its time; what is left over is taken up again at the
/// next start, when its lease has run out.
async fn shut_down(
    server: tokio::task::JoinHandle<std::io::Result<()>>,
    workers: Option<Workers>,
    app: &App,
) {
    if tokio::time::timeout(REQUEST_PATIENCE, server).await.is_err() {
        tracing::warn!("some requests did not end in time");
    }
    if let Some(workers) = workers
        && tokio::time::timeout(WORKER_PATIENCE, workers.shutdown()).await.is_err()
    {
        tracing::warn!("some workers did not end in time");
    }
    if let Some(demo) = &app.demo {
        demo.stop();
    }
}

/// Connects and migrates; waits for a database that is away.
async fn open_store(url: &Secret) -> Result<SeaOrmStore, Failure> {
    let deadline = Instant::now() + DATABASE_PATIENCE;
    let mut pause = Duration::from_millis(500);
    loop {
        match SeaOrmStore::connect(url.clone()).await {
            Ok(store) => return Ok(store),
            Err(error) if error.is_retryable() && Instant::now() + pause < deadline => {
                tracing::warn!("waiting for the database: {error}");
                tokio::time::sleep(pause).await;
                pause = (pause * 2).min(Duration::from_secs(4));
            }
            Err(error) => return Err(format!("DATABASE_URL: {error}").into()),
        }
    }
}

async fn assemble(
    config: &Config,
    store: SeaOrmStore,
    home: &str,
    stopping: watch::Receiver<bool>,
) -> Result<App, Failure> {
    let newest = EventQuery { limit: 1, ..EventQuery::default() };
    let events_before = store.events(&newest).await?.first().map_or(0, |event| event.seq);
    let told = Told::default();
    let inbox = Mailbox::default();
    let email = config.mail.builder(&inbox).billing_page(format!("{home}/")).build()?;
    let mut secrets = config.webhook_secrets.clone();
    if secrets.is_empty() {
        secrets.push(Secret::from(format!("whsec_{}", random_hex(16)?)));
    }
    let mut billing = Billing::builder(store)
        .catalog(config.catalog.clone())
        .webhook_secrets(secrets.iter().map(Secret::expose))
        .cache(MokaCache::default())
        .on_event(Facts { told: told.clone(), hooks: config.hooks.clone() })
        .notifier(Mails { told: told.clone(), email })
        .lease(config.lease)
        .payments_enabled(config.payments_enabled);
    if let Some(livemode) = config.livemode {
        billing = billing.livemode(livemode);
    }
    let has_stripe = !matches!(config.stripe, Stripe::None);
    let mut suffix = None;
    let mut demo = None;
    match &config.stripe {
        Stripe::Fake => {
            let seed = random_hex(8)?;
            let webhook = format!("{home}/billing/webhook");
            let number = u64::from_str_radix(&seed, 16)?;
            let fake = Demo::start(&config.catalog, &webhook, &secrets[0], number).await?;
            billing = billing.stripe(fake.client()?).clock(fake.clock());
            billing = billing.on_unhandled(LabelPrinter::default());
            suffix = Some(seed[..4].to_owned());
            demo = Some(fake);
        }
        Stripe::Live(client) => {
            billing = billing.stripe(client.as_ref().clone());
            tracing::warn!(
                "who asks is told by a header that anybody can write: replace the demo identity \
                 before others can reach this server"
            );
        }
        Stripe::None => {}
    }
    Ok(App {
        billing: billing.build()?,
        home: home.to_owned(),
        has_stripe,
        sells: has_stripe && config.payments_enabled,
        demo,
        accounts: accounts(suffix.as_deref()),
        inbox: config.mail.smtp.is_none().then_some(inbox),
        secret: secrets[0].clone(),
        told,
        events_before,
        stopping,
    })
}

fn routes(app: &Arc<App>, token: &Secret) -> Result<Router, Failure> {
    let billing = app.billing.clone();
    let routes = BillingRouter::new(billing.clone(), DemoIdentity).return_to("/").build()?;
    let inbox = app.inbox.clone().map(|inbox| {
        let operators = app.demo.is_none().then(|| operator::by_token(token));
        inbox::router(inbox, operators)
    });
    Ok(Router::new()
        .merge(inbox.unwrap_or_default())
        .nest("/billing", routes)
        .nest(
            "/operator",
            stripe_billing_axum::operator(billing.clone(), operator::by_token(token)),
        )
        .merge(health(billing))
        .merge(pages::router(Arc::clone(app))))
}

/// What a person sees first.
fn welcome(app: &App, home: &str, token: Option<&Secret>) -> String {
    let mut out = format!(
        "\n  stripe-billing is running\n\n  Open       {home}\n  Webhook    {home}/billing/webhook\n  \
         Health     {home}/health/ready\n  Operator   {home}/operator/stats\n"
    );
    if let Some(token) = token {
        // Writing to a string cannot fail.
        let _ = writeln!(out, "  Token      {}", token.expose());
    }
    if let Some(demo) = &app.demo {
        let _ = writeln!(out, "  FakeStripe {}", demo.base_url());
    }
    out.push_str("\n  The identity is a demo: header x-demo-account. Ctrl-C stops.\n");
    out
}

fn random_hex(bytes: usize) -> Result<String, Failure> {
    let mut random = vec![0; bytes];
    getrandom::fill(&mut random)
        .map_err(|error| format!("the system gives no random numbers: {error}"))?;
    Ok(random.iter().fold(String::new(), |mut hex, byte| {
        let _ = write!(hex, "{byte:02x}");
        hex
    }))
}

/// Resolves on SIGTERM or Ctrl-C.
fn stop_signal() -> std::io::Result<impl Future<Output = ()>> {
    #[cfg(unix)]
    let mut terminate = tokio::signal::unix::signal(tokio::signal::unix::SignalKind::terminate())?;
    #[cfg(unix)]
    let mut interrupt = tokio::signal::unix::signal(tokio::signal::unix::SignalKind::interrupt())?;
    Ok(async move {
        #[cfg(unix)]
        tokio::select! {
            _ = terminate.recv() => {}
            _ = interrupt.recv() => {}
        }
        #[cfg(not(unix))]
        let _ = tokio::signal::ctrl_c().await;
    })
}
