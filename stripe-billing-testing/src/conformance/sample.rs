//! What the cases are told with.

use bytes::Bytes;
use chrono::{DateTime, TimeDelta, Utc};
use serde_json::Value;
use stripe_billing_core::catalog::Link;
use stripe_billing_core::changes::{
    AuditEntry, Changes, Effects, OutboxEntry, RecordWrite, Settlement,
};
use stripe_billing_core::notice::{Notice, NoticeKind};
use stripe_billing_core::queue::{ClaimRequest, ErrorClass, Failure};
use stripe_billing_core::state::{
    LinkSource, Links, ObjectKind, ObjectRef, Patch, Record, Subject,
};
use stripe_billing_core::store::{
    ClaimedEntry, ClaimedEvent, EventQuery, EventSummary, LoadRequest, Order, ReceivedEvent, Store,
    Verb,
};
use stripe_billing_core::stripe::Event;
use stripe_billing_core::ticket::{TicketKind, TicketPriority, TicketWrite};
use stripe_billing_core::webhook::EventKind;
use stripe_billing_core::{DomainEvent, EventKey, SubjectKey, Tenant};

use crate::event::{EventBuilder, InvoiceObject, Shape, SubscriptionObject};

/// How long leases last here, in seconds.
pub(crate) const LEASE: i64 = 60;

/// Ids that databases like to confuse, or to trip over.
pub(crate) const ODD_IDS: [&str; 16] = [
    "x_a",
    "x_A",
    "x_a ",
    " x_a",
    "x_á",
    "x_a\u{301}",
    "x_%",
    "x__",
    "x_'; DROP TABLE events; --",
    "x_\"quoted\"",
    "x_back\\slash",
    "x_ß",
    "x_ss",
    "x_🎉",
    "x_🎊",
    "x_日本語",
];

/// So many seconds after the beginning of the case.
pub(crate) fn at(seconds: i64) -> DateTime<Utc> {
    DateTime::from_timestamp(1_767_225_600 + seconds, 0).unwrap_or_default()
}

pub(crate) fn live() -> Tenant {
    Tenant::platform(true)
}

pub(crate) fn test_mode() -> Tenant {
    Tenant::platform(false)
}

pub(crate) fn connected(account: &str) -> Tenant {
    Tenant { stripe_account: Some(account.to_owned()), livemode: true }
}

/// An event of the platform in live mode.
pub(crate) fn event(id: &str, received_at: DateTime<Utc>) -> ReceivedEvent {
    event_of(live(), id, received_at)
}

pub(crate) fn event_of(tenant: Tenant, id: &str, received_at: DateTime<Utc>) -> ReceivedEvent {
    let created = received_at.timestamp() - 2;
    ReceivedEvent {
        key: EventKey { tenant, id: id.to_owned() },
        kind: EventKind::Snapshot,
        event_type: "invoice.paid".to_owned(),
        api_version: Some(Shape::New.api_version().to_owned()),
        created,
        received_at,
        payload: EventBuilder::new("invoice.paid")
            .id(id)
            .created(created)
            .object(InvoiceObject::new("in_1", "cus_1", Some("sub_1")).render(Shape::New))
            .build(),
    }
}

pub(crate) fn claiming(limit: u32, now: DateTime<Utc>) -> ClaimRequest {
    ClaimRequest { worker: "worker-1".to_owned(), limit, lease: TimeDelta::seconds(LEASE), now }
}

pub(crate) async fn claim(store: &dyn Store, now: DateTime<Utc>) -> Vec<ClaimedEvent> {
    store.claim(&claiming(1_000, now)).await.expect("claim")
}

pub(crate) async fn claim_outbox(store: &dyn Store, now: DateTime<Utc>) -> Vec<ClaimedEntry> {
    let request = claiming(1_000, now);
    store.claim_outbox(&request).await.expect("claim_outbox")
}

/// Receives an event and takes it; nothing else may be due.
pub(crate) async fn take(store: &dyn Store, id: &str, now: DateTime<Utc>) -> ClaimedEvent {
    take_of(store, live(), id, now).await
}

pub(crate) async fn take_of(
    store: &dyn Store,
    tenant: Tenant,
    id: &str,
    now: DateTime<Utc>,
) -> ClaimedEvent {
    let received = store.receive(event_of(tenant, id, now)).await;
    received.expect("receive");
    retake(store, id, now).await
}

/// Takes the only event that is due.
pub(crate) async fn retake(store: &dyn Store, id: &str, now: DateTime<Utc>) -> ClaimedEvent {
    let mut claimed = claim(store, now).await;
    assert_eq!(ids(&claimed), [id], "exactly this event is due");
    claimed.remove(0)
}

pub(crate) fn ids(claimed: &[ClaimedEvent]) -> Vec<&str> {
    claimed.iter().map(|claimed| claimed.event.key.id.as_str()).collect()
}

pub(crate) fn keys(claimed: &[ClaimedEntry]) -> Vec<&str> {
    claimed.iter().map(|claimed| claimed.entry.key.as_str()).collect()
}

pub(crate) fn subject(id: &str) -> SubjectKey {
    subject_of(live(), id)
}

pub(crate) fn subject_of(tenant: Tenant, id: &str) -> SubjectKey {
    SubjectKey { tenant, id: id.to_owned() }
}

pub(crate) async fn load(store: &dyn Store, subject: &SubjectKey) -> Subject {
    load_with(store, subject, &[]).await
}

pub(crate) async fn load_with(
    store: &dyn Store,
    subject: &SubjectKey,
    objects: &[ObjectRef],
) -> Subject {
    let mut loaded = load_all(store, &subject.tenant, &[&subject.id], objects).await;
    assert!(loaded.len() <= 1, "nothing else is loaded");
    loaded.pop().unwrap_or_else(|| Subject::new(subject.clone()))
}

