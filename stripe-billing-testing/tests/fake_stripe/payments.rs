//! Payments that are not there at once: debits, confirmations, and orders that cost nothing.

use serde_json::{Value, json};
use stripe_billing_testing::fake_stripe::{ApiVersion, Card, Debit};

use crate::support::{
    Api, HOUR, builder, days, fake, json_of, last, pack_session, status, subscriber, taken,
};

#[tokio::test]
async fn a_debit_completes_the_session_unpaid_and_arrives_by_the_clock() {
    let fake = fake().await;
    let api = Api::new(&fake);
    let session = pack_session(&api, &[("metadata[pack]", "pack_1000")]).await;
    let done = fake.complete_checkout_by_debit(&session, Debit::Arrives(days(3))).unwrap();
    assert_eq!(done.customer, None, "a guest");
    assert_eq!(
        taken(&fake),
        [
            "payment_intent.created",
            "checkout.session.completed",
            "payment_intent.processing",
            "charge.pending",
        ]
    );
    let intent = done.payment_intent.unwrap();
    let object = fake.object(&session).unwrap();
    assert_eq!(
        (&object["status"], &object["payment_status"]),
        (&json!("complete"), &json!("unpaid"))
    );
    let waits = fake.object(&intent).unwrap();
    assert_eq!((&waits["status"], &waits["amount_received"]), (&json!("processing"), &json!(0)));
    let charge = waits["latest_charge"].as_str().unwrap();
    let pending = fake.object(charge).unwrap();
    assert_eq!((&pending["status"], &pending["captured"]), (&json!("pending"), &json!(false)));
    assert_eq!(pending["payment_method_details"]["type"], "sepa_debit");
    assert_eq!(fake.refund(charge, None).unwrap_err().param(), Some("charge"));

    fake.advance(days(3) - HOUR).await;
    assert!(taken(&fake).is_empty());
    fake.advance(HOUR).await;
    assert_eq!(
        taken(&fake),
        [
            "charge.succeeded",
            "payment_intent.succeeded",
            "checkout.session.async_payment_succeeded"
        ]
    );
    let settled = last(&fake, "checkout.session.async_payment_succeeded");
    assert_eq!(settled["data"]["object"]["payment_status"], "paid");
    assert_eq!(settled["data"]["object"]["metadata"]["pack"], "pack_1000");
    assert_eq!(settled["request"], json!({ "id": null, "idempotency_key": null }));
    assert_eq!(fake.object(&intent).unwrap()["amount_received"], 2_700);
    fake.refund(&intent, None).unwrap();
}

#[tokio::test]
async fn a_debit_that_bounces_leaves_the_session_unpaid() {
    let fake = fake().await;
    let api = Api::new(&fake);
    let customer = fake.create_customer("ada@example.com", &[]);
    let session = pack_session(&api, &[("customer", &customer)]).await;
    let done = fake.complete_checkout_by_debit(&session, Debit::Bounces(days(2))).unwrap();
    assert_eq!(done.customer, Some(customer));
    let _ = fake.take_events();
    fake.advance(days(2)).await;
    assert_eq!(
        taken(&fake),
        ["charge.failed", "payment_intent.payment_failed", "checkout.session.async_payment_failed"]
    );
    let object = fake.object(&session).unwrap();
    assert_eq!(
        (&object["status"], &object["payment_status"]),
        (&json!("complete"), &json!("unpaid"))
    );
    let intent = fake.object(&done.payment_intent.unwrap()).unwrap();
    assert_eq!(intent["status"], "requires_payment_method");
    assert_eq!(intent["last_payment_error"]["decline_code"], "insufficient_funds");

    let again = fake.complete_checkout_by_debit(&session, Debit::Arrives(HOUR)).unwrap_err();
    assert_eq!(again.status(), 400, "a session completes once");
    let subscription = api.subscribe_session(&[]).await;
    let id = subscription["id"].as_str().unwrap();
    assert_eq!(
        fake.complete_checkout_by_debit(id, Debit::Arrives(HOUR)).unwrap_err().status(),
        400
    );
}

#[tokio::test]
async fn the_hosted_page_takes_a_debit() {
    let fake = fake().await;
    let api = Api::new(&fake);
    let session = pack_session(&api, &[]).await;
    let url = fake.object(&session).unwrap()["url"].as_str().unwrap().to_owned();
    assert!(api.page(&url, None).await.text.contains("debit_arrives"));
    let form = [("email", "eve@example.com"), ("card", "debit_arrives")];
    assert_eq!(api.page(&url, Some(&form)).await.status, 303);
    let object = fake.object(&session).unwrap();
    assert_eq!(
        (&object["payment_status"], &object["customer_details"]["email"]),
        (&json!("unpaid"), &json!("eve@example.com"))
    );
    fake.advance(days(3)).await;
    assert_eq!(fake.object(&session).unwrap()["payment_status"], "paid");
    let plan = api.subscribe_session(&[]).await;
    let page = api.page(plan["url"].as_str().unwrap(), None).await;
    assert!(!page.text.contains("debit_arrives"), "a subscription takes cards here");
}

