//! What humans are told of work that fails: one ticket for all that fails alike.

use chrono::{DateTime, TimeDelta, Utc};
use serde_json::Value;

use crate::changes::{Effects, OutboxEntry};
use crate::notice::{Notice, NoticeKind, ticket_opened};
use crate::queue::Failure;
use crate::store::KnownFailure;
use crate::ticket::{Ticket, TicketContext, TicketKind, TicketPriority, TicketStatus, TicketWrite};

/// How long a closed ticket is opened again rather than another one.
const REOPENED: TimeDelta = TimeDelta::days(7);
/// Failure tickets that are opened within [`LATELY`] at most; what fails besides is one ticket.
const MANY: u64 = 20;
/// See [`MANY`].
pub(crate) const LATELY: TimeDelta = TimeDelta::hours(1);

/// A failed event, or a failed message.
#[derive(Debug)]
pub(crate) struct Failed<'a> {
    /// An event or a message.
    pub(crate) kind: TicketKind,
    /// The event's type, or the message's kind.
    pub(crate) what: &'a str,
    /// The event's id, or the message's key.
    pub(crate) id: &'a str,
    /// Why.
    pub(crate) failure: &'a Failure,
    /// Whether it is set aside, or will be tried again.
    pub(crate) dead: bool,
}

impl Failed<'_> {
    /// What all that fails alike has in common.
    pub(crate) fn key(&self) -> String {
        let Failure { class, code, .. } = self.failure;
        format!("{}:{}:{code}:{}", self.kind.as_str(), class.as_str(), self.what)
    }

    /// The ticket, and who is told of it.
    pub(crate) fn effects(
        &self,
        known: &KnownFailure,
        context: TicketContext,
        now: DateTime<Utc>,
    ) -> Effects {
        let place = self.place(known, now);
        let was = known.ticket.as_ref().map(|ticket| ticket.priority);
        let priority = if self.dead { TicketPriority::High } else { TicketPriority::Normal };
        let mut effects = Effects { failing: Some(place.key.clone()), ..Effects::default() };
        // A notice about tickets that cannot be handed over must not lead to another one.
        let tells = !["ticket_opened", "event_dead"].contains(&self.what);
        if let Some(opening) = place.opening.filter(|_| tells) {
            effects.outbox.push(OutboxEntry::from(ticket_opened(&opening)));
        }
        let first_dead = place.is_new || was < Some(TicketPriority::High);
        if self.dead && first_dead && tells && self.kind == TicketKind::DeadEvent {
            effects.outbox.push(OutboxEntry::from(Notice::of(NoticeKind::EventDead, self.id)));
        }
        effects.tickets.push(TicketWrite {
            kind: place.kind,
            priority: if place.is_new { priority } else { was.unwrap_or(priority).max(priority) },
            open: true,
            object: None,
            event: (self.kind == TicketKind::DeadEvent).then(|| self.id.to_owned()),
            title: self.title(place.kind),
            due_by: None,
            context: Some(TicketContext {
                error: Some(self.failure.message.clone()),
                action: Some(self.failure.class.advice().to_owned()),
                ..context
            }),
            key: place.key,
        });
        effects
    }

    fn title(&self, kind: TicketKind) -> String {
        let Self { what, failure, .. } = self;
        match kind {
            TicketKind::ManyFailures => {
                "more kinds of work fail than tickets are opened for".into()
            }
            _ if self.dead => format!("{what} failed for good: {}", failure.code),
            _ => format!("{what} keeps failing: {}", failure.code),
        }
    }

    fn place(&self, known: &KnownFailure, now: DateTime<Utc>) -> Place {
        let fresh = |key: String| {
            if known.opened < MANY {
                return Place { opening: Some(key.clone()), key, kind: self.kind, is_new: true };
            }
            let key =
                format!("{}:{}", TicketKind::ManyFailures.as_str(), now.format("%Y-%m-%dT%H"));
            Place { opening: Some(key.clone()), key, kind: TicketKind::ManyFailures, is_new: true }
        };
        match &known.ticket {
            None => fresh(self.key()),
            Some(ticket) if ticket.status != TicketStatus::Resolved => {
                Place { key: ticket.key.clone(), opening: None, kind: self.kind, is_new: false }
            }
            Some(ticket) if now - ticket.updated_at < REOPENED => Place {
                // Told again, and by all who see it closed under the same key.
                opening: Some(format!("{}#{}", ticket.key, ticket.count)),
                key: ticket.key.clone(),
                kind: self.kind,
                is_new: true,
            },
            Some(_) => fresh(format!("{}@{}", self.key(), now.format("%Y-%m-%d"))),
        }
    }
}

