//! From the hosted page to signed webhooks.

use hmac::{Hmac, KeyInit, Mac};
use serde_json::{Value, json};
use sha2::Sha256;
use stripe_billing_testing::fake_stripe::{ApiVersion, Card};

use crate::support::{Api, Receiver, SECRET, START, builder, days, fake, taken};

/// Stripe's recipe, written down once more and independently of the fake's own.
fn verify(signature: &str, body: &[u8], secret: &str) -> i64 {
    let part = |name: &str| {
        signature.split(',').find_map(|item| item.strip_prefix(name)).expect("a part").to_owned()
    };
    let t = part("t=");
    let mut mac = Hmac::<Sha256>::new_from_slice(secret.as_bytes()).unwrap();
    mac.update(format!("{t}.").as_bytes());
    mac.update(body);
    let hex: String = mac.finalize().into_bytes().iter().map(|b| format!("{b:02x}")).collect();
    assert_eq!(part("v1="), hex);
    t.parse().unwrap()
}

const NEW_ORDER: [&str; 13] = [
    "customer.created",
    "payment_intent.created",
    "charge.succeeded",
    "payment_method.attached",
    "payment_intent.succeeded",
    "customer.subscription.created",
    "invoice.created",
    "invoice.finalized",
    "invoice.paid",
    "invoice.payment_succeeded",
    "invoice_payment.paid",
    "customer.updated",
    "checkout.session.completed",
];

#[tokio::test]
async fn the_page_takes_a_card_and_signed_webhooks_arrive_in_order() {
    let (hook, url) = Receiver::start().await;
    let wall = 1_900_000_000;
    let fake = builder()
        .webhook(&url, SECRET)
        .sign_with(std::sync::Arc::new(move || wall))
        .start()
        .await
        .unwrap();
    let api = Api::new(&fake);
    let session = api
        .subscribe_session(&[
            ("client_reference_id", "account-7"),
            ("metadata[app_user]", "ada"),
            ("subscription_data[metadata][app_user]", "ada"),
            ("customer_email", "ada@example.com"),
        ])
        .await;
    assert_eq!(session["status"], "open");
    assert_eq!(session["payment_status"], "unpaid");

    let page = api.page(session["url"].as_str().unwrap(), None).await;
    assert_eq!(page.status, 200);
    for piece in ["Pro", "$19.00", "per month", "ada@example.com", "4242 4242 4242 4242"] {
        assert!(page.text.contains(piece), "{piece} is on the page");
    }
    assert!(!page.text.contains("src=\"http"), "no external resource");

    let url = session["url"].as_str().unwrap();
    let form = [("email", "ada@example.com"), ("card", "4242424242424242")];
    let done = api.page(url, Some(&form)).await;
    assert_eq!(done.status, 303);
    let id = session["id"].as_str().unwrap();
    assert_eq!(done.header("location").unwrap(), format!("http://app.test/done?session={id}"));

    fake.wait_idle().await;
    assert_eq!(hook.kinds(), NEW_ORDER);
    for received in hook.all() {
        assert_eq!(verify(&received.signature, &received.body, SECRET), wall);
        let event = received.json();
        assert_eq!(event["created"], START, "whole seconds tie");
        assert_eq!(event["api_version"], ApiVersion::NEWEST);
        assert!(received.body.starts_with(b"{\n  \"id\": \"evt_1Fake"));
    }
    let completed = hook.all().last().unwrap().json();
    let object = &completed["data"]["object"];
    assert_eq!(object["client_reference_id"], "account-7");
    assert_eq!(object["payment_status"], "paid");
    assert_eq!(object["metadata"], json!({ "app_user": "ada" }));
    assert_eq!(object["url"], Value::Null);
    assert_eq!(completed["request"], json!({ "id": null, "idempotency_key": null }));
    let created = hook.all()[5].json();
    assert_eq!(created["data"]["object"]["metadata"]["app_user"], "ada");
    assert_eq!(created["request"]["id"], Value::Null);
    assert!(created["request"]["idempotency_key"].is_string());

    let again = api.page(url, Some(&form)).await;
    assert_eq!(again.status, 400, "a session completes once");
}

