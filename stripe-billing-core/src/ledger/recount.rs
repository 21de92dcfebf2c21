//! An account made anew from its entries, and what differs.

use std::collections::BTreeMap;

use serde::Serialize;

use super::account::Account;
use super::entry::Entry;
use super::lot::{Bucket, LotId};

/// A number that the entries do not make what it is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[allow(clippy::exhaustive_structs)]
pub struct Recounted {
    /// Which: `available`, `held`, `frozen`, `debt`, or a bucket of a lot.
    pub place: String,
    /// What the entries make of it.
    pub recounted: i64,
    /// What is stored.
    pub stored: i64,
}

/// Recomputes an account's balance and the buckets of its lots from its whole history, oldest entry
/// first. Empty is right.
pub fn recount(account: &Account, entries: &[Entry]) -> Vec<Recounted> {
    let mut buckets: BTreeMap<(LotId, &'static str), i64> = BTreeMap::new();
    let mut sums = [0_i64; 4];
    for entry in entries {
        for step in &entry.moves {
            *buckets.entry((step.lot, word(step.bucket))).or_default() += step.amount;
            if step.bucket == Bucket::Frozen {
                sums[2] += step.amount;
            }
        }
        sums[0] += entry.delta_available;
        sums[1] += entry.delta_held;
        sums[3] += entry.delta_debt;
    }
    let balance = &account.balance;
    let stored = [balance.available, balance.held, balance.frozen, balance.debt];
    let totals = ["available", "held", "frozen", "debt"].into_iter().zip(sums).zip(stored);
    let totals = totals.map(|((place, recounted), stored)| (place.to_owned(), recounted, stored));
    let lots = account.lots.values().flat_map(|lot| {
        Bucket::ALL.map(|bucket| {
            let recounted = buckets.get(&(lot.id, word(bucket))).copied().unwrap_or(0);
            (format!("lot {} {}", lot.id, word(bucket)), recounted, lot.bucket(bucket))
        })
    });
    totals
        .chain(lots)
        .filter(|(_, recounted, stored)| recounted != stored)
        .map(|(place, recounted, stored)| Recounted { place, recounted, stored })
        .collect()
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
