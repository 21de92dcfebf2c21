use std::sync::Arc;

use async_trait::async_trait;
use serde_json::Value;

use super::form::Form;
use super::transport::{Call, check_id, path_with};
use super::{Shared, StripeClient, params};
use crate::digest;
use crate::stripe::{
    ActiveEntitlement, CancelSubscription, CheckoutSession, CreateCheckoutSession, CreateCustomer,
    CreatePortalSession, Customer, EventNotification, IdempotencyKey, InvoicePayment, List,
    ListActiveEntitlements, ListCustomers, ListEvents, ListInvoicePayments, ListOf, ListPrices,
    ListedEvent, PortalSession, Price, Resource, Retrieve, StripeApi, StripeError, StripeErrorKind,
    Subscription, UpdateSubscription,
};

const CUSTOMERS: &str = "/v1/customers";
const PRICES: &str = "/v1/prices";
const CHECKOUT_SESSIONS: &str = "/v1/checkout/sessions";
const SUBSCRIPTIONS: &str = "/v1/subscriptions";
const PORTAL_SESSIONS: &str = "/v1/billing_portal/sessions";
const EVENTS: &str = "/v1/events";
const EVENT_NOTIFICATIONS: &str = "/v2/core/events";
const ACTIVE_ENTITLEMENTS: &str = "/v1/entitlements/active_entitlements";
const INVOICE_PAYMENTS: &str = "/v1/invoice_payments";
const SUBSCRIPTION_ITEMS: &str = "/v1/subscription_items";
const INVOICES: &str = "/v1/invoices";

#[async_trait]
impl StripeApi for StripeClient {
    fn for_account(&self, account: &str) -> Arc<dyn StripeApi> {
        Arc::new(Self { shared: Arc::clone(&self.shared), account: Some(account.into()) })
    }

    fn livemode(&self) -> Option<bool> {
        self.shared.livemode
    }

    fn configuration(&self) -> Option<String> {
        let Shared { api_base, key, .. } = self.shared.as_ref();
        Some(digest::fingerprint(&(api_base, key.expose())))
    }

    async fn create_customer(
        &self,
        request: &CreateCustomer,
        key: &IdempotencyKey,
    ) -> Result<Customer, StripeError> {
        let form = params::create_customer(request);
        self.send(Call::post("create_customer", CUSTOMERS.to_owned(), form, key)).await
    }

    async fn retrieve_customer(&self, request: &Retrieve) -> Result<Customer, StripeError> {
        let path = path_with(CUSTOMERS, &request.id, "")?;
        self.send(Call::get("retrieve_customer", path, params::retrieve(request))).await
    }

    async fn list_customers(&self, request: &ListCustomers) -> Result<List<Customer>, StripeError> {
        let form = params::list_customers(request);
        self.send(Call::get("list_customers", CUSTOMERS.to_owned(), form)).await
    }

    async fn retrieve_price(&self, request: &Retrieve) -> Result<Price, StripeError> {
        let path = path_with(PRICES, &request.id, "")?;
        self.send(Call::get("retrieve_price", path, params::retrieve(request))).await
    }

    async fn list_prices(&self, request: &ListPrices) -> Result<List<Price>, StripeError> {
        let form = params::list_prices(request);
        self.send(Call::get("list_prices", PRICES.to_owned(), form)).await
    }

    async fn create_checkout_session(
        &self,
        request: &CreateCheckoutSession,
        key: &IdempotencyKey,
    ) -> Result<CheckoutSession, StripeError> {
        let form = params::create_checkout_session(request);
        let path = CHECKOUT_SESSIONS.to_owned();
        self.send(Call::post("create_checkout_session", path, form, key)).await
    }

    async fn retrieve_checkout_session(
        &self,
        request: &Retrieve,
    ) -> Result<CheckoutSession, StripeError> {
        let path = path_with(CHECKOUT_SESSIONS, &request.id, "")?;
        self.send(Call::get("retrieve_checkout_session", path, params::retrieve(request))).await
    }

    async fn expire_checkout_session(
        &self,
        id: &str,
        key: &IdempotencyKey,
    ) -> Result<CheckoutSession, StripeError> {
        let path = path_with(CHECKOUT_SESSIONS, id, "/expire")?;
        self.send(Call::post("expire_checkout_session", path, Form::new(), key)).await
    }

