//! `EventStore` clause 6: `settle`.

use stripe_billing_core::ErrorKind;
use stripe_billing_core::changes::{Effects, IgnoreReason, OutboxEntry, ParkReason, Settlement};
use stripe_billing_core::notice::{Notice, NoticeKind};
use stripe_billing_core::queue::{ErrorClass, Failure, Lease};
use stripe_billing_core::store::{AuditQuery, EventSummary, Settled, Store, TicketQuery};

use super::Fixture;
use super::race::{insist, race};
use super::sample::{
    LEASE, at, audited, claim, claim_outbox, failure, opening, paid, retake, summary, take,
};

const LATER: i64 = 86_400 * 30;

async fn settle(store: &dyn Store, lease: &Lease, settlement: Settlement, now: i64) -> bool {
    let settled = Settled {
        settlement,
        subject: Some("cus_1".to_owned()),
        effects: Effects::default(),
        now: at(now),
    };
    store.settle(lease, &settled).await.expect("settle")
}

async fn settled(store: &dyn Store, id: &str, settlement: Settlement) -> (Lease, EventSummary) {
    let held = take(store, id, at(0)).await;
    assert!(settle(store, &held.lease, settlement, 10).await);
    let summary = summary(store, id).await;
    assert_eq!(summary.subject.as_deref(), Some("cus_1"));
    (held.lease, summary)
}

/// Every settlement leads to the status, the reason and the time that its documentation says.
pub async fn event_store_6_every_settlement_does_what_it_says(fixture: &Fixture) {
    let store = fixture.node().as_ref();
    let resting = [
        ("evt_1", Settlement::Processed, "processed", None),
        (
            "evt_2",
            Settlement::Ignored(IgnoreReason::ConnectedAccount),
            "ignored",
            Some("connected_account"),
        ),
        ("evt_3", Settlement::Parked(ParkReason::Unlinked), "parked", Some("unlinked")),
        (
            "evt_4",
            Settlement::Parked(ParkReason::UnknownPrice { catalog: "f00d".to_owned() }),
            "parked",
            Some("catalog:f00d"),
        ),
    ];
    for (id, settlement, status, reason) in resting {
        let (_, event) = settled(store, id, settlement).await;
        let found = (event.status.as_str(), event.reason.as_deref(), event.attempts);
        assert_eq!(found, (status, reason, 0));
        assert!(claim(store, at(LATER)).await.is_empty(), "{status} rests");
    }

    let (_, dead) = settled(store, "evt_dead", Settlement::Dead(failure())).await;
    assert_eq!((dead.status.as_str(), dead.attempts), ("dead", 1));
    assert_eq!(dead.reason.as_deref(), Some(failure().code));
    assert_eq!(dead.message, Some(failure().message));
    assert!(claim(store, at(LATER)).await.is_empty(), "dead is for ever");

    let retry = Settlement::Retry { due: at(500), failure: failure() };
    let (_, waiting) = settled(store, "evt_retry", retry).await;
    assert_eq!((waiting.status.as_str(), waiting.attempts), ("retry_wait", 1));
    assert_eq!(waiting.message, Some(failure().message));
    assert!(claim(store, at(499)).await.is_empty(), "not before its time");
    let again = retake(store, "evt_retry", at(500)).await;
    assert_eq!((again.attempts, again.crashes), (1, 0));
    assert!(settle(store, &again.lease, Settlement::Processed, 510).await);

    let mut held = take(store, "evt_deferred", at(0)).await;
    for (n, class, deferrals) in
        [(1, ErrorClass::Deferred, 1), (2, ErrorClass::Systemic, 1), (3, ErrorClass::Deferred, 2)]
    {
        let failure = Failure { class, ..failure() };
        let deferred = Settlement::Deferred { due: at(500 + n), failure };
        assert!(settle(store, &held.lease, deferred, 10).await);
        let event = summary(store, "evt_deferred").await;
        assert_eq!((event.status.as_str(), event.attempts), ("deferred", 0));
        assert_eq!(event.error_class.as_deref(), Some(class.as_str()));
        assert_eq!(event.due_at, Some(at(500 + n)));
        held = retake(store, "evt_deferred", at(500 + n)).await;
        assert_eq!((held.attempts, held.deferrals, held.crashes), (0, deferrals, 0));
    }
    assert!(settle(store, &held.lease, Settlement::Processed, 510).await);

    let (_, released) = settled(store, "evt_released", Settlement::Released).await;
    assert_eq!((released.status.as_str(), released.attempts), ("received", 0));
    let again = retake(store, "evt_released", at(10)).await;
    assert_eq!((again.attempts, again.crashes), (0, 0));
}

