use std::collections::BTreeMap;

use super::*;
use crate::changes::{Effects, Message, RecordWrite, Settlement};
use crate::domain::DomainEvent;
use crate::keys::{SubjectKey, Tenant};
use crate::state::{Links, PaymentRecord, Record};
use crate::ticket::{Ticket, TicketKind, TicketPriority, TicketStatus};

const DENY: Verdict = Verdict::Deny("declines");
const REVIEW: Verdict = Verdict::Review("declines");

fn at(minutes: i64) -> DateTime<Utc> {
    DateTime::UNIX_EPOCH + TimeDelta::minutes(minutes)
}

fn ticket(priority: TicketPriority, status: TicketStatus) -> Ticket {
    Ticket {
        number: 1,
        key: key("acme", "declines"),
        kind: TicketKind::FraudReview,
        priority,
        status,
        subject: key_of("cus_1"),
        object: None,
        event: None,
        title: String::new(),
        due_by: None,
        count: 3,
        context: None,
        opened_at: at(0),
        updated_at: at(0),
    }
}

/// The facts and the priority that a verdict leads to, some minutes after the ticket was told of.
fn follows(
    verdict: Verdict,
    ticket: Option<&Ticket>,
    minutes: i64,
) -> Option<(Vec<String>, TicketPriority)> {
    let effects = told("acme", verdict, Occasion::Event("evt_1"), ticket, at(minutes))?;
    assert_eq!((effects.tickets.len(), effects.audit.len()), (1, 1));
    assert_eq!(effects.tickets[0].event.as_deref(), Some("evt_1"));
    let facts = effects.outbox.iter().filter(|entry| matches!(entry.message, Message::Event(_)));
    Some((facts.map(|entry| entry.key.clone()).collect(), effects.tickets[0].priority))
}

#[test]
fn the_app_is_told_once_for_each_opening_and_once_when_it_becomes_a_denial() {
    let fact = |rest: &str| vec![format!("fraud_suspected:declines:{rest}:acme")];
    let (normal, high) = (TicketPriority::Normal, TicketPriority::High);
    assert_eq!(follows(REVIEW, None, 0), Some((fact("review:0"), normal)));
    assert_eq!(follows(DENY, None, 0), Some((fact("deny:0"), high)));
    let reviewed = ticket(normal, TicketStatus::Open);
    assert_eq!(follows(REVIEW, Some(&reviewed), 59), None, "told within the hour");
    assert_eq!(follows(REVIEW, Some(&reviewed), 60), Some((vec![], normal)));
    assert_eq!(follows(DENY, Some(&reviewed), 1), Some((fact("deny:3"), high)));
    let denied = ticket(high, TicketStatus::Investigating);
    assert_eq!(follows(DENY, Some(&denied), 60), Some((vec![], high)));
    assert_eq!(follows(REVIEW, Some(&denied), 60), Some((vec![], high)), "it is not lowered");
    let over = ticket(high, TicketStatus::Resolved);
    assert_eq!(follows(DENY, Some(&over), 59), None, "whoever resolved it has an hour of peace");
    assert_eq!(follows(REVIEW, Some(&over), 60), Some((fact("review:3"), normal)));
    assert_eq!(follows(Verdict::Allow, None, 0), None);
}

#[test]
fn a_fact_is_under_its_own_key_and_of_one_content() {
    let fact = |account: &str, occurrence| DomainEvent::FraudSuspected {
        account: account.into(),
        rule: "declines".into(),
        denied: true,
        occurrence,
    };
    assert_eq!(fact("acme", 0).key(), "fraud_suspected:declines:deny:0:acme");
    assert_ne!(fact("1:acme", 0).key(), fact("acme", 1).key());
    let json = serde_json::to_value(fact("acme", 0)).unwrap();
    assert_eq!(json["type"], "fraud_suspected");
    assert_eq!(serde_json::from_value::<DomainEvent>(json).unwrap(), fact("acme", 0));
}

