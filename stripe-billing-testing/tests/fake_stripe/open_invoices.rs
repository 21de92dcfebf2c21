//! What people decide about an open invoice, and how to find what paid one.

use serde_json::json;
use stripe_billing_testing::fake_stripe::{ApiVersion, Card, FakeStripe};

use crate::support::{Api, HOUR, days, fake, last, status, subscriber, taken};

/// A renewal that failed once: its subscription and its open invoice.
async fn owing(fake: &FakeStripe) -> (String, String) {
    let (_, sub) = subscriber(fake, Card::FailsOnRenewal);
    fake.advance(days(31) + HOUR).await;
    let _ = fake.take_events();
    let invoice = fake.latest_invoice(&sub).unwrap();
    (sub, invoice)
}

#[tokio::test]
async fn an_invoice_that_is_paid_elsewhere_is_paid_without_an_attempt() {
    let fake = fake().await;
    let (sub, invoice) = owing(&fake).await;
    let path = format!("/v1/invoices/{invoice}/pay");
    let paid = Api::new(&fake).post(&path, &[("paid_out_of_band", "true")]).await;
    assert_eq!((&paid["status"], &paid["amount_paid"]), (&json!("paid"), &json!(1_900)));
    assert_eq!(paid["amount_paid_off_stripe"], 1_900);
    assert_eq!(
        taken(&fake),
        ["invoice.updated", "invoice.paid", "customer.subscription.updated"],
        "no attempt succeeded"
    );
    assert_eq!(status(&fake, &sub), "active");
    let events = fake.events();
    let event = events.iter().rfind(|event| event.event_type() == "invoice.paid").unwrap();
    let old = event.to_json(&ApiVersion::new("2022-11-15").unwrap(), 0)["data"]["object"].clone();
    assert_eq!((&old["paid"], &old["paid_out_of_band"]), (&json!(true), &json!(true)));
    assert_eq!(old["amount_paid"], 0, "what Stripe did not take was not counted");
    assert!(fake.pay_out_of_band(&invoice).is_err());
}

#[tokio::test]
async fn an_invoice_can_be_void_or_written_off_and_still_be_paid() {
    let fake = fake().await;
    let api = Api::new(&fake);
    let (sub, invoice) = owing(&fake).await;
    fake.mark_uncollectible(&invoice).unwrap();
    assert_eq!(taken(&fake), ["invoice.marked_uncollectible"]);
    let object = last(&fake, "invoice.marked_uncollectible")["data"]["object"].clone();
    assert_eq!(object["status_details"]["uncollectible"]["reason"], "user_forgiven");
    assert_eq!(status(&fake, &sub), "past_due");
    fake.advance(days(10)).await;
    assert!(fake.take_events().is_empty(), "nobody tries any more");
    fake.pay_out_of_band(&invoice).unwrap();
    assert_eq!(status(&fake, &invoice), "paid");

    let (_, other) = owing(&fake).await;
    fake.void_invoice(&other).unwrap();
    assert_eq!(taken(&fake), ["invoice.voided"]);
    let error = fake.void_invoice(&other).unwrap_err();
    assert_eq!(error.code(), Some("invoice_not_editable"));
    for word in ["void", "mark_uncollectible", "finalize"] {
        let answer = api.fails("POST", &format!("/v1/invoices/{other}/{word}"), &[]).await;
        assert_eq!(answer.status, 400, "{word}");
    }
}

#[tokio::test]
async fn a_payment_leads_to_its_invoice_and_a_subscription_to_its_parts() {
    let fake = fake().await;
    let api = Api::new(&fake);
    let (customer, sub) = subscriber(&fake, Card::Good);
    let (_, _) = subscriber(&fake, Card::Good);
    let invoice = fake.latest_invoice(&sub).unwrap();
    let charges = api.get("/v1/charges", &[("customer", &customer)]).await;
    let intent = charges["data"][0]["payment_intent"].as_str().unwrap();
    let by_payment = [("payment[type]", "payment_intent"), ("payment[payment_intent]", intent)];
    for filter in [by_payment.as_slice(), &[("invoice", invoice.as_str())]] {
        let list = api.get("/v1/invoice_payments", filter).await;
        assert_eq!(list["data"].as_array().unwrap().len(), 1);
        assert_eq!(list["data"][0]["invoice"], *invoice);
        assert_eq!(list["data"][0]["payment"]["payment_intent"], intent);
    }
    let untyped = api.fails("GET", "/v1/invoice_payments", &by_payment[1..]).await;
    assert_eq!(untyped.json()["error"]["param"], "payment[type]");
    let items = api.get("/v1/subscription_items", &[("subscription", &sub)]).await;
    assert_eq!(items["data"][0]["price"]["id"], "price_pro");
    assert_eq!(api.fails("GET", "/v1/subscription_items", &[]).await.status, 400);
    let lines = api.get(&format!("/v1/invoices/{invoice}/lines"), &[]).await;
    assert_eq!(lines["data"][0]["amount"], 1_900);
    for filter in [("subscription", &sub), ("customer", &customer)] {
        let list = api.get("/v1/invoices", &[(filter.0, filter.1)]).await;
        assert_eq!(list["data"].as_array().unwrap().len(), 1, "{filter:?}");
    }
    for path in ["charges", "refunds", "disputes", "payment_methods", "payment_intents"] {
        let missing = api.fails("GET", &format!("/v1/{path}/xx_1"), &[]).await;
        assert_eq!(missing.status, 404, "{path}");
        assert_eq!(missing.json()["error"]["code"], "resource_missing");
    }
}
