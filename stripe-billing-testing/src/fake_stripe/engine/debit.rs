//! Payments that take days: the session is complete, and the money is not there.

use std::time::Duration;

use crate::fake_stripe::{
    engine::Completed,
    error::{ApiError, Decline},
    model::Mode,
    state::{Cause, Due, State, seconds, update},
};

/// What becomes of a bank debit, by the fake's clock.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Debit {
    /// The money arrives after so long.
    Arrives(Duration),
    /// The bank refuses after so long.
    Bounces(Duration),
}

impl State {
    /// The customer submits the page with a bank account.
    pub(in crate::fake_stripe) fn submit_debit(
        &mut self,
        id: &str,
        debit: Debit,
        email: Option<&str>,
    ) -> Result<Completed, ApiError> {
        let session = self.open_session(id)?;
        let total = session.total();
        if session.mode != Mode::Payment || total == 0 {
            return Err(ApiError::invalid(
                "This fake takes bank debits only for one-time payments of more than nothing.",
            ));
        }
        let email = self.email_for(&session, email);
        let key = self.ids.uuid();
        let cause = Cause { request_id: None, idempotency_key: Some(key) };
        let cause = std::mem::replace(&mut self.cause, cause);
        let customer = (session.customer.is_some() || session.create_customer)
            .then(|| self.customer_of(&session, &email));
        let method = self.new_debit(Some(email.clone()));
        let intent = self.session_intent(&session, customer.clone(), total);
        let redirect = self.complete(&session, &email, |session| {
            session.customer.clone_from(&customer);
            session.payment_intent = Some(intent.clone());
            session.payment_status = "unpaid";
        });
        self.cause = cause;
        let redirect = redirect?;
        self.draw(&intent, &method)?;
        let (arrives, after) = match debit {
            Debit::Arrives(after) => (true, after),
            Debit::Bounces(after) => (false, after),
        };
        let due = Due::Settle { session: session.id, arrives };
        self.schedule(self.now() + seconds(after), due);
        let payment_intent = Some(intent);
        Ok(Completed { customer, subscription: None, invoice: None, payment_intent, redirect })
    }

    fn draw(&mut self, intent: &str, method: &str) -> Result<(), ApiError> {
        let id = self.add_charge(intent, method, None)?;
        let (_, waits) = update(&mut self.intents, intent, "payment_intent", |intent| {
            intent.status = "processing";
            intent.decline = None;
            intent.kind = "sepa_debit";
        })?;
        self.emit("payment_intent.processing", waits, None);
        let (_, pending) = update(&mut self.charges, &id, "charge", |charge| {
            charge.pending = true;
        })?;
        self.emit("charge.pending", pending, None);
        Ok(())
    }

    pub(super) fn settle_debit(&mut self, session: &str, arrives: bool) -> Result<(), ApiError> {
        let intent = self.session(session)?.payment_intent.clone().unwrap_or_default();
        let charge = self.intents.get(&intent).and_then(|row| row.latest_charge.clone());
        let decline = (!arrives).then_some(Decline::InsufficientFunds);
        let (_, object) =
            update(&mut self.charges, &charge.unwrap_or_default(), "charge", |charge| {
                charge.pending = false;
                charge.decline = decline;
            })?;
        self.emit(if arrives { "charge.succeeded" } else { "charge.failed" }, object, None);
        self.conclude(&intent, decline)?;
        let (_, object) = update(&mut self.sessions, session, "checkout.session", |session| {
            if arrives {
                session.payment_status = "paid";
            }
        })?;
        let name = if arrives {
            "checkout.session.async_payment_succeeded"
        } else {
            "checkout.session.async_payment_failed"
        };
        self.emit(name, object, None);
        Ok(())
    }
}