#[derive(Debug)]
struct Says(Verdict);

impl FraudRule for Says {
    fn judge(&self, _: &History<'_>) -> Verdict {
        self.0
    }
}

#[test]
fn every_rule_that_speaks_against_it_is_heard_and_each_by_its_strictest_word() {
    let rules: Vec<Arc<dyn FraudRule>> = vec![
        Arc::new(Says(Verdict::Review("b"))),
        Arc::new(Says(Verdict::Deny("a"))),
        Arc::new(Says(Verdict::Allow)),
        Arc::new(Says(Verdict::Deny("b"))),
        Arc::new(Says(Verdict::Review("c"))),
    ];
    let history = History::new(&[], at(0));
    let expected = [Verdict::Review("c"), Verdict::Deny("a"), Verdict::Deny("b")];
    assert_eq!(verdicts(&rules, true, &history), expected);
    assert_eq!(verdicts(&[], true, &history), []);
}

fn key_of(id: &str) -> SubjectKey {
    SubjectKey { tenant: Tenant::platform(true), id: id.into() }
}

fn changes(account: Option<&str>) -> Changes {
    Changes {
        subject: key_of("cus_1"),
        expected_version: 4,
        links: Links::default(),
        account: account.map(str::to_owned),
        records: vec![RecordWrite {
            record: Record::Payment(PaymentRecord::new("pi_1")),
            current: true,
        }],
        adopted: vec![crate::changes::Adoption {
            id: "pi_1".into(),
            expected_version: 1,
            had_state: true,
            links: Links::default(),
        }],
        effects: Effects::default(),
        settlement: Settlement::Processed,
        anomalies: Vec::new(),
        release_parked: false,
        now: at(0),
    }
}

fn family(version: i64) -> Family {
    let subject = Subject { version, ..Subject::new(key_of("cus_1")) };
    Family {
        subject,
        orphans: Vec::new(),
        adopted: Vec::new(),
        names: Default::default(),
        routes: BTreeMap::new(),
    }
}

#[test]
fn only_events_that_may_change_a_count_are_judged() {
    let linked = changes(Some("acme"));
    let mut known = family(4);
    known.subject.links.claim(crate::state::LinkSource::Operator, "acme", 0);
    for judged in [
        "payment_intent.payment_failed",
        "invoice.payment_failed",
        "checkout.session.completed",
        "checkout.session.expired",
        "charge.dispute.created",
        "radar.early_fraud_warning.created",
    ] {
        assert!(concerns(judged, &known, &linked), "{judged}");
        assert!(!concerns(judged, &known, &changes(None)), "{judged}: nobody's");
    }
    for other in ["invoice.paid", "customer.subscription.updated", "charge.refunded"] {
        assert!(!concerns(other, &known, &linked), "{other}");
        assert!(!concerns(other, &family(0), &linked), "{other}: a new customer has no past");
        assert!(
            concerns(other, &family(4), &linked),
            "{other}: what was nobody's is the account's"
        );
    }
}

#[test]
fn a_decision_is_applied_and_what_it_adopts_counts_once() {
    let of = |id: &str| {
        let mut subject = Subject { version: 4, ..Subject::new(key_of(id)) };
        subject.merge(&Record::Payment(PaymentRecord::new(if id == "pi_1" { id } else { "pi_2" })));
        subject
    };
    let ids = |subjects: &[Subject]| -> Vec<(String, usize)> {
        subjects.iter().map(|it| (it.key.id.clone(), it.payments().count())).collect()
    };
    let before = vec![of("cus_0"), of("cus_1"), of("pi_1")];
    let after = applied(before, &changes(Some("acme")));
    assert_eq!(ids(&after), [("cus_0".into(), 1), ("cus_1".into(), 2)]);
    let alone = applied(Vec::new(), &changes(Some("acme")));
    assert_eq!((ids(&alone), alone[0].version), (vec![("cus_1".into(), 1)], 5));
}
