//! `Operate`: orders of operators, and what they leave on record. Its tickets: `operate_tickets`.

use stripe_billing_core::ErrorKind;
use stripe_billing_core::changes::{Effects, Settlement};
use stripe_billing_core::queue::{ErrorClass, Failure};
use stripe_billing_core::state::ObjectKind;
use stripe_billing_core::store::{
    AuditLine, AuditQuery, Delivery, Settled, Store, TicketQuery, Verb,
};
use stripe_billing_core::ticket::{Ticket, TicketStatus};

use super::Fixture;
use super::race::{insist, race};
use super::sample::{
    at, audited, claim, claim_outbox, event, failure, ids, opening, ordering, paid, retake,
    subject, summary, take, telling,
};

async fn audit(store: &dyn Store) -> Vec<AuditLine> {
    let query = AuditQuery { limit: 100, ..AuditQuery::default() };
    store.audit(&query).await.expect("audit")
}

pub(super) async fn tickets(store: &dyn Store) -> Vec<Ticket> {
    let query = TicketQuery { limit: 100, ..TicketQuery::default() };
    store.tickets(&query).await.expect("tickets")
}

pub(super) async fn seq_of(store: &dyn Store, id: &str) -> i64 {
    summary(store, id).await.seq
}

/// Takes an event and settles it.
pub(super) async fn end(
    store: &dyn Store,
    id: &str,
    settlement: Settlement,
    effects: Effects,
    now: i64,
) {
    store.receive(event(id, at(now))).await.expect("receive");
    let held = retake(store, id, at(now)).await;
    let settled = Settled { settlement, subject: None, effects, now: at(now) };
    assert!(store.settle(&held.lease, &settled).await.expect("settle"));
}

pub(super) fn dead(class: ErrorClass) -> Settlement {
    Settlement::Dead(Failure { class, ..failure() })
}

/// A request is carried out once, with its line in the audit log; the same again is answered alike
/// and does nothing, on whichever node; another verb under its id is refused.
pub async fn operate_1_a_request_is_carried_out_once(fixture: &Fixture) {
    let store = fixture.node().as_ref();
    end(store, "evt_1", dead(ErrorClass::Permanent), Effects::default(), 1).await;
    let order = ordering(Verb::Dismiss { seq: seq_of(store, "evt_1").await }, "req_1", 2);
    let first = store.operate(&order).await.expect("operate");
    assert_eq!((first.changed, first.repeated), (1, false));
    assert_eq!(
        (first.before.as_deref(), first.after.as_deref()),
        (Some("dead"), Some("dismissed"))
    );
    let again = fixture.other().operate(&order).await.expect("operate");
    assert!(again.repeated);
    assert_eq!((again.changed, &again.after), (1, &first.after));

    let lines = audit(store).await;
    assert_eq!(lines.len(), 1);
    let entry = &lines[0].entry;
    assert_eq!((entry.actor.as_str(), entry.action.as_str()), ("operator:ada", "event.dismissed"));
    assert_eq!((entry.object.kind, entry.object.id.as_str()), (ObjectKind::Event, "evt_1"));
    assert_eq!((&entry.before, &entry.after), (&first.before, &first.after));
    assert_eq!(entry.reason.as_deref(), Some("“why not”"));
    assert_eq!((lines[0].subject.clone(), lines[0].at), (subject("evt_1"), at(2)));

    let other = ordering(Verb::Pause, "req_1", 3);
    let error = store.operate(&other).await.expect_err("the id is another's");
    assert_eq!(error.kind(), ErrorKind::KeyReused, "{error}");
    assert_eq!(store.paused().await.expect("paused"), None);
    assert_eq!(audit(store).await.len(), 1);
}

/// Of eight simultaneous requests of one id one is carried out, and all are answered alike.
pub async fn operate_1_of_simultaneous_requests_one_counts(fixture: &Fixture) {
    let store = fixture.node().as_ref();
    end(store, "evt_1", dead(ErrorClass::Permanent), Effects::default(), 1).await;
    let order = ordering(Verb::Resolve { seq: seq_of(store, "evt_1").await }, "req_1", 2);
    let answers = race(8, |number| {
        let (node, order) = (fixture.turn(number), order.clone());
        async move { insist(|| node.operate(&order)).await }
    })
    .await;
    assert_eq!(answers.iter().filter(|answer| !answer.repeated).count(), 1);
    assert!(answers.iter().all(|answer| answer.after.as_deref() == Some("resolved")));
    assert_eq!(audit(store).await.len(), 1);
}

