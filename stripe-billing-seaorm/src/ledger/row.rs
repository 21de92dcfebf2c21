//! Rows: what the tables hold, from and to what the rules know.

use chrono::{DateTime, Utc};
use sea_orm::{QueryResult, Value};
use serde::Serialize;
use serde::de::DeserializeOwned;
use stripe_billing_core::StoreError;
use stripe_billing_core::changes::{AuditEntry, OutboxEntry};
use stripe_billing_core::ledger::{
    Balance, Entry, Freeze, KeyedReply, LedgerKey, Lot, MemberLimit, Reservation, ReservationState,
    ScheduledLot, Source,
};
use stripe_billing_core::notice::credits_subject;

use super::state::State;
use super::table::HEAD_WIDTH;
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

/// How an account's row will be, the version in which it has to be, and its number.
pub(super) fn head(state: &State) -> Result<[Value; HEAD_WIDTH], StoreError> {
    let State { id, version, account } = state;
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
    Ok([
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
        (*version).into(),
        (*id).into(),
    ])
}

pub(super) fn lot(account: i64, lot: &Lot) -> Result<[Value; 21], StoreError> {
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
    Ok([
        account.into(),
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

pub(super) fn entry(account: i64, entry: &Entry) -> Result<[Value; 20], StoreError> {
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
    Ok([
        account.into(),
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

pub(super) fn keyed(account: i64, keyed: &KeyedReply) -> Result<[Value; 5], StoreError> {
    let KeyedReply { key, request_hash, first_seq, reply } = keyed;
    Ok([account.into(), db::text(key), db::text(request_hash), (*first_seq).into(), body(reply)?])
}

pub(crate) fn read_keyed(row: &QueryResult) -> Result<KeyedReply, StoreError> {
    Ok(KeyedReply {
        key: column(row, 0)?,
        request_hash: column(row, 1)?,
        first_seq: column(row, 2)?,
        reply: serde_json::from_str(&column::<String>(row, 3)?).map_err(corrupt)?,
    })
}

pub(super) fn reservation(account: i64, one: &Reservation) -> Result<[Value; 4], StoreError> {
    Ok([account.into(), db::text(&one.id), is_held(one).into(), body(one)?])
}

pub(super) fn limit(account: i64, limit: &MemberLimit) -> Result<[Value; 3], StoreError> {
    Ok([account.into(), body(&limit.key)?, body(limit)?])
}

pub(super) fn freeze(account: i64, freeze: &Freeze) -> Result<[Value; 4], StoreError> {
    Ok([account.into(), db::text(&freeze.dispute), freeze.open.into(), body(freeze)?])
}

pub(super) fn source(account: i64, source: &Source) -> Result<[Value; 3], StoreError> {
    Ok([account.into(), db::text(&source.id), body(source)?])
}

pub(super) fn scheduled(account: i64, lot: &ScheduledLot) -> Result<[Value; 4], StoreError> {
    let source = lot.grant.funding.as_ref().map(|funding| funding.source.as_str());
    Ok([account.into(), db::text(&lot.grant.key), db::optional(source), body(lot)?])
}

pub(super) fn notice(
    key: &LedgerKey,
    entry: &OutboxEntry,
    now: DateTime<Utc>,
) -> Result<[Value; 10], StoreError> {
    let subject = credits_subject(key);
    let [account, livemode] = db::tenant_values(&subject.tenant);
    Ok([
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

pub(super) fn audit(key: &LedgerKey, entry: &AuditEntry, now: DateTime<Utc>) -> [Value; 11] {
    let subject = credits_subject(key);
    let [account, livemode] = db::tenant_values(&subject.tenant);
    let AuditEntry { actor, action, object, before, after, reason } = entry;
    [
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