/// The ticket that a failure goes to.
struct Place {
    key: String,
    kind: TicketKind,
    /// The key under which its opening is told, if it opens.
    opening: Option<String>,
    is_new: bool,
}

/// The queue pauses since most work fails, or runs again.
pub(crate) fn queue_paused(
    known: Option<&Ticket>,
    paused: bool,
    last: Option<&Failure>,
) -> Effects {
    let key = TicketKind::QueuePaused.as_str().to_owned();
    let is_open = |ticket: &Ticket| ticket.status != TicketStatus::Resolved;
    let mut effects = Effects::default();
    if paused && !known.is_some_and(is_open) {
        let times = known.map_or(0, |ticket| ticket.count);
        effects.outbox.push(OutboxEntry::from(ticket_opened(&format!("{key}:{times}"))));
    }
    effects.tickets.push(TicketWrite {
        key,
        kind: TicketKind::QueuePaused,
        priority: TicketPriority::High,
        open: paused,
        object: None,
        event: None,
        title: "most events fail; the queue pauses and tries one every 30 s".to_owned(),
        due_by: None,
        context: last.map(|failure| TicketContext {
            error: Some(failure.message.clone()),
            action: Some(crate::queue::ErrorClass::Systemic.advice().to_owned()),
            ..TicketContext::default()
        }),
    });
    effects
}

