//! Rows: what the tables hold, from and to what the rules know.

use chrono::{DateTime, Utc};
use sea_orm::{QueryResult, Value};
use serde::Serialize;
use serde::de::DeserializeOwned;
use stripe_billing_core::StoreError;
use stripe_billing_core::changes::{AuditEntry, OutboxEntry};
use stripe_billing_core::ledger::{
    Balance, Entry, KeyedReply, LedgerKey, Lot, LotId, Reservation, ReservationState, ScheduledLot,
};
use stripe_billing_core::notice::credits_subject;

use super::state::Work;
use super::table::{
    AUDIT, ENTRIES, FREEZES, KEYS, LIMITS, LOTS, NOTICES, RESERVATIONS, SCHEDULED, SOURCES, Table,
};
use crate::classify::corrupt;
use crate::db::{self, column};

/// Whether anything can become of a lot by itself.
pub(crate) fn is_open(lot: &Lot) -> bool {
    lot.remaining > 0 || lot.held > 0 || lot.frozen > 0
}

pub(crate) fn is_held(reservation: &Reservation) -> bool {
    reservation.state == ReservationState::Open
}

/// An account's columns.
pub(crate) fn key_values(key: &LedgerKey) -> [Value; 4] {
    [
        db::text(key.owner.stripe_account.as_deref().unwrap_or_default()),
        db::text(&key.owner.account),
        key.livemode.into(),
        db::text(&key.unit.0),
    ]
}

pub(crate) fn key(row: &QueryResult) -> Result<LedgerKey, StoreError> {
    let account: String = column(row, 0)?;
    let mut key = LedgerKey::new("", "");
    key.owner.stripe_account = Some(account).filter(|account| !account.is_empty());
    key.owner.account = column(row, 1)?;
    key.livemode = column(row, 2)?;
    key.unit.0 = column(row, 3)?;
    Ok(key)
}

/// A word of the rules, as it is written.
pub(crate) fn word(word: &impl Serialize) -> Result<String, StoreError> {
    match serde_json::to_value(word).map_err(corrupt)? {
        serde_json::Value::String(word) => Ok(word),
        other => Err(corrupt(format!("{other} is no word"))),
    }
}

pub(crate) fn of_word<T: DeserializeOwned>(word: String) -> Result<T, StoreError> {
    serde_json::from_value(serde_json::Value::String(word)).map_err(corrupt)
}

fn body(body: &impl Serialize) -> Result<Value, StoreError> {
    Ok(Value::String(Some(serde_json::to_string(body).map_err(corrupt)?)))
}

fn at(at: Option<DateTime<Utc>>) -> Value {
    at.map(db::micros).into()
}

/// What the account's row is set to, in the order of the statements.
pub(crate) fn balance(work: &Work) -> Result<Vec<Value>, StoreError> {
    let account = &work.state.account;
    let Balance {
        seq,
        available,
        held,
        frozen,
        debt,
        overdraft_limit,
        written_off,
        level,
        epoch,
        recorded_at,
    } = &account.balance;
    Ok(vec![
        (*seq).into(),
        (*available).into(),
        (*held).into(),
        (*frozen).into(),
        (*debt).into(),
        (*overdraft_limit).into(),
        (*written_off).into(),
        Value::String(Some(word(level)?)),
        (*epoch).into(),
        at(*recorded_at),
        at(account.next_due()),
    ])
}

fn lot(lot: &Lot) -> Result<Vec<Value>, StoreError> {
    let Lot {
        id,
        kind,
        grant_key,
        granted,
        priority,
        category,
        effective_at,
        expires_at,
        ended_at,
        source,
        period,
        series,
        remaining,
        held,
        frozen,
        consumed,
        expired,
        clawed,
        repaid,
    } = lot;
    Ok(vec![
        id.0.into(),
        is_open(lot).into(),
        Value::String(Some(word(kind)?)),
        Value::String(Some(word(category)?)),
        db::text(grant_key),
        db::optional(source.as_deref()),
        db::optional(period.as_deref()),
        db::optional(series.as_deref()),
        (*granted).into(),
        i64::from(*priority).into(),
        db::micros(*effective_at).into(),
        at(*expires_at),
        at(*ended_at),
        (*remaining).into(),
        (*held).into(),
        (*frozen).into(),
        (*consumed).into(),
        (*expired).into(),
        (*clawed).into(),
        (*repaid).into(),
    ])
}

