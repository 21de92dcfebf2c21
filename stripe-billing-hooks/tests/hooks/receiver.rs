//! Receivers of webhooks: one that answers as told, and sockets that do not answer at all.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use axum::Router;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use axum::routing::post;
use chrono::{DateTime, Utc};
use stripe_billing_core::{DomainEvent, Fact, ManualClock, SubjectKey, Tenant};
use stripe_billing_hooks::{Endpoint, Hooks, HooksBuilder};
use tokio::io::AsyncReadExt;
use tokio::net::TcpListener;

pub(crate) const SECRET: &str = "whsec_C2FVsBQIhrscChlQIMV+b5sSYspob7oD";
pub(crate) const START: i64 = 1_700_000_000;

#[derive(Clone, Debug)]
pub(crate) struct Got {
    pub(crate) headers: HeaderMap,
    pub(crate) body: String,
}

impl Got {
    pub(crate) fn header(&self, name: &str) -> &str {
        self.headers[name].to_str().expect("visible ASCII")
    }

    pub(crate) fn id(&self) -> &str {
        self.header("webhook-id")
    }
}

/// A server that keeps what it gets. It answers as scripted, and 204 after that.
#[derive(Clone, Debug)]
pub(crate) struct Receiver {
    pub(crate) url: String,
    got: Arc<Mutex<Vec<Got>>>,
    script: Script,
}

type Script = Arc<Mutex<VecDeque<(u16, Vec<(&'static str, String)>)>>>;

impl Receiver {
    pub(crate) async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let url = format!("http://{}/hooks", listener.local_addr().expect("an address"));
        let receiver = Self { url, got: Arc::default(), script: Arc::default() };
        let routes = Router::new().route("/hooks", post(take)).with_state(receiver.clone());
        tokio::spawn(async move { axum::serve(listener, routes).await });
        receiver
    }

    pub(crate) fn answers(&self, status: u16, headers: &[(&'static str, &str)]) {
        let headers = headers.iter().map(|(name, value)| (*name, (*value).to_owned())).collect();
        self.script.lock().expect("not poisoned").push_back((status, headers));
    }

    pub(crate) fn got(&self) -> Vec<Got> {
        self.got.lock().expect("not poisoned").clone()
    }

    pub(crate) fn endpoint(&self) -> Endpoint {
        Endpoint::new(self.url.as_str(), SECRET)
    }
}

async fn take(State(receiver): State<Receiver>, headers: HeaderMap, body: String) -> Response {
    receiver.got.lock().expect("not poisoned").push(Got { headers, body });
    let next = receiver.script.lock().expect("not poisoned").pop_front();
    let (status, headers) = next.unwrap_or((204, Vec::new()));
    let mut response = StatusCode::from_u16(status).expect("a status").into_response();
    for (name, value) in headers {
        response.headers_mut().insert(name, value.parse().expect("a header"));
    }
    response
}

/// A server that reads and never answers.
pub(crate) async fn silent() -> String {
    serve_raw(|mut socket| async move {
        let mut buffer = [0; 4_096];
        while socket.read(&mut buffer).await.is_ok_and(|read| read > 0) {}
    })
    .await
}

/// A server that hangs up after the first bytes.
pub(crate) async fn dropping() -> String {
    serve_raw(|mut socket| async move {
        let _ = socket.read(&mut [0; 16]).await;
    })
    .await
}

async fn serve_raw<F>(serve: impl Fn(tokio::net::TcpStream) -> F + Send + 'static) -> String
where
    F: Future<Output = ()> + Send + 'static,
{
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
    let url = format!("http://{}/hooks", listener.local_addr().expect("an address"));
    tokio::spawn(async move {
        while let Ok((socket, _)) = listener.accept().await {
            tokio::spawn(serve(socket));
        }
    });
    url
}

/// Nobody listens there.
pub(crate) async fn nobody() -> String {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
    format!("http://{}/hooks", listener.local_addr().expect("an address"))
}

pub(crate) fn at(seconds: i64) -> DateTime<Utc> {
    DateTime::from_timestamp(seconds, 0).expect("a time of the test")
}

pub(crate) fn clock() -> Arc<ManualClock> {
    Arc::new(ManualClock::new(at(START)))
}

pub(crate) fn builder(clock: &Arc<ManualClock>) -> HooksBuilder {
    Hooks::builder().clock(Arc::clone(clock)).timeout(Duration::from_millis(400))
}

pub(crate) fn fact(subscription: &str) -> Fact {
    let subject = SubjectKey { tenant: Tenant::platform(true), id: "cus_1".to_owned() };
    let event = DomainEvent::SubscriptionStarted { subscription: subscription.to_owned() };
    Fact::new(subject, "acme", event)
}
