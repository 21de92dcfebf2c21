//! What operators tell billing: commands go through the inbox like Stripe's events, so that they
//! happen once, in any order, and stay on record.

use bytes::Bytes;
use serde::{Deserialize, Serialize};

use super::Billing;
use super::batch::Read;
use crate::error::StoreError;
use crate::keys::{EventKey, SubjectKey};
use crate::state::{Anchor, Name, Patch};
use crate::store::{Receipt, ReceivedEvent};
use crate::stripe::{CorruptEvent, Event};
use crate::webhook::EventKind;

/// The type of a command that links a subject to an account.
const LINK: &str = "stripe_billing.subject.linked";

/// Why a command was not taken.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum CommandError {
    /// Nothing is known of the subject.
    #[error("nothing is known of {0}")]
    Unknown(String),
    /// A part of the command is blank or too long.
    #[error("{0} must have between 1 and 255 bytes")]
    Invalid(&'static str),
    /// The store failed; trying again with the same request id is safe.
    #[error("the command could not be stored")]
    Store(#[from] StoreError),
}

/// A command as it is stored.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Command {
    subject: String,
    account: String,
    actor: String,
}

impl Command {
    pub(super) fn parse(payload: &[u8]) -> Result<Self, CorruptEvent> {
        Ok(serde_json::from_slice(payload)?)
    }

    /// What it adds.
    pub(super) fn read(&self, received: &ReceivedEvent) -> Read {
        let subject = Name::new(Anchor::Other, self.subject.clone());
        let patch = Patch::link(subject, &self.account, received.created);
        let object = serde_json::Value::Null;
        let event = Event::of_object(&received.key.id, LINK, received.created, object);
        Read { event, patch, live: None }
    }
}

impl Billing {
    /// Says that a subject (a customer, or a guest's payment) belongs to an account: what waits for
    /// that is taken up. Takes precedence over what Stripe's objects say. Idempotent by request id.
    ///
    /// # Errors
    /// When nothing is known of the subject, a part is blank or too long, or the store fails.
    pub async fn link(
        &self,
        subject: &SubjectKey,
        account: &str,
        actor: &str,
        request: &str,
    ) -> Result<Receipt, CommandError> {
        let parts = [("the account", account), ("the actor", actor), ("the request id", request)];
        for (name, part) in parts {
            if part.trim().is_empty() || part.len() > 200 {
                return Err(CommandError::Invalid(name));
            }
        }
        let known = self.inner.store.subject(subject).await?;
        let known = known.ok_or_else(|| CommandError::Unknown(subject.id.clone()))?;
        let command = Command {
            subject: known.key.id.clone(),
            account: account.trim().to_owned(),
            actor: actor.to_owned(),
        };
        let now = self.inner.clock.now();
        let payload = serde_json::to_vec(&command).unwrap_or_default();
        let event = ReceivedEvent {
            key: EventKey { tenant: known.key.tenant, id: format!("op_{request}") },
            kind: EventKind::Command,
            event_type: LINK.to_owned(),
            api_version: None,
            created: now.timestamp(),
            received_at: now,
            payload: Bytes::from(payload),
        };
        let receipt = self.inner.store.receive(event).await?;
        self.after_receipt().await;
        Ok(receipt)
    }
}
