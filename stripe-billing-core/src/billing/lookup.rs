//! What events leave open, asked of Stripe: never while a transaction is open.

use std::sync::Arc;

use serde_json::{Value, json};

use super::Billing;
use super::batch::Read;
use crate::changes::{IgnoreReason, Settlement};
use crate::error::StoreError;
use crate::keys::Tenant;
use crate::queue::Failure;
use crate::state::{Anchor, Family, Name, Patch, Record};
use crate::stripe::{
    Event, ListActiveEntitlements, ListInvoicePayments, ListOf, Resource, StripeApi, StripeError,
    StripeErrorKind, ThinEvent,
};

/// Pages of a list that are read; Stripe's own limits end far before.
const MAX_PAGES: usize = 20;
/// The largest page that Stripe gives.
const PAGE: u8 = 100;

/// Why an event cannot be decided on now.
#[derive(Debug)]
pub(super) enum Undecided {
    /// It ends like this.
    Settled(Settlement),
    /// It failed: what was asked did not answer, or a rule or a handler refused it.
    Failed(Failure),
    /// The store did.
    Store(StoreError),
}

impl From<StoreError> for Undecided {
    fn from(error: StoreError) -> Self {
        Self::Store(error)
    }
}

impl From<StripeError> for Undecided {
    fn from(error: StripeError) -> Self {
        Self::Failed(Failure::new(error.class(), "stripe_failed", error.to_string()))
    }
}

impl Billing {
    /// The client that may be asked about a tenant.
    pub(super) fn stripe_of(&self, tenant: &Tenant) -> Option<Arc<dyn StripeApi>> {
        let stripe = self.inner.stripe.as_ref()?;
        let same_mode = stripe.livemode().is_none_or(|mode| mode == tenant.livemode);
        same_mode.then(|| match &tenant.stripe_account {
            Some(account) => stripe.for_account(account),
            None => Arc::clone(stripe),
        })
    }

    /// Reads what a thin event is about. One whose snapshot twin is in the inbox adds nothing.
    pub(super) async fn read_thin(
        &self,
        tenant: &Tenant,
        thin: &ThinEvent,
    ) -> Result<Read, Undecided> {
        let ignored = |reason| Undecided::Settled(Settlement::Ignored(reason));
        let stripe = self.stripe_of(tenant).ok_or_else(|| ignored(IgnoreReason::Thin))?;
        let whole = match stripe.retrieve_event_notification(&thin.id).await {
            Ok(whole) => Some(whole),
            Err(error) if *error.kind() == StripeErrorKind::NotFound => None,
            Err(error) => return Err(error.into()),
        };
        if let Some(twin) = whole.as_ref().and_then(|whole| whole.snapshot_event.as_deref())
            && self.has_received(tenant, twin).await?
        {
            return Err(ignored(IgnoreReason::Twin));
        }
        let related = thin.related_object.clone().or(whole.and_then(|w| w.related_object));
        let found = related.and_then(|related| Some((resource(&related.object_type)?, related.id)));
        let (resource, id) = found.ok_or_else(|| ignored(IgnoreReason::Thin))?;
        let object = found_object(stripe.retrieve_object(resource, &id).await)?
            .ok_or_else(|| ignored(IgnoreReason::Thin))?;
        let kind = thin.snapshot_type().unwrap_or(&thin.event_type);
        let event = Event::of_object(&thin.id, kind, thin.created, object);
        let patch = Patch::of(&event, self.inner.catalog.link())
            .ok_or_else(|| ignored(IgnoreReason::Unhandled))?;
        Ok(Read { event, patch, live: Some((resource, id)) })
    }

    async fn has_received(&self, tenant: &Tenant, id: &str) -> Result<bool, Undecided> {
        let events = self.inner.store.events_by_id(id).await?;
        Ok(events.iter().any(|event| event.summary.key.tenant == *tenant))
    }

