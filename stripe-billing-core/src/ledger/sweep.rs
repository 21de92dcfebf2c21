//! What comes due by itself, booked in the order and at the times at which it came due: sweeping
//! once is the same as sweeping at every instant in between.

use chrono::{DateTime, Utc};

use super::entry::EntryKind;
use super::hold::ReservationState;
use super::lot::LotId;
use super::posting::Posting;

impl Posting<'_> {
    /// Books all that came due up to now.
    pub(super) fn sweep(&mut self) {
        let since = self.account.balance.recorded_at.unwrap_or(DateTime::<Utc>::MIN_UTC);
        let mut from = since;
        while let Some(due) = self.account.due_after(from).filter(|due| *due <= self.now) {
            self.at = due;
            self.expire_reservations();
            self.expire_lots();
            let granted = self.activate();
            let waiting: Vec<LotId> = self.effective_within(from, due).chain(granted).collect();
            self.settle(&waiting);
            from = from.max(due);
        }
        self.at = self.now;
        self.announce(since);
        self.swept = true;
    }

    /// Notes which paid lots are about to run out since the account was looked at last. Of a lot that
    /// was not looked at for long only the last word counts.
    fn announce(&mut self, since: DateTime<Utc>) {
        let until = self.now;
        let lots = self.account.lots.values().filter(|lot| !lot.is_over(until));
        let told = lots.filter_map(|lot| {
            let due = lot.announced().filter(|(at, _)| since < *at && *at <= until);
            Some((lot.id, due.min_by_key(|(_, days)| *days)?.1))
        });
        let told: Vec<(LotId, i64)> = told.collect();
        if !told.is_empty() {
            self.account.balance.recorded_at = Some(until);
            self.running_out.extend(told);
        }
    }

    fn expire_reservations(&mut self) {
        let mut due: Vec<(DateTime<Utc>, String)> = self
            .account
            .open_reservations()
            .filter(|one| one.expires_at <= self.at)
            .map(|one| (one.expires_at, one.id.clone()))
            .collect();
        due.sort();
        for (_, id) in due {
            self.resolve(&id, 0, EntryKind::ReleaseTimeout, ReservationState::Expired);
        }
    }

    fn expire_lots(&mut self) {
        let mut due: Vec<(DateTime<Utc>, LotId)> = self
            .account
            .lots
            .values()
            .filter(|lot| lot.remaining > 0)
            .filter_map(|lot| Some((lot.end().filter(|end| *end <= self.at)?, lot.id)))
            .collect();
        due.sort();
        let due: Vec<LotId> = due.into_iter().map(|(_, lot)| lot).collect();
        self.expire(&due);
    }

    /// Grants the scheduled lots whose time has come.
    fn activate(&mut self) -> Vec<LotId> {
        let mut due: Vec<(DateTime<Utc>, String)> = self
            .account
            .scheduled
            .iter()
            .filter(|(_, lot)| lot.due_at <= self.at)
            .map(|(key, lot)| (lot.due_at, key.clone()))
            .collect();
        due.sort();
        let mut granted = Vec::new();
        for (_, key) in due {
            let Some(lot) = self.account.scheduled.remove(&key) else { continue };
            let source = lot.grant.funding.as_ref().map(|funding| funding.source.clone());
            if let Some(source) = source.and_then(|id| self.account.sources.get_mut(&id)) {
                source.cancelled += lot.cut;
            }
            if lot.grant.amount > lot.cut {
                granted.push(self.put_lot(&lot.grant, lot.grant.amount - lot.cut));
            }
        }
        granted
    }

    fn effective_within(
        &self,
        after: DateTime<Utc>,
        until: DateTime<Utc>,
    ) -> impl Iterator<Item = LotId> + use<> {
        let lots: Vec<LotId> = self
            .account
            .lots
            .values()
            .filter(|lot| after < lot.effective_at && lot.effective_at <= until)
            .map(|lot| lot.id)
            .collect();
        lots.into_iter()
    }
}
