//! What is kept of Stripe's objects, and how events add to it.
//!
//! Every record is a join-semilattice and every event is a set of records to join, so that any
//! order and any duplication of a history ends in one state.

mod lifecycle;
mod links;
mod patch;
mod record;
mod subject;
mod versions;

pub use lifecycle::{State, TRANSITIONS, Transition, mermaid};
pub use links::{LinkSource, Links};
pub use patch::Patch;
pub use record::{
    CheckoutRecord, CustomerRecord, InvoiceRecord, ObjectKind, ObjectRef, Record,
    SubscriptionRecord,
};
pub use subject::Subject;
