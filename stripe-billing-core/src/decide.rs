//! The decision on one event: a pure function of what is known, the event, the catalog and the
//! time.

use chrono::{DateTime, Utc};

use crate::catalog::Catalog;
use crate::changes::{Changes, IgnoreReason, OutboxEntry, ParkReason, RecordWrite, Settlement};
use crate::domain::facts;
use crate::state::{Patch, Record, State, Subject};

/// What is to be done about an event.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub enum Decision {
    /// Something changes: commit it.
    Commit(Box<Changes>),
    /// Nothing changes: only settle the event.
    Settle(Settlement),
}

/// Decides on an event: joins its patch to what is known, and records the facts that follow.
///
/// Calling it again with its own result changes nothing; in any order of events the result is the
/// same.
pub fn decide(before: &Subject, patch: &Patch, catalog: &Catalog, now: DateTime<Utc>) -> Decision {
    let mut after = before.clone();
    for record in &patch.records {
        after.merge(record);
    }
    after.links.merge(&patch.links);

    let account = after.links.account().map(str::to_owned);
    let told: Vec<OutboxEntry> = patch
        .objects()
        .iter()
        .filter_map(|object| after.records.get(object))
        .flat_map(facts)
        .map(|event| OutboxEntry { key: event.key(), event })
        .collect();
    let settlement = match &account {
        None if !told.is_empty() => Settlement::Parked(ParkReason::Unlinked),
        _ if has_unknown_price(patch, catalog) => Settlement::Parked(ParkReason::UnknownPrice {
            catalog: catalog.fingerprint().to_owned(),
        }),
        _ => Settlement::Processed,
    };
    let known = before.records == after.records && before.links == after.links;
    if known
        && before.version > 0
        && !matches!(settlement, Settlement::Parked(_))
        && told.is_empty()
    {
        return Decision::Settle(Settlement::Ignored(IgnoreReason::Superseded));
    }
    log_illegal_step(before, &after, patch);
    Decision::Commit(Box::new(Changes {
        subject: before.key.clone(),
        expected_version: before.version,
        records: writes(before, &after),
        outbox: if account.is_some() { told } else { Vec::new() },
        release_parked: before.links.account().is_none() && account.is_some(),
        links: after.links,
        account,
        settlement,
        now,
    }))
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

/// Whether the event is about a subscription to a price that the catalog does not know.
fn has_unknown_price(patch: &Patch, catalog: &Catalog) -> bool {
    let Some(Record::Subscription(record)) = patch.records.first() else {
        return false;
    };
    let Some(view) = record.latest() else {
        return false;
    };
    view.items.iter().any(|item| catalog.plan_of_price(&item.price).is_none())
}

/// A step outside of the table is applied, since Stripe knows better, but it is worth a look.
fn log_illegal_step(before: &Subject, after: &Subject, patch: &Patch) {
    let Some(Record::Subscription(record)) = patch.records.first() else {
        return;
    };
    let object = &patch.objects()[0];
    let state = |subject: &Subject| match subject.records.get(object) {
        Some(Record::Subscription(record)) => record.latest().map(State::of),
        _ => None,
    };
    if let (Some(from), Some(to)) = (state(before), state(after))
        && !from.may_become(to)
    {
        tracing::warn!(
            subscription = %record.id, from = from.as_str(), to = to.as_str(),
            "a subscription took a step that the table of transitions does not know",
        );
    }
}
