//! `EventStore` clause 11: `commit_all`.

use std::collections::BTreeMap;

use stripe_billing_core::Tenant;
use stripe_billing_core::changes::{
    Adoption, Changes, Effects, IgnoreReason, OutboxEntry, ParkReason, Settlement,
};
use stripe_billing_core::notice::NoticeKind;
use stripe_billing_core::queue::Lease;
use stripe_billing_core::store::{AuditQuery, Commit, Decided, EventQuery, Store};

use super::Fixture;
use super::race::{insist, race};
use super::sample::{
    at, audited, changes, claim, claim_outbox, connected, current, event_of, invoice, linked,
    linking, live, load, load_all, notice, paid, past, retake, seats, started, subject, subject_of,
    subscription, summary, telling, test_mode,
};

/// Receives an event for each decision, and claims them.
async fn leases(store: &dyn Store, decisions: &[Changes]) -> Vec<Lease> {
    leases_from(store, decisions, 0).await
}

/// The same, with ids from a number on.
async fn leases_from(store: &dyn Store, decisions: &[Changes], first: usize) -> Vec<Lease> {
    let id = |number: usize| format!("evt_{:02}", first + number);
    for (number, decision) in decisions.iter().enumerate() {
        let event = event_of(decision.subject.tenant.clone(), &id(number), at(0));
        store.receive(event).await.expect("receive");
    }
    let claimed = claim(store, at(0)).await;
    let by_id: BTreeMap<_, _> =
        claimed.into_iter().map(|held| (held.event.key.id, held.lease)).collect();
    (0..decisions.len()).map(|number| by_id[&id(number)].clone()).collect()
}

fn decided<'a>(leases: &'a [Lease], decisions: &'a [Changes]) -> Vec<Decided<'a>> {
    let pairs = leases.iter().zip(decisions);
    pairs.map(|(lease, changes)| Decided { lease, changes }).collect()
}

