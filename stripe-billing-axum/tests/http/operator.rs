//! What operators read back of what Stripe told.

use axum::body::Body;
use axum::http::Request;
use serde_json::{Value, json};
use stripe_billing_core::webhook::WebhookSecret;

use crate::app::{App, NOW, app, event};

const DAY: i64 = 86_400;

/// Tells the app of objects, each in an event of its own.
async fn tell(app: &App, events: &[(&str, Value)]) {
    for (kind, object) in events {
        let print = WebhookSecret::new("whsec_id").unwrap();
        let id = stripe_billing_core::webhook::sign(object.to_string().as_bytes(), &print, app.now);
        let id = format!("evt_{}_{}", kind.replace('.', "_"), &id[id.len() - 12..]);
        let answer = app.deliver(event(&id, kind, object).to_string()).await;
        assert_eq!(answer.status, 200, "{kind}: {}", answer.body);
    }
}

async fn customer(app: &App, id: &str) -> Value {
    let answer = app.operator(&format!("/customers/{id}")).await;
    assert_eq!(answer.status, 200, "{}", answer.body);
    assert_eq!(answer.headers["cache-control"], "no-store");
    answer.body
}

fn subscription(status: &str, patch: &Value) -> Value {
    let mut object = json!({
        "id": "sub_1", "object": "subscription", "status": status, "customer": "cus_1",
        "metadata": {"account": "ada"}, "created": NOW - 60, "livemode": false,
        "cancel_at_period_end": false, "latest_invoice": "in_1",
        "items": {"object": "list", "data": [{"id": "si_1", "quantity": 2,
            "current_period_start": NOW - 60, "current_period_end": NOW + 30 * DAY,
            "price": {"id": "price_pro", "recurring": {"interval": "month"}}}]},
    });
    for (key, value) in patch.as_object().unwrap() {
        object[key] = value.clone();
    }
    object
}

fn charge(patch: &Value) -> Value {
    let mut object = json!({"id": "ch_1", "object": "charge", "customer": "cus_1",
        "payment_intent": "pi_1", "amount": 1_900, "amount_captured": 1_900, "amount_refunded": 0,
        "currency": "usd", "status": "succeeded", "created": NOW - 60});
    for (key, value) in patch.as_object().unwrap() {
        object[key] = value.clone();
    }
    object
}

fn linked() -> (&'static str, Value) {
    let object = json!({"id": "cus_1", "object": "customer", "metadata": {"account": "ada"}});
    ("customer.created", object)
}

#[tokio::test]
async fn a_subscription_in_its_trial_is_read_back() {
    let app = app();
    let trial = json!({"trial_start": NOW - 60, "trial_end": NOW + 7 * DAY});
    tell(&app, &[("customer.subscription.created", subscription("trialing", &trial))]).await;
    let view = customer(&app, "cus_1").await;
    assert_eq!((&view["known"], &view["account"]), (&json!(true), &json!("ada")));
    assert_eq!((&view["state"], &view["access"]), (&json!("trialing"), &json!(true)));
    assert_eq!((&view["livemode"], &view["stripe_account"]), (&json!(false), &Value::Null));
    assert_eq!(view["features"], json!(["export"]));
    assert_eq!((&view["can_use_credits"], &view["can_purchase"]), (&json!(true), &json!(false)));
    let expected = json!({"id": "sub_1", "status": "trialing", "prices": ["price_pro"],
        "quantities": [2], "period_start": [NOW - 60], "period_end": [NOW + 30 * DAY],
        "cancel_at_period_end": false, "cancel_at": null, "will_cancel": false,
        "canceled_at": null, "ended_at": null, "trial_end": NOW + 7 * DAY,
        "pause_collection": null, "latest_invoice": "in_1"});
    for (field, value) in expected.as_object().unwrap() {
        assert_eq!(view["subscriptions"][0].get(field), Some(value), "{field}");
    }
    assert_eq!(view["credits"]["credits"]["granted"], 0, "every unit that is sold");
    assert_eq!(view["notifications"], json!({}));
    // The same by account.
    let by_account = app.operator("/accounts/ada").await.body;
    assert_eq!(by_account["subscriptions"], view["subscriptions"]);
}

