//! Metrics for Prometheus: `GET /metrics`, for the rules and the dashboard in `docs/monitoring`.
//!
//! Keep the route away from the public: it says how much you sell. A second listener on another port
//! is the simplest way.

use std::time::Duration;

use axum::Router;
use axum::http::request::Parts;
use axum::routing::get;
use metrics_exporter_prometheus::{BuildError, Matcher, PrometheusBuilder, PrometheusHandle};
use stripe_billing_core::catalog::Catalog;
use stripe_billing_core::{AccountKey, Billing, BuildError as BillingError, MemoryStore};
use stripe_billing_moka::MokaCache;

/// From a millisecond to ten seconds: what the targets are about.
const SECONDS: [f64; 13] =
    [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.0, 5.0, 10.0];
/// How often old samples are let go of.
const UPKEEP: Duration = Duration::from_secs(5);

/// Records what billing measures. It has to be there before the cache is made, which looks its
/// counters up once.
fn record() -> Result<PrometheusHandle, BuildError> {
    PrometheusBuilder::new()
        // Buckets, so that the quantiles of several nodes can be put together.
        .set_buckets_for_metric(Matcher::Suffix("_seconds".to_owned()), &SECONDS)?
        .install_recorder()
}

/// The demo's billing: yours has a database, a catalog and secrets from the environment.
fn billing() -> Result<Billing, BillingError> {
    Billing::builder(MemoryStore::new())
        .catalog(Catalog::default())
        .webhook_secrets(["whsec_demo"])
        .cache(MokaCache::default())
        .build()
}

fn app(billing: &Billing, handle: PrometheusHandle) -> Router {
    let nobody = |_: &Parts| None::<AccountKey>;
    let observed = billing.clone();
    let metrics = async move || {
        // What only the store knows is read when it is asked for.
        if let Err(error) = observed.observe().await {
            tracing::warn!(%error, "the queues were not counted");
        }
        handle.render()
    };
    Router::new()
        .nest("/billing", stripe_billing_axum::router(billing.clone(), nobody))
        .route("/metrics", get(metrics))
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let handle = record()?;
    let billing = billing()?;
    let workers = billing.spawn_workers();
    let upkeep = handle.clone();
    tokio::spawn(async move {
        loop {
            tokio::time::sleep(UPKEEP).await;
            upkeep.run_upkeep();
        }
    });
    let listener = tokio::net::TcpListener::bind("127.0.0.1:9464").await?;
    println!("http://{}/metrics", listener.local_addr()?);
    axum::serve(listener, app(&billing, handle)).await?;
    workers.shutdown().await;
    Ok(())
}

#[cfg(test)]
mod tests {
    use axum::body::{Body, to_bytes};
    use axum::http::{Request, StatusCode};
    use chrono::TimeDelta;
    use std::sync::Arc;
    use stripe_billing_core::ledger::{Command, Grant, LedgerKey};
    use stripe_billing_core::queue::ClaimRequest;
    use stripe_billing_core::store::EventStore;
    use stripe_billing_core::{Clock, ManualClock};
    use stripe_billing_testing::event::{EventBuilder, sign_header};
    use tower::ServiceExt;

    use super::*;

    async fn answer(app: &Router, request: Request<Body>) -> (StatusCode, String) {
        let response = app.clone().oneshot(request).await.unwrap();
        let status = response.status();
        let body = to_bytes(response.into_body(), usize::MAX).await.unwrap();
        (status, String::from_utf8(body.to_vec()).unwrap())
    }

