//! `EventStore` clause 9: tickets and the audit log.

use stripe_billing_core::SubjectKey;
use stripe_billing_core::changes::{AuditEntry, Changes, Effects};
use stripe_billing_core::state::{ObjectKind, ObjectRef};
use stripe_billing_core::store::{AuditLine, AuditQuery, Commit, Store, TicketQuery};
use stripe_billing_core::ticket::{
    Ticket, TicketContext, TicketKind, TicketPriority, TicketStatus, TicketWrite,
};

use super::Fixture;
use super::race::{insist, race};
use super::sample::{
    at, audited, changes, claim, connected, event, live, load, opening, subject, subject_of,
    take_of, test_mode,
};

async fn tickets(store: &dyn Store) -> Vec<Ticket> {
    let query = TicketQuery { limit: 1_000, ..TicketQuery::default() };
    store.tickets(&query).await.expect("tickets")
}

async fn write(store: &dyn Store, key: &SubjectKey, now: i64, tickets: Vec<TicketWrite>) {
    follow(store, key, now, Effects { tickets, ..Effects::default() }).await;
}

async fn follow(store: &dyn Store, key: &SubjectKey, now: i64, effects: Effects) {
    let held = take_of(store, key.tenant.clone(), &format!("evt_{now}"), at(now)).await;
    let version = load(store, key).await.version;
    let decision = Changes { effects, ..changes(key, version, at(now)) };
    let done = store.commit(&held.lease, &decision).await.expect("commit");
    assert_eq!(done, Commit::Done);
}

/// A write of an open ticket opens it, or tells of it once more; one of a closed ticket closes it,
/// and the next open one opens it again. What the last write said holds.
pub async fn event_store_9_a_ticket_is_opened_told_closed_and_opened_again(fixture: &Fixture) {
    let store = fixture.node().as_ref();
    let (first, later) = (subject("pi_1"), subject("cus_1"));
    let open = TicketWrite {
        object: Some(ObjectRef::new(ObjectKind::Payment, "pi_1")),
        due_by: Some(1_800_000_000),
        ..opening("dispute:dp_1")
    };
    let told = TicketWrite {
        kind: TicketKind::FraudWarning,
        priority: TicketPriority::High,
        object: None,
        event: None,
        title: "it's “urgent”".to_owned(),
        due_by: None,
        context: Some(TicketContext { amount: Some(4_900), ..TicketContext::default() }),
        ..open.clone()
    };
    let closed = TicketWrite { open: false, ..open.clone() };
    let steps = [
        (&first, open.clone(), TicketStatus::Open),
        (&later, told, TicketStatus::Open),
        (&later, closed.clone(), TicketStatus::Resolved),
        (&later, closed, TicketStatus::Resolved),
        (&first, open, TicketStatus::Open),
    ];
    let (mut number, mut known) = (None, None);
    for (n, (key, write_of, status)) in (1..).zip(steps) {
        write(store, key, i64::from(n), vec![write_of.clone()]).await;
        let write_of_context = write_of.context.clone();
        let mut all = tickets(fixture.other().as_ref()).await;
        assert_eq!(all.len(), 1);
        let ticket = all.remove(0);
        let number = *number.get_or_insert(ticket.number);
        let TicketWrite {
            key: name, kind, priority, open: _, object, event, title, due_by, ..
        } = write_of;
        // It stays when a later write brings none.
        known = write_of_context.or(known);
        let expected = Ticket {
            number,
            key: name,
            kind,
            priority,
            status,
            subject: key.clone(),
            object,
            event,
            title,
            due_by,
            count: n,
            context: known.clone(),
            opened_at: at(1),
            updated_at: at(i64::from(n)),
        };
        assert_eq!(ticket, expected);
    }
}

/// Closing what was never opened opens nothing; an open one beside it is opened all the same.
pub async fn event_store_9_a_closing_write_opens_none(fixture: &Fixture) {
    let store = fixture.node().as_ref();
    let closed = TicketWrite { open: false, ..opening("dispute:dp_1") };
    write(store, &subject("cus_1"), 1, vec![closed.clone()]).await;
    assert!(tickets(store).await.is_empty());
    write(store, &subject("cus_1"), 2, vec![closed, opening("dispute:dp_2")]).await;
    let all = tickets(store).await;
    assert_eq!((all.len(), all[0].key.as_str()), (1, "dispute:dp_2"));
}

/// One key is one ticket in each tenant, and keys are compared exactly.
pub async fn event_store_9_tickets_are_unique_per_tenant_and_key(fixture: &Fixture) {
    let store = fixture.node().as_ref();
    let tenants = [live(), test_mode(), connected("acct_1"), connected("acct_A")];
    for (n, tenant) in (1..).zip(tenants.iter().cycle().take(8)) {
        let key = subject_of(tenant.clone(), "cus_1");
        let writes = ["dispute:dp_1", "dispute:DP_1", "dispute:dp_1 "].map(opening).to_vec();
        write(store, &key, n, writes).await;
    }
    let all = tickets(store).await;
    assert_eq!(all.len(), 12);
    assert!(all.iter().all(|ticket| ticket.count == 2));
    assert!(all.is_sorted_by(|a, b| a.number > b.number), "the newest first");
}