#[tokio::test]
async fn a_guests_pack_is_found_by_its_account() {
    let app = app();
    let session = json!({"id": "cs_1", "object": "checkout.session", "mode": "payment",
        "status": "complete", "payment_status": "paid", "customer": null, "payment_intent": "pi_1",
        "client_reference_id": "ada", "amount_total": 999, "currency": "usd",
        "metadata": {"pack": "pack_100"}, "created": NOW - 60});
    let paid = charge(&json!({"customer": null, "amount": 999, "amount_captured": 999}));
    tell(&app, &[("charge.succeeded", paid), ("checkout.session.completed", session)]).await;
    let view = app.operator("/accounts/ada").await.body;
    assert_eq!((&view["account"], &view["known"]), (&json!("ada"), &json!(true)));
    let session = &view["checkout_sessions"][0];
    assert_eq!((&session["id"], &session["fulfilled"]), (&json!("cs_1"), &json!(true)));
    assert_eq!(session["metadata"], json!({"pack": "pack_100"}));
    assert_eq!(session["client_reference_id"], "ada");
    let payment = &view["payments"][0];
    assert_eq!((&payment["charge"], &payment["amount"]), (&json!("ch_1"), &json!(999)));
    assert_eq!(payment["sessions"], json!(["cs_1"]));
    assert_eq!((&view["customer"], &view["can_purchase"]), (&Value::Null, &json!(true)));
    assert_eq!(view["notifications"], json!({"credits_granted": 1, "receipt": 1}));
    // By any of its names.
    for name in ["pi_1", "ch_1", "cs_1"] {
        assert_eq!(customer(&app, name).await["payments"][0]["charge"], "ch_1", "{name}");
    }
}

#[tokio::test]
async fn refunds_in_part_and_in_full_are_read_back() {
    let app = app();
    let refund = |id: &str, amount: i64| {
        json!({"id": id, "object": "refund", "charge": "ch_1", "payment_intent": "pi_1",
            "amount": amount, "status": "succeeded", "reason": "requested_by_customer",
            "created": NOW - 40 + amount / 1_000})
    };
    let paid = ("charge.succeeded", charge(&json!({})));
    tell(&app, &[linked(), paid, ("refund.created", refund("re_1", 400))]).await;
    let payment = customer(&app, "cus_1").await["payments"][0].clone();
    assert_eq!((&payment["amount"], &payment["amount_refunded"]), (&json!(1_900), &json!(400)));
    assert_eq!((&payment["returned"], &payment["disputed"]), (&json!(400), &json!(false)));
    assert_eq!((&payment["currency"], &payment["payment_intent"]), (&json!("usd"), &json!("pi_1")));

    tell(&app, &[("refund.created", refund("re_2", 1_500))]).await;
    let view = customer(&app, "cus_1").await;
    assert_eq!(view["payments"].as_array().unwrap().len(), 1);
    let payment = &view["payments"][0];
    assert_eq!(payment["amount_refunded"], 1_900);
    let shown = json!({"id": "re_1", "amount": 400, "status": "succeeded", "created": NOW - 40,
        "reason": "requested_by_customer", "failure_reason": null});
    assert_eq!(payment["refunds"][0], shown);
    assert_eq!(payment["refunds"][1]["id"], "re_2");
    assert_eq!(view["notifications"]["refund"], 2);
}

