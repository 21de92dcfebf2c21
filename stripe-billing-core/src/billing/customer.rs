use chrono::TimeDelta;
use serde::{Deserialize, Serialize};

use super::Billing;
use super::checkout::SellError;
use crate::digest::fingerprint;
use crate::keys::AccountKey;
use crate::state::{Record, Subject};
use crate::store::{Call, Records};
use crate::stripe::{CreateCustomer, IdempotencyKey, ListCustomers, StripeApi, StripeError};

/// Stripe forgets idempotency keys after 24 hours; a call without an answer is looked for by then.
const KEY_LIFE: TimeDelta = TimeDelta::hours(23);

/// What Stripe is told of a new customer.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct CustomerProfile {
    /// Where receipts go.
    pub email: Option<String>,
    /// The name on invoices.
    pub name: Option<String>,
}

impl CustomerProfile {
    /// A customer with an address.
    pub fn with_email(email: impl Into<String>) -> Self {
        Self { email: Some(email.into()), name: None }
    }
}

/// What came of a customer call.
#[derive(Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Outcome {
    Created { customer: String },
    Failed,
}

impl Billing {
    /// The Stripe customer of an account; creates one where there is none, and never two, whatever
    /// races, crashes or answers get lost: the account's row is claimed first, and all who race
    /// send the one request that the row holds, under the key that is derived from it.
    ///
    /// # Errors
    /// [`SellError`]: no Stripe client, the store, or Stripe.
    pub async fn get_or_create_customer(
        &self,
        account: &AccountKey,
        profile: &CustomerProfile,
    ) -> Result<String, SellError> {
        let stripe = self.stripe_for(account)?;
        let mode = self.selling_mode(stripe.as_ref());
        let subjects = self.inner.store.subjects_of(account, mode, Records::Current).await?;
        if let Some(known) = known_customer(&subjects) {
            return Ok(known.to_owned());
        }
        let key = format!("customer:{}", scope(account, mode));
        let wanted = serde_json::to_string(profile).map_err(SellError::corrupt)?;
        loop {
            let now = self.inner.clock.now();
            let call = self.inner.store.begin_call(&key, &wanted, now).await?;
            if let Some(result) = &call.result {
                match serde_json::from_str(result).map_err(SellError::corrupt)? {
                    Outcome::Created { customer } if !is_deleted(&subjects, &customer) => {
                        return Ok(customer);
                    }
                    Outcome::Created { .. } | Outcome::Failed => {
                        self.inner.store.restart_call(&key, call.generation, &wanted, now).await?;
                        continue;
                    }
                }
            }
            let late = now - call.started_at >= KEY_LIFE;
            // A call before may have made it although nobody heard.
            let lost = match late || call.generation > 1 {
                true => self.lost_customer(stripe.as_ref(), account, &call).await?,
                false => None,
            };
            let made = match lost {
                Some(customer) => Ok(customer),
                None if late => {
                    self.inner.store.restart_call(&key, call.generation, &wanted, now).await?;
                    continue;
                }
                None => self.create_customer(stripe.as_ref(), account, &call).await,
            };
            let outcome = match &made {
                Ok(customer) => Outcome::Created { customer: customer.clone() },
                Err(SellError::Stripe(error)) if is_kept(error) => Outcome::Failed,
                Err(_) => return made,
            };
            let result = serde_json::to_string(&outcome).map_err(SellError::corrupt)?;
            self.inner.store.finish_call(&key, call.generation, &result).await?;
            made?;
        }
    }

    async fn create_customer(
        &self,
        stripe: &dyn StripeApi,
        account: &AccountKey,
        call: &Call,
    ) -> Result<String, SellError> {
        // The row's profile and not our own: equal keys have to carry equal requests.
        let profile: CustomerProfile =
            serde_json::from_str(&call.fingerprint).map_err(SellError::corrupt)?;
        let link = self.inner.catalog.link();
        let mut request = CreateCustomer::new().with_metadata(&link.account, &account.account);
        if let Some(email) = profile.email {
            request = request.with_email(email);
        }
        if let Some(name) = profile.name {
            request = request.with_name(name);
        }
        Ok(stripe.create_customer(&request, &call_key(call)?).await?.id)
    }