fn entry(entry: &Entry) -> Result<Vec<Value>, StoreError> {
    let Entry {
        seq,
        kind,
        delta_available,
        delta_held,
        delta_debt,
        available_after,
        held_after,
        overdraft_limit,
        moves,
        written_off,
        key,
        request_hash,
        actor,
        feature,
        reference,
        reason,
        reverses,
        effective_at,
        recorded_at,
    } = entry;
    Ok(vec![
        (*seq).into(),
        Value::String(Some(word(kind)?)),
        (*delta_available).into(),
        (*delta_held).into(),
        (*delta_debt).into(),
        (*available_after).into(),
        (*held_after).into(),
        (*overdraft_limit).into(),
        body(moves)?,
        (*written_off).into(),
        db::optional(key.as_deref()),
        db::optional(request_hash.as_deref()),
        db::optional(actor.as_deref()),
        db::optional(feature.as_deref()),
        db::optional(reference.as_deref()),
        db::optional(reason.as_deref()),
        (*reverses).into(),
        db::micros(*effective_at).into(),
        db::micros(*recorded_at).into(),
    ])
}

/// The columns that [`read_entry`] reads.
pub(crate) const ENTRY: &str = "e.seq, e.kind, e.delta_available, e.delta_held, e.delta_debt, \
     e.available_after, e.held_after, e.overdraft_limit, e.moves, e.written_off, e.idem_key, \
     e.request_hash, e.actor, e.feature, e.reference, e.reason, e.reverses, e.effective_at, \
     e.recorded_at";

pub(crate) fn read_entry(row: &QueryResult) -> Result<Entry, StoreError> {
    Ok(Entry {
        seq: column(row, 0)?,
        kind: of_word(column(row, 1)?)?,
        delta_available: column(row, 2)?,
        delta_held: column(row, 3)?,
        delta_debt: column(row, 4)?,
        available_after: column(row, 5)?,
        held_after: column(row, 6)?,
        overdraft_limit: column(row, 7)?,
        moves: serde_json::from_str(&column::<String>(row, 8)?).map_err(corrupt)?,
        written_off: column(row, 9)?,
        key: column(row, 10)?,
        request_hash: column(row, 11)?,
        actor: column(row, 12)?,
        feature: column(row, 13)?,
        reference: column(row, 14)?,
        reason: column(row, 15)?,
        reverses: column(row, 16)?,
        effective_at: db::time(row, 17)?,
        recorded_at: db::time(row, 18)?,
    })
}

fn keyed(keyed: &KeyedReply) -> Result<Vec<Value>, StoreError> {
    let KeyedReply { key, request_hash, first_seq, reply } = keyed;
    Ok(vec![db::text(key), db::text(request_hash), (*first_seq).into(), body(reply)?])
}

pub(crate) fn read_keyed(row: &QueryResult) -> Result<KeyedReply, StoreError> {
    Ok(KeyedReply {
        key: column(row, 0)?,
        request_hash: column(row, 1)?,
        first_seq: column(row, 2)?,
        reply: serde_json::from_str(&column::<String>(row, 3)?).map_err(corrupt)?,
    })
}

fn scheduled(lot: &ScheduledLot) -> Result<Vec<Value>, StoreError> {
    let source = lot.grant.funding.as_ref().map(|funding| funding.source.as_str());
    Ok(vec![db::text(&lot.grant.key), db::optional(source), body(lot)?])
}

fn notice(
    key: &LedgerKey,
    entry: &OutboxEntry,
    now: DateTime<Utc>,
) -> Result<Vec<Value>, StoreError> {
    let subject = credits_subject(key);
    let [account, livemode] = db::tenant_values(&subject.tenant);
    Ok(vec![
        account,
        livemode,
        db::text(&subject.id),
        db::text(&entry.key),
        db::text(entry.message.kind()),
        entry.message.is_notice().into(),
        body(&entry.message)?,
        db::micros(now).into(),
        db::text("pending"),
        db::micros(entry.due.unwrap_or(now)).into(),
    ])
}

