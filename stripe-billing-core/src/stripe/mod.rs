//! Stripe, as far as billing needs it: the API calls and tolerant views over its objects.

pub(crate) mod anomaly;
mod api;
#[cfg(feature = "client")]
mod client;
mod event;
pub(crate) mod field;
pub mod objects;

pub use api::{
    CancelSubscription, CheckoutLine, CheckoutMode, CheckoutSession, CreateCheckoutSession,
    CreateCustomer, CreatePortalSession, Customer, IdempotencyKey, InvalidIdempotencyKey, List,
    ListCustomers, ListEvents, ListPrices, ListedEvent, PortalSession, Price, ProrationBehavior,
    Recurring, Retrieve, StripeApi, StripeError, StripeErrorKind, Subscription, SubscriptionItem,
    SubscriptionItemChange, UpdateSubscription,
};
#[cfg(feature = "client")]
pub use client::{API_VERSION, InvalidStripeConfig, StripeClient, StripeClientBuilder};
pub use event::{CorruptEvent, Event};
