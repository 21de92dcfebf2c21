//! Spending, and the two-phase spend: reserve, capture, release, extend.

use chrono::{DateTime, TimeDelta, Utc};

use super::entry::EntryKind;
use super::hold::{Reservation, ReservationState};
use super::lot::{Bucket, LotId};
use super::member::LimitKey;
use super::outcome::Reply;
use super::policy::LateCapture;
use super::posting::{Draft, MAX_AMOUNT, Posting};
use super::refusal::Refusal;

/// Amounts are above zero, and small enough to be added up.
pub(super) fn positive(amount: i64) -> Result<(), Refusal> {
    match amount {
        1..=MAX_AMOUNT => Ok(()),
        _ => Err(Refusal::Invalid("the amount is not between 1 and 2^53")),
    }
}

impl Posting<'_> {
    pub(super) fn spend(&mut self, amount: i64) -> Result<Reply, Refusal> {
        positive(amount)?;
        let spendable = self.account.spendable(self.at);
        let overdraft = self.account.balance.overdraft_limit;
        if spendable.saturating_add(overdraft) < amount {
            return Err(self.short(spendable, amount));
        }
        self.admit(amount, false)?;
        Ok(self.take(amount, Draft::new(EntryKind::Spend)))
    }

    /// Consumes in burn order; what the lots do not have becomes debt.
    fn take(&mut self, amount: i64, mut draft: Draft) -> Reply {
        let (allocation, debt) = self.allocate(amount);
        draft.shift_all(&allocation, Bucket::Remaining, Bucket::Consumed);
        draft.debt = debt;
        self.post(draft);
        Reply::Spent { allocation, debt }
    }

    fn short(&self, available: i64, requested: i64) -> Refusal {
        let balance = &self.account.balance;
        if available < 0 && balance.debt > balance.overdraft_limit {
            return Refusal::NegativeBalance { debt: balance.debt };
        }
        Refusal::Insufficient { available, requested }
    }

    /// Counts an amount against the actor's limits, all of them or none.
    fn admit(
        &mut self,
        amount: i64,
        held: bool,
    ) -> Result<Vec<(LimitKey, DateTime<Utc>)>, Refusal> {
        let (Some(actor), feature) = (self.request.actor.as_ref(), self.request.feature.as_ref())
        else {
            return Ok(Vec::new());
        };
        let at = self.at;
        let keys: Vec<LimitKey> = self
            .account
            .limits
            .keys()
            .filter(|key| key.member == *actor)
            .filter(|key| key.feature.is_none() || key.feature.as_ref() == feature)
            .cloned()
            .collect();
        for limit in keys.iter().filter_map(|key| self.account.limits.get(key)) {
            let mut limit = limit.clone();
            limit.roll(at);
            let used = limit.used.saturating_add(limit.held);
            if used.saturating_add(amount) > limit.max {
                let resets_at = limit.window.resets_at(at);
                return Err(Refusal::MemberLimit { limit: limit.max, used, resets_at });
            }
        }
        let mut counted = Vec::new();
        for key in keys {
            if let Some(limit) = self.account.limits.get_mut(&key) {
                limit.roll(at);
                *(if held { &mut limit.held } else { &mut limit.used }) += amount;
                counted.push((key, limit.starts_at));
            }
        }
        Ok(counted)
    }

    pub(super) fn reserve(
        &mut self,
        id: &str,
        amount: i64,
        ttl: TimeDelta,
    ) -> Result<Reply, Refusal> {
        positive(amount)?;
        self.check_ttl(ttl)?;
        if self.account.reservations.contains_key(id) {
            return Err(Refusal::Invalid("the reservation's id was used before"));
        }
        let open = self.account.freezes.values().find(|freeze| freeze.open);
        if let Some(freeze) = open.filter(|_| self.policy.no_holds_while_disputed) {
            return Err(Refusal::Frozen { dispute: freeze.dispute.clone() });
        }
        let spendable = self.account.spendable(self.at);
        if spendable < amount {
            return Err(self.short(spendable, amount));
        }
        let limits = self.admit(amount, true)?;
        let (allocation, _) = self.allocate(amount);
        let mut draft = Draft::new(EntryKind::Reserve).about(id);
        draft.shift_all(&allocation, Bucket::Remaining, Bucket::Held);
        let open_seq = self.post(draft);
        let expires_at = self.after(ttl);
        let reservation = Reservation {
            id: id.to_owned(),
            amount,
            allocation,
            opened_at: self.at,
            expires_at,
            state: ReservationState::Open,
            captured: None,
            late: None,
            actor: self.request.actor.clone(),
            feature: self.request.feature.clone(),
            limits,
            open_seq,
            close_seq: None,
        };
        self.account.reservations.insert(id.to_owned(), reservation);
        Ok(Reply::Reserved { expires_at })
    }

    fn check_ttl(&self, ttl: TimeDelta) -> Result<(), Refusal> {
        match ttl >= TimeDelta::seconds(1) && ttl <= self.policy.longest_reservation {
            true => Ok(()),
            false => Err(Refusal::Invalid("the lifetime is out of range")),
        }
    }

    fn after(&self, ttl: TimeDelta) -> DateTime<Utc> {
        self.at.checked_add_signed(ttl).unwrap_or(DateTime::<Utc>::MAX_UTC)
    }

    fn reservation(&self, id: &str) -> Result<Reservation, Refusal> {
        self.account.reservations.get(id).cloned().ok_or(Refusal::UnknownReservation)
    }

    pub(super) fn capture(&mut self, id: &str, amount: i64) -> Result<Reply, Refusal> {
        let reservation = self.reservation(id)?;
        let reserved = reservation.amount;
        if !(0..=MAX_AMOUNT).contains(&amount) {
            return Err(Refusal::Invalid("the amount is not between 0 and 2^53"));
        }
        match reservation.state {
            ReservationState::Captured if reservation.captured == Some(amount) => {
                Ok(Reply::Captured { captured: amount, returned: reserved - amount })
            }
            ReservationState::Captured => {
                let first_seq = reservation.close_seq.unwrap_or(reservation.open_seq);
                Err(Refusal::IdempotencyMismatch { first_seq })
            }
            state @ ReservationState::Released => Err(Refusal::ReservationResolved { state }),
            ReservationState::Expired if self.policy.late_capture == LateCapture::Reject => {
                Err(Refusal::ReservationExpired { at: reservation.expires_at })
            }
            ReservationState::Open | ReservationState::Expired if amount > reserved => {
                Err(Refusal::ExceedsReservation { reserved })
            }
            ReservationState::Expired => self.capture_late(&reservation, amount),
            ReservationState::Open => {
                self.resolve(id, amount, EntryKind::Capture, ReservationState::Captured);
                Ok(Reply::Captured { captured: amount, returned: reserved - amount })
            }
        }
    }

    /// The work was done, but its reservation had run out and its credits went back.
    fn capture_late(&mut self, reservation: &Reservation, amount: i64) -> Result<Reply, Refusal> {
        let done = Reply::Captured { captured: amount, returned: reservation.amount - amount };
        match reservation.late {
            Some(late) if late == amount => return Ok(done),
            Some(_) => {
                let first_seq = reservation.close_seq.unwrap_or(reservation.open_seq);
                return Err(Refusal::IdempotencyMismatch { first_seq });
            }
            None => {}
        }
        let spendable = self.account.spendable(self.at);
        let overdraft = self.account.balance.overdraft_limit;
        let kind = match self.policy.late_capture {
            LateCapture::Reject => {
                return Err(Refusal::ReservationExpired { at: reservation.expires_at });
            }
            LateCapture::SpendIfAvailable if spendable.saturating_add(overdraft) < amount => {
                return Err(self.short(spendable, amount));
            }
            LateCapture::SpendIfAvailable => {
                self.admit(amount, false)?;
                EntryKind::Spend
            }
            LateCapture::ForceDebt => EntryKind::ForcedSpend,
        };
        if amount > 0 {
            let draft = Draft::new(kind).about(&reservation.id).on_behalf_of(reservation);
            self.take(amount, draft.because("late_capture"));
        }
        if let Some(stored) = self.account.reservations.get_mut(&reservation.id) {
            stored.late = Some(amount);
        }
        Ok(done)
    }

    pub(super) fn release(&mut self, id: &str) -> Result<Reply, Refusal> {
        match self.reservation(id)?.state {
            state @ ReservationState::Captured => Err(Refusal::ReservationResolved { state }),
            ReservationState::Released | ReservationState::Expired => Ok(Reply::Released),
            ReservationState::Open => {
                self.resolve(id, 0, EntryKind::Release, ReservationState::Released);
                Ok(Reply::Released)
            }
        }
    }

    pub(super) fn extend(&mut self, id: &str, ttl: TimeDelta) -> Result<Reply, Refusal> {
        self.check_ttl(ttl)?;
        let reservation = self.reservation(id)?;
        match reservation.state {
            ReservationState::Open => {}
            ReservationState::Expired => {
                return Err(Refusal::ReservationExpired { at: reservation.expires_at });
            }
            state => return Err(Refusal::ReservationResolved { state }),
        }
        let longest = reservation.opened_at.checked_add_signed(self.policy.longest_reservation);
        let wanted = self.after(ttl);
        let expires_at = longest.map_or(wanted, |end| end.min(wanted)).max(reservation.expires_at);
        if expires_at > reservation.expires_at {
            self.post(Draft::new(EntryKind::Extend).about(id));
            if let Some(stored) = self.account.reservations.get_mut(id) {
                stored.expires_at = expires_at;
            }
        }
        Ok(Reply::Extended { expires_at })
    }

    /// Ends an open reservation: consumes in the order it was allocated in, and returns the rest to
    /// the lots it came from, where it first repays debt and then expires if its lot is over.
    pub(super) fn resolve(
        &mut self,
        id: &str,
        captured: i64,
        kind: EntryKind,
        state: ReservationState,
    ) {
        let Some(mut reservation) = self.account.reservations.remove(id) else { return };
        let mut left = captured;
        let mut returned: Vec<LotId> = Vec::new();
        let mut draft = Draft::new(kind).about(id).on_behalf_of(&reservation);
        for (lot, amount) in &reservation.allocation {
            let spent = left.min(*amount);
            left -= spent;
            draft.shift(*lot, Bucket::Held, Bucket::Consumed, spent);
            draft.shift(*lot, Bucket::Held, Bucket::Remaining, amount - spent);
            if spent < *amount {
                returned.push(*lot);
            }
        }
        reservation.close_seq = Some(self.post(draft));
        reservation.state = state;
        reservation.captured = (state == ReservationState::Captured).then_some(captured);
        for (key, started) in &reservation.limits {
            if let Some(limit) = self.account.limits.get_mut(key)
                && limit.starts_at == *started
            {
                limit.held -= reservation.amount;
                limit.used += captured;
            }
        }
        self.account.reservations.insert(id.to_owned(), reservation);
        if self.policy.return_grace > TimeDelta::zero() {
            self.grant_grace(&returned);
        }
        self.settle(&returned);
        self.expire(&returned);
    }

    fn grant_grace(&mut self, returned: &[LotId]) {
        for id in returned {
            if let Some(lot) = self.account.lots.get_mut(id)
                && let Some(end) = lot.end().filter(|end| *end <= self.at)
            {
                lot.extend(self.at - end + self.policy.return_grace);
            }
        }
    }
}