fn audit(key: &LedgerKey, entry: &AuditEntry, now: DateTime<Utc>) -> Vec<Value> {
    let subject = credits_subject(key);
    let [account, livemode] = db::tenant_values(&subject.tenant);
    let AuditEntry { actor, action, object, before, after, reason } = entry;
    vec![
        db::micros(now).into(),
        account,
        livemode,
        db::text(&subject.id),
        db::text(actor),
        db::text(action),
        db::text(object.kind.as_str()),
        db::text(&object.id),
        db::optional(before.as_deref()),
        db::optional(after.as_deref()),
        db::optional(reason.as_deref()),
    ]
}

/// Rows for a table.
pub(crate) struct Rows {
    #[cfg_attr(not(feature = "postgres"), allow(dead_code))]
    // The others know the table by its place.
    pub(crate) table: &'static Table,
    pub(crate) rows: Vec<Vec<Value>>,
}

/// How many tables [`rows`] writes to.
pub(crate) const TABLES: usize = 10;

/// The tables, in the order of [`rows`].
pub(crate) const ALL: [&Table; TABLES] = [
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

/// What a piece of work writes, table by table, and the scheduled lots that are no more.
pub(crate) fn rows(work: &Work) -> Result<([Rows; TABLES], Vec<Value>), StoreError> {
    fn of<'a, K: 'a, V: 'a>(
        keys: impl IntoIterator<Item = &'a K>,
        get: impl Fn(&K) -> Option<&'a V>,
        row: impl Fn(&V) -> Result<Vec<Value>, StoreError>,
    ) -> Result<Vec<Vec<Value>>, StoreError> {
        keys.into_iter().filter_map(get).map(row).collect()
    }
    let account = &work.state.account;
    let lots = of(&work.lots, |id: &LotId| account.lots.get(id), lot)?;
    let reservations = of(
        &work.reservations,
        |id: &String| account.reservations.get(id),
        |one| Ok(vec![db::text(&one.id), is_held(one).into(), body(one)?]),
    )?;
    let limits = of(
        &work.limits,
        |key| account.limits.get(key),
        |limit| Ok(vec![body(&limit.key)?, body(limit)?]),
    )?;
    let freezes = of(
        &work.freezes,
        |id: &String| account.freezes.get(id),
        |freeze| Ok(vec![db::text(&freeze.dispute), freeze.open.into(), body(freeze)?]),
    )?;
    let sources = of(
        &work.sources,
        |id: &String| account.sources.get(id),
        |source| Ok(vec![db::text(&source.id), body(source)?]),
    )?;
    let planned = of(&work.scheduled, |key: &String| account.scheduled.get(key), scheduled)?;
    let unscheduled = work.scheduled.iter().filter(|key| !account.scheduled.contains_key(*key));
    let all = [
        Rows { table: &LOTS, rows: lots },
        Rows { table: &ENTRIES, rows: work.entries.iter().map(entry).collect::<Result<_, _>>()? },
        Rows { table: &KEYS, rows: work.keyed.iter().map(keyed).collect::<Result<_, _>>()? },
        Rows { table: &RESERVATIONS, rows: reservations },
        Rows { table: &LIMITS, rows: limits },
        Rows { table: &FREEZES, rows: freezes },
        Rows { table: &SOURCES, rows: sources },
        Rows { table: &SCHEDULED, rows: planned },
        Rows {
            table: &NOTICES,
            rows: work
                .notices
                .iter()
                .map(|(entry, now)| notice(work.key(), entry, *now))
                .collect::<Result<_, _>>()?,
        },
        Rows {
            table: &AUDIT,
            rows: work.audit.iter().map(|(entry, now)| audit(work.key(), entry, *now)).collect(),
        },
    ];
    Ok((all, unscheduled.map(|key| db::text(key)).collect()))
}
