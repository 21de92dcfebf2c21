//! Cards, payment intents and charges.

use crate::fake_stripe::{
    card::Card,
    error::{ApiError, Decline},
    model::{Charge, Metadata, PaymentIntent, PaymentMethod, SetupIntent},
    state::{State, update},
    table::Resource,
};

/// What a payment is for.
pub(super) struct Payment {
    pub(super) amount: i64,
    pub(super) currency: String,
    pub(super) customer: Option<String>,
    pub(super) invoice: Option<String>,
    pub(super) description: Option<String>,
    pub(super) metadata: Metadata,
}

impl State {
    /// A card that belongs to nobody yet.
    pub(in crate::fake_stripe) fn new_method(
        &mut self,
        card: Card,
        email: Option<String>,
    ) -> String {
        self.add_method(card, email, false)
    }

    /// A bank account that belongs to nobody yet.
    pub(super) fn new_debit(&mut self, email: Option<String>) -> String {
        self.add_method(Card::Good, email, true)
    }

    fn add_method(&mut self, card: Card, email: Option<String>, debit: bool) -> String {
        let id = self.ids.next("pm_1");
        self.methods.add(PaymentMethod {
            id: id.clone(),
            created: self.now(),
            customer: None,
            email,
            card,
            debit,
            expires: Card::DEFAULT_EXPIRY,
            metadata: Metadata::new(),
        });
        id
    }

    pub(in crate::fake_stripe) fn card_of(&self, method: &str) -> Result<Card, ApiError> {
        let found = self.methods.get(method).map(|method| method.card);
        found.ok_or_else(|| ApiError::no_such("PaymentMethod", method, "payment_method"))
    }

    /// Attaches a card to a customer; a card that is declined cannot be attached.
    pub(in crate::fake_stripe) fn attach(
        &mut self,
        method: &str,
        customer: &str,
    ) -> Result<(), ApiError> {
        self.card_of(method)?.charge(true).map_err(ApiError::card)?;
        let (before, after) = update(&mut self.methods, method, "PaymentMethod", |method| {
            method.customer = Some(customer.to_owned());
        })?;
        if before != after {
            self.emit("payment_method.attached", after, None);
        }
        Ok(())
    }

    /// A saved card without a payment, as at the start of a trial.
    pub(super) fn set_up(&mut self, method: &str, customer: &str) -> Result<(), ApiError> {
        let setup = SetupIntent {
            id: self.ids.next("seti_1"),
            created: self.now(),
            customer: customer.to_owned(),
            payment_method: method.to_owned(),
        };
        let mut begun = setup.json();
        begun["status"] = "requires_payment_method".into();
        begun["payment_method"] = serde_json::Value::Null;
        self.emit("setup_intent.created", begun, None);
        let done = setup.json();
        self.setups.add(setup);
        self.attach(method, customer)?;
        self.emit("setup_intent.succeeded", done, None);
        Ok(())
    }

    /// Makes `card` the one that renewals are charged to.
    pub(in crate::fake_stripe) fn set_card(
        &mut self,
        customer: &str,
        card: Card,
    ) -> Result<String, ApiError> {
        let email = self.customer(customer)?.email.clone();
        let method = self.new_method(card, email);
        self.set_up(&method, customer)?;
        let default = Some(method.clone());
        self.update_customer(customer, |customer| {
            customer.default_payment_method.clone_from(&default);
        })?;
        let theirs: Vec<String> = self
            .subscriptions
            .iter()
            .filter(|sub| sub.customer == customer && !sub.status.is_ended())
            .filter(|sub| sub.default_payment_method.is_some())
            .map(|sub| sub.id.clone())
            .collect();
        for id in theirs {
            self.update_subscription(&id, |sub| sub.default_payment_method.clone_from(&default))?;
        }
        Ok(method)
    }