#[tokio::test]
async fn a_dispute_is_opened_ticketed_and_won() {
    let app = app();
    let dispute = |status: &str| {
        json!({"id": "dp_1", "object": "dispute", "charge": "ch_1", "payment_intent": "pi_1",
            "amount": 1_900, "currency": "usd", "reason": "fraudulent", "status": status,
            "created": NOW - 40,
            "evidence_details": {"due_by": NOW + 7 * DAY, "has_evidence": false}})
    };
    let paid = ("charge.succeeded", charge(&json!({})));
    let opened = ("charge.dispute.created", dispute("needs_response"));
    tell(&app, &[linked(), paid, opened]).await;
    let view = customer(&app, "cus_1").await;
    let expected = json!({"id": "dp_1", "status": "needs_response", "amount": 1_900,
        "currency": "usd", "reason": "fraudulent", "due_by": NOW + 7 * DAY, "has_evidence": false,
        "charge": "ch_1", "payment_intent": "pi_1", "open": true, "outcome": null,
        "created": NOW - 40});
    assert_eq!(view["disputes"], json!([expected]));
    assert_eq!(view["payments"][0]["disputed"], true);
    assert_eq!(view["notifications"]["dispute_opened"], 1);
    let tickets = app.operator("/tickets?status=open&customer=cus_1").await.body;
    let ticket = &tickets["tickets"][0];
    assert_eq!((&ticket["type"], &ticket["subject"]), (&json!("dispute"), &json!("cus_1")));
    assert_eq!((&ticket["due_by"], &ticket["id"]), (&json!(NOW + 7 * DAY), &Value::Null));

    tell(&app, &[("charge.dispute.closed", dispute("won"))]).await;
    let view = customer(&app, "cus_1").await;
    let shown = &view["disputes"][0];
    assert_eq!((&shown["open"], &shown["outcome"]), (&json!(false), &json!("won")));
    assert_eq!(app.operator("/tickets?status=open").await.body["tickets"], json!([]));
    let resolved = app.operator("/tickets?status=resolved").await.body;
    assert_eq!(resolved["tickets"].as_array().unwrap().len(), 1);
    let audit = app.operator("/audit?customer=cus_1").await.body;
    let line = &audit["audit"][0];
    assert_eq!((&line["action"], &line["after"]), (&json!("payment.disputes"), &json!("dp_1 won")));
    assert!(line["actor"].as_str().unwrap().starts_with("stripe:evt_"));
    assert_eq!(line["subject"], "cus_1");
}

#[tokio::test]
async fn stripes_entitlements_cards_and_warnings_are_read_back() {
    let app = app();
    let summary = json!({"object": "entitlements.active_entitlement_summary", "customer": "cus_1",
        "entitlements": {"data": [{"id": "ent_1", "lookup_key": "api"}]}});
    let card = json!({"id": "pm_1", "object": "payment_method", "type": "card",
        "customer": "cus_1",
        "card": {"brand": "visa", "last4": "4242", "exp_month": 4, "exp_year": 2_030}});
    let warning = json!({"id": "issfr_1", "object": "radar.early_fraud_warning", "charge": "ch_1",
        "payment_intent": "pi_1", "actionable": true, "fraud_type": "misc"});
    tell(
        &app,
        &[
            linked(),
            ("entitlements.active_entitlement_summary.updated", summary),
            ("payment_method.attached", card),
            ("charge.succeeded", charge(&json!({}))),
            ("radar.early_fraud_warning.created", warning),
        ],
    )
    .await;
    let view = customer(&app, "cus_1").await;
    assert_eq!((&view["entitlements"], &view["features"]), (&json!(["api"]), &json!(["api"])));
    assert_eq!(view["payment_methods"][0]["last4"], "4242");
    assert_eq!(view["fraud_warnings"][0]["charge"], "ch_1");
    assert_eq!(view["notifications"]["fraud_warning"], 1);
}

#[tokio::test]
async fn a_customer_that_nothing_links_has_no_account() {
    let app = app();
    let unlinked = subscription("active", &json!({"metadata": {}}));
    tell(&app, &[("customer.subscription.created", unlinked)]).await;
    let view = customer(&app, "cus_1").await;
    assert_eq!((&view["known"], &view["account"]), (&json!(true), &Value::Null));
    assert_eq!((&view["state"], &view["access"]), (&json!("active"), &json!(true)));
    assert_eq!(app.operator("/events?status=parked").await.body["events"][0]["reason"], "unlinked");
}

