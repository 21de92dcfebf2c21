//! `EventStore` clause 8: ids that become other names of a subject.

use stripe_billing_core::SubjectKey;
use stripe_billing_core::changes::{Adoption, Changes, Effects, Settlement};
use stripe_billing_core::queue::Lease;
use stripe_billing_core::state::{Links, Subject};
use stripe_billing_core::store::{AuditQuery, Commit, Settled, Store, TicketQuery};

use super::Fixture;
use super::race::{insist, race};
use super::sample::{
    at, audited, changes, claim, claim_outbox, current, event, failure, invoice, linked, live,
    load, load_all, load_with, opening, past, retake, started, subject, subject_of, subscription,
    summary, take, take_of, telling, test_mode,
};

fn naming(id: &str, expected_version: i64) -> Adoption {
    Adoption {
        id: id.to_owned(),
        expected_version,
        had_state: false,
        links: linked(&format!("of {id}")),
    }
}

fn taking_over(id: &str, expected_version: i64) -> Adoption {
    Adoption { had_state: true, ..naming(id, expected_version) }
}

fn adopting(key: &SubjectKey, expected: i64, adopted: Vec<Adoption>, now: i64) -> Changes {
    Changes { adopted, ..changes(key, expected, at(now)) }
}

async fn commit(store: &dyn Store, lease: &Lease, changes: &Changes) -> Commit {
    store.commit(lease, changes).await.expect("commit")
}

async fn done(store: &dyn Store, id: &str, decision: &Changes) {
    let held = take_of(store, decision.subject.tenant.clone(), id, decision.now).await;
    assert_eq!(commit(store, &held.lease, decision).await, Commit::Done);
}

/// A subject without a customer that has everything: records, a parked event, one that failed, a
/// message, a ticket and a line in the log.
async fn orphan(store: &dyn Store, key: &SubjectKey) {
    let decision = Changes {
        records: vec![current(&subscription("sub_o", 1)), past(&invoice("in_o", "paid"))],
        effects: Effects {
            tickets: vec![opening("dispute:dp_o")],
            audit: vec![audited("of the orphan")],
            ..telling(vec![started(&format!("sub_{}", key.id))])
        },
        settlement: Settlement::Parked(stripe_billing_core::changes::ParkReason::Unlinked),
        ..changes(key, 0, at(0))
    };
    done(store, &format!("evt_{}", key.id), &decision).await;
    let id = format!("evt_dead_{}", key.id);
    let held = take_of(store, key.tenant.clone(), &id, at(0)).await;
    let dead = Settled {
        settlement: Settlement::Dead(failure()),
        subject: Some(key.id.clone()),
        effects: Effects::default(),
        now: at(0),
    };
    assert!(store.settle(&held.lease, &dead).await.expect("settle"));
}

fn assert_names(name: &Subject, version: i64, owner: &str) {
    assert_eq!((name.version, name.owner.as_deref()), (version, Some(owner)));
    assert_eq!(name.links, linked(&format!("of {}", name.key.id)), "what is kept with the name");
    assert!(name.records.is_empty(), "a name has no records");
}

/// New ids become names in version 1, together with a new subject or a known one.
pub async fn event_store_8_a_new_name_points_to_its_subject(fixture: &Fixture) {
    let store = fixture.node().as_ref();
    let key = subject("cus_1");
    for (version, names) in (0..).zip([["pi_1", "ch_1"], ["pi_2", "ch_2"]]) {
        let adopted = names.map(|id| naming(id, 0)).to_vec();
        let decision = Changes {
            records: vec![current(&subscription("sub_1", version))],
            effects: telling(vec![started(names[0])]),
            ..adopting(&key, version, adopted, version)
        };
        done(store, &format!("evt_{version}"), &decision).await;
        let loaded = load_all(fixture.other().as_ref(), &live(), &names, &[]).await;
        assert_eq!(loaded.len(), 2);
        for name in &loaded {
            assert_names(name, 1, "cus_1");
        }
    }
    assert_eq!(load(store, &key).await.version, 2);
    assert_eq!(claim_outbox(store, at(9)).await.len(), 2);
    let elsewhere = load(store, &subject_of(test_mode(), "pi_1")).await;
    assert_eq!(elsewhere.version, 0, "another tenant's id is another id");
}

