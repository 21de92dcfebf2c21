//! What records mean to the credit ledger: allowances of paid invoice lines, packs of paid sessions,
//! and money that went back. Each posting is made from the business fact and keyed by it, so that
//! the order and number of the events that tell of it do not matter.

mod returned;
mod upgrade;

use std::collections::BTreeSet;

use chrono::{DateTime, Utc};

use super::Terms;
use crate::catalog::{Catalog, UpgradeCredits};
use crate::changes::{Effects, OutboxEntry};
use crate::domain::DomainEvent;
use crate::keys::AccountKey;
use crate::ledger::{Command, Grant, LedgerKey, LotKind, Request, Rollover, drip_at};
use crate::notice::credits_granted;
use crate::state::{
    CheckoutRecord, InvoiceRecord, ObjectRef, PaymentRecord, Record, Subject, SubscriptionRecord,
};
use crate::store::LedgerPosting;
use crate::stripe::objects::{
    CheckoutMode, Invoice, InvoiceLine, InvoiceStatus, SubscriptionStatus,
};
use returned::returned;

/// The most months that a paid period has: Stripe bills every three years at least.
const MOST_MONTHS: u32 = 37;

/// Whether the touched records say anything to the ledger; what they say, if it is known whose
/// account it is about.
pub(super) fn of(
    after: &Subject,
    touched: &BTreeSet<ObjectRef>,
    terms: &Terms<'_>,
    effects: &mut Effects,
) -> bool {
    let owner = after.links.account().unwrap_or_default();
    let mut credits =
        Credits { after, owner, terms, postings: Vec::new(), granted: BTreeSet::new() };
    for object in touched {
        match after.records.get(object) {
            Some(Record::Invoice(record)) => credits.invoice(record),
            Some(Record::CheckoutSession(record)) => credits.session(record),
            Some(Record::Payment(record)) => credits.payment(record),
            Some(Record::Subscription(record)) => credits.subscription(record),
            _ => {}
        }
    }
    let Credits { postings, granted, .. } = credits;
    let speaks = !postings.is_empty();
    if after.links.account().is_some() {
        effects.ledger = terms.catalog.ledger_policy();
        effects.postings = postings;
        let notices: BTreeSet<&String> = granted.iter().map(|(_, key)| key).collect();
        effects.outbox.extend(notices.into_iter().map(|key| credits_granted(key).into()));
        effects.outbox.extend(
            granted.iter().cloned().map(|(unit, grant)| {
                OutboxEntry::from(DomainEvent::CreditsGranted { grant, unit })
            }),
        );
    }
    speaks
}

/// All that the records of a subject mean to the ledger, whatever of it has been posted.
pub(crate) fn owed(subject: &Subject, terms: &Terms<'_>) -> Vec<LedgerPosting> {
    let mut effects = Effects::default();
    let touched = subject.records.keys().cloned().collect();
    of(subject, &touched, terms, &mut effects);
    effects.postings
}

/// What a paid line, or a paid session, names that the catalog does not know yet.
pub(super) fn is_unknown(record: &Record, catalog: &Catalog) -> bool {
    match record {
        Record::Invoice(record) => paid(record).is_some_and(|view| {
            let mut lines = view.lines.iter().filter(|line| is_allowance(line));
            lines.any(|line| {
                let price = line.price.as_deref();
                price.is_some_and(|price| catalog.plan_of_price(price).is_none())
            })
        }),
        Record::CheckoutSession(record) => record.latest().is_some_and(|view| {
            let pack = view.metadata.get(&catalog.link().pack);
            view.is_fulfilled()
                && view.mode == Some(CheckoutMode::Payment)
                && pack.is_some_and(|pack| catalog.pack(pack).is_none())
        }),
        _ => false,
    }
}

fn paid(record: &InvoiceRecord) -> Option<&Invoice> {
    record.latest().filter(|view| view.status == InvoiceStatus::Paid)
}

/// A line that pays for a period of a subscription.
fn is_allowance(line: &InvoiceLine) -> bool {
    let subscribed = line.subscription_item.is_some() || line.subscription.is_some();
    !line.proration && subscribed && line.amount.is_some_and(|amount| amount > 0)
}

struct Credits<'a> {
    after: &'a Subject,
    owner: &'a str,
    terms: &'a Terms<'a>,
    postings: Vec<LedgerPosting>,
    /// Units, and the keys of what was granted of them.
    granted: BTreeSet<(String, String)>,
}

