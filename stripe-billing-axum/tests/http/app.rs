//! An app around the router: a memory store, a clock that stands, and an identity by header.

use axum::Router;
use axum::body::{Body, to_bytes};
use axum::http::request::Parts;
use axum::http::{HeaderMap, Request, StatusCode};
use chrono::{DateTime, Utc};
use serde_json::{Value, json};
use stripe_billing_axum::Operator;
use stripe_billing_core::catalog::{Catalog, Pack, Period, Plan, PlanPrice};
use stripe_billing_core::store::Store;
use stripe_billing_core::stripe::StripeApi;
use stripe_billing_core::webhook::{self, WebhookSecret};
use stripe_billing_core::{
    AccountKey, Billing, BillingBuilder, ManualClock, MemoryStore, Processing,
};
use tower::ServiceExt;

pub(crate) const SECRET: &str = "whsec_test";
pub(crate) const MAX_BODY: usize = 64 << 10;
pub(crate) const NOW: i64 = 1_800_000_000;

#[derive(Clone)]
pub(crate) struct App {
    pub(crate) router: Router,
    pub(crate) now: DateTime<Utc>,
}

pub(crate) struct Answer {
    pub(crate) status: StatusCode,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Value,
}

impl Answer {
    pub(crate) fn code(&self) -> &str {
        self.body["code"].as_str().unwrap_or_default()
    }

    /// An RFC 9457 problem with this status and code, and nothing of the inside in it.
    #[track_caller]
    pub(crate) fn assert_problem(&self, status: u16, code: &str) {
        assert_eq!((self.status.as_u16(), self.code()), (status, code), "{}", self.body);
        assert_eq!(self.headers["content-type"], "application/problem+json");
        assert_eq!(self.headers["cache-control"], "no-store");
        assert_eq!(self.body["status"], status);
        assert!(self.body["title"].as_str().is_some_and(|title| !title.is_empty()));
        assert!(self.body["type"].as_str().is_some_and(|uri| uri.ends_with(&format!("#{code}"))));
        for secret in [SECRET, "sk_test", "sqlite", "connection refused"] {
            assert!(!self.body.to_string().contains(secret), "{}", self.body);
        }
    }
}

pub(crate) fn catalog() -> Catalog {
    let pro = Plan::new("pro")
        .feature("export")
        .limit("projects", 20)
        .price(PlanPrice::new("price_pro").period(Period::MONTH).amount(1_900, "usd"))
        .price(PlanPrice::new("price_pro_year").period(Period::YEAR).limit("projects", 50));
    let pack = Pack::new("pack_100", "price_pack").credits("credits", 100).amount(999, "usd");
    Catalog::builder().plan(pro).pack(pack).build().unwrap()
}

pub(crate) fn identity(request: &Parts) -> Option<AccountKey> {
    let account = request.headers.get("x-account")?.to_str().ok()?;
    Some(AccountKey::platform(account))
}

pub(crate) fn staff(request: &Parts) -> Option<Operator> {
    let token = request.headers.get("authorization")?;
    (token == "Bearer op_hush").then(|| Operator::new("grace"))
}

pub(crate) fn builder() -> BillingBuilder {
    builder_on(MemoryStore::new())
}

pub(crate) fn builder_on(store: impl Store) -> BillingBuilder {
    let now = DateTime::from_timestamp(NOW, 0).unwrap();
    Billing::builder(store)
        .catalog(catalog())
        .webhook_secrets([SECRET])
        .processing(Processing::Inline)
        .max_body(MAX_BODY)
        .clock(ManualClock::new(now))
}

pub(crate) fn app() -> App {
    App::new(builder().build().unwrap())
}

pub(crate) fn app_with(stripe: impl StripeApi) -> App {
    App::new(builder().stripe(stripe).build().unwrap())
}

