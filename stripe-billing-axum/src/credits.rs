//! What an account sees of its credits.

use std::collections::BTreeMap;

use chrono::NaiveDate;
use serde::Serialize;
use stripe_billing_core::ledger::{BalanceView, Entry, EntryKind};
use stripe_billing_core::store::Usage;

/// `GET /credits`.
#[derive(Serialize)]
pub(crate) struct CreditsView<'a> {
    pub(crate) account: &'a str,
    /// Whether they may be spent now.
    pub(crate) can_use_credits: bool,
    pub(crate) credits: BTreeMap<String, Balance>,
}

/// A balance; times are Unix seconds.
#[derive(Serialize)]
pub(crate) struct Balance {
    available: i64,
    reserved: i64,
    frozen: i64,
    debt: i64,
    waiting: i64,
    /// How much runs out next, and when.
    expiring: i64,
    expires_at: Option<i64>,
}

impl From<BalanceView> for Balance {
    fn from(view: BalanceView) -> Self {
        Self {
            available: view.available,
            reserved: view.held,
            frozen: view.frozen,
            debt: view.debt,
            waiting: view.waiting,
            expiring: view.expiring,
            expires_at: view.expires_at.map(|at| at.timestamp()),
        }
    }
}

/// A page of `GET /credits/history`, the newest first.
#[derive(Serialize)]
pub(crate) struct HistoryView<'a> {
    pub(crate) unit: &'a str,
    pub(crate) entries: Vec<Line>,
    /// The `before` of the next page; null on the last.
    pub(crate) next: Option<i64>,
}

/// An entry; times are Unix seconds.
#[derive(Serialize)]
pub(crate) struct Line {
    seq: i64,
    kind: EntryKind,
    amount: i64,
    available: i64,
    reserved: i64,
    feature: Option<String>,
    member: Option<String>,
    reference: Option<String>,
    reason: Option<String>,
    at: i64,
}

impl From<Entry> for Line {
    fn from(entry: Entry) -> Self {
        Self {
            seq: entry.seq,
            kind: entry.kind,
            amount: entry.delta_available,
            available: entry.available_after,
            reserved: entry.held_after,
            feature: entry.feature,
            member: entry.actor,
            reference: entry.reference,
            reason: entry.reason,
            at: entry.recorded_at.timestamp(),
        }
    }
}

impl<'a> HistoryView<'a> {
    /// A page; one entry more was asked for than it shows, to know whether there is another.
    pub(crate) fn new(unit: &'a str, mut entries: Vec<Entry>, limit: usize) -> Self {
        let more = entries.len() > limit;
        entries.truncate(limit);
        let next = entries.last().filter(|_| more).map(|entry| entry.seq);
        Self { unit, entries: entries.into_iter().map(Line::from).collect(), next }
    }
}

/// `GET /credits/usage`.
#[derive(Serialize)]
pub(crate) struct UsageView<'a> {
    pub(crate) unit: &'a str,
    pub(crate) from: NaiveDate,
    pub(crate) to: NaiveDate,
    pub(crate) usage: Vec<Used>,
}

/// What was used on a day.
#[derive(Serialize)]
pub(crate) struct Used {
    day: NaiveDate,
    feature: Option<String>,
    member: Option<String>,
    credits: i64,
    count: i64,
}

impl From<Usage> for Used {
    fn from(usage: Usage) -> Self {
        let Usage { day, feature, actor, credits, count } = usage;
        Self { day, feature, member: actor, credits, count }
    }
}
