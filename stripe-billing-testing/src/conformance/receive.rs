//! `EventStore` clause 1: `receive`.

use std::collections::BTreeSet;
use std::sync::Arc;

use bytes::Bytes;
use chrono::TimeDelta;
use stripe_billing_core::EventKey;
use stripe_billing_core::changes::{Effects, Settlement};
use stripe_billing_core::store::{Receipt, ReceivedEvent, Settled};
use stripe_billing_core::webhook::EventKind;

use super::Fixture;
use super::race::{insist, race};
use super::sample::{
    ODD_IDS, at, claim, connected, event, event_of, live, summary, take, test_mode,
};

const SAME: Receipt = Receipt::Duplicate { differs: false };
const DIFFERS: Receipt = Receipt::Duplicate { differs: true };

/// An event is stored once per Stripe account, mode and id; the same id elsewhere is another event.
pub async fn event_store_1_receive_is_idempotent_by_account_mode_and_id(fixture: &Fixture) {
    let mut connected_test = connected("acct_1");
    connected_test.livemode = false;
    let tenants = [live(), test_mode(), connected("acct_1"), connected_test, connected("acct_2")];
    for tenant in &tenants {
        let event = event_of(tenant.clone(), "evt_1", at(0));
        let first = fixture.node().receive(event.clone()).await.expect("receive");
        assert_eq!(first, Receipt::Stored, "{tenant}");
        for node in [fixture.node(), fixture.other()] {
            let again = node.receive(event.clone()).await.expect("receive");
            assert_eq!(again, SAME, "{tenant}");
        }
    }
    let claimed = claim(fixture.other().as_ref(), at(1)).await;
    let stored: Vec<_> = claimed.iter().map(|one| &one.event.key.tenant).collect();
    assert_eq!(stored.len(), tenants.len());
    assert_eq!(stored.into_iter().collect::<BTreeSet<_>>(), tenants.iter().collect());
}

/// Of fifty simultaneous deliveries through two nodes one is stored; the others are duplicates.
pub async fn event_store_1_simultaneous_receives_store_one_event(fixture: &Fixture) {
    for tenant in [live(), connected("acct_1")] {
        let event = event_of(tenant, "evt_1", at(0));
        let receipts = race(50, |number| {
            let (node, event) = (fixture.turn(number), event.clone());
            async move { insist(|| node.receive(event.clone())).await }
        })
        .await;
        let stored = receipts.iter().filter(|it| **it == Receipt::Stored).count();
        let same = receipts.iter().filter(|it| **it == SAME).count();
        assert_eq!((stored, same), (1, 49));
    }
    assert_eq!(claim(fixture.node().as_ref(), at(1)).await.len(), 2);
}

/// The same id with other content is a duplicate that is flagged; the first content stays. The
/// count of pending deliveries and the layout are not content.
pub async fn event_store_1_other_content_is_flagged_and_delivery_counts_are_not(fixture: &Fixture) {
    let store = fixture.node().as_ref();
    let body = |amount: u32, pending: u32| {
        Bytes::from(format!(
            r#"{{"id": "evt_1", "type": "invoice.paid", "pending_webhooks": {pending},
                "data": {{"object": {{"id": "in_1", "total": {amount}}}}}}}"#
        ))
    };
    let with = |payload: Bytes| ReceivedEvent { payload, ..event("evt_1", at(0)) };
    let first = store.receive(with(body(1_500, 2))).await.expect("receive");
    assert_eq!(first, Receipt::Stored);
    for harmless in [
        body(1_500, 1),
        Bytes::from_static(
            br#"{"data":{"object":{"total":1500,"id":"in_1"}},"type":"invoice.paid","id":"evt_1"}"#,
        ),
    ] {
        let again = store.receive(with(harmless)).await.expect("receive");
        assert_eq!(again, SAME);
        assert!(!summary(store, "evt_1").await.differs);
    }
    let other = store.receive(with(body(99, 2))).await.expect("receive");
    assert_eq!(other, DIFFERS);
    assert!(summary(store, "evt_1").await.differs);

    let again = store.receive(with(body(1_500, 2))).await.expect("receive");
    assert_eq!(again, SAME);
    assert!(summary(store, "evt_1").await.differs, "the flag stays");
    let claimed = claim(store, at(1)).await;
    assert_eq!(claimed.len(), 1);
    assert_eq!(claimed[0].event.payload, body(1_500, 2));
}