/// What is stored of several ids.
pub(crate) async fn load_all(
    store: &dyn Store,
    tenant: &Tenant,
    ids: &[&str],
    objects: &[ObjectRef],
) -> Vec<Subject> {
    let request = LoadRequest {
        tenant: tenant.clone(),
        ids: ids.iter().map(|id| (*id).to_owned()).collect(),
        objects: objects.to_vec(),
    };
    store.load(&request).await.expect("load")
}

/// The event as operators see it.
pub(crate) async fn summary(store: &dyn Store, id: &str) -> EventSummary {
    let query = EventQuery { limit: 1_000, ..EventQuery::default() };
    let events = store.events(&query).await.expect("events");
    let found = events.into_iter().find(|event| event.key.id == id);
    found.unwrap_or_else(|| panic!("{id} is not listed"))
}

fn record(event_type: &str, object: Value) -> Record {
    let body: Bytes = EventBuilder::new(event_type).object(object).build();
    let event = Event::parse(&body).expect("a built event can be read");
    let patch = Patch::of(&event, &Link::default()).expect("it is about what is kept");
    patch.records.into_iter().next().expect("it has a record")
}

/// What is known of a subscription with so many seats.
pub(crate) fn subscription(id: &str, seats: i64) -> Record {
    let object = SubscriptionObject::new(id, "cus_1").quantity(Some(seats));
    record("customer.subscription.updated", object.render(Shape::New))
}

/// What is known of an invoice in a status.
pub(crate) fn invoice(id: &str, status: &str) -> Record {
    let object = InvoiceObject::new(id, "cus_1", Some("sub_1")).status(status);
    record("invoice.updated", object.render(Shape::New))
}

/// How many seats a subject's only subscription has.
pub(crate) fn seats(subject: &Subject) -> Option<i64> {
    let view = subject.subscriptions().next()?.latest()?;
    view.items.first()?.quantity
}

pub(crate) fn current(record: &Record) -> RecordWrite {
    RecordWrite { record: record.clone(), current: true }
}

pub(crate) fn past(record: &Record) -> RecordWrite {
    RecordWrite { record: record.clone(), current: false }
}

/// Links to an account.
pub(crate) fn linked(account: &str) -> Links {
    linked_at(account, 1)
}

pub(crate) fn linked_at(account: &str, stamp: i64) -> Links {
    let mut links = Links::default();
    links.claim(LinkSource::CustomerMetadata, account, stamp);
    links
}

/// A decision that changes nothing but the version.
pub(crate) fn changes(subject: &SubjectKey, expected: i64, now: DateTime<Utc>) -> Changes {
    Changes {
        subject: subject.clone(),
        expected_version: expected,
        links: Links::default(),
        account: None,
        records: Vec::new(),
        adopted: Vec::new(),
        effects: Effects::default(),
        settlement: Settlement::Processed,
        anomalies: Vec::new(),
        release_parked: false,
        now,
    }
}

/// The same, with links to an account.
pub(crate) fn linking(
    subject: &SubjectKey,
    expected: i64,
    account: &str,
    now: DateTime<Utc>,
) -> Changes {
    Changes {
        links: linked(account),
        account: Some(account.to_owned()),
        ..changes(subject, expected, now)
    }
}

/// Messages to tell.
pub(crate) fn telling(outbox: Vec<OutboxEntry>) -> Effects {
    Effects { outbox, ..Effects::default() }
}

/// The fact that a subscription started.
pub(crate) fn started(subscription: &str) -> OutboxEntry {
    let event = DomainEvent::SubscriptionStarted { subscription: subscription.to_owned() };
    OutboxEntry::from(event)
}

/// The fact that an invoice is paid, with its total in minor units.
pub(crate) fn paid(invoice: &str, total: i64) -> OutboxEntry {
    let event = DomainEvent::InvoicePaid {
        invoice: invoice.to_owned(),
        subscription: Some("sub_1".to_owned()),
        total: Some(total),
        currency: Some("usd".to_owned()),
    };
    OutboxEntry::from(event)
}

/// A notice about an invoice, told in a way of its own.
pub(crate) fn notice(kind: NoticeKind, invoice: &str, detail: &str) -> OutboxEntry {
    OutboxEntry::from(Notice {
        kind,
        object: Some(ObjectRef::new(ObjectKind::Invoice, invoice)),
        detail: detail.to_owned(),
    })
}

/// Opens a ticket, or tells of it.
pub(crate) fn opening(key: &str) -> TicketWrite {
    TicketWrite {
        key: key.to_owned(),
        kind: TicketKind::Dispute,
        priority: TicketPriority::Normal,
        open: true,
        object: None,
        event: Some("evt_1".to_owned()),
        title: "A payment is disputed".to_owned(),
        due_by: None,
        context: None,
    }
}

/// An operator's order.
pub(crate) fn ordering(verb: Verb, request: &str, now: i64) -> Order {
    Order {
        request: request.to_owned(),
        actor: "ada".to_owned(),
        reason: Some("“why not”".to_owned()),
        verb,
        now: at(now),
    }
}

/// A line for the audit log.
pub(crate) fn audited(action: &str) -> AuditEntry {
    AuditEntry {
        actor: "stripe:evt_1".to_owned(),
        action: action.to_owned(),
        object: ObjectRef::new(ObjectKind::Subscription, "sub_1"),
        before: None,
        after: Some("active".to_owned()),
        reason: None,
    }
}

pub(crate) fn failure() -> Failure {
    Failure::new(ErrorClass::Transient, "store_unavailable", "it was “away”")
}
