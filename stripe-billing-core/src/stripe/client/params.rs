//! What each request sends, in the form that [`API_VERSION`](super::API_VERSION) understands.

use std::collections::BTreeMap;

use super::form::{Form, FormValue};
use crate::stripe::{
    CancelSubscription, CheckoutLine, CheckoutMode, CreateCheckoutSession, CreateCustomer,
    CreatePortalSession, ListActiveEntitlements, ListCustomers, ListEvents, ListInvoicePayments,
    ListOf, ListPrices, Retrieve, SubscriptionItemChange, UpdateSubscription,
};

pub(super) fn retrieve(request: &Retrieve) -> Form {
    Form::new().set("expand", request.expand.iter().collect::<FormValue>())
}

pub(super) fn create_customer(request: &CreateCustomer) -> Form {
    Form::new()
        .set_some("email", request.email.as_ref())
        .set_some("name", request.name.as_ref())
        .set("metadata", pairs(&request.metadata))
        .append(&request.params)
}

pub(super) fn list_customers(request: &ListCustomers) -> Form {
    Form::new()
        .set_some("email", request.email.as_ref())
        .set_some("limit", request.limit.map(u64::from))
        .set_some("starting_after", request.starting_after.as_ref())
}

pub(super) fn list_prices(request: &ListPrices) -> Form {
    Form::new()
        .set_some("active", request.active)
        .set_some("product", request.product.as_ref())
        .set("lookup_keys", request.lookup_keys.iter().collect::<FormValue>())
        .set_some("limit", request.limit.map(u64::from))
        .set_some("starting_after", request.starting_after.as_ref())
        .set("expand", request.expand.iter().collect::<FormValue>())
}

pub(super) fn create_checkout_session(request: &CreateCheckoutSession) -> Form {
    let made = match request.mode {
        CheckoutMode::Payment => "payment_intent_data",
        CheckoutMode::Subscription => "subscription_data",
        CheckoutMode::Setup => "setup_intent_data",
    };
    let copied = Form::new()
        .set("metadata", pairs(&request.metadata))
        .set_some("trial_period_days", request.trial_period_days.map(u64::from));
    Form::new()
        .set("mode", request.mode.as_str())
        .set("success_url", &request.success_url)
        .set_some("cancel_url", request.cancel_url.as_ref())
        .set_some("customer", request.customer.as_ref())
        .set_some("customer_email", request.customer_email.as_ref())
        .set_some("client_reference_id", request.client_reference_id.as_ref())
        .set("line_items", request.lines.iter().map(line).collect::<FormValue>())
        .set("metadata", pairs(&request.metadata))
        .set(made, copied)
        .set_some("allow_promotion_codes", request.allow_promotion_codes)
        .set_some("expires_at", request.expires_at.map(|time| time.timestamp()))
        .set_some("locale", request.locale.as_ref())
        .append(&request.params)
}

fn line(line: &CheckoutLine) -> Form {
    Form::new().set("price", &line.price).set_some("quantity", line.quantity)
}

pub(super) fn update_subscription(request: &UpdateSubscription) -> Form {
    let mut form = Form::new().set_some("cancel_at_period_end", request.cancel_at_period_end);
    if request.clear_cancel_at {
        form = form.unset("cancel_at");
    }
    form.set("items", request.items.iter().map(item).collect::<FormValue>())
        .set_some("proration_behavior", request.proration_behavior.map(|it| it.as_str()))
        .set_some("proration_date", request.proration_date.map(|time| time.timestamp()))
        .set("metadata", pairs(&request.metadata))
        .append(&request.params)
}

fn item(item: &SubscriptionItemChange) -> Form {
    Form::new()
        .set_some("id", item.id.as_ref())
        .set_some("price", item.price.as_ref())
        .set_some("quantity", item.quantity)
        .set_some("deleted", item.deleted.then_some(true))
}

pub(super) fn cancel_subscription(request: &CancelSubscription) -> Form {
    Form::new().set_some("invoice_now", request.invoice_now).set_some("prorate", request.prorate)
}

pub(super) fn create_portal_session(request: &CreatePortalSession) -> Form {
    Form::new()
        .set("customer", &request.customer)
        .set_some("return_url", request.return_url.as_ref())
        .set_some("configuration", request.configuration.as_ref())
        .set_some("locale", request.locale.as_ref())
        .append(&request.params)
}

pub(super) fn list_events(request: &ListEvents) -> Form {
    let created = Form::new()
        .set_some("gte", request.created_from.map(|time| time.timestamp()))
        .set_some("lte", request.created_until.map(|time| time.timestamp()));
    Form::new()
        .set("created", created)
        .set("types", request.types.iter().collect::<FormValue>())
        .set_some("delivery_success", request.delivery_success)
        .set_some("limit", request.limit.map(u64::from))
        .set_some("starting_after", request.starting_after.as_ref())
        .set_some("ending_before", request.ending_before.as_ref())
}

pub(super) fn list_active_entitlements(request: &ListActiveEntitlements) -> Form {
    Form::new()
        .set("customer", &request.customer)
        .set_some("limit", request.limit.map(u64::from))
        .set_some("starting_after", request.starting_after.as_ref())
}

pub(super) fn list_invoice_payments(request: &ListInvoicePayments) -> Form {
    let payment = request
        .payment_intent
        .as_ref()
        .map(|id| Form::new().set("type", "payment_intent").set("payment_intent", id));
    Form::new()
        .set_some("invoice", request.invoice.as_ref())
        .set_some("payment", payment)
        .set_some("limit", request.limit.map(u64::from))
        .set_some("starting_after", request.starting_after.as_ref())
}

/// Which page is asked for; the owner is named in the path or in the form that is given.
pub(super) fn page_of(form: Form, request: &ListOf) -> Form {
    form.set_some("limit", request.limit.map(u64::from))
        .set_some("starting_after", request.starting_after.as_ref())
}

fn pairs(metadata: &BTreeMap<String, String>) -> Form {
    metadata.iter().collect()
}
