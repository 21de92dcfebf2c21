//! The port to Stripe: one trait, one file per resource with its requests and responses.

mod checkout;
mod customers;
mod entitlements;
mod error;
mod events;
mod idempotency;
mod invoice_payments;
mod json;
mod list;
mod notifications;
mod portal;
mod prices;
mod raw;
mod subscriptions;

use std::sync::Arc;

use async_trait::async_trait;
use serde_json::Value;

pub use checkout::{CheckoutLine, CheckoutMode, CheckoutSession, CreateCheckoutSession};
pub use customers::{CreateCustomer, Customer, ListCustomers};
pub use entitlements::{ActiveEntitlement, ListActiveEntitlements};
pub use error::{StripeError, StripeErrorKind};
pub use events::{ListEvents, ListedEvent};
pub use idempotency::{IdempotencyKey, InvalidIdempotencyKey};
pub use invoice_payments::{InvoicePayment, ListInvoicePayments};
pub use list::{List, Retrieve};
pub use notifications::EventNotification;
pub use portal::{CreatePortalSession, PortalSession};
pub use prices::{ListPrices, Price, Recurring};
pub use raw::{ListOf, Resource};
pub use subscriptions::{
    CancelSubscription, ProrationBehavior, Subscription, SubscriptionItem, SubscriptionItemChange,
    UpdateSubscription,
};

/// The calls that billing makes to Stripe.
///
/// `StripeClient` (feature `client`) speaks to the real API; a test implements the trait itself.
/// Clauses that an implementation keeps:
///
/// 1. Every call that is a POST sends the caller's [`IdempotencyKey`], and the same one on every
///    try. The key comes from a row that the caller has claimed, never from a random generator:
///    a process that dies between two tries then finds the first result instead of a second
///    charge. Stripe forgets keys after 24 hours, so the row has to be the lasting memory.
/// 2. A call may try again by itself where Stripe's own SDKs do; what it returns is final for this
///    call, and [`StripeError::is_retryable`] says whether the same call may work later.
/// 3. No call is made while a database transaction is open; nothing here helps with that, but a
///    call may take as long as its time-out times its tries.
///
/// The trait grows when billing needs another call; a fake then has one method more to write.
#[async_trait]
pub trait StripeApi: std::fmt::Debug + Send + Sync + 'static {
    /// A handle whose calls act on a connected account (header `Stripe-Account`).
    ///
    /// An id that cannot be sent in a header fails each call with
    /// [`StripeErrorKind::InvalidRequest`].
    fn for_account(&self, account: &str) -> Arc<dyn StripeApi>;

    /// Whether these calls touch real money, or `None` when the key does not tell.
    ///
    /// Compare it with the `livemode` of each event and object.
    fn livemode(&self) -> Option<bool>;

    /// Another one when the key or the address is: what Stripe refused for the old one is tried
    /// again then. It does not tell the key.
    fn configuration(&self) -> Option<String>;

    /// `POST /v1/customers`
    async fn create_customer(
        &self,
        request: &CreateCustomer,
        key: &IdempotencyKey,
    ) -> Result<Customer, StripeError>;

    /// `GET /v1/customers/{id}`. A deleted customer is found, with [`Customer::deleted`] set.
    async fn retrieve_customer(&self, request: &Retrieve) -> Result<Customer, StripeError>;

    /// `GET /v1/customers`: to find the customer that a lost response has left behind.
    async fn list_customers(&self, request: &ListCustomers) -> Result<List<Customer>, StripeError>;

    /// `GET /v1/prices/{id}`
    async fn retrieve_price(&self, request: &Retrieve) -> Result<Price, StripeError>;

    /// `GET /v1/prices`
    async fn list_prices(&self, request: &ListPrices) -> Result<List<Price>, StripeError>;

    /// `POST /v1/checkout/sessions`
    async fn create_checkout_session(
        &self,
        request: &CreateCheckoutSession,
        key: &IdempotencyKey,
    ) -> Result<CheckoutSession, StripeError>;

    /// `GET /v1/checkout/sessions/{id}`. Line items come only when asked for: see
    /// [`Retrieve::with_expand`].
    async fn retrieve_checkout_session(
        &self,
        request: &Retrieve,
    ) -> Result<CheckoutSession, StripeError>;

    /// `POST /v1/checkout/sessions/{id}/expire`. Only an open session can be expired.
    async fn expire_checkout_session(
        &self,
        id: &str,
        key: &IdempotencyKey,
    ) -> Result<CheckoutSession, StripeError>;

    /// `GET /v1/subscriptions/{id}`
    async fn retrieve_subscription(&self, request: &Retrieve) -> Result<Subscription, StripeError>;

    /// `POST /v1/subscriptions/{id}`
    async fn update_subscription(
        &self,
        request: &UpdateSubscription,
        key: &IdempotencyKey,
    ) -> Result<Subscription, StripeError>;

    /// `DELETE /v1/subscriptions/{id}`: cancels at once.
    ///
    /// Stripe knows no idempotency key on a DELETE. When a response was lost, a repeated call
    /// answers [`StripeErrorKind::NotFound`]; retrieve the subscription to see that it is canceled.
    async fn cancel_subscription(
        &self,
        request: &CancelSubscription,
    ) -> Result<Subscription, StripeError>;

    /// `POST /v1/billing_portal/sessions`
    async fn create_portal_session(
        &self,
        request: &CreatePortalSession,
        key: &IdempotencyKey,
    ) -> Result<PortalSession, StripeError>;

    /// `GET /v1/events`: what happened in the last 30 days, newest first.
    async fn list_events(&self, request: &ListEvents) -> Result<List<ListedEvent>, StripeError>;

    /// `GET /v2/core/events/{id}`: a thin event, whole.
    async fn retrieve_event_notification(&self, id: &str)
    -> Result<EventNotification, StripeError>;

    /// `GET` of one object of any of these kinds, as Stripe's JSON. It has an id; a deleted
    /// customer is found and says `deleted`.
    async fn retrieve_object(&self, resource: Resource, id: &str) -> Result<Value, StripeError>;

    /// `GET /v1/entitlements/active_entitlements`
    async fn list_active_entitlements(
        &self,
        request: &ListActiveEntitlements,
    ) -> Result<List<ActiveEntitlement>, StripeError>;

    /// `GET /v1/invoice_payments`: which invoice a payment pays, and the other way round.
    async fn list_invoice_payments(
        &self,
        request: &ListInvoicePayments,
    ) -> Result<List<InvoicePayment>, StripeError>;

    /// `GET /v1/subscription_items`: a subscription's items, as Stripe's JSON.
    async fn list_subscription_items(&self, request: &ListOf) -> Result<List<Value>, StripeError>;

    /// `GET /v1/invoices/{id}/lines`: an invoice's lines, as Stripe's JSON.
    async fn list_invoice_lines(&self, request: &ListOf) -> Result<List<Value>, StripeError>;
}