/// What waits or is dead can be resolved and dismissed, and is due no more; what is done, under way
/// or unknown stays as it is, and leaves no line in the log.
pub async fn operate_2_a_verb_fits_a_status_or_changes_nothing(fixture: &Fixture) {
    let store = fixture.node().as_ref();
    let far = at(90_000);
    let ways = [
        ("evt_dead", dead(ErrorClass::Poison), true),
        ("evt_retry", Settlement::Retry { due: far, failure: failure() }, true),
        ("evt_deferred", Settlement::Deferred { due: far, failure: failure() }, true),
        ("evt_done", Settlement::Processed, false),
    ];
    for (id, settlement, _) in &ways {
        end(store, id, settlement.clone(), Effects::default(), 1).await;
    }
    let held = take(store, "evt_held", at(2)).await;
    for (n, (id, _, fits)) in (10..).zip(&ways) {
        let verb = match n % 2 {
            0 => Verb::Resolve { seq: seq_of(store, id).await },
            _ => Verb::Dismiss { seq: seq_of(store, id).await },
        };
        let before = summary(store, id).await.status;
        let order = ordering(verb, &format!("req_{n}"), n);
        let carried = store.operate(&order).await.expect("operate");
        assert_eq!((carried.changed == 1, carried.after.is_some()), (*fits, *fits), "{id}");
        assert_eq!(carried.before, Some(before.clone()));
        let after = carried.after.unwrap_or(before);
        assert_eq!(summary(store, id).await.status, after);
    }
    assert_eq!(audit(store).await.len(), 3);
    for (n, verb) in (20..).zip([
        Verb::Resolve { seq: held.lease.seq },
        Verb::Release { seq: seq_of(store, "evt_done").await },
        Verb::Dismiss { seq: 9_999 },
    ]) {
        let order = ordering(verb, &format!("req_{n}"), n);
        let carried = store.operate(&order).await.expect("operate");
        assert_eq!((carried.changed, carried.after), (0, None));
    }
    assert_eq!(audit(store).await.len(), 3);
    assert_eq!(ids(&claim(store, at(91_000)).await), ["evt_held"], "only its lease runs out");
}

/// A released event is due at once, and whoever held it can settle it no more.
pub async fn operate_2_a_released_lease_is_lost(fixture: &Fixture) {
    let store = fixture.node().as_ref();
    let held = take(store, "evt_1", at(1)).await;
    let order = ordering(Verb::Release { seq: held.lease.seq }, "req_1", 2);
    assert_eq!(store.operate(&order).await.expect("operate").changed, 1);
    let settled = Settled {
        settlement: Settlement::Processed,
        subject: None,
        effects: Effects::default(),
        now: at(3),
    };
    assert!(!store.settle(&held.lease, &settled).await.expect("settle"));
    let again = retake(fixture.other().as_ref(), "evt_1", at(2)).await;
    assert_eq!((again.attempts, again.crashes), (0, 0), "it did not run out");
}

/// A ticket comes to the status that is ordered, on record, and whoever follows tickets is told.
pub async fn operate_2_a_ticket_stands_where_it_is_ordered(fixture: &Fixture) {
    let store = fixture.node().as_ref();
    let told = Effects { tickets: vec![opening("dispute:dp_1")], ..Effects::default() };
    store.record_effects(&subject("cus_1"), &told, at(1)).await.expect("record");
    let number = tickets(store).await[0].number;
    let ways = [TicketStatus::Investigating, TicketStatus::Resolved, TicketStatus::Open];
    let mut before = TicketStatus::Open;
    for (n, status) in (2..).zip(ways) {
        let order = ordering(Verb::Ticket { number, status }, &format!("req_{n}"), n);
        let carried = fixture.other().operate(&order).await.expect("operate");
        let words = (carried.before.as_deref(), carried.after.as_deref());
        assert_eq!(words, (Some(before.as_str()), Some(status.as_str())));
        let ticket = tickets(store).await.remove(0);
        assert_eq!((ticket.status, ticket.updated_at, ticket.count), (status, at(n), 1));
        let news = store.ticket_news(9).await.expect("ticket_news").remove(0);
        assert_eq!(news.ticket.status, status);
        store.ticket_told(&news).await.expect("ticket_told");
        before = status;
    }
    let unknown = Verb::Ticket { number: number + 9, status: TicketStatus::Resolved };
    let carried = store.operate(&ordering(unknown, "req_9", 9)).await.expect("operate");
    assert_eq!((carried.changed, carried.after), (0, None));
    let lines = audit(store).await;
    assert_eq!(lines.len(), 3);
    let object = &lines[0].entry.object;
    assert_eq!((object.kind, object.id.as_str()), (ObjectKind::Ticket, "dispute:dp_1"));
    assert_eq!(lines[0].subject, subject("cus_1"));
}

/// Who pauses first is who paused; resuming ends it; each is on record.
pub async fn operate_3_a_pause_keeps_who_did_it_first(fixture: &Fixture) {
    let (store, other) = (fixture.node().as_ref(), fixture.other().as_ref());
    assert_eq!(store.paused().await.expect("paused"), None);
    let mut changed = Vec::new();
    for (n, verb) in (1..).zip([Verb::Pause, Verb::Pause, Verb::Resume, Verb::Resume]) {
        let order = ordering(verb, &format!("req_{n}"), n);
        let carried = other.operate(&order).await.expect("operate");
        changed.push((carried.changed, carried.before, carried.after));
        let paused = store.paused().await.expect("paused");
        let since = paused.as_ref().map(|paused| paused.since);
        assert_eq!(since, (n < 3).then(|| at(1)));
        assert!(paused.is_none_or(|paused| paused.actor == "ada" && paused.reason.is_some()));
    }
    let word = |word: &str| Some(word.to_owned());
    let (paused, running) = (word("paused"), word("running"));
    let expected = [
        (1, running.clone(), paused.clone()),
        (0, paused.clone(), paused.clone()),
        (1, paused, running.clone()),
        (0, running.clone(), running),
    ];
    assert_eq!(changed, expected);
    assert_eq!(audit(store).await.len(), 4);
}

