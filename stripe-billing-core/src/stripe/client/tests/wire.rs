//! What goes over the wire and what comes back, for each call.

use std::sync::Arc;

use chrono::DateTime;
use serde_json::json;

use super::server::{Answer, Seen, Server};
use super::{KEY, builder, client, key};
use crate::stripe::{
    CancelSubscription, CheckoutLine, CheckoutMode, CreateCheckoutSession, CreateCustomer,
    CreatePortalSession, ListCustomers, ListEvents, ListPrices, ProrationBehavior, Retrieve,
    StripeApi, StripeClient, StripeErrorKind, SubscriptionItemChange, UpdateSubscription,
};

pub(super) async fn stripe(answer: serde_json::Value) -> (Server, StripeClient) {
    let server = Server::start([Answer::ok(answer.to_string())]).await;
    let client = client(&server);
    (server, client)
}

pub(super) fn line(seen: &Seen) -> String {
    format!("{} {}", seen.method, seen.target)
}

#[tokio::test]
async fn the_headers_of_a_post() {
    let (server, client) = stripe(json!({ "id": "cus_1" })).await;
    client.create_customer(&CreateCustomer::new(), &key("customer:42")).await.unwrap();
    let seen = server.only();
    assert_eq!(seen.header("authorization"), Some(format!("Bearer {KEY}").as_str()));
    assert_eq!(seen.header("stripe-version"), Some("2026-10-28.endive"));
    assert_eq!(seen.header("idempotency-key"), Some("customer:42"));
    assert_eq!(seen.header("accept"), Some("application/json"));
    assert_eq!(seen.header("content-type"), Some("application/x-www-form-urlencoded"));
    assert_eq!(seen.header("content-length"), Some("0"));
    assert_eq!(seen.header("stripe-account"), None);
    let agent = concat!("stripe-billing/", env!("CARGO_PKG_VERSION"));
    assert_eq!(seen.header("user-agent"), Some(agent));
}

#[tokio::test]
async fn the_headers_of_a_get() {
    let (server, _) = stripe(json!({ "id": "cus_1" })).await;
    let client =
        builder(&server).app_info("Acme", "1.4", Some("https://acme.test")).build().unwrap();
    client.retrieve_customer(&Retrieve::new("cus_1")).await.unwrap();
    let seen = server.only();
    assert_eq!(seen.header("idempotency-key"), None);
    assert_eq!(seen.header("content-type"), None);
    assert_eq!(seen.header("stripe-version"), Some(crate::stripe::API_VERSION));
    let agent =
        concat!("stripe-billing/", env!("CARGO_PKG_VERSION"), " Acme/1.4 (https://acme.test)");
    assert_eq!(seen.header("user-agent"), Some(agent));
}

#[tokio::test]
async fn a_handle_for_a_connected_account() {
    let (server, client) = stripe(json!({ "id": "cus_1" })).await;
    let connected = client.for_account("acct_1");
    let other = connected.for_account("acct_2");
    let request = Retrieve::new("cus_1");
    connected.retrieve_customer(&request).await.unwrap();
    other.retrieve_customer(&request).await.unwrap();
    client.retrieve_customer(&request).await.unwrap();
    let accounts: Vec<_> =
        server.seen().iter().map(|seen| seen.header("stripe-account").map(str::to_owned)).collect();
    assert_eq!(accounts, [Some("acct_1".to_owned()), Some("acct_2".to_owned()), None]);
    assert_eq!(connected.livemode(), Some(false));

    for bad in ["", "acct_1\r\nx: y", "acct é"] {
        let error = client.for_account(bad).retrieve_customer(&request).await.unwrap_err();
        assert_eq!(error.kind(), &StripeErrorKind::InvalidRequest, "{bad:?}");
    }
    assert_eq!(server.seen().len(), 3, "nothing was sent for a bad account");
}

#[tokio::test]
async fn an_empty_id_is_never_sent() {
    let (server, client) = stripe(json!({ "id": "x" })).await;
    let (none, key) = (Retrieve::new(""), key("k"));
    let errors = [
        client.retrieve_customer(&none).await.unwrap_err(),
        client.retrieve_price(&none).await.unwrap_err(),
        client.retrieve_checkout_session(&none).await.unwrap_err(),
        client.expire_checkout_session("", &key).await.unwrap_err(),
        client.retrieve_subscription(&none).await.unwrap_err(),
        client.update_subscription(&UpdateSubscription::new(""), &key).await.unwrap_err(),
        client.cancel_subscription(&CancelSubscription::new("..")).await.unwrap_err(),
    ];
    for error in errors {
        assert_eq!(error.kind(), &StripeErrorKind::InvalidRequest);
    }
    assert!(server.seen().is_empty());
}

