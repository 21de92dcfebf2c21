//! A client and a webhook receiver for the tests.

use std::{
    collections::VecDeque,
    sync::{Arc, Mutex, Once},
};

use axum::{
    Router,
    extract::State,
    http::{HeaderMap, StatusCode},
    routing::post,
};
use bytes::Bytes;
use serde_json::Value;
use stripe_billing_testing::fake_stripe::{
    Card, FakeEvent, FakeStripe, FakeStripeBuilder, Interval, NewPrice, NewSubscription,
};

pub(crate) const SECRET: &str = "whsec_test";
pub(crate) const START: i64 = 1_798_804_800; // 2027-01-01T12:00:00Z
pub(crate) const DAY: u64 = 86_400;
pub(crate) const HOUR: std::time::Duration = std::time::Duration::from_secs(3_600);

pub(crate) fn days(n: u64) -> std::time::Duration {
    std::time::Duration::from_secs(n * DAY)
}

pub(crate) fn client() -> reqwest::Client {
    static TLS: Once = Once::new();
    TLS.call_once(|| {
        // Another test of this process may have installed it already.
        let _ = rustls::crypto::ring::default_provider().install_default();
    });
    reqwest::Client::builder()
        .redirect(reqwest::redirect::Policy::none())
        .build()
        .expect("a client without options builds")
}

pub(crate) fn builder() -> FakeStripeBuilder {
    FakeStripe::builder()
        .start_time(START)
        .price(
            NewPrice::recurring("price_pro", 1_900, "usd", Interval::Month)
                .product("Pro")
                .product_id("prod_pro"),
        )
        .price(
            NewPrice::recurring("price_team", 4_900, "usd", Interval::Month)
                .product("Team")
                .product_id("prod_team"),
        )
        .price(
            NewPrice::recurring("price_pro_year", 19_000, "usd", Interval::Year)
                .product("Pro")
                .product_id("prod_pro"),
        )
        .price(NewPrice::one_time("price_pack", 900, "usd").product("1,000 credits"))
}

pub(crate) async fn fake() -> FakeStripe {
    builder().start().await.expect("a free port")
}

pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) headers: HeaderMap,
    pub(crate) text: String,
}

impl Answer {
    pub(crate) fn json(&self) -> Value {
        serde_json::from_str(&self.text).unwrap_or_else(|e| panic!("{e}: {}", self.text))
    }

    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name).and_then(|value| value.to_str().ok())
    }
}

#[derive(Clone)]
pub(crate) struct Api {
    pub(crate) base: String,
    http: reqwest::Client,
    version: Option<&'static str>,
}

impl Api {
    pub(crate) fn new(fake: &FakeStripe) -> Self {
        Self { base: fake.base_url().to_owned(), http: client(), version: None }
    }

    pub(crate) fn version(mut self, version: &'static str) -> Self {
        self.version = Some(version);
        self
    }

    pub(crate) async fn try_send(
        &self,
        method: &str,
        path: &str,
        params: &[(&str, &str)],
        headers: &[(&str, &str)],
    ) -> Result<Answer, reqwest::Error> {
        let mut url = reqwest::Url::parse(&format!("{}{path}", self.base)).unwrap();
        url.query_pairs_mut().extend_pairs(params);
        let encoded = url.query().unwrap_or_default().to_owned();
        let is_post = method == "POST";
        if is_post || params.is_empty() {
            url.set_query(None);
        }
        let mut request = self.http.request(method.parse().unwrap(), url);
        if is_post {
            request =
                request.header("content-type", "application/x-www-form-urlencoded").body(encoded);
        }
        if !headers.iter().any(|(name, _)| *name == "authorization") {
            request = request.bearer_auth("sk_test_fake");
        }
        if let Some(version) = self.version {
            request = request.header("stripe-version", version);
        }
        for (name, value) in headers.iter().filter(|(_, value)| !value.is_empty()) {
            request = request.header(*name, *value);
        }
        let response = request.send().await?;
        Ok(Answer {
            status: response.status().as_u16(),
            headers: response.headers().clone(),
            text: response.text().await?,
        })
    }

    pub(crate) async fn post(&self, path: &str, params: &[(&str, &str)]) -> Value {
        let answer = self.try_send("POST", path, params, &[]).await.unwrap();
        assert_eq!(answer.status, 200, "{}", answer.text);
        answer.json()
    }

    pub(crate) async fn get(&self, path: &str, params: &[(&str, &str)]) -> Value {
        let answer = self.try_send("GET", path, params, &[]).await.unwrap();
        assert_eq!(answer.status, 200, "{}", answer.text);
        answer.json()
    }

    pub(crate) async fn fails(&self, method: &str, path: &str, params: &[(&str, &str)]) -> Answer {
        let answer = self.try_send(method, path, params, &[]).await.unwrap();
        assert!(answer.status >= 400, "{}", answer.text);
        answer
    }

    pub(crate) async fn keyed(&self, key: &str, path: &str, params: &[(&str, &str)]) -> Answer {
        self.try_send("POST", path, params, &[("idempotency-key", key)]).await.unwrap()
    }