    /// Reads lists to their ends of which the event has the first page.
    pub(super) async fn complete(
        &self,
        tenant: &Tenant,
        event: &Event,
    ) -> Result<Option<Event>, Undecided> {
        let Some((path, owner)) = cut_short(event) else { return Ok(None) };
        let Some(stripe) = self.stripe_of(tenant) else { return Ok(None) };
        let (mut data, mut last) = (Vec::new(), None::<String>);
        for _ in 0..MAX_PAGES {
            let (page, more) = page(stripe.as_ref(), path, &owner, last.take()).await?;
            last = page.last().and_then(|entry| entry.get("id")?.as_str().map(str::to_owned));
            data.extend(page);
            if !more || last.is_none() {
                break;
            }
        }
        let mut whole = event.clone();
        whole.object[path] = json!({"object": "list", "data": data, "has_more": false});
        Ok(Some(whole))
    }

    /// Whether Stripe may have to be asked about an event, or about a page of it that is not there.
    pub(super) fn has_to_ask(&self, tenant: &Tenant, read: &Read, family: &Family) -> bool {
        self.stripe_of(tenant).is_some()
            && (read.live.is_some()
                || cut_short(&read.event).is_some()
                || family.tie(&read.patch).is_some()
                || tells_of_money_back(read)
                || customer_without_account(read, family).is_some())
    }

    /// Adds what Stripe knows of the patch's object or of whose it is, where the events leave that
    /// open. What is read of Stripe was read after the family's version, which the commit holds.
    pub(super) async fn look_up(
        &self,
        tenant: &Tenant,
        read: &Read,
        family: &Family,
    ) -> Result<Option<Patch>, Undecided> {
        let Some(stripe) = self.stripe_of(tenant) else { return Ok(None) };
        let mut found = Vec::new();
        let tie = match &read.live {
            Some(live) => Some(live.clone()),
            None => family.tie(&read.patch),
        };
        if let Some((resource, id)) = tie {
            match stripe.retrieve_object(resource, &id).await {
                Ok(object) => {
                    let live = read.event.with_live(object, family.subject.version);
                    found.extend(Patch::of(&live, self.inner.catalog.link()));
                }
                // The events' own order stands in for Stripe's word.
                Err(error) => tracing::warn!(%error, id, "a tie was not settled by Stripe"),
            }
        }
        found.extend(self.find_owner(stripe.as_ref(), read, family).await?);
        found.extend(self.find_account(stripe.as_ref(), read, family).await);
        let mut patch = read.patch.clone();
        let nothing = found.is_empty();
        found.into_iter().for_each(|other| patch.join(other));
        Ok((!nothing).then_some(patch))
    }

    /// The account of a customer that no event has named one for: Stripe may know it, and then
    /// nothing has to wait for the event that says so. Only the link is taken: how old the rest is
    /// nobody knows.
    async fn find_account(
        &self,
        stripe: &dyn StripeApi,
        read: &Read,
        family: &Family,
    ) -> Option<Patch> {
        let customer = customer_without_account(read, family)?;
        match found_object(stripe.retrieve_object(Resource::Customer, &customer.id).await) {
            Ok(object) => {
                let Event { id, created, .. } = &read.event;
                let event = Event::of_object(id, "customer.updated", *created, object?);
                let patch = Patch::of(&event, self.inner.catalog.link()).filter(is_linked)?;
                Some(Patch { records: Vec::new(), ..patch })
            }
            // The event waits for the link as it does without a client.
            Err(error) => {
                tracing::warn!(%error, id = customer.id, "Stripe did not say whose customer it is");
                None
            }
        }
    }

    /// Whose a payment is of which money comes back, and what it paid for.
    async fn find_owner(
        &self,
        stripe: &dyn StripeApi,
        read: &Read,
        family: &Family,
    ) -> Result<Vec<Patch>, Undecided> {
        let Some(Record::Payment(arrived)) = read.patch.records.first() else {
            return Ok(Vec::new());
        };
        if !tells_of_money_back(read) {
            return Ok(Vec::new());
        }
        let link = self.inner.catalog.link();
        let mut found = Vec::new();
        if family.is_stray()
            && let Some((resource, id)) = payment_of(&read.patch)
            && let Some(object) = found_object(stripe.retrieve_object(resource, id).await)?
        {
            let kind = "payment_intent.updated";
            let event = Event::of_object(&read.event.id, kind, read.event.created, object);
            found.extend(Patch::of(&event, link));
        }
        let explained = family.subject.payments().chain([arrived]).any(|payment| {
            payment.id() == arrived.id()
                && !(payment.invoices().is_empty() && payment.sessions().is_empty())
        });
        if let (false, Some((Resource::PaymentIntent, id))) = (explained, payment_of(&read.patch)) {
            let request = ListInvoicePayments::for_payment_intent(id).with_limit(10);
            for payment in stripe.list_invoice_payments(&request).await?.data {
                let kind = "invoice_payment.paid";
                let event = Event::of_object(&read.event.id, kind, read.event.created, payment.raw);
                found.extend(Patch::of(&event, link));
            }
        }
        Ok(found)
    }
}