#[tokio::test]
async fn the_clock_that_is_asked_for_ends_the_grace_and_changes_no_data() {
    let app = app();
    let late = ("customer.subscription.updated", subscription("past_due", &json!({})));
    let invoice = json!({"id": "in_1", "object": "invoice", "customer": "cus_1", "status": "open",
        "subscription": "sub_1", "billing_reason": "subscription_cycle", "attempt_count": 1,
        "attempted": true, "total": 1_900, "amount_due": 1_900, "amount_paid": 0,
        "currency": "usd", "created": NOW - 60});
    tell(&app, &[late, ("invoice.payment_failed", invoice)]).await;
    let now = customer(&app, "cus_1").await;
    let end = now["subscriptions"][0]["grace_until"].as_i64().unwrap();
    assert_eq!(now["invoices"][0]["first_failed_at"], NOW - 30);
    assert_eq!(end, NOW - 30 + 3 * DAY);
    for (at, access) in [(NOW, true), (end - 1, true), (end, false), (end + 365 * DAY, false)] {
        for path in ["/customers/cus_1", "/accounts/ada"] {
            let view = app.operator(&format!("{path}?at={at}")).await.body;
            assert_eq!((&view["at"], &view["access"]), (&json!(at), &json!(access)), "{at}");
            assert_eq!(view["can_use_credits"], access);
            assert_eq!(view["invoices"], now["invoices"]);
            assert_eq!(view["notifications"], json!({"payment_failed": 1}));
        }
    }
}

#[tokio::test]
async fn live_comes_before_test_unless_one_is_asked_for() {
    let app = app();
    for (id, livemode, account) in [("evt_l", true, "live"), ("evt_t", false, "test")] {
        let object = json!({"id": "cus_1", "object": "customer", "metadata": {"account": account}});
        let mut body = event(id, "customer.created", &object);
        body["livemode"] = json!(livemode);
        assert_eq!(app.deliver(body.to_string()).await.status, 200);
    }
    for (query, account, livemode) in
        [("", "live", true), ("?livemode=true", "live", true), ("?livemode=false", "test", false)]
    {
        let view = customer(&app, &format!("cus_1{query}")).await;
        assert_eq!((&view["account"], &view["livemode"]), (&json!(account), &json!(livemode)));
    }
    let view = customer(&app, "cus_1?stripe_account=acct_1").await;
    assert_eq!((&view["known"], &view["stripe_account"]), (&json!(false), &json!("acct_1")));
    let view = app.operator("/accounts/test?livemode=true").await.body;
    assert_eq!((&view["known"], &view["livemode"]), (&json!(false), &json!(true)));
}

#[tokio::test]
async fn whoever_was_never_heard_of_is_unknown_and_no_error() {
    let app = app();
    let view = customer(&app, "cus_never").await;
    assert_eq!((&view["known"], &view["account"]), (&json!(false), &Value::Null));
    assert_eq!((&view["subscriptions"], &view["payments"]), (&json!([]), &json!([])));
    let view = app.operator("/accounts/nobody%2Fat%20all").await.body;
    assert_eq!((&view["known"], &view["account"]), (&json!(false), &json!("nobody/at all")));
    assert_eq!((&view["state"], &view["can_purchase"]), (&json!("no_subscription"), &json!(true)));
}

#[tokio::test]
async fn an_event_comes_with_its_payload_as_received() {
    let app = app();
    // Neither the blanks nor the number survive a parser.
    let body = event("evt_1", "some.new_type", &json!({"id": "x_1"})).to_string();
    let body = body.replacen('{', "{ \"exact\":  1.10000000000000000001,\n", 1);
    assert_eq!(app.deliver(body.clone()).await.status, 200);
    let request = Request::get("/operator/events/evt_1").header("authorization", "Bearer op_hush");
    let response =
        tower::ServiceExt::oneshot(app.router.clone(), request.body(Body::empty()).unwrap());
    let bytes = axum::body::to_bytes(response.await.unwrap().into_body(), 1 << 20).await.unwrap();
    let text = String::from_utf8(bytes.to_vec()).unwrap();
    assert!(text.contains(&body), "{text}");

    let shown = app.operator("/events/evt_1").await.body;
    assert_eq!((&shown["id"], &shown["type"]), (&json!("evt_1"), &json!("some.new_type")));
    assert_eq!((&shown["status"], &shown["reason"]), (&json!("ignored"), &json!("unhandled")));
    assert_eq!((&shown["kind"], &shown["attempts"]), (&json!("snapshot"), &json!(0)));
    assert_eq!(shown["api_version"], "2025-06-30.basil");
    assert_eq!(shown["tenant"], json!({"stripe_account": null, "livemode": false}));
    assert_eq!((shown.get("others"), shown.get("payload_base64")), (None, None));

    let mut twin = event("evt_1", "some.new_type", &json!({"id": "x_2"}));
    twin["livemode"] = json!(true);
    assert_eq!(app.deliver(twin.to_string()).await.status, 200);
    let shown = app.operator("/events/evt_1").await.body;
    let ids: Vec<&str> = [&shown, &shown["others"][0]]
        .map(|event| event["payload"]["data"]["object"]["id"].as_str().unwrap())
        .to_vec();
    assert!(ids == ["x_1", "x_2"] || ids == ["x_2", "x_1"], "{ids:?}");
}

