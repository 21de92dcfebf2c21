//! Stripe, as far as billing needs it: the API calls and tolerant views over its objects.

mod anomaly;
mod api;
#[cfg(feature = "client")]
mod client;
mod event;
pub(crate) mod field;
pub mod objects;

pub(crate) use anomaly::anomalies;
pub use api::{
    ActiveEntitlement, CancelSubscription, CheckoutLine, CheckoutMode, CheckoutSession,
    CreateCheckoutSession, CreateCustomer, CreatePortalSession, Customer, EventNotification,
    IdempotencyKey, InvalidIdempotencyKey, InvoicePayment, List, ListActiveEntitlements,
    ListCustomers, ListEvents, ListInvoicePayments, ListOf, ListPrices, ListedEvent, PortalSession,
    Price, ProrationBehavior, Recurring, Resource, Retrieve, StripeApi, StripeError,
    StripeErrorKind, Subscription, SubscriptionItem, SubscriptionItemChange, UpdateSubscription,
};
#[cfg(feature = "client")]
pub use client::{API_VERSION, InvalidStripeConfig, StripeClient, StripeClientBuilder};
pub use event::{CorruptEvent, Event, RelatedObject, ThinEvent};
