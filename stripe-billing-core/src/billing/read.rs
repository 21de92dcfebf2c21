//! What a claimed event says, and whether it is for us.

use std::borrow::Cow;
use std::panic::{AssertUnwindSafe, catch_unwind};

use super::Billing;
use super::batch::{Input, Read};
use super::command::Command;
use super::lookup::Undecided;
use super::process::panicked;
use crate::catalog::ConnectedAccounts;
use crate::changes::{IgnoreReason, Settlement};
use crate::queue::{BLAMED_AFTER, ErrorClass, Failure, MAX_CRASHES};
use crate::state::Patch;
use crate::store::{ClaimedEvent, ReceivedEvent};
use crate::stripe::{Event, ThinEvent};
use crate::webhook::EventKind;

/// The code of an event that the app's handler did not take.
const HANDLER_FAILED: &str = "handler_failed";

impl Billing {
    /// Reads the event and what it adds, or says at once how it ends.
    pub(super) fn read(&self, claimed: &ClaimedEvent) -> Input {
        self.try_read(claimed).unwrap_or_else(Input::Settled)
    }

    fn try_read(&self, claimed: &ClaimedEvent) -> Result<Input, Settlement> {
        let received = &claimed.event;
        let age = self.inner.clock.now() - received.received_at;
        if claimed.crashes >= MAX_CRASHES && age >= BLAMED_AFTER {
            let message = format!("the lease ran out {} times without a result", claimed.crashes);
            let failure = Failure::new(ErrorClass::Poison, "lease_lost", message);
            return Err(Settlement::Dead(failure));
        }
        if received.payload.is_empty() {
            return Err(Settlement::Ignored(IgnoreReason::Erased));
        }
        if let Some(reason) = self.foreign(received) {
            return Err(Settlement::Ignored(reason));
        }
        let corrupt = |error: &dyn std::error::Error| {
            let failure = Failure::new(ErrorClass::Permanent, "corrupt_payload", error.to_string());
            Settlement::Dead(failure)
        };
        let panicked = |_| Settlement::Dead(panicked());
        let link = self.inner.catalog.link();
        Ok(match received.kind {
            EventKind::Thin => {
                let thin = ThinEvent::parse(&received.payload).map_err(|e| corrupt(&e))?;
                Input::Thin(thin)
            }
            EventKind::Command => {
                let command = Command::parse(&received.payload).map_err(|e| corrupt(&e))?;
                Input::Read(Box::new(command.read(received)))
            }
            EventKind::Snapshot => {
                let event = Event::parse(&received.payload).map_err(|error| corrupt(&error))?;
                let patch = catch_unwind(AssertUnwindSafe(|| Patch::of(&event, link)))
                    .map_err(panicked)?
                    .ok_or(Settlement::Ignored(IgnoreReason::Unhandled))?;
                Input::Read(Box::new(Read { event, patch, live: None }))
            }
        })
    }

    /// Why an event is not for us, if it is not.
    fn foreign(&self, event: &ReceivedEvent) -> Option<IgnoreReason> {
        let tenant = &event.key.tenant;
        let ignored = self.inner.catalog.policy().connected_accounts == ConnectedAccounts::Ignore;
        if self.inner.livemode.is_some_and(|mode| mode != tenant.livemode) {
            Some(IgnoreReason::OtherMode)
        } else if tenant.stripe_account.is_some() && ignored {
            Some(IgnoreReason::ConnectedAccount)
        } else {
            None
        }
    }

    /// What the event adds, with what only Stripe can say of it.
    pub(super) async fn prepare<'a>(
        &self,
        claimed: &ClaimedEvent,
        input: &'a Input,
    ) -> Result<Cow<'a, Read>, Undecided> {
        let tenant = &claimed.event.key.tenant;
        let read = match input {
            Input::Settled(Settlement::Dead(failure)) => {
                return Err(Undecided::Failed(failure.clone()));
            }
            Input::Settled(settlement) => {
                if *settlement == Settlement::Ignored(IgnoreReason::Unhandled) {
                    self.offer(&claimed.event).await?;
                }
                return Err(Undecided::Settled(settlement.clone()));
            }
            Input::Thin(thin) => return self.read_thin(tenant, thin).await.map(Cow::Owned),
            Input::Read(read) => read,
        };
        Ok(match self.complete(tenant, &read.event).await? {
            None => Cow::Borrowed(read.as_ref()),
            Some(event) => match Patch::of(&event, self.inner.catalog.link()) {
                Some(patch) => Cow::Owned(Read { event, patch, live: None }),
                None => Cow::Borrowed(read.as_ref()),
            },
        })
    }

    /// Offers an event without a rule to the app.
    async fn offer(&self, event: &ReceivedEvent) -> Result<(), Undecided> {
        let Some(handler) = self.inner.unhandled.as_ref().filter(|_| !self.inner.shadow) else {
            return Ok(());
        };
        self.guarded(handler.handle(event), HANDLER_FAILED).await.map_err(Undecided::Failed)
    }
}
