//! What is known of a notice: a pure function of what is loaded to see whether it is still true.

use chrono::{DateTime, Utc};

use super::{
    CardDetails, Decline, Money, Notice, NoticeDetails, NoticeKind, PlanDetails, Recipient,
    TicketDetails,
};
use crate::access::Access;
use crate::catalog::Catalog;
use crate::dunning::{self, CaseState};
use crate::secret::Secret;
use crate::state::{
    CheckoutRecord, InvoiceRecord, ObjectKind, ObjectRef, PaymentMethodRecord, PaymentRecord,
    PriceChange, Record, Subject, SubscriptionRecord,
};
use crate::stripe::objects::{Dispute, RefundStatus, Subscription, SubscriptionItem};
use crate::ticket::TicketKind;

impl NoticeDetails {
    /// What is known of what a notice is about; what is about no record may have no subject.
    pub fn of(
        notice: &Notice,
        subject: Option<&Subject>,
        catalog: &Catalog,
        now: DateTime<Utc>,
    ) -> Self {
        let mut details = Self::default();
        if notice.kind == NoticeKind::TicketOpened
            && let Some((kind, about)) = notice.detail.split_once(':')
            && let Some(kind) = TicketKind::from_word(kind)
        {
            details.ticket = Some(TicketDetails { kind, about: about.to_owned() });
        }
        let Some(subject) = subject else { return details };
        details.recipient = Recipient::of(subject);
        let record = notice.object.as_ref().and_then(|object| subject.records.get(object));
        match record {
            Some(Record::Subscription(record)) => {
                details.of_subscription(notice, subject, record, catalog);
            }
            Some(Record::Invoice(record)) => {
                details.of_invoice(subject, record, catalog, now);
                if notice.kind.is_dunning() {
                    details.total = all_open(subject, catalog, now);
                }
            }
            Some(Record::CheckoutSession(record)) => details.of_checkout(subject, record, catalog),
            Some(Record::Payment(record)) => details.of_payment(notice, subject, record),
            Some(Record::PaymentMethod(record)) => {
                details.card = record.latest().map(|_| CardDetails::of(record));
                let running = subject.subscriptions().filter_map(SubscriptionRecord::latest);
                let alone = only_card(subject).is_some();
                let running = running.filter(|view| !view.status.is_terminal());
                let running = running.filter(|view| match &view.default_payment_method {
                    Some(default) => record.latest().is_some_and(|card| card.id == *default),
                    // Of several nobody knows which is the customer's default.
                    None => alone,
                });
                let prices = running.flat_map(|view| view.items.iter().map(|item| &item.price));
                details.products = names(prices, catalog);
            }
            Some(Record::Customer(_) | Record::Entitlements(_)) | None => {}
        }
        details
    }

    fn of_subscription(
        &mut self,
        notice: &Notice,
        subject: &Subject,
        record: &SubscriptionRecord,
        catalog: &Catalog,
    ) {
        let Some(view) = record.latest() else { return };
        let after = PlanDetails::of(view, catalog);
        self.products.clone_from(&after.names);
        self.card = view
            .default_payment_method
            .as_deref()
            .and_then(|id| card(subject, id))
            .or_else(|| only_card(subject));
        match notice.kind {
            NoticeKind::SubscriptionCanceled => {
                self.at = view.ended_at.or(view.canceled_at);
                self.reason = view.cancellation_reason.as_ref().map(|it| it.as_str().to_owned());
            }
            NoticeKind::TrialEnding => {
                self.at = view.trial_end;
                if view.will_cancel() {
                    // Nothing comes after it.
                    self.card = None;
                    return;
                }
                self.amount.clone_from(&after.price);
            }
            NoticeKind::RenewalUpcoming => {
                self.at = record.renewal_upcoming;
                let quote = record.renewal_quote.as_ref();
                let quote = quote.filter(|quote| Some(quote.period_end) == record.renewal_upcoming);
                self.amount = quote.and_then(|it| Money::of(it.amount, it.currency.as_deref()));
            }
            NoticeKind::PlanChanged => {
                self.at = notice.detail.parse().ok();
                let change = record.price_changes.iter().rev().find(|it| Some(it.at) == self.at);
                self.before = change.map(|change| PlanDetails::before(change, view, catalog));
            }
            _ => {}
        }
        self.after = Some(after);
    }

