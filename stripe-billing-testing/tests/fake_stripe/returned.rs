//! Money that goes back: refunds, warnings and disputes.

use serde_json::{Value, json};
use stripe_billing_testing::fake_stripe::{ApiVersion, NewRefund};

use crate::support::{Api, HOUR, START, bought_pack, days, fake, last, status, taken};

#[tokio::test]
async fn refunds_add_up_and_only_the_last_makes_the_charge_refunded() {
    let fake = fake().await;
    let (intent, charge) = bought_pack(&fake).await;
    fake.refund(&intent, Some(700)).unwrap();
    assert_eq!(taken(&fake), ["refund.created", "charge.refunded", "refund.updated"]);
    let event = last(&fake, "charge.refunded");
    assert_eq!(event["data"]["object"]["amount_refunded"], 700);
    assert_eq!(event["data"]["object"]["refunded"], false);
    assert_eq!(event["data"]["previous_attributes"]["amount_refunded"], 0);
    let rest = NewRefund::new().reason("requested_by_customer").metadata("why", "because");
    let rest = fake.refund_as(&charge, rest).unwrap();
    let event = last(&fake, "charge.refunded");
    assert_eq!(event["data"]["object"]["amount_refunded"], 2_700);
    assert_eq!(event["data"]["previous_attributes"]["refunded"], false);
    let refund = fake.object(&rest).unwrap();
    assert_eq!(
        (&refund["amount"], &refund["metadata"]),
        (&json!(2_000), &json!({ "why": "because" }))
    );
    assert!(refund.get("livemode").is_none() && refund.get("failure_reason").is_none());
    let error = fake.refund(&charge, None).unwrap_err();
    assert_eq!(error.code(), Some("charge_already_refunded"));
    let api = Api::new(&fake);
    for filter in [("charge", &charge), ("payment_intent", &intent)] {
        let list = api.get("/v1/refunds", &[(filter.0, filter.1)]).await;
        assert_eq!(list["data"].as_array().unwrap().len(), 2, "{filter:?}");
    }
    let shown = api.get(&format!("/v1/charges/{charge}"), &[]).await;
    assert!(shown.get("refunds").is_none());
}

#[tokio::test]
async fn a_refund_can_wait_and_can_bounce_by_the_clock() {
    let fake = fake().await;
    let (intent, charge) = bought_pack(&fake).await;
    let slow = NewRefund::new().amount(500).pending_for(days(2)).fails_after(days(10));
    let refund = fake.refund_as(&intent, slow).unwrap();
    assert_eq!(taken(&fake), ["refund.created", "charge.refunded"]);
    assert_eq!(status(&fake, &refund), "pending");
    assert_eq!(fake.object(&refund).unwrap()["pending_reason"], "processing");
    fake.advance(days(2)).await;
    assert_eq!(taken(&fake), ["refund.updated"]);
    let event = last(&fake, "refund.updated");
    assert_eq!(event["data"]["previous_attributes"]["status"], "pending");
    assert_eq!(status(&fake, &refund), "succeeded");
    fake.advance(days(8)).await;
    assert_eq!(taken(&fake), ["refund.failed", "charge.updated"]);
    let failed = last(&fake, "refund.failed")["data"]["object"].clone();
    assert_eq!(
        (&failed["status"], &failed["failure_reason"]),
        (&json!("failed"), &json!("lost_or_stolen_card"))
    );
    assert!(failed["failure_balance_transaction"].is_string());
    assert_eq!(fake.object(&charge).unwrap()["amount_refunded"], 0);
    assert!(fake.fail_refund(&refund).is_err());
}

#[tokio::test]
async fn an_inquiry_moves_no_money_until_it_escalates() {
    let fake = fake().await;
    let (intent, charge) = bought_pack(&fake).await;
    let quiet = fake.open_inquiry(&intent, None).unwrap();
    assert_eq!(taken(&fake), ["charge.dispute.created"]);
    let object = fake.object(&quiet).unwrap();
    assert_eq!(
        (&object["status"], &object["balance_transactions"]),
        (&json!("warning_needs_response"), &json!([]))
    );
    assert_eq!(object["is_charge_refundable"], true);
    fake.submit_evidence(&quiet).unwrap();
    assert_eq!(status(&fake, &quiet), "warning_under_review");
    assert!(fake.close_dispute(&quiet, false).is_err(), "an inquiry is not lost");
    fake.close_dispute(&quiet, true).unwrap();
    assert_eq!(taken(&fake), ["charge.dispute.updated", "charge.dispute.closed"]);
    assert_eq!(status(&fake, &quiet), "warning_closed");

    let loud = fake.open_inquiry(&charge, Some(900)).unwrap();
    fake.advance(days(5)).await;
    let _ = fake.take_events();
    fake.escalate_dispute(&loud).unwrap();
    assert_eq!(taken(&fake), ["charge.dispute.updated", "charge.dispute.funds_withdrawn"]);
    let object = fake.object(&loud).unwrap();
    assert_eq!((&object["status"], &object["amount"]), (&json!("needs_response"), &json!(900)));
    assert_eq!(object["evidence_details"]["due_by"], START + 14 * 86_400);
    assert_eq!(object["balance_transactions"][0]["amount"], -900);
    assert!(fake.escalate_dispute(&loud).is_err());
    let list = Api::new(&fake).get("/v1/disputes", &[("charge", &charge)]).await;
    assert_eq!(list["data"].as_array().unwrap().len(), 2);
}

