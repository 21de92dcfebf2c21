//! Stripe, as far as billing needs it: the API calls and tolerant views over its objects.

mod event;
pub(crate) mod field;
pub mod objects;

pub use event::{CorruptEvent, Event};
