//! The invariants, checked on rows and entries as they are stored.

use std::collections::{BTreeMap, BTreeSet};

use super::account::Account;
use super::entry::{Entry, EntryKind};
use super::hold::ReservationState;
use super::lot::{Bucket, Category, LotId};
use super::policy::{LedgerPolicy, RepaidBy};

/// An invariant of the ledger; its number is the specification's.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[allow(clippy::exhaustive_enums)]
pub enum Invariant {
    /// I1: `available` is what remains in lots less the debt.
    Available,
    /// I2: `held` and `frozen` are the sums of lots, and of open reservations and freezes.
    Holds,
    /// I3: a lot's buckets add up to what was granted, and none is below zero.
    Lots,
    /// I4: debt is not below zero, and there is none beside lots that could settle it.
    Debt,
    /// I5: entries are numbered without gaps and their running totals add up.
    Entries,
    /// I6: an idempotency key is used once.
    Keys,
    /// I7: there is one lot per grant key.
    GrantKeys,
    /// I8: a reservation ends once, with at most what was reserved.
    Reservations,
    /// I9: what was taken back is what the returned money stands for.
    Clawbacks,
    /// I10: only active lots are spent or reserved.
    Active,
    /// I11: no spend goes below the overdraft limit.
    Floor,
    /// I12: members stay within their limits.
    Limits,
    /// I13: the entries add up to the lots and the debt.
    TrialBalance,
    /// I14: an operation that is repeated changes nothing; what an entry reverses is reversed once.
    Replays,
    /// I15: history only grows: times never go back, corrections point to what is there.
    History,
}

/// One broken invariant.
#[derive(Clone, Debug, PartialEq, Eq)]
#[allow(clippy::exhaustive_structs)]
pub struct Violation {
    /// Which.
    pub invariant: Invariant,
    /// Where: an entry, lot, reservation, source or member.
    pub place: String,
    /// The number that should be there.
    pub expected: i64,
    /// The number that is.
    pub found: i64,
}

/// Checks an account and its whole history, oldest entry first. Empty is right.
pub fn verify(account: &Account, entries: &[Entry], policy: &LedgerPolicy) -> Vec<Violation> {
    let mut audit = Audit { account, entries, policy, found: Vec::new() };
    audit.balances();
    audit.lots();
    audit.debt();
    audit.running();
    audit.keys();
    audit.reservations();
    audit.sources();
    audit.spends();
    audit.limits();
    audit.trial_balance();
    audit.history();
    audit.found
}

struct Audit<'a> {
    account: &'a Account,
    entries: &'a [Entry],
    policy: &'a LedgerPolicy,
    found: Vec<Violation>,
}

