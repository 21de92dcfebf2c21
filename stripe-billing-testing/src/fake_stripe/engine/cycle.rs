//! What happens by itself as time passes.

use super::invoice::NewInvoice;
use crate::fake_stripe::{
    calendar::next_boundary,
    error::ApiError,
    model::Status,
    state::{Due, State, update},
    table::Resource,
};

impl State {
    pub(super) fn trial_will_end(&mut self, id: &str) -> Result<(), ApiError> {
        let sub = self.subscription(id)?;
        let near = sub.trial.is_some_and(|(_, end)| end - 3 * super::DAY <= self.now());
        if sub.status == Status::Trialing && near {
            let object = sub.json();
            self.emit("customer.subscription.trial_will_end", object, None);
        }
        Ok(())
    }

    pub(super) fn cancel_if_due(&mut self, id: &str) -> Result<bool, ApiError> {
        let sub = self.subscription(id)?;
        if sub.status.is_ended() {
            return Ok(true);
        }
        let at = if sub.cancel_at_period_end { Some(sub.period.1) } else { sub.cancel_at };
        if at.is_none_or(|at| at > self.now()) {
            return Ok(false);
        }
        self.end_subscription(id, Some("cancellation_requested"))?;
        Ok(true)
    }

    /// A new period: the subscription moves first, the money follows an hour later.
    pub(super) fn period_end(&mut self, id: &str) -> Result<(), ApiError> {
        let now = self.now();
        let sub = self.subscription(id)?.clone();
        let runs = matches!(
            sub.status,
            Status::Active | Status::Trialing | Status::PastDue | Status::Unpaid
        );
        if !runs || sub.period.1 > now || self.cancel_if_due(id)? {
            return Ok(());
        }
        let rests = sub.status == Status::Trialing && !self.has_method(&sub);
        match sub.missing_method {
            "pause" if rests => {
                return self.pause(id, "trial_end_without_payment_method").map(drop);
            }
            "cancel" if rests => return self.end_subscription(id, None).map(drop),
            _ => {}
        }
        let (interval, count) = sub.interval();
        let period = (sub.period.1, next_boundary(sub.anchor, interval, count, sub.period.1));
        let mut lines = sub.pending.clone();
        lines.extend(self.service_lines(&sub, period, false));
        let invoice = self.renewal_invoice(&sub, lines)?;
        self.update_subscription(id, |sub| {
            sub.period = period;
            sub.pending.clear();
            sub.latest_invoice = Some(invoice.clone());
            if sub.status == Status::Trialing {
                sub.status = Status::Active;
            }
        })?;
        self.announce_invoice(&invoice)?;
        self.schedule(period.1, Due::PeriodEnd(id.to_owned()));
        self.expect_renewal(id, period.1);
        Ok(())
    }

    /// An unpaid first invoice gives the customer 23 hours.
    pub(super) fn expire_incomplete(&mut self, id: &str) -> Result<(), ApiError> {
        let sub = self.subscription(id)?;
        if sub.status != Status::Incomplete {
            return Ok(());
        }
        let (invoice, now) = (sub.latest_invoice.clone(), self.now());
        self.update_subscription(id, |sub| {
            sub.status = Status::IncompleteExpired;
            sub.ended_at = Some(now);
        })?;
        if let Some(invoice) = invoice {
            self.void_invoice(&invoice)?;
        }
        Ok(())
    }

    pub(super) fn expire_session_if_due(&mut self, id: &str) -> Result<(), ApiError> {
        let session = self.session(id)?;
        if session.status == "open" && session.expires_at <= self.now() {
            self.expire_session(id)?;
        }
        Ok(())
    }

    pub(in crate::fake_stripe) fn expire_session(&mut self, id: &str) -> Result<(), ApiError> {
        let (_, after) = update(&mut self.sessions, id, "checkout.session", |session| {
            session.status = "expired";
        })?;
        self.emit("checkout.session.expired", after, None);
        Ok(())
    }

    pub(super) fn expect_renewal(&mut self, id: &str, at: i64) {
        if let Some(before) = self.rules.upcoming {
            self.schedule((at - before).max(self.now()), Due::Upcoming(id.to_owned()));
        }
    }

    /// `invoice.upcoming`: what the renewal will bill, without an id.
    pub(super) fn announce_renewal(&mut self, id: &str) -> Result<(), ApiError> {
        let sub = self.subscription(id)?.clone();
        let runs = matches!(sub.status, Status::Active | Status::Trialing | Status::PastDue);
        let near = self.rules.upcoming.is_some_and(|before| sub.period.1 - before <= self.now());
        if !runs || !near || sub.cancel_at.is_some_and(|at| at <= sub.period.1) {
            return Ok(());
        }
        let (interval, count) = sub.interval();
        let next = (sub.period.1, next_boundary(sub.anchor, interval, count, sub.period.1));
        let mut lines = sub.pending.clone();
        lines.extend(self.service_lines(&sub, next, false));
        let mut object = self
            .draft(NewInvoice {
                subscription: sub.id,
                reason: "upcoming",
                lines,
                period: sub.period,
                finalizes_at: None,
            })?
            .json();
        if let Some(map) = object.as_object_mut() {
            map.remove("id");
        }
        self.emit("invoice.upcoming", object, None);
        Ok(())
    }
}