#[tokio::test]
async fn a_payload_that_is_no_json_inside_is_given_as_bytes() {
    let app = app();
    // Intake looks at the top level only; what is inside is judged when it is processed.
    let body = event("evt_1", "customer.created", &json!({"id": "cus_1"})).to_string();
    let body = body.replace("\"cus_1\"", "nonsense");
    assert_eq!(app.deliver(body.clone()).await.status, 200);
    let shown = app.operator("/events/evt_1").await.body;
    assert_eq!((&shown["status"], &shown["payload"]), (&json!("dead"), &Value::Null));
    let letters = shown["payload_base64"].as_str().unwrap();
    assert_eq!(letters.len(), body.len().div_ceil(3) * 4);
    let tickets = app.operator("/tickets").await.body;
    assert_eq!(tickets["tickets"][0]["type"], "dead_event");
}

#[tokio::test]
async fn lists_go_on_where_the_page_before_ended() {
    let app = app();
    for n in 1..=5 {
        let object = json!({"id": "cus_1", "object": "customer", "metadata": {"account": "ada"},
            "email": format!("ada{n}@example.test")});
        app.deliver(event(&format!("evt_{n}"), "customer.updated", &object).to_string()).await;
    }
    let (mut seen, mut after) = (Vec::new(), String::new());
    for page in 0..3 {
        let path = format!("/events?customer=cus_1&type=customer.updated&limit=2{after}");
        let body = app.operator(&path).await.body;
        seen.extend(body["events"].as_array().unwrap().iter().map(|event| event["id"].clone()));
        match body["next"].as_i64() {
            Some(next) => after = format!("&after={next}"),
            None => assert_eq!(page, 2),
        }
    }
    assert_eq!(seen, ["evt_5", "evt_4", "evt_3", "evt_2", "evt_1"]);
    assert_eq!(app.operator("/events?customer=cus_2").await.body["events"], json!([]));
    assert_eq!(app.operator("/events?customer=&limit=9").await.body["next"], Value::Null);
    let stats = app.operator("/stats").await.body;
    assert_eq!((&stats["events"]["processed"], &stats["idle"]), (&json!(5), &json!(true)));
    assert_eq!(stats["queue_age_seconds"], 0.0);
}

#[tokio::test]
async fn nobody_else_sees_anything() {
    let app = app();
    app.subscribe("ada").await;
    for path in [
        "/customers/cus_ada",
        "/accounts/ada",
        "/events",
        "/events/evt_ada",
        "/stats",
        "/tickets",
        "/audit",
        "/events?status=nonsense",
        "/no/such/route",
    ] {
        for token in [None, Some("Bearer guess"), Some("op_hush"), Some("")] {
            let mut request = Request::get(format!("/operator{path}")).header("x-account", "ada");
            if let Some(token) = token {
                request = request.header("authorization", token);
            }
            let answer = app.send(request.body(Body::empty()).unwrap()).await;
            answer.assert_problem(401, "unauthenticated");
            assert_eq!(answer.headers["www-authenticate"], "Bearer");
        }
    }
}

