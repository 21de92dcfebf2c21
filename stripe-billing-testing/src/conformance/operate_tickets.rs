//! `Operate`: tickets of failures, and the news of tickets.

use stripe_billing_core::changes::{Effects, Settlement};
use stripe_billing_core::queue::ErrorClass;
use stripe_billing_core::store::{Delivery, EventQuery, EventRange, Settled, TicketSweep, Verb};
use stripe_billing_core::ticket::{TicketKind, TicketStatus, TicketWrite};

use super::Fixture;
use super::operate::{dead, end, seq_of, tickets};
use super::sample::{
    at, claim_outbox, failure, live, opening, ordering, paid, retake, subject, subject_of, summary,
    take_of, telling, test_mode,
};

const KEY: &str = "dead_event:permanent:corrupt_payload:invoice.paid";

fn failing(key: &str, kind: TicketKind) -> Effects {
    let ticket = TicketWrite { kind, ..opening(key) };
    Effects { tickets: vec![ticket], failing: Some(key.to_owned()), ..Effects::default() }
}

/// A failure's newest ticket is found by its key, with or without a date, in its own tenant; failure
/// tickets opened since a time are counted, and no others.
pub async fn operate_4_a_failure_is_known_by_its_key(fixture: &Fixture) {
    let store = fixture.node().as_ref();
    let none = store.known_failure(&live(), KEY, at(0)).await.expect("known_failure");
    assert_eq!((none.ticket, none.opened), (None, 0));
    let dated = format!("{KEY}@2026-11-21");
    let longer = format!("{KEY}_and_more");
    let writes = [
        (1, KEY, TicketKind::DeadEvent),
        (2, &dated, TicketKind::DeadEvent),
        (3, &longer, TicketKind::DeadMessage),
        (4, "dispute:dp_1", TicketKind::Dispute),
    ];
    for (n, key, kind) in writes {
        let effects = failing(key, kind);
        store.record_effects(&subject("cus_1"), &effects, at(n)).await.expect("record");
    }
    let elsewhere = subject_of(test_mode(), "cus_1");
    let effects = failing(KEY, TicketKind::DeadEvent);
    store.record_effects(&elsewhere, &effects, at(5)).await.expect("record");

    let known = store.known_failure(&live(), KEY, at(2)).await.expect("known_failure");
    assert_eq!(known.ticket.map(|ticket| ticket.key), Some(dated));
    assert_eq!(known.opened, 3, "the dated, the longer and that of test mode");
    let known = store.known_failure(&test_mode(), KEY, at(9)).await.expect("known_failure");
    assert_eq!(known.ticket.map(|ticket| ticket.key), Some(KEY.to_owned()));
    assert_eq!(known.opened, 0);
}

/// However many tickets of other kinds are opened after them.
pub async fn operate_4_failures_are_counted_among_any_number_of_tickets(fixture: &Fixture) {
    let store = fixture.node().as_ref();
    for (n, key) in (1..).zip([KEY, "dead_event:b", "dead_event:c"]) {
        let effects = failing(key, TicketKind::DeadEvent);
        store.record_effects(&subject("cus_1"), &effects, at(n)).await.expect("record");
    }
    let others = (0..1_001).map(|n| opening(&format!("dispute:{n}"))).collect();
    let others = Effects { tickets: others, ..Effects::default() };
    store.record_effects(&subject("cus_1"), &others, at(9)).await.expect("record");
    let known = fixture.other().known_failure(&live(), KEY, at(2)).await.expect("known_failure");
    assert_eq!(known.opened, 2, "of three the first is too old");
    assert_eq!(known.ticket.map(|ticket| ticket.key), Some(KEY.to_owned()));
}

