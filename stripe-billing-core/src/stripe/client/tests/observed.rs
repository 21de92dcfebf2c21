//! What a call leaves in logs and metrics, and what it must not leave there.

use std::collections::BTreeMap;
use std::io;
use std::sync::{Arc, Mutex};

use metrics::{
    Counter, CounterFn, Gauge, Histogram, HistogramFn, Key, KeyName, Metadata, Recorder,
    SharedString, Unit,
};
use tracing_subscriber::fmt::MakeWriter;

use super::server::{Answer, Server};
use super::{KEY, client, key};
use crate::stripe::{CreateCustomer, Retrieve, StripeApi};

#[derive(Clone, Default)]
struct Log(Arc<Mutex<Vec<u8>>>);

impl io::Write for Log {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl<'a> MakeWriter<'a> for Log {
    type Writer = Self;

    fn make_writer(&'a self) -> Self {
        self.clone()
    }
}

#[tokio::test]
async fn a_call_is_logged_without_key_and_bodies() {
    let log = Log::default();
    let subscriber = tracing_subscriber::fmt()
        .with_max_level(tracing::Level::TRACE)
        .with_span_events(tracing_subscriber::fmt::format::FmtSpan::CLOSE)
        .with_ansi(false)
        .with_writer(log.clone())
        .finish();
    // With a single dispatcher alive, a test on another thread that is first at one of our call
    // sites would switch it off for all; with two, every call site asks both.
    let _second = tracing::Dispatch::new(tracing::subscriber::NoSubscriber::default());
    let guard = tracing::subscriber::set_default(subscriber);

    let server = Server::start([
        Answer::new(500, "{}").with_header("Request-Id", "req_1"),
        Answer::ok(r#"{"id":"cus_1","email":"answer-body"}"#).with_header("Request-Id", "req_2"),
        Answer::new(400, r#"{"error":{"code":"email_invalid","message":"Invalid: message-body"}}"#)
            .with_header("Request-Id", "req_3"),
    ])
    .await;
    let client = client(&server);
    let request = CreateCustomer::new().with_email("request-body@example.test");
    client.create_customer(&request, &key("customer:42")).await.unwrap();
    client.create_customer(&request, &key("customer:43")).await.unwrap_err();
    drop(guard);

    let log = String::from_utf8(log.0.lock().unwrap().clone()).unwrap();
    let ours: Vec<_> = log.lines().filter(|line| line.contains("stripe_api{")).collect();
    let find =
        |words: &[&str]| ours.iter().any(|line| words.iter().all(|word| line.contains(word)));
    let call = r#"call="create_customer" method="POST" path="/v1/customers""#;
    assert!(find(&[call, "trying again", "attempt=1", "status=500", "req_1", "wait_ms="]), "{log}");
    assert!(find(&[call, "attempt=2", "status=200", "req_2", "answered"]), "{log}");
    assert!(find(&[call, "attempt=1", "status=400", "req_3", "email_invalid", "failed"]), "{log}");
    for secret in [KEY, "51N", "request-body", "answer-body", "message-body"] {
        assert!(!log.contains(secret), "{secret} in {log}");
    }
}

/// Keeps `name{labels}` with its number of observations.
#[derive(Debug, Clone, Default)]
struct Counts(Arc<Mutex<BTreeMap<String, u64>>>);

struct Series(Counts, String);

impl Series {
    fn add(&self, amount: u64) {
        *self.0.0.lock().unwrap().entry(self.1.clone()).or_default() += amount;
    }
}

impl CounterFn for Series {
    fn increment(&self, value: u64) {
        self.add(value);
    }

    fn absolute(&self, _: u64) {
        panic!("a counter only counts up");
    }
}

impl HistogramFn for Series {
    fn record(&self, value: f64) {
        assert!((0.0..10.0).contains(&value), "{value} s");
        self.add(1);
    }
}

impl Counts {
    fn series(&self, key: &Key) -> Arc<Series> {
        let labels: Vec<_> = key.labels().map(|l| format!("{}={}", l.key(), l.value())).collect();
        Arc::new(Series(self.clone(), format!("{} {}", key.name(), labels.join(" "))))
    }
}

impl Recorder for Counts {
    fn describe_counter(&self, _: KeyName, _: Option<Unit>, _: SharedString) {}
    fn describe_gauge(&self, _: KeyName, _: Option<Unit>, _: SharedString) {}
    fn describe_histogram(&self, _: KeyName, _: Option<Unit>, _: SharedString) {}

    fn register_counter(&self, key: &Key, _: &Metadata<'_>) -> Counter {
        Counter::from_arc(self.series(key))
    }

    fn register_gauge(&self, _: &Key, _: &Metadata<'_>) -> Gauge {
        Gauge::noop()
    }

    fn register_histogram(&self, key: &Key, _: &Metadata<'_>) -> Histogram {
        Histogram::from_arc(self.series(key))
    }
}

#[tokio::test]
async fn every_request_is_measured() {
    let counts = Counts::default();
    let guard = metrics::set_default_local_recorder(&counts);
    let server = Server::start([
        Answer::new(500, "{}"),
        Answer::Drop,
        Answer::ok(r#"{"id":"cus_1"}"#),
        Answer::new(404, "{}"),
    ])
    .await;
    let client = client(&server);
    client.create_customer(&CreateCustomer::new(), &key("k")).await.unwrap();
    client.retrieve_price(&Retrieve::new("price_1")).await.unwrap_err();
    drop(guard);

    let mut expected = BTreeMap::new();
    for metric in ["stripe_billing_stripe_api_seconds", "stripe_billing_stripe_api_total"] {
        for labels in [
            "call=create_customer result=api",
            "call=create_customer result=connection",
            "call=create_customer result=ok",
            "call=retrieve_price result=not_found",
        ] {
            expected.insert(format!("{metric} {labels}"), 1);
        }
    }
    assert_eq!(*counts.0.lock().unwrap(), expected);
}
