//! What intake costs beside the one thing it cannot do without: HMAC-SHA256 over the body.
//!
//! Prints, for each shape of body, how much of the time of verifying and reading the envelope
//! is bare HMAC (1.0 would mean that everything else is free), then runs criterion's own
//! measurements of the same.

use std::hint::black_box;
use std::time::{Duration, Instant};

use chrono::{DateTime, Utc};
use criterion::{Criterion, Throughput, criterion_group};
use hmac::{Hmac, KeyInit, Mac};
use serde_json::Value;
use sha2::Sha256;
use stripe_billing_core::webhook::{
    self, Envelope, SignatureVerifier, Verified, WebhookError, WebhookSecret,
};

const SECRET: &str = "whsec_3f0c1e6f5f0d4d0f9b0a5c1d7e8f9a0b";
const BODY_BYTES: usize = 3 * 1024;

struct Delivery {
    name: &'static str,
    body: String,
    header: String,
    now: DateTime<Utc>,
    verifier: SignatureVerifier,
}

impl Delivery {
    fn new(name: &'static str, write: impl Fn(usize) -> String) -> Self {
        let body = (1..100).map(write).min_by_key(|body| body.len().abs_diff(BODY_BYTES));
        let body = body.expect("there are a hundred");
        let now = DateTime::from_timestamp(1_760_000_000, 0).expect("a valid time");
        let secret = WebhookSecret::new(SECRET).expect("not blank");
        let header = webhook::sign(body.as_bytes(), &secret, now);
        let verifier = SignatureVerifier::new([secret]).expect("one secret");
        Self { name, body, header, now, verifier }
    }

    fn bare_hmac(&self) -> [u8; 32] {
        let mut mac = Hmac::<Sha256>::new_from_slice(SECRET.as_bytes()).expect("any key length");
        mac.update(black_box(self.body.as_bytes()));
        mac.finalize().into_bytes().into()
    }

    fn open(&self) -> Result<(Verified, Envelope<'_>), WebhookError> {
        let body = black_box(self.body.as_bytes());
        self.verifier.open(body, black_box(&self.header), self.now)
    }

    fn open_as_tree(&self) -> Value {
        let body = black_box(self.body.as_bytes());
        self.verifier.verify(body, black_box(&self.header), self.now).expect("signed");
        serde_json::from_slice(body).expect("JSON")
    }

    /// The least nanoseconds of one bare HMAC and of one `open`, the two measured in turns.
    fn least(&self) -> (f64, f64) {
        const CALLS: u32 = 200;
        fn time<T>(call: impl Fn() -> T) -> Duration {
            let start = Instant::now();
            for _ in 0..CALLS {
                black_box(call());
            }
            start.elapsed()
        }
        let (mut bare, mut open) = (Duration::MAX, Duration::MAX);
        for _ in 0..1000 {
            bare = bare.min(time(|| self.bare_hmac()));
            open = open.min(time(|| self.open()));
        }
        let nanoseconds = |time: Duration| time.as_secs_f64() * 1e9 / f64::from(CALLS);
        (nanoseconds(bare), nanoseconds(open))
    }
}

/// An event in the key order and the indentation that Stripe sends, as long as wanted.
fn pretty(metadata: usize) -> String {
    let metadata: Vec<String> = (0..metadata)
        .map(|entry| format!("        \"order_{entry:03}\": \"1SjAcme92qQEUxc7vav{entry}\""))
        .collect();
    let line = r#"          {
            "id": "il_1SjAcmevavP9uhaHXpO",
            "object": "line_item",
            "amount": 4900,
            "currency": "eur",
            "description": "1 × Team plan (at €49.00 / month)",
            "discountable": true,
            "metadata": {},
            "parent": {
              "subscription_item_details": {
                "proration": false,
                "subscription": "sub_1SjAcme92qQEUxc7vavPCci7"
              },
              "type": "subscription_item_details"
            },
            "period": {
              "end": 1762592000,
              "start": 1760000000
            },
            "taxes": []
          }"#;
    format!(
        r#"{{
  "id": "evt_1SjAcme2sQEUxc7vavP9uhaHX",
  "object": "event",
  "api_version": "2026-10-28.endive",
  "created": 1760000000,
  "data": {{
    "object": {{
      "id": "in_1SjAcme8zBQEUxc7vavP7nTG",
      "object": "invoice",
      "account_country": "DE",
      "amount_due": 9800,
      "amount_paid": 9800,
      "automatic_tax": {{
        "disabled_reason": null,
        "enabled": false,
        "status": null
      }},
      "billing_reason": "subscription_cycle",
      "collection_method": "charge_automatically",
      "currency": "eur",
      "customer": "cus_TgAcme8zBQEUxc",
      "hosted_invoice_url": "https://invoice.stripe.com/i/acct_1/test_YWNjdF8x?s=ap",
      "lines": {{
        "object": "list",
        "data": [
{line},
{line}
        ],
        "has_more": false
      }},
      "footer": "Pay \"Acme\" within 14 days",
      "livemode": false,
      "metadata": {{
{}
      }},
      "status": "paid"
    }}
  }},
  "livemode": false,
  "pending_webhooks": 1,
  "request": {{
    "id": null,
    "idempotency_key": "0b3f1c8e-6f52-4f6e-9b0a-5c1d7e8f9a0b"
  }},
  "type": "invoice.paid"
}}"#,
        metadata.join(",\n")
    )
}

/// The same without whitespace around tokens.
fn compact(metadata: usize) -> String {
    pretty(metadata).lines().map(|line| line.trim().replacen("\": ", "\":", 1)).collect()
}

fn deliveries() -> [Delivery; 2] {
    [Delivery::new("pretty", pretty), Delivery::new("compact", compact)]
}

fn measure(criterion: &mut Criterion) {
    for delivery in deliveries() {
        let mut group = criterion.benchmark_group(delivery.name);
        group.throughput(Throughput::Bytes(delivery.body.len() as u64));
        group.bench_function("bare HMAC", |bencher| {
            bencher.iter(|| delivery.bare_hmac());
        });
        group.bench_function("verify and envelope", |bencher| {
            bencher.iter(|| delivery.open());
        });
        group.bench_function("verify and tree", |bencher| {
            bencher.iter(|| delivery.open_as_tree());
        });
        group.finish();
    }
}

criterion_group! {
    name = benches;
    config = Criterion::default()
        .warm_up_time(Duration::from_secs(1))
        .measurement_time(Duration::from_secs(3));
    targets = measure
}

fn main() {
    for delivery in deliveries() {
        delivery.open().expect("a signed event");
        let (bare, open) = delivery.least();
        println!(
            "{}: {} bytes, bare HMAC {bare:.0} ns, verify and envelope {open:.0} ns, ratio {:.3}",
            delivery.name,
            delivery.body.len(),
            bare / open,
        );
    }
    benches();
    Criterion::default().configure_from_args().final_summary();
}
