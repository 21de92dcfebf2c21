//! Reading an account and its history: balances now and then, statements, explanations.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

use super::account::Account;
use super::command::{Command, Request};
use super::decide::decide;
use super::entry::{Entry, EntryKind};
use super::policy::LedgerPolicy;

/// What an account can spend at a time, by the same rule that spending uses.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[allow(clippy::exhaustive_structs)]
pub struct BalanceView {
    /// What may be spent now, without overdraft.
    pub available: i64,
    /// In lots that wait for their time.
    pub waiting: i64,
    /// Under reservations.
    pub held: i64,
    /// Under disputes.
    pub frozen: i64,
    /// Owed.
    pub debt: i64,
    /// How much expires next.
    pub expiring: i64,
    /// When.
    pub expires_at: Option<DateTime<Utc>>,
}

impl BalanceView {
    /// Reads an account at a time. What came due is counted as due, whether a sweep has booked it
    /// or not.
    pub fn read(account: &Account, now: DateTime<Utc>, policy: &LedgerPolicy) -> Self {
        let mut swept = account.clone();
        if let Ok(outcome) = decide(account, &Request::from(Command::Sweep), now, policy) {
            outcome.apply(&mut swept);
        }
        let now = swept.balance.recorded_at.map_or(now, |last| last.max(now));
        let lots = swept.spendable_lots(now);
        let expires_at = lots.iter().filter_map(|lot| lot.end()).min();
        let next = lots.iter().filter(|lot| expires_at.is_some() && lot.end() == expires_at);
        let expiring = next.map(|lot| lot.remaining).sum();
        let waiting = swept.lots.values().filter(|lot| lot.effective_at > now);
        Self {
            available: swept.spendable(now),
            waiting: waiting.map(|lot| lot.remaining).sum(),
            held: swept.balance.held,
            frozen: swept.balance.frozen,
            debt: swept.balance.debt,
            expiring,
            expires_at,
        }
    }
}

/// `available` and `held` as they were recorded at a time; entries oldest first.
pub fn balance_at(entries: &[Entry], at: DateTime<Utc>) -> (i64, i64) {
    let before = entries.partition_point(|entry| entry.recorded_at <= at);
    let last = before.checked_sub(1).and_then(|last| entries.get(last));
    last.map_or((0, 0), |entry| (entry.available_after, entry.held_after))
}

/// What happened to an account between two instants: `opening` and all totals make `closing`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[allow(clippy::exhaustive_structs)]
pub struct Statement {
    /// `available` before.
    pub opening: i64,
    /// By how much each kind of entry changed it.
    pub totals: BTreeMap<EntryKind, i64>,
    /// `available` after.
    pub closing: i64,
}

impl Statement {
    /// Of entries, oldest first: those recorded from `from` on and before `to`.
    pub fn of(entries: &[Entry], from: DateTime<Utc>, to: DateTime<Utc>) -> Self {
        let start = entries.partition_point(|entry| entry.recorded_at < from);
        let end = entries.partition_point(|entry| entry.recorded_at < to).max(start);
        let after = |count: usize| {
            let last = count.checked_sub(1).and_then(|last| entries.get(last));
            last.map_or(0, |entry| entry.available_after)
        };
        let mut totals = BTreeMap::new();
        for entry in entries.get(start..end).unwrap_or_default() {
            *totals.entry(entry.kind).or_insert(0) += entry.delta_available;
        }
        Self { opening: after(start), totals, closing: after(end) }
    }
}

/// An account's history as a person can read it, one line per entry.
pub fn explain(account: &Account, entries: &[Entry]) -> String {
    let mut text = String::new();
    let balance = &account.balance;
    // Writing to a string cannot fail.
    let _ = writeln!(
        text,
        "{} [{}]: {} available, {} held, {} frozen, {} owed",
        account.key.owner,
        account.key.unit.0,
        balance.available,
        balance.held,
        balance.frozen,
        balance.debt
    );
    for entry in entries {
        let _ = write!(
            text,
            "{:>5}  {}  {:?} {:+} -> {}",
            entry.seq, entry.recorded_at, entry.kind, entry.delta_available, entry.available_after
        );
        if entry.delta_debt != 0 {
            let _ = write!(text, ", debt {:+}", entry.delta_debt);
        }
        for step in &entry.moves {
            let _ = write!(text, "; lot {} {:?} {:+}", step.lot, step.bucket, step.amount);
        }
        let notes = [&entry.reference, &entry.actor, &entry.feature, &entry.reason];
        for note in notes.into_iter().flatten() {
            let _ = write!(text, "; {note}");
        }
        text.push('\n');
    }
    text
}
