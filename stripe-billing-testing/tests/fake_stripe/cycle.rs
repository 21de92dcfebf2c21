//! The life of a subscription as the clock moves.

use std::time::Duration;

use serde_json::{Value, json};
use stripe_billing_testing::fake_stripe::{
    Card, Exhausted, FakeEvent, FakeStripe, Interval, NewPrice, NewSubscription,
};

use crate::support::{Api, HOUR, START, builder, days, fake, json_of, status, subscriber, taken};

#[tokio::test]
async fn an_api_subscription_starts_incomplete_and_becomes_active() {
    let fake = fake().await;
    let customer = fake.create_customer("ada@example.com", &[("a", "b")]);
    let error = fake.create_subscription(NewSubscription::new(&customer, "price_pro")).unwrap_err();
    assert_eq!(error.code(), Some("resource_missing"), "no card on file");
    fake.set_card(&customer, Card::Good).unwrap();
    let _ = fake.take_events();
    let sub = fake.create_subscription(NewSubscription::new(&customer, "price_pro")).unwrap();
    assert_eq!(
        taken(&fake),
        [
            "customer.subscription.created",
            "invoice.created",
            "invoice.finalized",
            "payment_intent.created",
            "charge.succeeded",
            "payment_intent.succeeded",
            "invoice.paid",
            "invoice.payment_succeeded",
            "invoice_payment.paid",
            "customer.subscription.updated",
        ]
    );
    assert_eq!(status(&fake, &sub), "active");

    let waiting = NewSubscription::new(&customer, "price_pro").wait_for_payment();
    let waiting = fake.create_subscription(waiting).unwrap();
    assert_eq!(status(&fake, &waiting), "incomplete");
    let _ = fake.take_events();
    fake.advance(23 * HOUR).await;
    assert_eq!(taken(&fake), ["customer.subscription.updated", "invoice.voided"]);
    assert_eq!(status(&fake, &waiting), "incomplete_expired");
}

#[tokio::test]
async fn a_renewal_moves_the_period_first_and_the_money_an_hour_later() {
    let fake = fake().await;
    let (_, sub) = subscriber(&fake, Card::Good);
    fake.advance(days(31)).await;
    let events = fake.take_events();
    let kinds: Vec<_> = events.iter().map(FakeEvent::event_type).collect();
    assert_eq!(kinds, ["customer.subscription.updated", "invoice.created"]);
    let updated = json_of(&fake, &events[0]);
    assert_eq!(updated["data"]["object"]["status"], "active");
    let before = &updated["data"]["previous_attributes"];
    assert_eq!(before["items"]["data"][0]["current_period_end"], START + 31 * 86_400);
    assert!(before["latest_invoice"].is_string());
    assert_eq!(updated["request"], json!({ "id": null, "idempotency_key": null }));
    let old = stripe_billing_testing::fake_stripe::ApiVersion::new("2022-11-15").unwrap();
    let old = events[0].to_json(&old, 0);
    assert_eq!(old["data"]["previous_attributes"]["current_period_end"], START + 31 * 86_400);
    assert_eq!(old["data"]["object"]["current_period_end"], START + 59 * 86_400);
    let draft = json_of(&fake, &events[1]);
    assert_eq!(draft["data"]["object"]["status"], "draft");
    assert_eq!(draft["data"]["object"]["billing_reason"], "subscription_cycle");

    fake.advance(HOUR).await;
    assert_eq!(
        taken(&fake),
        [
            "invoice.finalized",
            "payment_intent.created",
            "charge.succeeded",
            "payment_intent.succeeded",
            "invoice.updated",
            "invoice.paid",
            "invoice.payment_succeeded",
            "invoice_payment.paid",
        ]
    );
    let invoice = fake.object(&fake.latest_invoice(&sub).unwrap()).unwrap();
    assert_eq!(invoice["attempt_count"], 1);
    assert_eq!(invoice["lines"]["data"][0]["period"]["end"], START + 59 * 86_400);
}

#[tokio::test]
async fn a_year_of_renewals_keeps_the_anchor() {
    let fake = builder().start_time(1_801_396_800).start().await.unwrap(); // 31 January 2027
    let (customer, sub) = subscriber(&fake, Card::Good);
    fake.advance(days(365)).await;
    let ends: Vec<i64> = fake
        .events()
        .iter()
        .filter(|event| event.event_type() == "invoice.created")
        .map(|event| {
            json_of(&fake, event)["data"]["object"]["lines"]["data"][0]["period"]["end"]
                .as_i64()
                .unwrap()
        })
        .collect();
    assert_eq!(ends.len(), 13);
    let day_of_month =
        |unix: i64| chrono::DateTime::from_timestamp(unix, 0).unwrap().format("%m-%d").to_string();
    let dates: Vec<_> = ends.iter().take(4).map(|end| day_of_month(*end)).collect();
    assert_eq!(dates, ["02-28", "03-31", "04-30", "05-31"]);
    assert_eq!(status(&fake, &sub), "active");
    let paid = fake.events().iter().filter(|event| event.event_type() == "invoice.paid").count();
    assert_eq!(paid, 12, "the thirteenth is a draft for another hour");
    let list =
        Api::new(&fake).get("/v1/invoices", &[("customer", &customer), ("limit", "100")]).await;
    assert_eq!(list["data"].as_array().unwrap().len(), 13);
}