impl Audit<'_> {
    fn equal(&mut self, invariant: Invariant, place: &str, expected: i64, found: i64) {
        if expected != found {
            let place = place.to_owned();
            self.found.push(Violation { invariant, place, expected, found });
        }
    }

    fn at_most(&mut self, invariant: Invariant, place: &str, limit: i64, found: i64) {
        if found > limit {
            self.equal(invariant, place, limit, found);
        }
    }

    fn at_least(&mut self, invariant: Invariant, place: &str, least: i64, found: i64) {
        if found < least {
            self.equal(invariant, place, least, found);
        }
    }

    fn sum(&self, bucket: Bucket) -> i64 {
        self.account.lots.values().map(|lot| lot.bucket(bucket)).sum()
    }

    fn balances(&mut self) {
        let balance = &self.account.balance;
        let remaining = self.sum(Bucket::Remaining) - balance.debt;
        self.equal(Invariant::Available, "account", remaining, balance.available);
        self.equal(Invariant::Holds, "held", self.sum(Bucket::Held), balance.held);
        self.equal(Invariant::Holds, "frozen", self.sum(Bucket::Frozen), balance.frozen);
        let open = self.account.open_reservations().map(|one| one.amount).sum();
        self.equal(Invariant::Holds, "reservations", open, balance.held);
        let freezes = self.account.freezes.values().map(|freeze| freeze.amount()).sum();
        self.equal(Invariant::Holds, "freezes", freezes, balance.frozen);
    }

    fn lots(&mut self) {
        let mut keys = BTreeSet::new();
        for lot in self.account.lots.values() {
            let place = format!("lot {}", lot.id);
            let total = Bucket::ALL.iter().map(|bucket| lot.bucket(*bucket)).sum();
            self.equal(Invariant::Lots, &place, lot.granted, total);
            for bucket in Bucket::ALL {
                self.at_least(Invariant::Lots, &place, 0, lot.bucket(bucket));
            }
            self.equal(Invariant::GrantKeys, &place, 1, i64::from(keys.insert(&lot.grant_key)));
        }
    }

    fn debt(&mut self) {
        let balance = &self.account.balance;
        self.at_least(Invariant::Debt, "debt", 0, balance.debt);
        let Some(at) = balance.recorded_at.filter(|_| balance.debt > 0) else { return };
        let any = self.policy.debt_repaid_by == RepaidBy::Any;
        if self.policy.settles_from_all() {
            let lots = self.account.spendable_lots(at);
            let free = lots.iter().filter(|lot| any || lot.category == Category::Paid);
            self.equal(Invariant::Debt, "free", 0, free.map(|lot| lot.remaining).sum());
        }
    }

    fn running(&mut self) {
        let (mut seq, mut available, mut held) = (0, 0, 0);
        for entry in self.entries {
            seq += 1;
            available += entry.delta_available;
            held += entry.delta_held;
            let place = format!("entry {}", entry.seq);
            self.equal(Invariant::Entries, &place, seq, entry.seq);
            self.equal(Invariant::Entries, &place, available, entry.available_after);
            self.equal(Invariant::Entries, &place, held, entry.held_after);
        }
        let balance = &self.account.balance;
        self.equal(Invariant::Entries, "account", seq, balance.seq);
        self.equal(Invariant::Entries, "account", available, balance.available);
        self.equal(Invariant::Entries, "account", held, balance.held);
    }

    fn keys(&mut self) {
        let mut keys = BTreeSet::new();
        for entry in self.entries {
            if let Some(key) = &entry.key {
                let first = i64::from(keys.insert(key));
                self.equal(Invariant::Keys, &format!("entry {}", entry.seq), 1, first);
            }
        }
    }

    fn reservations(&mut self) {
        let mut ends: BTreeMap<&str, i64> = BTreeMap::new();
        for entry in self.entries.iter().filter(|entry| entry.kind.ends_reservation()) {
            *ends.entry(entry.reference.as_deref().unwrap_or_default()).or_default() += 1;
        }
        for (id, one) in &self.account.reservations {
            let place = format!("reservation {id}");
            let ended = i64::from(one.state != ReservationState::Open);
            let found = ends.get(id.as_str()).copied().unwrap_or(0);
            self.equal(Invariant::Reservations, &place, ended, found);
            self.at_most(Invariant::Reservations, &place, one.amount, one.captured.unwrap_or(0));
            let allocated = one.allocation.iter().map(|(_, amount)| amount).sum();
            self.equal(Invariant::Reservations, &place, one.amount, allocated);
        }
    }

    fn sources(&mut self) {
        for source in self.account.sources.values() {
            let place = format!("source {}", source.id);
            let own = |funding: &super::command::Funding| funding.source == source.id;
            let scheduled: Vec<_> = self
                .account
                .scheduled
                .values()
                .filter(|lot| lot.grant.funding.as_ref().is_some_and(own))
                .collect();
            let pending: i64 = scheduled.iter().map(|lot| lot.grant.amount).sum();
            let cut: i64 = scheduled.iter().map(|lot| lot.cut).sum();
            let lots = self.account.lots.values().filter(|lot| lot.is_funded_by(&source.id));
            let granted: i64 = lots.map(|lot| lot.granted).sum();
            let entitled = granted + pending + source.cancelled + source.withdrawn;
            self.equal(Invariant::Clawbacks, &place, entitled, source.entitled);
            let withdrawn = (source.target() - source.cancelled).clamp(0, source.withdrawn);
            let returned = source.clawed + source.cancelled + withdrawn + cut;
            self.equal(Invariant::Clawbacks, &place, source.target(), returned);
        }
    }

    fn spends(&mut self) {
        for entry in self.entries {
            let spend = matches!(entry.kind, EntryKind::Spend | EntryKind::Reserve);
            let place = format!("entry {}", entry.seq);
            if spend {
                let floor = -entry.overdraft_limit;
                self.at_least(Invariant::Floor, &place, floor, entry.available_after);
            }
            if spend || entry.kind == EntryKind::ForcedSpend {
                for step in entry.moves.iter().filter(|step| step.bucket == Bucket::Remaining) {
                    let lot = self.account.lots.get(&step.lot);
                    let at = entry.effective_at;
                    // A renewal that is booked late ends a lot at a time when it was spent of still.
                    let active = lot.is_none_or(|lot| {
                        lot.effective_at <= at && lot.expires_at.is_none_or(|end| at < end)
                    });
                    self.equal(Invariant::Active, &place, 1, i64::from(active));
                }
            }
        }
    }

    fn limits(&mut self) {
        for limit in self.account.limits.values() {
            let place = format!("member {}", limit.key.member);
            self.at_most(Invariant::Limits, &place, limit.ceiling, limit.used + limit.held);
            self.at_least(Invariant::Limits, &place, 0, limit.used);
            self.at_least(Invariant::Limits, &place, 0, limit.held);
        }
    }

    fn trial_balance(&mut self) {
        let mut moved: BTreeMap<(LotId, Bucket), i64> = BTreeMap::new();
        for step in self.entries.iter().flat_map(|entry| &entry.moves) {
            *moved.entry((step.lot, step.bucket)).or_default() += step.amount;
        }
        for lot in self.account.lots.values() {
            for bucket in Bucket::ALL {
                let expected = moved.get(&(lot.id, bucket)).copied().unwrap_or(0);
                let place = format!("lot {}", lot.id);
                self.equal(Invariant::TrialBalance, &place, expected, lot.bucket(bucket));
            }
        }
        let debt = self.entries.iter().map(|entry| entry.delta_debt).sum();
        self.equal(Invariant::TrialBalance, "debt", debt, self.account.balance.debt);
        let lost = self.entries.iter().map(|entry| entry.written_off).sum();
        self.equal(Invariant::TrialBalance, "write-off", lost, self.account.balance.written_off);
    }

    fn history(&mut self) {
        let mut reversed = BTreeSet::new();
        for (before, entry) in self.entries.iter().zip(self.entries.iter().skip(1)) {
            let forward = entry.recorded_at >= before.recorded_at;
            let place = format!("entry {}", entry.seq);
            self.equal(Invariant::History, &place, 1, i64::from(forward));
            if let Some(target) = entry.reverses {
                self.at_most(Invariant::History, &place, entry.seq - 1, target);
                self.equal(Invariant::Replays, &place, 1, i64::from(reversed.insert(target)));
            }
        }
    }
}