impl App {
    pub(crate) fn new(billing: Billing) -> Self {
        let now = billing.clock().now();
        let router = Router::new()
            .nest("/billing", stripe_billing_axum::router(billing.clone(), identity))
            .nest("/operator", stripe_billing_axum::operator(billing.clone(), staff))
            .merge(stripe_billing_axum::health(billing));
        Self { router, now }
    }

    pub(crate) async fn send(&self, request: Request<Body>) -> Answer {
        let response = self.router.clone().oneshot(request).await.unwrap();
        let (parts, body) = response.into_parts();
        let body = to_bytes(body, 1 << 20).await.unwrap();
        Answer {
            status: parts.status,
            headers: parts.headers,
            body: serde_json::from_slice(&body).unwrap_or(Value::Null),
        }
    }

    pub(crate) async fn get(&self, path: &str, account: Option<&str>) -> Answer {
        let mut request = Request::get(path);
        if let Some(account) = account {
            request = request.header("x-account", account);
        }
        self.send(request.body(Body::empty()).unwrap()).await
    }

    /// What an operator is answered.
    pub(crate) async fn operator(&self, path: &str) -> Answer {
        let request = Request::get(format!("/operator{path}"));
        let request = request.header("authorization", "Bearer op_hush").body(Body::empty());
        self.send(request.unwrap()).await
    }

    /// What an operator is answered who does something.
    pub(crate) async fn operate(&self, path: &str, body: &Value) -> Answer {
        let request = Request::post(format!("/operator{path}"))
            .header("authorization", "Bearer op_hush")
            .header("content-type", "application/json")
            .body(Body::from(body.to_string()));
        self.send(request.unwrap()).await
    }

    /// The same as a form, which any page can make a browser send.
    pub(crate) async fn operate_form(&self, path: &str) -> Answer {
        let request = Request::post(format!("/operator{path}"))
            .header("authorization", "Bearer op_hush")
            .header("content-type", "application/x-www-form-urlencoded")
            .body(Body::from("livemode=true"));
        self.send(request.unwrap()).await
    }

    pub(crate) async fn post(&self, path: &str, account: &str, body: &Value) -> Answer {
        let request = Request::post(path)
            .header("host", "app.example")
            .header("x-account", account)
            .header("content-type", "application/json")
            .body(Body::from(body.to_string()));
        self.send(request.unwrap()).await
    }

    pub(crate) fn signed(&self, body: &[u8]) -> String {
        webhook::sign(body, &WebhookSecret::new(SECRET).unwrap(), self.now)
    }

    pub(crate) async fn deliver(&self, body: impl Into<Vec<u8>>) -> Answer {
        let body = body.into();
        let request =
            Request::post("/billing/webhook").header("stripe-signature", self.signed(&body));
        self.send(request.body(Body::from(body)).unwrap()).await
    }

    /// Makes an account a subscriber, as Stripe would tell it.
    pub(crate) async fn subscribe(&self, account: &str) {
        let subscription = json!({
            "id": format!("sub_{account}"), "object": "subscription", "status": "active",
            "customer": format!("cus_{account}"), "metadata": {"account": account},
            "created": NOW - 60, "livemode": false, "cancel_at_period_end": false,
            "items": {"object": "list", "data": [{
                "id": "si_1", "object": "subscription_item", "quantity": 1,
                "current_period_start": NOW - 60, "current_period_end": NOW + 2_592_000,
                "price": {"id": "price_pro", "object": "price",
                    "recurring": {"interval": "month", "interval_count": 1}},
            }]},
        });
        let event =
            event(&format!("evt_{account}"), "customer.subscription.created", &subscription);
        let answer = self.deliver(event.to_string()).await;
        assert_eq!(answer.status, StatusCode::OK, "{}", answer.body);
        assert_eq!(answer.body, json!({"received": true, "duplicate": false}));
    }
}

pub(crate) fn event(id: &str, kind: &str, object: &Value) -> Value {
    json!({
        "id": id, "object": "event", "type": kind, "created": NOW - 30, "livemode": false,
        "api_version": "2025-06-30.basil", "data": {"object": object},
    })
}