#[tokio::test]
async fn a_failing_renewal_recovers_when_the_card_is_changed() {
    let fake = fake().await;
    let (customer, sub) = subscriber(&fake, Card::FailsOnRenewal);
    fake.advance(days(31)).await;
    let _ = fake.take_events();
    fake.advance(HOUR).await;
    let events = fake.take_events();
    let kinds: Vec<_> = events.iter().map(FakeEvent::event_type).collect();
    assert_eq!(
        kinds,
        [
            "invoice.finalized",
            "payment_intent.created",
            "charge.failed",
            "payment_intent.payment_failed",
            "invoice.payment_failed",
            "customer.subscription.updated",
        ]
    );
    let failed = json_of(&fake, &events[4])["data"]["object"].clone();
    assert_eq!(failed["attempt_count"], 1);
    assert_eq!(failed["next_payment_attempt"], fake.now() + 3 * 86_400);
    assert_eq!(failed["status"], "open");
    let late = json_of(&fake, &events[5]);
    assert_eq!(late["data"]["object"]["status"], "past_due");
    assert_eq!(late["data"]["previous_attributes"], json!({ "status": "active" }));

    fake.advance(days(3)).await;
    assert_eq!(
        taken(&fake),
        [
            "charge.failed",
            "payment_intent.payment_failed",
            "invoice.updated",
            "invoice.payment_failed"
        ]
    );
    let invoice = fake.object(&fake.latest_invoice(&sub).unwrap()).unwrap();
    assert_eq!(invoice["attempt_count"], 2);
    assert_eq!(invoice["next_payment_attempt"], fake.now() + 2 * 86_400);

    fake.set_card(&customer, Card::Good).unwrap();
    assert_eq!(status(&fake, &sub), "past_due", "a new card alone pays nothing");
    let _ = fake.take_events();
    fake.advance(days(2)).await;
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
    fake.advance(days(5)).await;
    assert!(fake.take_events().is_empty(), "no retry is left over");
}

#[tokio::test]
async fn an_open_invoice_can_be_paid_at_once() {
    let fake = fake().await;
    let (customer, sub) = subscriber(&fake, Card::FailsOnRenewal);
    fake.advance(days(31) + HOUR).await;
    let invoice = fake.latest_invoice(&sub).unwrap();
    let error = fake.pay_invoice(&invoice).unwrap_err();
    assert_eq!((error.status(), error.decline_code()), (402, Some("insufficient_funds")));
    assert_eq!(
        fake.object(&invoice).unwrap()["attempt_count"],
        1,
        "only Stripe's own attempts count"
    );
    fake.set_card(&customer, Card::Good).unwrap();
    fake.pay_invoice(&invoice).unwrap();
    assert_eq!(status(&fake, &sub), "active");
    assert_eq!(fake.pay_invoice(&invoice).unwrap_err().code(), Some("invoice_already_paid"));
}

#[tokio::test]
async fn exhausted_retries_end_as_the_account_says() {
    for (setting, expected, last) in [
        (Exhausted::Cancel, "canceled", "customer.subscription.deleted"),
        (Exhausted::Unpaid, "unpaid", "customer.subscription.updated"),
        (Exhausted::KeepPastDue, "past_due", "invoice.payment_failed"),
    ] {
        let fake = builder().when_exhausted(setting).start().await.unwrap();
        let (_, sub) = subscriber(&fake, Card::FailsOnRenewal);
        let invoice_of =
            |fake: &FakeStripe| fake.object(&fake.latest_invoice(&sub).unwrap()).unwrap();
        fake.advance(days(31) + HOUR + days(7) - HOUR / 2).await;
        assert_eq!(status(&fake, &sub), "past_due");
        assert_eq!(invoice_of(&fake)["attempt_count"], 3);
        let _ = fake.take_events();
        fake.advance(HOUR).await;
        let events = fake.take_events();
        assert_eq!(status(&fake, &sub), expected);
        assert_eq!(events.last().unwrap().event_type(), last, "{setting:?}");
        let failed = events.iter().find(|e| e.event_type() == "invoice.payment_failed").unwrap();
        let failed = json_of(&fake, failed);
        assert_eq!(failed["data"]["object"]["next_payment_attempt"], Value::Null);
        assert_eq!(failed["data"]["object"]["attempt_count"], 4);
        if setting == Exhausted::Cancel {
            let ended = json_of(&fake, events.last().unwrap())["data"]["object"].clone();
            assert_eq!(ended["cancellation_details"]["reason"], "payment_failed");
            assert_eq!(ended["ended_at"], failed["created"]);
            assert_eq!(invoice_of(&fake)["auto_advance"], false);
            fake.advance(days(60)).await;
            assert!(fake.take_events().is_empty());
        }
        if setting == Exhausted::Unpaid {
            fake.advance(days(31)).await;
            assert_eq!(invoice_of(&fake)["status"], "draft", "further invoices stay closed");
        }
    }
}