/// A name that is adopted again points to the new subject, one version on.
pub async fn event_store_8_a_name_is_pointed_to_another_subject(fixture: &Fixture) {
    let store = fixture.node().as_ref();
    done(store, "evt_1", &adopting(&subject("pi_1"), 0, vec![naming("ch_1", 0)], 0)).await;
    let adopted = vec![naming("ch_1", 1), naming("in_1", 0)];
    done(store, "evt_2", &adopting(&subject("cus_1"), 0, adopted, 1)).await;
    let loaded = load_all(fixture.other().as_ref(), &live(), &["ch_1", "in_1"], &[]).await;
    assert_names(&loaded[0], 2, "cus_1");
    assert_names(&loaded[1], 1, "cus_1");
    assert_eq!(load(store, &subject("pi_1")).await.version, 1, "it is left alone");
}

/// Whatever an adopted id had is the subject's: events, messages, tickets. Its records are gone. The
/// log stays as it was written, and other tenants keep what they have.
pub async fn event_store_8_what_was_known_of_an_id_moves_over(fixture: &Fixture) {
    let store = fixture.node().as_ref();
    let (key, name) = (subject("cus_1"), subject("pi_1"));
    let twin = subject_of(test_mode(), "pi_1");
    orphan(store, &name).await;
    let held = take_of(store, test_mode(), "evt_twin", at(0)).await;
    let decision =
        Changes { records: vec![current(&subscription("sub_t", 1))], ..changes(&twin, 0, at(0)) };
    assert_eq!(commit(store, &held.lease, &decision).await, Commit::Done);

    let decision = Changes {
        records: vec![current(&subscription("sub_o", 1))],
        ..adopting(&key, 0, vec![taking_over("pi_1", 1), naming("ch_1", 0)], 1)
    };
    done(store, "evt_1", &decision).await;

    let other = fixture.other().as_ref();
    let old = [subscription("sub_o", 1).object(), invoice("in_o", "paid").object()];
    let loaded = load_all(other, &live(), &["ch_1", "cus_1", "pi_1"], &old).await;
    assert_names(&loaded[0], 1, "cus_1");
    assert_names(&loaded[2], 2, "cus_1");
    let kept: Vec<_> = loaded[1].records.keys().cloned().collect();
    assert_eq!(kept, [old[0].clone()], "what the decision wrote, and no more");
    for id in ["evt_pi_1", "evt_dead_pi_1", "evt_1"] {
        assert_eq!(summary(other, id).await.subject.as_deref(), Some("cus_1"), "{id}");
    }
    assert_eq!(summary(other, "evt_pi_1").await.status, "parked");
    let told = claim_outbox(other, at(2)).await;
    assert_eq!(told.len(), 1);
    assert_eq!((&told[0].subject, &told[0].entry), (&key, &started("sub_pi_1")));
    let query = TicketQuery { limit: 10, ..TicketQuery::default() };
    let tickets = other.tickets(&query).await.expect("tickets");
    assert_eq!((tickets.len(), &tickets[0].subject, tickets[0].count), (1, &key, 1));
    let query = AuditQuery { limit: 10, ..AuditQuery::default() };
    let log = other.audit(&query).await.expect("audit");
    assert_eq!((log.len(), &log[0].subject), (1, &name), "the log is not rewritten");
    let twin = load(other, &twin).await;
    assert_eq!((twin.version, twin.owner, twin.records.len()), (1, None, 1));
}