/// With an epoch that is not the row's, older or newer, nothing is settled and nothing changes.
pub async fn event_store_6_an_old_epoch_settles_nothing(fixture: &Fixture) {
    let (store, other) = (fixture.node().as_ref(), fixture.other().as_ref());
    let lost = take(store, "evt_1", at(0)).await;
    let holder = retake(other, "evt_1", at(LEASE + 1)).await;
    let before = summary(store, "evt_1").await;
    let newer = Lease { epoch: holder.lease.epoch + 1, ..holder.lease };
    let nobodys = Lease { seq: holder.lease.seq + 1_000, ..holder.lease };
    for lease in [&lost.lease, &newer, &nobodys] {
        for settlement in [Settlement::Processed, Settlement::Dead(failure()), Settlement::Released]
        {
            assert!(!settle(store, lease, settlement, LEASE + 2).await);
        }
    }
    assert_eq!(summary(store, "evt_1").await, before);
    assert!(claim(store, at(LEASE + 3)).await.is_empty(), "still leased");
    assert!(settle(other, &holder.lease, Settlement::Processed, LEASE + 4).await);
}

/// A settled event is not settled again under the same lease, however it ended.
pub async fn event_store_6_an_event_is_settled_once(fixture: &Fixture) {
    let store = fixture.node().as_ref();
    let retry = Settlement::Retry { due: at(LATER), failure: failure() };
    let ways = [
        ("evt_1", Settlement::Processed),
        ("evt_2", Settlement::Parked(ParkReason::Unlinked)),
        ("evt_3", Settlement::Dead(failure())),
        ("evt_4", retry),
    ];
    for (id, settlement) in ways {
        let (lease, before) = settled(store, id, settlement).await;
        let again = Settlement::Ignored(IgnoreReason::Unhandled);
        assert!(!settle(fixture.other().as_ref(), &lease, again, 20).await);
        assert_eq!(summary(store, id).await, before);
    }
}

/// Of eight simultaneous settlements of one lease one counts.
pub async fn event_store_6_one_of_simultaneous_settlements_counts(fixture: &Fixture) {
    let held = take(fixture.node().as_ref(), "evt_1", at(0)).await;
    let answers = race(8, |number| {
        let (node, lease) = (fixture.turn(number), held.lease.clone());
        let retry = Settled {
            settlement: Settlement::Retry { due: at(100), failure: failure() },
            subject: None,
            effects: Effects::default(),
            now: at(1),
        };
        async move { insist(|| node.settle(&lease, &retry)).await }
    })
    .await;
    assert_eq!(answers.into_iter().filter(|counts| *counts).count(), 1);
    assert_eq!(summary(fixture.node().as_ref(), "evt_1").await.attempts, 1);
}

