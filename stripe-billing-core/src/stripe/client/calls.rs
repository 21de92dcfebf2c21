use std::sync::Arc;

use async_trait::async_trait;

use super::form::Form;
use super::transport::{Call, path_with};
use super::{StripeClient, params};
use crate::stripe::{
    CancelSubscription, CheckoutSession, CreateCheckoutSession, CreateCustomer,
    CreatePortalSession, Customer, IdempotencyKey, List, ListCustomers, ListEvents, ListPrices,
    ListedEvent, PortalSession, Price, Retrieve, StripeApi, StripeError, Subscription,
    UpdateSubscription,
};

const CUSTOMERS: &str = "/v1/customers";
const PRICES: &str = "/v1/prices";
const CHECKOUT_SESSIONS: &str = "/v1/checkout/sessions";
const SUBSCRIPTIONS: &str = "/v1/subscriptions";
const PORTAL_SESSIONS: &str = "/v1/billing_portal/sessions";
const EVENTS: &str = "/v1/events";

#[async_trait]
impl StripeApi for StripeClient {
    fn for_account(&self, account: &str) -> Arc<dyn StripeApi> {
        Arc::new(Self { shared: Arc::clone(&self.shared), account: Some(account.into()) })
    }

    fn livemode(&self) -> Option<bool> {
        self.shared.livemode
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
}
