//! The decision on one event: a pure function of what is known, the event, the catalog and the
//! time.

use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet};

use chrono::{DateTime, Utc};

use crate::catalog::Catalog;
use crate::changes::{
    Changes, Effects, IgnoreReason, Message, OutboxEntry, ParkReason, RecordWrite, Settlement,
};
use crate::domain::facts;
use crate::notice::notices;
use crate::state::{Family, ObjectKind, ObjectRef, Patch, Record, Subject};

mod audit;
mod credits;
mod failing;
mod tickets;

pub(crate) use credits::owed;
pub(crate) use failing::{Failed, LATELY, queue_paused};
pub(crate) use tickets::fact_differs;

/// What is to be done about an event.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub enum Decision {
    /// Something changes: commit it.
    Commit(Box<Changes>),
    /// Nothing changes: only settle the event.
    Settle(Settlement),
}

/// What a decision goes by beside the event and the state.
#[derive(Clone, Copy, Debug)]
#[allow(clippy::exhaustive_structs)]
pub struct Terms<'a> {
    /// What is sold.
    pub catalog: &'a Catalog,
    /// The time.
    pub now: DateTime<Utc>,
    /// The event's id, for the audit log.
    pub event: &'a str,
    /// Whether everything that leaves the system is only kept on record.
    pub shadow: bool,
}

/// Decides on an event: joins its patch to what is known, and records the facts that follow.
///
/// Calling it again with its own result changes nothing; in any order of events the result is the
/// same.
pub fn decide(family: &Family, patch: &Patch, terms: &Terms<'_>) -> Decision {
    let before = &family.subject;
    let mut patch = patch.clone();
    patch.route(&family.routes);
    let patch = &patch;
    let (after, touched) = join(family, patch);
    let account = after.links.account().map(str::to_owned);
    let mut effects = effects(before, &after, &touched, terms);
    let credited = credits::of(&after, &touched, terms, &mut effects);
    let waits = account.is_none() && (credited || !effects.outbox.iter().all(is_internal));
    if account.is_none() {
        // Nobody to tell yet: the event waits, and tells when it is taken up again.
        effects.outbox.retain(is_internal);
    }
    let settlement = match &account {
        None if waits => Settlement::Parked(ParkReason::Unlinked),
        _ if has_unknown_price(&after, patch, terms.catalog) => {
            let catalog = terms.catalog.fingerprint().to_owned();
            Settlement::Parked(ParkReason::UnknownPrice { catalog })
        }
        _ => Settlement::Processed,
    };
    let known = before.records == after.records
        && before.links == after.links
        && before.version > 0
        && family.adopted.is_empty();
    if known && effects.is_empty() && settlement == Settlement::Processed {
        return Decision::Settle(Settlement::Ignored(IgnoreReason::Superseded));
    }
    log_illegal_step(before, &after, patch);
    let linked = account.is_some();
    let news = before.links.account().is_none() || !family.orphans.is_empty();
    Decision::Commit(Box::new(Changes {
        subject: before.key.clone(),
        expected_version: before.version,
        records: writes(before, &after),
        adopted: family.adopted.clone(),
        effects,
        release_parked: linked && news,
        links: after.links,
        account,
        settlement,
        anomalies: patch.anomalies.clone(),
        now: terms.now,
    }))
}

/// Whether a message is for operators, who need no account to be told.
fn is_internal(entry: &OutboxEntry) -> bool {
    matches!(&entry.message, Message::Notice(notice) if notice.kind.is_internal())
}

/// The subject with the patch and its orphans joined, and the objects that they touch.
fn join(family: &Family, patch: &Patch) -> (Subject, BTreeSet<ObjectRef>) {
    let mut after = family.subject.clone();
    let mut touched: BTreeSet<ObjectRef> = patch.objects().into_iter().collect();
    for orphan in &family.orphans {
        for record in orphan.records.values().filter_map(|record| routed(record, &family.routes)) {
            after.merge(&record);
            touched.insert(record.object());
        }
        after.links.merge(&orphan.links);
    }
    for record in &patch.records {
        after.merge(record);
    }
    after.links.merge(&patch.links);
    after.links.name(&family.names);
    after.route(&family.routes);
    let moved = touched.iter().filter_map(|object| match after.records.get(object) {
        Some(Record::Payment(payment)) => payment.same_as(),
        _ => None,
    });
    let moved: Vec<ObjectRef> = moved.map(|id| ObjectRef::new(ObjectKind::Payment, id)).collect();
    touched.extend(moved);
    (after, touched)
}