#[tokio::test]
async fn a_wrong_question_is_told_which_parameter_is_wrong() {
    let app = app();
    let long = "x".repeat(256);
    for (path, parameter) in [
        ("/customers/cus_1?at=tomorrow", "at"),
        ("/customers/cus_1?at=1.5", "at"),
        ("/customers/cus_1?at=9223372036854775807", "at"),
        ("/accounts/ada?livemode=maybe", "livemode"),
        ("/customers/cus_1?stripe_account=a%00b", "stripe_account"),
        ("/customers/cus%00", "id"),
        ("/accounts/%00", "account"),
        ("/accounts/%ff", "account"),
        (&format!("/events/{long}"), "id"),
        (&format!("/events?type={long}"), "type"),
        ("/events?status=failed", "status"),
        ("/events?limit=-1", "limit"),
        ("/events?limit=many", "limit"),
        ("/events?after=x", "after"),
        ("/events?limit=1&limit=2", "limit"),
        ("/events?stauts=dead", "stauts"),
        ("/events/evt_1?at=1", "at"),
        ("/tickets?status=dead", "status"),
        ("/audit?status=open", "status"),
        ("/stats?at=1", "at"),
    ] {
        let answer = app.operator(path).await;
        answer.assert_problem(400, "invalid_query");
        let detail = answer.body["detail"].as_str().unwrap();
        assert!(detail.contains(&format!("`{parameter}`")), "{path}: {detail}");
    }
    for path in ["/events?limit=0", "/events?limit=4000000000", "/customers/cus_1?at=0"] {
        assert_eq!(app.operator(path).await.status, 200, "{path}");
    }
}

#[tokio::test]
async fn what_is_not_there_is_a_problem_too() {
    let app = app();
    app.operator("/events/evt_never").await.assert_problem(404, "unknown_event");
    app.operator("/nothing").await.assert_problem(404, "not_found");
    let request = Request::post("/operator/stats").header("authorization", "Bearer op_hush");
    let answer = app.send(request.body(Body::empty()).unwrap()).await;
    answer.assert_problem(405, "method_not_allowed");
}

#[tokio::test]
async fn an_operator_links_a_customer_and_what_waited_is_taken_up() {
    let app = app();
    let unlinked = subscription("active", &json!({"metadata": {}}));
    tell(&app, &[("customer.subscription.created", unlinked)]).await;
    assert_eq!(customer(&app, "cus_1").await["account"], Value::Null);
    let link = json!({"account": "ada", "request_id": "1"});
    let answer = app.operate("/customers/cus_2/link", &link).await;
    assert_eq!((answer.status.as_u16(), &answer.body["code"]), (404, &json!("unknown_customer")));
    let misspelt = json!({"accuont": "ada", "request_id": "1"});
    assert_eq!(app.operate("/customers/cus_1/link", &misspelt).await.status, 400);
    let answer = app.operate("/customers/cus_1/link", &link).await;
    assert_eq!((answer.status.as_u16(), &answer.body["duplicate"]), (202, &json!(false)));
    let answer = app.operate("/customers/cus_1/link", &link).await;
    assert_eq!((answer.status.as_u16(), &answer.body["duplicate"]), (202, &json!(true)));
    let view = customer(&app, "cus_1").await;
    assert_eq!((&view["account"], &view["access"]), (&json!("ada"), &json!(true)));
    let parked = app.operator("/events?status=parked").await;
    assert_eq!(parked.body["events"], json!([]));
}

#[tokio::test]
async fn a_replay_is_dry_unless_it_is_said_and_an_erased_customer_has_nothing_to_replay() {
    let app = app();
    tell(&app, &[linked(), ("customer.subscription.created", subscription("active", &json!({})))])
        .await;
    let dry = app.operate("/events/replay", &json!({"customer": "cus_1"})).await;
    assert_eq!((dry.status.as_u16(), &dry.body["requeued"]), (200, &json!(0)));
    assert_eq!((&dry.body["matching"], &dry.body["next"]), (&json!(2), &Value::Null));
    let outcomes: Vec<&Value> =
        dry.body["events"].as_array().unwrap().iter().map(|event| &event["changes"]).collect();
    assert_eq!(outcomes, [&json!([]), &json!([])], "today's code decides alike");
    let real = json!({"customer": "cus_1", "dry_run": false});
    let one = json!({"customer": "cus_1", "dry_run": false, "limit": 1});
    let first = app.operate("/events/replay", &one).await;
    let next = &first.body["next"];
    assert_eq!((&first.body["requeued"], next.is_i64()), (&json!(1), true), "more match");
    let rest = json!({"customer": "cus_1", "dry_run": false, "from": next});
    let rest = app.operate("/events/replay", &rest).await;
    assert_eq!((&rest.body["requeued"], &rest.body["next"]), (&json!(1), &Value::Null));
    let many = json!({"dry_run": false, "limit": 10_001});
    assert_eq!(app.operate("/events/replay", &many).await.status.as_u16(), 400);
    assert_eq!(customer(&app, "cus_1").await["access"], true);
    let erased = app.operate("/customers/cus_1/erase", &json!({})).await;
    assert_eq!((erased.status.as_u16(), &erased.body["events"]), (200, &json!(2)));
    assert_eq!(app.operate("/events/replay", &real).await.body["requeued"], 0);
    assert_eq!(customer(&app, "cus_1").await["subscriptions"], json!([]));
    let form = app.operate_form("/customers/cus_1/erase").await;
    assert_eq!(form.status, 415, "another site's form is refused");
}

