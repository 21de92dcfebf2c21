//! What is kept of Stripe's objects, and how events add to it.
//!
//! Every record is a join-semilattice and every event is a set of records to join, so that any
//! order and any duplication of a history ends in one state.

mod family;
mod lifecycle;
mod links;
mod patch;
mod record;
mod subject;
mod versions;

pub use family::{Family, Loaded, Resolved};
pub use lifecycle::{State, TRANSITIONS, Transition, mermaid};
pub use links::{Anchor, LinkSource, Links, Name};
pub use patch::Patch;
pub use record::{
    CheckoutRecord, CustomerRecord, EntitlementsRecord, InvoiceRecord, ObjectKind, ObjectRef,
    PaymentMethodRecord, PaymentRecord, PriceChange, Record, SubscriptionRecord,
};
pub use subject::Subject;