/// A commit is a conflict if the version of an adopted id is not the expected one, whether that is
/// new, known or had state, and then nothing is written.
pub async fn event_store_4_conflict_if_an_adopted_ids_version_moved(fixture: &Fixture) {
    let store = fixture.node().as_ref();
    done(store, "evt_a", &adopting(&subject("cus_0"), 0, vec![naming("ch_1", 0)], 0)).await;
    orphan(store, &subject("pi_1")).await;
    let key = subject("cus_1");
    let held = take(store, "evt_1", at(1)).await;
    for (stands, wrong) in [
        (0, vec![naming("ch_1", 0)]),
        (0, vec![naming("ch_1", 2)]),
        (0, vec![naming("ch_9", 1)]),
        (0, vec![naming("ch_8", 0), naming("ch_1", 0)]),
        (0, vec![naming("ch_1", 1), naming("ch_9", 1)]),
        (0, vec![taking_over("pi_1", 2)]),
        (0, vec![taking_over("pi_1", 1), naming("ch_1", 7)]),
        (3, vec![naming("ch_1", 1), taking_over("pi_1", 1)]),
        (3, vec![naming("ch_8", 0)]),
    ] {
        let decision = Changes {
            records: vec![current(&subscription("sub_1", 1))],
            effects: Effects {
                tickets: vec![opening("dispute:dp_1")],
                audit: vec![audited("never")],
                ..telling(vec![started("sub_1")])
            },
            anomalies: vec!["never".to_owned()],
            release_parked: true,
            ..adopting(&key, stands, wrong.clone(), 2)
        };
        let without_tickets = Changes {
            effects: Effects { tickets: Vec::new(), ..decision.effects.clone() },
            ..decision.clone()
        };
        for decision in [decision, without_tickets] {
            let outcome = commit(store, &held.lease, &decision).await;
            assert_eq!(outcome, Commit::Conflict, "{wrong:?}");
            assert_unwritten(store, &key).await;
        }
    }
    let right = vec![naming("ch_1", 1), naming("ch_8", 0), taking_over("pi_1", 1)];
    let decision = adopting(&key, 0, right, 3);
    assert_eq!(commit(store, &held.lease, &decision).await, Commit::Done);
}

/// Whoever lost the lease adopts nothing, whatever versions are expected.
pub async fn event_store_8_a_lost_lease_adopts_nothing(fixture: &Fixture) {
    let store = fixture.node().as_ref();
    done(store, "evt_a", &adopting(&subject("cus_0"), 0, vec![naming("ch_1", 0)], 0)).await;
    orphan(store, &subject("pi_1")).await;
    let held = take(store, "evt_1", at(1)).await;
    let lost = Lease { epoch: held.lease.epoch - 1, ..held.lease };
    for adopted in [
        vec![naming("ch_8", 0), naming("ch_1", 1)],
        vec![taking_over("pi_1", 1)],
        vec![naming("ch_8", 5)],
    ] {
        let decision = adopting(&subject("cus_1"), 0, adopted, 2);
        assert_eq!(commit(store, &lost, &decision).await, Commit::LeaseLost);
        assert_unwritten(store, &subject("cus_1")).await;
    }
}

/// All is as [`event_store_4_conflict_if_an_adopted_ids_version_moved`] prepared it.
async fn assert_unwritten(store: &dyn Store, key: &SubjectKey) {
    let object = subscription("sub_1", 1).object();
    let written = load_with(store, key, &[object]).await;
    assert_eq!((written.version, written.records.len()), (0, 0));
    let loaded = load_all(store, &live(), &["ch_1", "ch_8", "ch_9", "pi_1"], &[]).await;
    assert_eq!(loaded.len(), 2);
    assert_names(&loaded[0], 1, "cus_0");
    assert_eq!((loaded[1].version, &loaded[1].owner), (1, &None));
    assert_eq!((&loaded[1].links, loaded[1].records.len()), (&Links::default(), 1));
    assert_eq!(summary(store, "evt_dead_pi_1").await.subject.as_deref(), Some("pi_1"));
    let event = summary(store, "evt_1").await;
    assert_eq!((event.status.as_str(), event.anomalies), ("processing", None));
    assert_eq!(summary(store, "evt_pi_1").await.status, "parked");
    let query = TicketQuery { limit: 10, ..TicketQuery::default() };
    let tickets = store.tickets(&query).await.expect("tickets");
    assert_eq!((tickets.len(), tickets[0].subject.id.as_str()), (1, "pi_1"));
    let query = AuditQuery { limit: 10, ..AuditQuery::default() };
    assert_eq!(store.audit(&query).await.expect("audit").len(), 1);
    let stats = store.stats(at(5)).await.expect("stats");
    assert_eq!(stats.outbox.get("pending"), Some(&1));
}

