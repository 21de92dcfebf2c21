//! The two ways to rest, and trials that end without a card.

use serde_json::{Value, json};
use stripe_billing_testing::fake_stripe::{ApiVersion, Card, Exhausted, NewSubscription};

use crate::support::{
    Api, HOUR, START, builder, days, fake, json_of, last, status, subscriber, taken,
};

#[tokio::test]
async fn collection_rests_without_a_change_of_status() {
    for (behavior, outcome, word) in [
        ("void", "void", "invoice.voided"),
        ("mark_uncollectible", "uncollectible", "invoice.marked_uncollectible"),
    ] {
        let fake = fake().await;
        let (_, sub) = subscriber(&fake, Card::Good);
        fake.pause_collection(&sub, behavior, None).unwrap();
        assert_eq!(taken(&fake), ["customer.subscription.updated"]);
        assert_eq!(status(&fake, &sub), "active");
        fake.advance(days(31) + HOUR).await;
        assert_eq!(
            taken(&fake),
            ["customer.subscription.updated", "invoice.created", "invoice.finalized", word]
        );
        let invoice = fake.object(&fake.latest_invoice(&sub).unwrap()).unwrap();
        assert_eq!(
            (&invoice["status"], &invoice["auto_advance"]),
            (&json!(outcome), &json!(false))
        );
        assert_eq!(status(&fake, &sub), "active");
        if behavior == "mark_uncollectible" {
            assert_eq!(invoice["status_details"]["uncollectible"]["reason"], "subscription_paused");
            assert!(invoice["status_transitions"]["marked_uncollectible_at"].is_i64());
        }
    }
}

#[tokio::test]
async fn collection_resumes_by_the_clock_and_drafts_stay_drafts() {
    let fake = fake().await;
    let api = Api::new(&fake);
    let (_, sub) = subscriber(&fake, Card::Good);
    let path = format!("/v1/subscriptions/{sub}");
    let until = (START + 40 * 86_400).to_string();
    let paused = api
        .post(
            &path,
            &[
                ("pause_collection[behavior]", "keep_as_draft"),
                ("pause_collection[resumes_at]", &until),
            ],
        )
        .await;
    assert_eq!(
        paused["pause_collection"],
        json!({ "behavior": "keep_as_draft", "resumes_at": START + 40 * 86_400 })
    );
    fake.advance(days(35)).await;
    let draft = fake.latest_invoice(&sub).unwrap();
    assert_eq!(status(&fake, &draft), "draft");
    let _ = fake.take_events();
    fake.advance(days(5)).await;
    assert_eq!(taken(&fake), ["customer.subscription.updated"]);
    let event = last(&fake, "customer.subscription.updated");
    assert_eq!(event["data"]["object"]["pause_collection"], Value::Null);
    assert_eq!(
        event["data"]["previous_attributes"]["pause_collection"]["behavior"],
        "keep_as_draft"
    );
    assert_eq!(status(&fake, &draft), "draft", "what was held back stays so");
    fake.advance(days(20)).await;
    assert_eq!(status(&fake, &fake.latest_invoice(&sub).unwrap()), "paid");

    fake.pause_collection(&sub, "void", None).unwrap();
    let back = api.post(&path, &[("pause_collection", "")]).await;
    assert_eq!(back["pause_collection"], Value::Null);
    let wrong = api.fails("POST", &path, &[("pause_collection[behavior]", "forget")]).await;
    assert_eq!(wrong.json()["error"]["param"], "pause_collection[behavior]");
}

#[tokio::test]
async fn a_paused_subscription_has_no_periods_until_it_is_resumed() {
    let fake = fake().await;
    let api = Api::new(&fake);
    let (_, sub) = subscriber(&fake, Card::Good);
    let pause = format!("/v1/subscriptions/{sub}/pause");
    let old = Api::new(&fake).version("2026-03-25.dahlia");
    assert_eq!(old.fails("POST", &pause, &[]).await.status, 404, "since endive");
    let paused = api.post(&pause, &[]).await;
    assert_eq!(paused["status"], "paused");
    assert_eq!(paused["status_details"]["paused"]["subscription"]["type"], "pause_requested");
    let events = fake.take_events();
    let kinds: Vec<_> = events.iter().map(|event| event.event_type()).collect();
    assert_eq!(kinds, ["customer.subscription.updated", "customer.subscription.paused"]);
    let dahlia = events[1].to_json(&ApiVersion::new("2026-03-25.dahlia").unwrap(), 0);
    assert_eq!(dahlia["data"]["object"]["status"], "paused");
    assert!(dahlia["data"]["object"].get("status_details").is_none());

    fake.advance(days(60)).await;
    assert!(fake.take_events().is_empty(), "no period and no invoice");
    let back = api.post(&format!("/v1/subscriptions/{sub}/resume"), &[]).await;
    assert_eq!(back["status"], "active");
    assert_eq!(back["items"]["data"][0]["current_period_start"], fake.now());
    assert_eq!(
        taken(&fake),
        [
            "invoice.created",
            "invoice.finalized",
            "payment_intent.created",
            "charge.succeeded",
            "payment_intent.succeeded",
            "invoice.updated",
            "invoice.paid",
            "invoice.payment_succeeded",
            "invoice_payment.paid",
            "customer.subscription.updated",
            "customer.subscription.resumed",
        ]
    );
    assert!(fake.resume_subscription(&sub).is_err());
    let first = fake.latest_invoice(&sub);
    fake.advance(days(32)).await;
    assert_ne!(fake.latest_invoice(&sub), first, "it renews again");
}