#[tokio::test]
async fn a_coupon_over_everything_needs_no_payment() {
    let fake = builder().coupon("FREE", 100).coupon("THIRD", 33).start().await.unwrap();
    let api = Api::new(&fake);
    let session = pack_session(&api, &[("discounts[0][coupon]", "FREE")]).await;
    let done = fake.complete_checkout(&session, Card::Good).unwrap();
    assert_eq!(done.payment_intent, None);
    assert_eq!(taken(&fake), ["checkout.session.completed"]);
    let object = fake.object(&session).unwrap();
    assert_eq!(object["payment_status"], "no_payment_required");
    assert_eq!(object["payment_intent"], Value::Null);
    assert_eq!((&object["amount_subtotal"], &object["amount_total"]), (&json!(2_700), &json!(0)));
    assert_eq!(object["total_details"]["amount_discount"], 2_700);

    let session = pack_session(&api, &[("discounts[0][coupon]", "THIRD")]).await;
    let done = fake.complete_checkout(&session, Card::Good).unwrap();
    let intent = fake.object(&done.payment_intent.unwrap()).unwrap();
    assert_eq!(intent["amount_received"], 1_809);
    let unknown = [
        ("mode", "payment"),
        ("success_url", "http://app.test/ok"),
        ("line_items[0][price]", "price_pack"),
        ("line_items[0][quantity]", "1"),
        ("discounts[0][coupon]", "NONE"),
    ];
    let answer = api.fails("POST", "/v1/checkout/sessions", &unknown).await;
    assert_eq!(answer.status, 400);
    assert_eq!(answer.json()["error"]["param"], "discounts[0][coupon]");
}

#[tokio::test]
async fn a_renewal_that_has_to_be_confirmed_waits_for_the_customer() {
    let fake = fake().await;
    let (_, sub) = subscriber(&fake, Card::ConfirmsOnRenewal);
    assert_eq!(status(&fake, &sub), "active", "the customer confirmed the first payment");
    fake.advance(days(31)).await;
    let _ = fake.take_events();
    fake.advance(HOUR).await;
    assert_eq!(
        taken(&fake),
        [
            "invoice.finalized",
            "payment_intent.created",
            "payment_intent.requires_action",
            "invoice.payment_action_required",
            "invoice.payment_failed",
            "customer.subscription.updated",
        ]
    );
    assert_eq!(status(&fake, &sub), "past_due");
    let invoice = fake.latest_invoice(&sub).unwrap();
    let intent = last(&fake, "payment_intent.requires_action")["data"]["object"].clone();
    assert_eq!(intent["next_action"]["type"], "use_stripe_sdk");
    assert_eq!(intent["latest_charge"], Value::Null, "nobody asked the bank");

    fake.confirm_payment(&invoice, false).unwrap();
    assert_eq!(taken(&fake), ["payment_intent.payment_failed", "invoice.payment_failed"]);
    assert!(fake.confirm_payment(&invoice, true).is_err(), "nothing waits any more");
    let error = fake.pay_invoice(&invoice).unwrap_err();
    assert_eq!((error.status(), error.code()), (402, Some("authentication_required")));
    let _ = fake.take_events();
    fake.confirm_payment(&invoice, true).unwrap();
    assert_eq!(
        taken(&fake),
        [
            "charge.succeeded",
            "payment_intent.succeeded",
            "invoice.updated",
            "invoice.paid",
            "invoice.payment_succeeded",
            "invoice_payment.paid",
            "customer.subscription.updated",
        ]
    );
    assert_eq!(status(&fake, &sub), "active");
}

#[tokio::test]
async fn renewals_are_announced_without_an_id() {
    let fake = builder().announce_renewals(7).start().await.unwrap();
    let (_, sub) = subscriber(&fake, Card::Good);
    fake.advance(days(24)).await;
    let events = fake.take_events();
    let kinds: Vec<_> = events.iter().map(|event| event.event_type()).collect();
    assert_eq!(kinds, ["invoice.upcoming"]);
    let object = json_of(&fake, &events[0])["data"]["object"].clone();
    assert!(object.get("id").is_none());
    assert_eq!(object["billing_reason"], "upcoming");
    assert_eq!(object["total"], 1_900);
    let old = events[0].to_json(&ApiVersion::new("2022-11-15").unwrap(), 0);
    assert_eq!(old["data"]["object"]["subscription"], *sub);
    fake.advance(days(7) + HOUR).await;
    let _ = fake.take_events();
    fake.cancel_at_period_end(&sub).unwrap();
    fake.advance(days(27)).await;
    assert_eq!(taken(&fake).last(), Some(&"customer.subscription.updated"), "no renewal, no word");
}