#[tokio::test]
async fn create_customer() {
    let answer = json!({
        "id": "cus_1", "object": "customer", "email": "ada+1@example.test", "livemode": false,
        "metadata": { "app_user": "42" }, "a_field_of_2031": [1],
    });
    let (server, client) = stripe(answer.clone()).await;
    let request = CreateCustomer::new()
        .with_email("ada+1@example.test")
        .with_name("Ada & Söhne")
        .with_metadata("app_user", "42")
        .with_metadata("tenant", "a b")
        .with_param("address[country]", "DE");
    let customer = client.create_customer(&request, &key("customer:42")).await.unwrap();
    let seen = server.only();
    assert_eq!(line(&seen), "POST /v1/customers");
    assert_eq!(
        seen.body,
        "email=ada%2B1%40example.test&name=Ada%20%26%20S%C3%B6hne\
         &metadata[app_user]=42&metadata[tenant]=a%20b&address[country]=DE"
    );
    assert_eq!((customer.id.as_str(), customer.deleted), ("cus_1", false));
    assert_eq!(customer.email.as_deref(), Some("ada+1@example.test"));
    assert_eq!(customer.metadata["app_user"], "42");
    assert_eq!(customer.raw, answer);
}

#[tokio::test]
async fn retrieve_customer() {
    let (server, client) = stripe(json!({ "id": "cus_1", "deleted": true })).await;
    let customer = client.retrieve_customer(&Retrieve::new("cus_1")).await.unwrap();
    assert_eq!(line(&server.only()), "GET /v1/customers/cus_1");
    assert!(customer.deleted);
}

#[tokio::test]
async fn list_customers() {
    let (server, client) = stripe(json!({ "data": [{ "id": "cus_1" }], "has_more": false })).await;
    let request =
        ListCustomers::new().with_email("a+b@c.test").with_limit(100).with_starting_after("cus_0");
    let page = client.list_customers(&request).await.unwrap();
    let seen = server.only();
    assert_eq!(
        line(&seen),
        "GET /v1/customers?email=a%2Bb%40c.test&limit=100&starting_after=cus_0"
    );
    assert_eq!(seen.body, "");
    assert_eq!((page.data[0].id.as_str(), page.has_more), ("cus_1", false));
}

#[tokio::test]
async fn retrieve_price() {
    let (server, client) = stripe(json!({
        "id": "price_1", "active": true, "currency": "eur", "unit_amount": 1900,
        "lookup_key": "pro", "product": { "id": "prod_1" },
        "recurring": { "interval": "month", "interval_count": 3 },
    }))
    .await;
    let request = Retrieve::new("price_1").with_expand("product").with_expand("tiers");
    let price = client.retrieve_price(&request).await.unwrap();
    assert_eq!(line(&server.only()), "GET /v1/prices/price_1?expand[0]=product&expand[1]=tiers");
    assert_eq!(price.product.as_deref(), Some("prod_1"));
    assert_eq!((price.unit_amount, price.currency.as_deref()), (Some(1900), Some("eur")));
    let recurring = price.recurring.unwrap();
    assert_eq!((recurring.interval.as_str(), recurring.interval_count), ("month", 3));
}

#[tokio::test]
async fn list_prices() {
    let price = json!({ "id": "price_1", "recurring": null, "unit_amount": null });
    let (server, client) = stripe(json!({ "data": [price], "has_more": true })).await;
    let request = ListPrices::new()
        .with_active(true)
        .with_product("prod_1")
        .with_lookup_key("pro")
        .with_lookup_key("team")
        .with_limit(50)
        .with_starting_after("price_0")
        .with_expand("data.product");
    let page = client.list_prices(&request).await.unwrap();
    assert_eq!(
        line(&server.only()),
        "GET /v1/prices?active=true&product=prod_1&lookup_keys[0]=pro&lookup_keys[1]=team\
         &limit=50&starting_after=price_0&expand[0]=data.product"
    );
    assert!(page.has_more);
    assert_eq!((&page.data[0].recurring, page.data[0].unit_amount), (&None, None));
}