    #[tokio::test]
    async fn what_happened_can_be_scraped() {
        let handle = record().unwrap();
        let render = handle.clone();
        let billing = billing().unwrap();
        let app = app(&billing, handle);
        let now = stripe_billing_core::SystemClock.now().timestamp();
        let body = EventBuilder::new("customer.created").id("evt_1").created(now).build();
        let post = |signature: &str| {
            Request::post("/billing/webhook")
                .header("stripe-signature", signature)
                .body(Body::from(body.clone()))
                .unwrap()
        };
        let signed = sign_header(&body, "whsec_demo", now);
        assert_eq!(answer(&app, post(&signed)).await.0, StatusCode::OK);
        assert_eq!(answer(&app, post(&signed)).await.0, StatusCode::OK);
        assert_eq!(answer(&app, post("t=1,v1=00")).await.0, StatusCode::BAD_REQUEST);
        billing.process_due().await.unwrap();
        billing.verify_ledger(|_| ()).await.unwrap();
        let scrape = Request::get("/metrics").body(Body::empty()).unwrap();
        let (status, text) = answer(&app, scrape).await;
        assert_eq!(status, StatusCode::OK);
        for line in [
            "stripe_billing_webhook_received_total{result=\"stored\"} 1",
            "stripe_billing_webhook_received_total{result=\"duplicate\"} 1",
            "stripe_billing_webhook_received_total{result=\"rejected\"} 1",
            "stripe_billing_webhook_seconds_bucket{le=\"10\"} 3",
            "stripe_billing_inbox_events{status=\"dead\"} 0",
            "stripe_billing_queue_age_seconds 0",
            "stripe_billing_ledger_verify_ok 1",
        ] {
            assert!(text.lines().any(|known| known == line), "{line} is not in\n{text}");
        }
        assert!(!text.contains("evt_1") && !text.contains("whsec"), "{text}");
        what_only_the_store_knows(&render).await;
    }

    /// On a clock that is set by hand: what waits, what runs out, and what the ledger wrote.
    async fn what_only_the_store_knows(render: &PrometheusHandle) {
        let has = |line: &str| {
            let text = render.render();
            assert!(text.lines().any(|known| known == line), "{line} is not in\n{text}");
        };
        let clock = Arc::new(ManualClock::new(stripe_billing_core::SystemClock.now()));
        let store = MemoryStore::new();
        let billing = Billing::builder(store.clone())
            .catalog(Catalog::default())
            .webhook_secrets(["whsec_demo"])
            .clock(Arc::clone(&clock))
            .build()
            .unwrap();
        let key = LedgerKey::new("acme", "credits");
        billing.ledger_execute(&key, Command::Grant(Grant::new("g", 100))).await.unwrap();
        for (id, minutes) in [("r1", 1), ("r2", 60)] {
            let ttl = TimeDelta::minutes(minutes);
            let reserve = Command::Reserve { id: id.to_owned(), amount: 10, ttl };
            billing.ledger_execute(&key, reserve).await.unwrap();
        }
        let now = clock.now().timestamp();
        let body = EventBuilder::new("invoice.paid").id("evt_2").created(now).build();
        billing.receive(&sign_header(&body, "whsec_demo", now), body).await.unwrap();
        let (lease, now) = (TimeDelta::seconds(120), clock.now());
        let gone = ClaimRequest { worker: "gone".to_owned(), limit: 1, lease, now };
        assert_eq!(store.claim(&gone).await.unwrap().len(), 1);
        billing.observe().await.unwrap();
        has("stripe_billing_inbox_waiting{status=\"processing\",type=\"invoice.paid\"} 1");
        has("stripe_billing_reservations_open 2");

        clock.advance(TimeDelta::seconds(121));
        billing.process_due().await.unwrap();
        billing.observe().await.unwrap();
        for line in [
            "stripe_billing_inbox_waiting{status=\"processing\",type=\"invoice.paid\"} 0",
            "stripe_billing_lease_expired_total{queue=\"events\"} 1",
            "stripe_billing_queue_paused 0",
            "stripe_billing_tickets_open{kind=\"dead_event\"} 0",
            "stripe_billing_ledger_entries_total{kind=\"reserve\"} 2",
            "stripe_billing_ledger_entries_total{kind=\"release_timeout\"} 1",
            "stripe_billing_reservations_expired_total 1",
            "stripe_billing_reservations_open 1",
            "stripe_billing_debt_accounts 0",
        ] {
            has(line);
        }
    }
}
