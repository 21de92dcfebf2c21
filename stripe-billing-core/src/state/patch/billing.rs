//! Customers, what they subscribe to, and what they are billed.

use std::collections::BTreeSet;

use super::{Patch, named, versions};
use crate::catalog::Link;
use crate::state::links::{Anchor, LinkSource};
use crate::state::record::{
    CheckoutRecord, CustomerRecord, EntitlementsRecord, InvoiceRecord, PaymentMethodRecord,
    PriceChange, Record, RenewalQuote, SubscriptionRecord,
};
use crate::stripe::objects::{
    CheckoutSession, Customer, EntitlementSummary, Invoice, InvoiceStatus, PaymentMethod,
    Subscription,
};
use crate::stripe::{Event, field};

impl Patch {
    pub(super) fn subscription(event: &Event, keys: &Link) -> Option<Self> {
        let versions = versions(event, Subscription::from_json)?;
        let view = versions.latest()?;
        let mut patch = Self::default();
        patch.owned_by(view.customer.as_ref(), &view.id);
        patch.claim(LinkSource::SubscriptionMetadata, view.metadata.get(&keys.account), event);
        let ending = event.event_type == "customer.subscription.trial_will_end";
        let record = SubscriptionRecord {
            seen: [view.status.clone()].into(),
            trial_ending: view.trial_end.filter(|_| ending),
            price_changes: price_change(event, view).into_iter().collect(),
            ..SubscriptionRecord::new(view.id.clone())
        };
        patch.records.push(Record::Subscription(SubscriptionRecord { versions, ..record }));
        Some(patch)
    }

    pub(super) fn invoice(event: &Event, keys: &Link) -> Option<Self> {
        let versions = versions(event, Invoice::from_json)?;
        let view = versions.latest()?.clone();
        let mut patch = Self::default();
        patch.named(Anchor::Customer, view.customer.as_ref());
        patch.named(Anchor::Invoice, Some(&view.id));
        let account = view.subscription_metadata.get(&keys.account);
        patch.claim(LinkSource::SubscriptionMetadata, account, event);

        let kind = event.event_type.as_str();
        let failed = kind == "invoice.payment_failed";
        let failed_at = failed.then_some(event.stamp()).filter(|stamp| *stamp > 0);
        patch.records.push(Record::Invoice(InvoiceRecord {
            versions,
            first_failed_at: failed_at,
            last_failed_at: failed_at,
            failed_attempts: failed.then_some(view.attempt_count).into_iter().collect(),
            action_required: kind == "invoice.payment_action_required",
            uncollectible: view.status == InvoiceStatus::Uncollectible,
            finalization_failed: kind == "invoice.finalization_failed",
            overdue_at: (kind == "invoice.overdue").then_some(event.stamp()),
            ..InvoiceRecord::new(view.id.clone())
        }));
        let paid_through = view.service_end().filter(|_| view.status == InvoiceStatus::Paid);
        if let (Some(subscription), Some(_)) = (&view.subscription, paid_through) {
            let record = SubscriptionRecord::new(subscription.clone());
            patch.records.push(Record::Subscription(SubscriptionRecord { paid_through, ..record }));
        }
        for (intent, charge) in view.payment_ids() {
            if let Some(mut payment) = patch.payment_of(intent, charge) {
                payment.invoices.insert(view.id.clone());
                patch.records.push(Record::Payment(payment));
            }
        }
        Some(patch)
    }

    /// A renewal to come: an invoice that is not written yet, and has no id.
    pub(super) fn upcoming(event: &Event) -> Option<Self> {
        if event.event_type != "invoice.upcoming" {
            return None;
        }
        let customer = field::id(&event.object, &["customer"])?;
        let subscription = Invoice::subscription_of(&event.object)?;
        let renewal_upcoming = field::time(&event.object, &["period_end"]);
        let mut patch = Self::default();
        patch.named(Anchor::Customer, Some(&customer));
        patch.records.push(Record::Subscription(SubscriptionRecord {
            renewal_upcoming,
            renewal_quote: renewal_upcoming.map(|period_end| RenewalQuote {
                period_end,
                at: event.stamp(),
                amount: field::int(&event.object, &["amount_due"]),
                currency: field::text(&event.object, &["currency"]),
            }),
            ..SubscriptionRecord::new(subscription)
        }));
        Some(patch)
    }

    pub(super) fn checkout(event: &Event, keys: &Link) -> Option<Self> {
        let versions = versions(event, CheckoutSession::from_json)?;
        let view = versions.latest()?.clone();
        let mut patch = Self::default();
        patch.named(Anchor::Customer, view.customer.as_ref());
        patch.named(Anchor::CheckoutSession, Some(&view.id));
        patch.named(Anchor::Invoice, view.invoice.as_ref());
        patch.claim(LinkSource::SessionMetadata, view.metadata.get(&keys.account), event);
        patch.claim(LinkSource::ClientReference, view.client_reference_id.as_ref(), event);
        patch.records.push(Record::CheckoutSession(CheckoutRecord {
            id: view.id.clone(),
            versions,
            payment_failed: event.event_type == "checkout.session.async_payment_failed",
        }));
        if let Some(mut payment) = patch.payment_of(view.payment_intent.as_ref(), None) {
            payment.sessions.insert(view.id.clone());
            payment.invoices.extend(view.invoice.clone());
            patch.records.push(Record::Payment(payment));
        }
        Some(patch)
    }

    pub(super) fn customer(event: &Event, keys: &Link) -> Option<Self> {
        let versions = versions(event, Customer::from_json)?;
        let view = versions.latest()?;
        let mut patch = Self::default();
        patch.named(Anchor::Customer, Some(&view.id));
        patch.claim(LinkSource::CustomerMetadata, view.metadata.get(&keys.account), event);
        let id = view.id.clone();
        patch.records.push(Record::Customer(CustomerRecord { id, versions }));
        Some(patch)
    }

    /// A payment method; one that was detached names its customer as it was before.
    pub(super) fn payment_method(event: &Event) -> Option<Self> {
        let versions = versions(event, PaymentMethod::from_json)?;
        let view = versions.latest()?;
        let before = event.before.as_ref().and_then(|before| field::id(before, &["customer"]));
        let mut patch = Self::default();
        patch.owned_by(view.customer.as_ref().or(before.as_ref()), &view.id);
        patch.records.push(Record::PaymentMethod(PaymentMethodRecord {
            id: view.id.clone(),
            versions,
            expiring: event.event_type == "customer.source.expiring",
        }));
        Some(patch)
    }

    pub(super) fn entitlements(event: &Event) -> Option<Self> {
        let versions = versions(event, EntitlementSummary::from_json)?;
        let id = versions.latest()?.customer.clone();
        let mut patch = Self::default();
        patch.named(Anchor::Customer, Some(&id));
        patch.records.push(Record::Entitlements(EntitlementsRecord { id, versions }));
        Some(patch)
    }
}

/// The change of prices that the event tells of.
fn price_change(event: &Event, view: &Subscription) -> Option<PriceChange> {
    let before = Subscription::from_json(event.before.as_ref()?)?;
    let prices = |view: &Subscription| -> BTreeSet<String> {
        view.items.iter().filter_map(|item| named(Some(&item.price)).map(str::to_owned)).collect()
    };
    let (from, to) = (prices(&before), prices(view));
    let changed = from != to && !from.is_empty() && !to.is_empty();
    changed.then(|| PriceChange { at: event.stamp(), from, to })
}