#[tokio::test]
async fn create_checkout_session_for_a_subscription() {
    let (server, client) = stripe(json!({
        "id": "cs_test_1", "url": "https://checkout.stripe.com/c/1", "status": "open",
        "payment_status": "unpaid", "mode": "subscription", "customer": "cus_1",
        "expires_at": 1_800_000_000, "client_reference_id": "42",
        "amount_total": 1900, "currency": "eur",
    }))
    .await;
    let request = CreateCheckoutSession::subscription("https://a.test/ok?s={CHECKOUT_SESSION_ID}")
        .with_cancel_url("https://a.test/no")
        .with_customer("cus_1")
        .with_client_reference_id("42")
        .with_line(CheckoutLine::new("price_1", 2))
        .with_line(CheckoutLine::metered("price_2"))
        .with_metadata("app_user", "42")
        .with_trial_period_days(14)
        .with_allow_promotion_codes(true)
        .with_expires_at(DateTime::from_timestamp(1_800_000_000, 999_999_999).unwrap())
        .with_locale("de")
        .with_param("automatic_tax[enabled]", "true");
    let session = client.create_checkout_session(&request, &key("checkout:1")).await.unwrap();
    let seen = server.only();
    assert_eq!(line(&seen), "POST /v1/checkout/sessions");
    assert_eq!(
        seen.body,
        "mode=subscription&success_url=https%3A%2F%2Fa.test%2Fok%3Fs%3D%7BCHECKOUT_SESSION_ID%7D\
         &cancel_url=https%3A%2F%2Fa.test%2Fno&customer=cus_1&client_reference_id=42\
         &line_items[0][price]=price_1&line_items[0][quantity]=2&line_items[1][price]=price_2\
         &metadata[app_user]=42&subscription_data[metadata][app_user]=42\
         &subscription_data[trial_period_days]=14&allow_promotion_codes=true&expires_at=1800000000\
         &locale=de&automatic_tax[enabled]=true"
    );
    assert_eq!(session.url.as_deref(), Some("https://checkout.stripe.com/c/1"));
    assert_eq!(session.status.as_deref(), Some("open"));
    assert_eq!(session.payment_status.as_deref(), Some("unpaid"));
    assert_eq!(session.expires_at, DateTime::from_timestamp(1_800_000_000, 0));
    assert_eq!((session.amount_total, session.currency.as_deref()), (Some(1900), Some("eur")));
}

#[tokio::test]
async fn create_checkout_session_in_the_other_modes() {
    let (server, client) = stripe(json!({ "id": "cs_test_1" })).await;
    let pack = CreateCheckoutSession::payment("https://a.test")
        .with_customer_email("a@b.test")
        .with_line(CheckoutLine::new("price_1", 1))
        .with_metadata("pack", "p");
    let card =
        CreateCheckoutSession::new(CheckoutMode::Setup, "https://a.test").with_metadata("a", "b");
    client.create_checkout_session(&pack, &key("1")).await.unwrap();
    client.create_checkout_session(&card, &key("2")).await.unwrap();
    let bodies: Vec<_> = server.seen().into_iter().map(|seen| seen.body).collect();
    assert_eq!(
        bodies,
        [
            "mode=payment&success_url=https%3A%2F%2Fa.test&customer_email=a%40b.test\
             &line_items[0][price]=price_1&line_items[0][quantity]=1\
             &metadata[pack]=p&payment_intent_data[metadata][pack]=p",
            "mode=setup&success_url=https%3A%2F%2Fa.test\
             &metadata[a]=b&setup_intent_data[metadata][a]=b",
        ]
    );
}

