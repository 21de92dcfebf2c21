use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;

use chrono::{DateTime, NaiveDate};
use serde::Serialize;

use super::{DisputeView, InvoiceView, PaymentView};
use crate::access::{Access, SubscriptionAccess};
use crate::catalog::Catalog;
use crate::state::{PaymentRecord, Record, Subject};
use crate::store::Usage;
use crate::stripe::objects::InvoiceLine;

/// What is known that speaks for a disputed payment: a draft, for somebody to check, complete and
/// hand in at Stripe (<https://docs.stripe.com/disputes/responding>). Amounts are minor units, times
/// Unix seconds, UTC.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct EvidenceDraft {
    /// The dispute, and how far it is.
    pub dispute: DisputeView,
    /// How often evidence was handed in; `None` where Stripe did not say.
    pub submission_count: Option<i64>,
    /// What the account is called in the app.
    pub account: Option<String>,
    /// Stripe's `customer_name`.
    pub customer_name: Option<String>,
    /// Stripe's `customer_email_address`.
    pub customer_email_address: Option<String>,
    /// Stripe's `product_description`: the plans and packs, from the catalog.
    pub product_description: Option<String>,
    /// Stripe's `service_date`: the first day that was paid for.
    pub service_date: Option<NaiveDate>,
    /// The payment, with what was refunded of it.
    pub payment: PaymentView,
    /// The invoices that it paid.
    pub invoices: Vec<InvoiceView>,
    /// The periods that it paid for.
    pub periods: Vec<PaidPeriod>,
    /// What the customer's subscriptions give now.
    pub access: Vec<SubscriptionAccess>,
    /// What was used since the day on which it was paid, by unit of credit: for each day, feature and
    /// member.
    pub usage: BTreeMap<String, Vec<Usage>>,
    /// Other payments of this customer that nobody disputed.
    pub undisputed_payments: usize,
    /// Stripe's `uncategorized_text`: all of it in sentences.
    pub uncategorized_text: String,
}

/// A period that a payment paid for.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[non_exhaustive]
pub struct PaidPeriod {
    /// The name of the plan, where the catalog has it, or else the price.
    pub product: String,
    /// Its start.
    pub start: i64,
    /// Its end.
    pub end: i64,
}

impl EvidenceDraft {
    /// The draft for a dispute of a subject; `None` if it has no such dispute. `usage` is by unit.
    pub fn of(
        subject: &Subject,
        dispute: &str,
        usage: BTreeMap<String, Vec<Usage>>,
        access: Access,
        catalog: &Catalog,
    ) -> Option<Self> {
        let has = |payment: &&PaymentRecord| payment.disputes().any(|it| it.id == dispute);
        let record = subject.payments().find(has)?;
        let submission_count =
            record.disputes().find(|it| it.id == dispute).and_then(|it| it.submission_count);
        let view = DisputeView::all(subject).into_iter().find(|it| it.id == dispute)?;
        let paid = |invoice: &InvoiceView| record.invoices().contains(&invoice.id);
        let (periods, products) = sold(subject, record, catalog);
        let customer = subject.records.values().find_map(|record| match record {
            Record::Customer(record) => record.latest().filter(|_| !record.is_deleted()),
            _ => None,
        });
        let first_day = periods.iter().map(|period| period.start).min().or(record.created());
        let undisputed = |other: &&PaymentRecord| {
            other.id() != record.id() && !other.is_disputed() && other.amount().is_some()
        };
        let mut draft = Self {
            dispute: view,
            submission_count,
            account: subject.links.account().map(str::to_owned),
            customer_name: customer.and_then(|view| view.name.clone()),
            customer_email_address: customer.and_then(|view| view.email.clone()),
            product_description: (!products.is_empty())
                .then(|| products.into_iter().collect::<Vec<_>>().join(", ")),
            service_date: first_day.and_then(day),
            payment: PaymentView::of(record),
            invoices: InvoiceView::all(subject).into_iter().filter(paid).collect(),
            periods,
            access: access.subscriptions,
            usage,
            undisputed_payments: subject.payments().filter(undisputed).count(),
            uncategorized_text: String::new(),
        };
        draft.uncategorized_text = draft.in_sentences();
        Some(draft)
    }

