//! Conventions of the HTTP API: keys, errors, lists, versions, faults.

use std::time::Duration;

use serde_json::{Value, json};
use stripe_billing_testing::fake_stripe::{Card, Fault, NewSubscription};

use crate::support::{Api, days, fake, taken};

#[tokio::test]
async fn idempotency_table() {
    let fake = fake().await;
    let api = Api::new(&fake);
    let ada = [("email", "ada@example.com")];

    let first = api.keyed("k1", "/v1/customers", &ada).await;
    assert_eq!(first.status, 200);
    assert_eq!(first.header("idempotent-replayed"), None);
    let again = api.keyed("k1", "/v1/customers", &ada).await;
    assert_eq!(again.header("idempotent-replayed"), Some("true"));
    assert_eq!(again.text, first.text, "the same bytes");
    assert_ne!(again.header("request-id"), first.header("request-id"));
    assert_eq!(api.get("/v1/customers", &ada).await["data"].as_array().unwrap().len(), 1);

    let other = api.keyed("k1", "/v1/customers", &[("email", "eve@example.com")]).await;
    assert_eq!(
        (other.status, other.json()["error"]["type"].clone()),
        (400, json!("idempotency_error"))
    );
    let other = api.keyed("k1", "/v1/products", &ada).await;
    assert_eq!(other.status, 400, "another route is another request");

    let key = [("idempotency-key", "k1"), ("authorization", "Bearer sk_test_other")];
    let foreign = api.try_send("POST", "/v1/customers", &ada, &key).await.unwrap();
    assert_eq!(foreign.header("idempotent-replayed"), None, "a key belongs to an API key");
    let key = [("idempotency-key", "k1"), ("stripe-account", "acct_1")];
    let foreign = api.try_send("POST", "/v1/customers", &ada, &key).await.unwrap();
    assert_eq!(foreign.header("idempotent-replayed"), None, "and to an account");

    let invalid = api.keyed("k2", "/v1/customers", &[("email", "nobody")]).await;
    assert_eq!((invalid.status, invalid.json()["error"]["param"].clone()), (400, json!("email")));
    let valid = api.keyed("k2", "/v1/customers", &ada).await;
    assert_eq!(valid.status, 200, "a refused request leaves its key free");

    fake.fail_next("POST /v1/customers", Fault::Status(500));
    assert_eq!(api.keyed("k3", "/v1/customers", &ada).await.status, 500);
    let replayed = api.keyed("k3", "/v1/customers", &ada).await;
    assert_eq!(replayed.status, 500, "even a 500 is kept");
    assert_eq!(replayed.header("idempotent-replayed"), Some("true"));

    fake.advance(days(1)).await;
    let late = api.keyed("k1", "/v1/customers", &ada).await;
    assert_eq!(late.header("idempotent-replayed"), None, "a key is forgotten after a day");
    assert_ne!(late.json()["id"], first.json()["id"], "and the request runs again");
    assert_eq!(api.keyed(&"k".repeat(256), "/v1/customers", &ada).await.status, 400);
}

#[tokio::test]
async fn the_same_key_at_the_same_time_conflicts() {
    let fake = fake().await;
    let api = Api::new(&fake);
    let ada = [("email", "ada@example.com")];
    fake.fail_next("POST /v1/customers", Fault::Delay(Duration::from_millis(150)));
    let (one, two) =
        tokio::join!(api.keyed("k", "/v1/customers", &ada), api.keyed("k", "/v1/customers", &ada));
    let (slow, quick) = if one.status == 200 { (one, two) } else { (two, one) };
    assert_eq!((slow.status, quick.status), (200, 409));
    assert_eq!(quick.json()["error"]["code"], "idempotency_key_in_use");
    let after = api.keyed("k", "/v1/customers", &ada).await;
    assert_eq!(after.json()["id"], slow.json()["id"]);
}

#[tokio::test]
async fn a_client_that_hangs_up_frees_its_key() {
    let fake = fake().await;
    let api = Api::new(&fake);
    let ada = [("email", "ada@example.com")];
    fake.fail_next("POST /v1/customers", Fault::Delay(Duration::from_secs(3_600)));
    let impatient = api.keyed("k", "/v1/customers", &ada);
    assert!(tokio::time::timeout(Duration::from_millis(100), impatient).await.is_err());
    let freed = async {
        // In use until the server has noticed.
        while api.keyed("k", "/v1/customers", &ada).await.status == 409 {}
    };
    tokio::time::timeout(Duration::from_secs(10), freed).await.unwrap();
    assert_eq!(api.get("/v1/customers", &ada).await["data"].as_array().unwrap().len(), 1);
}

