//! What happens when a customer submits the hosted page.

use super::{NewSub, payment::Payment};
use crate::fake_stripe::{
    card::Card,
    error::ApiError,
    model::{Customer, Metadata, Mode, Session, Status},
    state::{Cause, State, update},
    table::Resource,
};

/// A completed checkout.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Completed {
    /// The customer, if there is one: a one-time payment can be a guest's.
    pub customer: Option<String>,
    /// The subscription, in subscription mode.
    pub subscription: Option<String>,
    /// The first invoice, in subscription mode.
    pub invoice: Option<String>,
    /// The payment, unless there was nothing to pay.
    pub payment_intent: Option<String>,
    /// `success_url` with the session's id in place.
    pub redirect: String,
}

impl State {
    /// The customer submits the page with this card. A decline leaves the session open.
    pub(in crate::fake_stripe) fn submit_checkout(
        &mut self,
        id: &str,
        card: Card,
        email: Option<&str>,
    ) -> Result<Completed, ApiError> {
        let session = self.open_session(id)?;
        let email = self.email_for(&session, email);
        let key = self.ids.uuid();
        let cause = Cause { request_id: None, idempotency_key: Some(key) };
        let cause = std::mem::replace(&mut self.cause, cause);
        let done = match session.mode {
            Mode::Subscription => self.submit_subscription(&session, card, &email),
            Mode::Payment => self.submit_payment(&session, card, &email),
        };
        self.cause = cause;
        if let (Err(error), Some(session)) = (&done, self.sessions.get_mut(id)) {
            session.decline = Some(error.message().to_owned());
        }
        done
    }

    pub(super) fn open_session(&self, id: &str) -> Result<Session, ApiError> {
        let session = self.session(id)?.clone();
        if session.status == "open" {
            return Ok(session);
        }
        Err(ApiError::invalid(format!(
            "This Checkout Session is {} and can no longer be paid.",
            session.status
        )))
    }

    pub(super) fn email_for(&self, session: &Session, typed: Option<&str>) -> String {
        let known =
            session.customer.as_deref().and_then(|id| self.customers.get(id)?.email.clone());
        known
            .or_else(|| session.customer_email.clone())
            .or_else(|| typed.filter(|email| !email.trim().is_empty()).map(str::to_owned))
            .unwrap_or_else(|| "customer@example.com".to_owned())
    }

    pub(super) fn customer_of(&mut self, session: &Session, email: &str) -> String {
        if let Some(customer) = &session.customer {
            return customer.clone();
        }
        let customer = Customer {
            id: self.ids.next("cus_"),
            created: self.now(),
            email: Some(email.to_owned()),
            name: None,
            description: None,
            metadata: Metadata::new(),
            currency: None,
            default_payment_method: None,
            next_invoice: 1,
            deleted: false,
        };
        let id = customer.id.clone();
        self.emit("customer.created", customer.json(), None);
        self.customers.add(customer);
        id
    }

    fn submit_subscription(
        &mut self,
        session: &Session,
        card: Card,
        email: &str,
    ) -> Result<Completed, ApiError> {
        let trial_end = session.trial_days.map(|days| self.now() + i64::from(days) * super::DAY);
        let pays_now = trial_end.is_none() && session.total() > 0;
        if card.charge(true).is_err() {
            return Err(self.decline(session, card, pays_now, email));
        }
        let customer = self.customer_of(session, email);
        let method = self.new_method(card, Some(email.to_owned()));
        let new = NewSub {
            customer: customer.clone(),
            items: session.items(),
            trial_end,
            metadata: session.subscription_metadata.clone(),
            default_payment_method: Some(method.clone()),
            cancel_at_period_end: false,
            missing_method: "create_invoice",
        };
        // Until basil the subscription came first and waited for its payment.
        let old_order = self.rules.api_version.is_before_basil() && pays_now;
        let status = match (trial_end.is_some(), old_order) {
            (true, _) => Status::Trialing,
            (_, true) => Status::Incomplete,
            _ => Status::Active,
        };
        let (subscription, invoice) = self.add_subscription(new, status)?;
        if old_order {
            self.announce_subscription(&subscription)?;
        }
        let paid = if pays_now {
            Some(self.pay_now(session, &customer, &invoice, &method)?)
        } else {
            self.set_up(&method, &customer)?;
            None
        };
        if !old_order {
            self.announce_subscription(&subscription)?;
        }
        self.announce_invoice(&invoice)?;
        self.finalize(&invoice)?;
        if let Some(paid) = paid {
            self.settle(&invoice, Some(paid), false)?;
        }
        let currency = session.currency().to_owned();
        self.update_customer(&customer, |customer| customer.currency = Some(currency))?;
        let redirect = self.complete(session, email, |session| {
            session.customer = Some(customer.clone());
            session.subscription = Some(subscription.clone());
            session.invoice = Some(invoice.clone());
            session.payment_status = paid_word(pays_now);
        })?;
        let payment_intent = self.invoice(&invoice)?.payment_intent.clone();
        Ok(Completed {
            customer: Some(customer),
            subscription: Some(subscription),
            invoice: Some(invoice),
            payment_intent,
            redirect,
        })
    }

