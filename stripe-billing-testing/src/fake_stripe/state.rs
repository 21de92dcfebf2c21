//! Everything the fake knows, behind one lock, and the log of its events.

use std::{
    collections::{BTreeMap, VecDeque},
    time::Duration,
};

use serde_json::{Value, json};

use super::{
    clock::Clock,
    error::ApiError,
    events::FakeEvent,
    ids::Ids,
    model::{
        Charge, Coupon, Customer, Dispute, Entitlement, Feature, FraudWarning, Invoice,
        InvoicePayment, PaymentIntent, PaymentMethod, PortalSession, Price, Product, Refund,
        Session, SetupIntent, Subscription,
    },
    table::{Resource, Table},
    version::ApiVersion,
};

/// What becomes of a subscription whose retries are exhausted: Stripe's dashboard setting.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub enum Exhausted {
    /// `canceled`, with `cancellation_details.reason = payment_failed`.
    #[default]
    Cancel,
    /// `unpaid`: further invoices stay drafts.
    Unpaid,
    /// Stays `past_due`.
    KeepPastDue,
    /// `paused`, as accounts can choose from 2026-09-30 on.
    Pause,
    /// Stays `past_due`, and the invoice is `uncollectible`.
    MarkUncollectible,
}

/// The rules of the account.
#[derive(Clone, Debug)]
pub(super) struct Rules {
    pub(super) api_version: ApiVersion,
    /// Seconds after the first failed attempt.
    pub(super) retries: Vec<i64>,
    pub(super) exhausted: Exhausted,
    pub(super) portal_sets_cancel_at_only: bool,
    /// Seconds before a renewal at which `invoice.upcoming` announces it.
    pub(super) upcoming: Option<i64>,
}

impl Default for Rules {
    fn default() -> Self {
        Self {
            api_version: ApiVersion::default(),
            retries: [3, 5, 7].map(|days: u64| seconds(Duration::from_secs(days * 86_400))).into(),
            exhausted: Exhausted::default(),
            portal_sets_cancel_at_only: true,
            upcoming: None,
        }
    }
}

pub(super) fn seconds(duration: Duration) -> i64 {
    i64::try_from(duration.as_secs()).unwrap_or(i64::MAX / 4)
}

/// Work that falls due. Each kind checks that it still holds before it does anything.
#[derive(Clone, Debug)]
pub(super) enum Due {
    TrialWillEnd(String),
    CancelAt(String),
    PeriodEnd(String),
    IncompleteExpires(String),
    FinalizeInvoice(String),
    RetryInvoice(String),
    SessionExpires(String),
    Upcoming(String),
    ResumeCollection(String),
    ResumptionExpires(String),
    /// A delayed payment of a session arrives, or does not.
    Settle {
        session: String,
        arrives: bool,
    },
    RefundArrives(String),
    RefundFails(String),
}

/// Who caused the events of a step, for their `request` field.
#[derive(Clone, Debug, Default)]
pub(super) struct Cause {
    pub(super) request_id: Option<String>,
    pub(super) idempotency_key: Option<String>,
}

#[derive(Debug)]
pub(super) struct State {
    pub(super) clock: Clock,
    pub(super) ids: Ids,
    pub(super) rules: Rules,
    pub(super) base_url: String,
    pub(super) cause: Cause,
    pub(super) customers: Table<Customer>,
    pub(super) products: Table<Product>,
    pub(super) prices: Table<Price>,
    pub(super) methods: Table<PaymentMethod>,
    pub(super) sessions: Table<Session>,
    pub(super) subscriptions: Table<Subscription>,
    pub(super) invoices: Table<Invoice>,
    pub(super) intents: Table<PaymentIntent>,
    pub(super) charges: Table<Charge>,
    pub(super) refunds: Table<Refund>,
    pub(super) disputes: Table<Dispute>,
    pub(super) invoice_payments: Table<InvoicePayment>,
    pub(super) portals: Table<PortalSession>,
    pub(super) setups: Table<SetupIntent>,
    pub(super) coupons: Table<Coupon>,
    pub(super) warnings: Table<FraudWarning>,
    pub(super) features: Vec<Feature>,
    /// What customers may use, as the last summary said.
    pub(super) entitlements: BTreeMap<String, Vec<Entitlement>>,
    pub(super) events: Vec<FakeEvent>,
    /// Events that the deliverer has not picked up.
    pub(super) outbox: VecDeque<FakeEvent>,
    pub(super) taken: usize,
    agenda: BTreeMap<(i64, u64), Due>,
    agenda_counter: u64,
}

impl State {
    pub(super) fn new(clock: Clock, seed: u64, rules: Rules) -> Self {
        Self {
            clock,
            ids: Ids::new(seed),
            rules,
            base_url: String::new(),
            cause: Cause::default(),
            customers: Table::default(),
            products: Table::default(),
            prices: Table::default(),
            methods: Table::default(),
            sessions: Table::default(),
            subscriptions: Table::default(),
            invoices: Table::default(),
            intents: Table::default(),
            charges: Table::default(),
            refunds: Table::default(),
            disputes: Table::default(),
            invoice_payments: Table::default(),
            portals: Table::default(),
            setups: Table::default(),
            coupons: Table::default(),
            warnings: Table::default(),
            features: Vec::new(),
            entitlements: BTreeMap::new(),
            events: Vec::new(),
            outbox: VecDeque::new(),
            taken: 0,
            agenda: BTreeMap::new(),
            agenda_counter: 0,
        }
    }