#[tokio::test]
async fn renewals_that_failed_are_listed_with_what_is_done_about_them() {
    let app = app();
    let invoice = json!({"id": "in_1", "object": "invoice", "customer": "cus_1", "status": "open",
        "billing_reason": "subscription_cycle", "amount_due": 1_900, "amount_remaining": 1_900,
        "currency": "usd", "attempt_count": 1,
        "parent": {"subscription_details": {"subscription": "sub_1", "metadata": {}}}});
    let events = [
        ("customer.subscription.updated", subscription("past_due", &json!({}))),
        ("invoice.payment_failed", invoice),
    ];
    tell(&app, &events).await;
    let page = app.operator("/dunning?limit=10").await.body;
    assert_eq!(page["next"], Value::Null);
    let case = &page["cases"][0];
    let expected = json!({"invoice": "in_1", "customer": "cus_1", "account": "ada",
        "livemode": false, "stripe_account": null, "state": "active", "class": "soft",
        "amount": 1_900, "currency": "usd", "attempts": 1, "step": 0, "reason": null});
    for (field, value) in expected.as_object().unwrap() {
        assert_eq!(case.get(field), Some(value), "{field}");
    }
    assert_eq!(case["steps"].as_array().unwrap().len(), 4);
    let figures = app.operator("/dunning/figures?days=7").await.body;
    assert_eq!(figures["complete"], true);
    assert_eq!(figures["figures"][0]["at_risk"], 1_900);
    assert_eq!(app.operator("/dunning/figures?days=0").await.body["code"], "invalid_query");
    assert_eq!(app.operator("/dunning?status=active").await.body["code"], "invalid_query");
}

#[tokio::test]
async fn evidence_is_drafted_from_what_is_known() {
    let app = app();
    let invoice = json!({"id": "in_1", "object": "invoice", "customer": "cus_1", "status": "paid",
        "number": "A-1", "billing_reason": "subscription_create", "amount_paid": 1_900,
        "currency": "usd", "parent": {"subscription_details": {"subscription": "sub_1"}},
        "payments": {"data": [{"status": "paid", "payment": {"type": "payment_intent",
            "payment_intent": "pi_1"}}]},
        "lines": {"data": [{"id": "il_1", "amount": 1_900, "quantity": 1,
            "pricing": {"price_details": {"price": "price_pro"}},
            "period": {"start": NOW - 60, "end": NOW + 30 * DAY}}]}});
    let dispute = json!({"id": "dp_1", "object": "dispute", "charge": "ch_1",
        "payment_intent": "pi_1", "amount": 1_900, "currency": "usd", "status": "needs_response",
        "reason": "product_not_received", "created": NOW,
        "evidence_details": {"due_by": NOW + 7 * DAY, "has_evidence": false, "past_due": false,
            "submission_count": 0}});
    let mut customer = linked();
    customer.1["name"] = json!("Ada Lovelace");
    customer.1["email"] = json!("ada@example.test");
    let other = charge(&json!({"id": "ch_0", "payment_intent": "pi_0"}));
    tell(
        &app,
        &[
            customer,
            ("customer.subscription.created", subscription("active", &json!({}))),
            ("invoice.paid", invoice),
            ("charge.succeeded", charge(&json!({}))),
        ],
    )
    .await;
    tell(&app, &[("charge.updated", other), ("charge.dispute.created", dispute)]).await;

    let path = "/customers/cus_1/disputes/dp_1/evidence";
    let answer = app.operator(path).await;
    assert_eq!(answer.status, 200, "{}", answer.body);
    let draft = answer.body;
    let expected = json!({"account": "ada", "customer_name": "Ada Lovelace",
        "customer_email_address": "ada@example.test", "undisputed_payments": 1,
        "submission_count": 0, "usage": {}});
    for (field, value) in expected.as_object().unwrap() {
        assert_eq!(draft.get(field), Some(value), "{field}");
    }
    assert_eq!(draft["dispute"]["status"], "needs_response");
    assert_eq!(draft["payment"]["charge"], "ch_1");
    assert_eq!(draft["periods"][0]["end"], NOW + 30 * DAY);
    assert_eq!(draft["access"][0]["id"], "sub_1");
    let text = draft["uncategorized_text"].as_str().unwrap();
    assert!(text.contains("invoice A-1") && text.contains("1 other payments"), "{text}");
    for nothing in
        ["/customers/cus_1/disputes/dp_2/evidence", "/customers/x/disputes/dp_1/evidence"]
    {
        let answer = app.operator(nothing).await;
        assert_eq!(
            (answer.status.as_u16(), &answer.body["code"]),
            (404, &json!("unknown_dispute"))
        );
    }
    assert_eq!(app.operator(&format!("{path}?at=1")).await.body["code"], "invalid_query");
}