#[tokio::test]
async fn cancelling_at_the_end_of_the_period_and_changing_ones_mind() {
    let fake = fake().await;
    let api = Api::new(&fake);
    let (_, sub) = subscriber(&fake, Card::Good);
    let path = format!("/v1/subscriptions/{sub}");
    api.post(
        &path,
        &[("cancel_at_period_end", "true"), ("cancellation_details[feedback]", "unused")],
    )
    .await;
    let event = json_of(&fake, &fake.take_events()[0]);
    let end = START + 31 * 86_400;
    assert_eq!(event["data"]["object"]["cancel_at"], end);
    assert_eq!(event["data"]["object"]["canceled_at"], START);
    assert_eq!(
        event["data"]["previous_attributes"],
        json!({
            "cancel_at": null,
            "cancel_at_period_end": false,
            "canceled_at": null,
            "cancellation_details": { "reason": null },
        })
    );
    fake.resume(&sub).unwrap();
    fake.advance(days(31)).await;
    assert_eq!(status(&fake, &sub), "active");
    fake.cancel_at_period_end(&sub).unwrap();
    let _ = fake.take_events();
    fake.advance(days(40)).await;
    let events = fake.take_events();
    assert_eq!(events.last().unwrap().event_type(), "customer.subscription.deleted");
    let ended = json_of(&fake, events.last().unwrap())["data"]["object"].clone();
    assert_eq!(ended["status"], "canceled");
    assert_eq!(ended["ended_at"], START + 59 * 86_400);
    assert_eq!(ended["canceled_at"], end, "when it was asked for");

    let (_, sub) = subscriber(&fake, Card::Good);
    let gone = api.try_send("DELETE", &format!("/v1/subscriptions/{sub}"), &[], &[]).await.unwrap();
    assert_eq!(gone.json()["status"], "canceled");
    assert_eq!(taken(&fake), ["customer.subscription.deleted"]);
    assert_eq!(api.fails("DELETE", &format!("/v1/subscriptions/{sub}"), &[]).await.status, 404);
}

#[tokio::test]
async fn a_trial_warns_ends_and_bills() {
    let fake = fake().await;
    let api = Api::new(&fake);
    let session = api.subscribe_session(&[("subscription_data[trial_period_days]", "14")]).await;
    let done = fake.complete_checkout(session["id"].as_str().unwrap(), Card::Good).unwrap();
    assert_eq!(
        taken(&fake),
        [
            "customer.created",
            "setup_intent.created",
            "payment_method.attached",
            "setup_intent.succeeded",
            "customer.subscription.created",
            "invoice.created",
            "invoice.finalized",
            "invoice.paid",
            "invoice.payment_succeeded",
            "customer.updated",
            "checkout.session.completed",
        ]
    );
    let sub = done.subscription.unwrap();
    assert_eq!(status(&fake, &sub), "trialing");
    assert_eq!(fake.object(&done.invoice.unwrap()).unwrap()["amount_paid"], 0);
    let completed = fake.object(session["id"].as_str().unwrap()).unwrap();
    assert_eq!(completed["payment_status"], "no_payment_required");
    fake.advance(days(11)).await;
    assert_eq!(taken(&fake), ["customer.subscription.trial_will_end"]);
    fake.advance(days(3)).await;
    let events = fake.take_events();
    let updated = json_of(&fake, &events[0]);
    assert_eq!(updated["data"]["object"]["status"], "active");
    assert_eq!(updated["data"]["previous_attributes"]["status"], "trialing");
    fake.advance(HOUR).await;
    let invoice = fake.object(&fake.latest_invoice(&sub).unwrap()).unwrap();
    assert_eq!((&invoice["status"], &invoice["amount_paid"]), (&json!("paid"), &json!(1_900)));
}