/// Effects without an event are written, all or nothing.
pub async fn operate_5_effects_are_recorded_whole(fixture: &Fixture) {
    let store = fixture.node().as_ref();
    let effects = |key: &str, amount| Effects {
        tickets: vec![opening("dispute:dp_1")],
        audit: vec![audited("payment.reviewed")],
        ..telling(vec![paid(key, amount), paid("in_1", 1)])
    };
    let recorded = store.record_effects(&subject("cus_1"), &effects("in_2", 1), at(1)).await;
    recorded.expect("record_effects");
    assert_eq!(claim_outbox(fixture.other().as_ref(), at(1)).await.len(), 2);
    assert_eq!((tickets(store).await.len(), audit(store).await.len()), (1, 1));

    let reused = Effects { outbox: vec![paid("in_3", 1), paid("in_1", 99)], ..effects("in_3", 1) };
    let error = store.record_effects(&subject("cus_1"), &reused, at(2)).await;
    assert_eq!(error.expect_err("the key is another's").kind(), ErrorKind::KeyReused);
    assert!(claim_outbox(store, at(2)).await.is_empty());
    assert_eq!((tickets(store).await[0].count, audit(store).await.len()), (1, 1));
}

/// With another configuration than the last one, what is dead for its configuration is due again, as
/// if it were new; with the same one nothing happens, and nothing happens to anything else.
pub async fn operate_8_another_configuration_takes_up_what_failed_for_it(fixture: &Fixture) {
    let (store, other) = (fixture.node().as_ref(), fixture.other().as_ref());
    let fail = async |n: i64| {
        end(store, &format!("evt_{n}"), dead(ErrorClass::Config), Effects::default(), n).await;
    };
    assert_eq!(store.release_config("one", at(0)).await.expect("release"), 0);
    fail(1).await;
    end(store, "evt_other", dead(ErrorClass::Permanent), Effects::default(), 2).await;
    let told = telling(vec![paid("in_1", 1)]);
    store.record_effects(&subject("cus_1"), &told, at(2)).await.expect("record");
    let held = claim_outbox(store, at(2)).await.remove(0);
    let failure = Failure { class: ErrorClass::Config, ..failure() };
    let dead = Delivery::Dead { failure, effects: Box::default() };
    assert_eq!(store.settle_outbox(&[held.lease], &dead, at(2)).await.expect("settle"), 1);

    assert_eq!(other.release_config("one", at(3)).await.expect("release"), 0);
    assert_eq!(other.release_config("two", at(4)).await.expect("release"), 2);
    let again = retake(store, "evt_1", at(4)).await;
    assert_eq!((again.attempts, again.crashes, again.deferrals), (0, 0, 0));
    assert_eq!(claim_outbox(store, at(4)).await.len(), 1);
    assert_eq!(store.release_config("two", at(5)).await.expect("release"), 0);
    assert_eq!(summary(store, "evt_other").await.status, "dead");
}

/// Each failed attempt is kept, with its failure and who tried; successes are not.
pub async fn operate_9_attempts_that_failed_are_kept(fixture: &Fixture) {
    let store = fixture.node().as_ref();
    let first = Settlement::Retry { due: at(10), failure: failure() };
    end(store, "evt_1", first, Effects::default(), 1).await;
    let held = retake(store, "evt_1", at(10)).await;
    let late = Failure { class: ErrorClass::Systemic, ..failure() };
    let deferred = Settlement::Deferred { due: at(20), failure: late };
    for (n, settlement) in [(10, deferred), (20, Settlement::Dead(failure()))] {
        let lease =
            if n == 10 { held.lease.clone() } else { retake(store, "evt_1", at(20)).await.lease };
        let settled =
            Settled { settlement, subject: None, effects: Effects::default(), now: at(n) };
        assert!(store.settle(&lease, &settled).await.expect("settle"));
        assert!(!store.settle(&lease, &settled).await.expect("settle"), "settled once");
    }
    end(store, "evt_2", Settlement::Processed, Effects::default(), 21).await;
    let seq = seq_of(store, "evt_1").await;
    let attempts = fixture.other().attempts(seq).await.expect("attempts");
    let seen: Vec<_> = attempts.iter().map(|it| (it.at, it.class.as_str())).collect();
    assert_eq!(seen, [(at(1), "transient"), (at(10), "systemic"), (at(20), "transient")]);
    for attempt in &attempts {
        assert_eq!((attempt.code.as_str(), &attempt.message), (failure().code, &failure().message));
        assert_eq!(attempt.worker.as_deref(), Some("worker-1"));
    }
    let second = seq_of(store, "evt_2").await;
    assert!(store.attempts(second).await.expect("attempts").is_empty());
}