/// A ticket is found by exactly its key, in its own tenant, as it was left.
pub async fn operate_4_a_ticket_is_found_by_its_key(fixture: &Fixture) {
    let (store, other) = (fixture.node().as_ref(), fixture.other().as_ref());
    let dated = format!("{KEY}@2026-11-21");
    let upper = KEY.to_uppercase();
    for (n, key) in (1..).zip([KEY, &dated, &upper]) {
        let effects = failing(key, TicketKind::DeadEvent);
        store.record_effects(&subject("cus_1"), &effects, at(n)).await.expect("record");
    }
    for key in [KEY, &dated, &upper] {
        let ticket = other.ticket(&live(), key).await.expect("ticket").expect("it is there");
        assert_eq!((ticket.key.as_str(), ticket.count), (key, 1));
        assert_eq!(other.ticket(&test_mode(), key).await.expect("ticket"), None);
    }
    assert_eq!(other.ticket(&live(), "dispute:dp_1").await.expect("ticket"), None);
    let again = failing(KEY, TicketKind::DeadEvent);
    store.record_effects(&subject("cus_1"), &again, at(9)).await.expect("record");
    let ticket = other.ticket(&live(), KEY).await.expect("ticket").expect("it is there");
    assert_eq!((ticket.count, ticket.opened_at, ticket.updated_at), (2, at(1), at(9)));
}

/// A failure ticket is open while an event of it waits or is dead, and closes with the last of them;
/// other tickets are left alone.
pub async fn operate_6_a_ticket_closes_when_nothing_of_it_fails(fixture: &Fixture) {
    let (store, other) = (fixture.node().as_ref(), fixture.other().as_ref());
    let sweep = |closed, open| TicketSweep { closed, open };
    assert_eq!(store.close_tickets(at(0)).await.expect("close"), sweep(0, 0));
    let disputed = Effects { tickets: vec![opening("dispute:dp_1")], ..Effects::default() };
    store.record_effects(&subject("cus_1"), &disputed, at(0)).await.expect("record");
    let retry = Settlement::Retry { due: at(90), failure: failure() };
    end(store, "evt_1", dead(ErrorClass::Permanent), failing(KEY, TicketKind::DeadEvent), 1).await;
    end(store, "evt_2", retry, failing(KEY, TicketKind::DeadEvent), 2).await;
    // One of another tenant does not keep it open, nor does it close that one's.
    let elsewhere = take_of(store, test_mode(), "evt_9", at(3)).await;
    let settled = Settled {
        settlement: dead(ErrorClass::Permanent),
        subject: None,
        effects: failing(KEY, TicketKind::DeadEvent),
        now: at(3),
    };
    assert!(store.settle(&elsewhere.lease, &settled).await.expect("settle"));
    assert_eq!(summary(store, "evt_2").await.ticket.as_deref(), Some(KEY));
    let of_ticket = EventQuery { ticket: Some(KEY.to_owned()), limit: 9, ..EventQuery::default() };
    assert_eq!(store.events(&of_ticket).await.expect("events").len(), 3);

    assert_eq!(other.close_tickets(at(4)).await.expect("close"), sweep(0, 2));
    let resolved = ordering(Verb::Resolve { seq: seq_of(store, "evt_1").await }, "req_1", 5);
    store.operate(&resolved).await.expect("operate");
    assert_eq!(other.close_tickets(at(6)).await.expect("close"), sweep(0, 2));
    let held = retake(store, "evt_2", at(90)).await;
    assert_eq!(other.close_tickets(at(91)).await.expect("close"), sweep(0, 2), "it is under way");
    let done = Settled {
        settlement: Settlement::Processed,
        subject: None,
        effects: Effects::default(),
        now: at(92),
    };
    assert!(store.settle(&held.lease, &done).await.expect("settle"));
    assert_eq!(other.close_tickets(at(93)).await.expect("close"), sweep(1, 1));
    let statuses: Vec<_> = tickets(store).await.into_iter().map(|it| (it.key, it.status)).collect();
    let expected = [
        (KEY.to_owned(), TicketStatus::Open),
        (KEY.to_owned(), TicketStatus::Resolved),
        ("dispute:dp_1".to_owned(), TicketStatus::Open),
    ];
    assert_eq!(statuses, expected, "the newest first");

    // A replay of what was dead keeps the other open until it is done.
    let range = EventRange { ticket: Some(KEY.to_owned()), limit: 9, ..EventRange::default() };
    let replay = ordering(Verb::Replay { range }, "req_2", 94);
    assert_eq!(store.operate(&replay).await.expect("operate").changed, 3);
    assert_eq!(other.close_tickets(at(95)).await.expect("close"), sweep(0, 1));
}

