//! Thin events beside snapshots.

use serde_json::Value;

use crate::support::{Api, Receiver, SECRET, builder};

#[tokio::test]
async fn each_snapshot_has_a_thin_event_that_leads_back_to_it() {
    let (fat, fat_url) = Receiver::start().await;
    let (thin, thin_url) = Receiver::start().await;
    let fake = builder()
        .webhook(&fat_url, SECRET)
        .thin_webhook(&thin_url, SECRET)
        .feature("prod_pro", "exports")
        .start()
        .await
        .unwrap();
    let api = Api::new(&fake);
    let session = api.subscribe_session(&[]).await;
    fake.complete_checkout(
        session["id"].as_str().unwrap(),
        stripe_billing_testing::fake_stripe::Card::Good,
    )
    .unwrap();
    fake.wait_idle().await;
    let (fat, thin) = (fat.all(), thin.all());
    assert_eq!(fat.len(), thin.len());
    for (fat, thin) in fat.iter().zip(&thin) {
        let (fat, sent) = (fat.json(), thin.json());
        assert_eq!(sent["object"], "v2.core.event");
        assert_eq!(sent["type"], format!("v1.{}", fat["type"].as_str().unwrap()));
        assert_ne!(sent["id"], fat["id"]);
        assert_eq!(sent["created"], "2027-01-01T12:00:00.000Z");
        for absent in ["data", "api_version", "pending_webhooks", "snapshot_event"] {
            assert!(sent.get(absent).is_none(), "{absent}");
        }
        let id = sent["id"].as_str().unwrap();
        let fetched = api.get(&format!("/v2/core/events/{id}"), &[]).await;
        assert_eq!(fetched["snapshot_event"], fat["id"]);
        assert_eq!(fetched["type"], sent["type"]);
        let related = &sent["related_object"];
        if fat["data"]["object"].get("id").is_none() {
            assert_eq!(*related, Value::Null, "a summary cannot be fetched");
            continue;
        }
        assert_eq!(related["id"], fat["data"]["object"]["id"]);
        let object = api.get(related["url"].as_str().unwrap(), &[]).await;
        assert_eq!(object["id"], related["id"]);
    }
    assert!(thin.iter().any(|event| event.json()["related_object"].is_null()));
    let missing = api.fails("GET", "/v2/core/events/evt_test_none", &[]).await;
    assert_eq!(missing.status, 404);
}