/// Of eight commits that open one ticket at one moment each counts, and there is one.
pub async fn event_store_9_simultaneous_writes_are_one_ticket(fixture: &Fixture) {
    for n in 0..8 {
        let event = event(&format!("evt_{n}"), at(0));
        fixture.node().receive(event).await.expect("receive");
    }
    let held = claim(fixture.node().as_ref(), at(1)).await;
    let leases: Vec<_> = held.into_iter().map(|one| one.lease).collect();
    let outcomes = race(8, |number| {
        let (node, lease) = (fixture.turn(number), leases[number].clone());
        let effects = Effects { tickets: vec![opening("dispute:dp_1")], ..Effects::default() };
        let key = subject(&format!("cus_{number}"));
        let decision = Changes { effects, ..changes(&key, 0, at(2)) };
        async move { insist(|| node.commit(&lease, &decision)).await }
    })
    .await;
    assert_eq!(outcomes, [Commit::Done; 8]);
    let all = tickets(fixture.other().as_ref()).await;
    assert_eq!((all.len(), all[0].count), (1, 8));
}

/// Tickets are listed the newest first, by status and subject, and page by page.
pub async fn inspect_tickets_are_filtered_and_paged(fixture: &Fixture) {
    let store = fixture.node().as_ref();
    for n in 0..9 {
        let key = subject(if n % 3 == 0 { "cus_a" } else { "cus_b" });
        write(store, &key, n + 1, vec![opening(&format!("dispute:{n}"))]).await;
    }
    let closed = TicketWrite { open: false, ..opening("dispute:4") };
    write(store, &subject("cus_b"), 20, vec![closed]).await;
    let other = fixture.other().as_ref();
    let keys = |tickets: &[Ticket]| -> Vec<String> {
        tickets.iter().map(|ticket| ticket.key.replace("dispute:", "")).collect()
    };
    let with = |status, subject: Option<&str>| TicketQuery {
        status,
        subject: subject.map(str::to_owned),
        limit: 100,
        ..TicketQuery::default()
    };
    let queries: [(TicketQuery, &[&str]); 5] = [
        (with(Some(TicketStatus::Resolved), None), &["4"]),
        (with(None, Some("cus_a")), &["6", "3", "0"]),
        (with(Some(TicketStatus::Open), Some("cus_b")), &["8", "7", "5", "2", "1"]),
        (with(Some(TicketStatus::Investigating), None), &[]),
        (with(None, Some("CUS_A")), &[]),
    ];
    for (query, expected) in queries {
        assert_eq!(keys(&other.tickets(&query).await.expect("tickets")), expected, "{query:?}");
    }
    let mut query = TicketQuery { limit: 4, ..TicketQuery::default() };
    let mut seen = Vec::new();
    loop {
        let page = other.tickets(&query).await.expect("tickets");
        let Some(last) = page.last() else { break };
        assert!(page.len() <= 4);
        query.after = Some(last.number);
        seen.extend(keys(&page));
    }
    assert_eq!(seen, ["8", "7", "6", "5", "4", "3", "2", "1", "0"]);
}

async fn log(store: &dyn Store, query: &AuditQuery) -> Vec<AuditLine> {
    store.audit(query).await.expect("audit")
}

/// Lines of the log come back as they were written, in their order, by subject and page by page;
/// what happens later, erasing included, changes none of them.
pub async fn event_store_9_the_audit_log_keeps_its_lines(fixture: &Fixture) {
    let store = fixture.node().as_ref();
    let all = AuditQuery { limit: 100, ..AuditQuery::default() };
    assert!(log(store, &all).await.is_empty());
    let odd = AuditEntry {
        before: Some(String::new()),
        after: Some("it's \"paid\" \\ 日本".to_owned()),
        reason: Some("{p} ? $1".to_owned()),
        ..audited("odd")
    };
    let mut expected = Vec::new();
    for n in 1..6 {
        let key = subject(if n % 2 == 0 { "cus_a" } else { "cus_b" });
        let tickets = if n == 3 { vec![opening("dispute:dp_1")] } else { Vec::new() };
        let audit =
            vec![audited(&format!("{n} first")), odd.clone(), audited(&format!("{n} third"))];
        expected.extend(audit.iter().map(|entry| (at(n), key.clone(), entry.clone())));
        follow(store, &key, n, Effects { audit, tickets, ..Effects::default() }).await;
    }
    expected.reverse();
    let lines = |log: &[AuditLine]| -> Vec<_> {
        log.iter().map(|line| (line.at, line.subject.clone(), line.entry.clone())).collect()
    };
    let written = log(fixture.other().as_ref(), &all).await;
    assert_eq!(lines(&written), expected);
    assert!(written.is_sorted_by(|a, b| a.seq > b.seq), "the newest first");

    let of_a = AuditQuery { subject: Some("cus_a".to_owned()), ..all.clone() };
    let only_a: Vec<_> = expected.iter().filter(|(_, key, _)| key.id == "cus_a").cloned().collect();
    assert_eq!(lines(&log(store, &of_a).await), only_a);
    let mut query = AuditQuery { limit: 4, ..AuditQuery::default() };
    let mut seen = Vec::new();
    loop {
        let page = log(store, &query).await;
        let Some(last) = page.last() else { break };
        query.after = Some(last.seq);
        seen.extend(page);
    }
    assert_eq!(seen, written, "pages have no gaps and no repeats");

    store.erase(&subject("cus_a")).await.expect("erase");
    store.prune(at(1_000), 1_000).await.expect("prune");
    assert_eq!(log(store, &all).await, written);
}