    pub(super) fn begin_payment(&mut self, payment: Payment) -> String {
        let intent = PaymentIntent {
            id: self.ids.next("pi_3"),
            created: self.now(),
            amount: payment.amount,
            received: 0,
            currency: payment.currency,
            customer: payment.customer,
            status: "requires_payment_method",
            latest_charge: None,
            payment_method: None,
            invoice: payment.invoice,
            description: payment.description,
            metadata: payment.metadata,
            decline: None,
            kind: "card",
        };
        let id = intent.id.clone();
        self.emit("payment_intent.created", intent.json(), None);
        self.intents.add(intent);
        id
    }

    /// Charges a card. A decline is an `Ok(Err(..))`: it is part of the story, with its events.
    pub(super) fn charge_card(
        &mut self,
        intent: &str,
        method: &str,
        present: bool,
        attach_to: Option<&str>,
    ) -> Result<Result<String, (Decline, Option<String>)>, ApiError> {
        let decline = self.card_of(method)?.charge(present).err();
        if let Some(decline @ Decline::AuthenticationRequired) = decline {
            self.ask_to_confirm(intent, method)?;
            return Ok(Err((decline, None)));
        }
        let id = self.add_charge(intent, method, decline)?;
        let name = if decline.is_some() { "charge.failed" } else { "charge.succeeded" };
        let object = self.charge(&id)?.json();
        self.emit(name, object, None);
        if let (None, Some(customer)) = (decline, attach_to) {
            self.attach(method, customer)?;
        }
        self.conclude(intent, decline)?;
        Ok(match decline {
            None => Ok(id),
            Some(decline) => Err((decline, Some(id))),
        })
    }

    /// A charge of a payment, without telling anybody.
    pub(super) fn add_charge(
        &mut self,
        intent: &str,
        method: &str,
        decline: Option<Decline>,
    ) -> Result<String, ApiError> {
        let card = self.card_of(method)?;
        let debit = self.methods.get(method).is_some_and(|method| method.debit);
        let about = self
            .intents
            .get(intent)
            .ok_or_else(|| ApiError::no_such("payment_intent", intent, "intent"))?
            .clone();
        let charge = Charge {
            id: self.ids.next("ch_3"),
            created: self.now(),
            amount: about.amount,
            amount_refunded: 0,
            currency: about.currency,
            customer: about.customer,
            email: self.methods.get(method).and_then(|method| method.email.clone()),
            description: about.description,
            payment_intent: intent.to_owned(),
            payment_method: method.to_owned(),
            card,
            invoice: about.invoice,
            metadata: about.metadata,
            decline,
            pending: false,
            debit,
            disputed: false,
            receipt: 0,
        };
        let id = charge.id.clone();
        self.charges.add(charge);
        if let Some(intent) = self.intents.get_mut(intent) {
            intent.latest_charge = Some(id.clone());
            intent.payment_method = Some(method.to_owned());
        }
        Ok(id)
    }

    /// The customer has to confirm before the bank is asked.
    fn ask_to_confirm(&mut self, intent: &str, method: &str) -> Result<(), ApiError> {
        let (_, after) = update(&mut self.intents, intent, "payment_intent", |intent| {
            intent.status = "requires_action";
            intent.payment_method = Some(method.to_owned());
            intent.decline = None;
        })?;
        self.emit("payment_intent.requires_action", after, None);
        Ok(())
    }

    /// A payment that succeeded, or waits for another card.
    pub(super) fn conclude(
        &mut self,
        intent: &str,
        decline: Option<Decline>,
    ) -> Result<(), ApiError> {
        let (_, after) = update(&mut self.intents, intent, "payment_intent", |intent| {
            intent.decline = decline;
            if decline.is_some() {
                intent.status = "requires_payment_method";
            } else {
                intent.status = "succeeded";
                intent.received = intent.amount;
            }
        })?;
        let name = match decline {
            None => "payment_intent.succeeded",
            Some(_) => "payment_intent.payment_failed",
        };
        self.emit(name, after, None);
        Ok(())
    }
}
