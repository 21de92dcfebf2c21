//! A piece of work as rows.

use sea_orm::Value;
use stripe_billing_core::StoreError;
use stripe_billing_core::ledger::LotId;

use super::row;
use super::state::Work;
use super::table::{
    AUDIT, ENTRIES, FREEZES, KEYS, LIMITS, LOTS, NOTICES, RESERVATIONS, SCHEDULED, SOURCES, Table,
};

/// How many tables [`Rows`] are of.
pub(super) const TABLES: usize = 10;

/// The tables, in the order of [`Rows::parts`].
pub(super) const ALL: [&Table; TABLES] = [
    &LOTS,
    &ENTRIES,
    &KEYS,
    &RESERVATIONS,
    &LIMITS,
    &FREEZES,
    &SOURCES,
    &SCHEDULED,
    &NOTICES,
    &AUDIT,
];

/// What a piece of work writes. It is made by whoever has decided the work, so that little is left for
/// the one who writes for all.
#[derive(Debug)]
pub(crate) struct Rows {
    pub(super) account: i64,
    /// See [`row::head`].
    pub(super) head: Vec<Value>,
    /// Of each table the rows, value after value.
    pub(super) parts: [Vec<Value>; TABLES],
    /// How many of the lots were there before; they come first.
    pub(super) known_lots: usize,
    /// Scheduled lots that are no more.
    pub(super) unscheduled: Vec<Value>,
}

impl Rows {
    pub(super) fn of(work: &Work) -> Result<Self, StoreError> {
        let Work { state, lots, reservations, limits, freezes, sources, scheduled, .. } = work;
        let (id, account) = (state.id, &state.account);
        let unscheduled = scheduled.iter().filter(|key| !account.scheduled.contains_key(*key));
        // In the order of ALL.
        let parts = [
            flat(lots.iter().filter_map(|key| account.lots.get(key)), |one| row::lot(id, one))?,
            flat(&work.entries, |one| row::entry(id, one))?,
            flat(&work.keyed, |one| row::keyed(id, one))?,
            flat(reservations.iter().filter_map(|key| account.reservations.get(key)), |one| {
                row::reservation(id, one)
            })?,
            flat(limits.iter().filter_map(|key| account.limits.get(key)), |one| {
                row::limit(id, one)
            })?,
            flat(freezes.iter().filter_map(|key| account.freezes.get(key)), |one| {
                row::freeze(id, one)
            })?,
            flat(sources.iter().filter_map(|key| account.sources.get(key)), |one| {
                row::source(id, one)
            })?,
            flat(scheduled.iter().filter_map(|key| account.scheduled.get(key)), |one| {
                row::scheduled(id, one)
            })?,
            flat(&work.notices, |(one, now)| row::notice(work.key(), one, *now))?,
            flat(&work.audit, |(one, now)| Ok(row::audit(work.key(), one, *now)))?,
        ];
        Ok(Self {
            account: id,
            head: row::head(state)?.into(),
            parts,
            known_lots: lots
                .range(..=LotId(work.from_seq))
                .filter(|key| account.lots.contains_key(key))
                .count(),
            unscheduled: unscheduled.map(|key| crate::db::text(key)).collect(),
        })
    }
}

/// The values of rows, one after the other.
fn flat<T, const N: usize>(
    items: impl IntoIterator<Item = T>,
    row: impl Fn(T) -> Result<[Value; N], StoreError>,
) -> Result<Vec<Value>, StoreError> {
    let mut values = Vec::new();
    for item in items {
        values.extend(row(item)?);
    }
    Ok(values)
}