#[tokio::test]
async fn retrieve_and_expire_a_checkout_session() {
    let (server, client) = stripe(json!({
        "id": "cs_test_1", "status": "expired", "url": null, "customer": null,
        "subscription": { "id": "sub_1" }, "payment_intent": "pi_1", "invoice": "in_1",
    }))
    .await;
    let request = Retrieve::new("cs_test_1").with_expand("line_items");
    let session = client.retrieve_checkout_session(&request).await.unwrap();
    let expired = client.expire_checkout_session("cs_test_1", &key("expire:1")).await.unwrap();
    assert_eq!(session, expired);
    assert_eq!((session.url, session.customer), (None, None));
    assert_eq!(session.subscription.as_deref(), Some("sub_1"));
    assert_eq!(session.payment_intent.as_deref(), Some("pi_1"));
    assert_eq!(session.invoice.as_deref(), Some("in_1"));
    let seen = server.seen();
    assert_eq!(line(&seen[0]), "GET /v1/checkout/sessions/cs_test_1?expand[0]=line_items");
    assert_eq!(line(&seen[1]), "POST /v1/checkout/sessions/cs_test_1/expire");
    assert_eq!(seen[1].body, "");
    assert_eq!(seen[1].header("idempotency-key"), Some("expire:1"));
}

#[tokio::test]
async fn retrieve_subscription() {
    let (server, client) = stripe(json!({
        "id": "sub_1", "status": "active", "customer": "cus_1", "cancel_at": 1_800_000_000,
        "canceled_at": 1_790_000_000, "ended_at": null, "latest_invoice": { "id": "in_1" },
    }))
    .await;
    let request = Retrieve::new("sub_1").with_expand("latest_invoice");
    let subscription = client.retrieve_subscription(&request).await.unwrap();
    assert_eq!(line(&server.only()), "GET /v1/subscriptions/sub_1?expand[0]=latest_invoice");
    assert_eq!(
        (subscription.status.as_str(), subscription.cancel_at_period_end),
        ("active", false)
    );
    assert_eq!(subscription.cancel_at, DateTime::from_timestamp(1_800_000_000, 0));
    assert_eq!(subscription.canceled_at, DateTime::from_timestamp(1_790_000_000, 0));
    assert_eq!(subscription.ended_at, None);
    assert_eq!(subscription.latest_invoice.as_deref(), Some("in_1"));
}

#[tokio::test]
async fn update_subscription() {
    let (server, client) = stripe(json!({ "id": "sub_1", "status": "active" })).await;
    let update = || UpdateSubscription::new("sub_1");
    let change = update()
        .with_item(SubscriptionItemChange::change("si_1").with_price("price_2").with_quantity(3))
        .with_item(SubscriptionItemChange::add("price_3"))
        .with_item(SubscriptionItemChange::remove("si_2"))
        .with_proration_behavior(ProrationBehavior::AlwaysInvoice)
        .with_proration_date(DateTime::from_timestamp(1_800_000_000, 0).unwrap())
        .with_metadata("a", "")
        .with_param("payment_behavior", "pending_if_incomplete");
    let rows = [
        (update().with_cancel_at_period_end(true), "cancel_at_period_end=true"),
        (update().with_cancel_at_period_end(false), "cancel_at_period_end=false"),
        (update().with_cancel_at_cleared(), "cancel_at="),
        (update().with_proration_behavior(ProrationBehavior::None), "proration_behavior=none"),
        (
            update().with_proration_behavior(ProrationBehavior::CreateProrations),
            "proration_behavior=create_prorations",
        ),
        (
            change,
            "items[0][id]=si_1&items[0][price]=price_2&items[0][quantity]=3&items[1][price]=price_3\
             &items[2][id]=si_2&items[2][deleted]=true&proration_behavior=always_invoice\
             &proration_date=1800000000&metadata[a]=&payment_behavior=pending_if_incomplete",
        ),
    ];
    for (number, (request, body)) in rows.iter().enumerate() {
        client.update_subscription(request, &key(&format!("update:{number}"))).await.unwrap();
        let seen = &server.seen()[number];
        assert_eq!(line(seen), "POST /v1/subscriptions/sub_1");
        assert_eq!(&seen.body, body);
        assert_eq!(seen.header("idempotency-key"), Some(format!("update:{number}").as_str()));
    }
}

#[tokio::test]
async fn cancel_subscription() {
    let (server, client) = stripe(json!({ "id": "sub_1", "status": "canceled" })).await;
    let plain = CancelSubscription::new("sub_1");
    let settled = plain.clone().with_invoice_now(true).with_prorate(false);
    client.cancel_subscription(&plain).await.unwrap();
    client.cancel_subscription(&settled).await.unwrap();
    let seen = server.seen();
    assert_eq!(line(&seen[0]), "DELETE /v1/subscriptions/sub_1");
    assert_eq!(line(&seen[1]), "DELETE /v1/subscriptions/sub_1?invoice_now=true&prorate=false");
    assert_eq!((seen[1].body.as_str(), seen[1].header("idempotency-key")), ("", None));
}