    async fn retrieve_subscription(&self, request: &Retrieve) -> Result<Subscription, StripeError> {
        let path = path_with(SUBSCRIPTIONS, &request.id, "")?;
        self.send(Call::get("retrieve_subscription", path, params::retrieve(request))).await
    }

    async fn update_subscription(
        &self,
        request: &UpdateSubscription,
        key: &IdempotencyKey,
    ) -> Result<Subscription, StripeError> {
        let path = path_with(SUBSCRIPTIONS, &request.id, "")?;
        let form = params::update_subscription(request);
        self.send(Call::post("update_subscription", path, form, key)).await
    }

    async fn cancel_subscription(
        &self,
        request: &CancelSubscription,
    ) -> Result<Subscription, StripeError> {
        let path = path_with(SUBSCRIPTIONS, &request.id, "")?;
        let form = params::cancel_subscription(request);
        self.send(Call::delete("cancel_subscription", path, form)).await
    }

    async fn create_portal_session(
        &self,
        request: &CreatePortalSession,
        key: &IdempotencyKey,
    ) -> Result<PortalSession, StripeError> {
        let form = params::create_portal_session(request);
        let path = PORTAL_SESSIONS.to_owned();
        self.send(Call::post("create_portal_session", path, form, key)).await
    }

    async fn list_events(&self, request: &ListEvents) -> Result<List<ListedEvent>, StripeError> {
        let form = params::list_events(request);
        self.send(Call::get("list_events", EVENTS.to_owned(), form)).await
    }

    async fn retrieve_event_notification(
        &self,
        id: &str,
    ) -> Result<EventNotification, StripeError> {
        let path = path_with(EVENT_NOTIFICATIONS, id, "")?;
        self.send(Call::get("retrieve_event_notification", path, Form::new())).await
    }

    async fn retrieve_object(&self, resource: Resource, id: &str) -> Result<Value, StripeError> {
        let path = path_with(resource.path(), id, "")?;
        let object: RawObject = self.send(Call::get("retrieve_object", path, Form::new())).await?;
        Ok(object.0)
    }

    async fn list_active_entitlements(
        &self,
        request: &ListActiveEntitlements,
    ) -> Result<List<ActiveEntitlement>, StripeError> {
        check_id(&request.customer)?;
        let form = params::list_active_entitlements(request);
        let path = ACTIVE_ENTITLEMENTS.to_owned();
        self.send(Call::get("list_active_entitlements", path, form)).await
    }

    async fn list_invoice_payments(
        &self,
        request: &ListInvoicePayments,
    ) -> Result<List<InvoicePayment>, StripeError> {
        for id in request.invoice.iter().chain(&request.payment_intent) {
            check_id(id)?;
        }
        let form = params::list_invoice_payments(request);
        self.send(Call::get("list_invoice_payments", INVOICE_PAYMENTS.to_owned(), form)).await
    }

    async fn list_subscription_items(&self, request: &ListOf) -> Result<List<Value>, StripeError> {
        check_id(&request.owner)?;
        let form = Form::new().set("subscription", &request.owner);
        let form = params::page_of(form, request);
        let path = SUBSCRIPTION_ITEMS.to_owned();
        self.send(Call::get("list_subscription_items", path, form)).await.map(raw_page)
    }

    async fn list_invoice_lines(&self, request: &ListOf) -> Result<List<Value>, StripeError> {
        let path = path_with(INVOICES, &request.owner, "/lines")?;
        let form = params::page_of(Form::new(), request);
        self.send(Call::get("list_invoice_lines", path, form)).await.map(raw_page)
    }
}

fn raw_page(page: List<RawObject>) -> List<Value> {
    List::new(page.data.into_iter().map(|object| object.0).collect(), page.has_more)
}

/// An answer that is handed on as it came, once it is known to be an object with an id.
struct RawObject(Value);

impl TryFrom<Value> for RawObject {
    type Error = StripeError;

    fn try_from(raw: Value) -> Result<Self, StripeError> {
        if raw.get("id").is_some_and(Value::is_string) {
            return Ok(Self(raw));
        }
        let message = "expected an object with a string `id`";
        Err(StripeError::new(StripeErrorKind::Decode, message))
    }
}
