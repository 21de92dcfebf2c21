//! What a customer does with what was bought: the portal, cancelling, and taking that back.

use serde::Serialize;

use super::Billing;
use super::checkout::SellError;
use super::customer::{CustomerProfile, scope};
use crate::keys::AccountKey;
use crate::store::Records;
use crate::stripe::{
    CreatePortalSession, IdempotencyKey, InvalidIdempotencyKey, StripeApi, UpdateSubscription,
};

/// Where to send the browser to manage what was bought.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct PortalUrl {
    /// The portal's page at Stripe.
    pub url: String,
}

impl Billing {
    /// Opens the customer portal for an account.
    ///
    /// # Errors
    /// [`SellError::NoCustomer`] for an account that never bought anything; else [`SellError`].
    pub async fn portal(
        &self,
        account: &AccountKey,
        return_url: &str,
    ) -> Result<PortalUrl, SellError> {
        let stripe = self.stripe_for(account)?;
        let access = self.fresh_access(account, stripe.as_ref()).await?;
        let customer = match access.subscriptions.first() {
            Some(best) => best.customer.clone(),
            None => self
                .called_customer(account, stripe.as_ref())
                .await?
                .ok_or(SellError::NoCustomer)?,
        };
        let request = CreatePortalSession::new(customer).with_return_url(return_url);
        // Every visit is a session of its own.
        let key = self.momentary_key("portal", &scope(account, None))?;
        Ok(PortalUrl { url: stripe.create_portal_session(&request, &key).await?.url })
    }

    /// Lets the account's subscription end with the period that is paid for.
    ///
    /// # Errors
    /// [`SellError::NoSubscription`] without a live one; else [`SellError`].
    pub async fn cancel_at_period_end(&self, account: &AccountKey) -> Result<(), SellError> {
        self.change(account, false, |id| {
            UpdateSubscription::new(id).with_cancel_at_period_end(true)
        })
        .await
    }

    /// Takes a cancellation back, while time is left.
    ///
    /// # Errors
    /// [`SellError::NoSubscription`] without one that will cancel; else [`SellError`].
    pub async fn resume(&self, account: &AccountKey) -> Result<(), SellError> {
        self.change(account, true, |id| {
            UpdateSubscription::new(id).with_cancel_at_period_end(false)
        })
        .await
    }

    async fn change(
        &self,
        account: &AccountKey,
        canceling: bool,
        update: impl FnOnce(&str) -> UpdateSubscription + Send,
    ) -> Result<(), SellError> {
        let stripe = self.stripe_for(account)?;
        let access = self.fresh_access(account, stripe.as_ref()).await?;
        let fits = access
            .subscriptions
            .iter()
            .find(|share| !share.status.is_terminal() && share.will_cancel == canceling)
            .ok_or(SellError::NoSubscription)?;
        // Opposite wishes of one moment are different calls.
        let what = if canceling { "resume" } else { "cancel" };
        let key = self.momentary_key(what, &fits.id)?;
        stripe.update_subscription(&update(&fits.id), &key).await?;
        Ok(())
    }

    /// The customer of an account of which no event has arrived yet.
    async fn called_customer(
        &self,
        account: &AccountKey,
        stripe: &dyn StripeApi,
    ) -> Result<Option<String>, SellError> {
        let mode = self.selling_mode(stripe);
        let subjects = self.inner.store.subjects_of(account, mode, Records::Current).await?;
        if subjects.is_empty() {
            return Ok(None);
        }
        let profile = CustomerProfile::default();
        self.get_or_create_customer(account, &profile).await.map(Some)
    }

    /// A key for a call that may well happen twice.
    fn momentary_key(&self, what: &str, id: &str) -> Result<IdempotencyKey, SellError> {
        let now = self.inner.clock.now().timestamp_micros();
        IdempotencyKey::new(format!("billing:{what}:{id}:{now}"))
            .map_err(|error: InvalidIdempotencyKey| SellError::corrupt(error))
    }
}
