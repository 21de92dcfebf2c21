//! `EventStore` clause 3: `load`.

use std::sync::Arc;

use stripe_billing_core::changes::{Adoption, Changes};
use stripe_billing_core::state::{Links, ObjectKind, ObjectRef};
use stripe_billing_core::store::Commit;

use super::Fixture;
use super::race::insist;
use super::sample::{
    ODD_IDS, at, changes, claim, connected, current, event, invoice, linked_at, live, load,
    load_all, load_with, past, seats, subject, subject_of, subscription, take, take_of, test_mode,
};

/// A subject never stored has version 0 and nothing else, and loading it stores nothing.
pub async fn event_store_3_an_unknown_subject_has_version_0(fixture: &Fixture) {
    let store = fixture.node().as_ref();
    let key = subject("cus_1");
    let wanted = [subscription("sub_1", 1).object()];
    for _ in 0..2 {
        let subject = load_with(store, &key, &wanted).await;
        assert_eq!(subject.key, key);
        assert_eq!(subject.version, 0);
        assert_eq!(subject.links, Links::default());
        assert!(subject.records.is_empty());
    }
}

/// A load brings the current records, and of the others those that were named.
pub async fn event_store_3_current_records_and_named_ones_are_loaded(fixture: &Fixture) {
    let store = fixture.node().as_ref();
    let key = subject("cus_1");
    let held = take(store, "evt_1", at(0)).await;
    let (now, open) = (subscription("sub_1", 1), invoice("in_open", "open"));
    let (paid, older) = (invoice("in_paid", "paid"), invoice("in_older", "paid"));
    let decision = Changes {
        records: vec![current(&now), past(&paid), current(&open), past(&older)],
        ..changes(&key, 0, at(1))
    };
    let done = store.commit(&held.lease, &decision).await.expect("commit");
    assert_eq!(done, Commit::Done);

    let other = fixture.other().as_ref();
    let plain = load(other, &key).await;
    assert_eq!(plain.version, 1);
    let expected = [&now, &open].map(|record| (record.object(), record.clone()));
    assert_eq!(plain.records, expected.into());

    let nowhere = ObjectRef { kind: ObjectKind::Invoice, id: "in_nowhere".to_owned() };
    let another_kind = ObjectRef { kind: ObjectKind::Customer, id: "in_older".to_owned() };
    let named = [paid.object(), now.object(), nowhere, another_kind];
    let named = load_with(other, &key, &named).await;
    let expected = [&now, &open, &paid].map(|record| (record.object(), record.clone()));
    assert_eq!(named.records, expected.into());
}

/// While a subject is written, its version, links and records are always of one commit.
pub async fn event_store_3_version_and_records_are_of_one_instant(fixture: &Fixture) {
    const STEPS: i64 = 40;
    let key = subject("cus_1");
    for n in 0..STEPS {
        let event = event(&format!("evt_{n}"), at(0));
        fixture.node().receive(event).await.expect("receive");
    }
    let claimed = claim(fixture.node().as_ref(), at(1)).await;
    assert_eq!(claimed.len(), 40);
    let (writer, subject) = (Arc::clone(fixture.node()), key.clone());
    let writing = tokio::spawn(async move {
        for (version, event) in (0..).zip(&claimed) {
            let seats = version + 1;
            let decision = Changes {
                links: linked_at("acme", seats),
                records: vec![
                    current(&subscription("sub_1", seats)),
                    past(&subscription("sub_0", seats)),
                ],
                ..changes(&subject, version, at(2))
            };
            let done = insist(|| writer.commit(&event.lease, &decision)).await;
            assert_eq!(done, Commit::Done);
            tokio::task::yield_now().await;
        }
    });
    let past = subscription("sub_0", 1).object();
    let mut version = 0;
    loop {
        let over = writing.is_finished();
        let seen = load_with(fixture.other().as_ref(), &key, std::slice::from_ref(&past)).await;
        assert!(seen.version >= version, "versions grow");
        version = seen.version;
        if version > 0 {
            assert_eq!(seen.links, linked_at("acme", version));
            let expected = [subscription("sub_0", version), subscription("sub_1", version)]
                .map(|record| (record.object(), record));
            assert_eq!(seen.records, expected.into());
        }
        if over {
            break;
        }
    }
    writing.await.expect("the writer ends well");
    assert_eq!(load(fixture.other().as_ref(), &key).await.version, STEPS);
}