/// Every field of an event comes back as it was, its body byte for byte.
pub async fn event_store_1_an_event_comes_back_exactly(fixture: &Fixture) {
    let base = event("evt_plain", at(0));
    let with = |id: &str, payload: Bytes| ReceivedEvent {
        key: EventKey { id: id.to_owned(), ..base.key.clone() },
        payload,
        ..base.clone()
    };
    let long = format!(r#"{{"id":"evt_long","note":"{}"}}"#, "naïve ☃ 😀 ".repeat(13_000));
    assert!(long.len() > 200_000);
    let odd = "{ \"b\":1,\t\"a\": 1.50,\r\n \"a\":1e2, \"nul\":\"\\u0000\", \"q\":\"'%_\\\\\" }\n";
    let events = [
        base.clone(),
        with("evt_long", long.into()),
        with("evt_odd", odd.into()),
        ReceivedEvent {
            kind: EventKind::Thin,
            event_type: "v1.customer.subscription.updated".to_owned(),
            api_version: None,
            created: 1_700_000_000,
            received_at: at(0) + TimeDelta::milliseconds(123),
            ..event_of(connected("acct_1"), "evt_thin", at(0))
        },
    ];
    for event in &events {
        let receipt = fixture.node().receive(event.clone()).await.expect("receive");
        assert_eq!(receipt, Receipt::Stored);
    }
    let claimed = claim(fixture.other().as_ref(), at(1)).await;
    assert_eq!(claimed.len(), events.len());
    for event in &events {
        let found = claimed.iter().find(|it| it.event.key == event.key);
        assert_eq!(found.map(|it| &it.event), Some(event));
    }
}

/// Ids that differ in case, accents, spaces or emoji are different; none is code.
pub async fn event_store_1_ids_are_compared_exactly(fixture: &Fixture) {
    let long = "x".repeat(255);
    let all = || ODD_IDS.into_iter().chain([long.as_str()]);
    for id in all() {
        let receipt = fixture.node().receive(event(id, at(0))).await;
        assert_eq!(receipt.expect("receive"), Receipt::Stored, "{id:?}");
    }
    for id in all() {
        let receipt = fixture.node().receive(event(id, at(0))).await;
        assert_eq!(receipt.expect("receive"), SAME, "{id:?}");
    }
    let accounts = ["acct_a", "acct_A", "acct_a ", "acct_🎉", "acct_🎊"];
    for account in accounts {
        let event = event_of(connected(account), "x_a", at(0));
        let receipt = fixture.node().receive(event).await.expect("receive");
        assert_eq!(receipt, Receipt::Stored, "{account:?}");
    }
    let claimed = claim(fixture.node().as_ref(), at(1)).await;
    let stored: BTreeSet<_> = claimed.iter().map(|one| one.event.key.clone()).collect();
    assert_eq!(stored.len(), ODD_IDS.len() + 1 + accounts.len());
    for id in all() {
        let key = event(id, at(0)).key;
        assert!(stored.contains(&key), "{id:?} comes back");
    }
}

/// An event that comes again, even after it is settled, is neither due again nor taken from the
/// worker that holds it.
pub async fn event_store_1_a_duplicate_changes_nothing(fixture: &Fixture) {
    let store = fixture.node().as_ref();
    let held = take(store, "evt_1", at(0)).await;
    let again = store.receive(event("evt_1", at(5))).await.expect("receive");
    assert!(matches!(again, Receipt::Duplicate { .. }));
    assert!(claim(store, at(6)).await.is_empty());
    let settled = Settled {
        settlement: Settlement::Processed,
        subject: None,
        effects: Effects::default(),
        now: at(7),
    };
    let settled = store.settle(&held.lease, &settled).await.expect("settle");
    assert!(settled, "the lease still holds");

    let other = Arc::clone(fixture.other());
    let late = other.receive(event("evt_1", at(86_400 * 400))).await;
    assert!(matches!(late.expect("receive"), Receipt::Duplicate { .. }));
    assert!(claim(store, at(86_400 * 401)).await.is_empty());
    let summary = summary(store, "evt_1").await;
    assert_eq!(summary.status, "processed");
    assert_eq!(summary.received_at, at(0));
}
