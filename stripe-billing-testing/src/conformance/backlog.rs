//! `Inspect::backlog`: what waits, by what it is.

use stripe_billing_core::changes::{Effects, Settlement};
use stripe_billing_core::ledger::Grant;
use stripe_billing_core::store::{Backlog, ReceivedEvent, Settled, Store, Verb};
use stripe_billing_core::ticket::TicketStatus;

use super::Fixture;
use super::ledger_bench::Bench;
use super::sample::{at, event, failure, opening, ordering, retake, subject, summary};

async fn end(store: &dyn Store, id: &str, settlement: Settlement) {
    store.receive(event(id, at(1))).await.expect("receive");
    let held = retake(store, id, at(1)).await;
    let settled = Settled { settlement, subject: None, effects: Effects::default(), now: at(1) };
    assert!(store.settle(&held.lease, &settled).await.expect("settle"));
}

async fn backlog(fixture: &Fixture) -> Backlog {
    fixture.other().backlog().await.expect("backlog")
}

/// Events that are not done count by status and type, open tickets by kind; what is done does not.
pub async fn inspect_backlog_counts_what_waits(fixture: &Fixture) {
    let store = fixture.node().as_ref();
    assert_eq!(backlog(fixture).await, Backlog::default());
    for id in ["evt_dead_1", "evt_dead_2"] {
        end(store, id, Settlement::Dead(failure())).await;
    }
    end(store, "evt_retry", Settlement::Retry { due: at(900), failure: failure() }).await;
    end(store, "evt_done", Settlement::Processed).await;
    let voided = event("evt_void", at(2));
    let voided = ReceivedEvent { event_type: "invoice.voided".to_owned(), ..voided };
    store.receive(voided).await.expect("receive");
    let other = summary(store, "evt_retry").await.event_type;
    let seen = backlog(fixture).await.events;
    let counted: Vec<_> = seen
        .iter()
        .flat_map(|(status, types)| {
            types.iter().map(move |(kind, count)| (status.as_str(), kind.as_str(), *count))
        })
        .collect();
    let other = other.as_str();
    let expected =
        [("dead", other, 2), ("received", "invoice.voided", 1), ("retry_wait", other, 1)];
    assert_eq!(counted, expected);

    let tickets = ["dispute:dp_1", "dispute:dp_2", "dispute:dp_3"].map(opening).to_vec();
    let effects = Effects { tickets, ..Effects::default() };
    store.record_effects(&subject("cus_1"), &effects, at(3)).await.expect("record");
    for (number, status) in [(1, TicketStatus::Resolved), (2, TicketStatus::Investigating)] {
        let order = ordering(Verb::Ticket { number, status }, &format!("req_{number}"), 4);
        store.operate(&order).await.expect("operate");
    }
    let kind = opening("dispute:dp_1").kind.as_str().to_owned();
    assert_eq!(backlog(fixture).await.tickets.into_iter().collect::<Vec<_>>(), [(kind, 2)]);
}

/// Reservations count while they are open, and accounts while they are in debt.
pub async fn inspect_backlog_counts_reservations_and_debt(fixture: &Fixture) {
    let mut bench = Bench::new(fixture);
    bench.grant(Grant::new("g", 1000).paid_with("ch", 1000)).await;
    for id in ["r1", "r2", "r3"] {
        bench.reserve(id, 100, 60).await.expect("is held");
    }
    let seen = backlog(fixture).await;
    assert_eq!((seen.reservations, seen.debtors), (3, 0));
    bench.capture("r1", 100).await.expect("is spent");
    bench.release("r2").await.expect("is given back");
    assert_eq!(backlog(fixture).await.reservations, 1);
    bench.at(61).sweep().await;
    bench.spend("s", 700).await.expect("is spent");
    bench.refund("ch", "re", 1000).await;
    let seen = backlog(fixture).await;
    assert_eq!((seen.reservations, seen.debtors), (0, 1));
    bench.grant(Grant::new("h", 900)).await;
    assert_eq!(backlog(fixture).await.debtors, 0);
}