#[tokio::test]
async fn each_endpoint_gets_the_shape_of_its_version() {
    let (new, new_url) = Receiver::start().await;
    let (old, old_url) = Receiver::start().await;
    let (oldest, oldest_url) = Receiver::start().await;
    let fake = builder()
        .webhook(&new_url, SECRET)
        .webhook_at(&old_url, SECRET, "2024-06-20")
        .webhook_at(&oldest_url, SECRET, "2022-11-15")
        .start()
        .await
        .unwrap();
    let session =
        Api::new(&fake).subscribe_session(&[("subscription_data[metadata][k]", "v")]).await;
    let done = fake.complete_checkout(session["id"].as_str().unwrap(), Card::Good).unwrap();
    fake.wait_idle().await;
    let object = |hook: &Receiver, kind: &str| {
        let all = hook.all();
        let found = all.iter().find(|received| received.kind() == kind).expect(kind).json();
        found["data"]["object"].clone()
    };
    let (sub, invoice) = (done.subscription.unwrap(), done.invoice.unwrap());
    let end = START + 31 * 86_400;

    let newest = object(&new, "customer.subscription.created");
    assert_eq!(newest["items"]["data"][0]["current_period_end"], end);
    assert!(newest.get("current_period_end").is_none());
    for hook in [&old, &oldest] {
        let older = object(hook, "customer.subscription.created");
        assert_eq!(older["current_period_start"], START);
        assert_eq!(older["current_period_end"], end);
        assert!(older.get("discount").is_some());
    }
    let item = |hook| object(hook, "customer.subscription.created")["items"]["data"][0].clone();
    assert_eq!(item(&old)["current_period_end"], end, "additive in captured 2024 payloads");
    assert!(item(&oldest).get("current_period_end").is_none());

    let newest = object(&new, "invoice.paid");
    assert_eq!(newest["id"], *invoice);
    assert_eq!(newest["parent"]["subscription_details"]["subscription"], *sub);
    assert_eq!(newest["parent"]["subscription_details"]["metadata"]["k"], "v");
    let line = &newest["lines"]["data"][0];
    assert_eq!(line["pricing"]["price_details"]["price"], "price_pro");
    assert_eq!(line["parent"]["subscription_item_details"]["proration"], false);
    for gone in ["subscription", "payment_intent", "charge", "paid", "_payment_intent", "_charge"] {
        assert!(newest.get(gone).is_none(), "{gone}");
    }
    for gone in ["price", "plan", "type", "proration", "subscription", "_price"] {
        assert!(line.get(gone).is_none(), "{gone}");
    }
    let older = object(&oldest, "invoice.paid");
    assert_eq!(older["subscription"], *sub);
    assert_eq!(older["subscription_details"]["metadata"]["k"], "v");
    assert_eq!(older["paid"], true);
    assert_eq!(older["payment_intent"], *done.payment_intent.unwrap());
    assert!(older["charge"].as_str().unwrap().starts_with("ch_"));
    let line = &older["lines"]["data"][0];
    assert_eq!(line["price"]["id"], "price_pro");
    assert_eq!(line["plan"]["interval"], "month");
    assert_eq!(line["type"], "subscription");
    assert_eq!(line["subscription"], *sub);
    assert_eq!(line["proration"], false);
    for gone in ["parent", "total_taxes", "amount_overpaid"] {
        assert!(older.get(gone).is_none(), "{gone}");
    }
    assert!(line.get("pricing").is_none() && line.get("parent").is_none());

    assert!(object(&new, "charge.succeeded").get("invoice").is_none());
    assert_eq!(object(&oldest, "charge.succeeded")["invoice"], *invoice);
    assert_eq!(object(&oldest, "payment_intent.succeeded")["invoice"], *invoice);
    assert_eq!(object(&new, "checkout.session.completed")["ui_mode"], "hosted_page");
    assert_eq!(object(&old, "checkout.session.completed")["ui_mode"], "hosted");
}

