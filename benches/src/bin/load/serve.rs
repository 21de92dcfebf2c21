//! The servers under test, each a process of its own.

use axum::Router;
use axum::body::Bytes;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode, request::Parts};
use axum::routing::post;
use axum::serve::ListenerExt;
use sea_orm::{ConnectionTrait, DatabaseConnection, DbBackend, Statement};
use serde::Deserialize;
use std::sync::Arc;
use stripe_billing_core::catalog::{Catalog, Plan, PlanPrice};
use stripe_billing_core::webhook::SignatureVerifier;
use stripe_billing_core::{AccountKey, Billing, Clock, SystemClock};
use stripe_billing_seaorm::SeaOrmStore;
use tokio::net::TcpListener;

use crate::args::{Args, Mode};
use crate::child::{orders, say};
use crate::{Outcome, database, events, renewals};

/// Billing as an app sets it up, on any store.
pub(crate) fn billing(
    store: impl stripe_billing_core::store::Store,
    args: &Args,
) -> Outcome<Billing> {
    let price = PlanPrice::new("price_pro");
    let price = match args.mode {
        Mode::WorkCredits => price.credits("credits", renewals::GRANTED),
        _ => price,
    };
    let pro = Plan::new("pro").feature("export").price(price);
    Ok(Billing::builder(store)
        .catalog(Catalog::builder().plan(pro).build()?)
        .webhook_secrets([events::SECRET])
        .batch(args.batch)
        .build()?)
}

pub(crate) async fn ours(args: &Args) -> Outcome {
    let store = SeaOrmStore::connect(args.database.as_str()).await?;
    let nobody = |_: &Parts| None::<AccountKey>;
    serve(stripe_billing_axum::router(billing(store, args)?, nobody)).await
}

/// The least that could do: verify, and insert one row for each request.
#[derive(Clone)]
struct Bare {
    database: DatabaseConnection,
    verifier: Arc<SignatureVerifier>,
    sql: &'static str,
}

pub(crate) async fn bare(args: &Args) -> Outcome {
    // SQLite has one writer; more of them would only wait for each other.
    let connections = if args.database.starts_with("sqlite") { 1 } else { 10 };
    let database = database::connect(&args.database, connections).await?;
    let backend = database.get_database_backend();
    let (setup, sql) = match backend {
        DbBackend::Postgres => (
            "CREATE TABLE bare_events (id TEXT PRIMARY KEY, payload BYTEA NOT NULL)",
            "INSERT INTO bare_events (id, payload) VALUES ($1, $2) ON CONFLICT DO NOTHING",
        ),
        _ => (
            "PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL; \
             CREATE TABLE bare_events (id TEXT PRIMARY KEY, payload BLOB NOT NULL)",
            "INSERT INTO bare_events (id, payload) VALUES (?, ?) ON CONFLICT DO NOTHING",
        ),
    };
    database.execute_unprepared(setup).await?;
    let state =
        Bare { database, verifier: Arc::new(SignatureVerifier::new([events::secret()?])?), sql };
    let routes = Router::new().route("/webhook", post(insert));
    serve(routes.with_state(state)).await
}

#[derive(Deserialize)]
struct Id {
    id: String,
}

async fn insert(State(bare): State<Bare>, headers: HeaderMap, body: Bytes) -> StatusCode {
    let header = headers.get("stripe-signature");
    let header = header.and_then(|header| header.to_str().ok());
    let verified = bare.verifier.verify(&body, header.unwrap_or_default(), SystemClock.now());
    let (Ok(_), Ok(Id { id })) = (verified, serde_json::from_slice(&body)) else {
        return StatusCode::BAD_REQUEST;
    };
    let backend = bare.database.get_database_backend();
    let values = [id.into(), body.to_vec().into()];
    let statement = Statement::from_sql_and_values(backend, bare.sql, values);
    match bare.database.execute_raw(statement).await {
        Ok(_) => StatusCode::OK,
        Err(_) => StatusCode::SERVICE_UNAVAILABLE,
    }
}

async fn serve(routes: Router) -> Outcome {
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    say(&listener.local_addr()?.to_string())?;
    let listener = listener.tap_io(|stream| {
        // Only costs time where it fails.
        let _ = stream.set_nodelay(true);
    });
    let mut orders = orders();
    axum::serve(listener, routes)
        .with_graceful_shutdown(async move { while orders.recv().await.is_some() {} })
        .await?;
    Ok(())
}