impl Credits<'_> {
    fn post(&mut self, unit: &str, command: Command) {
        let tenant = &self.after.key.tenant;
        let owner = AccountKey {
            stripe_account: tenant.stripe_account.clone(),
            account: self.owner.to_owned(),
        };
        let key = LedgerKey::new(owner, unit).in_mode(tenant.livemode);
        let mut request = Request::from(command);
        request.reference = Some(self.terms.event.to_owned());
        self.postings.push(LedgerPosting { key, request });
    }

    /// A paid line gives its price's credits per quantity, once per item and period. What a coupon
    /// took off does not matter; a line that costs nothing is a trial's.
    fn invoice(&mut self, record: &InvoiceRecord) {
        let Some(view) = paid(record) else { return };
        let prorated = self.terms.catalog.policy().upgrade_credits == UpgradeCredits::Prorated;
        for line in view.lines.iter().filter(|line| prorated && line.proration) {
            self.upgrade(view, line);
        }
        for line in view.lines.iter().filter(|line| !line.proration) {
            let sold = line.price.as_deref().and_then(|id| self.terms.catalog.plan_of_price(id));
            let Some((plan, price)) = sold else { continue };
            match line.amount {
                Some(1..) if is_allowance(line) => {
                    let quantity = line.quantity.unwrap_or(1);
                    for (unit, amount) in &price.credits {
                        let amount = amount.saturating_mul(quantity);
                        if price.credits_monthly {
                            self.monthly(view, line, unit, amount);
                        } else {
                            let rollover = plan.rollover.get(unit).copied().unwrap_or(0);
                            self.allowance(view, line, unit, amount, rollover);
                        }
                    }
                }
                Some(0) => {
                    for (unit, amount) in &plan.trial_credits {
                        self.trial(view, line, unit, *amount);
                    }
                }
                _ => {}
            }
        }
    }

    fn allowance(
        &mut self,
        view: &Invoice,
        line: &InvoiceLine,
        unit: &str,
        amount: i64,
        rollover: i64,
    ) {
        let (Some((item, begins)), 1..) = (period(view, line), amount) else { return };
        let ends = self.outlasted(line.period_end);
        let grant = Grant {
            effective_at: time(begins),
            expires_at: ends,
            ..Grant::new(format!("plan:{item}:{begins}"), amount)
                .of_kind(LotKind::Plan)
                .in_series(item)
                .in_period(format!("{item}:{begins}"))
                .paid_with(&view.id, view.amount_paid.unwrap_or(0).max(0))
        };
        let rollover = Rollover { max: rollover, total_max: None, expires_at: ends };
        self.granted.insert((unit.to_owned(), grant.key.clone()));
        self.post(unit, Command::Allow { grant, rollover });
        self.ended(line.subscription.as_deref().or(view.subscription.as_deref()), item, unit);
    }

    /// An allowance for every month of a period, the first at once, the others when their time comes.
    fn monthly(&mut self, view: &Invoice, line: &InvoiceLine, unit: &str, amount: i64) {
        let (Some((item, begins)), 1..) = (period(view, line), amount) else { return };
        let Some(anchor) = time(begins) else { return };
        let end = line.period_end.and_then(time).unwrap_or(anchor);
        let paid = view.amount_paid.unwrap_or(0).max(0);
        let mut months = Vec::new();
        for month in 0..MOST_MONTHS {
            let Some(at) = drip_at(anchor, month).filter(|at| month == 0 || *at < end) else {
                break;
            };
            let next = drip_at(anchor, month + 1).filter(|next| *next < end);
            months.push(Grant {
                effective_at: Some(at),
                expires_at: next.or_else(|| self.outlasted(line.period_end)),
                ..Grant::new(format!("drip:{item}:{begins}:{month}"), amount)
                    .of_kind(LotKind::Plan)
                    .in_series(item)
                    .in_period(format!("{item}:{begins}"))
                    .paid_with(&view.id, paid)
            });
        }
        let later = months.split_off(1.min(months.len()));
        for grant in months {
            self.granted.insert((unit.to_owned(), grant.key.clone()));
            self.post(unit, Command::Allow { grant, rollover: Rollover::default() });
        }
        if !later.is_empty() {
            self.post(unit, Command::Schedule(later));
        }
        self.ended(line.subscription.as_deref().or(view.subscription.as_deref()), item, unit);
    }

    /// The end of a period, and the time that its credits outlast it.
    fn outlasted(&self, end: Option<i64>) -> Option<DateTime<Utc>> {
        time(end?)?.checked_add_signed(self.terms.catalog.policy().renewal_grace)
    }

    /// What a trial gives, once per subscription; the first paid period of its item ends it.
    fn trial(&mut self, view: &Invoice, line: &InvoiceLine, unit: &str, amount: i64) {
        let subscription = line.subscription.as_deref().or(view.subscription.as_deref());
        let (Some(subscription), 1..) = (subscription, amount) else { return };
        let item = line.subscription_item.as_deref().unwrap_or(subscription);
        let grant = Grant {
            effective_at: line.period_start.or(view.created).and_then(time),
            expires_at: line.period_end.and_then(time),
            ..Grant::new(format!("trial:{subscription}"), amount)
                .of_kind(LotKind::Trial)
                .in_series(item)
        };
        self.granted.insert((unit.to_owned(), grant.key.clone()));
        self.post(unit, Command::Allow { grant, rollover: Rollover::default() });
        self.ended(Some(subscription), item, unit);
    }

    /// The item's lots end with a subscription that is known to be over.
    fn ended(&mut self, subscription: Option<&str>, item: &str, unit: &str) {
        let known = self.after.subscriptions().find(|record| Some(record.id()) == subscription);
        if let Some(at) = known.and_then(|record| end_of(record, item)) {
            self.post(unit, Command::EndSeries { series: item.to_owned(), at });
        }
    }

    fn session(&mut self, record: &CheckoutRecord) {
        let Some(view) = record.latest().filter(|view| view.is_fulfilled()) else { return };
        let named = view.metadata.get(&self.terms.catalog.link().pack);
        let pack = named.and_then(|id| self.terms.catalog.pack(id));
        let Some(pack) = pack.filter(|_| view.mode == Some(CheckoutMode::Payment)) else { return };
        for (unit, amount) in &pack.credits {
            let grant = Grant {
                effective_at: view.created.and_then(time),
                ..Grant::new(format!("cs:{}", view.id), *amount)
                    .paid_with(&view.id, view.amount_total.unwrap_or(0).max(0))
            };
            self.granted.insert((unit.to_owned(), grant.key.clone()));
            self.post(unit, Command::Grant(grant));
        }
    }

    /// Where the money of whatever a payment paid for stands. Of which units that were credits is
    /// known to the ledger alone, perhaps later.
    fn payment(&mut self, record: &PaymentRecord) {
        let rows = returned(record, self.terms.catalog);
        if rows.is_empty() {
            return;
        }
        let units = self.terms.catalog.units();
        for source in record.invoices().iter().chain(record.sessions()) {
            for unit in &units {
                let (source, rows) = (source.clone(), rows.clone());
                self.post(unit, Command::Returns { source, rows });
            }
        }
    }

    fn subscription(&mut self, record: &SubscriptionRecord) {
        let Some(view) = record.latest() else { return };
        if self.terms.catalog.policy().upgrade_credits == UpgradeCredits::Prorated {
            // What an upgrade adds depends on what is known of the subscription, too.
            let paid = self.after.invoices().filter_map(paid);
            let own = paid.filter(|invoice| invoice.subscription.as_deref() == Some(record.id()));
            let own: Vec<&Invoice> = own.collect();
            for invoice in own {
                for line in invoice.lines.iter().filter(|line| line.proration) {
                    self.upgrade(invoice, line);
                }
            }
        }
        for item in &view.items {
            let Some(at) = end_of(record, &item.id) else { continue };
            let sold = self.terms.catalog.plan_of_price(&item.price);
            let units: Vec<&String> = sold
                .iter()
                .flat_map(|(plan, price)| price.credits.keys().chain(plan.trial_credits.keys()))
                .collect();
            for unit in units.into_iter().collect::<BTreeSet<_>>() {
                self.post(unit, Command::EndSeries { series: item.id.clone(), at });
            }
        }
    }
}

/// The item that a line bills, and when its period begins.
fn period<'a>(view: &Invoice, line: &'a InvoiceLine) -> Option<(&'a str, i64)> {
    let item = line.subscription_item.as_deref().or(line.subscription.as_deref())?;
    Some((item, line.period_start.or(view.paid_at).or(view.created)?))
}

/// Until when the credits of a canceled subscription's item last: what was paid for stays.
fn end_of(record: &SubscriptionRecord, item: &str) -> Option<DateTime<Utc>> {
    let view = record.latest().filter(|view| view.status == SubscriptionStatus::Canceled)?;
    let own = view.items.iter().find(|own| own.id == item).and_then(|own| own.period_end);
    let ends =
        [view.ended_at.or(view.canceled_at), own.or(view.period_end()), record.paid_through()];
    ends.into_iter().flatten().max().and_then(time)
}

fn time(seconds: i64) -> Option<DateTime<Utc>> {
    DateTime::from_timestamp(seconds, 0)
}