/// A settlement's messages, tickets and lines of the log are written with it, about the subject that
/// it names, or the event's, or else under the event's id.
pub async fn event_store_6_effects_are_written_with_it(fixture: &Fixture) {
    let store = fixture.node().as_ref();
    let cases =
        [("evt_1", Some("cus_1"), "cus_1"), ("evt_2", None, "evt_2"), ("evt_3", None, "cus_3")];
    for (n, (id, about, expected)) in (0..).zip(cases) {
        let mut held = take(store, id, at(n)).await;
        if expected == "cus_3" {
            let subject = Some("cus_3".to_owned());
            let settlement = Settlement::Released;
            let first = Settled { settlement, subject, effects: Effects::default(), now: at(n) };
            assert!(store.settle(&held.lease, &first).await.expect("settle"));
            held = retake(store, id, at(n)).await;
        }
        let settled = with_effects(about, vec![dead(id)], n);
        assert!(store.settle(&held.lease, &settled).await.expect("settle"));
        assert_eq!(summary(store, id).await.status, "dead");
        let told = claim_outbox(fixture.other().as_ref(), at(n)).await;
        assert_eq!(told.len(), 1);
        assert_eq!((told[0].subject.id.as_str(), &told[0].account), (expected, &None));
        assert_eq!(told[0].entry, dead(id));
        let query =
            TicketQuery { subject: Some(expected.to_owned()), limit: 9, ..TicketQuery::default() };
        assert_eq!(store.tickets(&query).await.expect("tickets").len(), 1);
        let query =
            AuditQuery { subject: Some(expected.to_owned()), limit: 9, ..AuditQuery::default() };
        assert_eq!(store.audit(&query).await.expect("audit").len(), 1);
    }
}

/// Whoever lost the lease writes no effects, nor does one who settles twice; and where a key stands
/// for another message neither the effects nor the settlement are written.
pub async fn event_store_6_effects_are_all_or_nothing_and_fenced(fixture: &Fixture) {
    let store = fixture.node().as_ref();
    let held = take(store, "evt_1", at(0)).await;
    let first = with_effects(None, vec![paid("in_1", 1)], 1);
    let lost = Lease { epoch: held.lease.epoch - 1, ..held.lease };
    assert!(!store.settle(&lost, &first).await.expect("settle"));
    assert_effects(store, 0).await;
    assert!(store.settle(&held.lease, &first).await.expect("settle"));
    assert_effects(store, 1).await;
    let again = with_effects(None, vec![paid("in_9", 1)], 1);
    assert!(!store.settle(&held.lease, &again).await.expect("settle"));
    assert_effects(store, 1).await;

    let held = take(store, "evt_2", at(2)).await;
    let reused = with_effects(None, vec![paid("in_2", 1), paid("in_1", 99)], 2);
    let error = store.settle(&held.lease, &reused).await.expect_err("the key is another's");
    assert_eq!(error.kind(), ErrorKind::KeyReused, "{error}");
    assert_effects(store, 1).await;
    assert_eq!(summary(store, "evt_2").await.status, "processing");
    let known = with_effects(None, vec![paid("in_1", 1)], 3);
    assert!(store.settle(&held.lease, &known).await.expect("settle"), "it still holds the lease");
    assert_eq!(claim_outbox(store, at(9)).await.len(), 1, "the same message is there once");
}

fn dead(id: &str) -> OutboxEntry {
    OutboxEntry::from(Notice { kind: NoticeKind::EventDead, object: None, detail: id.to_owned() })
}

fn with_effects(about: Option<&str>, outbox: Vec<OutboxEntry>, now: i64) -> Settled {
    let effects = Effects {
        outbox,
        shadow: false,
        tickets: vec![opening(&format!("dead_event:{now}"))],
        audit: vec![audited("event.dead")],
        ..Effects::default()
    };
    let settlement = Settlement::Dead(failure());
    Settled { settlement, subject: about.map(str::to_owned), effects, now: at(now) }
}

async fn assert_effects(store: &dyn Store, count: usize) {
    let query = TicketQuery { limit: 9, ..TicketQuery::default() };
    assert_eq!(store.tickets(&query).await.expect("tickets").len(), count);
    let query = AuditQuery { limit: 9, ..AuditQuery::default() };
    assert_eq!(store.audit(&query).await.expect("audit").len(), count);
    let stats = store.stats(at(0)).await.expect("stats");
    assert_eq!(stats.outbox.values().sum::<u64>(), count as u64);
}
