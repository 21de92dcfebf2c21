//! What customers may use.

use serde_json::{Value, json};
use stripe_billing_testing::fake_stripe::{Card, NewSubscription};

use crate::support::{Api, builder, json_of, last, taken};

const KIND: &str = "entitlements.active_entitlement_summary.updated";

#[tokio::test]
async fn a_summary_shows_ten_of_twelve_and_the_list_all() {
    let mut builder = builder();
    for number in 1..=12 {
        builder = builder.feature("prod_pro", &format!("feature_{number}"));
    }
    let fake = builder.start().await.unwrap();
    let api = Api::new(&fake);
    let customer = fake.create_customer("ada@example.com", &[]);
    fake.set_card(&customer, Card::Good).unwrap();
    let _ = fake.take_events();
    let sub = fake.create_subscription(NewSubscription::new(&customer, "price_pro")).unwrap();
    let events = fake.take_events();
    assert_eq!(events.last().unwrap().event_type(), KIND, "after the subscription is active");
    let event = json_of(&fake, events.last().unwrap());
    let object = &event["data"]["object"];
    assert!(object.get("id").is_none());
    assert_eq!(object["entitlements"]["data"].as_array().unwrap().len(), 10);
    assert_eq!(object["entitlements"]["has_more"], true);
    assert_eq!(
        event["data"]["previous_attributes"]["entitlements"]["data"],
        json!([]),
        "the old list, whole"
    );
    assert_eq!(events.last().unwrap().object_id(), "");

    let path = "/v1/entitlements/active_entitlements";
    let first = api.get(path, &[("customer", &customer)]).await;
    let last_id = first["data"][9]["id"].as_str().unwrap();
    let rest = api.get(path, &[("customer", &customer), ("starting_after", last_id)]).await;
    assert_eq!((&first["has_more"], &rest["has_more"]), (&json!(true), &json!(false)));
    assert_eq!(rest["data"].as_array().unwrap().len(), 2);
    assert_eq!(rest["data"][1]["lookup_key"], "feature_12");
    assert_eq!(api.fails("GET", path, &[]).await.json()["error"]["param"], "customer");
    assert_eq!(api.fails("GET", path, &[("customer", "cus_none")]).await.status, 400);

    fake.cancel_now(&sub).unwrap();
    assert_eq!(taken(&fake), ["customer.subscription.deleted", KIND]);
    let ended = last(&fake, KIND);
    assert_eq!(ended["data"]["object"]["entitlements"]["data"], json!([]));
    assert_eq!(api.get(path, &[("customer", &customer)]).await["data"], json!([]));
}

#[tokio::test]
async fn only_a_change_of_what_may_be_used_is_reported() {
    let fake = builder()
        .feature("prod_pro", "exports")
        .feature("prod_team", "exports")
        .start()
        .await
        .unwrap();
    let customer = fake.create_customer("ada@example.com", &[]);
    fake.set_card(&customer, Card::Good).unwrap();
    let sub = fake.create_subscription(NewSubscription::new(&customer, "price_pro")).unwrap();
    let _ = fake.take_events();
    let item = fake.object(&sub).unwrap()["items"]["data"][0]["id"].as_str().unwrap().to_owned();
    let path = format!("/v1/subscriptions/{sub}");
    let change = [("items[0][id]", item.as_str()), ("items[0][price]", "price_team")];
    Api::new(&fake).post(&path, &change).await;
    assert!(!taken(&fake).contains(&KIND), "both plans have the feature");
    fake.add_feature("prod_team", "sso");
    assert_eq!(taken(&fake), [KIND]);
    let keys: Vec<Value> = last(&fake, KIND)["data"]["object"]["entitlements"]["data"]
        .as_array()
        .unwrap()
        .iter()
        .map(|row| row["lookup_key"].clone())
        .collect();
    assert_eq!(keys, [json!("exports"), json!("sso")]);
}