    /// Fetches a page or submits a form, without a key.
    pub(crate) async fn page(&self, url: &str, form: Option<&[(&str, &str)]>) -> Answer {
        let path = url.strip_prefix(&self.base).expect("a page of the fake").to_owned();
        let method = if form.is_some() { "POST" } else { "GET" };
        self.try_send(method, &path, form.unwrap_or_default(), &[]).await.unwrap()
    }

    pub(crate) async fn subscribe_session(&self, extra: &[(&str, &str)]) -> Value {
        let mut params = vec![
            ("mode", "subscription"),
            ("success_url", "http://app.test/done?session={CHECKOUT_SESSION_ID}"),
            ("cancel_url", "http://app.test/cancel"),
            ("line_items[0][price]", "price_pro"),
            ("line_items[0][quantity]", "1"),
        ];
        params.extend_from_slice(extra);
        self.post("/v1/checkout/sessions", &params).await
    }
}

#[derive(Clone, Debug)]
pub(crate) struct Received {
    pub(crate) signature: String,
    pub(crate) body: Bytes,
}

impl Received {
    pub(crate) fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap()
    }

    pub(crate) fn kind(&self) -> String {
        self.json()["type"].as_str().unwrap().to_owned()
    }
}

/// An app's webhook endpoint: keeps what comes, answers with the statuses it is told to.
#[derive(Clone, Default)]
pub(crate) struct Receiver {
    received: Arc<Mutex<Vec<Received>>>,
    answers: Arc<Mutex<VecDeque<u16>>>,
}

impl Receiver {
    pub(crate) async fn start() -> (Self, String) {
        let receiver = Self::default();
        let app = Router::new().route("/hook", post(receive)).with_state(receiver.clone());
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}/hook", listener.local_addr().unwrap());
        tokio::spawn(async move { axum::serve(listener, app).await });
        (receiver, url)
    }

    pub(crate) fn answer_next(&self, statuses: &[u16]) {
        self.answers.lock().unwrap().extend(statuses);
    }

    pub(crate) fn all(&self) -> Vec<Received> {
        self.received.lock().unwrap().clone()
    }

    pub(crate) fn kinds(&self) -> Vec<String> {
        self.all().iter().map(Received::kind).collect()
    }
}

async fn receive(State(receiver): State<Receiver>, headers: HeaderMap, body: Bytes) -> StatusCode {
    let signature = headers["stripe-signature"].to_str().unwrap().to_owned();
    receiver.received.lock().unwrap().push(Received { signature, body });
    let status = receiver.answers.lock().unwrap().pop_front().unwrap_or(200);
    StatusCode::from_u16(status).unwrap()
}

/// The types of the events since the last call.
pub(crate) fn taken(fake: &FakeStripe) -> Vec<&'static str> {
    fake.take_events().iter().map(|event| event.event_type()).collect()
}

/// A customer with a card who subscribes; the events so far are taken.
pub(crate) fn subscriber(fake: &FakeStripe, card: Card) -> (String, String) {
    let customer = fake.create_customer("ada@example.com", &[("app_user", "ada")]);
    fake.set_card(&customer, card).unwrap();
    let sub = fake.create_subscription(NewSubscription::new(&customer, "price_pro")).unwrap();
    let _ = fake.take_events();
    (customer, sub)
}

pub(crate) fn status(fake: &FakeStripe, id: &str) -> Value {
    fake.object(id).unwrap()["status"].clone()
}

pub(crate) fn json_of(fake: &FakeStripe, event: &FakeEvent) -> Value {
    event.to_json(fake.api_version(), 0)
}

/// The latest event of a type, in the shape of the account's version.
pub(crate) fn last(fake: &FakeStripe, kind: &str) -> Value {
    let events = fake.events();
    let found = events.iter().rfind(|event| event.event_type() == kind);
    json_of(fake, found.unwrap_or_else(|| panic!("no {kind}")))
}

/// A session for three packs of 9.00 USD.
pub(crate) async fn pack_session(api: &Api, extra: &[(&str, &str)]) -> String {
    let mut params = vec![
        ("mode", "payment"),
        ("success_url", "http://app.test/ok"),
        ("line_items[0][price]", "price_pack"),
        ("line_items[0][quantity]", "3"),
    ];
    params.extend_from_slice(extra);
    let session = api.post("/v1/checkout/sessions", &params).await;
    session["id"].as_str().unwrap().to_owned()
}

/// The payment and the charge of a pack that was bought by card; the events so far are taken.
pub(crate) async fn bought_pack(fake: &FakeStripe) -> (String, String) {
    let session = pack_session(&Api::new(fake), &[]).await;
    let intent = fake.complete_checkout(&session, Card::Good).unwrap().payment_intent.unwrap();
    let charge = fake.object(&intent).unwrap()["latest_charge"].as_str().unwrap().to_owned();
    let _ = fake.take_events();
    (intent, charge)
}