async fn commit_all(store: &dyn Store, decided: &[Decided<'_>]) -> usize {
    store.commit_all(decided).await.expect("commit_all")
}

/// As often as something is written; how many were in the end.
async fn all_of(store: &dyn Store, decided: &[Decided<'_>]) -> usize {
    let mut written = 0;
    loop {
        match commit_all(store, &decided[written..]).await {
            0 => return written,
            more => written += more,
        }
    }
}

/// Decisions of three customers in turns: new ones and later ones, names, messages that are told
/// again, events that end in different ways.
fn story(tenant: &Tenant) -> Vec<Changes> {
    let key = |id: &str| subject_of(tenant.clone(), id);
    let (one, two, three) = (key("cus_1"), key("cus_2"), key("cus_3"));
    let name = Adoption {
        id: "pi_1".to_owned(),
        expected_version: 0,
        had_state: false,
        links: linked("of pi_1"),
    };
    let later = OutboxEntry { due: Some(at(500)), ..notice(NoticeKind::Receipt, "in_1", "new") };
    vec![
        Changes {
            records: vec![current(&subscription("sub_1", 1))],
            effects: Effects { audit: vec![audited("first")], ..telling(vec![started("sub_1")]) },
            ..linking(&one, 0, "acme", at(1))
        },
        Changes {
            records: vec![current(&invoice("in_2", "open"))],
            settlement: Settlement::Parked(ParkReason::Unlinked),
            ..changes(&two, 0, at(2))
        },
        Changes {
            records: vec![current(&subscription("sub_1", 5)), current(&invoice("in_1", "open"))],
            adopted: vec![name],
            effects: Effects {
                audit: vec![audited("second"), audited("third")],
                ..telling(vec![started("sub_1"), paid("in_1", 900), later])
            },
            ..linking(&one, 1, "acme", at(3))
        },
        Changes {
            settlement: Settlement::Ignored(IgnoreReason::Superseded),
            anomalies: vec!["period".to_owned(), "amount".to_owned()],
            ..changes(&three, 0, at(4))
        },
        Changes {
            release_parked: true,
            records: vec![current(&subscription("sub_2", 2))],
            ..linking(&two, 1, "umbrella", at(5))
        },
        Changes {
            records: vec![past(&invoice("in_1", "paid"))],
            ..linking(&one, 2, "acme", at(6))
        },
    ]
}

/// All that a [`story`] leaves, but for the tenant.
async fn left(store: &dyn Store, tenant: &Tenant) -> Vec<String> {
    let objects = [invoice("in_1", "paid").object(), invoice("in_2", "open").object()];
    let ids = ["cus_1", "cus_2", "cus_3", "pi_1"];
    let subjects = load_all(store, tenant, &ids, &objects).await;
    let mut left: Vec<String> = subjects
        .iter()
        .map(|it| {
            format!("{} {} {:?} {:?} {:?}", it.key.id, it.version, it.owner, it.links, it.records)
        })
        .collect();
    left.sort();
    let query = EventQuery { limit: 100, ..EventQuery::default() };
    let mut events = store.events(&query).await.expect("events");
    events.retain(|event| event.key.tenant == *tenant);
    events.sort_by(|a, b| a.key.id.cmp(&b.key.id));
    left.extend(events.iter().map(|event| {
        let ended = (&event.status, &event.reason, &event.subject, &event.anomalies);
        format!("{} {ended:?} {:?}", event.key.id, event.due_at)
    }));
    let query = AuditQuery { limit: 100, ..AuditQuery::default() };
    let lines = store.audit(&query).await.expect("audit");
    let lines = lines.iter().rev().filter(|line| line.subject.tenant == *tenant);
    left.extend(lines.map(|line| format!("{} {} {:?}", line.at, line.subject.id, line.entry)));
    left
}

/// What is written together is what would be written one after the other, to the last column.
pub async fn event_store_11_together_is_one_after_the_other(fixture: &Fixture) {
    let store = fixture.node().as_ref();
    let (together, each) = (story(&live()), story(&test_mode()));
    let held = leases(store, &together).await;
    assert_eq!(all_of(store, &decided(&held, &together)).await, together.len());

    let held = leases(store, &each).await;
    for (lease, decision) in held.iter().zip(&each) {
        assert_eq!(store.commit(lease, decision).await.expect("commit"), Commit::Done);
    }
    let other = fixture.other().as_ref();
    let expected = left(other, &test_mode()).await;
    assert_eq!(left(other, &live()).await, expected);
    assert_eq!(expected.len(), 4 + 6 + 3, "{expected:#?}");

    let mut facts = claim_outbox(other, at(600)).await;
    facts.sort_by_key(|fact| (fact.subject.tenant.livemode, fact.entry.key.clone()));
    let told: Vec<_> =
        facts.iter().map(|it| (&it.entry, &it.subject.id, it.account.clone())).collect();
    assert_eq!(told.len(), 6);
    assert_eq!(told[..3], told[3..]);
    // What was parked before its subject was linked is due again, and only that.
    let due = claim(other, at(600)).await;
    let due: Vec<_> = due.iter().map(|held| held.event.key.id.as_str()).collect();
    assert_eq!(due, ["evt_01", "evt_01"]);
}

/// Of two tenants in turns, with the same ids, each has what it would have alone.
pub async fn event_store_11_tenants_are_apart(fixture: &Fixture) {
    let (store, other) = (fixture.node().as_ref(), fixture.other().as_ref());
    let stories = story(&live()).into_iter().zip(story(&test_mode()));
    let decisions: Vec<Changes> = stories.flat_map(|(live, test)| [live, test]).collect();
    let held = leases(store, &decisions).await;
    assert_eq!(all_of(store, &decided(&held, &decisions)).await, decisions.len());

    let alone = story(&connected("acct_1"));
    let held = leases_from(store, &alone, decisions.len()).await;
    assert_eq!(all_of(store, &decided(&held, &alone)).await, alone.len());
    let without_event_ids = |lines: Vec<String>| -> Vec<String> {
        let id = |line: String| match line.split_once(' ') {
            Some((first, rest)) if first.starts_with("evt_") => rest.to_owned(),
            _ => line,
        };
        lines.into_iter().map(id).collect()
    };
    let expected = without_event_ids(left(other, &connected("acct_1")).await);
    assert_eq!(expected.len(), 4 + 6 + 3, "{expected:#?}");
    assert_eq!(without_event_ids(left(other, &live()).await), expected);
    assert_eq!(without_event_ids(left(other, &test_mode()).await), expected);
}

/// Writes five decisions of which the third is spoiled. What is said to be written is, and from the
/// third on nothing is.
async fn refused(fixture: &Fixture, spoil: impl FnOnce(&mut Lease, &mut Changes)) {
    let (store, other) = (fixture.node().as_ref(), fixture.other().as_ref());
    let one = |number: i64, version: i64| Changes {
        records: vec![current(&subscription("sub_1", number + 1))],
        ..changes(&subject(&format!("cus_{number}")), version, at(1))
    };
    let mut decisions = [one(0, 0), one(1, 0), one(2, 0), one(3, 0), one(3, 1)];
    let mut held = leases(store, &decisions).await;
    let third = (held[2].clone(), decisions[2].clone());
    spoil(&mut held[2], &mut decisions[2]);
    let written = all_of(store, &decided(&held, &decisions)).await;
    assert!(written <= 2, "{written}");
    for number in 0..4 {
        let is_written = number < written;
        let id = format!("evt_{number:02}");
        let status = if is_written { "processed" } else { "processing" };
        assert_eq!(summary(other, &id).await.status, status, "{id}");
        let known = load(other, &subject(&format!("cus_{number}"))).await;
        assert_eq!(known.version, i64::from(is_written), "cus_{number}");
        assert_eq!(seats(&known), i64::try_from(number + 1).ok().filter(|_| is_written));
    }
    (held[2], decisions[2]) = third;
    let rest = decided(&held[written..], &decisions[written..]);
    assert_eq!(all_of(store, &rest).await, 5 - written);
    assert_eq!(load(other, &subject("cus_3")).await.version, 2);
    assert_eq!(commit_all(store, &[]).await, 0);
}

/// From one whose version has moved on nothing is written.
pub async fn event_store_11_another_version_is_refused_with_what_follows(fixture: &Fixture) {
    refused(fixture, |_, changes| changes.expected_version = 7).await;
}

/// From one whose lease was taken over on nothing is written.
pub async fn event_store_11_a_lost_lease_is_refused_with_what_follows(fixture: &Fixture) {
    refused(fixture, |lease, _| lease.epoch += 1).await;
}

/// A message that was told in other words before keeps its decision, and what comes after it, from
/// being written.
pub async fn event_store_11_another_fact_under_the_key_is_refused(fixture: &Fixture) {
    let (store, other) = (fixture.node().as_ref(), fixture.other().as_ref());
    let telling = |id: &str, total: i64| Changes {
        effects: telling(vec![paid("in_1", total)]),
        ..changes(&subject(id), 0, at(1))
    };
    // Among themselves, and against what is stored.
    let decisions =
        [telling("cus_1", 5), telling("cus_2", 6), telling("cus_3", 7), telling("cus_4", 5)];
    let held = leases(store, &decisions).await;
    // A backend may say why, or write those before it.
    let written = match store.commit_all(&decided(&held, &decisions)).await {
        Ok(written) => written,
        Err(error) => usize::from(error.reused_key() != Some("invoice_paid:in_1")),
    };
    assert!(written <= 1, "{written}");
    if written == 0 {
        let first = store.commit(&held[0], &decisions[0]).await;
        assert_eq!(first.expect("nothing was written"), Commit::Done);
    }
    let refused = store.commit_all(&decided(&held[1..], &decisions[1..])).await;
    assert!(!matches!(refused, Ok(1..)), "{refused:?}");
    for id in ["cus_2", "cus_3", "cus_4"] {
        assert_eq!(load(other, &subject(id)).await.version, 0, "{id}");
    }
    let same = store.commit_all(&decided(&held[3..], &decisions[3..])).await;
    assert_eq!(same.expect("the same message is no error"), 1);
    assert_eq!(claim_outbox(other, at(2)).await.len(), 1);
}

/// Two nodes that write to the same subjects at the same moment: each event counts once, and no
/// decision on a version that has moved.
pub async fn event_store_11_simultaneous_writes_count_once(fixture: &Fixture) {
    let store = fixture.node().as_ref();
    for round in 0..4_i64 {
        let decisions: Vec<Changes> = (0..16)
            .map(|number| changes(&subject(&format!("cus_{}", number % 8)), round, at(round)))
            .collect();
        for number in 0..16 {
            let event = event_of(live(), &format!("evt_{round}_{number:02}"), at(round));
            store.receive(event).await.expect("receive");
        }
        let mut claimed = claim(store, at(round)).await;
        claimed.sort_by(|a, b| a.event.key.id.cmp(&b.event.key.id));
        let held: Vec<Lease> = claimed.into_iter().map(|held| held.lease).collect();
        assert_eq!(held.len(), 16);
        let written = race(2, |number| {
            let node = fixture.turn(number);
            let range = number * 8..number * 8 + 8;
            let (mut held, mut decisions) =
                (held[range.clone()].to_vec(), decisions[range].to_vec());
            if number == 1 {
                held.reverse();
                decisions.reverse();
            }
            async move {
                let decided = decided(&held, &decisions);
                insist(|| node.commit_all(&decided)).await
            }
        })
        .await;
        assert!(written.iter().sum::<usize>() <= 8, "{written:?}");
        let mut done = 0;
        for number in 0..8 {
            let known = load(store, &subject(&format!("cus_{number}"))).await;
            done += usize::from(known.version == round + 1);
        }
        assert_eq!(done, written.iter().sum::<usize>());
        // What is left goes on by itself.
        for (lease, decision) in held.iter().zip(&decisions) {
            let _ = store.commit(lease, decision).await.expect("commit");
        }
        for (number, lease) in held.iter().enumerate() {
            if summary(store, &format!("evt_{round}_{number:02}")).await.status == "processing" {
                let key = subject(&format!("cus_spare_{round}_{number}"));
                let spare = store.commit(lease, &changes(&key, 0, at(round))).await;
                assert_eq!(spare.expect("commit"), Commit::Done);
            }
        }
        for number in 0..8 {
            let known = load(store, &subject(&format!("cus_{number}"))).await;
            assert_eq!(known.version, round + 1);
        }
    }
    assert!(claim(store, at(10)).await.is_empty());
    let received = store.receive(event_of(live(), "evt_last", at(11))).await;
    received.expect("receive");
    retake(store, "evt_last", at(11)).await;
}