#[tokio::test]
async fn create_portal_session() {
    let (server, client) = stripe(
        json!({ "id": "bps_1", "url": "https://billing.stripe.com/1", "customer": "cus_1" }),
    )
    .await;
    let request = CreatePortalSession::new("cus_1")
        .with_return_url("https://a.test/")
        .with_configuration("bpc_1")
        .with_locale("auto")
        .with_param("flow_data[type]", "payment_method_update");
    let session = client.create_portal_session(&request, &key("portal:1")).await.unwrap();
    let seen = server.only();
    assert_eq!(line(&seen), "POST /v1/billing_portal/sessions");
    assert_eq!(
        seen.body,
        "customer=cus_1&return_url=https%3A%2F%2Fa.test%2F&configuration=bpc_1&locale=auto\
         &flow_data[type]=payment_method_update"
    );
    assert_eq!(session.url, "https://billing.stripe.com/1");
}

#[tokio::test]
async fn list_events() {
    let event = json!({
        "id": "evt_1", "type": "invoice.paid", "created": 1_800_000_000, "livemode": true,
        "api_version": null, "account": "acct_1", "data": { "object": { "id": "in_1" } },
    });
    let (server, client) = stripe(json!({ "data": [event], "has_more": true })).await;
    let at = |seconds| DateTime::from_timestamp(seconds, 0).unwrap();
    let request = ListEvents::new()
        .with_created_from(at(1_700_000_000))
        .with_created_until(at(1_800_000_000))
        .with_type("invoice.paid")
        .with_type("customer.subscription.updated")
        .with_delivery_success(false)
        .with_limit(100)
        .with_ending_before("evt_0");
    let page = client.list_events(&request).await.unwrap();
    client.list_events(&ListEvents::new().with_starting_after("evt_9")).await.unwrap();
    let seen = server.seen();
    assert_eq!(
        line(&seen[0]),
        "GET /v1/events?created[gte]=1700000000&created[lte]=1800000000&types[0]=invoice.paid\
         &types[1]=customer.subscription.updated&delivery_success=false&limit=100\
         &ending_before=evt_0"
    );
    assert_eq!(line(&seen[1]), "GET /v1/events?starting_after=evt_9");
    let found = &page.data[0];
    assert_eq!((found.id.as_str(), found.event_type.as_str()), ("evt_1", "invoice.paid"));
    assert_eq!(found.created, Some(at(1_800_000_000)));
    assert_eq!((found.api_version.as_deref(), found.account.as_deref()), (None, Some("acct_1")));
    assert_eq!((found.livemode, &found.raw), (true, &event));
}

#[tokio::test]
async fn a_shared_or_boxed_client_is_one_too() {
    async fn id_of(stripe: impl StripeApi) -> String {
        let task = async move { stripe.retrieve_customer(&Retrieve::new("cus_1")).await };
        tokio::spawn(task).await.unwrap().unwrap().id
    }
    let (server, client) = stripe(json!({ "id": "cus_1" })).await;
    let shared: Arc<dyn StripeApi> = Arc::new(client.clone());
    let boxed: Box<dyn StripeApi> = Box::new(client.clone());
    assert_eq!((shared.livemode(), boxed.livemode()), (Some(false), Some(false)));
    assert_eq!(id_of(shared.for_account("acct_1")).await, "cus_1");
    assert_eq!(id_of(boxed).await, "cus_1");
    assert_eq!(id_of(shared).await, "cus_1");
    assert_eq!(server.seen().len(), 3);
}

#[tokio::test]
async fn a_base_with_a_path_and_a_slash() {
    let server = Server::start([Answer::ok(r#"{"id":"cus_1"}"#)]).await;
    let base = format!("{}/fake/", server.base);
    let client = StripeClient::builder(KEY).api_base(base).build().unwrap();
    client.retrieve_customer(&Retrieve::new("cus_1")).await.unwrap();
    assert_eq!(line(&server.only()), "GET /fake/v1/customers/cus_1");
}