fn is_linked(patch: &Patch) -> bool {
    patch.links.account().is_some()
}

/// The customer that an event names, where nobody has said whose it is.
fn customer_without_account<'a>(read: &'a Read, family: &Family) -> Option<&'a Name> {
    let Patch { names, records, .. } = &read.patch;
    let speaks_for_itself = matches!(records.first(), None | Some(Record::Customer(_)));
    if speaks_for_itself || is_linked(&read.patch) || family.subject.links.account().is_some() {
        return None;
    }
    names.iter().find(|name| name.anchor == Anchor::Customer)
}

fn tells_of_money_back(read: &Read) -> bool {
    matches!(read.patch.records.first(), Some(Record::Payment(arrived))
        if !(arrived.refunds.is_empty() && arrived.disputes.is_empty() && arrived.warnings.is_empty()))
}

/// An object that is gone is no failure.
fn found_object(answer: Result<Value, StripeError>) -> Result<Option<Value>, StripeError> {
    match answer {
        Ok(object) => Ok(Some(object)),
        Err(error) if *error.kind() == StripeErrorKind::NotFound => Ok(None),
        Err(error) => Err(error),
    }
}

/// The best of the payment's ids that the patch names.
fn payment_of(patch: &Patch) -> Option<(Resource, &str)> {
    patch.names.iter().find_map(|Name { anchor, id }| match anchor {
        Anchor::PaymentIntent => Some((Resource::PaymentIntent, id.as_str())),
        Anchor::Charge => Some((Resource::Charge, id.as_str())),
        _ => None,
    })
}

/// The list of the event's object that goes on beyond its first page, and whose it is.
fn cut_short(event: &Event) -> Option<(&'static str, String)> {
    let (path, owner) = match event.object_kind() {
        "entitlements.active_entitlement_summary" => ("entitlements", "customer"),
        "subscription" => ("items", "id"),
        "invoice" => ("lines", "id"),
        _ => return None,
    };
    let more = event.object.get(path)?.get("has_more")?.as_bool()?;
    let owner = event.object.get(owner)?.as_str()?;
    more.then(|| (path, owner.to_owned()))
}

async fn page(
    stripe: &dyn StripeApi,
    path: &str,
    owner: &str,
    after: Option<String>,
) -> Result<(Vec<Value>, bool), StripeError> {
    let list = || {
        let list = ListOf::new(owner).with_limit(PAGE);
        match &after {
            Some(after) => list.with_starting_after(after),
            None => list,
        }
    };
    Ok(match path {
        "entitlements" => {
            let mut request = ListActiveEntitlements::new(owner).with_limit(PAGE);
            request.starting_after = after;
            let page = stripe.list_active_entitlements(&request).await?;
            (page.data.into_iter().map(|entry| entry.raw).collect(), page.has_more)
        }
        "items" => {
            let page = stripe.list_subscription_items(&list()).await?;
            (page.data, page.has_more)
        }
        _ => {
            let page = stripe.list_invoice_lines(&list()).await?;
            (page.data, page.has_more)
        }
    })
}

/// Where the API has objects of a kind.
fn resource(kind: &str) -> Option<Resource> {
    Some(match kind {
        "customer" => Resource::Customer,
        "subscription" => Resource::Subscription,
        "invoice" => Resource::Invoice,
        "checkout.session" => Resource::CheckoutSession,
        "payment_intent" => Resource::PaymentIntent,
        "charge" => Resource::Charge,
        "refund" => Resource::Refund,
        "dispute" => Resource::Dispute,
        "payment_method" => Resource::PaymentMethod,
        "invoice_payment" => Resource::InvoicePayment,
        _ => return None,
    })
}