/// A record under the name that it has by now; what was left under an old name is nothing.
fn routed<'a>(record: &'a Record, routes: &BTreeMap<String, String>) -> Option<Cow<'a, Record>> {
    let Record::Payment(payment) = record else { return Some(Cow::Borrowed(record)) };
    if payment.same_as().is_some() {
        return None;
    }
    Some(match routes.get(payment.id()) {
        Some(intent) => Cow::Owned(Record::Payment(payment.renamed(intent))),
        None => Cow::Borrowed(record),
    })
}

/// What follows from the objects that were touched: all that is true of them now, each under a key
/// that makes it happen once.
fn effects(
    before: &Subject,
    after: &Subject,
    touched: &BTreeSet<ObjectRef>,
    terms: &Terms<'_>,
) -> Effects {
    let mut effects = Effects { shadow: terms.shadow, ..Effects::default() };
    for object in touched {
        let Some(record) = after.records.get(object) else { continue };
        effects.outbox.extend(facts(record).into_iter().map(OutboxEntry::from));
        let changed = before.records.get(object) != Some(record);
        for due in notices(after, object, terms.catalog.policy(), terms.now) {
            if due.notice.kind.is_dunning() && due.at <= terms.now {
                continue;
            }
            let mut entry = OutboxEntry::from(due.notice);
            entry.due = Some(due.at).filter(|at| *at > terms.now);
            effects.outbox.push(entry);
        }
        if changed {
            tickets::of(before.records.get(object), record, terms, &mut effects);
            audit::of(before.records.get(object), record, terms, &mut effects);
        }
    }
    if after.links.is_contested() && !before.links.is_contested() {
        tickets::contested(after, terms, &mut effects);
    }
    audit::of_links(before, after, terms, &mut effects);
    effects
}

/// The records that are new or changed, or whose being current changed.
fn writes(before: &Subject, after: &Subject) -> Vec<RecordWrite> {
    let (was, is) = (before.current(), after.current());
    after
        .records
        .iter()
        .filter(|(object, record)| {
            before.records.get(*object) != Some(record)
                || was.contains(object) != is.contains(object)
        })
        .map(|(object, record)| RecordWrite {
            record: record.clone(),
            current: is.contains(object),
        })
        .collect()
}

/// Whether the event is about a subscription, not over yet, to a price that the catalog does not
/// know, or about money for something that it does not know.
fn has_unknown_price(after: &Subject, patch: &Patch, catalog: &Catalog) -> bool {
    let object = patch.records.first().map(Record::object);
    let record = object.and_then(|it| after.records.get(&it));
    let Some(Record::Subscription(record)) = record else {
        return record.is_some_and(|record| credits::is_unknown(record, catalog));
    };
    let live = record.latest().filter(|view| !view.status.is_terminal());
    live.is_some_and(|view| {
        view.items.iter().any(|item| catalog.plan_of_price(&item.price).is_none())
    })
}

/// A step outside of the table is applied, since Stripe knows better, but it is worth a look.
fn log_illegal_step(before: &Subject, after: &Subject, patch: &Patch) {
    let Some(Record::Subscription(record)) = patch.records.first() else {
        return;
    };
    let object = ObjectRef::new(ObjectKind::Subscription, record.id());
    if let (Some(from), Some(to)) = (audit::state(before, &object), audit::state(after, &object))
        && !from.may_become(to)
    {
        tracing::warn!(
            subscription = %record.id, from = from.as_str(), to = to.as_str(),
            "a subscription took a step that the table of transitions does not know",
        );
    }
}