    /// The customer that an earlier call made although its answer was lost: by its address, or
    /// among the newest.
    async fn lost_customer(
        &self,
        stripe: &dyn StripeApi,
        account: &AccountKey,
        call: &Call,
    ) -> Result<Option<String>, SellError> {
        let profile: CustomerProfile =
            serde_json::from_str(&call.fingerprint).map_err(SellError::corrupt)?;
        let mut request = ListCustomers::new().with_limit(100);
        if let Some(email) = profile.email {
            request = request.with_email(email);
        }
        let link = self.inner.catalog.link();
        let found = stripe.list_customers(&request).await?;
        let own = found.data.into_iter().find(|customer| {
            !customer.deleted && customer.metadata.get(&link.account) == Some(&account.account)
        });
        Ok(own.map(|customer| customer.id))
    }

    /// The mode that things are sold in: the key's. A test-mode customer is nobody in live mode.
    pub(super) fn selling_mode(&self, stripe: &dyn StripeApi) -> Option<bool> {
        stripe.livemode().or(self.inner.livemode)
    }

    /// The client, acting for the Stripe account that the app's account belongs to.
    pub(super) fn stripe_for(
        &self,
        account: &AccountKey,
    ) -> Result<std::sync::Arc<dyn StripeApi>, SellError> {
        let stripe = self.inner.stripe.as_ref().ok_or(SellError::NoStripe)?;
        Ok(match &account.stripe_account {
            Some(connected) => stripe.for_account(connected),
            None => std::sync::Arc::clone(stripe),
        })
    }
}

/// Whether Stripe would give this answer again under the same key for a day, a 500 included, so that
/// only another call can help.
pub(super) fn is_kept(error: &StripeError) -> bool {
    error.status().is_some_and(|status| status >= 400 && status != 409 && status != 429)
}

/// An account's place in call keys, apart for test and live mode. Hashed, so that no account id is
/// too long for a key.
pub(super) fn scope(account: &AccountKey, mode: Option<bool>) -> String {
    fingerprint(&(account, mode))
}

/// The idempotency key of a call: what it is for, which time, and when that began.
pub(super) fn call_key(call: &Call) -> Result<IdempotencyKey, SellError> {
    let started = call.started_at.timestamp_micros();
    let key = format!("billing:{}:{}:{started}", call.key, call.generation);
    IdempotencyKey::new(key).map_err(SellError::corrupt)
}

/// The customer that an account's subjects stand for: the one with a live subscription, else the
/// first that is not deleted.
fn known_customer(subjects: &[Subject]) -> Option<&str> {
    let is_customer = |subject: &&Subject| {
        let named = subject.subscriptions().any(|record| {
            record.latest().and_then(|view| view.customer.as_ref()) == Some(&subject.key.id)
        });
        subject.records.values().any(|record| matches!(record, Record::Customer(_))) || named
    };
    let live = |subject: &&Subject| {
        subject
            .subscriptions()
            .any(|record| record.latest().is_some_and(|view| !view.status.is_terminal()))
    };
    let usable =
        || subjects.iter().filter(is_customer).filter(|s| !is_deleted(subjects, &s.key.id));
    usable().find(live).or_else(|| usable().next()).map(|subject| subject.key.id.as_str())
}

/// Whether Stripe said that the customer is deleted.
fn is_deleted(subjects: &[Subject], customer: &str) -> bool {
    subjects.iter().filter(|subject| subject.key.id == customer).any(|subject| {
        subject.records.values().any(|record| match record {
            Record::Customer(record) => record.is_deleted(),
            _ => false,
        })
    })
}