    fn of_invoice(
        &mut self,
        subject: &Subject,
        record: &InvoiceRecord,
        catalog: &Catalog,
        now: DateTime<Utc>,
    ) {
        let Some(view) = record.latest() else { return };
        let paid = view.status.is_terminal();
        let amount = match paid {
            true => view.amount_paid,
            false => view.amount_remaining.or(view.amount_due),
        };
        self.amount = Money::of(amount, view.currency.as_deref());
        self.products = names(view.lines.iter().filter_map(|line| line.price.as_ref()), catalog);
        self.invoice_number.clone_from(&view.number);
        self.hosted_url = view.hosted_invoice_url.as_deref().map(Secret::from);
        self.paid_at = view.paid_at;
        self.period_end = view.service_end();
        let payment = subject.payments().find(|payment| payment.invoices().contains(record.id()));
        let intent = payment.and_then(PaymentRecord::intent);
        self.card =
            intent.and_then(|it| it.payment_method.as_deref()).and_then(|id| card(subject, id));
        if paid {
            return;
        }
        let ahead = |time: Option<i64>| time.filter(|time| *time > now.timestamp());
        self.due = view.due_date;
        self.next_attempt = ahead(view.next_payment_attempt);
        self.attempt = record.failed_attempts.last().copied();
        let code = intent.and_then(|it| it.decline_code.as_ref().or(it.failure_code.as_ref()));
        self.decline = code.map(|code| Decline::of(code));
        if let Some(subscription) = &view.subscription {
            let access = Access::evaluate(std::slice::from_ref(subject), catalog, now);
            let share = access.subscriptions.iter().find(|share| share.id == *subscription);
            // The word that it is past due may be a moment behind the failed attempt.
            let grace = catalog.policy().past_due_grace.num_seconds();
            let first = record.first_failed_at.filter(|_| view.is_renewal());
            let expected = first.map(|first| first.saturating_add(grace));
            self.grace_end = ahead(share.and_then(|share| match share.access {
                true => share.grace_until.or(expected),
                false => None,
            }));
        }
    }

    fn of_checkout(&mut self, subject: &Subject, record: &CheckoutRecord, catalog: &Catalog) {
        let Some(view) = record.latest() else { return };
        self.amount = Money::of(view.amount_total, view.currency.as_deref());
        let pack = view.metadata.get(&catalog.link().pack).and_then(|id| catalog.pack(id));
        self.products = pack.map(|pack| pack.name.clone()).into_iter().collect();
        let payment = subject.payments().find(|payment| payment.sessions().contains(&view.id));
        self.paid_at = payment.and_then(PaymentRecord::created).or(view.created);
        let intent = payment.and_then(PaymentRecord::intent);
        self.card =
            intent.and_then(|it| it.payment_method.as_deref()).and_then(|id| card(subject, id));
    }

    fn of_payment(&mut self, notice: &Notice, subject: &Subject, record: &PaymentRecord) {
        self.payment = Some(record.id().to_owned());
        self.paid_at = record.created();
        let method = record.intent().and_then(|it| it.payment_method.as_deref());
        self.card = method.and_then(|id| card(subject, id));
        let paid = Money::of(record.amount(), record.currency());
        match notice.kind {
            NoticeKind::Refund => self.of_refund(notice, record),
            NoticeKind::FraudWarning => {
                self.amount = paid;
                let warning = record.warnings().find(|warning| warning.id == notice.detail);
                self.reason = warning.and_then(|warning| warning.fraud_type.clone());
            }
            _ => {
                let Some(dispute) = record.disputes().find(|it| notice.dispute() == Some(&it.id))
                else {
                    return;
                };
                let Dispute { amount, currency, reason, due_by, .. } = dispute;
                self.amount = Money::of(*amount, currency.as_deref()).or(paid);
                self.reason.clone_from(reason);
                self.deadline = *due_by;
                self.inquiry = dispute.status.is_inquiry();
            }
        }
    }

    /// Of several refunds the n-th in the order in which they were made.
    fn of_refund(&mut self, notice: &Notice, record: &PaymentRecord) {
        let succeeded = record.refunds().filter(|it| it.status == RefundStatus::Succeeded);
        let mut succeeded: Vec<_> = succeeded.collect();
        succeeded.sort_by_key(|refund| (refund.created, &refund.id));
        let number = notice.detail.parse::<usize>().unwrap_or(1);
        let refund = number.checked_sub(1).and_then(|index| succeeded.get(index));
        let total = Money::of(Some(record.refunded()), record.currency());
        let (amount, reason) = match refund {
            Some(refund) => (
                Money::of(refund.amount, refund.currency.as_deref().or(record.currency())),
                refund.reason.clone(),
            ),
            None => (total.clone(), None),
        };
        self.total = total.filter(|total| amount.as_ref().is_some_and(|it| it != total));
        (self.amount, self.reason) = (amount, reason);
    }
}