    fn in_sentences(&self) -> String {
        let mut text = String::new();
        // Writing to a string does not fail.
        if let Some(day) = self.payment.created.and_then(day) {
            let _ = write!(text, "The payment {} was made on {day}.", self.payment.id);
        }
        for invoice in &self.invoices {
            let number = invoice.number.as_deref().unwrap_or(&invoice.id);
            let _ = write!(text, " It paid invoice {number}.");
        }
        for PaidPeriod { product, start, end } in &self.periods {
            if let (Some(start), Some(end)) = (day(*start), day(*end)) {
                let _ = write!(text, " {product} was provided from {start} to {end}.");
            }
        }
        for (unit, days) in &self.usage {
            let times: i64 = days.iter().map(|usage| usage.count).sum();
            let credits: i64 = days.iter().map(|usage| usage.credits).sum();
            if let (Some(first), Some(last)) = (days.first(), days.last()) {
                let _ = write!(
                    text,
                    " The customer used it {times} times ({credits} {unit}) between {} and {}.",
                    first.day, last.day
                );
            }
            for (feature, (times, credits)) in by_feature(days) {
                let _ = write!(text, " Of these, {feature}: {times} times ({credits} {unit}).");
            }
        }
        if self.payment.amount_refunded > 0 {
            let (amount, currency) = (self.payment.amount_refunded, &self.payment.currency);
            let currency = currency.as_deref().unwrap_or_default();
            let _ = write!(text, " {amount} minor units {currency} of it were refunded.");
        }
        if self.undisputed_payments > 0 {
            let count = self.undisputed_payments;
            let _ = write!(text, " {count} other payments of this customer were not disputed.");
        }
        text.trim_start().to_owned()
    }
}

/// How often each feature was used, and for how many credits.
fn by_feature(days: &[Usage]) -> BTreeMap<&str, (i64, i64)> {
    let mut features: BTreeMap<&str, (i64, i64)> = BTreeMap::new();
    for usage in days {
        let Some(feature) = usage.feature.as_deref() else { continue };
        let (times, credits) = features.entry(feature).or_default();
        *times += usage.count;
        *credits += usage.credits;
    }
    features
}

/// The periods that a payment paid for, and the names of what it bought.
fn sold(
    subject: &Subject,
    record: &PaymentRecord,
    catalog: &Catalog,
) -> (Vec<PaidPeriod>, BTreeSet<String>) {
    let (mut periods, mut products) = (BTreeSet::new(), BTreeSet::new());
    let paid = record.invoices().iter().filter_map(|id| subject.invoice(id)?.latest());
    for line in paid.flat_map(|invoice| &invoice.lines) {
        let InvoiceLine { price: Some(price), period_start, period_end, .. } = line else {
            continue;
        };
        let plan = catalog.plan_of_price(price).map(|(plan, _)| &plan.name);
        let name = plan.or_else(|| Some(&catalog.pack_of_price(price)?.name)).unwrap_or(price);
        products.insert(name.clone());
        if let (Some(start), Some(end)) = (period_start, period_end)
            && start < end
        {
            let period = PaidPeriod { product: name.clone(), start: *start, end: *end };
            periods.insert(period);
        }
    }
    let bought = subject.sessions().filter(|session| record.sessions().contains(&session.id));
    for session in bought {
        let pack = session.metadata.get(&catalog.link().pack).and_then(|id| catalog.pack(id));
        products.extend(pack.map(|pack| pack.name.clone()));
    }
    (periods.into_iter().collect(), products)
}

fn day(seconds: i64) -> Option<NaiveDate> {
    DateTime::from_timestamp(seconds, 0).map(|instant| instant.date_naive())
}
