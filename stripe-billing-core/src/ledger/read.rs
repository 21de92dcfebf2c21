//! Reading an account and its history: balances now and then, statements, explanations.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

use super::account::Account;
use super::command::{Command, Request};
use super::decide::decide;
use super::entry::{Entry, EntryKind};
use super::lot::{Lot, LotId, LotKind};
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

/// What operators see of an account at an instant: the data is that of now, and what has run out
/// since then was there.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct CreditsView {
    /// What may be spent; below zero while the account owes.
    pub available: i64,
    /// What running jobs hold.
    pub reserved: i64,
    /// What open disputes hold.
    pub frozen: i64,
    /// What is owed.
    pub debt: i64,
    /// What was ever granted; what was carried over or given back is not counted again.
    pub granted: i64,
    /// What was ever taken back with its money, spent or not, less what was given back.
    pub clawed_back: i64,
}

impl CreditsView {
    /// Adds another account of the same unit: an owner's in the other mode.
    pub(crate) fn add(&mut self, other: Self) {
        let Self { available, reserved, frozen, debt, granted, clawed_back } = other;
        self.available += available;
        self.reserved += reserved;
        self.frozen += frozen;
        self.debt += debt;
        self.granted += granted;
        self.clawed_back += clawed_back;
    }

    /// Reads an account with all of its lots and sources at a time.
    pub fn read(account: &Account, at: DateTime<Utc>, policy: &LedgerPolicy) -> Self {
        let account = swept(account, at, policy);
        let now = account.balance.recorded_at.map_or(at, |last| last.max(at));
        let there = account.lots.values().filter(|lot| was_there(&account, lot, at));
        let available: i64 = there
            .map(|lot| if lot.is_over(now) { lot.remaining + lot.expired } else { lot.remaining })
            .sum();
        let fresh = account
            .lots
            .values()
            .filter(|lot| !matches!(lot.kind, LotKind::Rollover | LotKind::Restore));
        Self {
            available: available - account.balance.debt,
            reserved: account.balance.held,
            frozen: account.balance.frozen,
            debt: account.balance.debt,
            granted: fresh.map(|lot| lot.granted).sum(),
            clawed_back: account.sources.values().map(|source| source.clawed).sum(),
        }
    }
}

/// Whether a lot counted at an instant, whenever it was booked: what was carried over replaces what it
/// comes from, what was given back had never been gone.
fn was_there(account: &Account, lot: &Lot, at: DateTime<Utc>) -> bool {
    let lasts = lot.end().is_none_or(|end| at < end);
    lasts
        && match lot.kind {
            LotKind::Restore => true,
            LotKind::Rollover => {
                let previous = lot.grant_key.strip_prefix("rollover:");
                let previous = previous.and_then(|id| Some(LotId(id.parse().ok()?)));
                let previous = previous.and_then(|id| account.lots.get(&id));
                previous.is_none_or(|previous| !previous.is_active(at))
            }
            _ => lot.effective_at <= at,
        }
}

/// The account after a sweep, whether one has been booked or not.
fn swept(account: &Account, now: DateTime<Utc>, policy: &LedgerPolicy) -> Account {
    let mut swept = account.clone();
    if let Ok(outcome) = decide(account, &Request::from(Command::Sweep), now, policy) {
        outcome.apply(&mut swept);
    }
    swept
}

impl BalanceView {
    /// Reads an account at a time. What came due is counted as due, whether a sweep has booked it
    /// or not.
    pub fn read(account: &Account, now: DateTime<Utc>, policy: &LedgerPolicy) -> Self {
        let swept = swept(account, now, policy);
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
