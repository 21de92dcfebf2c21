//! What the target `events` and the driver `soak` share: Stripe's events, mutated, and what has to
//! hold whatever they say.

mod choices;
mod deliver;
mod mutate;
mod read;
mod seeds;

use deliver::deliver;
use read::read;

/// How deep a case goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mode {
    /// Signed deliveries through `Billing` over a store in memory, processed, and looked at.
    Deliver,
    /// Read, merged and decided on only.
    Read,
}

impl Mode {
    /// The mode of that name.
    pub fn named(name: &str) -> Option<Self> {
        match name {
            "deliver" => Some(Self::Deliver),
            "read" => Some(Self::Read),
            _ => None,
        }
    }

    /// Runs one case; the events that it had.
    ///
    /// # Panics
    /// When something does not hold.
    pub fn run(self, bytes: &[u8]) -> usize {
        match self {
            Self::Deliver => deliver(bytes),
            Self::Read => read(bytes),
        }
    }
}
