//! An account made anew from its entries: what differs, and what sets it right.

use chrono::{DateTime, Utc};
use serde::Serialize;

use super::account::Account;
use super::decide::audit_line;
use super::entry::{Entry, EntryKind};
use super::lot::Bucket;
use super::outcome::{Outcome, Reply};
use super::refusal::Refusal;

/// A number that the entries do not make what it is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[allow(clippy::exhaustive_structs)]
pub struct Recounted {
    /// Which: `seq`, `available`, `held`, `frozen`, `debt`, `overdraft`, `written off`, or a bucket
    /// of a lot.
    pub place: String,
    /// What the entries make of it.
    pub recounted: i64,
    /// What is stored.
    pub stored: i64,
}

/// Who has an account rebuilt, why, and when.
#[derive(Clone, Debug, PartialEq, Eq)]
#[allow(clippy::exhaustive_structs)]
pub struct Rebuild {
    /// Who.
    pub actor: String,
    /// Why.
    pub reason: String,
    /// When; never before the account's last entry.
    pub now: DateTime<Utc>,
}

/// Recomputes an account's balance and the buckets of its lots from its whole history, oldest entry
/// first. Empty is right.
pub fn recount(account: &Account, entries: &[Entry]) -> Vec<Recounted> {
    let made = remade(account, entries);
    let (seen, found) = (&made.balance, &account.balance);
    let totals = [
        ("seq", seen.seq, found.seq),
        ("available", seen.available, found.available),
        ("held", seen.held, found.held),
        ("frozen", seen.frozen, found.frozen),
        ("debt", seen.debt, found.debt),
        ("overdraft", seen.overdraft_limit, found.overdraft_limit),
        ("written off", seen.written_off, found.written_off),
    ];
    let totals = totals.into_iter().map(|(place, seen, found)| (place.to_owned(), seen, found));
    let lots = made.lots.values().zip(account.lots.values()).flat_map(|(made, lot)| {
        Bucket::ALL.map(|bucket| {
            let place = format!("lot {} {}", lot.id, word(bucket));
            (place, made.bucket(bucket), lot.bucket(bucket))
        })
    });
    totals
        .chain(lots)
        .filter(|(_, recounted, stored)| recounted != stored)
        .map(|(place, recounted, stored)| Recounted { place, recounted, stored })
        .collect()
}

/// The outcome that sets an account to what its whole history makes of it, with an entry and a line
/// for the audit log that say so; `None` where nothing differs.
///
/// # Errors
///
/// The entries themselves are not what they should be, and nothing can be made of them.
pub fn rebuild(
    account: &Account,
    entries: &[Entry],
    by: &Rebuild,
) -> Result<Option<Outcome>, Refusal> {
    add_up(account, entries)?;
    let mut made = remade(account, entries);
    if made == *account {
        return Ok(None);
    }
    let last = entries.last().map_or(by.now, |entry| entry.recorded_at.max(by.now));
    made.balance.seq += 1;
    made.balance.recorded_at = Some(last);
    let repair = Entry {
        seq: made.balance.seq,
        kind: EntryKind::Repair,
        delta_available: 0,
        delta_held: 0,
        delta_debt: 0,
        available_after: made.balance.available,
        held_after: made.balance.held,
        overdraft_limit: made.balance.overdraft_limit,
        moves: Vec::new(),
        written_off: 0,
        key: None,
        request_hash: None,
        actor: Some(by.actor.clone()),
        feature: None,
        reference: None,
        reason: Some(by.reason.clone()),
        reverses: None,
        effective_at: last,
        recorded_at: last,
    };
    let mut outcome = Outcome::between(account, made, vec![repair], Reply::Done);
    let line = audit_line(account, &outcome, &by.actor, "credits.rebuilt", Some(&by.reason));
    outcome.audit = Some(line);
    Ok(Some(outcome))
}

/// Whether an account can be made of its entries at all.
fn add_up(account: &Account, entries: &[Entry]) -> Result<(), Refusal> {
    let (mut available, mut held) = (0, 0);
    for (seq, entry) in (1..).zip(entries) {
        available += entry.delta_available;
        held += entry.delta_held;
        if (entry.seq, entry.available_after, entry.held_after) != (seq, available, held) {
            return Err(Refusal::Invalid("the entries themselves do not add up"));
        }
        if !entry.moves.iter().all(|step| account.lots.contains_key(&step.lot)) {
            return Err(Refusal::Invalid("an entry is about a lot that is not there"));
        }
    }
    Ok(())
}

/// The account with the balance and the buckets that its entries make.
fn remade(account: &Account, entries: &[Entry]) -> Account {
    let mut made = account.clone();
    for lot in made.lots.values_mut() {
        for bucket in Bucket::ALL {
            *lot.bucket_mut(bucket) = 0;
        }
    }
    let balance = &mut made.balance;
    (balance.available, balance.held, balance.frozen) = (0, 0, 0);
    (balance.debt, balance.written_off) = (0, 0);
    for entry in entries {
        for step in &entry.moves {
            if let Some(lot) = made.lots.get_mut(&step.lot) {
                *lot.bucket_mut(step.bucket) += step.amount;
            }
            if step.bucket == Bucket::Frozen {
                balance.frozen += step.amount;
            }
        }
        balance.available += entry.delta_available;
        balance.held += entry.delta_held;
        balance.debt += entry.delta_debt;
        balance.written_off += entry.written_off;
    }
    balance.seq = entries.last().map_or(0, |entry| entry.seq);
    balance.overdraft_limit = entries.last().map_or(0, |entry| entry.overdraft_limit);
    made
}

fn word(bucket: Bucket) -> &'static str {
    match bucket {
        Bucket::Remaining => "remaining",
        Bucket::Held => "held",
        Bucket::Frozen => "frozen",
        Bucket::Consumed => "consumed",
        Bucket::Expired => "expired",
        Bucket::Clawed => "clawed",
        Bucket::Repaid => "repaid",
    }
}