#[tokio::test]
async fn a_card_error_is_kept_under_its_key() {
    let fake = fake().await;
    let api = Api::new(&fake);
    let customer = fake.create_customer("ada@example.com", &[("a", "b")]);
    fake.set_card(&customer, Card::FailsOnRenewal).unwrap();
    fake.create_subscription(NewSubscription::new(&customer, "price_pro")).unwrap();
    fake.advance(days(31) + Duration::from_secs(3_600)).await;
    let open = api.get("/v1/invoices", &[("customer", &customer), ("status", "open")]).await;
    let path = format!("/v1/invoices/{}/pay", open["data"][0]["id"].as_str().unwrap());
    let failed = api.keyed("pay", &path, &[]).await;
    let error = &failed.json()["error"];
    assert_eq!(failed.status, 402);
    assert_eq!(error["type"], "card_error");
    assert_eq!(error["code"], "card_declined");
    assert_eq!(error["decline_code"], "insufficient_funds");
    assert!(error["charge"].as_str().unwrap().starts_with("ch_3Fake"));
    assert_eq!(error["payment_intent"]["status"], "requires_payment_method");
    fake.set_card(&customer, Card::Good).unwrap();
    assert_eq!(api.keyed("pay", &path, &[]).await.status, 402);
    assert_eq!(api.keyed("pay again", &path, &[]).await.status, 200);
}