    pub(super) fn now(&self) -> i64 {
        self.clock.now()
    }

    pub(super) fn schedule(&mut self, at: i64, due: Due) {
        self.agenda_counter += 1;
        self.agenda.insert((at, self.agenda_counter), due);
    }

    pub(super) fn next_due(&self) -> Option<i64> {
        self.agenda.keys().next().map(|(at, _)| *at)
    }

    /// Does all that is due up to `target`, in order, each piece at its own instant.
    pub(super) fn run_until(&mut self, target: i64) {
        while let Some(entry) = self.agenda.first_entry() {
            let (at, _) = *entry.key();
            if at > target {
                break;
            }
            let due = entry.remove();
            self.clock.hold(at);
            let cause = std::mem::take(&mut self.cause);
            if let Err(error) = self.perform(due.clone()) {
                tracing::error!(?due, %error, "the fake could not do what was due");
            }
            self.cause = cause;
            self.clock.release();
        }
        self.clock.move_to(target);
    }

    /// Records an event about `object`, changed from `before` if that is given.
    pub(super) fn emit(&mut self, kind: &'static str, object: Value, before: Option<Value>) {
        let id = self.ids.next("evt_1");
        let request = json!({
            "id": self.cause.request_id,
            "idempotency_key": self.cause.idempotency_key,
        });
        let event = FakeEvent::new(id, kind, self.now(), (object, before), request);
        self.outbox.push_back(event.clone());
        self.events.push(event);
    }

    /// Any object by its id, in the newest shape.
    pub(super) fn object(&self, id: &str) -> Option<Value> {
        fn find<T: Resource>(table: &Table<T>, id: &str) -> Option<Value> {
            table.get(id).map(T::json)
        }
        match id.split('_').next()? {
            "cus" => find(&self.customers, id),
            "pm" => find(&self.methods, id),
            "cs" => find(&self.sessions, id),
            "sub" => find(&self.subscriptions, id),
            "in" => find(&self.invoices, id),
            "pi" => find(&self.intents, id),
            "ch" => find(&self.charges, id),
            "re" => find(&self.refunds, id),
            "du" => find(&self.disputes, id),
            "inpay" => find(&self.invoice_payments, id),
            "bps" => find(&self.portals, id),
            "seti" => find(&self.setups, id),
            "issfr" => find(&self.warnings, id),
            _ => find(&self.prices, id).or_else(|| find(&self.products, id)),
        }
    }

    pub(super) fn customer(&self, id: &str) -> Result<&Customer, ApiError> {
        self.customers
            .get(id)
            .filter(|customer| !customer.deleted)
            .ok_or_else(|| ApiError::no_such("customer", id, "customer"))
    }

    pub(super) fn subscription(&self, id: &str) -> Result<&Subscription, ApiError> {
        self.subscriptions.get(id).ok_or_else(|| ApiError::no_such("subscription", id, "id"))
    }

    pub(super) fn invoice(&self, id: &str) -> Result<&Invoice, ApiError> {
        self.invoices.get(id).ok_or_else(|| ApiError::no_such("invoice", id, "invoice"))
    }

    pub(super) fn session(&self, id: &str) -> Result<&Session, ApiError> {
        self.sessions.get(id).ok_or_else(|| ApiError::no_such("checkout.session", id, "session"))
    }

    pub(super) fn price(&self, id: &str, param: &str) -> Result<&Price, ApiError> {
        self.prices.get(id).ok_or_else(|| ApiError::no_such("price", id, param))
    }

    pub(super) fn charge(&self, id: &str) -> Result<&Charge, ApiError> {
        self.charges.get(id).ok_or_else(|| ApiError::no_such("charge", id, "charge"))
    }

    /// Changes a subscription and reports it, unless nothing changed.
    pub(super) fn update_subscription(
        &mut self,
        id: &str,
        change: impl FnOnce(&mut Subscription),
    ) -> Result<Value, ApiError> {
        update(&mut self.subscriptions, id, "subscription", change).map(|(before, after)| {
            if before != after {
                self.emit("customer.subscription.updated", after.clone(), Some(before));
                self.refresh_entitlements(after["customer"].as_str().unwrap_or_default());
            }
            after
        })
    }

    /// Changes an invoice and reports it as `kind`.
    pub(super) fn update_invoice(
        &mut self,
        id: &str,
        kind: &'static str,
        change: impl FnOnce(&mut Invoice),
    ) -> Result<Value, ApiError> {
        let (before, after) = update(&mut self.invoices, id, "invoice", change)?;
        let before = (kind == "invoice.updated").then_some(before);
        self.emit(kind, after.clone(), before);
        Ok(after)
    }

    /// Changes a customer and reports it, unless nothing changed.
    pub(super) fn update_customer(
        &mut self,
        id: &str,
        change: impl FnOnce(&mut Customer),
    ) -> Result<Value, ApiError> {
        let (before, after) = update(&mut self.customers, id, "customer", change)?;
        if before != after {
            self.emit("customer.updated", after.clone(), Some(before));
        }
        Ok(after)
    }
}

/// Applies `change` to a row and gives its JSON before and after.
pub(super) fn update<T: Resource>(
    table: &mut Table<T>,
    id: &str,
    what: &str,
    change: impl FnOnce(&mut T),
) -> Result<(Value, Value), ApiError> {
    let row = table.get_mut(id).ok_or_else(|| ApiError::no_such(what, id, "id"))?;
    let before = row.json();
    change(row);
    Ok((before, row.json()))
}