#[tokio::test]
async fn a_dispute_is_lost_and_won_in_the_appeal() {
    let fake = fake().await;
    let api = Api::new(&fake);
    let (intent, charge) = bought_pack(&fake).await;
    let dispute = fake.open_dispute(&intent, None).unwrap();
    assert_eq!(taken(&fake), ["charge.dispute.created", "charge.dispute.funds_withdrawn"]);
    assert_eq!(fake.object(&charge).unwrap()["disputed"], true);
    let path = format!("/v1/disputes/{dispute}");
    let answered =
        api.post(&path, &[("evidence[uncategorized_text]", "they used it"), ("submit", "true")]);
    let answered = answered.await;
    assert_eq!(answered["status"], "under_review");
    assert_eq!(answered["evidence_details"]["submission_count"], 1);
    assert_eq!(api.fails("POST", &path, &[("evidence[a]", "b")]).await.status, 400, "once a stage");
    assert!(fake.appeal_dispute(&dispute).is_err(), "not lost yet");
    fake.close_dispute(&dispute, false).unwrap();
    assert_eq!(taken(&fake), ["charge.dispute.updated", "charge.dispute.closed"]);
    assert_eq!(status(&fake, &dispute), "lost");
    assert!(fake.close_dispute(&dispute, true).is_err(), "decided");
    fake.appeal_dispute(&dispute).unwrap();
    assert_eq!(status(&fake, &dispute), "appeal_needs_response");
    fake.submit_evidence(&dispute).unwrap();
    assert_eq!(status(&fake, &dispute), "appeal_under_review");
    fake.close_dispute(&dispute, true).unwrap();
    assert_eq!(
        taken(&fake),
        [
            "charge.dispute.updated",
            "charge.dispute.updated",
            "charge.dispute.closed",
            "charge.dispute.funds_reinstated",
        ]
    );
    let object = fake.object(&dispute).unwrap();
    assert_eq!(object["status"], "won");
    let moved: i64 = object["balance_transactions"]
        .as_array()
        .unwrap()
        .iter()
        .map(|row| row["amount"].as_i64().unwrap())
        .sum();
    assert_eq!(moved, 0, "taken and given back");
}

#[tokio::test]
async fn evidence_comes_in_time_or_not_at_all() {
    let fake = fake().await;
    let (intent, _) = bought_pack(&fake).await;
    let dispute = fake.open_dispute(&intent, Some(100)).unwrap();
    fake.advance(days(9) + HOUR).await;
    assert!(fake.submit_evidence(&dispute).is_err());
    let path = format!("/v1/disputes/{dispute}/close");
    assert_eq!(Api::new(&fake).post(&path, &[]).await["status"], "lost");
    let prevented = fake.prevent_dispute(&intent, None).unwrap();
    let object = fake.object(&prevented).unwrap();
    assert_eq!(
        (&object["status"], &object["evidence_details"]["due_by"]),
        (&json!("prevented"), &Value::Null)
    );
    assert_eq!(taken(&fake)[3..], ["charge.dispute.created", "charge.dispute.funds_withdrawn"]);
    assert!(fake.submit_evidence(&prevented).is_err());
}

#[tokio::test]
async fn a_warning_is_spent_by_a_refund() {
    let fake = fake().await;
    let api = Api::new(&fake);
    let (intent, charge) = bought_pack(&fake).await;
    let warning = fake.warn_of_fraud(&intent).unwrap();
    assert_eq!(taken(&fake), ["radar.early_fraud_warning.created"]);
    let shown = api.get(&format!("/v1/radar/early_fraud_warnings/{warning}"), &[]).await;
    assert_eq!((&shown["actionable"], &shown["charge"]), (&json!(true), &json!(charge)));
    fake.refund(&intent, Some(100)).unwrap();
    assert_eq!(fake.object(&warning).unwrap()["actionable"], true, "most of it is still there");
    let _ = fake.take_events();
    fake.refund(&intent, None).unwrap();
    assert_eq!(
        taken(&fake),
        [
            "refund.created",
            "charge.refunded",
            "radar.early_fraud_warning.updated",
            "refund.updated"
        ]
    );
    assert_eq!(fake.object(&warning).unwrap()["actionable"], false);
}

#[tokio::test]
async fn older_versions_do_not_know_who_was_refunded() {
    let fake = fake().await;
    let (intent, _) = bought_pack(&fake).await;
    fake.refund(&intent, None).unwrap();
    let events = fake.take_events();
    let at = |version| {
        let version = ApiVersion::new(version).unwrap();
        events[0].to_json(&version, 0)["data"]["object"].clone()
    };
    assert!(at("2026-10-28.endive").get("payment_method").is_some());
    for old in ["2022-11-15", "2025-08-27.basil", "2026-03-25.dahlia"] {
        assert!(at(old).get("payment_method").is_none() && at(old).get("customer").is_none());
    }
}