impl TicketContext {
    /// Whom an event is about, and the money in it, as far as its payload can be read.
    pub(crate) fn of_event(payload: &[u8]) -> Self {
        let event: Value = serde_json::from_slice(payload).unwrap_or_default();
        let object = &event["data"]["object"];
        let id = |value: &Value| value.as_str().or(value["id"].as_str()).map(str::to_owned);
        let customer = match object["object"].as_str() {
            Some("customer") => id(&object["id"]),
            _ => id(&object["customer"]),
        };
        let amounts = ["amount_due", "amount_total", "amount"];
        let amount = amounts.iter().find_map(|name| object[*name].as_i64());
        let currency = object["currency"].as_str().filter(|_| amount.is_some());
        Self { customer, amount, currency: currency.map(str::to_owned), ..Self::default() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::keys::{SubjectKey, Tenant};
    use crate::queue::ErrorClass;

    fn at(days: i64) -> DateTime<Utc> {
        DateTime::UNIX_EPOCH + TimeDelta::days(days)
    }

    fn failure() -> Failure {
        Failure::new(ErrorClass::Permanent, "corrupt_payload", "no object in it")
    }

    fn dead(failure: &Failure) -> Failed<'_> {
        let kind = TicketKind::DeadEvent;
        Failed { kind, what: "invoice.paid", id: "evt_1", failure, dead: true }
    }

    fn ticket(status: TicketStatus, priority: TicketPriority) -> Ticket {
        Ticket {
            number: 1,
            key: dead(&failure()).key(),
            kind: TicketKind::DeadEvent,
            priority,
            status,
            subject: SubjectKey { tenant: Tenant::default(), id: "cus_1".into() },
            object: None,
            event: None,
            title: String::new(),
            due_by: None,
            count: 3,
            context: None,
            opened_at: at(0),
            updated_at: at(10),
        }
    }

    fn told(failed: &Failed<'_>, known: &KnownFailure, days: i64) -> (String, Vec<String>) {
        let effects = failed.effects(known, TicketContext::default(), at(days));
        assert_eq!(effects.failing.as_ref(), Some(&effects.tickets[0].key));
        let keys = effects.outbox.into_iter().map(|entry| entry.key).collect();
        (effects.tickets[0].key.clone(), keys)
    }

    const KEY: &str = "dead_event:permanent:corrupt_payload:invoice.paid";

    #[test]
    fn the_first_failure_opens_a_ticket_and_later_ones_append() {
        let failure = failure();
        let (key, keys) = told(&dead(&failure), &KnownFailure::default(), 0);
        assert_eq!(key, KEY);
        assert_eq!(keys, [format!("notice:ticket_opened:{KEY}"), "notice:event_dead:evt_1".into()]);
        for status in [TicketStatus::Open, TicketStatus::Investigating] {
            let known =
                KnownFailure { ticket: Some(ticket(status, TicketPriority::High)), opened: 99 };
            assert_eq!(told(&dead(&failure), &known, 11), (KEY.to_owned(), vec![]));
        }
    }

    #[test]
    fn within_a_week_it_opens_again_and_then_another_does() {
        let failure = failure();
        let resolved = ticket(TicketStatus::Resolved, TicketPriority::High);
        let known = KnownFailure { ticket: Some(resolved), opened: 0 };
        let (key, keys) = told(&dead(&failure), &known, 16);
        assert_eq!(
            (key.as_str(), keys[0].as_str()),
            (KEY, &*format!("notice:ticket_opened:{KEY}#3"))
        );
        let (key, keys) = told(&dead(&failure), &known, 17);
        assert_eq!(key, format!("{KEY}@1970-01-18"));
        assert_eq!(keys[0], format!("notice:ticket_opened:{KEY}@1970-01-18"));
    }

    #[test]
    fn beyond_twenty_an_hour_there_is_one_summary() {
        let failure = failure();
        let known = |opened| KnownFailure { ticket: None, opened };
        assert_eq!(told(&dead(&failure), &known(19), 0).0, KEY);
        let (key, keys) = told(&dead(&failure), &known(20), 0);
        assert_eq!(key, "many_failures:1970-01-01T00");
        assert_eq!(keys[0], "notice:ticket_opened:many_failures:1970-01-01T00");
    }

    #[test]
    fn what_keeps_failing_is_normal_until_it_fails_for_good() {
        let failure = failure();
        let failing = Failed { dead: false, ..dead(&failure) };
        let effects = failing.effects(&KnownFailure::default(), TicketContext::default(), at(0));
        assert_eq!(effects.tickets[0].priority, TicketPriority::Normal);
        assert_eq!(effects.outbox.len(), 1, "nothing is dead yet");
        let open = ticket(TicketStatus::Open, TicketPriority::Normal);
        let known = KnownFailure { ticket: Some(open), opened: 0 };
        let (_, keys) = told(&dead(&failure), &known, 11);
        assert_eq!(keys, ["notice:event_dead:evt_1"], "the ticket is open, and now one is dead");
        let high = KnownFailure {
            ticket: Some(ticket(TicketStatus::Open, TicketPriority::High)),
            opened: 0,
        };
        let again = failing.effects(&high, TicketContext::default(), at(11));
        assert_eq!(again.tickets[0].priority, TicketPriority::High, "it is not lowered");
    }

    #[test]
    fn a_ticket_says_who_and_what_is_at_stake_and_nothing_personal() {
        let payload = br#"{"data": {"object": {"object": "invoice", "customer": {"id": "cus_9",
            "email": "a@b.c"}, "amount_due": 4900, "currency": "eur", "customer_email": "a@b.c"}}}"#;
        let context = TicketContext::of_event(payload);
        assert_eq!(context.customer.as_deref(), Some("cus_9"));
        assert_eq!((context.amount, context.currency.as_deref()), (Some(4_900), Some("eur")));
        assert!(!format!("{context:?}").contains("a@b.c"));
        assert_eq!(TicketContext::of_event(b"not json"), TicketContext::default());
    }
}