#[tokio::test]
async fn a_pause_ends_when_its_invoice_is_paid_and_not_before() {
    let fake = fake().await;
    let (customer, sub) = subscriber(&fake, Card::FailsOnRenewal);
    fake.pause_subscription(&sub).unwrap();
    let _ = fake.take_events();
    assert_eq!(fake.resume_subscription(&sub).unwrap()["status"], "paused");
    let kinds = taken(&fake);
    assert_eq!(kinds.last(), Some(&"invoice.payment_failed"));
    assert!(!kinds.contains(&"customer.subscription.resumed"));
    fake.advance(23 * HOUR).await;
    assert_eq!(taken(&fake), ["invoice.voided"], "nobody paid in time");
    assert_eq!(status(&fake, &sub), "paused");

    fake.resume_subscription(&sub).unwrap();
    let opened = last(&fake, "invoice.finalized")["data"]["object"]["id"].clone();
    fake.set_card(&customer, Card::Good).unwrap();
    assert_eq!(status(&fake, &sub), "paused");
    fake.pay_invoice(opened.as_str().unwrap()).unwrap();
    assert_eq!(taken(&fake).last(), Some(&"customer.subscription.resumed"));
    assert_eq!(status(&fake, &sub), "active");
    assert_eq!(fake.latest_invoice(&sub), opened.as_str().map(str::to_owned));
}

#[tokio::test]
async fn a_trial_without_a_card_ends_as_it_was_told_to() {
    let fake = fake().await;
    let customer = fake.create_customer("ada@example.com", &[]);
    let trial = || NewSubscription::new(&customer, "price_pro").trial_days(14);
    let pausing = fake.create_subscription(trial().pauses_without_card()).unwrap();
    fake.advance(days(11)).await;
    assert_eq!(taken(&fake).last(), Some(&"customer.subscription.trial_will_end"));
    fake.advance(days(3)).await;
    assert_eq!(taken(&fake), ["customer.subscription.updated", "customer.subscription.paused"]);
    let why = &fake.object(&pausing).unwrap()["status_details"]["paused"];
    assert_eq!(why["subscription"]["type"], "trial_end_without_payment_method");
    assert!(fake.resume_subscription(&pausing).is_err(), "there is nothing to charge");
    assert_eq!(status(&fake, &pausing), "paused");
    fake.set_card(&customer, Card::Good).unwrap();
    fake.resume_subscription(&pausing).unwrap();
    assert_eq!(status(&fake, &pausing), "active");

    let other = fake.create_customer("eve@example.com", &[]);
    let ending = NewSubscription::new(&other, "price_pro").trial_days(14).cancels_without_card();
    let ending = fake.create_subscription(ending).unwrap();
    let failing = NewSubscription::new(&other, "price_pro").trial_days(14);
    let failing = fake.create_subscription(failing).unwrap();
    fake.advance(days(14) + HOUR).await;
    assert_eq!(status(&fake, &ending), "canceled");
    assert_eq!(status(&fake, &failing), "past_due");
}

#[tokio::test]
async fn exhausted_retries_can_pause_or_write_off() {
    for (setting, expected, last) in [
        (Exhausted::Pause, "paused", "customer.subscription.paused"),
        (Exhausted::MarkUncollectible, "past_due", "invoice.marked_uncollectible"),
    ] {
        let fake = builder().when_exhausted(setting).start().await.unwrap();
        let (_, sub) = subscriber(&fake, Card::FailsOnRenewal);
        fake.advance(days(31) + HOUR + days(7)).await;
        assert_eq!(status(&fake, &sub), expected);
        let events = fake.take_events();
        assert_eq!(events.last().unwrap().event_type(), last);
        let object = json_of(&fake, events.last().unwrap())["data"]["object"].clone();
        let details = &object["status_details"];
        if setting == Exhausted::Pause {
            assert_eq!(details["paused"]["subscription"]["type"], "final_payment_failure");
        } else {
            assert_eq!(details["uncollectible"]["reason"], "max_payment_attempts");
        }
    }
}