#[tokio::test]
async fn errors_look_like_stripes() {
    let fake = fake().await;
    let api = Api::new(&fake);
    type Row =
        (&'static str, &'static str, &'static [(&'static str, &'static str)], u16, Value, Value);
    let table: [Row; 9] = [
        ("GET", "/v1/customers/cus_no", &[], 404, json!("resource_missing"), json!("id")),
        ("GET", "/v1/nowhere", &[], 404, Value::Null, Value::Null),
        ("POST", "/v1/products", &[], 400, json!("parameter_missing"), json!("name")),
        (
            "POST",
            "/v1/customers",
            &[("emial", "x")],
            400,
            json!("parameter_unknown"),
            json!("emial"),
        ),
        (
            "POST",
            "/v1/prices",
            &[("currency", "usd"), ("unit_amount", "1.5")],
            400,
            json!("parameter_invalid_integer"),
            json!("unit_amount"),
        ),
        ("GET", "/v1/events", &[("limit", "500")], 400, Value::Null, json!("limit")),
        (
            "POST",
            "/v1/checkout/sessions",
            &[("mode", "payment"), ("success_url", "http://x.test")],
            400,
            json!("parameter_missing"),
            json!("line_items"),
        ),
        (
            "POST",
            "/v1/checkout/sessions",
            &[("mode", "payment"), ("success_url", "x"), ("payment_method_types[0]", "card")],
            400,
            json!("parameter_unknown"),
            json!("payment_method_types"),
        ),
        (
            "GET",
            "/v1/prices/price_pro",
            &[("expand[]", "currency_or_so")],
            400,
            Value::Null,
            json!("expand"),
        ),
    ];
    for (method, path, params, status, code, param) in table {
        let answer = api.fails(method, path, params).await;
        let error = &answer.json()["error"];
        assert_eq!(answer.status, status, "{path}");
        assert_eq!(error["type"], "invalid_request_error", "{path}");
        assert_eq!((&error["code"], &error["param"]), (&code, &param), "{path}");
        assert!(error["message"].is_string());
        assert!(answer.header("request-id").unwrap().starts_with("req_"));
    }
    for key in ["Bearer ", "Bearer pk_test_1", "Nonsense"] {
        let headers = [("authorization", key)];
        let answer = api.try_send("GET", "/v1/events", &[], &headers).await.unwrap();
        assert_eq!(answer.status, 401, "{key}");
    }
    let basic = [("authorization", "Basic c2tfdGVzdF8xOg==")];
    assert_eq!(api.try_send("GET", "/v1/events", &[], &basic).await.unwrap().status, 200);
    let old = api.clone().version("2024-06-20");
    let params = [("payment_method_types[0]", "card"), ("mode", "payment"), ("success_url", "x")];
    let answer = old.fails("POST", "/v1/checkout/sessions", &params).await;
    assert_eq!(answer.json()["error"]["param"], "line_items", "older versions took the types");
    assert_eq!(answer.header("stripe-version"), Some("2024-06-20"));
}

#[tokio::test]
async fn lists_page_in_both_directions() {
    let fake = fake().await;
    let api = Api::new(&fake);
    for n in 0..25 {
        let _ = fake.create_customer(&format!("c{n}@example.com"), &[("n", &n.to_string())]);
    }
    let everything: Vec<String> =
        fake.events().iter().rev().map(|event| event.id().to_owned()).collect();
    let ids = |page: &Value| -> Vec<String> {
        let data = page["data"].as_array().unwrap();
        data.iter().map(|row| row["id"].as_str().unwrap().to_owned()).collect()
    };
    let (mut seen, mut cursor) = (Vec::new(), String::new());
    loop {
        let mut params = vec![("limit", "7"), ("type", "customer.*")];
        if !cursor.is_empty() {
            params.push(("starting_after", &cursor));
        }
        let page = api.get("/v1/events", &params).await;
        seen.extend(ids(&page));
        cursor = seen.last().unwrap().clone();
        if page["has_more"] == false {
            break;
        }
    }
    assert_eq!(seen, everything, "newest first, nothing twice, nothing missing");

    let oldest = everything.last().unwrap();
    let page = api.get("/v1/events", &[("ending_before", oldest), ("limit", "10")]).await;
    assert_eq!(ids(&page), everything[14..24], "next to the cursor, still newest first");
    assert_eq!(page["has_more"], true);
    assert_eq!(ids(&api.get("/v1/events", &[]).await).len(), 10);
    let both = [("starting_after", oldest.as_str()), ("ending_before", oldest.as_str())];
    assert_eq!(api.fails("GET", "/v1/events", &both).await.status, 400);
    let unknown = api.fails("GET", "/v1/events", &[("starting_after", "evt_none")]).await;
    assert_eq!(unknown.json()["error"]["param"], "starting_after");
    let found = api.get("/v1/customers", &[("email", "c3@example.com")]).await;
    assert_eq!(found["data"][0]["metadata"]["n"], "3");
}

#[tokio::test]
async fn events_are_found_by_time_and_type() {
    let fake = fake().await;
    let api = Api::new(&fake);
    let early = fake.create_customer("ada@example.com", &[("a", "1")]);
    let middle = fake.now() + 1;
    fake.advance(days(2)).await;
    api.post(&format!("/v1/customers/{early}"), &[("metadata[a]", "2"), ("name", "Ada")]).await;
    let since = middle.to_string();
    let late = api.get("/v1/events", &[("created[gte]", &since)]).await;
    let event = &late["data"][0];
    assert_eq!(late["data"].as_array().unwrap().len(), 1);
    assert_eq!(event["type"], "customer.updated");
    assert_eq!(
        event["data"]["previous_attributes"],
        json!({ "metadata": { "a": "1" }, "name": null })
    );
    assert!(event["request"]["id"].as_str().unwrap().starts_with("req_"));
    let types = [("types[0]", "customer.created"), ("types[1]", "invoice.paid")];
    assert_eq!(api.get("/v1/events", &types).await["data"][0]["type"], "customer.created");
    let id = event["id"].as_str().unwrap();
    assert_eq!(&api.get(&format!("/v1/events/{id}"), &[]).await, event);
    fake.advance(days(31)).await;
    assert_eq!(api.get("/v1/events", &[]).await["data"], json!([]), "events are kept for 30 days");
}

#[tokio::test]
async fn ids_expand_and_answers_follow_the_version() {
    let fake = fake().await;
    let api = Api::new(&fake);
    let session = api.subscribe_session(&[]).await;
    let done = fake.complete_checkout(session["id"].as_str().unwrap(), Card::Good).unwrap();
    let path = format!("/v1/subscriptions/{}", done.subscription.unwrap());
    let expand = [("expand[]", "latest_invoice.payments"), ("expand[]", "customer")];
    let sub = api.get(&path, &expand).await;
    assert_eq!(sub["customer"]["object"], "customer");
    let payment = &sub["latest_invoice"]["payments"]["data"][0];
    assert_eq!(payment["payment"]["payment_intent"], *done.payment_intent.unwrap());
    assert_eq!(payment["status"], "paid");
    let old = api.clone().version("2024-06-20");
    let sub = old.get(&path, &[("expand[]", "latest_invoice.payment_intent")]).await;
    assert_eq!(sub["latest_invoice"]["payment_intent"]["status"], "succeeded");
    assert!(sub["current_period_end"].is_i64());
    let path = format!("/v1/checkout/sessions/{}", session["id"].as_str().unwrap());
    let with_lines = api.get(&path, &[("expand[0]", "line_items")]).await;
    assert_eq!(with_lines["line_items"]["data"][0]["price"]["id"], "price_pro");
    let subs = [("customer", done.customer.as_deref().unwrap()), ("expand[]", "data.customer")];
    let list = api.get("/v1/subscriptions", &subs).await;
    assert_eq!(list["data"][0]["customer"]["object"], "customer");
}

#[tokio::test]
async fn faults_strike_the_request_they_were_meant_for() {
    let fake = fake().await;
    let api = Api::new(&fake);
    let ada = [("email", "ada@example.com")];
    let count = async || api.get("/v1/customers", &ada).await["data"].as_array().unwrap().len();

    fake.fail_next("POST /v1/customers", Fault::RateLimited);
    let limited = api.keyed("k", "/v1/customers", &ada).await;
    assert_eq!(limited.status, 429);
    assert_eq!(limited.header("stripe-rate-limited-reason"), Some("endpoint-rate"));
    fake.fail_next("POST /v1/customers", Fault::Conflict);
    let conflict = api.keyed("k", "/v1/customers", &ada).await;
    assert_eq!((conflict.status, conflict.header("stripe-should-retry")), (409, Some("true")));
    fake.fail_next("POST /v1/customers", Fault::DropConnection);
    let dropped = api.try_send("POST", "/v1/customers", &ada, &[("idempotency-key", "k")]).await;
    assert!(dropped.is_err());
    assert_eq!(count().await, 0, "nothing was done so far");

    fake.fail_next("POST /v1/customers", Fault::LoseResponse);
    let lost = api.try_send("POST", "/v1/customers", &ada, &[("idempotency-key", "k")]).await;
    assert!(lost.is_err());
    assert_eq!(count().await, 1, "it was done, only the answer is lost");
    let retried = api.keyed("k", "/v1/customers", &ada).await;
    assert_eq!(retried.header("idempotent-replayed"), Some("true"));
    assert_eq!(count().await, 1);

    fake.fail_next("* /v1/customers", Fault::Timeout);
    let hanging = api.keyed("k2", "/v1/customers", &ada);
    assert!(tokio::time::timeout(Duration::from_millis(200), hanging).await.is_err());
    assert_eq!(count().await, 2);
}

#[tokio::test]
async fn deleting_a_customer_ends_its_subscriptions() {
    let fake = fake().await;
    let api = Api::new(&fake);
    let customer = fake.create_customer("ada@example.com", &[]);
    fake.set_card(&customer, Card::Good).unwrap();
    fake.create_subscription(NewSubscription::new(&customer, "price_pro")).unwrap();
    taken(&fake);
    let path = format!("/v1/customers/{customer}");
    let gone = api.try_send("DELETE", &path, &[], &[]).await.unwrap().json();
    assert_eq!(gone, json!({ "id": customer, "object": "customer", "deleted": true }));
    assert_eq!(taken(&fake), ["customer.subscription.deleted", "customer.deleted"]);
    assert_eq!(api.get(&path, &[]).await, gone);
    assert_eq!(api.fails("DELETE", &path, &[]).await.status, 404);
    assert_eq!(api.get("/v1/customers", &[]).await["data"], json!([]));
    let all = [("customer", customer.as_str()), ("status", "all")];
    assert_eq!(api.get("/v1/subscriptions", &all).await["data"][0]["status"], "canceled");
}

#[tokio::test]
async fn the_clock_moves_from_outside_too() {
    let fake = fake().await;
    let api = Api::new(&fake);
    let before = fake.now();
    let moved = api.post("/_fake/advance", &[("seconds", "3600")]).await;
    assert_eq!(moved["now"], before + 3_600);
    let back = [("seconds", "60"), ("back", "/")];
    let answer = api.try_send("POST", "/_fake/advance", &back, &[]).await.unwrap();
    assert_eq!((answer.status, answer.header("location")), (303, Some("/")));
    let elsewhere = [("seconds", "1"), ("back", "//evil.test")];
    let answer = api.try_send("POST", "/_fake/advance", &elsewhere, &[]).await.unwrap();
    assert_eq!((answer.status, answer.header("location")), (200, None));
    let front = api.page(&format!("{}/", fake.base_url()), None).await;
    assert!(front.text.contains("Latest events"));
}

#[tokio::test]
async fn products_prices_and_refunds_over_http() {
    let fake = fake().await;
    let api = Api::new(&fake);
    let product = api.post("/v1/products", &[("name", "Gold")]).await;
    let price = api
        .post(
            "/v1/prices",
            &[
                ("product", product["id"].as_str().unwrap()),
                ("currency", "eur"),
                ("unit_amount", "4200"),
                ("recurring[interval]", "year"),
                ("lookup_key", "gold"),
            ],
        )
        .await;
    assert_eq!(price["recurring"]["interval"], "year");
    let by_key = api.get("/v1/prices", &[("lookup_keys[]", "gold")]).await;
    assert_eq!(by_key["data"][0]["id"], price["id"]);
    assert_eq!(taken(&fake), ["product.created", "price.created"]);

    let customer = api.post("/v1/customers", &[("email", "ada@example.com")]).await;
    let customer = customer["id"].as_str().unwrap();
    api.post("/v1/payment_methods/pm_card_visa/attach", &[("customer", customer)]).await;
    let methods = api.get("/v1/payment_methods", &[("customer", customer)]).await;
    let method = methods["data"][0]["id"].as_str().unwrap();
    let sub = api
        .post(
            "/v1/subscriptions",
            &[
                ("customer", customer),
                ("items[0][price]", price["id"].as_str().unwrap()),
                ("default_payment_method", method),
            ],
        )
        .await;
    assert_eq!(sub["status"], "active");
    let invoice = [("invoice", sub["latest_invoice"].as_str().unwrap())];
    let payments = api.get("/v1/invoice_payments", &invoice).await;
    let intent = payments["data"][0]["payment"]["payment_intent"].as_str().unwrap();
    taken(&fake);
    let refund = api.post("/v1/refunds", &[("payment_intent", intent), ("amount", "1000")]).await;
    assert_eq!((&refund["status"], &refund["amount"]), (&json!("succeeded"), &json!(1_000)));
    assert_eq!(taken(&fake), ["refund.created", "charge.refunded", "refund.updated"]);
    let charge = fake.object(refund["charge"].as_str().unwrap()).unwrap();
    assert_eq!((&charge["amount_refunded"], &charge["refunded"]), (&json!(1_000), &json!(false)));
    let too_much = [("payment_intent", intent), ("amount", "9999")];
    assert_eq!(
        api.fails("POST", "/v1/refunds", &too_much).await.json()["error"]["param"],
        "amount"
    );
    api.post("/v1/refunds", &[("charge", refund["charge"].as_str().unwrap())]).await;
    let event =
        fake.take_events().into_iter().find(|e| e.event_type() == "charge.refunded").unwrap();
    let event = event.to_json(fake.api_version(), 0);
    assert_eq!(event["data"]["object"]["refunded"], true);
    assert_eq!(event["data"]["previous_attributes"]["amount_refunded"], 1_000);
    assert_eq!(event["data"]["previous_attributes"]["refunded"], false);
    let again = api.fails("POST", "/v1/refunds", &[("payment_intent", intent)]).await;
    assert_eq!(again.json()["error"]["code"], "charge_already_refunded");
    let list = api.get("/v1/refunds", &[("payment_intent", intent)]).await;
    assert_eq!(list["data"].as_array().unwrap().len(), 2);
    assert_eq!(
        api.get(&format!("/v1/subscriptions/{}", sub["id"].as_str().unwrap()), &[]).await["status"],
        "active"
    );
}