/// Forwards the trait through a smart pointer, so that a shared or boxed implementation fits
/// wherever one is asked for.
macro_rules! forward {
    ($pointer:ident) => {
        forward! { $pointer:
            create_customer(request: CreateCustomer, key: IdempotencyKey) -> Customer,
            retrieve_customer(request: Retrieve) -> Customer,
            list_customers(request: ListCustomers) -> List<Customer>,
            retrieve_price(request: Retrieve) -> Price,
            list_prices(request: ListPrices) -> List<Price>,
            create_checkout_session(request: CreateCheckoutSession, key: IdempotencyKey)
                -> CheckoutSession,
            retrieve_checkout_session(request: Retrieve) -> CheckoutSession,
            expire_checkout_session(id: str, key: IdempotencyKey) -> CheckoutSession,
            retrieve_subscription(request: Retrieve) -> Subscription,
            update_subscription(request: UpdateSubscription, key: IdempotencyKey) -> Subscription,
            cancel_subscription(request: CancelSubscription) -> Subscription,
            create_portal_session(request: CreatePortalSession, key: IdempotencyKey)
                -> PortalSession,
            list_events(request: ListEvents) -> List<ListedEvent>,
            retrieve_event_notification(id: str) -> EventNotification,
            list_active_entitlements(request: ListActiveEntitlements) -> List<ActiveEntitlement>,
            list_invoice_payments(request: ListInvoicePayments) -> List<InvoicePayment>,
            list_subscription_items(request: ListOf) -> List<Value>,
            list_invoice_lines(request: ListOf) -> List<Value>,
        }
    };
    ($pointer:ident: $($name:ident($($arg:ident: $arg_type:ty),+) -> $answer:ty,)+) => {
        #[async_trait]
        impl<T: StripeApi + ?Sized> StripeApi for $pointer<T> {
            fn for_account(&self, account: &str) -> Arc<dyn StripeApi> {
                (**self).for_account(account)
            }

            fn livemode(&self) -> Option<bool> {
                (**self).livemode()
            }

            fn configuration(&self) -> Option<String> {
                (**self).configuration()
            }

            async fn retrieve_object(
                &self,
                resource: Resource,
                id: &str,
            ) -> Result<Value, StripeError> {
                (**self).retrieve_object(resource, id).await
            }

            $(async fn $name(&self, $($arg: &$arg_type),+) -> Result<$answer, StripeError> {
                (**self).$name($($arg),+).await
            })+
        }
    };
}

forward!(Arc);
forward!(Box);