#[tokio::test]
async fn evidence_names_what_was_used_by_feature_since_the_payment() {
    let billing = crate::app::builder().build().unwrap();
    let app = App::new(billing.clone());
    let mut bought = json!({"id": "cs_1", "object": "checkout.session", "mode": "payment",
        "status": "complete", "payment_status": "paid", "amount_total": 1_900, "currency": "usd",
        "created": NOW - 40, "client_reference_id": "ada", "customer": "cus_1",
        "payment_intent": "pi_1", "metadata": {"pack": "pack_100"}});
    let paid = ("checkout.session.completed", bought.clone());
    let plan = ("customer.subscription.created", subscription("active", &json!({})));
    tell(&app, &[linked(), plan, paid, ("charge.succeeded", charge(&json!({})))]).await;
    // What somebody else used is none of this customer's.
    bought["id"] = json!("cs_2");
    bought["client_reference_id"] = json!("ben");
    bought["customer"] = json!("cus_2");
    bought["payment_intent"] = json!("pi_2");
    tell(&app, &[("checkout.session.completed", bought)]).await;
    for (key, account, feature, amount) in [
        ("job-1", "ada", Some("stories"), 3),
        ("job-2", "ada", Some("stories"), 4),
        ("job-3", "ada", Some("export"), 5),
        ("job-4", "ada", None, 1),
        ("job-5", "ben", Some("stories"), 50),
    ] {
        let spend = billing.spend(account, amount).key(key);
        let spend = match feature {
            Some(feature) => spend.on(feature),
            None => spend,
        };
        spend.now().await.unwrap();
    }
    let dispute = json!({"id": "dp_1", "object": "dispute", "charge": "ch_1",
        "payment_intent": "pi_1", "amount": 1_900, "currency": "usd", "status": "needs_response",
        "reason": "product_not_received", "created": NOW});
    tell(&app, &[("charge.dispute.created", dispute)]).await;
    billing.process_due().await.unwrap();

    let draft = app.operator("/customers/cus_1/disputes/dp_1/evidence").await.body;
    let used: Vec<_> = draft["usage"]["credits"]
        .as_array()
        .unwrap_or_else(|| panic!("{draft}"))
        .iter()
        .map(|it| {
            (it["feature"].as_str().unwrap_or(""), it["count"].clone(), it["credits"].clone())
        })
        .collect();
    let expected = [("", 1, 1), ("export", 1, 5), ("stories", 2, 7)];
    assert_eq!(used, expected.map(|(name, times, sum)| (name, json!(times), json!(sum))));
    let access = &draft["access"][0];
    assert_eq!((&access["id"], &access["status"]), (&json!("sub_1"), &json!("active")), "{access}");
    let text = draft["uncategorized_text"].as_str().unwrap();
    for sentence in [
        "The customer used it 4 times (13 credits)",
        "Of these, export: 1 times (5 credits).",
        "Of these, stories: 2 times (7 credits).",
    ] {
        assert!(text.contains(sentence), "{text}");
    }
}