/// Of eight subjects that adopt one id at one moment one does and seven are conflicts: a new id, a
/// known name, and one that had state.
pub async fn event_store_8_one_of_simultaneous_adoptions_is_done(fixture: &Fixture) {
    let store = fixture.node().as_ref();
    done(store, "evt_a", &adopting(&subject("cus_a"), 0, vec![naming("x_known", 0)], 0)).await;
    orphan(store, &subject("x_orphan")).await;
    let ways = [naming("x_new", 0), naming("x_known", 1), taking_over("x_orphan", 1)];
    for (round, name) in (0..).zip(ways) {
        let now = 10 + round * 10;
        for n in 0..8 {
            let event = event(&format!("evt_{round}_{n}"), at(now));
            store.receive(event).await.expect("receive");
        }
        let held = claim(store, at(now)).await;
        let leases: Vec<_> = held
            .into_iter()
            .filter(|held| held.event.key.id.starts_with(&format!("evt_{round}_")))
            .map(|held| held.lease)
            .collect();
        assert_eq!(leases.len(), 8);
        let outcomes = race(8, |number| {
            let (node, lease) = (fixture.turn(number), leases[number].clone());
            let key = subject(&format!("cus_{round}_{number}"));
            let decision = adopting(&key, 0, vec![name.clone()], now);
            async move { insist(|| node.commit(&lease, &decision)).await }
        })
        .await;
        let winners: Vec<_> = (0..8).filter(|n| outcomes[*n] == Commit::Done).collect();
        assert_eq!(winners.len(), 1, "{name:?}: {outcomes:?}");
        let owner = format!("cus_{round}_{}", winners[0]);
        let loaded = load(fixture.other().as_ref(), &subject(&name.id)).await;
        assert_names(&loaded, name.expected_version + 1, &owner);
        for number in (0..8).filter(|number| *number != winners[0]) {
            let loser = load(store, &subject(&format!("cus_{round}_{number}"))).await;
            assert_eq!(loser.version, 0, "a conflict writes nothing");
        }
        // Out of the way of the next round.
        for (number, lease) in leases.iter().enumerate().filter(|(n, _)| *n != winners[0]) {
            let decision = changes(&subject(&format!("cus_{round}_{number}")), 0, at(now));
            assert_eq!(commit(store, lease, &decision).await, Commit::Done);
        }
    }
}

/// Parked events that move over with an id are released by the commit that links their subject, and
/// only by one that releases.
pub async fn event_store_8_parked_events_that_move_over_are_released(fixture: &Fixture) {
    let store = fixture.node().as_ref();
    for (id, release) in [("pi_1", false), ("pi_2", true)] {
        orphan(store, &subject(id)).await;
        let key = subject(&format!("cus_{id}"));
        let decision =
            Changes { release_parked: release, ..adopting(&key, 0, vec![taking_over(id, 1)], 1) };
        done(store, &format!("evt_link_{id}"), &decision).await;
        let id = format!("evt_{id}");
        if release {
            assert_eq!(retake(fixture.other().as_ref(), &id, at(1)).await.attempts, 0);
        } else {
            assert_eq!(summary(store, &id).await.status, "parked");
        }
    }
}
