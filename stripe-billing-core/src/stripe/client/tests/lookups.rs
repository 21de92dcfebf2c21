//! The calls that look up what an event does not say.

use std::sync::Arc;

use serde_json::json;

use super::client;
use super::server::{Answer, Server};
use super::wire::{line, stripe};
use crate::stripe::{
    ListActiveEntitlements, ListInvoicePayments, ListOf, Resource, StripeApi, StripeErrorKind,
};

#[tokio::test]
async fn retrieve_object_of_each_kind() {
    let answer = json!({ "id": "x_1", "object": "x", "a_field_of_2031": [1, null] });
    let (server, client) = stripe(answer.clone()).await;
    let rows = [
        (Resource::Customer, "/v1/customers/x_1"),
        (Resource::Subscription, "/v1/subscriptions/x_1"),
        (Resource::Invoice, "/v1/invoices/x_1"),
        (Resource::CheckoutSession, "/v1/checkout/sessions/x_1"),
        (Resource::PaymentIntent, "/v1/payment_intents/x_1"),
        (Resource::Charge, "/v1/charges/x_1"),
        (Resource::Refund, "/v1/refunds/x_1"),
        (Resource::Dispute, "/v1/disputes/x_1"),
        (Resource::PaymentMethod, "/v1/payment_methods/x_1"),
    ];
    for (number, (resource, path)) in rows.into_iter().enumerate() {
        assert_eq!(client.retrieve_object(resource, "x_1").await.unwrap(), answer);
        let seen = &server.seen()[number];
        assert_eq!(line(seen), format!("GET {path}"));
        assert_eq!((seen.body.as_str(), seen.header("idempotency-key")), ("", None));
    }
}

#[tokio::test]
async fn an_object_without_an_id_is_no_answer() {
    for answer in [json!([]), json!({ "object": "charge" }), json!({ "id": 7 }), json!(null)] {
        let (_server, client) = stripe(answer.clone()).await;
        let error = client.retrieve_object(Resource::Charge, "ch_1").await.unwrap_err();
        assert_eq!(error.kind(), &StripeErrorKind::Decode, "{answer}");
    }
}

#[tokio::test]
async fn an_object_that_is_not_there() {
    let body = json!({ "error": { "type": "invalid_request_error", "code": "resource_missing" } });
    let server = Server::start([Answer::new(404, body.to_string())]).await;
    let error = client(&server).retrieve_object(Resource::Refund, "re_1").await.unwrap_err();
    assert_eq!(error.kind(), &StripeErrorKind::NotFound);
}

#[tokio::test]
async fn list_active_entitlements() {
    let found = json!({ "id": "ent_1", "object": "entitlements.active_entitlement",
        "feature": { "id": "feat_1" }, "lookup_key": "seats", "livemode": true });
    let (server, client) = stripe(json!({ "data": [found], "has_more": true })).await;
    let request = ListActiveEntitlements::new("cus_1").with_limit(100).with_starting_after("ent_0");
    let page = client.list_active_entitlements(&request).await.unwrap();
    client.list_active_entitlements(&ListActiveEntitlements::new("cus_1")).await.unwrap();
    let seen = server.seen();
    assert_eq!(
        line(&seen[0]),
        "GET /v1/entitlements/active_entitlements?customer=cus_1&limit=100&starting_after=ent_0"
    );
    assert_eq!(line(&seen[1]), "GET /v1/entitlements/active_entitlements?customer=cus_1");
    let entitlement = &page.data[0];
    assert_eq!((entitlement.id.as_str(), entitlement.lookup_key.as_str()), ("ent_1", "seats"));
    assert_eq!(entitlement.feature.as_deref(), Some("feat_1"));
    assert_eq!((entitlement.livemode, &entitlement.raw), (true, &found));
    assert!(page.has_more);
}

#[tokio::test]
async fn an_entitlement_without_a_key_is_an_error() {
    let page = json!({ "data": [{ "id": "ent_1", "lookup_key": null }], "has_more": false });
    let (_server, client) = stripe(page).await;
    let request = ListActiveEntitlements::new("cus_1");
    let error = client.list_active_entitlements(&request).await.unwrap_err();
    assert_eq!(error.kind(), &StripeErrorKind::Decode, "a feature left out would be taken away");
}

#[tokio::test]
async fn list_invoice_payments() {
    let found = json!({ "id": "inpay_1", "invoice": { "id": "in_1" }, "status": "paid",
        "payment": { "type": "payment_intent", "payment_intent": "pi_1" } });
    let by_charge = json!({ "id": "inpay_2", "invoice": "in_1",
        "payment": { "type": "charge", "charge": "ch_1" } });
    let bare = json!({ "id": "inpay_3", "payment": null });
    let (server, client) =
        stripe(json!({ "data": [found, by_charge, bare], "has_more": false })).await;
    let request = ListInvoicePayments::for_payment_intent("pi_1").with_limit(1);
    let page = client.list_invoice_payments(&request).await.unwrap();
    let request = ListInvoicePayments::for_invoice("in_1").with_starting_after("inpay_0");
    client.list_invoice_payments(&request).await.unwrap();
    let seen = server.seen();
    assert_eq!(
        line(&seen[0]),
        "GET /v1/invoice_payments?payment[type]=payment_intent&payment[payment_intent]=pi_1\
         &limit=1"
    );
    assert_eq!(line(&seen[1]), "GET /v1/invoice_payments?invoice=in_1&starting_after=inpay_0");
    let [intent, charge, bare] = &page.data[..] else { panic!("{page:?}") };
    assert_eq!((intent.invoice.as_deref(), intent.charge.as_deref()), (Some("in_1"), None));
    assert_eq!(intent.payment_intent.as_deref(), Some("pi_1"));
    assert_eq!((intent.status.as_deref(), &intent.raw), (Some("paid"), &found));
    assert_eq!((charge.charge.as_deref(), charge.payment_intent.as_deref()), (Some("ch_1"), None));
    assert_eq!((bare.invoice.as_deref(), bare.payment_intent.as_deref()), (None, None));
}