    /// Payment intent and charge of a subscription's first invoice.
    fn pay_now(
        &mut self,
        session: &Session,
        customer: &str,
        invoice: &str,
        method: &str,
    ) -> Result<(String, String), ApiError> {
        let intent = self.intent_of_session(session, customer, invoice, session.total())?;
        let charge = self.charge_card(&intent, method, true, Some(customer))?;
        let charge = charge.map_err(|(decline, _)| ApiError::card(decline))?;
        Ok((intent, charge))
    }

    fn submit_payment(
        &mut self,
        session: &Session,
        card: Card,
        email: &str,
    ) -> Result<Completed, ApiError> {
        let total = session.total();
        if card.charge(true).is_err() {
            return Err(self.decline(session, card, total > 0, email));
        }
        let customer = (session.customer.is_some() || session.create_customer)
            .then(|| self.customer_of(session, email));
        let payment_intent = if total > 0 {
            let method = self.new_method(card, Some(email.to_owned()));
            let intent = self.session_intent(session, customer.clone(), total);
            let charge = self.charge_card(&intent, &method, true, None)?;
            charge.map_err(|(decline, _)| ApiError::card(decline))?;
            Some(intent)
        } else {
            None
        };
        let redirect = self.complete(session, email, |session| {
            session.customer.clone_from(&customer);
            session.payment_intent.clone_from(&payment_intent);
            session.payment_status = paid_word(payment_intent.is_some());
        })?;
        Ok(Completed { customer, subscription: None, invoice: None, payment_intent, redirect })
    }

    /// The bank says no: a failed charge, and the session stays open.
    fn decline(&mut self, session: &Session, card: Card, charges: bool, email: &str) -> ApiError {
        let declined = |state: &mut Self| -> Result<ApiError, ApiError> {
            if !charges {
                card.charge(true).map_err(ApiError::card)?;
            }
            let method = state.new_method(card, Some(email.to_owned()));
            let intent = state.session_intent(session, session.customer.clone(), session.total());
            match state.charge_card(&intent, &method, true, None)? {
                Ok(_) => Err(ApiError::invalid("This card was expected to be declined.")),
                Err((decline, charge)) => Ok(ApiError::card(decline).with_payment(charge, intent)),
            }
        };
        declined(self).unwrap_or_else(|error| error)
    }

    /// The session's payment: the one a declined attempt has begun, or a new one.
    pub(super) fn session_intent(
        &mut self,
        session: &Session,
        customer: Option<String>,
        amount: i64,
    ) -> String {
        if let Some(intent) = &session.attempt {
            if let Some(intent) = self.intents.get_mut(intent) {
                intent.customer = customer;
            }
            return intent.clone();
        }
        let subscribes = session.mode == Mode::Subscription;
        let intent = self.begin_payment(Payment {
            amount,
            currency: session.currency().to_owned(),
            customer,
            invoice: None,
            description: subscribes.then(|| "Subscription creation".to_owned()),
            metadata: session.payment_metadata.clone(),
        });
        if let Some(session) = self.sessions.get_mut(&session.id) {
            session.attempt = Some(intent.clone());
        }
        intent
    }

    fn intent_of_session(
        &mut self,
        session: &Session,
        customer: &str,
        invoice: &str,
        amount: i64,
    ) -> Result<String, ApiError> {
        if session.attempt.is_none() {
            let invoice = self.invoice(invoice)?.clone();
            return Ok(self.intent_for(&invoice));
        }
        let intent = self.session_intent(session, Some(customer.to_owned()), amount);
        if let Some(row) = self.intents.get_mut(&intent) {
            row.invoice = Some(invoice.to_owned());
        }
        if let Some(row) = self.invoices.get_mut(invoice) {
            row.payment_intent = Some(intent.clone());
        }
        Ok(intent)
    }

    pub(super) fn complete(
        &mut self,
        session: &Session,
        email: &str,
        change: impl FnOnce(&mut Session),
    ) -> Result<String, ApiError> {
        let (_, after) = update(&mut self.sessions, &session.id, "checkout.session", |session| {
            session.status = "complete";
            session.email = Some(email.to_owned());
            session.decline = None;
            change(session);
        })?;
        self.cause = Cause::default();
        self.emit("checkout.session.completed", after, None);
        Ok(session.success_url.replace("{CHECKOUT_SESSION_ID}", &session.id))
    }
}

const fn paid_word(paid: bool) -> &'static str {
    if paid { "paid" } else { "no_payment_required" }
}
