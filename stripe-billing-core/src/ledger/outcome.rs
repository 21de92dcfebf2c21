//! Effects as data: what a store writes for one operation, all or nothing.

use std::collections::BTreeMap;

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

use super::account::{Account, Balance};
use super::entry::Entry;
use super::hold::{Allocation, Freeze, Reservation};
use super::lot::{Lot, LotId};
use super::member::MemberLimit;
use super::source::{ScheduledLot, Source};
use crate::changes::AuditEntry;
use crate::notice::Notice;

/// What an operation answers.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "snake_case")]
#[non_exhaustive]
pub enum Reply {
    /// The lot; none if there was nothing to grant.
    Granted {
        /// Which.
        lot: Option<LotId>,
    },
    /// A renewal.
    Renewed {
        /// The new period's lot.
        lot: LotId,
        /// How much was carried over.
        rolled: i64,
    },
    /// A spend.
    Spent {
        /// Of which lots.
        allocation: Allocation,
        /// How much of it became debt.
        debt: i64,
    },
    /// A reservation.
    Reserved {
        /// Until when.
        expires_at: DateTime<Utc>,
    },
    /// A capture.
    Captured {
        /// Spent.
        captured: i64,
        /// Given back.
        returned: i64,
    },
    /// A release.
    Released,
    /// An extension.
    Extended {
        /// Until when.
        expires_at: DateTime<Utc>,
    },
    /// A refund or dispute.
    MoneyBack {
        /// Credits taken back; below zero were given back.
        clawed: i64,
        /// Scheduled credits that are cancelled now.
        from_future: i64,
    },
    /// An amount: forgiven, taken, given back.
    Amount {
        /// How much.
        amount: i64,
    },
    /// Done, and nothing to say about it.
    Done,
}

/// The reply to a keyed operation, kept for its repetitions.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[allow(clippy::exhaustive_structs)]
pub struct KeyedReply {
    /// The key.
    pub key: String,
    /// The fingerprint of the request.
    pub request_hash: String,
    /// The first entry it wrote, or the one before if it wrote none.
    pub first_seq: i64,
    /// The reply.
    pub reply: Reply,
}

/// Everything that one operation changes. A store destructures it whole and writes it in one
/// transaction, so that a new kind of row cannot be forgotten.
#[derive(Clone, Debug, PartialEq, Eq)]
#[allow(clippy::exhaustive_structs)] // On purpose: see above.
pub struct Outcome {
    /// The last entry the operation was decided on; a store that holds no lock compares it.
    pub expected_seq: i64,
    /// The account's row after it.
    pub balance: Balance,
    /// Entries to append.
    pub entries: Vec<Entry>,
    /// Lots that are new or changed.
    pub lots: Vec<Lot>,
    /// Reservations that are new or changed.
    pub reservations: Vec<Reservation>,
    /// Freezes that are new or changed.
    pub freezes: Vec<Freeze>,
    /// Sources that are new or changed.
    pub sources: Vec<Source>,
    /// Scheduled lots that are new or changed.
    pub scheduled: Vec<ScheduledLot>,
    /// Scheduled lots that are no more, by grant key.
    pub unscheduled: Vec<String>,
    /// Members' limits that are new or changed.
    pub limits: Vec<MemberLimit>,
    /// What the account's owner is told: that the balance became low, or ran out, by the operation,
    /// and that paid credits are about to expire. What ran out by itself tells nothing.
    pub notices: Vec<Notice>,
    /// For the audit log, where a person did it.
    pub audit: Option<AuditEntry>,
    /// What to keep under the operation's key, if it has one.
    pub keyed: Option<KeyedReply>,
    /// The answer.
    pub reply: Reply,
}

impl Outcome {
    /// What lies between an account before and after an operation.
    pub(super) fn between(
        before: &Account,
        after: Account,
        entries: Vec<Entry>,
        reply: Reply,
    ) -> Self {
        let unscheduled = before
            .scheduled
            .keys()
            .filter(|key| !after.scheduled.contains_key(*key))
            .cloned()
            .collect();
        Self {
            expected_seq: before.balance.seq,
            lots: changed(&before.lots, after.lots),
            reservations: changed(&before.reservations, after.reservations),
            freezes: changed(&before.freezes, after.freezes),
            sources: changed(&before.sources, after.sources),
            scheduled: changed(&before.scheduled, after.scheduled),
            unscheduled,
            limits: changed(&before.limits, after.limits),
            balance: after.balance,
            entries,
            notices: Vec::new(),
            audit: None,
            keyed: None,
            reply,
        }
    }

    /// Writes the rows to an account in memory.
    pub fn apply(&self, account: &mut Account) {
        let Self {
            expected_seq: _,
            balance,
            entries: _,
            notices: _,
            audit: _,
            keyed: _,
            reply: _,
            ..
        } = self;
        account.balance = balance.clone();
        account.lots.extend(self.lots.iter().map(|lot| (lot.id, lot.clone())));
        let reservations = self.reservations.iter().map(|one| (one.id.clone(), one.clone()));
        account.reservations.extend(reservations);
        let freezes = self.freezes.iter().map(|one| (one.dispute.clone(), one.clone()));
        account.freezes.extend(freezes);
        account.sources.extend(self.sources.iter().map(|one| (one.id.clone(), one.clone())));
        let scheduled = self.scheduled.iter().map(|one| (one.grant.key.clone(), one.clone()));
        account.scheduled.extend(scheduled);
        for key in &self.unscheduled {
            account.scheduled.remove(key);
        }
        account.limits.extend(self.limits.iter().map(|one| (one.key.clone(), one.clone())));
    }
}

/// The rows of a map that were not there before, or not like this.
fn changed<K: Ord, V: PartialEq>(before: &BTreeMap<K, V>, after: BTreeMap<K, V>) -> Vec<V> {
    after
        .into_iter()
        .filter(|(key, value)| before.get(key) != Some(value))
        .map(|(_, value)| value)
        .collect()
}