/// A message that is dead has its ticket, written with its end; handed over at last, it closes.
pub async fn operate_6_a_dead_message_keeps_its_ticket_open(fixture: &Fixture) {
    let store = fixture.node().as_ref();
    let told = telling(vec![paid("in_1", 1)]);
    store.record_effects(&subject("cus_1"), &told, at(1)).await.expect("record");
    let held = claim_outbox(store, at(1)).await.remove(0);
    let effects = Box::new(failing("dead_message:permanent:x:y", TicketKind::DeadMessage));
    let dead = Delivery::Dead { failure: failure(), effects };
    let lost = stripe_billing_core::queue::Lease { epoch: held.lease.epoch - 1, ..held.lease };
    assert_eq!(store.settle_outbox(&[lost], &dead, at(2)).await.expect("settle"), 0);
    assert!(tickets(store).await.is_empty(), "whoever lost the lease writes nothing");
    let leases = [held.lease];
    assert_eq!(store.settle_outbox(&leases, &dead, at(2)).await.expect("settle"), 1);
    let ticket = tickets(store).await.remove(0);
    assert_eq!((ticket.subject, ticket.opened_at), (subject("cus_1"), at(2)));
    assert_eq!(store.close_tickets(at(3)).await.expect("close").open, 1);

    let order = |verb, request| ordering(verb, request, 4);
    let redeliver = |key: &str| Verb::Redeliver { key: Some(key.to_owned()) };
    let other = store.operate(&order(redeliver("another"), "req_1")).await.expect("operate");
    assert_eq!(other.changed, 0);
    let key = claim_outbox(store, at(3)).await;
    assert!(key.is_empty(), "it is dead");
    let again = store.operate(&order(Verb::Redeliver { key: None }, "req_2")).await;
    assert_eq!(again.expect("operate").changed, 1);
    assert_eq!(store.close_tickets(at(5)).await.expect("close").open, 1, "it is due");
    let held = claim_outbox(fixture.other().as_ref(), at(5)).await.remove(0);
    assert_eq!((held.attempts, held.crashes), (0, 0));
    let done = store.settle_outbox(&[held.lease], &Delivery::Done, at(6)).await;
    assert_eq!(done.expect("settle"), 1);
    assert_eq!(store.close_tickets(at(7)).await.expect("close").closed, 1);
}

/// What changed is told once each: opened, told of again, closed. What changes while it is told is
/// told again.
pub async fn operate_7_ticket_news_are_told_once_each(fixture: &Fixture) {
    let (store, other) = (fixture.node().as_ref(), fixture.other().as_ref());
    let cus = subject("cus_1");
    let write = |open| Effects {
        tickets: vec![TicketWrite { open, ..opening("dispute:dp_1") }],
        ..Effects::default()
    };
    let mut told_open = None;
    for (n, open) in [(1, true), (2, true), (3, false), (4, true)] {
        store.record_effects(&cus, &write(open), at(n)).await.expect("record");
        let mut news = other.ticket_news(9).await.expect("ticket_news");
        assert_eq!(news.len(), 1);
        let news = news.remove(0);
        assert_eq!(news.told_open, told_open);
        assert_eq!(
            (news.ticket.status == TicketStatus::Resolved, news.ticket.count),
            (!open, n as u32)
        );
        store.ticket_told(&news).await.expect("ticket_told");
        assert!(other.ticket_news(9).await.expect("ticket_news").is_empty());
        told_open = Some(open);
    }
    store.record_effects(&cus, &write(true), at(5)).await.expect("record");
    let stale = other.ticket_news(9).await.expect("ticket_news").remove(0);
    store.record_effects(&cus, &write(false), at(6)).await.expect("record");
    store.ticket_told(&stale).await.expect("ticket_told");
    let news = other.ticket_news(9).await.expect("ticket_news");
    assert_eq!(news.len(), 1, "the closing is not told yet");
    assert_eq!(news[0].ticket.status, TicketStatus::Resolved);
    let beside = Effects { tickets: vec![opening("dispute:dp_2")], ..Effects::default() };
    store.record_effects(&cus, &beside, at(7)).await.expect("record");
    let first = other.ticket_news(1).await.expect("ticket_news");
    assert_eq!((first.len(), first[0].ticket.key.as_str()), (1, "dispute:dp_1"), "the older");
}
