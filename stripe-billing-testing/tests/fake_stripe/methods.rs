//! What happens to a payment method after it was attached.

use serde_json::{Value, json};
use stripe_billing_testing::fake_stripe::Card;

use crate::support::{Api, fake, last, subscriber, taken};

#[tokio::test]
async fn a_card_is_corrected_by_people_and_by_its_network() {
    let fake = fake().await;
    let api = Api::new(&fake);
    let customer = fake.create_customer("ada@example.com", &[]);
    let method = fake.set_card(&customer, Card::Good).unwrap();
    let _ = fake.take_events();
    let path = format!("/v1/payment_methods/{method}");
    let corrected = api.post(&path, &[("card[exp_year]", "2030")]).await;
    assert_eq!(
        (&corrected["card"]["exp_month"], &corrected["card"]["exp_year"]),
        (&json!(12), &json!(2030))
    );
    let event = last(&fake, "payment_method.updated");
    assert_eq!(event["data"]["previous_attributes"], json!({ "card": { "exp_year": 2034 } }));
    fake.renew_payment_method(&method, (6, 2036)).unwrap();
    fake.renew_payment_method(&method, (6, 2036)).unwrap();
    assert_eq!(
        taken(&fake),
        ["payment_method.updated", "payment_method.automatically_updated"],
        "nothing changed the second time"
    );
    fake.update_payment_method(&method, (7, 2036)).unwrap();
    assert_eq!(fake.object(&method).unwrap()["card"]["exp_month"], 7);
    assert!(fake.update_payment_method("pm_none", (7, 2036)).is_err());
}

#[tokio::test]
async fn a_detached_card_belongs_to_nobody_and_pays_nothing() {
    let fake = fake().await;
    let api = Api::new(&fake);
    let (customer, _) = subscriber(&fake, Card::Good);
    let method = fake.object(&customer).unwrap()["invoice_settings"]["default_payment_method"]
        .as_str()
        .unwrap()
        .to_owned();
    let gone = api.post(&format!("/v1/payment_methods/{method}/detach"), &[]).await;
    assert_eq!(gone["customer"], Value::Null);
    assert_eq!(taken(&fake), ["payment_method.detached", "customer.updated"]);
    let event = last(&fake, "payment_method.detached");
    assert_eq!(event["data"]["previous_attributes"], json!({ "customer": customer }));
    let default = &fake.object(&customer).unwrap()["invoice_settings"]["default_payment_method"];
    assert_eq!(*default, Value::Null);
    let list = api.get("/v1/payment_methods", &[("customer", &customer)]).await;
    assert_eq!(list["data"], json!([]));
    assert!(fake.detach_payment_method(&method).is_err());
}