impl Recipient {
    pub(crate) fn of(subject: &Subject) -> Self {
        let customer = ObjectRef::new(ObjectKind::Customer, subject.key.id.clone());
        let Some(Record::Customer(record)) = subject.records.get(&customer) else {
            return Self::default();
        };
        let Some(view) = record.latest().filter(|_| !record.is_deleted()) else {
            return Self::default();
        };
        Self { email: view.email.clone(), name: view.name.clone(), locales: view.locales.clone() }
    }
}

impl Money {
    fn of(amount: Option<i64>, currency: Option<&str>) -> Option<Self> {
        Some(Self { amount: amount?, currency: currency?.to_owned() })
    }
}

impl CardDetails {
    fn of(record: &PaymentMethodRecord) -> Self {
        let Some(view) = record.latest() else { return Self::default() };
        Self {
            brand: view.brand.clone(),
            last4: view.last4.clone(),
            expires: view.exp_year.zip(view.exp_month),
        }
    }
}

impl PlanDetails {
    fn of(view: &Subscription, catalog: &Catalog) -> Self {
        let period = |item: &SubscriptionItem| {
            Some((item.interval.clone()?, item.interval_count.unwrap_or(1)))
        };
        let first = view.items.first().and_then(period);
        let total = view.items.iter().filter(|_| !view.more_items).try_fold(0, |sum: i64, item| {
            sum.checked_add(item.unit_amount?.checked_mul(item.quantity?)?)
        });
        Self {
            names: names(view.items.iter().map(|item| &item.price), catalog),
            price: total
                .filter(|_| !view.items.is_empty() && !view.more_items)
                .and_then(|total| Money::of(Some(total), view.currency.as_deref())),
            // Prices of several periods have no sum per period, but Stripe allows none.
            period: first
                .filter(|first| view.items.iter().all(|it| period(it).as_ref() == Some(first))),
        }
    }

    /// What the prices were before: as far as the catalog knows them.
    fn before(change: &PriceChange, view: &Subscription, catalog: &Catalog) -> Self {
        let known = |id: &String| catalog.plan_of_price(id).map(|(_, price)| price);
        let single = match (change.from.len(), change.to.len(), view.items.as_slice()) {
            (1, 1, [item]) => change.from.first().and_then(known).zip(Some(item)),
            _ => None,
        };
        let price = single.and_then(|(price, item)| {
            let display = price.display.as_ref()?;
            let amount = display.amount.checked_mul(item.quantity?)?;
            Money::of(Some(amount), Some(&display.currency))
        });
        let period = single.and_then(|(price, _)| price.period);
        Self {
            names: names(change.from.iter(), catalog),
            price,
            period: period.map(|it| (it.unit.as_str().to_owned(), i64::from(it.count))),
        }
    }
}

/// What all open invoices of dunning come to, where there are several in one currency.
fn all_open(subject: &Subject, catalog: &Catalog, now: DateTime<Utc>) -> Option<Money> {
    let cases = dunning::cases(subject, catalog.policy(), now);
    let mut open = cases.iter().filter(|case| case.state == CaseState::Active);
    let first = open.next()?;
    let mut rest = open.peekable();
    rest.peek()?;
    let total =
        rest.try_fold(first.amount?, |sum: i64, case| match case.currency == first.currency {
            true => sum.checked_add(case.amount?),
            false => None,
        });
    Money::of(total, first.currency.as_deref())
}

/// What the catalog calls these prices, each name once.
fn names<'a>(prices: impl Iterator<Item = &'a String>, catalog: &Catalog) -> Vec<String> {
    let mut names: Vec<String> = Vec::new();
    for price in prices {
        let plan = catalog.plan_of_price(price).map(|(plan, _)| &plan.name);
        let name = plan.or_else(|| Some(&catalog.pack_of_price(price)?.name));
        if let Some(name) = name.filter(|name| !names.contains(name)) {
            names.push(name.clone());
        }
    }
    names
}

fn card(subject: &Subject, id: &str) -> Option<CardDetails> {
    match subject.records.get(&ObjectRef::new(ObjectKind::PaymentMethod, id)) {
        Some(Record::PaymentMethod(record)) => record.latest().map(|_| CardDetails::of(record)),
        _ => None,
    }
}

/// The only payment method that there is.
fn only_card(subject: &Subject) -> Option<CardDetails> {
    let mut cards = subject.records.values().filter_map(|record| match record {
        Record::PaymentMethod(record) if !record.is_detached() => {
            record.latest().map(|_| CardDetails::of(record))
        }
        _ => None,
    });
    let first = cards.next()?;
    cards.next().is_none().then_some(first)
}
