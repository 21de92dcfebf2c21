//! An account: what a store loads under the account's lock and hands to [`super::decide()`].

use std::collections::BTreeMap;

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

use super::hold::{Freeze, Reservation, ReservationState};
use super::lot::{Lot, LotId, Unit};
use super::member::{LimitKey, MemberLimit};
use super::source::{ScheduledLot, Source};
use crate::keys::AccountKey;

/// Identifies a ledger account: a user or a team, and one unit of credit. Credits of test mode and
/// of live mode never meet.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[allow(clippy::exhaustive_structs)]
pub struct LedgerKey {
    /// Whose it is.
    pub owner: AccountKey,
    /// Live mode, or test mode.
    pub livemode: bool,
    /// What it counts.
    pub unit: Unit,
}

impl LedgerKey {
    /// The account of an owner in a unit, in live mode.
    pub fn new(owner: impl Into<AccountKey>, unit: impl Into<Unit>) -> Self {
        Self { owner: owner.into(), livemode: true, unit: unit.into() }
    }

    /// The same in live or test mode.
    #[must_use]
    pub fn in_mode(mut self, livemode: bool) -> Self {
        self.livemode = livemode;
        self
    }
}

/// How low a balance is.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize,
)]
#[serde(rename_all = "snake_case")]
#[allow(clippy::exhaustive_enums)]
pub enum Level {
    /// It is not.
    #[default]
    Fine,
    /// At the policy's threshold or below it, and not 5 % above it since.
    Low,
    /// Nothing is left.
    Depleted,
}

/// The account's own row. All amounts are credits.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[allow(clippy::exhaustive_structs)]
pub struct Balance {
    /// The last entry's number.
    pub seq: i64,
    /// What remains in lots less the debt (I1). Lots that wait for their time are in it.
    pub available: i64,
    /// Under open reservations (I2).
    pub held: i64,
    /// Under open disputes (I2).
    pub frozen: i64,
    /// What is owed.
    pub debt: i64,
    /// How much debt a spend may make.
    pub overdraft_limit: i64,
    /// Credits that could not be taken back and were written off, in all.
    pub written_off: i64,
    /// How low it is, as was told last.
    pub level: Level,
    /// How often it became low.
    pub epoch: i64,
    /// When the account last changed, or something was told of it. Operations never take place before
    /// it, whatever the clock.
    pub recorded_at: Option<DateTime<Utc>>,
}

/// An account with all that the rules look at: every lot, since capacity, grant keys and the
/// high-water rule count those that are used up as well. A store may leave out reservations and
/// freezes that are closed, unless the command names them.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[allow(clippy::exhaustive_structs)]
pub struct Account {
    /// Which.
    pub key: LedgerKey,
    /// Its row.
    pub balance: Balance,
    /// Its lots.
    pub lots: BTreeMap<LotId, Lot>,
    /// Reservations by id.
    pub reservations: BTreeMap<String, Reservation>,
    /// Freezes by dispute.
    pub freezes: BTreeMap<String, Freeze>,
    /// Payments that funded lots, by id.
    pub sources: BTreeMap<String, Source>,
    /// Lots that are granted by themselves later, by grant key.
    pub scheduled: BTreeMap<String, ScheduledLot>,
    /// Limits of members.
    pub limits: BTreeMap<LimitKey, MemberLimit>,
}

impl Account {
    /// An empty account.
    pub fn new(key: LedgerKey) -> Self {
        Self {
            key,
            balance: Balance::default(),
            lots: BTreeMap::new(),
            reservations: BTreeMap::new(),
            freezes: BTreeMap::new(),
            sources: BTreeMap::new(),
            scheduled: BTreeMap::new(),
            limits: BTreeMap::new(),
        }
    }

    /// The lots that may be spent at a time, in burn order. Reading and spending use the same.
    pub fn spendable_lots(&self, at: DateTime<Utc>) -> Vec<&Lot> {
        let mut lots: Vec<&Lot> =
            self.lots.values().filter(|lot| lot.remaining > 0 && lot.is_active(at)).collect();
        lots.sort_by_key(|lot| lot.burn_order());
        lots
    }

    /// What may be spent at a time without overdraft; below zero while the account is in debt.
    pub fn spendable(&self, at: DateTime<Utc>) -> i64 {
        self.spendable_lots(at).iter().map(|lot| lot.remaining).sum::<i64>() - self.balance.debt
    }

    /// Reservations whose credits are held.
    pub fn open_reservations(&self) -> impl Iterator<Item = &Reservation> {
        self.reservations.values().filter(|one| one.state == ReservationState::Open)
    }

    /// When the account has to be swept: the earliest end of a lot or reservation, the earliest
    /// scheduled lot, the time at which a waiting lot can repay debt, or at which it is told that a
    /// paid lot is about to run out.
    pub fn next_due(&self) -> Option<DateTime<Utc>> {
        let from = self.balance.recorded_at.unwrap_or(DateTime::<Utc>::MIN_UTC);
        self.due_after(from)
    }

    /// The same, for waiting lots that were not effective by `from`.
    pub(super) fn due_after(&self, from: DateTime<Utc>) -> Option<DateTime<Utc>> {
        let reservations = self.open_reservations().map(|one| one.expires_at);
        let ends = self.lots.values().filter(|lot| lot.remaining > 0).filter_map(Lot::end);
        let scheduled = self.scheduled.values().map(|lot| lot.due_at);
        let waiting = self
            .lots
            .values()
            .filter(|lot| self.balance.debt > 0 && lot.remaining > 0 && lot.effective_at > from)
            .map(|lot| lot.effective_at);
        let announced = self.lots.values().flat_map(Lot::announced).map(|(at, _)| at);
        let announced = announced.filter(|at| *at > from);
        reservations.chain(ends).chain(scheduled).chain(waiting).chain(announced).min()
    }
}