#[tokio::test]
async fn changing_the_plan_prorates() {
    let fake = builder()
        .price(NewPrice::recurring("price_weekly", 700, "usd", Interval::Week))
        .start()
        .await
        .unwrap();
    let api = Api::new(&fake);
    let (customer, sub) = subscriber(&fake, Card::Good);
    fake.advance(Duration::from_secs(31 * 86_400 / 2)).await;
    let item = fake.object(&sub).unwrap()["items"]["data"][0]["id"].as_str().unwrap().to_owned();
    let change = [("items[0][id]", item.as_str()), ("items[0][price]", "price_team")];
    let preview = api
        .post(
            "/v1/invoices/create_preview",
            &[
                ("customer", &customer),
                ("subscription", &sub),
                ("subscription_details[items][0][id]", &item),
                ("subscription_details[items][0][price]", "price_team"),
                ("subscription_details[proration_behavior]", "always_invoice"),
            ],
        )
        .await;
    assert_eq!(preview["total"], 1_500, "half of the difference of 3000");
    let path = format!("/v1/subscriptions/{sub}");
    let mut now = change.to_vec();
    now.push(("proration_behavior", "always_invoice"));
    api.post(&path, &now).await;
    let events = fake.take_events();
    assert_eq!(events[0].event_type(), "customer.subscription.updated");
    assert_eq!(
        json_of(&fake, &events[0])["data"]["previous_attributes"]["items"]["data"][0]["price"]["id"],
        "price_pro"
    );
    let invoice = fake.object(&fake.latest_invoice(&sub).unwrap()).unwrap();
    assert_eq!((&invoice["total"], &invoice["status"]), (&json!(1_500), &json!("paid")));
    assert_eq!(invoice["billing_reason"], "subscription_update");
    let credit = &invoice["lines"]["data"][0];
    assert_eq!(credit["amount"], -950);
    assert_eq!(credit["parent"]["subscription_item_details"]["proration"], true);

    api.post(&path, &[("items[0][id]", item.as_str()), ("items[0][quantity]", "2")]).await;
    let kinds = taken(&fake);
    assert_eq!(
        kinds,
        ["invoiceitem.created", "invoiceitem.created", "customer.subscription.updated"]
    );
    fake.advance(days(16)).await;
    let invoice = fake.object(&fake.latest_invoice(&sub).unwrap()).unwrap();
    assert_eq!(invoice["total"], 2_450 + 2 * 4_900, "the proration waits for the renewal");

    let mut weekly = vec![("items[0][id]", item.as_str()), ("items[0][price]", "price_weekly")];
    weekly.push(("proration_behavior", "none"));
    api.post(&path, &weekly).await;
    let after = fake.object(&sub).unwrap();
    assert_eq!(after["billing_cycle_anchor"], fake.now(), "another interval starts a new cycle");
    assert_eq!(after["items"]["data"][0]["current_period_end"], fake.now() + 7 * 86_400);
}

#[tokio::test]
async fn refunds_bounce_and_disputes_are_decided() {
    let fake = fake().await;
    let (customer, _) = subscriber(&fake, Card::Good);
    let charges = Api::new(&fake).get("/v1/charges", &[("customer", &customer)]).await;
    let charge = charges["data"][0]["id"].as_str().unwrap();
    let refund = fake.refund(charge, None).unwrap();
    fake.fail_refund(&refund).unwrap();
    assert_eq!(
        taken(&fake),
        ["refund.created", "charge.refunded", "refund.updated", "refund.failed", "charge.updated"]
    );
    assert_eq!(fake.object(charge).unwrap()["amount_refunded"], 0);
    let dispute = fake.open_dispute(charge, None).unwrap();
    assert_eq!(fake.object(charge).unwrap()["disputed"], true);
    fake.close_dispute(&dispute, true).unwrap();
    assert_eq!(
        taken(&fake),
        [
            "charge.dispute.created",
            "charge.dispute.funds_withdrawn",
            "charge.dispute.closed",
            "charge.dispute.funds_reinstated",
        ]
    );
    assert_eq!(fake.object(&dispute).unwrap()["status"], "won");
}

#[tokio::test]
async fn a_clock_that_follows_real_time_can_be_moved_too() {
    let wall = std::sync::Arc::new(std::sync::atomic::AtomicI64::new(START));
    let source = std::sync::Arc::clone(&wall);
    let fake = builder()
        .time_from(std::sync::Arc::new(move || source.load(std::sync::atomic::Ordering::Relaxed)))
        .start()
        .await
        .unwrap();
    assert_eq!(fake.now(), START);
    let (_, sub) = subscriber(&fake, Card::Good);
    fake.advance(days(31) + HOUR).await;
    assert_eq!(fake.now(), START + 31 * 86_400 + 3_600);
    wall.fetch_add(100, std::sync::atomic::Ordering::Relaxed);
    assert_eq!(fake.now(), START + 31 * 86_400 + 3_700);
    let renewal = fake.object(&fake.latest_invoice(&sub).unwrap()).unwrap();
    assert_eq!(renewal["created"], START + 31 * 86_400, "work is done at the instant it was due");
    assert_eq!(renewal["status"], "paid");
}