#[tokio::test]
async fn lists_beyond_the_first_page() {
    let entries = json!([{ "id": "si_2", "quantity": 1 }, { "id": "si_3" }]);
    let (server, client) = stripe(json!({ "data": entries, "has_more": true })).await;
    let items = ListOf::new("sub_1").with_starting_after("si_1").with_limit(2);
    let page = client.list_subscription_items(&items).await.unwrap();
    assert_eq!((json!(page.data), page.has_more), (entries.clone(), true));
    let lines = ListOf::new("in_1").with_starting_after("il_10");
    assert_eq!(client.list_invoice_lines(&lines).await.unwrap(), page);
    let seen = server.seen();
    assert_eq!(
        line(&seen[0]),
        "GET /v1/subscription_items?subscription=sub_1&limit=2&starting_after=si_1"
    );
    assert_eq!(line(&seen[1]), "GET /v1/invoices/in_1/lines?starting_after=il_10");
}

#[tokio::test]
async fn a_raw_page_with_a_hole_is_an_error() {
    let (_server, client) = stripe(json!({ "data": [{ "id": "si_1" }, {}] })).await;
    let errors = [
        client.list_subscription_items(&ListOf::new("sub_1")).await.unwrap_err(),
        client.list_invoice_lines(&ListOf::new("in_1")).await.unwrap_err(),
    ];
    for error in errors {
        assert_eq!(error.kind(), &StripeErrorKind::Decode);
    }
}

#[tokio::test]
async fn retrieve_event_notification() {
    let answer = json!({ "id": "evt_1", "object": "v2.core.event", "type": "v1.invoice.paid",
        "created": "2026-03-09T13:00:28.435Z", "livemode": true, "snapshot_event": "evt_2",
        "related_object": { "id": "in_1", "type": "invoice", "url": "/v1/invoices/in_1" },
        "data": {} });
    let (server, client) = stripe(answer.clone()).await;
    let event = client.retrieve_event_notification("evt_1").await.unwrap();
    let seen = server.only();
    assert_eq!(line(&seen), "GET /v2/core/events/evt_1");
    assert_eq!(seen.header("stripe-version"), Some(crate::stripe::API_VERSION));
    assert_eq!((event.id.as_str(), event.event_type.as_str()), ("evt_1", "v1.invoice.paid"));
    assert_eq!((event.created, event.livemode), (1_773_061_228, true));
    assert_eq!(event.snapshot_event.as_deref(), Some("evt_2"));
    let related = event.related_object.unwrap();
    assert_eq!((related.id.as_str(), related.object_type.as_str()), ("in_1", "invoice"));
    assert_eq!(related.url.as_deref(), Some("/v1/invoices/in_1"));
    assert_eq!(event.raw, answer);
}

#[tokio::test]
async fn an_event_notification_needs_a_time_and_little_else() {
    let event = |created| json!({ "id": "evt_1", "type": "v2.x", "created": created });
    let (_server, client) = stripe(event(json!("2026-03-09T13:00:28Z"))).await;
    let read = client.retrieve_event_notification("evt_1").await.unwrap();
    assert_eq!((read.snapshot_event, read.related_object, read.livemode), (None, None, false));
    for created in [json!("soon"), json!(1_700_000_000), json!(null)] {
        let (_server, client) = stripe(event(created)).await;
        let error = client.retrieve_event_notification("evt_1").await.unwrap_err();
        assert_eq!(error.kind(), &StripeErrorKind::Decode);
    }
}

#[tokio::test]
async fn an_empty_id_looks_nothing_up() {
    let (server, client) = stripe(json!({ "id": "x", "data": [] })).await;
    let entitlements = ListActiveEntitlements::new("");
    let errors = [
        client.retrieve_object(Resource::Customer, "").await.unwrap_err(),
        client.retrieve_event_notification("..").await.unwrap_err(),
        client.list_active_entitlements(&entitlements).await.unwrap_err(),
        client.list_invoice_payments(&ListInvoicePayments::for_invoice("")).await.unwrap_err(),
        client
            .list_invoice_payments(&ListInvoicePayments::for_payment_intent(""))
            .await
            .unwrap_err(),
        client.list_subscription_items(&ListOf::new("")).await.unwrap_err(),
        client.list_invoice_lines(&ListOf::new("")).await.unwrap_err(),
    ];
    for error in errors {
        assert_eq!(error.kind(), &StripeErrorKind::InvalidRequest);
    }
    assert!(server.seen().is_empty(), "a list of all customers' payments is never asked for");
}

#[tokio::test]
async fn a_shared_client_looks_up_as_well() {
    let (server, client) = stripe(json!({ "id": "ch_1" })).await;
    let shared: Arc<dyn StripeApi> = Arc::new(client.clone());
    shared.for_account("acct_1").retrieve_object(Resource::Charge, "ch_1").await.unwrap();
    let boxed: Box<dyn StripeApi> = Box::new(shared);
    boxed.retrieve_object(Resource::Refund, "re_1").await.unwrap();
    let seen = server.seen();
    assert_eq!(seen[0].header("stripe-account"), Some("acct_1"));
    assert_eq!(line(&seen[1]), "GET /v1/refunds/re_1");
}