/// One customer id in two modes and two Stripe accounts is three subjects.
pub async fn event_store_3_tenants_are_apart(fixture: &Fixture) {
    let store = fixture.node().as_ref();
    let tenants = [live(), test_mode(), connected("acct_1")];
    for (n, tenant) in (1..).zip(&tenants) {
        let key = subject_of(tenant.clone(), "cus_1");
        for version in 0..n {
            let id = format!("evt_{n}_{version}");
            let held = take_of(store, tenant.clone(), &id, at(n * 10 + version)).await;
            let decision = Changes {
                records: vec![current(&subscription("sub_1", n))],
                ..changes(&key, version, at(n * 10 + version))
            };
            let done = store.commit(&held.lease, &decision).await.expect("commit");
            assert_eq!(done, Commit::Done);
        }
    }
    for (n, tenant) in (1..).zip(tenants) {
        let subject = load(store, &subject_of(tenant, "cus_1")).await;
        assert_eq!((subject.version, seats(&subject)), (n, Some(n)));
    }
    let mut elsewhere = connected("acct_1");
    elsewhere.livemode = false;
    assert_eq!(load(store, &subject_of(elsewhere, "cus_1")).await.version, 0);
}

/// Ids of subjects and objects are compared exactly.
pub async fn event_store_3_ids_are_compared_exactly(fixture: &Fixture) {
    let store = fixture.node().as_ref();
    for (n, id) in (1..).zip(ODD_IDS) {
        let held = take(store, &format!("evt_{n}"), at(n)).await;
        let decision = Changes {
            records: vec![current(&subscription("sub_1", n))],
            ..changes(&subject(id), 0, at(n))
        };
        let done = store.commit(&held.lease, &decision).await.expect("commit");
        assert_eq!(done, Commit::Done, "{id:?}");
    }
    for (n, id) in (1..).zip(ODD_IDS) {
        let loaded = load(store, &subject(id)).await;
        assert_eq!(loaded.key.id, id);
        assert_eq!((loaded.version, seats(&loaded)), (1, Some(n)), "{id:?}");
    }

    let held = take(store, "evt_objects", at(100)).await;
    let key = subject("cus_objects");
    let decision = Changes {
        records: ODD_IDS.iter().map(|id| past(&subscription(id, 1))).collect(),
        ..changes(&key, 0, at(100))
    };
    let done = store.commit(&held.lease, &decision).await.expect("commit");
    assert_eq!(done, Commit::Done);
    for id in ODD_IDS {
        let object = subscription(id, 1).object();
        let loaded = load_with(store, &key, std::slice::from_ref(&object)).await;
        let found: Vec<_> = loaded.records.keys().collect();
        assert_eq!(found, [&object], "{id:?}");
    }
}

/// Of several ids those that are stored are loaded, each once: subjects with their current records
/// and those that were named, whichever of them has them; other names with their owner.
pub async fn event_store_3_every_stored_id_is_loaded(fixture: &Fixture) {
    let store = fixture.node().as_ref();
    let decisions = [
        ("cus_1", vec![current(&subscription("sub_1", 1)), past(&invoice("in_1", "paid"))], "pi_1"),
        ("cus_2", vec![past(&invoice("in_1", "open")), past(&invoice("in_2", "open"))], "pi_2"),
        ("cus_3", vec![current(&subscription("sub_3", 1))], "pi_3"),
    ];
    for (n, (customer, records, name)) in (0..).zip(decisions) {
        let held = take(store, &format!("evt_{n}"), at(n)).await;
        let adopted = vec![Adoption {
            id: name.to_owned(),
            expected_version: 0,
            had_state: false,
            links: linked_at("acme", n),
        }];
        let decision = Changes { records, adopted, ..changes(&subject(customer), 0, at(n)) };
        let done = store.commit(&held.lease, &decision).await.expect("commit");
        assert_eq!(done, Commit::Done);
    }
    let other = fixture.other().as_ref();
    let named = [invoice("in_1", "paid").object(), invoice("in_2", "open").object()];
    let ids = ["pi_2", "cus_2", "nobody", "cus_1", "cus_1", "pi_1"];
    let loaded = load_all(other, &live(), &ids, &named).await;
    let found: Vec<_> = loaded
        .iter()
        .map(|it| (it.key.id.as_str(), it.version, it.owner.as_deref(), it.records.len()))
        .collect();
    let expected = [
        ("cus_1", 1, None, 2),
        ("cus_2", 1, None, 2),
        ("pi_1", 1, Some("cus_1"), 0),
        ("pi_2", 1, Some("cus_2"), 0),
    ];
    assert_eq!(found, expected);
    assert_eq!(loaded[2].links, linked_at("acme", 0));
    assert_eq!(loaded[0].records[&named[0]], invoice("in_1", "paid"));
    assert_eq!(loaded[1].records[&named[0]], invoice("in_1", "open"));
    assert!(load_all(other, &live(), &[], &named).await.is_empty());
    assert!(load_all(other, &test_mode(), &ids, &named).await.is_empty());
    let many: Vec<String> = (0..300).map(|n| format!("x_{n}")).collect();
    let mut many: Vec<&str> = many.iter().map(String::as_str).collect();
    many.push("cus_3");
    let named: Vec<_> = (0..300).map(|n| invoice(&format!("in_{n}"), "open").object()).collect();
    assert_eq!(load_all(other, &live(), &many, &named).await.len(), 1);
}