#[tokio::test]
async fn before_basil_the_subscription_waits_for_its_payment() {
    let fake = builder().api_version("2024-06-20").start().await.unwrap();
    let session = Api::new(&fake).subscribe_session(&[]).await;
    fake.complete_checkout(session["id"].as_str().unwrap(), Card::Good).unwrap();
    let version = fake.api_version().clone();
    let of_subscription: Vec<_> = fake
        .events()
        .iter()
        .filter(|event| event.event_type().starts_with("customer.subscription"))
        .map(|event| event.to_json(&version, 0))
        .collect();
    assert_eq!(of_subscription[0]["type"], "customer.subscription.created");
    assert_eq!(of_subscription[0]["data"]["object"]["status"], "incomplete");
    assert_eq!(of_subscription[1]["type"], "customer.subscription.updated");
    assert_eq!(of_subscription[1]["data"]["object"]["status"], "active");
    assert_eq!(
        of_subscription[1]["data"]["previous_attributes"],
        json!({ "status": "incomplete" })
    );
}

#[tokio::test]
async fn a_declined_card_leaves_the_session_open() {
    let fake = fake().await;
    let api = Api::new(&fake);
    let session = api.subscribe_session(&[]).await;
    let url = session["url"].as_str().unwrap();
    let declined =
        api.page(url, Some(&[("card", "4000 0000 0000 0002"), ("email", "a@b.c")])).await;
    assert_eq!(declined.status, 402);
    assert!(declined.text.contains("Your card was declined."));
    assert_eq!(
        taken(&fake),
        ["payment_intent.created", "charge.failed", "payment_intent.payment_failed"]
    );
    let still =
        api.get(&format!("/v1/checkout/sessions/{}", session["id"].as_str().unwrap()), &[]).await;
    assert_eq!(still["status"], "open");
    assert_eq!(still["subscription"], Value::Null);

    let done = fake.complete_checkout(session["id"].as_str().unwrap(), Card::Good).unwrap();
    assert!(done.subscription.is_some());
    let events = taken(&fake);
    assert!(!events.contains(&"payment_intent.created"), "the same payment goes on");
    assert_eq!(events.last(), Some(&"checkout.session.completed"));
}

#[tokio::test]
async fn a_credit_pack_is_paid_once_by_customer_or_guest() {
    let fake = fake().await;
    let api = Api::new(&fake);
    let params = [
        ("mode", "payment"),
        ("success_url", "http://app.test/ok"),
        ("line_items[0][price]", "price_pack"),
        ("line_items[0][quantity]", "3"),
        ("metadata[pack]", "pack_1000"),
        ("payment_intent_data[metadata][pack]", "pack_1000"),
    ];
    let session = api.post("/v1/checkout/sessions", &params).await;
    assert_eq!(session["amount_total"], 2_700);
    let done = fake.complete_checkout(session["id"].as_str().unwrap(), Card::Good).unwrap();
    assert_eq!(done.customer, None);
    assert_eq!(
        taken(&fake),
        [
            "payment_intent.created",
            "charge.succeeded",
            "payment_intent.succeeded",
            "checkout.session.completed"
        ]
    );
    let intent = fake.object(&done.payment_intent.unwrap()).unwrap();
    assert_eq!(intent["metadata"]["pack"], "pack_1000");
    assert_eq!(intent["amount_received"], 2_700);
    let lines = format!("/v1/checkout/sessions/{}/line_items", session["id"].as_str().unwrap());
    assert_eq!(api.get(&lines, &[]).await["data"][0]["quantity"], 3);

    let customer = fake.create_customer("ada@example.com", &[("app_user", "ada")]);
    let mut params = params.to_vec();
    params.push(("customer", &customer));
    let session = api.post("/v1/checkout/sessions", &params).await;
    let done = fake.complete_checkout(session["id"].as_str().unwrap(), Card::Good).unwrap();
    assert_eq!(done.customer, Some(customer));
}

#[tokio::test]
async fn an_abandoned_session_expires() {
    let fake = fake().await;
    let session = Api::new(&fake).subscribe_session(&[]).await;
    fake.advance(days(1)).await;
    assert_eq!(taken(&fake), ["checkout.session.expired"]);
    let error = fake.complete_checkout(session["id"].as_str().unwrap(), Card::Good).unwrap_err();
    assert_eq!(error.status(), 400);
}

#[tokio::test]
async fn the_portal_cancels_resumes_and_changes_the_card() {
    let fake = fake().await;
    let api = Api::new(&fake);
    let session = api.subscribe_session(&[]).await;
    let done = fake.complete_checkout(session["id"].as_str().unwrap(), Card::Good).unwrap();
    let (customer, sub) = (done.customer.unwrap(), done.subscription.unwrap());
    let portal = api
        .post(
            "/v1/billing_portal/sessions",
            &[("customer", &customer), ("return_url", "http://app.test/account")],
        )
        .await;
    let url = portal["url"].as_str().unwrap();
    let page = api.page(url, None).await;
    for piece in
        ["http://app.test/account", "Cancel at the end of the period", "Cancel now", "4242"]
    {
        assert!(page.text.contains(piece), "{piece}");
    }
    let act = async |action: &str, card: &str| {
        api.page(url, Some(&[("action", action), ("target", &sub), ("card", card)])).await.status
    };
    assert_eq!(act("cancel_at_period_end", "").await, 303);
    let leaving = fake.object(&sub).unwrap();
    assert_eq!(leaving["cancel_at"], leaving["items"]["data"][0]["current_period_end"]);
    assert_eq!(leaving["cancel_at_period_end"], false, "flexible billing sets cancel_at alone");
    assert_eq!(act("resume", "").await, 303);
    assert_eq!(fake.object(&sub).unwrap()["cancel_at"], Value::Null);
    assert_eq!(act("card", "4000000000000341").await, 303);
    let method = fake.object(&sub).unwrap()["default_payment_method"].clone();
    assert_eq!(fake.object(method.as_str().unwrap()).unwrap()["card"]["last4"], "0341");
    assert_eq!(act("card", "4000000000000002").await, 402);
    assert_eq!(act("cancel_now", "").await, 303);
    assert_eq!(fake.object(&sub).unwrap()["status"], "canceled");

    let stranger = fake.create_customer("eve@example.com", &[("app_user", "eve")]);
    let portal = api.post("/v1/billing_portal/sessions", &[("customer", &stranger)]).await;
    let url = portal["url"].as_str().unwrap();
    let foreign = api.page(url, Some(&[("action", "cancel_now"), ("target", &sub)])).await;
    assert_eq!(foreign.status, 404);
}

#[tokio::test]
async fn pages_escape_what_people_typed() {
    let fake = fake().await;
    let api = Api::new(&fake);
    let session = api
        .post(
            "/v1/checkout/sessions",
            &[
                ("mode", "payment"),
                ("success_url", "http://app.test/ok"),
                ("cancel_url", "javascript:alert(1)"),
                ("line_items[0][price_data][currency]", "usd"),
                ("line_items[0][price_data][unit_amount]", "100"),
                ("line_items[0][price_data][product_data][name]", "<script>x</script>"),
                ("line_items[0][quantity]", "1"),
            ],
        )
        .await;
    let page = api.page(session["url"].as_str().unwrap(), None).await;
    assert!(page.text.contains("&lt;script&gt;x&lt;/script&gt;"));
    assert!(!page.text.contains("<script>") && !page.text.contains("javascript:"));
}
